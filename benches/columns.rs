//! How many columns a second: fits on pixel windows of 15 × 15 px as microscopists use them, Poisson noise, start 1 px off.
//!
//! Times are CPU time of this thread, so that a busy machine does not count; throughput is fits per CPU-second on one core.

use criterion::measurement::{Measurement, ValueFormatter, WallTime};
use criterion::{Criterion, SamplingMode, Throughput, criterion_group, criterion_main};
use mistilt::columns::{Estimator, PixelWindow, Pixels, Window, measure, measure_cell_pixels, measure_pixels};
use mistilt::image::FourierImage;
use num_complex::Complex64;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, Poisson};
use std::hint::black_box;
use std::time::{Duration, Instant};

const SIDE: usize = 220;
const PITCH: f64 = 20.0;
/// A 15 px wide window.
const WINDOW: PixelWindow = PixelWindow { radius_px: 7.5, empirical: false };

/// CPU time of the calling thread where the kernel tells it (Linux, in steps of a scheduler tick), wall time elsewhere.
struct CpuTime {
    epoch: Instant,
}

impl CpuTime {
    fn now(&self) -> f64 {
        let scheduled = std::fs::read_to_string("/proc/thread-self/schedstat").ok();
        let nanoseconds = scheduled.and_then(|s| s.split(' ').next()?.parse::<f64>().ok());
        nanoseconds.unwrap_or_else(|| self.epoch.elapsed().as_secs_f64() * 1e9)
    }
}

impl Measurement for CpuTime {
    type Intermediate = f64;
    type Value = f64;

    fn start(&self) -> f64 {
        self.now()
    }

    fn end(&self, start: f64) -> f64 {
        // A sample shorter than a tick must not be nothing: criterion divides by it.
        (self.now() - start).max(1.0)
    }

    fn add(&self, a: &f64, b: &f64) -> f64 {
        a + b
    }

    fn zero(&self) -> f64 {
        0.0
    }

    fn to_f64(&self, value: &f64) -> f64 {
        *value
    }

    fn formatter(&self) -> &dyn ValueFormatter {
        WallTime.formatter()
    }
}

struct Scene {
    values: Vec<f32>,
    a: Vec<[f64; 2]>,
    b: Vec<[f64; 2]>,
}

/// A perovskite-like lattice, a = 20 px: A columns of 300 counts, B columns of 120, background 40; elliptical, turned.
fn scene() -> Scene {
    let lattice = |offset: f64, count: usize| -> Vec<[f64; 2]> {
        let at = |i: usize| offset + PITCH * (i as f64 + 1.0) + 0.37 * ((i * 7) % 5) as f64 - 0.7;
        (0..count).flat_map(|j| (0..count).map(move |i| (i, j))).map(|(i, j)| [at(i), at(j)]).collect()
    };
    let (a, b) = (lattice(0.0, 10), lattice(0.5 * PITCH, 9));
    let mut random = ChaCha8Rng::seed_from_u64(1);
    let clean = |x: f64, y: f64| {
        let peak = |p: &[f64; 2], height: f64| {
            let (u, v) = (x - p[0], y - p[1]);
            if u * u + v * v > 400.0 { 0.0 } else { height * (-0.5 * (0.17 * u * u + 0.04 * u * v + 0.21 * v * v)).exp() }
        };
        40.0 + a.iter().map(|p| peak(p, 300.0)).sum::<f64>() + b.iter().map(|p| peak(p, 120.0)).sum::<f64>()
    };
    let values = (0..SIDE * SIDE).map(|i| {
        let mean = clean((i % SIDE) as f64, (i / SIDE) as f64);
        Poisson::new(mean).expect("a positive mean").sample(&mut random) as f32
    });
    let values = values.collect();
    Scene { values, a, b }
}

/// A column of σ = 0.5 Å in a 3.96 Å cell with the 21 × 21 coefficients that 25 mrad at 300 kV leave.
fn fourier_image() -> FourierImage {
    let mut image = FourierImage::zeros([[3.96, 0.0], [0.0, 3.96]], 10, 10);
    for (h, k) in (-10..=10).flat_map(|h| (-10..=10).map(move |k| (h, k))) {
        let q2 = f64::from(h * h + k * k) / 3.96f64.powi(2);
        assert!(image.add(h, k, Complex64::new((-2.0 * (std::f64::consts::PI * 0.5).powi(2) * q2).exp(), 0.0)));
    }
    image
}

fn columns(c: &mut Criterion<CpuTime>) {
    let scene = scene();
    let pixels = Pixels::new(&scene.values, SIDE, SIDE).expect("a square image");
    let starts: Vec<[f64; 2]> = scene.a.iter().enumerate().map(|(i, p)| [p[0] + (i as f64).cos(), p[1] + (i as f64).sin()]).collect();
    let mut group = c.benchmark_group("columns");
    // Samples of a quarter of a second or more, against the clock's ticks.
    group
        .sampling_mode(SamplingMode::Flat)
        .sample_size(10)
        .measurement_time(Duration::from_secs(3))
        .warm_up_time(Duration::from_millis(500));
    group.throughput(Throughput::Elements(starts.len() as u64));
    let cases = [
        ("gaussian 15 px", Estimator::Gaussian),
        ("round gaussian 15 px", Estimator::RoundGaussian),
        ("centre of mass 15 px", Estimator::CentreOfMass),
        ("maximum 15 px", Estimator::Maximum),
    ];
    for (name, estimator) in cases {
        let refused = starts.iter().filter(|&&start| measure_pixels(&pixels, start, &WINDOW, estimator).is_err()).count();
        assert_eq!(refused, 0, "{name}: a refused fit is no fit");
        group.bench_function(name, |bencher| {
            bencher.iter(|| starts.iter().filter(|&&start| measure_pixels(&pixels, black_box(start), &WINDOW, estimator).is_ok()).count());
        });
    }
    let window = PixelWindow { empirical: true, ..WINDOW };
    group.bench_function("gaussian 15 px with empirical covariance", |bencher| {
        let fitted = |start: &[f64; 2]| measure_pixels(&pixels, *start, &window, Estimator::Gaussian).is_ok();
        bencher.iter(|| starts.iter().filter(|start| fitted(black_box(start))).count());
    });
    let corners = [[-0.5, -0.5], [0.5, -0.5], [-0.5, 0.5], [0.5, 0.5]];
    let cell = |b: &[f64; 2]| std::array::from_fn(|i| if i == 0 { *b } else { [0, 1].map(|k| b[k] + PITCH * corners[i - 1][k]) });
    let cells: Vec<[[f64; 2]; 5]> = scene.b.iter().map(cell).collect();
    group.throughput(Throughput::Elements(cells.len() as u64));
    assert!(cells.iter().all(|starts| measure_cell_pixels(&pixels, starts, &WINDOW).is_ok()), "a refused cell is no fit");
    group.bench_function("cell fit 15 px", |bencher| {
        bencher.iter(|| cells.iter().filter(|starts| measure_cell_pixels(&pixels, black_box(starts), &WINDOW).is_ok()).count());
    });
    let image = fourier_image();
    let window = Window { radius_angstrom: 1.2, sample_angstrom: 0.15 };
    group.throughput(Throughput::Elements(1));
    for (name, estimator) in [("fourier gaussian", Estimator::Gaussian), ("fourier maximum", Estimator::Maximum)] {
        assert!(measure(&image, [0.1, 0.1], &window, estimator).is_ok(), "{name}");
        group.bench_function(name, |bencher| bencher.iter(|| measure(&image, black_box([0.1, 0.1]), &window, estimator)));
    }
    group.finish();
}

criterion_group! {
    name = benches;
    config = Criterion::default().with_measurement(CpuTime { epoch: Instant::now() });
    targets = columns
}
criterion_main!(benches);
