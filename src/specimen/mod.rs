//! The specimen under the beam: a slab cut along a zone axis, its atomic planes, frozen phonons and transmission functions.

mod phonons;
mod planes;
mod slab;
mod transmission;

pub use phonons::{FrozenPhonons, Sign};
pub use planes::{Plane, Slice, SliceAtom, Slicing, Stack};
pub use slab::{Column, Slab, SlabAtom};
pub use transmission::{TransmissionPlan, TransmissionScratch};
