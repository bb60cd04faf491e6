//! Two-dimensional FFTs on row-major arrays through `rustfft`; unscaled in both directions: inverse(forward(x)) = nx·ny·x.

use num_complex::Complex;
use rustfft::{Fft, FftNum, FftPlanner};
use std::sync::Arc;

/// Plans for one grid size; forward is Σ f exp(−2πi...), inverse Σ f exp(+2πi...).
#[derive(Clone)]
pub struct Fft2<T: FftNum> {
    nx: usize,
    ny: usize,
    rows: [Arc<dyn Fft<T>>; 2],
    columns: [Arc<dyn Fft<T>>; 2],
}

/// Buffers a transform works in; one a thread.
#[derive(Default)]
pub struct Fft2Scratch<T> {
    transposed: Vec<Complex<T>>,
    inner: Vec<Complex<T>>,
}

impl<T: FftNum + Default> Fft2<T> {
    /// Plans for `ny` rows of `nx` values.
    #[must_use]
    pub fn new(nx: usize, ny: usize) -> Self {
        let mut planner = FftPlanner::new();
        let mut both = |n| [planner.plan_fft_forward(n), planner.plan_fft_inverse(n)];
        let (rows, columns) = (both(nx), both(ny));
        Self { nx, ny, rows, columns }
    }

    /// Scratch for this size.
    #[must_use]
    pub fn scratch(&self) -> Fft2Scratch<T> {
        let longest = self.rows.iter().chain(&self.columns).map(|f| f.get_inplace_scratch_len()).max().unwrap_or(0);
        Fft2Scratch { transposed: vec![Complex::default(); self.nx * self.ny], inner: vec![Complex::default(); longest] }
    }

    /// Real space to frequencies, in place.
    pub fn forward(&self, data: &mut [Complex<T>], scratch: &mut Fft2Scratch<T>) {
        self.run(0, data, scratch);
    }

    /// Frequencies to real space, in place.
    pub fn inverse(&self, data: &mut [Complex<T>], scratch: &mut Fft2Scratch<T>) {
        self.run(1, data, scratch);
    }

    fn run(&self, direction: usize, data: &mut [Complex<T>], scratch: &mut Fft2Scratch<T>) {
        self.rows[direction].process_with_scratch(data, &mut scratch.inner);
        transpose(data, &mut scratch.transposed, self.nx, self.ny);
        self.columns[direction].process_with_scratch(&mut scratch.transposed, &mut scratch.inner);
        transpose(&scratch.transposed, data, self.ny, self.nx);
    }
}

/// Blocked transpose of `height` rows of `width` values: the blocks keep both sides in cache.
fn transpose<T: Copy>(from: &[T], to: &mut [T], width: usize, height: usize) {
    const BLOCK: usize = 16;
    for y0 in (0..height).step_by(BLOCK) {
        for x0 in (0..width).step_by(BLOCK) {
            for y in y0..(y0 + BLOCK).min(height) {
                for x in x0..(x0 + BLOCK).min(width) {
                    to[x * height + y] = from[y * width + x];
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::f64::consts::TAU;

    #[test]
    fn a_plane_wave_lands_on_its_own_frequency_and_comes_back() {
        let (nx, ny) = (20, 12);
        let fft = Fft2::<f64>::new(nx, ny);
        let wave: Vec<_> =
            (0..nx * ny).map(|i| Complex::cis(TAU * (3.0 * (i % nx) as f64 / nx as f64 - 2.0 * (i / nx) as f64 / ny as f64))).collect();
        let mut data = wave.clone();
        let mut scratch = fft.scratch();
        fft.forward(&mut data, &mut scratch);
        for (i, value) in data.iter().enumerate() {
            let expected = if (i % nx, i / nx) == (3, ny - 2) { (nx * ny) as f64 } else { 0.0 };
            assert!((value - expected).norm() < 1e-10);
        }
        fft.inverse(&mut data, &mut scratch);
        let scale = (nx * ny) as f64;
        assert!(data.iter().zip(&wave).all(|(a, b)| (a / scale - b).norm() < 1e-12));
    }
}
