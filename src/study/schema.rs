//! The JSON Schema (draft 2020-12) of a study file, made from its types, and the look-ups in it that the checks use.

use super::file::StudyFile;
use super::rules;
use serde_json::{Map, Value as Json, json};
use std::sync::LazyLock;

/// The schema of the types: the one source of every key, type and range that is checked.
static TYPES: LazyLock<Json> = LazyLock::new(|| {
    let mut root = schemars::schema_for!(StudyFile).to_value();
    drop_null(&mut root);
    root
});

/// The schema for editors: the axes are named, and a key that an axis varies may be left out of its table.
static PUBLISHED: LazyLock<Json> = LazyLock::new(|| {
    let mut root = TYPES.clone();
    let axes = axes_schema(&TYPES);
    if let Some(node) = root.pointer_mut("/$defs/SweepTable/properties/axes").and_then(Json::as_object_mut) {
        node.extend(axes);
    }
    if let Some(rule) = root.pointer_mut("/$defs/AxisRule").and_then(Json::as_object_mut) {
        let one = rules::NAMES.iter().chain(["values"].iter()).map(|name| json!({ "required": [name] }));
        rule.insert("oneOf".into(), one.collect());
    }
    own_swept_or_included(&mut root);
    root
});

/// The schema that `studies/study.schema.json` holds.
#[must_use]
pub fn json_schema() -> &'static Json {
    &PUBLISHED
}

/// The schema as the text of a file, ending in a newline.
#[must_use]
pub fn json_schema_text() -> String {
    format!("{:#}\n", *PUBLISHED)
}

/// The schema of the whole file, for the checks.
pub(super) fn root() -> &'static Json {
    &TYPES
}

/// Turns "the table needs the key" into "the table, an axis or an included file has it"; of a file an editor cannot know what it holds.
fn own_swept_or_included(root: &mut Json) {
    let swept: Vec<String> = sweepable_in(&TYPES).into_iter().map(|(path, _)| path).collect();
    let included = json!({ "required": ["include"] });
    let mut rules = Vec::new();
    if let Some(needed) = root.as_object_mut().and_then(|map| map.remove("required")) {
        rules.push(json!({ "anyOf": [{ "required": needed }, included] }));
    }
    let tables: Vec<String> =
        root.get("properties").and_then(Json::as_object).into_iter().flatten().map(|(name, _)| name.clone()).collect();
    for table in tables {
        let definition = root.pointer(&format!("/properties/{table}/$ref")).and_then(Json::as_str).unwrap_or_default();
        let pointer = definition.trim_start_matches('#').to_owned();
        let Some(needed) = root.pointer_mut(&pointer).and_then(Json::as_object_mut).and_then(|map| map.remove("required")) else {
            continue;
        };
        for key in needed.as_array().into_iter().flatten().filter_map(Json::as_str) {
            let mut ways = vec![json!({ "properties": { &table: { "required": [key] } } })];
            let path = format!("{table}.{key}");
            if swept.contains(&path) {
                ways.push(json!({ "required": ["sweep"], "properties": {
                    "sweep": { "required": ["axes"], "properties": { "axes": { "required": [path] } } }
                } }));
            }
            ways.push(included.clone());
            rules.push(json!({ "anyOf": ways }));
        }
    }
    if let Some(map) = root.as_object_mut() {
        map.insert("allOf".into(), Json::Array(rules));
    }
}

/// TOML has no null: an optional key is left out, so `null` only clutters what an editor shows.
pub(super) fn drop_null(node: &mut Json) {
    match node {
        Json::Object(map) => {
            if let Some(Json::Array(types)) = map.get_mut("type") {
                types.retain(|t| t != "null");
                if let [only] = types.as_slice() {
                    let only = only.clone();
                    map.insert("type".into(), only);
                }
            }
            let alternatives = map.get("anyOf").and_then(Json::as_array).cloned().unwrap_or_default();
            if let [Json::Object(first), second] = alternatives.as_slice()
                && second.get("type").is_some_and(|t| t == "null")
            {
                map.remove("anyOf");
                map.extend(first.clone());
            }
            map.retain(|_, value| !value.is_null());
            map.values_mut().for_each(drop_null);
        }
        Json::Array(items) => items.iter_mut().for_each(drop_null),
        _ => {}
    }
}

/// Names every axis there can be, with the description and the range of its key, so that an editor completes and checks them.
fn axes_schema(root: &Json) -> Map<String, Json> {
    let (mut named, mut of_detectors) = (Map::new(), Map::new());
    for (path, leaf) in sweepable_in(root) {
        let mut items = leaf.clone();
        if let Some(map) = items.as_object_mut() {
            map.remove("description");
            map.remove("default");
        }
        let list = json!({ "type": "array", "items": items, "minItems": 1 });
        let rule = if matches!(kind(root, leaf), Kind::Number | Kind::Integer) {
            json!({ "$ref": "#/$defs/AxisRule" })
        } else {
            let when = json!({ "$ref": "#/$defs/AxisRule/properties/when" });
            json!({ "type": "object", "properties": { "values": list, "when": when }, "required": ["values"], "additionalProperties": false })
        };
        let shapes = [list, rule];
        let axis = json!({ "description": leaf.get("description"), "anyOf": shapes });
        match path.strip_prefix("microscope.detectors.*.") {
            Some(key) => of_detectors.insert(format!(r"^microscope\.detectors\.[A-Za-z0-9_-]+\.{key}$"), axis),
            None => named.insert(path, axis),
        };
    }
    let mut out = Map::new();
    out.insert("properties".into(), Json::Object(named));
    out.insert("patternProperties".into(), Json::Object(of_detectors));
    out.insert("additionalProperties".into(), json!(false));
    out
}

/// What a schema node asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Number,
    Integer,
    Bool,
    Text,
    Choice,
    List,
    Table,
}

/// The definition a node refers to, or the node itself.
fn resolve<'a>(root: &'a Json, node: &'a Json) -> &'a Json {
    let name = node.get("$ref").and_then(Json::as_str).and_then(|r| r.strip_prefix("#/$defs/"));
    name.and_then(|name| root.get("$defs")?.get(name)).unwrap_or(node)
}

fn kind(root: &Json, node: &Json) -> Kind {
    let definition = resolve(root, node);
    if definition.get("oneOf").is_some() || definition.get("enum").is_some() || definition.get("const").is_some() {
        return Kind::Choice;
    }
    match definition.get("type").and_then(Json::as_str) {
        Some("number") => Kind::Number,
        Some("integer") => Kind::Integer,
        Some("boolean") => Kind::Bool,
        Some("array") => Kind::List,
        Some("object") => Kind::Table,
        _ => Kind::Text,
    }
}

pub(super) fn kind_of(node: &Json) -> Kind {
    kind(&TYPES, node)
}

/// The keys of a table and their nodes, in the order of the types.
pub(super) fn properties(table: &Json) -> Option<&Map<String, Json>> {
    resolve(&TYPES, table).get("properties")?.as_object()
}

/// The keys that a table cannot do without.
pub(super) fn required(table: &Json) -> Vec<&str> {
    let list = resolve(&TYPES, table).get("required").and_then(Json::as_array);
    list.into_iter().flatten().filter_map(Json::as_str).collect()
}

/// A definition of the types, by name.
pub(super) fn definition(name: &str) -> Option<&'static Json> {
    TYPES.get("$defs")?.get(name)
}

/// What the elements of a list are.
pub(super) fn items(list: &Json) -> Option<&Json> {
    resolve(&TYPES, list).get("items")
}

/// A keyword of the node itself, or of what it refers to.
pub(super) fn keyword<'a>(node: &'a Json, name: &str) -> Option<&'a Json> {
    node.get(name).or_else(|| resolve(&TYPES, node).get(name))
}

/// The names a choice allows.
pub(super) fn choices(node: &Json) -> Vec<&str> {
    let definition = resolve(&TYPES, node);
    if let Some(Json::Array(list)) = definition.get("enum") {
        return list.iter().filter_map(Json::as_str).collect();
    }
    if let Some(name) = definition.get("const").and_then(Json::as_str) {
        return vec![name];
    }
    let variants = definition.get("oneOf").and_then(Json::as_array);
    variants.into_iter().flatten().filter_map(|v| v.get("const").and_then(Json::as_str)).collect()
}

/// The node at a dotted path; after a list of tables comes the name of an entry, whatever it is.
pub(super) fn find(path: &str) -> Option<&'static Json> {
    let mut node = &*TYPES;
    for part in path.split('.') {
        node = if kind_of(node) == Kind::List { items(node)? } else { properties(node)?.get(part)? };
    }
    Some(node)
}

/// Every key that an axis can vary, as (dotted path, node); an entry of a list of tables stands as `*`.
pub(super) fn sweepable() -> Vec<(String, &'static Json)> {
    sweepable_in(&TYPES)
}

fn sweepable_in(root: &Json) -> Vec<(String, &Json)> {
    let mut out = Vec::new();
    for key in ["seed", "crystal", "microscope", "simulation", "measure", "scene", "camera", "windows", "network", "training"] {
        if let Some(node) = root.get("properties").and_then(|p| p.get(key)) {
            collect(root, key.to_owned(), node, &mut out);
        }
    }
    out
}

fn collect<'a>(root: &'a Json, path: String, node: &'a Json, out: &mut Vec<(String, &'a Json)>) {
    let definition = resolve(root, node);
    match kind(root, node) {
        Kind::Table => {
            for (key, child) in definition.get("properties").and_then(Json::as_object).into_iter().flatten() {
                collect(root, format!("{path}.{key}"), child, out);
            }
        }
        Kind::List => {
            if let Some(entry) = definition.get("items").filter(|i| kind(root, i) == Kind::Table) {
                let properties = resolve(root, entry).get("properties").and_then(Json::as_object);
                for (key, child) in properties.into_iter().flatten().filter(|(key, _)| *key != "name") {
                    collect(root, format!("{path}.*.{key}"), child, out);
                }
            }
        }
        _ => out.push((path, node)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nodes_are_found_by_path_and_know_their_kind() {
        assert_eq!(find("crystal.thickness_nm").map(kind_of), Some(Kind::Number));
        assert_eq!(find("simulation.k_points").map(kind_of), Some(Kind::List));
        assert_eq!(find("simulation.slicing").map(kind_of), Some(Kind::Choice));
        assert_eq!(find("microscope.detectors.haadf.inner_mrad").map(kind_of), Some(Kind::Number));
        assert_eq!(find("crystal.nothing"), None);
        assert_eq!(choices(find("simulation.method").unwrap()), ["scattering-matrix", "probes"]);
        assert_eq!(required(find("crystal").unwrap()), ["thickness_nm"]);
    }

    #[test]
    fn every_key_is_described_with_its_unit_and_default() {
        let units = [
            ("_mrad", "mrad"),
            ("_nm", "nm"),
            ("_angstrom", "Å"),
            ("_angstrom2", "Å²"),
            ("_kv", "kV"),
            ("_deg", "degrees"),
            ("_um", "µm"),
            ("_mm", "mm"),
            ("_pm", "pm"),
            ("_pm_per_row", "pm a row"),
            ("_us", "µs"),
            ("_hz", "Hz"),
            ("_pa", "pA"),
            ("_percent", "%"),
            ("_e", "electron"),
        ];
        for (path, node) in sweepable() {
            let text = node["description"].as_str().unwrap_or_else(|| panic!("{path} has no description"));
            for (suffix, unit) in units {
                assert!(!path.ends_with(suffix) || text.contains(unit), "{path} does not name its unit {unit}: {text}");
            }
            let (table, key) = path.rsplit_once('.').unwrap_or(("", &path));
            let table = if table.is_empty() { root() } else { find(table).unwrap() };
            let free = required(table).contains(&key) || ["structure", "file", "slice_thickness_angstrom"].contains(&key);
            assert!(free || text.contains("Default"), "{path} does not say its default: {text}");
        }
    }

    #[test]
    fn nothing_in_the_schema_is_null() {
        assert!(!json_schema_text().contains("null"));
    }
}
