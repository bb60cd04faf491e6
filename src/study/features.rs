//! What a network looks at in an image: its filters, the feature maps of one window, and the occlusion map over many, with the numbers that say
//! whether the B column or the A cage decides.

use super::RunError;
use super::store::{Draft, PROVENANCE};
use super::training_data::windows_to_predict;
use super::training_run::ModelCard;
use crate::columns::FindOptions;
use crate::dcnn::{Attention, Features, Network, Occlusion};
use crate::image::{Image, whole_file};
use crate::report::{self, Captioned, ColumnMark, FigureRef, Marker, Mosaic, Page, Pixels, Tiles};
use crate::windows::{Placement, WindowSize, WindowSpec};
use serde::Serialize;
use serde_json::json;
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};

/// Radius of the patch that is blanked, in sides of the pseudocubic cell: about a column.
const PATCH_LATTICES: f64 = 0.18;

/// What was seen.
#[derive(Debug, Clone)]
pub struct Seen {
    /// Feature maps of the window nearest to the middle of the image.
    pub features: Features,
    /// Mean change of the prediction, place by place.
    pub occlusion: Occlusion,
    /// Where the changes are.
    pub attention: Attention,
    /// Mean window.
    mean_window: Vec<f32>,
    /// Lattice vectors in the windows, px.
    lattice_px: [[f64; 2]; 2],
    /// Windows that were blanked.
    pub windows: usize,
}

/// One layer in numbers.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Layer {
    /// Name as in the model file.
    pub name: String,
    /// Its feature maps.
    pub channels: usize,
    /// Side of a map, px.
    pub side_px: usize,
    /// Part of its channels that are not zero all over the window.
    pub alive: f64,
}

/// Looks at windows centred on the B columns of an image with a pixel size, spread evenly over it.
///
/// # Errors
/// [`RunError`] if no columns are found or no window can be cut.
pub fn look(network: &Network, card: &ModelCard, image: &Image, find: &FindOptions, cells: usize) -> Result<Seen, RunError> {
    let pixel_size_pm = image.square_pixel_size_pm().map_err(|e| RunError::TrainingData { reason: e.to_string() })?;
    network.check_pixel_size(pixel_size_pm)?;
    let spec = WindowSpec {
        placement: Placement::Centred,
        size: WindowSize::Pixels(network.size_px()),
        pixel_size_pm: Some(network.pixel_size_pm()),
        normalisation: network.normalisation(),
        max_missing: card.windows.max_missing,
    };
    let (cut, lattice) = windows_to_predict(image, &spec, find)?;
    let basis = lattice.map_or([[f64::NAN; 2]; 2], |l| l.basis_px);
    let lattice_px = basis.map(|e| [0, 1].map(|k| e[k] * cut.scale[k]));
    let taken = cells.min(cut.set.len());
    let set = cut.set.select(&(0..taken).map(|k| cut.set.len() * k / taken).collect::<Vec<_>>());
    let middle = [0.5 * image.width as f64, 0.5 * image.height as f64];
    let distance = |i: usize| (set.positions_px[i][0] - middle[0]).hypot(set.positions_px[i][1] - middle[1]);
    let central = (0..set.len()).min_by(|&a, &b| distance(a).total_cmp(&distance(b))).unwrap_or(0);
    let a_px = (lattice_px[0][0] * lattice_px[1][1] - lattice_px[0][1] * lattice_px[1][0]).abs().sqrt();
    let radius = (PATCH_LATTICES * a_px).clamp(1.0, set.size_px as f64 / 2.0);
    let occlusion = network.occlusion(&set, radius, 1)?;
    let attention = occlusion.attention(lattice_px);
    let mut mean_window = vec![0.0_f32; set.size_px * set.size_px];
    for i in 0..set.len() {
        mean_window.iter_mut().zip(set.window(i)).for_each(|(m, v)| *m += v / set.len() as f32);
    }
    Ok(Seen { features: network.features(&set, central)?, occlusion, attention, mean_window, lattice_px, windows: set.len() })
}

impl Seen {
    /// The layers in numbers.
    #[must_use]
    pub fn layers(&self) -> Vec<Layer> {
        let layer = |l: &crate::dcnn::FeatureMaps| Layer {
            name: l.name.clone(),
            channels: l.maps.len(),
            side_px: l.side_px,
            alive: l.maps.iter().filter(|m| m.iter().any(|v| *v > 0.0)).count() as f64 / l.maps.len() as f64,
        };
        self.features.layers.iter().map(layer).collect()
    }

    /// What decides the prediction, in sentences.
    #[must_use]
    pub fn answers(&self) -> Vec<String> {
        let Attention { b_column_pm: b, a_columns_pm: a, elsewhere_pm: rest } = self.attention;
        let which = match () {
            () if !a.is_finite() => "The windows do not reach the A columns.".to_owned(),
            () if b > 1.5 * a => format!("The network looks at the B column, {:.1} times as much as at an A column.", b / a),
            () if a > 1.5 * b => format!("The network looks at the A columns, {:.1} times as much as at the B column.", a / b),
            () => "The network looks at the B column and at its A columns alike.".to_owned(),
        };
        vec![
            format!(
                "Blanking a column's place moves the prediction by {b:.1} pm at the B column, {a:.1} pm at the A columns, {rest:.1} pm elsewhere (means over \
                 {} windows).",
                self.windows
            ),
            which,
        ]
    }

    /// Writes the folder of results at `target` and returns it.
    ///
    /// # Errors
    /// [`RunError`] if the folder holds something else or cannot be written.
    pub fn publish(&self, network: &Network, card: &ModelCard, path: &Path, target: &Path) -> Result<PathBuf, RunError> {
        let draft = Draft::begin(target)?;
        let figures = self.figures(network)?;
        let folder = draft.subfolder("figures")?;
        for captioned in &figures {
            captioned.figure.save(&folder, captioned.stem)?;
        }
        let table = draft.path().join("occlusion.csv");
        whole_file(&table, |f| f.write_all(self.occlusion_csv().as_bytes())).map_err(RunError::disk(&table))?;
        let references = figures.iter().map(|c| FigureRef::new(&c.figure, &c.caption)).collect::<Result<Vec<_>, _>>()?;
        let page = Page {
            title: format!("What the network {} looks at in {}", card.name, path.display()),
            question: "Which columns of a window decide the prediction: B, or the cage of A around it?".into(),
            answers: self.answers(),
            figures: references,
            python: "import pandas as pd\nocclusion = pd.read_csv(\"occlusion.csv\")".into(),
            provenance: vec![("program".into(), format!("mistilt {}", env!("CARGO_PKG_VERSION"))), ("network".into(), card.name.clone())],
            ..Page::default()
        };
        page.save(&draft.path().join("report.html"))?;
        let provenance = json!({
            "program": format!("mistilt {}", env!("CARGO_PKG_VERSION")), "commit": env!("MISTILT_COMMIT"), "network": card.name, "image": path,
            "attention": self.attention, "layers": self.layers(), "windows": self.windows,
        });
        draft.json(PROVENANCE, &provenance)?;
        draft.publish()
    }

    fn occlusion_csv(&self) -> String {
        let mut out = "x_px,y_px,change_pm\n".to_owned();
        for (i, change) in self.occlusion.change_pm.iter().enumerate() {
            // Writing to a string cannot fail.
            let _ = writeln!(out, "{},{},{change}", i % self.occlusion.side_px, i / self.occlusion.side_px);
        }
        out
    }

    fn figures(&self, network: &Network) -> Result<Vec<Captioned>, RunError> {
        let side = self.occlusion.side_px;
        let pixels = |values: &[f32]| Pixels { values: values.to_vec(), width: side, height: side, pixel_size_pm: network.pixel_size_pm() };
        let occlusion = report::network::occlusion(pixels(&self.mean_window), pixels(&self.occlusion.change_pm), &self.markers())?;
        let filters = network.filters().iter().map(|f| f.as_flattened().to_vec()).collect();
        let mut groups = vec![
            Tiles { name: "window".into(), side, tiles: vec![self.features.window.clone()], signed: false },
            Tiles { name: "filters of the first layer (blue negative, red positive)".into(), side: 3, tiles: filters, signed: true },
        ];
        for layer in &self.features.layers {
            let name = format!("feature maps of {}, {} px", layer.name, layer.side_px);
            groups.push(Tiles { name, side: layer.side_px, tiles: layer.maps.clone(), signed: false });
        }
        let mosaic = Mosaic { title: "Filters and feature maps of the network".into(), groups, columns: 16 };
        Ok(vec![
            Captioned {
                stem: "occlusion",
                figure: occlusion,
                caption: "Mean window around a B column, and how far the prediction moves when a column-sized patch is blanked there. Discs: A columns of \
                          a cell that is not displaced; square: B column."
                    .into(),
            },
            Captioned {
                stem: "feature-maps",
                figure: mosaic.draw()?,
                caption: "A window, the 3×3 filters of the first layer, and the feature maps behind ReLU layer by layer, each over its own range.".into(),
            },
        ])
    }

    /// The mean columns of the cell in the middle of a window.
    fn markers(&self) -> Vec<Marker> {
        let middle = 0.5 * (self.occlusion.side_px as f64 - 1.0);
        let [e1, e2] = self.lattice_px;
        let a = [[-0.5, -0.5], [0.5, -0.5], [-0.5, 0.5], [0.5, 0.5]].map(|[u, v]| Marker {
            x_px: middle + u * e1[0] + v * e2[0],
            y_px: middle + u * e1[1] + v * e2[1],
            kind: ColumnMark::TrueA,
        });
        a.into_iter().chain([Marker { x_px: middle, y_px: middle, kind: ColumnMark::TrueB }]).collect()
    }
}
