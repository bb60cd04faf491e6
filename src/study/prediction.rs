//! The polarization of an image by a trained network: windows cut like those of its training, predictions, the check of the domain, and the
//! folder of results.

use super::RunError;
use super::store::{Draft, PROVENANCE};
use super::training_data::windows_to_predict;
use super::training_run::{ModelCard, predictions_csv};
use crate::columns::{ColumnLattice, FindOptions, median};
use crate::crystal::Site;
use crate::dcnn::{self, DcnnError, DomainCheck, Network, Reliability, reliability};
use crate::image::{Image, whole_file};
use crate::polarization::Component;
use crate::report::{Captioned, FigureRef, MapCell, MapData, MapStyle, Page, Pixels, Width};
use crate::windows::{Cut, Cutter, Kernel, LabelField, Placement, WindowSize, WindowSpec};
use serde::Serialize;
use serde_json::json;
use std::io::Write as _;
use std::path::{Path, PathBuf};

/// What a network says of an image.
#[derive(Debug, Clone)]
pub struct Prediction {
    /// The windows.
    pub cut: Cut,
    /// Prediction of every window.
    pub predictions: Vec<dcnn::Prediction>,
    /// The columns, where they were looked for.
    pub lattice: Option<ColumnLattice>,
    /// Where windows stood.
    pub placement: Placement,
    /// How far the image is from the training.
    pub domain: Option<DomainCheck>,
    /// What to be careful about.
    pub warnings: Vec<String>,
    /// The predictions against the truth that came with the image.
    pub against_truth: Option<Reliability>,
}

/// The predictions in a few numbers, as those of a fitted map are quoted.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PredictionSummary {
    /// Windows with a prediction: cells, where windows are centred on columns.
    pub cells: usize,
    /// Windows that could not be cut.
    pub rejected: usize,
    /// Median displacement along x (right), pm.
    pub median_px_pm: f64,
    /// Median displacement along y (down), pm.
    pub median_py_pm: f64,
    /// Mean along x, pm.
    pub mean_px_pm: f64,
    /// Mean along y, pm.
    pub mean_py_pm: f64,
    /// Robust standard deviation along x, pm.
    pub sd_px_pm: f64,
    /// Robust standard deviation along y, pm.
    pub sd_py_pm: f64,
    /// Median predicted standard deviation of a component, pm; `None` for a network without uncertainty.
    pub median_sigma_pm: Option<f64>,
    /// Median of its epistemic part, pm; `None` for a single network.
    pub median_epistemic_sigma_pm: Option<f64>,
}

/// Predicts an image, which must have a pixel size; it is resampled to that of the network. What is unlike the training is refused, or with
/// `force` only warned of.
///
/// # Errors
/// [`RunError`] if no window can be cut, or the image is outside the network's domain.
pub fn predict(
    network: &Network,
    card: &ModelCard,
    image: &Image,
    placement: Placement,
    find: &FindOptions,
    force: bool,
) -> Result<Prediction, RunError> {
    let mut warnings = Vec::new();
    let mut refused = |result: Result<Option<String>, DcnnError>| match result {
        Err(DcnnError::Domain { reason }) if force => {
            warnings.push(reason);
            Ok(())
        }
        Ok(warning) => {
            warnings.extend(warning);
            Ok(())
        }
        Err(error) => Err(RunError::from(error)),
    };
    let pixel_size_pm = image.square_pixel_size_pm().map_err(|e| RunError::TrainingData { reason: e.to_string() })?;
    refused(network.check_pixel_size(pixel_size_pm).map(|()| None))?;
    let spec = WindowSpec {
        placement,
        size: WindowSize::Pixels(network.size_px()),
        pixel_size_pm: Some(network.pixel_size_pm()),
        normalisation: network.normalisation(),
        max_missing: card.windows.max_missing,
    };
    let (mut cut, lattice) = windows_to_predict(image, &spec, find)?;
    let predictions = network.predict(&cut.set)?;
    let domain = network.check_domain(&cut.set)?;
    refused(network.refuse_foreign(domain.as_ref(), &predictions))?;
    label_by_truth(image, &spec, &mut cut);
    let against_truth = reliability(&predictions, &cut.set.labels);
    Ok(Prediction { cut, predictions, lattice, placement, domain, warnings, against_truth })
}

/// Gives windows the truth that came with the image: on a grid the interpolated field, on columns that of the nearest true column.
fn label_by_truth(image: &Image, spec: &WindowSpec, cut: &mut Cut) {
    let Ok(field) = LabelField::from_truth(image) else { return };
    if let Placement::Grid { .. } = spec.placement {
        let labelled = Cutter { image, spec, field: Some(&field), mask: None, kernel: Kernel::default() }.cut();
        let Ok(labelled) = labelled else { return };
        let label = |corner: &[u32; 2]| labelled.set.corners_px.iter().position(|c| c == corner).map(|i| labelled.set.labels[i]);
        for (corner, to) in cut.set.corners_px.iter().zip(&mut cut.set.labels) {
            *to = label(corner).unwrap_or([f32::NAN; 2]);
        }
        return;
    }
    let reach = 0.25 * field.lattice_a_px.unwrap_or(f64::INFINITY);
    for (at, to) in cut.set.positions_px.iter().zip(&mut cut.set.labels) {
        let distance = |p: &crate::windows::LabelPoint| (p.position_px[0] - at[0]).hypot(p.position_px[1] - at[1]);
        let nearest = field.points.iter().min_by(|a, b| distance(a).total_cmp(&distance(b))).filter(|p| distance(p) <= reach);
        *to = nearest.map_or([f32::NAN; 2], |p| p.vector_pm.map(|v| v as f32));
    }
}

impl Prediction {
    /// The predictions in a few numbers.
    #[must_use]
    pub fn summary(&self) -> PredictionSummary {
        let component = |k: usize| Component::of(&self.predictions.iter().map(|p| f64::from(p.mean_pm[k])).collect::<Vec<_>>());
        let [x, y] = [component(0), component(1)];
        let middle = |f: &dyn Fn(&dcnn::Prediction) -> [f32; 2]| {
            median(self.predictions.iter().flat_map(f).map(f64::from).filter(|v| v.is_finite()).collect())
        };
        PredictionSummary {
            cells: self.predictions.len(),
            rejected: self.cut.rejected.values().sum(),
            median_px_pm: x.median,
            median_py_pm: y.median,
            mean_px_pm: x.mean,
            mean_py_pm: y.mean,
            sd_px_pm: x.sd,
            sd_py_pm: y.sd,
            median_sigma_pm: middle(&dcnn::Prediction::sigma_pm),
            median_epistemic_sigma_pm: middle(&|p| p.epistemic_sigma_pm),
        }
    }

    /// The result in sentences.
    #[must_use]
    pub fn answers(&self) -> Vec<String> {
        let s = self.summary();
        let what = if self.placement == Placement::Centred { "cells" } else { "windows" };
        let sigma = s.median_sigma_pm.map_or_else(String::new, |v| format!(", each known to {v:.1} pm (median σ of a component)"));
        let mut out =
            vec![format!("The median displacement of {} {what} is ({:.1}, {:.1}) pm{sigma}.", s.cells, s.median_px_pm, s.median_py_pm)];
        if let Some(r) = &self.against_truth {
            out.push(format!(
                "Against the truth that came with the image: rms error {:.2} pm of a component, mean error ({:.2}, {:.2}) pm, {} {what}.",
                r.rmse_pm, r.bias_pm[0], r.bias_pm[1], r.windows
            ));
        }
        out
    }

    /// Writes the folder of results at `target` and returns it.
    ///
    /// # Errors
    /// [`RunError`] if the folder holds something else or cannot be written.
    pub fn publish(&self, card: &ModelCard, image: &Image, path: &Path, legend_pm: f64, target: &Path) -> Result<PathBuf, RunError> {
        let draft = Draft::begin(target)?;
        let table = draft.path().join("predictions.csv");
        let text = predictions_csv(&self.cut.set, &self.predictions);
        whole_file(&table, |f| f.write_all(text.as_bytes())).map_err(RunError::disk(&table))?;
        let figures = self.figures(image, legend_pm)?;
        let folder = draft.subfolder("figures")?;
        for captioned in &figures {
            captioned.figure.save(&folder, captioned.stem)?;
        }
        let references = figures.iter().map(|c| FigureRef::new(&c.figure, &c.caption)).collect::<Result<Vec<_>, _>>()?;
        let page = Page {
            title: format!("Polarization of {} by the network {}", path.display(), card.name),
            question: "Which displacement does the network see in every window, and how well does it know it?".into(),
            answers: self.answers(),
            warnings: self.warnings.clone(),
            figures: references,
            python: "import pandas as pd\npredictions = pd.read_csv(\"predictions.csv\")".into(),
            provenance: vec![("program".into(), format!("mistilt {}", env!("CARGO_PKG_VERSION"))), ("network".into(), card.name.clone())],
            ..Page::default()
        };
        page.save(&draft.path().join("report.html"))?;
        let provenance = json!({
            "program": format!("mistilt {}", env!("CARGO_PKG_VERSION")), "commit": env!("MISTILT_COMMIT"), "network": card.name, "network_commit": card.commit,
            "image": path, "image_blake3": std::fs::read(path).ok().map(|bytes| blake3::hash(&bytes).to_hex().to_string()),
            "summary": self.summary(), "domain": self.domain, "warnings": self.warnings, "against_truth": self.against_truth,
        });
        draft.json(PROVENANCE, &provenance)?;
        draft.publish()
    }

    fn figures(&self, image: &Image, legend_pm: f64) -> Result<Vec<Captioned>, RunError> {
        let data = self.map_data(image);
        let style = |title: &str| MapStyle { title: title.to_owned(), width: Width::Single, legend_pm };
        let mut out = vec![Captioned {
            stem: "polarization-map",
            figure: data.colour_wheel(&style("Predicted polarization"))?,
            caption: format!("Predicted displacement of B from the mean of its A columns, window by window; saturated at {legend_pm} pm."),
        }];
        out.push(Captioned {
            stem: "polarization-arrows",
            figure: data.arrows(&style("Predicted polarization, arrows"))?,
            caption: "The same as arrows over the image, magnified as the key says.".into(),
        });
        if data.cells.iter().any(|c| c.sigma_pm.is_finite()) {
            out.push(Captioned {
                stem: "uncertainty",
                figure: data.uncertainty(&style("Uncertainty of the prediction"))?,
                caption: "Predicted standard deviation along the displacement's own direction, noise and ensemble together.".into(),
            });
        }
        Ok(out)
    }

    /// The predictions as cells of a map: the frame of the A columns where those are known, else a square around the window's place.
    fn map_data(&self, image: &Image) -> MapData {
        let set = &self.cut.set;
        let side = match (self.placement, &self.lattice) {
            (Placement::Grid { step_px }, _) => step_px as f64 / self.cut.scale[0],
            (Placement::Centred, Some(lattice)) => lattice.lattice_a_px(),
            (Placement::Centred, None) => set.size_px as f64 / self.cut.scale[0],
        };
        let cell = |i: usize, p: &dcnn::Prediction| {
            let [x, y] = set.positions_px[i];
            let [px, py] = p.mean_pm.map(f64::from);
            let [sx, sy] = p.sigma_pm().map(f64::from);
            let length = px.hypot(py).max(f64::MIN_POSITIVE);
            MapCell {
                x_px: x,
                y_px: y,
                corners_px: self.corners(set.cells[i]).unwrap_or_else(|| {
                    let h = 0.5 * side;
                    [[x - h, y - h], [x + h, y - h], [x + h, y + h], [x - h, y + h]]
                }),
                px_pm: px,
                py_pm: py,
                sigma_pm: (px / length * sx).hypot(py / length * sy),
                resolved: true,
            }
        };
        let cells = self.predictions.iter().enumerate().map(|(i, p)| cell(i, p)).collect();
        let pixels = Pixels {
            values: image.data.clone(),
            width: image.width,
            height: image.height,
            pixel_size_pm: image.pixel_size_pm.unwrap_or(1.0),
        };
        MapData { pixels, cells }
    }

    /// The four A columns around a B column, in order.
    fn corners(&self, index: [i32; 2]) -> Option<[[f64; 2]; 4]> {
        let lattice = self.lattice.as_ref()?;
        let around = lattice.neighbours_of_b(index);
        let places: Option<Vec<[f64; 2]>> = around.iter().map(|n| lattice.column(Site::A, *n).map(|c| c.position_px)).collect();
        let [p, q, r, s] = places?.try_into().ok()?;
        Some([p, q, s, r])
    }
}
