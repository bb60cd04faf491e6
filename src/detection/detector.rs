//! What the detector makes of electrons: pulses of unequal height, dark counts, readout noise, black level, gain; electrons a pixel.

use super::CameraError;
use super::dose::poisson;
use super::settings::within;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};

/// From n electrons to gain × (n pulses + dark counts + readout noise + black level).
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DetectorNoise {
    /// Detector units an electron.
    pub gain_per_e: f64,
    /// Standard deviation of the height of one electron's pulse over its mean: n pulses scatter by this times √n.
    pub pulse_spread: f64,
    /// Mean dark counts, electrons a pixel (Poisson).
    pub dark_e_per_px: f64,
    /// Standard deviation of the readout noise, electrons a pixel (normal).
    pub readout_rms_e: f64,
    /// Black level, electrons a pixel, that keeps the noise of dark pixels above the converter's zero.
    pub black_level_e: f64,
}

impl Default for DetectorNoise {
    fn default() -> Self {
        Self { gain_per_e: 1.0, pulse_spread: 0.0, dark_e_per_px: 0.0, readout_rms_e: 0.0, black_level_e: 0.0 }
    }
}

impl DetectorNoise {
    pub(super) fn check(&self) -> Result<(), CameraError> {
        within("detector gain per electron", self.gain_per_e, 1e-9, 1e9, "1e-9 to 1e9")?;
        within("spread of the detector's pulses", self.pulse_spread, 0.0, 10.0, "0 to 10")?;
        within("dark count in electrons per pixel", self.dark_e_per_px, 0.0, 1e9, "0 to 1e9")?;
        within("readout noise in electrons", self.readout_rms_e, 0.0, 1e9, "0 to 1e9")?;
        within("black level in electrons", self.black_level_e, 0.0, 1e9, "0 to 1e9")
    }

    /// What pixels of `row` electrons read.
    pub(super) fn read(&self, rng: &mut ChaCha8Rng, row: &mut [f64]) {
        let normal = |rng: &mut ChaCha8Rng| -> f64 { StandardNormal.sample(rng) };
        for n in row {
            let mut signal = *n;
            if self.pulse_spread > 0.0 {
                signal += self.pulse_spread * n.max(0.0).sqrt() * normal(rng);
            }
            if self.dark_e_per_px > 0.0 {
                signal += poisson(self.dark_e_per_px, rng);
            }
            if self.readout_rms_e > 0.0 {
                signal += self.readout_rms_e * normal(rng);
            }
            *n = self.gain_per_e * (signal + self.black_level_e);
        }
    }

    /// Whether signals keep whole numbers of electrons.
    pub(super) fn is_perfect(&self) -> bool {
        *self == Self::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::numerics::seeds::Streams;

    #[test]
    fn variances_of_pulses_dark_counts_and_readout_add() {
        let detector = DetectorNoise { gain_per_e: 3.0, pulse_spread: 0.5, dark_e_per_px: 2.0, readout_rms_e: 1.5, black_level_e: 10.0 };
        let mut row = vec![40.0; 50_000];
        detector.read(&mut Streams::new("test of detector", 1).stream(0), &mut row);
        let n = row.len() as f64;
        let mean = row.iter().sum::<f64>() / n;
        let variance = row.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / n;
        let expected = 9.0 * (0.25 * 40.0 + 2.0 + 2.25);
        assert!((mean - 3.0 * 52.0).abs() < 4.0 * (expected / n).sqrt(), "{mean}");
        assert!((variance / expected - 1.0).abs() < 4.0 * (2.0 / n).sqrt(), "{variance} {expected}");
    }

    #[test]
    fn a_perfect_detector_reads_electrons() {
        let mut row = vec![0.0, 1.0, 7.0, f64::NAN];
        DetectorNoise::default().read(&mut Streams::new("test of detector", 2).stream(0), &mut row);
        assert_eq!(row[..3], [0.0, 1.0, 7.0]);
        assert!(row[3].is_nan() && DetectorNoise::default().is_perfect());
    }
}
