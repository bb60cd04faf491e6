//! Column estimators against scenes whose answer is known: Gaussians on pixels (px) and Fourier images with a closed form (Å).

use mistilt::columns::{
    ColumnFit, Estimator, FitFailure, PixelWindow, Pixels, Window, measure, measure_cell, measure_cell_pixels, measure_pixels,
};
use mistilt::image::FourierImage;
use num_complex::Complex64;
use proptest::prelude::*;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};

const WINDOW: PixelWindow = PixelWindow { radius_px: 7.5, empirical: true };

/// Height, position, standard deviations along its axes, angle of the first (rad).
#[derive(Clone, Copy)]
struct Peak {
    height: f64,
    position: [f64; 2],
    sigma: [f64; 2],
    angle: f64,
}

impl Peak {
    fn round(height: f64, position: [f64; 2], sigma: f64) -> Self {
        Self { height, position, sigma: [sigma; 2], angle: 0.0 }
    }

    fn value(&self, x: f64, y: f64) -> f64 {
        let (x, y) = (x - self.position[0], y - self.position[1]);
        let (sin, cos) = self.angle.sin_cos();
        let (u, v) = ((cos * x + sin * y) / self.sigma[0], (cos * y - sin * x) / self.sigma[1]);
        self.height * (-0.5 * (u * u + v * v)).exp()
    }
}

/// Pixels of a side, with a background and noise drawn by `noise`.
fn scene(side: usize, peaks: &[Peak], background: f64, mut noise: impl FnMut(f64) -> f64) -> Vec<f32> {
    let pixels = (0..side * side).map(|i| {
        let (x, y) = ((i % side) as f64, (i / side) as f64);
        let clean = background + peaks.iter().map(|p| p.value(x, y)).sum::<f64>();
        (clean + noise(clean)) as f32
    });
    pixels.collect()
}

fn distance(fit: &ColumnFit, truth: [f64; 2]) -> f64 {
    (fit.position[0] - truth[0]).hypot(fit.position[1] - truth[1])
}

fn normal(random: &mut ChaCha8Rng) -> f64 {
    StandardNormal.sample(random)
}

#[test]
fn a_gaussian_is_found_to_a_millionth_of_a_pixel_without_noise() {
    // f32 pixels round to 6e-8 of their value; 64 subpixel positions, widths and angles.
    for i in 0..64 {
        let t = f64::from(i);
        let position = [12.0 + (t * 0.37).fract() - 0.5, 12.0 + (t * 0.71).fract() - 0.5];
        let angle = t * 0.1 - 1.5;
        let peak = Peak { height: 100.0, position, sigma: [2.6, 1.9], angle };
        let values = scene(25, &[peak], 20.0, |_| 0.0);
        let pixels = Pixels::new(&values, 25, 25).expect("a square");
        let start = [position[0] + 0.8 * t.cos(), position[1] + 0.8 * t.sin()];
        let fit = measure_pixels(&pixels, start, &WINDOW, Estimator::Gaussian).expect("a clean peak");
        assert!(distance(&fit, position) < 1e-6, "{i}: {fit:?}");
        let widths = fit.widths.expect("a Gaussian has widths");
        assert!((widths.sigma_major - 2.6).abs() < 1e-6 && (widths.sigma_minor - 1.9).abs() < 1e-6, "{widths:?}");
        let turn = (widths.angle_mrad * 1e-3 - angle).rem_euclid(std::f64::consts::PI);
        assert!(turn.min(std::f64::consts::PI - turn) < 1e-5, "{widths:?} {angle}");
        assert!((fit.amplitude - 100.0).abs() < 1e-4 && (fit.background - 20.0).abs() < 1e-4);
        assert!(fit.iterations <= 8, "{}", fit.iterations);
        let round = Peak { sigma: [2.2; 2], ..peak };
        let values = scene(25, &[round], 20.0, |_| 0.0);
        let fit =
            measure_pixels(&Pixels::new(&values, 25, 25).expect("a square"), start, &WINDOW, Estimator::RoundGaussian).expect("round");
        assert!(distance(&fit, position) < 1e-6, "{i}: {fit:?}");
    }
}

#[test]
fn formal_and_empirical_covariance_match_the_scatter_of_500_fits_in_white_noise() {
    let peak = Peak { height: 100.0, position: [12.2, 11.7], sigma: [3.0, 1.8], angle: 0.6 };
    for estimator in [Estimator::Gaussian, Estimator::Maximum, Estimator::CentreOfMass] {
        let mut random = ChaCha8Rng::seed_from_u64(7);
        let fits: Vec<ColumnFit> = (0..500)
            .map(|_| {
                let values = scene(25, &[peak], 20.0, |_| 4.0 * normal(&mut random));
                measure_pixels(&Pixels::new(&values, 25, 25).expect("a square"), [12.0, 12.0], &WINDOW, estimator).expect("a clear peak")
            })
            .collect();
        let mean = [0, 1].map(|k| fits.iter().map(|f| f.position[k]).sum::<f64>() / 500.0);
        for k in [0, 1] {
            let scatter = (fits.iter().map(|f| (f.position[k] - mean[k]).powi(2)).sum::<f64>() / 499.0).sqrt();
            let average =
                |of: &dyn Fn(&ColumnFit) -> Option<[f64; 3]>| (fits.iter().filter_map(|f| Some(of(f)?[2 * k])).sum::<f64>() / 500.0).sqrt();
            let formal = average(&|f| f.covariance);
            let empirical = average(&|f| f.empirical_covariance);
            println!(
                "{estimator:?} axis {k}: scatter {scatter:.4} formal {formal:.4} empirical {empirical:.4} bias {:.4}",
                mean[k] - peak.position[k]
            );
        }
    }
}

/// Correlated noise of unit variance: white noise through a kernel.
fn correlated(side: usize, random: &mut ChaCha8Rng, along: [f64; 2], autoregressive: bool) -> Vec<f64> {
    let margin = 8;
    let wide = side + 2 * margin;
    let white: Vec<f64> = (0..wide * wide).map(|_| normal(random)).collect();
    if autoregressive {
        let mut rows = white;
        let rho = along[0];
        for row in rows.chunks_exact_mut(wide) {
            for i in 1..wide {
                row[i] = rho * row[i - 1] + (1.0 - rho * rho).sqrt() * row[i];
            }
        }
        return (0..side * side).map(|i| rows[(i / side + margin) * wide + i % side + margin]).collect();
    }
    let kernel = |sigma: f64, d: f64| if sigma > 0.0 { (-0.5 * (d / sigma).powi(2)).exp() } else { f64::from(u8::from(d == 0.0)) };
    let reach = 4i64;
    let taps: Vec<(i64, i64, f64)> = (-reach..=reach)
        .flat_map(|dy| (-reach..=reach).map(move |dx| (dx, dy)))
        .map(|(dx, dy)| (dx, dy, kernel(along[0], dx as f64) * kernel(along[1], dy as f64)))
        .collect();
    let norm = taps.iter().map(|t| t.2 * t.2).sum::<f64>().sqrt();
    (0..side * side)
        .map(|i| {
            let (x, y) = ((i % side + margin) as i64, (i / side + margin) as i64);
            taps.iter().map(|(dx, dy, t)| t * white[((y + dy) * wide as i64 + x + dx) as usize]).sum::<f64>() / norm
        })
        .collect()
}

#[test]
fn correlated_noise_coverage() {
    let peak = Peak { height: 100.0, position: [12.2, 11.7], sigma: [2.4, 2.4], angle: 0.0 };
    for (name, along, ar) in [
        ("white", [0.0, 0.0], false),
        ("smooth 0.7", [0.7, 0.7], false),
        ("smooth 1", [1.0, 1.0], false),
        ("smooth 1.3", [1.3, 1.3], false),
        ("rows", [0.6, 0.0], true),
        ("scan", [1.0, 0.0], false),
    ] {
        let mut random = ChaCha8Rng::seed_from_u64(3);
        let (mut inside, mut inside_formal, mut n, mut scatter) = (0.0, 0.0, 0.0, 0.0);
        let (mut f2, mut e2) = (0.0, 0.0);
        for _ in 0..400 {
            let noise = correlated(25, &mut random, along, ar);
            let mut next = noise.iter();
            let values = scene(25, &[peak], 20.0, |_| 4.0 * next.next().expect("a draw a pixel"));
            let fit = measure_pixels(&Pixels::new(&values, 25, 25).expect("a square"), [12.0, 12.0], &WINDOW, Estimator::Gaussian)
                .expect("a clear peak");
            let (formal, empirical) = (fit.covariance.expect("noise"), fit.empirical_covariance.expect("residuals"));
            for k in [0, 1] {
                let error = fit.position[k] - peak.position[k];
                inside += f64::from(u8::from(error.abs() < empirical[2 * k].sqrt()));
                inside_formal += f64::from(u8::from(error.abs() < formal[2 * k].sqrt()));
                scatter += error * error;
                f2 += formal[2 * k];
                e2 += empirical[2 * k];
                n += 1.0;
            }
        }
        println!(
            "{name}: coverage {:.3} formal {:.3}; sd {:.4} formal {:.4} empirical {:.4}",
            inside / n,
            inside_formal / n,
            f64::sqrt(scatter / n),
            f64::sqrt(f2 / n),
            f64::sqrt(e2 / n)
        );
    }
}
