//! The one style of every figure: sizes in points (1/72 inch), line widths, colours (Okabe-Ito, safe for colour-blind readers).

use super::ReportError;

/// Points in a millimetre.
pub(crate) const PT_PER_MM: f64 = 72.0 / 25.4;
/// Resolution of PNG files, dots per inch.
pub(crate) const DOTS_PER_INCH: f64 = 300.0;
/// Font size of labels, ticks and legends.
pub(crate) const TEXT_PT: f64 = 7.0;
/// Font size of the panel letters a, b, c.
pub(crate) const LETTER_PT: f64 = 8.0;
/// From one line of text to the next.
pub(crate) const LINE_PT: f64 = 8.6;
/// Axes and ticks.
pub(crate) const AXIS_PT: f64 = 0.5;
/// Length of a tick.
pub(crate) const TICK_PT: f64 = 2.5;
/// Data lines.
pub(crate) const DATA_PT: f64 = 1.0;
/// White margin around a figure.
pub(crate) const MARGIN_PT: f64 = 3.0;
/// No figure is taller.
const TALLEST_MM: f64 = 500.0;

/// Refuse a figure that no sheet holds.
pub(crate) fn check_height(figure: &'static str, height_pt: f64) -> Result<(), ReportError> {
    let height_mm = height_pt / PT_PER_MM;
    if height_mm > TALLEST_MM { Err(ReportError::TooTall { figure, height_mm, limit_mm: TALLEST_MM }) } else { Ok(()) }
}

/// Width of a figure on the page of a journal.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Width {
    /// One column, 89 mm.
    Single,
    /// Both columns, 183 mm.
    #[default]
    Double,
}

impl Width {
    /// The width in millimetres.
    #[must_use]
    pub fn mm(self) -> f64 {
        match self {
            Width::Single => 89.0,
            Width::Double => 183.0,
        }
    }

    pub(crate) fn pt(self) -> f64 {
        self.mm() * PT_PER_MM
    }
}

/// A colour in sRGB, 0-255, with its opacity, 0-1.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Color {
    pub(crate) rgb: [u8; 3],
    pub(crate) alpha: f64,
}

impl Color {
    pub(crate) const fn new(r: u8, g: u8, b: u8) -> Self {
        Self { rgb: [r, g, b], alpha: 1.0 }
    }

    pub(crate) const fn with_alpha(self, alpha: f64) -> Self {
        Self { rgb: self.rgb, alpha }
    }
}

pub(crate) const BLACK: Color = Color::new(0, 0, 0);
pub(crate) const WHITE: Color = Color::new(255, 255, 255);
pub(crate) const GREY: Color = Color::new(150, 150, 150);
pub(crate) const BLUE: Color = Color::new(0, 114, 178);
pub(crate) const VERMILLION: Color = Color::new(213, 94, 0);
pub(crate) const ORANGE: Color = Color::new(230, 159, 0);
pub(crate) const SKY_BLUE: Color = Color::new(86, 180, 233);

/// Colours of series in the order they are taken: Okabe and Ito, <https://jfly.uni-koeln.de/color/>, without the yellow that
/// vanishes on white.
pub(crate) const SERIES: [Color; 7] =
    [BLUE, VERMILLION, Color::new(0, 158, 115), Color::new(204, 121, 167), ORANGE, SKY_BLUE, Color::new(90, 90, 90)];

/// Colour of the series number `index`; after the last the first again (markers tell them apart).
pub(crate) fn series_color(index: usize) -> Color {
    SERIES[index % SERIES.len()]
}
