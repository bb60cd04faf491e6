//! Tells a study: what its numbers say in sentences, its figures, and the page that explains them.

use super::measure::{self, Record};
use super::plan::{Place, Plan, Propagation};
use super::run::repeats;
use super::spec::{Point, Study};
use super::store::Draft;
use super::table::Table;
use super::trend::{Trend, trends};
use super::{Axis, RunError};
use crate::crystal::Site;
use crate::image::FourierImage;
use crate::numerics::grid::combine;
use crate::report::{
    ColumnMark, FigureRef, ImagePanel, ImageRow, LineChart, Marker, Page, Panel, Pixels, Row, Series, Spread, Table as PageTable, Width,
};
use serde_json::Value as Json;

/// Figures of the sweep at most: a larger study shows its first combinations and says so.
const MAX_FIGURES: usize = 8;
/// Loss through the band limit above which the reader is warned.
const LOST_WARNING: f64 = 0.02;
/// Field of view and pixel of the image panels, Å.
const FIELD_ANGSTROM: f64 = 8.0;
const PIXEL_ANGSTROM: f64 = 0.05;
/// Where the panels start, Å: an A column stands at the origin of the cell, and none should stand on the edge.
const ORIGIN_ANGSTROM: [f64; 2] = [-1.0, -1.0];

/// What the page says, for the terminal.
#[derive(Debug, Clone, Default)]
pub(super) struct Told {
    /// Key sentences.
    pub answers: Vec<String>,
    /// Warnings.
    pub warnings: Vec<String>,
}

/// An image to show, with what was found in it.
#[derive(Debug, Clone)]
pub(super) struct Shown {
    /// Index of the point.
    pub point: usize,
    panel: ImagePanel,
}

impl Shown {
    /// Samples the image and marks the columns of its first estimator and where the columns enter the specimen.
    #[must_use]
    pub(super) fn new(propagation: &Propagation, image: &FourierImage, place: Place, point: &Point) -> Self {
        let side = (FIELD_ANGSTROM / PIXEL_ANGSTROM) as usize;
        let slab = &propagation.specimen.slab;
        let estimator = point.config.measure.estimators[0];
        let fitted = measure::measured_columns(propagation, image, place, point, estimator);
        let mut markers = Vec::new();
        for (i, j) in repeats(slab.in_plane_angstrom, FIELD_ANGSTROM) {
            let shift = combine(slab.in_plane_angstrom, [f64::from(i), f64::from(j)]);
            let mut mark = |r: [f64; 2], kind| {
                let [x_px, y_px] = [0, 1].map(|c| (r[c] + shift[c] - ORIGIN_ANGSTROM[c]) / PIXEL_ANGSTROM);
                if [x_px, y_px].iter().all(|p| (0.0..=side as f64 - 1.0).contains(p)) {
                    markers.push(Marker { x_px, y_px, kind });
                }
            };
            for column in &slab.columns {
                mark(column.position_angstrom, if column.site == Site::A { ColumnMark::TrueA } else { ColumnMark::TrueB });
            }
            for found in &fitted {
                let a_site = slab.columns[found.column].site == Site::A;
                mark(found.position_angstrom, if a_site { ColumnMark::FittedA } else { ColumnMark::FittedB });
            }
        }
        let values = image.sample(ORIGIN_ANGSTROM, PIXEL_ANGSTROM, side, side).into_iter().map(|v| v as f32).collect();
        let pixels = Pixels { values, width: side, height: side, pixel_size_pm: PIXEL_ANGSTROM * 100.0 };
        Self { point: point.index, panel: ImagePanel { title: String::new(), pixels, markers, arrows: Vec::new() } }
    }
}

/// The points whose images are shown: along the main axis at the asked values, everything else at its last value.
#[must_use]
pub(super) fn points_to_show(study: &Study) -> Vec<usize> {
    let Some(x) = main_axis(study) else { return study.points().iter().take(1).map(|p| p.index).collect() };
    let axis = &study.axes[x];
    let numbers: Vec<f64> = axis.values.iter().filter_map(super::AxisValue::number).collect();
    let wanted: Vec<usize> = if study.report.images_at.is_empty() {
        let n = axis.values.len();
        let mut ends = vec![0, n / 2, n - 1];
        ends.dedup();
        ends
    } else {
        study.report.images_at.iter().filter_map(|v| numbers.iter().position(|n| n == v)).collect()
    };
    let chosen = |p: &&Point| {
        study.axes.iter().enumerate().all(|(i, other)| {
            let value = &p.values[i].1;
            if i == x {
                wanted.iter().any(|&w| axis.values[w] == *value)
            } else {
                other.group == axis.group || other.values.last() == Some(value)
            }
        })
    };
    study.points().iter().filter(chosen).map(|p| p.index).collect()
}

/// Index of the axis along x of the main figure.
pub(super) fn main_axis(study: &Study) -> Option<usize> {
    let key = study.report.x.as_ref()?;
    study.axes.iter().position(|a| a.key == *key && a.values.iter().all(|v| v.number().is_some()))
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
    let told = Told { answers: answers(study, records, &trends), warnings: [incomplete, &warnings(records)].concat() };
    let mut figures = Vec::new();
    if study.report.figures {
        let folder = draft.subfolder("figures")?;
        let charts = charts(study, records);
        let many = charts.len() > 1;
        for (number, (name, chart)) in charts.into_iter().enumerate() {
            let figure = chart.draw()?;
            figure.save(&folder, &if many { format!("apparent-shift-{:02}-{name}", number + 1) } else { "apparent-shift".to_owned() })?;
            figures.push(FigureRef::new(&figure, chart_caption(&chart.title))?);
        }
        if !shown.is_empty() {
            let figure = image_row(study, shown).draw()?;
            figure.save(&folder, "images")?;
            figures.push(FigureRef::new(&figure, image_caption(study))?);
        }
    }
    let page = Page {
        title: study.name.clone(),
        question: study.question.clone(),
        answers: told.answers.clone(),
        warnings: told.warnings.clone(),
        settings: settings(study, plan),
        figures,
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
    for trend in trends.iter().filter(|t| t.is_tilt) {
        out.push(trend.sentence());
    }
    let largest = records.iter().filter_map(|r| r.apparent_pm().map(|a| (r, a[0].hypot(a[1])))).max_by(|a, b| a.1.total_cmp(&b.1));
    if let Some((r, size)) = largest {
        let place: Vec<String> = study.points()[r.point]
            .values
            .iter()
            .enumerate()
            .map(|(i, (_, value))| label_value(&study.axes[i], &value.to_string()))
            .collect();
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

/// One chart for each detector and each combination of the axes that are neither x nor panels.
fn charts(study: &Study, records: &[Record]) -> Vec<(String, LineChart)> {
    let Some(x) = main_axis(study) else { return Vec::new() };
    let panel = panel_axis(study, x);
    let others: Vec<usize> =
        (0..study.axes.len()).filter(|&i| i != x && Some(i) != panel && study.axes[i].group != study.axes[x].group).collect();
    let mut keys: Vec<(String, Vec<String>)> = Vec::new();
    let key = |r: &Record| {
        let values = &study.points()[r.point].values;
        (r.detector.clone(), others.iter().map(|&i| values[i].1.to_string()).collect::<Vec<_>>())
    };
    for r in records {
        if !keys.contains(&key(r)) {
            keys.push(key(r));
        }
    }
    keys.truncate(MAX_FIGURES);
    keys.iter()
        .map(|k| {
            let own: Vec<&Record> = records.iter().filter(|r| key(r) == *k).collect();
            let setting: Vec<String> = others.iter().zip(&k.1).map(|(&i, v)| format!("{} {v}", plain(&study.axes[i].column))).collect();
            let title = std::iter::once(format!("Apparent B−A shift, {}", k.0)).chain(setting).collect::<Vec<_>>().join(", ");
            let name: String = k.0.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect();
            (name, chart(study, x, panel, &own, title))
        })
        .collect()
}

fn chart(study: &Study, x: usize, panel: Option<usize>, records: &[&Record], title: String) -> LineChart {
    let mut panels: Vec<String> = Vec::new();
    let panel_of =
        |r: &Record| panel.map_or(String::new(), |i| label_value(&study.axes[i], &study.points()[r.point].values[i].1.to_string()));
    let mut estimators: Vec<&str> = Vec::new();
    for r in records {
        let name = panel_of(r);
        if !panels.contains(&name) {
            panels.push(name);
        }
        if !estimators.contains(&r.estimator) {
            estimators.push(r.estimator);
        }
    }
    let row = |c: usize, axis: &str| Row {
        y_label: format!("Apparent shift {axis} (pm)"),
        panels: panels
            .iter()
            .map(|name| Panel {
                title: name.clone(),
                series: estimators.iter().map(|e| series(study, x, c, e, records.iter().filter(|r| panel_of(r) == *name))).collect(),
            })
            .collect(),
    };
    LineChart {
        title,
        x_label: label(&study.axes[x]),
        rows: vec![row(0, "x"), row(1, "y")],
        zero_line: true,
        letters: true,
        ..LineChart::default()
    }
}

fn series<'a>(study: &Study, x: usize, c: usize, estimator: &str, records: impl Iterator<Item = &'a &'a Record>) -> Series {
    let mut points: Vec<(f64, f64, f64)> = records
        .filter(|r| r.estimator == estimator)
        .map(|r| {
            let at = study.points()[r.point].values[x].1.number().unwrap_or(f64::NAN);
            (at, r.apparent_pm().map_or(f64::NAN, |a| a[c]), r.sampling_sigma_pm[c])
        })
        .collect();
    points.sort_by(|a, b| a.0.total_cmp(&b.0));
    let sigma: Vec<f64> = points.iter().map(|p| p.2).collect();
    let spread = if sigma.iter().any(|s| s.is_nan()) { Spread::None } else { Spread::Bars(sigma) };
    Series {
        label: plain(estimator),
        x: points.iter().map(|p| p.0).collect(),
        y: points.iter().map(|p| p.1).collect(),
        spread,
        line: true,
        markers: true,
        dashed: false,
    }
}

fn image_row(study: &Study, shown: &[Shown]) -> ImageRow {
    let title_of = |s: &Shown| match main_axis(study) {
        Some(x) => label_value(&study.axes[x], &study.points()[s.point].values[x].1.to_string()),
        None => String::new(),
    };
    let panels = shown.iter().map(|s| ImagePanel { title: title_of(s), ..s.panel.clone() }).collect();
    ImageRow {
        title: "Simulated images with their columns".to_owned(),
        panels,
        width: Width::Double,
        intensity_label: Some("Fraction of the beam".to_owned()),
        share_contrast: true,
        ..ImageRow::default()
    }
}

/// The axis that makes panels: thickness if it is swept, else the first axis that is not x.
pub(super) fn panel_axis(study: &Study, x: usize) -> Option<usize> {
    let free = |i: &usize| *i != x && study.axes[*i].group != study.axes[x].group && study.axes[*i].values.len() > 1;
    let candidates: Vec<usize> = (0..study.axes.len()).filter(free).collect();
    candidates.iter().copied().find(|&i| study.axes[i].key.ends_with("thickness_nm")).or(candidates.first().copied())
}

fn chart_caption(title: &str) -> String {
    format!(
        "{title}: the measured B-site column minus the mean of its A-site columns, less its true value. Bars are one standard error of the \
         sampling of thermal displacements, where they are larger than the marker. Image axes: x right, y down."
    )
}

fn image_caption(study: &Study) -> String {
    let estimator = study.points().first().map_or("", |p| p.config.measure.estimators[0].name());
    format!(
        "Images along the main axis, all other axes at their last value. Filled marks: columns found by the {} estimator; open marks: where \
         the columns enter the specimen. x right, y down.",
        plain(estimator)
    )
}

fn settings(study: &Study, plan: &Plan) -> Vec<(String, String)> {
    let mut out = Vec::new();
    if let Some(point) = study.points().first() {
        let (m, s) = (&point.config.microscope, &point.config.simulation);
        let crystals: Vec<String> = plan.propagations.iter().map(|p| p.specimen.crystal.0.clone()).collect();
        let mut unique = crystals;
        unique.dedup();
        out.push(("Crystal".to_owned(), unique.join("; ")));
        let zone = point.config.crystal.zone_axis;
        out.push(("Zone axis".to_owned(), format!("[{} {} {}]", zone[0], zone[1], zone[2])));
        out.push(("Voltage, convergence semi-angle".to_owned(), format!("{} kV, {} mrad", m.voltage_kv, m.convergence_mrad)));
        out.push(("Defocus (underfocus positive)".to_owned(), format!("{} nm", m.defocus_nm)));
        out.push(("Source size (full width at half maximum)".to_owned(), format!("{} Å", m.source_fwhm_angstrom)));
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
    for axis in &study.axes {
        let values: Vec<String> = axis.values.iter().map(ToString::to_string).collect();
        out.push((format!("Swept: {}", plain(&axis.column)), values.join(", ")));
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
            caption: "Straight-line trend of the apparent shift along the main axis, with standard errors.".to_owned(),
            columns: Trend::columns(trends),
            rows: trends.iter().map(Trend::row).collect(),
        });
    }
    let table = Table::new(study, records);
    // Engine, seed and refusals fill the CSV, not the page.
    let keep: Vec<usize> =
        (0..table.columns.len()).filter(|&i| !["engine", "seed", "refusal"].contains(&table.columns[i].0.as_str())).collect();
    let rounded = |text: String| text.parse::<f64>().ok().filter(|_| text.len() > 7).map_or(text, |v| format!("{v:.4}"));
    out.push(PageTable {
        caption: "Every measurement (records.csv holds all digits, engine, seed and refusals).".to_owned(),
        columns: keep.iter().map(|&i| table.columns[i].0.clone()).collect(),
        rows: (0..table.rows).map(|row| keep.iter().map(|&i| rounded(table.columns[i].1.cell(row))).collect()).collect(),
    });
    out
}

fn provenance_lines(provenance: &Json) -> Vec<(String, String)> {
    let text = |v: &Json| match v {
        Json::String(s) => s.clone(),
        other => other.to_string(),
    };
    provenance.as_object().into_iter().flatten().map(|(k, v)| (plain(k), text(v))).collect()
}

/// An axis label with its unit in parentheses.
pub(super) fn label(axis: &Axis) -> String {
    match axis.column.as_str() {
        "specimen_tilt_x_mrad" => "Specimen tilt θx (mrad)".to_owned(),
        "specimen_tilt_y_mrad" => "Specimen tilt θy (mrad)".to_owned(),
        name => {
            let (stem, unit) = split_unit(name);
            let mut words = stem.replace('_', " ");
            if let Some(first) = words.get_mut(0..1) {
                first.make_ascii_uppercase();
            }
            if unit.is_empty() { words } else { format!("{words} ({unit})") }
        }
    }
}

/// "θx = 10 mrad", "thickness 40 nm".
pub(super) fn label_value(axis: &Axis, value: &str) -> String {
    match axis.column.as_str() {
        "specimen_tilt_x_mrad" => format!("θx = {value} mrad"),
        "specimen_tilt_y_mrad" => format!("θy = {value} mrad"),
        name => {
            let (stem, unit) = split_unit(name);
            format!("{} {value} {unit}", stem.replace('_', " ")).trim_end().to_owned()
        }
    }
}

fn split_unit(name: &str) -> (&str, &str) {
    let units =
        [("_mrad", "mrad"), ("_nm", "nm"), ("_angstrom", "Å"), ("_kv", "kV"), ("_um", "µm"), ("_mm", "mm"), ("_deg", "°"), ("_pm", "pm")];
    units.into_iter().find_map(|(suffix, unit)| name.strip_suffix(suffix).map(|stem| (stem, unit))).unwrap_or((name, ""))
}

/// A name with blanks for joints.
pub(super) fn plain(name: &str) -> String {
    name.replace(['_', '-'], " ")
}
