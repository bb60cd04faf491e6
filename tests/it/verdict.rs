//! The verdict end to end on small libraries: responses between the tilts of a library, mean cells, tilts and calls.

use mistilt::artifact::mosaic::{Mosaic, Pattern, Stand};
use mistilt::artifact::trial::{Outcome, Scene, run};
use mistilt::artifact::{
    ArtifactError, Axes, Beliefs, Call, Conditions, Libraries, MeanCell, Method, Numerics, Options, Prepared, ReferenceCells,
    ResponseTable, Ruler, TiltLibrary, read_cells, sensitivities,
};
use mistilt::crystal::structures;
use mistilt::detection::{Camera, CameraSettings, Dose, FrameKey};
use mistilt::image::{Radiance, Raster, SourceShape};
use mistilt::polarization::{MapOptions, polarization_map};
use std::sync::OnceLock;

const SOURCE_ANGSTROM: f64 = 0.9;

/// A coarse library: what counts here is that it answers for itself, not that it is converged. At rest (no pairs) its symmetry is exact;
/// with phonons its columns are as round as those of a real image.
fn library(structure: &str, tilt_mrad: f64, phonon_pairs: usize) -> TiltLibrary {
    let conditions = Conditions {
        detector_mrad: [50.0, 75.0],
        thickness_nm: vec![9.0],
        tilt_mrad,
        numerics: Numerics { pixel_angstrom: 0.06, k_points: [5, 5], phonon_pairs, ..Numerics::default() },
        ..Conditions::default()
    };
    TiltLibrary::compute(&structures::get(structure).unwrap(), &conditions, &|_| ()).unwrap()
}

fn cubic() -> &'static TiltLibrary {
    static LIBRARY: OnceLock<TiltLibrary> = OnceLock::new();
    LIBRARY.get_or_init(|| library("bifeo3-cubic", 4.0, 0))
}

fn warm_cubic() -> &'static TiltLibrary {
    static LIBRARY: OnceLock<TiltLibrary> = OnceLock::new();
    LIBRARY.get_or_init(|| library("bifeo3-cubic", 4.0, 1))
}

fn polar() -> &'static TiltLibrary {
    static LIBRARY: OnceLock<TiltLibrary> = OnceLock::new();
    LIBRARY.get_or_init(|| library("bifeo3-r3c", 4.0, 1))
}

#[test]
fn a_library_reads_back_as_it_was_made_and_damage_is_named() {
    let bytes = cubic().encode().unwrap();
    assert_eq!(&TiltLibrary::decode(&bytes).unwrap(), cubic());
    for damaged in [&bytes[..bytes.len() / 2], b"PK".as_slice(), &[]] {
        assert!(matches!(TiltLibrary::decode(damaged), Err(ArtifactError::Damaged(_))));
    }
}

#[test]
fn a_cubic_crystal_answers_alike_along_x_and_y_and_shows_nothing_upright() {
    let (rows, missing) = sensitivities(cubic(), &[SOURCE_ANGSTROM], &[Ruler::default()]).unwrap();
    assert!(missing.is_empty(), "{missing:?}");
    let [[xx, xy], [yx, yy]] = rows[0].slope_pm_per_mrad;
    assert!(xx.abs() > 0.1 && (xx - yy).abs() < 0.02 * xx.abs(), "{xx} {yy}");
    assert!(xy.abs() < 0.02 * xx.abs() && yx.abs() < 0.02 * xx.abs(), "{xy} {yx}");
    assert!(rows[0].offset_pm.iter().all(|o| o.abs() < 0.02), "{:?}", rows[0].offset_pm);
    // 3 mrad by the larger singular value of a diagonal matrix.
    assert!((rows[0].largest_fake_pm(3.0) - 3.0 * xx.abs().max(yy.abs())).abs() < 0.05);
}

#[test]
fn a_polynomial_stands_for_tilts_between_those_of_the_library() {
    // The tilts of a smaller library lie inside those of the larger and on none of them but zero.
    let (large, small) = (ResponseTable::new(polar(), &[SOURCE_ANGSTROM], &Ruler::default()).unwrap(), library("bifeo3-r3c", 2.6, 1));
    let response = large.at(&large.middle());
    for (tilt, theta) in small.header.tilts_mrad.iter().enumerate().skip(1) {
        let image = small.image(tilt, 0, 0, None).blurred(SOURCE_ANGSTROM);
        let measured = read_cells(&image, &small.header.cells, [0.0; 2], &Ruler::default()).unwrap().shift_pm;
        let expected = response.shift_pm(*theta);
        for c in 0..2 {
            assert!((measured[c] - expected[c]).abs() < 0.2, "{theta:?}: {measured:?} {expected:?}");
        }
    }
}

#[test]
fn pixels_and_coefficients_give_the_same_shift_and_the_mean_cell_the_same_signs_of_tilt() {
    let tilt = 5;
    let stand = Stand { tilt_mrad: polar().header.tilts_mrad[tilt], ..Stand::default() };
    let mosaic = Mosaic::new(Pattern::Monodomain, [polar(), warm_cubic()], 0, stand, 12).unwrap();
    let source = SourceShape { fwhm_angstrom: SOURCE_ANGSTROM, ..SourceShape::default() };
    let seen = mosaic.seen_with(&source).unwrap();
    let raster = Raster::square([0.0; 2], mosaic.side_angstrom(), 0.165);
    let mut pixels = vec![0.0; raster.width * raster.height];
    for (iy, row) in pixels.chunks_mut(raster.width).enumerate() {
        seen.evaluate(&raster.row(iy).collect::<Vec<_>>(), row);
    }
    let image: Vec<f32> = pixels.iter().map(|v| *v as f32).collect();
    let options = MapOptions { empirical_covariance: false, ..MapOptions::default() };
    let (map, columns) = polarization_map(&image, raster.width, raster.height, Some(16.5), &options).unwrap();
    let ruler = Ruler { window_radius_angstrom: 0.165 * columns.window_radius_px(), sample_angstrom: 0.165, ..Ruler::default() };
    let library = polar();
    let simulated = library.image(tilt, 0, 0, None).blurred(SOURCE_ANGSTROM);
    let expected = read_cells(&simulated, &library.header.cells, [0.0; 2], &ruler).unwrap();
    let n = map.cells.len() as f64;
    let mean = map.cells.iter().fold([0.0; 2], |s, c| [s[0] + 16.5 * c.shift_px[0] / n, s[1] + 16.5 * c.shift_px[1] / n]);
    for c in 0..2 {
        assert!((mean[c] - expected.shift_pm[c]).abs() < 0.3, "{mean:?} {:?}", expected.shift_pm);
    }
    let all: Vec<usize> = (0..map.cells.len()).collect();
    let axes = Axes { rotation_rad: 0.0, pixel_angstrom: 0.165 };
    let cell = MeanCell::new(&image, raster.width, &map, &all, &axes).unwrap();
    let found = read_cells(&cell.image, std::slice::from_ref(&cell.places), [0.0; 2], &ruler).unwrap();
    for site in 0..2 {
        for c in 0..2 {
            assert!((found.skewness[site][c] - expected.skewness[site][c]).abs() < 0.01, "{found:?} {expected:?}");
            let mass = (found.mass_minus_gaussian_pm[site][c], expected.mass_minus_gaussian_pm[site][c]);
            assert!((mass.0 - mass.1).abs() < 0.2, "{mass:?}");
        }
        assert!((found.width_pm[site] / expected.width_pm[site] - 1.0).abs() < 0.02);
    }
    assert!(cell.cells > 80, "{}", cell.cells);
}

fn judged(pattern: Pattern, tilt_mrad: [f64; 2], dose: f64, ruler: &Ruler, prepared: &Prepared) -> Outcome {
    let film = if pattern == Pattern::Unpolarized { warm_cubic() } else { polar() };
    let camera = Camera::new(CameraSettings {
        source: SourceShape { fwhm_angstrom: SOURCE_ANGSTROM, ..SourceShape::default() },
        dose: Some(Dose::PerSquareAngstrom { electrons: dose }),
        ..CameraSettings::default()
    })
    .unwrap();
    let scene = Scene {
        pattern,
        film,
        substrate: warm_cubic(),
        thickness: 0,
        stand: Stand { tilt_mrad, ..Stand::default() },
        cells: 14,
        pixel_pm: 16.5,
        camera: &camera,
        source_fwhm_angstrom: SOURCE_ANGSTROM,
        ruler,
        dose,
        key: FrameKey::first(7),
    };
    run(&scene, prepared, None).unwrap()
}

/// The crystal of the images is the library's own, so the answer must be right and not merely within its error: a sign that is turned, a tilt that is
/// not read or a part that is not taken out fails.
#[test]
fn tilt_is_found_and_polarization_told_from_it() {
    let ruler = Ruler { sample_angstrom: 0.165, ..Ruler::default() };
    let options = Options {
        beliefs: Beliefs { max_tilt_mrad: 4.0, domains_equal_to: 0.01, shape_scale: 0.05, shape_true_to_mrad: 0.1 },
        ruler,
        source_fwhm_angstrom: Some([SOURCE_ANGSTROM; 2]),
        reference: ReferenceCells::None,
        bend_degree: 0,
    };
    let of = |film| Prepared::new(&Libraries { film, reference: None }, [SOURCE_ANGSTROM; 2], &options).unwrap();
    let (of_polar, of_cubic) = (of(polar()), of(warm_cubic()));
    for (pattern, tilt) in [(Pattern::Halves180, [2.0, -2.5]), (Pattern::Monodomain, [0.0; 2]), (Pattern::Unpolarized, [-3.0, 1.0])] {
        let prepared = if pattern == Pattern::Unpolarized { &of_cubic } else { &of_polar };
        let outcome = judged(pattern, tilt, 1e5, &ruler, prepared);
        let together = outcome.tilts.iter().find(|t| t.method == Method::Together).unwrap();
        assert!(together.tells == [true; 2], "{outcome:?}");
        for ((found, truth), sigma) in together.mean_mrad.iter().zip(tilt).zip(together.sigma_mrad) {
            assert!((found - truth).abs() < (4.0 * sigma).min(1.2), "{pattern:?}: {outcome:?}");
        }
        let polar = pattern != Pattern::Unpolarized;
        assert!(!outcome.regions.is_empty());
        for region in &outcome.regions {
            assert_eq!(region.call.is_polar(), polar, "{region:?}");
            assert!(polar || region.call != Call::Crystal);
            // What is left when the tilt's part is out is nearer to the upright crystal than what was measured, where there was a tilt.
            let off = |v: [f64; 2]| (v[0] - region.upright_pm[0]).hypot(v[1] - region.upright_pm[1]);
            assert!(tilt == [0.0; 2] || off(region.corrected_pm) < 0.6 * off(region.measured_pm), "{region:?}");
        }
    }
}
