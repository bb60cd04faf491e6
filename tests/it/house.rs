//! The rules of the house, read from its files: floors, openings, where `unsafe`, printing and files may stand, and what the papers name.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

/// The rooms from the ground up. A file imports from its own room and the rooms before it; `cli` alone stands above `study`.
const FLOORS: [&str; 18] = [
    "numerics",
    "crystal",
    "image",
    "microscope",
    "potential",
    "specimen",
    "multislice",
    "detection",
    "scene",
    "columns",
    "polarization",
    "windows",
    "dataset",
    "dcnn",
    "artifact",
    "report",
    "study",
    "cli",
];

/// Packages the lock file may hold: what stands there today and a few more; 15 of them are candle's for CUDA, which only the feature
/// `candle-cuda` builds. A new dependency is a decision, not an accident.
const MOST_PACKAGES: usize = 390;

/// A source file: its path from the repository's root with `/`, its text, and its text without comments.
struct Source {
    path: String,
    text: String,
    code: String,
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// All `.rs` files below a folder, sorted by path.
fn sources(folder: &str) -> Vec<Source> {
    fn walk(folder: &Path, found: &mut Vec<PathBuf>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(&path, found);
            } else if path.extension().is_some_and(|e| e == "rs") {
                found.push(path);
            }
        }
    }
    let mut found = Vec::new();
    walk(&root().join(folder), &mut found);
    found.sort();
    assert!(!found.is_empty(), "no Rust files in {folder}");
    let source = |path: PathBuf| {
        let text = std::fs::read_to_string(&path).unwrap();
        let relative = path.strip_prefix(root()).unwrap().components().map(|c| c.as_os_str().to_string_lossy());
        Source { path: relative.collect::<Vec<_>>().join("/"), code: without_comments(&text), text }
    };
    found.into_iter().map(source).collect()
}

/// Line comments cut off. A `//` after a quotation mark may be an address in a string: such a line stays whole.
fn without_comments(text: &str) -> String {
    let cut = |line: &str| match line.find("//") {
        Some(at) if !line[..at].contains('"') => line[..at].to_owned(),
        _ => line.to_owned(),
    };
    text.lines().map(cut).collect::<Vec<_>>().join("\n")
}

/// The room of `src/room/file.rs`; `None` for `src/lib.rs` and `src/main.rs`.
fn room(path: &str) -> Option<&str> {
    path.strip_prefix("src/")?.split_once('/').map(|(room, _)| room)
}

fn floor(room: &str) -> usize {
    FLOORS
        .iter()
        .position(|f| *f == room)
        .unwrap_or_else(|| panic!("the room {room} has no floor: give it one in FLOORS and ARCHITECTURE.md"))
}

fn leading_name(text: &str) -> &str {
    let end = text.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(text.len());
    &text[..end]
}

/// Every room that a text of code names after `crate::`, alone or in braces.
fn rooms_named(code: &str) -> BTreeSet<&str> {
    let mut named = BTreeSet::new();
    for (at, found) in code.match_indices("crate::") {
        // `$crate::` in macros counts too; a longer name that ends in "crate" does not.
        if code[..at].ends_with(|c: char| c.is_ascii_alphanumeric() || c == '_') {
            continue;
        }
        let rest = &code[at + found.len()..];
        let Some(group) = rest.strip_prefix('{') else {
            named.insert(leading_name(rest));
            continue;
        };
        let (mut depth, mut start) = (0, 0);
        for (i, c) in group.char_indices() {
            let ends = depth == 0 && (c == ',' || c == '}');
            if ends {
                named.insert(leading_name(group[start..i].trim_start()));
                start = i + 1;
            }
            match c {
                '{' => depth += 1,
                '}' if depth == 0 => break,
                '}' => depth -= 1,
                _ => {}
            }
        }
    }
    named.retain(|name| !name.is_empty());
    named
}

/// Fails with every complaint at once.
fn no_complaints(complaints: &[String]) {
    let mut text = String::new();
    for complaint in complaints {
        let _ = writeln!(text, "  {complaint}");
    }
    assert!(complaints.is_empty(), "\n{text}");
}

/// Files whose code holds one of the words, less those that may.
fn holders(sources: &[Source], words: &[&str], may: &dyn Fn(&str) -> bool) -> Vec<String> {
    let mut complaints = Vec::new();
    for source in sources.iter().filter(|s| !may(&s.path)) {
        for (number, line) in source.code.lines().enumerate() {
            if let Some(word) = words.iter().find(|word| line.contains(**word)) {
                complaints.push(format!("{}:{}: `{word}` has no place here", source.path, number + 1));
            }
        }
    }
    complaints
}

/// The part of a file before its tests: what ships.
fn shipped(sources: Vec<Source>) -> Vec<Source> {
    let tests = ["/tests.rs", "_tests.rs", "/keep_files.rs", "/samples.rs"];
    let kept = sources.into_iter().filter(|s| !tests.iter().any(|end| s.path.ends_with(end)));
    kept.map(|s| Source { code: s.code.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default().to_owned(), ..s }).collect()
}

#[test]
fn named_rooms_are_read_from_every_way_to_write_them() {
    let code =
        "use crate::image::{Image, x};\nuse crate::{study::{plan, run}, report};\nlet a = crate::crystal::Site::A; other_crate::no::x";
    assert_eq!(rooms_named(code), BTreeSet::from(["crystal", "image", "report", "study"]));
}

#[test]
fn imports_only_go_down() {
    let mut complaints = Vec::new();
    for source in sources("src") {
        let Some(own) = room(&source.path) else { continue };
        for other in rooms_named(&source.code) {
            if floor(other) > floor(own) {
                complaints.push(format!("{} stands in {own} and imports from {other}, a higher floor", source.path));
            }
        }
        for (at, found) in source.code.match_indices("super::") {
            let name = leading_name(&source.code[at + found.len()..]);
            let sibling = |ending: &str| root().join("src").join(own).join(format!("{name}{ending}")).exists();
            if FLOORS.contains(&name) && !sibling(".rs") && !sibling("") {
                complaints.push(format!("{}: write `crate::{name}` for a room, not `super::{name}`", source.path));
            }
        }
    }
    no_complaints(&complaints);
}

#[test]
fn every_room_has_a_floor_and_every_floor_a_room() {
    let rooms: BTreeSet<String> = sources("src").iter().filter_map(|s| room(&s.path).map(str::to_owned)).collect();
    assert_eq!(rooms, FLOORS.iter().map(|f| (*f).to_owned()).collect());
}

#[test]
fn every_file_opens_with_what_it_is_for() {
    let mut complaints = Vec::new();
    for source in ["src", "tests", "benches"].into_iter().flat_map(sources) {
        let first = source.text.lines().next().unwrap_or_default();
        if !first.starts_with("//! ") || first.len() < 20 {
            complaints.push(format!("{} does not open with a `//!` sentence", source.path));
        }
    }
    no_complaints(&complaints);
}

#[test]
fn unsafe_stands_in_two_files() {
    // Vector instructions, and CUDA.
    let may = ["src/numerics/lanes/vector.rs", "src/multislice/cuda/card.rs"];
    let all: Vec<Source> = ["src", "benches"].into_iter().flat_map(sources).collect();
    let words = ["unsafe {", "unsafe fn", "unsafe impl", "unsafe_code", "unsafe extern", "unsafe trait"];
    no_complaints(&holders(&all, &words, &|path| may.contains(&path)));
    for source in all.iter().filter(|s| may.contains(&s.path.as_str())) {
        let blocks = source.code.matches("unsafe {").count() + source.code.matches("unsafe impl").count();
        let reasons = source.text.matches("SAFETY:").count();
        assert!(blocks > 0 && reasons >= blocks, "{}: {blocks} unsafe blocks and {reasons} SAFETY comments", source.path);
    }
}

#[test]
fn only_the_command_line_prints_and_reads_the_environment() {
    let all = shipped(sources("src"));
    let cli = |path: &str| room(path) == Some("cli");
    let words =
        ["println!", "print!", "eprintln!", "eprint!", "dbg!", "io::stdout", "io::stderr", "env::var", "env::args", "env::current_dir"];
    no_complaints(&holders(&all, &words, &cli));
}

#[test]
fn clocks_and_files_stay_where_the_papers_say() {
    let all = shipped(sources("src"));
    let clocks = ["Instant", "SystemTime"];
    no_complaints(&holders(&all, &clocks, &|path| matches!(room(path), Some("study" | "cli"))));
    let files = ["std::fs", "File::open", "File::create", "tempfile"];
    let may = |path: &str| matches!(room(path), Some("image" | "report" | "study" | "cli")) || path == "src/crystal/read.rs";
    no_complaints(&holders(&all, &files, &may));
}

#[test]
fn randomness_comes_from_counters_alone() {
    let words = ["rand::rng()", "thread_rng", "StdRng", "SmallRng", "from_os_rng", "from_entropy", "getrandom", "RandomState"];
    let all: Vec<Source> = ["src", "tests", "benches"].into_iter().flat_map(sources).collect();
    no_complaints(&holders(&all, &words, &|path| path == "tests/it/house.rs"));
}

#[test]
fn nothing_is_left_undone() {
    let words = ["todo!", "unimplemented!", "#[ignore"];
    let all: Vec<Source> = ["src", "tests", "benches"].into_iter().flat_map(sources).collect();
    no_complaints(&holders(&all, &words, &|path| path == "tests/it/house.rs"));
}

#[test]
fn every_test_file_is_a_module_of_the_one_binary() {
    let main = read("tests/it/main.rs");
    for source in sources("tests/it") {
        let name = source.path.trim_start_matches("tests/it/").trim_end_matches(".rs");
        if name != "main" && !name.contains('/') {
            assert!(main.lines().any(|line| line == format!("mod {name};")), "tests/it/main.rs does not list {name}: its tests do not run");
        }
    }
}

#[test]
fn the_papers_name_every_room_and_the_floors_as_they_are() {
    let text = read("ARCHITECTURE.md");
    for room in FLOORS {
        assert!(text.contains(&format!("`{room}/`")), "ARCHITECTURE.md has no entry `{room}/`");
    }
    let downward: Vec<&str> = FLOORS.iter().rev().copied().collect();
    assert!(text.contains(&downward.join(" > ")), "ARCHITECTURE.md does not state the floors as {}", downward.join(" > "));
}

#[test]
fn files_that_the_papers_name_are_there() {
    let mut complaints = Vec::new();
    for paper in ["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "data/README.md", "results/README.md", "benches/README.md"] {
        let text = read(paper);
        let folder = Path::new(paper).parent().unwrap();
        for (_, rest) in text.match_indices("](").map(|(at, found)| text.split_at(at + found.len())) {
            let target = rest.split([')', '#']).next().unwrap_or_default();
            let outside = target.is_empty() || target.contains("://");
            if !outside && !root().join(folder).join(target).exists() {
                complaints.push(format!("{paper} links to {target}, which is not there"));
            }
        }
    }
    no_complaints(&complaints);
}

#[test]
fn readme_names_only_studies_that_ship() {
    let text = read("README.md");
    let mut named = 0;
    for (at, found) in text.match_indices("studies/") {
        let rest = &text[at + found.len()..];
        let name = rest.split(|c: char| !c.is_ascii_alphanumeric() && c != '-' && c != '.').next().unwrap_or_default();
        if name.ends_with(".toml") {
            named += 1;
            assert!(root().join("studies").join(name).is_file(), "README.md names studies/{name}");
        }
    }
    assert!(named > 0);
}

#[test]
fn dependencies_stay_few() {
    let packages = read("Cargo.lock").matches("[[package]]").count();
    assert!(
        packages <= MOST_PACKAGES,
        "Cargo.lock holds {packages} packages; look at what brought them before raising the limit of {MOST_PACKAGES}"
    );
}
