//! Crystals from extended XYZ (`Lattice="…"`, `Properties=…`, as written by ASE and libAtoms); Å.

use super::Crystal;
use super::check::ATOM_LIMIT;
use super::error::{CrystalError, Result};
use super::lattice::{Matrix, inverse, row_times};
use super::read::{RawAtom, element, malformed, number, source_of};

impl Crystal {
    /// Reads a crystal from the text of an extended XYZ file of one frame; `file` is its name for messages. `Lattice` must be there,
    /// a, b, c one after the other; `Properties` may be, with `species` and `pos` among its columns and `occupancy` if wanted.
    /// The format holds no displacements, so atoms get the defaults. Sites are recognised.
    pub fn from_xyz(text: &str, file: &str) -> Result<Self> {
        let mut lines = text.lines().enumerate();
        let count = lines.next().and_then(|(_, line)| line.trim().parse::<usize>().ok());
        let count = count.ok_or_else(|| malformed(file, 1, "expected the number of atoms, alone on the line"))?;
        if count > ATOM_LIMIT {
            return Err(CrystalError::TooManyAtoms { crystal: file.into(), limit: ATOM_LIMIT });
        }
        let comment = lines.next().map(|(_, line)| line).unwrap_or_default();
        let pairs = pairs(comment);
        let value = |key: &str| pairs.iter().find(|(k, _)| k.eq_ignore_ascii_case(key)).map(|(_, v)| v.as_str());
        let lattice_angstrom = lattice(value("Lattice"), file)?;
        if value("pbc").is_some_and(|pbc| pbc.split_whitespace().any(|flag| matches!(flag, "F" | "f" | "False" | "false" | "0"))) {
            let what = "pbc says the structure is not periodic along all three vectors, but a slab is cut from a periodic crystal; give one repeat cell";
            return Err(malformed(file, 2, what));
        }
        let columns = Columns::new(value("Properties").unwrap_or("species:S:1:pos:R:3"), file)?;
        let to_fractional = inverse(&lattice_angstrom);
        let mut raw = Vec::with_capacity(count);
        for n in 0..count {
            let (index, line) =
                lines.next().ok_or_else(|| malformed(file, n + 3, format!("the file ends after {n} of its {count} atoms")))?;
            raw.push(columns.atom(line, &to_fractional, file, index + 1)?);
        }
        if let Some((index, _)) = lines.find(|(_, line)| !line.trim().is_empty()) {
            let what = format!("text follows after the {count} atoms; keep one frame a file");
            return Err(malformed(file, index + 1, what));
        }
        let name = value("name").unwrap_or(file).chars().take(200).collect();
        let source = source_of(file, &raw);
        let atoms = raw.into_iter().map(RawAtom::into_atom).collect();
        Ok(Self { name, source, lattice_angstrom, atoms }.checked()?.with_recognised_sites())
    }
}

/// The key=value pairs of a comment line, values bare or in quotes; words without = are skipped.
fn pairs(comment: &str) -> Vec<(String, String)> {
    let mut pairs = Vec::new();
    let mut rest = comment.trim_start();
    while !rest.is_empty() {
        let end = rest.find(|c: char| c == '=' || c.is_whitespace()).unwrap_or(rest.len());
        let key = rest[..end].to_string();
        rest = &rest[end..];
        if let Some(after) = rest.strip_prefix('=') {
            let (value, left) = match after.chars().next().filter(|c| matches!(c, '"' | '\'')) {
                Some(quote) => after[1..].split_once(quote).unwrap_or((&after[1..], "")),
                None => after.split_at(after.find(char::is_whitespace).unwrap_or(after.len())),
            };
            pairs.push((key, value.to_string()));
            rest = left;
        }
        rest = rest.trim_start();
    }
    pairs
}

fn lattice(value: Option<&str>, file: &str) -> Result<Matrix> {
    let Some(value) = value else {
        let missing =
            "a plain XYZ file has no lattice; write an extended XYZ with Lattice=\"ax ay az bx by bz cx cy cz\" on its second line";
        return Err(CrystalError::NoCell { file: file.into(), missing: missing.into() });
    };
    let numbers: Vec<f64> = value.split_whitespace().map_while(number).take(10).collect();
    if numbers.len() != 9 || value.split_whitespace().nth(9).is_some() {
        return Err(malformed(file, 2, "Lattice must hold nine numbers in Å, the vectors a, b and c one after the other"));
    }
    let lattice = [0, 3, 6].map(|i| [numbers[i], numbers[i + 1], numbers[i + 2]]);
    // Singular lattices are refused here, because the positions need the inverse.
    if super::lattice::is_singular(&lattice) {
        let distance = super::lattice::plane_distances(&lattice).into_iter().fold(f64::NAN, f64::min);
        return Err(CrystalError::SingularLattice { crystal: file.into(), distance });
    }
    Ok(lattice)
}

/// Which word of an atom's line is what.
struct Columns {
    species: usize,
    position: usize,
    occupancy: Option<usize>,
}

impl Columns {
    fn new(properties: &str, file: &str) -> Result<Self> {
        let fail = || malformed(file, 2, "Properties must be name:type:width triples with species:S:1 and pos:R:3 among them");
        let words: Vec<&str> = properties.split(':').collect();
        let (mut species, mut position, mut occupancy, mut next) = (None, None, None, 0_usize);
        for triple in words.chunks(3) {
            let &[name, _, width] = triple else { return Err(fail()) };
            let width: usize = width.parse().ok().filter(|w| (1..=1000).contains(w)).ok_or_else(fail)?;
            match (name.to_ascii_lowercase().as_str(), width) {
                ("species", 1) => species = Some(next),
                ("pos", 3) => position = Some(next),
                ("occupancy" | "occupancies", 1) => occupancy = Some(next),
                _ => {}
            }
            next += width;
        }
        Ok(Self { species: species.ok_or_else(fail)?, position: position.ok_or_else(fail)?, occupancy })
    }

    fn atom(&self, line: &str, to_fractional: &Matrix, file: &str, number_of_line: usize) -> Result<RawAtom> {
        let words: Vec<&str> = line.split_whitespace().collect();
        let label =
            words.get(self.species).ok_or_else(|| malformed(file, number_of_line, "expected an atom: its species and its position"))?;
        let element = element(label).ok_or_else(|| CrystalError::UnknownElement { file: file.into(), label: (*label).into() })?;
        let value = |column: usize, what: &str| {
            let parsed = words.get(column).and_then(|word| number(word));
            parsed.ok_or_else(|| malformed(file, number_of_line, format!("expected {what} as word {} of the line", column + 1)))
        };
        let mut position = [0.0; 3];
        for (axis, x) in position.iter_mut().enumerate() {
            *x = value(self.position + axis, "a coordinate in Å")?;
        }
        let occupancy = self.occupancy.map_or(Ok(1.0), |column| value(column, "the occupancy"))?;
        Ok(RawAtom { element, fractional: row_times(position, to_fractional), occupancy, displacement_angstrom2: None })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crystal::Site;
    use approx::assert_abs_diff_eq;

    const CUBIC: &str = "5\nLattice=\"3.905 0 0 0 3.905 0 0 0 3.905\" Properties=species:S:1:pos:R:3 pbc=\"T T T\" name='ideal STO'\n\
        Sr 0 0 0\nTi 1.9525 1.9525 1.9525\nO 1.9525 1.9525 0\nO 1.9525 0 1.9525\nO 0 1.9525 1.9525\n";

    #[test]
    fn extended_xyz_is_read() {
        let crystal = Crystal::from_xyz(CUBIC, "sto.xyz").expect("well formed");
        assert_eq!((crystal.name.as_str(), crystal.atoms.len(), crystal.atoms[1].site), ("ideal STO", 5, Site::B));
        assert_abs_diff_eq!(crystal.atoms[1].fractional[2], 0.5, epsilon = 1e-12);
    }

    #[test]
    fn columns_may_stand_in_any_order() {
        let text = "1\nLattice=\"4 0 0 0 4 0 0 0 4\" Properties=id:I:1:pos:R:3:species:S:1:occupancy:R:1\n7 1 2 3 Fe3+ 0.25\n";
        let atom = &Crystal::from_xyz(text, "x.xyz").expect("well formed").atoms[0];
        assert_eq!(atom.element.symbol(), "Fe");
        for (x, expected) in atom.fractional.into_iter().zip([0.25, 0.5, 0.75]) {
            assert_abs_diff_eq!(x, expected, epsilon = 1e-12);
        }
        assert_abs_diff_eq!(atom.occupancy, 0.25, epsilon = 1e-15);
    }

    #[test]
    fn broken_files_name_their_line() {
        for (text, words) in [
            (CUBIC.replace("5\n", "five\n"), "line 1: expected the number of atoms"),
            (CUBIC.replace("5\n", "6\n"), "line 8: the file ends after 5 of its 6 atoms"),
            (CUBIC.replace("5\n", "4\n"), "line 7: text follows"),
            (CUBIC.replace("5\n", "123456789\n"), "more than 100000 atoms"),
            (CUBIC.replace("Lattice", "Grid"), "gives no unit cell: a plain XYZ"),
            (CUBIC.replace("0 0 3.905\"", "0 0\""), "nine numbers"),
            (CUBIC.replace("0 3.905 0 0 0 3.905\"", "3.905 0 0 0 0 3.905\""), "span no usable cell"),
            (CUBIC.replace("T T T", "T T F"), "not periodic"),
            (CUBIC.replace("pos:R:3", "pos:R"), "name:type:width"),
            (CUBIC.replace("Sr 0", "Zz 0"), "\"Zz\" in sto.xyz names no chemical element"),
            (CUBIC.replace("O 0 1.9525 1.9525", "O 0 1.9525"), "line 7: expected a coordinate in Å as word 4"),
            ("0\nLattice=\"4 0 0 0 4 0 0 0 4\"\n".into(), "holds no atoms"),
        ] {
            let message = Crystal::from_xyz(&text, "sto.xyz").unwrap_err().to_string();
            assert!(message.contains(words), "{message}");
        }
    }
}
