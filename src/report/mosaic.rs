//! Many small pictures in rows: the feature maps and filters of a network, layer by layer; values without unit.

use super::ReportError;
use super::canvas::{Across, Along, Canvas, Rect, Stroke, Type};
use super::figure::Figure;
use super::fonts::{self, Weight};
use super::picture::{ColourMap, Pixels};
use super::style::{BLACK, LINE_PT, MARGIN_PT, TEXT_PT, Width, check_height};
use super::wheel::diverging;

const FIGURE: &str = "mosaic";
const GAP_PT: f64 = 2.0;
const ROW_GAP_PT: f64 = 7.0;

/// Pictures of one kind, under one name.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Tiles {
    /// Stands above them.
    pub name: String,
    /// Side of a picture, in pixels; all are square.
    pub side: usize,
    /// The pictures, each `side × side` values row by row.
    pub tiles: Vec<Vec<f32>>,
    /// Colours from blue through white at 0 to red, for values with a sign; otherwise dark to bright, each picture over its own range.
    pub signed: bool,
}

/// Rows of small pictures.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Mosaic {
    /// What the figure shows, for readers who cannot see it; not drawn.
    pub title: String,
    /// The kinds, from the top.
    pub groups: Vec<Tiles>,
    /// Pictures in a row, at most.
    pub columns: usize,
}

impl Mosaic {
    /// Draws the rows, as wide as a page.
    pub fn draw(&self) -> Result<Figure, ReportError> {
        if self.groups.iter().all(|g| g.tiles.is_empty()) {
            return Err(ReportError::Empty { figure: FIGURE, missing: "there is no picture".to_owned() });
        }
        for group in &self.groups {
            let expected = group.side * group.side;
            if let Some(tile) = group.tiles.iter().find(|t| t.len() != expected) {
                let what = format!("a picture of \"{}\"", group.name);
                return Err(ReportError::Length { figure: FIGURE, what, found: tile.len(), expected });
            }
        }
        let columns = self.columns.clamp(1, 64);
        let edge = (Width::Double.pt() - 2.0 * MARGIN_PT - GAP_PT * (columns - 1) as f64) / columns as f64;
        let height = |g: &Tiles| LINE_PT + 2.0 + g.tiles.len().div_ceil(columns) as f64 * (edge + GAP_PT) + ROW_GAP_PT;
        let bottom = MARGIN_PT + self.groups.iter().map(height).sum::<f64>();
        check_height(FIGURE, bottom)?;
        let mut canvas = Canvas::new(Width::Double.pt(), bottom);
        let mut top = MARGIN_PT;
        for group in &self.groups {
            let name = fonts::shorten(&group.name, Width::Double.pt() - 2.0 * MARGIN_PT, TEXT_PT, Weight::Regular);
            canvas.text([MARGIN_PT, top], &name, Type::new(Along::Start, Across::Top));
            for (n, tile) in group.tiles.iter().enumerate() {
                let x = MARGIN_PT + (n % columns) as f64 * (edge + GAP_PT);
                let y = top + LINE_PT + 2.0 + (n / columns) as f64 * (edge + GAP_PT);
                let frame = Rect { x, y, width: edge, height: edge };
                canvas.picture(frame, group.picture(tile));
                canvas.rectangle(frame, None, Some(Stroke::new(BLACK, 0.3)));
            }
            top += height(group);
        }
        Ok(Figure::new(FIGURE, self.title.clone(), canvas))
    }
}

impl Tiles {
    fn picture(&self, tile: &[f32]) -> super::canvas::Picture {
        if self.signed {
            let most = f64::from(tile.iter().fold(0.0_f32, |m, v| m.max(v.abs()))).max(f64::MIN_POSITIVE);
            let rgb = tile.iter().flat_map(|v| diverging(f64::from(*v) / most)).collect();
            return super::canvas::Picture { rgb, width: self.side, height: self.side };
        }
        let pixels = Pixels { values: tile.to_vec(), width: self.side, height: self.side, pixel_size_pm: 1.0 };
        let (low, high) = tile.iter().fold((f32::MAX, f32::MIN), |(l, h), v| (l.min(*v), h.max(*v)));
        pixels.picture(ColourMap::Viridis, (f64::from(low), f64::from(high)))
    }
}
