//! A whole study, from its text to the results folder, through the library and through the command.

use assert_cmd::Command;
use mistilt::image::{Image, ReadOptions};
use mistilt::microscope::Beam;
use mistilt::study::Study;
use mistilt::study::compute::Images;
use mistilt::study::measure::{Record, records};
use mistilt::study::plan::Plan;
use mistilt::study::run::{self, Session};
use ndarray::Array1;
use ndarray_npy::NpzReader;
use std::fs::{self, File};
use std::path::{Path, PathBuf};

/// A coarse, quick study: `crystal` names it, `simulation` and `axes` are added to their tables.
fn text(crystal: &str, simulation: &str, axes: &str) -> String {
    format!(
        "name = \"tiny\"\nquestion = \"Does every part meet the next?\"\n\
         [crystal]\n{crystal}\nthickness_nm = 2\n\
         [microscope]\nvoltage_kv = 300\nconvergence_mrad = 20\n\
         [[microscope.detectors]]\nname = \"adf\"\ninner_mrad = 30\nouter_mrad = 50\n\
         [simulation]\nk_points = [2, 2]\npixel_angstrom = 0.1\n{simulation}\n\
         [sweep.axes]\n{axes}\n"
    )
}

const R3C: &str = "structure = \"bifeo3-r3c\"";
const CUBIC: &str = "structure = \"bifeo3-cubic\"";
const TILTS_AND_THICKNESSES: &str = "\"crystal.specimen_tilt_x_mrad\" = [0, 6]\n\"crystal.thickness_nm\" = [1, 2]";

/// Paths in a study count from the test data.
fn data() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data")
}

fn study(text: &str) -> Study {
    Study::parse("tiny.toml", text, &data(), &[]).unwrap_or_else(|error| panic!("{error}"))
}

/// Records alone, in the order of the points.
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

/// Largest difference of the measured shifts of two runs, pm.
fn largest_difference_pm(a: &[Record], b: &[Record]) -> f64 {
    assert_eq!(a.len(), b.len());
    let shift = |r: &Record| *r.measured_pm.as_ref().unwrap_or_else(|e| panic!("{} {}: {e}", r.point, r.estimator));
    let pairs = a.iter().zip(b).flat_map(|(a, b)| [0, 1].map(|c| (shift(a)[c] - shift(b)[c]).abs()));
    pairs.fold(0.0, f64::max)
}

fn mistilt(folder: &Path, arguments: &[&str]) -> std::process::Output {
    Command::cargo_bin("mistilt").unwrap().current_dir(folder).args(arguments).output().unwrap()
}

fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(folder).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn a_run_leaves_tables_images_figures_provenance_and_a_page_that_stands_alone() {
    let root = tempfile::tempdir().unwrap();
    let target = root.path().join("results/tiny");
    let study = study(&text(R3C, "", TILTS_AND_THICKNESSES));
    let plan = Plan::new(study.points()).unwrap();
    assert_eq!(plan.propagations.len(), 1, "tilts and thicknesses share one propagation");
    let outcome = run::run(&study, &plan, &Session::at(&target), &|_| ()).unwrap();
    assert_eq!(outcome.folder, target);
    assert_eq!(names(&target), ["figures", "images", "provenance.json", "records.csv", "records.npz", "report.html"]);
    assert_eq!(names(&root.path().join("results")), ["store", "tiny"], "nothing unfinished is left");
    // 4 points, 1 detector, 3 estimators.
    assert_eq!(outcome.records.len(), 12);
    table_holds_every_record(&target, &outcome.records);
    images_carry_their_truth(&target);
    figures_show_something(&target.join("figures"));
    let provenance: serde_json::Value = serde_json::from_str(&fs::read_to_string(target.join("provenance.json")).unwrap()).unwrap();
    assert_eq!(provenance["points"], 4);
    assert_eq!(provenance["study_text"], study.source.text);
    assert!(provenance["program"].as_str().unwrap().starts_with("mistilt "));
    let page = fs::read_to_string(target.join("report.html")).unwrap();
    page_stands_alone(&page);
    assert!(page.contains(&study.question));
}

fn table_holds_every_record(target: &Path, records: &[Record]) {
    let mut csv = csv::Reader::from_path(target.join("records.csv")).unwrap();
    let header: Vec<String> = csv.headers().unwrap().iter().map(str::to_owned).collect();
    let expected = [
        "point",
        "specimen_tilt_x_mrad",
        "thickness_nm",
        "detector",
        "estimator",
        "slab_thickness_nm",
        "measured_x_pm",
        "true_x_pm",
        "apparent_x_pm",
        "sampling_sigma_x_pm",
        "measured_y_pm",
        "true_y_pm",
        "apparent_y_pm",
        "sampling_sigma_y_pm",
        "mean_intensity_fraction",
        "lost_fraction",
        "refusal",
        "engine",
        "seed",
    ];
    assert_eq!(header, expected);
    let rows: Vec<csv::StringRecord> = csv.records().map(Result::unwrap).collect();
    assert_eq!(rows.len(), records.len());
    let mut npz = NpzReader::new(File::open(target.join("records.npz")).unwrap()).unwrap();
    for (c, name) in header.iter().enumerate().filter(|(_, name)| name.ends_with("_pm") || name.ends_with("_fraction")) {
        let column: Array1<f64> = npz.by_name(name).unwrap();
        let cells: Vec<f64> = rows.iter().map(|row| row[c].parse().unwrap()).collect();
        assert_eq!(column.to_vec(), cells, "{name} in both tables");
        assert!(cells.iter().all(|v| v.is_finite()), "{name}");
    }
    let points: Array1<i64> = npz.by_name("point").unwrap();
    assert_eq!(points.to_vec(), [0, 0, 0, 1, 1, 1, 2, 2, 2, 3, 3, 3]);
    for (row, record) in rows.iter().zip(records) {
        let [x, y] = record.true_pm;
        assert!((x.hypot(y) - 33.7).abs() < 0.3, "the true shift in plane of R3c along ⟨100⟩pc, pm: {x} {y}");
        assert_eq!(row[7].parse::<f64>().unwrap().to_bits(), x.to_bits(), "a number reads back as it was");
    }
}

fn images_carry_their_truth(target: &Path) {
    let folder = target.join("images");
    let arrays: Vec<String> = names(&folder).into_iter().filter(|n| n.ends_with(".npy")).collect();
    assert_eq!(arrays, ["point-0000-adf.npy", "point-0001-adf.npy", "point-0002-adf.npy", "point-0003-adf.npy"]);
    for name in arrays {
        let image = Image::read(folder.join(&name), &ReadOptions::default()).unwrap();
        assert!((image.pixel_size_pm.unwrap() - 10.0).abs() < 1e-9 && image.width > 50 && image.height > 50);
        assert!(image.data.iter().all(|v| *v > 0.0 && *v < 1.0), "{name}: fractions of the beam");
        assert_eq!(image.metadata.detector_name.as_deref(), Some("adf"));
        let truth = image.truth.unwrap_or_else(|| panic!("{name} has no truth"));
        assert!(truth.columns.len() >= 8 && truth.cells.len() >= 4, "{name}: {} columns", truth.columns.len());
        let tilted = name.contains("0002") || name.contains("0003");
        let column = truth.columns[0];
        assert_eq!(column.exit_px[0] > column.entrance_px[0] + 0.1, tilted, "deeper atoms stand further right: {column:?}");
    }
}

fn figures_show_something(folder: &Path) {
    let all = names(folder);
    assert!(all.iter().any(|n| n.ends_with(".svg")) && all.iter().any(|n| n.ends_with(".png")), "{all:?}");
    for name in &all {
        let path = folder.join(name);
        if name.ends_with(".svg") {
            let svg = fs::read_to_string(&path).unwrap();
            assert!(svg.contains("<svg") && svg.contains("</svg>") && svg.len() > 2000, "{name}");
        } else {
            let mut levels: Vec<u32> = Image::read(&path, &ReadOptions::default()).unwrap().data.iter().map(|v| v.to_bits()).collect();
            levels.sort_unstable();
            levels.dedup();
            assert!(levels.len() > 16, "{name} shows {} levels", levels.len());
        }
    }
}

fn page_stands_alone(page: &str) {
    let page = &page.replace("http-equiv", "");
    for (at, _) in page.match_indices("http") {
        let before = &page[at.saturating_sub(20)..at];
        let name_space = before.trim_end_matches(['"', '\'']).trim_end_matches('=');
        assert!(
            name_space.ends_with("xmlns") || name_space.ends_with("xmlns:xlink"),
            "the page refers to {}",
            &page[at..(at + 60).min(page.len())]
        );
    }
    for outside in ["<link", "<script src", "src=\"figures", "@import"] {
        assert!(!page.contains(outside), "the page needs {outside}");
    }
}

#[test]
fn the_command_gives_the_bytes_of_the_library_on_any_number_of_threads() {
    let root = tempfile::tempdir().unwrap();
    let content = text(R3C, "", TILTS_AND_THICKNESSES);
    fs::write(root.path().join("tiny.toml"), &content).unwrap();
    for threads in ["1", "2"] {
        let out = format!("out/{threads}/tiny");
        let output = mistilt(root.path(), &["study", "run", "tiny.toml", "-o", &out, "--threads", threads, "--json"]);
        assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
        let said: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!((&said["points"], &said["records"], &said["refused"]), (&4.into(), &12.into(), &0.into()));
    }
    assert_eq!(names(&root.path().join("out")), ["1", "2"]);
    let csv = |folder: &str| fs::read(root.path().join(folder).join("records.csv")).unwrap();
    assert_eq!(csv("out/1/tiny"), csv("out/2/tiny"));
    let study = study(&content);
    run::run(&study, &Plan::new(study.points()).unwrap(), &Session::at(&root.path().join("library/tiny")), &|_| ()).unwrap();
    assert_eq!(csv("out/1/tiny"), csv("library/tiny"));
}

#[test]
fn the_same_crystal_from_a_cif_gives_the_same_records() {
    let built_in = measured(&text(R3C, "", TILTS_AND_THICKNESSES));
    let from_file = measured(&text("file = \"bifeo3_r3c.cif\"", "", TILTS_AND_THICKNESSES));
    let difference = largest_difference_pm(&built_in, &from_file);
    assert!(difference < 1e-6, "{difference:.2e} pm");
    for (a, b) in built_in.iter().zip(&from_file) {
        assert!((0..2).all(|c| (a.true_pm[c] - b.true_pm[c]).abs() < 1e-9));
    }
}

#[test]
fn probe_by_probe_and_the_scattering_matrix_measure_the_same() {
    // One step of the raster of two k-points along the cubic edge, and none.
    let step_mrad = -Beam { energy_kev: 300.0 }.wavelength_angstrom() / (2.0 * 3.965) * 1e3;
    // Each tilt alone: tilts that share a propagation share its band limit too, centred between them. At rest: a class of the tilted
    // raster is another wave vector in the one method than in the other, so their phonons would differ.
    for tilt_mrad in [0.0, step_mrad] {
        let axes = format!("\"crystal.specimen_tilt_x_mrad\" = [{tilt_mrad:?}]");
        let matrix = measured(&text(CUBIC, "phonons = false", &axes));
        let probes = measured(&text(CUBIC, "phonons = false\nmethod = \"probes\"", &axes));
        let difference = largest_difference_pm(&matrix, &probes);
        assert!(difference < 0.01, "{tilt_mrad} mrad: {difference:.2e} pm");
        for (m, p) in matrix.iter().zip(&probes) {
            assert!((m.intensity / p.intensity - 1.0).abs() < 1e-4, "{} {}", m.intensity, p.intensity);
        }
    }
}

#[test]
fn a_shifted_raster_and_a_phonon_period_of_two_run_and_stay_near_the_default() {
    let at = |tilt_mrad: f64, raster: &str| {
        let simulation = format!("phonons = false\ntilt_raster = \"{raster}\"");
        measured(&text(R3C, &simulation, &format!("\"crystal.specimen_tilt_x_mrad\" = [{tilt_mrad:?}]")))
    };
    // Upright both rasters are one; tilted they sample the aperture differently.
    assert!(largest_difference_pm(&at(0.0, "shared"), &at(0.0, "shifted")) < 1e-9);
    let moved = largest_difference_pm(&at(6.0, "shared"), &at(6.0, "shifted"));
    assert!(moved > 1e-6 && moved < 5.0, "{moved} pm");

    let axes = "\"crystal.specimen_tilt_x_mrad\" = [0, 6]";
    let one = measured(&text(R3C, "", axes));
    let two = measured(&text(R3C, "phonon_period = 2", axes));
    let apart = largest_difference_pm(&one, &two);
    assert!(apart > 1e-6 && apart < 20.0, "other displacements, the same crystal: {apart} pm");
    for (one, two) in one.iter().zip(&two) {
        assert!((one.intensity / two.intensity - 1.0).abs() < 0.1, "{} {}", one.intensity, two.intensity);
    }
}

#[test]
fn a_phonon_period_that_does_not_divide_the_k_grid_is_refused() {
    let study = study(&text(R3C, "phonon_period = 3", ""));
    let error = Plan::new(study.points()).unwrap_err().to_string();
    assert!(error.contains("phonon_period = 3 must divide simulation.k_points = [2, 2]"), "{error}");
}

/// A study that must be refused: what is wrong, its `[crystal]`, an override, and words of the refusal.
type Bad = (&'static str, &'static str, &'static str, &'static [&'static str]);

const NO_CELL_CIF: &str = "data_x\nloop_\n_atom_site_label\n_atom_site_fract_x\n_atom_site_fract_y\n_atom_site_fract_z\nBi1 0 0 0\n";
const ROCK_SALT: &str = "4\nLattice=\"4 0 0 0 4 0 0 0 5.6\" Properties=species:S:1:pos:R:3\nNa 0 0 0\nCl 2 2 0\nNa 2 2 2.8\nCl 0 0 2.8\n";
const RUTHERFORDIUM: &str = "2\nLattice=\"4 0 0 0 4 0 0 0 4\" Properties=species:S:1:pos:R:3\nRf 0 0 0\nO 2 2 2\n";

const BAD: [Bad; 5] = [
    ("a CIF without a cell", "file = \"no-cell.cif\"", "seed=1", &["no-cell.cif gives no unit cell", "_cell_length"]),
    ("an element the tables lack", "file = \"rf.xyz\"", "seed=1", &["\"Rf\" in rf.xyz names no chemical element from H to Lr"]),
    ("rock salt has no B sites", "file = \"salt.xyz\"", "seed=1", &["has no B site"]),
    (
        "a detector beyond the band limit",
        R3C,
        "microscope.detectors.adf.outer_mrad=90",
        &["detector adf reaches", "90.0 mrad", "band limit of 6", "set simulation.pixel_angstrom to 0.0"],
    ),
    ("a tilt beyond small angles", R3C, "crystal.specimen_tilt_x_mrad=80", &["specimen_tilt_x_mrad", "80", "-60 to 60", "zone axis"]),
];

#[test]
fn bad_input_is_refused_in_its_own_words_and_leaves_nothing_behind() {
    let root = tempfile::tempdir().unwrap();
    for (name, content) in [("no-cell.cif", NO_CELL_CIF), ("salt.xyz", ROCK_SALT), ("rf.xyz", RUTHERFORDIUM)] {
        fs::write(root.path().join(name), content).unwrap();
    }
    let mut said = Vec::new();
    for (what, crystal, set, words) in BAD {
        fs::write(root.path().join("bad.toml"), text(crystal, "", "")).unwrap();
        let before = names(root.path());
        let output = mistilt(root.path(), &["study", "run", "bad.toml", "-o", "out/bad", "--set", set]);
        let error = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{what}: {error}");
        assert!(output.stdout.is_empty());
        let flat = error.split_whitespace().collect::<Vec<_>>().join(" ");
        for word in words {
            assert!(flat.contains(word), "{what}: \"{word}\" is not in\n{error}");
        }
        assert_eq!(names(root.path()), before, "{what} left something behind");
        said.push(error);
    }
    said.sort();
    said.dedup();
    assert_eq!(said.len(), BAD.len(), "each has its own sentence");
}

#[test]
fn a_folder_that_is_not_ours_is_left_alone() {
    let root = tempfile::tempdir().unwrap();
    fs::write(root.path().join("tiny.toml"), text(R3C, "", "")).unwrap();
    let thesis = root.path().join("thesis");
    fs::create_dir(&thesis).unwrap();
    fs::write(thesis.join("chapter.tex"), "years of work").unwrap();
    let output = mistilt(root.path(), &["study", "run", "tiny.toml", "-o", "thesis"]);
    let error = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{error}");
    assert!(error.contains("thesis exists and is no folder of mistilt results"), "{error}");
    assert_eq!(fs::read_to_string(thesis.join("chapter.tex")).unwrap(), "years of work");
    assert_eq!(names(root.path()), ["thesis", "tiny.toml"]);
}
