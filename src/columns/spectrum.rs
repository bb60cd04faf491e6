//! The Bragg peaks of an image: local maxima of its mean power spectrum, sub-bin, strongest first; frequencies in cycles per pixel.
//!
//! The spectrum is the mean over overlapping Hann-windowed tiles (Welch, IEEE Trans. Audio 15 (1967) 70), so drift and slow
//! distortion across a large image do not smear its peaks and memory stays bounded.

use super::background::{Prepared, median};
use rayon::prelude::*;
use rustfft::{FftPlanner, num_complex::Complex};
use std::f64::consts::TAU;

/// A peak of the power spectrum.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Bragg {
    /// Frequency along x and y, cycles per pixel, in the half-plane y > 0 or (y = 0, x > 0).
    pub(crate) g: [f64; 2],
    /// Power of the peak bin, arbitrary units.
    pub(crate) power: f64,
}

const TILE: usize = 1024;
/// A peak must rise this far above the mean noise power around it: chance alone passes it once in e^18 bins.
const PROMINENCE: f64 = 18.0;

/// The strongest Bragg peaks, at most 40, strongest first.
pub(crate) fn bragg_peaks(image: &Prepared) -> Vec<Bragg> {
    let tile = [image.width.min(TILE), image.height.min(TILE)];
    // Small images are padded so that a peak spans several bins.
    let size = tile.map(|n| if n <= TILE / 2 { 2 * n } else { n });
    let power = mean_power(image, tile, size);
    let mut peaks: Vec<(f64, [i64; 2])> = local_maxima(&power, tile, size);
    peaks.sort_unstable_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
    peaks.truncate(400);
    let bins = size.map(|n| n as f64);
    let mut found: Vec<Bragg> = peaks
        .into_iter()
        .filter_map(|(value, at)| {
            let around = surroundings(&power, size, at);
            let g = refine(&power, size, at);
            (around > 0.0 && value > PROMINENCE * around).then(|| Bragg { g: [g[0] / bins[0], g[1] / bins[1]], power: value })
        })
        .collect();
    found.truncate(40);
    found
}

fn mean_power(image: &Prepared, tile: [usize; 2], size: [usize; 2]) -> Vec<f64> {
    let starts = |n: usize, t: usize| -> Vec<usize> {
        let count = if n == t { 1 } else { (2 * n / t).min(4) };
        (0..count).map(|i| if count == 1 { 0 } else { (n - t) * i / (count - 1) }).collect()
    };
    let corners: Vec<[usize; 2]> =
        starts(image.height, tile[1]).into_iter().flat_map(|y| starts(image.width, tile[0]).into_iter().map(move |x| [x, y])).collect();
    let flat = image.band(0.0, (tile[0].min(tile[1]) as f64 / 8.0).max(2.0));
    let mut planner = FftPlanner::<f32>::new();
    let plans = [planner.plan_fft_forward(size[0]), planner.plan_fft_forward(size[1])];
    let hann = tile.map(|n| -> Vec<f32> { (0..n).map(|i| (0.5 - 0.5 * (TAU * (i as f64 + 0.5) / n as f64).cos()) as f32).collect() });
    let mut power = vec![0.0_f64; size[0] * size[1]];
    for [x0, y0] in corners {
        let mut rows = vec![Complex::new(0.0_f32, 0.0); size[0] * size[1]];
        rows.par_chunks_exact_mut(size[0]).take(tile[1]).enumerate().for_each(|(y, row)| {
            let source = &flat[(y0 + y) * image.width + x0..][..tile[0]];
            let ok = &image.valid[(y0 + y) * image.width + x0..][..tile[0]];
            for (x, out) in row.iter_mut().take(tile[0]).enumerate() {
                *out = Complex::new(if ok[x] { source[x] * hann[0][x] * hann[1][y] } else { 0.0 }, 0.0);
            }
            plans[0].process(row);
        });
        let mut turned = vec![Complex::new(0.0_f32, 0.0); rows.len()];
        turned.par_chunks_exact_mut(size[1]).enumerate().for_each(|(x, column)| {
            for (y, out) in column.iter_mut().enumerate() {
                *out = rows[y * size[0] + x];
            }
            plans[1].process(column);
        });
        power.par_iter_mut().zip(&turned).for_each(|(p, c)| *p += f64::from(c.norm_sqr()));
    }
    power
}

/// Power at the signed frequency bin `[x, y]`; the array is stored column after column.
fn at(power: &[f64], size: [usize; 2], bin: [i64; 2]) -> f64 {
    let [x, y] = [bin[0].rem_euclid(size[0] as i64) as usize, bin[1].rem_euclid(size[1] as i64) as usize];
    power[x * size[1] + y]
}

fn local_maxima(power: &[f64], tile: [usize; 2], size: [usize; 2]) -> Vec<(f64, [i64; 2])> {
    let half = size.map(|n| n as i64 / 2);
    // Fewer than 2.5 periods across the tile are background, not lattice.
    let slowest = 2.5 / tile[0].min(tile[1]) as f64;
    (-half[0] + 1..half[0])
        .into_par_iter()
        .flat_map_iter(move |x| {
            (0..half[1]).filter_map(move |y| {
                let far = (x as f64 / size[0] as f64).hypot(y as f64 / size[1] as f64) >= slowest;
                if !far || (y == 0 && x <= 0) {
                    return None;
                }
                let value = at(power, size, [x, y]);
                let neighbours = (-2..=2).flat_map(|dx| (-2..=2).map(move |dy| [dx, dy])).filter(|d| *d != [0, 0]);
                let highest = neighbours.into_iter().all(|[dx, dy]| {
                    let other = at(power, size, [x + dx, y + dy]);
                    value.total_cmp(&other).then((dx, dy).cmp(&(0, 0))).is_gt()
                });
                (highest && value > 0.0).then_some((value, [x, y]))
            })
        })
        .collect()
}

/// Mean noise power in a square ring around a bin, from its median (for noise the power is exponentially distributed).
fn surroundings(power: &[f64], size: [usize; 2], bin: [i64; 2]) -> f64 {
    let ring = (-9_i64..=9).flat_map(|dx| (-9_i64..=9).map(move |dy| [dx, dy])).filter(|d| d[0].abs().max(d[1].abs()) >= 6);
    let values = ring.map(|d| at(power, size, [bin[0] + d[0], bin[1] + d[1]])).collect();
    median(values).unwrap_or(0.0) / std::f64::consts::LN_2
}

/// Peak of a parabola through the logarithms of three bins along each axis: exact for a Gaussian peak, and nearly so for Hann's.
fn refine(power: &[f64], size: [usize; 2], bin: [i64; 2]) -> [f64; 2] {
    let along = |axis: usize| {
        let mut step = [0, 0];
        step[axis] = 1;
        let [low, mid, high] = [-1, 0, 1].map(|s| at(power, size, [bin[0] + s * step[0], bin[1] + s * step[1]]).max(1e-300).ln());
        let curvature = low - 2.0 * mid + high;
        let shift = if curvature < -1e-12 { 0.5 * (low - high) / curvature } else { 0.0 };
        bin[axis] as f64 + shift.clamp(-0.5, 0.5)
    };
    [along(0), along(1)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wave_is_found_to_a_hundredth_of_a_bin_on_a_non_square_image() {
        let (width, height) = (150, 97);
        let g = [0.0731, 0.1123];
        let wave = |x: usize, y: usize| (TAU * (g[0] * x as f64 + g[1] * y as f64)).cos() as f32 + 0.01 * x as f32;
        let image: Vec<f32> = (0..width * height).map(|i| wave(i % width, i / width)).collect();
        let peaks = bragg_peaks(&Prepared::new(&image, width, height).unwrap());
        assert!((peaks[0].g[0] - g[0]).abs() * 150.0 < 0.02, "{:?}", peaks[0]);
        assert!((peaks[0].g[1] - g[1]).abs() * 97.0 < 0.02);
    }
}
