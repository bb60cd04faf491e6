//! What the microscope adds to a noiseless image, as one ordered chain: Å and pm on the specimen, electrons on the detector.
//!
//! Source size → probe tails → drift → row jitter → sinusoids → flyback → contamination → dose → detector noise → hot and dead pixels →
//! line offsets → ADC. A [`Camera`] holds the checked settings; [`Camera::expose`] takes one frame of a [`crate::image::Radiance`], and
//! [`WindowNoise`] applies the part after the scan to windows of expected values. Positions are evaluated, never warped from pixels.
//! Every stage draws from streams of its own, keyed by (seed, frame) or (seed, frame, channel) and by the row: the same bytes for any
//! number of threads, and one stage switched off leaves the draws of all others as they were.
//!
//! Contamination stands before the dose: it is matter in the beam, so its electrons have shot noise like all others.

mod adc;
mod atomai;
mod camera;
mod contamination;
mod defects;
mod detector;
mod dose;
mod drift;
mod error;
mod exposure;
mod flyback;
mod jitter;
mod key;
mod lines;
mod presets;
mod scan;
mod settings;
mod signal;
mod sinusoids;
mod spectrum;
mod stages;
mod truth;

pub use adc::Adc;
pub use atomai::AtomAi;
pub use camera::{Camera, MAX_FRAME_PIXELS};
pub use contamination::Contamination;
pub use defects::{Defect, DefectKind, Defects};
pub use detector::DetectorNoise;
pub use dose::{Dose, ELECTRONS_PER_PICOAMPERE_MICROSECOND};
pub use drift::Drift;
pub use error::CameraError;
pub use exposure::{Exposure, Unit};
pub use flyback::Flyback;
pub use jitter::RowJitter;
pub use key::FrameKey;
pub use lines::LineOffsets;
pub use presets::Preset;
pub use scan::{ScanPath, ScanStage};
pub use settings::{CameraSettings, Timing};
pub use signal::WindowNoise;
pub use sinusoids::Sinusoids;
pub use spectrum::{Spectrum, periodogram};
pub use stages::Stage;
pub use truth::COLUMN_SIGMA_ANGSTROM;
