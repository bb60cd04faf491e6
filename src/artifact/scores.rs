//! Scores of a trial: is the tilt recovered within its own interval, how often does each rule raise a false alarm or miss a polarization, and how
//! far is it from the truth: the map as measured, the mean subtracted, the verdict, networks; pm and mrad.

use super::trial::{NetworkOutcome, Outcome, RegionOutcome};
use super::witness::Method;
use serde::{Deserialize, Serialize};

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
    /// Its standard error, mrad.
    pub bias_error_mrad: f64,
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
            bias_error_mrad: (mean(&|p| (p.0 - p.1).powi(2)) / n).sqrt(),
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
    /// The same with the estimator's own gain taken out too.
    Crystal,
    /// A network trained on upright crystals: polarized where the mean over its windows is above their noise.
    NetworkUpright,
    /// A network trained on crystals of all tilts.
    NetworkMixed,
}

impl Rule {
    /// All.
    pub const ALL: [Self; 6] = [Self::Raw, Self::LessMean, Self::Verdict, Self::Crystal, Self::NetworkUpright, Self::NetworkMixed];

    /// In words.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Raw => "as measured",
            Self::LessMean => "mean subtracted",
            Self::Verdict => "verdict",
            Self::Crystal => "verdict without the estimator's gain",
            Self::NetworkUpright => "network, upright training",
            Self::NetworkMixed => "network, training at all tilts",
        }
    }

    fn value(self, r: &RegionOutcome) -> [f64; 2] {
        match self {
            Self::Raw => r.measured_pm,
            Self::LessMean => r.less_mean_pm,
            Self::Verdict => r.corrected_pm,
            Self::Crystal => r.crystal_pm,
            Self::NetworkUpright | Self::NetworkMixed => self.network(r).map_or([f64::NAN; 2], |n| n.mean_pm),
        }
    }

    fn network(self, r: &RegionOutcome) -> Option<NetworkOutcome> {
        match self {
            Self::NetworkUpright => r.networks[0],
            Self::NetworkMixed => r.networks[1],
            _ => None,
        }
    }

    /// Whether it says anything of a region.
    fn speaks(self, r: &RegionOutcome) -> bool {
        !matches!(self, Self::NetworkUpright | Self::NetworkMixed) || self.network(r).is_some()
    }

    fn claims(self, r: &RegionOutcome) -> bool {
        let beyond = |v: [f64; 2], sigma: [f64; 2]| (0..2).map(|c| (v[c] / sigma[c]).powi(2)).sum::<f64>() > 5.991;
        let above = |v: [f64; 2]| beyond(v, r.sigma_pm);
        match self {
            Self::Raw => above(r.measured_pm),
            Self::LessMean => above(r.less_mean_pm),
            Self::Verdict | Self::Crystal => r.call.is_polar(),
            Self::NetworkUpright | Self::NetworkMixed => self.network(r).is_some_and(|n| beyond(n.mean_pm, n.sigma_pm)),
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
    /// Root mean square distance of the value from the true polarization, a component, pm.
    pub rms_pm: f64,
    /// The same from what the region shows without tilt, pm: for a rule that takes tilt away and leaves the estimator's own gain.
    pub rms_from_upright_pm: f64,
}

/// Scores of every rule.
#[must_use]
pub fn rule_scores(outcomes: &[&Outcome]) -> Vec<RuleScore> {
    let is_polar = |r: &RegionOutcome| r.true_pm[0].hypot(r.true_pm[1]) > 1.0;
    let score = |rule: Rule| {
        let all = || outcomes.iter().flat_map(|o| &o.regions).filter(|r| rule.speaks(r));
        let fraction = |polar: bool| {
            let of: Vec<&RegionOutcome> = all().filter(|r| is_polar(r) == polar).collect();
            let wrong = of.iter().filter(|r| rule.claims(r) != polar).count();
            (of.len(), if of.is_empty() { f64::NAN } else { wrong as f64 / of.len() as f64 })
        };
        let ((unpolarized, false_alarms), (polarized, missed)) = (fraction(false), fraction(true));
        let rms = |from: fn(&RegionOutcome) -> [f64; 2]| {
            let squares = all().flat_map(|r| (0..2).map(move |c| (rule.value(r)[c] - from(r)[c]).powi(2)));
            (squares.sum::<f64>() / (2 * all().count()).max(1) as f64).sqrt()
        };
        let (rms_pm, rms_from_upright_pm) = (rms(|r| r.true_pm), rms(|r| r.upright_pm));
        RuleScore { rule, unpolarized, false_alarms, polarized, missed, rms_pm, rms_from_upright_pm }
    };
    let heard = |rule: &Rule| *rule == Rule::Raw || outcomes.iter().flat_map(|o| &o.regions).any(|r| rule.speaks(r));
    Rule::ALL.into_iter().filter(heard).map(score).collect()
}
