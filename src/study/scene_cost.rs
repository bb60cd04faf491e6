//! What studies of scenes cost, datasets and networks among them: a small part of each is done and timed, and the rest taken in proportion.
//!
//! Libraries are timed with few k-points, pictures on one of each kind, networks in two epochs. An early stop is not foreseen.

use super::RunError;
use super::dataset_run::{self, DatasetPlan, Means, Part};
use super::frames::{Frames, FramesPlan};
use super::learning::{Arrangement, MOST_MAPS, Workshop, learn};
use super::scene::SceneJob;
use super::scene_gallery::{Request, gallery};
use super::spec::{Point, PointConfig, Study};
use crate::multislice::DeviceChoice;
use crate::numerics::grid::Grid;
use std::cell::Cell;
use std::path::Path;
use std::time::Instant;

/// What a study of scenes costs.
#[derive(Debug, Clone, Copy, Default, PartialEq, serde::Serialize)]
pub struct SceneCost {
    /// Libraries of column responses, s.
    pub library_seconds: f64,
    /// Images, with what is cut from them, measured in them and drawn of them, s.
    pub image_seconds: f64,
    /// Images.
    pub images: u64,
    /// Networks, s.
    pub network_seconds: f64,
    /// Networks.
    pub networks: u64,
    /// The check of a dataset's library, s.
    pub check_seconds: f64,
    /// Peak memory, bytes.
    pub memory_bytes: f64,
    /// What stays on disk, bytes.
    pub disk_bytes: f64,
}

/// What the program needs before it begins, bytes.
const PROGRAM: f64 = 30e6;
/// Page and figures of a usual learning study, bytes.
const PAGE: f64 = 3e6;
/// A map of truth, prediction and difference as figure and in the page, bytes.
const MAP: f64 = 2.5e6;
/// Most samples of a dataset that are looked at for what it ranges over.
const LOOKED_AT: u64 = 200;
/// Side of a picture's pixel in a gallery, Å.
const GALLERY_PIXEL_ANGSTROM: f64 = 0.15;

impl SceneCost {
    /// All seconds, on the threads at hand.
    #[must_use]
    pub fn seconds(&self) -> f64 {
        self.library_seconds + self.image_seconds + self.network_seconds + self.check_seconds
    }

    /// The cost of what a study of scenes declares: its dataset, its networks, or else its images.
    pub fn of(study: &Study, threads: usize) -> Result<Self, RunError> {
        let folder = tempfile::tempdir().map_err(RunError::disk(std::env::temp_dir()))?;
        if study.dataset.is_some() {
            dataset(study, threads, folder.path())
        } else if study.learning.is_some() {
            networks(study, threads)
        } else {
            pictures(study, threads, folder.path())
        }
    }
}

/// A setting with few k-points: one for each thread.
fn quick(config: &PointConfig, threads: usize) -> PointConfig {
    let mut config = config.clone();
    config.simulation.k_points = [config.simulation.k_points[0].min(threads.max(1) as u32), 1];
    config
}

/// Libraries with few k-points, and what the whole ones cost.
fn libraries(settings: &[(PointConfig, u64)], threads: usize, cost: &mut SceneCost) -> Result<Frames, RunError> {
    let whole = FramesPlan::new(settings.iter().cloned())?;
    let few = FramesPlan::new(settings.iter().map(|(config, number)| (quick(config, threads), *number)))?;
    let (steps, timed) = (whole.steps() as f64, few.steps().max(1) as f64);
    let start = Instant::now();
    let frames = few.make(None, &|_| {})?;
    cost.library_seconds = start.elapsed().as_secs_f64() * steps / timed;
    cost.memory_bytes += frames.bytes();
    cost.disk_bytes += frames.kept_bytes();
    Ok(frames)
}

/// The first image of the libraries takes their reduction along, which comes once; returns what an image takes, s, and its pixels.
fn image(frames: &Frames, config: &PointConfig, cost: &mut SceneCost) -> Result<(f64, f64), RunError> {
    let start = Instant::now();
    frames.image(config, 0)?;
    let first = start.elapsed().as_secs_f64();
    let start = Instant::now();
    let image = frames.image(config, 1)?;
    let second = start.elapsed().as_secs_f64();
    cost.library_seconds += (first - second).max(0.0);
    Ok((second, (image.width * image.height) as f64))
}

fn dataset(study: &Study, threads: usize, folder: &Path) -> Result<SceneCost, RunError> {
    let plan = DatasetPlan::new(study)?;
    let looked_at: Vec<(PointConfig, u64)> =
        (0..plan.samples().min(LOOKED_AT)).map(|n| plan.sample(n).map(|s| (s.config, s.number))).collect::<Result<_, _>>()?;
    let mut cost = SceneCost { images: plan.samples(), memory_bytes: PROGRAM, ..SceneCost::default() };
    let whole = FramesPlan::new(looked_at.iter().cloned())?;
    let (axes, steps) = (whole.span().map(|span| span.axes()), whole.steps() as f64);
    let frames = libraries(&looked_at, threads, &mut cost)?;
    let (_, pixels) = image(&frames, &quick(&looked_at[0].0, threads), &mut cost)?;

    let mut part = study.clone();
    let Some(settings) = &mut part.dataset else { return Err(RunError::NoDataset) };
    let shard_samples = f64::from(settings.shard_samples);
    settings.samples = settings.samples.min(2 * threads as u64);
    settings.shard_samples = settings.samples as u32;
    let few = settings.samples as f64;
    let means = Means {
        frame: &|sample| frames.image(&quick(&sample.config, threads), sample.number),
        library_error: &|| Ok(Vec::new()),
        progress: &|_| {},
        stop: &|| false,
    };
    let start = Instant::now();
    dataset_run::run(&DatasetPlan::new(&part)?, folder, Part { index: 0, count: 1 }, &means)?;
    let all = plan.samples() as f64;
    cost.image_seconds = start.elapsed().as_secs_f64() / few * all;
    let shard = std::fs::metadata(folder.join("shard-00000.h5")).map_or(0.0, |file| file.len() as f64) / few;
    cost.disk_bytes += shard * all;
    cost.memory_bytes += 40.0 * pixels * threads as f64 + 3.0 * shard * shard_samples;
    if let Some(axes) = axes {
        // A strip of eight cells has eight times the waves on eight times the grid, and two Bloch offsets; its library sixteen of one cell.
        let (own, structures) = (steps / axes.structures() as f64, axes.structures() as f64);
        let offsets = own.min(2.0) * 8.0;
        let one = cost.library_seconds / (own * structures);
        cost.check_seconds = one * (2.0 * 64.0 * 2.0 + offsets * (structures.min(3.0) + 1.0)) / 2.0;
        cost.memory_bytes = cost.memory_bytes.max(PROGRAM + frames.bytes() + threads as f64 * strip_bytes(&looked_at[0].0)?);
    }
    Ok(cost)
}

/// The waves of a strip of eight cells on one thread, in single precision and as they are read, bytes.
fn strip_bytes(config: &PointConfig) -> Result<f64, RunError> {
    let Some(job) = SceneJob::new(config)? else { return Ok(0.0) };
    let [ax, ay, _] = job.scene.materials[0].edges_angstrom;
    let grid = Grid::for_pixel([[ax, 0.0], [0.0, ay]], job.imaging.pixel_angstrom);
    let waves = std::f64::consts::PI * job.imaging.probe.radius().powi(2) * ax * ay;
    Ok(8.0 * waves * 8.0 * grid.len() as f64 * (8.0 + 16.0))
}

/// Most memory that this process had so far, bytes; 0 where the system does not tell.
fn peak_bytes() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let kilobytes = status.lines().find_map(|line| line.strip_prefix("VmHWM:")?.trim().strip_suffix("kB")?.trim().parse::<f64>().ok());
    1024.0 * kilobytes.unwrap_or(0.0)
}

fn networks(study: &Study, threads: usize) -> Result<SceneCost, RunError> {
    let settings = study.learning.clone().unwrap_or_default();
    let arrangement = Arrangement::new(study, &settings);
    let (points, repeats) = (study.points(), u64::from(settings.repeats));
    let all: Vec<(PointConfig, u64)> = points.iter().flat_map(|p| (0..repeats).map(|n| (p.config.clone(), n))).collect();
    let trainings = arrangement.trainings();
    let mut cost = SceneCost {
        images: all.len() as u64,
        networks: trainings.len() as u64 * repeats,
        memory_bytes: PROGRAM,
        disk_bytes: PAGE + if settings.maps { MAP * points.len().min(MOST_MAPS) as f64 } else { 0.0 },
        ..SceneCost::default()
    };
    let frames = libraries(&all, threads, &mut cost)?;
    let mut kinds: Vec<(&Point, Timed)> = Vec::new();
    for point in points {
        if kind(&kinds, point).is_none() {
            let (seconds, pixels) = image(&frames, &quick(&point.config, threads), &mut cost)?;
            let timed = time_network(study, point, threads, &frames)?;
            cost.memory_bytes = cost.memory_bytes.max(PROGRAM + 16.0 * pixels * points.len() as f64 + timed.bytes(point));
            kinds.push((point, Timed { image: seconds, ..timed }));
        }
    }
    // What was timed held whole libraries and made images of them.
    cost.memory_bytes = cost.memory_bytes.max(peak_bytes());
    // Every point is of some kind by now.
    let of = |point: usize| kind(&kinds, &points[point]).copied().unwrap_or_default();
    cost.image_seconds = (0..points.len()).map(|p| of(p).image + of(p).measure).sum::<f64>() * repeats as f64;
    if settings.maps {
        cost.memory_bytes += (0..points.len().min(MOST_MAPS)).map(|p| of(p).map_bytes()).sum::<f64>();
    }
    for training in trainings {
        let timed = of(training[0]);
        let windows = (timed.windows * training.len() as f64).min(settings.train_windows.map_or(f64::INFINITY, f64::from));
        let epochs = f64::from(points[training[0]].config.training.as_ref().map_or(40, |t| t.epochs));
        cost.network_seconds += timed.window * windows * epochs * repeats as f64;
        cost.disk_bytes += timed.file_bytes * repeats as f64;
    }
    Ok(cost)
}

/// What one kind of point takes.
#[derive(Debug, Clone, Copy, Default)]
struct Timed {
    /// An image, s.
    image: f64,
    /// Cutting, fitting and predicting it, s.
    measure: f64,
    /// A window in an epoch of training, s.
    window: f64,
    /// Windows that one image gives to training.
    windows: f64,
    /// A network as it is kept, bytes.
    file_bytes: f64,
    side_px: f64,
}

impl Timed {
    /// Windows of training and of the images at hand.
    fn bytes(&self, point: &Point) -> f64 {
        let batch = f64::from(point.config.training.as_ref().map_or(64, |t| t.batch_size));
        // Thirty maps or so are kept of every window of a batch, forward and back.
        4.0 * self.side_px * self.side_px * (3.0 * self.windows + 60.0 * batch)
    }

    /// Windows that are kept to be drawn: those of training are half to two thirds of all.
    fn map_bytes(&self) -> f64 {
        4.0 * self.side_px * self.side_px * 1.7 * self.windows
    }
}

/// What was timed of a point cut, built and trained alike.
fn kind<'a>(kinds: &'a [(&Point, Timed)], point: &Point) -> Option<&'a Timed> {
    let alike = |other: &Point| {
        let tables = |p: &Point| (p.config.windows, p.config.network.clone(), p.config.training.clone());
        let size = |p: &Point| p.config.scene.as_ref().map(|s| s.size_cells);
        tables(other) == tables(point) && size(other) == size(point)
    };
    kinds.iter().find(|(other, _)| alike(other)).map(|(_, timed)| timed)
}

/// Two epochs of a network on the image of one point, and the rest of what a learning study does with an image.
fn time_network(study: &Study, point: &Point, threads: usize, frames: &Frames) -> Result<Timed, RunError> {
    const EPOCHS: u32 = 2;
    let mut config = quick(&point.config, threads);
    let training = config.training.get_or_insert_default();
    (training.epochs, training.patience) = (EPOCHS, 0);
    let mut part = study.clone();
    part.axes.clear();
    part.points = vec![Point { index: 0, values: Vec::new(), config }];
    let settings = part.learning.get_or_insert_default();
    (settings.repeats, settings.across) = (1, None);
    settings.mix_over.clear();
    let settings = settings.clone();
    let (making, training, bytes) = (Cell::new(0.0), Cell::new(0.0), Cell::new(0.0));
    let timed = |cell: &Cell<f64>, start: Instant| cell.set(cell.get() + start.elapsed().as_secs_f64());
    let workshop = Workshop {
        frame: &|point, number| {
            let start = Instant::now();
            let image = frames.image(&point.config, u64::from(number));
            timed(&making, start);
            image
        },
        keep: &|_, make| {
            let start = Instant::now();
            let kept = make();
            timed(&training, start);
            bytes.set(kept.as_ref().map_or(0.0, |(bytes, _)| bytes.len() as f64));
            kept
        },
        done: &|_, _| Ok(()),
        progress: &|_| {},
    };
    let start = Instant::now();
    let learnt = learn(&part, &Arrangement::new(&part, &settings), &workshop)?;
    let all = start.elapsed().as_secs_f64();
    let record = learnt.records.iter().find(|r| r.train_windows > 0);
    let windows = record.map_or(0.0, |r| r.train_windows as f64);
    Ok(Timed {
        image: 0.0,
        measure: all - making.get() - training.get(),
        window: if windows > 0.0 { training.get() / windows / f64::from(EPOCHS) } else { 0.0 },
        windows,
        file_bytes: bytes.get(),
        side_px: record.map_or(0.0, |r| r.window_px as f64),
    })
}

fn pictures(study: &Study, threads: usize, folder: &Path) -> Result<SceneCost, RunError> {
    let points = study.points();
    let mut cost = SceneCost { images: points.len() as u64, memory_bytes: PROGRAM, ..SceneCost::default() };
    // Each scene has a library of its own, unless it asks for the same as another.
    let mut plans: Vec<(FramesPlan, &Point)> = Vec::new();
    for point in points {
        let plan = FramesPlan::new(std::iter::once((point.config.clone(), 0)))?;
        if plans.iter().all(|(other, _)| !other.same(&plan)) {
            plans.push((plan, point));
        }
    }
    // The one with most to interpolate.
    let largest = plans.iter().max_by_key(|(plan, _)| plan.nodes()).map_or(&points[0], |(_, point)| point);
    let steps: usize = plans.iter().map(|(plan, _)| plan.steps()).sum();
    let few = Point { config: quick(&largest.config, threads), ..largest.clone() };
    let timed = FramesPlan::new(std::iter::once((few.config.clone(), 0)))?.steps().max(1);
    let request = Request { pixel_angstrom: GALLERY_PIXEL_ANGSTROM, folder, libraries: None, device: DeviceChoice::Cpu };
    let start = Instant::now();
    let drawn = gallery(&[few], &request, &|_| {})?;
    let all = start.elapsed().as_secs_f64();
    let library: f64 = drawn.iter().map(|s| s.seconds_multislice).sum();
    cost.library_seconds = library * steps as f64 / timed as f64;
    cost.image_seconds = (all - library) * points.len() as f64;
    let written = std::fs::read_dir(folder).and_then(|files| files.map(|f| f?.metadata().map(|m| m.len())).sum::<Result<u64, _>>());
    cost.disk_bytes = written.unwrap_or(0) as f64 * points.len() as f64;
    cost.memory_bytes += 8.0 * cost.disk_bytes / points.len() as f64 + plans.iter().map(|(plan, _)| plan.bytes()).fold(0.0, f64::max);
    cost.memory_bytes = cost.memory_bytes.max(peak_bytes());
    Ok(cost)
}
