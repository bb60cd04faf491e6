//! A learning study spread over processes: its networks come from shares, and its table has the same bytes as one process makes.

use assert_cmd::Command;
use std::path::Path;

const STUDY: &str = r#"
name = "shares"
seed = 5

[crystal]
structure = "bifeo3-r3c"
thickness_nm = 2

[microscope]
voltage_kv = 300
convergence_mrad = 22
source_fwhm_angstrom = 0.8

[[microscope.detectors]]
name = "haadf"
inner_mrad = 60
outer_mrad = 95

[simulation]
pixel_angstrom = 0.066
k_points = [1, 1]
phonons = false

[scene]
size_cells = [14, 14]
pattern = "random"
correlation_nm = 2

[camera]
pixel_pm = 33
dose_e_per_angstrom2 = 10000

[training]
epochs = 2

[learning]
across = "camera.dose_e_per_angstrom2"
mix_over = ["camera.dose_e_per_angstrom2"]
repeats = 2
maps = false

[sweep.axes]
"camera.dose_e_per_angstrom2" = [4000, 64000]
"#;

/// Runs `mistilt study ...` on the study with a results folder and a store of its own; exit code, stdout and stderr.
fn study(folder: &Path, arguments: &[&str]) -> (i32, String, String) {
    let mut program = Command::cargo_bin("mistilt").unwrap();
    program.arg("study").args(arguments).arg(folder.join("../shares.toml")).arg("-o").arg(folder.join("results"));
    let output = program.output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code().unwrap(), text(&output.stdout), text(&output.stderr))
}

#[test]
fn networks_from_shares_make_the_same_table_as_one_process() {
    let root = tempfile::tempdir().unwrap();
    std::fs::write(root.path().join("shares.toml"), STUDY.trim_start()).unwrap();
    let [whole, shared] = ["whole", "shared"].map(|name| root.path().join(name));
    for folder in [&whole, &shared] {
        std::fs::create_dir(folder).unwrap();
    }
    let table = |folder: &Path| std::fs::read(folder.join("results/records.csv")).unwrap();

    let (code, _, said) = study(&whole, &["run", "--quiet"]);
    assert_eq!(code, 0, "{said}");
    let (code, said, _) = study(&whole, &["status"]);
    assert!(code == 0 && said.contains("6 of 6 networks") && said.contains("results written"), "{said}");

    // Three networks in each of two repeats.
    let (code, _, said) = study(&shared, &["run", "--shard", "2/2"]);
    assert!(code == 0 && said.contains("Share 2/2") && said.contains("mistilt study merge"), "{said}");
    let (code, said, _) = study(&shared, &["status", "--json"]);
    let status: serde_json::Value = serde_json::from_str(&said).unwrap();
    assert_eq!((code, status["done"].as_u64(), status["left"].as_u64()), (3, Some(3), Some(3)));
    let (code, _, said) = study(&shared, &["merge"]);
    assert!(code == 3 && said.contains("3 of 6 networks are not trained yet"), "{code} {said}");
    assert!(!shared.join("results").exists());
    let (code, _, said) = study(&shared, &["run", "--quiet", "--shard", "1/2"]);
    assert_eq!(code, 0, "{said}");
    let (code, _, said) = study(&shared, &["merge", "--quiet"]);
    assert_eq!(code, 0, "{said}");
    assert_eq!(table(&whole), table(&shared));

    let (code, said, _) = study(&shared, &["clean", "--own", "--json"]);
    let cleaned: serde_json::Value = serde_json::from_str(&said).unwrap();
    // Six marks and six networks, and nothing but the locks beside them.
    let entries = cleaned["files"].as_array().unwrap().iter().filter(|f| !f.as_str().unwrap().contains("locks")).count();
    assert_eq!((code, entries), (0, 12), "{said}");
    let (code, said, _) = study(&shared, &["status"]);
    assert!(code == 3 && said.contains("done    0 of 6"), "{said}");
}

#[test]
fn a_learning_study_is_submitted_as_an_array_of_its_networks() {
    let root = tempfile::tempdir().unwrap();
    std::fs::write(root.path().join("shares.toml"), STUDY.trim_start()).unwrap();
    let folder = root.path().join("cluster");
    std::fs::create_dir(&folder).unwrap();
    let (code, scripts, said) = study(&folder, &["submit", "--slurm", "--dry-run", "--elements", "3"]);
    assert_eq!(code, 0, "{said}");
    assert!(scripts.contains("#SBATCH --array=1-3") && scripts.contains("--shard") && scripts.contains(" study merge "), "{scripts}");
}
