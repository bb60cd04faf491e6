//! A study survives: kills at any moment, stops, damage, full disks, second runs and shares on several processes leave the same table, byte for byte.

use mistilt::numerics::seeds::Streams;
use mistilt::study::plan::Plan;
use mistilt::study::run::{self, Session};
use mistilt::study::share::Share;
use mistilt::study::status::Status;
use mistilt::study::{RunError, Study};
use rand::RngExt;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// Four propagations of 16 k-points, 24 points.
const STUDY: &str = r#"name = "brief"
[crystal]
structure = "bifeo3-r3c"
[microscope]
convergence_mrad = 20
[[microscope.detectors]]
name = "adf"
inner_mrad = 30
outer_mrad = 50
[simulation]
k_points = [4, 4]
pixel_angstrom = 0.1
[report]
figures = false
[sweep.axes]
"crystal.structure" = ["bifeo3-r3c", "bifeo3-cubic"]
"microscope.voltage_kv" = [200, 300]
"crystal.specimen_tilt_x_mrad" = [0, 5, 10]
"crystal.thickness_nm" = [2, 4]
"#;

fn study() -> Study {
    Study::parse("brief.toml", STUDY, Path::new(""), &[]).unwrap_or_else(|error| panic!("{error}"))
}

/// A folder with the study file in it.
fn folder() -> tempfile::TempDir {
    let root = tempfile::tempdir().unwrap();
    fs::write(root.path().join("brief.toml"), STUDY).unwrap();
    root
}

/// The table of an unbroken run in this process.
fn unbroken() -> &'static (Vec<u8>, Vec<u8>) {
    static TABLE: OnceLock<(Vec<u8>, Vec<u8>)> = OnceLock::new();
    TABLE.get_or_init(|| {
        let root = folder();
        run_here(root.path()).unwrap();
        table(root.path())
    })
}

fn run_here(root: &Path) -> Result<run::Outcome, RunError> {
    let study = study();
    run::run(&study, &Plan::new(study.points()).unwrap(), &session(root), &|_| ())
}

fn session(root: &Path) -> Session {
    Session::at(&root.join("results/brief"))
}

fn table(root: &Path) -> (Vec<u8>, Vec<u8>) {
    let file = |name| fs::read(root.join("results/brief").join(name)).unwrap();
    (file("records.csv"), file("records.npz"))
}

/// No dump of bytes where they differ: the rows that do.
fn same_table(root: &Path) {
    let (now, whole) = (table(root), unbroken());
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    let (now_csv, whole_csv) = (text(&now.0), text(&whole.0));
    let apart: Vec<&str> = now_csv.lines().filter(|row| !whole_csv.lines().any(|r| r == *row)).collect();
    assert!(now.0 == whole.0, "{} rows, {} expected; these differ: {apart:#?}", now_csv.lines().count(), whole_csv.lines().count());
    assert!(now.1 == whole.1, "records.npz differs");
}

fn command(root: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(assert_cmd::cargo::cargo_bin("mistilt"));
    command.current_dir(root).args(arguments).stdin(Stdio::null());
    command
}

fn output(root: &Path, arguments: &[&str]) -> Output {
    command(root, arguments).output().unwrap()
}

fn start(root: &Path, arguments: &[&str]) -> Child {
    command(root, arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// All files below a folder.
fn walk(folder: &Path) -> Vec<PathBuf> {
    let mut out = Vec::new();
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() { out.extend(walk(&path)) } else { out.push(path) }
    }
    out.sort();
    out
}

fn entries(root: &Path, stage: &str) -> Vec<PathBuf> {
    walk(&root.join("results/store").join(stage))
}

#[test]
fn killed_at_random_moments_again_and_again_it_ends_with_the_same_bytes() {
    let root = folder();
    let mut random = Streams::new("mistilt test moments of kills", 1).stream(0);
    let (mut kills, mut rounds) = (0, 0);
    loop {
        rounds += 1;
        assert!(rounds < 200, "no progress between kills");
        // Shares too: they leave blocks where a whole run leaves sums.
        let mut arguments = vec!["study", "run", "brief.toml", "--quiet"];
        let shard = random.random_range(0..4);
        if kills < 12 && shard > 0 {
            arguments.extend(["--shard", ["1/3", "2/3", "3/3"][shard - 1]]);
        }
        let mut child = start(root.path(), &arguments);
        let patience = Duration::from_millis(random.random_range(5..150));
        let begun = Instant::now();
        let ended = loop {
            match child.try_wait().unwrap() {
                Some(status) => break Some(status),
                None if begun.elapsed() > patience => break None,
                None => std::thread::sleep(Duration::from_millis(2)),
            }
        };
        if let Some(status) = ended {
            assert_eq!(status.code(), Some(0), "{}", said(&child.wait_with_output().unwrap()));
            if !arguments.contains(&"--shard") {
                break;
            }
        } else {
            // SIGKILL: no handler runs, nothing is flushed.
            child.kill().unwrap();
            child.wait().unwrap();
            kills += 1;
        }
        // A slow machine has been killed often enough.
        if kills > 60 {
            run_here(root.path()).unwrap();
            break;
        }
    }
    println!("{kills} kills in {rounds} rounds");
    assert!(kills >= 10, "only {kills} kills met a running process");
    same_table(root.path());
    let results = root.path().join("results");
    assert_eq!(fs::read_dir(&results).unwrap().count(), 2, "store and results, nothing unfinished: {:?}", walk(&results));
    // What kills left in the store goes with one command, and what is needed stays.
    assert_eq!(output(root.path(), &["study", "clean", "brief.toml"]).status.code(), Some(0));
    let left: Vec<PathBuf> = walk(&results.join("store")).into_iter().filter(|p| p.extension().is_some()).collect();
    assert!(left.iter().all(|p| p.file_name().unwrap() == "CACHEDIR.TAG"), "{left:?}");
    let counts = [entries(root.path(), "image").len(), entries(root.path(), "measurement").len(), entries(root.path(), "block").len()];
    assert_eq!(counts, [4, 24, 0]);
}

#[test]
fn shares_by_hand_and_a_merge_give_the_bytes_of_one_run() {
    let root = folder();
    assert_eq!(output(root.path(), &["study", "run", "brief.toml", "--shard", "2/3"]).status.code(), Some(0));
    let early = output(root.path(), &["study", "merge", "brief.toml"]);
    assert_eq!(early.status.code(), Some(3), "{}", said(&early));
    assert!(said(&early).contains("of 24 points are not computed yet"), "{}", said(&early));
    assert!(!root.path().join("results/brief").exists());
    let status = output(root.path(), &["study", "status", "brief.toml", "--json"]);
    let json: serde_json::Value = serde_json::from_slice(&status.stdout).unwrap();
    let (done, left) = (json["done"].as_u64().unwrap(), json["left"].as_u64().unwrap());
    assert_eq!((status.status.code(), done + left), (Some(3), 24));
    assert!(done > 0 && left > 0, "{json}");
    // The other two at once: each takes what the other has not.
    let mut others = [
        start(root.path(), &["study", "run", "brief.toml", "--shard", "1/3"]),
        start(root.path(), &["study", "run", "brief.toml", "--shard", "3/3"]),
    ];
    for child in &mut others {
        assert_eq!(child.wait().unwrap().code(), Some(0));
    }
    let merged = output(root.path(), &["study", "merge", "brief.toml"]);
    assert_eq!(merged.status.code(), Some(0), "{}", said(&merged));
    same_table(root.path());
    assert_eq!(output(root.path(), &["study", "status", "brief.toml"]).status.code(), Some(0));
}

#[test]
fn a_partial_merge_says_that_it_is_partial() {
    let root = folder();
    output(root.path(), &["study", "run", "brief.toml", "--shard", "1/6"]);
    let partial = output(root.path(), &["study", "merge", "brief.toml", "--partial"]);
    assert_eq!(partial.status.code(), Some(3), "{}", said(&partial));
    let page = fs::read_to_string(root.path().join("results/brief/report.html")).unwrap();
    assert!(page.contains("these results are partial"));
    let whole = String::from_utf8(unbroken().0.clone()).unwrap();
    let rows: Vec<String> = fs::read_to_string(root.path().join("results/brief/records.csv")).unwrap().lines().map(str::to_owned).collect();
    assert!(rows.len() > 1 && rows.len() < whole.lines().count());
    assert!(rows.iter().all(|row| whole.lines().any(|line| line == row)), "rows are those of the whole");
}

#[test]
fn a_stop_keeps_the_sums_so_far_and_the_next_run_goes_on_from_them() {
    let root = folder();
    let study = study();
    let plan = Plan::new(study.points()).unwrap();
    let session = session(root.path());
    let counted = AtomicUsize::new(0);
    // Stop within the second propagation of 16 k-points.
    let stopped = run::run(&study, &plan, &session, &|steps| {
        if counted.fetch_add(steps, Ordering::SeqCst) + steps > 16 + 6 + 4 {
            session.interrupt.raise();
        }
    });
    assert!(matches!(stopped, Err(RunError::Interrupted)));
    assert_eq!(entries(root.path(), "checkpoint").len(), 1);
    let status = Status::of(&study, &plan, &Session::at(&session.target)).unwrap();
    assert!(status.left.iter().any(|l| l.blocks.0 > 0 && l.blocks.0 < l.blocks.1), "{:?}", status.left);
    run_here(root.path()).unwrap();
    same_table(root.path());
    assert!(entries(root.path(), "checkpoint").is_empty());
}

#[cfg(unix)]
#[test]
fn a_signal_stops_it_with_130_and_the_command_that_goes_on() {
    let root = folder();
    // Finer waves, so that it still runs when the signal comes.
    let arguments = ["study", "run", "brief.toml", "--set", "simulation.pixel_angstrom=0.03", "--threads", "1"];
    for signal in ["INT", "TERM", "USR1"] {
        let child = start(root.path(), &arguments);
        let begun = Instant::now();
        while entries(root.path(), "locks").is_empty() && begun.elapsed() < Duration::from_mins(1) {
            std::thread::sleep(Duration::from_millis(5));
        }
        let sent = Command::new("kill").args([&format!("-{signal}"), &child.id().to_string()]).status().unwrap();
        assert!(sent.success());
        let ended = child.wait_with_output().unwrap();
        assert_eq!(ended.status.code(), Some(130), "{signal}: {}", said(&ended));
        let words = said(&ended);
        assert!(words.contains("mistilt study run brief.toml --set simulation.pixel_angstrom=0.03 --threads 1"), "{words}");
        assert!(entries(root.path(), "locks").is_empty(), "no lock is left");
    }
}

#[test]
fn damage_and_clocks_change_nothing() {
    let root = folder();
    run_here(root.path()).unwrap();
    for path in walk(&root.path().join("results/store")) {
        // A clock set back and forth.
        let year = Duration::from_hours(8766);
        let at = std::time::UNIX_EPOCH + if path.as_os_str().len().is_multiple_of(2) { year } else { 130 * year };
        fs::File::options().append(true).open(&path).unwrap().set_modified(at).unwrap();
    }
    let images = entries(root.path(), "image");
    let mut bytes = fs::read(&images[0]).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&images[0], bytes).unwrap();
    let records = entries(root.path(), "measurement");
    fs::write(&records[3], &fs::read(&records[3]).unwrap()[..100]).unwrap();
    fs::write(&records[5], b"").unwrap();
    let outcome = run_here(root.path()).unwrap();
    same_table(root.path());
    let named = outcome.warnings.iter().filter(|w| w.contains("was set aside as")).count();
    assert_eq!(named, 3, "{:?}", outcome.warnings);
    assert_eq!(entries(root.path(), "damaged").len(), 3);
}

#[test]
fn one_store_serves_other_settings_of_the_measurement_without_waves() {
    let root = folder();
    run_here(root.path()).unwrap();
    let images = entries(root.path(), "image");
    let set = ["measure.window_radius_angstrom=0.7".to_owned(), "microscope.source_fwhm_angstrom=1".to_owned()];
    let other = Study::parse("brief.toml", STUDY, Path::new(""), &set).unwrap();
    let waves = AtomicUsize::new(0);
    run::run(&other, &Plan::new(other.points()).unwrap(), &Session::at(&root.path().join("results/other")), &|steps| {
        waves.fetch_add(usize::from(steps == 1), Ordering::SeqCst);
    })
    .unwrap();
    // Steps of one are points: k-points come 16 at once, from the store.
    assert_eq!(waves.load(Ordering::SeqCst), 24);
    assert_eq!(entries(root.path(), "image"), images);
    assert_eq!(entries(root.path(), "measurement").len(), 48);
    // What the other study needs goes when only this one's is kept.
    assert_eq!(output(root.path(), &["study", "clean", "brief.toml", "--others"]).status.code(), Some(0));
    assert_eq!(entries(root.path(), "measurement").len(), 24);
    run_here(root.path()).unwrap();
    same_table(root.path());
}

#[test]
fn a_point_that_fails_is_named_the_rest_goes_on_and_retry_mends_it() {
    let root = folder();
    let study = study();
    let session = session(root.path());
    let mut broken = Plan::new(study.points()).unwrap();
    // A propagation whose detector lies beyond the band limit, as if a check had let it through.
    broken.propagations[1].detectors[0].outer_mrad = 500.0;
    let outcome = run::run(&study, &broken, &session, &|_| ()).unwrap();
    assert_eq!(outcome.failures.len(), 6);
    assert!(outcome.failures[0].error.contains("beyond the band limit"), "{:?}", outcome.failures[0]);
    let csv = fs::read_to_string(session.target.join("failures.csv")).unwrap();
    assert_eq!(csv.lines().count(), 7);
    assert!(csv.lines().next().unwrap().starts_with("point,structure,voltage_kv"), "{csv}");
    assert!(outcome.warnings.iter().any(|w| w.contains("6 of 24 points failed")), "{:?}", outcome.warnings);
    // Again: the failure is remembered, not repeated.
    assert_eq!(run::run(&study, &broken, &session, &|_| ()).unwrap().failures.len(), 6);
    let (retried, mended) = run::retry(&study, &broken, &session, &|_| ()).unwrap();
    assert_eq!((retried, mended.failures.len()), (6, 6));
    // Mended, the propagation has another address: nothing of the broken one is in the way.
    assert!(run_here(root.path()).unwrap().failures.is_empty());
    same_table(root.path());
    assert!(!session.target.join("failures.csv").exists());
}

#[test]
fn two_runs_on_one_folder_are_one_too_many() {
    let root = folder();
    let slow = ["study", "run", "brief.toml", "--set", "simulation.pixel_angstrom=0.03", "--threads", "1", "-o", "results/brief"];
    let mut first = start(root.path(), &slow);
    let begun = Instant::now();
    while entries(root.path(), "locks").is_empty() && begun.elapsed() < Duration::from_mins(1) {
        std::thread::sleep(Duration::from_millis(5));
    }
    let second = output(root.path(), &["study", "run", "brief.toml"]);
    first.kill().unwrap();
    first.wait().unwrap();
    assert_eq!(second.status.code(), Some(1), "{}", said(&second));
    assert!(said(&second).contains(&format!("is being written by process {}", first.id())), "{}", said(&second));
    // The kill freed the lock.
    assert_eq!(output(root.path(), &["study", "run", "brief.toml"]).status.code(), Some(0));
    same_table(root.path());
}

#[cfg(unix)]
#[test]
fn a_full_disk_is_a_sentence_and_no_loss() {
    let root = folder();
    let binary = assert_cmd::cargo::cargo_bin("mistilt");
    // No file may grow beyond 8 blocks of 512 or 1024 bytes: images do not fit, records do.
    let script = format!("trap '' XFSZ; ulimit -f 8; exec '{}' study run brief.toml", binary.display());
    let full = Command::new("bash").args(["-c", &script]).current_dir(root.path()).output().unwrap();
    assert_eq!(full.status.code(), Some(1), "{}", said(&full));
    assert!(said(&full).contains("error: ") && said(&full).contains("results/store/image"), "{}", said(&full));
    assert!(!root.path().join("results/brief").exists());
    assert!(walk(&root.path().join("results")).iter().all(|p| p.extension().is_none_or(|e| e != "tmp")), "no temporary file stays");
    run_here(root.path()).unwrap();
    same_table(root.path());
    // A place where nothing can be written.
    let nowhere = output(root.path(), &["study", "run", "brief.toml", "-o", "/proc/mistilt/brief"]);
    assert_eq!(nowhere.status.code(), Some(1), "{}", said(&nowhere));
    assert!(said(&nowhere).contains("/proc/mistilt"), "{}", said(&nowhere));
}

#[test]
fn shares_cover_all_work_and_none_twice() {
    let study = study();
    let plan = Plan::new(study.points()).unwrap();
    let whole = run::steps(&plan, Share::WHOLE);
    assert_eq!(whole, 4 * 16 + 24);
    for count in [1, 2, 3, 7, 24, 100] {
        let parts: usize = (1..=count).map(|index| run::steps(&plan, Share { index, count })).sum();
        assert_eq!(parts, whole, "{count} shares");
    }
}

#[test]
fn results_are_compared_and_exported_and_a_submission_is_shown() {
    let root = folder();
    let set = ["--set", "crystal.structure=[\"bifeo3-cubic\"]", "--set", "microscope.voltage_kv=[300]"];
    let run = |name: &str, more: &[&str]| {
        let output = output(root.path(), &[&["study", "run", "brief.toml", "-o", name][..], &set, more].concat());
        assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    };
    run("results/a", &[]);
    run("results/b", &["--set", "microscope.source_fwhm_angstrom=1.2"]);
    let json = |arguments: &[&str]| -> serde_json::Value {
        let output = output(root.path(), &[arguments, &["--json"]].concat());
        assert_eq!(output.status.code(), Some(0), "{}", said(&output));
        serde_json::from_slice(&output.stdout).unwrap()
    };
    let same = json(&["study", "diff", "results/a", "results/a"]);
    assert_eq!((&same["rows"], same["moved"].as_array().unwrap().len()), (&18.into(), 0));
    // A wider source moves what is measured of tilted columns, and no truth.
    let moved = json(&["study", "diff", "results/a", "results/b"]);
    let quantities: Vec<&str> = moved["moved"].as_array().unwrap().iter().map(|m| m["quantity"].as_str().unwrap()).collect();
    assert!(quantities.contains(&"measured_x_pm") && !quantities.contains(&"true_x_pm"), "{quantities:?}");
    for name in ["a.csv", "a.npz", "a.json", "a.zip"] {
        assert!(json(&["study", "export", "results/a", "-o", name])["bytes"].as_u64().unwrap() > 1000, "{name}");
    }
    let csv = |path: &str| fs::read(root.path().join(path)).unwrap();
    assert!(csv("a.csv") == csv("results/a/records.csv"));
    let wrong = output(root.path(), &["study", "export", "results/a", "-o", "a.xlsx"]);
    assert_eq!(wrong.status.code(), Some(2), "{}", said(&wrong));
    let shown = json(&["study", "submit", "brief.toml", "--slurm", "--elements", "3", "--threads", "2", "--gres", "gpu:1", "--dry-run"]);
    let array = shown["array"].as_str().unwrap();
    for part in ["#SBATCH --array=1-3\n", "#SBATCH --cpus-per-task=2\n", "#SBATCH --gres=gpu:1\n", "study run brief.toml --submitted "] {
        assert!(array.contains(part), "{part} is not in\n{array}");
    }
    assert!(!root.path().join("results/brief.logs").exists(), "shown, not submitted");
}

#[test]
fn a_study_that_was_edited_after_its_submission_is_refused() {
    let root = folder();
    let shown = output(root.path(), &["study", "submit", "brief.toml", "--slurm", "--elements", "3", "--dry-run", "--json"]);
    let json: serde_json::Value = serde_json::from_slice(&shown.stdout).unwrap();
    let script = json["merge"].as_str().unwrap().to_owned();
    let fingerprint = script.split("--submitted ").nth(1).unwrap().split_whitespace().next().unwrap();
    fs::write(root.path().join("brief.toml"), STUDY.replace("[0, 5, 10]", "[0, 5, 11]")).unwrap();
    let refused = output(root.path(), &["study", "run", "brief.toml", "--shard", "1/3", "--submitted", fingerprint]);
    assert_eq!(refused.status.code(), Some(2), "{}", said(&refused));
    assert!(said(&refused).contains("brief.toml has changed since"), "{}", said(&refused));
    assert!(entries(root.path(), "block").is_empty());
}

#[test]
fn the_plan_knows_what_stays_on_disk() {
    let root = folder();
    let study = study();
    let plan = Plan::new(study.points()).unwrap();
    let cost = plan.cost(2).unwrap();
    run_here(root.path()).unwrap();
    let bytes: u64 = walk(&root.path().join("results")).iter().map(|path| fs::metadata(path).unwrap().len()).sum();
    let ratio = cost.disk_bytes / bytes as f64;
    assert!((1.0 / 1.5..1.5).contains(&ratio), "{:.1} MB were told, {:.1} MB are there", cost.disk_bytes / 1e6, bytes as f64 / 1e6);
    assert_eq!(cost.parts.len(), 4);
    assert!(cost.seconds > 0.0 && cost.memory_bytes > 1e7);
}
