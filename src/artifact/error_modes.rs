//! What the simulation may be wrong by at all places at once, the sampling of its phonons and the size of what tilt does to a column's shape:
//! normal modes of error, each of unit variance, integrated out in closed form (Rasmussen and Williams, Gaussian Processes for Machine Learning
//! (2006), eq. 2.42).

use super::at_tilt::Parts;
use super::response::ResponseTable;
use super::witness::Evidence;
use crate::numerics::least_squares::Cholesky;

/// Modes of error at most: phonons of crystal and reference, and the scale of the shape.
pub(super) const MODES: usize = 21;

/// The ways in which the simulation may be wrong.
pub(super) struct ErrorModes {
    pub(super) film: Vec<Parts>,
    pub(super) reference: Vec<Parts>,
    pub(super) middle: Parts,
    pub(super) middle_reference: Option<Parts>,
}

impl ErrorModes {
    /// Those of the tables of an image's evidence.
    pub(super) fn of(evidence: &Evidence<'_>) -> Self {
        let middle = evidence.table.middle();
        let parts = |table: &ResponseTable| table.modes().iter().take(MODES / 2).map(|m| Parts::new(m, table.true_shift_pm)).collect();
        let reference = evidence.reference.as_ref().map(|(table, _)| *table);
        Self {
            film: parts(evidence.table),
            reference: reference.map_or_else(Vec::new, parts),
            middle: Parts::new(&evidence.table.at(&middle), evidence.table.true_shift_pm),
            middle_reference: reference.map(|table| Parts::new(&table.at(&middle), table.true_shift_pm)),
        }
    }
}

/// Modes of error at one tilt, in units of the data's own errors, and the factor of 1 + EᵀE.
pub(super) struct Wrong {
    rows: Vec<[f64; MODES]>,
    factor: Option<Cholesky<MODES>>,
    half_log_determinant: f64,
}

impl Wrong {
    pub(super) fn new(rows: Vec<[f64; MODES]>) -> Self {
        let mut normal: [[f64; MODES]; MODES] = std::array::from_fn(|i| std::array::from_fn(|j| f64::from(u8::from(i == j))));
        for row in &rows {
            for (i, line) in normal.iter_mut().enumerate().filter(|(i, _)| row[*i] != 0.0) {
                line.iter_mut().zip(row).for_each(|(sum, v)| *sum += row[i] * v);
            }
        }
        let factor = Cholesky::new(&normal).ok();
        let half_log_determinant = factor.as_ref().map_or(0.0, Cholesky::half_log_determinant);
        Self { rows, factor, half_log_determinant }
    }

    /// log of N(d; 0, 1 + E Eᵀ) but for a constant.
    pub(super) fn log_likelihood(&self, d: &[f64]) -> f64 {
        let mut along = [0.0; MODES];
        for (row, value) in self.rows.iter().zip(d) {
            along.iter_mut().zip(row).for_each(|(sum, e)| *sum += e * value);
        }
        let square = |v: &[f64]| v.iter().map(|x| x * x).sum::<f64>();
        let explained = self.factor.as_ref().map_or(0.0, |f| square(&f.forward(along)));
        -0.5 * (square(d) - explained) - self.half_log_determinant
    }
}

/// Adds the rows of some modes, whitened.
pub(super) fn extend<const N: usize>(rows: &mut Vec<[f64; MODES]>, factor: &Cholesky<N>, columns: &[(usize, [f64; N])]) {
    let first = rows.len();
    rows.extend([[0.0; MODES]; N]);
    for (mode, column) in columns {
        for (row, value) in rows[first..].iter_mut().zip(factor.forward(*column)) {
            row[*mode] = value;
        }
    }
}
