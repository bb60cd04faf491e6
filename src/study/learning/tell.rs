//! Publishes a learning study: table, matrices, maps with their line, and the page whose sentences say what came of it, gain or loss.

use super::super::run::Session;
use super::super::store::{Draft, PROVENANCE};
use super::super::wording::{label, plain, quantity};
use super::super::{RunError, Study};
use super::answers::{answers, warnings};
use super::arrange::{Arrangement, Group, condition};
use super::certainty::Certainty;
use super::images::{Images, steps};
use super::records::{self, Estimate, Figure as Kind, LearningRecord, estimate};
use super::run::{Learnt, PointMap, learn};
use crate::dcnn::Reliability;
use crate::report::{
    self, Figure, FigureRef, Matrix, MatrixColours, MatrixRow, MatrixValue, Page, Pixels, SplitMaps, SplitPoint, Table as PageTable, Width,
};
use serde_json::{Value as Json, json};
use std::path::PathBuf;

/// Matrices of groups at most: a larger study shows its first and says so.
const MOST_GROUPS: usize = 6;

/// What a learning study left behind.
#[derive(Debug)]
pub struct LearningOutcome {
    /// The results folder.
    pub folder: PathBuf,
    /// One row a network or fit, test point and repeat.
    pub records: Vec<LearningRecord>,
    /// Key sentences of the report.
    pub answers: Vec<String>,
    /// What the reader must not overlook.
    pub warnings: Vec<String>,
}

/// Steps that the progress of a run counts: k-points of the libraries, images and networks.
pub fn step_count(study: &Study) -> Result<usize, RunError> {
    let settings = study.learning.clone().unwrap_or_default();
    let each = study.points().len() + Arrangement::new(study, &settings).trainings().len();
    Ok(steps(study)? + each * settings.repeats as usize)
}

/// Runs a learning study and publishes its results. Networks that the store holds are not trained again.
pub fn run(study: &Study, session: &Session, progress: &(dyn Fn(usize) + Sync)) -> Result<LearningOutcome, RunError> {
    Draft::check(&session.target)?;
    let vault = session.vault()?;
    let _lock = vault.lock_results(&session.target)?;
    let arrangement = Arrangement::new(study, &study.learning.clone().unwrap_or_default());
    let images = Images::prepare(study, &vault, progress)?;
    let learnt = images.with_workshop(study, &vault, progress, |workshop| learn(study, &arrangement, workshop))?;
    let draft = Draft::begin(&session.target)?;
    let told = tell(study, &arrangement, &learnt, vault.notes(), &draft)?;
    let folder = draft.publish()?;
    Ok(LearningOutcome { folder, records: learnt.records, answers: told.0, warnings: told.1 })
}

/// Writes table, figures, page and provenance; returns answers and warnings.
pub(super) fn tell(
    study: &Study,
    arrangement: &Arrangement,
    learnt: &Learnt,
    notes: Vec<String>,
    draft: &Draft,
) -> Result<(Vec<String>, Vec<String>), RunError> {
    let table = records::table(study, &learnt.records);
    table.write_csv(&draft.path().join("records.csv"))?;
    table.write_npz(&draft.path().join("records.npz"))?;
    let (mut said, mut warned) = (answers(study, arrangement, &learnt.records), warnings(&learnt.records));
    said.extend(learnt.certainty.answer());
    warned.extend(learnt.certainty.warning());
    warned.extend(notes);
    let mut figures = Vec::new();
    if study.report.figures {
        let folder = draft.subfolder("figures")?;
        for (stem, matrix, caption) in matrices(study, arrangement, &learnt.records) {
            let figure = matrix.draw()?;
            figure.save(&folder, &stem)?;
            figures.push(FigureRef::new(&figure, caption)?);
        }
        for (stem, figure, caption) in certainty(&learnt.certainty)? {
            figure.save(&folder, stem)?;
            figures.push(FigureRef::new(&figure, caption)?);
        }
        for map in &learnt.maps {
            let (maps, caption) = split_maps(study, map);
            let figure = maps.draw()?;
            figure.save(&folder, &format!("map-{:04}", map.point))?;
            figures.push(FigureRef::new(&figure, caption)?);
        }
    }
    let provenance = provenance(study);
    let page = Page {
        title: study.name.clone(),
        question: study.question.clone(),
        answers: said.clone(),
        warnings: warned.clone(),
        settings: settings(study),
        figures,
        tables: vec![page_table(&table)],
        python: "import pandas as pd\nrecords = pd.read_csv(\"records.csv\")\n\
                 records.groupby([\"method\", \"trained_at\"])[[\"rmse_pm\", \"bias_x_pm\", \"bias_y_pm\"]].mean()\n"
            .to_owned(),
        provenance: provenance.as_object().into_iter().flatten().map(|(k, v)| (plain(k), text(v))).collect(),
        ..Page::default()
    };
    page.save(&draft.path().join("report.html"))?;
    draft.json(PROVENANCE, &provenance)?;
    Ok((said, warned))
}

fn text(value: &Json) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn provenance(study: &Study) -> Json {
    json!({
        "program": format!("mistilt {}", env!("CARGO_PKG_VERSION")),
        "commit": env!("MISTILT_COMMIT"),
        "compiler": env!("MISTILT_RUSTC"),
        "threads": rayon::current_num_threads(),
        "points": study.points().len(),
        "learning": study.learning,
        "overrides": study.overrides,
        "study_file": study.source.name,
        "study_text": study.source.text,
    })
}

fn page_table(table: &super::super::table::Table) -> PageTable {
    let rounded = |text: String| text.parse::<f64>().ok().filter(|_| text.len() > 7).map_or(text, |v| format!("{v:.3}"));
    let keep: Vec<usize> =
        (0..table.columns.len()).filter(|&i| !["seed", "refusal", "leaky"].contains(&table.columns[i].0.as_str())).collect();
    PageTable {
        caption: "Every network and fit on every test image (records.csv holds all digits, seeds and refusals).".to_owned(),
        columns: keep.iter().map(|&i| table.columns[i].0.clone()).collect(),
        rows: (0..table.rows).map(|row| keep.iter().map(|&i| rounded(table.columns[i].1.cell(row))).collect()).collect(),
    }
}

fn settings(study: &Study) -> Vec<(String, String)> {
    let mut out = Vec::new();
    if let Some(point) = study.points().first() {
        let windows = point.config.windows.unwrap_or_default();
        out.push(("Split".to_owned(), windows.split(0).describe()));
        out.push(("Labels".to_owned(), format!("{:?}", windows.labels).to_lowercase()));
    }
    if let Some(learning) = &study.learning {
        out.push(("Repeats with other scenes, noise and weights".to_owned(), learning.repeats.to_string()));
    }
    for axis in &study.axes {
        let values: Vec<String> = axis.values.iter().map(ToString::to_string).collect();
        out.push((format!("Swept: {}", plain(&axis.column)), values.join(", ")));
    }
    out
}

/// Stem, figure and caption of every matrix.
fn matrices(study: &Study, arrangement: &Arrangement, records: &[LearningRecord]) -> Vec<(String, Matrix, String)> {
    match &arrangement.across {
        Some(across) => crossed(study, arrangement, records, across),
        None => swept(study, arrangement, records).into_iter().collect(),
    }
}

fn value(estimate: Estimate) -> MatrixValue {
    MatrixValue { value: estimate.mean, half_width: estimate.half_width }
}

const CONFIDENCE: &str = "± is half the 95 % confidence interval over repeats with other scenes, noise and weights";

/// Trained at one value, tested at all: errors, and what is seen that is not there.
fn crossed(study: &Study, arrangement: &Arrangement, records: &[LearningRecord], across: &str) -> Vec<(String, Matrix, String)> {
    let Some(axis) = study.axes.iter().find(|a| a.column == *across) else { return Vec::new() };
    let place = study.axes.iter().position(|a| a.column == *across).unwrap_or(0);
    let mut out = Vec::new();
    for (number, group) in arrangement.groups.iter().enumerate().take(MOST_GROUPS) {
        let columns: Vec<String> = group.points.iter().map(|&p| study.points()[p].values[place].1.to_string()).collect();
        let rows = |figure: Kind| rows(records, number, group, figure);
        let where_ = condition(group);
        let kinds = [
            ("rmse", Kind::Rmse, "RMSE of a component (pm)", MatrixColours::Sequential),
            ("bias-x", Kind::BiasX, "mean error along x (pm)", MatrixColours::Diverging),
            ("bias-y", Kind::BiasY, "mean error along y (pm)", MatrixColours::Diverging),
        ];
        for (stem, figure, value_label, colours) in kinds {
            let rows = rows(figure);
            if rows.iter().flat_map(|r| &r.values).all(|v| v.value.is_nan()) {
                continue;
            }
            let matrix = Matrix {
                title: format!("{value_label} of networks trained at one {} and tested at another{where_}", quantity(across)),
                row_label: "trained at".to_owned(),
                column_label: format!("tested at: {}", label(axis)),
                columns: columns.clone(),
                rows,
                value_label: value_label.to_owned(),
                colours,
                mark_diagonal: true,
                width: Width::Double,
            };
            let caption = format!(
                "{value_label}{where_}: rows are networks by where they were trained, columns the images they were tested on; below, the column fit of \
                 the same cells. {CONFIDENCE}. Framed: trained and tested alike, on both sides of the line. x right, y down."
            );
            let name = if arrangement.groups.len() > 1 { format!("{stem}-{number:02}") } else { stem.to_owned() };
            out.push((format!("matrix-{name}"), matrix, caption));
        }
    }
    out
}

fn rows(records: &[LearningRecord], number: usize, group: &Group, figure: Kind) -> Vec<MatrixRow> {
    let mut rows: Vec<MatrixRow> = group
        .rows
        .iter()
        .map(|row| {
            let name = row.trained_at.name();
            let values = group.points.iter().map(|&p| value(estimate(records, number, p, Some(&name), figure))).collect();
            MatrixRow { group: usize::from(name == "mixed"), name, values }
        })
        .collect();
    let fit: Vec<MatrixValue> = group.points.iter().map(|&p| value(estimate(records, number, p, None, figure))).collect();
    if fit.iter().any(|v| v.value.is_finite()) {
        rows.push(MatrixRow { name: "column fit".to_owned(), group: 2, values: fit });
    }
    rows
}

/// Every point trained and tested by itself: the last axis along the columns, all others down the rows.
fn swept(study: &Study, arrangement: &Arrangement, records: &[LearningRecord]) -> Option<(String, Matrix, String)> {
    let last = study.axes.last()?;
    let others = study.axes.len() - 1;
    let mut rows: Vec<MatrixRow> = Vec::new();
    for (block, network) in [(0, true), (1, false)] {
        for (number, group) in arrangement.groups.iter().enumerate() {
            let name = group.values[..others].iter().map(|(_, v)| v.to_string()).collect::<Vec<_>>().join(", ");
            let name = format!("{} {name}", if network { "network" } else { "column fit" }).trim_end().to_owned();
            let at = rows.iter().position(|r| r.group == block && r.name == name).unwrap_or_else(|| {
                let values = vec![MatrixValue { value: f64::NAN, half_width: f64::NAN }; last.values.len()];
                rows.push(MatrixRow { name: name.clone(), group: block, values });
                rows.len() - 1
            });
            let column = last.values.iter().position(|v| *v == group.values[others].1)?;
            let trained_at = network.then_some("itself");
            rows[at].values[column] = value(estimate(records, number, group.points[0], trained_at, Kind::Rmse));
        }
    }
    rows.retain(|r| r.values.iter().any(|v| v.value.is_finite()));
    let names: Vec<String> = study.axes[..others].iter().map(label).collect();
    let row_label = if names.is_empty() { String::new() } else { names.join(", ") };
    let columns = last.values.iter().map(ToString::to_string).collect();
    let value_label = "RMSE of a component (pm)".to_owned();
    let matrix = Matrix {
        title: "Error of networks trained and tested on the two sides of the line, and of the column fit".to_owned(),
        row_label,
        column_label: label(last),
        columns,
        rows,
        value_label,
        width: Width::Double,
        ..Matrix::default()
    };
    let caption = format!(
        "RMSE of a component (pm) beyond the line, of networks trained before it, and of the column fit on the cells beyond it. {CONFIDENCE}."
    );
    Some(("matrix-rmse".to_owned(), matrix, caption))
}

/// Stem, figure and caption of what the σ of all networks is worth; none where none is predicted.
fn certainty(certainty: &Certainty) -> Result<Vec<(&'static str, Figure, &'static str)>, RunError> {
    let curves = certainty.curves();
    let tests: Vec<(&str, &Reliability)> = curves.iter().map(|(name, r)| (*name, r)).collect();
    let mut out = Vec::new();
    if !tests.is_empty() {
        let caption = "Part of the true displacements of all test windows within central intervals of the predicted Gaussians against the part that should \
                       be there. Below the dashed line the uncertainties are too small. Bars: one standard error of independent windows.";
        out.push(("coverage", report::network::coverage(&tests)?, caption));
    }
    if tests.iter().any(|(_, r)| r.bins.len() > 1) {
        let caption = "Root mean square error of all test windows in bins of their predicted σ; on the dashed line they agree. Bars: one standard error of \
                       independent windows.";
        out.push(("error-against-sigma", report::network::error_against_sigma(&tests)?, caption));
    }
    Ok(out)
}

/// Truth, prediction and difference of one image.
fn split_maps(study: &Study, map: &PointMap) -> (SplitMaps, String) {
    let cut = &map.windows.cut;
    let spacing_px = spacing(&cut.set.positions_px);
    let points: Vec<SplitPoint> = (0..cut.set.len())
        .map(|i| SplitPoint {
            position_px: cut.set.positions_px[i],
            truth_pm: map.windows.truth_pm[i],
            prediction_pm: map.predictions[i].mean_pm.map(f64::from),
        })
        .collect();
    let quantile = |mut sizes: Vec<f64>| {
        sizes.retain(|v| v.is_finite());
        sizes.sort_by(f64::total_cmp);
        sizes.get(sizes.len().saturating_sub(1) * 98 / 100).copied().unwrap_or(1.0).max(0.5)
    };
    let nice = |v: f64| (v / 5.0).ceil().max(1.0) * 5.0;
    let legend_pm = nice(quantile(points.iter().map(|p| p.truth_pm[0].hypot(p.truth_pm[1])).collect()));
    let off = |p: &SplitPoint| (p.prediction_pm[0] - p.truth_pm[0]).hypot(p.prediction_pm[1] - p.truth_pm[1]);
    let difference_legend_pm = nice(quantile(points.iter().map(off).collect()));
    let point = &study.points()[map.point];
    let settings = point.config.windows.unwrap_or_default();
    let (sin, cos) = settings.split_angle_deg.to_radians().sin_cos();
    let image = &map.sheet_image;
    let pixels = Pixels {
        values: image.data.clone(),
        width: image.width,
        height: image.height,
        // A frame of a simulation has pixels of known size.
        pixel_size_pm: image.pixel_size_pm.unwrap_or(1.0),
    };
    // The line is known in the image as cut; the figure shows the image as it was.
    let line_px = map.windows.partition.line_px.map(|ends| ends.map(|end| [0, 1].map(|k| end[k] / cut.scale[k])));
    let at: Vec<String> = point.values.iter().map(|(name, value)| format!("{} {value}", plain(name))).collect();
    let at = if at.is_empty() { String::new() } else { format!(" ({})", at.join(", ")) };
    let caption = format!(
        "Truth (a), prediction (b) and their difference (c) of one image{at}, {}. Colours: direction is hue, length is saturation; note the \
         two scales. x right, y down.",
        settings.split(0).describe()
    );
    let maps = SplitMaps {
        title: format!("Truth, prediction and difference{at}"),
        pixels,
        points,
        spacing_px,
        line_px,
        towards_training: [-cos, -sin],
        legend_pm,
        difference_legend_pm,
        label_name: "truth".to_owned(),
    };
    (maps, caption)
}

/// The median distance of a window to its nearest, px: the side of its square in the map.
fn spacing(positions: &[[f64; 2]]) -> f64 {
    let sample = positions.len().div_ceil(64).max(1);
    let nearest = |p: &[f64; 2]| {
        let distances = positions.iter().map(|q| (p[0] - q[0]).hypot(p[1] - q[1])).filter(|d| *d > 1e-9);
        distances.fold(f64::INFINITY, f64::min)
    };
    let mut distances: Vec<f64> = positions.iter().step_by(sample).map(nearest).filter(|d| d.is_finite()).collect();
    distances.sort_by(f64::total_cmp);
    distances.get(distances.len() / 2).copied().unwrap_or(8.0)
}
