//! How far predictions or fits are from the truth of the same windows: root mean square and mean error of a component, pm.

use serde::{Deserialize, Serialize};

/// Errors over the test windows of one image.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Score {
    /// Windows with a value and a truth.
    pub windows: usize,
    /// Windows whose value is missing: a fit that failed, a column that was not found.
    pub missing: usize,
    /// Root mean square error along x and y, pm.
    pub rmse_xy_pm: [f64; 2],
    /// Mean error along x and y, pm: polarization that is not there.
    pub bias_pm: [f64; 2],
    /// Root mean square error of giving every window the mean truth, along x and y, pm.
    pub spread_xy_pm: [f64; 2],
    /// Root mean square of error / predicted σ: 1 for true uncertainties; NaN where none is predicted.
    pub error_over_sigma: f64,
}

/// A value, its σ (NaN where unknown) and the truth, all (x, y) in pm.
#[derive(Debug, Clone, Copy, PartialEq)]
#[expect(clippy::struct_field_names, reason = "units stand in names")]
pub(super) struct Judged {
    pub(super) value_pm: [f64; 2],
    pub(super) sigma_pm: [f64; 2],
    pub(super) truth_pm: [f64; 2],
}

impl Score {
    /// `None` where there is not one value.
    pub(super) fn of(judged: &[Judged], missing: usize) -> Option<Self> {
        let n = judged.len() as f64;
        let mean = |f: &dyn Fn(&Judged, usize) -> f64| [0, 1].map(|k| judged.iter().map(|j| f(j, k)).sum::<f64>() / n);
        let error = |j: &Judged, k: usize| j.value_pm[k] - j.truth_pm[k];
        let centre = mean(&|j, k| j.truth_pm[k]);
        let ratios: Vec<f64> =
            judged.iter().flat_map(|j| [0, 1].map(|k| (error(j, k) / j.sigma_pm[k]).powi(2))).filter(|r| r.is_finite()).collect();
        let error_over_sigma = (ratios.iter().sum::<f64>() / ratios.len() as f64).sqrt();
        (!judged.is_empty()).then(|| Self {
            windows: judged.len(),
            missing,
            rmse_xy_pm: mean(&|j, k| error(j, k).powi(2)).map(f64::sqrt),
            bias_pm: mean(&error),
            spread_xy_pm: mean(&|j, k| (j.truth_pm[k] - centre[k]).powi(2)).map(f64::sqrt),
            error_over_sigma,
        })
    }

    /// Root mean square error of a component, x and y alike, pm.
    #[must_use]
    pub fn rmse_pm(&self) -> f64 {
        self.rmse_xy_pm[0].hypot(self.rmse_xy_pm[1]) / std::f64::consts::SQRT_2
    }

    /// The same of giving every window the mean truth.
    #[must_use]
    pub fn spread_pm(&self) -> f64 {
        self.spread_xy_pm[0].hypot(self.spread_xy_pm[1]) / std::f64::consts::SQRT_2
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_by_hand() {
        let judged = |value: f64, truth: f64| Judged { value_pm: [value, truth], sigma_pm: [2.0, f64::NAN], truth_pm: [truth; 2] };
        let score = Score::of(&[judged(3.0, 1.0), judged(1.0, 3.0)], 4).unwrap();
        assert_eq!((score.windows, score.missing), (2, 4));
        assert_eq!((score.rmse_xy_pm, score.bias_pm, score.spread_xy_pm), ([2.0, 0.0], [0.0, 0.0], [1.0, 1.0]));
        assert!((score.rmse_pm() - 2.0_f64.sqrt()).abs() < 1e-12 && (score.error_over_sigma - 1.0).abs() < 1e-12);
        assert!(Score::of(&[], 3).is_none());
        let silent = Judged { sigma_pm: [f64::NAN; 2], ..judged(3.0, 1.0) };
        assert!(Score::of(&[silent], 0).unwrap().error_over_sigma.is_nan());
    }
}
