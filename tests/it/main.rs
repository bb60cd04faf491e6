//! End-to-end tests and tests against references, in one binary.

mod multislice;
mod scene;
