//! The true polarization of a slab: how far each B column stands from the centre of the A columns around it; pm, image axes.

use super::cut::CutError;
use super::slab::{Column, Slab};
use crate::crystal::Site;

/// The third-nearest A column belongs to the cage of a B column when it is at most this much further than the nearest two.
const CAGE_RATIO: f64 = 1.4;
/// No column further than this from a B column belongs to its cage, Å.
const CAGE_REACH_ANGSTROM: f64 = 12.0;

/// The true B-minus-A shift of one B column.
#[derive(Debug, Clone, PartialEq)]
pub struct CellTruth {
    /// Index of the B column in [`Slab::columns`].
    pub b_column: usize,
    /// Indices of the A columns of its cage, four or two, nearest first; one column may stand there with several of its repeats.
    pub a_columns: Vec<usize>,
    /// The centre of the cage near the B column, Å.
    pub centre_angstrom: [f64; 2],
    /// The B column minus the centre, pm.
    pub shift_pm: [f64; 2],
}

impl Slab {
    /// The true shift of every B column, in the order of [`Slab::columns`]. The cage is the four nearest A columns where four surround
    /// the B column, as along ⟨100⟩pc; along ⟨110⟩pc it is the two nearest, which stand on either side of it along the cubic axis,
    /// and the four further ones, which centre on the same point in an undistorted crystal, are left out, as an analysis does.
    /// Refused where A and B columns fall on one another (⟨111⟩pc). Tilt moves A and B columns alike and changes no true shift.
    pub fn true_shift_pm(&self) -> Result<Vec<CellTruth>, CutError> {
        let b_columns = self.columns.iter().enumerate().filter(|(_, column)| column.site == Site::B);
        b_columns.map(|(index, column)| self.cell_truth(index, column)).collect()
    }

    fn cell_truth(&self, b_column: usize, column: &Column) -> Result<CellTruth, CutError> {
        let [x, y] = column.position_angstrom;
        let no_cage = || CutError::NoCage { x, y };
        let near = self.nearest_a_columns(column.position_angstrom);
        let distance = |n: usize| near.get(n).map_or(f64::INFINITY, |(_, v)| v[0].hypot(v[1]));
        let nearest_two = distance(0).midpoint(distance(1));
        let count = if distance(2) > CAGE_RATIO * nearest_two { 2 } else { 4 };
        let cage = near.get(..count).ok_or_else(no_cage)?;
        let centre = cage.iter().fold([0.0; 2], |sum, (_, v)| [sum[0] + v[0] / count as f64, sum[1] + v[1] / count as f64]);
        // Surrounded: the centre is much nearer than the columns, and nothing else is as near as they are.
        let mean = (0..count).map(distance).sum::<f64>() / count as f64;
        if distance(0) < 0.5 || centre[0].hypot(centre[1]) > 0.5 * mean || distance(count) < 1.2 * mean {
            return Err(no_cage());
        }
        Ok(CellTruth {
            b_column,
            a_columns: cage.iter().map(|(index, _)| *index).collect(),
            centre_angstrom: [x + centre[0], y + centre[1]],
            shift_pm: centre.map(|c| -100.0 * c),
        })
    }

    /// The five A columns nearest to a position, repeats included: index and vector from the position, Å.
    fn nearest_a_columns(&self, position: [f64; 2]) -> Vec<(usize, [f64; 2])> {
        let mut near = Vec::new();
        for (index, column) in self.columns.iter().enumerate().filter(|(_, column)| column.site == Site::A) {
            let nearest = self.shortest_vector(position, column.position_angstrom);
            // Two repeats each way: a cell may be no larger than the cage, and oblique.
            for i in -2..=2 {
                for j in -2..=2 {
                    let shift = self.position([f64::from(i), f64::from(j)]);
                    let vector = [nearest[0] + shift[0], nearest[1] + shift[1]];
                    if vector[0].hypot(vector[1]) < CAGE_REACH_ANGSTROM {
                        near.push((index, vector));
                    }
                }
            }
        }
        near.sort_by(|(i, v), (j, w)| v[0].hypot(v[1]).total_cmp(&w[0].hypot(w[1])).then(i.cmp(j)));
        near.truncate(5);
        near
    }
}
