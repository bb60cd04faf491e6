//! Trains one network of a learning study on the images of its points. A network is a pure function of its windows, architecture, settings
//! and seed, so that the store can keep it.

use super::super::windows_table::WindowSettings;
use super::super::{Point, RunError, Study};
use super::arrange::Unit;
use super::run::Workshop;
use super::sheet::Sheet;
use crate::dcnn::{Architecture, Augmentation, CameraNoise, NETWORK_VERSION, Network, Trainer, TrainingSettings};
use crate::detection::{Camera, WindowNoise};
use crate::numerics::seeds::Streams;
use crate::windows::WindowSet;
use rand::Rng;
use rand::seq::SliceRandom;
use std::collections::BTreeMap;

/// Labels that spread by less than this have nothing in them to learn, pm.
const LEAST_SPREAD_PM: f64 = 1e-3;

/// What a network is made from.
#[derive(Debug, Clone, serde::Serialize)]
pub struct NetworkInputs<'a> {
    /// What such inputs come to.
    pub version: u32,
    /// blake3 of the training windows and their labels.
    pub training: String,
    /// The same of the validation windows.
    pub validation: String,
    /// Its layers.
    pub architecture: &'a Architecture,
    /// How it is trained.
    pub settings: &'a TrainingSettings,
    /// Seed of its weights, shuffles and augmentation.
    pub seed: u64,
    /// The cameras whose noise its windows are given anew in every epoch.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fresh_noise: Option<String>,
}

/// A network as bytes, and the epochs it took.
pub type Kept = (Vec<u8>, usize);

/// Hands out the network of some inputs: one that was kept, or what the second argument makes.
pub type Keep<'a> = dyn Fn(&NetworkInputs<'_>, &dyn Fn() -> Result<Kept, RunError>) -> Result<Kept, RunError> + 'a;

/// Is told of a training that is over and, where it failed, why.
pub type Done<'a> = dyn Fn(Unit<'_>, Option<&str>) -> Result<(), RunError> + 'a;

/// Images of some points in a repeat, with what is known of them.
pub(super) fn sheets(
    study: &Study,
    points: impl Iterator<Item = usize>,
    repeat: u32,
    workshop: &Workshop<'_>,
) -> Result<BTreeMap<usize, Sheet>, RunError> {
    let mut sheets = BTreeMap::new();
    for point in points.map(|p| &study.points()[p]) {
        let expected = quiet(point).map(|quiet| (workshop.frame)(&quiet, repeat)).transpose()?;
        sheets.insert(point.index, Sheet::new((workshop.frame)(point, repeat)?, expected)?);
        (workshop.progress)(1);
    }
    Ok(sheets)
}

/// The network of a unit, or why there is none; what stops everything is an error.
pub(super) fn network(
    study: &Study,
    sheets: &BTreeMap<usize, Sheet>,
    unit: Unit<'_>,
    workshop: &Workshop<'_>,
) -> Result<Result<Trained, String>, RunError> {
    let network = match (Training { study, sheets, points: unit.points, repeat: unit.repeat, most: most(study, unit), workshop }).run() {
        Ok(network) => Ok(network),
        Err(error) if error.stops_everything() => return Err(error),
        Err(error) => Err(error.to_string()),
    };
    (workshop.done)(unit, network.as_ref().err().map(String::as_str))?;
    (workshop.progress)(1);
    Ok(network)
}

/// Most windows that train the network of a unit.
pub(super) fn most(study: &Study, unit: Unit<'_>) -> Option<u32> {
    let settings = study.learning.as_ref()?;
    settings.mix_windows.filter(|_| unit.points.len() > 1).or(settings.train_windows)
}

/// A trained network with what its records tell.
pub(super) struct Trained {
    pub(super) network: Network,
    pub(super) windows: usize,
    pub(super) epochs: usize,
    pub(super) seed: u64,
    /// Whether its labels were more than one: where all are alike there is no σ to learn.
    pub(super) varied: bool,
}

struct Training<'a> {
    study: &'a Study,
    sheets: &'a BTreeMap<usize, Sheet>,
    points: &'a [usize],
    repeat: u32,
    most: Option<u32>,
    workshop: &'a Workshop<'a>,
}

impl Training<'_> {
    fn run(&self) -> Result<Trained, RunError> {
        let first = &self.study.points()[self.points[0]];
        let seed = Streams::new("mistilt learning repeat", first.config.seed).stream(u64::from(self.repeat)).next_u64();
        let window_settings = settings_of(first);
        let (mut training, mut validation): (Option<WindowSet>, Option<WindowSet>) = (None, None);
        let mut cameras = Vec::new();
        for (number, point) in self.points.iter().enumerate() {
            let size_px = training.as_ref().map(|set| set.size_px);
            let windows = self.sheets[point].windows(&window_settings, size_px, u64::from(self.repeat))?;
            let share = |indices: &[usize], part: f64| self.drawn(indices, number, part, seed);
            let (train, stop) = (share(&windows.partition.train, 1.0), share(&windows.partition.validation, 0.25));
            let recorded = &windows.cut.set;
            let expected = self.sheets[point].expected(&window_settings, Some(recorded.size_px))?;
            cameras.extend(self.camera(*point, recorded.pixel_size_pm, seed)?);
            add(&mut training, expected.as_ref().unwrap_or(recorded).select(&train))?;
            add(&mut validation, windows.cut.set.select(&stop))?;
        }
        // A training has at least one point.
        let (Some(training), Some(validation)) = (training, validation) else { return Err(RunError::NothingToLearn) };
        let architecture = architecture_of(first);
        let settings = training_of(first);
        let dose_spread = first.config.training.as_ref().map_or(1.0, |t| t.dose_spread);
        let noise = (!cameras.is_empty()).then_some(CameraNoise { cameras, dose_spread });
        let inputs = NetworkInputs {
            version: NETWORK_VERSION,
            training: training.digest(),
            validation: validation.digest(),
            architecture: &architecture,
            settings: &settings,
            seed,
            fresh_noise: noise.as_ref().map(Augmentation::key),
        };
        let make = || -> Result<Kept, RunError> {
            let augmentation = noise.as_ref().map(|n| n as &dyn Augmentation);
            let mut trainer = Trainer::new(&training, &validation, &architecture, &settings, seed, augmentation)?;
            while trainer.epoch()?.is_some() {}
            let trained = trainer.finish()?;
            Ok((trained.network.to_bytes(&serde_json::Value::Null)?, trained.history.len()))
        };
        let (bytes, epochs) = (self.workshop.keep)(&inputs, &make)?;
        let varied = training.label_statistics().is_some_and(|(_, sd)| sd.iter().any(|v| *v > LEAST_SPREAD_PM));
        Ok(Trained { network: Network::from_bytes(&bytes)?.0, windows: training.len(), epochs, seed, varied })
    }

    /// The noise that the windows of a point are given anew, where that is asked for.
    fn camera(&self, point: usize, pixel_size_pm: f64, seed: u64) -> Result<Option<WindowNoise>, RunError> {
        let point = &self.study.points()[point];
        let Some(settings) = point.config.camera.as_ref().filter(|_| fresh_noise(point)) else { return Ok(None) };
        Ok(Some(WindowNoise::new(&Camera::new(settings.camera.clone())?, 0.01 * pixel_size_pm, seed)?))
    }

    /// As many windows of each image as make `most` of all together, drawn by lot.
    fn drawn(&self, indices: &[usize], number: usize, part: f64, seed: u64) -> Vec<usize> {
        let Some(most) = self.most else { return indices.to_vec() };
        let own = (part * f64::from(most) / self.points.len() as f64).ceil() as usize;
        let mut order = indices.to_vec();
        if own < order.len() {
            order.shuffle(&mut Streams::new("mistilt learning draw of windows", seed).stream(number as u64));
            order.truncate(own);
            order.sort_unstable();
        }
        order
    }
}

fn add(all: &mut Option<WindowSet>, more: WindowSet) -> Result<(), RunError> {
    match all {
        Some(all) => Ok(all.append(&more)?),
        none => {
            *none = Some(more);
            Ok(())
        }
    }
}

fn fresh_noise(point: &Point) -> bool {
    point.config.camera.is_some() && point.config.training.as_ref().is_some_and(|t| t.fresh_noise)
}

/// The point with a camera that records expected fractions of the beam, where its noise is put on in training.
fn quiet(point: &Point) -> Option<Point> {
    let mut quiet = point.clone();
    let camera = quiet.config.camera.as_mut().filter(|_| fresh_noise(point))?;
    camera.camera = camera.camera.scan_only();
    Some(quiet)
}

/// How the images of a point are cut: as its file says.
pub(super) fn settings_of(point: &Point) -> WindowSettings {
    point.config.windows.unwrap_or_default()
}

fn architecture_of(point: &Point) -> Architecture {
    point.config.network.as_ref().map_or_else(Architecture::default, super::super::network_table::NetworkTable::architecture)
}

fn training_of(point: &Point) -> TrainingSettings {
    point.config.training.as_ref().map_or_else(TrainingSettings::default, super::super::network_table::TrainingTable::settings)
}
