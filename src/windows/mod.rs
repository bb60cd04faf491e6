//! Sub-images: centred on columns or on a grid, normalised, labelled in pm (x right, y down), and split in space for training and
//! prediction.

mod cut;
mod error;
mod field;
mod label_csv;
mod resample;
mod set;
mod spec;
mod split;

pub use cut::{Cut, Cutter, cut};
pub use error::WindowsError;
pub use field::{Kernel, LabelField, LabelPoint, LabelSource};
pub use resample::resampled;
pub use set::WindowSet;
pub use spec::{Normalisation, Placement, Reason, WindowSize, WindowSpec};
pub use split::{Guard, Line, Partition, Split, line_segment};
