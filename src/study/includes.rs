//! `include`: a study file that builds on others. What it says lies over what it includes, and every key keeps its place in its own file.

use super::error::{Problem, Source};
use super::schema::{self, Kind};
use super::tree::{self, Node, Value};
use super::{axes, check};
use serde_json::Value as Json;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Largest study file that is read, bytes.
const MAX_FILE_BYTES: u64 = 1 << 20;
/// Files within files at most.
const DEEPEST: usize = 8;
/// Included files at most.
const MOST: usize = 64;

/// Reads the text of a study file, or says why it cannot be read.
pub(super) fn text_of(path: &Path) -> Result<String, String> {
    let meta = std::fs::metadata(path).map_err(|e| e.to_string())?;
    if !meta.is_file() {
        return Err("it is no file".into());
    }
    if meta.len() > MAX_FILE_BYTES {
        return Err(format!("it has {} bytes, and a study file has at most {MAX_FILE_BYTES}", meta.len()));
    }
    std::fs::read_to_string(path).map_err(|e| e.to_string())
}

/// A study file laid over all it includes, and the included texts in the order in which they were read.
pub(super) fn resolve(root: Node, folder: &Path) -> Result<(Node, Vec<Arc<Source>>), Vec<Problem>> {
    let own = Path::new(&root.place.source.name).canonicalize();
    let mut reading = Reading { folder, open: own.into_iter().collect(), sources: Vec::new() };
    let whole = reading.with_includes(root, Path::new(""))?;
    Ok((whole, reading.sources))
}

struct Reading<'a> {
    /// The folder of the study file.
    folder: &'a Path,
    /// The files that are being read, the outermost first.
    open: Vec<PathBuf>,
    sources: Vec<Arc<Source>>,
}

impl Reading<'_> {
    /// `node`, a file that stands in `prefix` (as seen from the study's folder), over what it includes.
    fn with_includes(&mut self, mut node: Node, prefix: &Path) -> Result<Node, Vec<Problem>> {
        let Some(list) = node.get("include").cloned() else { return Ok(node) };
        node.remove("include");
        let Value::List(names) = &list.value else {
            let message = format!("`include` needs a list of study files, and this is {}.", list.value.kind());
            return Err(vec![Problem::at(&list.place, message, "not a list", "Give `include = [\"base.toml\"]`.")]);
        };
        let mut below: Option<Node> = None;
        for name in names {
            let Value::Text(file) = &name.value else {
                let message = format!("`include` needs names of study files, and this is {}.", name.value.kind());
                return Err(vec![Problem::at(&name.place, message, "not a name", "Give `include = [\"base.toml\"]`.")]);
            };
            let top = self.read(name, &prefix.join(file))?;
            match &mut below {
                Some(below) => lay_over(below, top, ""),
                None => below = Some(top),
            }
        }
        Ok(match below {
            Some(mut below) => {
                lay_over(&mut below, node, "");
                below
            }
            None => node,
        })
    }

    /// The file at `relative` (to the study's folder), with all that it includes; its paths then count from the study's folder too.
    fn read(&mut self, name: &Node, relative: &Path) -> Result<Node, Vec<Problem>> {
        let path = self.folder.join(relative);
        let refuse = |message: String, label: &str, help: &str| vec![Problem::at(&name.place, message, label, help)];
        let shown = path.display();
        let text = text_of(&path).map_err(|reason| {
            let help = "Paths count from the folder of the file that includes.";
            refuse(format!("The included file {shown} cannot be read: {reason}."), "not read", help)
        })?;
        // What could be read has an absolute path; should it vanish in between, the plain one does.
        let absolute = path.canonicalize().unwrap_or_else(|_| path.clone());
        if self.open.contains(&absolute) {
            return Err(refuse(format!("{shown} includes itself, by way of this line."), "a circle", "Take this file out of the list."));
        }
        if self.open.len() > DEEPEST || self.sources.len() >= MOST {
            let message = format!("{shown} is one included file too many: they go {DEEPEST} deep at most, and are {MOST} at most.");
            return Err(refuse(message, "too many", "Put what is shared in fewer files."));
        }
        let source = Arc::new(Source { name: shown.to_string(), text });
        self.sources.push(source.clone());
        let mut node = tree::parse(&source)?;
        let prefix = relative.parent().unwrap_or(Path::new(""));
        rebase(&mut node, schema::root(), "", prefix);
        self.open.push(absolute);
        let whole = self.with_includes(node, prefix);
        self.open.pop();
        whole
    }
}

/// Lays `top` over `below`: tables are merged key by key, everything else (also a list, and the rule of an axis) is replaced.
fn lay_over(below: &mut Node, top: Node, path: &str) {
    let Node { key, place, value } = top;
    match (&mut below.value, value) {
        (Value::Table(entries), Value::Table(over)) if path.strip_prefix("sweep.axes.").is_none() => {
            for (name, node) in over {
                match entries.iter_mut().find(|(known, _)| *known == name) {
                    Some((_, known)) => lay_over(known, node, &check::join(path, &name)),
                    None => entries.push((name, node)),
                }
            }
            (below.key, below.place) = (key, place);
        }
        (_, value) => *below = Node { key, place, value },
    }
}

/// Makes the paths in an included file count from the study's folder: keys whose schema has `x-path`.
fn rebase(node: &mut Node, schema: &Json, path: &str, prefix: &Path) {
    if prefix.as_os_str().is_empty() {
        return;
    }
    let Value::Table(entries) = &mut node.value else { return };
    for (key, child) in entries {
        let child_path = check::join(path, key);
        if child_path == "sweep.axes" {
            let Value::Table(axes) = &mut child.value else { continue };
            for (key, axis) in axes {
                if axes::axis_leaf(key).is_some_and(is_path) {
                    prefixed(axis, prefix);
                }
            }
            continue;
        }
        let Some(schema) = schema::properties(schema).and_then(|known| known.get(key)) else { continue };
        if is_path(schema) {
            prefixed(child, prefix);
        } else if schema::kind_of(schema) == Kind::Table {
            rebase(child, schema, &child_path, prefix);
        } else if let (Value::List(items), Some(schema)) = (&mut child.value, schema::items(schema)) {
            for item in items {
                rebase(item, schema, &child_path, prefix);
            }
        }
    }
}

fn is_path(schema: &Json) -> bool {
    schema::keyword(schema, "x-path").is_some()
}

/// Puts the prefix before every text of the node; an absolute path stays as it is.
fn prefixed(node: &mut Node, prefix: &Path) {
    match &mut node.value {
        Value::Text(text) => *text = prefix.join(&*text).display().to_string(),
        Value::List(items) => items.iter_mut().for_each(|item| prefixed(item, prefix)),
        Value::Table(entries) => entries.iter_mut().filter(|(key, _)| key == "values").for_each(|(_, node)| prefixed(node, prefix)),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn merged(folder: &Path, text: &str) -> Result<Node, Vec<Problem>> {
        let source = Arc::new(Source { name: folder.join("study.toml").display().to_string(), text: text.into() });
        resolve(tree::parse(&source).unwrap(), folder).map(|(node, _)| node)
    }

    #[test]
    fn tables_merge_lists_and_axes_are_replaced_and_paths_count_from_the_study() {
        let root = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| fs::write(root.path().join(name), text).unwrap();
        fs::create_dir(root.path().join("base")).unwrap();
        write("base/deep.toml", "seed = 3\n[crystal]\nfile = \"deep.cif\"\nthickness_nm = 5\n");
        write(
            "base/a.toml",
            "include = [\"deep.toml\"]\n[crystal]\nthickness_nm = 7\n[microscope]\nvoltage_kv = 200\ndetectors = [1, 2]\n\
             [sweep.axes]\n\"crystal.thickness_nm\" = { range = [1, 2, 1] }\n\"crystal.file\" = [\"x.cif\", \"/y.cif\"]\n",
        );
        write("b.toml", "[microscope]\nvoltage_kv = 80\n");
        let node = merged(
            root.path(),
            "include = [\"base/a.toml\", \"b.toml\"]\n[microscope]\ndetectors = [3]\n[sweep.axes]\n\"crystal.thickness_nm\" = { linspace = [1, 2, 3] }\n",
        )
        .unwrap();
        assert_eq!(
            node.to_json().to_string(),
            r#"{"seed":3,"crystal":{"file":"base/deep.cif","thickness_nm":7},"microscope":{"voltage_kv":80,"detectors":[3]},"#.to_owned()
                + r#""sweep":{"axes":{"crystal.thickness_nm":{"linspace":[1,2,3]},"crystal.file":["base/x.cif","/y.cif"]}}}"#
        );
        let voltage = node.find("microscope.voltage_kv").unwrap();
        assert!(voltage.place.source.name.ends_with("b.toml"), "a key keeps the place where it stands");
        assert_eq!(voltage.place.line_and_column(), (2, 14));
    }

    #[test]
    fn circles_and_depths_without_end_are_refused_at_the_line_that_closes_them() {
        let root = tempfile::tempdir().unwrap();
        fs::write(root.path().join("a.toml"), "include = [\"b.toml\"]\n").unwrap();
        fs::write(root.path().join("b.toml"), "# a comment\ninclude = [\"a.toml\"]\n").unwrap();
        let problem = merged(root.path(), "include = [\"a.toml\"]\n").unwrap_err().remove(0);
        let place = problem.place.unwrap();
        assert!(place.source.name.ends_with("b.toml") && place.line_and_column() == (2, 12), "{}", problem.message);
        assert!(problem.message.contains("includes itself"));

        for i in 0..12 {
            fs::write(root.path().join(format!("deep-{i}.toml")), format!("include = [\"deep-{}.toml\"]\n", i + 1)).unwrap();
        }
        fs::write(root.path().join("deep-12.toml"), "seed = 1\n").unwrap();
        let problem = merged(root.path(), "include = [\"deep-0.toml\"]\n").unwrap_err().remove(0);
        assert!(problem.message.contains("too many"), "{}", problem.message);
        assert!(merged(root.path(), "include = [\"deep-8.toml\"]\n").is_ok());
    }
}
