//! AtomAI's augmentation of training images with its default ranges, for comparison with the camera; intensities 0 to 1 over the image.
//!
//! Facts of `atomai.transforms.imaug.datatransform` (AtomAI 0.8, MIT licence; Ziatdinov et al., Nat. Mach. Intell. 4 (2022) 1101), every
//! operation that keeps the geometry switched on, in its order: Gaussian noise, row shifts by whole pixels, Poisson noise, salt and pepper,
//! blur, contrast, background. Every strength is drawn uniformly from its range, anew for each image.

use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};

/// The ranges [from, below) that whole numbers are drawn from, with their units in AtomAI.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AtomAi {
    /// Variance of Gaussian noise, 1e-4.
    pub gauss_noise: [u32; 2],
    /// Mean of the Poisson number of pixels by which a row is shifted right, 0.1 px.
    pub jitter: [u32; 2],
    /// λ of Poisson noise: intensities count (50/λ)^⌈log2 of the number of distinct intensities⌉ at 1.
    pub poisson_noise: [u32; 2],
    /// Fraction of pixels that become 0 or 1, 1e-3.
    pub salt_and_pepper: [u32; 2],
    /// Standard deviation of a Gaussian blur, 0.05 px.
    pub blur: [u32; 2],
    /// Exponent of the intensity, 0.1.
    pub contrast: [u32; 2],
    /// Whether a broad Gaussian is added or taken away.
    pub background: bool,
}

impl Default for AtomAi {
    fn default() -> Self {
        Self {
            gauss_noise: [0, 50],
            jitter: [0, 50],
            poisson_noise: [30, 40],
            salt_and_pepper: [0, 50],
            blur: [1, 50],
            contrast: [5, 20],
            background: true,
        }
    }
}

impl AtomAi {
    /// Augments an image in place and returns by how many pixels each row was shifted right.
    pub(super) fn apply(&self, rng: &mut ChaCha8Rng, values: &mut [f64], width: usize) -> Vec<f64> {
        normalise(values);
        let sigma = (1e-4 * draw(rng, self.gauss_noise)).sqrt();
        for v in values.iter_mut() {
            *v = (*v + sigma * normal(rng)).clamp(0.0, 1.0);
        }

        let mean_shift = 0.1 * draw(rng, self.jitter);
        let shift = |row: &mut [f64]| {
            let pixels = super::dose::poisson(mean_shift, rng);
            row.rotate_right(pixels as usize % width.max(1));
            pixels
        };
        let shifts: Vec<f64> = values.chunks_exact_mut(width).map(shift).collect();

        let scale = (50.0 / draw(rng, self.poisson_noise)).powf((distinct(values) as f64).log2().ceil());
        for v in values.iter_mut() {
            *v = super::dose::poisson(*v * scale, rng) / scale;
        }

        let amount = 1e-3 * draw(rng, self.salt_and_pepper);
        for v in values.iter_mut() {
            let u = rng.random::<f64>();
            if u < amount {
                *v = if u < 0.5 * amount { 1.0 } else { 0.0 };
            }
        }
        blur(values, width, 0.05 * draw(rng, self.blur));
        let gamma = 0.1 * draw(rng, self.contrast);
        for v in values.iter_mut() {
            *v = v.max(0.0).powf(gamma);
        }
        if self.background {
            background(rng, values, width);
        }
        normalise(values);
        shifts
    }
}

/// A whole number of a range, as a float.
fn draw(rng: &mut ChaCha8Rng, [from, below]: [u32; 2]) -> f64 {
    let span = f64::from(below.saturating_sub(from).max(1));
    f64::from(from) + (rng.random::<f64>() * span).floor()
}

fn normal(rng: &mut ChaCha8Rng) -> f64 {
    StandardNormal.sample(rng)
}

/// Stretches the intensities to 0 to 1.
fn normalise(values: &mut [f64]) {
    let finite = values.iter().copied().filter(|v| v.is_finite());
    let (low, high) = finite.fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), v| (l.min(v), h.max(v)));
    let span = if high > low { high - low } else { 1.0 };
    for v in values.iter_mut() {
        *v = (*v - low) / span;
    }
}

/// How many distinct intensities there are.
fn distinct(values: &[f64]) -> usize {
    let mut sorted = values.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    sorted.dedup();
    sorted.len()
}

/// Gaussian blur, cut at four standard deviations, the image mirrored beyond its edges.
fn blur(values: &mut [f64], width: usize, sigma: f64) {
    let reach = (4.0 * sigma + 0.5) as usize;
    let height = values.len() / width;
    let mut kernel: Vec<f64> = (0..=reach).map(|i| (-0.5 * (i as f64 / sigma).powi(2)).exp()).collect();
    let total = kernel[0] + 2.0 * kernel[1..].iter().sum::<f64>();
    for k in &mut kernel {
        *k /= total;
    }
    // ..., 1, 0, 0, 1, ..., n-1, n-1, n-2, ...
    let mirrored = |i: isize, n: usize| {
        let period = 2 * n as isize;
        let folded = i.rem_euclid(period);
        (if folded < n as isize { folded } else { period - 1 - folded }) as usize
    };
    for (count, length, step, stride) in [(height, width, 1, width), (width, height, width, 1)] {
        for line in 0..count {
            let at = |i: isize| line * stride + mirrored(i, length) * step;
            let blurred: Vec<f64> = (0..length as isize)
                .map(|i| {
                    let pairs =
                        kernel[1..].iter().enumerate().map(|(n, k)| k * (values[at(i - n as isize - 1)] + values[at(i + n as isize + 1)]));
                    kernel[0] * values[at(i)] + pairs.sum::<f64>()
                })
                .collect();
            blurred.into_iter().enumerate().for_each(|(i, v)| values[at(i as isize)] = v);
        }
    }
}

/// A broad, asymmetric Gaussian of up to half the range, added or taken away.
fn background(rng: &mut ChaCha8Rng, values: &mut [f64], width: usize) {
    let height = values.len() / width;
    let [w, h] = [width, height].map(|n| n as u32);
    let short = w.min(h);
    let centre = [draw(rng, [0, w - w / 4]), draw(rng, [0, h - h / 4])];
    let narrow = [0.1 * draw(rng, [10, 20]), 0.1 * draw(rng, [10, 20])];
    let fwhm = draw(rng, [short / 4, short - short / 2]).max(1.0);
    let height = 0.05 * (draw(rng, [0, 20]) - 10.0);
    for (iy, row) in values.chunks_exact_mut(width).enumerate() {
        for (ix, v) in row.iter_mut().enumerate() {
            let d = narrow[0] * (ix as f64 - centre[0]).powi(2) + narrow[1] * (iy as f64 - centre[1]).powi(2);
            *v += height * (-std::f64::consts::LN_2 * d / (fwhm * fwhm)).exp();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::numerics::seeds::Streams;

    #[test]
    fn rows_move_by_a_poisson_number_of_pixels_and_the_range_is_one() {
        let only_jitter = AtomAi {
            gauss_noise: [0, 1],
            jitter: [20, 21],
            poisson_noise: [1, 2],
            salt_and_pepper: [0, 1],
            blur: [1, 2],
            contrast: [10, 11],
            background: false,
        };
        // A bright stripe: where it went tells each row's shift.
        let width = 64;
        let mut values: Vec<f64> = (0..width * 400).map(|i| if i % width == 5 { 1.0 } else { 0.0 }).collect();
        let shifts = only_jitter.apply(&mut Streams::new("test of atomai", 1).stream(0), &mut values, width);
        for (row, shift) in values.chunks_exact(width).zip(&shifts) {
            let brightest = (0..width).max_by(|a, b| row[*a].total_cmp(&row[*b])).unwrap();
            assert_eq!(brightest as f64, 5.0 + shift);
        }
        let mean = shifts.iter().sum::<f64>() / 400.0;
        let variance = shifts.iter().map(|s| (s - mean).powi(2)).sum::<f64>() / 400.0;
        assert!((mean - 2.0).abs() < 0.3 && (variance - 2.0).abs() < 0.6, "{mean} {variance}");
    }

    #[test]
    fn every_operation_keeps_the_image_finite_and_in_range() {
        for seed in 0..20 {
            let (width, height) = (33, 20);
            let mut values: Vec<f64> = (0..width * height).map(|i| (i as f64 * 0.37).sin()).collect();
            AtomAi::default().apply(&mut Streams::new("test of atomai", seed).stream(0), &mut values, width);
            assert!(values.iter().all(|v| (0.0..=1.0).contains(v)), "seed {seed}");
            let (low, high) = values.iter().fold((1.0_f64, 0.0_f64), |(l, h), v| (l.min(*v), h.max(*v)));
            assert_eq!((low, high), (0.0, 1.0));
        }
        let mut flat = vec![2.0; 100];
        AtomAi::default().apply(&mut Streams::new("test of atomai", 1).stream(0), &mut flat, 10);
        assert!(flat.iter().all(|v| v.is_finite()));
    }

    #[test]
    fn blur_keeps_the_sum_and_mirrors_at_the_edges() {
        let mut values = vec![0.0; 15 * 9];
        values[0] = 1.0;
        values[70] = 2.0;
        blur(&mut values, 15, 1.7);
        assert!((values.iter().sum::<f64>() - 3.0).abs() < 1e-12);
    }
}
