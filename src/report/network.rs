//! Figures of a trained network: its learning curves, the coverage of its intervals, its error against its predicted σ, and where in a window
//! it looks; pm, epochs, parts of 1.

use super::{Figure, ImagePanel, ImageRow, Legend, LineChart, Marker, Panel, Pixels, ReportError, Row, Series, Spread, Width};
use crate::dcnn::{EpochRecord, Reliability};

/// Members of an ensemble that are drawn; more would hide each other.
const MOST_MEMBERS: usize = 3;

/// Loss of training and validation, and the validation's error, over the epochs.
///
/// # Errors
/// [`ReportError`] without an epoch.
pub fn learning_curves(history: &[EpochRecord]) -> Result<Figure, ReportError> {
    let members = history.iter().map(|r| r.member + 1).max().unwrap_or(0);
    let series = |label: &str, value: &dyn Fn(&EpochRecord) -> f64| -> Vec<Series> {
        let of = |member: usize| {
            let records = || history.iter().filter(|r| r.member == member);
            let label = if members > 1 { format!("{label}, network {}", member + 1) } else { label.to_owned() };
            let (x, y) = (records().map(|r| r.epoch as f64).collect(), records().map(value).collect());
            Series { label, x, y, spread: Spread::None, line: true, markers: false, dashed: false }
        };
        (0..members.min(MOST_MEMBERS)).map(of).collect()
    };
    let validated = history.iter().any(|r| r.validation_loss.is_some());
    let mut losses = series("training", &|r| r.training_loss);
    let mut rows = Vec::new();
    if validated {
        losses.extend(series("validation", &|r| r.validation_loss.unwrap_or(f64::NAN)));
        let errors = series("validation", &|r| r.validation_rmse_pm.unwrap_or(f64::NAN));
        rows.push(Row { y_label: "rms error (pm)".into(), panels: vec![Panel { title: String::new(), series: errors }] });
    }
    rows.insert(0, Row { y_label: "loss".into(), panels: vec![Panel { title: String::new(), series: losses }] });
    let chart = LineChart {
        title: "Loss and error over the epochs of the training".into(),
        x_label: "epoch".into(),
        rows,
        width: Width::Single,
        share_y: false,
        zero_line: false,
        ..LineChart::default()
    };
    chart.draw()
}

/// How often labels lie in the intervals that should hold them.
///
/// # Errors
/// [`ReportError`] where no uncertainty was predicted.
pub fn coverage(reliability: &Reliability) -> Result<Figure, ReportError> {
    let points = &reliability.coverage;
    let x: Vec<f64> = points.iter().map(|c| c.nominal).collect();
    let observed = Series {
        label: "observed".into(),
        x: x.clone(),
        y: points.iter().map(|c| c.observed).collect(),
        spread: Spread::Bars(points.iter().map(|c| c.standard_error).collect()),
        line: true,
        markers: true,
        dashed: false,
    };
    let ends = if points.is_empty() { Vec::new() } else { vec![0.0, 1.0] };
    let ideal =
        Series { label: "as predicted".into(), y: ends.clone(), x: ends, spread: Spread::None, line: true, markers: false, dashed: true };
    let chart = LineChart {
        title: "Part of the labels within central intervals of the predicted Gaussian".into(),
        x_label: "part that should lie in the interval".into(),
        rows: vec![Row { y_label: "part that does".into(), panels: vec![Panel { title: String::new(), series: vec![observed, ideal] }] }],
        width: Width::Single,
        panel_height_mm: 60.0,
        zero_line: false,
        letters: false,
        ..LineChart::default()
    };
    chart.draw()
}

/// The error of windows against the σ that was predicted for them.
///
/// # Errors
/// [`ReportError`] where no uncertainty was predicted, or for too few windows.
pub fn error_against_sigma(reliability: &Reliability) -> Result<Figure, ReportError> {
    let bins = &reliability.bins;
    let errors = Series {
        label: "rms error".into(),
        x: bins.iter().map(|b| b.sigma_pm).collect(),
        y: bins.iter().map(|b| b.rmse_pm).collect(),
        spread: Spread::Bars(bins.iter().map(|b| b.standard_error_pm).collect()),
        line: false,
        markers: true,
        dashed: false,
    };
    let ends: Vec<f64> = [bins.first(), bins.last()].into_iter().flatten().map(|b| b.sigma_pm).collect();
    let ideal =
        Series { label: "error = σ".into(), y: ends.clone(), x: ends, spread: Spread::None, line: true, markers: false, dashed: true };
    let chart = LineChart {
        title: "Error of the predictions against their predicted standard deviation".into(),
        x_label: "predicted σ of a component (pm)".into(),
        rows: vec![Row {
            y_label: "rms error of a component (pm)".into(),
            panels: vec![Panel { title: String::new(), series: vec![errors, ideal] }],
        }],
        width: Width::Single,
        panel_height_mm: 60.0,
        legend: Legend::Above,
        zero_line: false,
        letters: false,
        ..LineChart::default()
    };
    chart.draw()
}

/// A mean window beside the map of how far the prediction moves when a place is blanked, columns marked on both.
///
/// # Errors
/// [`ReportError`] if the two have no pixels.
pub fn occlusion(window: Pixels, change_pm: Pixels, markers: &[Marker]) -> Result<Figure, ReportError> {
    let panel = |title: &str, pixels: Pixels| ImagePanel { title: title.into(), pixels, markers: markers.to_vec(), arrows: Vec::new() };
    let highest = change_pm.values.iter().copied().fold(0.0_f32, f32::max);
    let row = ImageRow {
        title: "Mean window, and change of the prediction when a place is blanked".into(),
        panels: vec![panel("mean window", window), panel(&format!("change, 0 to {highest:.1} pm"), change_pm)],
        width: Width::Single,
        share_contrast: false,
        ..ImageRow::default()
    };
    row.draw()
}
