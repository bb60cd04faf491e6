//! One line of a chart: its values with their uncertainty, and how line, bars and band are drawn.

use super::axes::Plot;
use super::canvas::{Canvas, Stroke};
use super::style::{DATA_PT, series_color};

/// The uncertainty of a series' values.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Spread {
    /// None is shown.
    #[default]
    None,
    /// Half lengths of vertical bars, one for each value, in the unit of y.
    Bars(Vec<f64>),
    /// Half heights of a band behind the line, one for each value, in the unit of y.
    Band(Vec<f64>),
}

/// One line of a panel. Series with the same label have the same colour and marker in every panel.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Series {
    /// Its name in the legend.
    pub label: String,
    /// Abscissae; a NaN leaves a gap.
    pub x: Vec<f64>,
    /// Ordinates; a NaN leaves a gap.
    pub y: Vec<f64>,
    /// Uncertainty of y.
    pub spread: Spread,
    /// Join the points.
    pub line: bool,
    /// Show a marker at each point.
    pub markers: bool,
    /// Dash the line (a model, a fit, the truth).
    pub dashed: bool,
}

/// Opacity of bands.
pub(crate) const BAND_ALPHA: f64 = 0.22;

/// How the line of a series is drawn.
pub(crate) fn data_stroke(series: &Series, index: usize) -> Stroke {
    Stroke { color: series_color(index), width_pt: DATA_PT, dash_pt: series.dashed.then_some([3.0, 2.0]) }
}

/// The values of a series and the ends of their bars.
pub(crate) fn ends(series: &Series) -> Vec<f64> {
    let spread = match &series.spread {
        Spread::None => None,
        Spread::Bars(spread) | Spread::Band(spread) => Some(spread),
    };
    let half = |index: usize| spread.and_then(|spread| spread.get(index)).copied().filter(|half| half.is_finite()).unwrap_or(0.0);
    series.y.iter().enumerate().flat_map(|(index, y)| [y - half(index), y + half(index)]).collect()
}

/// The band behind a line, broken where a value is missing.
pub(crate) fn band(canvas: &mut Canvas, plot: &Plot, series: &Series, index: usize) {
    let Spread::Band(spread) = &series.spread else { return };
    let points: Vec<(f64, f64, f64)> = series.x.iter().zip(&series.y).zip(spread).map(|((&x, &y), &half)| (x, y, half)).collect();
    let color = series_color(index).with_alpha(BAND_ALPHA);
    for run in points.split(|point| !finite(plot, point.0, point.1) || !point.2.is_finite()) {
        if run.len() > 1 {
            let upper = run.iter().map(|&(x, y, half)| plot.at(x, y + half));
            let lower = run.iter().rev().map(|&(x, y, half)| plot.at(x, y - half));
            let outline: Vec<[f64; 2]> = upper.chain(lower).filter(|p| p[1].is_finite()).collect();
            canvas.polygon(outline, Some(color), None);
        }
    }
}

fn finite(plot: &Plot, x: f64, y: f64) -> bool {
    plot.x.fraction(x).is_finite() && plot.y.fraction(y).is_finite()
}

/// Error bars, then the line through the points, broken where a value is missing.
pub(crate) fn bars_and_line(canvas: &mut Canvas, plot: &Plot, series: &Series, index: usize) {
    let points: Vec<[f64; 2]> = series.x.iter().zip(&series.y).map(|(&x, &y)| [x, y]).collect();
    if let Spread::Bars(spread) = &series.spread {
        let stroke = Stroke::new(series_color(index), 0.6);
        for (&[x, y], &half) in points.iter().zip(spread).filter(|(p, half)| finite(plot, p[0], p[1]) && half.is_finite() && **half > 0.0) {
            let (top, low) = (plot.at(x, y + half), plot.at(x, y - half));
            let low = if low[1].is_finite() { low } else { [low[0], plot.frame.bottom()] };
            canvas.line(top, low, stroke);
            for end in [top, low] {
                canvas.line([end[0] - 1.4, end[1]], [end[0] + 1.4, end[1]], stroke);
            }
        }
    }
    if series.line {
        for run in points.split(|p| !finite(plot, p[0], p[1])) {
            if run.len() > 1 {
                canvas.polyline(run.iter().map(|p| plot.at(p[0], p[1])).collect(), data_stroke(series, index));
            }
        }
    }
}
