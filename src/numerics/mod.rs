//! numerics
pub mod lanes;
