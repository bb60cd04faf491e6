//! Figures, tables and page of a verdict: regions, what remains of the polarization without its tilt part, and the bound; pm, image axes.

use super::ReportError;
use super::distribution::Histograms;
use super::figure::Figure;
use super::html::{FigureRef, Page, Table};
use super::lines::{LineChart, Panel, Row};
use super::map::{MapCell, MapData, MapStyle};
use super::portrait::{Captioned, Portrait};
use super::series::{Series, Spread};
use super::style::Width;
use crate::artifact::words::pair;
use crate::artifact::{Method, Verdict};
use crate::columns::ColumnLattice;
use crate::image::{Image, whole_file};
use crate::polarization::PolarizationMap;
use std::path::Path;

/// A judged image.
#[derive(Debug, Clone, Copy)]
pub struct VerdictPage<'a> {
    /// The image.
    pub image: &'a Image,
    /// Its map.
    pub map: &'a PolarizationMap,
    /// Its columns.
    pub columns: &'a ColumnLattice,
    /// The verdict.
    pub verdict: &'a Verdict,
    /// The verdict in words.
    pub sentences: &'a [String],
    /// Displacement at the rim of the colour wheel, pm.
    pub legend_pm: f64,
}

impl VerdictPage<'_> {
    /// All figures, in the order of reading.
    pub fn figures(&self) -> Result<Vec<Captioned>, ReportError> {
        let portrait = Portrait { image: self.image, map: self.map, columns: self.columns, legend_pm: self.legend_pm, comparison: None };
        let measured = portrait.map_data();
        let style = |title: &str| MapStyle { title: title.to_owned(), width: Width::Single, legend_pm: self.legend_pm };
        let corrected = self.corrected(&measured);
        let mut out = vec![
            Captioned {
                stem: "measured",
                figure: measured.colour_wheel(&style("Polarization as measured"))?,
                caption: "Displacement of the B column from the mean of its A columns, as measured. Grey cells with a cross: shorter than \
                          twice their uncertainty."
                    .to_owned(),
            },
            Captioned {
                stem: "corrected",
                figure: corrected.colour_wheel(&style("Polarization with the tilt part taken out"))?,
                caption: "The same with the part of the estimated mis-tilt taken out. Grey cells with a cross: shorter than twice the \
                          uncertainty that noise, tilt, thickness, defocus and source size leave."
                    .to_owned(),
            },
            Captioned {
                stem: "regions",
                figure: self.regions(&measured).colour_wheel(&style("Polarization that no allowed mis-tilt fakes"))?,
                caption: format!(
                    "Mean displacement of every region in which it is more than a mis-tilt within {} mrad fakes, or that the estimated tilt \
                     does not explain. Grey cells with a cross: mis-tilt, undecided, noise, or in no region.",
                    self.verdict.max_tilt_mrad
                ),
            },
            Captioned {
                stem: "tilt",
                figure: self.tilts()?,
                caption: "Specimen tilt by each kind of evidence in the image; bars are 95 % intervals.".to_owned(),
            },
            Captioned {
                stem: "budget",
                figure: self.budget()?,
                caption: format!(
                    "Each region along its own direction: measured, the most that a mis-tilt within {} mrad fakes, and what remains without \
                     the tilt part; bars are 95 % intervals.",
                    self.verdict.max_tilt_mrad
                ),
            },
        ];
        // The map with every region's call may hold no polar cell at all: then there is nothing to draw.
        if self.verdict.regions.iter().all(|r| !r.call.is_polar()) {
            out.retain(|c| c.stem != "regions");
        }
        let component = |c: usize| self.verdict.cells.iter().map(|v| v.corrected_pm[c]).collect::<Vec<f64>>();
        if self.verdict.cells.len() > 1 {
            let figure = Histograms {
                title: "Distribution of the displacements with the tilt part taken out".to_owned(),
                px_pm: component(0),
                py_pm: component(1),
                width: Width::Double,
                ..Histograms::default()
            };
            out.push(Captioned {
                stem: "histograms",
                figure: figure.draw()?,
                caption: "How the two components are distributed over the cells once the tilt part is taken out.".to_owned(),
            });
        }
        Ok(out)
    }

    fn corrected(&self, measured: &MapData) -> MapData {
        let cells = measured.cells.iter().zip(&self.verdict.cells).map(|(cell, v)| {
            let [x, y] = v.corrected_pm;
            let length = x.hypot(y).max(f64::MIN_POSITIVE);
            let sigma_pm = (x / length * v.corrected_sigma_pm[0]).hypot(y / length * v.corrected_sigma_pm[1]);
            MapCell { px_pm: x, py_pm: y, sigma_pm, resolved: length >= 2.0 * sigma_pm, ..*cell }
        });
        MapData { pixels: measured.pixels.clone(), cells: cells.collect() }
    }

    fn regions(&self, measured: &MapData) -> MapData {
        let cells = measured.cells.iter().zip(&self.verdict.cells).map(|(cell, v)| {
            let region = v.region.checked_sub(1).map(|n| &self.verdict.regions[n]);
            let [px_pm, py_pm] = region.map_or([0.0; 2], |r| r.corrected_pm.mean);
            MapCell { px_pm, py_pm, resolved: region.is_some_and(|r| r.call.is_polar()), ..*cell }
        });
        MapData { pixels: measured.pixels.clone(), cells: cells.collect() }
    }

    /// Tilt along x and y, a point a method.
    fn tilts(&self) -> Result<Figure, ReportError> {
        let panel = |c: usize, title: &str| Panel {
            title: title.to_owned(),
            series: self
                .verdict
                .tilts
                .iter()
                .enumerate()
                .map(|(n, t)| Series {
                    label: t.method.name().to_owned(),
                    x: vec![n as f64 + 1.0],
                    y: vec![t.mean_mrad[c]],
                    spread: Spread::Bars(vec![1.96 * t.sigma_mrad()[c]]),
                    markers: true,
                    ..Series::default()
                })
                .collect(),
        };
        let row = Row { y_label: "specimen tilt (mrad)".to_owned(), panels: vec![panel(0, "along x"), panel(1, "along y")] };
        let chart = LineChart {
            title: "Specimen tilt by each kind of evidence".to_owned(),
            x_label: "evidence, in the order of the legend".to_owned(),
            rows: vec![row],
            ..LineChart::default()
        };
        chart.draw()
    }

    /// Regions along their own direction.
    fn budget(&self) -> Result<Figure, ReportError> {
        let regions = &self.verdict.regions;
        let numbers: Vec<f64> = regions.iter().map(|r| r.number as f64).collect();
        let along = |v: [f64; 2], m: [f64; 2]| (v[0] * m[0] + v[1] * m[1]) / m[0].hypot(m[1]).max(f64::MIN_POSITIVE);
        let sigma = |c: [f64; 3], m: [f64; 2]| {
            let (length, [x, y]) = (m[0].hypot(m[1]).max(f64::MIN_POSITIVE), m);
            1.96 * ((x * x * c[0] + 2.0 * x * y * c[1] + y * y * c[2]).max(0.0)).sqrt() / length
        };
        let series = |label: &str, y: Vec<f64>, spread: Spread| Series {
            label: label.to_owned(),
            x: numbers.clone(),
            y,
            spread,
            markers: true,
            ..Series::default()
        };
        let panel = Panel {
            title: String::new(),
            series: vec![
                series(
                    "measured",
                    regions.iter().map(|r| along(r.measured_pm, r.measured_pm)).collect(),
                    Spread::Bars(regions.iter().map(|r| sigma(r.measured_covariance_pm2, r.measured_pm)).collect()),
                ),
                series("largest fake", regions.iter().map(|r| r.bound_pm).collect(), Spread::None),
                series(
                    "without the tilt part",
                    regions.iter().map(|r| along(r.corrected_pm.mean, r.measured_pm)).collect(),
                    Spread::Bars(regions.iter().map(|r| sigma(r.corrected_pm.covariance, r.measured_pm)).collect()),
                ),
            ],
        };
        let chart = LineChart {
            title: "Measured, fakeable and remaining polarization of every region".to_owned(),
            x_label: "region".to_owned(),
            rows: vec![Row { y_label: "displacement along its direction (pm)".to_owned(), panels: vec![panel] }],
            width: Width::Single,
            ..LineChart::default()
        };
        chart.draw()
    }

    /// The page with these figures.
    pub fn page(&self, figures: &[Captioned], provenance: Vec<(String, String)>) -> Result<Page, ReportError> {
        let title =
            self.image.metadata.title.clone().or_else(|| self.image.metadata.source_file.clone()).unwrap_or_else(|| "image".to_owned());
        let figures = figures.iter().map(|c| FigureRef::new(&c.figure, &c.caption)).collect::<Result<Vec<_>, _>>()?;
        let with = |v: [f64; 2], c: [f64; 3]| format!("{} ± ({:.1}, {:.1})", pair(v, 1), c[0].max(0.0).sqrt(), c[2].max(0.0).sqrt());
        let rows = self.verdict.regions.iter().map(|r| {
            vec![
                r.number.to_string(),
                r.cells.to_string(),
                with(r.measured_pm, r.measured_covariance_pm2),
                format!("{:.1}", r.bound_pm),
                format!("{:.1}", r.needed_tilt_mrad),
                with(r.tilt_part_pm.mean, r.tilt_part_pm.covariance),
                with(r.corrected_pm.mean, r.corrected_pm.covariance),
                with(r.crystal_pm.mean, r.crystal_pm.covariance),
                r.call.name().to_owned(),
            ]
        });
        let tilts = self.verdict.tilts.iter().map(|t| {
            let s = t.sigma_mrad();
            vec![t.method.name().to_owned(), format!("{} ± ({:.2}, {:.2})", pair(t.mean_mrad, 2), s[0], s[1])]
        });
        let [low, high] = self.verdict.source_fwhm_angstrom;
        let mut settings = vec![
            ("Allowed tilt".to_owned(), format!("up to {} mrad in any direction", self.verdict.max_tilt_mrad)),
            ("Source size".to_owned(), format!("{low:.2} to {high:.2} Å")),
            ("Lattice".to_owned(), format!("first vector at {:.2}° from x toward y", self.verdict.axes.rotation_rad.to_degrees())),
        ];
        settings.extend(self.verdict.reference.map(|(n, m)| ("Reference".to_owned(), format!("{n} cells, mean shift {} pm", pair(m, 2)))));
        Ok(Page {
            title: format!("Verdict on {title}"),
            question: "How much of this polarization could be mis-tilt?".to_owned(),
            setting: String::new(),
            explorer: None,
            answers: self.sentences.to_vec(),
            warnings: self.verdict.warnings.clone(),
            settings,
            figures,
            tables: vec![
                Table {
                    caption: "Regions of like polarization; vectors (x, y) in pm with standard deviations.".to_owned(),
                    columns: [
                        "region",
                        "cells",
                        "measured",
                        "largest fake along it (pm)",
                        "tilt that fakes it (mrad)",
                        "tilt part",
                        "without it",
                        "crystal",
                        "verdict",
                    ]
                    .map(str::to_owned)
                    .to_vec(),
                    rows: rows.collect(),
                },
                Table {
                    caption: "Specimen tilt by each kind of evidence, mrad.".to_owned(),
                    columns: ["evidence", "tilt (x, y)"].map(str::to_owned).to_vec(),
                    rows: tilts.collect(),
                },
            ],
            python: "import pandas as pd\ncells = pd.read_csv(\"cells.csv\")\nregions = pd.read_csv(\"regions.csv\")".to_owned(),
            provenance,
        })
    }
}

/// Writes `cells.csv` and `regions.csv`.
pub fn write_tables(folder: &Path, map: &PolarizationMap, verdict: &Verdict) -> Result<(), ReportError> {
    let number = |v: f64| if v.is_finite() { v.to_string() } else { String::new() };
    let written = |name: &str, header: &[&str], rows: Vec<Vec<String>>| {
        let path = folder.join(name);
        let result = whole_file(&path, |file| {
            let mut table = csv::Writer::from_writer(file);
            table.write_record(header)?;
            for row in rows {
                table.write_record(row)?;
            }
            table.flush()
        });
        result.map_err(|source| ReportError::Write { path, source })
    };
    let cells = verdict.cells.iter().zip(&map.cells).map(|(v, cell)| {
        let mut row: Vec<String> = v.index.iter().map(ToString::to_string).collect();
        row.extend(cell.centre_px.map(number));
        row.push(v.region.to_string());
        row.extend([v.measured_pm, v.corrected_pm, v.corrected_sigma_pm].iter().flatten().copied().map(number));
        row.push(number(v.bound_pm));
        row
    });
    let header = [
        "index_a",
        "index_b",
        "centre_x_px",
        "centre_y_px",
        "region",
        "measured_x_pm",
        "measured_y_pm",
        "corrected_x_pm",
        "corrected_y_pm",
        "corrected_sigma_x_pm",
        "corrected_sigma_y_pm",
        "largest_fake_pm",
    ];
    written("cells.csv", &header, cells.collect())?;
    let regions = verdict.regions.iter().map(|r| {
        let mut row = vec![r.number.to_string(), r.cells.to_string()];
        row.extend(r.centre_px.map(number));
        row.extend(r.measured_pm.map(number));
        row.extend([r.measured_covariance_pm2[0], r.measured_covariance_pm2[2]].map(|v| number(v.sqrt())));
        row.extend([r.bound_pm, r.needed_tilt_mrad].map(number));
        for m in [&r.tilt_part_pm, &r.corrected_pm, &r.crystal_pm] {
            row.extend(m.mean.map(number));
            row.extend([m.covariance[0], m.covariance[2]].map(|v| number(v.max(0.0).sqrt())));
        }
        row.push(r.call.name().to_owned());
        row
    });
    let header = [
        "region",
        "cells",
        "centre_x_px",
        "centre_y_px",
        "measured_x_pm",
        "measured_y_pm",
        "measured_sigma_x_pm",
        "measured_sigma_y_pm",
        "largest_fake_pm",
        "needed_tilt_mrad",
        "tilt_part_x_pm",
        "tilt_part_y_pm",
        "tilt_part_sigma_x_pm",
        "tilt_part_sigma_y_pm",
        "corrected_x_pm",
        "corrected_y_pm",
        "corrected_sigma_x_pm",
        "corrected_sigma_y_pm",
        "crystal_x_pm",
        "crystal_y_pm",
        "crystal_sigma_x_pm",
        "crystal_sigma_y_pm",
        "verdict",
    ];
    written("regions.csv", &header, regions.collect())?;
    let tilts = verdict.tilts.iter().map(|t| {
        let s = t.sigma_mrad();
        let name = serde_json::to_value::<Method>(t.method).ok().and_then(|v| v.as_str().map(str::to_owned)).unwrap_or_default();
        let mut row = vec![name];
        row.extend([t.mean_mrad, s].iter().flatten().copied().map(number));
        row
    });
    written("tilts.csv", &["evidence", "tilt_x_mrad", "tilt_y_mrad", "sigma_x_mrad", "sigma_y_mrad"], tilts.collect())
}
