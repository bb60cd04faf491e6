//! One frame of an image of known truth: row jitter and counted electrons, from counter-based seeds; pm, electrons an Å².

use crate::image::{Radiance, Raster};
use crate::numerics::seeds::Streams;
use rand_distr::{Distribution, Poisson, StandardNormal};
use rayon::prelude::*;

/// What the scan and the dose do to it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Exposure {
    /// Electrons an Å².
    pub(super) dose: f64,
    /// Row jitter along x, pm rms; a third of it along y; rows are independent.
    pub(super) row_jitter_pm: f64,
    /// Seed.
    pub(super) seed: u64,
}

/// Electrons counted in every pixel, row-major.
pub(super) fn expose(source: &dyn Radiance, raster: Raster, exposure: &Exposure) -> Vec<f32> {
    let streams = Streams::new("mistilt 2026 frames of known truth", exposure.seed);
    let electrons = exposure.dose * raster.pixel_angstrom * raster.pixel_angstrom;
    let mut pixels = vec![0.0; raster.width * raster.height];
    pixels.par_chunks_mut(raster.width).enumerate().for_each(|(iy, row)| {
        let mut random = streams.stream(iy as u64);
        let mut normal = || -> f64 { StandardNormal.sample(&mut random) };
        let moved = [0.01 * exposure.row_jitter_pm * normal(), 0.01 * exposure.row_jitter_pm / 3.0 * normal()];
        let places: Vec<[f64; 2]> = raster.row(iy).map(|p| [p[0] + moved[0], p[1] + moved[1]]).collect();
        let mut expected = vec![0.0; raster.width];
        source.evaluate(&places, &mut expected);
        for (pixel, value) in row.iter_mut().zip(expected) {
            // A mean of zero has no Poisson distribution; nothing is counted there.
            *pixel = Poisson::new(value * electrons).map_or(0.0, |counts| counts.sample(&mut random) as f32);
        }
    });
    pixels
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Flat;

    impl Radiance for Flat {
        fn evaluate(&self, positions_angstrom: &[[f64; 2]], out: &mut [f64]) {
            assert_eq!(positions_angstrom.len(), out.len());
            out.fill(0.05);
        }
    }

    #[test]
    fn counts_have_the_mean_and_the_variance_of_the_dose_and_a_seed_of_their_own() {
        let raster = Raster { origin_angstrom: [0.0; 2], pixel_angstrom: 0.2, width: 100, height: 100 };
        let exposure = Exposure { dose: 5000.0, row_jitter_pm: 5.0, seed: 3 };
        let counts = expose(&Flat, raster, &exposure);
        let n = counts.len() as f64;
        let mean = counts.iter().map(|c| f64::from(*c)).sum::<f64>() / n;
        let variance = counts.iter().map(|c| (f64::from(*c) - mean).powi(2)).sum::<f64>() / (n - 1.0);
        // 0.05 × 5000 × 0.04 = 10 electrons a pixel; five standard errors.
        assert!(
            (mean - 10.0).abs() < 5.0 * (10.0 / n).sqrt() && (variance - 10.0).abs() < 5.0 * 10.0 * (2.0 / n).sqrt(),
            "{mean} {variance}"
        );
        assert_eq!(counts, expose(&Flat, raster, &exposure));
        assert_ne!(counts, expose(&Flat, raster, &Exposure { seed: 4, ..exposure }));
    }
}
