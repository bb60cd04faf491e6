//! Line offsets: every line is a little brighter or darker, as from fluctuations of the emission or of the amplifier's zero.

use super::CameraError;
use super::settings::within;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};

/// A normal offset for each line.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LineOffsets {
    /// Standard deviation as a fraction of the mean signal.
    pub rms_fraction: f64,
}

impl LineOffsets {
    pub(super) fn check(self) -> Result<(), CameraError> {
        within("line offsets as a fraction of the mean", self.rms_fraction, 0.0, 10.0, "0 to 10")
    }

    /// The offset of one line, in the unit of `mean_signal`.
    pub(super) fn draw(self, rng: &mut ChaCha8Rng, mean_signal: f64) -> f64 {
        let xi: f64 = StandardNormal.sample(rng);
        self.rms_fraction * mean_signal * xi
    }
}
