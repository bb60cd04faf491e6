//! Crystals from VASP's POSCAR and CONTCAR, version 5 (with a line of species); Å.

use super::Crystal;
use super::check::ATOM_LIMIT;
use super::error::{CrystalError, Result};
use super::lattice::{Matrix, Vector, determinant, inverse, row_times};
use super::read::{RawAtom, element, malformed, number, source_of};

impl Crystal {
    /// Reads a crystal from the text of a POSCAR; `file` is its name for messages. The scale may be one factor, minus the volume in
    /// Å³, or three factors for x, y, z; positions may be direct or Cartesian, with or without selective dynamics. The format holds
    /// no displacements, so atoms get the defaults. Sites are recognised.
    pub fn from_poscar(text: &str, file: &str) -> Result<Self> {
        let mut lines = Lines { rest: text.lines().enumerate(), file, last: 0 };
        let comment = lines.next("a comment")?.1.trim();
        let (factors, lattice_angstrom) = lattice(&mut lines)?;
        let species = species(&mut lines)?;
        let is_cartesian = is_cartesian(&mut lines)?;
        let to_fractional = inverse(&lattice_angstrom);
        let mut raw = Vec::with_capacity(species.iter().map(|s| s.1).sum());
        for (element, count) in species {
            for _ in 0..count {
                let position = vector(&mut lines, "the three coordinates of an atom")?;
                let fractional =
                    if is_cartesian { row_times([0, 1, 2].map(|axis| position[axis] * factors[axis]), &to_fractional) } else { position };
                raw.push(RawAtom { element, fractional, occupancy: 1.0, displacement_angstrom2: None });
            }
        }
        let name = if comment.is_empty() { file } else { comment };
        let source = source_of(file, &raw);
        let atoms = raw.into_iter().map(RawAtom::into_atom).collect();
        Ok(Self { name: name.chars().take(200).collect(), source, lattice_angstrom, atoms }.checked()?.with_recognised_sites())
    }
}

/// The lines of the file, which know what they should hold.
struct Lines<'a, I> {
    rest: I,
    file: &'a str,
    last: usize,
}

impl<'a, I: Iterator<Item = (usize, &'a str)>> Lines<'a, I> {
    fn next(&mut self, expected: &str) -> Result<(usize, &'a str)> {
        let (index, line) =
            self.rest.next().ok_or_else(|| malformed(self.file, self.last + 1, format!("the file ends where {expected} should stand")))?;
        self.last = index + 1;
        Ok((index + 1, line))
    }
}

/// The first three numbers of a line.
fn vector<'a>(lines: &mut Lines<'a, impl Iterator<Item = (usize, &'a str)>>, expected: &str) -> Result<Vector> {
    let (line, text) = lines.next(expected)?;
    let mut values = text.split_whitespace().map(number);
    match [values.next(), values.next(), values.next()].map(Option::flatten) {
        [Some(x), Some(y), Some(z)] => Ok([x, y, z]),
        _ => Err(malformed(lines.file, line, format!("expected {expected}, three numbers"))),
    }
}

/// Scale factors of x, y, z, and the scaled lattice.
fn lattice<'a>(lines: &mut Lines<'a, impl Iterator<Item = (usize, &'a str)>>) -> Result<(Vector, Matrix)> {
    let (line, text) = lines.next("the scale factor")?;
    let numbers: Vec<f64> = text.split_whitespace().map_while(number).take(4).collect();
    let mut rows = [[0.0; 3]; 3];
    for row in &mut rows {
        *row = vector(lines, "a lattice vector in Å")?;
    }
    let factors = match numbers[..] {
        [factor] if factor > 0.0 => [factor; 3],
        [minus_volume] if minus_volume < 0.0 => [(-minus_volume / determinant(&rows).abs()).cbrt(); 3],
        [x, y, z] if x > 0.0 && y > 0.0 && z > 0.0 => [x, y, z],
        _ => {
            return Err(malformed(
                lines.file,
                line,
                "the scale must be one factor above 0, minus the cell volume in Å³, or three factors above 0",
            ));
        }
    };
    let lattice = rows.map(|row| [0, 1, 2].map(|axis| row[axis] * factors[axis]));
    // Singular lattices are refused here, because Cartesian positions need the inverse.
    if super::lattice::is_singular(&lattice) {
        let distance = super::lattice::plane_distances(&lattice).into_iter().fold(f64::NAN, f64::min);
        return Err(CrystalError::SingularLattice { crystal: lines.file.into(), distance });
    }
    Ok((factors, lattice))
}

/// Elements and how many of each.
fn species<'a>(lines: &mut Lines<'a, impl Iterator<Item = (usize, &'a str)>>) -> Result<Vec<(super::Element, usize)>> {
    let (line, names) = lines.next("the species, such as \"Bi Fe O\"")?;
    if names.split_whitespace().next().is_none_or(|first| first.parse::<f64>().is_ok()) {
        let what = "expected the species, such as \"Bi Fe O\"; a POSCAR of VASP 4 lacks this line, add it above the numbers of atoms";
        return Err(malformed(lines.file, line, what));
    }
    let (count_line, counts) = lines.next("the number of atoms of each species")?;
    let names: Vec<&str> = names.split_whitespace().collect();
    let numbers: Vec<usize> = counts.split_whitespace().map_while(|c| c.parse().ok()).collect();
    if numbers.len() != names.len() {
        let what = format!("expected {} numbers of atoms, one for each species, and found {}", names.len(), numbers.len());
        return Err(malformed(lines.file, count_line, what));
    }
    if numbers.iter().fold(0_usize, |sum, n| sum.saturating_add(*n)) > ATOM_LIMIT {
        return Err(CrystalError::TooManyAtoms { crystal: lines.file.into(), limit: ATOM_LIMIT });
    }
    let found = names.iter().zip(numbers).map(|(name, count)| {
        let unknown = || CrystalError::UnknownElement { file: lines.file.into(), label: (*name).into() };
        Ok((element(name).ok_or_else(unknown)?, count))
    });
    found.collect()
}

/// Whether positions are Cartesian, after an optional line "Selective dynamics".
fn is_cartesian<'a>(lines: &mut Lines<'a, impl Iterator<Item = (usize, &'a str)>>) -> Result<bool> {
    let expected = "\"Direct\" or \"Cartesian\"";
    let (mut line, mut text) = lines.next(expected)?;
    if text.trim_start().starts_with(['S', 's']) {
        (line, text) = lines.next(expected)?;
    }
    match text.trim_start().chars().next() {
        Some('C' | 'c' | 'K' | 'k') => Ok(true),
        Some('D' | 'd') => Ok(false),
        _ => Err(malformed(lines.file, line, format!("expected {expected}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crystal::Site;
    use crate::crystal::lattice::norm;
    use approx::assert_abs_diff_eq;

    const CUBIC: &str =
        "SrTiO3\n1.0\n3.905 0 0\n0 3.905 0\n0 0 3.905\nSr Ti O\n1 1 3\nDirect\n0 0 0\n.5 .5 .5\n.5 .5 0\n.5 0 .5\n0 .5 .5\n";

    #[test]
    fn all_spellings_give_the_same_crystal() {
        let plain = Crystal::from_poscar(CUBIC, "POSCAR").expect("well formed");
        assert_eq!(plain.atoms.iter().map(|a| a.site).collect::<Vec<_>>()[..3], [Site::A, Site::B, Site::Oxygen]);
        assert!(plain.source.contains("defaults"));
        let volume = format!("{}", -(3.905_f64.powi(3)));
        let unit_rows = CUBIC.replace("3.905", "1").replace("1.0\n", &format!("{volume}\n"));
        let three = CUBIC.replace("3.905", "1").replace("1.0\n", "3.905 3.905 3.905\n");
        let selective = CUBIC.replace("Direct\n0 0 0", "Selective dynamics\nDirect\n0 0 0 T T F").replace("Sr Ti", "Sr_sv Ti/0a1b");
        let cartesian = CUBIC.replace("3.905", "1").replace("1.0\n", "3.905\n").replace("Direct", "Cartesian");
        for text in [unit_rows, three, selective, cartesian] {
            let other = Crystal::from_poscar(&text, "POSCAR").expect("well formed");
            for (a, b) in plain.atoms.iter().zip(&other.atoms) {
                assert_eq!(a.element, b.element);
                assert!(norm(super::super::lattice::sub(a.fractional, b.fractional)) < 1e-12);
            }
            for (a, b) in plain.lattice_angstrom.iter().flatten().zip(other.lattice_angstrom.iter().flatten()) {
                assert_abs_diff_eq!(a, b, epsilon = 1e-12);
            }
        }
    }

    #[test]
    fn broken_files_name_their_line() {
        for (text, words) in [
            (CUBIC.replace("Sr Ti O\n", ""), "line 6: expected the species"),
            (CUBIC.replace("1.0\n", "0\n"), "line 2: the scale"),
            (CUBIC.replace("0 3.905 0", "0 3.905"), "line 4: expected a lattice vector"),
            (CUBIC.replace("0 3.905 0", "3.905 0 0"), "span no usable cell"),
            (CUBIC.replace("1 1 3", "1 1"), "line 7: expected 3 numbers of atoms"),
            (CUBIC.replace("1 1 3", "1 1 99999999999"), "more than 100000 atoms"),
            (CUBIC.replace("1 1 3", "1 1 4"), "line 14: the file ends"),
            (CUBIC.replace("1 1 3", "0 0 0"), "holds no atoms"),
            (CUBIC.replace("Direct", "Fractional"), "line 8: expected \"Direct\""),
            (CUBIC.replace("Sr Ti", "Sr Qq"), "\"Qq\" in POSCAR names no chemical element"),
            (CUBIC.replace(".5 .5 .5", ".5 x .5"), "line 10: expected the three coordinates"),
            (String::new(), "line 1: the file ends"),
        ] {
            let message = Crystal::from_poscar(&text, "POSCAR").unwrap_err().to_string();
            assert!(message.contains(words), "{message}");
        }
    }

    #[test]
    fn scaling_is_of_the_lattice() {
        let scaled = Crystal::from_poscar(&CUBIC.replace("1.0\n", "1.02\n"), "POSCAR").expect("well formed");
        assert_abs_diff_eq!(scaled.lattice_angstrom[0][0], 1.02 * 3.905, epsilon = 1e-12);
    }
}
