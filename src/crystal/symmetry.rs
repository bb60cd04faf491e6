//! Symmetry operations in the notation of the International Tables ("-y, x-y, z+1/2") and the unit cell they make; Å, Å².

use super::error::{CrystalError, Result};
use super::lattice::{Matrix, Vector, add, inverse, norm, product, row_times, scale, sub, transpose, wrap};
use super::{Atom, Crystal};

/// Most operations a space group has: 48 of the cube, face-centred.
pub(crate) const OPERATION_LIMIT: usize = 192;
/// Images of one site nearer than this are one atom on a special position, printed with rounded coordinates; Å.
const SAME_POSITION_ANGSTROM: f64 = 0.03;

/// x' = W x + w in fractional coordinates (columns).
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Operation {
    rotation: [[i8; 3]; 3],
    translation: Vector,
}

impl Operation {
    /// Reads "x-y, x, z+1/6". On failure tells what cannot be read.
    pub(crate) fn parse(text: &str) -> std::result::Result<Self, String> {
        let parts: Vec<&str> = text.split(',').collect();
        let [x, y, z] = parts[..] else {
            return Err(format!("the symmetry operation {text:?} must have three parts, such as \"-y, x-y, z+1/2\""));
        };
        let mut operation = Self { rotation: [[0; 3]; 3], translation: [0.0; 3] };
        for (row, part) in [x, y, z].into_iter().enumerate() {
            let (rotation, translation) = parse_row(part).ok_or_else(|| {
                format!("{part:?} in the symmetry operation {text:?} is no sum of x, y, z and a fraction, such as x-y+1/2")
            })?;
            operation.rotation[row] = rotation;
            operation.translation[row] = translation;
        }
        let determinant = super::lattice::determinant(&operation.rotation.map(|row| row.map(f64::from)));
        if (determinant.abs() - 1.0).abs() > 1e-9 {
            return Err(format!("the symmetry operation {text:?} is no rotation or reflection (its determinant is {determinant})"));
        }
        Ok(operation)
    }

    /// This operation, then `next`: for building groups from cosets.
    pub(crate) fn followed_by(&self, next: &Self) -> Self {
        let rotation = next.rotation.map(|row| [0, 1, 2].map(|j| (0..3).map(|k| row[k] * self.rotation[k][j]).sum()));
        Self { rotation, translation: next.apply(self.translation) }
    }

    /// The image of a fractional position, not wrapped.
    fn apply(&self, position: Vector) -> Vector {
        add(self.rotation.map(|row| super::lattice::dot(row.map(f64::from), position)), self.translation)
    }

    /// The rotation in Cartesian axes, to be applied to columns: R = Aᵀ W A⁻ᵀ for a lattice A of rows.
    fn cartesian_rotation(&self, lattice: &Matrix) -> Matrix {
        product(&product(&transpose(lattice), &self.rotation.map(|row| row.map(f64::from))), &transpose(&inverse(lattice)))
    }
}

/// One row of an operation: signed letters and fractions in any order.
fn parse_row(text: &str) -> Option<([i8; 3], f64)> {
    let text: String = text.chars().filter(|c| !c.is_whitespace()).collect();
    let (mut letters, mut translation, mut terms) = ([0_i8; 3], 0.0, 0);
    let mut rest = text.as_str();
    while !rest.is_empty() {
        let sign = if rest.starts_with('-') { -1.0 } else { 1.0 };
        let signed = rest.starts_with(['+', '-']);
        if !signed && terms > 0 {
            return None;
        }
        rest = rest.strip_prefix(['+', '-']).unwrap_or(rest);
        let (term, after) = rest.split_at(rest.find(['+', '-']).unwrap_or(rest.len()));
        rest = after;
        match term {
            "x" | "X" => letters[0] += sign as i8,
            "y" | "Y" => letters[1] += sign as i8,
            "z" | "Z" => letters[2] += sign as i8,
            _ => translation += sign * parse_fraction(term)?,
        }
        terms += 1;
        if terms > 6 {
            return None;
        }
    }
    (letters != [0; 3]).then_some((letters, translation))
}

/// "1/3", "0.25" or "1"; decimals within 0.0005 of a 24th are that 24th (0.333 is 1/3).
fn parse_fraction(text: &str) -> Option<f64> {
    if let Some((numerator, denominator)) = text.split_once('/') {
        let (n, d) = (numerator.parse::<u8>().ok()?, denominator.parse::<u8>().ok()?);
        return (d > 0).then(|| f64::from(n) / f64::from(d));
    }
    let value = text.parse::<f64>().ok().filter(|v| v.abs() <= 4.0)?;
    let snapped = (value * 24.0).round() / 24.0;
    Some(if (value - snapped).abs() < 5e-4 { snapped } else { value })
}

/// The unit cell that the operations make of the atoms of the asymmetric unit. Images of one atom within 0.03 Å of one another are
/// one atom on a special position: position and displacement tensor are their means, which satisfy the site's symmetry exactly.
pub(crate) fn expand(crystal: Crystal, operations: &[Operation]) -> Result<Crystal> {
    let lattice = crystal.lattice_angstrom;
    let rotations: Vec<Matrix> = operations.iter().map(|o| o.cartesian_rotation(&lattice)).collect();
    if !rotations.iter().all(is_orthogonal) {
        let what =
            "a symmetry operation does not fit the cell: it would change lengths; compare the cell's edges and angles with its space group";
        return Err(CrystalError::Unusable { file: crystal.name, what: what.into() });
    }
    let mut atoms = Vec::new();
    for atom in &crystal.atoms {
        let mut images: Vec<Images> = Vec::new();
        for (operation, rotation) in operations.iter().zip(&rotations) {
            let position = operation.apply(atom.fractional);
            let tensor = product(&product(rotation, &atom.displacement_angstrom2), &transpose(rotation));
            let near = |seen: &&mut Images| norm(row_times(nearest_offset(position, seen.first), &lattice)) < SAME_POSITION_ANGSTROM;
            match images.iter_mut().find(near) {
                Some(seen) => seen.add(position, &tensor),
                None => images.push(Images::new(position, tensor)),
            }
        }
        atoms.extend(images.iter().map(|image| image.mean(atom)));
        if atoms.len() > super::check::ATOM_LIMIT {
            return Err(CrystalError::TooManyAtoms { crystal: crystal.name, limit: super::check::ATOM_LIMIT });
        }
    }
    Ok(Crystal { atoms, ..crystal })
}

/// Whether a Cartesian matrix keeps lengths to 2 %, what rounding of cells and pseudosymmetry leave.
fn is_orthogonal(rotation: &Matrix) -> bool {
    let one = product(rotation, &transpose(rotation));
    one.iter().enumerate().all(|(i, row)| row.iter().enumerate().all(|(j, x)| (x - f64::from(u8::from(i == j))).abs() < 0.02))
}

/// From `from` to the nearest repeat of `to`, per fractional coordinate.
fn nearest_offset(to: Vector, from: Vector) -> Vector {
    sub(to, from).map(|d| d - d.round())
}

/// The images of one atom that fall on one position.
struct Images {
    first: Vector,
    offsets: Vector,
    tensors: Matrix,
    count: f64,
}

impl Images {
    fn new(first: Vector, tensor: Matrix) -> Self {
        Self { first, offsets: [0.0; 3], tensors: tensor, count: 1.0 }
    }

    fn add(&mut self, position: Vector, tensor: &Matrix) {
        self.offsets = add(self.offsets, nearest_offset(position, self.first));
        for (sum, row) in self.tensors.iter_mut().zip(tensor) {
            *sum = add(*sum, *row);
        }
        self.count += 1.0;
    }

    fn mean(&self, atom: &Atom) -> Atom {
        let fractional = add(self.first, scale(self.offsets, 1.0 / self.count)).map(wrap);
        Atom { fractional, displacement_angstrom2: self.tensors.map(|row| scale(row, 1.0 / self.count)), ..atom.clone() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use approx::assert_abs_diff_eq;

    #[test]
    fn operations_are_read_in_every_usual_spelling() {
        let expected = Operation { rotation: [[-1, 1, 0], [0, 1, 0], [0, 0, 1]], translation: [1.0 / 3.0, 0.0, 0.5] };
        for text in ["-x+y+1/3,y,z+1/2", " 1/3 - x + y , y , 1/2+z ", "Y-X+0.3333,+y,0.5+Z"] {
            assert_eq!(Operation::parse(text), Ok(expected.clone()), "{text}");
        }
    }

    #[test]
    fn what_is_no_operation_says_why() {
        for text in ["x,y", "x,y,z,+1", "x,y,w", "x,y,", "x,y,1/0", "2x,y,z", "x,x,z", "x,y,z1/2", "1/2,y,z", "é,y,z", "x,y,nan"] {
            assert!(Operation::parse(text).is_err(), "{text}");
        }
        assert!(Operation::parse("x,x,z").unwrap_err().contains("no rotation"));
    }

    #[test]
    fn a_three_fold_axis_turns_a_tensor_as_it_turns_a_vector() {
        let lattice = super::super::lattice::from_parameters([5.0, 5.0, 7.0], [90.0, 90.0, 120.0]);
        let turn = Operation::parse("-y,x-y,z").expect("a three-fold axis").cartesian_rotation(&lattice);
        let (cosine, sine) = (-0.5, 3.0_f64.sqrt() / 2.0);
        for (row, expected) in turn.iter().zip([[cosine, -sine, 0.0], [sine, cosine, 0.0], [0.0, 0.0, 1.0]]) {
            for (value, wanted) in row.iter().zip(expected) {
                assert_abs_diff_eq!(*value, wanted, epsilon = 1e-12);
            }
        }
    }
}
