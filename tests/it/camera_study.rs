//! Studies with a camera: frames agree with the noiseless image where there is no noise, scatter as their dose says, and repeat anywhere.

use assert_cmd::Command;
use mistilt::image::{Image, ReadOptions};
use mistilt::study::Study;
use mistilt::study::compute::Images;
use mistilt::study::frame::seed;
use mistilt::study::measure::{Record, records};
use mistilt::study::plan::Plan;
use mistilt::study::run::{self, Session};
use std::path::{Path, PathBuf};

/// A coarse, quick study with a camera.
fn text(camera: &str, axes: &str) -> String {
    format!(
        "name = \"tiny-camera\"\nquestion = \"Do frames agree with the noiseless image?\"\n\
         [crystal]\nstructure = \"bifeo3-r3c\"\nthickness_nm = 2\n\
         [microscope]\nvoltage_kv = 300\nconvergence_mrad = 20\n\
         [[microscope.detectors]]\nname = \"adf\"\ninner_mrad = 30\nouter_mrad = 50\n\
         [simulation]\nk_points = [2, 2]\npixel_angstrom = 0.1\n\
         [measure]\nestimators = [\"gaussian\", \"maximum\"]\n\
         [camera]\nfield_angstrom = 40\npixel_pm = 20\n{camera}\n\
         [sweep.axes]\n{axes}\n"
    )
}

fn study(text: &str) -> Study {
    Study::parse("tiny.toml", text, Path::new(""), &[]).unwrap_or_else(|error| panic!("{error}"))
}

fn measured(text: &str) -> Vec<Record> {
    let study = study(text);
    let plan = Plan::new(study.points()).unwrap();
    let mut out = Vec::new();
    for propagation in &plan.propagations {
        let images = Images::compute(propagation, &|_| ()).unwrap();
        for &place in &propagation.places {
            out.extend(records(propagation, &images, place, &study.points()[place.point]).unwrap());
        }
    }
    out.sort_by_key(|r| r.point);
    out
}

#[test]
fn an_ideal_camera_measures_what_the_noiseless_image_shows() {
    for r in measured(&text("repeats = 1", "\"crystal.specimen_tilt_x_mrad\" = [0, 8]")) {
        let (frames, noiseless) = (r.frames.unwrap(), r.apparent_pm().unwrap());
        // 10 cells each way, less those at the edges.
        assert!(frames.frames == 1 && frames.cells >= 49 && frames.refused == 0, "{frames:?}");
        for (c, noiseless) in noiseless.into_iter().enumerate() {
            let difference = frames.apparent_pm[c] - noiseless;
            // Pixels of 20 pm cut the round window otherwise than samples of 10 pm, from cell to cell otherwise.
            assert!(difference.abs() < 1.0, "{} at point {}: {difference} pm", r.estimator, r.point);
            assert!(frames.cell_scatter_pm[c] < 2.0 && frames.sigma_pm[c].is_nan(), "{frames:?}");
        }
    }
}

#[test]
fn the_scatter_of_cells_falls_with_the_root_of_the_dose_and_the_error_tells_how_far_off_the_mean_is() {
    let records = measured(&text("repeats = 10", "\"camera.dose_e_per_angstrom2\" = [4e4, 64e4]"));
    let ideal = measured(&text("repeats = 1", ""));
    let (low, high): (Vec<&Record>, Vec<&Record>) = records.iter().partition(|r| r.point == 0);
    let mut pulls = Vec::new();
    for ((low, high), ideal) in low.iter().zip(&high).zip(&ideal) {
        let [l, h, i] = [low.frames.unwrap(), high.frames.unwrap(), ideal.frames.unwrap()];
        assert_eq!((l.frames, l.refused + l.cells), (10, 10 * i.cells));
        for c in 0..2 {
            if low.estimator == "gaussian" {
                // The noiseless scatter of pixels adds in squares.
                let quiet = i.cell_scatter_pm[c].powi(2);
                let ratio = ((l.cell_scatter_pm[c].powi(2) - quiet) / (h.cell_scatter_pm[c].powi(2) - quiet)).sqrt();
                assert!((ratio / 4.0 - 1.0).abs() < 0.2, "{ratio}");
            }
            for f in [l, h] {
                pulls.push((f.apparent_pm[c] - i.apparent_pm[c]) / f.sigma_pm[c]);
            }
        }
    }
    println!("pulls {pulls:.1?}");
    // t of 9 degrees of freedom: beyond 5 once in 1400 draws.
    assert!(pulls.iter().all(|p| p.abs() < 5.0), "{pulls:?}");
}

#[test]
fn frames_repeat_on_any_number_of_threads_and_stay_when_the_study_grows() {
    let raw = "preset = \"raw\"\nrepeats = 2";
    let on = |threads: usize, text: &str| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| measured(text))
    };
    let one = on(1, &text(raw, "\"camera.dose_e_per_px\" = [2000, 4000]"));
    let three = on(3, &text(raw, "\"camera.dose_e_per_px\" = [2000, 4000]"));
    assert_eq!(one, three);
    let grown = on(2, &text(raw, "\"camera.dose_e_per_px\" = [1000, 2000, 4000]"));
    let frames = |r: &[Record], point| r.iter().filter(|r| r.point == point).map(|r| r.frames).collect::<Vec<_>>();
    assert_eq!(frames(&one, 0), frames(&grown, 1), "a point keeps its noise when others join");
    let seeds = |text: &str| study(text).points().iter().map(|p| seed(&p.config)).collect::<Vec<_>>();
    let two = seeds(&text(raw, "\"camera.dose_e_per_px\" = [2000, 4000]"));
    assert_ne!(two[0], two[1], "points have noise of their own");
    assert_eq!(seeds(&text("preset = \"raw\"\nrepeats = 7\ndose_e_per_px = 2000", ""))[0], two[0], "more frames keep the first ones");
}

#[test]
fn the_commands_expose_and_the_polarization_of_the_frame_is_compared_with_its_truth() {
    let root = tempfile::tempdir().unwrap();
    let run = |arguments: &[&str]| {
        let output = Command::cargo_bin("mistilt").unwrap().current_dir(root.path()).args(arguments).output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice::<serde_json::Value>(&output.stdout).unwrap()
    };
    std::fs::write(root.path().join("tiny.toml"), text("preset = \"registered\"\ndose_e_per_angstrom2 = 1e6", "")).unwrap();
    run(&["simulate", "tiny.toml", "-o", "noisy.npy", "--json"]);
    let image = Image::read(root.path().join("noisy.npy"), &ReadOptions::default()).unwrap();
    assert_eq!((image.width, image.pixel_size_pm.map(f64::round)), (200, Some(20.0)));
    assert!(image.metadata.notes[0].contains("detector units"));
    let truth = image.truth.unwrap();
    assert_eq!(truth.stages.iter().map(|s| s.name.as_str()).collect::<Vec<_>>(), ["row jitter"]);
    assert!(truth.stages[0].displacement_px.iter().any(|d| d[0].abs() > 0.01));
    let map = run(&["polarization", "noisy.npy", "-o", "map", "--json"]);
    let compared = &map["comparison"];
    assert!(compared["cells"].as_u64().unwrap() > 40, "{map}");
    assert!(compared["bias"].as_array().unwrap().iter().all(|b| b.as_f64().unwrap().abs() < 15.0), "{compared}");

    let chain = run(&["camera", "tiny.toml", "-o", "chain", "--json"]);
    let stages: Vec<&str> = chain["stages"].as_array().unwrap().iter().map(|s| s["stage"].as_str().unwrap()).collect();
    assert_eq!(stages, ["image", "source size", "row jitter", "dose", "detector noise"]);
    let jitter = chain["stages"][2]["displacement_rms_pm"][0].as_f64().unwrap();
    assert!((jitter - 1.5).abs() < 0.4, "{jitter}");
    for file in ["chain.svg", "chain.png", "scan-noise.svg", "scan-noise.png", "stages.json", "frame.npy", "provenance.json"] {
        assert!(root.path().join("chain").join(file).is_file(), "{file}");
    }
    std::fs::write(root.path().join("none.toml"), text("", "").replace("[camera]\nfield_angstrom = 40\npixel_pm = 20\n", "")).unwrap();
    let output = Command::cargo_bin("mistilt").unwrap().current_dir(root.path()).args(["camera", "none.toml"]).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("--set camera.preset=raw"));
}

#[test]
fn frames_that_several_windows_measure_are_kept_once_and_the_table_does_not_depend_on_it() {
    let axes = "\"camera.dose_e_per_angstrom2\" = [1e5, 1e6]\n\"measure.window_radius_angstrom\" = [0.7, 0.8, 0.9]";
    let text = text("preset = \"raw\"\nrepeats = 3", axes);
    let root = tempfile::tempdir().unwrap();
    let study = study(&text);
    let session = Session::at(&root.path().join("results/tiny-camera"));
    let table = || {
        run::run(&study, &Plan::new(study.points()).unwrap(), &session, &|_| ()).unwrap();
        std::fs::read_to_string(root.path().join("results/tiny-camera/records.csv")).unwrap()
    };
    let entries = |stage: &str| -> Vec<PathBuf> {
        let folders = std::fs::read_dir(session.store.join(stage)).unwrap().map(|e| e.unwrap().path());
        folders.flat_map(|f| std::fs::read_dir(f).unwrap().map(|e| e.unwrap().path())).collect()
    };
    let whole = table();
    assert_eq!((entries("measurement").len(), entries("frame").len()), (6, 2 * 3));
    // The same numbers as from frames that are exposed for every point anew.
    for record in measured(&text) {
        let apparent = record.frames.unwrap().apparent_pm[0];
        assert!(whole.contains(&format!(",{apparent},")), "{apparent} is not in {whole}");
    }
    // A frame that was damaged is made again, one that is sound is read.
    for path in entries("measurement") {
        std::fs::remove_file(path).unwrap();
    }
    let damaged = &entries("frame")[0];
    let mut bytes = std::fs::read(damaged).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(damaged, bytes).unwrap();
    assert_eq!(table(), whole);
    assert_eq!((entries("frame").len(), std::fs::read_dir(session.store.join("damaged")).unwrap().count()), (6, 1));
    // One window alone shares with nobody.
    let alone = tempfile::tempdir().unwrap();
    let session = Session::at(&alone.path().join("results/tiny-camera"));
    run::run(&study_of_one_window(&text), &Plan::new(study_of_one_window(&text).points()).unwrap(), &session, &|_| ()).unwrap();
    assert!(!session.store.join("frame").exists());
}

fn study_of_one_window(text: &str) -> Study {
    study(&text.replace("[0.7, 0.8, 0.9]", "[0.8]"))
}
