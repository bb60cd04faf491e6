//! The straight line through the apparent shifts along the main axis: pm per unit of the axis, with 95 % confidence intervals.

use super::figures::{gathered, main_axis, other_axes};
use super::interval::t95;
use super::measure::Record;
use super::spec::Study;
use super::wording::{label, plain, setting, signed, split_unit};

/// A value and half its 95 % confidence interval.
type Estimate = (f64, f64);

/// The trend of one detector, estimator and combination of the other axes.
#[derive(Debug, Clone)]
pub(super) struct Trend {
    /// Whether the main axis is a specimen tilt (mrad).
    pub is_tilt: bool,
    /// Name of the main axis, and its unit.
    axis: String,
    unit: String,
    detector: String,
    estimator: &'static str,
    /// Labelled values of the other axes.
    setting: Vec<String>,
    /// Slope of x and y, pm per unit.
    slope: [Estimate; 2],
    /// Apparent shift measured at zero, pm, where the axis has a zero; the mean of repeats.
    at_zero: Option<[f64; 2]>,
    /// Largest |apparent| along the line, pm.
    largest_pm: f64,
}

/// All trends of a study with a numeric main axis of at least three values, in the order of the records.
#[must_use]
pub(super) fn trends(study: &Study, records: &[Record]) -> Vec<Trend> {
    let Some(x) = main_axis(study) else { return Vec::new() };
    let others = other_axes(study, x);
    let of = |r: &Record| setting(study, &study.points()[r.point], others.iter().copied());
    let axis = &study.axes[x];
    let make = |((detector, estimator, setting), own): ((String, &'static str, Vec<String>), Vec<&Record>)| {
        let points: Vec<(f64, [f64; 2])> =
            own.into_iter().filter_map(|r| Some((study.points()[r.point].values[x].1.number()?, r.reported_pm()?))).collect();
        let mut distinct: Vec<u64> = points.iter().map(|(t, _)| t.to_bits()).collect();
        distinct.sort_unstable();
        distinct.dedup();
        if distinct.len() < 3 {
            return None;
        }
        let zeros: Vec<[f64; 2]> = points.iter().filter(|(t, _)| *t == 0.0).map(|(_, a)| *a).collect();
        Some(Trend {
            is_tilt: axis.column.starts_with("specimen_tilt"),
            axis: label(axis).split(" (").next().unwrap_or_default().to_lowercase(),
            unit: split_unit(&axis.column).1.to_owned(),
            detector,
            estimator,
            setting,
            slope: [0, 1].map(|c| line(&points.iter().map(|(t, a)| (*t, a[c])).collect::<Vec<_>>())),
            at_zero: (!zeros.is_empty()).then(|| [0, 1].map(|c| zeros.iter().map(|z| z[c]).sum::<f64>() / zeros.len() as f64)),
            largest_pm: points.iter().map(|(_, a)| a[0].hypot(a[1])).fold(0.0, f64::max),
        })
    };
    gathered(records, |r| (r.detector.clone(), r.estimator, of(r))).into_iter().filter_map(make).collect()
}

/// Slope of the least-squares line and half its 95 % confidence interval, from the residuals.
fn line(points: &[(f64, f64)]) -> Estimate {
    let n = points.len() as f64;
    let (mx, my) = (points.iter().map(|p| p.0).sum::<f64>() / n, points.iter().map(|p| p.1).sum::<f64>() / n);
    let sxx: f64 = points.iter().map(|p| (p.0 - mx).powi(2)).sum();
    let slope = points.iter().map(|p| (p.0 - mx) * (p.1 - my)).sum::<f64>() / sxx;
    let residual: f64 = points.iter().map(|p| (p.1 - my - slope * (p.0 - mx)).powi(2)).sum();
    (slope, t95(points.len() - 2) * (residual / (n - 2.0) / sxx).sqrt())
}

impl Trend {
    /// What it says.
    #[must_use]
    pub(super) fn sentence(&self) -> String {
        let setting = if self.setting.is_empty() { String::new() } else { format!(", {}", self.setting.join(", ")) };
        let [x, y] = self.slope.map(interval);
        let unit = if self.unit.is_empty() { "unit".to_owned() } else { self.unit.clone() };
        let at_zero = self.at_zero.map_or(String::new(), |zero| {
            let untilted = if self.is_tilt { "untilted".to_owned() } else { format!("at zero {}", self.axis) };
            format!("; {untilted}, the measurement is already ({}, {}) pm off", signed(zero[0], 1), signed(zero[1], 1))
        });
        let of = format!("{}, {}{setting}", self.detector, plain(self.estimator));
        format!("{of}: {x} along x and {y} along y, in pm per {unit} of {}{at_zero}.", self.axis)
    }

    /// The size of all slopes in one sentence; `None` where there are none or none along a tilt.
    pub(super) fn summary(trends: &[Self]) -> Option<String> {
        let sizes: Vec<f64> = trends.iter().filter(|t| t.is_tilt).map(|t| t.slope[0].0.hypot(t.slope[1].0)).collect();
        let (low, high) = sizes.iter().fold((f64::INFINITY, 0.0_f64), |(l, h), &s| (l.min(s), h.max(s)));
        let range = if high - low < 0.005 { format!("{high:.2}") } else { format!("{low:.2} to {high:.2}") };
        (!sizes.is_empty()).then(|| {
            format!(
                "A milliradian of mis-tilt moves the measured B−A shift by {range} pm, depending on what the lines below name. Behind each \
                 number stands the 95 % confidence interval of a straight line."
            )
        })
    }

    /// Headings of the table of trends.
    #[must_use]
    pub(super) fn columns(trends: &[Self]) -> Vec<String> {
        let unit = trends.first().map(|t| t.unit.as_str()).filter(|u| !u.is_empty()).unwrap_or("unit");
        let mut out = vec!["detector".to_owned(), "estimator".to_owned(), "setting".to_owned()];
        for axis in ["x", "y"] {
            out.extend([format!("slope {axis} (pm/{unit})"), "95 % confidence".to_owned()]);
        }
        out.extend(["x at zero (pm)".to_owned(), "y at zero (pm)".to_owned(), "largest (pm)".to_owned()]);
        out
    }

    /// One row of the table of trends.
    #[must_use]
    pub(super) fn row(&self) -> Vec<String> {
        let mut out = vec![self.detector.clone(), plain(self.estimator), self.setting.join(", ")];
        for (slope, half) in self.slope {
            out.extend([signed(slope, 4), format!("{} to {}", signed(slope - half, 4), signed(slope + half, 4))]);
        }
        out.extend([0, 1].map(|c| self.at_zero.map_or(String::new(), |zero| signed(zero[c], 3))));
        out.push(format!("{:.2}", self.largest_pm));
        out
    }
}

/// "−0.571 (−0.60 to −0.54)".
fn interval((value, half): Estimate) -> String {
    format!("{} ({} to {})", signed(value, 3), signed(value - half, 3), signed(value + half, 3))
}

#[cfg(test)]
mod tests {
    use super::line;

    #[test]
    fn a_straight_line_is_found_with_its_error() {
        let (slope, half) = line(&[(-1.0, 1.0), (0.0, 3.0), (1.0, 5.0)]);
        assert!((slope - 2.0).abs() < 1e-12 && half < 1e-11);
        // Residuals 1, −2, 1: their variance 6/(3−2), over Σx² = 2; t of one degree of freedom is 12.706.
        let (slope, half) = line(&[(-1.0, 1.0), (0.0, -2.0), (1.0, 1.0)]);
        assert!(slope.abs() < 1e-12 && (half - 12.7062 * 3.0_f64.sqrt()).abs() < 1e-3);
    }
}
