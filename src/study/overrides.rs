//! `--set key=value`: a value for a key, or values for an axis, over what the study file says.

use super::axes;
use super::error::{Place, Problem, Source};
use super::tree::{self, Node, Value};
use std::sync::Arc;

/// Name of an override as a [`Source`].
pub(super) const SOURCE: &str = "--set";

/// Applies one override. A swept key gets new values for its axis and keeps its condition; a list or a rule for a single value makes it an axis.
pub(super) fn apply(root: &mut Node, text: &str) -> Result<(), Problem> {
    let source = Arc::new(Source { name: SOURCE.into(), text: text.to_owned() });
    let whole = Place { source: source.clone(), span: 0..text.len() };
    let refuse = |message: String, label: &str, help: &str| Err(Problem::at(&whole, message, label, help));
    let Some(path) = key_of(text) else {
        let help = "Give `--set key=value` with the dotted name of a key: `--set microscope.voltage_kv=200`.";
        return refuse(format!("The override `{text}` is not understood."), "no key", help);
    };
    let path: Vec<&str> = path.iter().map(String::as_str).collect();
    let node = value_of(&source, &path)?;
    match path.as_slice() {
        ["include", ..] => refuse(
            "An override cannot include a file.".into(),
            "here",
            "Write `include` in the study file, or override its keys one by one.",
        ),
        ["sweep", "axes", key] => {
            set_axis(root, key, node);
            Ok(())
        }
        ["sweep", "zip" | "repeats"] => {
            root.insert(&path, node);
            Ok(())
        }
        ["sweep", ..] => refuse(
            format!("The override `{text}` names no axis."),
            "here",
            "Set the key itself: `--set crystal.thickness_nm=[10,20]` gives new values to its axis, or makes one.",
        ),
        _ => set_key(root, &path, node).map_err(|key| {
            let help = "A detector goes by its name: `--set microscope.detectors.haadf.inner_mrad=60`.";
            Problem::at(&whole, format!("The study has no `{key}` to set."), "not there", help)
        }),
    }
}

/// Sets a key, or the values of its axis where it has one or is to have one.
fn set_key(root: &mut Node, path: &[&str], node: Node) -> Result<(), String> {
    let key = path.join(".");
    let list = matches!(node.value, Value::List(_) | Value::Table(_));
    let swept = root.at(&["sweep", "axes", &key]).is_some();
    if swept || (list && axes::axis_leaf(&key).is_some()) {
        set_axis(root, &key, node);
        return Ok(());
    }
    if root.insert(path, node) { Ok(()) } else { Err(key) }
}

/// Gives an axis new values; a condition that it had stays, unless another is given.
fn set_axis(root: &mut Node, key: &str, node: Node) {
    let mut value = match node.value {
        list @ (Value::List(_) | Value::Table(_)) => list,
        one => Value::List(vec![Node { key: node.place.clone(), place: node.place.clone(), value: one }]),
    };
    if let Some(when) = root.at(&["sweep", "axes", key]).and_then(|old| old.get("when")).cloned() {
        if let list @ Value::List(_) = value {
            value = Value::Table(vec![("values".to_owned(), Node { key: node.key.clone(), place: node.place.clone(), value: list })]);
        }
        if let Value::Table(entries) = &mut value
            && !entries.iter().any(|(name, _)| name == "when")
        {
            entries.push(("when".to_owned(), when));
        }
    }
    root.insert(&["sweep", "axes", key], Node { key: node.key, place: node.place, value });
}

/// The dotted key before the first `=`, on one line; a part in quotes may hold dots, as an axis' name does.
fn key_of(text: &str) -> Option<Vec<String>> {
    let (key, _) = text.split_once('=').filter(|_| !text.contains(['\n', '\r']))?;
    let (mut path, mut part, mut quote) = (Vec::new(), String::new(), None);
    for c in key.trim().chars() {
        match c {
            '"' | '\'' if quote.is_none() && part.is_empty() => quote = Some(c),
            c if quote == Some(c) => quote = None,
            '.' if quote.is_none() => path.push(std::mem::take(&mut part)),
            ' ' | '\t' if quote.is_none() => {}
            '.' | '_' | '-' => part.push(c),
            c if c.is_ascii_alphanumeric() => part.push(c),
            _ => return None,
        }
    }
    path.push(part);
    (quote.is_none() && path.iter().all(|part| !part.is_empty())).then_some(path)
}

/// The value as TOML; a bare word is text, so that the shell needs no quotes within quotes.
fn value_of(source: &Arc<Source>, path: &[&str]) -> Result<Node, Problem> {
    let parsed = tree::parse(source).or_else(|mut problems| {
        let (key, value) = source.text.split_once('=').map_or(("", ""), |(key, value)| (key.trim(), value.trim()));
        if !value.starts_with(|c: char| c.is_alphabetic() || "./~".contains(c)) {
            return Err(problems.swap_remove(0));
        }
        // A JSON string is a TOML string.
        let text = format!("{key}={}", serde_json::Value::from(value));
        tree::parse(&Arc::new(Source { name: source.name.clone(), text })).map_err(|mut problems| problems.swap_remove(0))
    })?;
    let whole = Place { source: source.clone(), span: 0..source.text.len() };
    parsed.at(path).cloned().ok_or_else(|| Problem::at(&whole, "The override has no value.", "here", "Give `--set key=value`."))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(overrides: &[&str]) -> Result<String, Problem> {
        let text = "[crystal]\nthickness_nm = 5\n[sweep.axes]\n\"microscope.defocus_nm\" = [0, 1]\n";
        let mut root = tree::parse(&Arc::new(Source { name: "test".into(), text: text.into() })).unwrap();
        for text in overrides {
            apply(&mut root, text)?;
        }
        Ok(root.to_json().to_string())
    }

    #[test]
    fn a_value_replaces_a_list_makes_an_axis_and_a_swept_key_keeps_its_axis() {
        assert!(with(&["crystal.thickness_nm=7"]).unwrap().contains(r#""thickness_nm":7"#));
        assert!(with(&["crystal.thickness_nm=[7, 8]"]).unwrap().contains(r#""crystal.thickness_nm":[7,8]"#));
        assert!(with(&["microscope.defocus_nm=3"]).unwrap().contains(r#""microscope.defocus_nm":[3]"#));
        assert!(with(&["simulation.k_points=[4, 4]"]).unwrap().contains(r#""simulation":{"k_points":[4,4]}"#));
    }

    #[test]
    fn axes_repeats_and_rules_are_set_and_a_condition_stays() {
        assert!(with(&["sweep.axes.\"crystal.thickness_nm\"=[20]"]).unwrap().contains(r#""crystal.thickness_nm":[20]"#));
        assert!(with(&["sweep.repeats=3"]).unwrap().contains(r#""repeats":3"#));
        assert!(
            with(&["crystal.thickness_nm={ linspace = [1, 2, 3] }"]).unwrap().contains(r#""crystal.thickness_nm":{"linspace":[1,2,3]}"#)
        );
        let conditional = "sweep.axes.'crystal.thickness_nm'={ range = [1, 2, 1], when = { \"microscope.defocus_nm\" = 1 } }";
        let kept = r#""crystal.thickness_nm":{"values":[7],"when":{"microscope.defocus_nm":1}}"#;
        assert!(with(&[conditional, "crystal.thickness_nm=7"]).unwrap().contains(kept));
    }

    #[test]
    fn a_bare_word_is_text_and_nonsense_is_refused() {
        assert!(with(&["crystal.structure=bifeo3-cubic"]).unwrap().contains(r#""structure":"bifeo3-cubic""#));
        for text in [
            "crystal.thickness_nm",
            "=3",
            "crystal..x=3",
            "a=1\nb=2",
            "sweep.axes=3",
            "crystal.thickness_nm=",
            "crystal.thickness_nm=[1",
            "include=[\"a.toml\"]",
            "'a=3",
            "sweep.x=3",
        ] {
            assert!(with(&[text]).is_err(), "{text}");
        }
    }
}
