//! Atom columns in images: found, given their lattice and sublattice, measured with their uncertainty; Å on simulated images, px on
//! pixels.

mod background;
mod cell_fit;
mod centre_of_mass;
mod dark;
mod estimate;
mod exponential;
mod find;
mod gaussian;
mod grow;
mod lattice;
mod maxima;
mod maximum;
mod measured;
mod neighbours;
mod patch;
mod spectrum;
mod sublattice;
mod uncertainty;

pub(crate) use background::median;
pub use cell_fit::{CellColumns, measure_cell, measure_cell_pixels};
pub use estimate::{ColumnFit, Estimator, FitFailure, PixelWindow, Widths, Window, measure, measure_pixels};
pub use find::{BrightSite, FindError, FindOptions, find_columns};
pub use lattice::Zone;
pub use maxima::{Peak, find_peaks};
pub use measured::{absent_pixels, measure_columns};
pub(crate) use neighbours::PointGrid;
pub use patch::Pixels;
pub use sublattice::{ColumnLattice, ColumnStatus, LatticeColumn};
