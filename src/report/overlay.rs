//! What stands on an image: its frame in pixels of the image, a scale bar, arrows with their key, the note on the axes.

use super::canvas::{Across, Along, Canvas, Rect, Stroke, Type};
use super::fonts::{self, Weight};
use super::picture::{ColourMap, Pixels};
use super::style::{BLACK, Color, TEXT_PT, WHITE};
use super::ticks::{decimals, format_value, nice_below, nice_step};

/// A part of the sheet that shows an image.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Field {
    pub(crate) frame: Rect,
    /// Points on the sheet for one pixel of the image.
    pub(crate) pt_per_px: f64,
    pub(crate) pixel_size_pm: f64,
}

impl Field {
    pub(crate) fn new(frame: Rect, pixels: &Pixels) -> Self {
        Self { frame, pt_per_px: frame.width / pixels.width as f64, pixel_size_pm: pixels.pixel_size_pm }
    }

    /// Where a position in pixels (centre of the first pixel at 0, 0) lies on the sheet.
    pub(crate) fn at(&self, x_px: f64, y_px: f64) -> [f64; 2] {
        [self.frame.x + (x_px + 0.5) * self.pt_per_px, self.frame.y + (y_px + 0.5) * self.pt_per_px]
    }

    pub(crate) fn image(&self, canvas: &mut Canvas, pixels: &Pixels, map: ColourMap, limits: (f64, f64)) {
        canvas.picture(self.frame, pixels.picture(map, limits));
    }

    /// A bar of a round length, about a quarter of the width, in the lower left corner with its length.
    pub(crate) fn scale_bar(&self, canvas: &mut Canvas) {
        let pm_per_pt = self.pixel_size_pm / self.pt_per_px;
        let length_pm = nice_step(0.2 * self.frame.width * pm_per_pt);
        let length = length_pm / pm_per_pt;
        let label = length_text(length_pm);
        let wide = fonts::width_pt(&label, TEXT_PT, Weight::Regular).max(length);
        let plate = Rect { x: self.frame.x + 3.0, y: self.frame.bottom() - 17.0, width: wide + 6.0, height: 14.0 };
        canvas.rectangle(plate, Some(BLACK.with_alpha(0.85)), None);
        let middle = plate.x + 0.5 * plate.width;
        let bar = Rect { x: middle - 0.5 * length, y: plate.bottom() - 4.0, width: length, height: 1.6 };
        canvas.rectangle(bar, Some(WHITE), None);
        canvas.text([middle, plate.y + 2.2], &label, Type::new(Along::Middle, Across::Top).colored(WHITE));
    }
}

/// A length in the unit in which it is a short number.
fn length_text(length_pm: f64) -> String {
    let (value, unit) = match length_pm {
        l if l >= 1e6 => (l / 1e6, "µm"),
        l if l >= 500.0 => (l / 1e3, "nm"),
        l => (l, "pm"),
    };
    format!("{} {unit}", format_value(value, decimals(value)))
}

/// Arrows drawn `gain` times longer than they are in the image.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ArrowScale {
    pub(crate) gain: f64,
    pub(crate) pt_per_pm: f64,
    /// Length of the arrow in the key.
    pub(crate) key_pm: f64,
}

impl ArrowScale {
    /// A round magnification that makes an arrow of `typical_pm` about `wanted_pt` long.
    pub(crate) fn new(typical_pm: f64, wanted_pt: f64, pt_per_pm_of_image: f64) -> Self {
        let typical_pm = if typical_pm > 1e-6 { typical_pm } else { 1.0 };
        let gain = nice_below(wanted_pt / (typical_pm * pt_per_pm_of_image)).max(1.0);
        Self { gain, pt_per_pm: gain * pt_per_pm_of_image, key_pm: nice_step(0.7 * typical_pm) }
    }

    pub(crate) fn tip(&self, from: [f64; 2], dx_pm: f64, dy_pm: f64) -> [f64; 2] {
        [from[0] + dx_pm * self.pt_per_pm, from[1] + dy_pm * self.pt_per_pm]
    }

    /// The arrow of the key with its length, and by how much arrows are magnified; returns the width used.
    pub(crate) fn key(&self, canvas: &mut Canvas, at: [f64; 2], what: &str, color: Color) -> f64 {
        let length = self.key_pm * self.pt_per_pm;
        canvas.arrow(at, [at[0] + length, at[1]], color, 1.1, None);
        let text = format!(
            "{what}: {} pm (arrows ×{})",
            format_value(self.key_pm, decimals(self.key_pm)),
            format_value(self.gain, decimals(self.gain))
        );
        canvas.text([at[0] + length + 4.0, at[1]], &text, Type::new(Along::Start, Across::Middle));
        length + 4.0 + fonts::width_pt(&text, TEXT_PT, Weight::Regular)
    }
}

/// The axes of every image, as two small arrows with their names; `at` is their corner. Returns the width used.
pub(crate) fn axes_note(canvas: &mut Canvas, at: [f64; 2]) -> f64 {
    let [x, y] = [at[0] + 1.0, at[1] - 3.5];
    canvas.arrow([x, y], [x + 9.0, y], BLACK, 0.7, None);
    canvas.arrow([x, y], [x, y + 9.0], BLACK, 0.7, None);
    canvas.text([x + 11.0, at[1]], "x right, y down", Type::new(Along::Start, Across::Middle));
    12.0 + fonts::width_pt("x right, y down", TEXT_PT, Weight::Regular)
}

/// A vertical bar of colours with its range at the right of a panel, and its name turned beside it.
pub(crate) fn colour_bar(canvas: &mut Canvas, bar: Rect, color: impl Fn(f64) -> [u8; 3], range: (f64, f64), label: &str) {
    let steps = 256;
    let rgb = (0..steps).flat_map(|i| color(1.0 - f64::from(i) / f64::from(steps - 1))).collect();
    canvas.picture(bar, super::canvas::Picture { rgb, width: 1, height: steps as usize });
    let stroke = Stroke::new(BLACK, super::style::AXIS_PT);
    canvas.rectangle(bar, None, Some(stroke));
    let axis = super::axes::Axis { lo: range.0, hi: range.1, scale: super::ticks::Scale::Linear };
    let mut widest: f64 = 0.0;
    for tick in axis.ticks(bar.height, 20.0) {
        let y = bar.bottom() - axis.fraction(tick.value) * bar.height;
        canvas.line([bar.right(), y], [bar.right() + 2.0, y], stroke);
        canvas.text([bar.right() + 4.0, y], &tick.label, Type::new(Along::Start, Across::Middle));
        widest = widest.max(fonts::width_pt(&tick.label, TEXT_PT, Weight::Regular));
    }
    let face = Type { turned: true, ..Type::new(Along::Middle, Across::Top) };
    canvas.text([bar.right() + 4.0 + widest + 4.0, bar.y + 0.5 * bar.height], label, face);
}

/// Room that `colour_bar` takes at the right of a panel, from the panel's edge.
pub(crate) const COLOUR_BAR_ROOM_PT: f64 = 42.0;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_named_in_fitting_units() {
        assert_eq!(length_text(200.0), "200 pm");
        assert_eq!(length_text(500.0), "0.5 nm");
        assert_eq!(length_text(5000.0), "5 nm");
    }

    #[test]
    fn the_centre_of_the_first_pixel_is_the_origin() {
        let pixels = Pixels { values: vec![0.0; 8], width: 4, height: 2, pixel_size_pm: 10.0 };
        let field = Field::new(Rect { x: 5.0, y: 7.0, width: 40.0, height: 20.0 }, &pixels);
        let near = |found: [f64; 2], x: f64, y: f64| (found[0] - x).hypot(found[1] - y) < 1e-12;
        assert!(near(field.at(0.0, 0.0), 10.0, 12.0));
        assert!(near(field.at(-0.5, 1.5), 5.0, 27.0));
    }
}
