//! Every study that ships runs, in a quick form: the ends of its axes, a thin crystal, coarse numerics, and every stage up to the page.

use assert_cmd::Command;
use mistilt::study::Study;
use std::path::{Path, PathBuf};

/// What makes any study quick: one Bloch class, a coarse grid that still reaches the detectors.
const QUICK: [&str; 3] = ["simulation.k_points=[1, 1]", "simulation.pixel_angstrom=0.06", "report.images_at=[]"];

fn shipped() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("studies");
    let entries = std::fs::read_dir(folder).unwrap().map(|e| e.unwrap().path());
    let mut files: Vec<PathBuf> = entries.filter(|p| p.extension().is_some_and(|e| e == "toml")).collect();
    files.sort();
    files
}

/// The overrides that leave of every axis its first and last value, and of the crystal 2 nm.
fn overrides(study: &Study) -> Vec<String> {
    let mut out: Vec<String> = QUICK.map(str::to_owned).to_vec();
    let mut thick = false;
    for axis in study.axes.iter().filter(|axis| axis.values.len() > 1) {
        let ends = [axis.values.first(), axis.values.last()];
        let text = if axis.key == "crystal.thickness_nm" {
            thick = true;
            "[1, 2]".to_owned()
        } else {
            serde_json::to_string(&ends).unwrap()
        };
        out.push(format!("{}={text}", axis.key));
    }
    if study.learning.is_some() {
        // Values of `across` that are left out cannot be trained at.
        let set = ["learning.repeats=1", "training.epochs=1", "scene.size_cells=[12, 12]", "learning.train_at=[]", "learning.mix_at=[]"];
        out.extend(set.map(str::to_owned));
    }
    if !thick {
        out.push("crystal.thickness_nm=2".to_owned());
    }
    out
}

/// Runs a command of the program on a study with its quick overrides, and returns what it prints.
fn quickly(command: &[&str], path: &Path, set: &[String], folder: &Path) -> Vec<u8> {
    let mut program = Command::cargo_bin("mistilt").unwrap();
    program.args(command).args(["--quiet", "--json", "-o"]).arg(folder).arg(path);
    program.args(set.iter().flat_map(|text| ["--set", text]));
    let output = program.output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}: {}", path.display(), String::from_utf8_lossy(&output.stderr));
    output.stdout
}

#[test]
fn every_study_that_ships_runs_in_a_quick_form() {
    let root = tempfile::tempdir().unwrap();
    for path in shipped() {
        let study = Study::read(&path, &[]).unwrap_or_else(|error| panic!("{error}"));
        let set = overrides(&study);
        let folder = root.path().join(&study.name);
        if study.dataset.is_some() {
            makes_a_dataset(&path, &set, &folder);
            continue;
        }
        let quick = Study::read(&path, &set).unwrap_or_else(|error| panic!("{error}"));
        if study.learning.is_none() && quick.points().iter().all(|p| p.config.scene.is_some()) {
            images_its_scenes(&path, &set, &folder, quick.points().len());
            continue;
        }
        quickly(&["study", "run"], &path, &set, &folder);
        let rows = csv::Reader::from_path(folder.join("records.csv")).unwrap().into_records().count();
        if study.learning.is_some() {
            let figure = |name: &str| folder.join("figures").join(name).is_file();
            assert!(rows > 0 && (figure("matrix-rmse.png") || figure("matrix-rmse-00.png")), "{}", study.name);
            continue;
        }
        let measurements = |p: &mistilt::study::Point| p.config.microscope.detectors.len() * p.config.measure.estimators.len();
        assert_eq!(rows, quick.points().iter().map(measurements).sum::<usize>(), "{}", study.name);
        let page = std::fs::read_to_string(folder.join("report.html")).unwrap();
        assert!(page.contains("id=\"explorer\"") && page.contains("<h2>Answer</h2>"), "{} has no slider or no answer", study.name);
    }
}

/// Two windows of one image, and the manifest that says so.
fn makes_a_dataset(path: &Path, set: &[String], folder: &Path) {
    let small = ["dataset.samples=1", "dataset.windows_per_sample=2", "scene.size_cells=[8, 8]"].map(str::to_owned);
    let told: serde_json::Value = serde_json::from_slice(&quickly(&["dataset"], path, &[set, &small].concat(), folder)).unwrap();
    assert_eq!((told["windows"].as_u64(), told["shards"].as_u64()), (Some(2), Some(1)));
    assert!(std::fs::read_to_string(folder.join("manifest.json")).unwrap().contains("\"window_px\": 32"));
}

/// A study of scenes, in a few cells each: one image with its truth, one table and one map a point, and the figure of all.
fn images_its_scenes(path: &Path, set: &[String], folder: &Path, points: usize) {
    quickly(&["scenes"], path, &[set, &["scene.size_cells=[4, 4]".to_owned()]].concat(), folder);
    let count = |folder: &Path, ending: &str| {
        let names = std::fs::read_dir(folder).unwrap().map(|e| e.unwrap().file_name().to_string_lossy().into_owned());
        names.filter(|name| name.ends_with(ending)).count()
    };
    assert_eq!([".npy", ".npy.json", ".csv"].map(|ending| count(folder, ending)), [points; 3], "{}", path.display());
    assert_eq!(count(&folder.join("figures"), "-truth.png"), points);
    assert!(folder.join("figures/scenes-1.png").is_file());
}
