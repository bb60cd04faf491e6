//! Structures of Sm-doped BiFeO3 that are models, not refinements: a polar mode scaled by composition, and an antipolar pattern; Å.

use super::structures::{Row, ideal_cell};
use super::{Atom, Crystal, Element};

/// Composition at which the model's polar displacement is gone: near the phase boundary at 14 % Sm (Kan et al., Adv. Funct. Mater. 20 (2010)
/// 1108).
pub const SM_POLAR_LIMIT: f64 = 0.14;
/// Edge of the cube with the volume of one formula unit of SmFeO3, Å: (5.394 · 5.592 · 7.711 / 4)^⅓, M. Eibschütz, Acta Cryst. 19 (1965) 337.
pub const SMFEO3_EDGE_ANGSTROM: f64 = 3.8743;
/// The same of BiFeO3 at 298 K, Å.
const BIFEO3_EDGE_ANGSTROM: f64 = 3.965;

/// What is left of the polar displacement of BiFeO3 with a fraction `x` of Sm: (1 − x/0.14)^½, 0 beyond.
#[must_use]
pub fn sm_polar_factor(x: f64) -> f64 {
    (1.0 - x / SM_POLAR_LIMIT).max(0.0).sqrt()
}

/// Edge of the pseudocubic cell with a fraction `x` of Sm on Vegard's line between two edges, Å.
#[must_use]
pub fn sm_edge_angstrom(bifeo3_edge_angstrom: f64, x: f64) -> f64 {
    bifeo3_edge_angstrom + x * (SMFEO3_EDGE_ANGSTROM - bifeo3_edge_angstrom)
}

/// The crystal with a fraction of the atoms of `host` replaced by `dopant` on the same sites, as partial occupancies.
pub(super) fn substituted(mut crystal: Crystal, host: &str, dopant: Element, fraction: f64) -> Crystal {
    let added: Vec<Atom> = crystal
        .atoms
        .iter()
        .filter(|atom| atom.element.symbol() == host)
        .map(|atom| Atom { element: dopant, occupancy: fraction * atom.occupancy, ..atom.clone() })
        .collect();
    for atom in crystal.atoms.iter_mut().filter(|atom| atom.element.symbol() == host) {
        atom.occupancy *= 1.0 - fraction;
    }
    crystal.atoms.extend(added);
    crystal
}

/// Lattice and atoms of the antipolar model at 15 % Sm: an ideal perovskite whose A sites are displaced by 0.25 Å along `[1, -1, 0]`, two
/// diagonal rows one way and two the other, the pattern of Pb in PbZrO3 (Pbam; A. M. Glazer, K. Roleder and J. Dec, Acta Cryst. B 49 (1993) 846).
/// The rotations of the octahedra, which ADF hardly sees, are left out.
pub(super) fn pbam() -> ([[f64; 3]; 3], Vec<Row>) {
    const DISPLACEMENT_ANGSTROM: f64 = 0.25;
    let edge = sm_edge_angstrom(BIFEO3_EDGE_ANGSTROM, 0.15);
    // Orthorhombic a = [1, -1, 0], b = 2 [1, 1, 0] and c = [0, 0, 1] in units of the edge.
    let (a, b) = (2.0_f64.sqrt() * edge, 8.0_f64.sqrt() * edge);
    let shift = DISPLACEMENT_ANGSTROM / a;
    let mut rows = Vec::new();
    for (cell, sign) in [1.0, 1.0, -1.0, -1.0].into_iter().enumerate() {
        for (symbol, [x, y, z], u) in ideal_cell([("Bi", 0.0054), ("Fe", 0.0047), ("O", 0.0081)]) {
            // Corner (i, j) = (1, 0), (1, 1), (2, 1) after (0, 0): u = (i − j)/2, v = (i + j)/4.
            let corner = [0.5 * (cell % 2) as f64, 0.25 * cell as f64];
            let own = if symbol == "Bi" { sign * shift } else { 0.0 };
            rows.push((symbol, [corner[0] + 0.5 * (x - y) + own, corner[1] + 0.25 * (x + y), z], u));
        }
    }
    ([[a, 0.0, 0.0], [0.0, b, 0.0], [0.0, 0.0, edge]], rows)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crystal::{Site, structures};

    #[test]
    fn the_model_ends_where_it_says() {
        assert_eq!([0.0, 0.14, 0.3].map(sm_polar_factor), [1.0, 0.0, 0.0]);
        assert!((sm_polar_factor(0.07) - 0.5_f64.sqrt()).abs() < 1e-12);
        assert_eq!(sm_edge_angstrom(3.965, 1.0), SMFEO3_EDGE_ANGSTROM);
    }

    #[test]
    fn doped_ferrite_is_less_polar_and_smaller_and_holds_as_many_atoms() {
        let [pure, doped] = ["bifeo3-r3c", "sm-bifeo3-r3c"].map(|name| structures::get(name).unwrap().polar_mode().unwrap());
        let expected = sm_polar_factor(0.10);
        assert!((doped.displacement_angstrom / pure.displacement_angstrom - expected).abs() < 0.01, "{doped:?}");
        assert!((doped.edge_angstrom - sm_edge_angstrom(pure.edge_angstrom, 0.1)).abs() < 1e-3);
        assert_eq!(doped.elements[0].symbol(), "Bi");
    }

    #[test]
    fn the_antipolar_cell_has_two_rows_up_and_two_down_and_no_polarization() {
        let crystal = structures::get("sm-bifeo3-pbam").unwrap();
        assert!(crystal.polar_mode().unwrap().displacement_angstrom < 1e-9);
        let mut rows: Vec<(f64, f64)> = crystal
            .atoms
            .iter()
            .filter(|a| a.site == Site::A && a.element.symbol() == "Bi")
            .map(|a| (a.fractional[1], (2.0 * a.fractional[0]).round() / 2.0 - a.fractional[0]))
            .collect();
        rows.sort_by(|a, b| a.0.total_cmp(&b.0));
        let signs: Vec<bool> = rows.iter().map(|r| r.1 < 0.0).collect();
        assert_eq!(signs, [true, true, false, false]);
    }
}
