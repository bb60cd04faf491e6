//! A slab: the atoms of one cell that repeats in plane and along the beam; Å, image axes (x right, y down, z along the beam).

use crate::crystal::{Element, Site};

/// One atom of the slab's repeat cell.
#[derive(Debug, Clone, PartialEq)]
pub struct SlabAtom {
    /// Chemical element.
    pub element: Element,
    /// In-plane fractional coordinates along the two in-plane vectors, in [0, 1).
    pub in_plane: [f64; 2],
    /// Height below the top of the repeat cell along the beam, in [0, period), Å.
    pub z_angstrom: f64,
    /// Probability, 0 to 1, that the atom is there.
    pub occupancy: f64,
    /// Mean-square displacement tensor in image axes, Å².
    pub displacement_angstrom2: [[f64; 3]; 3],
    /// Role in the perovskite.
    pub site: Site,
    /// Index into [`Slab::columns`] of the column this atom stands in; `None` for oxygen and others.
    pub column: Option<usize>,
}

/// A cation column of the slab: what an estimator should find in an image of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Column {
    /// A or B.
    pub site: Site,
    /// Mean in-plane position of the column's cations over one period, Å, image axes, inside the cell.
    /// It is the position at zero tilt; under `specimen_tilt_mrad` θ the column stands at this + θ z at depth z.
    pub position_angstrom: [f64; 2],
}

/// A slab of crystal: one repeat cell, periodic in plane (possibly oblique) and along the beam.
#[derive(Debug, Clone, PartialEq)]
pub struct Slab {
    /// The two in-plane repeat vectors, Å, image axes; right-handed (a1 × a2 along the beam).
    pub in_plane_angstrom: [[f64; 2]; 2],
    /// Repeat distance along the beam, Å.
    pub period_angstrom: f64,
    /// Atoms of one repeat cell.
    pub atoms: Vec<SlabAtom>,
    /// Cation columns of one in-plane cell.
    pub columns: Vec<Column>,
}
