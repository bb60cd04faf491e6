//! A trial of the verdict on images whose polarization and tilt are known: is the tilt recovered within its own interval, how often does the
//! verdict raise a false alarm or miss a polarization, and how far is it from the truth, beside the raw map and beside subtracting the mean.

use super::judge::Prepared;
use super::mosaic::{Mosaic, Pattern};
use super::posterior::Method;
use super::verdict::Call;
use super::{ArtifactError, TiltLibrary, Verdict};
use crate::columns::FindOptions;
use crate::detection::{Camera, FrameKey};
use crate::image::Raster;
use crate::polarization::{MapOptions, polarization_map};
use serde::{Deserialize, Serialize};

/// Regions smaller than this are crumbs at walls and count for nothing.
const FEWEST_CELLS: usize = 20;

/// One image to be made.
#[derive(Debug, Clone, Copy)]
pub struct Scene<'a> {
    /// What it shows.
    pub pattern: Pattern,
    /// The crystal as it truly is: the unpolarized one for [`Pattern::Unpolarized`].
    pub film: &'a TiltLibrary,
    /// The substrate as it truly is.
    pub substrate: &'a TiltLibrary,
    /// Number of the tilt.
    pub tilt: usize,
    /// Cells along an edge.
    pub cells: usize,
    /// Pixel, pm.
    pub pixel_pm: f64,
    /// The camera: source, scan and dose.
    pub camera: &'a Camera,
    /// Electrons an Å² that it takes.
    pub dose: f64,
    /// Which frame.
    pub key: FrameKey,
}

/// A tilt estimate beside the truth.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct TiltOutcome {
    /// Evidence.
    pub method: Method,
    /// Estimate, mrad.
    pub mean_mrad: [f64; 2],
    /// Its standard deviation, mrad.
    pub sigma_mrad: [f64; 2],
    /// Whether it claims to know more than the allowed range.
    pub tells: [bool; 2],
}

/// A region beside the truth.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct RegionOutcome {
    /// Cells.
    pub cells: usize,
    /// True shift, pm.
    pub true_pm: [f64; 2],
    /// As measured, pm.
    pub measured_pm: [f64; 2],
    /// Standard deviation of that from noise, pm.
    pub sigma_pm: [f64; 2],
    /// Measured less the mean over the image, pm: the public remedy.
    pub less_mean_pm: [f64; 2],
    /// Without the tilt part, pm.
    pub corrected_pm: [f64; 2],
    /// Its standard deviation, pm.
    pub corrected_sigma_pm: [f64; 2],
    /// Without the estimator's gain too, pm.
    pub crystal_pm: [f64; 2],
    /// The verdict.
    pub call: Call,
}

/// What came of one image.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Outcome {
    /// What it showed.
    pub pattern: Pattern,
    /// Electrons an Å².
    pub dose: f64,
    /// True tilt, mrad.
    pub tilt_mrad: [f64; 2],
    /// Tilt by each kind of evidence.
    pub tilts: Vec<TiltOutcome>,
    /// Regions of `FEWEST_CELLS` cells and more.
    pub regions: Vec<RegionOutcome>,
    /// Whether no single tilt explains all regions as unpolarized.
    pub one_tilt_excluded: bool,
}

/// Makes one image, measures and judges it.
pub fn run(scene: &Scene<'_>, prepared: &Prepared) -> Result<Outcome, ArtifactError> {
    let mosaic = Mosaic::new(scene.pattern, scene.film, scene.substrate, scene.tilt, scene.cells)
        .ok_or_else(|| ArtifactError::Setting("the library lacks a mirrored tilt".to_owned()))?;
    let raster = Raster::square([0.0; 2], mosaic.side_angstrom(), 0.01 * scene.pixel_pm);
    let frame = scene.camera.expose(&mosaic, raster, scene.key).map_err(|e| ArtifactError::Setting(e.to_string()))?.image;
    let options = MapOptions { find: FindOptions::default(), empirical_covariance: false, ..MapOptions::default() };
    let (map, columns) = polarization_map(&frame.data, frame.width, frame.height, Some(scene.pixel_pm), &options)?;
    let verdict = prepared.judge(&frame.data, frame.width, &map, &columns)?;
    let n = verdict.cells.len() as f64;
    let mean = verdict.cells.iter().fold([0.0; 2], |s, c| [s[0] + c.measured_pm[0] / n, s[1] + c.measured_pm[1] / n]);
    Ok(Outcome {
        pattern: scene.pattern,
        dose: scene.dose,
        tilt_mrad: scene.film.header.tilts_mrad[scene.tilt],
        tilts: verdict
            .tilts
            .iter()
            .map(|t| TiltOutcome { method: t.method, mean_mrad: t.mean_mrad, sigma_mrad: t.sigma_mrad(), tells: t.tells })
            .collect(),
        regions: regions(scene, &verdict, mean, [frame.width, frame.height]),
        one_tilt_excluded: verdict.common_tilt.is_excluded(),
    })
}

fn regions(scene: &Scene<'_>, verdict: &Verdict, mean: [f64; 2], size: [usize; 2]) -> Vec<RegionOutcome> {
    let truth = scene.film.true_shift_pm();
    let sigma = |c: [f64; 3]| [c[0].max(0.0).sqrt(), c[2].max(0.0).sqrt()];
    let one = |r: &super::RegionVerdict| {
        // A region found in what is truly the substrate has no polarization.
        let mirror = scene.pattern.mirror([0, 1].map(|c| r.centre_px[c] / size[c] as f64)).unwrap_or([0.0; 2]);
        RegionOutcome {
            cells: r.cells,
            true_pm: [mirror[0] * truth[0], mirror[1] * truth[1]],
            measured_pm: r.measured_pm,
            sigma_pm: sigma(r.measured_covariance_pm2),
            less_mean_pm: [r.measured_pm[0] - mean[0], r.measured_pm[1] - mean[1]],
            corrected_pm: r.corrected_pm.mean,
            corrected_sigma_pm: sigma(r.corrected_pm.covariance),
            crystal_pm: r.crystal_pm.mean,
            call: r.call,
        }
    };
    verdict.regions.iter().filter(|r| r.cells >= FEWEST_CELLS).map(one).collect()
}

/// How one kind of evidence did over many images.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct TiltScore {
    /// Evidence.
    pub method: Method,
    /// Tilt components judged: those of which the evidence claims to know something.
    pub count: usize,
    /// Fraction of them within 1.96 standard deviations of the truth.
    pub coverage: f64,
    /// Mean of estimate minus truth, mrad.
    pub bias_mrad: f64,
    /// Slope of estimate over truth: 1 for an estimate that is not shrunk.
    pub slope: f64,
    /// Root mean square of estimate minus truth, mrad.
    pub rms_mrad: f64,
    /// Mean claimed standard deviation, mrad.
    pub sigma_mrad: f64,
}

/// Scores of every kind of evidence that occurs in the outcomes.
#[must_use]
pub fn tilt_scores(outcomes: &[&Outcome]) -> Vec<TiltScore> {
    let score = |method: Method| {
        let mut pairs: Vec<(f64, f64, f64)> = Vec::new();
        for outcome in outcomes {
            for t in outcome.tilts.iter().filter(|t| t.method == method) {
                pairs.extend((0..2).filter(|&c| t.tells[c]).map(|c| (t.mean_mrad[c], outcome.tilt_mrad[c], t.sigma_mrad[c])));
            }
        }
        let n = pairs.len() as f64;
        let mean = |f: &dyn Fn(&(f64, f64, f64)) -> f64| pairs.iter().map(f).sum::<f64>() / n;
        (!pairs.is_empty()).then(|| TiltScore {
            method,
            count: pairs.len(),
            coverage: mean(&|p| f64::from((p.0 - p.1).abs() <= 1.96 * p.2)),
            bias_mrad: mean(&|p| p.0 - p.1),
            slope: mean(&|p| p.0 * p.1) / mean(&|p| p.1 * p.1),
            rms_mrad: mean(&|p| (p.0 - p.1).powi(2)).sqrt(),
            sigma_mrad: mean(&|p| p.2),
        })
    };
    Method::ALL.into_iter().filter_map(score).collect()
}

/// A way to call a region polarized and to say by how much.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Rule {
    /// As measured: polarized where it is above noise.
    Raw,
    /// The mean over the image taken away: polarized where the rest is above noise.
    LessMean,
    /// The verdict, with the tilt part taken away.
    Verdict,
}

impl Rule {
    /// All.
    pub const ALL: [Self; 3] = [Self::Raw, Self::LessMean, Self::Verdict];

    /// In words.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Raw => "as measured",
            Self::LessMean => "mean subtracted",
            Self::Verdict => "verdict",
        }
    }

    fn value(self, r: &RegionOutcome) -> [f64; 2] {
        match self {
            Self::Raw => r.measured_pm,
            Self::LessMean => r.less_mean_pm,
            Self::Verdict => r.corrected_pm,
        }
    }

    fn claims(self, r: &RegionOutcome) -> bool {
        let above = |v: [f64; 2]| (0..2).map(|c| (v[c] / r.sigma_pm[c]).powi(2)).sum::<f64>() > 5.991;
        match self {
            Self::Raw => above(r.measured_pm),
            Self::LessMean => above(r.less_mean_pm),
            Self::Verdict => r.call.is_polar(),
        }
    }
}

/// How one rule did over many regions.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct RuleScore {
    /// The rule.
    pub rule: Rule,
    /// Unpolarized regions, and the fraction of them called polarized.
    pub unpolarized: usize,
    /// False alarms among them.
    pub false_alarms: f64,
    /// Polarized regions, and the fraction of them not called polarized.
    pub polarized: usize,
    /// Missed among them.
    pub missed: f64,
    /// Root mean square distance of the value from the truth, a component, pm.
    pub rms_pm: f64,
}

/// Scores of every rule.
#[must_use]
pub fn rule_scores(outcomes: &[&Outcome]) -> Vec<RuleScore> {
    let all = || outcomes.iter().flat_map(|o| &o.regions);
    let is_polar = |r: &RegionOutcome| r.true_pm[0].hypot(r.true_pm[1]) > 1.0;
    let score = |rule: Rule| {
        let fraction = |polar: bool| {
            let of: Vec<&RegionOutcome> = all().filter(|r| is_polar(r) == polar).collect();
            let wrong = of.iter().filter(|r| rule.claims(r) != polar).count();
            (of.len(), if of.is_empty() { f64::NAN } else { wrong as f64 / of.len() as f64 })
        };
        let ((unpolarized, false_alarms), (polarized, missed)) = (fraction(false), fraction(true));
        let squares = all().flat_map(|r| (0..2).map(move |c| (rule.value(r)[c] - r.true_pm[c]).powi(2)));
        let rms_pm = (squares.sum::<f64>() / (2 * all().count()).max(1) as f64).sqrt();
        RuleScore { rule, unpolarized, false_alarms, polarized, missed, rms_pm }
    };
    Rule::ALL.map(score).to_vec()
}
