//! Flyback transient: after flying back the beam settles exponentially, which displaces the start of every line along x; pm, µs.

use super::settings::within;
use super::{CameraError, Timing};

/// Displacement A exp(−t/τ) along x, t from the start of the line.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Flyback {
    /// A, pm; positive moves the start of a line to the right in the image.
    pub amplitude_pm: f64,
    /// τ, µs.
    pub decay_us: f64,
}

impl Flyback {
    pub(super) fn check(&self) -> Result<(), CameraError> {
        within("flyback displacement in pm", self.amplitude_pm, -10_000.0, 10_000.0, "-10000 to 10000")?;
        within("decay time of the flyback in µs", self.decay_us, 1e-3, 1e6, "0.001 to 1000000")
    }

    /// Along x at each pixel of a line, Å.
    pub(super) fn line(&self, timing: Timing, width: usize) -> Vec<f64> {
        (0..width).map(|ix| 0.01 * self.amplitude_pm * (-timing.dwell_us * ix as f64 / self.decay_us).exp()).collect()
    }
}
