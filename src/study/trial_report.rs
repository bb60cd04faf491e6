//! What a trial of the verdict leaves: tables, figures and a page; estimated against true tilt, calls and errors of the rules; pm, mrad.

use super::trial::VerdictTrial;
use crate::artifact::Method;
use crate::artifact::scores::{Rule, RuleScore, TiltScore, rule_scores, tilt_scores};
use crate::artifact::trial::{BentOutcome, Made, Outcome};
use crate::report::{Captioned, FigureRef, LineChart, Page, Panel, ReportError, Row, Series, Spread, Table};

/// Columns of `images.csv`.
pub const IMAGE_COLUMNS: [&str; 15] = [
    "image",
    "made",
    "pattern",
    "dose_electrons_per_square_angstrom",
    "thickness_nm",
    "source_fwhm_angstrom",
    "evidence",
    "true_tilt_x_mrad",
    "true_tilt_y_mrad",
    "tilt_x_mrad",
    "tilt_y_mrad",
    "sigma_x_mrad",
    "sigma_y_mrad",
    "tells_x",
    "tells_y",
];

/// One row an image and kind of evidence.
#[must_use]
pub fn image_rows(outcomes: &[Outcome]) -> Vec<Vec<String>> {
    let mut rows = Vec::new();
    for (n, o) in outcomes.iter().enumerate() {
        for t in &o.tilts {
            let name = serde_json::to_value(t.method).ok().and_then(|v| v.as_str().map(str::to_owned)).unwrap_or_default();
            let mut row = vec![n.to_string(), o.made.name().to_owned(), o.pattern.name().to_owned(), o.dose.to_string()];
            row.extend([o.thickness_nm.to_string(), o.source_fwhm_angstrom.to_string(), name]);
            row.extend([o.tilt_mrad, t.mean_mrad, t.sigma_mrad].iter().flatten().map(ToString::to_string));
            row.extend(t.tells.map(|t| u8::from(t).to_string()));
            rows.push(row);
        }
    }
    rows
}

/// Columns of `regions.csv`.
pub const REGION_COLUMNS: [&str; 30] = [
    "image",
    "made",
    "pattern",
    "dose_electrons_per_square_angstrom",
    "true_tilt_x_mrad",
    "true_tilt_y_mrad",
    "cells",
    "true_x_pm",
    "true_y_pm",
    "upright_x_pm",
    "upright_y_pm",
    "measured_x_pm",
    "measured_y_pm",
    "sigma_x_pm",
    "sigma_y_pm",
    "less_mean_x_pm",
    "less_mean_y_pm",
    "corrected_x_pm",
    "corrected_y_pm",
    "corrected_sigma_x_pm",
    "corrected_sigma_y_pm",
    "crystal_x_pm",
    "crystal_y_pm",
    "crystal_sigma_x_pm",
    "crystal_sigma_y_pm",
    "network_upright_x_pm",
    "network_upright_y_pm",
    "network_mixed_x_pm",
    "network_mixed_y_pm",
    "verdict",
];

/// One row a region.
#[must_use]
pub fn region_rows(outcomes: &[Outcome]) -> Vec<Vec<String>> {
    let mut rows = Vec::new();
    for (n, o) in outcomes.iter().enumerate() {
        for r in &o.regions {
            let mut row = vec![n.to_string(), o.made.name().to_owned(), o.pattern.name().to_owned(), o.dose.to_string()];
            row.extend(o.tilt_mrad.map(|v| v.to_string()));
            row.push(r.cells.to_string());
            let vectors = [
                r.true_pm,
                r.upright_pm,
                r.measured_pm,
                r.sigma_pm,
                r.less_mean_pm,
                r.corrected_pm,
                r.corrected_sigma_pm,
                r.crystal_pm,
                r.crystal_sigma_pm,
            ];
            row.extend(vectors.iter().flatten().map(ToString::to_string));
            row.extend(r.networks.iter().flat_map(|n| n.map_or([String::new(), String::new()], |n| n.mean_pm.map(|v| v.to_string()))));
            row.push(r.call.name().to_owned());
            rows.push(row);
        }
    }
    rows
}

/// Images of tiles, whose crystal is the verdict's: figures and scores are theirs.
#[must_use]
pub fn of_tiles(outcomes: &[Outcome]) -> Vec<Outcome> {
    outcomes.iter().filter(|o| o.made == Made::Tiles).cloned().collect()
}

fn all(outcomes: &[Outcome]) -> Vec<&Outcome> {
    outcomes.iter().collect()
}

fn doses(outcomes: &[Outcome]) -> Vec<f64> {
    let mut list: Vec<f64> = outcomes.iter().map(|o| o.dose).collect();
    list.sort_by(f64::total_cmp);
    list.dedup();
    list
}

/// Estimated against true tilt, and the calls and errors of the rules over the size of the tilt.
pub fn verdict_figures(trial: &VerdictTrial, outcomes: &[Outcome]) -> Result<Vec<Captioned>, ReportError> {
    let doses = doses(outcomes);
    let largest = trial.truth.tilt_mrad.iter().copied().fold(0.1, f64::max);
    let tilt_panel = |dose: f64, method: Method| {
        let mut points: Vec<(f64, f64, f64)> = Vec::new();
        for o in outcomes.iter().filter(|o| o.dose == dose) {
            for t in o.tilts.iter().filter(|t| t.method == method) {
                points.extend((0..2).filter(|&c| t.tells[c]).map(|c| (o.tilt_mrad[c], t.mean_mrad[c], 1.96 * t.sigma_mrad[c])));
            }
        }
        points.sort_by(|a, b| a.0.total_cmp(&b.0));
        // Images of one true tilt stand side by side.
        let spread = 0.06 * largest;
        let mut x: Vec<f64> = points.iter().map(|p| p.0).collect();
        let mut from = 0;
        while from < x.len() {
            let to = (from..points.len()).take_while(|&i| points[i].0 - points[from].0 < 1e-9).last().unwrap_or(from) + 1;
            let n = (to - from) as f64;
            for (k, slot) in x[from..to].iter_mut().enumerate() {
                *slot += spread * ((k as f64 + 0.5) / n - 0.5);
            }
            from = to;
        }
        let reach = largest;
        Panel {
            title: method.name().to_owned(),
            series: vec![
                Series {
                    label: "estimate with 95 % interval".to_owned(),
                    x,
                    y: points.iter().map(|p| p.1).collect(),
                    spread: Spread::Bars(points.iter().map(|p| p.2).collect()),
                    markers: true,
                    ..Series::default()
                },
                Series {
                    label: "truth".to_owned(),
                    x: vec![-reach, reach],
                    y: vec![-reach, reach],
                    line: true,
                    dashed: true,
                    ..Series::default()
                },
            ],
        }
    };
    let used: Vec<Method> = Method::ALL.into_iter().filter(|m| outcomes.iter().any(|o| o.tilts.iter().any(|t| t.method == *m))).collect();
    let row =
        |dose: &f64| Row { y_label: format!("tilt at {dose} e/Å² (mrad)"), panels: used.iter().map(|m| tilt_panel(*dose, *m)).collect() };
    let tilt = LineChart {
        title: "Estimated against true tilt for each kind of evidence and dose".to_owned(),
        x_label: "true specimen tilt along x or y (mrad)".to_owned(),
        rows: doses.iter().map(row).collect(),
        zero_line: false,
        ..LineChart::default()
    };
    let rules = rules_chart(outcomes, &doses);
    Ok(vec![
        Captioned {
            stem: "tilt",
            figure: tilt.draw()?,
            caption:
                "Tilt as the verdict estimates it from each kind of evidence, against the truth; components of which the evidence claims \
                      to know nothing are left out."
                    .to_owned(),
        },
        Captioned {
            stem: "rules",
            figure: rules.draw()?,
            caption: "False alarms: unpolarized regions called polarized. Missed: polarized regions not called so. Error: distance of the \
                      polarization from the truth, a component. The mean is subtracted over the whole image; the verdict takes the \
                      estimated tilt's part away."
                .to_owned(),
        },
    ])
}

/// False alarms, misses and errors over the size of the tilt, a panel a dose.
fn rules_chart(outcomes: &[Outcome], doses: &[f64]) -> LineChart {
    type Value = fn(&RuleScore) -> f64;
    let mut sizes: Vec<f64> = outcomes.iter().map(|o| (1e3 * o.tilt_mrad[0].hypot(o.tilt_mrad[1])).round() / 1e3).collect();
    sizes.sort_by(f64::total_cmp);
    sizes.dedup();
    let of_size = |dose: f64, size: f64| -> Vec<&Outcome> {
        let near = |o: &&Outcome| o.dose == dose && (o.tilt_mrad[0].hypot(o.tilt_mrad[1]) - size).abs() < 2e-3;
        outcomes.iter().filter(near).collect()
    };
    let rule_panel = |dose: f64, value: Value| {
        let scores: Vec<Vec<RuleScore>> = sizes.iter().map(|s| rule_scores(&of_size(dose, *s))).collect();
        let one = |n: usize| Series {
            label: scores[0][n].rule.name().to_owned(),
            x: sizes.clone(),
            y: scores.iter().map(|s| value(&s[n])).collect(),
            line: true,
            markers: true,
            ..Series::default()
        };
        Panel { title: format!("{dose} e/Å²"), series: (0..scores[0].len()).map(one).collect() }
    };
    let rows: [(&str, Value); 3] =
        [("false alarms (%)", |s| 100.0 * s.false_alarms), ("missed (%)", |s| 100.0 * s.missed), ("rms error (pm)", |s| s.rms_pm)];
    let has = |f: Value| rule_scores(&all(outcomes)).iter().any(|s| f(s).is_finite());
    LineChart {
        title: "False alarms, misses and errors over the size of the tilt".to_owned(),
        x_label: "size of the true tilt (mrad)".to_owned(),
        rows: rows
            .iter()
            .filter(|(_, f)| has(*f))
            .map(|(label, f)| Row { y_label: (*label).to_owned(), panels: doses.iter().map(|d| rule_panel(*d, *f)).collect() })
            .collect(),
        share_y: false,
        ..LineChart::default()
    }
}

/// Key sentences.
#[must_use]
pub fn verdict_answers(outcomes: &[Outcome]) -> Vec<String> {
    let mut out = Vec::new();
    for s in tilt_scores(&all(outcomes)) {
        out.push(format!(
            "Tilt from {}: within its 95 % interval in {:.0} % of {} components; bias {:+.2} ± {:.2} mrad, slope {:.2}, rms error {:.2} mrad where {:.2} mrad \
             are claimed.",
            if s.method == Method::Together { "all evidence".to_owned() } else { format!("the {}", s.method.name()) },
            100.0 * s.coverage,
            s.count,
            s.bias_mrad,
            s.bias_error_mrad,
            s.slope,
            s.rms_mrad,
            s.sigma_mrad
        ));
    }
    let percent = |v: f64, n: usize| if n == 0 { "no case".to_owned() } else { format!("{:.0} % of {n}", 100.0 * v) };
    for s in rule_scores(&all(outcomes)) {
        out.push(format!(
            "{}: false alarms {}, missed {}; {:.2} pm rms from the true polarization, {:.2} pm from what the upright crystal shows.",
            s.rule.name(),
            percent(s.false_alarms, s.unpolarized),
            percent(s.missed, s.polarized),
            s.rms_pm,
            s.rms_from_upright_pm
        ));
    }
    out
}

fn tilt_table(outcomes: &[Outcome]) -> Table {
    let line = |dose: f64, pattern: &str, s: &TiltScore| {
        vec![
            dose.to_string(),
            pattern.to_owned(),
            s.method.name().to_owned(),
            s.count.to_string(),
            format!("{:.0}", 100.0 * s.coverage),
            format!("{:+.2} ± {:.2}", s.bias_mrad, s.bias_error_mrad),
            format!("{:.2}", s.slope),
            format!("{:.2}", s.rms_mrad),
            format!("{:.2}", s.sigma_mrad),
        ]
    };
    let mut rows = Vec::new();
    let mut patterns: Vec<&str> = Vec::new();
    for o in outcomes {
        if !patterns.contains(&o.pattern.name()) {
            patterns.push(o.pattern.name());
        }
    }
    for dose in doses(outcomes) {
        for pattern in &patterns {
            let scores = tilt_scores(&outcomes.iter().filter(|o| o.dose == dose && o.pattern.name() == *pattern).collect::<Vec<_>>());
            rows.extend(scores.iter().map(|s| line(dose, pattern, s)));
        }
    }
    Table {
        caption: "Tilt estimates by dose, pattern and evidence.".to_owned(),
        columns: [
            "dose (e/Å²)",
            "pattern",
            "evidence",
            "components",
            "within 95 % (%)",
            "bias (mrad)",
            "slope",
            "rms error (mrad)",
            "claimed σ (mrad)",
        ]
        .map(str::to_owned)
        .to_vec(),
        rows,
    }
}

fn rule_table(outcomes: &[Outcome]) -> Table {
    let percent = |v: f64| if v.is_finite() { format!("{:.0}", 100.0 * v) } else { String::new() };
    let mut rows = Vec::new();
    for dose in doses(outcomes) {
        for s in rule_scores(&outcomes.iter().filter(|o| o.dose == dose).collect::<Vec<_>>()) {
            rows.push(vec![
                dose.to_string(),
                s.rule.name().to_owned(),
                s.unpolarized.to_string(),
                percent(s.false_alarms),
                s.polarized.to_string(),
                percent(s.missed),
                format!("{:.2}", s.rms_pm),
                format!("{:.2}", s.rms_from_upright_pm),
            ]);
        }
    }
    Table {
        caption: "Calls and errors by dose and rule.".to_owned(),
        columns: [
            "dose (e/Å²)",
            "rule",
            "unpolarized regions",
            "false alarms (%)",
            "polarized regions",
            "missed (%)",
            "rms error (pm)",
            "rms from upright (pm)",
        ]
        .map(str::to_owned)
        .to_vec(),
        rows,
    }
}

/// Columns of `bent.csv`.
pub const BENT_COLUMNS: [&str; 9] = [
    "image",
    "pattern",
    "dose_electrons_per_square_angstrom",
    "bend_x_mrad",
    "bend_y_mrad",
    "evidence",
    "cells",
    "true_change_pm",
    "left_change_pm",
];

/// One row an image of a bent foil.
#[must_use]
pub fn bent_rows(bent: &[BentOutcome]) -> Vec<Vec<String>> {
    let one = |(n, b): (usize, &BentOutcome)| {
        let mut row = vec![n.to_string(), b.pattern.name().to_owned(), b.dose.to_string()];
        row.extend(b.stand.bend_mrad.map(|v| v.to_string()));
        row.extend([b.evidence.to_string(), b.cells.to_string(), b.true_change_pm.to_string(), b.left_change_pm.to_string()]);
        row
    };
    bent.iter().enumerate().map(one).collect()
}

/// Sentences on scenes and bent foils.
#[must_use]
pub fn other_answers(outcomes: &[Outcome], bent: &[BentOutcome]) -> Vec<String> {
    let mut out = Vec::new();
    for made in [Made::SceneLibrary, Made::SceneMultislice] {
        let own: Vec<&Outcome> = outcomes.iter().filter(|o| o.made == made).collect();
        let tilt = tilt_scores(&own).into_iter().find(|s| s.method == Method::Together);
        let tilt = tilt.map_or_else(
            || "the tilt is not told".to_owned(),
            |s| format!("the tilt is within its 95 % interval in {:.0} % of {} components", 100.0 * s.coverage, s.count),
        );
        let scores = rule_scores(&own);
        for s in scores.iter().filter(|s| s.rule == Rule::Verdict && !own.is_empty()) {
            out.push(format!(
                "{} ({} images): {tilt}; false alarms {} of {}, missed {} of {}.",
                made.name(),
                own.len(),
                count(s.false_alarms, s.unpolarized),
                s.unpolarized,
                count(s.missed, s.polarized),
                s.polarized
            ));
        }
    }
    let mean = |list: &[&BentOutcome], f: fn(&BentOutcome) -> f64| {
        (list.iter().map(|b| f(b).powi(2)).sum::<f64>() / list.len().max(1) as f64).sqrt()
    };
    let mut bends: Vec<f64> = bent.iter().map(|b| b.stand.bend_mrad[0]).collect();
    bends.sort_by(f64::total_cmp);
    bends.dedup();
    for bend in bends {
        let own: Vec<&BentOutcome> = bent.iter().filter(|b| b.stand.bend_mrad[0] == bend).collect();
        out.push(format!(
            "Foils bent by ±{bend} mrad ({} images): the bend changes the shift by {:.2} pm rms over the image, of which its fit leaves {:.2}; it is \
             called very strong in {}.",
            own.len(),
            mean(&own, |b| b.true_change_pm),
            mean(&own, |b| b.left_change_pm),
            own.iter().filter(|b| b.evidence > 10.0).count()
        ));
    }
    out
}

fn count(fraction: f64, of: usize) -> usize {
    if of == 0 { 0 } else { (fraction * of as f64).round() as usize }
}

/// The page of a trial of the verdict.
pub fn verdict_page(
    trial: &VerdictTrial,
    outcomes: &[Outcome],
    figures: &[Captioned],
    answers: Vec<String>,
    provenance: Vec<(String, String)>,
) -> Result<Page, ReportError> {
    let (truth, told) = (&trial.truth, &trial.told);
    Ok(Page {
        title: trial.name.clone(),
        question: trial.question.clone(),
        answers,
        settings: vec![
            (
                "Truth".to_owned(),
                format!(
                    "{}, {:?} nm, defocus {} nm, source {} to {} Å, row jitter {} pm",
                    truth.structure,
                    truth.thickness_nm,
                    truth.defocus_nm,
                    truth.source_fwhm_angstrom[0],
                    truth.source_fwhm_angstrom[1],
                    truth.row_jitter_pm
                ),
            ),
            (
                "Told".to_owned(),
                format!(
                    "{} to {} nm, defocus {} to {} nm, source {} to {} Å, tilt up to {} mrad",
                    told.thickness_nm[0],
                    told.thickness_nm[1],
                    told.defocus_nm[0],
                    told.defocus_nm[1],
                    told.source_fwhm_angstrom[0],
                    told.source_fwhm_angstrom[1],
                    told.max_tilt_mrad
                ),
            ),
            (
                "Images".to_owned(),
                format!(
                    "{} of {} × {} cells, {} pm a pixel",
                    outcomes.len(),
                    trial.images.cells,
                    trial.images.cells,
                    trial.images.pixel_pm
                ),
            ),
        ],
        figures: figures.iter().map(|c| FigureRef::new(&c.figure, &c.caption)).collect::<Result<Vec<_>, _>>()?,
        tables: vec![tilt_table(outcomes), rule_table(outcomes)],
        python: "import pandas as pd\nimages = pd.read_csv(\"images.csv\")\nregions = pd.read_csv(\"regions.csv\")".to_owned(),
        provenance,
        ..Page::default()
    })
}
