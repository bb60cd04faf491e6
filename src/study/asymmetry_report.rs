//! What an asymmetry trial leaves: its table, figures and page; how distributions of many cells change with tilt; pm, mrad.

use super::asymmetry_trial::{AsymmetryRow, AsymmetryTrial, Direction};
use crate::artifact::Response;
use crate::report::{Captioned, FigureRef, Histograms, LineChart, Page, Panel, ReportError, Row, Series, Width};

/// Columns of `distributions.csv`.
pub const SHAPE_COLUMNS: [&str; 12] = [
    "ensemble",
    "direction",
    "bend_mrad",
    "tilt_mrad",
    "mean_x_pm",
    "sd_x_pm",
    "skewness_x",
    "positive_x",
    "mean_y_pm",
    "sd_y_pm",
    "skewness_y",
    "positive_y",
];

/// One row an ensemble, bend and tilt.
#[must_use]
pub fn shape_rows(rows: &[AsymmetryRow]) -> Vec<Vec<String>> {
    let one = |r: &AsymmetryRow| {
        let mut row = vec![r.ensemble.name().to_owned(), r.direction.name().to_owned(), r.bend_mrad.to_string(), r.tilt_mrad.to_string()];
        row.extend(r.shapes.iter().flat_map(|s| [s.mean_pm, s.sd_pm, s.skewness, s.positive]).map(|v| v.to_string()));
        row
    };
    rows.iter().map(one).collect()
}

/// Mean, skewness and share of positive cells over tilt, and two distributions.
pub fn asymmetry_figures(trial: &AsymmetryTrial, rows: &[AsymmetryRow], response: &Response) -> Result<Vec<Captioned>, ReportError> {
    let series = |ensemble, direction: Direction, bend: f64, value: fn(&AsymmetryRow) -> f64| {
        let wanted = |r: &&AsymmetryRow| r.ensemble == ensemble && r.direction == direction && r.bend_mrad == bend;
        let of: Vec<&AsymmetryRow> = rows.iter().filter(wanted).collect();
        let foil = if bend == 0.0 { "flat".to_owned() } else { format!("bent by ±{bend} mrad") };
        Series {
            label: format!("{}, {foil}", direction.name()),
            dashed: direction == Direction::Edge,
            x: of.iter().map(|r| r.tilt_mrad).collect(),
            y: of.iter().map(|r| value(r)).collect(),
            line: true,
            markers: true,
            ..Series::default()
        }
    };
    let foils = || trial.directions.iter().flat_map(|d| trial.bend_mrad.iter().map(move |b| (*d, *b)));
    let row = |label: &str, value: fn(&AsymmetryRow) -> f64| Row {
        y_label: label.to_owned(),
        panels: trial
            .ensembles
            .iter()
            .map(|e| Panel { title: e.name().to_owned(), series: foils().map(|(d, b)| series(*e, d, b, value)).collect() })
            .collect(),
    };
    let chart = LineChart {
        title: "Mean, skewness and share of positive values of Px over tilt".to_owned(),
        x_label: "specimen tilt along its direction (mrad)".to_owned(),
        rows: vec![
            row("mean of Px (pm)", |r| r.shapes[0].mean_pm),
            row("skewness of Px", |r| r.shapes[0].skewness),
            row("cells with Px > 0 (%)", |r| 100.0 * r.shapes[0].positive),
        ],
        share_y: false,
        ..LineChart::default()
    };
    let mut out = vec![Captioned {
        stem: "shape-over-tilt",
        figure: chart.draw()?,
        caption: format!(
            "Distribution of Px over {} cells with {} pm of noise each, over the tilt of the specimen, for three kinds of polarization, the tilt \
             along [100] (x) or [110], in a flat foil and in one that is bent one way, which has more of the positive tilt.",
            trial.cells, trial.noise_pm
        ),
    }];
    let (ensemble, bend) = (trial.ensembles[trial.ensembles.len() - 1], trial.bend_mrad[trial.bend_mrad.len() - 1]);
    for (stem, tilt, text) in [("upright", 0.0, "without tilt"), ("tilted", trial.tilt_mrad, "at the largest tilt")] {
        let direction = trial.directions[trial.directions.len() - 1];
        let shifts = trial.shifts(response, ensemble, direction, tilt, if tilt == 0.0 { 0.0 } else { bend });
        let figure = Histograms {
            title: format!("Distribution of the displacements {text}"),
            px_pm: shifts.iter().map(|s| s[0]).collect(),
            py_pm: shifts.iter().map(|s| s[1]).collect(),
            width: Width::Double,
            ..Histograms::default()
        };
        let caption = if tilt == 0.0 {
            format!("{}: the distributions {text}.", ensemble.name())
        } else {
            format!(
                "{}: the distributions {text} of {tilt} mrad along {}, in a foil bent by ±{bend} mrad.",
                ensemble.name(),
                direction.name()
            )
        };
        out.push(Captioned { stem, figure: figure.draw()?, caption });
    }
    Ok(out)
}

/// Key sentences: what the largest tilt does to each ensemble.
#[must_use]
pub fn asymmetry_answers(trial: &AsymmetryTrial, rows: &[AsymmetryRow]) -> Vec<String> {
    let mut out = Vec::new();
    for &ensemble in &trial.ensembles {
        for &direction in &trial.directions {
            for &bend in &trial.bend_mrad {
                let at = |tilt: f64| {
                    let same = |r: &&AsymmetryRow| r.ensemble == ensemble && r.direction == direction && r.bend_mrad == bend;
                    rows.iter().filter(same).find(|r| (r.tilt_mrad - tilt).abs() < 1e-9)
                };
                let (Some(low), Some(none), Some(high)) = (at(-trial.tilt_mrad), at(0.0), at(trial.tilt_mrad)) else { continue };
                let foil = if bend == 0.0 { "flat".to_owned() } else { format!("bent by ±{bend} mrad") };
                let three = |f: fn(&AsymmetryRow) -> f64, decimals: usize| {
                    format!("{:+.decimals$} / {:+.decimals$} / {:+.decimals$}", f(low), f(none), f(high)).replace('-', "−")
                };
                out.push(format!(
                    "{}, tilt along {}, {foil}: at −{t}, 0 and +{t} mrad the mean of Px is {} pm, its skewness {}, and {:.0} / {:.0} / {:.0} % of \
                     the cells are positive.",
                    ensemble.name(),
                    direction.name(),
                    three(|r| r.shapes[0].mean_pm, 1),
                    three(|r| r.shapes[0].skewness, 2),
                    100.0 * low.shapes[0].positive,
                    100.0 * none.shapes[0].positive,
                    100.0 * high.shapes[0].positive,
                    t = trial.tilt_mrad,
                ));
            }
        }
    }
    out
}

/// The page of an asymmetry trial.
pub fn asymmetry_page(
    trial: &AsymmetryTrial,
    figures: &[Captioned],
    answers: Vec<String>,
    provenance: Vec<(String, String)>,
) -> Result<Page, ReportError> {
    Ok(Page {
        title: trial.name.clone(),
        question: trial.question.clone(),
        answers,
        settings: vec![(
            "Specimen".to_owned(),
            format!(
                "{}, {} nm, source {} Å, noise {} pm a cell",
                trial.structure, trial.thickness_nm, trial.source_fwhm_angstrom, trial.noise_pm
            ),
        )],
        figures: figures.iter().map(|c| FigureRef::new(&c.figure, &c.caption)).collect::<Result<Vec<_>, _>>()?,
        python: "import pandas as pd\ndistributions = pd.read_csv(\"distributions.csv\")".to_owned(),
        provenance,
        ..Page::default()
    })
}
