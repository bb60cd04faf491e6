//! The commands in the documentation: all are commands of this program, those that only plan are run, and the files that pages link to are there.

use assert_cmd::Command;
use std::path::{Path, PathBuf};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every page a user reads.
fn pages() -> Vec<PathBuf> {
    fn walk(folder: &Path, out: &mut Vec<PathBuf>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(&path, out);
            } else if path.extension().is_some_and(|e| e == "md") {
                out.push(path);
            }
        }
    }
    let mut out = vec![root().join("README.md")];
    walk(&root().join("docs"), &mut out);
    out.sort();
    out
}

/// The lines of a page's shell blocks that call the program, as words after its name.
fn commands(page: &str) -> Vec<Vec<String>> {
    let mut out = Vec::new();
    let (mut inside, mut line) = (false, String::new());
    for row in page.lines() {
        if row.starts_with("```") {
            inside = row == "```sh";
            continue;
        }
        if !inside {
            continue;
        }
        line += row.trim_end_matches('\\');
        if row.ends_with('\\') {
            continue;
        }
        let words = words(&std::mem::take(&mut line));
        let after =
            |name: &[&str]| words.strip_prefix(name.iter().map(|w| (*w).to_owned()).collect::<Vec<_>>().as_slice()).map(<[_]>::to_vec);
        out.extend(after(&["mistilt"]).or_else(|| after(&["cargo", "run", "--release", "--"])));
    }
    out
}

/// Words of a shell line, quotes taken off, up to a comment, a pipe or a redirection.
fn words(line: &str) -> Vec<String> {
    let (mut out, mut word, mut quote) = (Vec::new(), None::<String>, None);
    for c in line.chars() {
        match (quote, c) {
            (Some(q), c) if q == c => quote = None,
            (None, '\'' | '"') => {
                quote = Some(c);
                word.get_or_insert_with(String::new);
            }
            (None, '#' | '>' | '|') if word.is_none() => return out,
            (None, ' ') => out.extend(word.take()),
            (_, c) => word.get_or_insert_with(String::new).push(c),
        }
    }
    out.extend(word);
    out
}

#[test]
fn shell_lines_are_read_as_a_shell_reads_them() {
    let page = "```sh\nmistilt study plan a.toml --set 'b=[1, 2]' \\\n  --json   # a comment\nmistilt schema > x.json\nls\n```\n```toml\nmistilt no\n```\n";
    assert_eq!(commands(page), [vec!["study", "plan", "a.toml", "--set", "b=[1, 2]", "--json"], vec!["schema"]]);
}

#[test]
fn every_command_in_the_documentation_is_one_and_those_that_plan_run() {
    let mut planned = 0;
    for path in pages() {
        let name = path.strip_prefix(root()).unwrap().display().to_string();
        for words in commands(&std::fs::read_to_string(&path).unwrap()) {
            let said = words.join(" ");
            let arguments = std::iter::once("mistilt").chain(words.iter().map(String::as_str));
            if let Err(error) = mistilt::cli::command().try_get_matches_from(arguments) {
                let shows = [clap::error::ErrorKind::DisplayHelp, clap::error::ErrorKind::DisplayVersion];
                assert!(shows.contains(&error.kind()), "{name}: `mistilt {said}`: {error}");
            }
            // A study that a page asks its reader to write is not there.
            if words.starts_with(&["study".to_owned(), "plan".to_owned()]) && root().join(&words[2]).is_file() {
                planned += 1;
                let output = Command::cargo_bin("mistilt").unwrap().current_dir(root()).args(&words).output().unwrap();
                assert_eq!(output.status.code(), Some(0), "{name}: `mistilt {said}`: {}", String::from_utf8_lossy(&output.stderr));
            }
        }
    }
    assert!(planned >= 6, "only {planned} plans in the documentation");
}

#[test]
fn files_that_the_documentation_links_to_are_there() {
    for path in pages() {
        let text = std::fs::read_to_string(&path).unwrap();
        for (at, found) in text.match_indices("](") {
            let target = text[at + found.len()..].split([')', '#']).next().unwrap_or_default();
            if !target.is_empty() && !target.contains("://") {
                assert!(path.parent().unwrap().join(target).exists(), "{} links to {target}, which is not there", path.display());
            }
        }
    }
}

#[test]
fn studies_in_the_documentation_are_good() {
    for entry in std::fs::read_dir(root().join("docs/tutorial")).unwrap() {
        let path = entry.unwrap().path();
        mistilt::study::Study::read(&path, &[]).unwrap_or_else(|error| panic!("{error}"));
    }
}
