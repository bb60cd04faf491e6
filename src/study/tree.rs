//! A study file as a tree that remembers where every key and value stands, in the order of the file (TOML 1.0).

use super::error::{Place, Problem, Source};
use serde_json::{Map, Value as Json};
use std::sync::Arc;
use toml::de::{DeTable, DeValue};

/// A value with its place and the place of its key (for the element of a list, both are the element's).
#[derive(Debug, Clone)]
pub(super) struct Node {
    pub(super) key: Place,
    pub(super) place: Place,
    pub(super) value: Value,
}

/// What a TOML value can be.
#[derive(Debug, Clone)]
pub(super) enum Value {
    Bool(bool),
    Integer(i64),
    Float(f64),
    Text(String),
    Date,
    List(Vec<Node>),
    Table(Vec<(String, Node)>),
}

/// Parses TOML; at most one syntax error, or every number that does not fit.
pub(super) fn parse(source: &Arc<Source>) -> Result<Node, Vec<Problem>> {
    let table = DeTable::parse(&source.text).map_err(|error| {
        let span = error.span().unwrap_or(0..0);
        let place = Place { source: source.clone(), span };
        let first_line = error.message().lines().next().unwrap_or_default().to_owned();
        vec![Problem::at(
            &place,
            format!("This is not TOML: {first_line}."),
            "here",
            "A line is `key = value`, a table starts with `[name]`, and text stands in double quotes.",
        )]
    })?;
    let mut problems = Vec::new();
    let place = Place { source: source.clone(), span: table.span() };
    let value = Value::Table(convert_table(table.get_ref(), source, &mut problems));
    if problems.is_empty() { Ok(Node { key: place.clone(), place, value }) } else { Err(problems) }
}

fn convert_table(table: &DeTable<'_>, source: &Arc<Source>, problems: &mut Vec<Problem>) -> Vec<(String, Node)> {
    let mut entries: Vec<(String, Node)> = table
        .iter()
        .map(|(key, value)| {
            let key_place = Place { source: source.clone(), span: key.span() };
            let place = Place { source: source.clone(), span: value.span() };
            let value = convert(value.get_ref(), &place, problems);
            (key.get_ref().to_string(), Node { key: key_place, place, value })
        })
        .collect();
    // The parser sorts keys by name; the order of the file decides which axis is the slow one.
    entries.sort_by_key(|(_, node)| node.key.span.start);
    entries
}

fn convert(value: &DeValue<'_>, place: &Place, problems: &mut Vec<Problem>) -> Value {
    match value {
        DeValue::Boolean(b) => Value::Bool(*b),
        DeValue::Integer(i) => i64::from_str_radix(i.as_str(), i.radix()).map_or_else(
            |_| {
                problems.push(Problem::at(place, format!("The number {i} is too large."), "too large", "Whole numbers hold 64 bits."));
                Value::Integer(0)
            },
            Value::Integer,
        ),
        DeValue::Float(f) => match f.as_str().parse::<f64>() {
            Ok(number) if number.is_finite() => Value::Float(number),
            _ => {
                let message = format!("The number {f} is not finite.");
                problems.push(Problem::at(place, message, "not finite", "Every number of a study is finite: no `inf`, no `nan`."));
                Value::Float(0.0)
            }
        },
        DeValue::String(s) => Value::Text(s.to_string()),
        DeValue::Datetime(_) => Value::Date,
        DeValue::Array(array) => Value::List(
            array
                .iter()
                .map(|item| {
                    let place = Place { source: place.source.clone(), span: item.span() };
                    let value = convert(item.get_ref(), &place, problems);
                    Node { key: place.clone(), place, value }
                })
                .collect(),
        ),
        DeValue::Table(table) => Value::Table(convert_table(table, &place.source, problems)),
    }
}

impl Value {
    /// The kind of value, with its article, for messages.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Bool(_) => "true or false",
            Self::Integer(_) => "a whole number",
            Self::Float(_) => "a number",
            Self::Text(_) => "text",
            Self::Date => "a date",
            Self::List(_) => "a list",
            Self::Table(_) => "a table",
        }
    }

    /// The number, if it is one.
    pub(super) fn number(&self) -> Option<f64> {
        match self {
            Self::Integer(i) => Some(*i as f64),
            Self::Float(f) => Some(*f),
            _ => None,
        }
    }
}

impl Node {
    /// The entry `key` of a table, or the table called `key` (its `name`) in a list of tables; `#2` is the third of a list.
    pub(super) fn get(&self, key: &str) -> Option<&Self> {
        match &self.value {
            Value::Table(entries) => entries.iter().find(|(k, _)| k == key).map(|(_, node)| node),
            Value::List(items) => match key.strip_prefix('#') {
                Some(index) => items.get(index.parse::<usize>().ok()?),
                None => items.iter().find(|item| item.is_called(key)),
            },
            _ => None,
        }
    }

    fn get_mut(&mut self, key: &str) -> Option<&mut Self> {
        match &mut self.value {
            Value::Table(entries) => entries.iter_mut().find(|(k, _)| k == key).map(|(_, node)| node),
            Value::List(items) => items.iter_mut().find(|item| item.is_called(key)),
            _ => None,
        }
    }

    fn is_called(&self, name: &str) -> bool {
        self.get("name").is_some_and(|node| matches!(&node.value, Value::Text(text) if text == name))
    }

    /// The node at a dotted path.
    pub(super) fn find(&self, path: &str) -> Option<&Self> {
        path.split('.').try_fold(self, |node, key| node.get(key))
    }

    /// The node at a path whose parts may hold dots.
    pub(super) fn at(&self, path: &[&str]) -> Option<&Self> {
        path.iter().try_fold(self, |node, key| node.get(key))
    }

    /// Puts `node` at a dotted path and makes the tables on the way; `false` if something on the way is no table.
    pub(super) fn insert(&mut self, path: &[&str], node: Self) -> bool {
        let [key, rest @ ..] = path else { return false };
        if !rest.is_empty() {
            if self.get(key).is_none() {
                let Value::Table(entries) = &mut self.value else { return false };
                let table = Self { key: node.key.clone(), place: node.key.clone(), value: Value::Table(Vec::new()) };
                entries.push(((*key).to_owned(), table));
            }
            return self.get_mut(key).is_some_and(|child| child.insert(rest, node));
        }
        let Value::Table(entries) = &mut self.value else { return false };
        match entries.iter_mut().find(|(k, _)| k == key) {
            Some((_, old)) => *old = node,
            None => entries.push(((*key).to_owned(), node)),
        }
        true
    }

    /// Takes the entry `key` out of a table.
    pub(super) fn remove(&mut self, key: &str) -> Option<Self> {
        let Value::Table(entries) = &mut self.value else { return None };
        let index = entries.iter().position(|(k, _)| k == key)?;
        Some(entries.remove(index).1)
    }

    /// The values alone, as JSON.
    pub(super) fn to_json(&self) -> Json {
        match &self.value {
            Value::Bool(b) => Json::from(*b),
            Value::Integer(i) => Json::from(*i),
            Value::Float(f) => Json::from(*f),
            Value::Text(s) => Json::from(s.as_str()),
            Value::Date => Json::Null,
            Value::List(items) => Json::Array(items.iter().map(Self::to_json).collect()),
            Value::Table(entries) => Json::Object(entries.iter().map(|(k, n)| (k.clone(), n.to_json())).collect::<Map<_, _>>()),
        }
    }
}

/// Replaces the value at a dotted path of a JSON tree and makes the tables on the way; an entry of a list is found by its `name`. `None`
/// takes the value out. `false` if the path ends early.
pub(super) fn set_json(tree: &mut Json, path: &str, value: Option<Json>) -> bool {
    let (parents, key) = path.rsplit_once('.').unwrap_or(("", path));
    let mut here = tree;
    for part in parents.split('.').filter(|part| !part.is_empty()) {
        let next = match here {
            Json::Object(map) => Some(map.entry(part).or_insert_with(|| Json::Object(Map::new()))),
            Json::Array(items) => items.iter_mut().find(|item| item.get("name").and_then(Json::as_str) == Some(part)),
            _ => None,
        };
        let Some(next) = next else { return false };
        here = next;
    }
    let Json::Object(map) = here else { return false };
    match value {
        Some(value) => map.insert(key.to_owned(), value),
        None => map.shift_remove(key),
    };
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(text: &str) -> Node {
        parse(&Arc::new(Source { name: "test".into(), text: text.into() })).unwrap()
    }

    #[test]
    fn keys_keep_the_order_of_the_file_and_their_places() {
        let root = tree("[b]\nz = 1\na = 2.5\n[a]\n");
        let Value::Table(entries) = &root.value else { panic!("a document is a table") };
        assert_eq!(entries.iter().map(|(k, _)| k.as_str()).collect::<Vec<_>>(), ["b", "a"]);
        let z = root.find("b.z").unwrap();
        assert_eq!((z.key.span.clone(), z.place.line_and_column()), (4..5, (2, 5)));
        assert_eq!(root.to_json().to_string(), r#"{"b":{"z":1,"a":2.5},"a":{}}"#);
    }

    #[test]
    fn entries_of_a_list_are_found_and_set_by_name() {
        let root = tree("[[d]]\nname = \"x\"\ni = 1\n[[d]]\nname = \"y\"\ni = 2\n");
        assert!(matches!(root.find("d.y.i").unwrap().value, Value::Integer(2)));
        let mut json = root.to_json();
        assert!(set_json(&mut json, "d.y.i", Some(Json::from(7))));
        assert!(!set_json(&mut json, "d.w.i", Some(Json::from(7))));
        assert_eq!(json["d"][1]["i"], 7);
        assert!(set_json(&mut json, "e.f", Some(Json::from(1))) && set_json(&mut json, "d.y.i", None));
        assert_eq!(json.to_string(), r#"{"d":[{"name":"x","i":1},{"name":"y"}],"e":{"f":1}}"#);
    }

    #[test]
    fn numbers_that_are_not_finite_are_refused() {
        let source = Arc::new(Source { name: "test".into(), text: "a = inf\nb = +nan\nc = 99999999999999999999\n".into() });
        assert_eq!(parse(&source).unwrap_err().len(), 3);
    }
}
