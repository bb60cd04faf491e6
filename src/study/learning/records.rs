//! One row a network (or fit), test point and repeat; and the means of the repeats with their confidence intervals.

use super::super::interval::mean95;
use super::super::table::{Column, Table};
use super::super::{AxisValue, Study};
use super::score::Score;

/// One network, or the column fit, on the test windows of one image.
#[derive(Debug, Clone, PartialEq)]
pub struct LearningRecord {
    /// Point whose image it was tested on.
    pub point: usize,
    /// Group of the point in the arrangement.
    pub group: usize,
    /// "network" or "column-fit".
    pub method: &'static str,
    /// Where the network was trained; empty for the fit.
    pub trained_at: String,
    /// Repeat, from 0.
    pub repeat: u32,
    /// Seed of the network's weights, shuffles and augmentation.
    pub seed: u64,
    /// Side of its windows, px.
    pub window_px: usize,
    /// Windows it was trained on; 0 for the fit.
    pub train_windows: usize,
    /// Epochs it was trained; 0 for the fit.
    pub epochs: usize,
    /// Whether test windows may have been seen in training.
    pub leaky: bool,
    /// How far off it is.
    pub score: Option<Score>,
    /// Why there is no score.
    pub refusal: String,
}

/// A mean over repeats with half the width of its 95 % confidence interval; NaN where there is none.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Estimate {
    pub(super) mean: f64,
    pub(super) half_width: f64,
}

impl Estimate {
    /// Of all values that are numbers; without a second one there is no interval.
    pub(super) fn of(values: impl Iterator<Item = f64>) -> Self {
        let values: Vec<f64> = values.filter(|v| v.is_finite()).collect();
        match mean95(&values) {
            Some((mean, half_width)) => Self { mean, half_width },
            None => Self { mean: values.first().copied().unwrap_or(f64::NAN), half_width: f64::NAN },
        }
    }

    /// "3.2 ± 0.4", or "3.2" without an interval.
    pub(super) fn text(&self) -> String {
        if self.half_width.is_finite() { format!("{:.1} ± {:.1}", self.mean, self.half_width) } else { format!("{:.1}", self.mean) }
    }
}

/// What is estimated of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Figure {
    Rmse,
    BiasX,
    BiasY,
    Spread,
}

impl Figure {
    fn of(self, score: &Score) -> f64 {
        match self {
            Self::Rmse => score.rmse_pm(),
            Self::BiasX => score.bias_pm[0],
            Self::BiasY => score.bias_pm[1],
            Self::Spread => score.spread_pm(),
        }
    }
}

/// The mean over repeats for one test point; `trained_at` is `None` for the fit.
pub(super) fn estimate(records: &[LearningRecord], group: usize, point: usize, trained_at: Option<&str>, figure: Figure) -> Estimate {
    let method = if trained_at.is_some() { "network" } else { "column-fit" };
    let own = records
        .iter()
        .filter(|r| r.group == group && r.point == point && r.method == method && trained_at.is_none_or(|name| r.trained_at == name));
    Estimate::of(own.filter_map(|r| r.score.as_ref()).map(|s| figure.of(s)))
}

/// The records as a table for CSV and NPZ.
pub(super) fn table(study: &Study, records: &[LearningRecord]) -> Table {
    let mut columns: Vec<(String, Column)> = vec![("point".to_owned(), Column::Integers(records.iter().map(|r| r.point as i64).collect()))];
    for (index, axis) in study.axes.iter().enumerate() {
        let value = |r: &LearningRecord| &study.points()[r.point].values[index].1;
        let numeric = axis.values.iter().all(|v| matches!(v, AxisValue::Number(_) | AxisValue::Integer(_)));
        let column = if numeric {
            Column::Numbers(records.iter().map(|r| value(r).number().unwrap_or(f64::NAN)).collect())
        } else {
            Column::Texts(records.iter().map(|r| value(r).to_string()).collect())
        };
        columns.push((axis.column.clone(), column));
    }
    let texts = |of: &dyn Fn(&LearningRecord) -> String| Column::Texts(records.iter().map(of).collect());
    let integers = |of: &dyn Fn(&LearningRecord) -> i64| Column::Integers(records.iter().map(of).collect());
    columns.push(("method".into(), texts(&|r| r.method.to_owned())));
    columns.push(("trained_at".into(), texts(&|r| r.trained_at.clone())));
    columns.push(("repeat".into(), integers(&|r| i64::from(r.repeat))));
    // A seed has 64 bits; as text it stays exact everywhere.
    columns.push(("seed".into(), texts(&|r| r.seed.to_string())));
    columns.push(("window_px".into(), integers(&|r| r.window_px as i64)));
    columns.push(("train_windows".into(), integers(&|r| r.train_windows as i64)));
    columns.push(("epochs".into(), integers(&|r| r.epochs as i64)));
    columns.push(("leaky".into(), integers(&|r| i64::from(r.leaky))));
    columns.push(("test_windows".into(), integers(&|r| r.score.map_or(0, |s| s.windows as i64))));
    columns.push(("missing_windows".into(), integers(&|r| r.score.map_or(0, |s| s.missing as i64))));
    let mut number = |name: &str, of: &dyn Fn(&Score) -> f64| {
        let values = records.iter().map(|r| r.score.as_ref().map_or(f64::NAN, of)).collect();
        columns.push((name.to_owned(), Column::Numbers(values)));
    };
    number("rmse_pm", &Score::rmse_pm);
    for (k, axis) in ["x", "y"].into_iter().enumerate() {
        number(&format!("rmse_{axis}_pm"), &|s| s.rmse_xy_pm[k]);
        number(&format!("bias_{axis}_pm"), &|s| s.bias_pm[k]);
    }
    number("rmse_of_the_mean_pm", &Score::spread_pm);
    number("error_over_sigma", &|s| s.error_over_sigma);
    columns.push(("refusal".into(), texts(&|r| r.refusal.clone())));
    Table { columns, rows: records.len() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_estimate_needs_two_repeats_for_its_interval() {
        let two = Estimate::of([2.0, 4.0, f64::NAN].into_iter());
        assert!((two.mean - 3.0).abs() < 1e-12 && (two.half_width - 12.706).abs() < 1e-2);
        assert_eq!(two.text(), "3.0 ± 12.7");
        assert_eq!(Estimate::of([2.0].into_iter()).text(), "2.0");
        assert!(Estimate::of([f64::NAN].into_iter()).mean.is_nan());
    }
}
