//! Axes of a panel: from data to points on the sheet, spines with ticks outside, room for labels, error bars and bands.

use super::canvas::{Across, Along, Canvas, Rect, Stroke, Type};
use super::fonts::{self, Weight};
use super::style::{AXIS_PT, BLACK, LINE_PT, TEXT_PT, TICK_PT};
use super::ticks::{Scale, Tick, ticks};

/// Gap between a tick and its label.
const LABEL_GAP_PT: f64 = 2.0;

/// The range of one axis.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Axis {
    pub(crate) lo: f64,
    pub(crate) hi: f64,
    pub(crate) scale: Scale,
}

impl Axis {
    /// The range of the values, widened by `pad` (a fraction) at both ends; `None` without a drawable value. A single value gets a
    /// range around it.
    pub(crate) fn around(values: impl IntoIterator<Item = f64>, pad: f64, scale: Scale) -> Option<Self> {
        let usable = |value: &f64| value.is_finite() && (scale == Scale::Linear || *value > 0.0);
        let (lo, hi) = values.into_iter().filter(usable).fold((f64::INFINITY, f64::NEG_INFINITY), |(lo, hi), v| (lo.min(v), hi.max(v)));
        if lo > hi {
            return None;
        }
        match scale {
            Scale::Linear => {
                let span = if hi - lo > 1e-12 * hi.abs().max(lo.abs()) && hi > lo { hi - lo } else { hi.abs().max(1.0) };
                Some(Self { lo: lo - pad * span, hi: hi + pad * span, scale })
            }
            Scale::Log10 => {
                let ratio = if hi / lo > 1.0 + 1e-9 { (hi / lo).powf(pad) } else { 2.0 };
                Some(Self { lo: lo / ratio, hi: hi * ratio, scale })
            }
        }
    }

    /// 0 at the low end, 1 at the high end; NaN for what the scale cannot show.
    pub(crate) fn fraction(&self, value: f64) -> f64 {
        match self.scale {
            Scale::Linear => (value - self.lo) / (self.hi - self.lo),
            Scale::Log10 if value > 0.0 => (value / self.lo).ln() / (self.hi / self.lo).ln(),
            Scale::Log10 => f64::NAN,
        }
    }

    pub(crate) fn holds(&self, value: f64) -> bool {
        value >= self.lo && value <= self.hi
    }

    /// Ticks for an axis as long as `length_pt`, one in about `apart_pt`.
    pub(crate) fn ticks(&self, length_pt: f64, apart_pt: f64) -> Vec<Tick> {
        ticks(self.scale, self.lo, self.hi, (length_pt / apart_pt).floor() as usize)
    }

    /// Ticks for a horizontal axis, as many as their labels leave room for.
    pub(crate) fn horizontal_ticks(&self, length_pt: f64) -> Vec<Tick> {
        let mut apart = X_APART_PT;
        loop {
            let ticks = self.ticks(length_pt, apart);
            let ends = |tick: &Tick| {
                let half = 0.5 * fonts::width_pt(&tick.label, TEXT_PT, Weight::Regular);
                let middle = self.fraction(tick.value) * length_pt;
                (middle - half, middle + half)
            };
            let labelled: Vec<(f64, f64)> = ticks.iter().filter(|tick| !tick.label.is_empty()).map(ends).collect();
            if apart > length_pt || labelled.windows(2).all(|pair| pair[1].0 - pair[0].1 >= 3.0) {
                return ticks;
            }
            apart *= 1.3;
        }
    }

    /// Room that the labels of a vertical axis need at the left of its spine.
    pub(crate) fn label_room_pt(&self, length_pt: f64) -> f64 {
        let widest = self.ticks(length_pt, Y_APART_PT).into_iter().map(|tick| fonts::width_pt(&tick.label, TEXT_PT, Weight::Regular));
        widest.fold(0.0, f64::max) + TICK_PT + LABEL_GAP_PT
    }
}

/// Wanted distance of the ticks of a horizontal and of a vertical axis.
const X_APART_PT: f64 = 18.0;
const Y_APART_PT: f64 = 18.0;

/// Room below a panel for ticks and their labels.
pub(crate) const X_TICK_ROOM_PT: f64 = TICK_PT + LABEL_GAP_PT + LINE_PT;

/// A frame on the sheet with its two axes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plot {
    pub(crate) frame: Rect,
    pub(crate) x: Axis,
    pub(crate) y: Axis,
}

impl Plot {
    /// Where a pair of values lies on the sheet.
    pub(crate) fn at(&self, x: f64, y: f64) -> [f64; 2] {
        [self.frame.x + self.x.fraction(x) * self.frame.width, self.frame.bottom() - self.y.fraction(y) * self.frame.height]
    }

    /// The left and the lower spine with ticks; labels where wanted.
    pub(crate) fn spines(&self, canvas: &mut Canvas, x_labels: bool, y_labels: bool) {
        let stroke = Stroke::new(BLACK, AXIS_PT);
        let Rect { x: left, y: top, .. } = self.frame;
        let (right, bottom) = (self.frame.right(), self.frame.bottom());
        canvas.polyline(vec![[left, top], [left, bottom], [right, bottom]], stroke);
        for tick in self.x.horizontal_ticks(self.frame.width) {
            let length = if tick.label.is_empty() { 0.6 * TICK_PT } else { TICK_PT };
            let x = self.at(tick.value, self.y.lo)[0];
            canvas.line([x, bottom], [x, bottom + length], stroke);
            if x_labels {
                canvas.text([x, bottom + TICK_PT + LABEL_GAP_PT], &tick.label, Type::new(Along::Middle, Across::Top));
            }
        }
        for tick in self.y.ticks(self.frame.height, Y_APART_PT) {
            let length = if tick.label.is_empty() { 0.6 * TICK_PT } else { TICK_PT };
            let y = self.at(self.x.lo, tick.value)[1];
            canvas.line([left - length, y], [left, y], stroke);
            if y_labels {
                canvas.text([left - TICK_PT - LABEL_GAP_PT, y], &tick.label, Type::new(Along::End, Across::Middle));
            }
        }
    }
}

/// The name of a vertical axis, broken in lines where the panel is short, its right edge at `x`.
pub(crate) fn vertical_label(canvas: &mut Canvas, x: f64, frame: &Rect, text: &str) {
    let lines = fonts::wrap(text, frame.height + 8.0, TEXT_PT, Weight::Regular);
    for (index, line) in lines.iter().rev().enumerate() {
        let face = Type { turned: true, ..Type::new(Along::Middle, Across::Baseline) };
        canvas.text([x - index as f64 * LINE_PT, frame.y + 0.5 * frame.height], line, face);
    }
}

/// Room that `vertical_label` takes.
pub(crate) fn vertical_label_room_pt(height_pt: f64, text: &str) -> f64 {
    fonts::wrap(text, height_pt + 8.0, TEXT_PT, Weight::Regular).len() as f64 * LINE_PT
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_hold_their_values_and_skip_what_cannot_be_drawn() {
        let axis = Axis::around([f64::NAN, -2.0, 3.0, f64::INFINITY], 0.1, Scale::Linear).unwrap();
        assert!((axis.lo + 2.5).abs() < 1e-12 && (axis.hi - 3.5).abs() < 1e-12);
        let axis = Axis::around([0.0, 10.0, 1000.0], 0.0, Scale::Log10).unwrap();
        assert!((axis.fraction(100.0) - 0.5).abs() < 1e-12);
        assert!(Axis::around([f64::NAN], 0.1, Scale::Linear).is_none());
        let point = Axis::around([5.0], 0.1, Scale::Linear).unwrap();
        assert!(point.lo < 5.0 && point.hi > 5.0);
    }

    #[test]
    fn long_tick_labels_do_not_touch() {
        let axis = Axis { lo: 100_000.0, hi: 100_010.0, scale: Scale::Linear };
        let ticks = axis.horizontal_ticks(80.0);
        let apart = 80.0 * (ticks[1].value - ticks[0].value) / 10.0;
        assert!(apart > fonts::width_pt("100000", TEXT_PT, Weight::Regular) + 2.9, "{apart} pt apart");
    }
}
