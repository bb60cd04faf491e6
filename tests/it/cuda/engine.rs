//! The whole engine on a make-believe card against the f64 reference: every route and start, images, memory, and what goes wrong.

use super::host::{HostCard, HostDriver, Order};
use super::kernels_or_skip;
use crate::scene;
use mistilt::image::FourierImage;
use mistilt::microscope::Edge;
use mistilt::multislice::cuda::{Cuda, DeviceError, Driver, Route};
use mistilt::multislice::{
    Bloch, Device, Engine, Illumination, InitialWaves, MultisliceError, Probes, Propagation, Reference, Scan, ScatteringStudy, Setting,
};
use mistilt::numerics::grid::Grid;
use mistilt::specimen::{FrozenPhonons, Slab, Slice, Stack};
use num_complex::Complex64;
use std::sync::Arc;
use std::sync::atomic::Ordering;

const NONE: &(dyn Fn(usize) + Sync) = &|_| ();
const ROUTES: [Route; 3] = [Route::Fused, Route::Passes, Route::Transforms];

/// A setting on a grid of these sides.
fn setting(slab: &Slab, nx: usize, ny: usize) -> Setting {
    let base = scene::setting(slab, 0.2);
    let grid = Grid { nx, ny, cell_angstrom: slab.in_plane_angstrom };
    Setting { grid, band: mistilt::numerics::band_limit::BandLimit::two_thirds(grid.nyquist()), ..base }
}

fn engine(card: HostCard, setting: &Setting, slab: &Slab, route: Route) -> (Arc<HostCard>, Cuda) {
    let card = Arc::new(card);
    let engine = Cuda::new(setting, &scene::elements(slab), vec![Arc::new(HostDriver(card.clone()))], Some(route)).unwrap();
    assert_eq!(engine.route(), Some(route), "the route can be taken");
    (card, engine)
}

fn warm() -> Slab {
    let mut slab = scene::polar_cell();
    for a in &mut slab.atoms {
        a.displacement_angstrom2 = [[0.006, 0.001, 0.0], [0.001, 0.005, 0.0], [0.0, 0.0, 0.006]];
    }
    slab
}

fn spectra(waves: &mut dyn Propagation) -> Vec<Vec<Complex64>> {
    let mut all = vec![vec![Complex64::default(); waves.points()]; waves.waves()];
    for (wave, spectrum) in all.iter_mut().enumerate() {
        waves.read(wave, spectrum).unwrap();
    }
    all
}

fn far(a: &[Vec<Complex64>], b: &[Vec<Complex64>]) -> f64 {
    let distance = |(a, b): (&Complex64, &Complex64)| (a - b).norm();
    let all = a.iter().flatten().zip(b.iter().flatten()).map(distance);
    all.fold(0.0, |m, d| if d.is_nan() { f64::INFINITY } else { f64::max(m, d) })
}

fn bits(spectra: &[Vec<Complex64>]) -> Vec<(u64, u64)> {
    spectra.iter().flatten().map(|c| (c.re.to_bits(), c.im.to_bits())).collect()
}

/// Waves after `count` slices in two steps, with the tilt in the propagator and an offset.
fn through(engine: &dyn Engine, slices: &[Slice], start: InitialWaves<'_>) -> Vec<Vec<Complex64>> {
    let bloch = Bloch { offset: [0.03, -0.05], centre: [0.0; 2], specimen_tilt_mrad: [6.0, -3.0] };
    let mut waves = engine.start(bloch, slices, start).unwrap();
    waves.advance(0..slices.len() / 3).unwrap();
    waves.advance(slices.len() / 3..slices.len()).unwrap();
    spectra(waves.as_mut())
}

#[test]
fn every_route_and_start_is_the_reference() {
    let kernels = kernels_or_skip!("routes");
    let slab = warm();
    let stack = scene::stack(slab.clone());
    let phonons = FrozenPhonons::new(5);
    let slices = stack.displaced(7, &phonons, 1, 0, mistilt::specimen::Sign::Plus);
    // Odd sides, sides that differ, one to three stages.
    for (nx, ny) in [(25, 18), (20, 24), (16, 27)] {
        let setting = setting(&slab, nx, ny);
        let judge = Reference::new(&setting, &scene::elements(&slab));
        let aperture: Vec<Complex64> = setting.grid.frequencies().map(|(h, k)| Complex64::from_polar(1.0, f64::from(h * h - k))).collect();
        let positions = [[0.0, 0.0], [1.3, 2.9], [-40.2, 17.7]];
        let spectrum: Vec<Vec<Complex64>> = vec![aperture.iter().map(|a| a * 0.5).collect()];
        let beams = [(0, 0), (2, -1), (-3, 2), (1, 1), (0, -4)];
        let starts = [
            InitialWaves::Plane(&beams),
            InitialWaves::Probes(Probes { aperture: &aperture, positions_angstrom: &positions }),
            InitialWaves::Spectra(&spectrum),
        ];
        for start in starts {
            let expected = through(&judge, &slices, start);
            let scale = expected.iter().flatten().map(|c| c.norm()).fold(0.0, f64::max);
            for route in ROUTES {
                let (_, cuda) = engine(HostCard::new(kernels), &setting, &slab, route);
                let error = far(&through(&cuda, &slices, start), &expected) / scale;
                assert!(error < 2e-5, "{route:?} at {nx} × {ny}: {error}");
            }
        }
    }
}

#[test]
fn the_order_of_threads_changes_no_byte_of_a_wave() {
    let kernels = kernels_or_skip!("orders");
    let slab = scene::polar_cell();
    let setting = setting(&slab, 20, 18);
    let slices = scene::stack(slab.clone()).at_rest(5);
    for route in [Route::Fused, Route::Passes] {
        let run = |order: Order| {
            let mut card = HostCard::new(kernels);
            card.order = order;
            let (_, cuda) = engine(card, &setting, &slab, route);
            bits(&through(&cuda, &slices, InitialWaves::Plane(&[(0, 0), (1, -2)])))
        };
        let forward = run(Order::Forward);
        assert_eq!(forward, run(Order::Backward), "{route:?}");
        assert_eq!(forward, run(Order::Shuffled(3)), "{route:?}");
    }
}

fn study<'a>(stack: &'a Stack, setting: Setting, exits: &[usize]) -> ScatteringStudy<'a> {
    // Two tilts, one of them with two defoci: three probes on two matrices.
    let one = |tilt, defocus| Illumination { specimen_tilt_mrad: tilt, probe: scene::probe(12.0, defocus) };
    ScatteringStudy {
        stack,
        setting,
        k_points: [2, 2],
        raster_origin: [0.0; 2],
        exits: exits.to_vec(),
        illuminations: vec![one([0.0, 0.0], 0.0), one([3.0, -2.0], 0.0), one([0.0, 0.0], 40.0)],
        detectors: vec![scene::ring(14.0, 22.0), scene::ring(5.0, 12.0)],
        phonons: Some((FrozenPhonons::new(11), 1)),
        edge: Edge::AreaWeighted,
        device: Device::Reference,
    }
}

fn coefficients(images: &[Vec<Vec<Vec<FourierImage>>>]) -> Vec<Complex64> {
    images.iter().flatten().flatten().flatten().flat_map(|i| i.iter().map(|(_, _, c)| c).collect::<Vec<_>>()).collect()
}

#[test]
fn images_of_a_scattering_matrix_are_the_references_and_memory_is_held() {
    let kernels = kernels_or_skip!("scattering matrix");
    let slab = warm();
    let stack = scene::stack(slab.clone());
    let setting = setting(&slab, 24, 20);
    let study = study(&stack, setting, &[3, 8]);
    let judge = study.run(NONE).unwrap();
    let expected = coefficients(&judge.images);
    let scale = expected.iter().map(|c| c.norm()).fold(0.0, f64::max);
    assert!(scale > 1e-4, "the detectors see something: {scale}");
    for route in ROUTES {
        let (card, cuda) = engine(HostCard::new(kernels), &setting, &slab, route);
        let one = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
        let first = one.install(|| study.run_on(&cuda, NONE)).unwrap();
        let error = expected.iter().zip(coefficients(&first.images)).map(|(a, b)| (a - b).norm()).fold(0.0, f64::max) / scale;
        assert!(error < 1e-4, "{route:?}: {error}");
        for (a, b) in judge.lost.iter().flatten().zip(first.lost.iter().flatten()) {
            assert!((a - b).abs() < 1e-5, "{route:?}: lost {a} {b}");
        }
        // A second run takes no memory, and several threads change no byte.
        let taken = card.allocations.load(Ordering::SeqCst);
        one.install(|| study.run_on(&cuda, NONE)).unwrap();
        assert_eq!(card.allocations.load(Ordering::SeqCst), taken, "{route:?}");
        let three = rayon::ThreadPoolBuilder::new().num_threads(3).build().unwrap();
        let again = three.install(|| study.run_on(&cuda, NONE)).unwrap();
        assert_eq!(coefficients(&first.images), coefficients(&again.images), "{route:?}");
        drop(cuda);
        assert_eq!(card.used_bytes.load(Ordering::SeqCst), 0, "{route:?}: all memory went back");
    }
}

#[test]
fn scanned_images_are_the_references_whatever_the_batch() {
    let kernels = kernels_or_skip!("scan");
    let slab = scene::polar_cell();
    let setting = setting(&slab, 20, 18);
    let stack = scene::stack(slab.clone());
    let detectors = [scene::ring(10.0, 20.0)];
    let scan = Scan {
        setting,
        k_points: [1, 1],
        probe: scene::probe(9.0, 30.0),
        specimen_tilt_mrad: [4.0, 1.0],
        detectors: &detectors,
        exits: &[4],
        edge: Edge::AreaWeighted,
    };
    let at_rest = |_| stack.at_rest(4);
    let judge = scan.image(&Reference::new(&setting, &scene::elements(&slab)), &at_rest).unwrap();
    let mean = judge[0][0].mean();
    let mut found = Vec::new();
    for memory_bytes in [64 << 20, 1 << 20] {
        let mut card = HostCard::new(kernels);
        card.memory_bytes = memory_bytes;
        let (_, cuda) = engine(card, &setting, &slab, Route::Fused);
        let image = scan.image(&cuda, &at_rest).unwrap().remove(0).remove(0);
        assert!(judge[0][0].iter().zip(image.iter()).all(|(a, b)| (a.2 - b.2).norm() < 1e-4 * mean));
        found.push((cuda.batch(), image));
    }
    assert_ne!(found[0].0, found[1].0, "the batch follows the memory");
    assert_eq!(found[0].1, found[1].1, "and changes no byte");
}

#[test]
fn a_kernel_compiled_for_its_size_gives_the_same_bytes() {
    let kernels = kernels_or_skip!("specialised kernels");
    let slab = scene::polar_cell();
    let setting = setting(&slab, 20, 16);
    let slices = scene::stack(slab.clone()).at_rest(3);
    let (_, cuda) = engine(HostCard::new(kernels), &setting, &slab, Route::Fused);
    let run = || bits(&through(&cuda, &slices, InitialWaves::Plane(&[(0, 0), (1, -2)])));
    let shipped = run();
    assert!(cuda.specialise().unwrap());
    assert_eq!(shipped, run());
}

#[test]
fn little_memory_makes_smaller_chunks_and_the_same_bytes_and_too_little_a_sentence() {
    let kernels = kernels_or_skip!("out of memory");
    let slab = warm();
    let setting = setting(&slab, 20, 18);
    let slices = scene::stack(slab.clone()).displaced(40, &FrozenPhonons::new(5), 1, 0, mistilt::specimen::Sign::Minus);
    let run = |megabytes: f64| {
        let mut card = HostCard::new(kernels);
        card.memory_bytes = (megabytes * 1e6) as usize;
        let (card, cuda) = engine(card, &setting, &slab, Route::Fused);
        let bloch = Bloch::default();
        let mut waves = cuda.start(bloch, &slices, InitialWaves::Plane(&[(0, 0), (1, 2)]))?;
        waves.advance(0..slices.len())?;
        Ok::<_, MultisliceError>((bits(&spectra(waves.as_mut())), card.launches.load(Ordering::SeqCst)))
    };
    let (ample, few) = run(100.0).unwrap();
    let (scarce, many) = run(0.4).unwrap();
    assert_eq!(ample, scarce);
    assert!(many > few, "smaller chunks mean more launches: {many} {few}");
    let error = run(0.06).map(|_| ()).unwrap_err();
    assert!(error.is_out_of_memory() && error.to_string().contains("--device cpu"), "{error}");
}

#[test]
fn a_lost_card_is_a_sentence_and_never_a_panic() {
    let kernels = kernels_or_skip!("lost card");
    let slab = warm();
    let stack = scene::stack(slab.clone());
    let setting = setting(&slab, 20, 18);
    for lost_at in [0, 1, 9, 30] {
        let mut card = HostCard::new(kernels);
        card.lost_at = lost_at;
        let drivers: Vec<Arc<dyn Driver>> = vec![Arc::new(HostDriver(Arc::new(card)))];
        let result = Cuda::new(&setting, &scene::elements(&slab), drivers, None).map_err(MultisliceError::from);
        let error = result.and_then(|cuda| study(&stack, setting, &[3, 8]).run_on(&cuda, NONE)).map(|_| ()).unwrap_err();
        assert!(matches!(error, MultisliceError::Device(DeviceError::Lost { .. })), "{error}");
        assert!(error.to_string().contains("nvidia-smi"), "{error}");
    }
}

#[test]
fn cards_share_the_classes_and_must_be_of_one_model() {
    let kernels = kernels_or_skip!("several cards");
    let slab = warm();
    let stack = scene::stack(slab.clone());
    let setting = setting(&slab, 20, 18);
    let study = study(&stack, setting, &[3]);
    let cards: Vec<Arc<HostCard>> = (0..2).map(|_| Arc::new(HostCard::new(kernels))).collect();
    let drivers = |cards: &[Arc<HostCard>]| cards.iter().map(|c| Arc::new(HostDriver(c.clone())) as Arc<dyn Driver>).collect::<Vec<_>>();
    let both = Cuda::new(&setting, &scene::elements(&slab), drivers(&cards), None).unwrap();
    let one = Cuda::new(&setting, &scene::elements(&slab), drivers(&cards[..1]), None).unwrap();
    let pool = rayon::ThreadPoolBuilder::new().num_threads(4).build().unwrap();
    let shared = pool.install(|| study.run_on(&both, NONE)).unwrap();
    assert!(cards.iter().all(|c| c.launches.load(Ordering::SeqCst) > 0), "both cards worked");
    assert_eq!(coefficients(&shared.images), coefficients(&study.run_on(&one, NONE).unwrap().images));

    let mut other = HostCard::new(kernels);
    other.model = "another".to_owned();
    let mixed = Cuda::new(&setting, &scene::elements(&slab), drivers(&[cards[0].clone(), Arc::new(other)]), None);
    assert!(matches!(mixed.map(|_| ()), Err(DeviceError::MixedCards { .. })));
}

#[test]
fn grids_take_the_route_that_fits_them() {
    let kernels = kernels_or_skip!("choice of route");
    let slab = scene::polar_cell();
    let route = |nx, ny, shared_bytes, with_fft| {
        let mut card = HostCard::new(kernels);
        (card.shared_bytes, card.with_fft) = (shared_bytes, with_fft);
        let setting = Setting { oversampling: 1, ..setting(&slab, nx, ny) };
        Cuda::new(&setting, &scene::elements(&slab), vec![Arc::new(HostDriver(Arc::new(card)))], None).map(|c| c.route().unwrap())
    };
    // An H100 has 227 KB a block, an RTX 4090 99 KB.
    assert_eq!(route(128, 128, 227 << 10, true), Ok(Route::Fused));
    assert_eq!(route(128, 128, 99 << 10, true), Ok(Route::Passes));
    assert_eq!(route(80, 80, 99 << 10, false), Ok(Route::Fused));
    assert_eq!(route(512, 512, 227 << 10, false), Ok(Route::Passes));
    assert_eq!(route(22, 18, 227 << 10, true), Ok(Route::Transforms));
    let error = route(22, 18, 227 << 10, false).unwrap_err();
    assert!(matches!(error, DeviceError::NoFft { .. }), "{error}");
}
