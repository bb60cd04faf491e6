//! What a plan costs: time from a calibration of the engines on this machine, memory and disk from the sizes of what is kept.
//!
//! The calibration runs every kind of work for a moment, on as many threads as the study will use, so that caches and clocks are shared as
//! they will be: steps of waves, transmission functions, the reading and contraction of exit waves, the measurement of a point.

use super::RunError;
use super::compute::{self, Images};
use super::frame;
use super::measure;
use super::plan::{Place, Plan, Propagation};
use super::run::{self, KEPT};
use super::spec::{Method, Point};
use crate::image::FourierImage;
use crate::multislice::{Engine, Illumination, ImageStack, InitialWaves, ScatteringStudy};
use crate::numerics::grid::norm;
use crate::specimen::{FrozenPhonons, Sign, Slice};
use num_complex::Complex64;
use rayon::prelude::*;
use std::f64::consts::TAU;
use std::time::Instant;

/// What a plan costs.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct Cost {
    /// Waves × grid points × slices, over all configurations.
    pub pixel_slices: f64,
    /// Transmission functions to make.
    pub transmissions: f64,
    /// Estimated seconds on all threads, from nothing to the report.
    pub seconds: f64,
    /// Estimated peak memory, bytes.
    pub memory_bytes: f64,
    /// Estimated size of what stays on disk, store and results, bytes.
    pub disk_bytes: f64,
    /// Each propagation's part of the time.
    pub parts: Vec<Part>,
}

/// One propagation's part of the time.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize)]
pub struct Part {
    /// Seconds on all threads for its images.
    pub image_seconds: f64,
    /// Seconds on all threads to measure one of its points and to keep its image.
    pub point_seconds: f64,
}

/// Seconds of one thread while all are at work.
#[derive(Debug, Clone, Copy, Default)]
struct Calibration {
    /// One point of one wave through one slice.
    step: f64,
    /// One transmission function.
    transmission: f64,
    /// One point of one exit wave handed out by the engine.
    read: f64,
    /// All detectors of one tilt at one exit.
    contraction: f64,
    /// Apertures and detectors of one illumination laid out on one class.
    layout: f64,
    /// Measuring one point.
    point: f64,
    /// Exposing its frames, a part of that.
    exposure: f64,
}

impl Plan {
    /// Seconds that the waves take at the very least, without calibration: no core steps more than 2e9 pixel-slices a second.
    #[must_use]
    pub fn seconds_at_least(&self, threads: usize) -> f64 {
        self.propagations.iter().map(Propagation::work).sum::<f64>() / (2e9 * threads as f64)
    }

    /// The cost on so many threads; the calibration takes a second or so a propagation of another kind.
    pub fn cost(&self, threads: usize) -> Result<Cost, RunError> {
        let mut total =
            Cost { pixel_slices: 0.0, transmissions: 0.0, seconds: START, memory_bytes: 0.0, disk_bytes: PAGE, parts: Vec::new() };
        let mut known: Vec<(&Propagation, Calibration, f64)> = Vec::new();
        for p in &self.propagations {
            let calibrated = known.iter().find(|(other, ..)| same_kind(other, p)).map(|(_, calibration, kept)| (*calibration, *kept));
            let (calibration, kept) = if let Some(known) = calibrated {
                known
            } else {
                let new = (calibrate(p, threads)?, kept_image_seconds(p)?);
                known.push((p, new.0, new.1));
                new
            };
            let size = Size::of(p);
            // Frames that several points measure are exposed once.
            let places = p.places.len() as f64;
            let exposed = p.places.iter().enumerate().filter(|(number, place)| place.frames == *number).count() as f64;
            let measured = calibration.point - calibration.exposure * (1.0 - exposed / places);
            let part = Part { image_seconds: size.seconds(p, &calibration, threads), point_seconds: measured / threads as f64 + kept };
            total.pixel_slices += size.pixel_slices;
            total.transmissions += size.transmissions;
            total.seconds += part.image_seconds + part.point_seconds * p.places.len() as f64;
            total.memory_bytes = total.memory_bytes.max(size.memory_bytes(p, threads));
            let (images, rows) = (p.detectors.len() as f64, (p.detectors.len() * p.shared.measure.estimators.len()) as f64);
            total.disk_bytes += size.stack_bytes + p.places.len() as f64 * (ENTRY + IMAGE * images + ROW * rows) + kept_frames_bytes(p);
            total.parts.push(part);
        }
        Ok(total)
    }
}

/// Reading, tables, figures and page, s.
const START: f64 = 0.5;
/// Page, figures and provenance of a usual study, bytes.
const PAGE: f64 = 0.5e6;
/// The measurement of one point in the store, bytes.
const ENTRY: f64 = 1.6e3;
/// A kept image with its truth, bytes.
const IMAGE: f64 = 4.0 * 110.0 * 110.0 + 7.5e3;
/// A row in `records.csv`, `records.npz` and the page, bytes; texts in the archive are as wide as the longest allowed.
const ROW: f64 = 4.4e3;
/// What the program needs before it begins, bytes.
const PROGRAM: f64 = 25e6;

/// Whether two propagations take the same time for the same work.
fn same_kind(a: &Propagation, b: &Propagation) -> bool {
    let grid = |p: &Propagation| (p.setting.grid.nx, p.setting.grid.ny, p.setting.oversampling);
    let sizes = |p: &Propagation| (p.detectors.len(), p.specimen.stack.slab.atoms.len(), p.specimen.stack.planes.len());
    grid(a) == grid(b)
        && sizes(a) == sizes(b)
        && a.shared.simulation.precision == b.shared.simulation.precision
        && a.shared.measure == b.shared.measure
        && (a.waves() / b.waves()).ln().abs() < 0.2
}

/// How much there is to compute and to keep.
struct Size {
    classes: f64,
    configurations: f64,
    slices: f64,
    points: f64,
    waves: f64,
    /// Distinct tilts.
    tilts: f64,
    pixel_slices: f64,
    transmissions: f64,
    /// One set of images of one group of configurations, bytes.
    images_bytes: f64,
    groups: f64,
    /// All images as the store keeps them, bytes.
    stack_bytes: f64,
}

impl Size {
    fn of(p: &Propagation) -> Self {
        let classes = p.k_points().iter().product::<usize>() as f64;
        let configurations = classes * p.phonons().map_or(1.0, |f| 2.0 * f.1 as f64);
        let (slices, points, waves) = (p.exits.last().copied().unwrap_or(0) as f64, p.setting.grid.len() as f64, p.waves());
        let mut tilts: Vec<[u64; 2]> = p.illuminations.iter().map(|i| i.specimen_tilt_mrad.map(f64::to_bits)).collect();
        tilts.sort_unstable();
        tilts.dedup();
        // A direct scan makes its transmission functions anew for every batch of probes.
        let batches = if p.shared.simulation.method == Method::Probes { (waves / 16.0).ceil() } else { 1.0 };
        let at_rest = p.shared.simulation.phonons.is_none();
        let transmissions = batches * if at_rest { classes * p.specimen.stack.planes.len() as f64 } else { configurations * slices };
        let cell = p.setting.grid.cell_angstrom;
        let raster: f64 = p.setting.grid.reciprocal().iter().zip(p.k_points()).map(|(b, n)| norm(*b) / n as f64).sum();
        let coefficients =
            |i: &Illumination| -> f64 { cell.iter().map(|a| 2.0 * (2.0 * (i.probe.radius() + raster) * norm(*a)).ceil() + 1.0).product() };
        let images_bytes = 16.0 * p.illuminations.iter().map(coefficients).sum::<f64>() * (p.exits.len() * p.detectors.len()) as f64;
        let groups = compute::scattering_matrix(p).group_count() as f64;
        // The atoms and settings in the entry's head.
        const HEAD: f64 = 10e3;
        Self {
            classes,
            configurations,
            slices,
            points,
            waves,
            tilts: tilts.len() as f64,
            pixel_slices: configurations * waves * slices * points,
            transmissions,
            images_bytes,
            groups,
            stack_bytes: HEAD + images_bytes * groups / (p.specimen.period as f64).powi(2),
        }
    }

    fn seconds(&self, p: &Propagation, c: &Calibration, threads: usize) -> f64 {
        let exits = p.exits.len() as f64;
        let matrix = f64::from(u8::from(p.shared.simulation.method == Method::ScatteringMatrix));
        let detection = exits * (self.waves * self.points * c.read * (2.0 - matrix) + matrix * self.tilts * c.contraction);
        let layout = matrix * self.classes * p.illuminations.len() as f64 * c.layout;
        let all = self.pixel_slices * c.step + self.transmissions * c.transmission + self.configurations * detection + layout;
        // k-points are spread over the threads whole: five on four threads take as long as eight.
        let threads = threads as f64;
        let idle = if matrix > 0.0 { (self.classes / threads).ceil() * threads / self.classes } else { 1.0 };
        all / threads * idle
    }

    fn memory_bytes(&self, p: &Propagation, threads: usize) -> f64 {
        let busy = self.classes.min(threads as f64);
        // Waves in the engine (f32 or f64) and, once they leave it, as f64; transmission functions wait in chunks of 64 MB at most.
        let wide = if p.shared.simulation.precision == super::spec::Precision::F64 { 16.0 } else { 8.0 };
        let waves = self.waves * self.points * (wide + 16.0);
        let transmissions = (self.slices * self.points * wide).min(64e6);
        let pairs = p.phonons().map_or(1.0, |f| f.1 as f64);
        let in_flight = self.classes.min(4.0 * threads as f64) * self.images_bytes * pairs;
        // Sums so far, and their bytes on the way to disk.
        PROGRAM + busy * (waves + transmissions) + in_flight + 2.0 * self.groups * self.images_bytes
    }
}

/// The mean of what every thread measures while all do.
fn calibrate(p: &Propagation, threads: usize) -> Result<Calibration, RunError> {
    let mut all: Vec<Calibration> = (0..threads).into_par_iter().map(|_| calibrate_one(p)).collect::<Result<_, RunError>>()?;
    let n = all.len().max(1) as f64;
    let mut mean = Calibration::default();
    for c in &mut all {
        for (sum, value) in mean.numbers().into_iter().zip(c.numbers()) {
            *sum += *value / n;
        }
    }
    Ok(mean)
}

impl Calibration {
    fn numbers(&mut self) -> [&mut f64; 7] {
        let Self { step, transmission, read, contraction, layout, point, exposure } = self;
        [step, transmission, read, contraction, layout, point, exposure]
    }
}

fn calibrate_one(p: &Propagation) -> Result<Calibration, RunError> {
    // Up to sixteen k-points each is a block of its own; on a coarser grid more beams would touch the aperture's edge.
    let study = ScatteringStudy { phonons: None, k_points: p.k_points().map(|n| n.min(4)), ..compute::scattering_matrix(p) };
    let engine = study.engine()?;
    let mut c = waves(p, engine.as_ref())?;
    if p.shared.simulation.method == Method::ScatteringMatrix {
        exits(p, &study, engine.as_ref(), &mut c)?;
    }
    c.point = point(p)?;
    c.exposure = exposure(p)?;
    Ok(c)
}

/// Steps, transmission functions and reading, on a few slices and as many waves as the study has, but 64 at most.
fn waves(p: &Propagation, engine: &dyn Engine) -> Result<Calibration, RunError> {
    let beams: Vec<(i32, i32)> = (0..(p.waves().ceil() as i32).clamp(1, 64)).map(|i| (i % 8, i / 8)).collect();
    let work = beams.len() as f64 * p.setting.grid.len() as f64;
    // As many slices as take a moment and no more, at a guess of 3e8 pixel-slices a second.
    let count = ((0.03 * 3e8 / work) as usize).clamp(2, 24);
    let slices: Vec<Slice> = p.specimen.stack.displaced(count + 1, &FrozenPhonons::new(0), 0, 0, Sign::Plus);
    let repeated: Vec<Slice> = std::iter::repeat_n(slices[0].clone(), count + 1).collect();
    let bloch = crate::multislice::Bloch::default();
    let run = |slices: &[Slice]| -> Result<(f64, f64), RunError> {
        let mut waves = engine.start(bloch, slices, InitialWaves::Plane(&beams))?;
        // Intensities are read so that a device has finished what it was given.
        waves.advance(0..1)?;
        waves.intensities()?;
        let start = Instant::now();
        waves.advance(1..count + 1)?;
        waves.intensities()?;
        let advance = start.elapsed().as_secs_f64();
        let mut spectrum = vec![Complex64::default(); p.setting.grid.len()];
        let start = Instant::now();
        (0..beams.len()).try_for_each(|wave| waves.read(wave, &mut spectrum))?;
        Ok((advance / count as f64, start.elapsed().as_secs_f64() / work))
    };
    let (both, _) = run(&slices)?;
    // The same atoms again and again: one transmission function, then steps alone.
    let (step, read) = run(&repeated)?;
    Ok(Calibration { step: step / work, transmission: (both - step).max(0.0), read, ..Calibration::default() })
}

/// Reading, contraction and layout, from one tilt and several, with three exits and with one.
fn exits(p: &Propagation, study: &ScatteringStudy<'_>, engine: &dyn Engine, c: &mut Calibration) -> Result<(), RunError> {
    const SEVERAL: usize = 4;
    let mut tilts: Vec<Illumination> = Vec::new();
    for illumination in &p.illuminations {
        if tilts.len() < SEVERAL && tilts.iter().all(|known| known.specimen_tilt_mrad != illumination.specimen_tilt_mrad) {
            tilts.push(illumination.clone());
        }
    }
    let timed = |tilts: &[Illumination], exits: Vec<usize>| -> Result<f64, RunError> {
        let study = ScatteringStudy { exits, illuminations: tilts.to_vec(), ..study.clone() };
        let mut least = f64::INFINITY;
        // The first is slower than the rest.
        for _ in 0..3 {
            let start = Instant::now();
            study.sum_blocks(engine, &[0], &|_| (), &|| false)?;
            least = least.min(start.elapsed().as_secs_f64());
        }
        Ok(least)
    };
    let area = crate::numerics::grid::area(p.setting.grid.cell_angstrom).abs();
    let waves = std::f64::consts::PI * p.illuminations[0].probe.radius().powi(2) * area;
    let points = waves * p.setting.grid.len() as f64;
    let last = timed(&tilts[..1], vec![3])?;
    let an_exit = 0.5 * (timed(&tilts[..1], vec![1, 2, 3])? - last).max(0.0);
    c.contraction = an_exit - points * c.read;
    if tilts.len() > 1 {
        // What one more tilt adds to an exit is contraction; the rest of an exit comes once, whatever the number of tilts.
        let several = 0.5 * (timed(&tilts, vec![1, 2, 3])? - timed(&tilts, vec![3])?);
        c.contraction = ((several - an_exit) / (tilts.len() - 1) as f64).clamp(0.0, an_exit);
        c.read = (an_exit - c.contraction) / points;
    }
    c.contraction = c.contraction.max(0.0);
    c.layout = (last - 3.0 * (points * c.step + c.transmission) - an_exit).max(0.0);
    Ok(())
}

/// The measurement of one point, in an image of Gaussian columns as large as the real one; of the frames of a camera one is timed.
fn point(p: &Propagation) -> Result<f64, RunError> {
    let mut point = Point { index: 0, values: Vec::new(), config: p.shared.clone() };
    let Some(mut camera) = point.config.camera.take() else { return measured(p, &point) };
    let noiseless = measured(p, &point)?;
    let frames = f64::from(std::mem::replace(&mut camera.repeats, 1));
    point.config.camera = Some(camera);
    Ok(noiseless + frames * (measured(p, &point)? - noiseless).max(0.0))
}

/// Seconds to expose all frames of a point; one is timed.
fn exposure(p: &Propagation) -> Result<f64, RunError> {
    let point = Point { index: 0, values: Vec::new(), config: p.shared.clone() };
    let Some(camera) = point.config.camera.as_ref().filter(|_| p.shares_frames().contains(&true)) else { return Ok(0.0) };
    let images = gaussian_images(p);
    let Some(image) = measure::image(p, &images, FIRST, &point, 0) else { return Ok(0.0) };
    let start = Instant::now();
    frame::expose(&image, &point, camera, camera.raster(frame::ORIGIN_ANGSTROM), 0, 0)?;
    Ok(start.elapsed().as_secs_f64() * f64::from(camera.repeats) * p.detectors.len() as f64)
}

/// Frames that several points measure, as the store keeps them, bytes.
fn kept_frames_bytes(p: &Propagation) -> f64 {
    let Some(camera) = &p.shared.camera else { return 0.0 };
    let shared = p.shares_frames();
    let kept = p.places.iter().enumerate().filter(|(number, place)| shared[*number] && place.frames == *number).count();
    let raster = camera.raster(frame::ORIGIN_ANGSTROM);
    let frame = 4.0 * (raster.width * raster.height) as f64 + 18.0 * raster.height as f64 + ENTRY;
    kept as f64 * f64::from(camera.repeats) * p.detectors.len() as f64 * frame
}

/// The first image of a propagation.
const FIRST: Place = Place { point: 0, illumination: 0, exit: 0, frames: 0 };

/// Seconds to measure a point.
fn measured(p: &Propagation, point: &Point) -> Result<f64, RunError> {
    let images = gaussian_images(p);
    let start = Instant::now();
    measure::records(p, &images, FIRST, point)?;
    let once = start.elapsed().as_secs_f64();
    // The first is slower than the rest; a long one need not run twice.
    if once > 0.1 {
        return Ok(once);
    }
    let start = Instant::now();
    (0..3).try_for_each(|_| measure::records(p, &images, FIRST, point).map(drop))?;
    Ok(start.elapsed().as_secs_f64() / 3.0)
}

/// The pixels of one kept image, which all threads share, s.
fn kept_image_seconds(p: &Propagation) -> Result<f64, RunError> {
    let images = gaussian_images(p);
    let point = Point { index: 0, values: Vec::new(), config: p.shared.clone() };
    let Some(image) = measure::image(p, &images, FIRST, &point, 0) else { return Ok(0.0) };
    let start = Instant::now();
    let kept = run::pixels(p, &image, FIRST, &point, 0, KEPT);
    kept.map_err(run::image_error(std::path::Path::new("image")))?;
    Ok(start.elapsed().as_secs_f64() * p.shared.microscope.detectors.len() as f64)
}

/// Images like those of the propagation: every group the same Gaussian columns of 0.45 Å on a background.
fn gaussian_images(p: &Propagation) -> Images {
    let slab = &p.specimen.slab;
    let [h, k] = slab.in_plane_angstrom.map(|a| (2.0 * p.illuminations[0].probe.radius() * norm(a)).ceil() as i32 + 1);
    let mut image = FourierImage::zeros(slab.in_plane_angstrom, h as usize, k as usize);
    let [b1, b2] = image.reciprocal();
    for (h, k) in (-k..=k).flat_map(|k| (-h..=h).map(move |h| (h, k))) {
        let q = [0, 1].map(|i| f64::from(h) * b1[i] + f64::from(k) * b2[i]);
        let fade = (-0.5 * (TAU * 0.45).powi(2) * (q[0] * q[0] + q[1] * q[1])).exp();
        let wave = |r: [f64; 2]| Complex64::cis(-TAU * (q[0] * r[0] + q[1] * r[1]));
        let sum: Complex64 = slab.columns.iter().map(|c| wave(c.position_angstrom)).sum();
        image.add(h, k, sum * fade * 0.01);
    }
    image.add(0, 0, Complex64::new(0.01, 0.0));
    let groups = compute::scattering_matrix(p).group_count();
    let images = vec![vec![vec![vec![image; p.detectors.len()]]]; groups];
    let stack = ImageStack { images, weights: vec![1.0 / groups as f64; groups], lost: vec![vec![0.0]], engine: String::new() };
    Images { stack }
}
