//! Makes a dataset: samples drawn, imaged and cut, shard after shard, each a file that appears whole; what is there and sound is kept.

use super::dataset_table::{DatasetContent, DatasetSettings};
use super::library_check::LibraryError;
use super::run_error::RunError;
use super::spec::{PointConfig, Study};
use super::validate;
use super::windows_table::WindowSettings;
use crate::dataset::{Content, MANIFEST, Manifest, Parameters, Shard, ShardEntry};
use crate::image::{Image, whole_file};
use crate::numerics::seeds::Streams;
use crate::windows::{Cutter, Kernel, LabelField, WindowSet};
use rand::RngExt;
use rand::seq::SliceRandom;
use rayon::prelude::*;
use serde_json::{Value as Json, json};
use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};

/// One image to be: its whole setting, and what was drawn for it.
#[derive(Debug, Clone)]
pub struct Sample {
    /// Number in the dataset, from 0.
    pub number: u64,
    /// The setting.
    pub config: PointConfig,
    /// What was drawn, in the order of the keys.
    pub parameters: Vec<f64>,
}

/// A dataset to be made.
#[derive(Debug, Clone)]
pub struct DatasetPlan<'a> {
    study: &'a Study,
    settings: DatasetSettings,
    windows: WindowSettings,
    seed: u64,
}

/// The part of the shards that one process makes: number `index` of `count`, from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Part {
    /// Which.
    pub index: u64,
    /// Of how many.
    pub count: u64,
}

/// What was made.
#[derive(Debug, Clone, PartialEq)]
pub struct DatasetOutcome {
    /// The folder.
    pub folder: PathBuf,
    /// Files in the folder, of all there shall be.
    pub shards: usize,
    /// Of these, those that had been there and were kept.
    pub kept: usize,
    /// Files there shall be.
    pub all: usize,
    /// Windows, or images.
    pub items: u64,
    /// What the user should know: files that were made again, and why.
    pub notes: Vec<String>,
    /// What the library costs against multislice, once all files are there; none where no library is used.
    pub library_error: Vec<LibraryError>,
}

/// What a run asks of its surroundings.
pub struct Means<'a> {
    /// The image of a sample, with its truth.
    pub frame: &'a Frame<'a>,
    /// Measures what the library costs, once all files are there.
    pub library_error: &'a dyn Fn() -> Result<Vec<LibraryError>, RunError>,
    /// Is told finished samples.
    pub progress: &'a dyn Fn(usize),
    /// Asked between files whether to stop.
    pub stop: &'a dyn Fn() -> bool,
}

impl<'a> DatasetPlan<'a> {
    /// The dataset that a study declares.
    ///
    /// # Errors
    /// [`RunError::NoDataset`] if it declares none.
    pub fn new(study: &'a Study) -> Result<Self, RunError> {
        let settings = study.dataset.clone().ok_or(RunError::NoDataset)?;
        let first = &study.points()[0].config;
        Ok(Self { study, settings, windows: first.windows.unwrap_or_default(), seed: first.seed })
    }

    /// Images that are simulated.
    #[must_use]
    pub fn samples(&self) -> u64 {
        self.settings.samples
    }

    /// Files.
    #[must_use]
    pub fn shards(&self) -> u64 {
        self.settings.samples.div_ceil(u64::from(self.settings.shard_samples))
    }

    /// Draws a sample: a point of the sweep by lot, and over it the values that vary.
    pub fn sample(&self, number: u64) -> Result<Sample, RunError> {
        let points = self.study.points();
        let mut lot = Streams::new("mistilt dataset point of the sweep", self.seed).stream(number);
        let point = if points.len() > 1 { lot.random_range(0..points.len() as u64) as usize } else { 0 };
        let drawn: Vec<_> = self.settings.vary.iter().map(|(key, rule)| (key.clone(), rule.draw(key, self.seed, number))).collect();
        let mut values: Vec<(String, Json)> =
            self.study.axes.iter().enumerate().map(|(i, axis)| (axis.key.clone(), points[point].values[i].1.json())).collect();
        values.extend(drawn.iter().map(|(key, drawn)| (key.clone(), drawn.json.clone())));
        let config = validate::sample(self.study, &values)?;
        Ok(Sample { number, config, parameters: drawn.iter().map(|(_, drawn)| drawn.number).collect() })
    }

    fn names(&self) -> Vec<String> {
        self.settings.vary.keys().cloned().collect()
    }

    fn shard_samples(&self, shard: u64) -> Result<Vec<Sample>, RunError> {
        let size = u64::from(self.settings.shard_samples);
        (shard * size..((shard + 1) * size).min(self.settings.samples)).map(|n| self.sample(n)).collect()
    }

    /// blake3 of everything that decides the content of a shard.
    fn inputs(&self, samples: &[Sample]) -> String {
        let facts = json!({
            "program": env!("CARGO_PKG_VERSION"), "content": self.settings.content, "windows": self.windows,
            "windows_per_sample": self.settings.windows_per_sample, "seed": self.seed,
            "samples": samples.iter().map(|s| json!([s.number, s.config])).collect::<Vec<_>>(),
        });
        blake3::hash(facts.to_string().as_bytes()).to_hex().to_string()
    }

    /// Makes one shard. `frame` gives the image of a sample.
    fn make(&self, samples: &[Sample], frame: &Frame<'_>) -> Result<Shard, RunError> {
        let content = match self.settings.content {
            DatasetContent::Images => {
                let images: Result<Vec<Image>, RunError> = samples.par_iter().map(frame).collect();
                Content::Images(images?)
            }
            DatasetContent::Windows => {
                let sets: Result<Vec<WindowSet>, RunError> = samples.par_iter().map(|s| self.windows(s, &frame(s)?)).collect();
                Content::Windows(self.joined(sets?)?)
            }
        };
        Ok(Shard {
            first_sample: samples.first().map_or(0, |s| s.number),
            samples: samples.len(),
            parameters: Parameters { names: self.names(), rows: samples.iter().map(|s| s.parameters.clone()).collect() },
            content,
            inputs: self.inputs(samples),
        })
    }

    fn windows(&self, sample: &Sample, image: &Image) -> Result<WindowSet, RunError> {
        let field = LabelField::from_truth(image)?;
        let kernel = Kernel { sigma_lattices: self.windows.label_sigma_lattices };
        let spec = self.windows.spec();
        let mut set = Cutter { image, spec: &spec, field: Some(&field), mask: None, kernel }.cut()?.set;
        if let Some(most) = self.settings.windows_per_sample.filter(|&n| (n as usize) < set.len()) {
            let mut order: Vec<usize> = (0..set.len()).collect();
            order.shuffle(&mut Streams::new("mistilt dataset draw of windows", self.seed).stream(sample.number));
            order.truncate(most as usize);
            order.sort_unstable();
            set = set.select(&order);
        }
        Ok(set)
    }

    /// Windows of one shard; `images` counts its samples.
    fn joined(&self, sets: Vec<WindowSet>) -> Result<WindowSet, RunError> {
        let mut sets = sets.into_iter();
        // A shard has at least one sample.
        let Some(mut all) = sets.next() else { return Err(RunError::NoDataset) };
        all.values.reserve_exact(all.values.len() * self.settings.shard_samples as usize);
        sets.try_for_each(|set| all.append(&set))?;
        Ok(all)
    }
}

/// The image of a sample, with its truth.
pub type Frame<'a> = dyn Fn(&Sample) -> Result<Image, RunError> + Sync + 'a;

/// Makes the shards of `part` that are not there, and the manifest once all are.
pub fn run(plan: &DatasetPlan<'_>, folder: &Path, part: Part, means: &Means<'_>) -> Result<DatasetOutcome, RunError> {
    std::fs::create_dir_all(folder).map_err(RunError::disk(folder))?;
    let mut notes = Vec::new();
    let mut kept = 0;
    for number in (part.index..plan.shards()).step_by(part.count.max(1) as usize) {
        if (means.stop)() {
            return Err(RunError::Interrupted);
        }
        let path = folder.join(file_name(number));
        let samples = plan.shard_samples(number)?;
        let inputs = plan.inputs(&samples);
        match there(&path, &inputs)? {
            There::Sound => kept += 1,
            other => {
                if let There::Unsound(why) = other {
                    notes.push(format!("{} was made again: {why}", file_name(number)));
                }
                let bytes = plan.make(&samples, means.frame)?.to_hdf5()?;
                whole_file(&path, |file| file.write_all(&bytes)).map_err(RunError::disk(&path))?;
            }
        }
        (means.progress)(samples.len());
    }
    let (shards, library_error) = manifest(plan, folder, means.library_error)?;
    let items = shards.iter().map(|s| s.items).sum();
    Ok(DatasetOutcome { folder: folder.to_owned(), shards: shards.len(), kept, all: plan.shards() as usize, items, notes, library_error })
}

fn file_name(number: u64) -> String {
    format!("shard-{number:05}.h5")
}

enum There {
    Nothing,
    Sound,
    Unsound(String),
}

fn there(path: &Path, inputs: &str) -> Result<There, RunError> {
    match std::fs::read(path) {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(There::Nothing),
        Err(e) => Err(RunError::disk(path)(e)),
        Ok(bytes) => Ok(Shard::verify(bytes, inputs).map_or_else(|e| There::Unsound(e.to_string()), |_| There::Sound)),
    }
}

/// What an earlier manifest of the same dataset by the same program says of the library.
fn known_error(plan: &DatasetPlan<'_>, folder: &Path) -> Option<Vec<LibraryError>> {
    let manifest = Manifest::parse(&std::fs::read_to_string(folder.join(MANIFEST)).ok()?).ok()?;
    let same = manifest.study_text == plan.study.source.text
        && manifest.overrides == plan.study.overrides
        && (manifest.program, manifest.commit.as_str()) == (program(), env!("MISTILT_COMMIT"));
    serde_json::from_value(manifest.library_error?).ok().filter(|_| same)
}

fn program() -> String {
    format!("mistilt {}", env!("CARGO_PKG_VERSION"))
}

/// Writes the manifest if every shard is there and sound; returns those that are, and what the library costs.
fn manifest(
    plan: &DatasetPlan<'_>,
    folder: &Path,
    measure: &dyn Fn() -> Result<Vec<LibraryError>, RunError>,
) -> Result<(Vec<ShardEntry>, Vec<LibraryError>), RunError> {
    let mut shards = Vec::new();
    let mut shape = (0, f64::NAN);
    for number in 0..plan.shards() {
        let path = folder.join(file_name(number));
        let bytes = match std::fs::read(&path) {
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => continue,
            read => read.map_err(RunError::disk(&path))?,
        };
        let samples = plan.shard_samples(number)?;
        let hash = blake3::hash(&bytes).to_hex().to_string();
        // Another part may be writing a newer one: what is not ours does not count.
        let Ok(verified) = Shard::verify(bytes, &plan.inputs(&samples)) else { continue };
        shape = (verified.side_px, verified.pixel_size_pm);
        shards.push(ShardEntry {
            file: file_name(number),
            first_sample: samples.first().map_or(0, |s| s.number),
            samples: samples.len() as u64,
            items: verified.items as u64,
            bytes: verified.bytes as u64,
            blake3: hash,
        });
    }
    let mut library_error = Vec::new();
    if shards.len() as u64 == plan.shards() {
        library_error = known_error(plan, folder).map_or_else(measure, Ok)?;
        let is_windows = plan.settings.content == DatasetContent::Windows;
        let vary: BTreeMap<String, Json> = plan.settings.vary.iter().map(|(k, v)| (k.clone(), json!(v))).collect();
        let manifest = Manifest {
            format: Manifest::format(),
            program: program(),
            commit: env!("MISTILT_COMMIT").to_owned(),
            study: plan.study.name.clone(),
            study_text: plan.study.source.text.clone(),
            overrides: plan.study.overrides.clone(),
            seed: plan.seed,
            content: if is_windows { "windows" } else { "images" }.to_owned(),
            samples: plan.samples(),
            items: shards.iter().map(|s| s.items).sum(),
            windows: is_windows.then(|| plan.windows.spec()),
            label_kernel: is_windows.then_some(Kernel { sigma_lattices: plan.windows.label_sigma_lattices }),
            window_px: is_windows.then_some(shape.0),
            pixel_size_pm: shape.1,
            vary,
            library_error: (!library_error.is_empty()).then(|| json!(library_error)),
            shards: shards.clone(),
        };
        let path = folder.join(MANIFEST);
        whole_file(&path, |file| {
            serde_json::to_writer_pretty(&mut *file, &manifest)?;
            file.write_all(b"\n")
        })
        .map_err(RunError::disk(&path))?;
    }
    Ok((shards, library_error))
}

#[cfg(test)]
mod tests {
    use super::super::drawn;
    use super::super::library_check::Errors;
    use super::*;

    fn study(more: &str) -> Study {
        let text = format!(
            "name = \"set\"\nseed = 5\n[crystal]\nstructure = \"bifeo3-r3c\"\nthickness_nm = 20\n[microscope]\nvoltage_kv = 300\n\
             convergence_mrad = 25\n[[microscope.detectors]]\nname = \"haadf\"\ninner_mrad = 60\nouter_mrad = 100\n[windows]\nsize_px = 24\n\
             [dataset]\nsamples = 5\nshard_samples = 2\nwindows_per_sample = 20\n{more}\n[dataset.vary]\n\
             \"crystal.specimen_tilt_x_mrad\" = {{ uniform = [-5, 5] }}\n\"microscope.defocus_nm\" = {{ choice = [0, 4] }}\n"
        );
        Study::parse("set.toml", &text, Path::new(""), &[]).unwrap()
    }

    /// The image of a sample: its tilt is a false shift.
    #[expect(clippy::unnecessary_wraps, reason = "it stands where a simulation can fail")]
    fn frame(sample: &Sample) -> Result<Image, RunError> {
        let [x, y] = sample.config.crystal.specimen_tilt_mrad;
        Ok(drawn::image(10, sample.number, 0.02, [x, y]))
    }

    fn make(study: &Study, folder: &Path, part: Part) -> DatasetOutcome {
        let means = Means { frame: &frame, library_error: &|| Ok(vec![error()]), progress: &|_| {}, stop: &|| false };
        run(&DatasetPlan::new(study).unwrap(), folder, part, &means).unwrap()
    }

    /// An error on a scene without walls.
    fn error() -> LibraryError {
        let none = Errors { columns: 0, rms_pm: f64::NAN, largest_pm: f64::NAN, rms_percent: f64::NAN, largest_percent: f64::NAN };
        let away = Errors { columns: 8, rms_pm: 0.25, largest_pm: 0.5, rms_percent: 1.0, largest_percent: 2.0 };
        LibraryError { scene: "random".to_owned(), away, at_walls: none, pixels_percent: 1.5, nodes: 9 }
    }

    const WHOLE: Part = Part { index: 0, count: 1 };

    fn files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
        let entries = std::fs::read_dir(folder).unwrap().map(|e| e.unwrap());
        entries.map(|e| (e.file_name().to_string_lossy().into_owned(), std::fs::read(e.path()).unwrap())).collect()
    }

    #[test]
    fn samples_are_drawn_by_counters_and_reach_the_setting() {
        let study = study("");
        let plan = DatasetPlan::new(&study).unwrap();
        let sample = plan.sample(3).unwrap();
        assert_eq!(sample.config.crystal.specimen_tilt_mrad[0], sample.parameters[0]);
        assert_eq!(sample.config.microscope.defocus_nm, sample.parameters[1]);
        assert_eq!(sample.parameters, plan.sample(3).unwrap().parameters);
        assert_ne!(sample.parameters[0], plan.sample(4).unwrap().parameters[0]);
    }

    #[test]
    fn a_dataset_is_the_same_in_parts_on_any_threads_and_after_damage() {
        let study = study("");
        let roots: Vec<_> = (0..2).map(|_| tempfile::tempdir().unwrap()).collect();
        let whole = roots[0].path();
        let outcome = make(&study, whole, WHOLE);
        assert_eq!((outcome.shards, outcome.all, outcome.kept, outcome.items), (3, 3, 0, 100));
        let manifest = Manifest::parse(&std::fs::read_to_string(whole.join(MANIFEST)).unwrap()).unwrap();
        assert_eq!((manifest.window_px, manifest.items, manifest.shards.len()), (Some(24), 100, 3));
        assert_eq!(manifest.library_error.as_ref().unwrap()[0]["away"]["rms_pm"], 0.25);
        let bytes = std::fs::read(whole.join("shard-00001.h5")).unwrap();
        assert_eq!(manifest.shards[1].blake3, blake3::hash(&bytes).to_hex().to_string());
        let set = Shard::windows(bytes).unwrap();
        assert_eq!((set.len(), set.images.last()), (40, Some(&1)));

        let parts = roots[1].path();
        let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
        let first = pool.install(|| make(&study, parts, Part { index: 1, count: 2 }));
        assert_eq!((first.shards, first.all), (1, 3));
        assert!(!parts.join(MANIFEST).exists());
        make(&study, parts, Part { index: 0, count: 2 });
        assert_eq!(files(whole), files(parts));

        let mut damaged = std::fs::read(whole.join("shard-00002.h5")).unwrap();
        let middle = damaged.len() / 2;
        damaged[middle] ^= 1;
        std::fs::write(whole.join("shard-00002.h5"), damaged).unwrap();
        let again = make(&study, whole, WHOLE);
        assert_eq!((again.kept, again.notes.len()), (2, 1));
        assert_eq!(files(whole), files(parts));
    }

    #[test]
    fn another_study_keeps_nothing_and_images_carry_their_truth() {
        let root = tempfile::tempdir().unwrap();
        make(&study(""), root.path(), WHOLE);
        let images = study("content = \"images\"");
        let outcome = make(&images, root.path(), WHOLE);
        assert_eq!((outcome.kept, outcome.items, outcome.notes.len()), (0, 5, 3));
        let manifest = std::fs::read_to_string(root.path().join(MANIFEST)).unwrap();
        assert!(manifest.contains("\"content\": \"images\"") && !manifest.contains("window_px"));
    }

    #[test]
    fn a_stop_leaves_whole_files_and_no_manifest() {
        let root = tempfile::tempdir().unwrap();
        let study = study("");
        let plan = DatasetPlan::new(&study).unwrap();
        let asked = std::cell::Cell::new(0);
        let stop = || asked.replace(asked.get() + 1) == 1;
        let means = Means { frame: &frame, library_error: &|| Ok(Vec::new()), progress: &|_| {}, stop: &stop };
        let stopped = run(&plan, root.path(), WHOLE, &means);
        assert!(matches!(stopped, Err(RunError::Interrupted)));
        assert_eq!(files(root.path()).keys().collect::<Vec<_>>(), ["shard-00000.h5"]);
    }
}
