//! The reference of every key of a study file, in Markdown, from the schema that the types give.

use super::schema::{self, Kind};
use serde_json::Value as Json;
use std::fmt::Write as _;

const HEAD: &str = "# The keys of a study file\n\n\
    Made by `mistilt schema --markdown` from the types that read the file; edit those, not this page.\n\n\
    A study file is [TOML](https://toml.io). Each table below is a part of it, each key names its unit. Keys marked • can be an axis: their \
    dotted name goes under `[sweep.axes]` (that of a detector's key with the detector's name, such as \
    `microscope.detectors.haadf.inner_mrad`), and any of them can be set from the command line, `--set crystal.thickness_nm=20`.\n";

/// The whole page.
#[must_use]
pub fn key_reference() -> String {
    let sweepable: Vec<String> = schema::sweepable().into_iter().map(|(path, _)| path).collect();
    let mut out = HEAD.to_owned();
    section(&mut out, "", schema::root(), &sweepable);
    rules(&mut out);
    out
}

/// One table with its keys, then the tables in it.
fn section(out: &mut String, path: &str, node: &Json, sweepable: &[String]) {
    let Some(properties) = schema::properties(node) else { return };
    let inner =
        |child: &Json| schema::kind_of(child) == Kind::Table || schema::items(child).is_some_and(|i| schema::kind_of(i) == Kind::Table);
    let keys: Vec<_> = properties.iter().filter(|(_, child)| !inner(child)).collect();
    if !keys.is_empty() {
        out.push_str("\n| key | takes | what it is |\n|---|---|---|\n");
    }
    let needed = schema::required(node);
    for (key, child) in keys {
        let full = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
        let axis = if sweepable.contains(&full) { " •" } else { "" };
        let must = if needed.contains(&key.as_str()) { " **Needed.**" } else { "" };
        out.push_str(&format_row(&[format!("`{key}`{axis}"), takes(child), format!("{}{must}{}", meaning(child), choices(child))]));
    }
    for (key, child) in properties.iter().filter(|(_, child)| inner(child)) {
        let full = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
        if full == "sweep.axes" {
            continue;
        }
        let list = schema::kind_of(child) == Kind::List;
        let heading = if list { format!("[[{full}]]") } else { format!("[{full}]") };
        let must = if needed.contains(&key.as_str()) { " **Needed.**" } else { "" };
        // Writing to a String cannot fail.
        let _ = write!(out, "\n## `{heading}`\n\n{}{must}\n", meaning(child));
        match schema::items(child) {
            Some(entry) if list => section(out, &format!("{full}.*"), entry, sweepable),
            _ => section(out, &full, child, sweepable),
        }
    }
}

/// What can stand under `[sweep.axes]`.
fn rules(out: &mut String) {
    out.push_str(
        "\n## `[sweep.axes]`\n\nAn axis is the dotted name of a key and the values it takes: a list, or one rule.\n\n```toml\n[sweep.axes]\n\
         \"crystal.specimen_tilt_x_mrad\" = { linspace = [-10, 10, 11] }\n\"crystal.thickness_nm\" = [10, 20, 40]\n\
         \"simulation.phonon_pairs\" = { values = [1, 2, 4], when = { \"crystal.thickness_nm\" = 10 } }\n```\n\n\
         The points are the product of all axes, the first slowest; axes of one `zip` group, and those of a Latin hypercube, walk together.\n\n\
         | rule | what it makes |\n|---|---|\n",
    );
    let rules = schema::definition("AxisRule").and_then(schema::properties);
    for (name, node) in rules.into_iter().flatten() {
        out.push_str(&format_row(&[format!("`{name}`"), meaning(node)]));
    }
}

fn format_row(cells: &[String]) -> String {
    format!("| {} |\n", cells.iter().map(|cell| cell.replace('|', "\\|")).collect::<Vec<_>>().join(" | "))
}

fn meaning(node: &Json) -> String {
    schema::keyword(node, "description").and_then(Json::as_str).unwrap_or_default().replace('\n', " ")
}

/// The kind of value, in a word or two, with its range.
fn takes(node: &Json) -> String {
    let number = |name| schema::keyword(node, name).and_then(Json::as_f64);
    let range =
        match (number("minimum").map(|x| x.to_string()).or(number("exclusiveMinimum").map(|x| format!("above {x}"))), number("maximum")) {
            (Some(low), Some(high)) => format!(" {low} to {high}"),
            (Some(low), None) => format!(" {low} or more"),
            (None, Some(high)) => format!(" up to {high}"),
            (None, None) => String::new(),
        };
    match schema::kind_of(node) {
        Kind::Number => format!("number{range}"),
        Kind::Integer => format!("whole number{range}"),
        Kind::Bool => "true or false".to_owned(),
        Kind::Text => "text".to_owned(),
        Kind::Choice => "a name".to_owned(),
        Kind::List => "list".to_owned(),
        Kind::Table => "table".to_owned(),
    }
}

/// The names a choice allows, each with its meaning.
fn choices(node: &Json) -> String {
    let of = schema::items(node).filter(|item| schema::kind_of(item) == Kind::Choice).unwrap_or(node);
    if schema::kind_of(of) != Kind::Choice {
        return String::new();
    }
    let variants = schema::keyword(of, "oneOf").and_then(Json::as_array);
    let meaning_of = |name: &str| {
        let variant = variants.into_iter().flatten().find(|v| v.get("const").and_then(Json::as_str) == Some(name));
        variant.and_then(|v| v.get("description")).and_then(Json::as_str).map(|text| text.replace('\n', " "))
    };
    let said = schema::choices(of).into_iter().map(|name| match meaning_of(name) {
        Some(text) => format!("`\"{name}\"`: {text}"),
        None => format!("`\"{name}\"`"),
    });
    format!("<br>{}", said.collect::<Vec<_>>().join("<br>"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_of_the_schema_stands_in_the_reference() {
        let page = key_reference();
        for (path, _) in schema::sweepable() {
            let key = path.rsplit('.').next().unwrap();
            assert!(page.contains(&format!("| `{key}` • |")), "{path} is missing or not marked as an axis");
        }
        for text in
            ["## `[[microscope.detectors]]`", "## `[sweep.axes]`", "| `latin_hypercube` |", "| `include` | list |", "`\"lobato\"`: Lobato"]
        {
            assert!(page.contains(text), "{text} is not in\n{page}");
        }
        assert!(!page.contains("null"));
    }
}
