//! Polarization of every cell of a perovskite: the B column's displacement from the middle of its A columns, with its uncertainty;
//! pixels and picometres, x right, y down.

mod charge;
mod compare;
mod export;
mod map;
mod measure;
mod noise;
mod periodic;
mod shift;
mod summary;

pub use charge::ChargeModel;
pub use compare::{CellPair, Comparison};
pub use map::{Calibration, Cell, PolarizationMap, Rejection};
pub use measure::{MapOptions, polarization_map};
pub use periodic::{PeriodicCell, periodic_cells};
pub use shift::cell_shift;
pub use summary::{Component, Summary};

use crate::columns::FindError;

/// Why there is no polarization map.
#[derive(Debug, thiserror::Error)]
pub enum PolarizationError {
    /// The columns were not found.
    #[error(transparent)]
    Find(#[from] FindError),
    /// Columns but no complete cell.
    #[error(
        "{a} A and {b} B columns were found but no cell is complete ({} lack A columns, {} a B column, in {} a fit failed, in {} B lies too far from the middle): is the field of view smaller than two cells, or the estimator or its window unfit for this image?",
        of(.rejected, Rejection::MissingA), of(.rejected, Rejection::MissingB), of(.rejected, Rejection::FitFailed), of(.rejected, Rejection::TooFar)
    )]
    NoCells {
        /// Number of A columns.
        a: usize,
        /// Number of B columns.
        b: usize,
        /// How many cells were left out, and why.
        rejected: std::collections::BTreeMap<Rejection, usize>,
    },
    /// A pixel size that is not a length.
    #[error("a pixel size of {0} pm is not a length: give a number of picometres greater than 0, or --lattice-pm")]
    PixelSize(f64),
    /// A lattice parameter that is not a length.
    #[error("a lattice parameter of {0} pm is not a length: give a number of picometres greater than 0, such as 396 for BiFeO3")]
    LatticeParameter(f64),
    /// Two maps without common cells.
    #[error("the two maps have no cell in common: do they come from the same image, with the same zone and pixel grid?")]
    NoCommonCells,
    /// A slab without the columns it takes to make a cell.
    #[error("the slab's {a} A and {b} B columns make no perovskite cell along {zone}: each B column needs its A columns around it")]
    NotACell {
        /// Number of A columns in the in-plane cell.
        a: usize,
        /// Number of B columns in the in-plane cell.
        b: usize,
        /// The zone asked for.
        zone: crate::columns::Zone,
    },
    /// A file could not be written.
    #[error("could not write {path}: {source}")]
    Write {
        /// The file.
        path: std::path::PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
}

fn of(rejected: &std::collections::BTreeMap<Rejection, usize>, why: Rejection) -> usize {
    rejected.get(&why).copied().unwrap_or(0)
}
