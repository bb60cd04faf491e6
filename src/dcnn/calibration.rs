//! Whether the predicted uncertainties are true: coverage of intervals, error against predicted σ, and the factor that puts σ right.

use super::Prediction;
use puruspe::erf;
use serde::{Deserialize, Serialize};

/// Nominal levels of the coverage curve.
const LEVELS: [f64; 13] = [0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.6827, 0.8, 0.9, 0.95, 0.98, 0.99];
/// Bins of the curve of error against σ, equally full.
const MOST_BINS: usize = 10;
/// Fewest components in a bin.
const LEAST_IN_BIN: usize = 20;

/// Predictions against labels they have not seen; components x and y count alike.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Reliability {
    /// Windows with a label and a prediction.
    pub windows: usize,
    /// Root mean square error of a component, pm.
    pub rmse_pm: f64,
    /// The same along x and y, pm.
    pub rmse_xy_pm: [f64; 2],
    /// Mean error along x and y, pm.
    pub bias_pm: [f64; 2],
    /// Root mean square error of predicting the labels' mean, pm: what a network must beat.
    pub rmse_of_mean_pm: f64,
    /// 1 − (rmse / rmse of the mean)².
    pub explained: f64,
    /// Root mean square of the predicted σ, pm; `None` without uncertainties, as all that follows.
    pub sigma_pm: Option<f64>,
    /// Root mean square of error / σ: 1 for true uncertainties, above 1 for too small ones.
    pub spread: Option<f64>,
    /// How often the label lies in central intervals of the predicted Gaussian.
    pub coverage: Vec<Coverage>,
    /// Error against predicted σ, in bins of σ.
    pub bins: Vec<SigmaBin>,
}

/// One point of the coverage curve.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Coverage {
    /// Part of labels that should lie in the interval.
    pub nominal: f64,
    /// Part that does.
    pub observed: f64,
    /// Its standard error, windows taken as independent; x and y of a window count as one.
    pub standard_error: f64,
}

/// Components of similar predicted σ.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct SigmaBin {
    /// Root mean square of their σ, pm.
    pub sigma_pm: f64,
    /// Root mean square of their errors, pm.
    pub rmse_pm: f64,
    /// Standard error of that, pm, for Gaussian errors.
    pub standard_error_pm: f64,
    /// How many.
    pub count: usize,
}

/// A prediction and its label.
type Pair<'a> = (&'a Prediction, [f64; 2]);

/// Compares predictions with labels in the same order; `None` if there is not one label.
#[must_use]
pub fn reliability(predictions: &[Prediction], labels: &[[f32; 2]]) -> Option<Reliability> {
    let known: Vec<Pair<'_>> = predictions
        .iter()
        .zip(labels)
        .filter(|(p, l)| l.iter().chain(&p.mean_pm).all(|v| v.is_finite()))
        .map(|(p, l)| (p, l.map(f64::from)))
        .collect();
    if known.is_empty() {
        return None;
    }
    let n = known.len() as f64;
    let error = |(p, label): &Pair<'_>, k: usize| f64::from(p.mean_pm[k]) - label[k];
    let over = |f: &dyn Fn(&Pair<'_>) -> f64| known.iter().map(f).sum::<f64>() / n;
    let rmse_xy_pm = [0, 1].map(|k| over(&|w| error(w, k).powi(2)).sqrt());
    let mean = [0, 1].map(|k| over(&|w| w.1[k]));
    let rmse_pm = rmse_xy_pm[0].hypot(rmse_xy_pm[1]) / std::f64::consts::SQRT_2;
    let rmse_of_mean_pm = (over(&|w| (w.1[0] - mean[0]).powi(2) + (w.1[1] - mean[1]).powi(2)) / 2.0).sqrt();
    // (σ, error) of every component that has a σ.
    let mut pairs: Vec<[f64; 2]> = known
        .iter()
        .flat_map(|w| [0, 1].map(|k| [f64::from(w.0.sigma_pm()[k]), error(w, k)]))
        .filter(|[sigma, _]| sigma.is_finite() && *sigma > 0.0)
        .collect();
    pairs.sort_by(|a, b| a[0].total_cmp(&b[0]));
    let root_mean = |f: &dyn Fn(&[f64; 2]) -> f64| (pairs.iter().map(|p| f(p).powi(2)).sum::<f64>() / pairs.len() as f64).sqrt();
    let with_sigma = !pairs.is_empty();
    Some(Reliability {
        windows: known.len(),
        rmse_pm,
        rmse_xy_pm,
        bias_pm: [0, 1].map(|k| over(&|w| error(w, k))),
        rmse_of_mean_pm,
        explained: 1.0 - (rmse_pm / rmse_of_mean_pm).powi(2),
        sigma_pm: with_sigma.then(|| root_mean(&|p| p[0])),
        spread: with_sigma.then(|| root_mean(&|p| p[1] / p[0])),
        coverage: if with_sigma { coverage(&pairs) } else { Vec::new() },
        bins: bins(&pairs),
    })
}

fn coverage(pairs: &[[f64; 2]]) -> Vec<Coverage> {
    let n = pairs.len() as f64;
    // The central interval that just reaches a label has this probability.
    let reached: Vec<f64> = pairs.iter().map(|[sigma, error]| erf((error / sigma).abs() / std::f64::consts::SQRT_2)).collect();
    let at = |nominal: f64| {
        let observed = reached.iter().filter(|p| **p <= nominal).count() as f64 / n;
        Coverage { nominal, observed, standard_error: (2.0 * observed * (1.0 - observed) / n).sqrt() }
    };
    LEVELS.map(at).to_vec()
}

fn bins(pairs: &[[f64; 2]]) -> Vec<SigmaBin> {
    let count = (pairs.len() / LEAST_IN_BIN).min(MOST_BINS);
    let bin = |part: &[[f64; 2]]| {
        let mean = |k: usize| (part.iter().map(|p| p[k].powi(2)).sum::<f64>() / part.len() as f64).sqrt();
        let rmse_pm = mean(1);
        // The relative error of a standard deviation of n normal numbers is 1/√(2n).
        let standard_error_pm = rmse_pm / (2.0 * part.len() as f64).sqrt();
        SigmaBin { sigma_pm: mean(0), rmse_pm, standard_error_pm, count: part.len() }
    };
    (0..count).map(|b| bin(&pairs[pairs.len() * b / count..pairs.len() * (b + 1) / count])).collect()
}

/// The factor of every σ that makes these labels most likely: the root mean square of error / σ. `None` without uncertainties.
pub(super) fn temperature(predictions: &[Prediction], labels: &[[f32; 2]]) -> Option<f32> {
    reliability(predictions, labels).and_then(|r| r.spread).map(|spread| spread as f32).filter(|s| s.is_finite() && *s > 0.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::numerics::seeds::Streams;
    use rand_distr::{Distribution, StandardNormal};

    /// Labels drawn from the predicted Gaussians themselves, σ from 1 to 5 pm, or from ones `factor` wider.
    fn drawn(factor: f64) -> (Vec<Prediction>, Vec<[f32; 2]>) {
        let mut random = Streams::new("labels", 1).stream(0);
        let mut draw = || StandardNormal.sample(&mut random);
        (0..6000)
            .map(|i| {
                let (mean, sigma) = ([f64::from(i % 37), -4.0], 1.0 + 4.0 * f64::from(i % 101) / 100.0);
                let label = mean.map(|m| {
                    let z: f64 = draw();
                    (m + factor * sigma * z) as f32
                });
                let parts = [0.6, 0.8].map(|part| [(part * sigma) as f32; 2]);
                let prediction = Prediction { mean_pm: mean.map(|m| m as f32), aleatoric_sigma_pm: parts[0], epistemic_sigma_pm: parts[1] };
                (prediction, label)
            })
            .unzip()
    }

    #[test]
    fn true_uncertainties_cover_what_they_say() {
        let (predictions, labels) = drawn(1.0);
        let r = reliability(&predictions, &labels).unwrap();
        for c in &r.coverage {
            assert!((c.observed - c.nominal).abs() < 4.0 * c.standard_error, "{c:?}");
        }
        for bin in &r.bins {
            assert!((bin.rmse_pm - bin.sigma_pm).abs() < 4.0 * bin.standard_error_pm, "{bin:?}");
        }
        assert!((r.spread.unwrap() - 1.0).abs() < 0.03 && r.bins.len() == MOST_BINS);
    }

    #[test]
    fn too_small_uncertainties_are_seen_and_put_right() {
        let (predictions, labels) = drawn(1.5);
        let factor = temperature(&predictions, &labels).unwrap();
        assert!((factor - 1.5).abs() < 0.03, "{factor}");
        let half = reliability(&predictions, &labels).unwrap().coverage[5];
        // A 50 % interval of σ reaches 0.6745 σ = 0.4497 of the true spread, which holds 34.7 %.
        assert!((half.observed - 0.347).abs() < 4.0 * half.standard_error, "{half:?}");
    }

    #[test]
    fn errors_by_hand() {
        let p = |x: f32| Prediction { mean_pm: [x, 0.0], aleatoric_sigma_pm: [f32::NAN; 2], epistemic_sigma_pm: [f32::NAN; 2] };
        let r = reliability(&[p(1.0), p(5.0), p(9.0)], &[[0.0, 0.0], [2.0, 0.0], [f32::NAN, 0.0]]).unwrap();
        assert_eq!((r.windows, r.bias_pm), (2, [2.0, 0.0]));
        assert!((r.rmse_xy_pm[0] - 5.0_f64.sqrt()).abs() < 1e-9 && (r.rmse_of_mean_pm - 0.5_f64.sqrt()).abs() < 1e-9);
        assert!(r.sigma_pm.is_none() && r.coverage.is_empty());
        assert!(reliability(&[], &[]).is_none());
    }
}
