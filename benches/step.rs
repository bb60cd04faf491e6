//! Pixel-slices per second of one core: the multislice step on every instruction set of this processor, beside the same step written
//! plainly with rustfft. Run with `cargo bench --bench step`.

use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use criterion::{BatchSize, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use mistilt::numerics::lanes::{Isa, StepPlan};
use num_complex::Complex32;
use rustfft::{Fft, FftPlanner};

/// A crystal-like slice and a propagator of one 4 Å step, band-limited to 2/3 of Nyquist.
struct Scene {
    side: usize,
    transmission: Vec<Complex32>,
    propagator: Vec<Complex32>,
    kept_columns: Vec<bool>,
}

impl Scene {
    fn new(side: usize) -> Self {
        let limit = side as f32 / 3.0;
        let signed = |k: usize| if 2 * k < side { k as f32 } else { k as f32 - side as f32 };
        let phase = |i: usize| {
            let (x, y) = ((i % side) as f32 / side as f32, (i / side) as f32 / side as f32);
            0.3 * ((12.0 * x).sin() + (18.0 * y).cos())
        };
        let factor = |i: usize| {
            let k_squared = signed(i % side).powi(2) + signed(i / side).powi(2);
            if k_squared < limit * limit { Complex32::cis(-1e-3 * k_squared) } else { Complex32::default() }
        };
        Self {
            side,
            transmission: (0..side * side).map(|i| Complex32::cis(phase(i))).collect(),
            propagator: (0..side * side).map(factor).collect(),
            kept_columns: (0..side).map(|k| signed(k).abs() < limit).collect(),
        }
    }
}

/// The step as one would write it: 2-D transforms as rows, transposition, rows.
struct Plain {
    side: usize,
    forward: Arc<dyn Fft<f32>>,
    inverse: Arc<dyn Fft<f32>>,
    transmission: Vec<Complex32>,
    /// `[kx][ky]`, with the scale of the transforms.
    propagator: Vec<Complex32>,
    wave: Vec<Complex32>,
    turned: Vec<Complex32>,
    scratch: Vec<Complex32>,
}

impl Plain {
    fn new(scene: &Scene) -> Self {
        let mut planner = FftPlanner::new();
        let (forward, inverse) = (planner.plan_fft_forward(scene.side), planner.plan_fft_inverse(scene.side));
        let pixels = scene.side * scene.side;
        let mut propagator = vec![Complex32::default(); pixels];
        transpose(&scene.propagator, &mut propagator, scene.side);
        for p in &mut propagator {
            *p /= pixels as f32;
        }
        let scratch = vec![Complex32::default(); forward.get_inplace_scratch_len().max(inverse.get_inplace_scratch_len())];
        let wave = vec![Complex32::new(1.0, 0.0); pixels];
        Self {
            side: scene.side,
            forward,
            inverse,
            transmission: scene.transmission.clone(),
            propagator,
            turned: wave.clone(),
            wave,
            scratch,
        }
    }

    fn step(&mut self) {
        multiply(&mut self.wave, &self.transmission);
        self.forward.process_with_scratch(&mut self.wave, &mut self.scratch);
        transpose(&self.wave, &mut self.turned, self.side);
        self.forward.process_with_scratch(&mut self.turned, &mut self.scratch);
        multiply(&mut self.turned, &self.propagator);
        self.inverse.process_with_scratch(&mut self.turned, &mut self.scratch);
        transpose(&self.turned, &mut self.wave, self.side);
        self.inverse.process_with_scratch(&mut self.wave, &mut self.scratch);
    }
}

fn multiply(values: &mut [Complex32], factors: &[Complex32]) {
    for (value, factor) in values.iter_mut().zip(factors) {
        *value *= factor;
    }
}

fn transpose(from: &[Complex32], to: &mut [Complex32], side: usize) {
    const TILE: usize = 16;
    for top in (0..side).step_by(TILE) {
        for left in (0..side).step_by(TILE) {
            for y in top..(top + TILE).min(side) {
                for x in left..(left + TILE).min(side) {
                    to[x * side + y] = from[y * side + x];
                }
            }
        }
    }
}

/// One block of waves through one slice, and the plain step, at four sizes.
fn sides(criterion: &mut Criterion) {
    for side in [80, 128, 256, 512] {
        let scene = Scene::new(side);
        let mut group = criterion.benchmark_group(format!("step/{side}"));
        group.sample_size(20).warm_up_time(Duration::from_millis(300)).measurement_time(Duration::from_secs(2));
        for isa in Isa::available() {
            let plan = StepPlan::new(side, side, &scene.kept_columns, isa).expect("the sides suit every instruction set");
            let (t, p) = (plan.transmission(&scene.transmission), plan.propagator(&scene.propagator));
            let beams: Vec<_> = (0..plan.lanes()).map(|lane| (lane % 4, lane / 4)).collect();
            let mut block = plan.plane_waves(&beams);
            group.throughput(Throughput::Elements((side * side * plan.lanes()) as u64));
            group.bench_function(BenchmarkId::from_parameter(isa), |bencher| bencher.iter(|| plan.advance(&mut block, &[(&t, &p)])));
        }
        let mut plain = Plain::new(&scene);
        group.throughput(Throughput::Elements((side * side) as u64));
        group.bench_function(BenchmarkId::from_parameter("plain rustfft"), |bencher| bencher.iter(|| plain.step()));
        group.finish();
    }
}

/// Whole runs at 80²: the rate should not depend on the number of slices or beams.
fn scaling(criterion: &mut Criterion) {
    let scene = Scene::new(80);
    let plan = StepPlan::new(80, 80, &scene.kept_columns, Isa::best()).expect("the sides suit every instruction set");
    let p = plan.propagator(&scene.propagator);
    let mut group = criterion.benchmark_group("scaling/80");
    group.sample_size(10).warm_up_time(Duration::from_millis(300)).measurement_time(Duration::from_secs(1));
    for (slices, beams) in [(10, 16), (50, 16), (200, 16), (50, 64), (50, 256)] {
        // A crystal of different slices: every transmission function comes from memory.
        let crystal: Vec<_> = (0..slices).map(|_| plan.transmission(&scene.transmission)).collect();
        let crystal: Vec<_> = crystal.iter().map(|t| (t, &p)).collect();
        let all: Vec<_> = (0..beams).map(|beam| (beam % 16, beam / 16)).collect();
        group.throughput(Throughput::Elements((80 * 80 * slices * beams) as u64));
        group.bench_function(format!("{slices} slices, {beams} beams"), |bencher| {
            let start = || all.chunks(plan.lanes()).map(|beams| plan.plane_waves(beams)).collect::<Vec<_>>();
            let run = |mut blocks: Vec<_>| {
                for block in &mut blocks {
                    plan.advance(block, &crystal);
                }
                black_box(blocks)
            };
            bencher.iter_batched(start, run, BatchSize::LargeInput);
        });
    }
    group.finish();
}

criterion_group!(benches, sides, scaling);
criterion_main!(benches);
