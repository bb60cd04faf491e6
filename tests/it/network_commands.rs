//! `train`, `predict` and `features` as a user meets them, on an image of Gaussian columns whose displacements are known.

use assert_cmd::Command;
use mistilt::crystal::Site;
use mistilt::image::{Image, Truth, TruthCell, TruthColumn};
use serde_json::Value as Json;
use std::path::Path;

const SIDE: usize = 200;
const A_PX: f64 = 16.0;
const PIXEL_PM: f64 = 24.75;

fn mistilt(folder: &Path, arguments: &[&str]) -> std::process::Output {
    Command::cargo_bin("mistilt").unwrap().current_dir(folder).args(arguments).output().unwrap()
}

/// A perovskite-like image whose B columns are displaced by a field that turns slowly across it, up to 40 pm, with its truth.
fn image() -> Image {
    let cells = (SIDE as f64 / A_PX) as i32 - 1;
    let place = |i: i32| 0.5 * A_PX + A_PX * f64::from(i);
    let shift = |i: i32, j: i32| {
        let (u, v) = (0.8 * f64::from(i), 0.6 * f64::from(j));
        [40.0 * u.sin() * v.cos(), 40.0 * v.sin()]
    };
    let column = |site, cell, at: [f64; 2]| TruthColumn { site, cell, entrance_px: at, mean_px: at, exit_px: at };
    let mut truth = Truth::default();
    for (j, i) in (0..=cells).flat_map(|j| (0..=cells).map(move |i| (j, i))) {
        truth.columns.push(column(Site::A, [i, j], [place(i), place(j)]));
        if i < cells && j < cells {
            let [sx, sy] = shift(i, j);
            let middle = [place(i) + 0.5 * A_PX + sx / PIXEL_PM, place(j) + 0.5 * A_PX + sy / PIXEL_PM];
            truth.columns.push(column(Site::B, [i, j], middle));
            truth.cells.push(TruthCell { index: [i, j], shift_pm: [sx, sy] });
        }
    }
    let mut data = vec![0.2_f32; SIDE * SIDE];
    for c in &truth.columns {
        let height = if c.site == Site::A { 2.5 } else { 1.0 };
        for (n, value) in data.iter_mut().enumerate() {
            let (x, y) = ((n % SIDE) as f64 - c.mean_px[0], (n / SIDE) as f64 - c.mean_px[1]);
            if x.abs() < 10.0 && y.abs() < 10.0 {
                *value += (height * (-0.5 * (x * x + y * y) / 1.8_f64.powi(2)).exp()) as f32;
            }
        }
    }
    let image = Image::new(SIDE, SIDE, data).unwrap().with_pixel_size_pm(PIXEL_PM).unwrap();
    Image { truth: Some(truth), ..image }
}

const TRAINING: &str = r#"
name = "net"
[data]
images = ["image.npy"]
[windows]
placement = "grid"
grid_step_px = 3
size_lattices = 1.0
validation_fraction = 0.2
[network]
channels = [8, 16, 16]
global_pooling = "flatten"
hidden = [16]
[training]
epochs = 8
batch_size = 32
learning_rate = 0.004
members = 2
"#;

fn json(output: &std::process::Output) -> Json {
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.status.code(), Some(0), "{err}");
    serde_json::from_str(&out).unwrap_or_else(|e| panic!("{e}: {out}"))
}

#[test]
fn a_network_is_trained_predicts_and_shows_what_it_looks_at() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    image().write(root.join("image.npy")).unwrap();
    std::fs::write(root.join("net.toml"), TRAINING).unwrap();

    let trained = json(&mistilt(root, &["train", "net.toml", "-o", "net", "--json"]));
    assert_eq!(trained["epochs"], 16);
    let (rmse, of_mean) = (trained["rmse_pm"].as_f64().unwrap(), trained["rmse_of_mean_pm"].as_f64().unwrap());
    assert!(rmse < 0.7 * of_mean, "{rmse} pm against {of_mean} pm for the mean");
    for file in ["model.safetensors", "model.json", "history.csv", "test.csv", "report.html", "figures/maps.png", "figures/coverage.svg"] {
        assert!(root.join("net").join(file).is_file(), "{file}");
    }
    assert!(!root.join("net.checkpoint.safetensors").exists());
    // The same training gives the same bytes, on one thread too.
    let model = std::fs::read(root.join("net/model.safetensors")).unwrap();
    json(&mistilt(root, &["train", "net.toml", "-o", "again", "--threads", "1", "--json"]));
    assert!(model == std::fs::read(root.join("again/model.safetensors")).unwrap());

    let predicted = json(&mistilt(root, &["predict", "net", "image.npy", "-o", "map", "--json"]));
    assert!(predicted["against_truth"]["rmse_pm"].as_f64().unwrap() < 0.7 * of_mean, "{predicted}");
    assert!(predicted["median_epistemic_sigma_pm"].as_f64().unwrap() > 0.0);
    let centred = json(&mistilt(root, &["predict", "net/model.safetensors", "image.npy", "--centred", "-o", "cells", "--json"]));
    assert_eq!(centred["cells"], 121, "{centred}");
    assert!(root.join("cells/predictions.csv").is_file());

    let seen = json(&mistilt(root, &["features", "net", "image.npy", "--cells", "4", "-o", "seen", "--json"]));
    assert_eq!(seen["layers"].as_array().unwrap().len(), 3);
    assert!(seen["attention"]["b_column_pm"].as_f64().unwrap() > 0.0);
    assert!(root.join("seen/figures/feature-maps.png").is_file());

    // Pixels three times as large are not of this network's world.
    let refused = mistilt(root, &["predict", "net", "image.npy", "--pixel-size-pm", "75"]);
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(refused.status.code() == Some(2) && said.contains("75.00 pm") && said.contains("--force"), "{said}");
}

/// The image has no noise; the camera's is put on in every epoch, and once on what tests.
#[test]
fn a_camera_puts_its_noise_on_the_windows_anew() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    image().write(root.join("image.npy")).unwrap();
    let noisy = TRAINING.replace("epochs = 8", "epochs = 12\nfresh_noise = true\ndose_spread = 2").replace("members = 2", "");
    std::fs::write(root.join("net.toml"), format!("{noisy}[camera]\ndose_e_per_px = 5000\npulse_spread = 0.5\n")).unwrap();
    let trained = json(&mistilt(root, &["train", "net.toml", "-o", "net", "--json"]));
    let (rmse, of_mean) = (trained["rmse_pm"].as_f64().unwrap(), trained["rmse_of_mean_pm"].as_f64().unwrap());
    assert!(rmse < 0.9 * of_mean, "{rmse} pm against {of_mean} pm for the mean");
    json(&mistilt(root, &["train", "net.toml", "-o", "again", "--threads", "1", "--json"]));
    let model = |name: &str| std::fs::read(root.join(name).join("model.safetensors")).unwrap();
    assert!(model("net") == model("again"));
    let card: Json = serde_json::from_slice(&std::fs::read(root.join("net/model.json")).unwrap()).unwrap();
    assert_eq!((&card["training"]["camera"]["dose_e_per_px"], &card["windows"]["normalisation"]), (&5000.0.into(), &"window".into()));
    // Counts are no fractions of the beam.
    let negative = Image { data: image().data.iter().map(|v| v - 1.0).collect(), ..image() };
    negative.write(root.join("image.npy")).unwrap();
    let refused = mistilt(root, &["train", "net.toml", "-o", "other"]);
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(refused.status.code() != Some(0) && said.contains("fractions of the beam"), "{said}");
}

#[test]
fn what_is_wrong_with_a_training_or_a_model_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    std::fs::write(root.join("net.toml"), TRAINING.replace("epochs", "epoch")).unwrap();
    std::fs::write(root.join("no.toml"), TRAINING).unwrap();
    std::fs::write(root.join("model.safetensors"), b"nothing").unwrap();
    for (arguments, part) in [
        (&["train", "net.toml"][..], "epoch"),
        (&["train", "no.toml"], "image.npy"),
        (&["predict", "model.safetensors", "image.npy"], "no model of mistilt"),
        (&["features", "nowhere", "image.npy"], "nowhere"),
    ] {
        let output = mistilt(root, arguments);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(matches!(output.status.code(), Some(1 | 2)) && said.contains(part), "{arguments:?}: {said}");
    }
}
