//! Multislice: electron waves through the specimen and onto the detectors, probe by probe or through one scattering matrix.
//!
//! One step is ψ ← P·(tψ): transmit a plane of atoms, then propagate to the next. Lengths Å, wave vectors 1/Å, angles mrad at interfaces;
//! an image is the fraction of the beam on the detector.

mod blocks;
mod choice;
mod contraction;
mod cpu;
pub mod cuda;
mod engine;
mod error;
mod reference;
mod scan;
mod scattering_matrix;
mod setting;

pub use blocks::{BlockSums, RunningSums};
pub use choice::DeviceChoice;
pub use contraction::{Aperture, ApertureBeam, Contraction, ImageSums};
pub use cpu::Cpu;
pub use engine::{Device, Engine, InitialWaves, Probes, Propagation};
pub use error::MultisliceError;
pub use reference::Reference;
pub use scan::Scan;
pub use scattering_matrix::{Illumination, ImageStack, ScatteringStudy};
pub use setting::{Bloch, Setting, beam_tilt};
