//! Small crystals and settings that the physics tests share.

use mistilt::crystal::{Element, Site};
use mistilt::microscope::{Aberrations, AnnularDetector, Beam, Probe};
use mistilt::multislice::Setting;
use mistilt::potential::Factors;
use mistilt::specimen::{Slab, SlabAtom, Slicing, Stack};

pub(crate) const BEAM: Beam = Beam { energy_kev: 300.0 };

/// A slab atom at rest.
pub(crate) fn atom(symbol: &str, in_plane: [f64; 2], z_angstrom: f64) -> SlabAtom {
    SlabAtom {
        element: Element::from_symbol(symbol).unwrap(),
        in_plane,
        z_angstrom,
        occupancy: 1.0,
        displacement_angstrom2: [[0.0; 3]; 3],
        site: Site::Other,
        column: None,
    }
}

/// A slab without columns from atoms.
pub(crate) fn slab(in_plane_angstrom: [[f64; 2]; 2], period_angstrom: f64, atoms: Vec<SlabAtom>) -> Slab {
    Slab { in_plane_angstrom, period_angstrom, atoms, columns: Vec::new() }
}

/// A polar, sheared perovskite cell: every symmetry that could hide a sign error is broken.
pub(crate) fn polar_cell() -> Slab {
    let atoms = vec![
        atom("Bi", [0.0, 0.0], 0.0),
        atom("O", [0.53, 0.56], 0.1),
        atom("Fe", [0.55, 0.53], 2.1),
        atom("O", [0.54, 0.06], 2.2),
        atom("O", [0.04, 0.55], 2.0),
    ];
    slab([[3.96, 0.04], [-0.02, 3.90]], 3.965, atoms)
}

/// An in-plane supercell written out atom by atom.
pub(crate) fn supercell(cell: &Slab, n: [usize; 2]) -> Slab {
    let mut atoms = Vec::new();
    for j in 0..n[1] {
        for i in 0..n[0] {
            for a in &cell.atoms {
                let in_plane = [(a.in_plane[0] + i as f64) / n[0] as f64, (a.in_plane[1] + j as f64) / n[1] as f64];
                atoms.push(SlabAtom { in_plane, ..a.clone() });
            }
        }
    }
    let [a1, a2] = cell.in_plane_angstrom;
    slab([a1.map(|c| c * n[0] as f64), a2.map(|c| c * n[1] as f64)], cell.period_angstrom, atoms)
}

/// Slices of atomic planes.
pub(crate) fn stack(slab: Slab) -> Stack {
    Stack::new(slab, Slicing::Planes { tolerance_angstrom: 0.6 })
}

/// A coarse setting for quick f64 work.
pub(crate) fn setting(slab: &Slab, pixel_angstrom: f64) -> Setting {
    Setting::new(slab.in_plane_angstrom, pixel_angstrom, BEAM, Factors::Lobato, 2).unwrap()
}

/// A probe with defocus, coma-free.
pub(crate) fn probe(convergence_mrad: f64, defocus_angstrom: f64) -> Probe {
    Probe { beam: BEAM, convergence_mrad, aberrations: Aberrations::defocus(defocus_angstrom) }
}

/// A ring.
pub(crate) fn ring(inner_mrad: f64, outer_mrad: f64) -> AnnularDetector {
    AnnularDetector { name: format!("{inner_mrad}-{outer_mrad}"), inner_mrad, outer_mrad }
}

/// Elements a slab holds.
pub(crate) fn elements(slab: &Slab) -> Vec<Element> {
    let mut elements: Vec<Element> = slab.atoms.iter().map(|a| a.element).collect();
    elements.sort_unstable();
    elements.dedup();
    elements
}
