//! The microscope before and after the specimen: beam, aberrations, probe aperture, detectors; angles in mrad, k in 1/Å.

mod aberrations;
mod beam;
mod detector;
mod probe;

pub use aberrations::{Aberration, Aberrations};
pub use beam::{Beam, angle_of_mrad, wave_vector};
pub use detector::AnnularDetector;
pub use probe::{Edge, Probe};
