//! Reading a crystal from a file: picks the format by the name, bounds the size, and holds what the three readers share.

use std::io::Read;
use std::path::Path;

use super::displacements::{DEFAULTS_NOTE, default_displacement_angstrom2};
use super::error::{CrystalError, Result};
use super::lattice::{Matrix, Vector, isotropic};
use super::{Atom, Crystal, Element, Site};

/// Largest structure file read, MiB.
const SIZE_LIMIT_MIB: u64 = 16;

impl Crystal {
    /// Reads a structure file. The format follows from the name: `.cif`; `.xyz` or `.extxyz` (extended XYZ, with its lattice); `.vasp`,
    /// `.poscar`, or a name that begins with POSCAR or CONTCAR. Files above 16 MiB and cells above 100 000 atoms are refused.
    /// Atoms without displacement parameters get [`default_displacement_angstrom2`], and [`Crystal::source`] says so.
    pub fn read(path: &Path) -> Result<Self> {
        let file = path.display().to_string();
        let parse = reader_for(path).ok_or_else(|| CrystalError::UnknownFormat { file: file.clone() })?;
        let opened = std::fs::File::open(path).map_err(|source| CrystalError::Read { file: file.clone(), source })?;
        let mut bytes = Vec::new();
        let limit = SIZE_LIMIT_MIB << 20;
        opened.take(limit + 1).read_to_end(&mut bytes).map_err(|source| CrystalError::Read { file: file.clone(), source })?;
        if bytes.len() as u64 > limit {
            return Err(CrystalError::TooLarge { file, limit_mib: SIZE_LIMIT_MIB });
        }
        // Old CIFs hold Latin-1 in author names; nothing this crate reads from them is outside ASCII.
        parse(&String::from_utf8_lossy(&bytes), &file)
    }
}

/// A reader of one format: the text, and the file's name for messages.
type Reader = fn(&str, &str) -> Result<Crystal>;

fn reader_for(path: &Path) -> Option<Reader> {
    let name = path.file_name()?.to_string_lossy().to_ascii_lowercase();
    if name.starts_with("poscar") || name.starts_with("contcar") {
        return Some(Crystal::from_poscar);
    }
    match name.rsplit_once('.')?.1 {
        "cif" => Some(Crystal::from_cif),
        "vasp" | "poscar" => Some(Crystal::from_poscar),
        "xyz" | "extxyz" => Some(Crystal::from_xyz),
        _ => None,
    }
}

/// An atom as a file gives it.
pub(crate) struct RawAtom {
    pub(crate) element: Element,
    pub(crate) fractional: Vector,
    pub(crate) occupancy: f64,
    /// Cartesian, Å²; `None` when the file gives none.
    pub(crate) displacement_angstrom2: Option<Matrix>,
}

impl RawAtom {
    pub(crate) fn into_atom(self) -> Atom {
        let displacement_angstrom2 = self.displacement_angstrom2.unwrap_or_else(|| isotropic(default_displacement_angstrom2(self.element)));
        Atom { element: self.element, fractional: self.fractional, occupancy: self.occupancy, displacement_angstrom2, site: Site::Other }
    }
}

/// "read from X", with a note when some or all atoms got default displacements.
pub(crate) fn source_of(file: &str, atoms: &[RawAtom]) -> String {
    let without = atoms.iter().filter(|a| a.displacement_angstrom2.is_none()).count();
    match without {
        0 => format!("read from {file}"),
        n if n == atoms.len() => format!("read from {file}; {DEFAULTS_NOTE}"),
        n => format!("read from {file}; {DEFAULTS_NOTE} on {n} of its {} atoms", atoms.len()),
    }
}

/// A finite number, with or without the uncertainty that crystallographers write: "5.57882(5)".
pub(crate) fn number(text: &str) -> Option<f64> {
    let digits = match text.split_once('(') {
        Some((digits, uncertainty)) => {
            let inside = uncertainty.strip_suffix(')')?;
            inside.bytes().all(|b| b.is_ascii_digit() || b == b'.').then_some(digits)?
        }
        None => text,
    };
    digits.parse::<f64>().ok().filter(|x| x.is_finite())
}

/// The element of an atom label or type: "Bi", "Bi3+", "Fe1", "O2-", "FE", `O_apical`; "D" is hydrogen.
pub(crate) fn element(label: &str) -> Option<Element> {
    let letters: String = label.chars().take_while(char::is_ascii_alphabetic).collect();
    let capitalised = |length: usize| {
        let part = letters.get(..length)?;
        let (first, rest) = part.split_at(1);
        Some(format!("{}{}", first.to_ascii_uppercase(), rest.to_ascii_lowercase()))
    };
    if letters == "D" {
        return Element::from_symbol("H");
    }
    // Two letters first, so that "Fe1" is no fluorine; then one, so that "Owater" is oxygen.
    [2, 1].into_iter().filter_map(capitalised).find_map(|symbol| Element::from_symbol(&symbol))
}

/// A malformed line.
pub(crate) fn malformed(file: &str, line: usize, what: impl Into<String>) -> CrystalError {
    CrystalError::Malformed { file: file.into(), line, what: what.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_carry_uncertainties_and_nothing_else() {
        for (text, value) in [("5.57882(5)", Some(5.57882)), ("-.5", Some(-0.5)), ("1e-3(2)", Some(1e-3)), ("3.", Some(3.0))] {
            assert_eq!(number(text), value, "{text}");
        }
        for text in ["", "?", ".", "nan", "inf", "1.0(5", "1.0(a)", "1,5", "(3)"] {
            assert_eq!(number(text), None, "{text}");
        }
    }

    #[test]
    fn labels_name_their_element() {
        let cases =
            [("Bi3+", "Bi"), ("Fe1", "Fe"), ("O2-", "O"), ("FE", "Fe"), ("O_apical", "O"), ("OW1", "O"), ("D", "H"), ("Sm_3", "Sm")];
        for (label, symbol) in cases {
            assert_eq!(element(label).map(Element::symbol), Some(symbol), "{label}");
        }
        for label in ["", "1Fe", "Xx", "é", "?"] {
            assert_eq!(element(label), None, "{label}");
        }
    }

    #[test]
    fn names_choose_the_reader() {
        for name in ["a.CIF", "POSCAR", "CONTCAR.relaxed", "x.vasp", "x.xyz", "x.extxyz", "POSCAR.cif"] {
            assert!(reader_for(Path::new(name)).is_some(), "{name}");
        }
        let message = Crystal::read(Path::new("structure.txt")).unwrap_err().to_string();
        assert!(message.contains("use .cif"), "{message}");
        assert!(Crystal::read(Path::new("/no/such/file.cif")).unwrap_err().to_string().contains("cannot read"));
    }

    #[test]
    fn a_file_above_the_limit_is_refused_unread() {
        let file = tempfile::Builder::new().suffix(".cif").tempfile().expect("a temporary file");
        file.as_file().set_len((SIZE_LIMIT_MIB << 20) + 1).expect("a sparse file");
        assert!(Crystal::read(file.path()).unwrap_err().to_string().contains("larger than 16 MiB"));
    }
}
