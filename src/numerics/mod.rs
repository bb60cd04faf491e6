//! Numerics every room above stands on: grids, FFTs, band limits, discs on a raster, wave steps, seeds, least squares; no units.

pub mod band_limit;
pub mod disc;
pub mod fft;
pub mod grid;
pub mod lanes;
pub mod least_squares;
pub mod seeds;
pub(crate) mod simd;
