//! The figures and the page of one measured image: columns over the image, polarization maps, uncertainty, distributions, comparison with a
//! truth; displacements in pm, x right, y down.

use super::distribution::{Histograms, Parity};
use super::html::{FigureRef, Page, Table};
use super::image_panel::{Arrow, ColumnMark, ImagePanel, ImageRow, Marker};
use super::map::{MapCell, MapData, MapStyle};
use super::picture::Pixels;
use super::style::Width;
use super::{Figure, ReportError};
use crate::columns::{ColumnLattice, ColumnStatus, LatticeColumn};
use crate::crystal::Site;
use crate::image::Image;
use crate::polarization::{Cell, ChargeModel, Comparison, PolarizationMap};

/// Cells across the enlarged part of the image.
const INSET_CELLS: f64 = 4.0;

/// Everything that was measured on an image.
#[derive(Debug, Clone, Copy)]
pub struct Portrait<'a> {
    /// The image.
    pub image: &'a Image,
    /// Its polarization map; it must have a pixel size.
    pub map: &'a PolarizationMap,
    /// Its columns.
    pub columns: &'a ColumnLattice,
    /// Displacement at the rim of the colour wheel, pm.
    pub legend_pm: f64,
    /// The map against the truth that came with the image.
    pub comparison: Option<&'a Comparison>,
}

/// A figure with its file name (no ending) and caption.
#[derive(Debug, Clone)]
pub struct Captioned {
    /// File name without ending.
    pub stem: &'static str,
    /// The figure.
    pub figure: Figure,
    /// What to see in it.
    pub caption: String,
}

impl Portrait<'_> {
    /// All figures, in the order of reading.
    pub fn figures(&self) -> Result<Vec<Captioned>, ReportError> {
        let data = self.map_data();
        let style = |title: &str| MapStyle { title: title.to_owned(), width: Width::Single, legend_pm: self.legend_pm };
        let mut out = vec![
            Captioned {
                stem: "columns",
                figure: self.columns_figure()?,
                caption:
                    "The image with its fitted columns, and its middle enlarged; arrows there show each B column's displacement from the \
                          middle of its A columns, magnified as the key says."
                        .to_owned(),
            },
            Captioned {
                stem: "polarization-map",
                figure: data.colour_wheel(&style("Polarization map"))?,
                caption: format!(
                    "Displacement of the B column from the mean of its A columns, cell by cell. Hue is the direction as the wheel shows it, \
                     saturation the length up to {} pm. Grey cells with a cross: shorter than twice their uncertainty.",
                    self.legend_pm
                ),
            },
            Captioned {
                stem: "polarization-arrows",
                figure: data.arrows(&style("Polarization arrows"))?,
                caption: "The same displacements as arrows over the image, magnified as the key says.".to_owned(),
            },
        ];
        if self.map.cells.iter().any(|c| c.sigma_px().is_some()) {
            let everywhere = MapData { cells: data.cells.iter().map(|c| MapCell { resolved: true, ..*c }).collect(), ..data.clone() };
            out.push(Captioned {
                stem: "uncertainty",
                figure: everywhere.uncertainty(&style("Uncertainty of the polarization map"))?,
                caption: "Standard deviation of each displacement along its own direction: the larger of what the fits say and what the scatter among \
                          neighbouring cells says."
                    .to_owned(),
            });
        }
        out.extend(self.uncertainty_distribution()?);
        let shifts = self.shifts_pm();
        let component = |c: usize| shifts.iter().map(|s| s[c]).collect::<Vec<f64>>();
        if shifts.len() > 1 {
            let (px_pm, py_pm) = (component(0), component(1));
            let figure = Histograms {
                title: "Distribution of the displacements".to_owned(),
                px_pm,
                py_pm,
                width: Width::Double,
                ..Histograms::default()
            }
            .draw()?;
            let caption =
                "How the two components are distributed over the cells; a lopsided distribution can be the work of mis-tilt.".to_owned();
            out.push(Captioned { stem: "histograms", figure, caption });
        }
        if let Some(comparison) = self.comparison {
            out.push(Captioned {
                stem: "parity",
                figure: parity(comparison)?,
                caption: "Measured against true displacement of every cell; the line is equality.".to_owned(),
            });
        }
        Ok(out)
    }

    /// How the uncertainties of the fits are distributed; `None` where no fit carries one.
    fn uncertainty_distribution(&self) -> Result<Option<Captioned>, ReportError> {
        let sigmas: Vec<[f64; 2]> =
            self.map.cells.iter().filter_map(|c| self.map.fitted_sigma_pm(c)).filter(|s| s.iter().all(|v| v.is_finite())).collect();
        if sigmas.len() < 2 {
            return Ok(None);
        }
        let component = |c: usize| sigmas.iter().map(|s| s[c]).collect::<Vec<f64>>();
        let figure = Histograms {
            names: ["σ in x from the fits (pm)", "σ in y from the fits (pm)"].map(str::to_owned),
            title: "Distribution of the uncertainties".to_owned(),
            px_pm: component(0),
            py_pm: component(1),
            width: Width::Double,
        }
        .draw()?;
        let caption =
            "Standard deviations of the two components from the fits of each cell, residuals correlated between pixels allowed for.";
        Ok(Some(Captioned { stem: "uncertainty-histograms", figure, caption: caption.to_owned() }))
    }

    /// The page with these figures.
    pub fn page(&self, figures: &[Captioned], warnings: Vec<String>, provenance: Vec<(String, String)>) -> Result<Page, ReportError> {
        let title =
            self.image.metadata.title.clone().or_else(|| self.image.metadata.source_file.clone()).unwrap_or_else(|| "image".to_owned());
        let figures = figures.iter().map(|c| FigureRef::new(&c.figure, &c.caption)).collect::<Result<Vec<_>, _>>()?;
        Ok(Page {
            title: format!("Polarization of {title}"),
            question: "How far does every B column stand from the middle of its A columns, and how well is that known?".to_owned(),
            answers: self.answers(),
            warnings,
            settings: self.settings(),
            figures,
            tables: self.comparison.map(comparison_table).into_iter().collect(),
            python: "import pandas as pd\ncells = pd.read_csv(\"cells.csv\")\ncolumns = pd.read_csv(\"columns.csv\")\n\nimport numpy as np\nmap_ = np.load(\"map.npz\")"
                .to_owned(),
            provenance,
            ..Page::default()
        })
    }

    /// The map's numbers as sentences.
    #[must_use]
    pub fn answers(&self) -> Vec<String> {
        let s = self.map.summary();
        let known = |v: Option<f64>| v.filter(|v| v.is_finite());
        let pair = |a: Option<f64>, b: Option<f64>| match (known(a), known(b)) {
            (Some(a), Some(b)) => format!("({a:+.1}, {b:+.1}) pm"),
            _ => "unknown".to_owned(),
        };
        let mut out = vec![
            format!(
                "{} cells measured, {} left out, {} unresolved (shorter than twice their uncertainty).",
                s.cells, s.rejected, s.unresolved
            ),
            format!(
                "Median displacement {}, mean {}, robust standard deviation over the cells {}.",
                pair(s.median_px_pm, s.median_py_pm),
                pair(s.mean_px_pm, s.mean_py_pm),
                pair(s.sd_px_pm, s.sd_py_pm).replace('+', "")
            ),
            format!(
                "Noise of one cell: {} from the scatter among neighbours, {} from the fits.",
                pair(s.scatter_px_pm, s.scatter_py_pm).replace('+', ""),
                pair(s.fitted_sigma_px_pm, s.fitted_sigma_py_pm).replace('+', "")
            ),
        ];
        if let Some(c) = self.comparison {
            out.push(format!(
                "Against the truth over {} cells: bias ({:+.2}, {:+.2}) {unit}, root mean square error ({:.2}, {:.2}) {unit}.",
                c.cells,
                c.bias[0],
                c.bias[1],
                c.rmse[0],
                c.rmse[1],
                unit = c.unit
            ));
        }
        out
    }

    fn settings(&self) -> Vec<(String, String)> {
        let s = self.map.summary();
        let reasons: Vec<String> = s.rejected_by_reason.iter().map(|(why, n)| format!("{why:?} {n}")).collect();
        let mut out = vec![
            ("Image".to_owned(), format!("{} × {} px", self.image.width, self.image.height)),
            ("Pixel size".to_owned(), s.pixel_size_pm.map_or(String::new(), |p| format!("{p:.4} pm ({:?})", s.calibration))),
            ("Lattice parameter a".to_owned(), format!("{:.3} px", s.lattice_a_px)),
            ("Zone axis".to_owned(), format!("⟨{}⟩ pseudocubic", self.map.zone)),
            ("Left out".to_owned(), reasons.join(", ")),
            ("Conversion to µC/cm²".to_owned(), ChargeModel::CollectiveMode.describe()),
        ];
        let metadata = &self.image.metadata;
        let mut fact = |name: &str, value: Option<String>| out.extend(value.map(|v| (name.to_owned(), v)));
        fact("Beam energy", metadata.beam_energy_kev.map(|e| format!("{e} keV")));
        fact("Detector", metadata.detector_inner_mrad.zip(metadata.detector_outer_mrad).map(|(i, o)| format!("{i} to {o} mrad")));
        out
    }

    fn pixel_size_pm(&self) -> f64 {
        self.map.pixel_size_pm.unwrap_or(f64::NAN)
    }

    fn shifts_pm(&self) -> Vec<[f64; 2]> {
        self.map.cells.iter().filter_map(|c| self.map.shift_pm(c)).collect()
    }

    fn pixels(&self) -> Pixels {
        Pixels { values: self.image.data.clone(), width: self.image.width, height: self.image.height, pixel_size_pm: self.pixel_size_pm() }
    }

    pub(super) fn map_data(&self) -> MapData {
        let size = self.pixel_size_pm();
        let cell = |c: &Cell| {
            let [px_pm, py_pm] = c.shift_px.map(|v| v * size);
            let sigma_pm = c.sigma_px().unwrap_or(f64::NAN) * size;
            MapCell {
                x_px: c.centre_px[0],
                y_px: c.centre_px[1],
                corners_px: self.corners(c),
                px_pm,
                py_pm,
                sigma_pm,
                resolved: !c.unresolved,
            }
        };
        MapData { pixels: self.pixels(), cells: self.map.cells.iter().map(cell).collect() }
    }

    /// The cell's A columns in order around it; half lattice vectors where the zone has only two.
    fn corners(&self, cell: &Cell) -> [[f64; 2]; 4] {
        let around: Vec<[f64; 2]> = self
            .columns
            .neighbours_of_b(cell.index)
            .iter()
            .filter_map(|n| self.columns.column(Site::A, *n))
            .map(|c| c.position_px)
            .collect();
        if let [p, q, r, s] = around[..] {
            return [p, q, s, r];
        }
        let [e1, e2] = self.columns.basis_px;
        [(-0.5, -0.5), (0.5, -0.5), (0.5, 0.5), (-0.5, 0.5)].map(|(i, j)| [0, 1].map(|c| cell.centre_px[c] + i * e1[c] + j * e2[c]))
    }

    fn columns_figure(&self) -> Result<Figure, ReportError> {
        let markers: Vec<Marker> =
            self.columns.columns.iter().filter(|c| c.status != ColumnStatus::Failed).map(|c| self.marker(c)).collect();
        let size = self.pixel_size_pm();
        let arrow =
            |c: &Cell| Arrow { x_px: c.centre_px[0], y_px: c.centre_px[1], dx_pm: c.shift_px[0] * size, dy_pm: c.shift_px[1] * size };
        let whole = ImagePanel { title: "Columns".to_owned(), pixels: self.pixels(), markers: markers.clone(), arrows: Vec::new() };
        let (corner, side) = self.inset();
        let inside = |x: f64, y: f64| [x - corner[0] as f64, y - corner[1] as f64].iter().all(|v| (0.0..=side as f64 - 1.0).contains(v));
        let moved = |m: &Marker| Marker { x_px: m.x_px - corner[0] as f64, y_px: m.y_px - corner[1] as f64, kind: m.kind };
        let enlarged = ImagePanel {
            title: "Enlarged".to_owned(),
            pixels: self.crop(corner, side),
            markers: markers.iter().filter(|m| inside(m.x_px, m.y_px)).map(moved).collect(),
            arrows: self
                .map
                .cells
                .iter()
                .map(arrow)
                .filter(|a| inside(a.x_px, a.y_px))
                .map(|a| Arrow { x_px: a.x_px - corner[0] as f64, y_px: a.y_px - corner[1] as f64, ..a })
                .collect(),
        };
        ImageRow { title: "Fitted columns".to_owned(), panels: vec![whole, enlarged], width: Width::Double, ..ImageRow::default() }.draw()
    }

    /// A column where it was measured; B columns of the map where the map has them, which may know better than a fit of B alone.
    fn marker(&self, column: &LatticeColumn) -> Marker {
        let in_map = if column.site == Site::B { self.map.cell(column.index) } else { None };
        let [x_px, y_px] = in_map.map_or(column.position_px, |c| [c.centre_px[0] + c.shift_px[0], c.centre_px[1] + c.shift_px[1]]);
        Marker { x_px, y_px, kind: if column.site == Site::A { ColumnMark::FittedA } else { ColumnMark::FittedB } }
    }

    /// Upper left corner and side of the enlarged square: some cells around the cell nearest to the middle of the map.
    fn inset(&self) -> ([usize; 2], usize) {
        let limit = self.image.width.min(self.image.height);
        let side = ((INSET_CELLS * self.map.lattice_a_px) as usize).clamp(2.min(limit), limit);
        let n = self.map.cells.len().max(1) as f64;
        let middle = [0, 1].map(|c| self.map.cells.iter().map(|cell| cell.centre_px[c]).sum::<f64>() / n);
        let corner = [(middle[0], self.image.width), (middle[1], self.image.height)]
            .map(|(m, size)| (m - side as f64 / 2.0).clamp(0.0, (size - side) as f64) as usize);
        (corner, side)
    }

    fn crop(&self, corner: [usize; 2], side: usize) -> Pixels {
        let values =
            self.image.rows().skip(corner[1]).take(side).flat_map(|row| row[corner[0]..corner[0] + side].iter().copied()).collect();
        Pixels { values, width: side, height: side, pixel_size_pm: self.pixel_size_pm() }
    }
}

fn parity(comparison: &Comparison) -> Result<Figure, ReportError> {
    let component = |c: usize| comparison.pairs.iter().map(|p| (p.reference[c], p.other[c])).collect();
    Parity {
        title: "Measured against true displacement".to_owned(),
        x_pm: component(0),
        y_pm: component(1),
        truth_label: "true".to_owned(),
        measured_label: "measured".to_owned(),
        width: Width::Double,
    }
    .draw()
}

fn comparison_table(c: &Comparison) -> Table {
    let row = |name: &str, v: [f64; 2]| vec![name.to_owned(), format!("{:+.3}", v[0]), format!("{:+.3}", v[1])];
    Table {
        caption: format!("Measured against the truth that came with the image, {} cells.", c.cells),
        columns: vec!["quantity".to_owned(), format!("x ({})", c.unit), format!("y ({})", c.unit)],
        rows: vec![
            row("bias (mean difference)", c.bias),
            row("median difference", c.median_difference),
            row("root mean square error", c.rmse),
            row("robust standard deviation", c.sd),
        ],
    }
}
