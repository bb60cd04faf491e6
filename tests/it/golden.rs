//! Golden numbers: what a small study reports may not move while the physics version stays, for the store would answer with the old ones.

use mistilt::study::compute::Images;
use mistilt::study::measure::records;
use mistilt::study::plan::Plan;
use mistilt::study::{PHYSICS_VERSION, Study};
use serde_json::{Value as Json, json};
use std::path::Path;

/// Small and quick, and of every part of the physics some: oblique cell, phonons, tilt, defocus, aberration, two detectors, all estimators.
const STUDY: &str = r#"name = "golden"
[crystal]
structure = "bifeo3-r3c"
thickness_nm = 3
[microscope]
voltage_kv = 200
convergence_mrad = 22
defocus_nm = 1
[microscope.aberrations]
c21_nm = 60
[[microscope.detectors]]
name = "inner"
inner_mrad = 30
outer_mrad = 50
[[microscope.detectors]]
name = "outer"
inner_mrad = 50
outer_mrad = 70
[simulation]
k_points = [2, 2]
pixel_angstrom = 0.1
[sweep.axes]
"crystal.specimen_tilt_x_mrad" = [0, 7]
"simulation.method" = ["scattering-matrix", "probes"]
"#;

fn numbers() -> Vec<Vec<f64>> {
    let study = Study::parse("golden.toml", STUDY, Path::new(""), &[]).unwrap_or_else(|error| panic!("{error}"));
    let plan = Plan::new(study.points()).unwrap();
    let mut rows = Vec::new();
    for propagation in &plan.propagations {
        let images = Images::compute(propagation, &|_| ()).unwrap();
        for &place in &propagation.places {
            for r in records(propagation, &images, place, &study.points()[place.point]).unwrap() {
                let [x, y] = r.measured_pm.unwrap();
                rows.push(vec![x, y, r.true_pm[0], r.true_pm[1], 1e3 * r.intensity]);
            }
        }
    }
    rows
}

#[test]
fn golden_numbers_move_only_with_the_physics_version() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/golden.json");
    let now = numbers();
    let committed: Option<Json> = std::fs::read_to_string(&path).ok().map(|text| serde_json::from_str(&text).unwrap());
    let old: Vec<Vec<f64>> = committed.as_ref().map_or(Vec::new(), |json| serde_json::from_value(json["rows"].clone()).unwrap());
    // pm, and thousandths of the beam: what instruction sets leave between them (CONTRIBUTING.md, Comparing results).
    let apart = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
    let moved = now.iter().zip(&old).map(|(a, b)| apart(a, b)).fold(0.0, f64::max);
    let same = now.len() == old.len() && moved < 0.01;
    let version = committed.as_ref().map_or(0, |json| json["physics_version"].as_u64().unwrap());
    let current = u64::from(PHYSICS_VERSION);
    assert!(
        same || current > version,
        "the numbers moved by up to {moved:.4} and PHYSICS_VERSION in src/study/physics.rs is still {current}: stored results of the old \
         physics would be taken for new ones. Raise it, then MISTILT_UPDATE=1 cargo test --release golden"
    );
    if std::env::var_os("MISTILT_UPDATE").is_some() {
        let what = "measured x, y, true x, y (pm) and mean intensity (1e-3 of the beam) of the study in tests/it/golden.rs";
        let text = serde_json::to_string_pretty(&json!({ "physics_version": current, "what": what, "rows": now })).unwrap();
        std::fs::write(&path, text + "\n").unwrap();
    } else {
        assert_eq!(version, current, "write the golden numbers anew: MISTILT_UPDATE=1 cargo test --release golden");
    }
}
