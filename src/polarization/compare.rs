//! Two polarization maps of the same cells compared one cell at a time: bias, scatter and correlation; pm, or px without pixel sizes.

use super::{PolarizationError, PolarizationMap};
use crate::columns::median;
use std::collections::BTreeMap;

/// One cell in both maps.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize)]
pub struct CellPair {
    /// Index in the reference.
    pub index: [i32; 2],
    /// Shift (x, y) in the reference.
    pub reference: [f64; 2],
    /// Shift (x, y) in the other map.
    pub other: [f64; 2],
}

impl CellPair {
    /// Other minus reference.
    #[must_use]
    pub fn difference(&self) -> [f64; 2] {
        [self.other[0] - self.reference[0], self.other[1] - self.reference[1]]
    }
}

/// How one map differs from another; every pair of numbers is (x, y), in [`Comparison::unit`].
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct Comparison {
    /// "pm" if both maps have a pixel size, else "px".
    pub unit: &'static str,
    /// Number of cells in both.
    pub cells: usize,
    /// Cells of the reference that the other lacks.
    pub only_in_reference: usize,
    /// Cells of the other that the reference lacks.
    pub only_in_other: usize,
    /// Mean of other minus reference.
    pub bias: [f64; 2],
    /// Median of the same.
    pub median_difference: [f64; 2],
    /// Root mean square of the same.
    pub rmse: [f64; 2],
    /// Robust standard deviation of the same: 1.4826 times the median distance from the median.
    pub sd: [f64; 2],
    /// Pearson's correlation; NaN where a map does not vary.
    pub correlation: [f64; 2],
    /// The cells themselves, for a parity plot, in the reference's order.
    pub pairs: Vec<CellPair>,
}

impl Comparison {
    /// Compares `other` with `reference`. Cells are joined by index, after the whole-cell offset that most positions agree on, so
    /// the maps may have been found separately on the same pixel grid.
    ///
    /// # Errors
    /// [`PolarizationError::NoCommonCells`] if no cell is in both.
    pub fn between(reference: &PolarizationMap, other: &PolarizationMap) -> Result<Self, PolarizationError> {
        let offset = common_offset(reference, other).ok_or(PolarizationError::NoCommonCells)?;
        let (unit, scales) = match (reference.pixel_size_pm, other.pixel_size_pm) {
            (Some(r), Some(o)) => ("pm", [r, o]),
            _ => ("px", [1.0, 1.0]),
        };
        let pairs: Vec<CellPair> = reference
            .cells
            .iter()
            .filter_map(|cell| {
                let twin = other.cell([cell.index[0] + offset[0], cell.index[1] + offset[1]])?;
                let [r, o] = [cell.shift_px.map(|v| v * scales[0]), twin.shift_px.map(|v| v * scales[1])];
                Some(CellPair { index: cell.index, reference: r, other: o })
            })
            .collect();
        let n = pairs.len();
        let over = |f: &dyn Fn(usize, &CellPair) -> f64| [0, 1].map(|axis| pairs.iter().map(|p| f(axis, p)).sum::<f64>() / n as f64);
        let bias = over(&|axis, p| p.difference()[axis]);
        let middle = [0, 1].map(|axis| median(pairs.iter().map(|p| p.difference()[axis]).collect()).unwrap_or(f64::NAN));
        let spread = |axis: usize| median(pairs.iter().map(|p| (p.difference()[axis] - middle[axis]).abs()).collect()).unwrap_or(f64::NAN);
        let [r, o] = [over(&|axis, p| p.reference[axis]), over(&|axis, p| p.other[axis])];
        let [rr, oo] = [over(&|axis, p| (p.reference[axis] - r[axis]).powi(2)), over(&|axis, p| (p.other[axis] - o[axis]).powi(2))];
        let ro = over(&|axis, p| (p.reference[axis] - r[axis]) * (p.other[axis] - o[axis]));
        Ok(Self {
            unit,
            cells: n,
            only_in_reference: reference.cells.len() - n,
            only_in_other: other.cells.len() - n,
            bias,
            median_difference: middle,
            rmse: over(&|axis, p| p.difference()[axis].powi(2)).map(f64::sqrt),
            sd: [0, 1].map(|axis| 1.4826 * spread(axis)),
            correlation: [0, 1].map(|axis| ro[axis] / (rr[axis] * oo[axis]).sqrt()),
            pairs,
        })
    }
}

/// The index difference that most cells with the same place have; `None` if no cell of one lies within a third of a cell of one of the
/// other.
fn common_offset(reference: &PolarizationMap, other: &PolarizationMap) -> Option<[i32; 2]> {
    let places: Vec<[f64; 2]> = other.cells.iter().map(|c| c.centre_px).collect();
    let reach = reference.lattice_a_px / 3.0;
    let grid = crate::columns::PointGrid::new(&places, Some(reference.lattice_a_px));
    let mut votes = BTreeMap::<[i32; 2], usize>::new();
    for cell in &reference.cells {
        let twin = match &grid {
            Some(grid) => grid.nearest(cell.centre_px, reach),
            // A map of one cell has no grid of neighbours.
            None => places.iter().position(|p| (p[0] - cell.centre_px[0]).hypot(p[1] - cell.centre_px[1]) < reach),
        };
        if let Some(twin) = twin {
            let index = other.cells[twin].index;
            *votes.entry([index[0] - cell.index[0], index[1] - cell.index[1]]).or_default() += 1;
        }
    }
    votes.into_iter().max_by_key(|(offset, n)| (*n, std::cmp::Reverse(*offset))).map(|(offset, _)| offset)
}
