//! Contamination: matter on the specimen that scatters on its own, a smooth Gaussian random field of the signal; lengths in Å.
//!
//! The field is a sum of cosines with random wave vectors, q normal with standard deviation 1/(2πℓ) in x and y, which has the covariance
//! exp(−r²/(2ℓ²)) exactly and is Gaussian in the limit of many (Shinozuka & Deodatis, Appl. Mech. Rev. 44 (1991) 191).

use super::CameraError;
use super::settings::within;
use num_complex::Complex64;
use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};
use std::f64::consts::TAU;

/// Cosines in the sum: the fourth moment of their sum is that of a Gaussian to 1.5/64 of 3.
const WAVES: usize = 64;

/// A background of max(0, mean + rms g(r)) times the mean of the noiseless image, g a standard Gaussian field.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Contamination {
    /// Mean, as a fraction of the image's mean.
    pub mean_fraction: f64,
    /// Standard deviation over the specimen, as a fraction of the image's mean.
    pub rms_fraction: f64,
    /// ℓ, the distance over which the correlation falls to exp(−1/2), Å.
    pub length_angstrom: f64,
}

impl Contamination {
    pub(super) fn check(&self) -> Result<(), CameraError> {
        within("mean contamination as a fraction of the mean", self.mean_fraction, 0.0, 100.0, "0 to 100")?;
        within("variation of the contamination as a fraction of the mean", self.rms_fraction, 0.0, 100.0, "0 to 100")?;
        within("correlation length of the contamination in Å", self.length_angstrom, 1.0, 1e6, "1 to 1000000")
    }

    /// One field, on pixels.
    pub(super) fn field(&self, mut rng: ChaCha8Rng, pixel_angstrom: f64) -> Field {
        let sigma = pixel_angstrom / self.length_angstrom;
        let draw = |_| {
            let phase = TAU * rng.random::<f64>();
            let [x, y]: [f64; 2] = [StandardNormal.sample(&mut rng), StandardNormal.sample(&mut rng)];
            Wave { phase, x: sigma * x, y: sigma * y }
        };
        Field { waves: (0..WAVES).map(draw).collect(), mean: self.mean_fraction, rms: self.rms_fraction }
    }
}

/// cos(phase + x ix + y iy).
#[derive(Debug, Clone, Copy)]
struct Wave {
    phase: f64,
    x: f64,
    y: f64,
}

/// The contamination of one frame.
#[derive(Debug, Clone)]
pub(super) struct Field {
    waves: Vec<Wave>,
    mean: f64,
    rms: f64,
}

impl Field {
    /// Adds `scale` times the field along a row.
    pub(super) fn add(&self, iy: usize, scale: f64, row: &mut [f64]) {
        let amplitude = self.rms * (2.0 / WAVES as f64).sqrt();
        let mut field = vec![self.mean; row.len()];
        for wave in &self.waves {
            let mut phasor = Complex64::cis(wave.phase + wave.y * iy as f64) * amplitude;
            let step = Complex64::cis(wave.x);
            for value in &mut field {
                *value += phasor.re;
                phasor *= step;
            }
        }
        row.iter_mut().zip(field).for_each(|(value, f)| *value += scale * f.max(0.0));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::numerics::seeds::Streams;

    #[test]
    fn the_field_has_its_mean_its_scatter_and_its_correlation_length() {
        let settings = Contamination { mean_fraction: 10.0, rms_fraction: 2.0, length_angstrom: 20.0 };
        // Values a correlation length (100 px of 0.2 Å) apart, in many independent fields.
        let streams = Streams::new("test of contamination", 1);
        let n = 4000;
        let mut sums = [0.0; 5];
        for number in 0..n {
            let mut row = vec![0.0; 101];
            settings.field(streams.stream(number), 0.2).add(3, 1.0, &mut row);
            let (a, b) = (row[0] - 10.0, row[100] - 10.0);
            for (sum, v) in sums.iter_mut().zip([a, a * a, b * b, a * b, a.powi(4)]) {
                *sum += v / n as f64;
            }
        }
        // Standard errors: 2/√n = 0.03 of the mean, 4 √(2/n) = 0.09 of the variance.
        assert!(sums[0].abs() < 0.13, "{sums:?}");
        assert!((sums[1] - 4.0).abs() < 0.36 && (sums[2] - 4.0).abs() < 0.36, "{sums:?}");
        assert!((sums[3] / 4.0 - (-0.5_f64).exp()).abs() < 0.07, "{sums:?}");
        assert!((sums[4] / 48.0 - 1.0).abs() < 0.2, "the fourth moment of a Gaussian: {sums:?}");
    }

    #[test]
    fn contamination_never_takes_signal_away() {
        let settings = Contamination { mean_fraction: 0.0, rms_fraction: 1.0, length_angstrom: 5.0 };
        let mut row = vec![1.0; 200];
        settings.field(Streams::new("test of contamination", 2).stream(0), 0.5).add(0, 0.5, &mut row);
        assert!(row.iter().all(|&v| v >= 1.0) && row.iter().any(|&v| v > 1.0));
    }
}
