//! What a library of column responses costs against multislice of whole scenes: held-out strips of cells, column by column, in pm and %.
//!
//! The strips repeat, so that multislice takes them as one supercell, and every cell of both sides moves alike, so that the sampling noise of the
//! phonons cancels and what is left is the library's own error.

use super::RunError;
use super::scene::{SceneJob, sample};
use super::spec::{Point, PointConfig};
use crate::columns::{Estimator, PixelWindow, Pixels, measure_pixels};
use crate::image::{Radiance, Raster, SourceShape, whole_file};
use crate::numerics::grid::Grid;
use crate::scene::{
    Fidelity, Imaging, Library, LibrarySpan, Motion, MultisliceImage, Pattern, Phase, Scene, SceneColumn, SceneImage, SceneSettings, View,
};
use serde::{Deserialize, Serialize};
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Pixels in which both images are measured, Å.
const PIXEL_ANGSTROM: f64 = 0.1;
/// A column whose surroundings change by more than this to the next column of its kind stands at a wall, pm.
const WALL_STEP_PM: f64 = 4.0;

/// The error of the library on one held-out scene.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LibraryError {
    /// What the scene is.
    pub scene: String,
    /// Columns away from walls.
    pub away: Errors,
    /// Columns at walls: where the displacement changes by more than 4 pm from cell to cell.
    pub at_walls: Errors,
    /// Root mean square difference of the pixels, % of the mean.
    #[serde(deserialize_with = "null_is_nan")]
    pub pixels_percent: f64,
    /// Nodes of the library.
    pub nodes: usize,
}

/// Errors of a set of columns; NaN of none.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Errors {
    /// Columns.
    pub columns: usize,
    /// Root mean square of the column's displacement, library minus multislice, pm.
    #[serde(deserialize_with = "null_is_nan")]
    pub rms_pm: f64,
    /// The largest, pm.
    #[serde(deserialize_with = "null_is_nan")]
    pub largest_pm: f64,
    /// Root mean square of the difference of the column's intensity, %.
    #[serde(deserialize_with = "null_is_nan")]
    pub rms_percent: f64,
    /// The largest, %.
    #[serde(deserialize_with = "null_is_nan")]
    pub largest_percent: f64,
}

/// JSON knows no NaN.
fn null_is_nan<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or(f64::NAN))
}

/// One column of a strip as both images have it.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct ComparedColumn {
    /// Place along the strip, nm.
    pub x_nm: f64,
    /// Whether it is a B column.
    pub is_b: bool,
    /// Whether it stands at a wall.
    pub at_wall: bool,
    /// True displacement from its ideal place, pm.
    pub true_pm: [f64; 2],
    /// As measured in the image by multislice, against the ideal place, pm.
    pub multislice_pm: [f64; 2],
    /// As measured in the image from the library, pm.
    pub library_pm: [f64; 2],
    /// Intensity of the column, library over multislice, minus one, %.
    pub intensity_percent: f64,
}

/// A held-out scene and what came of it.
#[derive(Debug, Clone)]
pub struct Comparison {
    /// In numbers.
    pub error: LibraryError,
    /// Column by column.
    pub columns: Vec<ComparedColumn>,
    /// Both images, library first, on one raster.
    pub images: [Vec<f32>; 2],
    /// The raster.
    pub raster: Raster,
}

/// The scenes a library is held against: strips of `cells` cells that repeat. Counts that divide by 2, 3 and 5 alone keep the sampling.
#[must_use]
pub fn held_out(cells: u32) -> Vec<(String, SceneSettings)> {
    let strip = SceneSettings {
        size_cells: [cells, 1],
        wall_normal_deg: Some(0.0),
        period_nm: 200.0,
        wall_width_nm: 0.8,
        ..SceneSettings::default()
    };
    let named = |name: &str, settings| (name.to_owned(), settings);
    vec![
        named("71° walls", SceneSettings { pattern: Pattern::Stripes71, ..strip.clone() }),
        named("180° walls", SceneSettings { pattern: Pattern::Stripes180, ..strip.clone() }),
        named("random polarization", SceneSettings { pattern: Pattern::Random, correlation_nm: 1.0, seed: 7, ..strip.clone() }),
        named("10 % Sm at random", SceneSettings { composition: 0.1, seed: 7, ..strip.clone() }),
        named("mis-tilt of 2 mrad rms", SceneSettings { tilt_random_mrad: 2.0, tilt_correlation_nm: 1.0, seed: 7, ..strip.clone() }),
        named("antipolar rows", SceneSettings { phase: Phase::Pnma, size_cells: [1, 2], ..strip }),
    ]
}

/// What a dataset's library costs, on held-out scenes with walls and away from them: in the setting of one of its samples, interpolated over all that
/// the library must cover. Bloch offsets are few, for both sides take the same.
pub fn check_dataset(
    config: &PointConfig,
    span: &LibrarySpan,
    cells: u32,
    progress: &(dyn Fn(&str) + Sync),
) -> Result<Vec<LibraryError>, RunError> {
    let doped = config.scene.as_ref().is_some_and(|s| s.composition > 0.0);
    let wanted = |number: &usize| matches!(number, 0 | 4) || (*number == 3 && doped);
    let mut config = config.clone();
    config.simulation.k_points = config.simulation.k_points.map(|n| n.min(2));
    let scenes = held_out(cells).into_iter().enumerate().filter(|(number, _)| wanted(number));
    let compared = scenes.map(|(_, (name, settings))| {
        progress(&format!("library against multislice: {name}"));
        compare(&config, &name, &settings, Some(span), &|_| {}).map(|c| c.error)
    });
    compared.collect()
}

/// The errors as a table, one row a scene.
#[must_use]
pub fn table(errors: &[LibraryError]) -> String {
    const HEAD: &str = "cols  rms pm  max pm   rms %   max %";
    let half = |e: &Errors| match e.columns {
        0 => format!("{:>4}{:>32}", 0, ""),
        n => format!("{n:>4}{:>8.2}{:>8.2}{:>8.2}{:>8.2}", e.rms_pm, e.largest_pm, e.rms_percent, e.largest_percent),
    };
    let mut text = format!(
        "{:<24}{:>6}   {:<36}   {:<36}{:>9}\n{:<24}{:>6}   {HEAD}   {HEAD}{:>9}\n",
        "scene", "nodes", "away from walls", "at walls", "pixels", "", "", "rms %"
    );
    for e in errors {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{:<24}{:>6}   {}   {}{:>9.2}", e.scene, e.nodes, half(&e.away), half(&e.at_walls), e.pixels_percent);
    }
    text
}

/// Compares library and multislice on one held-out scene, in the microscope and with the thickness, tilt and sampling of a point; `span` is what
/// else the library must cover, so that it interpolates as it will there.
pub fn compare(
    config: &PointConfig,
    name: &str,
    settings: &SceneSettings,
    span: Option<&LibrarySpan>,
    progress: &(dyn Fn(usize) + Sync),
) -> Result<Comparison, RunError> {
    let mut config = config.clone();
    config.scene = Some(SceneSettings { fidelity: Fidelity::Library, ..settings.clone() });
    // The configuration has a scene.
    let Some(mut job) = SceneJob::new(&config)? else { return Err(RunError::NoScene) };
    if matches!(job.imaging.motion, Motion::FrozenPhonons { .. }) {
        job.imaging.motion = Motion::AlikeInEveryCell { seed: config.seed, pairs: 1 };
    }
    job.imaging = matched(&job.imaging, &job.scene);
    let own = LibrarySpan::of(&job.scene, 0, job.defocus_angstrom()).ok_or(RunError::NoScene)?;
    let axes = span.map_or(own, |span| own.joined(span)).axes().around(&own);
    let library = Arc::new(Library::compute(&job.scene.materials[0], &axes, &job.imaging, progress)?);
    let whole = MultisliceImage::compute(&job.scene, &job.imaging, progress)?;
    let source = SourceShape { fwhm_angstrom: config.microscope.source_fwhm_angstrom, ..SourceShape::default() };
    let view = View { detector: 0, defocus_angstrom: job.defocus_angstrom() };
    let from_library = SceneImage::new(job.scene.clone(), vec![library], view, source)?;
    let from_multislice = whole.first().ok_or(RunError::NoScene)?.blurred(&source);
    Ok(judge(name, &job.scene, &from_library, &from_multislice, config.measure.window_radius_angstrom, axes.nodes()))
}

/// The numerics under which one cell and the supercell are sampled alike, so that neither band limit nor Bloch offsets differ.
fn matched(imaging: &Imaging, scene: &Scene) -> Imaging {
    let repeated = usize::from(scene.size[0] <= 1);
    let edge = scene.materials[0].edges_angstrom[repeated];
    let points = Grid::for_pixel([[edge, 0.0], [0.0, edge]], imaging.pixel_angstrom).nx;
    Imaging {
        // A hair more, lest rounding asks for one point more.
        pixel_angstrom: edge / points as f64 * (1.0 + 1e-9),
        // As many Bloch offsets as make the supercell's a whole number.
        k_points: [0, 1].map(|c| imaging.k_points[c].div_ceil(scene.size[c]) * scene.size[c]),
        ..imaging.clone()
    }
}

fn judge(name: &str, scene: &Scene, library: &dyn Radiance, whole: &dyn Radiance, window_angstrom: f64, nodes: usize) -> Comparison {
    let [width, height] = scene.extent_angstrom();
    let margin = 2.0 * window_angstrom + 0.5;
    let side = |extent: f64| ((extent + 2.0 * margin) / PIXEL_ANGSTROM).ceil() as usize;
    let raster = Raster { origin_angstrom: [-margin; 2], pixel_angstrom: PIXEL_ANGSTROM, width: side(width), height: side(height) };
    let images = [sample(library, raster), sample(whole, raster)];
    let columns = columns(scene, raster, &images, window_angstrom);
    let mean = images[1].iter().map(|v| f64::from(*v)).sum::<f64>() / images[1].len() as f64;
    let square = images[0].iter().zip(&images[1]).map(|(a, b)| f64::from(a - b).powi(2)).sum::<f64>() / images[1].len() as f64;
    let of = |at_wall: bool| Errors::of(columns.iter().filter(|c| c.at_wall == at_wall));
    let error =
        LibraryError { scene: name.to_owned(), away: of(false), at_walls: of(true), pixels_percent: 100.0 * square.sqrt() / mean, nodes };
    Comparison { error, columns, images, raster }
}

/// Every column of the scene, measured alike in both images.
fn columns(scene: &Scene, raster: Raster, images: &[Vec<f32>; 2], window_angstrom: f64) -> Vec<ComparedColumn> {
    let [nx, ny] = scene.size.map(|n| n as i64);
    let places = (0..ny).flat_map(|j| (0..nx).map(move |i| [i, j]));
    places
        .flat_map(|at| [false, true].map(|is_b| (at, is_b)))
        .filter_map(|([i, j], is_b)| {
            let get = |at: [i64; 2]| if is_b { scene.b_column(at) } else { scene.a_column(at) };
            let (column, ideal) = (get([i, j]), if is_b { scene.centre_angstrom([i, j]) } else { scene.corner_angstrom([i, j]) });
            let step = |other: &SceneColumn| {
                (0..2).map(|c| 100.0 * (other.surroundings_angstrom[c] - column.surroundings_angstrom[c])).map(f64::abs).fold(0.0, f64::max)
            };
            let at_wall = [[i - 1, j], [i + 1, j], [i, j - 1], [i, j + 1]].into_iter().any(|n| step(get(n)) > WALL_STEP_PM);
            let [library, whole] = [0, 1].map(|n| measured(column, raster, &images[n], window_angstrom));
            let (library, whole) = (library?, whole?);
            let against_ideal = |p: [f64; 2]| [0, 1].map(|c| 100.0 * (p[c] - ideal[c]));
            Some(ComparedColumn {
                x_nm: ideal[0] / 10.0,
                is_b,
                at_wall,
                true_pm: against_ideal(column.position_angstrom),
                multislice_pm: against_ideal(whole.0),
                library_pm: against_ideal(library.0),
                intensity_percent: 100.0 * (library.1 / whole.1 - 1.0),
            })
        })
        .collect()
}

/// Where a Gaussian finds a column, Å, and the mean intensity within the window about its true place.
fn measured(column: &SceneColumn, raster: Raster, pixels: &[f32], window_angstrom: f64) -> Option<([f64; 2], f64)> {
    let image = Pixels::new(pixels, raster.width, raster.height)?;
    let window = PixelWindow { radius_px: window_angstrom / raster.pixel_angstrom, empirical: false };
    // Beams of a leaning column scatter most in its upper part.
    let start = raster.to_px([0, 1].map(|c| column.position_angstrom[c] + 0.03 * column.tilt_mrad[c]));
    let summit = measure_pixels(&image, start, &window, Estimator::Maximum).map_or(start, |fit| fit.position);
    let fit = measure_pixels(&image, summit, &window, Estimator::Gaussian).ok()?;
    let reach = window.radius_px.ceil() as i64;
    let centre = start.map(|p| p.round() as i64);
    let (mut sum, mut count) = (0.0, 0.0);
    for y in centre[1] - reach..=centre[1] + reach {
        for x in centre[0] - reach..=centre[0] + reach {
            let inside = (x as f64 - start[0]).hypot(y as f64 - start[1]) <= window.radius_px;
            if inside && x >= 0 && y >= 0 && (x as usize) < raster.width && (y as usize) < raster.height {
                sum += f64::from(pixels[y as usize * raster.width + x as usize]);
                count += 1.0;
            }
        }
    }
    Some(([0, 1].map(|c| raster.origin_angstrom[c] + raster.pixel_angstrom * fit.position[c]), sum / count))
}

impl Errors {
    fn of<'a>(columns: impl Iterator<Item = &'a ComparedColumn>) -> Self {
        let pairs: Vec<(f64, f64)> = columns
            .map(|c| ((c.library_pm[0] - c.multislice_pm[0]).hypot(c.library_pm[1] - c.multislice_pm[1]), c.intensity_percent.abs()))
            .collect();
        let n = pairs.len();
        let rms = |of: &dyn Fn(&(f64, f64)) -> f64| (pairs.iter().map(|p| of(p).powi(2)).sum::<f64>() / n as f64).sqrt();
        let largest = |of: &dyn Fn(&(f64, f64)) -> f64| pairs.iter().map(of).fold(f64::NAN, f64::max);
        Self {
            columns: n,
            rms_pm: rms(&|p| p.0),
            largest_pm: largest(&|p| p.0),
            rms_percent: rms(&|p| p.1),
            largest_percent: largest(&|p| p.1),
        }
    }
}

/// Compares all held-out scenes in the setting of a point; with a folder, draws them and writes their columns there.
pub fn check(point: &Point, cells: u32, folder: Option<&Path>, progress: &(dyn Fn(&str) + Sync)) -> Result<Vec<LibraryError>, RunError> {
    let mut comparisons = Vec::new();
    for (name, settings) in held_out(cells) {
        let done = AtomicUsize::new(0);
        let count = |steps: usize| progress(&format!("{name}: {} k-points", done.fetch_add(steps, Ordering::Relaxed) + steps));
        comparisons.push(compare(&point.config, &name, &settings, None, &count)?);
    }
    if let Some(folder) = folder {
        std::fs::create_dir_all(folder).map_err(RunError::disk(folder))?;
        super::library_figure::figure(&comparisons)?.save(folder, "library")?;
        let path = folder.join("columns.csv");
        let text = csv(&comparisons).map_err(|e| RunError::disk(&path)(std::io::Error::other(e)))?;
        whole_file(&path, |file| file.write_all(&text)).map_err(RunError::disk(&path))?;
    }
    Ok(comparisons.into_iter().map(|c| c.error).collect())
}

/// One row a column of every scene.
fn csv(comparisons: &[Comparison]) -> Result<Vec<u8>, csv::Error> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    writer.write_record([
        "scene",
        "site",
        "x_nm",
        "at_wall",
        "true_x_pm",
        "true_y_pm",
        "multislice_x_pm",
        "multislice_y_pm",
        "library_x_pm",
        "library_y_pm",
        "intensity_difference_percent",
    ])?;
    for comparison in comparisons {
        for c in &comparison.columns {
            let numbers =
                [c.true_pm[0], c.true_pm[1], c.multislice_pm[0], c.multislice_pm[1], c.library_pm[0], c.library_pm[1], c.intensity_percent];
            let site = if c.is_b { "B" } else { "A" };
            let head = [comparison.error.scene.clone(), site.to_owned(), c.x_nm.to_string(), c.at_wall.to_string()];
            writer.write_record(head.into_iter().chain(numbers.map(|v| v.to_string())))?;
        }
    }
    writer.flush()?;
    Ok(writer.into_inner().map_err(csv::IntoInnerError::into_error)?)
}
