//! Smooth random fields on a periodic grid of cells: white noise, one draw a cell, under a Gaussian; mean 0, variance 1.

use crate::numerics::seeds::Streams;
use rand_distr::{Distribution, StandardNormal};

/// A Gaussian random field on `size` cells (row-major), periodic, of unit variance at every cell.
///
/// White noise convolved with exp(−r²/2s²) has the correlation exp(−r²/4s²), which falls to 1/e at r = 2s: s is half the correlation length,
/// here in cells along each axis.
pub(super) fn random_field(streams: &Streams, number: u64, size: [usize; 2], correlation_cells: [f64; 2]) -> Vec<f64> {
    let [nx, ny] = size;
    let draw = |cell: usize| -> f64 { StandardNormal.sample(&mut streams.stream(number << 32 | cell as u64)) };
    let noise: Vec<f64> = (0..nx * ny).map(draw).collect();
    let [kx, ky] = [0, 1].map(|i| wrapped_kernel(size[i], 0.5 * correlation_cells[i]));
    let convolve = |values: &[f64], kernel: &[f64], n: usize, at: &dyn Fn(usize, usize) -> usize, lines: usize| {
        let mut out = vec![0.0; values.len()];
        for line in 0..lines {
            for i in 0..n {
                out[at(line, i)] = (0..n).map(|d| kernel[d] * values[at(line, (i + n - d) % n)]).sum();
            }
        }
        out
    };
    let rows = convolve(&noise, &kx, nx, &|line, i| line * nx + i, ny);
    convolve(&rows, &ky, ny, &|line, i| i * nx + line, nx)
}

/// exp(−d²/2s²) summed over the repeats of `n` cells, scaled to unit sum of squares so that the variance stays 1.
fn wrapped_kernel(n: usize, sigma_cells: f64) -> Vec<f64> {
    let repeats = (6.0 * sigma_cells / n as f64).ceil() as i64 + 1;
    let at = |d: usize| -> f64 {
        (-repeats..=repeats).map(|m| (-(d as f64 + (m * n as i64) as f64).powi(2) / (2.0 * sigma_cells * sigma_cells)).exp()).sum()
    };
    let kernel: Vec<f64> = (0..n).map(at).collect();
    let root = kernel.iter().map(|k| k * k).sum::<f64>().sqrt();
    kernel.into_iter().map(|k| k / root).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variance_is_one_and_correlation_falls_to_one_over_e_at_its_length() {
        let (size, length) = ([48, 40], [6.0, 4.0]);
        let streams = Streams::new("test", 5);
        let fields: Vec<Vec<f64>> = (0..60).map(|n| random_field(&streams, n, size, length)).collect();
        let product = |dx: usize, dy: usize| {
            let mut sum = 0.0;
            for f in &fields {
                for y in 0..size[1] {
                    for x in 0..size[0] {
                        sum += f[y * size[0] + x] * f[(y + dy) % size[1] * size[0] + (x + dx) % size[0]];
                    }
                }
            }
            sum / (fields.len() * size[0] * size[1]) as f64
        };
        // About 60 · 1920 / (2π · 6 · 4 / 2) independent patches: a standard error near 0.02.
        assert!((product(0, 0) - 1.0).abs() < 0.08, "{}", product(0, 0));
        let one_over_e = (-1.0_f64).exp();
        assert!((product(6, 0) - one_over_e).abs() < 0.08, "{}", product(6, 0));
        assert!((product(0, 4) - one_over_e).abs() < 0.08, "{}", product(0, 4));
        assert!(product(24, 20).abs() < 0.08);
    }

    #[test]
    fn numbers_and_seeds_give_other_fields_and_the_same_give_the_same() {
        let field = |seed, number| random_field(&Streams::new("test", seed), number, [8, 8], [2.0, 2.0]);
        assert_eq!(field(1, 0), field(1, 0));
        assert_ne!(field(1, 0), field(1, 1));
        assert_ne!(field(1, 0), field(2, 0));
    }
}
