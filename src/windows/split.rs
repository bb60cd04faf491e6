//! Windows divided in space: a straight line with a guard band, so that no pixel is seen in training and in the test; or at random,
//! which leaks and says so.
//!
//! Neighbouring windows share pixels, and so noise: a random split lets a network recognise what it saw. The line is placed so that the
//! training side holds the given part of the image's area.

use super::{WindowSet, WindowsError};
use crate::numerics::seeds::Streams;
use rand::seq::SliceRandom;

/// How windows are divided into training, validation and test.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Split {
    /// By a straight line across the image.
    Line(Line),
    /// By lot. Windows overlap, so the test is seen in training: leaky.
    Random {
        /// Part that trains, above 0 and below 1.
        train_fraction: f64,
        /// Seed of the lot.
        seed: u64,
    },
}

/// A straight line: training on one side, test on the other.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Line {
    /// Direction from the training to the test side, degrees from x (right) towards y (down); 0 trains on the left.
    pub angle_deg: f64,
    /// Part of the image's area on the training side, above 0 and below 1.
    pub train_fraction: f64,
    /// Part of the training side, next to the line, that validates instead (early stopping); 0 for none, below 1.
    pub validation_fraction: f64,
    /// What is left out along each line.
    pub guard: Guard,
}

impl Default for Line {
    fn default() -> Self {
        Self { angle_deg: 0.0, train_fraction: 2.0 / 3.0, validation_fraction: 0.0, guard: Guard::HalfWindow }
    }
}

/// The band along a line in which no window has its middle, on each side.
#[derive(Debug, Clone, Copy, PartialEq, Default, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Guard {
    /// Half a window as seen along the line's normal: windows touch the line and never cross it.
    #[default]
    HalfWindow,
    /// Pixels of the image as cut. Less than half a window leaks.
    Pixels(f64),
}

/// Who is who.
#[derive(Debug, Clone, PartialEq)]
pub struct Partition {
    /// Indices of the windows that train.
    pub train: Vec<usize>,
    /// That validate; empty where none was asked for.
    pub validation: Vec<usize>,
    /// That test.
    pub test: Vec<usize>,
    /// That are left out because they come too near to a line.
    pub guarded: Vec<usize>,
    /// Whether training and test windows may share pixels.
    pub leaky: bool,
    /// The line between training and test, from edge to edge of the image as cut, px; to be drawn in every figure.
    pub line_px: Option<[[f64; 2]; 2]>,
}

impl Split {
    /// Divides the windows of one image that was cut from a raster of `[width, height]` pixels.
    ///
    /// # Errors
    /// [`WindowsError::Range`] for numbers out of range, [`WindowsError::Split`] where a side stays empty.
    pub fn apply(&self, set: &WindowSet, raster: [usize; 2]) -> Result<Partition, WindowsError> {
        let partition = match *self {
            Self::Line(line) => line.apply(set, raster)?,
            Self::Random { train_fraction, seed } => {
                fraction("the part that trains", train_fraction)?;
                let mut order: Vec<usize> = (0..set.len()).collect();
                order.shuffle(&mut Streams::new("mistilt windows random split", seed).stream(0));
                let mut test = order.split_off((train_fraction * set.len() as f64).round() as usize);
                order.sort_unstable();
                test.sort_unstable();
                Partition { train: order, validation: Vec::new(), test, guarded: Vec::new(), leaky: true, line_px: None }
            }
        };
        if partition.train.is_empty() || partition.test.is_empty() {
            let (train, test, guarded) = (partition.train.len(), partition.test.len(), partition.guarded.len());
            return Err(WindowsError::Split { train, test, guarded });
        }
        Ok(partition)
    }

    /// What figures and tables call it.
    #[must_use]
    pub fn describe(&self) -> String {
        match self {
            Self::Line(line) => {
                let guard = match line.guard {
                    Guard::HalfWindow => "half a window".to_owned(),
                    Guard::Pixels(px) => format!("{px} px"),
                };
                format!("{:.0} % of the image trains, line at {}°, guard band {guard}", 100.0 * line.train_fraction, line.angle_deg)
            }
            Self::Random { train_fraction, .. } => format!("{:.0} % of the windows train, at random (leaky)", 100.0 * train_fraction),
        }
    }
}

impl Line {
    fn normal(&self) -> [f64; 2] {
        let (sin, cos) = self.angle_deg.to_radians().sin_cos();
        // A right angle is a right angle, and not 6e-17 off.
        [cos, sin].map(|v| if v.abs() < 1e-12 { 0.0 } else { v })
    }

    fn apply(&self, set: &WindowSet, raster: [usize; 2]) -> Result<Partition, WindowsError> {
        fraction("the part of the image that trains", self.train_fraction)?;
        if !self.angle_deg.is_finite() {
            return Err(WindowsError::Range { what: "the angle of the line in degrees", value: self.angle_deg, allowed: "a number" });
        }
        if !(0.0..1.0).contains(&self.validation_fraction) {
            return Err(WindowsError::Range { what: "the part that validates", value: self.validation_fraction, allowed: "0 to below 1" });
        }
        let normal = self.normal();
        let half_window = 0.5 * set.size_px as f64 * (normal[0].abs() + normal[1].abs());
        let guard = match self.guard {
            Guard::HalfWindow => half_window,
            Guard::Pixels(px) if px.is_finite() && px >= 0.0 => px,
            Guard::Pixels(value) => return Err(WindowsError::Range { what: "the guard band in px", value, allowed: "0 or more" }),
        };
        let place = |part: f64| offset(normal, raster, part);
        let test_line = place(self.train_fraction);
        let validates = self.validation_fraction > 0.0;
        let validation_line = if validates { place(self.train_fraction * (1.0 - self.validation_fraction)) } else { test_line };
        let line_px = line_segment(normal, test_line, raster);
        let mut out =
            Partition { train: vec![], validation: vec![], test: vec![], guarded: vec![], leaky: guard < half_window - 1e-9, line_px };
        for i in 0..set.len() {
            let middle = set.middle_px(i);
            let s = normal[0] * middle[0] + normal[1] * middle[1];
            // Rounding must not put a window that touches the line into the band.
            let (below, above) = (s + guard - 1e-9, s - guard + 1e-9);
            if below <= validation_line {
                out.train.push(i);
            } else if above >= test_line {
                out.test.push(i);
            } else if validates && above >= validation_line && below <= test_line {
                out.validation.push(i);
            } else {
                out.guarded.push(i);
            }
        }
        Ok(out)
    }
}

fn fraction(what: &'static str, value: f64) -> Result<(), WindowsError> {
    if value > 0.0 && value < 1.0 { Ok(()) } else { Err(WindowsError::Range { what, value, allowed: "above 0 and below 1" }) }
}

/// The area of an image reaches half a pixel beyond the centres of its outer pixels.
fn corners([width, height]: [usize; 2]) -> [[f64; 2]; 4] {
    let (x, y) = (width as f64 - 0.5, height as f64 - 0.5);
    [[-0.5, -0.5], [x, -0.5], [x, y], [-0.5, y]]
}

/// Where along the normal the line stands, px, that has `part` of the image's area before it: by bisection on the clipped rectangle.
fn offset(normal: [f64; 2], raster: [usize; 2], part: f64) -> f64 {
    let along = |p: &[f64; 2]| normal[0] * p[0] + normal[1] * p[1];
    let ends = corners(raster).map(|p| along(&p));
    let (mut low, mut high) = (ends.iter().copied().fold(f64::INFINITY, f64::min), ends.iter().copied().fold(f64::NEG_INFINITY, f64::max));
    let whole = raster[0] as f64 * raster[1] as f64;
    for _ in 0..60 {
        let middle = 0.5 * (low + high);
        if area_before(normal, middle, raster) < part * whole {
            low = middle;
        } else {
            high = middle;
        }
    }
    0.5 * (low + high)
}

/// Area of the image on the near side of the line.
fn area_before(normal: [f64; 2], line: f64, raster: [usize; 2]) -> f64 {
    let polygon = clipped(normal, line, raster);
    let twice: f64 =
        (0..polygon.len()).map(|i| (polygon[i], polygon[(i + 1) % polygon.len()])).map(|(p, q)| p[0] * q[1] - q[0] * p[1]).sum();
    0.5 * twice.abs()
}

/// The image's rectangle cut off at the line.
fn clipped(normal: [f64; 2], line: f64, raster: [usize; 2]) -> Vec<[f64; 2]> {
    let side = |p: [f64; 2]| normal[0] * p[0] + normal[1] * p[1] - line;
    let rectangle = corners(raster);
    let mut out = Vec::new();
    for i in 0..4 {
        let (p, q) = (rectangle[i], rectangle[(i + 1) % 4]);
        if side(p) <= 0.0 {
            out.push(p);
        }
        if (side(p) < 0.0 && side(q) > 0.0) || (side(p) > 0.0 && side(q) < 0.0) {
            let t = side(p) / (side(p) - side(q));
            out.push([0, 1].map(|k| p[k] + t * (q[k] - p[k])));
        }
    }
    out
}

/// The line from edge to edge of an image, px; `None` where it misses the image. `normal` is a unit vector, `line` its distance from (0, 0).
#[must_use]
pub fn line_segment(normal: [f64; 2], line: f64, raster: [usize; 2]) -> Option<[[f64; 2]; 2]> {
    let on = |p: &[f64; 2]| (normal[0] * p[0] + normal[1] * p[1] - line).abs() < 1e-6;
    let points: Vec<[f64; 2]> = clipped(normal, line, raster).into_iter().filter(on).collect();
    (points.len() >= 2).then(|| [points[0], points[points.len() - 1]])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::windows::Normalisation;
    use proptest::prelude::*;

    /// Windows at every step of a grid.
    fn grid(width: usize, height: usize, size_px: usize, step: usize) -> WindowSet {
        let mut set = WindowSet::empty(size_px, 20.0, Normalisation::None);
        for y in (0..=height - size_px).step_by(step) {
            for x in (0..=width - size_px).step_by(step) {
                set.corners_px.push([x as u32, y as u32]);
                set.labels.push([0.0; 2]);
                set.positions_px.push([0.0; 2]);
                set.cells.push([0; 2]);
                set.images.push(0);
                set.values.extend(vec![0.0; size_px * size_px]);
            }
        }
        set
    }

    /// Which pixels the windows cover.
    fn covered(set: &WindowSet, indices: &[usize], width: usize, height: usize) -> Vec<bool> {
        let mut pixels = vec![false; width * height];
        for &i in indices {
            let [x0, y0] = set.corners_px[i].map(|c| c as usize);
            for y in y0..y0 + set.size_px {
                pixels[y * width + x0..][..set.size_px].fill(true);
            }
        }
        pixels
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 40, ..ProptestConfig::default() })]
        #[test]
        fn no_training_pixel_is_in_a_test_window(angle in -180.0..180.0_f64, part in 0.3..0.7_f64, validation in 0.0..0.5_f64, size in 4_usize..12, step in 1_usize..5) {
            let (width, height) = (61, 47);
            let set = grid(width, height, size, step);
            let line = Line { angle_deg: angle, train_fraction: part, validation_fraction: validation, guard: Guard::HalfWindow };
            let Ok(p) = Split::Line(line).apply(&set, [width, height]) else { return Ok(()) };
            prop_assert!(!p.leaky);
            prop_assert_eq!(p.train.len() + p.validation.len() + p.test.len() + p.guarded.len(), set.len());
            let [train, validation, test] = [&p.train, &p.validation, &p.test].map(|w| covered(&set, w, width, height));
            for i in 0..width * height {
                prop_assert!(u8::from(train[i]) + u8::from(validation[i]) + u8::from(test[i]) <= 1, "pixel {} is in two parts", i);
            }
        }

        #[test]
        fn the_line_divides_the_area_as_asked(angle in -180.0..180.0_f64, part in 0.02..0.98_f64, width in 5_usize..300, height in 5_usize..300) {
            let normal = Line { angle_deg: angle, ..Line::default() }.normal();
            let line = offset(normal, [width, height], part);
            let whole = (width * height) as f64;
            prop_assert!((area_before(normal, line, [width, height]) / whole - part).abs() < 1e-9);
            let [p, q] = line_segment(normal, line, [width, height]).unwrap();
            for end in [p, q] {
                let on_edge = [(end[0], width), (end[1], height)].iter().any(|&(v, n)| (v + 0.5).abs() < 1e-6 || (v - n as f64 + 0.5).abs() < 1e-6);
                prop_assert!(on_edge, "{:?} is no point of the edge", end);
            }
        }
    }

    #[test]
    fn two_thirds_train_on_the_left_by_default() {
        let set = grid(90, 30, 6, 3);
        let p = Split::Line(Line::default()).apply(&set, [90, 30]).unwrap();
        assert!(p.line_px.unwrap().iter().all(|end| (end[0] - 59.5).abs() < 1e-6));
        let right_edge = p.train.iter().map(|&i| set.corners_px[i][0] + 6).max().unwrap();
        let left_edge = p.test.iter().map(|&i| set.corners_px[i][0]).min().unwrap();
        assert_eq!((right_edge, left_edge), (60, 60));
    }

    #[test]
    fn a_narrow_band_and_a_lot_are_leaky() {
        let set = grid(60, 40, 10, 2);
        let narrow = Line { guard: Guard::Pixels(2.0), ..Line::default() };
        assert!(Split::Line(narrow).apply(&set, [60, 40]).unwrap().leaky);
        let lot = Split::Random { train_fraction: 0.75, seed: 4 };
        let p = lot.apply(&set, [60, 40]).unwrap();
        assert!(p.leaky && p.line_px.is_none() && lot.describe().contains("leaky"));
        assert_eq!(p.train.len(), (0.75 * set.len() as f64).round() as usize);
        assert_eq!(p, lot.apply(&set, [60, 40]).unwrap());
        assert_ne!(p.test, Split::Random { train_fraction: 0.75, seed: 5 }.apply(&set, [60, 40]).unwrap().test);
    }

    #[test]
    fn a_split_that_leaves_nothing_is_refused_in_words() {
        let set = grid(20, 20, 15, 1);
        let refusal = Split::Line(Line::default()).apply(&set, [20, 20]).unwrap_err().to_string();
        assert!(refusal.contains("in the guard band"), "{refusal}");
        assert!(Split::Random { train_fraction: 1.0, seed: 0 }.apply(&set, [20, 20]).is_err());
    }
}
