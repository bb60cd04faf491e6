//! The specimen under the beam: a slab cut along a zone axis, its atomic planes, frozen phonons and transmission functions.

mod slab;
pub use slab::{Column, Slab, SlabAtom};
