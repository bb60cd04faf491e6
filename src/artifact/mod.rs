//! What a mis-tilt can fake: sensitivity of the shift to tilt, tilt read from the image itself, correction, bound and verdict; pm and mrad.

pub mod asymmetry;
mod bend;
mod bound;
mod conditions;
mod cubic;
mod error;
mod evidence;
mod judge;
mod library;
mod mean_cell;
pub mod mosaic;
mod posterior;
mod reading;
mod regions;
mod response;
mod sensitivity;
pub mod trial;
mod verdict;
pub mod words;

pub use bend::Bend;
pub use bound::{Bound, CommonTilt};
pub use conditions::{Conditions, Numerics, spaced};
pub use cubic::Cubic;
pub use error::ArtifactError;
pub use evidence::{NoiseShape, Observed, Scan, find_reference, observe, source_of_width};
pub use judge::{Libraries, Prepared, judge};
pub use library::{CellPlaces, Header, TiltLibrary};
pub use mean_cell::{Axes, MeanCell};
pub use posterior::{Beliefs, Evidence, Method, Moments, Posterior, TiltEstimate, Witness};
pub use reading::{Reading, Ruler, read_cells};
pub use regions::{FEWEST_CELLS, Region, region, regions};
pub use response::{Node, Response, ResponseTable, Setting};
pub use sensitivity::{Sensitivity, sensitivities};
pub use verdict::{Call, CellVerdict, Options, ReferenceCells, RegionVerdict, Verdict};
