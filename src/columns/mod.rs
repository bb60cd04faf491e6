//! Atom columns in images: where each stands, with what uncertainty; Å on simulated images, px on pixels.

mod cell_fit;
mod centre_of_mass;
mod estimate;
mod exponential;
mod gaussian;
mod maximum;
mod patch;
mod uncertainty;

pub use cell_fit::{CellColumns, measure_cell, measure_cell_pixels};
pub use estimate::{ColumnFit, Estimator, FitFailure, PixelWindow, Widths, Window, measure, measure_pixels};
pub use patch::Pixels;
