//! Names and values as a person reads them: axes with their units, points by what varies.

use super::spec::{Point, Study};
use super::{Axis, AxisValue};

/// An axis label with its unit in parentheses.
pub(super) fn label(axis: &Axis) -> String {
    match axis.column.as_str() {
        "specimen_tilt_x_mrad" => "Specimen tilt θx (mrad)".to_owned(),
        "specimen_tilt_y_mrad" => "Specimen tilt θy (mrad)".to_owned(),
        name => {
            let (_, unit) = split_unit(name);
            let mut words = quantity(name);
            if let Some(first) = words.get_mut(0..1) {
                first.make_ascii_uppercase();
            }
            if unit.is_empty() { words } else { format!("{words} ({unit})") }
        }
    }
}

/// "θx = 10 mrad", "thickness 40 nm".
pub(super) fn label_value(axis: &Axis, value: &AxisValue) -> String {
    named_value(&axis.column, value)
}

/// The same by the axis's column.
pub(super) fn named_value(column: &str, value: &AxisValue) -> String {
    match column {
        "specimen_tilt_x_mrad" => format!("θx = {} mrad", short(value)),
        "specimen_tilt_y_mrad" => format!("θy = {} mrad", short(value)),
        // Short, for the title of a panel.
        name => format!("{} {} {}", quantity(name), short(value), split_unit(name).1.replacen("electrons", "e", 1)).trim_end().to_owned(),
    }
}

/// What a column is called in a sentence, without its unit.
pub(super) fn quantity(column: &str) -> String {
    match column {
        "specimen_tilt_x_mrad" => "specimen tilt θx".to_owned(),
        "specimen_tilt_y_mrad" => "specimen tilt θy".to_owned(),
        "size_lattices" => "window size".to_owned(),
        name => plain(split_unit(name).0),
    }
}

/// What varies at a point along some of the axes, each as [`label_value`]; idle axes say nothing.
pub(super) fn setting(study: &Study, point: &Point, axes: impl IntoIterator<Item = usize>) -> Vec<String> {
    let varied = axes.into_iter().map(|i| (i, &point.values[i].1)).filter(|(_, value)| **value != AxisValue::Idle);
    varied.map(|(i, value)| label_value(&study.axes[i], value)).collect()
}

/// A value in at most five digits behind a true minus: drawn values have twelve.
pub(super) fn short(value: &AxisValue) -> String {
    let text = value.to_string();
    let text = match value {
        AxisValue::Number(x) if text.len() > 7 && x.abs() < 1e6 => {
            let places = if x.abs() < 1.0 { 4 } else { 3 };
            format!("{x:.places$}").trim_end_matches('0').trim_end_matches('.').to_owned()
        }
        _ => text,
    };
    if value.number().is_some() { text.replace('-', "−") } else { text }
}

/// The stem of a name and the unit that it ends in, as printed; no unit where it names none.
pub(super) fn split_unit(name: &str) -> (&str, &str) {
    let units = [
        ("_mrad", "mrad"),
        ("_nm", "nm"),
        ("_e_per_angstrom2", "electrons/Å²"),
        ("_e_per_px", "electrons/px"),
        ("_angstrom", "Å"),
        ("_kv", "kV"),
        ("_um", "µm"),
        ("_mm", "mm"),
        ("_deg", "°"),
        ("_pm", "pm"),
        ("_px", "px"),
        ("_us", "µs"),
        ("_pa", "pA"),
        ("_hz", "Hz"),
        ("_percent", "%"),
        ("_lattices", "lattice parameters"),
    ];
    units.into_iter().find_map(|(suffix, unit)| name.strip_suffix(suffix).map(|stem| (stem, unit))).unwrap_or((name, ""))
}

/// A name with blanks for joints.
pub(super) fn plain(name: &str) -> String {
    name.replace(['_', '-'], " ")
}

/// A number with its sign, a true minus as in print.
pub(super) fn signed(value: f64, decimals: usize) -> String {
    format!("{value:+.decimals$}").replace('-', "−")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn drawn_values_are_cut_for_people_and_typed_ones_are_not() {
        for (value, text) in
            [(-3.728_193_847_56, "−3.728"), (0.012_345_678_9, "0.0123"), (300.0, "300"), (0.05, "0.05"), (1.5e-9, "0"), (-10.0, "−10")]
        {
            assert_eq!(short(&AxisValue::Number(value)), text);
        }
        assert_eq!(short(&AxisValue::Text("bifeo3-r3c".into())), "bifeo3-r3c");
    }
}
