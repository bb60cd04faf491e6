//! From the images of a point to its records: column positions by every estimator, the shift B − A, its truth and its sampling error; pm.

use super::compute::Images;
use super::frame::{self, FrameStatistics};
use super::plan::{Place, Propagation};
use super::spec::{Estimator as EstimatorName, MeasureSettings, Point};
use super::{RunError, setup};
use crate::columns::{ColumnFit, Estimator, FitFailure, Window, measure};
use crate::image::FourierImage;
use crate::specimen::{CellTruth, Slab};
use serde::{Deserialize, Deserializer, Serialize};

/// A name that the program knows. (Under its own name, or serde would borrow it from the bytes read.)
type Name = &'static str;

/// One row of the results: one point, one detector, one estimator.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// Index of the point in the study.
    pub point: usize,
    /// Detector name.
    pub detector: String,
    /// Estimator name.
    #[serde(deserialize_with = "estimator_name")]
    pub estimator: Name,
    /// Thickness of the slab in whole slices, nm.
    pub thickness_nm: f64,
    /// Measured B − A shift, mean over the cells, pm; or why it could not be measured.
    pub measured_pm: Result<[f64; 2], FitFailure>,
    /// True shift, pm.
    pub true_pm: [f64; 2],
    /// Standard error of the measured shift from the sampling of phonons (and k-points), pm; NaN where one group leaves no scatter.
    pub sampling_sigma_pm: [f64; 2],
    /// Mean image intensity, fraction of the beam.
    pub intensity: f64,
    /// Fraction of the beam lost through the band limit.
    pub lost: f64,
    /// What the frames of the camera say; `None` without a camera.
    pub frames: Option<FrameStatistics>,
    /// Engine.
    pub engine: String,
    /// Seed of the point.
    pub seed: u64,
}

/// A name that comes back from the store is one of those that study files know.
fn estimator_name<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Name, D::Error> {
    EstimatorName::deserialize(deserializer).map(EstimatorName::name)
}

impl Record {
    /// What the study reports, measured minus true, pm: the mean over the frames of the camera, or the noiseless measurement without one.
    #[must_use]
    pub fn reported_pm(&self) -> Option<[f64; 2]> {
        match &self.frames {
            Some(frames) => Some(frames.apparent_pm).filter(|a| a.iter().all(|v| v.is_finite())),
            None => self.apparent_pm(),
        }
    }

    /// Standard error of what the study reports, pm: of the sampling of phonons and, with a camera, of the frames; NaN where one is unknown.
    #[must_use]
    pub fn reported_sigma_pm(&self) -> [f64; 2] {
        let frames = self.frames.map_or([0.0; 2], |f| f.sigma_pm);
        [0, 1].map(|c| self.sampling_sigma_pm[c].hypot(frames[c]))
    }

    /// Measured minus true in the noiseless image, pm.
    #[must_use]
    pub fn apparent_pm(&self) -> Option<[f64; 2]> {
        self.measured_pm.as_ref().ok().map(|m| [m[0] - self.true_pm[0], m[1] - self.true_pm[1]])
    }
}

/// A column as measured in one image: for figures.
#[derive(Debug, Clone)]
pub struct MeasuredColumn {
    /// Index into [`Slab::columns`].
    pub column: usize,
    /// Position in the image, Å.
    pub position_angstrom: [f64; 2],
}

/// All records of the point at `place`, detector by detector, estimator by estimator.
pub fn records(propagation: &Propagation, images: &Images, place: Place, point: &Point) -> Result<Vec<Record>, RunError> {
    records_of(propagation, images, place, point, &frame::anew)
}

/// The same, with the frames of the camera from `source`.
pub(super) fn records_of(
    propagation: &Propagation,
    images: &Images,
    place: Place,
    point: &Point,
    source: frame::Source<'_>,
) -> Result<Vec<Record>, RunError> {
    let slab = &propagation.specimen.slab;
    let truth = slab.true_shift_pm()?;
    let true_pm = mean(truth.iter().map(|cell| cell.shift_pm));
    let thickness_angstrom = propagation.specimen.stack.thickness_angstrom(propagation.exits[place.exit]);
    let mut out = Vec::new();
    for (channel, detector) in setup::detectors(&point.config.microscope).into_iter().enumerate() {
        // The plan gathered every detector of every point.
        let Some(index) = propagation.detectors.iter().position(|d| *d == detector) else { continue };
        let groups = blurred(images, place, index, point.config.microscope.source_fwhm_angstrom);
        let whole = combine(&groups, None);
        let frame = Frame { slab, truth: &truth, tilt_mrad: point.config.crystal.specimen_tilt_mrad, thickness_angstrom };
        let sharp = point.config.camera.as_ref().map(|_| combine(&blurred(images, place, index, 0.0), None));
        let frames = match &sharp {
            Some(sharp) => frame::statistics(sharp, slab, &truth, &frame.seen(&whole, &point.config.measure), point, channel, source)?,
            None => Vec::new(),
        };
        for (number, &name) in point.config.measure.estimators.iter().enumerate() {
            let shift = |image: &FourierImage| frame.shift_pm(image, &point.config.measure, name);
            let apparent = shift(&whole);
            let sigma = jackknife(&groups, &shift);
            out.push(Record {
                point: point.index,
                detector: detector.name.clone(),
                estimator: name.name(),
                thickness_nm: thickness_angstrom / 10.0,
                measured_pm: apparent.map(|a| [a[0] + true_pm[0], a[1] + true_pm[1]]),
                true_pm,
                sampling_sigma_pm: sigma,
                intensity: whole.mean(),
                lost: images.stack.lost[place.illumination][place.exit],
                frames: frames.get(number).copied(),
                engine: images.stack.engine.clone(),
                seed: point.config.seed,
            });
        }
    }
    Ok(out)
}

/// The image of a point on one detector, with its source size.
#[must_use]
pub fn image(propagation: &Propagation, images: &Images, place: Place, point: &Point, detector: usize) -> Option<FourierImage> {
    let wanted = setup::detectors(&point.config.microscope).into_iter().nth(detector)?;
    let index = propagation.detectors.iter().position(|d| *d == wanted)?;
    Some(combine(&blurred(images, place, index, point.config.microscope.source_fwhm_angstrom), None))
}

/// Every column one estimator finds in the image of a point.
#[must_use]
pub fn measured_columns(
    propagation: &Propagation,
    image: &FourierImage,
    place: Place,
    point: &Point,
    estimator: EstimatorName,
) -> Vec<MeasuredColumn> {
    let slab = &propagation.specimen.slab;
    let thickness_angstrom = propagation.specimen.stack.thickness_angstrom(propagation.exits[place.exit]);
    let frame = Frame { slab, truth: &[], tilt_mrad: point.config.crystal.specimen_tilt_mrad, thickness_angstrom };
    let found = |column| {
        frame.column(image, &point.config.measure, estimator, column).ok().map(|f| MeasuredColumn { column, position_angstrom: f.position })
    };
    (0..slab.columns.len()).filter_map(found).collect()
}

/// What is true of the columns in an image.
struct Frame<'a> {
    slab: &'a Slab,
    truth: &'a [CellTruth],
    tilt_mrad: [f64; 2],
    thickness_angstrom: f64,
}

impl Frame<'_> {
    /// Apparent shift: how much farther the B columns stand from their true places than their A columns do, mean over the cells, pm.
    fn shift_pm(&self, image: &FourierImage, settings: &MeasureSettings, name: EstimatorName) -> Result<[f64; 2], FitFailure> {
        let displaced: Vec<Result<[f64; 2], FitFailure>> = (0..self.slab.columns.len())
            .map(|i| {
                let truth = self.slab.columns[i].position_angstrom;
                self.column(image, settings, name, i).map(|fit| [0, 1].map(|c| 100.0 * (fit.position[c] - truth[c])))
            })
            .collect();
        let mut shifts = Vec::new();
        for cell in self.truth {
            let b = displaced[cell.b_column]?;
            let mut cage = Vec::new();
            for &a in &cell.a_columns {
                cage.push(displaced[a]?);
            }
            let a = mean(cage.into_iter());
            shifts.push([b[0] - a[0], b[1] - a[1]]);
        }
        Ok(mean(shifts.into_iter()))
    }

    /// One column: the search starts at the intensity maximum near where the upper part of the column stands.
    fn column(&self, image: &FourierImage, settings: &MeasureSettings, name: EstimatorName, index: usize) -> Result<ColumnFit, FitFailure> {
        // Channelling makes most of an ADF signal in the first few nanometres; deeper parts of a tilted column only shade it.
        const SIGNAL_DEPTH_ANGSTROM: f64 = 60.0;
        let depth = 0.5 * self.thickness_angstrom.min(SIGNAL_DEPTH_ANGSTROM);
        let truth = self.slab.columns[index].position_angstrom;
        let near = [0, 1].map(|c| truth[c] + depth * 1e-3 * self.tilt_mrad[c]);
        let window = Window { radius_angstrom: settings.window_radius_angstrom, sample_angstrom: settings.sample_angstrom };
        let summit = measure(image, near, &window, Estimator::Maximum);
        if name == EstimatorName::Maximum {
            return summit;
        }
        measure(image, summit.map_or(near, |fit| fit.position), &window, estimator(name))
    }

    /// For each column how far its maximum in the noiseless image stands from its true place, Å; 0 where there is none.
    fn seen(&self, image: &FourierImage, settings: &MeasureSettings) -> Vec<[f64; 2]> {
        let offset = |i: usize| {
            let truth = self.slab.columns[i].position_angstrom;
            let summit = self.column(image, settings, EstimatorName::Maximum, i);
            summit.map_or([0.0; 2], |fit| [0, 1].map(|c| fit.position[c] - truth[c]))
        };
        (0..self.slab.columns.len()).map(offset).collect()
    }
}

/// The estimator that a study file names.
#[must_use]
pub fn estimator(name: EstimatorName) -> Estimator {
    match name {
        EstimatorName::Maximum => Estimator::Maximum,
        EstimatorName::Gaussian => Estimator::Gaussian,
        EstimatorName::CentreOfMass => Estimator::CentreOfMass,
    }
}

/// The image of a point on one detector, as a point source would show it.
#[must_use]
pub fn sharp_image(propagation: &Propagation, images: &Images, place: Place, point: &Point, detector: usize) -> Option<FourierImage> {
    let wanted = setup::detectors(&point.config.microscope).into_iter().nth(detector)?;
    let index = propagation.detectors.iter().position(|d| *d == wanted)?;
    Some(combine(&blurred(images, place, index, 0.0), None))
}

fn blurred(images: &Images, place: Place, detector: usize, source_fwhm_angstrom: f64) -> Vec<(f64, FourierImage)> {
    let groups = images.groups(place.illumination, place.exit, detector).into_iter();
    groups.map(|(weight, image)| (weight, image.blurred(source_fwhm_angstrom))).collect()
}

/// The weighted mean of the groups' images, without one of them if so asked.
fn combine(groups: &[(f64, FourierImage)], without: Option<usize>) -> FourierImage {
    let used = || groups.iter().enumerate().filter(|(i, _)| Some(*i) != without).map(|(_, g)| g);
    let total: f64 = used().map(|g| g.0).sum();
    let mut sum = groups[0].1.clone();
    sum.scale(0.0);
    for (weight, image) in used() {
        let mut part = image.clone();
        part.scale(weight / total);
        sum.accumulate(&part);
    }
    sum
}

/// Delete-one-group jackknife (Quenouille 1956): (G−1)/G Σ (s_without_g − mean)², its root, for x and y.
fn jackknife(groups: &[(f64, FourierImage)], shift: &dyn Fn(&FourierImage) -> Result<[f64; 2], FitFailure>) -> [f64; 2] {
    if groups.len() < 2 {
        return [f64::NAN; 2];
    }
    let left_out: Vec<[f64; 2]> = (0..groups.len()).filter_map(|g| shift(&combine(groups, Some(g))).ok()).collect();
    if left_out.len() < groups.len() {
        return [f64::NAN; 2];
    }
    let centre = mean(left_out.iter().copied());
    let n = left_out.len() as f64;
    [0, 1].map(|c| ((n - 1.0) / n * left_out.iter().map(|s| (s[c] - centre[c]).powi(2)).sum::<f64>()).sqrt())
}

fn mean(values: impl Iterator<Item = [f64; 2]>) -> [f64; 2] {
    let (sum, n) = values.fold(([0.0; 2], 0.0), |(s, n), v| ([s[0] + v[0], s[1] + v[1]], n + 1.0));
    if n == 0.0 { [f64::NAN; 2] } else { [sum[0] / n, sum[1] / n] }
}
