//! The camera against what it states: clean images untouched, Poisson statistics, truth that undoes the scan, the same bytes anywhere.

use mistilt::columns::{Estimator, PixelWindow, Pixels, measure_pixels};
use mistilt::crystal::Site;
use mistilt::dcnn::CameraNoise;
use mistilt::detection::{
    Adc, Camera, CameraError, CameraSettings, Contamination, Defects, DetectorNoise, Dose, Drift, Flyback, FrameKey, LineOffsets, Preset,
    RowJitter, Sinusoids, Unit, WindowNoise,
};
use mistilt::image::{FourierImage, Radiance, Raster, SourceShape, Truth, TruthColumn};
use num_complex::Complex64;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

/// Side of the square cell, Å.
const CELL: f64 = 4.0;
/// Standard deviation of the columns, Å.
const SIGMA: f64 = 0.45;
const RASTER: Raster = Raster { origin_angstrom: [-1.0, -0.9], pixel_angstrom: 0.2, width: 160, height: 150 };

/// A crystal of Gaussian columns, A at the corner and a weaker B in the middle, on a background.
fn crystal() -> FourierImage {
    let mut image = FourierImage::zeros([[CELL, 0.0], [0.0, CELL]], 10, 10);
    for (h, k) in (-10..=10).flat_map(|k| (-10..=10).map(move |h| (h, k))) {
        let q2 = f64::from(h * h + k * k) / (CELL * CELL);
        let shape = std::f64::consts::TAU * SIGMA * SIGMA / (CELL * CELL) * (-2.0 * (std::f64::consts::PI * SIGMA).powi(2) * q2).exp();
        let b = if (h + k) % 2 == 0 { 0.5 } else { -0.5 };
        image.add(h, k, Complex64::new(0.08 * shape * (1.0 + b), 0.0));
    }
    image.add(0, 0, Complex64::new(0.01, 0.0));
    image
}

/// Where its columns stand in the frame, px, two pixels and a window from the edges.
fn columns() -> Truth {
    let mut truth = Truth::default();
    for (i, j) in (0..8).flat_map(|j| (0..8).map(move |i| (i, j))) {
        for (site, half) in [(Site::A, 0.0), (Site::B, 0.5)] {
            let px = RASTER.to_px([CELL * (f64::from(i) + half), CELL * (f64::from(j) + half)]);
            let inside = px[0] > 8.0 && px[1] > 8.0 && px[0] < 151.0 && px[1] < 141.0;
            if inside {
                truth.columns.push(TruthColumn { site, cell: [i, j], entrance_px: px, mean_px: px, exit_px: px });
            }
        }
    }
    truth
}

fn camera(settings: CameraSettings) -> Camera {
    Camera::new(settings).unwrap()
}

#[test]
fn without_dose_and_jitter_the_clean_image_comes_back_exactly() {
    let image = crystal();
    let clean: Vec<f32> =
        image.sample(RASTER.origin_angstrom, RASTER.pixel_angstrom, RASTER.width, RASTER.height).iter().map(|&v| v as f32).collect();
    let zeros = CameraSettings {
        drift: Some(Drift { pm_per_row: [0.0; 2] }),
        jitter: Some(RowJitter { rms_pm: 0.0, y_ratio: 1.0, correlation: 0.5 }),
        sinusoids: Some(Sinusoids { power_percent: 0.0, max_hz: 500.0, components: 200 }),
        flyback: Some(Flyback { amplitude_pm: 0.0, decay_us: 30.0 }),
        contamination: Some(Contamination { mean_fraction: 0.0, rms_fraction: 0.0, length_angstrom: 50.0 }),
        dose: Some(Dose::PerPixel { electrons: 0.0 }),
        detector: Some(DetectorNoise { readout_rms_e: 3.0, ..DetectorNoise::default() }),
        defects: Some(Defects { hot_fraction: 0.0, dead_fraction: 0.0 }),
        lines: Some(LineOffsets { rms_fraction: 0.0 }),
        ..CameraSettings::default()
    };
    for settings in [CameraSettings::default(), zeros] {
        let frame = camera(settings).expose(&image, RASTER, FrameKey::first(7)).unwrap().with_truth(columns());
        assert_eq!(frame.image.data, clean);
        assert_eq!((frame.unit, frame.electrons_per_px), (Unit::BeamFraction, None));
        assert!(frame.image.truth.unwrap().stages.is_empty());
    }
}

#[test]
fn counts_of_many_frames_have_the_mean_and_variance_of_their_expectation() {
    let image = crystal();
    let raster = Raster { width: 40, height: 30, ..RASTER };
    let counting = camera(CameraSettings { dose: Some(Dose::PerSquareAngstrom { electrons: 5e3 }), ..CameraSettings::default() });
    let frames: Vec<_> = (0..200).map(|frame| counting.expose(&image, raster, FrameKey { seed: 1, frame, channel: 0 }).unwrap()).collect();
    assert_eq!(frames[0].unit, Unit::Electrons);
    let expected = frames[0].expected_electrons().unwrap();
    let n = frames.len() as f64;
    let (mut mean_error, mut variance_error) = (0.0, 0.0);
    for (pixel, expected) in expected.iter().enumerate() {
        let m = f64::from(*expected);
        let values: Vec<f64> = frames.iter().map(|f| f64::from(f.image.data[pixel])).collect();
        let mean = values.iter().sum::<f64>() / n;
        let variance = values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / (n - 1.0);
        mean_error += (mean - m).powi(2) / (m / n);
        variance_error += (variance - m).powi(2) / (m * m * (2.0 + 1.0 / m) / n);
    }
    // Chi-squared a degree of freedom over 1200 pixels: 1 within four standard errors √(2/1200).
    let pixels = expected.len() as f64;
    assert!((mean_error / pixels - 1.0).abs() < 0.17, "{}", mean_error / pixels);
    assert!((variance_error / pixels - 1.0).abs() < 0.3, "{}", variance_error / pixels);
    // Frames and channels are independent.
    let other = counting.expose(&image, raster, FrameKey { seed: 1, frame: 0, channel: 1 }).unwrap();
    assert_ne!(other.image.data, frames[0].image.data);
    assert_ne!(frames[1].image.data, frames[0].image.data);
}

#[test]
fn detectors_of_one_scan_share_its_displacements() {
    let jittering = Camera::preset(Preset::Raw);
    let at = |channel| jittering.expose(&crystal(), RASTER, FrameKey { seed: 4, frame: 2, channel }).unwrap();
    let (one, two) = (at(0), at(1));
    assert_eq!((&one.scan, &one.expected), (&two.scan, &two.expected));
    assert_ne!(one.image.data, two.image.data);
}

/// Root mean square, in pm, of what is left of the displacements of fitted columns once the stages' truth is taken away, and before.
fn left_over_pm(settings: CameraSettings, estimator: Estimator) -> ([f64; 2], [f64; 2]) {
    let (image, camera) = (crystal(), camera(settings));
    let (mut before, mut after, mut count) = ([0.0; 2], [0.0; 2], 0.0);
    for frame in 0..6 {
        let exposed = camera.expose(&image, RASTER, FrameKey { seed: 11, frame, channel: 0 }).unwrap().with_truth(columns());
        let truth = exposed.image.truth.as_ref().unwrap();
        let pixels = Pixels::new(&exposed.image.data, RASTER.width, RASTER.height).unwrap();
        let window = PixelWindow { radius_px: 4.5, empirical: false };
        for (n, column) in truth.columns.iter().enumerate() {
            let moved: [f64; 2] = [0, 1].map(|c| truth.stages.iter().map(|s| s.displacement_px[n][c]).sum());
            let start = [0, 1].map(|c| column.entrance_px[c] + moved[c]);
            let fit = measure_pixels(&pixels, start, &window, estimator).unwrap();
            for c in 0..2 {
                let found = 20.0 * (fit.position[c] - column.entrance_px[c]);
                before[c] += found * found;
                after[c] += (found - 20.0 * moved[c]).powi(2);
            }
            count += 1.0;
        }
    }
    (before.map(|s| (s / count).sqrt()), after.map(|s| (s / count).sqrt()))
}

#[test]
fn the_truth_of_the_chain_undoes_its_distortion() {
    let smooth = CameraSettings {
        drift: Some(Drift { pm_per_row: [1.5, -1.0] }),
        flyback: Some(Flyback { amplitude_pm: 60.0, decay_us: 400.0 }),
        sinusoids: Some(Sinusoids { power_percent: 2.0, max_hz: 20.0, components: 50 }),
        ..CameraSettings::default()
    };
    let (before, after) = left_over_pm(smooth, Estimator::Gaussian);
    println!("smooth stages, Gaussian: rms {before:.1?} pm, less the truth {after:.2?} pm");
    assert!(before[0] > 30.0 && before[1] > 20.0, "{before:?}");
    assert!(after[0] < 1.0 && after[1] < 1.0, "{after:?}");

    let jitter = CameraSettings { jitter: Some(RowJitter { rms_pm: 10.0, y_ratio: 1.0, correlation: 0.7 }), ..CameraSettings::default() };
    for estimator in [Estimator::Gaussian, Estimator::CentreOfMass] {
        let (before, after) = left_over_pm(jitter.clone(), estimator);
        println!("row jitter, {estimator:?}: rms {before:.2?} pm, less the truth {after:.2?} pm");
        // Along x what is left is the estimator's own weighting of the rows; along y a jittered column is also squeezed and stretched.
        assert!(before[0] > 4.0 && after[0] < 0.35 * before[0], "{before:?} {after:?}");
        assert!(after[1] < 0.6 * before[1], "{before:?} {after:?}");
    }
}

#[test]
fn every_preset_gives_the_same_bytes_on_any_number_of_threads() {
    let image = crystal();
    for preset in [Preset::Registered, Preset::Raw, Preset::Atomai] {
        let everything = CameraSettings {
            source: SourceShape { fwhm_angstrom: 0.6, tail_fraction: 0.1, tail_fwhm_angstrom: 3.0 },
            sinusoids: Some(Sinusoids { power_percent: 1.0, max_hz: 300.0, components: 40 }),
            contamination: Some(Contamination { mean_fraction: 0.2, rms_fraction: 0.1, length_angstrom: 20.0 }),
            defects: Some(Defects { hot_fraction: 0.001, dead_fraction: 0.001 }),
            ..preset.settings()
        };
        let expose = |threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| camera(everything.clone()).expose(&image, RASTER, FrameKey::first(3)).unwrap().with_truth(columns()))
        };
        let (one, three) = (expose(1), expose(3));
        assert!(one.image.data.iter().zip(&three.image.data).all(|(a, b)| a.to_bits() == b.to_bits()), "{preset:?}");
        assert_eq!((&one.image.truth, &one.defects, &one.line_offsets), (&three.image.truth, &three.defects, &three.line_offsets));
        let share = one.defects.len() as f64 / one.image.data.len() as f64;
        assert!((share - 0.002).abs() < 0.001, "{share}");
    }
}

#[test]
fn presets_jitter_rows_as_much_as_they_say() {
    for (preset, rms_pm) in [(Preset::Registered, 1.5), (Preset::Raw, 6.0)] {
        let only = CameraSettings { jitter: preset.settings().jitter, ..CameraSettings::default() };
        let raster = Raster { width: 2, height: 4000, ..RASTER };
        let scan = camera(only).expose(&crystal(), raster, FrameKey::first(2)).unwrap().scan;
        let mut sums = [0.0; 2];
        for iy in 0..4000 {
            let mut d = [[0.0; 2]; 2];
            scan.add(iy, 0, &mut d);
            assert_eq!(d[0], d[1], "a row moves as a whole");
            (0..2).for_each(|c| sums[c] += (100.0 * d[0][c]).powi(2) / 4000.0);
        }
        for sum in sums {
            assert!((sum.sqrt() / rms_pm - 1.0).abs() < 0.07, "{preset:?}: {}", sum.sqrt());
        }
    }
}

#[test]
fn an_image_without_signal_is_exposed_without_error() {
    let dark = FourierImage::zeros([[4.0, 0.0], [0.0, 4.0]], 1, 1);
    for preset in [Preset::None, Preset::Registered, Preset::Raw, Preset::Atomai] {
        let frame = Camera::preset(preset).expose(&dark, RASTER, FrameKey::first(1)).unwrap();
        assert!(frame.image.data.iter().all(|v| v.is_finite()), "{preset:?}");
    }
    let counting = camera(CameraSettings { dose: Some(Dose::PerPixel { electrons: 1e5 }), ..CameraSettings::default() });
    assert!(counting.expose(&dark, RASTER, FrameKey::first(1)).unwrap().image.data.iter().all(|&v| v == 0.0));
}

#[test]
fn frames_and_images_that_cannot_be_are_refused_in_words() {
    struct Fixed;
    impl Radiance for Fixed {
        fn evaluate(&self, _: &[[f64; 2]], out: &mut [f64]) {
            out.fill(0.1);
        }
    }
    let ideal = Camera::default();
    for raster in
        [Raster { width: 0, ..RASTER }, Raster { width: 1 << 20, height: 1 << 20, ..RASTER }, Raster { pixel_angstrom: 0.0, ..RASTER }]
    {
        assert!(matches!(ideal.expose(&Fixed, raster, FrameKey::first(1)), Err(CameraError::Frame { .. })));
    }
    let source = SourceShape { fwhm_angstrom: 0.8, ..SourceShape::default() };
    let blurring = camera(CameraSettings { source, ..CameraSettings::default() });
    assert_eq!(blurring.expose(&Fixed, RASTER, FrameKey::first(1)).err(), Some(CameraError::CannotBlur));
    assert!(ideal.expose(&Fixed, RASTER, FrameKey::first(1)).is_ok());
}

#[test]
fn windows_have_the_noise_of_frames_and_depend_on_their_number_alone() {
    let settings = CameraSettings {
        dose: Some(Dose::PerPixel { electrons: 2000.0 }),
        detector: Some(DetectorNoise { pulse_spread: 0.4, readout_rms_e: 2.0, ..DetectorNoise::default() }),
        ..CameraSettings::default()
    };
    let noise = WindowNoise::new(&camera(settings), 0.2, 9).unwrap();
    let clean = vec![0.05_f32; 32 * 32];
    let (mut sum, mut squares) = (0.0, 0.0);
    for number in 0..50 {
        let mut window = clean.clone();
        noise.apply(number, &mut window, 32).unwrap();
        sum += window.iter().map(|&v| f64::from(v)).sum::<f64>();
        squares += window.iter().map(|&v| (f64::from(v) - 100.0).powi(2)).sum::<f64>();
        let mut again = clean.clone();
        noise.apply(number, &mut again, 32).unwrap();
        assert_eq!(window, again);
    }
    let n = 50.0 * 1024.0;
    let variance = 100.0 * (1.0 + 0.16) + 4.0;
    assert!((sum / n - 100.0).abs() < 4.0 * (variance / n).sqrt(), "{}", sum / n);
    assert!((squares / n / variance - 1.0).abs() < 4.0 * (2.0 / n).sqrt(), "{} {variance}", squares / n);
    for (len, width) in [(10, 0), (0, 4), (10, 4)] {
        assert!(matches!(noise.apply(0, &mut vec![0.0; len], width), Err(CameraError::Window { .. })));
    }
    // A network's training draws the number from its own stream.
    let mut augmented = clean.clone();
    let augmentation = CameraNoise { cameras: vec![noise], dose_spread: 1.0 };
    augmentation.disturb(&mut augmented, 32, 0, &mut ChaCha8Rng::seed_from_u64(1));
    let mean = augmented.iter().map(|&v| f64::from(v)).sum::<f64>() / 1024.0;
    assert!((mean - 100.0).abs() < 4.0 * (variance / 1024.0).sqrt(), "{mean}");
    let steps = WindowNoise::new(&camera(CameraSettings { adc: Some(Adc { bits: 8 }), ..CameraSettings::default() }), 0.2, 9).unwrap();
    let mut window = clean;
    steps.apply(0, &mut window, 32).unwrap();
    assert!(window.iter().all(|&v| v == 204.0), "a flat window lies a quarter below the top");
}
