//! Scenes imaged by library against multislice of the same scenes, atom by atom, in small and coarse settings.

use crate::scene::{probe, ring};
use mistilt::crystal::structures;
use mistilt::image::{Radiance, SourceShape};
use mistilt::multislice::Device;
use mistilt::potential::Factors;
use mistilt::scene::{
    Imaging, Library, LibraryAxes, LibrarySpan, Motion, MultisliceImage, Pattern, Scene, SceneImage, SceneSettings, View,
};
use mistilt::study::Study;
use mistilt::study::library_check::{Comparison, compare};
use std::path::Path;
use std::sync::Arc;

const POINT_SOURCE: SourceShape = SourceShape { fwhm_angstrom: 0.0, tail_fraction: 0.0, tail_fwhm_angstrom: 0.0 };
const NONE: &(dyn Fn(usize) + Sync) = &|_| ();

fn imaging(k_points: [usize; 2], convergence_mrad: f64) -> Imaging {
    Imaging {
        probe: probe(convergence_mrad, 10.0),
        detectors: vec![ring(30.0, 55.0)],
        pixel_angstrom: 0.1,
        oversampling: 2,
        factors: Factors::Lobato,
        k_points,
        motion: Motion::None,
        device: Device::Cpu,
    }
}

fn scene(settings: &SceneSettings, thickness_angstrom: f64, tilt_mrad: [f64; 2]) -> Arc<Scene> {
    Arc::new(Scene::new(settings, &structures::get("bifeo3-r3c").unwrap(), thickness_angstrom, tilt_mrad).unwrap())
}

fn by_library(scene: &Arc<Scene>, imaging: &Imaging) -> SceneImage {
    let axes = LibrarySpan::of(scene, 0, imaging.probe.aberrations.defocus_angstrom()).unwrap().axes();
    with_axes(scene, imaging, &axes)
}

fn with_axes(scene: &Arc<Scene>, imaging: &Imaging, axes: &LibraryAxes) -> SceneImage {
    let library = Library::compute(&scene.materials[0], axes, imaging, NONE).unwrap();
    let view = View { detector: 0, defocus_angstrom: imaging.probe.aberrations.defocus_angstrom() };
    SceneImage::new(scene.clone(), vec![Arc::new(library)], view, POINT_SOURCE).unwrap()
}

/// Places over a few cells that fall on no grid.
fn places(scene: &Scene, count: usize) -> Vec<[f64; 2]> {
    let extent = scene.extent_angstrom();
    (0..count).map(|n| [0, 1].map(|c| extent[c] * (0.137 + n as f64 * [0.618_034, 0.414_214][c]).fract())).collect()
}

fn values(image: &dyn Radiance, places: &[[f64; 2]]) -> Vec<f64> {
    let mut out = vec![0.0; places.len()];
    image.evaluate(places, &mut out);
    out
}

/// Largest difference over the largest value.
fn largest_error(a: &[f64], b: &[f64]) -> f64 {
    let peak = b.iter().copied().fold(0.0, f64::max);
    a.iter().zip(b).map(|(x, y)| (x - y).abs()).fold(0.0, f64::max) / peak
}

#[test]
fn a_uniform_scene_is_its_supercell_by_multislice() {
    // So little dopant that no atom is substituted: the supercell is written out cell by cell all the same.
    let settings = SceneSettings { size_cells: [2, 2], variant: 2, composition: 1e-12, ..SceneSettings::default() };
    let scene = scene(&settings, 40.0, [4.0, -3.0]);
    let imaging = imaging([4, 4], 18.0);
    let whole = MultisliceImage::compute(&scene, &imaging, NONE).unwrap().remove(0);
    let places = places(&scene, 60);
    let error = largest_error(&values(&by_library(&scene, &imaging), &places), &values(&whole, &places));
    assert!(error < 1e-4, "{error}");
}

#[test]
fn windows_about_every_probe_see_what_a_supercell_sees() {
    // A wedge too slight to take a layer off makes the scene one that does not repeat.
    let flat = SceneSettings { size_cells: [1, 1], ..SceneSettings::default() };
    let wedge = SceneSettings { wedge_nm_per_nm: 1e-9, ..flat.clone() };
    let (flat, wedge) = (scene(&flat, 16.0, [2.0, 0.0]), scene(&wedge, 16.0, [2.0, 0.0]));
    let imaging = imaging([5, 5], 10.0);
    assert_eq!((flat.periodic, wedge.periodic), ([true; 2], [false; 2]));
    let by_windows = MultisliceImage::compute(&wedge, &imaging, NONE).unwrap().remove(0);
    let by_supercell = MultisliceImage::compute(&flat, &imaging, NONE).unwrap().remove(0);
    let places = places(&flat, 40);
    let error = largest_error(&values(&by_windows, &places), &values(&by_supercell, &places));
    // The sharpest waves of an image with a point source, between samples a third of their length apart.
    assert!(error < 5e-3, "{error}");
}

#[test]
fn between_its_nodes_a_library_is_close_to_multislice() {
    let settings = SceneSettings { size_cells: [1, 1], ..SceneSettings::default() };
    let scene = scene(&settings, 48.0, [2.0, -1.0]);
    let imaging = imaging([3, 3], 18.0);
    let exact = by_library(&scene, &imaging);
    let own = LibrarySpan::of(&scene, 0, 10.0).unwrap().axes();
    let places = places(&scene, 60);
    let exact = values(&exact, &places);
    let d = own.displacement_x_pm[0];
    for (what, axes, tolerance) in [
        ("tilt", LibraryAxes { tilt_x_mrad: vec![-4.0, 0.0, 4.0, 8.0], ..own.clone() }, 0.01),
        ("thickness", LibraryAxes { layers: vec![9, 11, 13, 15], ..own.clone() }, 0.02),
        ("defocus", LibraryAxes { defocus_angstrom: vec![-15.0, -5.0, 5.0, 15.0, 25.0], ..own.clone() }, 0.01),
        ("displacement", LibraryAxes { displacement_x_pm: vec![-1.4 * d, 0.0, 1.4 * d], ..own.clone() }, 0.02),
    ] {
        let error = largest_error(&values(&with_axes(&scene, &imaging, &axes), &places), &exact);
        assert!(error < tolerance, "{what}: {error}");
    }
}

#[test]
fn threads_change_no_byte_of_a_scene() {
    let settings = SceneSettings { size_cells: [5, 3], pattern: Pattern::Wall71, composition: 0.1, ..SceneSettings::default() };
    let scene = scene(&settings, 12.0, [0.0; 2]);
    let imaging = Imaging { motion: Motion::FrozenPhonons { seed: 4, pairs: 1 }, ..imaging([2, 2], 12.0) };
    let places = places(&scene, 50);
    let run = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| values(&by_library(&scene, &imaging), &places)).into_iter().map(f64::to_bits).collect::<Vec<_>>()
    };
    assert_eq!(run(1), run(3));
}

fn compared(settings: &SceneSettings) -> Comparison {
    let text = "name = \"check\"\n[crystal]\nstructure = \"bifeo3-r3c\"\nthickness_nm = 4\n[microscope]\nvoltage_kv = 300\nconvergence_mrad = 20\n\
        [[microscope.detectors]]\nname = \"adf\"\ninner_mrad = 35\nouter_mrad = 60\n[simulation]\npixel_angstrom = 0.1\nk_points = [2, 2]\n[scene]\n";
    let study = Study::parse("check.toml", text, Path::new(""), &[]).unwrap();
    compare(&study.points()[0].config, "held out", settings, None, NONE).unwrap()
}

#[test]
fn the_library_holds_its_bounds_on_a_held_out_strip_with_walls() {
    let settings = SceneSettings {
        size_cells: [8, 1],
        pattern: Pattern::Stripes71,
        wall_normal_deg: Some(0.0),
        period_nm: 200.0,
        wall_width_nm: 0.5,
        ..SceneSettings::default()
    };
    let error = compared(&settings).error;
    println!("{error:?}");
    assert!(error.away.columns >= 2 && error.at_walls.columns >= 8, "{error:?}");
    assert!(error.away.largest_pm < 1.0 && error.away.largest_percent < 2.0, "{error:?}");
    assert!(error.at_walls.largest_pm < 1.0 && error.at_walls.largest_percent < 2.5, "{error:?}");
}
