//! Images with their pixel size, metadata and ground truth; pixels in row-major order (y down), lengths in Å or pm as named.

mod bytes;
mod dm;
mod dm_tags;
mod emd;
mod error;
mod evaluate;
mod fourier;
#[cfg(test)]
mod fuzz_tests;
mod hdf5;
mod hyperspy;
#[cfg(test)]
mod keep_files;
mod npy;
mod npz;
mod pixels;
mod png;
mod publish;
mod radiance;
mod read;
mod sidecar;
mod sm_bfo;
mod tiff;
mod tiff_write;
mod truth;
mod units;

pub use error::{FileFault, ImageError};
pub use fourier::{Derivatives, FourierImage};
pub use pixels::{Image, MAX_PIXELS, Metadata, Statistics};
pub(crate) use publish::{sync_folder, whole_file};
pub use radiance::{Radiance, Raster, SourceShape};
pub use read::{Page, ReadOptions};
pub use sidecar::sidecar_path;
pub use sm_bfo::{UnitCell, UnitCellTable};
pub use truth::{Truth, TruthCell, TruthColumn, TruthStage};
