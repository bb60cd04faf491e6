//! Truth, prediction and difference side by side over one image, with the line that divides training from test; displacements in pm, x right
//! and y down, in the colours of the wheel.

use super::ReportError;
use super::canvas::{Across, Along, Canvas, Rect, Stroke, Type};
use super::figure::Figure;
use super::map::{WHEEL_ROOM_PT, wheel_legend};
use super::overlay::{Field, axes_note};
use super::picture::{ColourMap, Pixels};
use super::style::{BLACK, Color, LETTER_PT, LINE_PT, MARGIN_PT, WHITE, Width, check_height};
use super::wheel::wheel;

/// What of a window is drawn.
type Vector<'a> = &'a dyn Fn(&SplitPoint) -> [f64; 2];

const FIGURE: &str = "truth, prediction, difference";
/// Gap between panels.
const GAP_PT: f64 = 7.0;

/// One window: its label and what the network says.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct SplitPoint {
    /// Where it stands, px of the image.
    pub position_px: [f64; 2],
    /// Label (x, y), pm.
    pub truth_pm: [f64; 2],
    /// Prediction (x, y), pm; NaN where there is none.
    pub prediction_pm: [f64; 2],
}

/// One image with its windows.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SplitMaps {
    /// What the figure shows, for readers who cannot see it; not drawn.
    pub title: String,
    /// The image.
    pub pixels: Pixels,
    /// Windows, each drawn as a square about its place.
    pub points: Vec<SplitPoint>,
    /// Side of that square, px.
    pub spacing_px: f64,
    /// Line between training and test, px; `None` where nothing divides them.
    pub line_px: Option<[[f64; 2]; 2]>,
    /// Which side of the line trains: a direction from the test to the training side.
    pub towards_training: [f64; 2],
    /// Displacement at the rim of the wheel, pm.
    pub legend_pm: f64,
    /// The same of the differences, pm.
    pub difference_legend_pm: f64,
    /// What the labels are: "truth", "column fit".
    pub label_name: String,
}

impl SplitMaps {
    /// Draws the three panels.
    ///
    /// # Errors
    /// [`ReportError`] if there is no image, no window, or a legend is no length.
    pub fn draw(&self) -> Result<Figure, ReportError> {
        self.pixels.check(FIGURE)?;
        if self.points.is_empty() {
            return Err(ReportError::Empty { figure: FIGURE, missing: "there is no window".to_owned() });
        }
        for found in [self.legend_pm, self.difference_legend_pm, self.spacing_px] {
            if !(found.is_finite() && found > 0.0) {
                let what = "a displacement at the rim of a wheel, or the side of a window,".to_owned();
                return Err(ReportError::Range { figure: FIGURE, what, found, allowed: "positive" });
            }
        }
        let edge = (Width::Double.pt() - 2.0 * MARGIN_PT - WHEEL_ROOM_PT - 2.0 * GAP_PT) / 3.0;
        let height = edge * self.pixels.height as f64 / self.pixels.width as f64;
        let top = MARGIN_PT + LINE_PT + 3.0;
        let legends = 156.0;
        let mut canvas = Canvas::new(Width::Double.pt(), top + height.max(legends) + 2.0 * LINE_PT + MARGIN_PT);
        check_height(FIGURE, canvas.height_pt)?;
        let difference = |p: &SplitPoint| [p.prediction_pm[0] - p.truth_pm[0], p.prediction_pm[1] - p.truth_pm[1]];
        let panels: [(&str, Vector<'_>, f64); 3] = [
            (&self.label_name, &|p| p.truth_pm, self.legend_pm),
            ("prediction", &|p| p.prediction_pm, self.legend_pm),
            ("difference", &difference, self.difference_legend_pm),
        ];
        for (index, (name, vector, full)) in panels.into_iter().enumerate() {
            let frame = Rect { x: MARGIN_PT + index as f64 * (edge + GAP_PT), y: top, width: edge, height };
            let face = Type { size_pt: LETTER_PT, ..Type::new(Along::Start, Across::Baseline) };
            canvas.text([frame.x, frame.y - 4.0], ["a", "b", "c"][index], face.bold());
            canvas.text([frame.x + 0.5 * edge, frame.y - 4.0], name, Type::new(Along::Middle, Across::Baseline));
            self.panel(&mut canvas, frame, vector, full);
        }
        let right = MARGIN_PT + 3.0 * edge + 2.0 * GAP_PT;
        let x = right + 0.5 * WHEEL_ROOM_PT;
        canvas.text([x, top + 4.0], "a, b", Type::new(Along::Middle, Across::Middle).bold());
        wheel_legend(&mut canvas, [x, top + 30.0], self.legend_pm);
        canvas.text([x, top + 85.0], "c", Type::new(Along::Middle, Across::Middle).bold());
        wheel_legend(&mut canvas, [x, top + 111.0], self.difference_legend_pm);
        let y = canvas.height_pt - MARGIN_PT - 0.5 * LINE_PT;
        let used = axes_note(&mut canvas, [MARGIN_PT, y]);
        canvas.text([MARGIN_PT + used + 12.0, y], &self.note(), Type::new(Along::Start, Across::Middle));
        Ok(Figure::new(FIGURE, self.title.clone(), canvas))
    }

    fn note(&self) -> String {
        let windows = format!("{} windows", self.points.len());
        if self.line_px.is_some() { format!("{windows}; line: training (tick marks) | test") } else { windows }
    }

    fn panel(&self, canvas: &mut Canvas, frame: Rect, vector: Vector<'_>, full: f64) {
        let field = Field::new(frame, &self.pixels);
        field.image(canvas, &self.pixels, ColourMap::Grey, self.pixels.limits());
        canvas.clipped(frame, |canvas| {
            let half = 0.5 * self.spacing_px * field.pt_per_px;
            for point in &self.points {
                let [dx, dy] = vector(point);
                if !(dx.is_finite() && dy.is_finite()) {
                    continue;
                }
                let [x, y] = field.at(point.position_px[0], point.position_px[1]);
                let [r, g, b] = wheel(dx, dy, full);
                let color = Color::new(r, g, b);
                let square = Rect { x: x - half, y: y - half, width: 2.0 * half, height: 2.0 * half };
                canvas.rectangle(square, Some(color), Some(Stroke::new(color, 0.2)));
            }
            if let Some(ends) = self.line_px {
                self.line(canvas, ends.map(|[x, y]| field.at(x, y)));
            }
        });
        field.scale_bar(canvas);
        canvas.rectangle(frame, None, Some(Stroke::new(BLACK, 0.4)));
    }

    /// The line, black on white so that it shows on every colour, with ticks towards the training side.
    fn line(&self, canvas: &mut Canvas, [from, to]: [[f64; 2]; 2]) {
        canvas.line(from, to, Stroke::new(WHITE, 2.2));
        canvas.line(from, to, Stroke::new(BLACK, 1.0));
        let length = (to[0] - from[0]).hypot(to[1] - from[1]);
        let size = self.towards_training[0].hypot(self.towards_training[1]);
        if length <= 0.0 || size <= 0.0 {
            return;
        }
        let tick = self.towards_training.map(|t| 4.0 * t / size);
        let count = (length / 14.0).floor().max(1.0);
        for k in 0..count as usize {
            let part = (k as f64 + 0.5) / count;
            let at = [0, 1].map(|c| from[c] + part * (to[c] - from[c]));
            let end = [at[0] + tick[0], at[1] + tick[1]];
            canvas.line(at, end, Stroke::new(WHITE, 1.8));
            canvas.line(at, end, Stroke::new(BLACK, 0.8));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::samples::{check, noise};
    use super::*;

    fn example() -> SplitMaps {
        let (width, height, a) = (300, 220, 12.0);
        let column = |x: usize, y: usize| ((x as f64 / a).fract() - 0.5).hypot((y as f64 / a).fract() - 0.5);
        let values = (0..width * height).map(|i| (-30.0 * column(i % width, i / width).powi(2)).exp() as f32).collect();
        let point = |k: usize| {
            let position_px = [6.0 + a * (k % 25) as f64, 6.0 + a * (k / 25) as f64];
            let turn = position_px[0] / 60.0;
            let truth_pm = [30.0 * turn.cos(), 30.0 * (position_px[1] / 80.0).sin()];
            let error = |n: u64| 2.5 * noise(2 * k as u64 + n);
            SplitPoint { position_px, truth_pm, prediction_pm: [truth_pm[0] + error(0), truth_pm[1] + error(1)] }
        };
        SplitMaps {
            title: "Polarization by a network against the truth, trained left of the line".into(),
            pixels: Pixels { values, width, height, pixel_size_pm: 33.0 },
            points: (0..25 * 18).map(point).collect(),
            spacing_px: a,
            line_px: Some([[190.0, -0.5], [210.0, 219.5]]),
            towards_training: [-1.0, 0.09],
            legend_pm: 40.0,
            difference_legend_pm: 10.0,
            label_name: "truth".into(),
        }
    }

    #[test]
    fn three_panels_with_the_line_through_all() {
        let figure = example().draw().unwrap();
        check(&figure, "sample-split-maps", &["truth", "prediction", "difference", "radius 40 pm", "radius 10 pm", "training"]);
    }

    #[test]
    fn what_cannot_be_drawn_is_refused() {
        assert!(SplitMaps { points: Vec::new(), ..example() }.draw().unwrap_err().to_string().contains("no window"));
        assert!(SplitMaps { legend_pm: 0.0, ..example() }.draw().is_err());
        assert!(SplitMaps { pixels: Pixels::default(), ..example() }.draw().is_err());
    }
}
