//! Study files as data: those that ship are good, those in `tests/studies/bad` say in a comment what is wrong with them, and where.

use mistilt::study::{Study, StudyError, json_schema, json_schema_text, key_reference};
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
        assert!(study.points().len() > 1 || study.dataset.is_some(), "{} has one point", path.display());
        assert!(!study.question.is_empty());
        assert_eq!(study.name, path.file_stem().unwrap().to_string_lossy(), "a study is called as its file");
        assert_eq!(schema_accepts(&validator, &text), Some(Ok(())), "{} does not fit the schema", path.display());
    }
}

#[test]
fn the_committed_schema_and_reference_are_up_to_date() {
    let committed = std::fs::read_to_string(folder("studies/study.schema.json")).unwrap();
    assert!(committed == json_schema_text(), "write it anew: mistilt schema > studies/study.schema.json");
    let committed = std::fs::read_to_string(folder("docs/reference/study-keys.md")).unwrap();
    assert!(committed == key_reference(), "write it anew: mistilt schema --markdown > docs/reference/study-keys.md");
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

/// The head of a small study; `rest` follows its detector.
fn small(top: &str, crystal: &str, rest: &str) -> String {
    format!(
        "{top}\nname = \"x\"\n[crystal]\nstructure = \"bifeo3-r3c\"\n{crystal}\n[microscope]\nvoltage_kv = 300\nconvergence_mrad = 25\n\
         [[microscope.detectors]]\nname = \"haadf\"\ninner_mrad = 60\nouter_mrad = 100\n{rest}\n"
    )
}

fn parsed(text: &str) -> Study {
    assert_eq!(schema_accepts(&validator(), text), Some(Ok(())), "the schema does not take\n{text}");
    Study::parse("x.toml", text, Path::new(""), &[]).unwrap_or_else(|error| panic!("{error}"))
}

#[test]
fn where_its_condition_fails_an_axis_is_idle_and_its_key_keeps_the_value_of_its_table() {
    let axes = "[sweep.axes]\n\"simulation.phonons\" = [true, false]\n\
                \"microscope.defocus_nm\" = { linspace = [1, 3, 3], when = { \"simulation.phonons\" = true } }\n\
                \"crystal.thickness_nm\" = { values = [5, 6], when = { \"simulation.phonons\" = [true] } }";
    let study = parsed(&small("", "thickness_nm = 9", axes));
    assert_eq!(study.points().len(), 3 * 2 + 1);
    let first = &study.points()[0];
    assert_eq!((first.config.microscope.defocus_nm, first.config.crystal.thickness_nm), (1.0, 5.0));
    let idle = &study.points()[6];
    // The file gives a thickness and no defocus, whose default is 0.
    assert_eq!((idle.config.microscope.defocus_nm, idle.config.crystal.thickness_nm), (0.0, 9.0));
    assert_eq!(idle.values[1].1.number(), None);
    assert_eq!(serde_json::to_string(&idle.values[1].1).unwrap(), "null");
}

#[test]
fn draws_and_repeats_follow_the_seed_and_nothing_else() {
    let axes = "[sweep]\nrepeats = 3\n[sweep.axes]\n\"crystal.specimen_tilt_x_mrad\" = { random = [-10, 10, 4] }\n\
                \"crystal.specimen_tilt_y_mrad\" = { latin_hypercube = [-10, 10, 5] }\n\"crystal.thickness_nm\" = { latin_hypercube_log = [5, 50, 5] }";
    let of = |seed: u64| parsed(&small(&format!("seed = {seed}"), "", axes));
    let study = of(7);
    assert_eq!(study.points().len(), 4 * 5 * 3);
    let told = |study: &Study| format!("{:?}", study.points());
    assert_eq!(told(&study), told(&of(7)));
    assert_ne!(told(&study), told(&of(8)));
    let seeds: Vec<u64> = study.points()[..3].iter().map(|p| p.config.seed).collect();
    assert_eq!(seeds[0], 7);
    assert_eq!(study.points()[3..6].iter().map(|p| p.config.seed).collect::<Vec<_>>(), seeds, "all points are repeated alike");
    // A new axis leaves the draws of the others as they are.
    let wider = parsed(&small("seed = 7", "", &format!("{axes}\n\"microscope.defocus_nm\" = [0, 5]")));
    assert_eq!(wider.axes[0].values, study.axes[0].values);
}

#[test]
fn an_included_file_is_built_on_and_its_faults_are_shown_in_it() {
    let root = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(root.path().join(name), text).unwrap();
    write("base.toml", &small("question = \"why?\"", "thickness_nm = 20", "[sweep.axes]\n\"crystal.specimen_tilt_x_mrad\" = [0, 5]"));
    write("mine.toml", "include = [\"base.toml\"]\nname = \"mine\"\n[microscope]\nvoltage_kv = 200\n");
    let mine = root.path().join("mine.toml");
    let study = Study::read(&mine, &[]).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!((study.name.as_str(), study.question.as_str(), study.points().len()), ("mine", "why?", 2));
    let config = &study.points()[0].config;
    assert_eq!((config.microscope.voltage_kv, config.microscope.convergence_mrad, config.crystal.thickness_nm), (200.0, 25.0, 20.0));
    assert_eq!(study.included.len(), 1);
    let text = std::fs::read_to_string(&mine).unwrap();
    assert_eq!(schema_accepts(&validator(), &text), Some(Ok(())), "what is missing may be in the included file");

    write("base.toml", &small("", "thicknes_nm = 20", ""));
    let Err(StudyError::Invalid { problems }) = Study::read(&mine, &[]) else { panic!("accepted") };
    let place = problems[0].place.as_ref().unwrap();
    assert!(place.source.name.ends_with("base.toml"), "{}", problems[0]);
    assert_eq!(place.line_and_column(), (5, 1));
    assert!(problems[0].to_string().contains("Did you mean `thickness_nm`?"));

    write("base.toml", "name = [\n");
    let Err(StudyError::Invalid { problems }) = Study::read(&mine, &[]) else { panic!("accepted") };
    assert!(problems[0].to_string().contains("base.toml") && problems[0].message.contains("not TOML"), "{}", problems[0]);
}
