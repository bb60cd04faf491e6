//! The specimen under the beam: a slab cut along a zone axis, its atomic planes, frozen phonons and transmission functions.

mod cut;
mod cut_lattice;
mod phonons;
mod planes;
mod slab;
mod transmission;
mod truth;

pub use cut::{Basis, Cut, CutError};
pub use phonons::{FrozenPhonons, Sign};
pub use planes::{Plane, Slice, SliceAtom, Slicing, Stack};
pub use slab::{Column, Slab, SlabAtom, TiltedColumn};
pub use transmission::{TransmissionPlan, TransmissionScratch, TransmissionTables};
pub use truth::CellTruth;
