//! All scenes of a study: an image with its truth, a table of cells and a map of the true polarization each, and one figure of all.

use super::RunError;
use super::scene::{SceneJob, Shelf, clean_image, whole_raster};
use super::spec::Point;
use crate::image::{Image, Raster, whole_file};
use crate::multislice::DeviceChoice;
use crate::report::{Arrow, ImagePanel, ImageRow, MapCell, MapData, MapStyle, Pixels};
use crate::scene::Scene;
use serde::Serialize;
use std::io::Write as _;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

/// Images side by side in the figure of all scenes.
const IN_A_ROW: usize = 4;
/// Side of the square of each scene that figure shows, cells.
const SHOWN_CELLS: usize = 16;

/// What became of one scene.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SceneSummary {
    /// Name of the image's file.
    pub image: String,
    /// Cells.
    pub cells: usize,
    /// Root mean square of their in-plane shift, pm.
    pub rms_shift_pm: f64,
    /// Fraction of the beam on the detector, mean over the image.
    pub mean_intensity: f64,
    /// Seconds that multislice took, for this scene first.
    pub seconds_multislice: f64,
    /// Seconds for the pixels.
    pub seconds_pixels: f64,
}

/// How scenes are imaged and where to.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// Side of a pixel, Å.
    pub pixel_angstrom: f64,
    /// Folder that is written.
    pub folder: &'a Path,
    /// Folder in which libraries are kept.
    pub libraries: Option<&'a Path>,
    /// Where to compute.
    pub device: DeviceChoice,
}

/// Images every point's scene on the first detector and writes all of it to a folder.
pub fn gallery(points: &[Point], request: &Request<'_>, progress: &(dyn Fn(&str) + Sync)) -> Result<Vec<SceneSummary>, RunError> {
    let folder = request.folder;
    let figures = folder.join("figures");
    std::fs::create_dir_all(&figures).map_err(RunError::disk(&figures))?;
    let (mut shelf, mut summaries, mut panels) = (Shelf::kept_in(request.libraries), Vec::new(), Vec::new());
    for point in points {
        let job = SceneJob::new(&point.config)?.ok_or(RunError::NoScene)?.on(&point.config, request.device)?;
        let name = name(point);
        let (start, steps, done) = (Instant::now(), job.steps(), AtomicUsize::new(0));
        let count = |n: usize| progress(&format!("{name}: {} of {steps} k-points", done.fetch_add(n, Ordering::Relaxed) + n));
        let images = job.run(&mut shelf, &count)?;
        let seconds_multislice = start.elapsed().as_secs_f64();
        let raster = whole_raster(&job.scene, request.pixel_angstrom);
        let image = clean_image(point, &job, &images, 0, raster)?;
        let seconds_pixels = start.elapsed().as_secs_f64() - seconds_multislice;
        let path = folder.join(format!("{name}.npy"));
        image.write(&path).map_err(|e| RunError::disk(&path)(std::io::Error::other(e)))?;
        write_cells(&job.scene, &folder.join(format!("{name}.csv")))?;
        let map = map(&job.scene, &image, raster);
        let style =
            MapStyle { title: format!("True displacement of B in {name}"), legend_pm: legend_pm(&job.scene), ..MapStyle::default() };
        map.colour_wheel(&style)?.save(&figures, &format!("{name}-truth"))?;
        panels.push(panel(&name, &job.scene, &image, raster));
        summaries.push(summary(&name, &job.scene, &image, [seconds_multislice, seconds_pixels]));
    }
    for (number, row) in panels.chunks(IN_A_ROW).enumerate() {
        let figure = ImageRow {
            title: "Scenes, each with the true displacement of B against A in its cells".to_owned(),
            panels: row.to_vec(),
            share_contrast: false,
            arrow_label: "B − mean A, true".to_owned(),
            ..ImageRow::default()
        };
        figure.draw()?.save(&figures, &format!("scenes-{}", number + 1))?;
    }
    Ok(summaries)
}

/// The file name of a point: its number and what varies.
fn name(point: &Point) -> String {
    let clean =
        |text: String| text.chars().map(|c| if c.is_ascii_alphanumeric() || c == '-' || c == '.' { c } else { '_' }).collect::<String>();
    let values: Vec<String> = point.values.iter().map(|(_, value)| clean(value.to_string())).collect();
    format!("{:04}-{}", point.index, if values.is_empty() { "scene".to_owned() } else { values.join("-") })
}

fn summary(name: &str, scene: &Scene, image: &Image, seconds: [f64; 2]) -> SceneSummary {
    let cells = scene.cells();
    let square = cells.iter().map(|c| c.shift_pm[0].powi(2) + c.shift_pm[1].powi(2)).sum::<f64>() / cells.len() as f64;
    SceneSummary {
        image: format!("{name}.npy"),
        cells: cells.len(),
        rms_shift_pm: square.sqrt(),
        // A simulated image has pixels.
        mean_intensity: image.statistics().map_or(f64::NAN, |s| s.mean),
        seconds_multislice: seconds[0],
        seconds_pixels: seconds[1],
    }
}

fn write_cells(scene: &Scene, path: &Path) -> Result<(), RunError> {
    let wrong = |e: csv::Error| RunError::disk(path)(std::io::Error::other(e));
    let mut writer = csv::Writer::from_writer(Vec::new());
    writer
        .write_record([
            "i",
            "j",
            "shift_x_pm",
            "shift_y_pm",
            "shift_z_pm",
            "tilt_x_mrad",
            "tilt_y_mrad",
            "thickness_nm",
            "dopant_fraction",
            "material",
        ])
        .map_err(wrong)?;
    for c in scene.cells() {
        let numbers =
            [c.shift_pm[0], c.shift_pm[1], c.shift_along_beam_pm, c.tilt_mrad[0], c.tilt_mrad[1], c.thickness_nm, c.dopant_fraction];
        let row = c.index.map(|n| n.to_string()).into_iter().chain(numbers.map(|v| v.to_string())).chain([c.material.to_string()]);
        writer.write_record(row).map_err(wrong)?;
    }
    let bytes = writer.into_inner().map_err(|e| wrong(e.into_error().into()))?;
    whole_file(path, |file| file.write_all(&bytes)).map_err(RunError::disk(path))
}

fn legend_pm(scene: &Scene) -> f64 {
    let largest = scene.cells().iter().map(|c| c.shift_pm[0].hypot(c.shift_pm[1])).fold(0.0, f64::max);
    (largest / 5.0).ceil().max(1.0) * 5.0
}

/// The true polarization as a map.
fn map(scene: &Scene, image: &Image, raster: Raster) -> MapData {
    let cell = |c: crate::scene::SceneCell| {
        let [i, j] = c.index.map(i64::from);
        let corner = |at: [i64; 2]| raster.to_px(scene.a_column(at).position_angstrom);
        let [x_px, y_px] = raster.to_px(scene.b_column([i, j]).position_angstrom);
        MapCell {
            x_px,
            y_px,
            corners_px: [corner([i, j]), corner([i + 1, j]), corner([i + 1, j + 1]), corner([i, j + 1])],
            px_pm: c.shift_pm[0],
            py_pm: c.shift_pm[1],
            sigma_pm: f64::NAN,
            resolved: true,
        }
    };
    MapData { pixels: pixels(image), cells: scene.cells().into_iter().map(cell).collect() }
}

fn pixels(image: &Image) -> Pixels {
    Pixels { values: image.data.clone(), width: image.width, height: image.height, pixel_size_pm: image.pixel_size_pm.unwrap_or(1.0) }
}

/// The middle of a scene with an arrow a cell.
fn panel(name: &str, scene: &Scene, image: &Image, raster: Raster) -> ImagePanel {
    let side = ((SHOWN_CELLS as f64 * scene.column_angstrom / raster.pixel_angstrom) as usize).min(image.width).min(image.height);
    let [left, top] = [(image.width - side) / 2, (image.height - side) / 2];
    let values =
        (top..top + side).flat_map(|y| image.data[y * image.width + left..y * image.width + left + side].iter().copied()).collect();
    let arrows = scene.cells().into_iter().filter_map(|c| {
        let [x, y] = raster.to_px(scene.b_column(c.index.map(i64::from)).position_angstrom);
        let (x_px, y_px) = (x - left as f64, y - top as f64);
        let inside = [x_px, y_px].iter().all(|p| (0.0..side as f64 - 1.0).contains(p));
        inside.then_some(Arrow { x_px, y_px, dx_pm: c.shift_pm[0], dy_pm: c.shift_pm[1] })
    });
    ImagePanel {
        title: name.split_once('-').map_or(name, |(_, rest)| rest).to_owned(),
        pixels: Pixels { values, width: side, height: side, pixel_size_pm: image.pixel_size_pm.unwrap_or(1.0) },
        markers: Vec::new(),
        arrows: arrows.collect(),
    }
}
