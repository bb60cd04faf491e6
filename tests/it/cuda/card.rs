//! On a card, where one is: CPU = GPU, the routes agree, nothing depends on threads, memory is held. Elsewhere it says why it did not run.

use super::skip;
use crate::scene;
use mistilt::microscope::Edge;
use mistilt::multislice::cuda::{Cuda, Driver, Route, automatic, devices, drivers};
use mistilt::multislice::{Bloch, Device, Engine, Illumination, InitialWaves, Reference, ScatteringStudy};
use mistilt::specimen::{FrozenPhonons, Sign};
use num_complex::Complex64;
use std::sync::Arc;

const NONE: &(dyn Fn(usize) + Sync) = &|_| ();

/// The first card.
fn card(test: &str) -> Option<Arc<dyn Driver>> {
    let Some(cards) = automatic() else {
        let reason = match devices() {
            Err(error) => error.to_string(),
            Ok(found) => found.cards.iter().find_map(|c| c.as_ref().err()).cloned().unwrap_or("the driver sees no card".to_owned()),
        };
        skip(test, &reason);
        return None;
    };
    Some(drivers(cards).unwrap().remove(0))
}

#[test]
fn a_card_gives_the_waves_of_the_reference_on_every_route() {
    let Some(card) = card("waves on a card") else { return };
    let slab = scene::polar_cell();
    let setting = scene::setting(&slab, 0.05);
    let slices = scene::stack(slab.clone()).displaced(60, &FrozenPhonons::new(5), 1, 0, Sign::Plus);
    let bloch = Bloch { offset: [0.03, -0.05], centre: [0.0; 2], specimen_tilt_mrad: [6.0, -3.0] };
    let beams = [(0, 0), (2, -1), (-3, 2), (7, 5)];
    let run = |engine: &dyn Engine| {
        let mut waves = engine.start(bloch, &slices, InitialWaves::Plane(&beams)).unwrap();
        waves.advance(0..60).unwrap();
        let mut out = vec![vec![Complex64::default(); setting.grid.len()]; beams.len()];
        out.iter_mut().enumerate().for_each(|(w, s)| waves.read(w, s).unwrap());
        out.concat()
    };
    let judge = run(&Reference::new(&setting, &scene::elements(&slab)));
    let distance = |a: &[Complex64], b: &[Complex64]| a.iter().zip(b).map(|(a, b)| (a - b).norm()).fold(0.0, f64::max);
    for route in [Route::Fused, Route::Passes, Route::Transforms] {
        let cuda = Cuda::new(&setting, &scene::elements(&slab), vec![card.clone()], Some(route)).unwrap();
        let shipped = run(&cuda);
        let error = distance(&judge, &shipped);
        println!("{} {route:?}: {error:.1e} from the reference", card.name());
        assert!(error < 1e-4, "{route:?}: {error}");
        assert_eq!(shipped, run(&cuda), "{route:?}: twice the same bytes");
        if route == Route::Fused && cuda.specialise().unwrap() {
            assert_eq!(shipped, run(&cuda), "a kernel compiled for its size gives the same bytes");
        }
    }
}

#[test]
fn a_card_gives_the_images_of_the_processor_for_any_number_of_threads_and_holds_its_memory() {
    let Some(card) = card("images on a card") else { return };
    let mut slab = scene::polar_cell();
    slab.atoms.iter_mut().for_each(|a| a.displacement_angstrom2 = [[0.006, 0.0, 0.0], [0.0, 0.006, 0.0], [0.0, 0.0, 0.006]]);
    let stack = scene::stack(slab.clone());
    let tilts = [[0.0, 0.0], [5.0, 0.0], [0.0, -8.0]];
    let study = ScatteringStudy {
        stack: &stack,
        setting: scene::setting(&slab, 0.06),
        k_points: [4, 4],
        raster_origin: [0.0; 2],
        exits: vec![20, 60],
        illuminations: tilts.iter().map(|&t| Illumination { specimen_tilt_mrad: t, probe: scene::probe(20.0, 30.0) }).collect(),
        detectors: vec![scene::ring(25.0, 40.0), scene::ring(45.0, 70.0)],
        phonons: Some((FrozenPhonons::new(11), 1)),
        edge: Edge::AreaWeighted,
        device: Device::Cpu,
    };
    let values = |stack: &mistilt::multislice::ImageStack| -> Vec<f64> {
        let images = stack.images.iter().flatten().flatten().flatten();
        images.flat_map(|i| [[0.0, 0.0], [0.31, 1.7], [2.05, 2.11]].map(|r| i.value(r))).collect()
    };
    let cpu = values(&study.run(NONE).unwrap());
    let cuda = Cuda::new(&study.setting, &scene::elements(&slab), vec![card.clone()], None).unwrap();
    let on = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        values(&pool.install(|| study.run_on(&cuda, NONE)).unwrap())
    };
    let (one, four) = (on(1), on(4));
    let mean = cpu.iter().sum::<f64>() / cpu.len() as f64;
    let error = cpu.iter().zip(&one).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max) / mean;
    println!("{}: images {error:.1e} of the mean from the processor's", card.name());
    assert!(error < 1e-4, "{error}");
    assert_eq!(one, four);
    let free = card.free_bytes().unwrap();
    let again = on(4);
    // Other programs may share the card: what this one takes is far less than the margin.
    assert!(card.free_bytes().unwrap() + (64 << 20) > free, "memory grows from run to run");
    assert_eq!(one, again);
}

#[test]
fn without_a_card_the_processor_stands_in_and_says_why() {
    let slab = scene::polar_cell();
    let setting = scene::setting(&slab, 0.2);
    let cards = "cuda:31".parse().unwrap();
    // No machine has that card: the strict choice refuses, the other takes the processor.
    let refused = Device::Cuda(cards).engine(&setting, &scene::elements(&slab)).map(|_| ()).unwrap_err();
    assert!(refused.to_string().contains("--device cpu") || refused.to_string().contains("cuda:31"), "{refused}");
    let name = Device::CudaOrCpu(cards).engine(&setting, &scene::elements(&slab)).unwrap().name();
    assert!(name.starts_with("cpu f32") && name.contains(", since "), "{name}");
}
