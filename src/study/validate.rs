//! From the text of a study file and its overrides to a checked study: every problem that can be found at once is found at once.

use super::axes::{self, Axis, AxisValue};
use super::check;
use super::dataset_table::{self, DatasetContent};
use super::error::{Place, Problem, Source, StudyError};
use super::file::{self, ReportSettings, SimulationTable, StudyFile};
use super::learning_table;
use super::schema;
use super::spec::{CrystalSettings, CrystalSource, PhononSettings, Point, PointConfig, SimulationSettings, Slicing, Study};
use super::tree::{self, Node, Value};
use super::{includes, overrides, scene_table, sweep};
use serde::Deserialize;
use serde_json::Value as Json;
use std::path::Path;
use std::sync::Arc;

/// Checks everything; the problems come in the order of the file, those of overrides last.
pub(super) fn study(source: &Arc<Source>, folder: &Path, set: &[String]) -> Result<Study, Vec<Problem>> {
    let (mut root, included) = includes::resolve(tree::parse(source)?, folder)?;
    let files: Vec<Arc<Source>> = std::iter::once(source).chain(&included).cloned().collect();
    let mut problems: Vec<Problem> = set.iter().filter_map(|text| overrides::apply(&mut root, text).err()).collect();
    let seed = match root.get(sweep::SEED).map(|node| &node.value) {
        Some(Value::Integer(seed)) => seed.unsigned_abs(),
        _ => file::default_seed(),
    };
    let axes = root.get("sweep").map(|table| sweep::read(table, seed, &mut problems)).unwrap_or_default();
    check::table(&root, schema::root(), "", &swept_keys(&root), &mut problems);
    if let Some(vary) = root.find("dataset.vary") {
        dataset_table::check_vary(vary, &mut problems);
    }
    if !problems.is_empty() {
        return Err(sorted(problems, &files));
    }
    root.remove("sweep");
    for axis in &axes {
        let path: Vec<&str> = axis.key.split('.').collect();
        let there = match path.as_slice() {
            // Where it is idle the key keeps its own value.
            ["microscope", "detectors", name, _] if !axis.when.is_empty() => root.at(&["microscope", "detectors", name]).is_some(),
            _ if !axis.when.is_empty() => true,
            _ => axis.first().is_some_and(|first| root.insert(&path, first)),
        };
        if !there {
            let message = format!("The axis `{}` names a detector that is not there.", axis.key);
            problems.push(Problem::at(&axis.place, message, "no such detector", "Name one of [[microscope.detectors]]."));
        }
    }
    problems.extend(missing_files(&root, &axes, folder));
    if !problems.is_empty() {
        return Err(sorted(problems, &files));
    }
    let (base, points) = points(&root, &axes, folder).map_err(|found| sorted(found, &files))?;
    let report = report(base.report, &root, &axes)?;
    if let Some(learning) = &base.learning {
        let found = learning_table::problems(learning, &root, &axes);
        if !found.is_empty() {
            return Err(sorted(found, &files));
        }
    }
    let (name, question, learning, dataset) = (base.name, base.question, base.learning, base.dataset);
    let (overrides, source, folder) = (set.to_vec(), source.clone(), folder.to_owned());
    Ok(Study { name, question, axes, report, learning, dataset, overrides, source, included, points, tree: root, folder })
}

/// The whole setting with some keys of the study at other values, checked as a point is.
pub(super) fn sample(study: &Study, values: &[(String, Json)]) -> Result<PointConfig, StudyError> {
    let mut json = study.tree.to_json();
    for (key, value) in values {
        // A table that the file leaves out is there with its defaults.
        if let (Some((table, _)), Some(root)) = (key.split_once('.'), json.as_object_mut()) {
            root.entry(table).or_insert_with(|| Json::Object(serde_json::Map::new()));
        }
        tree::set_json(&mut json, key, Some(value.clone()));
    }
    let problems = |problems| StudyError::Invalid { problems };
    let file = typed(&json, &study.tree, &study.axes).map_err(problems)?;
    let found = findings(&file);
    if !found.is_empty() {
        let at = |finding: Finding| finding.at_point(&study.tree, &study.axes, &[]);
        return Err(problems(found.into_iter().map(at).collect()));
    }
    Ok(config(file, &study.folder))
}

/// The problems file by file, each in its order; those of overrides last.
fn sorted(mut problems: Vec<Problem>, files: &[Arc<Source>]) -> Vec<Problem> {
    let file = |source: &Arc<Source>| files.iter().position(|file| Arc::ptr_eq(file, source)).unwrap_or(files.len());
    problems.sort_by_key(|p| p.place.as_ref().map_or((files.len() + 1, 0), |place| (file(&place.source), place.span.start)));
    problems
}

/// Keys that stand under `[sweep.axes]` without a condition: their own tables may leave them out.
fn swept_keys(root: &Node) -> Vec<String> {
    match root.find("sweep.axes").map(|axes| &axes.value) {
        Some(Value::Table(entries)) => entries.iter().filter(|(_, node)| node.get("when").is_none()).map(|(key, _)| key.clone()).collect(),
        _ => Vec::new(),
    }
}

/// Where a key stands: the axis that varies it, its own line, or the table it would stand in.
pub(super) fn place_of(root: &Node, axes: &[Axis], key: &str) -> Option<Place> {
    if let Some(axis) = axes.iter().find(|axis| axis.key == key) {
        return Some(axis.place.clone());
    }
    root.find(key).map(|node| node.place.clone()).or_else(|| {
        let (table, _) = key.rsplit_once('.')?;
        root.find(table).map(|node| node.key.clone())
    })
}

fn missing_files(root: &Node, axes: &[Axis], folder: &Path) -> Vec<Problem> {
    let swept = axes.iter().find(|axis| axis.key == "crystal.file");
    let own = root.find("crystal.file").map(Node::to_json);
    let names: Vec<String> = match (swept, own) {
        (Some(axis), _) => axis.values.iter().map(ToString::to_string).collect(),
        (None, Some(Json::String(name))) => vec![name],
        _ => Vec::new(),
    };
    let missing = names.iter().map(|name| (name, folder.join(name))).filter(|(_, path)| !path.is_file());
    let problem = |(name, path): (&String, std::path::PathBuf)| Problem {
        message: format!("The structure file \"{name}\" is not there."),
        label: "no such file".into(),
        help: format!("It was looked for at {}: paths count from the folder of the study file.", path.display()),
        place: place_of(root, axes, "crystal.file"),
    };
    missing.map(problem).collect()
}

/// The study as typed, and all its points; stops at the first point that has a problem.
fn points(root: &Node, axes: &[Axis], folder: &Path) -> Result<(StudyFile, Vec<Point>), Vec<Problem>> {
    let indices = sweep::product(axes).map_err(|total| {
        let sizes = axes.iter().map(|a| format!("{} of `{}`", a.values.len(), a.column)).collect::<Vec<_>>().join(", ");
        let up_to = if axes.iter().any(|axis| !axis.when.is_empty()) { "up to " } else { "" };
        let message = format!("The sweep has {up_to}{total:.0} points ({sizes}), more than {}.", axes::MAX_POINTS);
        let place = axes.iter().max_by_key(|axis| axis.values.len()).map(|axis| axis.place.clone());
        let help = "Take fewer values, or let axes walk together with `zip`.".into();
        vec![Problem { message, label: "the longest axis".into(), help, place }]
    })?;
    let mut json = root.to_json();
    let base = typed(&json, root, axes)?;
    let columns: Vec<Arc<str>> = axes.iter().map(|axis| axis.column.as_str().into()).collect();
    let mut points = Vec::with_capacity(indices.len());
    for (index, at) in indices.iter().enumerate() {
        let mut values = Vec::with_capacity(axes.len());
        for ((axis, column), &i) in axes.iter().zip(&columns).zip(at) {
            let value = i.map_or(AxisValue::Idle, |i| axis.values[i].clone());
            let told = if value == AxisValue::Idle { root.find(&axis.key).map(Node::to_json) } else { Some(value.json()) };
            tree::set_json(&mut json, &axis.key, told);
            values.push((column.clone(), value));
        }
        let file = typed(&json, root, axes)?;
        let found = findings(&file);
        if !found.is_empty() {
            return Err(found.into_iter().map(|finding| finding.at_point(root, axes, &values)).collect());
        }
        points.push(Point { index, values, config: config(file, folder) });
    }
    Ok((base, points))
}

/// The schema has judged types and ranges; what serde still refuses (a whole number of more than 32 bits) is pointed at by its path.
fn typed(json: &Json, root: &Node, axes: &[Axis]) -> Result<StudyFile, Vec<Problem>> {
    let mut track = serde_path_to_error::Track::new();
    StudyFile::deserialize(serde_path_to_error::Deserializer::new(json, &mut track)).map_err(|error| {
        let path = track.path().to_string();
        let key = path.split('[').next().unwrap_or_default();
        let place = place_of(root, axes, key.trim_end_matches('.'));
        vec![Problem { message: format!("`{path}` cannot be used: {error}."), label: "here".into(), help: String::new(), place }]
    })
}

/// A problem between the keys of one point.
struct Finding {
    key: String,
    message: String,
    label: &'static str,
    help: String,
}

impl Finding {
    fn new(key: impl Into<String>, message: impl Into<String>, label: &'static str, help: impl Into<String>) -> Self {
        Self { key: key.into(), message: message.into(), label, help: help.into() }
    }

    fn at_point(self, root: &Node, axes: &[Axis], values: &[(Arc<str>, AxisValue)]) -> Problem {
        let varied = values.iter().filter(|(_, value)| *value != AxisValue::Idle);
        let said = varied.map(|(column, value)| format!("{column} = {value}")).collect::<Vec<_>>().join(", ");
        let message = if said.is_empty() { self.message } else { format!("{} This is the point {said}.", self.message) };
        Problem { message, label: self.label.into(), help: self.help, place: place_of(root, axes, &self.key) }
    }
}

fn findings(file: &StudyFile) -> Vec<Finding> {
    let mut out = Vec::new();
    crystal_findings(file, &mut out);
    out.extend(scene_table::findings(file).into_iter().map(|(key, message, label, help)| Finding::new(key, message, label, help)));
    for (i, detector) in file.microscope.detectors.iter().enumerate() {
        let key = format!("microscope.detectors.{}", detector.name);
        if detector.inner_mrad >= detector.outer_mrad {
            let message = format!(
                "The detector \"{}\" begins at {} mrad and ends at {} mrad.",
                detector.name, detector.inner_mrad, detector.outer_mrad
            );
            out.push(Finding::new(
                format!("{key}.inner_mrad"),
                message,
                "not inside the outer angle",
                "`inner_mrad` is below `outer_mrad`.",
            ));
        }
        if file.microscope.detectors[..i].iter().any(|other| other.name == detector.name) {
            let message = format!("Two detectors are called \"{}\".", detector.name);
            out.push(Finding::new(format!("microscope.detectors.#{i}.name"), message, "again", "Give every detector its own name."));
        }
    }
    let simulation = &file.simulation;
    if simulation.slicing.is_some() && simulation.slice_thickness_angstrom.is_some() {
        let message = "Both `slicing = \"planes\"` and `slice_thickness_angstrom` are given.";
        let help = "Keep one: one slice an atomic plane, or equal slices.";
        out.push(Finding::new("simulation.slice_thickness_angstrom", message, "or this", help));
    }
    dataset_findings(file, &mut out);
    let measure = &file.measure;
    if measure.sample_angstrom * 2.0 > measure.window_radius_angstrom {
        let message = format!(
            "Samples {} Å apart are too coarse for a window of radius {} Å.",
            measure.sample_angstrom, measure.window_radius_angstrom
        );
        let help = "`sample_angstrom` is at most half of `window_radius_angstrom`.";
        out.push(Finding::new("measure.sample_angstrom", message, "too coarse", help));
    }
    let camera = file.camera.iter().flat_map(|camera| camera.findings(measure));
    out.extend(camera.map(|(key, message, label, help)| Finding::new(key, message, label, help)));
    training_findings(file, &mut out);
    out
}

/// Fresh noise needs its camera, and is put on the camera's own pixels.
fn training_findings(file: &StudyFile, out: &mut Vec<Finding>) {
    let Some(training) = &file.training else { return };
    let windows = file.windows.unwrap_or_default();
    let camera = file.camera.as_ref().map(|c| c.settings(file.microscope.source_fwhm_angstrom));
    let found = training.findings(&windows, camera.as_ref());
    out.extend(found.into_iter().map(|(key, message, label, help)| Finding::new(key, message, label, help)));
    let resampled = windows.pixel_size_pm.zip(file.camera.as_ref()).is_some_and(|(pm, c)| (pm - c.pixel_pm).abs() > 1e-6 * pm);
    if training.fresh_noise && resampled {
        let message = "Fresh noise is put on the camera's pixels, and `windows.pixel_size_pm` makes others of them.";
        out.push(Finding::new(
            "windows.pixel_size_pm",
            message,
            "not the camera's",
            "Leave it out, or give the same as `camera.pixel_pm`.",
        ));
    }
}

/// A dataset is one block of numbers: its windows have one size, whatever the lattice of an image.
fn dataset_findings(file: &StudyFile, out: &mut Vec<Finding>) {
    let windows = file.dataset.as_ref().is_some_and(|d| d.content == DatasetContent::Windows);
    if windows && file.windows.and_then(|w| w.size_px).is_none() {
        let message = "The windows of a dataset have one size in px, and `[windows]` gives none.";
        out.push(Finding::new("dataset", message, "needs windows.size_px", "Write `size_px = 32` under `[windows]`."));
    }
}

fn crystal_findings(file: &StudyFile, out: &mut Vec<Finding>) {
    let crystal = &file.crystal;
    match (&crystal.structure, &crystal.file) {
        (Some(_), Some(_)) => {
            let message = "Both `structure` and `file` are given, and a study has one crystal.";
            let help = "Keep `structure` for one that ships, or `file` for your own.";
            out.push(Finding::new("crystal.file", message, "or this", help));
        }
        (None, None) => {
            let message = "`[crystal]` names no crystal.";
            let help = "Give `structure = \"bifeo3-r3c\"`, one that ships, or `file = \"my.cif\"`.";
            out.push(Finding::new("crystal.structure", message, "`structure` or `file` is missing", help));
        }
        _ => {}
    }
    let [u, v] = [crystal.zone_axis, crystal.x_axis].map(|d| d.map(i64::from));
    let cross = [u[1] * v[2] - u[2] * v[1], u[2] * v[0] - u[0] * v[2], u[0] * v[1] - u[1] * v[0]];
    if u == [0; 3] {
        out.push(Finding::new(
            "crystal.zone_axis",
            "The zone axis is [0, 0, 0], no direction.",
            "no direction",
            "Give one, such as [0, 0, 1].",
        ));
    } else if cross == [0; 3] {
        let message = format!("`x_axis` {:?} is zero or parallel to the zone axis {:?}.", crystal.x_axis, crystal.zone_axis);
        out.push(Finding::new("crystal.x_axis", message, "no direction of the image", "Give a direction that crosses the zone axis."));
    }
}

fn config(file: StudyFile, folder: &Path) -> PointConfig {
    let c = file.crystal;
    let source = match (c.structure, c.file) {
        (None, Some(name)) => CrystalSource::File(folder.join(name)),
        // The findings have refused both and neither.
        (name, _) => CrystalSource::Shipped(name.unwrap_or_default()),
    };
    let crystal = CrystalSettings {
        source,
        zone_axis: c.zone_axis,
        x_axis: c.x_axis,
        axes: c.axes,
        thickness_nm: c.thickness_nm,
        specimen_tilt_mrad: [c.specimen_tilt_x_mrad, c.specimen_tilt_y_mrad],
    };
    let camera = file.camera.map(|c| c.settings(file.microscope.source_fwhm_angstrom));
    PointConfig {
        seed: file.seed,
        crystal,
        microscope: file.microscope,
        simulation: simulation(&file.simulation),
        measure: file.measure,
        camera,
        windows: file.windows,
        network: file.network,
        training: file.training,
        scene: file.scene,
    }
}

fn simulation(s: &SimulationTable) -> SimulationSettings {
    let planes = Slicing::Planes { tolerance_angstrom: s.plane_tolerance_angstrom };
    SimulationSettings {
        method: s.method,
        scattering_factors: s.scattering_factors,
        pixel_angstrom: s.pixel_angstrom,
        oversampling: s.oversampling,
        k_points: s.k_points,
        phonons: s.phonons.then_some(PhononSettings { pairs: s.phonon_pairs, period: s.phonon_period }),
        slicing: s.slice_thickness_angstrom.map_or(planes, |thickness_angstrom| Slicing::Equal { thickness_angstrom }),
        precision: s.precision,
        tilt_raster: s.tilt_raster,
    }
}

/// Fills in the axis of the main figure and checks that the report asks for what there is.
fn report(mut report: ReportSettings, root: &Node, axes: &[Axis]) -> Result<ReportSettings, Vec<Problem>> {
    let problem = |key: &str, message: String, help: String| {
        vec![Problem { message, label: "not in the sweep".into(), help, place: place_of(root, axes, key) }]
    };
    let named: Vec<&str> = axes.iter().map(|axis| axis.key.as_str()).collect();
    let axis = match &report.x {
        Some(x) => Some(axes.iter().find(|axis| axis.key == *x).ok_or_else(|| {
            let help = check::nearest(x, named.iter().copied())
                .map_or_else(|| format!("The axes are {}.", check::quoted(&named)), |meant| format!("Did you mean \"{meant}\"?"));
            problem("report.x", format!("`x` is \"{x}\", which is no axis of the sweep."), help)
        })?),
        // Repeats are no axis to look along.
        None => axes.iter().find(|axis| axis.key.starts_with("crystal.specimen_tilt")).or(axes.iter().find(|axis| axis.key != sweep::SEED)),
    };
    let held = axis.map(|axis| axis.values.as_slice()).unwrap_or_default();
    if let Some(value) = report.images_at.iter().find(|&&value| !held.iter().any(|v| v.number() == Some(value))) {
        let values = held.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        return Err(problem("report.images_at", format!("`images_at` asks for {value}, which `x` never is."), format!("It is {values}.")));
    }
    report.x = axis.map(|axis| axis.key.clone());
    Ok(report)
}
