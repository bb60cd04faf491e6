//! `--set key=value`: a value for a key, or values for an axis, over what the study file says.

use super::axes;
use super::error::{Place, Problem, Source};
use super::tree::{self, Node, Value};
use std::sync::Arc;

/// Applies one override. A swept key gets new values for its axis; a list for a single value makes it an axis.
pub(super) fn apply(root: &mut Node, text: &str) -> Result<(), Problem> {
    let source = Arc::new(Source { name: "--set".into(), text: text.to_owned() });
    let whole = Place { source: source.clone(), span: 0..text.len() };
    let path = key_of(text).ok_or_else(|| {
        let help = "Give `--set key=value` with the dotted name of a key: `--set microscope.voltage_kv=200`.";
        Problem::at(&whole, format!("The override `{text}` is not understood."), "no key", help)
    })?;
    let key = path.join(".");
    if path[0] == "sweep" {
        let help = "Set the key itself: `--set crystal.thickness_nm=[10,20]` gives new values to its axis, or makes one.";
        return Err(Problem::at(&whole, "An override cannot name the sweep.", "here", help));
    }
    let node = value_of(&source, &key)?;
    let list = matches!(node.value, Value::List(_) | Value::Table(_));
    if root.find("sweep.axes").is_some_and(|axes| axes.get(&key).is_some()) || (list && axes::axis_leaf(&key).is_some()) {
        let values = if list { node.value } else { Value::List(vec![Node { key: node.place.clone(), ..node.clone() }]) };
        let axis = Node { key: node.key, place: node.place, value: values };
        root.insert(&["sweep", "axes", &key], axis);
    } else if !root.insert(&path, node) {
        let help = "A detector goes by its name: `--set microscope.detectors.haadf.inner_mrad=60`.";
        return Err(Problem::at(&whole, format!("The study has no `{key}` to set."), "not there", help));
    }
    Ok(())
}

/// The dotted key before the first `=`, on one line.
fn key_of(text: &str) -> Option<Vec<&str>> {
    let (key, _) = text.split_once('=').filter(|_| !text.contains(['\n', '\r']))?;
    let path: Vec<&str> = key.trim().split('.').map(str::trim).collect();
    let plain = |part: &&str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-');
    path.iter().all(plain).then_some(path)
}

/// The value as TOML; a bare word is text, so that the shell needs no quotes within quotes.
fn value_of(source: &Arc<Source>, key: &str) -> Result<Node, Problem> {
    let parsed = tree::parse(source).or_else(|mut problems| {
        let value = source.text.split_once('=').map_or("", |(_, value)| value.trim());
        if !value.starts_with(|c: char| c.is_alphabetic() || "./~".contains(c)) {
            return Err(problems.swap_remove(0));
        }
        // A JSON string is a TOML string.
        let text = format!("{key}={}", serde_json::Value::from(value));
        tree::parse(&Arc::new(Source { name: source.name.clone(), text })).map_err(|mut problems| problems.swap_remove(0))
    })?;
    let whole = Place { source: source.clone(), span: 0..source.text.len() };
    parsed.find(key).cloned().ok_or_else(|| Problem::at(&whole, "The override has no value.", "here", "Give `--set key=value`."))
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
    fn a_bare_word_is_text_and_nonsense_is_refused() {
        assert!(with(&["crystal.structure=bifeo3-cubic"]).unwrap().contains(r#""structure":"bifeo3-cubic""#));
        for text in
            ["crystal.thickness_nm", "=3", "crystal..x=3", "a=1\nb=2", "sweep.axes=3", "crystal.thickness_nm=", "crystal.thickness_nm=[1"]
        {
            assert!(with(&[text]).is_err(), "{text}");
        }
    }
}
