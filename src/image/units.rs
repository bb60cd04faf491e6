//! Units of length as microscope software spells them, turned to picometres.

/// Picometres in one `unit`; `None` for anything that is no length (a reciprocal length, "px", nothing).
pub(super) fn picometres(unit: &str) -> Option<f64> {
    // Berkeley .emd files write "[n_m]": prefix and unit apart, in brackets.
    let plain: String = unit.trim().trim_start_matches('[').trim_end_matches(']').replace('_', "");
    // ImageJ escapes the micro sign; the Greek letter and the micro sign look the same but are two characters.
    let plain = plain.replace("\\u00B5", "µ").replace("\\u00b5", "µ").replace('\u{3bc}', "µ");
    let factor = match plain.trim() {
        "m" => 1e12,
        "cm" => 1e10,
        "mm" => 1e9,
        "µm" | "um" => 1e6,
        "nm" => 1e3,
        // The letter A with ring, and the ångström sign that looks the same.
        "\u{c5}" | "\u{212b}" | "A" | "Ang" | "\\u00C5" | "\\u00c5" => 1e2,
        "pm" => 1.0,
        "fm" => 1e-3,
        other => return by_word(&other.to_lowercase()),
    };
    Some(factor)
}

fn by_word(word: &str) -> Option<f64> {
    let word = word.strip_suffix('s').unwrap_or(word);
    match word {
        "meter" | "metre" => Some(1e12),
        "inch" => Some(2.54e10),
        "centimeter" | "centimetre" => Some(1e10),
        "millimeter" | "millimetre" => Some(1e9),
        "micron" | "micrometer" | "micrometre" => Some(1e6),
        "nanometer" | "nanometre" => Some(1e3),
        "angstrom" | "ångström" | "ångstrom" => Some(1e2),
        "picometer" | "picometre" => Some(1.0),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_spelling_of_a_length_is_known() {
        for (unit, pm) in [
            ("nm", 1e3),
            (" nm ", 1e3),
            ("[n_m]", 1e3),
            ("µm", 1e6),
            ("μm", 1e6),
            ("\\u00B5m", 1e6),
            ("micron", 1e6),
            ("microns", 1e6),
            ("Å", 1e2),
            ("\u{212b}", 1e2),
            ("Angstroms", 1e2),
            ("pm", 1.0),
            ("m", 1e12),
            ("meters", 1e12),
            ("inch", 2.54e10),
        ] {
            assert_eq!(picometres(unit), Some(pm), "{unit}");
        }
    }

    #[test]
    fn what_is_no_length_is_not_guessed() {
        for unit in ["1/nm", "px", "pixel", "", "nM", "mrad", "MM", "nm^-1", "<undefined>", "_None_", "s"] {
            assert_eq!(picometres(unit), None, "{unit}");
        }
    }
}
