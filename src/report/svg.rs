//! A canvas as SVG 1.1: text stays text, sizes in millimetres, no identifiers (so that many figures can stand in one page).

use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::canvas::{Along, Canvas, Picture, Rect, Shape, Stroke, Type};
use super::fonts::{FAMILY, Weight};
use super::raster;
use super::style::{Color, PT_PER_MM};

/// Escape text for an element or an attribute of XML and HTML; control characters that XML forbids become blanks.
pub(crate) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            '\n' | '\t' => out.push(character),
            c if c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}') => out.push(' '),
            c => out.push(c),
        }
    }
    out
}

/// The canvas as an SVG document whose accessible name is `title`.
pub(crate) fn document(canvas: &Canvas, title: &str) -> Result<String, png::EncodingError> {
    let mut out = String::new();
    let (width, height) = (number(canvas.width_pt), number(canvas.height_pt));
    let (width_mm, height_mm) = (number(canvas.width_pt / PT_PER_MM), number(canvas.height_pt / PT_PER_MM));
    push(
        &mut out,
        format_args!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width_mm}mm\" height=\"{height_mm}mm\" viewBox=\"0 0 {width} {height}\" \
             role=\"img\" font-family=\"{FAMILY}\">\n<title>{}</title>\n<rect width=\"{width}\" height=\"{height}\" fill=\"#ffffff\"/>\n",
            escape(title)
        ),
    );
    for shape in &canvas.shapes {
        draw(&mut out, shape)?;
    }
    out.push_str("</svg>\n");
    Ok(out)
}

fn push(out: &mut String, arguments: std::fmt::Arguments) {
    out.write_fmt(arguments).expect("writing into a String cannot fail");
}

/// Three decimals: a thousandth of a point is far below any printer's dot.
fn number(value: f64) -> String {
    let text = format!("{value:.3}");
    let text = text.trim_end_matches('0').trim_end_matches('.');
    if text == "-0" { "0".to_owned() } else { text.to_owned() }
}

fn hex(color: Color) -> String {
    format!("#{:02x}{:02x}{:02x}", color.rgb[0], color.rgb[1], color.rgb[2])
}

fn paint(fill: Option<Color>, stroke: Option<Stroke>) -> String {
    let mut out = match fill {
        None => " fill=\"none\"".to_owned(),
        Some(color) if color.alpha < 1.0 => format!(" fill=\"{}\" fill-opacity=\"{}\"", hex(color), number(color.alpha)),
        Some(color) => format!(" fill=\"{}\"", hex(color)),
    };
    if let Some(stroke) = stroke {
        push(&mut out, format_args!(" stroke=\"{}\" stroke-width=\"{}\"", hex(stroke.color), number(stroke.width_pt)));
        if stroke.color.alpha < 1.0 {
            push(&mut out, format_args!(" stroke-opacity=\"{}\"", number(stroke.color.alpha)));
        }
        if let Some([dash, gap]) = stroke.dash_pt {
            push(&mut out, format_args!(" stroke-dasharray=\"{} {}\"", number(dash), number(gap)));
        }
    }
    out
}

fn draw(out: &mut String, shape: &Shape) -> Result<(), png::EncodingError> {
    match shape {
        Shape::Path { points, closed, fill, stroke } => {
            let element = if *closed { "polygon" } else { "polyline" };
            let points: Vec<String> = points.iter().map(|p| format!("{},{}", number(p[0]), number(p[1]))).collect();
            let join = if stroke.is_some() && !closed { " stroke-linejoin=\"round\"" } else { "" };
            push(out, format_args!("<{element} points=\"{}\"{}{join}/>\n", points.join(" "), paint(*fill, *stroke)));
        }
        Shape::Circle { centre, radius, fill, stroke } => {
            let (x, y, r) = (number(centre[0]), number(centre[1]), number(*radius));
            push(out, format_args!("<circle cx=\"{x}\" cy=\"{y}\" r=\"{r}\"{}/>\n", paint(*fill, *stroke)));
        }
        Shape::Text { at, text, face } => label(out, *at, text, face),
        Shape::Picture { frame, picture } => image(out, frame, picture)?,
        Shape::BeginClip(frame) => {
            let (x, y, w, h) = (number(frame.x), number(frame.y), number(frame.width), number(frame.height));
            push(
                out,
                format_args!("<svg x=\"{x}\" y=\"{y}\" width=\"{w}\" height=\"{h}\" viewBox=\"{x} {y} {w} {h}\" overflow=\"hidden\">\n"),
            );
        }
        Shape::EndClip => out.push_str("</svg>\n"),
    }
    Ok(())
}

fn label(out: &mut String, at: [f64; 2], text: &str, face: &Type) {
    let (x, y) = (number(at[0]), number(at[1]));
    push(out, format_args!("<text x=\"{x}\" y=\"{y}\" font-size=\"{}\" fill=\"{}\"", number(face.size_pt), hex(face.color)));
    match face.along {
        Along::Start => {}
        Along::Middle => out.push_str(" text-anchor=\"middle\""),
        Along::End => out.push_str(" text-anchor=\"end\""),
    }
    if face.weight == Weight::Bold {
        out.push_str(" font-weight=\"bold\"");
    }
    if face.turned {
        push(out, format_args!(" transform=\"rotate(-90 {x} {y})\""));
    }
    push(out, format_args!(">{}</text>\n", escape(text)));
}

fn image(out: &mut String, frame: &Rect, picture: &Picture) -> Result<(), png::EncodingError> {
    let bytes = raster::encode(&picture.rgb, picture.width, picture.height, None)?;
    let rendering = if raster::is_magnified(frame, picture) { "pixelated" } else { "auto" };
    push(
        out,
        format_args!(
            "<image x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\" preserveAspectRatio=\"none\" style=\"image-rendering:{rendering}\" \
             href=\"data:image/png;base64,{}\"/>\n",
            number(frame.x),
            number(frame.y),
            number(frame.width),
            number(frame.height),
            STANDARD.encode(bytes)
        ),
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::canvas::Across;
    use crate::report::style::BLACK;

    #[test]
    fn text_is_escaped_and_numbers_are_short() {
        let mut canvas = Canvas::new(10.0, 20.0);
        canvas.text([1.0, 2.0], "a<b & \"c\"", Type::new(Along::Start, Across::Baseline));
        canvas.line([0.0, -0.0001], [1.0 / 3.0, 2.0], Stroke::new(BLACK, 0.5));
        let text = document(&canvas, "x<y").unwrap();
        assert!(text.contains("a&lt;b &amp; &quot;c&quot;"));
        assert!(text.contains("<title>x&lt;y</title>"));
        assert!(text.contains("0,0 0.333,2"));
    }
}
