//! Study files as data: those that ship are good, those in `tests/studies/bad` say in a comment what is wrong with them, and where.

use mistilt::study::{Study, StudyError, json_schema, json_schema_text};
use std::path::{Path, PathBuf};

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

fn toml_files(name: &str) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder(name)).unwrap();
    let mut files: Vec<PathBuf> = entries.map(|e| e.unwrap().path()).filter(|p| p.extension().is_some_and(|e| e == "toml")).collect();
    files.sort();
    files
}

/// The validator of the committed schema, and a file as the JSON that it judges; `None` where the file is not TOML or not JSON.
fn schema_accepts(validator: &jsonschema::Validator, text: &str) -> Option<Result<(), String>> {
    let table: toml::Table = toml::from_str(text).ok()?;
    let json = serde_json::to_value(table).ok()?;
    Some(validator.validate(&json).map_err(|error| format!("{error} at {}", error.instance_path())))
}

fn validator() -> jsonschema::Validator {
    jsonschema::draft202012::new(json_schema()).unwrap()
}

#[test]
fn every_bad_study_is_refused_where_and_as_it_says() {
    let files = toml_files("tests/studies/bad");
    assert!(files.len() >= 50, "only {} bad studies", files.len());
    for path in files {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let text = std::fs::read_to_string(&path).unwrap();
        let Err(StudyError::Invalid { problems }) = Study::read(&path, &[]) else { panic!("{name} was accepted") };
        let mut expected = 0;
        let mut line = 0;
        for (i, row) in text.lines().enumerate() {
            let Some(fragment) = row.strip_prefix("#^ ") else {
                line = i + 1;
                continue;
            };
            expected += 1;
            let hit = problems.iter().any(|problem| {
                let at = problem.place.as_ref().map(|place| place.line_and_column().0);
                at == Some(line) && problem.to_string().contains(fragment.trim_end())
            });
            assert!(hit, "{name}: line {line} should say: {fragment}\nit says:\n{}", StudyError::Invalid { problems: problems.clone() });
        }
        assert_eq!(expected, problems.len(), "{name} has other problems too:\n{}", StudyError::Invalid { problems: problems.clone() });
    }
}

#[test]
fn the_schema_refuses_what_it_can_see() {
    let validator = validator();
    for path in toml_files("tests/studies/bad") {
        let text = std::fs::read_to_string(&path).unwrap();
        let blind = text.starts_with("# The JSON Schema cannot see this");
        if let Some(accepted) = schema_accepts(&validator, &text) {
            assert!(
                text.contains(": JSON has no such number") || accepted.is_ok() == blind,
                "{}: the schema says {accepted:?}",
                path.display()
            );
        }
    }
}

#[test]
fn every_study_that_ships_is_good_and_fits_the_schema_it_names() {
    let validator = validator();
    let files = toml_files("studies");
    assert!(files.len() >= 3);
    for path in files {
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(text.starts_with("#:schema ./study.schema.json\n"), "{} does not name its schema", path.display());
        let study = Study::read(&path, &[]).unwrap_or_else(|error| panic!("{error}"));
        assert!(study.points().len() > 1 && !study.question.is_empty());
        assert_eq!(study.name, path.file_stem().unwrap().to_string_lossy(), "a study is called as its file");
        assert_eq!(schema_accepts(&validator, &text), Some(Ok(())), "{} does not fit the schema", path.display());
    }
}

#[test]
fn the_committed_schema_is_up_to_date() {
    let committed = std::fs::read_to_string(folder("studies/study.schema.json")).unwrap();
    assert!(committed == json_schema_text(), "write it anew: mistilt schema > studies/study.schema.json");
}

#[test]
fn the_reference_study_is_what_it_is_quoted_as() {
    let study = Study::read(&folder("studies/reference.toml"), &[]).unwrap();
    let points = study.points();
    assert_eq!(points.len(), 21 * 8);
    let last = &points[167];
    assert_eq!((last.config.crystal.specimen_tilt_mrad, last.config.crystal.thickness_nm), ([20.0, 0.0], 40.0));
    assert_eq!(points[1].config.crystal.thickness_nm, 10.0, "thickness is the fast axis");
    assert_eq!(study.report.x.as_deref(), Some("crystal.specimen_tilt_x_mrad"));
    assert_eq!(points[0].config.microscope.detectors.len(), 2);
}

#[test]
fn overrides_reach_every_point_and_are_recorded() {
    let set = ["microscope.voltage_kv=200".to_owned(), "crystal.thickness_nm=[7]".to_owned(), "crystal.structure=bifeo3-cubic".to_owned()];
    let study = Study::read(&folder("studies/tilt.toml"), &set).unwrap();
    assert_eq!(study.overrides, set);
    assert_eq!(study.points().len(), 11);
    assert!(study.points().iter().all(|p| p.config.microscope.voltage_kv == 200.0 && p.config.crystal.thickness_nm == 7.0));
    assert!(study.check_structures(&["bifeo3-cubic"]).is_ok());
    let error = study.check_structures(&["bifeo3-r3c"]).unwrap_err().to_string();
    assert!(error.contains("--set:1:") && error.contains("No structure is called \"bifeo3-cubic\""), "{error}");
}

#[test]
fn axes_of_names_and_switches_vary_points_too() {
    let text = "name = \"x\"\n[crystal]\nthickness_nm = 5\n[microscope]\nvoltage_kv = 300\nconvergence_mrad = 25\n[[microscope.detectors]]\n\
                name = \"haadf\"\ninner_mrad = 60\nouter_mrad = 100\n[sweep.axes]\n\"crystal.structure\" = [\"bifeo3-r3c\", \"bifeo3-cubic\"]\n\
                \"simulation.phonons\" = [true, false]\n\"microscope.detectors.haadf.outer_mrad\" = [90, 100]\n\"seed\" = [1, 2]\n";
    let study = Study::parse("test", text, Path::new(""), &[]).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(study.points().len(), 16);
    let last = &study.points()[15];
    assert_eq!(
        last.values.iter().map(|(column, value)| format!("{column}={value}")).collect::<Vec<_>>().join(" "),
        "structure=bifeo3-cubic phonons=false outer_mrad=100 seed=2"
    );
    assert!(last.config.simulation.phonons.is_none() && last.config.seed == 2);
    assert_eq!(schema_accepts(&validator(), text), Some(Ok(())));
    let json = serde_json::to_string(&last.config).unwrap();
    assert!(json.contains(r#""source":{"shipped":"bifeo3-cubic"}"#), "{json}");
}
