//! Where the ticks of an axis stand and what they say: steps of 1, 2, 2.5 or 5 times a power of ten, a true minus sign.

/// How an axis maps values to paper.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Scale {
    /// Evenly.
    #[default]
    Linear,
    /// By the logarithm; values must be positive (dose, number of windows).
    Log10,
}

/// A tick: its value and its label (empty for a minor tick).
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Tick {
    pub(crate) value: f64,
    pub(crate) label: String,
}

/// Ticks inside `[lo, hi]`, about `wanted` of them and at least two labelled where the range allows.
pub(crate) fn ticks(scale: Scale, lo: f64, hi: f64, wanted: usize) -> Vec<Tick> {
    match scale {
        Scale::Linear => linear(lo, hi, wanted),
        Scale::Log10 => decades(lo, hi, wanted),
    }
}

/// The step 1, 2, 2.5 or 5 times a power of ten next above `rough`.
pub(crate) fn nice_step(rough: f64) -> f64 {
    let power = 10f64.powf(rough.log10().floor());
    let step = [1.0, 2.0, 2.5, 5.0, 10.0].into_iter().find(|step| step * power >= rough * (1.0 - 1e-9)).unwrap_or(10.0);
    step * power
}

/// The step 1, 2, 2.5 or 5 times a power of ten at or below `value`.
pub(crate) fn nice_below(value: f64) -> f64 {
    let power = 10f64.powf(value.log10().floor());
    let step = [5.0, 2.5, 2.0].into_iter().find(|step| step * power <= value * (1.0 + 1e-9)).unwrap_or(1.0);
    step * power
}

fn linear(lo: f64, hi: f64, wanted: usize) -> Vec<Tick> {
    let step = nice_step((hi - lo) / wanted.max(2) as f64);
    let digits = decimals(step);
    let first = (lo / step - 1e-9).ceil();
    (0..1000)
        .map(|index| (first + f64::from(index)) * step)
        .take_while(|&value| value <= hi + 1e-9 * step)
        .map(|value| Tick { value, label: format_value(value, digits) })
        .collect()
}

/// Decimals that tell multiples of `step` apart.
pub(crate) fn decimals(step: f64) -> usize {
    (0..12).find(|&digits| (step * 10f64.powi(digits) - (step * 10f64.powi(digits)).round()).abs() < 1e-6).unwrap_or(12) as usize
}

/// A number with a true minus sign; powers of ten beyond a million or below a ten-thousandth are written as such.
pub(crate) fn format_value(value: f64, digits: usize) -> String {
    if value != 0.0 && (value.abs() >= 1e6 || digits > 5) {
        let power = value.abs().log10().floor();
        let mantissa = value / 10f64.powf(power);
        let mantissa_text = format!("{mantissa:.1}").replace(".0", "");
        return format!("{mantissa_text}×10{}", superscript(power as i32)).replace('-', "−");
    }
    let text = format!("{value:.digits$}");
    if text.trim_start_matches('-').chars().all(|c| c == '0' || c == '.') {
        text.trim_start_matches('-').to_owned()
    } else {
        text.replace('-', "−")
    }
}

fn superscript(number: i32) -> String {
    const DIGITS: [char; 10] = ['⁰', '¹', '²', '³', '⁴', '⁵', '⁶', '⁷', '⁸', '⁹'];
    number.to_string().chars().map(|c| c.to_digit(10).map_or('⁻', |digit| DIGITS[digit as usize])).collect()
}

fn decades(lo: f64, hi: f64, wanted: usize) -> Vec<Tick> {
    let (first, last) = (lo.log10().floor() as i32, hi.log10().ceil() as i32);
    let inside = |value: f64| value >= lo * (1.0 - 1e-9) && value <= hi * (1.0 + 1e-9);
    let whole = (first..=last).filter(|&power| inside(10f64.powi(power))).count();
    let every = whole.div_ceil(wanted.max(2)).max(1) as i32;
    let mut out = Vec::new();
    for power in first..=last {
        for digit in 1..10 {
            let value = f64::from(digit) * 10f64.powi(power);
            if !inside(value) {
                continue;
            }
            let labelled = if whole >= 2 { digit == 1 && power.rem_euclid(every) == 0 } else { matches!(digit, 1 | 2 | 5) };
            if labelled || whole < 8 {
                out.push(Tick { value, label: if labelled { log_label(digit, power) } else { String::new() } });
            }
        }
    }
    out
}

fn log_label(digit: i32, power: i32) -> String {
    if (-2..=3).contains(&power) {
        format_value(f64::from(digit) * 10f64.powi(power), (-power).max(0) as usize)
    } else if digit == 1 {
        format!("10{}", superscript(power))
    } else {
        format!("{digit}×10{}", superscript(power))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(scale: Scale, lo: f64, hi: f64, wanted: usize) -> Vec<String> {
        ticks(scale, lo, hi, wanted).into_iter().map(|tick| tick.label).collect()
    }

    #[test]
    fn steps_are_round_and_minus_is_a_minus() {
        assert_eq!(labels(Scale::Linear, -10.4, 10.4, 5), ["−10", "−5", "0", "5", "10"]);
        assert_eq!(labels(Scale::Linear, 0.0, 1.0, 4), ["0.00", "0.25", "0.50", "0.75", "1.00"]);
        assert_eq!(labels(Scale::Linear, 0.0, 0.02, 2), ["0.00", "0.01", "0.02"]);
    }

    #[test]
    fn logarithmic_ticks() {
        let found: Vec<String> = labels(Scale::Log10, 90.0, 2.0e6, 6).into_iter().filter(|label| !label.is_empty()).collect();
        assert_eq!(found, ["100", "1000", "10⁴", "10⁵", "10⁶"]);
        let narrow: Vec<String> = labels(Scale::Log10, 1.5, 7.0, 6).into_iter().filter(|label| !label.is_empty()).collect();
        assert_eq!(narrow, ["2", "5"]);
    }

    #[test]
    fn large_and_small_values_are_written_with_powers() {
        assert_eq!(format_value(-2.5e7, 0), "−2.5×10⁷");
        assert_eq!(format_value(3e-8, 8), "3×10⁻⁸");
        assert_eq!(format_value(-0.0, 1), "0.0");
    }
}
