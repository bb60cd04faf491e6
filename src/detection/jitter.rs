//! Row jitter: every line stands a little off its place, neighbours more or less alike: an AR(1) process down the rows; pm.

use super::CameraError;
use super::settings::within;
use super::spectrum::Spectrum;
use crate::numerics::seeds::Streams;
use rand_distr::{Distribution, StandardNormal};
use std::f64::consts::TAU;

/// Displacements j of whole rows: j₀ = σ ξ₀, j_n = φ j_(n−1) + σ (1 − φ²)^(1/2) ξ_n with standard normal ξ, so that every row has the
/// standard deviation σ and rows n apart the correlation φⁿ; x and y are independent.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RowJitter {
    /// σ along x, pm.
    pub rms_pm: f64,
    /// σ along y over that along x.
    pub y_ratio: f64,
    /// φ, −1 < φ < 1; 0 for independent rows.
    pub correlation: f64,
}

impl RowJitter {
    pub(super) fn check(&self) -> Result<(), CameraError> {
        within("row jitter in pm", self.rms_pm, 0.0, 10_000.0, "0 to 10000")?;
        within("ratio of the row jitter along y and x", self.y_ratio, 0.0, 100.0, "0 to 100")?;
        within("correlation of the jitter of neighbouring rows", self.correlation, -0.999, 0.999, "-0.999 to 0.999")
    }

    /// The displacement of each row, Å.
    pub(super) fn rows(&self, seed: u64, height: usize) -> Vec<[f64; 2]> {
        let mut rng = Streams::new("mistilt 2026 camera row jitter", seed).stream(0);
        let sigma = [0.01 * self.rms_pm, 0.01 * self.rms_pm * self.y_ratio];
        let fresh = (1.0 - self.correlation * self.correlation).sqrt();
        let mut last = [0.0; 2];
        (0..height)
            .map(|n| {
                for (value, sigma) in last.iter_mut().zip(sigma) {
                    let xi: f64 = StandardNormal.sample(&mut rng);
                    *value = if n == 0 { sigma * xi } else { self.correlation * *value + sigma * fresh * xi };
                }
                last
            })
            .collect()
    }

    /// Its one-sided power spectral density along x, pm² rows: 2σ²(1 − φ²)/(1 − 2φ cos 2πf + φ²), f in cycles a row up to 1/2; the
    /// integral over f is σ² (Box & Jenkins, Time Series Analysis, chapter 3).
    #[must_use]
    pub fn spectrum(&self, frequencies: &[f64]) -> Spectrum {
        let (phi, sigma) = (self.correlation, self.rms_pm);
        let at = |&f: &f64| 2.0 * sigma * sigma * (1.0 - phi * phi) / (1.0 - 2.0 * phi * (TAU * f).cos() + phi * phi);
        Spectrum { frequency_per_row: frequencies.to_vec(), density_pm2_rows: frequencies.iter().map(at).collect() }
    }
}
