//! End-to-end tests and tests against references, in one binary.

mod cli;
mod column_estimators;
mod crystal;
mod image_files;
mod multislice;
mod scene;
mod slab;
mod studies;
