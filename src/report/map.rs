//! Maps of a measured polarization, cell by cell (displacements in pm, x right and y down, places in image pixels): colour wheel,
//! arrows over the image, uncertainty, difference of two maps.

use super::ReportError;
use super::canvas::{Across, Along, Canvas, Picture, Rect, Stroke, Type};
use super::figure::Figure;
use super::overlay::{ArrowScale, COLOUR_BAR_ROOM_PT, Field, axes_note, colour_bar};
use super::picture::{ColourMap, Pixels};
use super::style::{BLACK, Color, LETTER_PT, LINE_PT, MARGIN_PT, WHITE, Width, check_height};
use super::ticks::{decimals, format_value};
use super::wheel::{diverging, wheel};

const FIGURE: &str = "polarization map";

/// One cell of a map.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct MapCell {
    /// Its middle, column of the image (the centre of the first pixel is 0).
    pub x_px: f64,
    /// Its middle, row of the image, downwards.
    pub y_px: f64,
    /// Its four corners in order around it, in pixels of the image: the A-site columns.
    pub corners_px: [[f64; 2]; 4],
    /// Displacement of the B column to the right.
    pub px_pm: f64,
    /// Displacement of the B column downwards.
    pub py_pm: f64,
    /// Standard deviation of the displacement along its own direction; NaN where unknown.
    pub sigma_pm: f64,
    /// Whether its columns were found and fitted; other cells are grey with a cross.
    pub resolved: bool,
}

impl MapCell {
    /// Resolved, with finite displacements.
    pub(crate) fn is_measured(&self) -> bool {
        self.resolved && self.px_pm.is_finite() && self.py_pm.is_finite()
    }
}

/// A polarization measured on one image.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct MapData {
    /// The image it was measured on.
    pub pixels: Pixels,
    /// Its cells.
    pub cells: Vec<MapCell>,
}

/// How maps are drawn.
#[derive(Clone, Debug, PartialEq)]
pub struct MapStyle {
    /// What the figure shows, for readers who cannot see it; not drawn.
    pub title: String,
    /// Width on the page.
    pub width: Width,
    /// Displacement at the rim of the colour wheel; larger ones have the same colour.
    pub legend_pm: f64,
}

impl Default for MapStyle {
    fn default() -> Self {
        Self { title: String::new(), width: Width::Single, legend_pm: 50.0 }
    }
}

/// What is drawn on one panel.
struct Sheet<'a> {
    data: &'a MapData,
    canvas: Canvas,
    field: Field,
}

impl MapData {
    /// Each cell in the colour of its displacement, with the wheel as legend.
    pub fn colour_wheel(&self, style: &MapStyle) -> Result<Figure, ReportError> {
        let full = checked_legend(style)?;
        let mut sheet = self.sheet(style, WHEEL_ROOM_PT)?;
        sheet.cells(self.cells.iter(), |cell| Some(wheel(cell.px_pm, cell.py_pm, full)));
        sheet.frame();
        let right = sheet.field.frame.right();
        wheel_legend(&mut sheet.canvas, [right + 0.5 * WHEEL_ROOM_PT, sheet.field.frame.y + 22.0], full);
        Ok(sheet.finish(style))
    }

    /// An arrow for each cell over the image, all magnified alike, in the colours of the wheel.
    pub fn arrows(&self, style: &MapStyle) -> Result<Figure, ReportError> {
        let full = checked_legend(style)?;
        let mut sheet = self.sheet(style, WHEEL_ROOM_PT)?;
        let (field, frame) = (sheet.field, sheet.field.frame);
        field.image(&mut sheet.canvas, &self.pixels, ColourMap::Grey, self.pixels.limits());
        let cell_pt = self.cell_edge_px() * field.pt_per_px;
        let scale = ArrowScale::new(0.7 * full, 0.95 * cell_pt, field.pt_per_px / self.pixels.pixel_size_pm);
        let measured = self.cells.iter().filter(|cell| cell.is_measured());
        let width = (0.13 * cell_pt).clamp(0.25, 1.1);
        sheet.canvas.clipped(frame, |canvas| {
            for cell in measured {
                let [x, y] = field.at(cell.x_px, cell.y_px);
                let (dx, dy) = (cell.px_pm * scale.pt_per_pm, cell.py_pm * scale.pt_per_pm);
                let [r, g, b] = wheel(cell.px_pm, cell.py_pm, full);
                canvas.arrow([x - 0.5 * dx, y - 0.5 * dy], [x + 0.5 * dx, y + 0.5 * dy], Color::new(r, g, b), width, Some(BLACK));
            }
        });
        sheet.frame();
        wheel_legend(&mut sheet.canvas, [frame.right() + 0.5 * WHEEL_ROOM_PT, frame.y + 22.0], full);
        let y = frame.bottom() + 6.0 + 0.5 * LINE_PT + LINE_PT + 3.0;
        scale.key(&mut sheet.canvas, [MARGIN_PT, y], "displacement", BLACK);
        sheet.canvas.height_pt += LINE_PT + 3.0;
        Ok(sheet.finish(style))
    }

    /// The standard deviation of each cell's displacement.
    pub fn uncertainty(&self, style: &MapStyle) -> Result<Figure, ReportError> {
        let mut sigmas: Vec<f64> = self.cells.iter().filter(|c| c.is_measured() && c.sigma_pm.is_finite()).map(|c| c.sigma_pm).collect();
        if sigmas.is_empty() {
            return Err(ReportError::Empty { figure: FIGURE, missing: "no resolved cell has a known uncertainty".to_owned() });
        }
        sigmas.sort_unstable_by(f64::total_cmp);
        let at = |quantile: f64| sigmas[((sigmas.len() - 1) as f64 * quantile).round() as usize];
        let (low, high) = (at(0.02), at(0.98).max(at(0.02) + 1e-3));
        let mut sheet = self.sheet(style, COLOUR_BAR_ROOM_PT)?;
        let color = |sigma: f64| ColourMap::Viridis.color((sigma - low) / (high - low));
        sheet.cells(self.cells.iter(), |cell| cell.sigma_pm.is_finite().then(|| color(cell.sigma_pm)));
        sheet.frame();
        let frame = sheet.field.frame;
        let bar = Rect { x: frame.right() + 6.0, y: frame.y, width: 6.0, height: frame.height };
        colour_bar(&mut sheet.canvas, bar, |fraction| ColourMap::Viridis.color(fraction), (low, high), "σ of the displacement (pm)");
        Ok(sheet.finish(style))
    }

    /// This map minus another of the same cells (the truth, another method), one panel for each component.
    ///
    /// Cells are joined by their place in the list; only those measured in both are drawn.
    pub fn difference(&self, other: &[MapCell], style: &MapStyle) -> Result<Figure, ReportError> {
        let figure = "difference map";
        if other.len() != self.cells.len() {
            let what = "the second map".to_owned();
            return Err(ReportError::Length { figure, what, found: other.len(), expected: self.cells.len() });
        }
        let join = |(mine, other): (&MapCell, &MapCell)| MapCell {
            px_pm: mine.px_pm - other.px_pm,
            py_pm: mine.py_pm - other.py_pm,
            resolved: mine.is_measured() && other.is_measured(),
            ..*mine
        };
        let cells: Vec<MapCell> = self.cells.iter().zip(other).map(join).collect();
        let mut sizes: Vec<f64> = cells.iter().filter(|c| c.resolved).flat_map(|c| [c.px_pm.abs(), c.py_pm.abs()]).collect();
        if sizes.is_empty() {
            return Err(ReportError::Empty { figure, missing: "no cell is resolved in both maps".to_owned() });
        }
        sizes.sort_unstable_by(f64::total_cmp);
        let full = sizes[((sizes.len() - 1) as f64 * 0.98).round() as usize].max(1e-3);
        let style = MapStyle { width: Width::Double, ..style.clone() };
        let mut sheet = self.sheet(&style, COLOUR_BAR_ROOM_PT)?;
        let whole = sheet.field.frame;
        let edge = 0.5 * (whole.width - 8.0);
        let height = edge * whole.height / whole.width;
        for (index, (name, value)) in
            [("ΔP along x", (|c: &MapCell| c.px_pm) as fn(&MapCell) -> f64), ("ΔP along y", |c| c.py_pm)].into_iter().enumerate()
        {
            let frame = Rect { x: whole.x + index as f64 * (edge + 8.0), y: whole.y + LINE_PT + 3.0, width: edge, height };
            sheet.field = Field::new(frame, &self.pixels);
            sheet.cells(cells.iter(), |cell| Some(diverging(value(cell) / full)));
            sheet.frame();
            let face = Type { size_pt: LETTER_PT, ..Type::new(Along::Start, Across::Baseline) };
            sheet.canvas.text([frame.x, frame.y - 4.0], ["a", "b"][index], face.bold());
            sheet.canvas.text([frame.x + 0.5 * edge, frame.y - 4.0], name, Type::new(Along::Middle, Across::Baseline));
        }
        sheet.canvas.height_pt += LINE_PT + 3.0 + height - whole.height;
        let frame = sheet.field.frame;
        let bar = Rect { x: frame.right() + 6.0, y: frame.y, width: 6.0, height: frame.height };
        colour_bar(&mut sheet.canvas, bar, |fraction| diverging(2.0 * fraction - 1.0), (-full, full), "difference (pm)");
        Ok(sheet.finish(&style))
    }

    /// A sheet with room for one panel as wide as the page allows and for its legend at the right.
    fn sheet(&self, style: &MapStyle, legend_pt: f64) -> Result<Sheet<'_>, ReportError> {
        self.pixels.check(FIGURE)?;
        if !self.cells.iter().any(MapCell::is_measured) {
            let missing = "no cell is resolved; check the pixel size and the zone axis, and that atomic columns are visible".to_owned();
            return Err(ReportError::Empty { figure: FIGURE, missing });
        }
        let width = style.width.pt() - 2.0 * MARGIN_PT - legend_pt;
        let height = width * self.pixels.height as f64 / self.pixels.width as f64;
        let frame = Rect { x: MARGIN_PT, y: MARGIN_PT + 2.0, width, height };
        let canvas = Canvas::new(style.width.pt(), frame.bottom() + 6.0 + LINE_PT + MARGIN_PT);
        check_height(FIGURE, canvas.height_pt)?;
        Ok(Sheet { data: self, canvas, field: Field::new(frame, &self.pixels) })
    }

    /// Edge of a typical cell: the root of the median area.
    fn cell_edge_px(&self) -> f64 {
        let mut areas: Vec<f64> = self.cells.iter().map(|cell| area(&cell.corners_px)).filter(|area| *area > 0.0).collect();
        areas.sort_unstable_by(f64::total_cmp);
        areas.get(areas.len() / 2).map_or(1.0, |area| area.sqrt())
    }
}

/// Area of a polygon in squared pixels (shoelace).
fn area(corners: &[[f64; 2]; 4]) -> f64 {
    let cross = |k: usize| corners[k][0] * corners[(k + 1) % 4][1] - corners[(k + 1) % 4][0] * corners[k][1];
    0.5 * (0..4).map(cross).sum::<f64>().abs()
}

fn checked_legend(style: &MapStyle) -> Result<f64, ReportError> {
    if style.legend_pm > 0.0 && style.legend_pm.is_finite() {
        return Ok(style.legend_pm);
    }
    let what = "the displacement at the rim of the wheel in pm".to_owned();
    Err(ReportError::Range { figure: FIGURE, what, found: style.legend_pm, allowed: "positive" })
}

impl Sheet<'_> {
    /// Fill the cells over a faint image; a cell without a colour is grey with a cross.
    fn cells<'a>(&mut self, cells: impl Iterator<Item = &'a MapCell>, color: impl Fn(&MapCell) -> Option<[u8; 3]>) {
        let (field, data) = (self.field, self.data);
        field.image(&mut self.canvas, &data.pixels, ColourMap::Grey, data.pixels.limits());
        self.canvas.clipped(field.frame, |canvas| {
            for cell in cells.filter(|cell| cell.corners_px.iter().flatten().all(|v| v.is_finite())) {
                let corners: Vec<[f64; 2]> = cell.corners_px.iter().map(|corner| field.at(corner[0], corner[1])).collect();
                if let Some([r, g, b]) = color(cell).filter(|_| cell.is_measured()) {
                    // A rim of the same colour closes the hair line between neighbours.
                    let color = Color::new(r, g, b);
                    canvas.polygon(corners, Some(color), Some(Stroke::new(color, 0.2)));
                } else {
                    let stroke = Stroke::new(WHITE, 0.4);
                    canvas.polygon(corners.clone(), Some(Color::new(110, 110, 110)), None);
                    canvas.line(corners[0], corners[2], stroke);
                    canvas.line(corners[1], corners[3], stroke);
                }
            }
        });
    }

    fn frame(&mut self) {
        self.field.scale_bar(&mut self.canvas);
        self.canvas.rectangle(self.field.frame, None, Some(Stroke::new(BLACK, 0.4)));
        let measured = self.data.cells.iter().filter(|cell| cell.is_measured()).count();
        let y = self.field.frame.bottom() + 6.0 + 0.5 * LINE_PT;
        if self.field.frame.x <= MARGIN_PT {
            let used = axes_note(&mut self.canvas, [MARGIN_PT, y]);
            let crossed = self.data.cells.len() - measured;
            let unresolved = if crossed > 0 { format!("; {crossed} not resolved") } else { String::new() };
            let text = format!("{measured} cells{unresolved}");
            self.canvas.text([MARGIN_PT + used + 12.0, y], &text, Type::new(Along::Start, Across::Middle));
        }
    }

    fn finish(self, style: &MapStyle) -> Figure {
        Figure::new(FIGURE, style.title.clone(), self.canvas)
    }
}

/// Room at the right of a panel for the wheel.
pub(crate) const WHEEL_ROOM_PT: f64 = 58.0;

/// The wheel: direction is hue, distance from the middle is size; its rim is `full` pm.
pub(crate) fn wheel_legend(canvas: &mut Canvas, centre: [f64; 2], full: f64) {
    const RADIUS: f64 = 20.0;
    const DOTS: usize = 200;
    let mut rgb = Vec::with_capacity(3 * DOTS * DOTS);
    for row in 0..DOTS {
        for column in 0..DOTS {
            let place = |index: usize| (index as f64 + 0.5) / DOTS as f64 * 2.0 - 1.0;
            let (x, y) = (place(column), place(row));
            rgb.extend(if x.hypot(y) < 1.0 { wheel(x, y, 1.0) } else { [255; 3] });
        }
    }
    let frame = Rect { x: centre[0] - RADIUS, y: centre[1] - RADIUS, width: 2.0 * RADIUS, height: 2.0 * RADIUS };
    canvas.picture(frame, Picture { rgb, width: DOTS, height: DOTS });
    canvas.circle(centre, RADIUS, None, Some(Stroke::new(BLACK, 0.5)));
    canvas.line(centre, [centre[0] + RADIUS, centre[1]], Stroke::new(BLACK, 0.5));
    canvas.text([centre[0] + RADIUS + 3.0, centre[1]], "x", Type::new(Along::Start, Across::Middle));
    canvas.text([centre[0], centre[1] + RADIUS + 3.0], "y", Type::new(Along::Middle, Across::Top));
    let label = format!("radius {} pm", format_value(full, decimals(full).min(1)));
    canvas.text([centre[0], centre[1] + RADIUS + 14.0], &label, Type::new(Along::Middle, Across::Top));
}
