//! Numerics every room above stands on: periodic grids, 2-D FFTs, discs on a raster, counter-based seeds; no units of their own.

pub mod band_limit;
pub mod disc;
pub mod fft;
pub mod grid;
pub mod seeds;
