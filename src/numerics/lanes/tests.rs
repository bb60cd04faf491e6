//! The step against a double-precision reference, and what every instruction set promises.

use num_complex::{Complex32, Complex64};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rustfft::FftPlanner;

use super::*;

/// A grid, its band limit and some slices, in double precision.
struct Scene {
    nx: usize,
    ny: usize,
    kept: Vec<bool>,
    slices: Vec<(Vec<Complex64>, Vec<Complex64>)>,
}

fn signed(k: usize, n: usize) -> f64 {
    if 2 * k < n { k as f64 } else { k as f64 - n as f64 }
}

impl Scene {
    /// Random phases in real space; quadratic phases in k-space inside an ellipse of `band` times Nyquist (all of it if infinite).
    fn new(nx: usize, ny: usize, slices: usize, band: f64) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64((nx * 1000 + ny) as u64);
        let unit = Complex64::cis;
        let reduced = |k: usize, n: usize| 2.0 * signed(k, n) / n as f64 / band;
        let factor = |i: usize| reduced(i % nx, nx).powi(2) + reduced(i / nx, ny).powi(2);
        let slice = |_| {
            let t = (0..nx * ny).map(|_| unit(rng.random_range(-0.5..0.5))).collect();
            let curvature = rng.random_range(1.0..3.0);
            let p = (0..nx * ny).map(|i| if factor(i) < 1.0 { unit(-curvature * factor(i)) } else { Complex64::default() }).collect();
            (t, p)
        };
        let slices = (0..slices).map(slice).collect();
        Self { nx, ny, kept: (0..nx).map(|k| reduced(k, nx).abs() < 1.0).collect(), slices }
    }

    fn random_wave(&self, seed: u64) -> Vec<Complex32> {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let mut value = |i: usize| {
            let c = Complex32::new(rng.random_range(-1.0..1.0), rng.random_range(-1.0..1.0));
            if self.kept[i % self.nx] { c } else { Complex32::default() }
        };
        (0..self.nx * self.ny).map(&mut value).collect()
    }

    fn plan(&self, isa: Isa) -> StepPlan {
        StepPlan::new(self.nx, self.ny, &self.kept, isa).expect("a grid that suits the instruction set")
    }

    /// The waves after all slices, on one instruction set.
    fn run(&self, isa: Isa, waves: &[&[Complex32]]) -> Vec<Vec<Complex32>> {
        let plan = self.plan(isa);
        let narrow = |v: &[Complex64]| v.iter().map(|c| Complex32::new(c.re as f32, c.im as f32)).collect::<Vec<_>>();
        let slices: Vec<_> = self.slices.iter().map(|(t, p)| (plan.transmission(&narrow(t)), plan.propagator(&narrow(p)))).collect();
        let slices: Vec<_> = slices.iter().map(|(t, p)| (t, p)).collect();
        let mut results = Vec::new();
        for some in waves.chunks(plan.lanes()) {
            let mut block = plan.load(some);
            plan.advance(&mut block, &slices);
            for lane in 0..some.len() {
                let mut out = vec![Complex32::default(); self.nx * self.ny];
                plan.read(&block, lane, &mut out);
                results.push(out);
            }
        }
        results
    }

    /// The wave after all slices, by the definition, in double precision.
    fn reference(&self, wave: &[Complex32]) -> Vec<Complex64> {
        let mut c: Vec<_> = wave.iter().map(|c| Complex64::new(f64::from(c.re), f64::from(c.im))).collect();
        let scale = 1.0 / (self.nx * self.ny) as f64;
        for (t, p) in &self.slices {
            self.transform(&mut c, false);
            c.iter_mut().zip(t).for_each(|(c, t)| *c *= t);
            self.transform(&mut c, true);
            c.iter_mut().zip(p).for_each(|(c, p)| *c *= p * scale);
        }
        c
    }

    fn transform(&self, c: &mut [Complex64], forward: bool) {
        let mut planner = FftPlanner::new();
        let mut plan = |n| if forward { planner.plan_fft_forward(n) } else { planner.plan_fft_inverse(n) };
        let (fft_x, fft_y) = (plan(self.nx), plan(self.ny));
        fft_x.process(c);
        for x in 0..self.nx {
            let mut column: Vec<_> = (0..self.ny).map(|y| c[y * self.nx + x]).collect();
            fft_y.process(&mut column);
            column.iter().enumerate().for_each(|(y, value)| c[y * self.nx + x] = *value);
        }
    }
}

fn relative_error(result: &[Complex32], reference: &[Complex64]) -> f64 {
    let difference: f64 = result.iter().zip(reference).map(|(a, b)| (Complex64::new(a.re.into(), a.im.into()) - b).norm_sqr()).sum();
    (difference / reference.iter().map(Complex64::norm_sqr).sum::<f64>()).sqrt()
}

fn norm(wave: &[Complex32]) -> f64 {
    wave.iter().map(|c| f64::from(c.norm_sqr())).sum()
}

#[test]
fn every_instruction_set_agrees_with_double_precision_and_with_each_other() {
    let smooth =
        [(20, 20), (36, 36), (45, 45), (80, 80), (96, 96), (128, 128), (90, 80), (80, 90), (5, 16), (270, 300), (512, 20), (32, 640)];
    for (i, &(nx, ny)) in smooth.iter().chain(&[(90, 112), (7, 13)]).enumerate() {
        let scene = Scene::new(nx, ny, 3 + i % 3, 2.0 / 3.0);
        let waves: Vec<_> = (0..3).map(|seed| scene.random_wave(seed)).collect();
        let waves: Vec<_> = waves.iter().map(Vec::as_slice).collect();
        let references: Vec<_> = waves.iter().map(|wave| scene.reference(wave)).collect();
        for isa in Isa::available() {
            if isa != Isa::Portable && i >= smooth.len() {
                continue;
            }
            for (result, reference) in scene.run(isa, &waves).iter().zip(&references) {
                let error = relative_error(result, reference);
                assert!(error < 1e-6, "{isa} {nx} × {ny}: relative error {error:.1e}");
            }
        }
    }
}

#[test]
fn a_wave_has_the_same_bytes_in_every_lane_and_company() {
    let scene = Scene::new(80, 36, 3, 2.0 / 3.0);
    let wave = scene.random_wave(0);
    for isa in Isa::available() {
        let alone = scene.run(isa, &[&wave]).remove(0);
        let lanes = scene.plan(isa).lanes();
        for lane in 0..lanes {
            let others: Vec<_> = (0..lanes).map(|i| scene.random_wave((1 + i + 100 * lane) as u64)).collect();
            let mut waves: Vec<_> = others.iter().map(Vec::as_slice).collect();
            waves[lane] = &wave;
            assert_eq!(scene.run(isa, &waves)[lane], alone, "{isa} lane {lane}");
        }
    }
}

#[test]
fn phases_alone_conserve_the_norm() {
    let scene = Scene::new(60, 80, 5, f64::INFINITY);
    let wave = scene.random_wave(3);
    for isa in Isa::available() {
        let after = norm(&scene.run(isa, &[&wave])[0]);
        assert!((after / norm(&wave) - 1.0).abs() < 1e-6, "{isa}: {after}");
    }
}

#[test]
fn what_is_loaded_is_read_back_and_dropped_columns_are_zero() {
    let scene = Scene::new(48, 50, 0, 0.5);
    let mut wave = scene.random_wave(4);
    let kept = wave.clone();
    for (i, c) in wave.iter_mut().enumerate() {
        if !scene.kept[i % scene.nx] {
            *c = Complex32::new(7.0, -7.0);
        }
    }
    let kept: Vec<_> = kept.iter().map(|c| Complex64::new(c.re.into(), c.im.into())).collect();
    for isa in Isa::available() {
        let back = scene.run(isa, &[&wave]).remove(0);
        assert!(relative_error(&back, &kept) < 5e-7);
        assert!(back.iter().enumerate().all(|(i, c)| scene.kept[i % scene.nx] || *c == Complex32::default()));
    }
}

#[test]
fn plane_waves_are_loaded_deltas() {
    let scene = Scene::new(40, 54, 0, 2.0 / 3.0);
    let beams = [(0, 0), (3, 53), (20, 5), (38, 27)];
    for isa in Isa::available() {
        let plan = scene.plan(isa);
        for some in beams.chunks(plan.lanes()) {
            let block = plan.plane_waves(some);
            for (lane, &(kx, ky)) in some.iter().enumerate() {
                let mut delta = vec![Complex64::default(); 40 * 54];
                delta[ky * 40 + kx].re = 1.0;
                let mut out = vec![Complex32::default(); 40 * 54];
                plan.read(&block, lane, &mut out);
                if scene.kept[kx] {
                    assert!(relative_error(&out, &delta) < 5e-7, "{isa} ({kx}, {ky})");
                } else {
                    assert!(out.iter().all(|c| *c == Complex32::default()));
                }
            }
        }
    }
}

#[test]
fn unsuitable_grids_are_refused_with_a_way_out() {
    let refusal = |nx, ny, kept: &[bool], isa| StepPlan::new(nx, ny, kept, isa).err().expect("a refusal");
    assert_eq!(refusal(0, 20, &[], Isa::Portable), LanesError::Size { nx: 0, ny: 20 });
    assert_eq!(refusal(20, 20_000, &[true; 20], Isa::Portable), LanesError::Size { nx: 20, ny: 20_000 });
    assert_eq!(refusal(20, 20, &[true; 19], Isa::Portable), LanesError::KeptColumns { given: 19, nx: 20 });
    assert_eq!(refusal(20, 20, &[false; 20], Isa::Portable), LanesError::NothingKept);
    for isa in [Isa::Avx512, Isa::Avx2] {
        if Isa::available().contains(&isa) {
            let error = refusal(80, 112, &[true; 80], isa);
            assert_eq!(error, LanesError::Factors { side: 112, isa, below: 108, above: 120 });
            assert!(error.to_string().contains("take 108 or 120 pixels"), "{error}");
        } else {
            assert_eq!(refusal(80, 80, &[true; 80], isa), LanesError::Missing { isa, available: Isa::available() });
        }
    }
}

#[test]
#[should_panic(expected = "another grid")]
fn a_block_of_another_grid_is_refused() {
    let (small, large) = (Scene::new(20, 20, 0, 0.5), Scene::new(24, 20, 0, 0.5));
    let mut block = small.plan(Isa::best()).plane_waves(&[(0, 0)]);
    large.plan(Isa::best()).advance(&mut block, &[]);
}
