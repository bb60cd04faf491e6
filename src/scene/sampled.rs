//! An image known at the points of a square grid finer than its shortest wave, evaluated between them by cubic splines; Å.

use crate::image::Radiance;
use crate::numerics::fft::Fft2;
use crate::numerics::grid::{Grid, fast_size};
use num_complex::Complex64;
use std::f64::consts::TAU;

/// Samples on a grid and their spline.
#[derive(Debug, Clone, PartialEq)]
pub struct SampledImage {
    origin_angstrom: [f64; 2],
    spacing_angstrom: f64,
    size: [usize; 2],
    samples: Vec<f64>,
    coefficients: Vec<f64>,
}

impl SampledImage {
    /// From `samples`, row after row, of the points `origin + spacing (i, j)`.
    ///
    /// # Panics
    /// If there are fewer samples than points.
    #[must_use]
    pub fn new(origin_angstrom: [f64; 2], spacing_angstrom: f64, size: [usize; 2], samples: &[f64]) -> Self {
        assert_eq!(samples.len(), size[0] * size[1], "one sample for each point");
        let coefficients = through(samples, size, spacing_angstrom, &|_| 1.0);
        Self { origin_angstrom, spacing_angstrom, size, samples: samples.to_vec(), coefficients }
    }

    /// Every wave multiplied by a factor of |q|², 1/Å²; beyond the grid the image counts as its mirror image.
    #[must_use]
    pub fn filtered(&self, transfer: &dyn Fn(f64) -> f64) -> Self {
        let padded = mirrored(&self.samples, self.size);
        let samples = convolved(&padded, self.spacing_angstrom, transfer, &|_, _| 1.0);
        let samples: Vec<f64> = crop(&samples, padded.size, self.size);
        Self::new(self.origin_angstrom, self.spacing_angstrom, self.size, &samples)
    }

    fn value(&self, at: [f64; 2]) -> f64 {
        let along = |c: usize| {
            let t = ((at[c] - self.origin_angstrom[c]) / self.spacing_angstrom).clamp(0.0, self.size[c] as f64 - 1.0);
            let whole = t.floor();
            (whole as i64 - 1, weights(t - whole))
        };
        let ((x0, wx), (y0, wy)) = (along(0), along(1));
        let inside = |n: i64, c: usize| mirror(n, self.size[c]);
        let mut sum = 0.0;
        for (j, wy) in wy.iter().enumerate() {
            let row = inside(y0 + j as i64, 1) * self.size[0];
            for (i, wx) in wx.iter().enumerate() {
                sum += wy * wx * self.coefficients[row + inside(x0 + i as i64, 0)];
            }
        }
        sum
    }
}

impl Radiance for SampledImage {
    fn evaluate(&self, positions_angstrom: &[[f64; 2]], out: &mut [f64]) {
        assert_eq!(positions_angstrom.len(), out.len(), "one value for each position");
        for (value, &at) in out.iter_mut().zip(positions_angstrom) {
            *value = self.value(at);
        }
    }
}

/// Cubic B-spline weights of the knots at −1, 0, 1, 2 for a place at `t`.
fn weights(t: f64) -> [f64; 4] {
    let s = 1.0 - t;
    [s * s * s / 6.0, 2.0 / 3.0 - t * t * (1.0 - 0.5 * t), 2.0 / 3.0 - s * s * (1.0 - 0.5 * s), t * t * t / 6.0]
}

/// The index that a place beyond the ends mirrors to; the end points stand once.
fn mirror(n: i64, size: usize) -> usize {
    let period = (2 * size as i64 - 2).max(1);
    let folded = n.rem_euclid(period);
    folded.min(period - folded) as usize
}

/// Values with their mirror images, a period of a periodic image.
struct Padded {
    size: [usize; 2],
    values: Vec<f64>,
}

fn mirrored(values: &[f64], size: [usize; 2]) -> Padded {
    let whole = size.map(|n| (2 * n - 2).max(1));
    let at = |n: usize| values[mirror((n / whole[0]) as i64, size[1]) * size[0] + mirror((n % whole[0]) as i64, size[0])];
    Padded { size: whole, values: (0..whole[0] * whole[1]).map(at).collect() }
}

fn crop(values: &[f64], from: [usize; 2], size: [usize; 2]) -> Vec<f64> {
    (0..size[1]).flat_map(|j| values[j * from[0]..j * from[0] + size[0]].iter().copied()).collect()
}

/// Spline coefficients whose spline goes through the samples.
fn through(samples: &[f64], size: [usize; 2], spacing: f64, transfer: &dyn Fn(f64) -> f64) -> Vec<f64> {
    let padded = mirrored(samples, size);
    // The Fourier transform of the spline at its knots, (2 + cos 2πh/n)/3 along each axis.
    let knots = |h: i32, n: usize| 3.0 / (2.0 + (TAU * f64::from(h) / n as f64).cos());
    let out = convolved(&padded, spacing, transfer, &|h, k| knots(h, padded.size[0]) * knots(k, padded.size[1]));
    crop(&out, padded.size, size)
}

fn convolved(padded: &Padded, spacing: f64, transfer: &dyn Fn(f64) -> f64, factor: &dyn Fn(i32, i32) -> f64) -> Vec<f64> {
    let [nx, ny] = padded.size;
    let grid = Grid { nx, ny, cell_angstrom: [[nx as f64 * spacing, 0.0], [0.0, ny as f64 * spacing]] };
    let fft = Fft2::<f64>::new(nx, ny);
    let mut scratch = fft.scratch();
    let mut spectrum: Vec<Complex64> = padded.values.iter().map(|&v| Complex64::new(v, 0.0)).collect();
    fft.forward(&mut spectrum, &mut scratch);
    for (c, (h, k)) in spectrum.iter_mut().zip(grid.frequencies()) {
        let q = grid.frequency(h, k);
        *c *= transfer(q[0] * q[0] + q[1] * q[1]) * factor(h, k) / (nx * ny) as f64;
    }
    fft.inverse(&mut spectrum, &mut scratch);
    spectrum.into_iter().map(|c| c.re).collect()
}

/// A number of points whose mirrored period transforms fast, at least `n`.
pub(super) fn fast_count(n: usize) -> usize {
    fast_size(2 * n.max(2) - 2) / 2 + 1
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wave(at: [f64; 2]) -> f64 {
        1.0 + 0.5 * (TAU * 0.25 * at[0]).cos() * (TAU * 0.2 * at[1] + 0.4).cos()
    }

    fn sampled() -> SampledImage {
        let (origin, spacing, size) = ([-1.0, 2.0], 0.25, [fast_count(60), 50]);
        let samples: Vec<f64> = (0..size[0] * size[1])
            .map(|n| wave([origin[0] + spacing * (n % size[0]) as f64, origin[1] + spacing * (n / size[0]) as f64]))
            .collect();
        SampledImage::new(origin, spacing, size, &samples)
    }

    #[test]
    fn the_spline_goes_through_the_samples_and_between_them_is_close() {
        let image = sampled();
        for (at, tolerance) in [([1.0, 4.25], 1e-12), ([3.1, 7.77], 1e-4), ([5.62, 6.13], 1e-4)] {
            let mut out = [0.0];
            image.evaluate(&[at], &mut out);
            assert!((out[0] - wave(at)).abs() < tolerance, "{at:?}: {} {}", out[0], wave(at));
        }
    }

    #[test]
    fn a_source_lowers_waves_by_its_transfer() {
        let image = sampled();
        let blurred = image.filtered(&|q2| (-3.0 * q2).exp());
        let at = [6.0, 7.0];
        let mut out = [0.0];
        blurred.evaluate(&[at], &mut out);
        // Both waves along (±0.25, ±0.2) have the same |q|².
        let expected = 1.0 + (wave(at) - 1.0) * (-3.0_f64 * (0.25 * 0.25 + 0.2 * 0.2)).exp();
        assert!((out[0] - expected).abs() < 1e-3, "{} {expected}", out[0]);
    }
}
