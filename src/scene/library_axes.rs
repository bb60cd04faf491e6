//! What a library is tabulated over, and the interpolation between its values; pm, mrad, Å of defocus, layers of cells.

use super::LibrarySpan;
use serde::{Deserialize, Serialize};
use std::ops::Range;

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
    /// Defocus, underfocus positive, Å.
    pub defocus_angstrom: Vec<f64>,
    /// Thickness in layers of cells.
    pub layers: Vec<usize>,
}

/// Where a library is asked: along its axes.
pub(super) struct Place {
    pub displacement_pm: [f64; 2],
    pub composition: f64,
    pub tilt_mrad: [f64; 2],
    pub defocus_angstrom: f64,
    pub layers: usize,
}

impl LibraryAxes {
    /// Number of values of each axis: displacement x, y, composition, tilt x, y, defocus, layers.
    #[must_use]
    pub fn lengths(&self) -> [usize; 7] {
        [
            self.displacement_x_pm.len(),
            self.displacement_y_pm.len(),
            self.composition.len(),
            self.tilt_x_mrad.len(),
            self.tilt_y_mrad.len(),
            self.defocus_angstrom.len(),
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

    /// The displacement (x, y) of a node, pm: nodes of one structure follow one another, layers fastest, then defocus, tilt x, tilt y.
    #[must_use]
    pub fn displacement_pm(&self, node: usize) -> [f64; 2] {
        self.structure(node / (self.nodes() / self.structures())).0
    }

    /// The values that interpolation uses within the ranges, alone.
    #[must_use]
    pub fn around(&self, span: &LibrarySpan) -> Self {
        let part = |values: &[f64], range: (f64, f64)| values[used(values, range)].to_vec();
        let layers: Vec<f64> = self.layers.iter().map(|&n| n as f64).collect();
        Self {
            displacement_x_pm: part(&self.displacement_x_pm, span.displacement_pm[0]),
            displacement_y_pm: part(&self.displacement_y_pm, span.displacement_pm[1]),
            displacement_z_pm: self.displacement_z_pm,
            composition: part(&self.composition, (0.0, span.richest)),
            tilt_x_mrad: part(&self.tilt_x_mrad, span.tilt_mrad[0]),
            tilt_y_mrad: part(&self.tilt_y_mrad, span.tilt_mrad[1]),
            defocus_angstrom: part(&self.defocus_angstrom, span.defocus_angstrom),
            layers: self.layers[used(&layers, span.layers)].to_vec(),
        }
    }

    /// Nodes and weights that interpolate at a place.
    pub(super) fn weights(&self, at: &Place) -> Vec<(usize, f64)> {
        let depths: Vec<f64> = self.layers.iter().map(|&n| n as f64).collect();
        let axes: [(&[f64], f64); 7] = [
            (&self.composition, at.composition),
            (&self.displacement_y_pm, at.displacement_pm[1]),
            (&self.displacement_x_pm, at.displacement_pm[0]),
            (&self.tilt_y_mrad, at.tilt_mrad[1]),
            (&self.tilt_x_mrad, at.tilt_mrad[0]),
            (&self.defocus_angstrom, at.defocus_angstrom),
            (&depths, at.layers as f64),
        ];
        // From the slowest axis to the fastest.
        axes.iter().fold(vec![(0, 1.0)], |so_far, &(nodes, at)| {
            let own = lagrange(nodes, at);
            so_far.iter().flat_map(|&(node, w)| own.iter().map(move |&(i, v)| (node * nodes.len() + i, w * v))).collect()
        })
    }
}

/// First of the nodes that interpolate at a place: all of an axis of up to four, the four around the place on longer ones.
fn first(nodes: &[f64], at: f64) -> usize {
    if nodes.len() <= 4 { 0 } else { nodes.partition_point(|&x| x <= at).saturating_sub(2).min(nodes.len() - 4) }
}

/// The nodes that interpolate within a range.
fn used(nodes: &[f64], (low, high): (f64, f64)) -> Range<usize> {
    first(nodes, low)..first(nodes, high) + nodes.len().min(4)
}

/// Lagrange's weights.
fn lagrange(nodes: &[f64], at: f64) -> Vec<(usize, f64)> {
    let used = used(nodes, (at, at));
    let weight = |i: usize| used.clone().filter(|&j| j != i).map(|j| (at - nodes[j]) / (nodes[i] - nodes[j])).product::<f64>();
    used.clone().map(|i| (i, weight(i))).filter(|(_, w)| *w != 0.0).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_reproduce_a_cubic_of_tilt_and_a_parabola_of_displacement() {
        let axes = LibraryAxes {
            displacement_x_pm: vec![-20.0, 0.0, 20.0],
            displacement_y_pm: vec![5.0],
            displacement_z_pm: 0.0,
            composition: vec![0.0, 0.2],
            tilt_x_mrad: (0..7).map(|i| 4.0 * f64::from(i)).collect(),
            tilt_y_mrad: vec![0.0],
            defocus_angstrom: vec![0.0, 20.0, 40.0],
            layers: vec![5, 10, 15],
        };
        let f = |d: f64, x: f64, t: f64, z: f64, n: f64| {
            (1.0 + d * d - 3.0 * d) * (2.0 - x) * (t * t * t - 4.0 * t) * (z * z - z) * (1.0 + n * n)
        };
        let value = |node: usize| {
            let per = axes.nodes() / axes.structures();
            let ([d, _], x) = axes.structure(node / per);
            f(d, x, axes.tilt_x_mrad[node % per / 9], axes.defocus_angstrom[node % 9 / 3], axes.layers[node % 3] as f64)
        };
        let at = Place { displacement_pm: [7.0, 5.0], composition: 0.13, tilt_mrad: [9.1, 0.0], defocus_angstrom: 13.0, layers: 12 };
        let sum: f64 = axes.weights(&at).iter().map(|&(node, w)| w * value(node)).sum();
        let exact = f(7.0, 0.13, 9.1, 13.0, 12.0);
        assert!((sum / exact - 1.0).abs() < 1e-12, "{sum} {exact}");
    }
}
