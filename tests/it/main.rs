//! Tests that cross rooms, one binary.

mod crystal;
mod slab;
