//! The straight line through the apparent shifts along the main axis: pm per unit of the axis, with standard errors.

use super::measure::Record;
use super::spec::Study;
use super::story::{label_value, main_axis, plain};

/// A value and its standard error.
type Estimate = (f64, f64);

/// The trend of one detector, estimator and combination of the other axes.
#[derive(Debug, Clone)]
pub(super) struct Trend {
    /// Whether the main axis is a specimen tilt (mrad).
    pub is_tilt: bool,
    axis: String,
    detector: String,
    estimator: &'static str,
    /// Labelled values of the other axes.
    setting: Vec<String>,
    /// Slope of x and y, pm per unit.
    slope: [Estimate; 2],
    /// Apparent shift measured at zero, pm, where the axis has a zero.
    at_zero: Option<[f64; 2]>,
    /// Largest |apparent| along the line, pm.
    largest_pm: f64,
}

/// All trends of a study with a numeric main axis of at least three values, in the order of the records.
#[must_use]
pub(super) fn trends(study: &Study, records: &[Record]) -> Vec<Trend> {
    let Some(x) = main_axis(study) else { return Vec::new() };
    let others: Vec<usize> = (0..study.axes.len()).filter(|&i| study.axes[i].group != study.axes[x].group).collect();
    let setting = |r: &Record| -> Vec<String> {
        others.iter().map(|&i| label_value(&study.axes[i], &study.points()[r.point].values[i].1.to_string())).collect()
    };
    let mut keys: Vec<(String, &'static str, Vec<String>)> = Vec::new();
    for r in records {
        let key = (r.detector.clone(), r.estimator, setting(r));
        if !keys.contains(&key) {
            keys.push(key);
        }
    }
    let axis = &study.axes[x];
    let make = |(detector, estimator, combination): (String, &'static str, Vec<String>)| {
        let own = records.iter().filter(|r| r.detector == detector && r.estimator == estimator && setting(r) == combination);
        let points: Vec<(f64, [f64; 2])> =
            own.filter_map(|r| Some((study.points()[r.point].values[x].1.number()?, r.reported_pm()?))).collect();
        if points.len() < 3 {
            return None;
        }
        let lines = [0, 1].map(|c| line(&points.iter().map(|(t, a)| (*t, a[c])).collect::<Vec<_>>()));
        Some(Trend {
            is_tilt: axis.column.starts_with("specimen_tilt"),
            axis: axis.column.clone(),
            detector,
            estimator,
            setting: combination,
            slope: lines,
            at_zero: points.iter().find(|(t, _)| *t == 0.0).map(|(_, a)| *a),
            largest_pm: points.iter().map(|(_, a)| a[0].hypot(a[1])).fold(0.0, f64::max),
        })
    };
    keys.into_iter().filter_map(make).collect()
}

/// Slope of the least-squares line and its standard error from the residuals.
fn line(points: &[(f64, f64)]) -> Estimate {
    let n = points.len() as f64;
    let (mx, my) = (points.iter().map(|p| p.0).sum::<f64>() / n, points.iter().map(|p| p.1).sum::<f64>() / n);
    let sxx: f64 = points.iter().map(|p| (p.0 - mx).powi(2)).sum();
    let slope = points.iter().map(|p| (p.0 - mx) * (p.1 - my)).sum::<f64>() / sxx;
    let residual: f64 = points.iter().map(|p| (p.1 - my - slope * (p.0 - mx)).powi(2)).sum();
    (slope, (residual / (n - 2.0) / sxx).sqrt())
}

impl Trend {
    /// What it says.
    #[must_use]
    pub(super) fn sentence(&self) -> String {
        let setting = if self.setting.is_empty() { String::new() } else { format!(", {}", self.setting.join(", ")) };
        let [(x, sx), (y, sy)] = self.slope;
        let [x, y] = [signed(x, 3), signed(y, 3)];
        let untilted = self.at_zero.map_or(String::new(), |zero| {
            format!("; untilted, the measurement is already ({}, {}) pm off", signed(zero[0], 1), signed(zero[1], 1))
        });
        format!(
            "{}, {}{setting}: {x} ± {sx:.3} pm per mrad of tilt along x, {y} ± {sy:.3} along y{untilted}.",
            self.detector,
            plain(self.estimator)
        )
    }

    /// The size of all slopes in one sentence; `None` where there are none or none along a tilt.
    pub(super) fn summary(trends: &[Self]) -> Option<String> {
        let sizes: Vec<f64> = trends.iter().filter(|t| t.is_tilt).map(|t| t.slope[0].0.hypot(t.slope[1].0)).collect();
        let (low, high) = sizes.iter().fold((f64::INFINITY, 0.0_f64), |(l, h), &s| (l.min(s), h.max(s)));
        let range = if high - low < 0.005 { format!("{high:.2}") } else { format!("{low:.2} to {high:.2}") };
        (!sizes.is_empty()).then(|| {
            format!("A milliradian of mis-tilt moves the measured B−A shift by {range} pm, depending on what the lines below name.")
        })
    }

    /// Headings of the table of trends.
    #[must_use]
    pub(super) fn columns(trends: &[Self]) -> Vec<String> {
        let unit = trends.first().map_or("unit", |t| t.axis.rsplit('_').next().unwrap_or("unit"));
        let mut out = vec!["detector".to_owned(), "estimator".to_owned(), "setting".to_owned()];
        for axis in ["x", "y"] {
            out.extend([format!("slope {axis} (pm/{unit})"), "±".to_owned()]);
        }
        out.extend(["x at zero (pm)".to_owned(), "y at zero (pm)".to_owned(), "largest (pm)".to_owned()]);
        out
    }

    /// One row of the table of trends.
    #[must_use]
    pub(super) fn row(&self) -> Vec<String> {
        let mut out = vec![self.detector.clone(), plain(self.estimator), self.setting.join(", ")];
        for (slope, error) in self.slope {
            out.extend([format!("{slope:+.4}"), format!("{error:.4}")]);
        }
        out.extend([0, 1].map(|c| self.at_zero.map_or(String::new(), |zero| format!("{:+.3}", zero[c]))));
        out.push(format!("{:.2}", self.largest_pm));
        out
    }
}

/// A number with its sign, a true minus as in print.
fn signed(value: f64, decimals: usize) -> String {
    format!("{value:+.decimals$}").replace('-', "−")
}

#[cfg(test)]
mod tests {
    use super::line;

    #[test]
    fn a_straight_line_is_found_with_its_error() {
        let (slope, error) = line(&[(-1.0, 1.0), (0.0, 3.0), (1.0, 5.0)]);
        assert!((slope - 2.0).abs() < 1e-12 && error < 1e-12);
        // Residuals 1, −2, 1: their variance 6/(3−2), over Σx² = 2.
        let (slope, error) = line(&[(-1.0, 1.0), (0.0, -2.0), (1.0, 1.0)]);
        assert!(slope.abs() < 1e-12 && (error - 3.0_f64.sqrt()).abs() < 1e-12);
    }
}
