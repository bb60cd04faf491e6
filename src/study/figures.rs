//! The figures of a sweep: the apparent shift along the main axis, small multiples over the axes beside it, repeats as one mean.

use super::interval::mean95;
use super::measure::Record;
use super::spec::Study;
use super::sweep::SEED;
use super::wording::{label, label_value, plain};
use crate::report::{LineChart, Panel, Row, Series, Spread};
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// Figures of the sweep at most: a larger study shows its first combinations and says so.
const MAX_FIGURES: usize = 8;
/// Panels beside and above each other at most.
const MAX_COLUMNS: usize = 6;
const MAX_ROWS: usize = 4;

/// A chart, the stem of its files and its caption.
pub(super) struct Chart {
    pub(super) stem: String,
    pub(super) lines: LineChart,
    pub(super) caption: String,
}

/// Index of the axis along x of the main figure.
pub(super) fn main_axis(study: &Study) -> Option<usize> {
    let key = study.report.x.as_ref()?;
    study.axes.iter().position(|a| a.key == *key && a.values.iter().all(|v| v.number().is_some()))
}

/// The axes beside the main one that combine with it: one for every group that varies, without the repeats.
pub(super) fn other_axes(study: &Study, x: usize) -> Vec<usize> {
    let axes = &study.axes;
    let first_of_group = |i: usize| axes[..i].iter().all(|other| other.group != axes[i].group);
    let free = |i: &usize| axes[*i].group != axes[x].group && axes[*i].values.len() > 1 && axes[*i].key != SEED;
    (0..axes.len()).filter(|i| free(i) && first_of_group(*i)).collect()
}

/// Records gathered by a key, in the order in which keys first appear.
pub(super) fn gathered<'a, K: Ord + Clone>(
    records: impl IntoIterator<Item = &'a Record>,
    key: impl Fn(&Record) -> K,
) -> Vec<(K, Vec<&'a Record>)> {
    let mut places: BTreeMap<K, usize> = BTreeMap::new();
    let mut out: Vec<(K, Vec<&Record>)> = Vec::new();
    for record in records {
        let place = *places.entry(key(record)).or_insert_with_key(|key| {
            out.push((key.clone(), Vec::new()));
            out.len() - 1
        });
        out[place].1.push(record);
    }
    out
}

/// What makes the columns and the rows of a figure's panels, and what makes figures of their own.
struct Layout {
    x: usize,
    columns: Option<usize>,
    rows: Option<usize>,
    apart: Vec<usize>,
}

impl Layout {
    /// Columns are thicknesses if they are swept, else the first axis that is not x; the next axis makes rows, each further one figures.
    fn new(study: &Study, x: usize) -> Self {
        let mut others = other_axes(study, x);
        let thickness = others.iter().position(|&i| study.axes[i].key.ends_with("thickness_nm"));
        let columns = (!others.is_empty()).then(|| others.remove(thickness.unwrap_or(0)));
        let rows = (!others.is_empty()).then(|| others.remove(0));
        Self { x, columns, rows, apart: others }
    }
}

/// The charts: for each detector and each combination of the axes that are neither x nor panels.
pub(super) fn charts(study: &Study, records: &[Record]) -> Vec<Chart> {
    let Some(x) = main_axis(study) else { return Vec::new() };
    let layout = Layout::new(study, x);
    let value = |r: &Record, i: usize| label_value(&study.axes[i], &study.points()[r.point].values[i].1);
    let key = |r: &Record| (r.detector.clone(), layout.apart.iter().map(|&i| value(r, i)).collect::<Vec<_>>());
    let figures = gathered(records, key);
    let left_out = figures.len().saturating_sub(MAX_FIGURES);
    let mut out = Vec::new();
    for ((detector, setting), own) in figures.into_iter().take(MAX_FIGURES) {
        let of = std::iter::once(detector.clone()).chain(setting).collect::<Vec<_>>().join(", ");
        let name: String = detector.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect();
        if layout.rows.is_none() {
            out.push(chart(study, &layout, &own, &[0, 1], name, &format!("Apparent B−A shift, {of}"), left_out));
        } else {
            for c in components(&own) {
                let along = ["x", "y"][c];
                out.push(chart(
                    study,
                    &layout,
                    &own,
                    &[c],
                    format!("{name}-{along}"),
                    &format!("Apparent B−A shift along {along}, {of}"),
                    left_out,
                ));
            }
        }
    }
    out
}

/// The components worth a figure of their own: a component that stays below a twentieth of the other is not.
fn components(records: &[&Record]) -> Vec<usize> {
    let largest = [0, 1].map(|c| records.iter().filter_map(|r| r.reported_pm()).map(|a| a[c].abs()).fold(0.0, f64::max));
    (0..2).filter(|&c| largest[c] > 0.05 * largest[1 - c] || largest == [0.0; 2]).collect()
}

fn chart(study: &Study, layout: &Layout, records: &[&Record], shown: &[usize], stem: String, title: &str, left_out: usize) -> Chart {
    let repeated = study.axes.iter().any(|axis| axis.key == SEED && axis.values.len() > 1);
    let mut caption = format!("{title}: the measured B-site column minus the mean of its A-site columns, less its true value. ");
    caption += if repeated {
        "Points are means over the repeats, bars their 95 % confidence intervals, where they are larger than the marker. "
    } else {
        "Bars are one standard error of the sampling of thermal displacements (with a camera, of the frames too), where they are larger than the marker. "
    };
    let value =
        |r: &Record, axis: Option<usize>| axis.map_or(String::new(), |i| label_value(&study.axes[i], &study.points()[r.point].values[i].1));
    let all_rows = gathered(records.iter().copied(), |r| value(r, layout.rows));
    let row_count = all_rows.len();
    let mut rows = Vec::new();
    for (row_title, of_row) in spread_over(all_rows, MAX_ROWS) {
        let all_columns = gathered(of_row.iter().copied(), |r| value(r, layout.columns));
        let column_count = all_columns.len();
        let panels = spread_over(all_columns, MAX_COLUMNS);
        if panels.len() < column_count || row_count > MAX_ROWS {
            let note = "Of many values some are shown; the table holds all. ";
            if !caption.ends_with(note) {
                caption += note;
            }
        }
        for &c in shown {
            let panel = |(title, own): &(String, Vec<&Record>)| Panel {
                title: [title.as_str(), row_title.as_str()].into_iter().filter(|t| !t.is_empty()).collect::<Vec<_>>().join(", "),
                series: series_of(study, layout.x, c, repeated, own),
            };
            rows.push(Row { y_label: format!("Apparent shift {} (pm)", ["x", "y"][c]), panels: panels.iter().map(panel).collect() });
        }
    }
    if left_out > 0 {
        // Writing to a String cannot fail.
        let _ = write!(caption, "{left_out} further combinations have no figure; the table holds them. ");
    }
    caption += "Image axes: x right, y down.";
    let panel_height_mm = if rows.len() > 2 { 28.0 } else { 36.0 };
    let x_label = label(&study.axes[layout.x]);
    let lines =
        LineChart { title: title.to_owned(), x_label, rows, zero_line: true, letters: true, panel_height_mm, ..LineChart::default() };
    Chart { stem, lines, caption }
}

/// At most `most` of some things, evenly spread, the first and the last among them.
fn spread_over<T>(things: Vec<T>, most: usize) -> Vec<T> {
    let n = things.len();
    if n <= most {
        return things;
    }
    let kept: Vec<usize> = (0..most).map(|i| (i * (n - 1) + (most - 1) / 2) / (most - 1)).collect();
    things.into_iter().enumerate().filter(|(i, _)| kept.contains(i)).map(|(_, thing)| thing).collect()
}

/// One line an estimator: apparent shift against x, repeats as their mean.
fn series_of(study: &Study, x: usize, c: usize, repeated: bool, records: &[&Record]) -> Vec<Series> {
    let at = |r: &Record| study.points()[r.point].values[x].1.number();
    let line = |(estimator, own): (&'static str, Vec<&Record>)| {
        let mut points: Vec<(f64, f64, f64)> = if repeated {
            let same = gathered(own, |r| at(r).unwrap_or(f64::NAN).to_bits());
            same.into_iter().map(|(bits, own)| mean_point(f64::from_bits(bits), c, &own)).collect()
        } else {
            let point = |r: &Record| (at(r).unwrap_or(f64::NAN), r.reported_pm().map_or(f64::NAN, |a| a[c]), r.reported_sigma_pm()[c]);
            own.into_iter().map(point).collect()
        };
        points.sort_by(|a, b| a.0.total_cmp(&b.0));
        let spread: Vec<f64> = points.iter().map(|p| p.2).collect();
        Series {
            label: plain(estimator),
            x: points.iter().map(|p| p.0).collect(),
            y: points.iter().map(|p| p.1).collect(),
            spread: if spread.iter().any(|s| s.is_nan()) { Spread::None } else { Spread::Bars(spread) },
            line: true,
            markers: true,
            dashed: false,
        }
    };
    gathered(records.iter().copied(), |r| r.estimator).into_iter().map(line).collect()
}

/// The mean of repeats at one x, and half its 95 % confidence interval.
fn mean_point(x: f64, c: usize, repeats: &[&Record]) -> (f64, f64, f64) {
    let values: Vec<f64> = repeats.iter().filter_map(|r| r.reported_pm()).map(|a| a[c]).collect();
    match (mean95(&values), values.as_slice()) {
        (Some((mean, half)), _) => (x, mean, half),
        (None, [one]) => (x, *one, f64::NAN),
        (None, _) => (x, f64::NAN, f64::NAN),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_many_panels_the_ends_and_an_even_choice_are_kept() {
        assert_eq!(spread_over((0..5).collect(), 6), [0, 1, 2, 3, 4]);
        let kept = spread_over((0..20).collect::<Vec<_>>(), 6);
        assert_eq!((kept.len(), kept[0], kept[5]), (6, 0, 19));
        assert!(kept.windows(2).all(|w| (3..=5).contains(&(w[1] - w[0]))), "{kept:?}");
    }
}
