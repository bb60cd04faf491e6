//! A row of images with the columns found in them: scale bar, markers at fitted and true columns (image pixels), arrows (pm).

use super::ReportError;
use super::canvas::{Across, Along, Canvas, Rect, Stroke, Type};
use super::figure::Figure;
use super::fonts::{self, Weight};
use super::marks::{self, Mark};
use super::overlay::{ArrowScale, COLOUR_BAR_ROOM_PT, Field, axes_note, colour_bar};
use super::picture::{ColourMap, Pixels};
use super::style::{BLACK, LETTER_PT, LINE_PT, MARGIN_PT, ORANGE, SKY_BLUE, TEXT_PT, VERMILLION, WHITE, Width, check_height};

const FIGURE: &str = "image row";
const GAP_PT: f64 = 6.0;
const MARK_PT: f64 = 2.1;

/// What a marker on an image stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ColumnMark {
    /// A fitted A-site column: an orange disc.
    FittedA,
    /// A fitted B-site column: a blue square.
    FittedB,
    /// The true place of an A-site column: a ring.
    TrueA,
    /// The true place of a B-site column: an open square.
    TrueB,
}

impl ColumnMark {
    const ALL: [ColumnMark; 4] = [ColumnMark::FittedA, ColumnMark::FittedB, ColumnMark::TrueA, ColumnMark::TrueB];

    fn name(self) -> &'static str {
        match self {
            ColumnMark::FittedA => "A column, fitted",
            ColumnMark::FittedB => "B column, fitted",
            ColumnMark::TrueA => "A column, true",
            ColumnMark::TrueB => "B column, true",
        }
    }

    fn draw(self, canvas: &mut Canvas, at: [f64; 2], radius: f64) {
        let half = 1.5 * radius;
        let square = Rect { x: at[0] - half, y: at[1] - half, width: 2.0 * half, height: 2.0 * half };
        match self {
            ColumnMark::FittedA => marks::draw(canvas, Mark::Disc, at, radius, ORANGE, Some(BLACK)),
            ColumnMark::FittedB => marks::draw(canvas, Mark::Square, at, radius, SKY_BLUE, Some(BLACK)),
            ColumnMark::TrueA | ColumnMark::TrueB => {
                for stroke in [Stroke::new(BLACK, 1.3), Stroke::new(WHITE, 0.7)] {
                    if self == ColumnMark::TrueA {
                        canvas.circle(at, half, None, Some(stroke));
                    } else {
                        canvas.rectangle(square, None, Some(stroke));
                    }
                }
            }
        }
    }
}

/// A marker.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Marker {
    /// Column of the image; the centre of the first pixel is 0.
    pub x_px: f64,
    /// Row of the image, downwards; the centre of the first pixel is 0.
    pub y_px: f64,
    /// What it stands for.
    pub kind: ColumnMark,
}

/// A displacement drawn magnified from its place.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Arrow {
    /// Where it starts, column of the image.
    pub x_px: f64,
    /// Where it starts, row of the image.
    pub y_px: f64,
    /// Displacement to the right in pm.
    pub dx_pm: f64,
    /// Displacement downwards in pm.
    pub dy_pm: f64,
}

/// One image with what was found in it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ImagePanel {
    /// Shown above it, such as "tilt 10 mrad".
    pub title: String,
    /// The image.
    pub pixels: Pixels,
    /// Markers on it; those that are not finite or outside are left out.
    pub markers: Vec<Marker>,
    /// Arrows on it.
    pub arrows: Vec<Arrow>,
}

/// Images side by side.
#[derive(Clone, Debug, PartialEq)]
pub struct ImageRow {
    /// What the figure shows, for readers who cannot see it; not drawn.
    pub title: String,
    /// The images from left to right.
    pub panels: Vec<ImagePanel>,
    /// Width on the page.
    pub width: Width,
    /// Colours of the intensities.
    pub colour_map: ColourMap,
    /// Give all images the same limits of contrast; otherwise each has its own.
    pub share_contrast: bool,
    /// Name and unit of the intensity for a colour bar (only with shared contrast); none without.
    pub intensity_label: Option<String>,
    /// What an arrow is, for its key, such as "B − mean A".
    pub arrow_label: String,
    /// Letter the panels a, b, c.
    pub letters: bool,
}

impl Default for ImageRow {
    fn default() -> Self {
        Self {
            title: String::new(),
            panels: Vec::new(),
            width: Width::Double,
            colour_map: ColourMap::Grey,
            share_contrast: true,
            intensity_label: None,
            arrow_label: "B − mean A".to_owned(),
            letters: true,
        }
    }
}

impl ImageRow {
    /// Draw the row.
    pub fn draw(&self) -> Result<Figure, ReportError> {
        if self.panels.is_empty() {
            return Err(ReportError::Empty { figure: FIGURE, missing: "no image was given".to_owned() });
        }
        for panel in &self.panels {
            panel.pixels.check(FIGURE)?;
        }
        let frames = self.frames()?;
        let low = frames.iter().map(Rect::bottom).fold(0.0, f64::max);
        let mut canvas = Canvas::new(self.width.pt(), low);
        check_height(FIGURE, low)?;
        let shared = self.shared_limits();
        let arrows = self.arrow_scale(&frames);
        for (index, (panel, frame)) in self.panels.iter().zip(&frames).enumerate() {
            let limits = if self.share_contrast { shared } else { panel.pixels.limits() };
            self.panel(&mut canvas, panel, *frame, limits, arrows.as_ref());
            self.heading(&mut canvas, panel, frame, index);
        }
        if let (Some(label), Some(last)) = (self.bar_label(), frames.last()) {
            let bar = Rect { x: last.right() + 6.0, y: last.y, width: 6.0, height: last.height };
            colour_bar(&mut canvas, bar, |fraction| self.colour_map.color(fraction), shared, label);
        }
        canvas.height_pt = self.key(&mut canvas, low + 6.0 + 0.5 * LINE_PT, arrows.as_ref()) + 0.5 * LINE_PT + MARGIN_PT;
        Ok(Figure::new(FIGURE, self.title.clone(), canvas))
    }

    fn bar_label(&self) -> Option<&str> {
        self.intensity_label.as_deref().filter(|_| self.share_contrast)
    }

    fn frames(&self) -> Result<Vec<Rect>, ReportError> {
        let bar = if self.bar_label().is_some() { COLOUR_BAR_ROOM_PT } else { 0.0 };
        let count = self.panels.len() as f64;
        let width = (self.width.pt() - 2.0 * MARGIN_PT - bar - GAP_PT * (count - 1.0)) / count;
        if width < 40.0 {
            let what = "the number of images in a row".to_owned();
            return Err(ReportError::Range { figure: FIGURE, what, found: count, allowed: "few enough for images wider than 14 mm" });
        }
        let top = MARGIN_PT + LINE_PT + 3.0;
        let frame = |(index, panel): (usize, &ImagePanel)| Rect {
            x: MARGIN_PT + index as f64 * (width + GAP_PT),
            y: top,
            width,
            height: width * panel.pixels.height as f64 / panel.pixels.width as f64,
        };
        Ok(self.panels.iter().enumerate().map(frame).collect())
    }

    fn shared_limits(&self) -> (f64, f64) {
        let limits = self.panels.iter().map(|panel| panel.pixels.limits());
        limits.fold((f64::INFINITY, f64::NEG_INFINITY), |(lo, hi), (a, b)| (lo.min(a), hi.max(b)))
    }

    /// One magnification for all panels: typical arrows are up to half as long as they are apart.
    fn arrow_scale(&self, frames: &[Rect]) -> Option<ArrowScale> {
        let (panel, frame) = self.panels.iter().zip(frames).next()?;
        let mut lengths: Vec<f64> = self.panels.iter().flat_map(|panel| &panel.arrows).map(|a| a.dx_pm.hypot(a.dy_pm)).collect();
        lengths.retain(|length| length.is_finite());
        lengths.sort_unstable_by(f64::total_cmp);
        let typical = *lengths.get((0.9 * (lengths.len() as f64 - 1.0)).max(0.0) as usize)?;
        let per_pm = Field::new(*frame, &panel.pixels).pt_per_px / panel.pixels.pixel_size_pm;
        let most = self.panels.iter().map(|panel| panel.arrows.len()).max().unwrap_or(1);
        let apart = (frame.width * frame.height / most as f64).sqrt();
        Some(ArrowScale::new(typical, (0.55 * apart).min(0.15 * frame.width), per_pm))
    }

    fn panel(&self, canvas: &mut Canvas, panel: &ImagePanel, frame: Rect, limits: (f64, f64), arrows: Option<&ArrowScale>) {
        let field = Field::new(frame, &panel.pixels);
        field.image(canvas, &panel.pixels, self.colour_map, limits);
        canvas.clipped(frame, |canvas| {
            for arrow in panel.arrows.iter().filter(|a| [a.x_px, a.y_px, a.dx_pm, a.dy_pm].iter().all(|v| v.is_finite())) {
                let Some(scale) = arrows else { continue };
                let from = field.at(arrow.x_px, arrow.y_px);
                let tip = scale.tip(from, arrow.dx_pm, arrow.dy_pm);
                canvas.arrow(from, tip, VERMILLION, 1.1, Some(BLACK));
            }
            let radius = mark_radius(panel, &field);
            // The open marks of the truth lie below the filled ones of the fit.
            for kind in ColumnMark::ALL.into_iter().rev() {
                let of_kind = panel.markers.iter().filter(|marker| marker.kind == kind);
                for marker in of_kind.filter(|marker| marker.x_px.is_finite() && marker.y_px.is_finite()) {
                    kind.draw(canvas, field.at(marker.x_px, marker.y_px), radius);
                }
            }
        });
        field.scale_bar(canvas);
        canvas.rectangle(frame, None, Some(Stroke::new(BLACK, 0.4)));
    }

    fn heading(&self, canvas: &mut Canvas, panel: &ImagePanel, frame: &Rect, index: usize) {
        let y = frame.y - 4.0;
        if self.letters && self.panels.len() > 1 {
            let face = Type { size_pt: LETTER_PT, ..Type::new(Along::Start, Across::Baseline) };
            canvas.text([frame.x, y], &char::from(b'a' + (index % 26) as u8).to_string(), face.bold());
        }
        let title = fonts::shorten(&panel.title, frame.width - 20.0, TEXT_PT, Weight::Regular);
        canvas.text([frame.x + 0.5 * frame.width, y], &title, Type::new(Along::Middle, Across::Baseline));
    }

    fn kinds(&self) -> Vec<ColumnMark> {
        let used = |kind: &ColumnMark| self.panels.iter().flat_map(|panel| &panel.markers).any(|marker| marker.kind == *kind);
        ColumnMark::ALL.into_iter().filter(used).collect()
    }

    /// The key below the images, broken into lines where the figure is narrow; returns the middle of its last line.
    fn key(&self, canvas: &mut Canvas, y: f64, arrows: Option<&ArrowScale>) -> f64 {
        let (mut x, mut y) = (MARGIN_PT + 3.0, y);
        let end = self.width.pt() - MARGIN_PT;
        for kind in self.kinds() {
            let wide = 8.0 + fonts::width_pt(kind.name(), TEXT_PT, Weight::Regular) + 12.0;
            if x + wide > end + 12.0 {
                (x, y) = (MARGIN_PT + 3.0, y + LINE_PT + 3.0);
            }
            kind.draw(canvas, [x, y], MARK_PT);
            canvas.text([x + 6.0, y], kind.name(), Type::new(Along::Start, Across::Middle));
            x += wide;
        }
        if let Some(scale) = arrows {
            if !self.kinds().is_empty() {
                (x, y) = (MARGIN_PT, y + LINE_PT + 3.0);
            }
            x += scale.key(canvas, [x, y], &self.arrow_label, VERMILLION) + 14.0;
        }
        if x + 75.0 > end {
            (x, y) = (MARGIN_PT, y + LINE_PT + 3.0);
        }
        axes_note(canvas, [x, y]);
        y
    }
}

/// Markers shrink where columns are close: their discs must not touch.
fn mark_radius(panel: &ImagePanel, field: &Field) -> f64 {
    let area = field.frame.width * field.frame.height;
    let apart = (area / panel.markers.len().max(1) as f64).sqrt();
    (0.2 * apart).clamp(0.5, MARK_PT)
}
