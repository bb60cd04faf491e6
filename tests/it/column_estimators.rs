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
use std::f64::consts::{PI, TAU};

const WINDOW: PixelWindow = PixelWindow { radius_px: 7.5, empirical: true };
const ALL: [Estimator; 5] =
    [Estimator::CentreOfMass, Estimator::RawCentreOfMass, Estimator::Gaussian, Estimator::RoundGaussian, Estimator::Maximum];

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

/// Square pixels of a side: peaks on a background of 20, and noise one draw a pixel.
fn scene(side: usize, peaks: &[Peak], mut noise: impl FnMut() -> f64) -> Vec<f32> {
    let pixels = (0..side * side).map(|i| {
        let (x, y) = ((i % side) as f64, (i / side) as f64);
        (20.0 + peaks.iter().map(|p| p.value(x, y)).sum::<f64>() + noise()) as f32
    });
    pixels.collect()
}

fn fit(values: &[f32], start: [f64; 2], estimator: Estimator) -> Result<ColumnFit, FitFailure> {
    let side = values.len().isqrt();
    measure_pixels(&Pixels::new(values, side, side).expect("a square"), start, &WINDOW, estimator)
}

fn distance(p: [f64; 2], q: [f64; 2]) -> f64 {
    (p[0] - q[0]).hypot(p[1] - q[1])
}

fn normal(random: &mut ChaCha8Rng) -> f64 {
    StandardNormal.sample(random)
}

#[test]
fn a_gaussian_is_found_to_a_millionth_of_a_pixel_without_noise() {
    // Subpixel positions, angles and starts; f32 pixels round to 6e-8 of their value.
    for i in 0..64 {
        let t = f64::from(i);
        let position = [12.0 + (t * 0.37).fract() - 0.5, 12.0 + (t * 0.71).fract() - 0.5];
        let angle = t * 0.1 - 1.5;
        let start = [position[0] + t.cos(), position[1] + t.sin()];
        let peak = Peak { height: 100.0, position, sigma: [2.6, 1.9], angle };
        let found = fit(&scene(25, &[peak], || 0.0), start, Estimator::Gaussian).expect("a clean peak");
        assert!(distance(found.position, position) < 1e-6, "{i}: {found:?}");
        let widths = found.widths.expect("a Gaussian has widths");
        assert!((widths.sigma_major - 2.6).abs() < 1e-6 && (widths.sigma_minor - 1.9).abs() < 1e-6, "{widths:?}");
        let turn = (widths.angle_mrad * 1e-3 - angle).rem_euclid(PI);
        assert!(turn.min(PI - turn) < 1e-5, "{widths:?} {angle}");
        assert!((found.amplitude - 100.0).abs() < 1e-4 && (found.background - 20.0).abs() < 1e-4);
        assert!(found.residual_rms.expect("a model") < 1e-5 && found.iterations <= 8, "{found:?}");
        let values = scene(25, &[Peak::round(100.0, position, 2.2)], || 0.0);
        let found = fit(&values, start, Estimator::RoundGaussian).expect("a clean peak");
        assert!(distance(found.position, position) < 1e-6, "{i}: {found:?}");
    }
}

#[test]
fn centre_of_mass_and_maximum_of_a_symmetric_peak_on_a_pixel_are_that_pixel() {
    let values = scene(25, &[Peak::round(100.0, [12.0, 12.0], 2.2)], || 0.0);
    for estimator in ALL {
        let found = fit(&values, [12.6, 11.5], estimator).expect("a clean peak");
        assert!(distance(found.position, [12.0; 2]) < 2e-6, "{estimator:?} {found:?}");
        let skewness = found.skewness.expect("intensity");
        assert!(skewness[0].hypot(skewness[1]) < 1e-5, "{estimator:?} {skewness:?}");
    }
}

#[test]
fn between_pixels_centre_of_mass_and_maximum_stay_within_a_fiftieth_of_a_pixel() {
    for i in 0..32 {
        let t = f64::from(i);
        let position = [12.0 + (t * 0.37).fract() - 0.5, 12.0 + (t * 0.71).fract() - 0.5];
        let values = scene(25, &[Peak::round(100.0, position, 2.2)], || 0.0);
        for estimator in [Estimator::CentreOfMass, Estimator::Maximum] {
            let found = fit(&values, [12.0; 2], estimator).expect("a clean peak");
            assert!(distance(found.position, position) < 0.02, "{estimator:?} {position:?} {found:?}");
        }
    }
}

/// Root mean squares over an ensemble, by axis: scatter about the mean, formal and empirical standard deviation.
fn ensemble(peak: Peak, estimator: Estimator, draws: usize, mut noise: impl FnMut() -> Vec<f64>) -> [[f64; 3]; 2] {
    let fits: Vec<ColumnFit> = (0..draws)
        .map(|_| {
            let drawn = noise();
            let mut next = drawn.iter();
            let values = scene(25, &[peak], || *next.next().expect("a draw a pixel"));
            fit(&values, [12.0, 12.0], estimator).expect("a clear peak")
        })
        .collect();
    let n = draws as f64;
    [0, 1].map(|k| {
        let mean = fits.iter().map(|f| f.position[k]).sum::<f64>() / n;
        let scatter = fits.iter().map(|f| (f.position[k] - mean).powi(2)).sum::<f64>() / (n - 1.0);
        let formal = fits.iter().filter_map(|f| Some(f.covariance?[2 * k])).sum::<f64>() / n;
        let empirical = fits.iter().filter_map(|f| Some(f.empirical_covariance?[2 * k])).sum::<f64>() / n;
        [scatter, formal, empirical].map(f64::sqrt)
    })
}

#[test]
fn covariance_matches_the_scatter_of_500_fits_in_white_noise() {
    let peak = Peak { height: 100.0, position: [12.2, 11.7], sigma: [3.0, 1.8], angle: 0.6 };
    for (estimator, level, tolerance) in [
        (Estimator::Gaussian, 4.0, 0.15),
        (Estimator::RoundGaussian, 4.0, 0.15),
        (Estimator::Maximum, 1.0, 0.15),
        (Estimator::CentreOfMass, 1.0, 0.15),
    ] {
        let mut random = ChaCha8Rng::seed_from_u64(7);
        let peak = if estimator == Estimator::RoundGaussian { Peak { sigma: [2.4; 2], ..peak } } else { peak };
        for [scatter, formal, empirical] in ensemble(peak, estimator, 500, || (0..625).map(|_| level * normal(&mut random)).collect()) {
            assert!((formal / scatter - 1.0).abs() < tolerance, "{estimator:?} {scatter} {formal}");
            let gaussian = matches!(estimator, Estimator::Gaussian | Estimator::RoundGaussian);
            assert!(!gaussian || (empirical / scatter - 1.0).abs() < 0.2, "{estimator:?} {scatter} {empirical}");
        }
    }
}

/// Noise of unit variance on 25 × 25 pixels.
#[derive(Debug, Clone, Copy)]
enum Noise {
    White,
    /// Smoothed by a Gaussian of these σ along x and y, px.
    Smooth([f64; 2]),
    /// Each pixel remembers this part of the one before it in its row: a slow scan.
    Rows(f64),
}

fn draw(noise: Noise, random: &mut ChaCha8Rng) -> Vec<f64> {
    const MARGIN: usize = 8;
    const WIDE: usize = 25 + 2 * MARGIN;
    let mut white: Vec<f64> = (0..WIDE * WIDE).map(|_| normal(random)).collect();
    let taps = match noise {
        Noise::White => vec![(0, 0, 1.0)],
        Noise::Rows(memory) => {
            for row in white.chunks_exact_mut(WIDE) {
                for i in 1..WIDE {
                    row[i] = memory * row[i - 1] + (1.0 - memory * memory).sqrt() * row[i];
                }
            }
            vec![(0, 0, 1.0)]
        }
        Noise::Smooth(sigma) => {
            let part = |d: i64, sigma: f64| if d == 0 { 1.0 } else { (-0.5 * (d as f64 / sigma).powi(2)).exp() };
            (-5..=5).flat_map(|y| (-5..=5).map(move |x| (x, y))).map(|(x, y)| (x, y, part(x, sigma[0]) * part(y, sigma[1]))).collect()
        }
    };
    let norm = taps.iter().map(|t| t.2 * t.2).sum::<f64>().sqrt();
    let at = |x: usize, y: usize, (dx, dy, t): &(i64, i64, f64)| {
        let (x, y) = ((x + MARGIN) as i64 + dx, (y + MARGIN) as i64 + dy);
        t * white[y as usize * WIDE + x as usize]
    };
    (0..625).map(|i| taps.iter().map(|tap| at(i % 25, i / 25, tap)).sum::<f64>() / norm).collect()
}

/// Part of 800 errors within one standard deviation: formal, empirical.
fn coverage(noise: Noise) -> [f64; 2] {
    let peak = Peak::round(100.0, [12.2, 11.7], 2.4);
    let mut random = ChaCha8Rng::seed_from_u64(3);
    let mut inside = [0.0; 2];
    for _ in 0..400 {
        let drawn = draw(noise, &mut random);
        let mut next = drawn.iter();
        let values = scene(25, &[peak], || 4.0 * next.next().expect("a draw a pixel"));
        let found = fit(&values, [12.0, 12.0], Estimator::Gaussian).expect("a clear peak");
        for (count, covariance) in inside.iter_mut().zip([found.covariance, found.empirical_covariance]) {
            let covariance = covariance.expect("pixels have noise");
            let within = |k: usize| (found.position[k] - peak.position[k]).abs() < covariance[2 * k].sqrt();
            *count += f64::from(u8::from(within(0)) + u8::from(within(1)));
        }
    }
    inside.map(|count| count / 800.0)
}

#[test]
fn the_empirical_covariance_restores_coverage_that_correlated_noise_takes_from_the_formal_one() {
    for noise in [Noise::Smooth([0.7, 0.7]), Noise::Smooth([1.0, 1.0]), Noise::Smooth([1.0, 0.01]), Noise::Rows(0.6)] {
        let [formal, empirical] = coverage(noise);
        assert!(formal < 0.5, "{noise:?}: formal {formal}");
        assert!((0.6..=0.76).contains(&empirical), "{noise:?}: empirical {empirical}");
    }
    let [formal, empirical] = coverage(Noise::White);
    assert!((0.6..=0.76).contains(&formal) && (0.6..=0.76).contains(&empirical), "{formal} {empirical}");
}

/// A cell of `BiFeO3` as ADF sees it at 0.2 Å a pixel: strong wide A columns at the corners, a weak B column off the middle, and the cells around it.
fn perovskite(shift: [f64; 2]) -> ([[f64; 2]; 5], Vec<Peak>) {
    let (pitch, origin) = (19.8, 10.3);
    let corner = |i: i32, j: i32| [origin + pitch * f64::from(i), origin + pitch * f64::from(j)];
    let middle = |i: i32, j: i32| [0, 1].map(|k| corner(i, j)[k] + 0.5 * pitch + shift[k]);
    let cells = || (-1..=2).flat_map(|j| (-1..=2).map(move |i| (i, j)));
    let a = cells().map(|(i, j)| Peak::round(1000.0, corner(i, j), 2.9));
    let b = cells().map(|(i, j)| Peak::round(300.0, middle(i, j), 2.6));
    ([middle(0, 0), corner(0, 0), corner(1, 0), corner(0, 1), corner(1, 1)], a.chain(b).collect())
}

#[test]
fn tails_of_a_columns_pull_a_single_gaussian_and_the_cell_fit_removes_the_pull() {
    let (truth, peaks) = perovskite([1.2, 0.8]);
    let values = scene(42, &peaks, || 0.0);
    let pixels = Pixels::new(&values, 42, 42).expect("a square");
    let single = fit(&values, truth[0], Estimator::Gaussian).expect("a column");
    assert!(distance(single.position, truth[0]) > 0.05, "{single:?}");
    let starts = truth.map(|p| [p[0] + 0.6, p[1] - 0.5]);
    let cell = measure_cell_pixels(&pixels, &starts, &PixelWindow { radius_px: 6.0, empirical: true }).expect("a cell");
    assert!(distance(cell.b.position, truth[0]) < 0.01, "{cell:?}");
    assert!(distance(cell.shift, [1.2, 0.8]) < 0.01, "{cell:?}");
    let widths = cell.b.widths.expect("a Gaussian has widths");
    assert!((widths.sigma_minor - 2.6).abs() < 0.05, "{widths:?}");
}

#[test]
fn the_cell_fits_covariance_matches_its_scatter() {
    let (truth, peaks) = perovskite([1.2, 0.8]);
    let mut random = ChaCha8Rng::seed_from_u64(5);
    let cells: Vec<_> = (0..120)
        .map(|_| {
            let values = scene(42, &peaks, || 20.0 * normal(&mut random));
            let pixels = Pixels::new(&values, 42, 42).expect("a square");
            measure_cell_pixels(&pixels, &truth, &PixelWindow { radius_px: 6.0, empirical: true }).expect("a cell")
        })
        .collect();
    let n = cells.len() as f64;
    for k in [0, 1] {
        let scatter = (cells.iter().map(|c| (c.shift[k] - [1.2, 0.8][k]).powi(2)).sum::<f64>() / n).sqrt();
        let formal = (cells.iter().filter_map(|c| Some(c.shift_covariance?[2 * k])).sum::<f64>() / n).sqrt();
        let empirical = (cells.iter().filter_map(|c| Some(c.shift_empirical_covariance?[2 * k])).sum::<f64>() / n).sqrt();
        // 120 draws tell a standard deviation to 6.5 %.
        assert!((formal / scatter - 1.0).abs() < 0.2 && (empirical / scatter - 1.0).abs() < 0.25, "{scatter} {formal} {empirical}");
    }
}

#[test]
fn a_dead_row_is_left_out_whether_nan_or_masked() {
    let position = [12.3, 11.8];
    let clean = scene(25, &[Peak::round(100.0, position, 2.2)], || 0.0);
    let mut dead = clean.clone();
    dead[10 * 25..11 * 25].fill(f32::NAN);
    let mut stuck = clean;
    stuck[10 * 25..11 * 25].fill(0.0);
    let mask: Vec<bool> = (0..625).map(|i| i / 25 == 10).collect();
    let masked = Pixels::new(&stuck, 25, 25).expect("a square").without(&mask).expect("a mark a pixel");
    let by_mask = measure_pixels(&masked, [12.0; 2], &WINDOW, Estimator::Gaussian).expect("a column");
    let by_nan = fit(&dead, [12.0; 2], Estimator::Gaussian).expect("a column");
    assert_eq!(by_mask, by_nan);
    assert!(distance(by_nan.position, position) < 1e-6, "{by_nan:?}");
    assert!(distance(fit(&stuck, [12.0; 2], Estimator::Gaussian).expect("a column").position, position) > 1e-3);
}

#[test]
fn refusals_name_their_reason() {
    let peak = Peak::round(100.0, [2.0, 12.0], 2.2);
    let values = scene(25, &[peak], || 0.0);
    // 2 px from the edge, 7.5 px of radius: a fifth of the window is missing, the rest still tells.
    assert!(distance(fit(&values, [3.0, 12.0], Estimator::Gaussian).expect("a column at the edge").position, peak.position) < 1e-5);
    assert!(matches!(fit(&values, [0.0, 0.0], Estimator::Gaussian), Err(FitFailure::TooFewSamples { .. })));
    assert_eq!(fit(&values, [-3.0, 12.0], Estimator::Maximum), Err(FitFailure::OutsideImage));
    assert_eq!(fit(&values, [12.0; 2], Estimator::CellFit), Err(FitFailure::NeedsFiveColumns));
    let pit: Vec<f32> = scene(25, &[Peak::round(100.0, [12.0; 2], 2.2)], || 0.0).iter().map(|v| 200.0 - v).collect();
    assert_eq!(fit(&pit, [12.0; 2], Estimator::Gaussian), Err(FitFailure::AmplitudeNotPositive));
    let flat = scene(25, &[], || 0.0);
    for estimator in ALL {
        let refused = fit(&flat, [12.0; 2], estimator);
        assert!(refused.is_err() || estimator == Estimator::RawCentreOfMass, "{estimator:?} {refused:?}");
    }
    let pixels = Pixels::new(&values, 25, 25).expect("a square");
    for radius_px in [1.0, 1e9, f64::NAN, -4.0] {
        let refused = measure_pixels(&pixels, [12.0; 2], &PixelWindow { radius_px, empirical: false }, Estimator::Gaussian);
        assert!(matches!(refused, Err(FitFailure::BadWindow { .. })), "{refused:?}");
    }
    let sentence = FitFailure::TooFewSamples { found: 3, needed: 9 }.to_string();
    assert!(sentence.contains("only 3 samples") && sentence.contains("9 are needed"), "{sentence}");
}

#[test]
fn estimators_and_failures_have_kebab_case_names() {
    let names = ALL.map(|e| serde_json::to_value(e).expect("a name"));
    assert_eq!(names, ["centre-of-mass", "raw-centre-of-mass", "gaussian", "round-gaussian", "maximum"]);
    let failure = serde_json::to_value(FitFailure::DidNotConverge { iterations: 60 }).expect("a record");
    assert_eq!(failure, serde_json::json!({ "reason": "did-not-converge", "iterations": 60 }));
}

/// Gaussians (position, weight, σ in Å) repeated on a cell: a Fourier image in closed form.
fn fourier(cell: [[f64; 2]; 2], columns: &[([f64; 2], f64, f64)], limit: i32) -> FourierImage {
    let mut image = FourierImage::zeros(cell, limit as usize, limit as usize);
    let [b1, b2] = image.reciprocal();
    for h in -limit..=limit {
        for k in -limit..=limit {
            let q = [0, 1].map(|i| f64::from(h) * b1[i] + f64::from(k) * b2[i]);
            for (position, weight, sigma) in columns {
                let damping = (-0.5 * (TAU * sigma).powi(2) * (q[0] * q[0] + q[1] * q[1])).exp();
                assert!(image.add(h, k, Complex64::cis(-TAU * (q[0] * position[0] + q[1] * position[1])) * weight * damping));
            }
        }
    }
    image
}

#[test]
fn the_maximum_of_a_fourier_image_is_exact() {
    // Alone in its cell a Gaussian has its maximum where it stands, by symmetry; cells may be oblique.
    for cell in [[[3.96, 0.0], [0.0, 3.96]], [[3.9, 0.5], [-0.7, 4.2]]] {
        let truth = [1.234_567, 2.345_678];
        let image = fourier(cell, &[(truth, 0.01, 0.45)], 10);
        let window = Window { radius_angstrom: 1.0, sample_angstrom: 0.1 };
        let found = measure(&image, [truth[0] + 0.3, truth[1] - 0.4], &window, Estimator::Maximum).expect("a maximum");
        assert!(distance(found.position, truth) < 1e-9, "{found:?}");
        assert!(found.covariance.is_none() && found.empirical_covariance.is_none());
    }
}

#[test]
fn on_a_fourier_image_every_estimator_finds_a_lone_column_from_any_start() {
    for cell in [[[5.0, 0.0], [0.0, 5.0]], [[4.9, 0.8], [-0.6, 5.2]]] {
        let truth = [1.237, 2.345];
        let image = fourier(cell, &[(truth, 0.01, 0.4)], 14);
        let window = Window { radius_angstrom: 1.2, sample_angstrom: 0.1 };
        for estimator in ALL {
            for start in [[0.35, -0.2], [-0.4, 0.1], [0.0, 0.0]] {
                let found = measure(&image, [truth[0] + start[0], truth[1] + start[1]], &window, estimator);
                let found = found.unwrap_or_else(|failure| panic!("{estimator:?} {start:?}: {failure}"));
                assert!(distance(found.position, truth) < 1e-5, "{estimator:?} {start:?} {found:?}");
            }
        }
    }
}

#[test]
fn skewness_points_along_the_tail_and_turns_with_the_image() {
    let tail = |angle: f64| {
        let (sin, cos) = f64::sin_cos(angle);
        let cell = [[5.0 * cos, 5.0 * sin], [-5.0 * sin, 5.0 * cos]];
        let image = fourier(cell, &[([0.0; 2], 0.01, 0.35), ([0.45 * cos, 0.45 * sin], 0.003, 0.35)], 14);
        let window = Window { radius_angstrom: 1.5, sample_angstrom: 0.1 };
        let found = measure(&image, [0.1; 2], &window, Estimator::CentreOfMass).expect("a column");
        found.skewness.expect("intensity")
    };
    let [x, y] = tail(0.0);
    assert!(x > 0.01 && y.abs() < 1e-6, "{x} {y}");
    let [u, v] = tail(0.7);
    assert!((u - x * 0.7f64.cos()).abs() < 1e-6 && (v - x * 0.7f64.sin()).abs() < 1e-6, "{u} {v} {x}");
}

#[test]
fn the_cell_fit_works_on_fourier_images_of_oblique_cells() {
    let cell = [[3.96, 0.04], [-0.04, 3.96]];
    let at = |u: f64, v: f64| [u * cell[0][0] + v * cell[1][0], u * cell[0][1] + v * cell[1][1]];
    let b = at(0.56, 0.54);
    let image = fourier(cell, &[([0.0; 2], 0.02, 0.6), (b, 0.004, 0.5)], 10);
    let starts = [b, at(0.0, 0.0), at(1.0, 0.0), at(0.0, 1.0), at(1.0, 1.0)];
    let window = Window { radius_angstrom: 1.3, sample_angstrom: 0.15 };
    let truth = [0, 1].map(|k| b[k] - at(0.5, 0.5)[k]);
    let found = measure_cell(&image, &starts, &window).expect("a cell");
    let single = measure(&image, b, &window, Estimator::Gaussian).expect("a column");
    assert!(distance(found.shift, truth) < 0.005, "{found:?}");
    assert!(distance(single.position, b) > 4.0 * distance(found.b.position, b), "{single:?}");
    assert!(found.shift_covariance.is_none());
}

fn any_pixel() -> impl Strategy<Value = f32> {
    let odd = [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, f32::MAX, f32::MIN, f32::MIN_POSITIVE, 0.0];
    prop_oneof![3 => -1e3f32..1e3, 1 => proptest::sample::select(odd.to_vec()), 1 => Just(0.0f32)]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]
    #[test]
    fn no_pixels_make_an_estimator_panic_or_return_a_number_that_is_not_finite(
        values in proptest::collection::vec(any_pixel(), 17 * 15),
        x in -2.0f64..19.0, y in -2.0f64..17.0, radius_px in 1.5f64..12.0,
    ) {
        let pixels = Pixels::new(&values, 17, 15).expect("17 by 15");
        let window = PixelWindow { radius_px, empirical: true };
        for estimator in ALL {
            if let Ok(found) = measure_pixels(&pixels, [x, y], &window, estimator) {
                prop_assert!(found.position.iter().all(|p| p.is_finite()) && found.amplitude.is_finite());
                prop_assert!(distance(found.position, [x, y]) <= radius_px);
            }
        }
        let starts = [[x, y], [x - 5.0, y - 5.0], [x + 5.0, y - 5.0], [x - 5.0, y + 5.0], [x + 5.0, y + 5.0]];
        if let Ok(found) = measure_cell_pixels(&pixels, &starts, &window) {
            prop_assert!(found.shift.iter().all(|p| p.is_finite()));
        }
    }
}
