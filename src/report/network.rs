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

/// How often labels lie in the intervals that should hold them: one curve for each kind of test, by its name.
///
/// # Errors
/// [`ReportError`] where no uncertainty was predicted.
pub fn coverage(tests: &[(&str, &Reliability)]) -> Result<Figure, ReportError> {
    let observed = |(name, test): &(&str, &Reliability)| Series {
        label: (*name).to_owned(),
        x: test.coverage.iter().map(|c| c.nominal).collect(),
        y: test.coverage.iter().map(|c| c.observed).collect(),
        spread: Spread::Bars(test.coverage.iter().map(|c| c.standard_error).collect()),
        line: true,
        markers: true,
        dashed: false,
    };
    let mut series: Vec<Series> = tests.iter().map(observed).collect();
    let ends = if series.iter().all(|s| s.x.is_empty()) { Vec::new() } else { vec![0.0, 1.0] };
    series.push(diagonal("as predicted", ends));
    let chart = LineChart {
        title: "Part of the labels within central intervals of the predicted Gaussian".into(),
        x_label: "part that should lie in the interval".into(),
        rows: vec![Row { y_label: "part that does".into(), panels: vec![Panel { title: String::new(), series }] }],
        width: Width::Single,
        panel_height_mm: 60.0,
        zero_line: false,
        letters: false,
        ..LineChart::default()
    };
    chart.draw()
}

/// The line on which both axes agree.
fn diagonal(label: &str, ends: Vec<f64>) -> Series {
    Series { label: label.into(), y: ends.clone(), x: ends, spread: Spread::None, line: true, markers: false, dashed: true }
}

/// The error of windows against the σ that was predicted for them: one row of points for each kind of test, by its name.
///
/// # Errors
/// [`ReportError`] where no uncertainty was predicted, or for too few windows.
pub fn error_against_sigma(tests: &[(&str, &Reliability)]) -> Result<Figure, ReportError> {
    let errors = |(name, Reliability { bins, .. }): &(&str, &Reliability)| Series {
        label: (*name).to_owned(),
        x: bins.iter().map(|b| b.sigma_pm).collect(),
        y: bins.iter().map(|b| b.rmse_pm).collect(),
        spread: Spread::Bars(bins.iter().map(|b| b.standard_error_pm).collect()),
        line: false,
        markers: true,
        dashed: false,
    };
    let mut series: Vec<Series> = tests.iter().map(errors).collect();
    let sigmas = || series.iter().flat_map(|s| &s.x).copied();
    let ends = if series.iter().all(|s| s.x.is_empty()) {
        Vec::new()
    } else {
        vec![sigmas().fold(f64::INFINITY, f64::min), sigmas().fold(f64::NEG_INFINITY, f64::max)]
    };
    series.push(diagonal("error = σ", ends));
    let chart = LineChart {
        title: "Error of the predictions against their predicted standard deviation".into(),
        x_label: "predicted σ of a component (pm)".into(),
        rows: vec![Row { y_label: "rms error of a component (pm)".into(), panels: vec![Panel { title: String::new(), series }] }],
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

#[cfg(test)]
mod tests {
    use super::super::samples::{check, noise};
    use super::super::{ColumnMark, Mosaic, Tiles};
    use super::*;
    use crate::dcnn::{Prediction, reliability};

    /// Predictions whose errors are `factor` times their σ.
    fn test(factor: f64, first: u64) -> Reliability {
        let sigma = |n: u64| 2.0 + 5.0 * ((n % 97) as f64 / 97.0);
        let mean = |n: u64, k: u64| (factor * sigma(n) * noise(2 * (first + n) + k)) as f32;
        let predictions: Vec<Prediction> = (0..600)
            .map(|n| Prediction {
                mean_pm: [mean(n, 0), mean(n, 1)],
                aleatoric_sigma_pm: [sigma(n) as f32; 2],
                epistemic_sigma_pm: [f32::NAN; 2],
            })
            .collect();
        reliability(&predictions, &vec![[0.0; 2]; 600]).unwrap()
    }

    #[test]
    fn coverage_and_error_against_sigma_of_two_kinds_of_tests() {
        let (true_, sure) = (test(1.0, 0), test(1.8, 1000));
        let tests = [("seen conditions", &true_), ("unseen conditions", &sure)];
        check(&coverage(&tests).unwrap(), "sample-coverage", &["unseen conditions", "as predicted", "part that does"]);
        check(&error_against_sigma(&tests).unwrap(), "sample-error-against-sigma", &["error = σ", "predicted σ of a component (pm)"]);
        assert!(coverage(&[]).is_err() && error_against_sigma(&[]).is_err());
    }

    #[test]
    fn curves_of_an_ensemble() {
        let record = |member: usize, epoch: usize| {
            let loss = 1.5 / epoch as f64 + 0.04 * noise((100 * member + epoch) as u64) - 0.4;
            let (validation_loss, validation_rmse_pm) = (Some(loss + 0.15), Some(6.0 + 20.0 / epoch as f64));
            EpochRecord { member, epoch, training_loss: loss, validation_loss, validation_rmse_pm, learning_rate: 1e-3 }
        };
        let history: Vec<EpochRecord> = (0..2).flat_map(|m| (1..=30).map(move |e| record(m, e))).collect();
        let texts = ["training, network 1", "validation, network 2", "rms error (pm)", "epoch"];
        check(&learning_curves(&history).unwrap(), "sample-learning-curves", &texts);
        assert!(learning_curves(&[]).is_err());
    }

    /// Columns of a cell of `side` pixels, A at its corners.
    fn cell(side: usize) -> Vec<f32> {
        let half = 0.5 * (side as f64 - 1.0);
        let peak = |x: f64, y: f64| (-(x * x + y * y) / 9.0).exp();
        let value = |i: usize| {
            let (x, y) = ((i % side) as f64 - half, (i / side) as f64 - half);
            let corners = [[-10.0, -10.0], [10.0, -10.0], [-10.0, 10.0], [10.0, 10.0]];
            (corners.iter().map(|[cx, cy]| 2.0 * peak(x - cx, y - cy)).sum::<f64>() + peak(x - 0.8, y)) as f32
        };
        (0..side * side).map(value).collect()
    }

    #[test]
    fn where_a_network_looks() {
        let side = 32;
        let pixels = |values: Vec<f32>| Pixels { values, width: side, height: side, pixel_size_pm: 20.0 };
        let markers =
            [Marker { x_px: 15.5, y_px: 15.5, kind: ColumnMark::TrueB }, Marker { x_px: 5.5, y_px: 5.5, kind: ColumnMark::TrueA }];
        let change = cell(side).iter().map(|v| 6.0 * v.min(1.0)).collect();
        let figure = occlusion(pixels(cell(side)), pixels(change), &markers).unwrap();
        check(&figure, "sample-occlusion", &["mean window", "change, 0 to 6.0 pm"]);
    }

    #[test]
    fn a_mosaic_of_filters_and_maps() {
        let tile = |side: usize, seed: u64| (0..side * side).map(|i| noise(seed * 999 + i as u64) as f32).collect::<Vec<f32>>();
        let tiles = |side: usize, count: u64| (0..count).map(|n| tile(side, n)).collect::<Vec<_>>();
        let maps = |factor: f32| cell(24).iter().map(|v| v * factor).collect::<Vec<f32>>();
        let groups = vec![
            Tiles { name: "filters of the first layer (blue negative, red positive)".into(), side: 3, tiles: tiles(3, 16), signed: true },
            Tiles {
                name: "feature maps of blocks.0.0, 24 px".into(),
                side: 24,
                tiles: vec![maps(1.0), maps(-1.0), maps(0.0)],
                signed: false,
            },
            Tiles { name: "feature maps of blocks.1.0, 12 px".into(), side: 12, tiles: tiles(12, 32), signed: false },
        ];
        let mosaic = Mosaic { title: "Filters and feature maps".into(), groups, columns: 16 };
        check(&mosaic.draw().unwrap(), "sample-mosaic", &["blue negative, red positive", "blocks.1.0"]);
        let refused = Mosaic { groups: vec![Tiles { side: 4, tiles: vec![vec![0.0; 15]], ..Tiles::default() }], ..mosaic };
        assert!(refused.draw().unwrap_err().to_string().contains("16"));
        assert!(Mosaic::default().draw().unwrap_err().to_string().contains("no picture"));
    }
}
