//! Trains and tests every network of a learning study, repeat after repeat. A network is a pure function of its windows, architecture,
//! settings and seed, so that the store can keep it.

use super::super::windows_table::WindowSettings;
use super::super::{Point, RunError, Study};
use super::arrange::{Arrangement, Row};
use super::certainty::Certainty;
use super::records::LearningRecord;
use super::score::{Judged, Score};
use super::sheet::{Sheet, Windows};
use crate::dcnn::{Architecture, Augmentation, CameraNoise, NETWORK_VERSION, Network, Prediction, Trainer, TrainingSettings};
use crate::detection::{Camera, WindowNoise};
use crate::image::Image;
use crate::numerics::seeds::Streams;
use crate::windows::WindowSet;
use rand::Rng;
use rand::seq::SliceRandom;
use std::collections::BTreeMap;

/// Points whose maps are kept to be drawn.
pub const MOST_MAPS: usize = 12;

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

/// Where images come from and networks are kept.
pub struct Workshop<'a> {
    /// The image of a point in a repeat, with its truth.
    pub frame: &'a dyn Fn(&Point, u32) -> Result<Image, RunError>,
    /// Where networks are kept.
    pub keep: &'a Keep<'a>,
    /// Called after every image and every network.
    pub progress: &'a dyn Fn(usize),
}

/// Windows of one image with what a network says of them.
#[derive(Debug)]
pub struct PointMap {
    /// The point.
    pub point: usize,
    pub(super) sheet_image: Image,
    pub(super) windows: Windows,
    pub(super) predictions: Vec<Prediction>,
}

/// All that a learning study found.
#[derive(Debug)]
pub struct Learnt {
    /// One row a network or fit, test point and repeat.
    pub records: Vec<LearningRecord>,
    /// Maps of the first repeat: networks on the image they were trained on.
    pub maps: Vec<PointMap>,
    /// Predictions of all tests beside the truth.
    pub certainty: Certainty,
}

/// Steps that `progress` counts: images and networks.
#[must_use]
pub(super) fn steps(study: &Study, arrangement: &Arrangement, repeats: u32) -> usize {
    (study.points().len() + arrangement.trainings().len()) * repeats as usize
}

/// Trains and tests all networks. A network or fit that fails is a record with its reason; what stops everything is an error.
pub fn learn(study: &Study, arrangement: &Arrangement, workshop: &Workshop<'_>) -> Result<Learnt, RunError> {
    let settings = study.learning.clone().unwrap_or_default();
    let mut learnt = Learnt { records: Vec::new(), maps: Vec::new(), certainty: Certainty::default() };
    for repeat in 0..settings.repeats {
        let mut sheets = BTreeMap::new();
        for point in study.points() {
            let expected = quiet(point).map(|quiet| (workshop.frame)(&quiet, repeat)).transpose()?;
            sheets.insert(point.index, Sheet::new((workshop.frame)(point, repeat)?, expected)?);
            (workshop.progress)(1);
        }
        let mut trained: Vec<(&[usize], Result<Trained, String>)> = Vec::new();
        for points in arrangement.trainings() {
            let mixed = points.len() > 1;
            let most = settings.mix_windows.filter(|_| mixed).or(settings.train_windows);
            let task = Training { study, sheets: &sheets, points, repeat, most, workshop };
            let network = match task.run() {
                Ok(network) => Ok(network),
                Err(RunError::Interrupted) => return Err(RunError::Interrupted),
                Err(error) => Err(error.to_string()),
            };
            trained.push((points, network));
            (workshop.progress)(1);
        }
        let judge = Judge { study, sheets: &sheets, repeat };
        for (number, group) in arrangement.groups.iter().enumerate() {
            for row in &group.rows {
                // Every row's points are a training.
                let Some((_, network)) = trained.iter().find(|(points, _)| *points == row.points) else { continue };
                for &point in &group.points {
                    let (record, map) = judge.network(number, row, point, network)?;
                    learnt.records.push(record);
                    if let (Some(map), Ok(Trained { varied: true, .. })) = (&map, network) {
                        learnt.certainty.add(row, point, map);
                    }
                    let own = row.points == [point];
                    if repeat == 0 && own && settings.maps && learnt.maps.len() < MOST_MAPS {
                        learnt.maps.extend(map);
                    }
                }
            }
            if settings.column_fit {
                let size_px = learnt.records.iter().rev().find(|r| r.group == number && r.window_px > 0).map_or(0, |r| r.window_px);
                for &point in &group.points {
                    learnt.records.push(judge.fit(number, point, size_px)?);
                }
            }
        }
    }
    learnt.records.sort_by(|a, b| (a.point, a.method, &a.trained_at, a.repeat).cmp(&(b.point, b.method, &b.trained_at, b.repeat)));
    Ok(learnt)
}

/// A trained network with what its records tell.
struct Trained {
    network: Network,
    windows: usize,
    epochs: usize,
    seed: u64,
    /// Whether its labels were more than one: where all are alike there is no σ to learn.
    varied: bool,
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

struct Judge<'a> {
    study: &'a Study,
    sheets: &'a BTreeMap<usize, Sheet>,
    repeat: u32,
}

impl Judge<'_> {
    fn network(
        &self,
        group: usize,
        row: &Row,
        point: usize,
        network: &Result<Trained, String>,
    ) -> Result<(LearningRecord, Option<PointMap>), RunError> {
        let mut record = self.record(group, point, "network");
        record.trained_at = row.trained_at.name();
        let trained = match network {
            Ok(trained) => trained,
            Err(why) => return Ok((LearningRecord { refusal: why.clone(), ..record }, None)),
        };
        record.seed = trained.seed;
        record.train_windows = trained.windows;
        record.epochs = trained.epochs;
        record.window_px = trained.network.size_px();
        let sheet = &self.sheets[&point];
        let settings = settings_of(&self.study.points()[point]);
        let windows = match sheet.windows(&settings, Some(record.window_px), u64::from(self.repeat)) {
            Ok(windows) => windows,
            Err(why) => return Ok((LearningRecord { refusal: why.to_string(), ..record }, None)),
        };
        let predictions = trained.network.predict(&windows.cut.set)?;
        let judged = |&i: &usize| Judged {
            value_pm: predictions[i].mean_pm.map(f64::from),
            sigma_pm: predictions[i].sigma_pm().map(f64::from),
            truth_pm: windows.truth_pm[i],
        };
        let known: Vec<Judged> = windows.partition.test.iter().map(judged).filter(|j| j.truth_pm.iter().all(|v| v.is_finite())).collect();
        record.leaky = windows.partition.leaky && row.points.contains(&point);
        record.score = Score::of(&known, windows.partition.test.len() - known.len());
        let map = PointMap { point, sheet_image: sheet.image.clone(), windows, predictions };
        Ok((record, Some(map)))
    }

    fn fit(&self, group: usize, point: usize, size_px: usize) -> Result<LearningRecord, RunError> {
        let mut record = self.record(group, point, "column-fit");
        let sheet = &self.sheets[&point];
        if let Some(why) = sheet.fit_refusal() {
            why.clone_into(&mut record.refusal);
        } else if size_px > 0 {
            let settings = settings_of(&self.study.points()[point]);
            record.window_px = size_px;
            record.score = sheet.score_fit(&settings, size_px, u64::from(self.repeat))?;
        }
        Ok(record)
    }

    fn record(&self, group: usize, point: usize, method: &'static str) -> LearningRecord {
        LearningRecord {
            point,
            group,
            method,
            trained_at: String::new(),
            repeat: self.repeat,
            seed: 0,
            window_px: 0,
            train_windows: 0,
            epochs: 0,
            leaky: false,
            score: None,
            refusal: String::new(),
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
fn settings_of(point: &Point) -> WindowSettings {
    point.config.windows.unwrap_or_default()
}

fn architecture_of(point: &Point) -> Architecture {
    point.config.network.as_ref().map_or_else(Architecture::default, super::super::network_table::NetworkTable::architecture)
}

fn training_of(point: &Point) -> TrainingSettings {
    point.config.training.as_ref().map_or_else(TrainingSettings::default, super::super::network_table::TrainingTable::settings)
}

#[cfg(test)]
mod tests {
    use super::super::super::drawn;
    use super::super::records::{Figure, estimate};
    use super::*;
    use std::path::Path;

    /// Two tilts, the second of which shows B 8 pm further right than it is.
    fn study(learning: &str) -> Study {
        let text = format!(
            "name = \"learning\"\nseed = 3\n[crystal]\nstructure = \"bifeo3-r3c\"\nthickness_nm = 20\n[microscope]\nvoltage_kv = 300\n\
             convergence_mrad = 25\n[[microscope.detectors]]\nname = \"haadf\"\ninner_mrad = 60\nouter_mrad = 100\n[windows]\n\
             size_lattices = 1.5\n[network]\nchannels = [8, 16]\n[training]\nepochs = 30\nbatch_size = 16\n[learning]\nrepeats = 2\n\
             across = \"crystal.specimen_tilt_x_mrad\"\n{learning}\n[sweep.axes]\n\"crystal.specimen_tilt_x_mrad\" = [0, 8]\n"
        );
        Study::parse("learning.toml", &text, Path::new(""), &[]).unwrap()
    }

    fn learnt(study: &Study) -> Learnt {
        let workshop = Workshop {
            frame: &|point, repeat| {
                let shift = point.config.crystal.specimen_tilt_mrad[0];
                Ok(drawn::image(22, u64::from(repeat), 0.03, [shift, 0.0]))
            },
            keep: &|_, make| make(),
            progress: &|_| {},
        };
        learn(study, &Arrangement::new(study, study.learning.as_ref().unwrap()), &workshop).unwrap()
    }

    #[test]
    fn what_a_network_never_saw_becomes_polarization_and_the_fit_sees_it_too() {
        let study = study("mix_over = [\"crystal.specimen_tilt_x_mrad\"]\ntrain_windows = 250");
        let found = learnt(&study);
        // Three networks (0, 8, mixed) and the fit, two points, two repeats.
        assert_eq!(found.records.len(), 4 * 2 * 2);
        let get = |point, trained_at, figure| estimate(&found.records, 0, point, trained_at, figure).mean;
        for (point, name) in [(0, "0"), (1, "8")] {
            let (rmse, spread) = (get(point, Some(name), Figure::Rmse), get(point, Some(name), Figure::Spread));
            assert!(rmse < 0.6 * spread, "{name}: {rmse} against {spread}");
        }
        // The fit sees the false shift as it is; the network that never saw one about so.
        assert!((get(1, None, Figure::BiasX) - 8.0).abs() < 1.0, "{}", get(1, None, Figure::BiasX));
        let (own, other) = (get(0, Some("0"), Figure::BiasX), get(1, Some("0"), Figure::BiasX));
        assert!((other - own - 8.0).abs() < 5.0, "{own} {other}");
        assert!(found.records.iter().all(|r| r.refusal.is_empty() && !r.leaky && r.score.unwrap().windows > 60));
        assert_eq!(found.records.iter().find(|r| r.trained_at == "mixed").unwrap().train_windows, 250);
        assert_eq!(found.maps.len(), 2);
    }

    /// Trained on windows whose noise is drawn anew, a network reads a noisy image.
    #[test]
    fn fresh_noise_is_put_on_images_without_it() {
        let camera = "[camera]\ndose_e_per_px = 1000\npixel_pm = 33\n";
        let study = |fresh: bool| {
            let text = study("column_fit = false\ntrain_at = [0]").source.text.replace("[learning]", &format!("{camera}[learning]"));
            let text = text.replace("epochs = 30", &format!("epochs = 15\nfresh_noise = {fresh}"));
            Study::parse("learning.toml", &text.replace("= 2\nacross", "= 1\nacross"), Path::new(""), &[]).unwrap()
        };
        let asked = std::cell::RefCell::new(Vec::new());
        let noisy = |point: &Point, repeat: u32| {
            let counts = point.config.camera.as_ref().unwrap().camera.dose.is_some();
            let image = drawn::image(22, u64::from(repeat), if counts { 0.03 } else { 0.0 }, [0.0; 2]);
            Ok(Image { data: image.data.iter().map(|v| v.max(0.0)).collect(), ..image })
        };
        let keep = |inputs: &NetworkInputs<'_>, make: &dyn Fn() -> Result<Kept, RunError>| {
            asked.borrow_mut().push(inputs.fresh_noise.clone());
            make()
        };
        let run = |study: &Study| {
            let workshop = Workshop { frame: &noisy, keep: &keep, progress: &|_| {} };
            learn(study, &Arrangement::new(study, study.learning.as_ref().unwrap()), &workshop).unwrap()
        };
        let (recorded, fresh) = (run(&study(false)), run(&study(true)));
        let said = asked.borrow();
        assert!(said[0].is_none() && said[1].as_ref().unwrap().contains("electrons"), "{said:?}");
        let rmse = |l: &Learnt| estimate(&l.records, 0, 0, Some("0"), Figure::Rmse).mean;
        let spread = estimate(&fresh.records, 0, 0, Some("0"), Figure::Spread).mean;
        assert!(rmse(&fresh) < 0.8 * spread && rmse(&fresh) != rmse(&recorded), "{} {} {spread}", rmse(&fresh), rmse(&recorded));
        assert!(fresh.certainty.curves().iter().any(|(name, r)| *name == "seen conditions" && r.windows > 60));
    }

    #[test]
    fn the_same_records_on_any_number_of_threads() {
        let study = study("column_fit = false\ntrain_at = [0]");
        let with = |threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| learnt(&study).records)
        };
        let records = with(1);
        assert_eq!(records, with(3));
        assert_eq!(records.len(), 4);
    }
}
