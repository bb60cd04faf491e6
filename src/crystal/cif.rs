//! Crystals from CIF: cell, symmetry operations, occupancies, isotropic and anisotropic displacements (core dictionary); Å, Å².

use std::f64::consts::PI;

use super::Crystal;
use super::check::ATOM_LIMIT;
use super::cif_syntax::{Block, Table, Value, parse};
use super::error::{CrystalError, Result};
use super::lattice::{Matrix, Vector, cross, determinant, from_parameters, isotropic, norm, product, scale, transpose};
use super::read::{RawAtom, element, malformed, number, source_of};
use super::symmetry::{OPERATION_LIMIT, Operation, expand};

const OPERATIONS: [&str; 2] = ["_space_group_symop_operation_xyz", "_symmetry_equiv_pos_as_xyz"];
const GROUP: [&str; 6] = [
    "_space_group_name_h-m_alt",
    "_symmetry_space_group_name_h-m",
    "_space_group_name_hall",
    "_symmetry_space_group_name_hall",
    "_space_group_it_number",
    "_symmetry_int_tables_number",
];

impl Crystal {
    /// Reads one crystal from the text of a CIF; `file` is its name for messages. Whichever space group is named, the listed operations
    /// are what counts; without any the group must be P 1 or unnamed. Sites are recognised.
    pub fn from_cif(text: &str, file: &str) -> Result<Self> {
        let blocks = parse(text, file)?;
        let block = only_structure(&blocks, file)?;
        let lattice_angstrom = lattice(block, file)?;
        let operations = operations(block, file)?;
        let raw = atoms(block, &lattice_angstrom, file)?;
        let name = block.item(&["_chemical_name_common", "_chemical_name_systematic", "_chemical_formula_sum"]).and_then(Value::known);
        let asymmetric = Self {
            name: name.unwrap_or(&block.name).split_whitespace().collect::<Vec<_>>().join(" "),
            source: source_of(file, &raw),
            lattice_angstrom,
            atoms: raw.into_iter().map(RawAtom::into_atom).collect(),
        };
        // Once before the operations, so that they act on sane numbers, and once on the whole cell.
        asymmetric.check_values()?;
        Ok(expand(asymmetric, &operations)?.checked()?.with_recognised_sites())
    }
}

/// The one block that lists atoms.
fn only_structure<'a>(blocks: &'a [Block], file: &str) -> Result<&'a Block> {
    let structures: Vec<&Block> = blocks.iter().filter(|b| b.table(&["_atom_site_fract_x"]).is_some()).collect();
    match structures[..] {
        [block] => Ok(block),
        [] => {
            let what = "no data block lists atoms with fractional coordinates (_atom_site_fract_x, _y, _z)";
            Err(CrystalError::Unusable { file: file.into(), what: what.into() })
        }
        _ => {
            let names: Vec<&str> = structures.iter().take(5).map(|b| b.name.as_str()).collect();
            let what = format!(
                "it holds {} structures ({}); copy the one that is meant into a file of its own",
                structures.len(),
                names.join(", ")
            );
            Err(CrystalError::Unusable { file: file.into(), what })
        }
    }
}

fn lattice(block: &Block, file: &str) -> Result<Matrix> {
    let read = |name: &str, default: Option<f64>, low: f64, high: f64| -> Result<f64> {
        let Some((value, text)) = block.item(&[name]).and_then(|value| Some((value, value.known()?))) else {
            return default.ok_or_else(|| CrystalError::NoCell { file: file.into(), missing: format!("add {name}") });
        };
        number(text)
            .filter(|x| (low..=high).contains(x))
            .ok_or_else(|| malformed(file, value.line, format!("{name} is {text:?}: it must be a number from {low} to {high}")))
    };
    let mut lengths = [0.0; 3];
    let mut angles = [0.0; 3];
    for (axis, (edge, angle)) in [("a", "alpha"), ("b", "beta"), ("c", "gamma")].into_iter().enumerate() {
        lengths[axis] = read(&format!("_cell_length_{edge}"), None, 1.0, 1e4)?;
        // The core dictionary's default angle is 90°.
        angles[axis] = read(&format!("_cell_angle_{angle}"), Some(90.0), 1.0, 179.0)?;
    }
    Ok(from_parameters(lengths, angles))
}

fn operations(block: &Block, file: &str) -> Result<Vec<Operation>> {
    let mut operations = Vec::new();
    if let Some(table) = block.table(&OPERATIONS) {
        let column = table.column(&OPERATIONS).expect("the table was chosen by this column");
        for row in table.rows() {
            if let Some(text) = row[column].known() {
                operations.push(Operation::parse(text).map_err(|what| malformed(file, row[column].line, what))?);
            }
            if operations.len() > OPERATION_LIMIT {
                let what = format!("there are more than {OPERATION_LIMIT} symmetry operations, the most a space group has");
                return Err(malformed(file, row[column].line, what));
            }
        }
    }
    if !operations.is_empty() {
        return Ok(operations);
    }
    for name in GROUP {
        let group = block.item(&[name]).and_then(Value::known).unwrap_or("P 1");
        let compact: String = group.chars().filter(|c| !c.is_whitespace()).collect();
        if !matches!(compact.as_str(), "P1" | "p1" | "1") {
            return Err(CrystalError::NoOperations { file: file.into(), group: group.into() });
        }
    }
    Ok(vec![Operation::parse("x,y,z").expect("the identity is well formed")])
}

fn atoms(block: &Block, lattice: &Matrix, file: &str) -> Result<Vec<RawAtom>> {
    let table = block.table(&["_atom_site_fract_x"]).expect("the block was chosen by this column");
    let anisotropic = Anisotropic::new(block, lattice);
    let columns = Columns::new(table, file)?;
    let mut atoms = Vec::new();
    for row in table.rows() {
        if columns.calculated.and_then(|c| row[c].known()) == Some("dum") {
            continue;
        }
        if atoms.len() == ATOM_LIMIT {
            return Err(CrystalError::TooManyAtoms { crystal: file.into(), limit: ATOM_LIMIT });
        }
        atoms.push(columns.atom(row, &anisotropic, file)?);
    }
    Ok(atoms)
}

/// Where the atom loop keeps what.
struct Columns {
    label: Option<usize>,
    kind: Option<usize>,
    fractional: [usize; 3],
    occupancy: Option<usize>,
    u: Option<usize>,
    b: Option<usize>,
    calculated: Option<usize>,
}

impl Columns {
    fn new(table: &Table, file: &str) -> Result<Self> {
        let need = |name: &str| {
            table
                .column(&[name])
                .ok_or_else(|| CrystalError::Unusable { file: file.into(), what: format!("the atom loop lacks the column {name}") })
        };
        let columns = Self {
            label: table.column(&["_atom_site_label"]),
            kind: table.column(&["_atom_site_type_symbol"]),
            fractional: [need("_atom_site_fract_x")?, need("_atom_site_fract_y")?, need("_atom_site_fract_z")?],
            occupancy: table.column(&["_atom_site_occupancy"]),
            u: table.column(&["_atom_site_u_iso_or_equiv"]),
            b: table.column(&["_atom_site_b_iso_or_equiv"]),
            calculated: table.column(&["_atom_site_calc_flag"]),
        };
        if columns.label.is_none() && columns.kind.is_none() {
            need("_atom_site_type_symbol")?;
        }
        Ok(columns)
    }

    fn atom(&self, row: &[Value], anisotropic: &Anisotropic<'_>, file: &str) -> Result<RawAtom> {
        let line = row[0].line;
        let optional = |column: Option<usize>, name: &str| -> Result<Option<f64>> {
            let Some(text) = column.and_then(|c| row[c].known()) else { return Ok(None) };
            number(text).map(Some).ok_or_else(|| malformed(file, line, format!("{text:?} is no {name}")))
        };
        let label = self.label.and_then(|c| row[c].known());
        let kind = self.kind.and_then(|c| row[c].known()).or(label).unwrap_or_default();
        let element = element(kind).ok_or_else(|| CrystalError::UnknownElement { file: file.into(), label: kind.into() })?;
        let mut fractional = [0.0; 3];
        for (value, column) in fractional.iter_mut().zip(self.fractional) {
            *value = optional(Some(column), "fractional coordinate")?
                .ok_or_else(|| malformed(file, line, "the atom lacks a fractional coordinate; leave out atoms that were not located"))?;
        }
        let isotropic_u = match optional(self.u, "displacement U in Å²")? {
            Some(u) => Some(u),
            None => optional(self.b, "displacement B in Å²")?.map(|b| b / (8.0 * PI * PI)),
        };
        let tensor = match label {
            Some(label) => anisotropic.tensor(label, file)?,
            None => None,
        };
        Ok(RawAtom {
            element,
            fractional,
            occupancy: optional(self.occupancy, "occupancy")?.unwrap_or(1.0),
            displacement_angstrom2: tensor.or(isotropic_u.map(isotropic)),
        })
    }
}

/// The loop of anisotropic displacements.
struct Anisotropic<'a> {
    table: Option<(&'a Table, usize)>,
    to_cartesian: Matrix,
}

impl<'a> Anisotropic<'a> {
    fn new(block: &'a Block, lattice: &Matrix) -> Self {
        let table = block.table(&["_atom_site_aniso_label"]).and_then(|t| Some((t, t.column(&["_atom_site_aniso_label"])?)));
        Self { table, to_cartesian: to_cartesian(lattice) }
    }

    /// The Cartesian tensor of the atom, if its six components are known.
    fn tensor(&self, label: &str, file: &str) -> Result<Option<Matrix>> {
        let Some((table, column)) = self.table else { return Ok(None) };
        let Some(row) = table.rows().find(|row| row[column].known() == Some(label)) else { return Ok(None) };
        for (letter, factor) in [("u", 1.0), ("b", 1.0 / (8.0 * PI * PI))] {
            let mut components = [0.0; 6];
            let mut known = 0;
            for (component, index) in components.iter_mut().zip(["11", "22", "33", "12", "13", "23"]) {
                let name = format!("_atom_site_aniso_{letter}_{index}");
                let Some(text) = table.column(&[&name]).and_then(|c| row[c].known()) else { continue };
                *component = number(text).ok_or_else(|| malformed(file, row[column].line, format!("{text:?} is no {name}")))? * factor;
                known += 1;
            }
            if known == 6 {
                let [u11, u22, u33, u12, u13, u23] = components;
                let tensor = [[u11, u12, u13], [u12, u22, u23], [u13, u23, u33]];
                return Ok(Some(product(&product(&self.to_cartesian, &tensor), &transpose(&self.to_cartesian))));
            }
        }
        Ok(None)
    }
}

/// The matrix D of U(Cartesian) = D U(CIF) Dᵀ: its columns are the lattice vectors times the lengths of the reciprocal ones
/// (R. W. Grosse-Kunstleve and P. D. Adams, J. Appl. Cryst. 35 (2002) 477, equation 3a).
fn to_cartesian(lattice: &Matrix) -> Matrix {
    let volume = determinant(lattice).abs();
    let reciprocal = |i: usize, j: usize| norm(cross(lattice[i], lattice[j])) / volume;
    let rows: [Vector; 3] = [scale(lattice[0], reciprocal(1, 2)), scale(lattice[1], reciprocal(2, 0)), scale(lattice[2], reciprocal(0, 1))];
    transpose(&rows)
}
