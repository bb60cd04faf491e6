//! The specimen under the beam: a slab cut along a zone axis, its atomic planes, frozen phonons and transmission functions.

mod cut;
mod cut_lattice;
mod slab;
mod truth;
pub use cut::{Basis, Cut, CutError};
pub use slab::{Column, Slab, SlabAtom, TiltedColumn};
pub use truth::CellTruth;
