//! Multislice against itself: tilt forms, k-grid and supercell, Nyquist sampling, engines, threads, reversal.

use crate::scene::{self, BEAM};
use mistilt::image::FourierImage;
use mistilt::microscope::Edge;
use mistilt::multislice::{Bloch, Device, Engine, Illumination, InitialWaves, Reference, Scan, ScatteringStudy, beam_tilt};
use mistilt::numerics::fft::Fft2;
use mistilt::numerics::lanes::Isa;
use mistilt::specimen::{FrozenPhonons, Slab, Slice, SliceAtom, TransmissionPlan};
use num_complex::Complex64;
use std::f64::consts::TAU;

const NONE: &(dyn Fn(usize) + Sync) = &|_| ();

fn largest_difference(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max)
}

/// Samples of an image at a few unremarkable places.
fn samples(image: &FourierImage) -> Vec<f64> {
    [[0.0, 0.0], [0.31, 1.7], [2.05, 2.11], [3.3, 0.4]].iter().map(|&r| image.value(r)).collect()
}

fn scattering<'a>(stack: &'a mistilt::specimen::Stack, tilts: &[[f64; 2]], k_points: [usize; 2], exits: &[usize]) -> ScatteringStudy<'a> {
    ScatteringStudy {
        stack,
        setting: scene::setting(&stack.slab, 0.1),
        k_points,
        raster_origin: [0.0; 2],
        exits: exits.to_vec(),
        illuminations: tilts.iter().map(|&t| Illumination { specimen_tilt_mrad: t, probe: scene::probe(20.0, 30.0) }).collect(),
        detectors: vec![scene::ring(25.0, 40.0)],
        phonons: None,
        edge: Edge::AreaWeighted,
        device: Device::Reference,
    }
}

/// A tilt whose beam tilt is a whole number of raster steps of the k-grid.
fn tilt_on_raster(slab: &Slab, k_points: [usize; 2], steps: [f64; 2]) -> [f64; 2] {
    let b = mistilt::numerics::grid::reciprocal(slab.in_plane_angstrom);
    let k = [0, 1].map(|c| (0..2).map(|i| steps[i] / k_points[i] as f64 * b[i][c]).sum::<f64>());
    k.map(|c: f64| -c * BEAM.wavelength_angstrom() * 1e3)
}

/// Direct probe-by-probe signals with the tilt in the propagator.
fn direct(slab: &Slab, k_points: [usize; 2], tilt: [f64; 2], exits: &[usize], positions: &[[f64; 2]], device: Device) -> Vec<f64> {
    let (stack, setting) = (scene::stack(slab.clone()), scene::setting(slab, 0.1));
    let detectors = [scene::ring(25.0, 40.0)];
    let scan = Scan {
        setting,
        k_points,
        probe: scene::probe(20.0, 30.0),
        specimen_tilt_mrad: tilt,
        detectors: &detectors,
        exits,
        edge: Edge::AreaWeighted,
    };
    let engine = device.engine(&setting, &scene::elements(slab)).unwrap();
    let count = *exits.last().unwrap();
    scan.run(engine.as_ref(), &|_| stack.at_rest(count), positions).unwrap().into_iter().flatten().flatten().collect()
}

#[test]
fn tilt_in_the_propagator_is_tilt_of_the_beam_with_aperture_band_limit_and_detector() {
    let (slab, k_points) = (scene::polar_cell(), [4, 4]);
    let tilt = tilt_on_raster(&slab, k_points, [-5.0, 3.0]);
    assert!(tilt[0] > 3.0 && tilt[1] < -1.0, "a tilt of some milliradians: {tilt:?}");
    let stack = scene::stack(slab.clone());
    let positions = [[0.0, 0.0], [0.31, 1.7], [2.05, 2.11], [3.3, 0.4]];
    let upright = scattering(&stack, &[tilt], k_points, &[6, 20]).run(NONE).unwrap();
    let contracted: Vec<f64> = positions.iter().flat_map(|&r| upright.images[0][0].iter().map(move |exit| exit[0].value(r))).collect();
    let ramp = direct(&slab, k_points, tilt, &[6, 20], &positions, Device::Reference);
    let scale = ramp.iter().copied().fold(0.0, f64::max);
    assert!(largest_difference(&contracted, &ramp) < 1e-12 * scale.max(1.0), "{contracted:?} {ramp:?}");
    assert!(scale > 1e-3, "the detector sees something: {ramp:?}");
}

#[test]
fn tilt_in_the_propagator_is_slices_shifted_along_the_tilt() {
    let slab = scene::polar_cell();
    let (stack, setting) = (scene::stack(slab.clone()), scene::setting(&slab, 0.1));
    let tilt_mrad = [7.0, -4.0];
    let slices = stack.at_rest(12);
    let ramp = Bloch { specimen_tilt_mrad: tilt_mrad, ..Bloch::default() };
    let engine = Reference::new(&setting, &scene::elements(&slab));
    let mut waves = engine.start(ramp, &slices, InitialWaves::Plane(&[(1, -2)])).unwrap();
    waves.advance(0..12).unwrap();
    let mut tilted = vec![Complex64::default(); setting.grid.len()];
    waves.read(0, &mut tilted).unwrap();

    // The same by hand: transmission functions Fourier-shifted by +θz, no ramp.
    let plan = TransmissionPlan::<f64>::new(setting.grid, 2, setting.band, BEAM, setting.factors, &scene::elements(&slab));
    let fft = Fft2::<f64>::new(setting.grid.nx, setting.grid.ny);
    let (mut build, mut scratch) = (plan.scratch(), fft.scratch());
    let mut wave = vec![Complex64::default(); setting.grid.len()];
    wave[setting.grid.index(1, -2)] = Complex64::new(1.0, 0.0);
    let (mut z, points) = (0.0, setting.grid.len() as f64);
    for slice in &slices {
        let mut t = plan.build(&[&slice.atoms], &mut build).remove(0);
        fft.forward(&mut t, &mut scratch);
        for ((h, k), c) in setting.grid.frequencies().zip(&mut t) {
            let g = setting.grid.frequency(h, k);
            *c *= Complex64::cis(-TAU * z * 1e-3 * (g[0] * tilt_mrad[0] + g[1] * tilt_mrad[1])) / points;
        }
        fft.inverse(&mut t, &mut scratch);
        fft.inverse(&mut wave, &mut scratch);
        wave.iter_mut().zip(&t).for_each(|(w, t)| *w *= t);
        fft.forward(&mut wave, &mut scratch);
        let p = Bloch::default().propagator(&setting, slice.thickness_angstrom);
        wave.iter_mut().zip(&p).for_each(|(w, p)| *w *= p / points);
        z += slice.thickness_angstrom;
    }
    let intensities = |w: &[Complex64]| -> Vec<f64> { w.iter().map(Complex64::norm_sqr).collect() };
    assert!(largest_difference(&intensities(&tilted), &intensities(&wave)) < 1e-12);
}

#[test]
fn tilt_in_the_propagator_is_atoms_moved_along_the_tilt_to_what_oversampling_leaves() {
    let slab = scene::polar_cell();
    let stack = scene::stack(slab.clone());
    let setting = mistilt::multislice::Setting { oversampling: 4, ..scene::setting(&slab, 0.05) };
    let tilt_mrad = [9.0, 5.0];
    let b = setting.grid.reciprocal();
    let mut z = 0.0;
    let moved = |slice: &Slice| {
        let shift = tilt_mrad.map(|t| t * 1e-3 * z);
        let atoms: Vec<SliceAtom> = slice
            .atoms
            .iter()
            .map(|a| SliceAtom { in_plane: [0, 1].map(|i| a.in_plane[i] + b[i][0] * shift[0] + b[i][1] * shift[1]), ..*a })
            .collect();
        z += slice.thickness_angstrom;
        Slice { atoms: atoms.into(), ..slice.clone() }
    };
    let sheared: Vec<Slice> = stack.at_rest(24).iter().map(moved).collect();
    let detectors = [scene::ring(25.0, 40.0)];
    let scan = |tilt| Scan {
        setting,
        k_points: [2, 2],
        probe: scene::probe(20.0, 0.0),
        specimen_tilt_mrad: tilt,
        detectors: &detectors,
        exits: &[24],
        edge: Edge::AreaWeighted,
    };
    let engine = Reference::new(&setting, &scene::elements(&slab));
    let positions: Vec<[f64; 2]> = (0..9).map(|i| [f64::from(i % 3) * 1.3, f64::from(i / 3) * 1.3]).collect();
    let flat = |v: Vec<Vec<Vec<f64>>>| -> Vec<f64> { v.into_iter().flatten().flatten().collect() };
    let by_atoms = flat(scan([0.0; 2]).run(&engine, &|_| sheared.clone(), &positions).unwrap());
    let by_ramp = flat(scan(tilt_mrad).run(&engine, &|_| stack.at_rest(24), &positions).unwrap());
    let untilted = flat(scan([0.0; 2]).run(&engine, &|_| stack.at_rest(24), &positions).unwrap());
    let mean = by_ramp.iter().sum::<f64>() / by_ramp.len() as f64;
    let relative = largest_difference(&by_atoms, &by_ramp) / mean;
    assert!(relative < 1e-3, "{relative}");
    assert!(largest_difference(&untilted, &by_ramp) / mean > 30.0 * relative, "the tilt must matter for this to be a test");
}

#[test]
fn a_k_grid_is_its_supercell() {
    let cell = scene::polar_cell();
    let (n, exits) = ([3, 2], [5, 11]);
    let big = scene::supercell(&cell, n);
    let positions = [[0.0, 0.0], [0.4, 1.1], [2.05, 2.11]];
    let by_grid = direct(&cell, n, [3.0, 1.0], &exits, &positions, Device::Reference);
    // The supercell needs the very same points: the cell's grid repeated.
    let setting = {
        let small = scene::setting(&cell, 0.1);
        let mut big_setting = small;
        big_setting.grid.nx *= n[0];
        big_setting.grid.ny *= n[1];
        big_setting.grid.cell_angstrom = big.in_plane_angstrom;
        big_setting
    };
    let detectors = [scene::ring(25.0, 40.0)];
    let scan = Scan {
        setting,
        k_points: [1, 1],
        probe: scene::probe(20.0, 30.0),
        specimen_tilt_mrad: [3.0, 1.0],
        detectors: &detectors,
        exits: &exits,
        edge: Edge::AreaWeighted,
    };
    let engine = Reference::new(&setting, &scene::elements(&big));
    let stack = scene::stack(big);
    let by_supercell: Vec<f64> = scan.run(&engine, &|_| stack.at_rest(11), &positions).unwrap().into_iter().flatten().flatten().collect();
    assert!(largest_difference(&by_grid, &by_supercell) < 1e-12, "{by_grid:?} {by_supercell:?}");
}

#[test]
fn an_image_sampled_at_nyquist_is_exact_everywhere() {
    let slab = scene::polar_cell();
    let (stack, setting) = (scene::stack(slab.clone()), scene::setting(&slab, 0.1));
    let detectors = [scene::ring(25.0, 40.0)];
    let scan = Scan {
        setting,
        k_points: [2, 2],
        probe: scene::probe(20.0, 30.0),
        specimen_tilt_mrad: [2.0, 6.0],
        detectors: &detectors,
        exits: &[10],
        edge: Edge::AreaWeighted,
    };
    let engine = Reference::new(&setting, &scene::elements(&slab));
    let image = scan.image(&engine, &|_| stack.at_rest(10)).unwrap().remove(0).remove(0);
    let positions = [[0.0, 0.0], [0.31, 1.7], [2.05, 2.11], [3.3, 0.4]];
    let exact: Vec<f64> = scan.run(&engine, &|_| stack.at_rest(10), &positions).unwrap().into_iter().flatten().flatten().collect();
    assert!(largest_difference(&samples(&image), &exact) < 1e-12);
}

#[test]
fn every_instruction_set_agrees_with_the_f64_reference_to_1e_4_of_the_signal() {
    let slab = scene::polar_cell();
    let positions: Vec<[f64; 2]> = (0..20).map(|i| [f64::from(i % 5) * 0.8, f64::from(i / 5) * 0.9]).collect();
    let judge = direct(&slab, [2, 2], [4.0, -3.0], &[60], &positions, Device::Reference);
    let mean = judge.iter().sum::<f64>() / judge.len() as f64;
    for isa in Isa::available() {
        let fast = direct(&slab, [2, 2], [4.0, -3.0], &[60], &positions, Device::CpuWith(isa));
        let relative = largest_difference(&fast, &judge) / mean;
        assert!(relative < 1e-4, "{isa:?}: {relative}");
    }
}

#[test]
fn threads_change_no_byte() {
    let mut slab = scene::polar_cell();
    for a in &mut slab.atoms {
        a.displacement_angstrom2 = [[0.006, 0.001, 0.0], [0.001, 0.005, 0.0], [0.0, 0.0, 0.006]];
    }
    let stack = scene::stack(slab);
    let run = |threads: usize| {
        let mut study = scattering(&stack, &[[0.0, 0.0], [5.0, 0.0]], [4, 4], &[8, 16]);
        study.phonons = Some((FrozenPhonons::new(11), 1));
        study.device = Device::Cpu;
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        let stack = pool.install(|| study.run(NONE)).unwrap();
        let images = stack.images.into_iter().flatten().flatten().flatten();
        images.flat_map(|i| i.iter().map(|(_, _, c)| (c.re.to_bits(), c.im.to_bits())).collect::<Vec<_>>()).collect::<Vec<_>>()
    };
    let one = run(1);
    assert!(one.len() > 1000);
    assert_eq!(one, run(3));
}

#[test]
fn running_the_wave_backwards_gives_the_input_back() {
    // Weak atoms, so that next to nothing leaves through the band limit: what leaves cannot come back.
    let mut slab = scene::polar_cell();
    slab.atoms.iter_mut().for_each(|a| a.occupancy = 0.003);
    let setting = scene::setting(&slab, 0.1);
    let forward = scene::stack(slab.clone()).at_rest(20);
    let engine = Reference::new(&setting, &scene::elements(&slab));
    let mut start = vec![Complex64::default(); setting.grid.len()];
    for ((h, k), amplitude) in [(0, 0), (2, 1), (-1, 3)].into_iter().zip([0.8, 0.5, 0.3]) {
        start[setting.grid.index(h, k)] = Complex64::from_polar(amplitude, f64::from(h) + 0.3);
    }
    let propagate = |slices: &[Slice], wave: Vec<Complex64>| {
        let mut waves = engine.start(Bloch::default(), slices, InitialWaves::Spectra(&[wave])).unwrap();
        waves.advance(0..slices.len()).unwrap();
        let mut out = vec![Complex64::default(); setting.grid.len()];
        waves.read(0, &mut out).unwrap();
        out
    };
    // Complex conjugation in real space turns c(k) into c*(−k); the reversed crystal first crosses the last gap, then transmits.
    let conjugate = |wave: &[Complex64]| {
        let mut out = vec![Complex64::default(); wave.len()];
        for ((h, k), c) in setting.grid.frequencies().zip(wave) {
            out[setting.grid.index(-h, -k)] = c.conj();
        }
        out
    };
    let empty: std::sync::Arc<[SliceAtom]> = Vec::new().into();
    let mut backward = vec![Slice { atoms: empty, thickness_angstrom: forward[19].thickness_angstrom }];
    for i in (0..20).rev() {
        let gap = if i == 0 { 0.0 } else { forward[i - 1].thickness_angstrom };
        backward.push(Slice { atoms: forward[i].atoms.clone(), thickness_angstrom: gap });
    }
    let through = propagate(&forward, start.clone());
    let change: f64 = through.iter().zip(&start).map(|(a, b)| (a - b).norm_sqr()).sum();
    assert!(change > 1e-3, "the crystal must do something: {change}");
    let back = conjugate(&propagate(&backward, conjugate(&through)));
    let error = back.iter().zip(&start).map(|(a, b)| (a - b).norm()).fold(0.0, f64::max);
    assert!(error < 2e-5, "{error}");
}

#[test]
fn empty_space_keeps_the_norm_and_the_band_limit_accounts_for_the_rest() {
    let slab = scene::polar_cell();
    let stack = scene::stack(slab.clone());
    // A detector from 0 to the band limit catches all that is not lost.
    let mut study = scattering(&stack, &[[0.0, 0.0]], [2, 2], &[1, 40]);
    let limit = study.setting.band.radius * BEAM.wavelength_angstrom() * 1e3;
    study.detectors = vec![scene::ring(0.0, limit)];
    study.edge = Edge::Hard;
    let result = study.run(NONE).unwrap();
    for exit in 0..2 {
        let caught = result.images[0][0][exit][0].mean();
        assert!((caught + result.lost[0][exit] - 1.0).abs() < 1e-10, "{caught} {}", result.lost[0][exit]);
    }
    assert!(result.lost[0][1] > result.lost[0][0]);

    let vacuum = scene::stack(scene::slab(slab.in_plane_angstrom, 4.0, Vec::new()));
    let empty = scattering(&vacuum, &[[0.0, 0.0]], [2, 2], &[50]).run(NONE).unwrap();
    assert!(empty.lost[0][0].abs() < 1e-12);
}

#[test]
fn a_beam_tilt_is_minus_the_specimen_tilt() {
    let k = beam_tilt([10.0, 0.0], BEAM);
    assert!((k[0] + 0.01 / BEAM.wavelength_angstrom()).abs() < 1e-12 && k[1] == 0.0);
}
