//! Dose: electrons on a pixel, and the Poisson noise of the few that reach the detector.

use super::settings::within;
use super::{CameraError, Timing};
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, Poisson, StandardNormal};

/// Electrons that a current of 1 pA carries in 1 µs: 1e-18 C over e = 1.602176634e-19 C (SI).
pub const ELECTRONS_PER_PICOAMPERE_MICROSECOND: f64 = 1e-18 / 1.602_176_634e-19;

/// Electrons that the beam brings, given in one of three ways.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Dose {
    /// Electrons a pixel.
    PerPixel {
        /// How many.
        electrons: f64,
    },
    /// Electrons an Å² of the scanned field.
    PerSquareAngstrom {
        /// How many.
        electrons: f64,
    },
    /// Beam current, for the dwell time of the frame.
    Current {
        /// pA.
        picoamperes: f64,
    },
}

impl Dose {
    pub(super) fn check(&self) -> Result<(), CameraError> {
        let value = match *self {
            Self::PerPixel { electrons } | Self::PerSquareAngstrom { electrons } => electrons,
            Self::Current { picoamperes } => picoamperes,
        };
        within("dose", value, 0.0, 1e12, "0 to 1e12")
    }

    /// Electrons a pixel.
    #[must_use]
    pub fn electrons_per_pixel(&self, pixel_angstrom: f64, timing: Timing) -> f64 {
        match *self {
            Self::PerPixel { electrons } => electrons,
            Self::PerSquareAngstrom { electrons } => electrons * pixel_angstrom * pixel_angstrom,
            Self::Current { picoamperes } => picoamperes * timing.dwell_us * ELECTRONS_PER_PICOAMPERE_MICROSECOND,
        }
    }
}

/// A Poisson number of mean `mean`; 0 where the mean is 0 or less, NaN where it is NaN.
///
/// Above 1e12, where a count and its normal approximation differ by less than 1e-12 of it, the normal one.
pub(super) fn poisson(mean: f64, rng: &mut ChaCha8Rng) -> f64 {
    const NORMAL_FROM: f64 = 1e12;
    if mean.is_nan() {
        return f64::NAN;
    }
    if mean > NORMAL_FROM {
        let xi: f64 = StandardNormal.sample(rng);
        return (mean + mean.sqrt() * xi).round();
    }
    // The distribution refuses what is not positive: a pixel without signal counts nothing.
    Poisson::new(mean).map_or(0.0, |p| p.sample(rng))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::numerics::seeds::Streams;

    #[test]
    fn counts_have_the_mean_and_the_variance_of_their_expectation() {
        let mut rng = Streams::new("test of dose", 1).stream(0);
        let n = 40_000;
        for mean in [0.02, 0.7, 5.0, 11.9, 12.1, 300.0, 1e6, 3e13] {
            let counts: Vec<f64> = (0..n).map(|_| poisson(mean, &mut rng)).collect();
            let average = counts.iter().map(|c| c - mean).sum::<f64>() / f64::from(n);
            let variance = counts.iter().map(|c| (c - mean - average).powi(2)).sum::<f64>() / f64::from(n - 1);
            // Standard errors: √(m/n) of the mean; of the variance m √((2 + 1/m)/n). Four of them.
            assert!(average.abs() < 4.0 * (mean / f64::from(n)).sqrt(), "mean {mean}: off by {average}");
            assert!((variance - mean).abs() < 4.0 * mean * ((2.0 + 1.0 / mean) / f64::from(n)).sqrt(), "mean {mean}: variance {variance}");
            assert!(counts.iter().all(|c| c.fract() == 0.0 && *c >= 0.0));
        }
    }

    #[test]
    fn dark_pixels_count_nothing_and_missing_ones_stay_missing() {
        let mut rng = Streams::new("test of dose", 2).stream(0);
        for dark in [0.0, -0.0, -1e-9, f64::NEG_INFINITY] {
            assert_eq!(poisson(dark, &mut rng), 0.0);
        }
        assert!(poisson(f64::NAN, &mut rng).is_nan());
    }

    #[test]
    fn a_dose_is_the_same_in_all_three_ways() {
        let timing = Timing { dwell_us: 8.0, flyback_us: 0.0 };
        let electrons = 20.0 * 8.0 * 6.241_509_074;
        for dose in
            [Dose::Current { picoamperes: 20.0 }, Dose::PerPixel { electrons }, Dose::PerSquareAngstrom { electrons: electrons / 0.04 }]
        {
            assert!((dose.electrons_per_pixel(0.2, timing) / electrons - 1.0).abs() < 1e-9, "{dose:?}");
        }
    }
}
