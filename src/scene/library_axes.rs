//! What a library is tabulated over, chosen to cover scenes, and the interpolation between its values; pm, mrad, layers of cells.
//!
//! An axis along which nothing varies holds the one value, and costs nothing. Values are on round numbers otherwise, so that scenes of one kind
//! share a library.

use super::{Material, Scene};
use serde::{Deserialize, Serialize};

/// Step of the tilt axes, mrad.
const TILT_STEP_MRAD: f64 = 4.0;
/// Step of the thickness axis, layers: the channelling of a heavy column beats over some ten layers.
const LAYER_STEP: usize = 2;
/// A displacement may exceed the outermost value of its axis by this factor.
const STRETCH: f64 = 1.1;
/// Above this fraction of dopant somewhere, the composition axis spans all.
const DILUTE: f64 = 0.35;

/// The values of every axis.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LibraryAxes {
    /// B-minus-A displacement along x, pm.
    pub displacement_x_pm: Vec<f64>,
    /// Along y, pm.
    pub displacement_y_pm: Vec<f64>,
    /// Along the beam, pm: one value; what a column has beyond it moves it by its tilt.
    pub displacement_z_pm: f64,
    /// Fraction of dopant on the A sites.
    pub composition: Vec<f64>,
    /// Specimen tilt along x, mrad.
    pub tilt_x_mrad: Vec<f64>,
    /// Along y, mrad.
    pub tilt_y_mrad: Vec<f64>,
    /// Thickness in layers of cells.
    pub layers: Vec<usize>,
}

impl LibraryAxes {
    /// Axes that cover one material of these scenes; `None` where none of them holds it.
    #[must_use]
    pub fn covering(scenes: &[&Scene], material: usize) -> Option<Self> {
        let columns: Vec<_> =
            scenes.iter().flat_map(|s| s.a.columns.iter().chain(&s.b.columns)).filter(|c| c.material == material).collect();
        let first = scenes.iter().find(|s| s.materials.len() > material)?;
        if columns.is_empty() {
            return None;
        }
        let range = |of: &dyn Fn(usize) -> f64| {
            (0..columns.len()).map(of).fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), v| (low.min(v), high.max(v)))
        };
        let [x, y] = [0, 1].map(|c| displacement_axis(range(&|i| 100.0 * columns[i].surroundings_angstrom[c]), &first.materials[material]));
        let [tilt_x_mrad, tilt_y_mrad] = [0, 1].map(|c| tilt_axis(range(&|i| columns[i].tilt_mrad[c])));
        let heights =
            scenes.iter().flat_map(|s| &s.b.columns).filter(|c| c.material == material).map(|c| 100.0 * c.displacement_angstrom[2]);
        let (low, high) = heights.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), v| (low.min(v), high.max(v)));
        let (_, richest) = range(&|i| columns[i].dopant_fraction);
        let (thinnest, thickest) = range(&|i| columns[i].layers as f64);
        Some(Self {
            displacement_x_pm: x,
            displacement_y_pm: y,
            displacement_z_pm: if high - low < 1e-6 { high } else { 0.0 },
            composition: match richest {
                0.0 => vec![0.0],
                x if x <= DILUTE => vec![0.0, 0.2],
                _ => vec![0.0, 0.5, 1.0],
            },
            tilt_x_mrad,
            tilt_y_mrad,
            layers: layer_axis(thinnest as usize, thickest as usize),
        })
    }

    /// Number of values of each axis: displacement x, y, composition, tilt x, y, layers.
    #[must_use]
    pub fn lengths(&self) -> [usize; 6] {
        [
            self.displacement_x_pm.len(),
            self.displacement_y_pm.len(),
            self.composition.len(),
            self.tilt_x_mrad.len(),
            self.tilt_y_mrad.len(),
            self.layers.len(),
        ]
    }

    /// Nodes: the product of all axes.
    #[must_use]
    pub fn nodes(&self) -> usize {
        self.lengths().iter().product()
    }

    /// Structures: displacements and compositions, each a propagation of its own.
    #[must_use]
    pub fn structures(&self) -> usize {
        self.lengths()[..3].iter().product()
    }

    /// Displacement (x, y) pm and composition of a structure; x is the fastest, composition the slowest.
    #[must_use]
    pub fn structure(&self, number: usize) -> ([f64; 2], f64) {
        let [nx, ny, ..] = self.lengths();
        ([self.displacement_x_pm[number % nx], self.displacement_y_pm[number / nx % ny]], self.composition[number / (nx * ny)])
    }

    /// The displacement (x, y) of a node, pm: nodes of one structure follow one another, layers fastest, then tilt x, then tilt y.
    #[must_use]
    pub fn displacement_pm(&self, node: usize) -> [f64; 2] {
        self.structure(node / (self.nodes() / self.structures())).0
    }

    /// Whether a material's part of a scene lies within the axes.
    pub(super) fn covers(&self, scene: &Scene, material: usize) -> Result<(), String> {
        let Some(needed) = Self::covering(&[scene], material) else { return Ok(()) };
        let within = |have: &[f64], need: &[f64], what: &str| {
            let ends = |v: &[f64]| (v.first().copied().unwrap_or(0.0), v.last().copied().unwrap_or(0.0));
            let ((low, high), (from, to)) = (ends(have), ends(need));
            if from >= low - 1e-6 && to <= high + 1e-6 {
                Ok(())
            } else {
                Err(format!("{what} from {from} to {to}, where it has {low} to {high}"))
            }
        };
        let layers = |l: &[usize]| l.iter().map(|&n| n as f64).collect::<Vec<_>>();
        within(&self.displacement_x_pm, &needed.displacement_x_pm, "displacements along x (pm)")?;
        within(&self.displacement_y_pm, &needed.displacement_y_pm, "displacements along y (pm)")?;
        within(&self.composition, &needed.composition, "compositions")?;
        within(&self.tilt_x_mrad, &needed.tilt_x_mrad, "tilts along x (mrad)")?;
        within(&self.tilt_y_mrad, &needed.tilt_y_mrad, "tilts along y (mrad)")?;
        within(&layers(&self.layers), &layers(&needed.layers), "layers")
    }

    /// Nodes and weights that interpolate at a place: displacement (pm), composition, tilt (mrad), layers.
    pub(super) fn weights(&self, displacement_pm: [f64; 2], composition: f64, tilt_mrad: [f64; 2], layers: usize) -> Vec<(usize, f64)> {
        let depths: Vec<f64> = self.layers.iter().map(|&n| n as f64).collect();
        let axes: [(&[f64], f64); 6] = [
            (&self.composition, composition),
            (&self.displacement_y_pm, displacement_pm[1]),
            (&self.displacement_x_pm, displacement_pm[0]),
            (&self.tilt_y_mrad, tilt_mrad[1]),
            (&self.tilt_x_mrad, tilt_mrad[0]),
            (&depths, layers as f64),
        ];
        // From the slowest axis to the fastest.
        axes.iter().fold(vec![(0, 1.0)], |so_far, &(nodes, at)| {
            let own = lagrange(nodes, at);
            so_far.iter().flat_map(|&(node, w)| own.iter().map(move |&(i, v)| (node * nodes.len() + i, w * v))).collect()
        })
    }
}

fn displacement_axis((low, high): (f64, f64), material: &Material) -> Vec<f64> {
    if high - low < 1e-3 {
        return vec![0.5 * (low + high)];
    }
    let largest = high.max(-low);
    let per_axis = material.displacement_pm / 3.0_f64.sqrt();
    let of_the_phase = [1.0, 2.0, 3.0].map(|n: f64| per_axis * n.sqrt()).into_iter().find(|d| STRETCH * d >= largest && *d > 1.0);
    let reach = of_the_phase.unwrap_or_else(|| 5.0 * (largest / 5.0).ceil());
    vec![-reach, 0.0, reach]
}

fn tilt_axis((low, high): (f64, f64)) -> Vec<f64> {
    if high - low < 1e-6 {
        return vec![0.5 * (low + high)];
    }
    let (first, last) = ((low / TILT_STEP_MRAD).floor() as i64, (high / TILT_STEP_MRAD).ceil() as i64);
    // A parabola at least.
    let last = last.max(first + 2);
    (first..=last).map(|n| n as f64 * TILT_STEP_MRAD).collect()
}

fn layer_axis(thinnest: usize, thickest: usize) -> Vec<usize> {
    if thinnest == thickest {
        return vec![thinnest];
    }
    let (first, last) = (thinnest / LAYER_STEP, thickest.div_ceil(LAYER_STEP));
    let last = last.max(first + 2);
    (first..=last).map(|n| (n * LAYER_STEP).max(1)).collect()
}

/// Lagrange's weights through all nodes of an axis of up to three, and through the four around the place on longer ones.
fn lagrange(nodes: &[f64], at: f64) -> Vec<(usize, f64)> {
    let n = nodes.len();
    let first = if n <= 4 { 0 } else { nodes.partition_point(|&x| x <= at).saturating_sub(2).min(n - 4) };
    let used = first..first + n.min(4);
    let weight = |i: usize| used.clone().filter(|&j| j != i).map(|j| (at - nodes[j]) / (nodes[i] - nodes[j])).product::<f64>();
    used.clone().map(|i| (i, weight(i))).filter(|(_, w)| *w != 0.0).collect()
}

#[cfg(test)]
mod tests {
    use super::super::{Pattern, SceneSettings};
    use super::*;
    use crate::crystal::structures;

    fn scene(settings: &SceneSettings) -> Scene {
        Scene::new(settings, &structures::get("bifeo3-r3c").unwrap(), 100.0, [2.0, 0.0]).unwrap()
    }

    #[test]
    fn axes_hold_one_value_where_nothing_varies() {
        let axes = LibraryAxes::covering(&[&scene(&SceneSettings::default())], 0).unwrap();
        assert_eq!(axes.nodes(), 1);
        assert_eq!((axes.tilt_x_mrad[0], axes.layers[0]), (2.0, 25));
        assert!((axes.displacement_x_pm[0] - 23.9).abs() < 0.1);
    }

    #[test]
    fn a_bent_wedge_with_a_wall_spans_its_ranges_on_round_numbers() {
        let settings = SceneSettings {
            size_cells: [30, 4],
            pattern: Pattern::Wall71,
            bend_mrad_per_nm: 1.0,
            wedge_nm_per_nm: 0.5,
            composition: 0.05,
            ..SceneSettings::default()
        };
        let scene = scene(&settings);
        let axes = LibraryAxes::covering(&[&scene], 0).unwrap();
        assert_eq!(axes.displacement_x_pm.len(), 1);
        assert_eq!(axes.displacement_y_pm.len(), 3);
        assert_eq!(axes.composition, [0.0, 0.2]);
        assert!(axes.tilt_x_mrad.len() > 3 && axes.tilt_x_mrad.iter().all(|t| t % 4.0 == 0.0));
        assert!(axes.layers.first().unwrap() < &20 && axes.layers.last().unwrap() > &30);
        assert!(axes.covers(&scene, 0).is_ok());
        let narrow = LibraryAxes { tilt_x_mrad: vec![0.0], ..axes.clone() };
        assert!(narrow.covers(&scene, 0).unwrap_err().contains("tilts along x"));
    }

    #[test]
    fn weights_reproduce_a_cubic_of_tilt_and_a_parabola_of_displacement() {
        let axes = LibraryAxes {
            displacement_x_pm: vec![-20.0, 0.0, 20.0],
            displacement_y_pm: vec![5.0],
            displacement_z_pm: 0.0,
            composition: vec![0.0, 0.2],
            tilt_x_mrad: (0..7).map(|i| 4.0 * f64::from(i)).collect(),
            tilt_y_mrad: vec![0.0],
            layers: vec![5, 10, 15],
        };
        let f = |d: f64, x: f64, t: f64, n: f64| (1.0 + d * d - 3.0 * d) * (2.0 - x) * (t * t * t - 4.0 * t) * (1.0 + n * n);
        let value = |node: usize| {
            let per = axes.nodes() / axes.structures();
            let ([d, _], x) = axes.structure(node / per);
            f(d, x, axes.tilt_x_mrad[node % per / 3], axes.layers[node % 3] as f64)
        };
        let sum: f64 = axes.weights([7.0, 5.0], 0.13, [9.1, 0.0], 12).iter().map(|&(node, w)| w * value(node)).sum();
        let exact = f(7.0, 0.13, 9.1, 12.0);
        assert!((sum / exact - 1.0).abs() < 1e-12, "{sum} {exact}");
    }
}
