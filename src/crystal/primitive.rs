//! The primitive cell of a crystal, with exact whole-number relations between lattices; Å.

use super::lattice::{Matrix, Vector, norm, product, row_times, sub, wrap};
use super::neighbours::Neighbours;
use super::{Atom, Crystal};

/// Atoms carried onto one another to this accuracy are the same: printed coordinates leave 0.002 Å, physics starts at 0.01 Å.
const SAME_POSITION_ANGSTROM: f64 = 0.005;

impl Crystal {
    /// The crystal in its smallest repeat cell: pure translations that carry every atom onto one of the same element, occupancy,
    /// displacement tensor and site are found, and one atom of each orbit is kept.
    #[must_use]
    pub fn primitive(&self) -> Self {
        let rarest = rarest_kind(self);
        let denominator = rarest.len() as i64;
        let neighbours = Neighbours::new(&self.lattice_angstrom, self.atoms.iter().map(|a| a.fractional));
        let mut lattice = WholeLattice::of_cell(denominator);
        for &other in rarest.iter().skip(1) {
            let shift = sub(self.atoms[other].fractional, self.atoms[rarest[0]].fractional);
            let Some(translation) = as_fractions(shift, denominator, &self.lattice_angstrom) else { continue };
            if !lattice.contains(translation) && is_symmetry(self, &neighbours, translation.map(|n| n as f64 / denominator as f64)) {
                lattice.insert(translation);
            }
        }
        if lattice.rows == WholeLattice::of_cell(denominator).rows {
            return self.clone();
        }
        self.in_cell(&lattice.reduced(&self.lattice_angstrom), denominator)
    }

    /// The crystal in the cell spanned by whole multiples of its lattice vectors over `denominator`.
    fn in_cell(&self, rows: &[[i64; 3]; 3], denominator: i64) -> Self {
        let to_old = rows.map(|row| row.map(|n| n as f64 / denominator as f64));
        let lattice_angstrom = product(&to_old, &self.lattice_angstrom);
        let to_new = super::lattice::inverse(&to_old);
        let mut atoms: Vec<Atom> = Vec::new();
        for atom in &self.atoms {
            let fractional = row_times(atom.fractional, &to_new).map(wrap);
            let is_same = |kept: &Atom| {
                is_same_kind(kept, atom) && {
                    let offset = sub(kept.fractional, fractional).map(|d| d - d.round());
                    norm(row_times(offset, &lattice_angstrom)) < 2.0 * SAME_POSITION_ANGSTROM
                }
            };
            if !atoms.iter().any(is_same) {
                atoms.push(Atom { fractional, ..atom.clone() });
            }
        }
        Self { lattice_angstrom, atoms, ..self.clone() }
    }
}

/// Whether two atoms differ in nothing but their position.
fn is_same_kind(a: &Atom, b: &Atom) -> bool {
    let tensors = a.displacement_angstrom2.iter().flatten().zip(b.displacement_angstrom2.iter().flatten());
    a.element == b.element
        && a.site == b.site
        && (a.occupancy - b.occupancy).abs() < 1e-6
        && tensors.map(|(x, y)| (x - y).abs()).fold(0.0, f64::max) < 1e-5
}

/// Indices of the atoms of the kind with the fewest atoms (first of equals): every translation must permute them.
fn rarest_kind(crystal: &Crystal) -> Vec<usize> {
    let mut kinds: Vec<Vec<usize>> = Vec::new();
    for (index, atom) in crystal.atoms.iter().enumerate() {
        match kinds.iter_mut().find(|kind| is_same_kind(&crystal.atoms[kind[0]], atom)) {
            Some(kind) => kind.push(index),
            None => kinds.push(vec![index]),
        }
    }
    kinds.into_iter().min_by_key(Vec::len).unwrap_or_default()
}

/// A translation as whole numbers over `denominator`. Some whole multiple k of a translation, k dividing the number of atoms it
/// permutes, is a lattice vector; the smallest such k tells the fractions exactly.
fn as_fractions(shift: Vector, denominator: i64, lattice: &Matrix) -> Option<[i64; 3]> {
    (2..=denominator).filter(|k| denominator % k == 0).find_map(|k| {
        let numerators = shift.map(|x| (x * k as f64).round());
        let error = [0, 1, 2].map(|axis| shift[axis] - numerators[axis] / k as f64);
        (norm(row_times(error, lattice)) < SAME_POSITION_ANGSTROM).then(|| numerators.map(|n| n as i64 * (denominator / k)))
    })
}

/// Whether the translation carries every atom onto one of its kind.
fn is_symmetry(crystal: &Crystal, neighbours: &Neighbours, translation: Vector) -> bool {
    crystal.atoms.iter().all(|atom| {
        let image = super::lattice::add(atom.fractional, translation);
        neighbours.within(image, SAME_POSITION_ANGSTROM).iter().any(|n| is_same_kind(&crystal.atoms[n.index], atom))
    })
}

/// A lattice of whole-number rows in Hermite normal form (upper triangular, positive diagonal).
struct WholeLattice {
    rows: [[i64; 3]; 3],
}

impl WholeLattice {
    /// The crystal's own lattice in units of one over `denominator`.
    fn of_cell(denominator: i64) -> Self {
        Self { rows: [[denominator, 0, 0], [0, denominator, 0], [0, 0, denominator]] }
    }

    fn contains(&self, mut row: [i64; 3]) -> bool {
        for (axis, basis) in self.rows.iter().enumerate() {
            if row[axis] % basis[axis] != 0 {
                return false;
            }
            row = minus(row, *basis, row[axis] / basis[axis]);
        }
        true
    }

    /// The lattice that also holds `row`, by Euclid's algorithm column after column.
    fn insert(&mut self, mut row: [i64; 3]) {
        for axis in 0..3 {
            while row[axis] != 0 {
                let quotient = self.rows[axis][axis].div_euclid(row[axis]);
                let remainder = minus(self.rows[axis], row, quotient);
                self.rows[axis] = row;
                row = remainder;
            }
            if self.rows[axis][axis] < 0 {
                self.rows[axis] = self.rows[axis].map(|n| -n);
            }
            // Entries below stay small, so nothing overflows.
            for below in axis + 1..3 {
                let pivot = self.rows[below][below];
                self.rows[axis] = minus(self.rows[axis], self.rows[below], self.rows[axis][below].div_euclid(pivot));
                row = minus(row, self.rows[below], row[below].div_euclid(pivot));
            }
        }
    }

    /// Short, nearly orthogonal rows of the same lattice: each is shortened by the others until none can be.
    fn reduced(&self, cell: &Matrix) -> [[i64; 3]; 3] {
        let mut rows = self.rows;
        let cartesian = |row: [i64; 3]| row_times(row.map(|n| n as f64), cell);
        for _ in 0..100 {
            let mut changed = false;
            for i in 0..3 {
                for j in (0..3).filter(|&j| j != i) {
                    let (a, b) = (cartesian(rows[i]), cartesian(rows[j]));
                    let quotient = (super::lattice::dot(a, b) / super::lattice::dot(b, b) - 1e-6).round() as i64;
                    // The slack keeps ties (60° against 120°) from flipping for ever.
                    if quotient != 0 && norm(cartesian(minus(rows[i], rows[j], quotient))) < norm(a) * (1.0 - 1e-6) {
                        rows[i] = minus(rows[i], rows[j], quotient);
                        changed = true;
                    }
                }
            }
            if !changed {
                break;
            }
        }
        rows
    }
}

fn minus(a: [i64; 3], b: [i64; 3], factor: i64) -> [i64; 3] {
    [0, 1, 2].map(|axis| a[axis] - factor * b[axis])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crystal::lattice::{determinant, scale};
    use crate::crystal::structures;
    use approx::assert_abs_diff_eq;

    #[test]
    fn the_hexagonal_cell_of_bismuth_ferrite_holds_three_primitive_cells() {
        let crystal = structures::get("bifeo3-r3c").expect("it ships");
        let primitive = crystal.primitive();
        assert_eq!(primitive.atoms.len(), 10);
        let ratio = determinant(&crystal.lattice_angstrom) / determinant(&primitive.lattice_angstrom).abs();
        assert_abs_diff_eq!(ratio, 3.0, epsilon = 1e-9);
        // Rhombohedral edges, (a²/3 + c²/9)^½.
        for row in primitive.lattice_angstrom {
            assert!(norm(row) < 5.64, "{}", norm(row));
        }
        assert_eq!(primitive.primitive().atoms.len(), 10);
    }

    #[test]
    fn a_supercell_falls_back_to_its_cell_and_a_displaced_atom_forbids_it() {
        let mut crystal = structures::get("srtio3").expect("it ships");
        let single = crystal.clone();
        crystal.lattice_angstrom = crystal.lattice_angstrom.map(|row| scale(row, 4.0));
        crystal.atoms = (0..64)
            .flat_map(|cell| {
                let place = [cell / 16, cell / 4 % 4, cell % 4];
                single.atoms.iter().cloned().map(move |mut atom| {
                    atom.fractional = [0, 1, 2].map(|axis| (atom.fractional[axis] + f64::from(place[axis])) / 4.0);
                    atom
                })
            })
            .collect();
        assert_eq!(crystal.primitive().atoms.len(), 5);
        crystal.atoms[17].fractional[0] += 0.001;
        assert_eq!(crystal.primitive().atoms.len(), 320);
    }
}
