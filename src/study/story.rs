//! Tells a study: what its numbers say in sentences, its figures, and the page that explains them.

use super::explore::{self, Shown};
use super::figures::{self, Chart};
use super::measure::Record;
use super::plan::{Plan, Propagation};
use super::spec::Study;
use super::store::Draft;
use super::table::Table;
use super::trend::{Trend, trends};
use super::wording::{label, plain, setting, short};
use super::{Axis, RunError, frame_story};
use crate::report::{FigureRef, Page, Table as PageTable};
use serde_json::Value as Json;

pub(super) use super::explore::points_to_show;

/// Loss through the band limit above which the reader is warned.
const LOST_WARNING: f64 = 0.02;
/// Rows of the page's table at most: a browser sorts these at once, and records.csv holds all.
const MOST_ROWS: usize = 2000;

/// What the page says, for the terminal.
#[derive(Debug, Clone, Default)]
pub(super) struct Told {
    /// Key sentences.
    pub answers: Vec<String>,
    /// Warnings.
    pub warnings: Vec<String>,
}

/// Writes figures and page into the draft.
pub(super) fn tell(
    study: &Study,
    plan: &Plan,
    records: &[Record],
    shown: &[Shown],
    incomplete: &[String],
    provenance: &Json,
    draft: &Draft,
) -> Result<Told, RunError> {
    let trends = trends(study, records);
    let mut told = Told { answers: answers(study, records, &trends), warnings: [incomplete, &warnings(records)].concat() };
    told.answers.extend(frame_story::answers(records));
    told.warnings.extend(frame_story::warnings(records));
    let mut figures = Vec::new();
    if study.report.figures {
        let folder = draft.subfolder("figures")?;
        let charts = figures::charts(study, records);
        let many = charts.len() > 1;
        for (number, Chart { stem, lines, caption }) in charts.into_iter().enumerate() {
            let figure = lines.draw()?;
            figure.save(&folder, &if many { format!("apparent-shift-{:02}-{stem}", number + 1) } else { "apparent-shift".to_owned() })?;
            figures.push(FigureRef::new(&figure, caption)?);
        }
        if let Some(chart) = frame_story::precision(study, records) {
            let figure = chart.draw()?;
            figure.save(&folder, "precision")?;
            figures.push(FigureRef::new(&figure, frame_story::PRECISION_CAPTION)?);
        }
        if let Some((row, caption)) = explore::image_row(study, shown) {
            let figure = row.draw()?;
            figure.save(&folder, "images")?;
            figures.push(FigureRef::new(&figure, caption)?);
        }
    }
    let page = Page {
        title: study.name.clone(),
        question: study.question.clone(),
        answers: told.answers.clone(),
        warnings: told.warnings.clone(),
        setting: setting_line(study, plan),
        settings: settings(study, plan),
        figures,
        explorer: if study.report.figures { explore::explorer(study, records, shown) } else { None },
        tables: page_tables(study, records, &trends),
        python: "import pandas as pd\nrecords = pd.read_csv(\"records.csv\")\n\nimport numpy as np\ncolumns = np.load(\"records.npz\")          # the same columns\nimage = np.load(\"images/point-0000-DETECTOR.npy\")  # its sidecar .json holds pixel size and truth"
            .to_owned(),
        provenance: provenance_lines(provenance),
    };
    page.save(&draft.path().join("report.html"))?;
    Ok(told)
}

fn answers(study: &Study, records: &[Record], trends: &[Trend]) -> Vec<String> {
    let mut out: Vec<String> = Trend::summary(trends).into_iter().collect();
    out.extend(trends.iter().map(Trend::sentence));
    let largest = records.iter().filter_map(|r| r.reported_pm().map(|a| (r, a[0].hypot(a[1])))).max_by(|a, b| a.1.total_cmp(&b.1));
    if let Some((r, size)) = largest {
        let place = setting(study, &study.points()[r.point], 0..study.axes.len());
        let at = if place.is_empty() { String::new() } else { format!(" ({})", place.join(", ")) };
        out.push(format!("The largest apparent shift of the study is {size:.1} pm: {}, {}{at}.", r.detector, plain(r.estimator)));
    }
    // Many combinations: the table holds them all, the page opens with the first few.
    const SENTENCES: usize = 8;
    if out.len() > SENTENCES {
        let last = out.pop();
        out.truncate(SENTENCES - 1);
        out.extend(last);
    }
    out
}

fn warnings(records: &[Record]) -> Vec<String> {
    let mut out = Vec::new();
    let refused = records.iter().filter(|r| r.measured_pm.is_err()).count();
    if refused > 0 {
        out.push(format!("{refused} of {} measurements were refused; records.csv names the reason of each.", records.len()));
    }
    let lost = records.iter().map(|r| r.lost).filter(|l| !l.is_nan()).fold(0.0, f64::max);
    if lost > LOST_WARNING {
        let per_cent = 100.0 * lost;
        out.push(format!(
            "Up to {per_cent:.1} % of the beam left through the band limit; a smaller simulation.pixel_angstrom keeps more of it."
        ));
    }
    out
}

/// The value of a key at the first point, or that it is swept.
fn unless_swept(study: &Study, key: &str, value: impl FnOnce() -> String) -> String {
    if study.axes.iter().any(|axis| axis.key == key && axis.values.len() > 1) { "swept".to_owned() } else { value() }
}

fn crystals(plan: &Plan) -> String {
    let mut names: Vec<&str> = plan.propagations.iter().map(|p| p.specimen.crystal.0.as_str()).collect();
    names.sort_unstable();
    names.dedup();
    names.join("; ")
}

/// Crystal, beam and detectors in a line.
fn setting_line(study: &Study, plan: &Plan) -> String {
    let Some(point) = study.points().first() else { return String::new() };
    let (crystal, m) = (&point.config.crystal, &point.config.microscope);
    let [u, v, w] = crystal.zone_axis;
    let mut out = vec![crystals(plan), format!("along [{u} {v} {w}]")];
    let mut add = |key: &str, text: String| {
        if unless_swept(study, key, String::new).is_empty() {
            out.push(text);
        }
    };
    add("microscope.voltage_kv", format!("{} kV", m.voltage_kv));
    add("microscope.convergence_mrad", format!("{} mrad", m.convergence_mrad));
    add("crystal.thickness_nm", format!("{} nm thick", crystal.thickness_nm));
    out.extend(m.detectors.iter().map(|d| format!("{} {} to {} mrad", d.name, d.inner_mrad, d.outer_mrad)));
    let swept: Vec<String> = study.axes.iter().filter(|axis| axis.values.len() > 1).map(extent).collect();
    let points = study.points().len();
    let swept = if swept.is_empty() { String::new() } else { format!("; {points} points: {}", swept.join(", ")) };
    format!("{}{swept}.", out.join(", "))
}

/// "specimen tilt θx −10 to 10 mrad".
fn extent(axis: &Axis) -> String {
    if axis.key == super::sweep::SEED {
        return format!("{} repeats", axis.values.len());
    }
    let label = label(axis);
    let (name, unit) = label.split_once(" (").map_or((label.as_str(), ""), |(name, unit)| (name, unit.trim_end_matches(')')));
    let numbers: Option<Vec<f64>> = axis.values.iter().map(super::AxisValue::number).collect();
    let values = match numbers.as_deref() {
        Some([first, others @ ..]) => {
            let (low, high) = others.iter().fold((*first, *first), |(low, high), &x| (low.min(x), high.max(x)));
            let [low, high] = [low, high].map(|x| short(&super::AxisValue::Number(x)));
            format!("{low} to {high}")
        }
        _ => axis.values.iter().map(short).collect::<Vec<_>>().join(", "),
    };
    format!("{} {values} {unit}", name.to_lowercase()).trim_end().to_owned()
}

fn settings(study: &Study, plan: &Plan) -> Vec<(String, String)> {
    let mut out = Vec::new();
    if let Some(point) = study.points().first() {
        let (m, s) = (&point.config.microscope, &point.config.simulation);
        out.push(("Crystal".to_owned(), crystals(plan)));
        let zone = point.config.crystal.zone_axis;
        out.push(("Zone axis".to_owned(), format!("[{} {} {}]", zone[0], zone[1], zone[2])));
        let mut number = |name: &str, key: &str, text: String| out.push((name.to_owned(), unless_swept(study, key, || text)));
        number("Voltage", "microscope.voltage_kv", format!("{} kV", m.voltage_kv));
        number("Convergence semi-angle", "microscope.convergence_mrad", format!("{} mrad", m.convergence_mrad));
        number("Defocus (underfocus positive)", "microscope.defocus_nm", format!("{} nm", m.defocus_nm));
        let source = format!("{} Å", m.source_fwhm_angstrom);
        number("Source size (full width at half maximum)", "microscope.source_fwhm_angstrom", source);
        let rings: Vec<String> = m.detectors.iter().map(|d| format!("{} {} to {} mrad", d.name, d.inner_mrad, d.outer_mrad)).collect();
        out.push(("Detectors".to_owned(), rings.join("; ")));
        let pairs = s.phonons.map_or("crystal at rest".to_owned(), |p| format!("{} antithetic phonon pair(s) each", p.pairs));
        out.push(("k-points".to_owned(), format!("{} × {}, {pairs}", s.k_points[0], s.k_points[1])));
        let p = &plan.propagations[0];
        out.push((
            "Grid".to_owned(),
            format!("{} × {} points on {:.3} Å × {:.3} Å", p.setting.grid.nx, p.setting.grid.ny, length(p, 0), length(p, 1)),
        ));
    }
    // A thousand drawn values fill a screen and tell nobody anything.
    const MOST_VALUES: usize = 30;
    for axis in &study.axes {
        let mut values: Vec<String> = axis.values.iter().take(MOST_VALUES).map(short).collect();
        if axis.values.len() > MOST_VALUES {
            values.push(format!("… ({} values)", axis.values.len()));
        }
        out.push((format!("Swept: {}", label(axis)), values.join(", ")));
    }
    out
}

fn length(p: &Propagation, i: usize) -> f64 {
    crate::numerics::grid::norm(p.setting.grid.cell_angstrom[i])
}

fn page_tables(study: &Study, records: &[Record], trends: &[Trend]) -> Vec<PageTable> {
    let mut out = Vec::new();
    if !trends.is_empty() {
        out.push(PageTable {
            caption: "Straight-line trend of the apparent shift along the main axis, with 95 % confidence intervals from its residuals."
                .to_owned(),
            columns: Trend::columns(trends),
            rows: trends.iter().map(Trend::row).collect(),
        });
    }
    let table = Table::new(study, records);
    // Engine, seed and refusals fill the CSV, not the page.
    let keep: Vec<usize> =
        (0..table.columns.len()).filter(|&i| !["engine", "seed", "refusal"].contains(&table.columns[i].0.as_str())).collect();
    let rounded =
        |text: String| text.parse::<f64>().ok().filter(|v| text.len() > 7 && v.fract() != 0.0).map_or(text, |v| format!("{v:.4}"));
    let shown = table.rows.min(MOST_ROWS);
    let of = if shown < table.rows { format!("The first {shown} of {} measurements", table.rows) } else { "Every measurement".to_owned() };
    out.push(PageTable {
        caption: format!("{of} (records.csv holds all digits, engine, seed and refusals)."),
        columns: keep.iter().map(|&i| table.columns[i].0.clone()).collect(),
        rows: (0..shown).map(|row| keep.iter().map(|&i| rounded(table.columns[i].1.cell(row))).collect()).collect(),
    });
    out
}

fn provenance_lines(provenance: &Json) -> Vec<(String, String)> {
    let text = |v: &Json| match v {
        Json::String(s) => s.clone(),
        other => other.to_string(),
    };
    let told = |v: &Json| v.as_array().is_none_or(|list| !list.is_empty());
    provenance.as_object().into_iter().flatten().filter(|(_, v)| told(v)).map(|(k, v)| (plain(k), text(v))).collect()
}
