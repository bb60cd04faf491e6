//! How the displacements of many cells are distributed: histograms of both components, and measured against true values (pm).

use super::ReportError;
use super::axes::{self, Axis, Plot, X_TICK_ROOM_PT};
use super::canvas::{Across, Along, Canvas, Rect, Stroke, Type};
use super::figure::Figure;
use super::fonts::{self, Weight};
use super::style::{AXIS_PT, BLUE, GREY, LETTER_PT, LINE_PT, MARGIN_PT, TEXT_PT, VERMILLION, Width};
use super::ticks::{Scale, nice_step};

/// Two panels side by side on a single or double column.
struct Pair {
    canvas: Canvas,
    frames: [Rect; 2],
}

/// `above_pt` is kept free above the panels for text.
fn pair(width: Width, room_pt: f64, above_pt: f64, square: bool) -> Pair {
    let page = width.pt();
    let edge = 0.5 * (page - 2.0 * MARGIN_PT) - room_pt - 6.0;
    let height = if square { edge } else { 0.72 * edge };
    let top = MARGIN_PT + above_pt + 4.0;
    let frame = |index: f64| Rect { x: MARGIN_PT + room_pt + index * (edge + room_pt + 10.0), y: top, width: edge, height };
    let canvas = Canvas::new(page, top + height + X_TICK_ROOM_PT + 3.0 + LINE_PT + MARGIN_PT);
    Pair { canvas, frames: [frame(0.0), frame(1.0)] }
}

/// The name of a horizontal axis, in lines no wider than the panel with its margin; the sheet grows with them.
fn name_below(canvas: &mut Canvas, frame: &Rect, name: &str) {
    for (line, text) in fonts::wrap(name, frame.width + 8.0, TEXT_PT, Weight::Regular).iter().enumerate() {
        let y = frame.bottom() + X_TICK_ROOM_PT + 3.0 + line as f64 * LINE_PT;
        canvas.text([frame.x + 0.5 * frame.width, y], text, Type::new(Along::Middle, Across::Top));
        canvas.height_pt = canvas.height_pt.max(y + LINE_PT + MARGIN_PT);
    }
}

/// Lines of text that stand on a panel, the letter beside the first.
fn notes_above(canvas: &mut Canvas, frame: &Rect, notes: &[String], index: usize, room_pt: f64) {
    for (line, text) in notes.iter().rev().enumerate() {
        let y = frame.y - 5.0 - line as f64 * LINE_PT;
        canvas.text([frame.x + 4.0, y], &text.replace('-', "−"), Type::new(Along::Start, Across::Baseline));
    }
    let top = Rect { y: frame.y - 1.0 - (notes.len() as f64 - 1.0) * LINE_PT, ..*frame };
    heading(canvas, index, &top, room_pt);
}

fn heading(canvas: &mut Canvas, index: usize, frame: &Rect, room_pt: f64) {
    let face = Type { size_pt: LETTER_PT, ..Type::new(Along::Start, Across::Baseline) };
    canvas.text([frame.x - room_pt, frame.y - 4.0], ["a", "b"][index], face.bold());
}

/// Notes take one line on a wide figure, `lines` on a narrow one.
fn note_room(width: Width, lines: f64) -> f64 {
    if width == Width::Single { lines * LINE_PT } else { LINE_PT }
}

/// Median, standard deviation and skewness of a sample.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Moments {
    median: f64,
    sigma: f64,
    skewness: f64,
}

/// `None` for fewer than two values.
fn moments(values: &[f64]) -> Option<Moments> {
    let mut sorted = values.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    let count = sorted.len();
    if count < 2 {
        return None;
    }
    let median = 0.5 * (sorted[(count - 1) / 2] + sorted[count / 2]);
    let n = count as f64;
    let mean = sorted.iter().sum::<f64>() / n;
    let central = |power: i32| sorted.iter().map(|v| (v - mean).powi(power)).sum::<f64>() / n;
    let variance = central(2);
    let skewness = if variance > 0.0 { central(3) / variance.powf(1.5) } else { 0.0 };
    Some(Moments { median, sigma: (variance * n / (n - 1.0)).sqrt(), skewness })
}

/// Histograms of the two components of a displacement, or of its uncertainty.
#[derive(Clone, Debug, PartialEq)]
pub struct Histograms {
    /// Names of the two components with their unit.
    pub names: [String; 2],
    /// What the figure shows, for readers who cannot see it; not drawn.
    pub title: String,
    /// Components to the right, pm; values that are not finite are left out.
    pub px_pm: Vec<f64>,
    /// Components downwards, pm.
    pub py_pm: Vec<f64>,
    /// Width on the page.
    pub width: Width,
}

impl Default for Histograms {
    fn default() -> Self {
        let names = ["shift in x, right (pm)", "shift in y, down (pm)"].map(str::to_owned);
        Self { names, title: String::new(), px_pm: Vec::new(), py_pm: Vec::new(), width: Width::default() }
    }
}

impl Histograms {
    /// Draw both, with median, standard deviation and skewness above each.
    pub fn draw(&self) -> Result<Figure, ReportError> {
        const FIGURE: &str = "histogram of displacements";
        let finite = |values: &[f64]| values.iter().copied().filter(|v| v.is_finite()).collect::<Vec<f64>>();
        let samples = [finite(&self.px_pm), finite(&self.py_pm)];
        let room = 34.0;
        let mut pair = pair(self.width, room, note_room(self.width, 4.0), false);
        let all = || samples.iter().flatten().copied();
        let (Some(axis), true) = (Axis::around(all(), 0.04, Scale::Linear), samples.iter().all(|sample| sample.len() > 1)) else {
            let missing = "each component needs at least two finite displacements".to_owned();
            return Err(ReportError::Empty { figure: FIGURE, missing });
        };
        let bins = Bins::new(&samples, axis);
        let counts = [bins.count(&samples[0]), bins.count(&samples[1])];
        let most = counts.iter().flatten().copied().max().unwrap_or(1);
        for (index, name) in self.names.iter().enumerate() {
            let frame = pair.frames[index];
            let plot = Plot { frame, x: axis, y: Axis { lo: 0.0, hi: 1.06 * most as f64, scale: Scale::Linear } };
            let canvas = &mut pair.canvas;
            bins.draw(canvas, &plot, &counts[index]);
            if let Some(m) = moments(&samples[index]) {
                canvas.line(plot.at(m.median, 0.0), [plot.at(m.median, 0.0)[0], frame.y], Stroke::new(VERMILLION, 0.8));
                notes_above(canvas, &frame, &self.notes(m, samples[index].len()), index, room);
            }
            plot.spines(canvas, true, true);
            if index == 0 {
                axes::vertical_label(canvas, MARGIN_PT + LINE_PT, &frame, "cells");
            }
            name_below(canvas, &frame, name);
        }
        Ok(Figure::new(FIGURE, self.title.clone(), pair.canvas))
    }

    fn notes(&self, m: Moments, cells: usize) -> Vec<String> {
        let [median, sigma] = [format!("median {:.1} pm", m.median), format!("σ {:.1} pm", m.sigma)];
        let [skewness, cells] = [format!("skewness {:.2}", m.skewness), format!("{cells} cells")];
        if self.width == Width::Double {
            vec![format!("{median}, {sigma}, {skewness}; {cells}")]
        } else {
            vec![format!("{median},"), format!("{sigma},"), format!("{skewness};"), cells]
        }
    }
}

/// Bins of equal width whose edges are multiples of it.
struct Bins {
    width: f64,
    first: f64,
    count: usize,
}

impl Bins {
    fn new(samples: &[Vec<f64>; 2], axis: Axis) -> Self {
        let width = bin_width(samples, axis);
        let first = (axis.lo / width).floor();
        Self { width, first, count: ((axis.hi / width).ceil() - first).max(1.0) as usize }
    }

    fn count(&self, sample: &[f64]) -> Vec<usize> {
        let mut counts = vec![0; self.count];
        for value in sample {
            let place = ((value / self.width).floor() - self.first).max(0.0) as usize;
            counts[place.min(self.count - 1)] += 1;
        }
        counts
    }

    fn draw(&self, canvas: &mut Canvas, plot: &Plot, counts: &[usize]) {
        for (place, &n) in counts.iter().enumerate().filter(|(_, n)| **n > 0) {
            let left = (self.first + place as f64) * self.width;
            let [x, y] = plot.at(left.max(plot.x.lo), n as f64);
            let [x2, y2] = plot.at((left + self.width).min(plot.x.hi), 0.0);
            canvas.rectangle(Rect { x, y, width: x2 - x, height: y2 - y }, Some(BLUE.with_alpha(0.75)), None);
        }
    }
}

/// Freedman and Diaconis (1981): twice the interquartile range over the cube root of the count, made round; at most 120 bins.
fn bin_width(samples: &[Vec<f64>; 2], axis: Axis) -> f64 {
    let of = |sample: &Vec<f64>| {
        let mut sorted = sample.clone();
        sorted.sort_unstable_by(f64::total_cmp);
        let at = |quantile: f64| sorted[((sorted.len() - 1) as f64 * quantile).round() as usize];
        2.0 * (at(0.75) - at(0.25)) / (sample.len() as f64).cbrt()
    };
    let wanted = of(&samples[0]).min(of(&samples[1])).max((axis.hi - axis.lo) / 120.0);
    nice_step(0.7 * wanted)
}

/// Measured against true displacements.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Parity {
    /// What the figure shows, for readers who cannot see it; not drawn.
    pub title: String,
    /// Pairs (true, measured) of the component to the right, pm; pairs that are not finite are left out.
    pub x_pm: Vec<(f64, f64)>,
    /// Pairs (true, measured) of the component downwards, pm.
    pub y_pm: Vec<(f64, f64)>,
    /// Name of the horizontal axis, without unit, such as "true displacement".
    pub truth_label: String,
    /// Name of the vertical axis, without unit, such as "fitted displacement".
    pub measured_label: String,
    /// Width on the page.
    pub width: Width,
}

impl Parity {
    /// Draw both components with the line of equality; bias and rms error stand above each.
    pub fn draw(&self) -> Result<Figure, ReportError> {
        const FIGURE: &str = "parity plot";
        let finite = |pairs: &[(f64, f64)]| pairs.iter().copied().filter(|p| p.0.is_finite() && p.1.is_finite()).collect::<Vec<_>>();
        let samples = [finite(&self.x_pm), finite(&self.y_pm)];
        let all = samples.iter().flatten().flat_map(|p| [p.0, p.1]);
        let (Some(axis), true) = (Axis::around(all, 0.05, Scale::Linear), samples.iter().all(|sample| !sample.is_empty())) else {
            let missing = "each component needs at least one pair of finite displacements".to_owned();
            return Err(ReportError::Empty { figure: FIGURE, missing });
        };
        let room = 36.0;
        let mut pair = pair(self.width, room, note_room(self.width, 2.0), true);
        for (index, sample) in samples.iter().enumerate() {
            let (frame, direction) = (pair.frames[index], ["x", "y"][index]);
            let plot = Plot { frame, x: axis, y: axis };
            let canvas = &mut pair.canvas;
            canvas.line(plot.at(axis.lo, axis.lo), plot.at(axis.hi, axis.hi), Stroke::new(GREY, AXIS_PT));
            let dense = (300.0 / sample.len() as f64).sqrt().clamp(0.3, 1.0);
            for &(truth, measured) in sample {
                canvas.circle(plot.at(truth, measured), 1.3 * dense.max(0.5), Some(BLUE.with_alpha(0.2 + 0.5 * dense)), None);
            }
            let n = sample.len() as f64;
            let bias = sample.iter().map(|p| p.1 - p.0).sum::<f64>() / n;
            let rms = (sample.iter().map(|p| (p.1 - p.0).powi(2)).sum::<f64>() / n).sqrt();
            let notes = if self.width == Width::Double {
                vec![format!("{direction}: bias {bias:.1} pm, rms error {rms:.1} pm")]
            } else {
                vec![format!("{direction}: bias {bias:.1} pm,"), format!("rms error {rms:.1} pm")]
            };
            notes_above(canvas, &frame, &notes, index, room);
            plot.spines(canvas, true, true);
            if index == 0 {
                axes::vertical_label(canvas, MARGIN_PT + LINE_PT, &frame, &format!("{} (pm)", self.measured_label));
            }
            name_below(canvas, &frame, &format!("{} (pm)", self.truth_label));
        }
        Ok(Figure::new(FIGURE, self.title.clone(), pair.canvas))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An exponential sample's skewness is 2, a symmetric one's 0.
    #[test]
    fn moments_of_known_distributions() {
        let exponential: Vec<f64> = (0..20_000).map(|i| -(1.0 - (f64::from(i) + 0.5) / 20_000.0_f64).ln()).collect();
        let found = moments(&exponential).unwrap();
        assert!((found.median - 2f64.ln()).abs() < 1e-3 && (found.sigma - 1.0).abs() < 2e-3 && (found.skewness - 2.0).abs() < 0.03);
        let even = moments(&[-2.0, -1.0, 1.0, 2.0]).unwrap();
        assert!(even.median.abs() < 1e-12 && even.skewness.abs() < 1e-12);
        assert!(moments(&[1.0]).is_none());
    }
}
