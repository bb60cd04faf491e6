//! The figure of a library check: displacements along each held-out strip by multislice and by library, and what they differ by; pm over nm.

use super::RunError;
use super::library_check::{ComparedColumn, Comparison};
use crate::report::{Figure, Legend, LineChart, Panel, Row, Series};

/// One column of panels a scene: B and A columns as measured both ways, and the difference below.
pub(super) fn figure(comparisons: &[Comparison]) -> Result<Figure, RunError> {
    // Strips only: a scene of one cell has nothing along it.
    let shown: Vec<&Comparison> = comparisons.iter().filter(|c| c.columns.iter().any(|k| k.x_nm > 0.5)).collect();
    let row = |y_label: &str, panel: &dyn Fn(&Comparison) -> Panel| Row {
        y_label: y_label.to_owned(),
        panels: shown.iter().map(|c| panel(c)).collect(),
    };
    let chart = LineChart {
        title: "Column displacements along held-out strips, by multislice of the whole strip and by the library, and their difference"
            .to_owned(),
        x_label: "place along the strip (nm)".to_owned(),
        rows: vec![row("displacement along y (pm)", &displacements), row("library − multislice (pm)", &differences)],
        panel_height_mm: 30.0,
        legend: Legend::Above,
        share_y: false,
        ..LineChart::default()
    };
    Ok(chart.draw()?)
}

fn displacements(comparison: &Comparison) -> Panel {
    let line = |label: &str, is_b: bool, value: &dyn Fn(&ComparedColumn) -> f64, line: bool| {
        let columns = || comparison.columns.iter().filter(move |c| c.is_b == is_b);
        Series {
            label: label.to_owned(),
            x: columns().map(|c| c.x_nm).collect(),
            y: columns().map(value).collect(),
            line,
            markers: !line,
            ..Series::default()
        }
    };
    Panel {
        title: comparison.error.scene.clone(),
        series: vec![
            line("B, multislice", true, &|c| c.multislice_pm[1], true),
            line("B, library", true, &|c| c.library_pm[1], false),
            line("A, multislice", false, &|c| c.multislice_pm[1], true),
            line("A, library", false, &|c| c.library_pm[1], false),
        ],
    }
}

fn differences(comparison: &Comparison) -> Panel {
    let line = |label: &str, axis: usize, is_b: bool| {
        let columns = || comparison.columns.iter().filter(move |c| c.is_b == is_b);
        Series {
            label: label.to_owned(),
            x: columns().map(|c| c.x_nm).collect(),
            y: columns().map(|c| c.library_pm[axis] - c.multislice_pm[axis]).collect(),
            line: true,
            markers: true,
            ..Series::default()
        }
    };
    Panel {
        title: String::new(),
        series: vec![line("B, along x", 0, true), line("B, along y", 1, true), line("A, along x", 0, false), line("A, along y", 1, false)],
    }
}
