//! Images with their pixel size, metadata and ground truth; pixels in row-major order (y down), lengths in Å or pm as named.

mod fourier;
pub use fourier::{Derivatives, FourierImage};
