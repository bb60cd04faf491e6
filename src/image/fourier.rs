//! The image of one periodic in-plane cell by its Fourier coefficients: evaluated anywhere, never interpolated from pixels.

use super::{Radiance, Raster};
use crate::numerics::fft::Fft2;
use crate::numerics::grid::{self, Grid};
use num_complex::Complex64;
use serde::{Deserialize, Serialize};
use std::f64::consts::TAU;

/// A band-limited periodic image I(r) = Σ_hk c_hk exp(2πi(h u + k v)), r = u a1 + v a2; the unit is the fraction of the beam.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Stored", into = "Stored")]
pub struct FourierImage {
    cell_angstrom: [[f64; 2]; 2],
    h_max: usize,
    k_max: usize,
    /// (2 k_max + 1) rows of (2 h_max + 1): row k + k_max, column h + h_max.
    coefficients: Vec<Complex64>,
}

/// The image as a store keeps it: exact to the bit, with little-endian bytes for the coefficients.
#[derive(Serialize, Deserialize)]
struct Stored {
    cell_angstrom: [[f64; 2]; 2],
    limits: [usize; 2],
    #[serde(with = "bytes_as_they_are")]
    coefficients: Vec<u8>,
}

impl From<FourierImage> for Stored {
    fn from(image: FourierImage) -> Self {
        let coefficients = image.coefficients.iter().flat_map(|c| [c.re, c.im]).flat_map(f64::to_le_bytes).collect();
        Self { cell_angstrom: image.cell_angstrom, limits: [image.h_max, image.k_max], coefficients }
    }
}

impl TryFrom<Stored> for FourierImage {
    type Error = String;

    fn try_from(stored: Stored) -> Result<Self, String> {
        let [h_max, k_max] = stored.limits;
        let expected = h_max.checked_mul(2).and_then(|h| (h + 1).checked_mul(k_max.checked_mul(2)? + 1)).and_then(|n| n.checked_mul(16));
        if expected != Some(stored.coefficients.len()) {
            return Err(format!("{} bytes are no image of frequencies to {h_max} and {k_max}", stored.coefficients.len()));
        }
        let (numbers, _) = stored.coefficients.as_chunks::<8>();
        let numbers: Vec<f64> = numbers.iter().map(|b| f64::from_le_bytes(*b)).collect();
        let coefficients = numbers.as_chunks::<2>().0.iter().map(|&[re, im]| Complex64::new(re, im)).collect();
        Ok(Self { cell_angstrom: stored.cell_angstrom, h_max, k_max, coefficients })
    }
}

/// Bytes as one string of bytes, where serde would make a list of numbers of them.
mod bytes_as_they_are {
    use serde::de::{Deserializer, Error, Visitor};
    use serde::ser::Serializer;

    pub(super) fn serialize<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(bytes)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
        struct Bytes;
        impl Visitor<'_> for Bytes {
            type Value = Vec<u8>;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a string of bytes")
            }
            fn visit_bytes<E: Error>(self, bytes: &[u8]) -> Result<Vec<u8>, E> {
                Ok(bytes.to_vec())
            }
            fn visit_byte_buf<E: Error>(self, bytes: Vec<u8>) -> Result<Vec<u8>, E> {
                Ok(bytes)
            }
        }
        deserializer.deserialize_byte_buf(Bytes)
    }
}

/// Value, gradient (per Å) and Hessian (per Å²: xx, xy, yy) of an image at a point.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Derivatives {
    /// I.
    pub value: f64,
    /// dI/dx, dI/dy.
    pub gradient: [f64; 2],
    /// d²I/dx², d²I/dxdy, d²I/dy².
    pub hessian: [f64; 3],
}

impl FourierImage {
    /// An image of zeros on the cell `[a1, a2]` (Å, image axes) that holds the frequencies |h| ≤ h_max, |k| ≤ k_max.
    #[must_use]
    pub fn zeros(cell_angstrom: [[f64; 2]; 2], h_max: usize, k_max: usize) -> Self {
        let coefficients = vec![Complex64::default(); (2 * h_max + 1) * (2 * k_max + 1)];
        Self { cell_angstrom, h_max, k_max, coefficients }
    }

    /// The in-plane repeat vectors `[a1, a2]`, Å.
    #[must_use]
    pub fn cell_angstrom(&self) -> [[f64; 2]; 2] {
        self.cell_angstrom
    }

    /// Largest |h| and |k| held.
    #[must_use]
    pub fn limits(&self) -> [usize; 2] {
        [self.h_max, self.k_max]
    }

    /// The coefficient c_hk; zero outside the limits.
    #[must_use]
    pub fn coefficient(&self, h: i32, k: i32) -> Complex64 {
        self.index(h, k).map_or(Complex64::default(), |i| self.coefficients[i])
    }

    /// Adds to c_hk; frequencies outside the limits are refused by a `false`.
    pub fn add(&mut self, h: i32, k: i32, value: Complex64) -> bool {
        self.index(h, k).is_some_and(|i| {
            self.coefficients[i] += value;
            true
        })
    }

    /// The image through the samples of a grid of (2 h_max + 1) × (2 k_max + 1) points of the cell, row-major along a1: exact for an image
    /// that holds no higher frequency.
    ///
    /// # Panics
    /// If the number of samples is not that of the grid.
    #[must_use]
    pub fn from_samples(cell_angstrom: [[f64; 2]; 2], h_max: usize, k_max: usize, samples: &[f64]) -> Self {
        let (nx, ny) = (2 * h_max + 1, 2 * k_max + 1);
        assert_eq!(samples.len(), nx * ny, "one sample for each coefficient");
        let fft = Fft2::<f64>::new(nx, ny);
        let mut spectrum: Vec<Complex64> = samples.iter().map(|&s| Complex64::new(s / (nx * ny) as f64, 0.0)).collect();
        fft.forward(&mut spectrum, &mut fft.scratch());
        let mut image = Self::zeros(cell_angstrom, h_max, k_max);
        let grid = Grid { nx, ny, cell_angstrom };
        for (i, (h, k)) in grid.frequencies().enumerate() {
            image.add(h, k, spectrum[i]);
        }
        image
    }

    /// The mean image of the cells of an N×N supercell, on `cell_angstrom`: only every N-th frequency survives the average.
    #[must_use]
    pub fn folded(&self, cell_angstrom: [[f64; 2]; 2], repeats: usize) -> Self {
        let n = repeats as i32;
        let mut folded = Self::zeros(cell_angstrom, self.h_max / repeats, self.k_max / repeats);
        for (h, k, c) in self.iter().filter(|(h, k, _)| h % n == 0 && k % n == 0) {
            folded.add(h / n, k / n, c);
        }
        folded
    }

    /// Multiplies the image by a number.
    pub fn scale(&mut self, factor: f64) {
        self.coefficients.iter_mut().for_each(|c| *c *= factor);
    }

    /// Adds another image of the same cell; frequencies this one does not hold are left out.
    pub fn accumulate(&mut self, other: &Self) {
        for (h, k, c) in other.iter() {
            self.add(h, k, c);
        }
    }

    fn index(&self, h: i32, k: i32) -> Option<usize> {
        let (h_max, k_max) = (self.h_max as i32, self.k_max as i32);
        (h.abs() <= h_max && k.abs() <= k_max).then(|| ((k + k_max) * (2 * h_max + 1) + h + h_max) as usize)
    }

    /// All `(h, k, c_hk)`, k slow.
    pub fn iter(&self) -> impl Iterator<Item = (i32, i32, Complex64)> + '_ {
        let (h_max, k_max) = (self.h_max as i32, self.k_max as i32);
        let frequencies = (-k_max..=k_max).flat_map(move |k| (-h_max..=h_max).map(move |h| (h, k)));
        frequencies.zip(&self.coefficients).map(|((h, k), &c)| (h, k, c))
    }

    /// Reciprocal vectors `[b1, b2]` with a_i · b_j = δ_ij, 1/Å.
    #[must_use]
    pub fn reciprocal(&self) -> [[f64; 2]; 2] {
        grid::reciprocal(self.cell_angstrom)
    }

    /// The same image seen with an effective source of Gaussian profile, full width at half maximum in Å.
    #[must_use]
    pub fn blurred(&self, source_fwhm_angstrom: f64) -> Self {
        let sigma = source_fwhm_angstrom / (8.0 * std::f64::consts::LN_2).sqrt();
        self.filtered(|q_squared| (-0.5 * (TAU * sigma).powi(2) * q_squared).exp())
    }

    /// The same image with every coefficient multiplied by a factor of |q|², 1/Å².
    #[must_use]
    pub fn filtered(&self, transfer: impl Fn(f64) -> f64) -> Self {
        let [b1, b2] = self.reciprocal();
        let mut out = self.clone();
        let weights = self.iter().map(|(h, k, _)| {
            let q = [0, 1].map(|i| f64::from(h) * b1[i] + f64::from(k) * b2[i]);
            transfer(q[0] * q[0] + q[1] * q[1])
        });
        for (c, w) in out.coefficients.iter_mut().zip(weights) {
            *c *= w;
        }
        out
    }

    /// Value of the image at `r_angstrom`.
    #[must_use]
    pub fn value(&self, r_angstrom: [f64; 2]) -> f64 {
        self.derivatives(r_angstrom).value
    }

    /// Value, gradient and Hessian at `r_angstrom`: exact derivatives of the Fourier series.
    #[must_use]
    pub fn derivatives(&self, r_angstrom: [f64; 2]) -> Derivatives {
        let [b1, b2] = self.reciprocal();
        let uv = [b1, b2].map(|b| b[0] * r_angstrom[0] + b[1] * r_angstrom[1]);
        let step = [Complex64::cis(TAU * uv[0]), Complex64::cis(TAU * uv[1])];
        let start = [self.h_max, self.k_max].map(|n| -(n as i32));
        let mut out = Derivatives::default();
        let mut row_phase = step[1].powi(start[1]);
        let width = 2 * self.h_max + 1;
        for (row, coefficients) in self.coefficients.chunks_exact(width).enumerate() {
            let k = f64::from(start[1] + row as i32);
            let mut phase = row_phase * step[0].powi(start[0]);
            for (column, c) in coefficients.iter().enumerate() {
                let h = f64::from(start[0] + column as i32);
                let term = c * phase;
                let q = [0, 1].map(|i| TAU * (h * b1[i] + k * b2[i]));
                out.value += term.re;
                out.gradient[0] -= q[0] * term.im;
                out.gradient[1] -= q[1] * term.im;
                out.hessian[0] -= q[0] * q[0] * term.re;
                out.hessian[1] -= q[0] * q[1] * term.re;
                out.hessian[2] -= q[1] * q[1] * term.re;
                phase *= step[0];
            }
            row_phase *= step[1];
        }
        out
    }

    /// Mean of the image: the fraction of the beam a uniform illumination scatters to the detector.
    #[must_use]
    pub fn mean(&self) -> f64 {
        self.coefficient(0, 0).re
    }

    /// Samples on a square grid: `height` rows of `width` values, pixel (ix, iy) at `origin + pixel (ix, iy)`, Å.
    #[must_use]
    pub fn sample(&self, origin_angstrom: [f64; 2], pixel_angstrom: f64, width: usize, height: usize) -> Vec<f64> {
        use rayon::prelude::*;
        let raster = Raster { origin_angstrom, pixel_angstrom, width, height };
        let mut samples = vec![0.0; width * height];
        samples.par_chunks_mut(width.max(1)).enumerate().for_each(|(iy, row)| {
            let positions: Vec<[f64; 2]> = raster.row(iy).collect();
            self.evaluate(&positions, row);
        });
        samples
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn example() -> FourierImage {
        let mut image = FourierImage::zeros([[4.0, 0.3], [-0.2, 3.5]], 2, 1);
        for (h, k, re, im) in [(0, 0, 1.0, 0.0), (1, 0, 0.2, 0.1), (-1, 0, 0.2, -0.1), (2, 1, 0.05, -0.03), (-2, -1, 0.05, 0.03)] {
            assert!(image.add(h, k, Complex64::new(re, im)));
        }
        image
    }

    #[test]
    fn value_repeats_with_the_cell_and_frequencies_outside_are_refused() {
        let mut image = example();
        let [a1, a2] = image.cell_angstrom();
        let r = [0.7, -1.1];
        let moved = [r[0] + a1[0] - 2.0 * a2[0], r[1] + a1[1] - 2.0 * a2[1]];
        assert!((image.value(r) - image.value(moved)).abs() < 1e-12);
        assert!(!image.add(3, 0, Complex64::new(1.0, 0.0)));
    }

    #[test]
    fn derivatives_match_finite_differences() {
        let (image, r, d) = (example(), [0.4, 0.9], 1e-4);
        let at = |x: f64, y: f64| image.value([r[0] + x, r[1] + y]);
        let exact = image.derivatives(r);
        assert!(((at(d, 0.0) - at(-d, 0.0)) / (2.0 * d) - exact.gradient[0]).abs() < 1e-6);
        assert!(((at(0.0, d) - at(0.0, -d)) / (2.0 * d) - exact.gradient[1]).abs() < 1e-6);
        let xy = (at(d, d) - at(d, -d) - at(-d, d) + at(-d, -d)) / (4.0 * d * d);
        assert!((xy - exact.hessian[1]).abs() < 1e-5);
        let yy = (at(0.0, d) - 2.0 * at(0.0, 0.0) + at(0.0, -d)) / (d * d);
        assert!((yy - exact.hessian[2]).abs() < 1e-5);
    }

    #[test]
    fn a_wider_source_lowers_contrast_and_keeps_the_mean() {
        let (sharp, soft) = (example(), example().blurred(1.0));
        assert!((sharp.mean() - soft.mean()).abs() < 1e-15);
        let contrast = |i: &FourierImage| i.coefficient(1, 0).norm();
        let q = (sharp.reciprocal()[0][0].powi(2) + sharp.reciprocal()[0][1].powi(2)).sqrt();
        // The Fourier transform of a Gaussian of FWHM w is exp(-(π q w)² / (4 ln 2)).
        let expected = (-(std::f64::consts::PI * q).powi(2) / (4.0 * std::f64::consts::LN_2)).exp();
        assert!((contrast(&soft) / contrast(&sharp) - expected).abs() < 1e-12);
    }
}
