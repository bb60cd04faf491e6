//! A sheet of shapes in points (x right, y down): what a figure is before it becomes an SVG or a PNG file.

use super::fonts::{CAPITAL_EM, Weight};
use super::style::{BLACK, Color, TEXT_PT};

/// An axis-parallel rectangle in points.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Rect {
    pub(crate) x: f64,
    pub(crate) y: f64,
    pub(crate) width: f64,
    pub(crate) height: f64,
}

impl Rect {
    pub(crate) fn right(&self) -> f64 {
        self.x + self.width
    }

    pub(crate) fn bottom(&self) -> f64 {
        self.y + self.height
    }
}

/// How a line is drawn.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Stroke {
    pub(crate) color: Color,
    pub(crate) width_pt: f64,
    /// Length of dash and gap in points.
    pub(crate) dash_pt: Option<[f64; 2]>,
}

impl Stroke {
    pub(crate) const fn new(color: Color, width_pt: f64) -> Self {
        Self { color, width_pt, dash_pt: None }
    }
}

/// Where the anchor of a text lies along it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Along {
    Start,
    Middle,
    End,
}

/// Where the anchor of a text lies across it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Across {
    /// The top of its capitals.
    Top,
    /// Half way up its capitals.
    Middle,
    /// The line it stands on.
    Baseline,
}

/// How a text is set.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Type {
    pub(crate) size_pt: f64,
    pub(crate) weight: Weight,
    pub(crate) color: Color,
    pub(crate) along: Along,
    pub(crate) across: Across,
    /// Read from bottom to top.
    pub(crate) turned: bool,
}

impl Type {
    pub(crate) const fn new(along: Along, across: Across) -> Self {
        Self { size_pt: TEXT_PT, weight: Weight::Regular, color: BLACK, along, across, turned: false }
    }

    pub(crate) const fn bold(self) -> Self {
        Self { weight: Weight::Bold, ..self }
    }

    pub(crate) const fn colored(self, color: Color) -> Self {
        Self { color, ..self }
    }
}

/// A picture, three bytes (sRGB) a pixel, row by row.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Picture {
    pub(crate) rgb: Vec<u8>,
    pub(crate) width: usize,
    pub(crate) height: usize,
}

/// One thing on the sheet.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Shape {
    /// A line through points, closed or not.
    Path {
        points: Vec<[f64; 2]>,
        closed: bool,
        fill: Option<Color>,
        stroke: Option<Stroke>,
    },
    Circle {
        centre: [f64; 2],
        radius: f64,
        fill: Option<Color>,
        stroke: Option<Stroke>,
    },
    /// `at` is the anchor on the baseline.
    Text {
        at: [f64; 2],
        text: String,
        face: Type,
    },
    Picture {
        frame: Rect,
        picture: Picture,
    },
    /// What follows, up to the matching `EndClip`, shows only inside.
    BeginClip(Rect),
    EndClip,
}

/// A sheet of shapes, drawn in the order they were added.
#[derive(Clone, Debug)]
pub(crate) struct Canvas {
    pub(crate) width_pt: f64,
    pub(crate) height_pt: f64,
    pub(crate) shapes: Vec<Shape>,
}

impl Canvas {
    pub(crate) fn new(width_pt: f64, height_pt: f64) -> Self {
        Self { width_pt, height_pt, shapes: Vec::new() }
    }

    pub(crate) fn line(&mut self, from: [f64; 2], to: [f64; 2], stroke: Stroke) {
        self.polyline(vec![from, to], stroke);
    }

    pub(crate) fn polyline(&mut self, points: Vec<[f64; 2]>, stroke: Stroke) {
        self.shapes.push(Shape::Path { points, closed: false, fill: None, stroke: Some(stroke) });
    }

    pub(crate) fn polygon(&mut self, points: Vec<[f64; 2]>, fill: Option<Color>, stroke: Option<Stroke>) {
        self.shapes.push(Shape::Path { points, closed: true, fill, stroke });
    }

    pub(crate) fn rectangle(&mut self, frame: Rect, fill: Option<Color>, stroke: Option<Stroke>) {
        let corners = vec![[frame.x, frame.y], [frame.right(), frame.y], [frame.right(), frame.bottom()], [frame.x, frame.bottom()]];
        self.polygon(corners, fill, stroke);
    }

    pub(crate) fn circle(&mut self, centre: [f64; 2], radius: f64, fill: Option<Color>, stroke: Option<Stroke>) {
        self.shapes.push(Shape::Circle { centre, radius, fill, stroke });
    }

    pub(crate) fn text(&mut self, anchor: [f64; 2], text: &str, face: Type) {
        if text.is_empty() {
            return;
        }
        let below = match face.across {
            Across::Top => CAPITAL_EM * face.size_pt,
            Across::Middle => 0.5 * CAPITAL_EM * face.size_pt,
            Across::Baseline => 0.0,
        };
        let at = if face.turned { [anchor[0] + below, anchor[1]] } else { [anchor[0], anchor[1] + below] };
        self.shapes.push(Shape::Text { at, text: text.to_owned(), face });
    }

    pub(crate) fn picture(&mut self, frame: Rect, picture: Picture) {
        self.shapes.push(Shape::Picture { frame, picture });
    }

    /// Draw with everything outside `frame` cut off.
    pub(crate) fn clipped(&mut self, frame: Rect, draw: impl FnOnce(&mut Self)) {
        self.shapes.push(Shape::BeginClip(frame));
        draw(self);
        self.shapes.push(Shape::EndClip);
    }

    /// An arrow from `from` to the tip at `to`, with a rim where it lies on an image; nothing for one shorter than it is thick.
    pub(crate) fn arrow(&mut self, from: [f64; 2], to: [f64; 2], ink: Color, width_pt: f64, rim: Option<Color>) {
        let (dx, dy) = (to[0] - from[0], to[1] - from[1]);
        let length = dx.hypot(dy);
        if length.is_nan() || length < width_pt {
            return;
        }
        let head = (4.5 * width_pt).min(0.7 * length);
        // Short arrows are thinner as a whole, so that they keep the shape of an arrow.
        let (barb, shaft) = (0.42 * head, 0.11 * head);
        let outline = [
            (0.0, shaft),
            (length - 0.85 * head, shaft),
            (length - head, barb),
            (length, 0.0),
            (length - head, -barb),
            (length - 0.85 * head, -shaft),
            (0.0, -shaft),
        ];
        let (ux, uy) = (dx / length, dy / length);
        let points: Vec<[f64; 2]> = outline.iter().map(|(a, b)| [from[0] + a * ux - b * uy, from[1] + a * uy + b * ux]).collect();
        if let Some(rim) = rim {
            self.polygon(points.clone(), None, Some(Stroke::new(rim, 0.8)));
        }
        self.polygon(points, Some(ink), None);
    }
}
