//! An axis of the sweep: a key of the study and the values it takes, listed or made by a rule, everywhere or under a condition.

use super::check;
use super::error::{Place, Problem};
use super::rules;
use super::schema::{self, Kind};
use super::tree::{Node, Value};
use serde::Serialize;
use serde_json::Value as Json;
use std::collections::BTreeSet;
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
    /// None: here the axis does not vary, and its key keeps the value of its own table.
    Idle,
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
            Self::Idle => Json::Null,
        }
    }

    /// Whether a TOML value says the same.
    pub(super) fn is(&self, value: &Value) -> bool {
        match (self, value) {
            (Self::Bool(b), Value::Bool(other)) => b == other,
            (Self::Text(text), Value::Text(other)) => text == other,
            _ => self.number().is_some_and(|n| value.number() == Some(n)),
        }
    }

    fn node(&self, place: &Place) -> Node {
        let value = match self {
            Self::Bool(b) => Value::Bool(*b),
            Self::Integer(i) => Value::Integer(*i),
            Self::Number(x) => Value::Float(*x),
            Self::Text(s) => Value::Text(s.clone()),
            // Never among the values of an axis.
            Self::Idle => Value::Text(String::new()),
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
            Self::Idle => f.write_str("–"),
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
    /// Where it varies: all of these axes (by index, of slower groups) have one of these values. Elsewhere its value is [`AxisValue::Idle`].
    pub when: Vec<(usize, Vec<AxisValue>)>,
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

/// An axis as it is read: its values, whether they walk with all other Latin hypercube axes, and its condition.
#[derive(Debug, Default)]
pub(super) struct Read {
    pub(super) values: Vec<AxisValue>,
    pub(super) latin: bool,
    pub(super) when: Option<Node>,
}

pub(super) fn read(key: &str, node: &Node, seed: u64, problems: &mut Vec<Problem>) -> Read {
    let Some(leaf) = axis_leaf(key) else {
        problems.push(unknown_axis(key, node));
        return Read::default();
    };
    let before = problems.len();
    let (mut latin, mut when) = (false, None);
    let values: Vec<(AxisValue, Place)> = match &node.value {
        Value::List(items) => listed(key, items, leaf, problems),
        Value::Table(entries) => {
            when = entries.iter().find(|(name, _)| name == "when").map(|(_, node)| node.clone());
            match one_rule(key, node, entries, problems) {
                None => Vec::new(),
                Some(("values", Node { value: Value::List(items), .. })) => listed(key, items, leaf, problems),
                Some((rule, numbers)) => {
                    latin = rules::is_latin(rule);
                    ruled(key, node, rule, numbers, (leaf, seed), problems)
                }
            }
        }
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
    if let Some((value, place)) = twice(&values) {
        let message = format!("The axis `{key}` has the value {value} twice: two points would be the same.");
        problems.push(Problem::at(
            place,
            message,
            "again",
            "Keep one of them; to repeat with other random numbers, give `repeats` in [sweep].",
        ));
    }
    Read { values: values.into_iter().map(|(value, _)| value).collect(), latin, when }
}

/// The first value that stands there before.
fn twice(values: &[(AxisValue, Place)]) -> Option<&(AxisValue, Place)> {
    let mut seen = BTreeSet::new();
    // The text of a value is its own: numbers print all their digits.
    values.iter().find(|(value, _)| !seen.insert(value.to_string()))
}

/// The one rule of an axis that is a table.
fn one_rule<'a>(key: &str, node: &Node, entries: &'a [(String, Node)], problems: &mut Vec<Problem>) -> Option<(&'a str, &'a Node)> {
    let is_rule = |name: &str| name == "values" || rules::NAMES.contains(&name);
    let before = problems.len();
    for (name, child) in entries.iter().filter(|(name, _)| name != "when" && !is_rule(name)) {
        let help = match check::nearest(name, rules::NAMES.into_iter().chain(["values", "when"])) {
            Some(meant) => format!("Did you mean `{meant}`?"),
            None => format!("An axis takes `values` or one of `{}`, and `when`.", rules::NAMES.join("`, `")),
        };
        problems.push(Problem::at(&child.key, format!("The axis `{key}` has no rule `{name}`."), "unknown rule", help));
    }
    let mut found = entries.iter().filter(|(name, _)| is_rule(name));
    let first = found.next();
    if let (Some((one, _)), Some((other, again))) = (first, found.next()) {
        let message = format!("The axis `{key}` has two rules, `{one}` and `{other}`.");
        problems.push(Problem::at(&again.key, message, "the second", "Keep one of them."));
    } else if first.is_none() && problems.len() == before {
        problems.push(Problem::at(&node.place, format!("The axis `{key}` is a table without values."), "no values come of this", SHAPES));
    }
    first.filter(|_| problems.len() == before).map(|(name, child)| (name.as_str(), child))
}

const SHAPES: &str = "Give `[0, 5, 10]`, `{ linspace = [first, last, how_many] }`, `{ range = [start, stop, step] }` or another rule.";

/// The schema of the key an axis varies, if the key can be varied.
pub(super) fn axis_leaf(key: &str) -> Option<&'static Json> {
    let parts: Vec<&str> = key.split('.').collect();
    let pattern = match parts.as_slice() {
        ["microscope", "detectors", _, last] => format!("microscope.detectors.*.{last}"),
        _ => key.to_owned(),
    };
    schema::sweepable().into_iter().find(|(path, _)| *path == pattern).map(|(_, node)| node)
}

fn unknown_axis(key: &str, node: &Node) -> Problem {
    if schema::find(key).is_some() {
        let message = format!("`{key}` cannot be an axis: it is no single number, name or switch that a point has.");
        return Problem::at(
            &node.key,
            message,
            "cannot be swept",
            "Axes vary single values of [crystal], [microscope], [simulation], [measure], [scene], [camera] and `seed`.",
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

/// The values that a rule makes, each within the range of the key.
fn ruled(
    key: &str,
    node: &Node,
    rule: &str,
    numbers: &Node,
    (leaf, seed): (&Json, u64),
    problems: &mut Vec<Problem>,
) -> Vec<(AxisValue, Place)> {
    let kind = schema::kind_of(leaf);
    let whole = kind == Kind::Integer;
    let made = match triple(numbers) {
        _ if !matches!(kind, Kind::Number | Kind::Integer) => {
            Err((format!("The axis `{key}` has values that are no numbers."), "Give a list of its values."))
        }
        None => Err((format!("The axis `{key}`: `{rule}` takes a list of three numbers."), SHAPES)),
        Some(triple) => rules::values(rule, triple, rules::Axis { key, seed, whole }).map_err(|message| {
            (format!("The axis `{key}`: {message}"), "See `mistilt schema`, or docs/reference/study-keys.md, for every rule.")
        }),
    };
    let made = match made {
        Ok(made) => made,
        Err((message, help)) => {
            problems.push(Problem::at(&node.place, message, "no values come of this", help));
            return Vec::new();
        }
    };
    let mut out = Vec::with_capacity(made.len());
    for number in made {
        if whole && number.fract() != 0.0 {
            let message = format!("The axis `{key}` comes to {number}, and its values are whole numbers.");
            problems.push(Problem::at(&node.place, message, "no values come of this", SHAPES));
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
