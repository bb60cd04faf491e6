//! The polarization displacement of one cell: B column minus the mean of its A columns, in the unit of the positions.

/// Displacement (x, y) of a B column at `b` from the mean of its four A columns.
///
/// P = b − (a₁ + a₂ + a₃ + a₄)/4, the cell's cation dipole up to a charge; a common shift of all five columns leaves it unchanged.
///
/// ```
/// let corners = [[0.0, 0.0], [4.0, 0.0], [0.0, 4.0], [4.0, 4.0]];
/// assert_eq!(mistilt::polarization::cell_shift([2.25, 1.5], corners), [0.25, -0.5]);
/// ```
#[must_use]
pub fn cell_shift(b: [f64; 2], a: [[f64; 2]; 4]) -> [f64; 2] {
    shift_from_mean(b, &a)
}

/// The same for any number of A columns (two along ⟨110⟩).
pub(crate) fn shift_from_mean(b: [f64; 2], a: &[[f64; 2]]) -> [f64; 2] {
    let n = a.len() as f64;
    [0, 1].map(|axis| b[axis] - a.iter().map(|p| p[axis]).sum::<f64>() / n)
}

/// Covariance (xx, xy, yy) of that displacement from those of independent columns: `Σ_B + Σ Σ_A / n²`.
pub(crate) fn shift_covariance(b: [f64; 3], a: &[[f64; 3]]) -> [f64; 3] {
    let n = a.len() as f64;
    [0, 1, 2].map(|k| b[k] + a.iter().map(|c| c[k]).sum::<f64>() / (n * n))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moving_one_a_column_moves_p_by_a_quarter_the_other_way() {
        let mut corners = [[0.0, 0.0], [4.0, 0.0], [0.0, 4.0], [4.0, 4.0]];
        corners[2][0] += 1.0;
        let [x, y] = cell_shift([2.0, 2.0], corners);
        assert!((x + 0.25).abs() < 1e-15 && y.abs() < 1e-15);
    }

    #[test]
    fn covariance_counts_b_once_and_each_a_column_a_sixteenth() {
        let covariance = shift_covariance([1.0, 0.1, 2.0], &[[0.4, 0.0, 0.8]; 4]);
        assert!((covariance[0] - 1.1).abs() < 1e-15 && (covariance[1] - 0.1).abs() < 1e-15 && (covariance[2] - 2.2).abs() < 1e-15);
    }
}
