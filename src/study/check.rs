//! Checks a study's tree against the schema: unknown keys, wrong units, wrong types and ranges, each at its place.

use super::error::{Place, Problem};
use super::schema::{self, Kind};
use super::tree::{Node, Value};
use serde_json::Value as Json;

/// Checks the table at `path` and all below it. `sweep.axes` is left to the axes' own checks; a key in `swept` may be missing.
pub(super) fn table(node: &Node, schema: &Json, path: &str, swept: &[String], problems: &mut Vec<Problem>) {
    let (Value::Table(entries), Some(properties)) = (&node.value, schema::properties(schema)) else { return };
    // A key that was meant and misspelt is not reported missing as well.
    let mut meant = Vec::new();
    for (key, child) in entries {
        let child_path = join(path, key);
        match properties.get(key) {
            None => {
                let (problem, likely) = unknown_key(child, key, path, properties.keys().map(String::as_str));
                problems.push(problem);
                meant.extend(likely);
            }
            Some(_) if child_path == "sweep.axes" => {}
            Some(child_schema) => value(child, child_schema, &child_path, swept, problems),
        }
    }
    for key in schema::required(schema) {
        if !entries.iter().any(|(k, _)| k == key) && !meant.contains(&key) && !swept.contains(&join(path, key)) {
            let table = if path.is_empty() { "The study".to_owned() } else { format!("`[{path}]`") };
            let help = schema::properties(schema).and_then(|p| p.get(key)).map(description).unwrap_or_default();
            problems.push(Problem::at(&node.key, format!("{table} has no `{key}`, which it needs."), format!("`{key}` is missing"), help));
        }
    }
}

/// A dotted path and one more key.
pub(super) fn join(path: &str, key: &str) -> String {
    if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") }
}

/// First sentences of what a key means.
fn description(node: &Json) -> String {
    node.get("description").and_then(Json::as_str).unwrap_or_default().replace('\n', " ")
}

/// Checks one value against its schema node.
pub(super) fn value(node: &Node, schema: &Json, path: &str, swept: &[String], problems: &mut Vec<Problem>) {
    let key = path.rsplit('.').next().unwrap_or(path);
    let kind = schema::kind_of(schema);
    let fits = matches!(
        (kind, &node.value),
        (Kind::Number, Value::Integer(_) | Value::Float(_))
            | (Kind::Integer, Value::Integer(_))
            | (Kind::Bool, Value::Bool(_))
            | (Kind::Text | Kind::Choice, Value::Text(_))
            | (Kind::List, Value::List(_))
            | (Kind::Table, Value::Table(_))
    );
    if !fits {
        let message = format!("`{key}` needs {}, and this is {}.", wanted(kind, schema), node.value.kind());
        problems.push(Problem::at(&node.place, message, format!("not {}", wanted(kind, schema)), description(schema)));
        return;
    }
    match (&node.value, kind) {
        (Value::Table(_), _) => table(node, schema, path, swept, problems),
        (Value::List(items), _) => list(node, items, schema, path, swept, problems),
        (Value::Text(text), Kind::Choice) => choice(node, text, schema, key, problems),
        (Value::Text(text), _) => problems.extend(text_problem(node, text, schema, key)),
        (number, _) => problems.extend(number.number().and_then(|n| range_problem(&node.place, n, schema, key))),
    }
}

fn wanted(kind: Kind, schema: &Json) -> String {
    match kind {
        Kind::Number => "a number".into(),
        Kind::Integer => "a whole number".into(),
        Kind::Bool => "`true` or `false`".into(),
        Kind::Text => "text in double quotes".into(),
        Kind::Choice => format!("one of {}", quoted(&schema::choices(schema))),
        Kind::List => match schema::keyword(schema, "minItems").and_then(Json::as_u64) {
            Some(n) if n > 1 => format!("a list of {n}"),
            _ => "a list".into(),
        },
        Kind::Table => "a table".into(),
    }
}

/// `"a", "b"`.
pub(super) fn quoted(names: &[&str]) -> String {
    names.iter().map(|n| format!("\"{n}\"")).collect::<Vec<_>>().join(", ")
}

fn list(node: &Node, items: &[Node], schema: &Json, path: &str, swept: &[String], problems: &mut Vec<Problem>) {
    let key = path.rsplit('.').next().unwrap_or(path);
    let bound = |name| schema::keyword(schema, name).and_then(Json::as_u64).map(|n| n as usize);
    let (low, high) = (bound("minItems").unwrap_or(0), bound("maxItems").unwrap_or(usize::MAX));
    if items.len() < low || items.len() > high {
        let allowed = match (low, high) {
            (l, h) if l == h => format!("{l}"),
            (l, usize::MAX) => format!("at least {l}"),
            (l, h) => format!("{l} to {h}"),
        };
        let message = format!("`{key}` has {} entries and takes {allowed}.", items.len());
        problems.push(Problem::at(&node.place, message, format!("{allowed} needed"), description(schema)));
    }
    if let Some(item_schema) = schema::items(schema) {
        for item in items {
            let name = item.get("name").map(Node::to_json);
            let item_path = name.as_ref().and_then(Json::as_str).map_or_else(|| path.to_owned(), |name| join(path, name));
            value(item, item_schema, &item_path, swept, problems);
        }
    }
    if schema::keyword(schema, "uniqueItems").is_some() {
        for (i, item) in items.iter().enumerate() {
            if items[..i].iter().any(|other| other.to_json() == item.to_json()) {
                let message = format!("{} stands twice in `{key}`.", item.to_json());
                problems.push(Problem::at(&item.place, message, "again", "Keep one of them."));
            }
        }
    }
}

fn choice(node: &Node, text: &str, schema: &Json, key: &str, problems: &mut Vec<Problem>) {
    let choices = schema::choices(schema);
    if !choices.contains(&text) {
        let help = match nearest(text, choices.iter().copied()) {
            Some(name) => format!("Did you mean \"{name}\"? Allowed: {}.", quoted(&choices)),
            None => format!("Allowed: {}.", quoted(&choices)),
        };
        problems.push(Problem::at(&node.place, format!("\"{text}\" is no value of `{key}`."), "unknown value", help));
    }
}

fn text_problem(node: &Node, text: &str, schema: &Json, key: &str) -> Option<Problem> {
    // The one pattern of the schema is that of a name.
    schema.get("pattern")?;
    let good = (1..=64).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
    let message = format!("\"{text}\" cannot be a `{key}`: it names files and rows of tables.");
    (!good).then(|| Problem::at(&node.place, message, "not a name", "A name has 1 to 64 letters, digits, `-` and `_`."))
}

/// The problem with a number outside its range.
pub(super) fn range_problem(place: &Place, number: f64, schema: &Json, key: &str) -> Option<Problem> {
    let bound = |name| schema::keyword(schema, name).and_then(Json::as_f64);
    let (low, above, high) = (bound("minimum"), bound("exclusiveMinimum"), bound("maximum"));
    let outside = low.is_some_and(|b| number < b) || above.is_some_and(|b| number <= b) || high.is_some_and(|b| number > b);
    if !outside {
        return None;
    }
    let allowed = match (low.map(|b| b.to_string()).or(above.map(|b| format!("above {b}"))), high) {
        (Some(low), Some(high)) => format!("{low} to {high}"),
        (Some(low), None) => format!("{low} or more"),
        (None, Some(high)) => format!("up to {high}"),
        (None, None) => String::new(),
    };
    let beyond = schema.get("x-beyond").and_then(Json::as_str);
    let help = beyond.map_or_else(|| description(schema), str::to_owned);
    Some(Problem::at(place, format!("`{key}` is {number}; allowed is {allowed}."), format!("allowed: {allowed}"), help))
}

/// The name most like `name`, if one is near enough to be meant.
pub(super) fn nearest<'a>(name: &str, candidates: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let scored = candidates.map(|c| (strsim::normalized_damerau_levenshtein(name, c), c)).filter(|(score, _)| *score > 0.7);
    scored.max_by(|a, b| a.0.total_cmp(&b.0)).map(|(_, c)| c)
}

/// The problem with a key that is not there, and the key that was probably meant.
fn unknown_key<'a>(node: &Node, key: &str, path: &str, known: impl Iterator<Item = &'a str> + Clone) -> (Problem, Option<&'a str>) {
    let table = if path.is_empty() { "The top of a study".to_owned() } else { format!("`[{path}]`") };
    if let Some(meant) = known.clone().find(|k| *k != key && same_stem(key, k)) {
        let (_, unit) = split_unit(meant);
        let message = format!("{table} has no `{key}`: that quantity is `{meant}` here, in {}.", unit_name(unit));
        return (Problem::at(&node.key, message, "another unit is used here", converted(node, key, meant)), Some(meant));
    }
    let home = || schema::sweepable().into_iter().map(|(p, _)| p).find(|p| p.rsplit('.').next() == Some(key));
    let likely = nearest(key, known.clone());
    let help = if let Some(meant) = likely {
        format!("Did you mean `{meant}`?")
    } else if let Some(home) = home() {
        let table = home.rsplit_once('.').map_or("", |(table, _)| table).replace(".*", "");
        format!("`{key}` belongs in `[{table}]`.")
    } else {
        format!("It takes {}.", known.map(|k| format!("`{k}`")).collect::<Vec<_>>().join(", "))
    };
    (Problem::at(&node.key, format!("{table} has no key `{key}`."), "unknown key", help), likely)
}

/// Unit suffixes: as written, as read, and how large in the base unit of their dimension (m, rad, V).
const UNITS: [(&str, &str, char, f64); 15] = [
    ("angstrom", "Å", 'L', 1e-10),
    ("pm", "pm", 'L', 1e-12),
    ("nm", "nm", 'L', 1e-9),
    ("um", "µm", 'L', 1e-6),
    ("mm", "mm", 'L', 1e-3),
    ("a", "Å", 'L', 1e-10),
    ("m", "m", 'L', 1.0),
    ("urad", "µrad", 'A', 1e-6),
    ("mrad", "mrad", 'A', 1e-3),
    ("rad", "rad", 'A', 1.0),
    ("deg", "degrees", 'A', std::f64::consts::PI / 180.0),
    ("v", "V", 'V', 1.0),
    ("kv", "kV", 'V', 1e3),
    ("kev", "keV", 'V', 1e3),
    ("mv", "MV", 'V', 1e6),
];

fn split_unit(key: &str) -> (&str, Option<usize>) {
    let split = key.rsplit_once('_').and_then(|(stem, suffix)| Some((stem, UNITS.iter().position(|u| u.0 == suffix)?)));
    split.map_or((key, None), |(stem, unit)| (stem, Some(unit)))
}

fn unit_name(unit: Option<usize>) -> &'static str {
    unit.map_or("its own unit", |i| UNITS[i].1)
}

fn same_stem(typed: &str, known: &str) -> bool {
    let ((typed, typed_unit), (known, known_unit)) = (split_unit(typed), split_unit(known));
    // `thickness_angstrom` or `thickness` for `thickness_nm`; a key without a unit has no other unit.
    known_unit.is_some() && typed_unit != known_unit && typed == known
}

/// The line to write instead, with the number converted where both units measure the same thing.
fn converted(node: &Node, typed: &str, meant: &str) -> String {
    let (from, to) = (split_unit(typed).1.map(|i| UNITS[i]), split_unit(meant).1.map(|i| UNITS[i]));
    match (node.value.number(), from, to) {
        (Some(number), Some(from), Some(to)) if from.2 == to.2 => {
            let value = super::axes::rounded(number * from.3 / to.3, number * from.3 / to.3);
            format!("Write `{meant} = {value}`: that is {number} {} in {}.", from.1, to.1)
        }
        _ => format!("Write `{meant} = ...`."),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stems_are_the_same_whatever_the_unit() {
        assert!(same_stem("thickness_angstrom", "thickness_nm"));
        assert!(same_stem("thickness", "thickness_nm"));
        assert!(!same_stem("thickness_nm", "thickness_nm"));
        assert!(!same_stem("thick_nm", "thickness_nm"));
        assert!(!same_stem("method_nm", "method"));
    }

    #[test]
    fn the_nearest_name_is_a_likely_one_or_none() {
        let names = ["thickness_nm", "zone_axis"];
        assert_eq!(nearest("thicknes_nm", names.into_iter()), Some("thickness_nm"));
        assert_eq!(nearest("dose", names.into_iter()), None);
    }
}
