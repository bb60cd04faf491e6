//! What the frames of a camera say in sentences and in one figure: the precision of a cell, and how many were refused.

use super::measure::Record;
use super::spec::Study;
use super::wording::{label, plain};
use crate::report::{LineChart, Panel, Row, Scale, Series, Width};

/// Share of refused cells above which the reader is warned.
const REFUSED_WARNING: f64 = 0.01;

/// One sentence on the precision of every estimator; none without a camera.
pub(super) fn answers(records: &[Record]) -> Option<String> {
    let mut parts: Vec<String> = Vec::new();
    for estimator in estimators(records) {
        let own = records.iter().filter(|r| r.estimator == estimator).filter_map(scatter_pm);
        let (low, high) = own.fold((f64::INFINITY, 0.0_f64), |(l, h), s| (l.min(s), h.max(s)));
        if low <= high {
            let range = if high - low < 0.05 { format!("{high:.1}") } else { format!("{low:.1} to {high:.1}") };
            parts.push(format!("{range} pm ({})", plain(estimator)));
        }
    }
    (!parts.is_empty()).then(|| format!("In one frame the shift of a single cell scatters by {} along x or y.", parts.join(", ")))
}

/// How many cells had no measurement, if that is more than a few.
pub(super) fn warnings(records: &[Record]) -> Option<String> {
    let worst = records.iter().filter_map(|r| {
        let f = r.frames.as_ref()?;
        let all = f.cells + f.refused;
        (all > 0).then(|| (f.refused as f64 / all as f64, r))
    });
    let (share, record) = worst.max_by(|a, b| a.0.total_cmp(&b.0)).filter(|(share, _)| *share > REFUSED_WARNING)?;
    Some(format!(
        "Up to {:.0} % of the cells were refused in the frames ({} at point {}): the mean is that of the others. `cells_refused` in \
         records.csv counts them.",
        100.0 * share,
        plain(record.estimator),
        record.point
    ))
}

/// The precision of a cell along the first axis of the camera, root mean square over all other axes; none where the camera is not swept.
pub(super) fn precision(study: &Study, records: &[Record]) -> Option<LineChart> {
    let number = |axis: &super::Axis| axis.values.iter().all(|v| v.number().is_some());
    let index = study.axes.iter().position(|a| a.key.starts_with("camera.") && a.values.len() > 1 && number(a))?;
    let axis = &study.axes[index];
    let at = |r: &Record| study.points()[r.point].values[index].1.number().unwrap_or(f64::NAN);
    let xs: Vec<f64> = axis.values.iter().filter_map(super::AxisValue::number).collect();
    let series = |estimator: &'static str, c: usize| {
        let value = |&x: &f64| {
            let own = records.iter().filter(|r| r.estimator == estimator && at(r) == x);
            let squares: Vec<f64> = own.filter_map(|r| r.frames.map(|f| f.cell_scatter_pm[c].powi(2))).filter(|s| s.is_finite()).collect();
            (squares.iter().sum::<f64>() / squares.len() as f64).sqrt()
        };
        Series { label: plain(estimator), x: xs.clone(), y: xs.iter().map(value).collect(), line: true, markers: true, ..Series::default() }
    };
    let panel = |(c, name): (usize, &str)| Panel {
        title: format!("along {name}"),
        series: estimators(records).into_iter().map(|e| series(e, c)).collect(),
    };
    let panels: Vec<Panel> = [(0, "x"), (1, "y")].into_iter().map(panel).collect();
    let drawable = panels.iter().flat_map(|p| &p.series).flat_map(|s| &s.y).any(|y| y.is_finite());
    let decades =
        xs.iter().all(|&x| x > 0.0) && xs.iter().copied().fold(0.0, f64::max) > 20.0 * xs.iter().copied().fold(f64::INFINITY, f64::min);
    let scale = if decades { Scale::Log10 } else { Scale::Linear };
    drawable.then(|| LineChart {
        title: "Scatter of the shift of a single cell in one frame".to_owned(),
        x_label: label(axis),
        rows: vec![Row { y_label: "Scatter of a cell (pm)".to_owned(), panels }],
        width: Width::Double,
        x_scale: scale,
        y_scale: scale,
        zero_line: scale == Scale::Linear,
        ..LineChart::default()
    })
}

/// Caption of that figure.
pub(super) const PRECISION_CAPTION: &str = "Standard deviation of the measured shift of a single cell over the cells of a field and all frames, \
     root mean square over the other axes: the precision of one cell in one image.";

fn estimators(records: &[Record]) -> Vec<&'static str> {
    let mut names = Vec::new();
    for r in records {
        if !names.contains(&r.estimator) {
            names.push(r.estimator);
        }
    }
    names
}

/// Root mean square over x and y of the scatter of a cell.
fn scatter_pm(record: &Record) -> Option<f64> {
    let [x, y] = record.frames.as_ref()?.cell_scatter_pm;
    Some((x * x).midpoint(y * y).sqrt()).filter(|s| s.is_finite())
}
