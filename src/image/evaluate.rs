//! Fast evaluation of a Fourier image at many positions: half the coefficients, phases by recurrence, rows of equal height share a sum.

use super::{FourierImage, Radiance, SourceShape};
use num_complex::Complex64;
use std::f64::consts::TAU;

/// Coefficients folded to h ≥ 0 (c_hk + conj c_−h−k; the real part of the whole sum from half of it): rows of k, real and imaginary apart.
struct Folded {
    limits: [usize; 2],
    re: Vec<f64>,
    im: Vec<f64>,
}

impl Folded {
    fn new(image: &FourierImage) -> Self {
        let limits = image.limits();
        let [h_max, k_max] = limits.map(|n| n as i32);
        let folded = (-k_max..=k_max).flat_map(|k| {
            (0..=h_max).map(move |h| {
                let c = image.coefficient(h, k);
                if h == 0 { c } else { c + image.coefficient(-h, -k).conj() }
            })
        });
        let (re, im) = folded.map(|c| (c.re, c.im)).unzip();
        Self { limits, re, im }
    }

    /// Σ_k c_hk exp(2πikv) for every h, into the real and imaginary parts `re`, `im`.
    fn along_h(&self, v: f64, powers: &mut [Complex64], re: &mut [f64], im: &mut [f64]) {
        let [h_max, k_max] = self.limits;
        let step = Complex64::cis(TAU * v);
        powers[k_max] = Complex64::ONE;
        for k in 1..=k_max {
            let power = powers[k_max + k - 1] * step;
            powers[k_max + k] = power;
            powers[k_max - k] = power.conj();
        }
        re.fill(0.0);
        im.fill(0.0);
        let width = h_max + 1;
        for (power, (row_re, row_im)) in powers.iter().zip(self.re.chunks_exact(width).zip(self.im.chunks_exact(width))) {
            let sums = re.iter_mut().zip(im.iter_mut());
            for ((sum_re, sum_im), (c_re, c_im)) in sums.zip(row_re.iter().zip(row_im)) {
                *sum_re += c_re * power.re - c_im * power.im;
                *sum_im += c_re * power.im + c_im * power.re;
            }
        }
    }
}

impl Radiance for FourierImage {
    fn evaluate(&self, positions_angstrom: &[[f64; 2]], out: &mut [f64]) {
        assert_eq!(positions_angstrom.len(), out.len(), "one value a position");
        let folded = Folded::new(self);
        let [h_max, k_max] = folded.limits;
        let [b1, b2] = self.reciprocal();
        let mut powers = vec![Complex64::ONE; 2 * k_max + 1];
        let (mut re, mut im) = (vec![0.0; h_max + 1], vec![0.0; h_max + 1]);
        // Equal fractions along a2, as in a row along a1, share the sums over k. Compared by bits, so that no value depends on its neighbours.
        let mut height = None;
        for (r, value) in positions_angstrom.iter().zip(out) {
            let v = b2[0] * r[0] + b2[1] * r[1];
            if height != Some(v.to_bits()) {
                folded.along_h(v, &mut powers, &mut re, &mut im);
                height = Some(v.to_bits());
            }
            let step = Complex64::cis(TAU * (b1[0] * r[0] + b1[1] * r[1]));
            let (mut phase, mut sum) = (Complex64::ONE, 0.0);
            for (re, im) in re.iter().zip(&im) {
                sum += re * phase.re - im * phase.im;
                phase *= step;
            }
            *value = sum;
        }
    }

    fn seen_with(&self, source: &SourceShape) -> Option<Box<dyn Radiance + '_>> {
        Some(Box::new(self.filtered(|q_squared| source.transfer(q_squared))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn example(cell: [[f64; 2]; 2], h_max: usize, k_max: usize) -> FourierImage {
        let mut image = FourierImage::zeros(cell, h_max, k_max);
        let (h, k) = (h_max as i32, k_max as i32);
        for (i, (h, k)) in (-k..=k).flat_map(|k| (-h..=h).map(move |h| (h, k))).enumerate() {
            assert!(image.add(h, k, Complex64::new((i as f64 * 0.7).sin(), (i as f64 * 1.3).cos())));
        }
        image
    }

    #[test]
    fn values_at_any_positions_are_those_of_the_series() {
        for (cell, h, k) in [([[3.96, 0.0], [0.04, 3.95]], 10, 10), ([[3.9, 0.4], [-0.3, 4.1]], 3, 2), ([[40.0, 0.0], [0.0, 4.0]], 60, 6)] {
            let image = example(cell, h, k);
            // Rows of one height, then jittered, far away and repeated.
            let row = (0..50).map(|i| [0.17 * f64::from(i) - 3.0, 1.37]);
            let jittered = (0..50).map(|i| [0.2 * f64::from(i) + 0.01 * f64::from(i * i % 7), 2.0 + 0.013 * f64::from(i % 5)]);
            let positions: Vec<[f64; 2]> = row.chain(jittered).chain([[151.3, -87.2], [151.3, -87.2]]).collect();
            let mut values = vec![f64::NAN; positions.len()];
            image.evaluate(&positions, &mut values);
            let largest = values.iter().fold(0.0_f64, |m, v| m.max(v.abs()));
            for (r, value) in positions.iter().zip(&values) {
                assert!((value - image.value(*r)).abs() < 1e-12 * largest, "{r:?}: {value} {}", image.value(*r));
            }
            let mut alone = [0.0];
            image.evaluate(&positions[60..61], &mut alone);
            assert_eq!(alone[0], values[60], "no value depends on its neighbours");
        }
    }

    #[test]
    fn a_source_gives_the_image_its_blur() {
        let image = example([[3.96, 0.0], [0.04, 3.95]], 6, 6);
        let source = SourceShape { fwhm_angstrom: 0.8, ..SourceShape::default() };
        let seen = image.seen_with(&source).unwrap();
        let mut value = [0.0];
        seen.evaluate(&[[1.0, 0.3]], &mut value);
        assert!((value[0] - image.blurred(0.8).value([1.0, 0.3])).abs() < 1e-12 * value[0].abs().max(1.0));
    }
}
