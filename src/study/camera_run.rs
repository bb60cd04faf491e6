//! One point's image through its camera stage by stage, and the spectrum of its scan noise: what `mistilt camera` shows.

use super::compute::Images;
use super::plan::Plan;
use super::spec::{FrameSettings, Point};
use super::{RunError, frame, measure};
use crate::detection::{Camera, FrameKey, ScanStage, Spectrum, periodogram};
use crate::image::{FourierImage, Image};
use crate::report::{Figure, GridPanel, ImageGrid, LineChart, Panel, Pixels, ReportError, Row, Scale, Series, Width};
use serde::Serialize;

/// Side of the panels, Å: columns and their noise are still seen.
const SHOWN_ANGSTROM: f64 = 24.0;
/// Frames whose scan noise makes the spectrum, and their rows.
const SPECTRUM_FRAMES: u64 = 64;
const SPECTRUM_ROWS: usize = 512;

/// What one stage did.
#[derive(Debug, Clone, Serialize)]
pub struct StageReport {
    /// Name.
    pub stage: &'static str,
    /// Its settings in words.
    pub setting: String,
    /// Unit of the image after it.
    pub unit: &'static str,
    /// Mean of the image after it.
    pub mean: f64,
    /// Smallest value after it.
    pub min: f64,
    /// Largest value after it.
    pub max: f64,
    /// Root mean square of the displacements along x and y that it adds, pm.
    pub displacement_rms_pm: [f64; 2],
    /// Root mean square of the change of the image, relative to the mean before, where the unit stays.
    pub change_rms: Option<f64>,
}

/// The chain of one point.
#[derive(Debug)]
pub struct Chain {
    /// What every stage did.
    pub stages: Vec<StageReport>,
    /// The frame after the whole chain.
    pub image: Image,
    /// One panel a stage.
    pub panels: ImageGrid,
    /// Spectrum of the random displacements along x, from generated frames; empty without any.
    pub measured: Spectrum,
    /// The spectrum that the settings state, at the same frequencies.
    pub stated: Spectrum,
}

/// Simulates a point on one detector and exposes it stage by stage; the study needs a `[camera]`.
pub fn chain(point: &Point, detector: usize, progress: &(dyn Fn(usize) + Sync)) -> Result<Chain, RunError> {
    let settings = point.config.camera.as_ref().ok_or(RunError::NoCamera)?;
    let plan = Plan::new(std::slice::from_ref(point))?;
    let propagation = &plan.propagations[0];
    let images = Images::compute(propagation, progress)?;
    let missing = || RunError::NoSuchPoint { asked: detector, points: point.config.microscope.detectors.len() };
    let sharp = measure::sharp_image(propagation, &images, propagation.places[0], point, detector).ok_or_else(missing)?;
    stage_by_stage(&sharp, settings, FrameKey { seed: frame::seed(&point.config), frame: 0, channel: detector as u64 })
}

/// A noiseless image, seen with a point source, through all stages.
pub fn stage_by_stage(sharp: &FourierImage, settings: &FrameSettings, key: FrameKey) -> Result<Chain, RunError> {
    let camera = Camera::new(settings.camera.clone())?;
    let raster = settings.raster(frame::ORIGIN_ANGSTROM);
    let shown = ((SHOWN_ANGSTROM / settings.pixel_angstrom).round() as usize).clamp(1, raster.width);
    let (mut stages, mut panels): (Vec<StageReport>, Vec<GridPanel>) = (Vec::new(), Vec::new());
    let mut last: Option<(&'static str, Image)> = None;
    for stage in camera.stages() {
        let exposure = camera.up_to(stage).expose(sharp, raster, key)?;
        let setting = camera.describe(stage).unwrap_or_default();
        let unit = exposure.unit.name();
        let change_rms = last.as_ref().filter(|(before, _)| *before == unit).and_then(|(_, image)| change(image, &exposure.image));
        let own = exposure.scan.stages().iter().find(|s| s.name() == stage.name());
        // A frame has pixels: its statistics exist.
        let (mean, min, max) = exposure.image.statistics().map_or((f64::NAN, f64::NAN, f64::NAN), |s| (s.mean, s.min, s.max));
        let displacement_rms_pm = own.map_or([0.0; 2], |s| rms_pm(s, raster.width, raster.height));
        stages.push(StageReport { stage: stage.name(), setting: setting.clone(), unit, mean, min, max, displacement_rms_pm, change_rms });
        panels.push(GridPanel { title: stage.name().to_owned(), note: setting, pixels: crop(&exposure.image, shown) });
        last = Some((unit, exposure.image));
    }
    let (measured, stated) = spectra(&camera, settings, key)?;
    let title = "One image through the stages of the camera".to_owned();
    // Three full rows at most, or as near as can be.
    let columns = if panels.len() > 12 { 5 } else { 4 };
    let panels = ImageGrid { title, panels, columns, width: Width::Double };
    // There is always the stage of the image itself.
    let image = last.map(|l| l.1).unwrap_or_default();
    Ok(Chain { stages, image, panels, measured, stated })
}

/// The lower left corner of a frame: the start of lines, late in the scan.
fn crop(image: &Image, side: usize) -> Pixels {
    let rows = image.rows().skip(image.height - side.min(image.height));
    let values: Vec<f32> = rows.flat_map(|row| row[..side.min(row.len())].iter().copied()).collect();
    Pixels { values, width: side.min(image.width), height: side.min(image.height), pixel_size_pm: image.pixel_size_pm.unwrap_or(1.0) }
}

/// Root mean square of the difference of two images over the mean of the first.
fn change(before: &Image, after: &Image) -> Option<f64> {
    let mean = before.statistics()?.mean;
    let square = |(a, b): (&f32, &f32)| (f64::from(*b) - f64::from(*a)).powi(2);
    let sum: f64 = before.data.iter().zip(&after.data).map(square).sum();
    Some((sum / before.data.len() as f64).sqrt() / mean).filter(|v| v.is_finite())
}

fn rms_pm(stage: &ScanStage, width: usize, height: usize) -> [f64; 2] {
    let mut sums = [0.0; 2];
    for iy in 0..height {
        let mut row = vec![[0.0; 2]; width];
        stage.add(iy, 0, &mut row);
        sums = [0, 1].map(|c| sums[c] + row.iter().map(|d| d[c] * d[c]).sum::<f64>());
    }
    sums.map(|s| 100.0 * (s / (width * height) as f64).sqrt())
}

/// The spectrum of dx at the starts of lines, from many frames and as the settings state it.
fn spectra(camera: &Camera, settings: &FrameSettings, key: FrameKey) -> Result<(Spectrum, Spectrum), RunError> {
    let s = camera.settings();
    let random = Camera::new(crate::detection::CameraSettings { drift: None, flyback: None, ..s.clone() })?;
    let mut raster = settings.raster(frame::ORIGIN_ANGSTROM);
    raster.height = SPECTRUM_ROWS;
    let mut series = Vec::new();
    for frame in 0..SPECTRUM_FRAMES {
        let scan = random.scan(raster, FrameKey { frame, ..key })?;
        if scan.stages().is_empty() {
            return Ok((Spectrum::default(), Spectrum::default()));
        }
        let start = |iy: usize| {
            let mut first = [[0.0; 2]];
            scan.add(iy, 0, &mut first);
            100.0 * first[0][0]
        };
        series.push((0..SPECTRUM_ROWS).map(start).collect());
    }
    let measured = periodogram(&series);
    let frequencies = &measured.frequency_per_row;
    let jitter = s.jitter.map(|j| j.spectrum(frequencies));
    let sinusoids = s.sinusoids.map(|x| x.spectrum(frequencies, s.timing, raster.width, 100.0 * raster.pixel_angstrom));
    let mut density = vec![0.0; frequencies.len()];
    for part in jitter.iter().chain(&sinusoids) {
        density.iter_mut().zip(&part.density_pm2_rows).for_each(|(sum, d)| *sum += d);
    }
    let stated = Spectrum { frequency_per_row: frequencies.clone(), density_pm2_rows: density };
    Ok((measured, stated))
}

impl Chain {
    /// The spectrum of the scan noise, measured and stated; `None` where no row is displaced at random.
    #[must_use]
    pub fn spectrum_figure(&self) -> Option<Result<Figure, ReportError>> {
        if self.measured.frequency_per_row.is_empty() {
            return None;
        }
        let series = |label: String, spectrum: &Spectrum, dashed| Series {
            label,
            x: spectrum.frequency_per_row.clone(),
            y: spectrum.density_pm2_rows.clone(),
            line: true,
            dashed,
            ..Series::default()
        };
        let measured = series(format!("measured, {SPECTRUM_FRAMES} frames"), &self.measured, false);
        let stated = series("from the settings".to_owned(), &self.stated, true);
        let chart = LineChart {
            title: "Power spectral density of the scan noise".to_owned(),
            x_label: "Frequency (cycles per row)".to_owned(),
            rows: vec![Row {
                y_label: "Density of dx (pm² rows)".to_owned(),
                panels: vec![Panel { title: String::new(), series: vec![measured, stated] }],
            }],
            width: Width::Single,
            panel_height_mm: 50.0,
            x_scale: Scale::Log10,
            y_scale: Scale::Log10,
            zero_line: false,
            letters: false,
            ..LineChart::default()
        };
        Some(chart.draw())
    }
}
