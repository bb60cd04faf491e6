//! Displacements for atoms whose file gives none: isotropic room-temperature values by element; U = ⟨u²⟩ along one axis, Å².
//!
//! The policy: a structure file's own U or B values are always used, a zero included. An atom without any gets the value of its
//! element from this file, and the crystal's `source` says so. A crystal is never left still by accident, because still atoms scatter
//! far too little to high angles.

use super::lattice::isotropic;
use super::{Crystal, Element};

/// The value for an element not listed, Å²: the middle of the range that perovskite cations and oxygen show at 300 K.
pub const DEFAULT_U_ANGSTROM2: f64 = 0.006;

/// Isotropic mean-square displacement of an element in a perovskite at room temperature, Å²: Bi, Fe and O from `BiFeO3` at 298 K
/// (Palewicz et al., Acta Cryst. B 63 (2007) 537), Sr and Ti from `SrTiO3` (after Abramov et al., Acta Cryst. B 51 (1995) 942),
/// and [`DEFAULT_U_ANGSTROM2`] for all others.
#[must_use]
pub fn default_displacement_angstrom2(element: Element) -> f64 {
    match element.symbol() {
        "Bi" => 0.0054,
        "Fe" => 0.0047,
        "O" => 0.0081,
        "Sr" => 0.0079,
        "Ti" => 0.0056,
        _ => DEFAULT_U_ANGSTROM2,
    }
}

/// What `source` says of a crystal with such displacements.
pub(crate) const DEFAULTS_NOTE: &str = "isotropic displacements by element (defaults)";

impl Crystal {
    /// The same crystal with the default isotropic displacement of its element on every atom; [`Crystal::source`] notes it.
    #[must_use]
    pub fn with_default_displacements(mut self) -> Self {
        for atom in &mut self.atoms {
            atom.displacement_angstrom2 = isotropic(default_displacement_angstrom2(atom.element));
        }
        if !self.source.contains(DEFAULTS_NOTE) {
            self.source = format!("{}; {DEFAULTS_NOTE}", self.source);
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use crate::crystal::structures;

    #[test]
    fn defaults_are_those_of_bismuth_ferrite_and_are_noted_once() {
        let ferrite = structures::get("bifeo3-r3c").expect("bismuth ferrite ships");
        let changed = ferrite.clone().with_default_displacements().with_default_displacements();
        for (atom, default) in ferrite.atoms.iter().zip(&changed.atoms) {
            for (row, default_row) in atom.displacement_angstrom2.iter().zip(&default.displacement_angstrom2) {
                for (u, default_u) in row.iter().zip(default_row) {
                    approx::assert_abs_diff_eq!(*u, *default_u, epsilon = 1e-12);
                }
            }
        }
        assert_eq!(changed.source.matches(super::DEFAULTS_NOTE).count(), 1);
    }
}
