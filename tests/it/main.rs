//! End-to-end tests and tests against references, in one binary.

mod crystal;
mod multislice;
mod scene;
mod slab;
