//! The two embedded fonts (`DejaVu Sans`, regular and bold): widths of text in points, and outlines of glyphs for the raster.

use std::sync::LazyLock;

use ab_glyph::{Font, FontRef, Outline};

/// The font list of every text in SVG and HTML: the first that the reader's machine has.
pub(crate) const FAMILY: &str = "DejaVu Sans, Arial, sans-serif";

/// Height of a capital letter, in em (`DejaVu Sans`: 1493 of 2048 units).
pub(crate) const CAPITAL_EM: f64 = 0.729;

/// Weight of a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Weight {
    Regular,
    Bold,
}

static REGULAR: LazyLock<FontRef<'static>> = LazyLock::new(|| {
    FontRef::try_from_slice(include_bytes!("../../assets/DejaVuSans-subset.ttf")).expect("the embedded font is a valid TrueType file")
});
static BOLD: LazyLock<FontRef<'static>> = LazyLock::new(|| {
    FontRef::try_from_slice(include_bytes!("../../assets/DejaVuSans-Bold-subset.ttf")).expect("the embedded font is a valid TrueType file")
});

fn font(weight: Weight) -> &'static FontRef<'static> {
    match weight {
        Weight::Regular => &REGULAR,
        Weight::Bold => &BOLD,
    }
}

/// Font units of one em.
pub(crate) fn units_per_em(weight: Weight) -> f64 {
    f64::from(font(weight).units_per_em().expect("the embedded font states its units"))
}

/// Each glyph of `text` with its outline and its pen position, in font units from the text's start; then the text's whole advance.
pub(crate) fn set(text: &str, weight: Weight) -> (Vec<(Outline, f64)>, f64) {
    let font = font(weight);
    let (mut glyphs, mut pen, mut previous) = (Vec::new(), 0.0, None);
    for character in text.chars() {
        let id = font.glyph_id(character);
        if let Some(left) = previous {
            pen += f64::from(font.kern_unscaled(left, id));
        }
        if let Some(outline) = font.outline(id) {
            glyphs.push((outline, pen));
        }
        pen += f64::from(font.h_advance_unscaled(id));
        previous = Some(id);
    }
    (glyphs, pen)
}

/// Width of `text` in points at a font size in points.
pub(crate) fn width_pt(text: &str, size_pt: f64, weight: Weight) -> f64 {
    set(text, weight).1 * size_pt / units_per_em(weight)
}

/// Break `text` at blanks so that no line is wider than `room_pt`; a word wider than the room keeps a line of its own.
pub(crate) fn wrap(text: &str, room_pt: f64, size_pt: f64, weight: Weight) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        let longer = lines.last().map(|line| format!("{line} {word}"));
        match longer {
            Some(line) if width_pt(&line, size_pt, weight) <= room_pt => *lines.last_mut().expect("a line stands before it grows") = line,
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

/// `text` cut to a width, an ellipsis in place of what does not fit.
pub(crate) fn shorten(text: &str, room_pt: f64, size_pt: f64, weight: Weight) -> String {
    if width_pt(text, size_pt, weight) <= room_pt {
        return text.to_owned();
    }
    let mut kept: String = text.to_owned();
    while kept.pop().is_some() {
        let cut = format!("{}…", kept.trim_end());
        if width_pt(&cut, size_pt, weight) <= room_pt {
            return cut;
        }
    }
    String::new()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every sign that a label of this program needs has a glyph of its own: a missing one would print as an empty box.
    #[test]
    fn signs_of_physics_are_in_the_subset() {
        for weight in [Weight::Regular, Weight::Bold] {
            for sign in "−±×·Å⁻¹²³⟨⟩∂∆θσµ≤≥→°½αβγδχλπΣΩ–—′″∞≈√".chars() {
                assert_ne!(font(weight).glyph_id(sign).0, 0, "no glyph for {sign} in {weight:?}");
            }
        }
    }

    #[test]
    fn widths_add_up_and_scale() {
        let one = width_pt("m", 7.0, Weight::Regular);
        assert!((width_pt("mmm", 7.0, Weight::Regular) - 3.0 * one).abs() < 0.05 * one);
        assert!((width_pt("m", 14.0, Weight::Regular) - 2.0 * one).abs() < 1e-9);
        assert!(width_pt("tilt", 7.0, Weight::Bold) > width_pt("tilt", 7.0, Weight::Regular));
    }

    #[test]
    fn long_titles_are_cut() {
        let cut = shorten("a title that is far too long for its panel", 50.0, 7.0, Weight::Regular);
        assert!(cut.ends_with('…') && cut.starts_with("a title") && width_pt(&cut, 7.0, Weight::Regular) <= 50.0);
        assert_eq!(shorten("short", 50.0, 7.0, Weight::Regular), "short");
    }

    #[test]
    fn wrapped_lines_fit_and_lose_no_word() {
        let text = "apparent shift of the B columns against the A columns";
        let lines = wrap(text, 60.0, 7.0, Weight::Regular);
        assert!(lines.len() > 2);
        assert!(lines.iter().all(|line| width_pt(line, 7.0, Weight::Regular) <= 60.0));
        assert_eq!(lines.join(" "), text);
    }
}
