//! The image of a scene from libraries: at every place the responses of the columns around it, each with its own displacement, dopant, mis-tilt
//! and thickness, weighted by nearness.
//!
//! The weights add up to one everywhere (Shepard's interpolation), and a response is the whole image of a uniform crystal seen from its column.
//! So a uniform scene is the uniform crystal exactly, and where the scene varies slowly it is right to first order; what is left is that the tail
//! of a neighbour stands where a uniform crystal would have it.

use super::columns::ColumnGrid;
use super::library_axes::Place;
use super::response::Response;
use super::{Library, LibrarySpan, Scene, SceneColumn, SceneError};
use crate::crystal::Site;
use crate::image::{Radiance, SourceShape};
use std::sync::Arc;

/// Width of the weight's Gaussian, Å: at 0.9 Å from a column, the radius of a usual fit window, it counts 98 %.
const SIGMA_ANGSTROM: f64 = 0.55;
/// Beyond this a column does not count, Å; the widest gap between columns is 2 Å from the nearest.
const REACH_ANGSTROM: f64 = 3.4;
/// Channelling makes most of the signal of a column in this depth, Å: a leaning column is looked for where its middle stands.
const SIGNAL_DEPTH_ANGSTROM: f64 = 60.0;

/// The image of a scene on one detector; it can be evaluated anywhere.
pub struct SceneImage {
    scene: Arc<Scene>,
    libraries: Vec<Arc<Library>>,
    view: View,
    sources: Vec<SourceShape>,
    /// Responses of A and B, one pair a material.
    responses: Vec<[Response; 2]>,
    a: Prepared,
    b: Prepared,
}

/// Through what a scene is seen.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct View {
    /// Number of the detector in the libraries.
    pub detector: usize,
    /// Defocus, underfocus positive, Å.
    pub defocus_angstrom: f64,
}

/// What evaluation needs of the columns of one sublattice, in the order of their grid.
struct Prepared {
    /// Where the response's origin stands, Å.
    origin: Vec<[f64; 2]>,
    /// Where the column looks to stand, Å.
    seen: Vec<[f64; 2]>,
    material: Vec<usize>,
    /// Start of each column's coefficients, and one end more.
    start: Vec<usize>,
    coefficients: Vec<f32>,
}

impl SceneImage {
    /// The image from libraries, one a material of the scene in its order, seen with a source.
    pub fn new(scene: Arc<Scene>, libraries: Vec<Arc<Library>>, view: View, source: SourceShape) -> Result<Self, SceneError> {
        Self::with_sources(scene, libraries, view, vec![source])
    }

    fn with_sources(scene: Arc<Scene>, libraries: Vec<Arc<Library>>, view: View, sources: Vec<SourceShape>) -> Result<Self, SceneError> {
        let lacks = |what: String| SceneError::LibraryDoesNotCover { what };
        if libraries.len() != scene.materials.len() {
            return Err(lacks(format!("it has {} materials, the scene {}", libraries.len(), scene.materials.len())));
        }
        for (material, library) in libraries.iter().enumerate() {
            if library.material != scene.materials[material] {
                return Err(lacks(format!("it is of {}", library.material.name)));
            }
            let span = LibrarySpan::of(&scene, material, view.defocus_angstrom);
            span.map_or(Ok(()), |span| span.lies_within(&library.axes)).map_err(lacks)?;
            if view.detector >= library.detectors.len() {
                return Err(SceneError::NoSuchDetector { asked: view.detector, have: library.detectors.len() });
            }
        }
        let transfer = |q_squared: f64| sources.iter().map(|s| s.transfer(q_squared)).product();
        let responses: Vec<[Response; 2]> = libraries
            .iter()
            .map(|library| {
                let pair = library.responses(view.detector);
                [0, 1].map(|sublattice| Response::new(&pair, sublattice, &transfer))
            })
            .collect();
        let prepare = |grid: &ColumnGrid, site| Prepared::new(grid, site, &responses, &libraries, view.defocus_angstrom);
        let (a, b) = (prepare(&scene.a, 0), prepare(&scene.b, 1));
        Ok(Self { scene, libraries, view, sources, responses, a, b })
    }

    /// The scene.
    #[must_use]
    pub fn scene(&self) -> &Scene {
        &self.scene
    }

    /// Tables that each response takes, by material, of A and of B: what the libraries were reduced to.
    #[must_use]
    pub fn ranks(&self) -> Vec<[usize; 2]> {
        self.responses.iter().map(|pair| [pair[0].rank(), pair[1].rank()]).collect()
    }

    fn value(&self, at: [f64; 2]) -> f64 {
        let [i, j] = self.scene.cell_at(at);
        let mut sum = Sum { at, value: 0.0, weight: 0.0 };
        for corner in [[i, j], [i + 1, j], [i, j + 1], [i + 1, j + 1]] {
            self.add(&mut sum, &self.a, &self.scene.a, 0, corner, || self.scene.corner_angstrom(corner));
        }
        for dj in -1..=1 {
            for di in -1..=1 {
                let cell = [i + di, j + dj];
                self.add(&mut sum, &self.b, &self.scene.b, 1, cell, || self.scene.centre_angstrom(cell));
            }
        }
        // Some column is always within reach: the lattice has no wider gap.
        if sum.weight > 0.0 { sum.value / sum.weight } else { 0.0 }
    }

    /// Adds one column; one beyond the grid is the outermost, moved on by whole cells.
    fn add(&self, sum: &mut Sum, prepared: &Prepared, grid: &ColumnGrid, site: usize, index: [i64; 2], ideal: impl FnOnce() -> [f64; 2]) {
        let number = grid.index(index);
        let moved = if grid.holds(index) {
            [0.0; 2]
        } else {
            let (ideal, column) = (ideal(), &grid.columns[number]);
            [0, 1].map(|c| ideal[c] + column.displacement_angstrom[c] - column.position_angstrom[c])
        };
        let from = |place: [f64; 2]| [sum.at[0] - place[0] - moved[0], sum.at[1] - place[1] - moved[1]];
        let [x, y] = from(prepared.seen[number]);
        let r2 = x * x + y * y;
        if r2 >= REACH_ANGSTROM * REACH_ANGSTROM {
            return;
        }
        let fade = 1.0 - r2 / (REACH_ANGSTROM * REACH_ANGSTROM);
        let weight = (-0.5 * r2 / (SIGMA_ANGSTROM * SIGMA_ANGSTROM)).exp() * fade * fade;
        let response = &self.responses[prepared.material[number]][site];
        let coefficients = &prepared.coefficients[prepared.start[number]..prepared.start[number + 1]];
        sum.value += weight * response.value(coefficients, from(prepared.origin[number]));
        sum.weight += weight;
    }
}

/// The weighted sum at one place.
struct Sum {
    at: [f64; 2],
    value: f64,
    weight: f64,
}

impl Radiance for SceneImage {
    fn evaluate(&self, positions_angstrom: &[[f64; 2]], out: &mut [f64]) {
        assert_eq!(positions_angstrom.len(), out.len(), "one value for each position");
        for (value, &at) in out.iter_mut().zip(positions_angstrom) {
            *value = self.value(at);
        }
    }

    fn seen_with(&self, source: &SourceShape) -> Option<Box<dyn Radiance + '_>> {
        let sources = self.sources.iter().copied().chain([*source]).collect();
        let image = Self::with_sources(self.scene.clone(), self.libraries.clone(), self.view, sources).ok()?;
        Some(Box::new(image))
    }
}

impl Prepared {
    fn new(grid: &ColumnGrid, site: usize, responses: &[[Response; 2]], libraries: &[Arc<Library>], defocus_angstrom: f64) -> Self {
        let n = grid.columns.len();
        let mut all = Self {
            origin: Vec::with_capacity(n),
            seen: Vec::with_capacity(n),
            material: Vec::new(),
            start: vec![0],
            coefficients: Vec::new(),
        };
        for column in &grid.columns {
            let library = &libraries[column.material];
            let (axes, layer) = (&library.axes, library.material.edges_angstrom[2]);
            let weights = axes.weights(&Place {
                displacement_pm: column.surroundings_angstrom.map(|d| 100.0 * d),
                composition: column.dopant_fraction,
                tilt_mrad: column.tilt_mrad,
                defocus_angstrom,
                layers: column.layers,
            });
            all.coefficients.extend(responses[column.material][site].coefficients(&weights));
            all.start.push(all.coefficients.len());
            all.material.push(column.material);
            // What it stands lower than in the library, a tilt turns into a step aside.
            let lower = column.displacement_angstrom[2] - if column.site == Site::B { axes.displacement_z_pm / 100.0 } else { 0.0 };
            all.origin.push(leaning(column, lower));
            all.seen.push(leaning(column, 0.5 * SIGNAL_DEPTH_ANGSTROM.min(column.layers as f64 * layer)));
        }
        all
    }
}

/// Where a column stands at a depth, Å.
fn leaning(column: &SceneColumn, depth_angstrom: f64) -> [f64; 2] {
    [0, 1].map(|c| column.position_angstrom[c] + 1e-3 * column.tilt_mrad[c] * depth_angstrom)
}
