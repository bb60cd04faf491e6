//! Trains and tests every network of a learning study, repeat after repeat.

use super::super::{Point, RunError, Study};
use super::arrange::{Arrangement, Row, Unit};
use super::certainty::Certainty;
use super::records::LearningRecord;
use super::score::{Judged, Score};
use super::sheet::{Sheet, Windows};
use super::train::{self, Done, Keep, Trained, settings_of};
use crate::dcnn::Prediction;
use crate::image::Image;
use std::collections::BTreeMap;

/// Points whose maps are kept to be drawn.
pub const MOST_MAPS: usize = 12;

/// Where images come from and networks are kept.
pub struct Workshop<'a> {
    /// The image of a point in a repeat, with its truth.
    pub frame: &'a dyn Fn(&Point, u32) -> Result<Image, RunError>,
    /// Where networks are kept.
    pub keep: &'a Keep<'a>,
    /// Told of every training that is over, and why where it failed.
    pub done: &'a Done<'a>,
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

/// Trains and tests all networks. A network or fit that fails is a record with its reason; what stops everything is an error.
pub fn learn(study: &Study, arrangement: &Arrangement, workshop: &Workshop<'_>) -> Result<Learnt, RunError> {
    let settings = study.learning.clone().unwrap_or_default();
    let mut learnt = Learnt { records: Vec::new(), maps: Vec::new(), certainty: Certainty::default() };
    for repeat in 0..settings.repeats {
        let sheets = train::sheets(study, 0..study.points().len(), repeat, workshop)?;
        let mut trained: Vec<(&[usize], Result<Trained, String>)> = Vec::new();
        for points in arrangement.trainings() {
            trained.push((points, train::network(study, &sheets, Unit { points, repeat }, workshop)?));
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

#[cfg(test)]
mod tests {
    use super::super::super::drawn;
    use super::super::records::{Figure, estimate};
    use super::super::train::{Kept, NetworkInputs};
    use super::*;
    use std::path::Path;

    /// Two tilts, the second of which shows B 8 pm further right than it is.
    fn study(learning: &str) -> Study {
        let text = format!(
            "name = \"learning\"\nseed = 3\n[crystal]\nstructure = \"bifeo3-r3c\"\nthickness_nm = 20\n[microscope]\nvoltage_kv = 300\n\
             convergence_mrad = 25\n[[microscope.detectors]]\nname = \"haadf\"\ninner_mrad = 60\nouter_mrad = 100\n[windows]\n\
             size_lattices = 1.5\n[network]\nchannels = [8, 16]\nglobal_pooling = \"flatten\"\n[training]\nepochs = 30\nbatch_size = 16\n[learning]\nrepeats = 2\n\
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
            done: &|_, _| Ok(()),
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
            let workshop = Workshop { frame: &noisy, keep: &keep, done: &|_, _| Ok(()), progress: &|_| {} };
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
