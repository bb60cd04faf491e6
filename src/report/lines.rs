//! Line charts: rows and columns of panels that share axes, one colour and marker a series, error bars or bands; values in the units
//! their labels name.

use super::ReportError;
use super::axes::{self, Axis, Plot, X_TICK_ROOM_PT};
use super::canvas::{Across, Along, Canvas, Rect, Stroke, Type};
use super::figure::Figure;
use super::fonts::{self, Weight};
use super::marks::{self, series_mark};
use super::series::{BAND_ALPHA, Series, Spread, band, bars_and_line, data_stroke, ends};
use super::style::{AXIS_PT, GREY, LETTER_PT, LINE_PT, MARGIN_PT, PT_PER_MM, TEXT_PT, WHITE, Width, check_height, series_color};
use super::ticks::Scale;

const FIGURE: &str = "line chart";
const MARK_PT: f64 = 1.9;
const COLUMN_GAP_PT: f64 = 12.0;
const ROW_GAP_PT: f64 = 9.0;
/// Length of the sample of line in a legend.
const SAMPLE_PT: f64 = 15.0;

/// One panel.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Panel {
    /// Shown above it, such as "20 nm"; may be empty.
    pub title: String,
    /// Its lines.
    pub series: Vec<Series>,
}

/// A row of panels that share the vertical axis.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Row {
    /// Name and unit of the vertical axis, such as "B − A shift, x (pm)".
    pub y_label: String,
    /// Its panels from left to right.
    pub panels: Vec<Panel>,
}

/// Where the legend stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Legend {
    /// In lines above the panels.
    #[default]
    Above,
    /// In a column at the right.
    Right,
    /// No legend.
    Hidden,
}

/// A grid of line charts with one horizontal axis.
#[derive(Clone, Debug, PartialEq)]
pub struct LineChart {
    /// What the figure shows, for readers who cannot see it; not drawn.
    pub title: String,
    /// Name and unit of the horizontal axis, such as "specimen tilt (mrad)".
    pub x_label: String,
    /// Rows from the top.
    pub rows: Vec<Row>,
    /// Width on the page.
    pub width: Width,
    /// Height of one panel in millimetres.
    pub panel_height_mm: f64,
    /// Place of the legend.
    pub legend: Legend,
    /// Scale of the horizontal axis.
    pub x_scale: Scale,
    /// Scale of the vertical axes.
    pub y_scale: Scale,
    /// Give all rows the same vertical range.
    pub share_y: bool,
    /// Draw a thin line at y = 0 (and make sure that 0 is in the range).
    pub zero_line: bool,
    /// Letter the panels a, b, c.
    pub letters: bool,
}

impl Default for LineChart {
    fn default() -> Self {
        Self {
            title: String::new(),
            x_label: String::new(),
            rows: Vec::new(),
            width: Width::Double,
            panel_height_mm: 36.0,
            legend: Legend::Above,
            x_scale: Scale::Linear,
            y_scale: Scale::Linear,
            share_y: true,
            zero_line: true,
            letters: true,
        }
    }
}

/// Where everything goes.
struct Layout {
    left_pt: f64,
    top_pt: f64,
    panel_width_pt: f64,
    panel_height_pt: f64,
    columns: usize,
    y_label_room_pt: f64,
    title_room_pt: f64,
    legend_lines: Vec<Vec<usize>>,
    sheet: [f64; 2],
}

impl LineChart {
    /// Draw the chart.
    pub fn draw(&self) -> Result<Figure, ReportError> {
        self.check()?;
        let labels = self.labels();
        let x_axis = self.x_axis()?;
        let y_axes = self.y_axes()?;
        let layout = self.layout(&labels, &y_axes)?;
        let mut canvas = Canvas::new(layout.sheet[0], layout.sheet[1]);
        let mut letter = 0;
        for (row_index, row) in self.rows.iter().enumerate() {
            for (column, panel) in row.panels.iter().enumerate() {
                let frame = layout.frame(row_index, column);
                let plot = Plot { frame, x: x_axis, y: y_axes[row_index] };
                // A panel with none below it carries the labels of the horizontal axis.
                let lowest = self.rows.iter().skip(row_index + 1).all(|below| below.panels.len() <= column);
                self.panel(&mut canvas, &plot, panel, &labels);
                plot.spines(&mut canvas, lowest, column == 0);
                self.heading(&mut canvas, &layout, &frame, panel, column, letter);
                letter += 1;
            }
            let first = layout.frame(row_index, 0);
            let x = layout.left_pt - layout.y_label_room_pt;
            axes::vertical_label(&mut canvas, x, &first, &row.y_label);
        }
        let middle = layout.left_pt + 0.5 * (layout.frame(0, layout.columns - 1).right() - layout.left_pt);
        let bottom = layout.frame(self.rows.len() - 1, 0).bottom() + X_TICK_ROOM_PT;
        canvas.text([middle, bottom + 3.0], &self.x_label, Type::new(Along::Middle, Across::Top));
        self.legend(&mut canvas, &layout, &labels);
        Ok(Figure::new(FIGURE, self.title.clone(), canvas))
    }

    fn check(&self) -> Result<(), ReportError> {
        for series in self.series() {
            let expected = series.x.len();
            let length = |what: &str, found: usize| {
                let what = format!("{what} of \"{}\"", series.label);
                if found == expected { Ok(()) } else { Err(ReportError::Length { figure: FIGURE, what, found, expected }) }
            };
            length("y", series.y.len())?;
            if let Spread::Bars(spread) | Spread::Band(spread) = &series.spread {
                length("the uncertainty", spread.len())?;
            }
        }
        if !(10.0..=200.0).contains(&self.panel_height_mm) {
            let what = "the panel height in mm".to_owned();
            return Err(ReportError::Range { figure: FIGURE, what, found: self.panel_height_mm, allowed: "between 10 and 200" });
        }
        if self.rows.iter().any(|row| row.panels.is_empty()) {
            return Err(self.empty("a row without panels was given; leave the row out"));
        }
        Ok(())
    }

    fn empty(&self, missing: &str) -> ReportError {
        let about = if self.title.is_empty() { String::new() } else { format!(" (\"{}\")", self.title) };
        ReportError::Empty { figure: FIGURE, missing: format!("{missing}{about}") }
    }

    fn series(&self) -> impl Iterator<Item = &Series> {
        self.rows.iter().flat_map(|row| &row.panels).flat_map(|panel| &panel.series)
    }

    /// Labels of the series in the order of their first appearance; the place in this list is the colour.
    fn labels(&self) -> Vec<String> {
        let mut labels: Vec<String> = Vec::new();
        for series in self.series() {
            if !labels.contains(&series.label) {
                labels.push(series.label.clone());
            }
        }
        labels
    }

    fn x_axis(&self) -> Result<Axis, ReportError> {
        let values = self.series().flat_map(|series| series.x.iter().zip(&series.y)).filter(|(_, y)| y.is_finite()).map(|(x, _)| *x);
        Axis::around(values, 0.05, self.x_scale).ok_or_else(|| {
            self.empty("no point has a finite x and y (and, on logarithmic axes, positive ones); check that the study has finished points")
        })
    }

    fn y_axes(&self) -> Result<Vec<Axis>, ReportError> {
        let zero = (self.zero_line && self.y_scale == Scale::Linear).then_some(0.0);
        let of_rows = |rows: &[Row]| {
            let ends = rows.iter().flat_map(|row| &row.panels).flat_map(|panel| &panel.series).flat_map(ends);
            Axis::around(ends.chain(zero), 0.07, self.y_scale)
        };
        let all = of_rows(&self.rows).ok_or_else(|| self.empty("no point has a finite y that its axis can show"))?;
        Ok(self.rows.iter().map(|row| if self.share_y { all } else { of_rows(std::slice::from_ref(row)).unwrap_or(all) }).collect())
    }

    fn layout(&self, labels: &[String], y_axes: &[Axis]) -> Result<Layout, ReportError> {
        let width = self.width.pt();
        let columns = self.rows.iter().map(|row| row.panels.len()).max().unwrap_or(1);
        let panel_height_pt = self.panel_height_mm * PT_PER_MM;
        let y_label_room_pt = y_axes.iter().map(|axis| axis.label_room_pt(panel_height_pt)).fold(0.0, f64::max) + 4.0;
        let y_text_pt = self.rows.iter().map(|row| axes::vertical_label_room_pt(panel_height_pt, &row.y_label)).fold(0.0, f64::max);
        let left_pt = MARGIN_PT + y_text_pt + y_label_room_pt;
        let beside = if self.shows(Legend::Right, labels) { 10.0 + SAMPLE_PT + 3.0 + widest(labels) } else { 0.0 };
        let right_pt = width - MARGIN_PT - 4.0 - beside;
        let panel_width_pt = (right_pt - left_pt - COLUMN_GAP_PT * (columns - 1) as f64) / columns as f64;
        if panel_width_pt < 25.0 {
            let what = "the number of panels in a row".to_owned();
            return Err(ReportError::Range {
                figure: FIGURE,
                what,
                found: columns as f64,
                allowed: "few enough for panels wider than 9 mm",
            });
        }
        let legend_lines = if self.shows(Legend::Above, labels) { legend_lines(labels, right_pt - left_pt) } else { Vec::new() };
        let titled = self.letters || self.rows.iter().flat_map(|row| &row.panels).any(|panel| !panel.title.is_empty());
        let title_room_pt = if titled { LINE_PT + 3.0 } else { 3.0 };
        let legend_room = if legend_lines.is_empty() { 0.0 } else { legend_lines.len() as f64 * (LINE_PT + 2.0) + 2.0 };
        let top_pt = MARGIN_PT + legend_room;
        let rows = self.rows.len() as f64;
        let height =
            top_pt + rows * (panel_height_pt + title_room_pt) + (rows - 1.0) * ROW_GAP_PT + X_TICK_ROOM_PT + 3.0 + LINE_PT + MARGIN_PT;
        check_height(FIGURE, height)?;
        let sheet = [width, height];
        Ok(Layout { left_pt, top_pt, panel_width_pt, panel_height_pt, columns, y_label_room_pt, title_room_pt, legend_lines, sheet })
    }

    fn shows(&self, place: Legend, labels: &[String]) -> bool {
        self.legend == place && labels.iter().any(|label| !label.is_empty())
    }

    fn heading(&self, canvas: &mut Canvas, layout: &Layout, frame: &Rect, panel: &Panel, column: usize, letter: usize) {
        let y = frame.y - 4.0;
        if self.letters {
            let left = if column == 0 { MARGIN_PT } else { frame.x - 0.5 * COLUMN_GAP_PT };
            let letter = char::from(b'a' + (letter % 26) as u8).to_string();
            let face = Type { size_pt: LETTER_PT, ..Type::new(Along::Start, Across::Baseline) };
            canvas.text([left, y], &letter, face.bold());
        }
        let title = fonts::shorten(&panel.title, layout.panel_width_pt - 8.0, TEXT_PT, Weight::Regular);
        canvas.text([frame.x + 0.5 * frame.width, y], &title, Type::new(Along::Middle, Across::Baseline));
    }

    fn panel(&self, canvas: &mut Canvas, plot: &Plot, panel: &Panel, labels: &[String]) {
        let frame = plot.frame;
        if self.zero_line && plot.y.holds(0.0) {
            let stroke = Stroke { color: GREY, width_pt: AXIS_PT, dash_pt: Some([2.0, 1.5]) };
            canvas.line(plot.at(plot.x.lo, 0.0), [frame.right(), plot.at(plot.x.lo, 0.0)[1]], stroke);
        }
        let index = |series: &Series| labels.iter().position(|label| *label == series.label).unwrap_or(0);
        canvas.clipped(frame, |canvas| {
            for series in &panel.series {
                band(canvas, plot, series, index(series));
            }
            for series in &panel.series {
                bars_and_line(canvas, plot, series, index(series));
            }
        });
        for series in panel.series.iter().filter(|series| series.markers) {
            for (&x, &y) in series.x.iter().zip(&series.y).filter(|(x, y)| plot.x.holds(**x) && plot.y.holds(**y)) {
                marks::draw(canvas, series_mark(index(series)), plot.at(x, y), MARK_PT, series_color(index(series)), Some(WHITE));
            }
        }
    }

    fn legend(&self, canvas: &mut Canvas, layout: &Layout, labels: &[String]) {
        for (line, items) in layout.legend_lines.iter().enumerate() {
            let mut x = layout.left_pt;
            for &index in items {
                self.legend_item(canvas, [x, MARGIN_PT + (line as f64 + 0.5) * (LINE_PT + 2.0)], &labels[index], index);
                x += item_width(&labels[index]);
            }
        }
        if self.shows(Legend::Right, labels) {
            let frame = layout.frame(0, layout.columns - 1);
            for (index, label) in labels.iter().enumerate() {
                self.legend_item(canvas, [frame.right() + 10.0, frame.y + 4.0 + index as f64 * (LINE_PT + 2.0)], label, index);
            }
        }
    }

    fn legend_item(&self, canvas: &mut Canvas, at: [f64; 2], label: &str, index: usize) {
        let Some(sample) = self.series().find(|series| series.label == label) else { return };
        let color = series_color(index);
        if let Spread::Band(_) = sample.spread {
            let frame = Rect { x: at[0], y: at[1] - 2.5, width: SAMPLE_PT, height: 5.0 };
            canvas.rectangle(frame, Some(color.with_alpha(BAND_ALPHA)), None);
        }
        if sample.line {
            canvas.line(at, [at[0] + SAMPLE_PT, at[1]], data_stroke(sample, index));
        }
        if sample.markers {
            marks::draw(canvas, series_mark(index), [at[0] + 0.5 * SAMPLE_PT, at[1]], MARK_PT, color, Some(WHITE));
        }
        canvas.text([at[0] + SAMPLE_PT + 3.0, at[1]], label, Type::new(Along::Start, Across::Middle));
    }
}

impl Layout {
    fn frame(&self, row: usize, column: usize) -> Rect {
        Rect {
            x: self.left_pt + column as f64 * (self.panel_width_pt + COLUMN_GAP_PT),
            y: self.top_pt + self.title_room_pt + row as f64 * (self.panel_height_pt + self.title_room_pt + ROW_GAP_PT),
            width: self.panel_width_pt,
            height: self.panel_height_pt,
        }
    }
}

fn widest(labels: &[String]) -> f64 {
    labels.iter().map(|label| fonts::width_pt(label, TEXT_PT, Weight::Regular)).fold(0.0, f64::max)
}

fn item_width(label: &str) -> f64 {
    SAMPLE_PT + 3.0 + fonts::width_pt(label, TEXT_PT, Weight::Regular) + 12.0
}

fn legend_lines(labels: &[String], room_pt: f64) -> Vec<Vec<usize>> {
    let (mut lines, mut used) = (vec![Vec::new()], 0.0);
    for (index, label) in labels.iter().enumerate() {
        let width = item_width(label);
        if used + width > room_pt + 12.0 && used > 0.0 {
            lines.push(Vec::new());
            used = 0.0;
        }
        lines.last_mut().expect("the list starts with one line").push(index);
        used += width;
    }
    lines
}
