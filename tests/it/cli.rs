//! The command as a user meets it: streams, exit codes, help.

use assert_cmd::Command;
use std::path::Path;

fn mistilt(arguments: &[&str]) -> std::process::Output {
    let mut command = Command::cargo_bin("mistilt").unwrap();
    command.current_dir(env!("CARGO_MANIFEST_DIR")).args(arguments).output().unwrap()
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

#[test]
fn the_help_is_the_committed_one() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/help.txt");
    let now = mistilt::cli::help_text();
    if std::env::var_os("MISTILT_UPDATE").is_some() {
        std::fs::write(&path, &now).unwrap();
    }
    let committed = std::fs::read_to_string(&path).unwrap();
    assert!(committed == now, "the help has changed; look at it: MISTILT_UPDATE=1 cargo test --release the_help, then git diff tests/data");
}

#[test]
fn plan_prints_points_on_stdout_and_talk_on_stderr() {
    let output = mistilt(&["study", "plan", "studies/tilt.toml"]);
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(text(&output.stdout).lines().count(), 45);
    assert_eq!(text(&output.stdout).lines().next().unwrap(), "point  specimen_tilt_x_mrad  thickness_nm");
    let said = text(&output.stderr);
    assert_eq!(said.lines().next().unwrap(), "tilt: 44 points = 11 specimen_tilt_x_mrad × 4 thickness_nm");
    for part in ["1 propagation:", "64 k-points × 2 configurations", "serves 44 points", "of memory"] {
        assert!(said.contains(part), "{part} is not in\n{said}");
    }
    assert!(mistilt(&["study", "plan", "studies/tilt.toml", "--quiet"]).stderr.is_empty());
}

#[test]
fn plan_as_json_can_be_read_back() {
    let output = mistilt(&["--json", "study", "plan", "studies/tilt.toml", "--set", "microscope.voltage_kv=200"]);
    let plan: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(plan["points"], 44);
    assert_eq!(plan["axes"][1]["values"], serde_json::json!([10.0, 20.0, 30.0, 40.0]));
    assert_eq!(plan["overrides"][0], "microscope.voltage_kv=200");
}

#[test]
fn bad_input_exits_2_and_underlines_the_key_without_colours() {
    let output = mistilt(&["study", "plan", "tests/studies/bad/unknown-key.toml"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(output.stdout.is_empty());
    let said = text(&output.stderr);
    for part in ["unknown-key.toml:4:1", "thicknes_nm", "Did you mean `thickness_nm`?", "unknown key"] {
        assert!(said.contains(part), "{part} is not in\n{said}");
    }
    assert!(!said.contains('\u{1b}'));
    let absent = mistilt(&["study", "plan", "studies/no-such.toml"]);
    assert_eq!(absent.status.code(), Some(2));
    assert!(text(&absent.stderr).contains("studies/no-such.toml cannot be read"));
    assert_eq!(mistilt(&["study", "plan"]).status.code(), Some(2));
    assert_eq!(mistilt(&["man", "no-such"]).status.code(), Some(2));
    assert_eq!(mistilt(&["--help"]).status.code(), Some(0));
}

#[test]
fn devices_are_told_and_one_that_is_not_there_is_a_sentence() {
    let found: serde_json::Value = serde_json::from_slice(&mistilt(&["devices", "--json"]).stdout).unwrap();
    assert!(found["cpu"]["threads"].as_u64().unwrap() > 0);
    assert_ne!(found["cuda"].is_null(), found["no_cuda_because"].is_null());
    assert_eq!(found["auto"] == "cpu", found["cuda"].is_null() || found["cuda"]["cards"].as_array().unwrap().is_empty());
    let folder = tempfile::tempdir().unwrap();
    let image = folder.path().join("image.npy");
    let output = mistilt(&["simulate", "studies/tilt.toml", "--device", "cuda:31", "-o", image.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(1), "the machine is at fault, not the input");
    assert!(text(&output.stderr).contains("--device cpu") || text(&output.stderr).contains("cuda:31"), "{}", text(&output.stderr));
    assert!(!image.exists());
    let unknown = mistilt(&["simulate", "studies/tilt.toml", "--device", "gpu", "-o", "x.npy"]);
    assert_eq!(unknown.status.code(), Some(2));
    assert!(text(&unknown.stderr).contains("auto, cpu, cuda:0"));
}

#[cfg(unix)]
#[test]
fn a_reader_that_hangs_up_is_no_error() {
    use std::process::{Command, Stdio};
    let mut child = Command::new(assert_cmd::cargo::cargo_bin("mistilt"))
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .arg("schema")
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

#[test]
fn schema_completions_and_manual_pages_are_made() {
    assert_eq!(text(&mistilt(&["schema"]).stdout), mistilt::study::json_schema_text());
    assert!(text(&mistilt(&["completions", "bash"]).stdout).contains("_mistilt"));
    let page = mistilt(&["man", "study", "plan"]);
    assert!(text(&page.stdout).contains(".TH mistilt-study-plan 1"));
    assert_eq!(text(&mistilt(&["schema", "--markdown"]).stdout), mistilt::study::key_reference());
}

#[test]
fn completions_and_manual_pages_of_everything_go_to_a_folder() {
    let root = tempfile::tempdir().unwrap();
    let folder = root.path().join("share/mistilt");
    let there = folder.to_str().unwrap();
    assert_eq!(mistilt(&["completions", "-o", there]).status.code(), Some(0));
    assert_eq!(mistilt(&["man", "-o", there]).status.code(), Some(0));
    for name in ["mistilt.bash", "mistilt.fish", "_mistilt", "_mistilt.ps1", "mistilt.1", "mistilt-study.1", "mistilt-study-run.1"] {
        assert!(folder.join(name).is_file(), "{name} is missing");
    }
    assert_eq!(mistilt(&["completions"]).status.code(), Some(2), "neither shell nor folder");
}
