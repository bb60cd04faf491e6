//! What every crystal must satisfy before physics sees it, whoever made it; lengths in Å, U in Å².

use super::error::{CrystalError, Result};
use super::lattice::{Matrix, plane_distances};
use super::neighbours::Neighbours;
use super::{Atom, Crystal};

/// Most atoms a unit cell may hold.
pub(crate) const ATOM_LIMIT: usize = 100_000;
/// Atoms nearer than this share one site or are a mistake, Å.
pub(crate) const SHARED_SITE_ANGSTROM: f64 = 0.5;
/// Largest mean-square displacement taken for real, Å²; `BiFeO3` has 0.005-0.009 at room temperature.
const DISPLACEMENT_LIMIT_ANGSTROM2: f64 = 1.0;

impl Crystal {
    /// The crystal itself when it can be used: a lattice with volume, at least one atom, finite coordinates (wrapped into the cell),
    /// occupancies in (0, 1], mean-square displacements between 0 and 1 Å², and no two atoms within 0.5 Å of one another
    /// unless their occupancies add up to at most 1.
    pub fn checked(mut self) -> Result<Self> {
        self.check_values()?;
        for atom in &mut self.atoms {
            atom.fractional = atom.fractional.map(super::lattice::wrap);
        }
        check_distances(&self)?;
        Ok(self)
    }

    /// All checks but those of distances, which need the whole cell.
    pub(crate) fn check_values(&self) -> Result<()> {
        check_lattice(self)?;
        if self.atoms.is_empty() {
            return Err(CrystalError::NoAtoms { crystal: self.name.clone() });
        }
        if self.atoms.len() > ATOM_LIMIT {
            return Err(CrystalError::TooManyAtoms { crystal: self.name.clone(), limit: ATOM_LIMIT });
        }
        (0..self.atoms.len()).try_for_each(|index| check_atom(self, index))
    }
}

/// "3 (Bi)": how messages name an atom.
fn name_of(atom: &Atom, index: usize) -> String {
    format!("{} ({})", index + 1, atom.element)
}

fn check_lattice(crystal: &Crystal) -> Result<()> {
    let distances = plane_distances(&crystal.lattice_angstrom);
    let smallest = distances.iter().copied().fold(f64::INFINITY, f64::min);
    // Written so that NaN fails too.
    if distances.iter().all(|d| (1.0..=1e4).contains(d)) {
        return Ok(());
    }
    let distance = if distances.iter().any(|d| d.is_nan()) { f64::NAN } else { smallest };
    Err(CrystalError::SingularLattice { crystal: crystal.name.clone(), distance })
}

fn check_atom(crystal: &Crystal, index: usize) -> Result<()> {
    let atom = &crystal.atoms[index];
    if !atom.fractional.iter().all(|x| x.abs() < 1e6) {
        return Err(CrystalError::Coordinate { crystal: crystal.name.clone(), atom: name_of(atom, index), value: atom.fractional });
    }
    if !(atom.occupancy > 0.0 && atom.occupancy <= 1.0) {
        return Err(CrystalError::Occupancy { crystal: crystal.name.clone(), atom: name_of(atom, index), value: atom.occupancy });
    }
    let [smallest, largest] = extreme_eigenvalues(&atom.displacement_angstrom2);
    // Refined tensors are often flat to the last digit printed; a negative value smaller than that is no mistake.
    if smallest >= -1e-4 && largest <= DISPLACEMENT_LIMIT_ANGSTROM2 {
        return Ok(());
    }
    let value = if smallest < -1e-4 { smallest } else { largest };
    let limit = DISPLACEMENT_LIMIT_ANGSTROM2;
    Err(CrystalError::Displacement { crystal: crystal.name.clone(), atom: name_of(atom, index), value, limit })
}

/// Smallest and largest eigenvalue of a symmetric 3×3 matrix by the trigonometric solution of its cubic
/// (O. K. Smith, Commun. ACM 4 (1961) 168).
pub(crate) fn extreme_eigenvalues(m: &Matrix) -> [f64; 2] {
    let mean = (m[0][0] + m[1][1] + m[2][2]) / 3.0;
    let mut shifted = *m;
    for (i, row) in shifted.iter_mut().enumerate() {
        row[i] -= mean;
    }
    let spread = (shifted.iter().flatten().map(|x| x * x).sum::<f64>() / 6.0).sqrt();
    if spread < 1e-300 {
        return [mean, mean];
    }
    let half_determinant = super::lattice::determinant(&shifted.map(|row| row.map(|x| x / spread))) / 2.0;
    let angle = half_determinant.clamp(-1.0, 1.0).acos() / 3.0;
    [mean + 2.0 * spread * (angle + std::f64::consts::TAU / 3.0).cos(), mean + 2.0 * spread * angle.cos()]
}

fn check_distances(crystal: &Crystal) -> Result<()> {
    let neighbours = Neighbours::new(&crystal.lattice_angstrom, crystal.atoms.iter().map(|a| a.fractional));
    for (index, atom) in crystal.atoms.iter().enumerate() {
        let near = neighbours.within(atom.fractional, SHARED_SITE_ANGSTROM);
        let occupancy: f64 = near.iter().map(|n| crystal.atoms[n.index].occupancy).sum();
        let other = near.iter().find(|n| n.index != index);
        // Occupancies are printed to three digits at best; many sharers mean a file that no refinement wrote.
        if let Some(other) = other.filter(|_| occupancy > 1.02 || near.len() > 64) {
            return Err(CrystalError::TooClose {
                crystal: crystal.name.clone(),
                first: name_of(atom, index),
                second: name_of(&crystal.atoms[other.index], other.index),
                distance: other.distance,
            });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crystal::structures;
    use approx::assert_abs_diff_eq;

    fn message(change: impl FnOnce(&mut Crystal)) -> String {
        let mut crystal = structures::get("srtio3").expect("strontium titanate ships");
        change(&mut crystal);
        crystal.checked().unwrap_err().to_string()
    }

    #[test]
    fn every_defect_has_its_sentence() {
        assert!(message(|c| c.atoms.clear()).contains("holds no atoms"));
        assert!(message(|c| c.lattice_angstrom[1] = c.lattice_angstrom[0]).contains("span no usable cell"));
        assert!(message(|c| c.lattice_angstrom[1][1] = f64::NAN).contains("span no usable cell"));
        assert!(message(|c| c.atoms[1].occupancy = 1.2).contains("atom 2 (Ti)"));
        assert!(message(|c| c.atoms[1].occupancy = f64::NAN).contains("occupancy NaN"));
        assert!(message(|c| c.atoms[0].fractional[2] = f64::INFINITY).contains("fractional coordinates"));
        assert!(message(|c| c.atoms[2].displacement_angstrom2[0][0] = -0.01).contains("-0.01 Å²"));
        assert!(message(|c| c.atoms[2].displacement_angstrom2[0][0] = 1.5).contains("between 0 and 1 Å²"));
        let close = message(|c| c.atoms.push(c.atoms[0].clone()));
        assert!(close.contains("atoms 1 (Sr) and 6 (Sr)") && close.contains("0.00 Å apart"), "{close}");
        let many = message(|c| c.atoms = vec![c.atoms[0].clone(); ATOM_LIMIT + 1]);
        assert!(many.contains("more than 100000 atoms"));
    }

    #[test]
    fn atoms_may_share_a_site_with_occupancies() {
        let mut crystal = structures::get("srtio3").expect("strontium titanate ships");
        crystal.atoms[0].occupancy = 0.5;
        crystal.atoms.push(crystal.atoms[0].clone());
        assert!(crystal.checked().is_ok());
    }

    #[test]
    fn eigenvalues_of_a_tensor_one_can_solve_by_hand() {
        // In the plane: 2 ± 1; alone: 5.
        let [smallest, largest] = extreme_eigenvalues(&[[2.0, 1.0, 0.0], [1.0, 2.0, 0.0], [0.0, 0.0, 5.0]]);
        assert_abs_diff_eq!(smallest, 1.0, epsilon = 1e-12);
        assert_abs_diff_eq!(largest, 5.0, epsilon = 1e-12);
    }
}
