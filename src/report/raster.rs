//! A canvas as PNG: anti-aliased at 300 dots per inch, text from the embedded outlines, the resolution written into the file.

use ab_glyph::OutlineCurve;
use tiny_skia::{
    FillRule, FilterQuality, IntSize, LineCap, LineJoin, Mask, Paint, Path, PathBuilder, Pixmap, PixmapPaint, StrokeDash, Transform,
};

use super::canvas::{Along, Canvas, Picture, Rect, Shape, Stroke, Type};
use super::fonts;
use super::style::{Color, DOTS_PER_INCH};

/// Dots in a point.
const SCALE: f64 = DOTS_PER_INCH / 72.0;

/// Whether a pixel of the picture covers more than one dot: then its squares are shown, otherwise it is smoothed.
pub(crate) fn is_magnified(frame: &Rect, picture: &Picture) -> bool {
    frame.width * SCALE > picture.width as f64
}

/// Encode sRGB bytes as PNG, with the resolution if one is given.
pub(crate) fn encode(rgb: &[u8], width: usize, height: usize, dots_per_inch: Option<f64>) -> Result<Vec<u8>, png::EncodingError> {
    encode_as(png::ColorType::Rgb, rgb, width, height, dots_per_inch)
}

/// Encode grey bytes as PNG.
pub(crate) fn encode_grey(grey: &[u8], width: usize, height: usize) -> Result<Vec<u8>, png::EncodingError> {
    encode_as(png::ColorType::Grayscale, grey, width, height, None)
}

fn encode_as(
    color: png::ColorType,
    samples: &[u8],
    width: usize,
    height: usize,
    dots_per_inch: Option<f64>,
) -> Result<Vec<u8>, png::EncodingError> {
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, width as u32, height as u32);
    encoder.set_color(color);
    encoder.set_depth(png::BitDepth::Eight);
    encoder.set_pixel_dims(dots_per_inch.map(|dots| {
        let per_metre = (dots / 0.0254).round() as u32;
        png::PixelDimensions { xppu: per_metre, yppu: per_metre, unit: png::Unit::Meter }
    }));
    let mut writer = encoder.write_header()?;
    writer.write_image_data(samples)?;
    writer.finish()?;
    Ok(bytes)
}

/// Draw the canvas on white; the result is a PNG file's bytes.
pub(crate) fn png(canvas: &Canvas) -> Result<Vec<u8>, png::EncodingError> {
    let (width, height) = ((canvas.width_pt * SCALE).round().max(1.0) as u32, (canvas.height_pt * SCALE).round().max(1.0) as u32);
    let mut pixmap = Pixmap::new(width, height).expect("a figure's size is positive and was checked against the tallest sheet");
    pixmap.fill(tiny_skia::Color::WHITE);
    let mut clips: Vec<Mask> = Vec::new();
    for shape in &canvas.shapes {
        draw(&mut pixmap, shape, &mut clips);
    }
    // The sheet is opaque, so the premultiplied bytes are the colours themselves.
    let rgb: Vec<u8> = pixmap.data().chunks_exact(4).flat_map(|p| [p[0], p[1], p[2]]).collect();
    encode(&rgb, width as usize, height as usize, Some(DOTS_PER_INCH))
}

fn to_dots() -> Transform {
    Transform::from_scale(SCALE as f32, SCALE as f32)
}

fn solid(color: Color) -> Paint<'static> {
    let mut paint = Paint::default();
    let [r, g, b] = color.rgb;
    paint.set_color_rgba8(r, g, b, (color.alpha * 255.0).round() as u8);
    paint
}

fn pen(stroke: Stroke) -> tiny_skia::Stroke {
    tiny_skia::Stroke {
        width: stroke.width_pt as f32,
        line_cap: LineCap::Butt,
        line_join: LineJoin::Round,
        dash: stroke.dash_pt.and_then(|[dash, gap]| StrokeDash::new(vec![dash as f32, gap as f32], 0.0)),
        ..tiny_skia::Stroke::default()
    }
}

fn ink(pixmap: &mut Pixmap, path: &Path, fill: Option<Color>, stroke: Option<Stroke>, transform: Transform, clip: Option<&Mask>) {
    if let Some(color) = fill {
        pixmap.fill_path(path, &solid(color), FillRule::Winding, transform, clip);
    }
    if let Some(stroke) = stroke {
        pixmap.stroke_path(path, &solid(stroke.color), &pen(stroke), transform, clip);
    }
}

fn draw(pixmap: &mut Pixmap, shape: &Shape, clips: &mut Vec<Mask>) {
    let clip = clips.last();
    match shape {
        Shape::Path { points, closed, fill, stroke } => {
            if let Some(path) = polygon(points, *closed) {
                ink(pixmap, &path, *fill, *stroke, to_dots(), clip);
            }
        }
        Shape::Circle { centre, radius, fill, stroke } => {
            if let Some(path) = PathBuilder::from_circle(centre[0] as f32, centre[1] as f32, *radius as f32) {
                ink(pixmap, &path, *fill, *stroke, to_dots(), clip);
            }
        }
        Shape::Text { at, text, face } => label(pixmap, *at, text, face, clip),
        Shape::Picture { frame, picture } => image(pixmap, frame, picture, clip),
        Shape::BeginClip(frame) => {
            let mut mask = Mask::new(pixmap.width(), pixmap.height()).expect("the mask is as large as the sheet");
            if let Some(rect) = tiny_skia::Rect::from_xywh(frame.x as f32, frame.y as f32, frame.width as f32, frame.height as f32) {
                mask.fill_path(&PathBuilder::from_rect(rect), FillRule::Winding, true, to_dots());
            }
            clips.push(mask);
        }
        Shape::EndClip => {
            clips.pop();
        }
    }
}

fn polygon(points: &[[f64; 2]], closed: bool) -> Option<Path> {
    let mut builder = PathBuilder::new();
    for (index, point) in points.iter().enumerate() {
        if index == 0 {
            builder.move_to(point[0] as f32, point[1] as f32);
        } else {
            builder.line_to(point[0] as f32, point[1] as f32);
        }
    }
    if closed {
        builder.close();
    }
    builder.finish()
}

/// The outlines of a text as one path, in font units with y down, from its start on the baseline.
fn letters(text: &str, face: &Type) -> Option<Path> {
    let mut builder = PathBuilder::new();
    for (outline, pen) in fonts::set(text, face.weight).0 {
        let point = |p: ab_glyph::Point| (p.x + pen as f32, -p.y);
        let mut last = None;
        for curve in outline.curves {
            let (start, end) = match curve {
                OutlineCurve::Line(a, b) | OutlineCurve::Quad(a, _, b) | OutlineCurve::Cubic(a, _, _, b) => (a, b),
            };
            if last != Some(start) {
                if last.is_some() {
                    builder.close();
                }
                let (x, y) = point(start);
                builder.move_to(x, y);
            }
            let (x, y) = point(end);
            match curve {
                OutlineCurve::Line(..) => builder.line_to(x, y),
                OutlineCurve::Quad(_, c, _) => {
                    let (cx, cy) = point(c);
                    builder.quad_to(cx, cy, x, y);
                }
                OutlineCurve::Cubic(_, c, d, _) => {
                    let ((cx, cy), (dx, dy)) = (point(c), point(d));
                    builder.cubic_to(cx, cy, dx, dy, x, y);
                }
            }
            last = Some(end);
        }
        builder.close();
    }
    builder.finish()
}

fn label(pixmap: &mut Pixmap, at: [f64; 2], text: &str, face: &Type, clip: Option<&Mask>) {
    let Some(path) = letters(text, face) else { return };
    let width = fonts::width_pt(text, face.size_pt, face.weight);
    let before = match face.along {
        Along::Start => 0.0,
        Along::Middle => 0.5 * width,
        Along::End => width,
    };
    let unit = (face.size_pt / fonts::units_per_em(face.weight)) as f32;
    let mut transform = Transform::from_scale(unit, unit).post_translate(-before as f32, 0.0);
    if face.turned {
        transform = transform.post_concat(Transform::from_row(0.0, -1.0, 1.0, 0.0, 0.0, 0.0));
    }
    let transform = transform.post_translate(at[0] as f32, at[1] as f32).post_concat(to_dots());
    ink(pixmap, &path, Some(face.color), None, transform, clip);
}

fn image(pixmap: &mut Pixmap, frame: &Rect, picture: &Picture, clip: Option<&Mask>) {
    let rgba: Vec<u8> = picture.rgb.chunks_exact(3).flat_map(|p| [p[0], p[1], p[2], 255]).collect();
    let size = IntSize::from_wh(picture.width as u32, picture.height as u32);
    let Some(source) = size.and_then(|size| Pixmap::from_vec(rgba, size)) else { return };
    let paint = PixmapPaint {
        quality: if is_magnified(frame, picture) { FilterQuality::Nearest } else { FilterQuality::Bilinear },
        ..PixmapPaint::default()
    };
    let (sx, sy) = (frame.width / picture.width as f64, frame.height / picture.height as f64);
    let transform = Transform::from_scale(sx as f32, sy as f32).post_translate(frame.x as f32, frame.y as f32).post_concat(to_dots());
    pixmap.draw_pixmap(0, 0, source.as_ref(), &paint, transform, clip);
}
