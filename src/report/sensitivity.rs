//! Figures, table and page of the tilt sensitivity: what a mis-tilt fakes over tilt and thickness; pm, mrad, nm.

use super::lines::{LineChart, Panel, Row};
use super::portrait::Captioned;
use super::series::{Series, Spread};
use super::{FigureRef, Page, ReportError, Table};
use crate::artifact::{Sensitivity, TiltLibrary};
use crate::columns::Estimator;

/// Columns of `sensitivity.csv`.
pub const COLUMNS: [&str; 24] = [
    "thickness_nm",
    "defocus_nm",
    "source_fwhm_angstrom",
    "estimator",
    "dpx_dtx_pm_per_mrad",
    "dpx_dty_pm_per_mrad",
    "dpy_dtx_pm_per_mrad",
    "dpy_dty_pm_per_mrad",
    "sampling_sigma_dpx_dtx_pm_per_mrad",
    "sampling_sigma_dpx_dty_pm_per_mrad",
    "sampling_sigma_dpy_dtx_pm_per_mrad",
    "sampling_sigma_dpy_dty_pm_per_mrad",
    "d2px_dtx2_pm_per_mrad2",
    "d2px_dtxdty_pm_per_mrad2",
    "d2px_dty2_pm_per_mrad2",
    "d2py_dtx2_pm_per_mrad2",
    "d2py_dtxdty_pm_per_mrad2",
    "d2py_dty2_pm_per_mrad2",
    "offset_x_pm",
    "offset_y_pm",
    "sampling_sigma_offset_x_pm",
    "sampling_sigma_offset_y_pm",
    "misfit_x_pm",
    "misfit_y_pm",
];

/// One row of `sensitivity.csv`; unknown values are empty.
#[must_use]
pub fn record(row: &Sensitivity, estimator: &str) -> Vec<String> {
    let number = |v: f64| if v.is_finite() { v.to_string() } else { String::new() };
    let head = [row.thickness_nm, row.defocus_nm, row.source_fwhm_angstrom].map(number);
    let flat = |pairs: &[[f64; 2]; 2]| pairs.iter().flatten().copied().map(number).collect::<Vec<_>>();
    let mut out: Vec<String> = head.into_iter().chain([estimator.to_owned()]).collect();
    out.extend(flat(&row.slope_pm_per_mrad));
    out.extend(flat(&row.slope_sigma_pm_per_mrad));
    out.extend(row.curvature_pm_per_mrad2.iter().flatten().copied().map(number));
    out.extend([row.offset_pm, row.offset_sigma_pm, row.misfit_pm].iter().flatten().copied().map(number));
    out
}

fn name(estimator: Estimator) -> &'static str {
    match estimator {
        Estimator::CellFit => "cell fit",
        Estimator::Gaussian => "Gaussian",
        Estimator::RoundGaussian => "round Gaussian",
        Estimator::CentreOfMass => "centre of mass",
        Estimator::RawCentreOfMass => "raw centre of mass",
        Estimator::Maximum => "maximum",
    }
}

/// What a tilt along x fakes along x, a panel a thickness; and the slopes over thickness, a panel a defocus. The first source size is shown.
pub fn figures(rows: &[Sensitivity], tilt_mrad: f64) -> Result<Vec<Captioned>, ReportError> {
    let distinct = |f: &dyn Fn(&Sensitivity) -> f64| {
        let mut list: Vec<f64> = rows.iter().map(f).collect();
        list.sort_by(f64::total_cmp);
        list.dedup();
        list
    };
    let (thicknesses, defoci) = (distinct(&|r| r.thickness_nm), distinct(&|r| r.defocus_nm));
    let source = rows.first().map_or(0.0, |r| r.source_fwhm_angstrom);
    let shown: Vec<&Sensitivity> = rows.iter().filter(|r| r.source_fwhm_angstrom == source).collect();
    let mut estimators: Vec<Estimator> = Vec::new();
    for row in &shown {
        if !estimators.contains(&row.estimator) {
            estimators.push(row.estimator);
        }
    }
    let middle = defoci[defoci.len() / 2];
    let tilts: Vec<f64> = (-20..=20).map(|i| tilt_mrad * f64::from(i) / 20.0).collect();
    let curve = |row: &&Sensitivity, component: usize| {
        let polynomial = row.polynomials[component].from_zero();
        let along = |t: f64| if component == 0 { [t, 0.0] } else { [0.0, t] };
        Series {
            label: name(row.estimator).to_owned(),
            x: tilts.clone(),
            y: tilts.iter().map(|t| polynomial.value(along(*t))).collect(),
            line: true,
            ..Series::default()
        }
    };
    let at = |t: f64, component: usize| Panel {
        title: format!("{t:.0} nm"),
        series: shown.iter().filter(|r| r.thickness_nm == t && r.defocus_nm == middle).map(|r| curve(r, component)).collect(),
    };
    let few: Vec<f64> = if thicknesses.len() > 5 {
        thicknesses.iter().copied().step_by(thicknesses.len().div_ceil(5)).collect()
    } else {
        thicknesses.clone()
    };
    let row =
        |component: usize, y_label: &str| Row { y_label: y_label.to_owned(), panels: few.iter().map(|t| at(*t, component)).collect() };
    let fake = LineChart {
        title: "Shift faked by a mis-tilt over tilt, for each thickness and estimator".to_owned(),
        x_label: "specimen tilt along the same axis (mrad)".to_owned(),
        rows: vec![row(0, "fake shift, x (pm)"), row(1, "fake shift, y (pm)")],
        ..LineChart::default()
    };
    let slopes = |component: usize, defocus: f64, estimator: Estimator| {
        let of: Vec<&&Sensitivity> = shown.iter().filter(|r| r.defocus_nm == defocus && r.estimator == estimator).collect();
        Series {
            label: name(estimator).to_owned(),
            x: of.iter().map(|r| r.thickness_nm).collect(),
            y: of.iter().map(|r| r.slope_pm_per_mrad[component][component]).collect(),
            spread: Spread::Bars(of.iter().map(|r| 1.96 * r.slope_sigma_pm_per_mrad[component][component]).collect()),
            line: true,
            markers: true,
            ..Series::default()
        }
    };
    let few_foci: Vec<f64> = if defoci.len() > 5 { defoci.iter().copied().step_by(defoci.len().div_ceil(5)).collect() } else { defoci };
    let panel = |component: usize, defocus: f64| Panel {
        title: if few_foci.len() > 1 { format!("defocus {defocus:.0} nm") } else { String::new() },
        series: estimators.iter().map(|e| slopes(component, defocus, *e)).collect(),
    };
    let slope_row = |component: usize, y_label: &str| Row {
        y_label: y_label.to_owned(),
        panels: few_foci.iter().map(|f| panel(component, *f)).collect(),
    };
    let over_thickness = LineChart {
        title: "Tilt sensitivity over thickness, for each defocus and estimator".to_owned(),
        x_label: "thickness (nm)".to_owned(),
        rows: vec![slope_row(0, "∂Px/∂θx (pm/mrad)"), slope_row(1, "∂Py/∂θy (pm/mrad)")],
        ..LineChart::default()
    };
    Ok(vec![
        Captioned {
            stem: "fake-shift",
            figure: fake.draw()?,
            caption: format!(
                "Shift of B against A that a mis-tilt adds to the untilted measurement, at a defocus of {middle:.0} nm and a source of \
                 {source:.2} Å. Every estimator answers the skewed columns in its own way."
            ),
        },
        Captioned {
            stem: "sensitivity",
            figure: over_thickness.draw()?,
            caption: "Slope of that shift at zero tilt over the thickness of the specimen; bars are 95 % intervals of the sampling error."
                .to_owned(),
        },
    ])
}

/// The page: rows as a table with the figures.
pub fn page(
    library: &TiltLibrary,
    rows: &[Sensitivity],
    captioned: &[Captioned],
    provenance: &serde_json::Value,
) -> Result<Page, ReportError> {
    let header = &library.header;
    let with_sigma = |v: f64, s: f64| if s.is_finite() { format!("{v:+.3} ± {s:.3}") } else { format!("{v:+.3}") };
    let line = |r: &Sensitivity| {
        let (s, e) = (r.slope_pm_per_mrad, r.slope_sigma_pm_per_mrad);
        vec![
            format!("{:.1}", r.thickness_nm),
            format!("{:.1}", r.defocus_nm),
            format!("{:.2}", r.source_fwhm_angstrom),
            name(r.estimator).to_owned(),
            with_sigma(s[0][0], e[0][0]),
            with_sigma(s[0][1], e[0][1]),
            with_sigma(s[1][0], e[1][0]),
            with_sigma(s[1][1], e[1][1]),
            format!("{:+.4}", r.curvature_pm_per_mrad2[0][0]),
            format!("{:+.4}", r.curvature_pm_per_mrad2[1][2]),
            format!("({:+.2}, {:+.2})", r.offset_pm[0], r.offset_pm[1]),
        ]
    };
    let worst = rows.iter().max_by(|a, b| a.largest_fake_pm(1.0).total_cmp(&b.largest_fake_pm(1.0)));
    let answers = worst.map(|r| {
        format!(
            "A milliradian of mis-tilt fakes at most {:.2} pm ({}, {:.0} nm, defocus {:.0} nm); 5 mrad fake {:.1} pm.",
            r.largest_fake_pm(1.0),
            name(r.estimator),
            r.thickness_nm,
            r.defocus_nm,
            r.largest_fake_pm(5.0)
        )
    });
    let c = &header.conditions;
    let warnings = (header.lost > 0.02).then(|| format!("{:.1} % of the beam left through the band limit.", 100.0 * header.lost));
    Ok(Page {
        title: format!("Tilt sensitivity of {}", header.crystal.0),
        question: "How many picometres of polarization does a milliradian of mis-tilt fake?".to_owned(),
        setting: String::new(),
        explorer: None,
        answers: answers.into_iter().collect(),
        warnings: warnings.into_iter().collect(),
        settings: vec![
            ("Crystal".to_owned(), format!("{} ({})", header.crystal.0, header.crystal.1)),
            ("Beam".to_owned(), format!("{} kV, {} mrad", c.voltage_kv, c.convergence_mrad)),
            ("Detector".to_owned(), format!("{} to {} mrad", c.detector_mrad[0], c.detector_mrad[1])),
            ("Tilts".to_owned(), format!("{} up to {} mrad", header.tilts_mrad.len(), c.tilt_mrad)),
            (
                "k-points, phonon pairs each".to_owned(),
                format!("{} × {}, {}", c.numerics.k_points[0], c.numerics.k_points[1], c.numerics.phonon_pairs),
            ),
            (
                "Convention".to_owned(),
                "P_i(θ) = P_i(0) + S_ij θ_j + ½ H_ijk θ_j θ_k; x right, y down; at depth z a column stands at +θ z".to_owned(),
            ),
        ],
        figures: captioned.iter().map(|c| FigureRef::new(&c.figure, &c.caption)).collect::<Result<Vec<_>, _>>()?,
        tables: vec![Table {
            caption: "Slopes with their sampling error, curvature, and what is measured beyond the true shift at zero tilt.".to_owned(),
            columns: [
                "thickness (nm)",
                "defocus (nm)",
                "source (Å)",
                "estimator",
                "∂Px/∂θx (pm/mrad)",
                "∂Px/∂θy",
                "∂Py/∂θx",
                "∂Py/∂θy",
                "∂²Px/∂θx² (pm/mrad²)",
                "∂²Py/∂θy²",
                "offset (pm)",
            ]
            .map(str::to_owned)
            .to_vec(),
            rows: rows.iter().map(line).collect(),
        }],
        python: "import pandas as pd\nsensitivity = pd.read_csv(\"sensitivity.csv\")".to_owned(),
        provenance: ["program", "commit", "library"]
            .iter()
            .map(|k| ((*k).to_owned(), provenance[*k].as_str().unwrap_or_default().to_owned()))
            .collect(),
    })
}
