//! A matrix of numbers with their uncertainties as a heat map: networks against images, window sizes against doses; each cell tells its value
//! and the half width of its confidence interval.

use super::ReportError;
use super::canvas::{Across, Along, Canvas, Rect, Stroke, Type};
use super::figure::Figure;
use super::fonts::{self, Weight};
use super::overlay::{COLOUR_BAR_ROOM_PT, colour_bar};
use super::picture::ColourMap;
use super::style::{BLACK, Color, LETTER_PT, LINE_PT, MARGIN_PT, TEXT_PT, WHITE, Width, check_height};
use super::ticks::format_value;
use super::wheel::diverging;

const FIGURE: &str = "matrix";

/// Height of a cell with two lines of text.
const CELL_HEIGHT_PT: f64 = 22.0;
/// A cell narrower than this holds no numbers.
const NARROWEST_PT: f64 = 17.0;
/// Widest cell: a matrix of two columns shall not fill the page.
const WIDEST_PT: f64 = 52.0;
/// Gap between groups of rows.
const GROUP_GAP_PT: f64 = 5.0;

/// One number of the matrix.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct MatrixValue {
    /// The number; NaN leaves the cell grey.
    pub value: f64,
    /// Half width of its confidence interval; NaN where unknown.
    pub half_width: f64,
}

/// A row with its name.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct MatrixRow {
    /// Its name, at the left.
    pub name: String,
    /// Rows of one group stand together, those of the next behind a gap (networks, and the fit they are measured against).
    pub group: usize,
    /// One value a column.
    pub values: Vec<MatrixValue>,
}

/// How numbers become colours.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MatrixColours {
    /// From the smallest to the largest: errors.
    #[default]
    Sequential,
    /// Blue below zero, red above: signed errors.
    Diverging,
}

/// The matrix.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Matrix {
    /// What the figure shows, for readers who cannot see it; not drawn.
    pub title: String,
    /// What the rows are, with unit.
    pub row_label: String,
    /// What the columns are, with unit.
    pub column_label: String,
    /// Names of the columns.
    pub columns: Vec<String>,
    /// The rows.
    pub rows: Vec<MatrixRow>,
    /// What the numbers are, with unit: beside the colour bar.
    pub value_label: String,
    /// Colours.
    pub colours: MatrixColours,
    /// Whether cells on the diagonal (row and column of one name) get a frame: trained and tested alike.
    pub mark_diagonal: bool,
    /// Width on the page.
    pub width: Width,
}

impl Matrix {
    /// Draws it.
    ///
    /// # Errors
    /// [`ReportError`] for rows of unequal length, or without one number.
    pub fn draw(&self) -> Result<Figure, ReportError> {
        self.check()?;
        let (low, high) = self.range()?;
        let names = self.rows.iter().map(|r| fonts::width_pt(&r.name, TEXT_PT, Weight::Regular)).fold(0.0, f64::max);
        let left = MARGIN_PT + LINE_PT + 4.0 + names + 4.0;
        let room = self.width.pt() - left - COLOUR_BAR_ROOM_PT - MARGIN_PT;
        let cell_width = (room / self.columns.len() as f64).min(WIDEST_PT);
        let top = MARGIN_PT + 2.0 * LINE_PT + 6.0;
        let gaps = self.rows.windows(2).filter(|pair| pair[0].group != pair[1].group).count() as f64;
        let height = self.rows.len() as f64 * CELL_HEIGHT_PT + gaps * GROUP_GAP_PT;
        let right = left + cell_width * self.columns.len() as f64;
        // The label of the bar may be longer than the bar; above it is room.
        let label = fonts::width_pt(&self.value_label, TEXT_PT, Weight::Regular);
        let bottom = top + height.max(0.5 * (height + label)) + MARGIN_PT;
        let mut canvas = Canvas::new(right + COLOUR_BAR_ROOM_PT + MARGIN_PT, bottom);
        check_height(FIGURE, canvas.height_pt)?;
        let colour = |value: f64| match self.colours {
            MatrixColours::Sequential => ColourMap::Viridis.color((value - low) / (high - low)),
            MatrixColours::Diverging => diverging(value / high),
        };
        let middle = Type::new(Along::Middle, Across::Baseline);
        canvas.text([0.5 * (left + right), MARGIN_PT + LETTER_PT], &self.column_label, middle);
        for (column, name) in self.columns.iter().enumerate() {
            let text = fonts::shorten(name, cell_width - 2.0, TEXT_PT, Weight::Regular);
            canvas.text([left + (column as f64 + 0.5) * cell_width, top - 4.0], &text, middle);
        }
        let face = Type { turned: true, ..Type::new(Along::Middle, Across::Top) };
        canvas.text([MARGIN_PT, top + 0.5 * height], &self.row_label, face);
        let mut y = top;
        for (index, row) in self.rows.iter().enumerate() {
            if index > 0 && self.rows[index - 1].group != row.group {
                y += GROUP_GAP_PT;
            }
            canvas.text([left - 4.0, y + 0.5 * CELL_HEIGHT_PT], &row.name, Type::new(Along::End, Across::Middle));
            for (column, value) in row.values.iter().enumerate() {
                let frame = Rect { x: left + column as f64 * cell_width, y, width: cell_width, height: CELL_HEIGHT_PT };
                let marked = self.mark_diagonal && self.columns[column] == row.name;
                cell(&mut canvas, frame, *value, value.value.is_finite().then(|| colour(value.value)), marked);
            }
            y += CELL_HEIGHT_PT;
        }
        let bar = Rect { x: right + 6.0, y: top, width: 6.0, height };
        let (low, range) = match self.colours {
            MatrixColours::Sequential => (low, (low, high)),
            MatrixColours::Diverging => (-high, (-high, high)),
        };
        colour_bar(&mut canvas, bar, |fraction| colour(low + fraction * (high - low)), range, &self.value_label);
        Ok(Figure::new(FIGURE, self.title.clone(), canvas))
    }

    fn check(&self) -> Result<(), ReportError> {
        if self.columns.is_empty() || self.rows.is_empty() {
            return Err(ReportError::Empty { figure: FIGURE, missing: "it has no rows or no columns".to_owned() });
        }
        match self.rows.iter().find(|row| row.values.len() != self.columns.len()) {
            Some(row) => {
                let what = format!("the row \"{}\"", row.name);
                Err(ReportError::Length { figure: FIGURE, what, found: row.values.len(), expected: self.columns.len() })
            }
            None => Ok(()),
        }
    }

    /// Ends of the colours.
    fn range(&self) -> Result<(f64, f64), ReportError> {
        let values = || self.rows.iter().flat_map(|r| &r.values).map(|v| v.value).filter(|v| v.is_finite());
        let (low, high) = values().fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), v| (l.min(v), h.max(v)));
        if low > high {
            return Err(ReportError::Empty { figure: FIGURE, missing: "no cell holds a number".to_owned() });
        }
        match self.colours {
            MatrixColours::Sequential => Ok((low, high.max(low + 1e-9 * low.abs().max(1e-9)))),
            MatrixColours::Diverging => Ok((0.0, low.abs().max(high.abs()).max(1e-9))),
        }
    }
}

fn cell(canvas: &mut Canvas, frame: Rect, value: MatrixValue, colour: Option<[u8; 3]>, marked: bool) {
    let [r, g, b] = colour.unwrap_or([205; 3]);
    canvas.rectangle(frame, Some(Color::new(r, g, b)), Some(Stroke::new(WHITE, 0.5)));
    if marked {
        let inner = Rect { x: frame.x + 1.2, y: frame.y + 1.2, width: frame.width - 2.4, height: frame.height - 2.4 };
        canvas.rectangle(inner, None, Some(Stroke::new(ink([r, g, b]), 0.8)));
    }
    if colour.is_none() || frame.width < NARROWEST_PT {
        return;
    }
    let ink = ink([r, g, b]);
    let digits = usize::from(value.value.abs() < 99.5);
    let at = |line: f64| [frame.x + 0.5 * frame.width, frame.y + 0.5 * frame.height + line];
    let middle = Type::new(Along::Middle, Across::Middle).colored(ink);
    if value.half_width.is_finite() {
        canvas.text(at(-4.0), &format_value(value.value, digits), middle.bold());
        canvas.text(at(4.6), &format!("±{}", format_value(value.half_width, digits)), Type { size_pt: 5.8, ..middle });
    } else {
        canvas.text(at(0.0), &format_value(value.value, digits), middle.bold());
    }
}

/// Black or white, whichever reads better on a colour (luminance by Rec. 709).
fn ink(rgb: [u8; 3]) -> Color {
    let [r, g, b] = rgb.map(|c| (f64::from(c) / 255.0).powf(2.2));
    if 0.2126 * r + 0.7152 * g + 0.0722 * b > 0.22 { BLACK } else { WHITE }
}

#[cfg(test)]
mod tests {
    use super::super::samples::{check, noise};
    use super::*;

    fn example() -> Matrix {
        let names = ["0 %", "7 %", "10 %", "13 %", "20 %"];
        let value = |i: usize, j: usize| MatrixValue {
            value: 3.0 + 4.0 * (i as f64 - j as f64).abs() + noise((5 * i + j) as u64).abs(),
            half_width: 0.4 + 0.1 * i as f64,
        };
        let row =
            |(i, name): (usize, &&str)| MatrixRow { name: (*name).to_owned(), group: 0, values: (0..5).map(|j| value(i, j)).collect() };
        let mut rows: Vec<MatrixRow> = names.iter().enumerate().map(row).collect();
        rows.push(MatrixRow { name: "all".into(), group: 1, values: (0..5).map(|j| value(j, j)).collect() });
        let fit = |j: usize| MatrixValue { value: if j == 4 { f64::NAN } else { 5.5 }, half_width: f64::NAN };
        rows.push(MatrixRow { name: "Gaussian fit".into(), group: 2, values: (0..5).map(fit).collect() });
        Matrix {
            title: "Error of networks trained at one composition and tested at another".into(),
            row_label: "trained at Sm content".into(),
            column_label: "tested at Sm content".into(),
            columns: names.map(str::to_owned).to_vec(),
            rows,
            value_label: "RMSE (pm), ± 95 % confidence".into(),
            mark_diagonal: true,
            ..Matrix::default()
        }
    }

    #[test]
    fn a_matrix_shows_its_numbers_and_their_intervals() {
        let figure = example().draw().unwrap();
        check(&figure, "sample-matrix", &["tested at Sm content", "Gaussian fit", "±0.8", "RMSE (pm)"]);
        let signed =
            Matrix { colours: MatrixColours::Diverging, value_label: "mean error along x (pm)".into(), width: Width::Single, ..example() };
        check(&signed.draw().unwrap(), "sample-matrix-signed", &["mean error along x (pm)"]);
    }

    #[test]
    fn what_is_no_matrix_is_refused() {
        let mut short = example();
        short.rows[2].values.pop();
        assert!(short.draw().unwrap_err().to_string().contains("the row \"10 %\" has 4 values where 5 are needed"));
        let mut empty = example();
        empty.rows.iter_mut().flat_map(|r| &mut r.values).for_each(|v| v.value = f64::NAN);
        assert!(empty.draw().unwrap_err().to_string().contains("no cell holds a number"));
    }

    #[test]
    fn text_reads_on_every_colour() {
        for fraction in 0..=20 {
            let rgb = ColourMap::Viridis.color(f64::from(fraction) / 20.0);
            let luminance = |rgb: [u8; 3]| {
                let [r, g, b] = rgb.map(|c| (f64::from(c) / 255.0).powf(2.2));
                0.2126 * r + 0.7152 * g + 0.0722 * b
            };
            let (paper, ink) = (luminance(rgb), luminance(ink(rgb).rgb));
            // WCAG 2: contrast of at least 3 for bold text.
            assert!((paper.max(ink) + 0.05) / (paper.min(ink) + 0.05) > 3.0, "{rgb:?}");
        }
    }
}
