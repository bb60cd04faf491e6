//! Crystals: elements, unit cells, the structures that ship and the readers of structure files; lengths in Å, U in Å².

mod check;
mod cif;
mod cif_syntax;
mod displacements;
mod element;
mod error;
pub(crate) mod lattice;
pub mod models;
mod neighbours;
mod perovskite;
mod polar_mode;
mod poscar;
mod primitive;
mod pseudocubic;
mod read;
pub mod structures;
mod symmetry;
mod xyz;

pub use displacements::{DEFAULT_U_ANGSTROM2, default_displacement_angstrom2};
pub use element::Element;
pub use error::{CrystalError, Result};
pub use polar_mode::PolarMode;
pub use pseudocubic::Pseudocubic;

/// Role of an atom in the perovskite ABO3; decides which columns carry the polarization.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Site {
    /// The large cation at the corners of the pseudocubic cell (Bi, Sm, Sr, Pb).
    A,
    /// The small cation inside the oxygen octahedron (Fe, Ti).
    B,
    /// The anion.
    Oxygen,
    /// Anything that fits none of the three.
    Other,
}

/// One atom of a unit cell.
#[derive(Debug, Clone, PartialEq)]
pub struct Atom {
    /// Chemical element.
    pub element: Element,
    /// Fractional coordinates along the three lattice vectors.
    pub fractional: [f64; 3],
    /// Probability, 0 to 1, that the atom is there; atoms that share a position share their site.
    pub occupancy: f64,
    /// Mean-square displacement tensor `⟨u_i u_j⟩` in Å², in the Cartesian frame of [`Crystal::lattice_angstrom`].
    pub displacement_angstrom2: [[f64; 3]; 3],
    /// Role in the perovskite, recognised or given.
    pub site: Site,
}

/// A crystal: a lattice and the atoms of one unit cell.
#[derive(Debug, Clone, PartialEq)]
pub struct Crystal {
    /// Name a person reads ("`BiFeO3` R3c, 298 K").
    pub name: String,
    /// Where the numbers come from: a citation, or the file that was read.
    pub source: String,
    /// Lattice vectors as rows, Cartesian, Å.
    pub lattice_angstrom: [[f64; 3]; 3],
    /// Atoms of the unit cell.
    pub atoms: Vec<Atom>,
}

impl Crystal {
    /// Volume of the unit cell, Å³.
    #[must_use]
    pub fn volume_angstrom3(&self) -> f64 {
        lattice::determinant(&self.lattice_angstrom).abs()
    }
}
