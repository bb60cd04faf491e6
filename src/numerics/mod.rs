//! Numerics every room above stands on: periodic grids, FFTs, band limits, discs on a raster, wave steps, counter-based seeds; no units.

pub mod band_limit;
pub mod disc;
pub mod fft;
pub mod grid;
pub mod lanes;
pub mod seeds;
