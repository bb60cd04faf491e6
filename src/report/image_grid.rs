//! A grid of images, each with a name and a line of what was done to it: one image through the stages of a chain; image pixels.

use super::ReportError;
use super::canvas::{Across, Along, Canvas, Rect, Stroke, Type};
use super::figure::Figure;
use super::fonts::{self, Weight};
use super::overlay::{Field, axes_note};
use super::picture::{ColourMap, Pixels};
use super::style::{BLACK, Color, LETTER_PT, LINE_PT, MARGIN_PT, TEXT_PT, Width, check_height};

const FIGURE: &str = "image grid";
const GAP_PT: f64 = 7.0;
/// Room above an image for its letter and name, and for its note.
const HEAD_PT: f64 = 2.0 * LINE_PT + 3.0;

/// One image of the grid.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct GridPanel {
    /// Its name, such as "dose".
    pub title: String,
    /// What was done, such as "2000 electrons/Å²".
    pub note: String,
    /// The image, with contrast of its own.
    pub pixels: Pixels,
}

/// Images in rows, read like text.
#[derive(Clone, Debug, PartialEq)]
pub struct ImageGrid {
    /// What the figure shows, for readers who cannot see it; not drawn.
    pub title: String,
    /// The images.
    pub panels: Vec<GridPanel>,
    /// Images in a row.
    pub columns: usize,
    /// Width on the page.
    pub width: Width,
}

impl ImageGrid {
    /// Draw the grid.
    pub fn draw(&self) -> Result<Figure, ReportError> {
        if self.panels.is_empty() || self.columns == 0 {
            return Err(ReportError::Empty { figure: FIGURE, missing: "no image was given".to_owned() });
        }
        for panel in &self.panels {
            panel.pixels.check(FIGURE)?;
        }
        let columns = self.columns.min(self.panels.len());
        let wide = (self.width.pt() - 2.0 * MARGIN_PT - GAP_PT * (self.columns - 1) as f64) / self.columns as f64;
        if wide < 40.0 {
            let what = "the number of images in a row".to_owned();
            return Err(ReportError::Range {
                figure: FIGURE,
                what,
                found: self.columns as f64,
                allowed: "few enough for images wider than 14 mm",
            });
        }
        let mut canvas = Canvas::new(self.width.pt(), 0.0);
        let mut top = MARGIN_PT;
        for (row, panels) in self.panels.chunks(columns).enumerate() {
            let mut tallest: f64 = 0.0;
            for (column, panel) in panels.iter().enumerate() {
                let height = wide * panel.pixels.height as f64 / panel.pixels.width as f64;
                let frame = Rect { x: MARGIN_PT + column as f64 * (wide + GAP_PT), y: top + HEAD_PT, width: wide, height };
                draw_panel(&mut canvas, panel, frame, row * columns + column);
                tallest = tallest.max(height);
            }
            top += HEAD_PT + tallest + GAP_PT;
        }
        axes_note(&mut canvas, [MARGIN_PT, top + 0.5 * LINE_PT - 2.0]);
        canvas.height_pt = top + LINE_PT + MARGIN_PT;
        check_height(FIGURE, canvas.height_pt)?;
        Ok(Figure::new(FIGURE, self.title.clone(), canvas))
    }
}

fn draw_panel(canvas: &mut Canvas, panel: &GridPanel, frame: Rect, index: usize) {
    let field = Field::new(frame, &panel.pixels);
    field.image(canvas, &panel.pixels, ColourMap::Grey, panel.pixels.limits());
    if index == 0 {
        field.scale_bar(canvas);
    }
    canvas.rectangle(frame, None, Some(Stroke::new(BLACK, 0.4)));
    let face = Type { size_pt: LETTER_PT, ..Type::new(Along::Start, Across::Baseline) };
    let (name, note) = (frame.y - 3.0 - LINE_PT, frame.y - 3.0);
    let letter = char::from(b'a' + (index % 26) as u8).to_string();
    let after = frame.x + fonts::width_pt(&letter, LETTER_PT, Weight::Bold) + 3.0;
    canvas.text([frame.x, name], &letter, face.bold());
    let line = |text: &str, room: f64| fonts::shorten(text, room, TEXT_PT, Weight::Regular);
    canvas.text([after, name], &line(&panel.title, frame.right() - after), Type::new(Along::Start, Across::Baseline));
    let grey = Type::new(Along::Start, Across::Baseline).colored(Color::new(90, 90, 90));
    canvas.text([frame.x, note], &line(&panel.note, frame.width), grey);
}
