//! The windows a training file asks for: images read, columns fitted where labels are fits, windows cut and divided; or the shards of a
//! dataset.

use super::RunError;
use super::training_file::TrainingFile;
use super::windows_table::LabelName;
use crate::columns::{ColumnLattice, Estimator, FindOptions, find_columns};
use crate::dataset::{MANIFEST, Manifest, Shard};
use crate::dcnn::CameraNoise;
use crate::detection::{Camera, WindowNoise};
use crate::image::{Image, ReadOptions};
use crate::polarization::{MapOptions, PolarizationMap, polarization_map};
use crate::windows::{Cut, Cutter, Kernel, LabelField, LabelSource, Normalisation, Partition, Placement, WindowSet, WindowSpec};
use serde::Serialize;
use std::path::Path;

/// Part of a dataset's windows, at its end, that validate, and that test.
const VALIDATES: f64 = 0.1;
const TESTS: f64 = 0.1;

/// What a network is trained on, stopped by and tested with.
#[derive(Debug, Clone)]
pub struct TrainingData {
    /// Windows that train.
    pub training: WindowSet,
    /// Windows that decide when to stop and how large σ is.
    pub validation: WindowSet,
    /// Windows that nothing has seen.
    pub test: WindowSet,
    /// The images, one by one; empty for a dataset.
    pub images: Vec<Source>,
    /// What was read, for the model card.
    pub card: Vec<SourceCard>,
    /// The noise that training windows, which are expected fractions of the beam, are given anew in every epoch.
    pub fresh_noise: Option<CameraNoise>,
}

/// One image and its windows.
#[derive(Debug, Clone, PartialEq)]
pub struct Source {
    /// The image.
    pub image: Image,
    /// Its windows, all of them.
    pub cut: Cut,
    /// Which train, validate and test.
    pub partition: Partition,
    /// Side of the pseudocubic cell, px of the image, where it is known.
    pub lattice_a_px: Option<f64>,
}

/// What a model card says of one source of windows.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SourceCard {
    /// Path as given.
    pub path: String,
    /// blake3 of the file (of the manifest, for a dataset).
    pub blake3: String,
    /// Where labels come from.
    pub labels: LabelSource,
    /// Pixel size of the image, pm.
    pub pixel_size_pm: f64,
    /// Windows that train, validate, test and stand in the guard band.
    pub windows: [usize; 4],
    /// Windows that could not be cut, and why.
    pub rejected: std::collections::BTreeMap<String, usize>,
}

impl TrainingData {
    /// Reads and cuts everything; paths count from `folder`.
    ///
    /// # Errors
    /// [`RunError`] names the file and what is wrong with it.
    pub fn read(file: &TrainingFile, folder: &Path) -> Result<Self, RunError> {
        match &file.data.dataset {
            Some(dataset) => from_dataset(file, &folder.join(dataset)),
            None => from_images(file, folder),
        }
    }
}

/// The camera of a training file on windows of pixels of `pixel_size_pm`; `None` unless its noise is put on anew.
fn fresh_noise(file: &TrainingFile, pixel_size_pm: f64) -> Result<Option<CameraNoise>, RunError> {
    let Some(settings) = file.camera_settings().filter(|_| file.training.fresh_noise) else { return Ok(None) };
    let camera = WindowNoise::new(&Camera::new(settings.camera)?, 0.01 * pixel_size_pm, file.seed)?;
    Ok(Some(CameraNoise { cameras: vec![camera], dose_spread: file.training.dose_spread }))
}

/// Windows of expected fractions of the beam as the camera records them once, normalised one by one.
fn recorded(noise: &CameraNoise, set: &WindowSet, seed: u64) -> Result<WindowSet, RunError> {
    if let Some(value) = set.values.iter().find(|v| **v < 0.0) {
        let reason = format!(
            "fresh noise counts the electrons of an image of fractions of the beam, and this one reads {value}: give images without noise, as \
             `mistilt simulate` writes them without a camera"
        );
        return Err(RunError::TrainingData { reason });
    }
    let mut out = set.clone();
    noise.record(&mut out, seed);
    Ok(out)
}

fn from_images(file: &TrainingFile, folder: &Path) -> Result<TrainingData, RunError> {
    let mut data: Option<TrainingData> = None;
    for name in &file.data.images {
        let path = folder.join(name);
        let (mut source, labels) = source(file, folder, &path)?;
        let noise = fresh_noise(file, source.cut.set.pixel_size_pm)?;
        let Partition { train, validation, test, guarded, .. } = &source.partition;
        let card = SourceCard {
            path: name.clone(),
            blake3: hash(&path)?,
            labels,
            pixel_size_pm: source.image.pixel_size_pm.unwrap_or(f64::NAN),
            windows: [train, validation, test, guarded].map(Vec::len),
            rejected: source.cut.rejected.iter().map(|(why, n)| (why.to_string(), *n)).collect(),
        };
        let bare = source.cut.set.select(train);
        if let Some(noise) = &noise {
            // Every image has noise of its own.
            let seed = file.seed.wrapping_add(data.as_ref().map_or(0, |d| d.images.len() as u64));
            source.cut.set = recorded(noise, &source.cut.set, seed).map_err(|e| about(&path, &e))?;
        }
        let parts = [bare, source.cut.set.select(validation), source.cut.set.select(test)];
        match &mut data {
            None => {
                let [training, validation, test] = parts;
                data = Some(TrainingData { training, validation, test, images: vec![source], card: vec![card], fresh_noise: noise });
            }
            Some(data) => {
                for (all, part) in [&mut data.training, &mut data.validation, &mut data.test].into_iter().zip(&parts) {
                    all.append(part)?;
                }
                data.images.push(source);
                data.card.push(card);
            }
        }
    }
    data.ok_or_else(|| RunError::TrainingData { reason: "no image is named".into() })
}

fn source(file: &TrainingFile, folder: &Path, path: &Path) -> Result<(Source, LabelSource), RunError> {
    let about = |e: &dyn std::fmt::Display| RunError::TrainingData { reason: format!("{}: {e}", path.display()) };
    let options = ReadOptions { pixel_size_pm: file.data.pixel_size_pm, ..ReadOptions::default() };
    let mut image = Image::read(path, &options).map_err(|e| about(&e))?;
    let table = file.data.labels_file.as_ref().map(|name| folder.join(name));
    let (field, a_px) = if let Some(table) = table {
        let opened = std::fs::File::open(&table).map_err(|e| RunError::Disk { path: table.clone(), source: e })?;
        let field = LabelField::from_csv(opened).map_err(|e| RunError::TrainingData { reason: format!("{}: {e}", table.display()) })?;
        let a_px = field.lattice_a_px;
        if image.pixel_size_pm.is_none()
            && let (Some(pm), Some(a)) = (file.data.lattice_pm, a_px)
        {
            image = image.with_pixel_size_pm(pm / a).map_err(|e| about(&e))?;
        }
        (field, a_px)
    } else {
        match file.windows.labels {
            LabelName::Truth => {
                let field = LabelField::from_truth(&image).map_err(|e| about(&e))?;
                let a_px = field.lattice_a_px;
                (field, a_px)
            }
            LabelName::Fit => {
                let (map, _) = fitted_map(&image, file).map_err(|e| about(&e))?;
                if let (None, Some(pm)) = (image.pixel_size_pm, map.pixel_size_pm) {
                    image = image.with_pixel_size_pm(pm).map_err(|e| about(&e))?;
                }
                (LabelField::from_map(&map).map_err(|e| about(&e))?, Some(map.lattice_a_px))
            }
        }
    };
    let spec = spec(file);
    let kernel = Kernel { sigma_lattices: file.windows.label_sigma_lattices };
    let cutter = Cutter { image: &image, spec: &spec, field: Some(&field), mask: None, kernel };
    let cut = cutter.cut().map_err(|e| about(&e))?;
    let partition = file.windows.split(file.seed).apply(&cut.set, cut.raster).map_err(|e| about(&e))?;
    let labels = field.source;
    Ok((Source { image, cut, partition, lattice_a_px: a_px }, labels))
}

/// How images are cut: windows that are given fresh noise are normalised after it.
fn spec(file: &TrainingFile) -> WindowSpec {
    let spec = file.windows.spec();
    let normalisation = if file.training.fresh_noise { Normalisation::None } else { spec.normalisation };
    WindowSpec { normalisation, ..spec }
}

/// The column fit of an image, as `mistilt polarization` makes it.
fn fitted_map(image: &Image, file: &TrainingFile) -> Result<(PolarizationMap, ColumnLattice), RunError> {
    let bad = |reason: String| RunError::TrainingData { reason };
    let find = FindOptions { zone: file.zone().map_err(bad)?, bright_site: file.bright_site().map_err(bad)?, lattice_a_px: None };
    let options = MapOptions { find, estimator: Estimator::CellFit, lattice_pm: file.data.lattice_pm, ..MapOptions::default() };
    if image.pixel_size_pm.is_none() && file.data.lattice_pm.is_none() {
        return Err(bad("it says nothing of its pixel size: give data.pixel_size_pm, or data.lattice_pm (396 for BiFeO3)".into()));
    }
    polarization_map(&image.data, image.width, image.height, image.pixel_size_pm, &options).map_err(|e| bad(e.to_string()))
}

/// Windows of an image for a network that is to predict them, cut like those of its training: centred on the B columns that are found, or
/// on a grid. Returns the lattice too where columns were looked for.
///
/// # Errors
/// [`RunError::TrainingData`] says why there are none.
pub fn windows_to_predict(image: &Image, spec: &WindowSpec, find: &FindOptions) -> Result<(Cut, Option<ColumnLattice>), RunError> {
    let bad = |e: &dyn std::fmt::Display| RunError::TrainingData { reason: e.to_string() };
    let lattice = match spec.placement {
        Placement::Centred => Some(find_columns(&image.data, image.width, image.height, find).map_err(|e| bad(&e))?),
        Placement::Grid { .. } => None,
    };
    let field = lattice.as_ref().map(LabelField::positions);
    let cut = Cutter { image, spec, field: field.as_ref(), mask: None, kernel: Kernel::default() }.cut();
    Ok((cut.map_err(|e| bad(&e))?, lattice))
}

fn from_dataset(file: &TrainingFile, folder: &Path) -> Result<TrainingData, RunError> {
    let disk = |path: &Path| {
        let path = path.to_owned();
        move |source| RunError::Disk { path, source }
    };
    let path = folder.join(MANIFEST);
    let text = std::fs::read_to_string(&path).map_err(disk(&path))?;
    let manifest = Manifest::parse(&text).map_err(|e| about(&path, &e))?;
    let mut all: Option<WindowSet> = None;
    for entry in &manifest.shards {
        let path = folder.join(&entry.file);
        let bytes = std::fs::read(&path).map_err(disk(&path))?;
        let set = Shard::windows(bytes).map_err(|e| about(&path, &e))?;
        match &mut all {
            None => all = Some(set),
            Some(all) => all.append(&set)?,
        }
    }
    let all = all.ok_or_else(|| about(&path, &"it names no shard"))?;
    let [training, validation, test] = by_sample(&all);
    let card = SourceCard {
        path: folder.display().to_string(),
        blake3: blake3::hash(text.as_bytes()).to_hex().to_string(),
        labels: LabelSource::Truth,
        pixel_size_pm: all.pixel_size_pm,
        windows: [training.len(), validation.len(), test.len(), 0],
        rejected: std::collections::BTreeMap::new(),
    };
    let [training, mut validation, mut test] = [training, validation, test].map(|indices| all.select(&indices));
    let noise = fresh_noise(file, all.pixel_size_pm)?;
    if let Some(noise) = &noise {
        if all.normalisation != Normalisation::None {
            let reason =
                "its windows are normalised, and fresh noise needs fractions of the beam: make it with windows.normalisation = \"none\"";
            return Err(about(&path, &reason));
        }
        validation = recorded(noise, &validation, file.seed).map_err(|e| about(&path, &e))?;
        test = recorded(noise, &test, file.seed.wrapping_add(1)).map_err(|e| about(&path, &e))?;
    }
    Ok(TrainingData { training, validation, test, images: Vec::new(), card: vec![card], fresh_noise: noise })
}

/// Windows of the first samples train, of the last ones validate and test: no sample is in two parts.
fn by_sample(all: &WindowSet) -> [Vec<usize>; 3] {
    let samples = all.images.iter().max().map_or(0.0, |n| f64::from(*n) + 1.0);
    let (test, validation) = (samples * (1.0 - TESTS), samples * (1.0 - TESTS - VALIDATES));
    let mut parts = [Vec::new(), Vec::new(), Vec::new()];
    for (i, &sample) in all.images.iter().enumerate() {
        let sample = f64::from(sample);
        let part = if sample + 1.0 > test.floor() + 0.5 { 2 } else { usize::from(sample + 1.0 > validation.floor() + 0.5) };
        parts[part].push(i);
    }
    parts
}

fn about(path: &Path, e: &dyn std::fmt::Display) -> RunError {
    RunError::TrainingData { reason: format!("{}: {e}", path.display()) }
}

fn hash(path: &Path) -> Result<String, RunError> {
    let bytes = std::fs::read(path).map_err(|source| RunError::Disk { path: path.to_owned(), source })?;
    Ok(blake3::hash(&bytes).to_hex().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_sample_of_a_dataset_is_in_two_parts() {
        for samples in [1_u32, 3, 10, 25] {
            let mut set = WindowSet::empty(8, 20.0, Normalisation::Window);
            for i in 0..4 * samples {
                set.images.push(i / 4);
                set.labels.push([0.0; 2]);
            }
            let parts = by_sample(&set);
            assert_eq!(parts.iter().map(Vec::len).sum::<usize>(), set.len());
            let of = |part: &Vec<usize>| part.iter().map(|&i| set.images[i]).collect::<std::collections::BTreeSet<_>>();
            for (a, b) in [(0, 1), (0, 2), (1, 2)] {
                assert!(of(&parts[a]).is_disjoint(&of(&parts[b])), "{samples} samples");
            }
            if samples >= 10 {
                assert!(parts.iter().all(|p| !p.is_empty()) && parts[0].len() > parts[1].len());
            }
        }
    }
}
