//! An axis of the sweep: a key of the study and the values it takes, listed or evenly spaced.

use super::check;
use super::error::{Place, Problem};
use super::schema::{self, Kind};
use super::tree::{Node, Value};
use serde::Serialize;
use serde_json::Value as Json;
use std::fmt;

/// Most points a study may have.
pub const MAX_POINTS: usize = 100_000;

/// One value of an axis.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
pub enum AxisValue {
    /// `true` or `false`.
    Bool(bool),
    /// A whole number.
    Integer(i64),
    /// A number, in the unit that the axis names.
    Number(f64),
    /// A name.
    Text(String),
}

impl AxisValue {
    /// The value as a number, if it is one.
    #[must_use]
    pub fn number(&self) -> Option<f64> {
        match self {
            Self::Integer(i) => Some(*i as f64),
            Self::Number(x) => Some(*x),
            _ => None,
        }
    }

    pub(super) fn json(&self) -> Json {
        match self {
            Self::Bool(b) => Json::from(*b),
            Self::Integer(i) => Json::from(*i),
            Self::Number(x) => Json::from(*x),
            Self::Text(s) => Json::from(s.as_str()),
        }
    }

    fn node(&self, place: &Place) -> Node {
        let value = match self {
            Self::Bool(b) => Value::Bool(*b),
            Self::Integer(i) => Value::Integer(*i),
            Self::Number(x) => Value::Float(*x),
            Self::Text(s) => Value::Text(s.clone()),
        };
        Node { key: place.clone(), place: place.clone(), value }
    }
}

impl fmt::Display for AxisValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bool(b) => b.fmt(f),
            Self::Integer(i) => i.fmt(f),
            Self::Number(x) => x.fmt(f),
            Self::Text(s) => f.write_str(s),
        }
    }
}

/// A key and the values it takes.
#[derive(Debug, Clone)]
pub struct Axis {
    /// Dotted name of the key, such as `crystal.thickness_nm`.
    pub key: String,
    /// Name of its column in tables: the last part of the key, longer where two would be alike.
    pub column: String,
    /// Its values, in order, no two alike.
    pub values: Vec<AxisValue>,
    /// Axes of one group walk together; groups multiply, group 0 slowest.
    pub group: usize,
    pub(super) place: Place,
}

impl Axis {
    /// The first value, as an entry of the key's own table.
    pub(super) fn first(&self) -> Option<Node> {
        self.values.first().map(|value| value.node(&self.place))
    }
}

/// Rounds to 12 digits of the larger of `x` and `scale`, so that 3 × 0.1 is 0.3 in every table.
pub(super) fn rounded(x: f64, scale: f64) -> f64 {
    let largest = x.abs().max(scale.abs());
    if largest == 0.0 {
        return 0.0;
    }
    let digits = (11 - largest.log10().floor() as i32).clamp(0, 300);
    let factor = 10_f64.powi(digits);
    let out = (x * factor).round() / factor;
    // Plus zero turns -0 into 0.
    if out.is_finite() { out + 0.0 } else { x }
}

pub(super) fn axis_values(key: &str, node: &Node, problems: &mut Vec<Problem>) -> Vec<AxisValue> {
    let Some(leaf) = axis_leaf(key) else {
        problems.push(unknown_axis(key, node));
        return Vec::new();
    };
    let before = problems.len();
    let values: Vec<(AxisValue, Place)> = match &node.value {
        Value::List(items) => listed(key, items, leaf, problems),
        Value::Table(entries) => spaced(key, node, entries, leaf, problems),
        other => {
            let message = format!("The axis `{key}` is {}; an axis is a list of values.", other.kind());
            problems.push(Problem::at(&node.place, message, "not a list", SHAPES));
            Vec::new()
        }
    };
    if problems.len() == before && values.is_empty() {
        let message = format!("The axis `{key}` is empty: the study would have no points.");
        problems.push(Problem::at(&node.place, message, "no values", "Give it one value or more, or leave the axis out."));
    }
    for (i, (value, place)) in values.iter().enumerate().take(1000) {
        if values[..i].iter().any(|(other, _)| other == value) {
            let message = format!("The axis `{key}` has the value {value} twice: two points would be the same.");
            problems.push(Problem::at(place, message, "again", "Keep one of them; to repeat with other random numbers, sweep `seed`."));
            break;
        }
    }
    values.into_iter().map(|(value, _)| value).collect()
}

const SHAPES: &str = "Give `[0, 5, 10]`, `{ linspace = [first, last, how_many] }` or `{ range = [start, stop, step] }`.";

/// The schema of the key an axis varies, if the key can be varied.
pub(super) fn axis_leaf(key: &str) -> Option<&'static Json> {
    let parts: Vec<&str> = key.split('.').collect();
    let pattern = match parts.as_slice() {
        ["microscope", "detectors", _, last] => format!("microscope.detectors.*.{last}"),
        _ => key.to_owned(),
    };
    schema::sweepable().into_iter().find(|(path, _)| *path == pattern).map(|(_, node)| node)
}

pub(super) fn unknown_axis(key: &str, node: &Node) -> Problem {
    if schema::find(key).is_some() {
        let message = format!("`{key}` cannot be an axis: it is no single number, name or switch that a point has.");
        return Problem::at(
            &node.key,
            message,
            "cannot be swept",
            "Axes vary single values of [crystal], [microscope], [simulation], [measure] and `seed`.",
        );
    }
    let paths: Vec<String> = schema::sweepable().into_iter().map(|(path, _)| path).collect();
    let last = key.rsplit('.').next().unwrap_or(key);
    let by_last = paths.iter().find(|p| p.rsplit('.').next() == Some(last)).map(String::as_str);
    let help = match by_last.or_else(|| check::nearest(key, paths.iter().map(String::as_str))) {
        Some(meant) => format!("Did you mean `{}`?", meant.replace('*', "<name>")),
        None => "An axis has the dotted name of a key, such as \"crystal.thickness_nm\".".to_owned(),
    };
    Problem::at(&node.key, format!("The axis `{key}` names no key of a study."), "unknown key", help)
}

fn listed(key: &str, items: &[Node], leaf: &Json, problems: &mut Vec<Problem>) -> Vec<(AxisValue, Place)> {
    let mut out = Vec::with_capacity(items.len());
    for item in items {
        check::value(item, leaf, key, &[], problems);
        let value = match &item.value {
            Value::Bool(b) => AxisValue::Bool(*b),
            Value::Integer(i) if schema::kind_of(leaf) == Kind::Integer => AxisValue::Integer(*i),
            Value::Integer(i) => AxisValue::Number(*i as f64),
            Value::Float(x) => AxisValue::Number(*x + 0.0),
            Value::Text(s) => AxisValue::Text(s.clone()),
            // check::value has named these a problem.
            Value::Date | Value::List(_) | Value::Table(_) => continue,
        };
        out.push((value, item.place.clone()));
    }
    out
}

fn spaced(key: &str, node: &Node, entries: &[(String, Node)], leaf: &Json, problems: &mut Vec<Problem>) -> Vec<(AxisValue, Place)> {
    let numbers = match entries {
        [(shape, list)] => triple(list).and_then(|[a, b, c]| match shape.as_str() {
            "linspace" => Some(linspace(a, b, c)),
            "range" => Some(range(a, b, c)),
            _ => None,
        }),
        _ => None,
    };
    let refuse = |message: String, help: &str| vec![Problem::at(&node.place, message, "no values come of this", help)];
    let kind = schema::kind_of(leaf);
    let numbers = match numbers {
        _ if !matches!(kind, Kind::Number | Kind::Integer) => {
            problems.extend(refuse(format!("The axis `{key}` has values that are no numbers."), "Give a list of its values."));
            return Vec::new();
        }
        None => {
            problems.extend(refuse(format!("The axis `{key}` is a table that is not understood."), SHAPES));
            return Vec::new();
        }
        Some(Err(message)) => {
            problems.extend(refuse(format!("The axis `{key}`: {message}"), SHAPES));
            return Vec::new();
        }
        Some(Ok(numbers)) => numbers,
    };
    let mut out = Vec::with_capacity(numbers.len());
    for number in numbers {
        let whole = kind == Kind::Integer;
        if whole && number.fract() != 0.0 {
            problems.extend(refuse(format!("The axis `{key}` comes to {number}, and its values are whole numbers."), SHAPES));
            return Vec::new();
        }
        if let Some(problem) = check::range_problem(&node.place, number, leaf, key.rsplit('.').next().unwrap_or(key)) {
            problems.push(problem);
            return Vec::new();
        }
        let value = if whole { AxisValue::Integer(number as i64) } else { AxisValue::Number(number) };
        out.push((value, node.place.clone()));
    }
    out
}

fn triple(list: &Node) -> Option<[f64; 3]> {
    let Value::List(items) = &list.value else { return None };
    let numbers: Option<Vec<f64>> = items.iter().map(|item| item.value.number()).collect();
    numbers?.try_into().ok()
}

fn linspace(first: f64, last: f64, count: f64) -> Result<Vec<f64>, String> {
    if count.fract() != 0.0 || !(1.0..=MAX_POINTS as f64).contains(&count) {
        return Err(format!("linspace = [first, last, how_many] makes 1 to {MAX_POINTS} values, not {count}."));
    }
    let (n, scale) = (count as usize, first.abs().max(last.abs()));
    let at = |i: usize| if n == 1 { first } else { first + (last - first) * (i as f64 / (n - 1) as f64) };
    Ok((0..n).map(|i| rounded(at(i), scale)).collect())
}

fn range(start: f64, stop: f64, step: f64) -> Result<Vec<f64>, String> {
    let steps = (stop - start) / step;
    if step == 0.0 || steps < 0.0 || !steps.is_finite() {
        return Err(format!("range = [start, stop, step] never comes from {start} to {stop} by steps of {step}."));
    }
    // A billionth of a step forgives the rounding of decimal steps: 0 to 0.3 by 0.1 has four values.
    let count = (steps + 1e-9).floor() + 1.0;
    if count > MAX_POINTS as f64 {
        return Err(format!("range = [{start}, {stop}, {step}] makes {count} values, more than {MAX_POINTS}."));
    }
    let scale = start.abs().max(stop.abs());
    Ok((0..count as usize).map(|i| rounded(start + i as f64 * step, scale)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn range_includes_the_stop_when_hit_and_decimal_steps_print_short() {
        assert_eq!(range(0.0, 0.3, 0.1).unwrap(), [0.0, 0.1, 0.2, 0.3]);
        assert_eq!(range(0.0, 10.0, 4.0).unwrap(), [0.0, 4.0, 8.0]);
        assert_eq!(range(5.0, -5.0, -5.0).unwrap(), [5.0, 0.0, -5.0]);
        assert!(range(0.0, 1.0, -0.1).is_err() && range(0.0, 1.0, 0.0).is_err() && range(0.0, 1e9, 1e-9).is_err());
    }

    #[test]
    fn linspace_ends_exactly_and_crosses_zero_exactly() {
        assert_eq!(linspace(-10.0, 10.0, 11.0).unwrap()[5].to_bits(), 0.0_f64.to_bits());
        assert_eq!(linspace(0.0, 1.0, 4.0).unwrap(), [0.0, 0.333_333_333_33, 0.666_666_666_67, 1.0]);
        assert_eq!(linspace(3.0, 9.0, 1.0).unwrap(), [3.0]);
        assert!(linspace(0.0, 1.0, 0.0).is_err() && linspace(0.0, 1.0, 2.5).is_err());
    }
}
