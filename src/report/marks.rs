//! Markers of data series and of columns: seven shapes, so that colour is never the only difference.

use super::canvas::{Canvas, Stroke};
use super::style::Color;

/// The shape of a marker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mark {
    Disc,
    Square,
    Triangle,
    Diamond,
    TriangleDown,
    Plus,
    Cross,
}

const SERIES: [Mark; 7] = [Mark::Disc, Mark::Square, Mark::Triangle, Mark::Diamond, Mark::TriangleDown, Mark::Plus, Mark::Cross];

/// Marker of the series number `index`.
pub(crate) fn series_mark(index: usize) -> Mark {
    SERIES[index % SERIES.len()]
}

/// A marker as large as a disc of `radius`; filled shapes get a thin rim of `rim` so that overlapping ones stay apart.
pub(crate) fn draw(canvas: &mut Canvas, mark: Mark, at: [f64; 2], radius: f64, color: Color, rim: Option<Color>) {
    let [x, y] = at;
    let rim = rim.map(|rim| Stroke::new(rim, 0.4));
    let r = radius;
    match mark {
        Mark::Disc => canvas.circle(at, r, Some(color), rim),
        Mark::Square => {
            let h = 0.89 * r;
            canvas.polygon(vec![[x - h, y - h], [x + h, y - h], [x + h, y + h], [x - h, y + h]], Some(color), rim);
        }
        Mark::Triangle => {
            canvas.polygon(vec![[x, y - 1.25 * r], [x + 1.1 * r, y + 0.75 * r], [x - 1.1 * r, y + 0.75 * r]], Some(color), rim);
        }
        Mark::TriangleDown => {
            canvas.polygon(vec![[x, y + 1.25 * r], [x + 1.1 * r, y - 0.75 * r], [x - 1.1 * r, y - 0.75 * r]], Some(color), rim);
        }
        Mark::Diamond => {
            let h = 1.25 * r;
            canvas.polygon(vec![[x, y - h], [x + h, y], [x, y + h], [x - h, y]], Some(color), rim);
        }
        Mark::Plus | Mark::Cross => {
            let (a, b) = if mark == Mark::Plus { (1.15 * r, 0.0) } else { (0.85 * r, 0.85 * r) };
            let stroke = Stroke::new(color, 0.55 * r);
            canvas.line([x - a, y - b], [x + a, y + b], stroke);
            canvas.line([x + b, y - a], [x - b, y + a], stroke);
        }
    }
}
