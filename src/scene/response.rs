//! The response of one column: its image in any uniform crystal of a library, as few smooth tables that evaluate in a few hundred operations.
//!
//! The images of all nodes, each moved so that the column stands at the origin, are stacked as rows of a matrix and reduced to the singular
//! vectors that matter (error below 1e-5 of the largest value, checked). Each is held by its cubic B-spline coefficients on the cell: these
//! follow from the Fourier coefficients exactly (Unser, IEEE Signal Process. Mag. 16 (6) (1999) 22), so a smooth table with six points to the
//! shortest wave is good to 1e-4 of what that wave carries.

use crate::image::FourierImage;
use crate::numerics::fft::Fft2;
use crate::numerics::grid::{Grid, fast_size};
use faer::{Mat, Side};
use num_complex::Complex64;
use std::f64::consts::TAU;

/// Largest error of the reduction, of the largest value.
const REDUCTION: f64 = 1e-5;
/// Up to this many nodes nothing is reduced.
const FEW: usize = 4;

/// Tables of one sublattice.
pub(super) struct Response {
    reciprocal: [[f64; 2]; 2],
    size: [usize; 2],
    rank: usize,
    /// Spline coefficients `[iy][ix][rank]`.
    tables: Vec<f32>,
    /// What each table counts in each node, `[node][rank]`.
    of_node: Vec<f64>,
}

impl Response {
    /// From the images of all nodes and the place of the column in each, Å; `transfer` is the source's, a function of |q|².
    pub(super) fn new(images: &[(&FourierImage, [f64; 2])], transfer: &dyn Fn(f64) -> f64) -> Self {
        let first = images[0].0;
        let cell = first.cell_angstrom();
        let size = first.limits().map(|n| fast_size((6 * n).max(24)));
        let points = size[0] * size[1];
        let rows: Vec<Vec<f64>> = images.iter().map(|(image, at)| spline(image, *at, size, transfer)).collect();
        let (tables, of_node) = reduced(&rows);
        let rank = tables.len();
        let interleaved = (0..points).flat_map(|i| tables.iter().map(move |t| t[i] as f32)).collect();
        Self { reciprocal: crate::numerics::grid::reciprocal(cell), size, rank, tables: interleaved, of_node }
    }

    /// Number of tables.
    pub(super) fn rank(&self) -> usize {
        self.rank
    }

    /// What each table counts for the given nodes and weights.
    pub(super) fn coefficients(&self, weights: &[(usize, f64)]) -> Vec<f32> {
        let of = |r: usize| weights.iter().map(|&(node, w)| w * self.of_node[node * self.rank + r]).sum::<f64>() as f32;
        (0..self.rank).map(of).collect()
    }

    /// The response at an offset from the column, Å.
    pub(super) fn value(&self, coefficients: &[f32], offset_angstrom: [f64; 2]) -> f64 {
        let along = |c: usize| {
            let b = self.reciprocal[c];
            let n = self.size[c] as f64;
            let t = (b[0] * offset_angstrom[0] + b[1] * offset_angstrom[1]) * n;
            let whole = t.floor();
            ((whole as i64 - 1).rem_euclid(self.size[c] as i64) as usize, cubic(t - whole))
        };
        let ((x0, wx), (y0, wy)) = (along(0), along(1));
        let [nx, ny] = self.size;
        let columns = [0, 1, 2, 3].map(|i| (x0 + i) % nx * self.rank);
        let mut sum = 0.0;
        for (j, wy) in wy.into_iter().enumerate() {
            let row = &self.tables[(y0 + j) % ny * nx * self.rank..][..nx * self.rank];
            let mut line = 0.0;
            for (start, wx) in columns.into_iter().zip(wx) {
                let entry = &row[start..start + self.rank];
                line += wx * entry.iter().zip(coefficients).map(|(t, c)| t * c).sum::<f32>();
            }
            sum += f64::from(wy * line);
        }
        sum
    }
}

/// The four cubic B-spline weights at a fraction between the second and the third knot.
fn cubic(t: f64) -> [f32; 4] {
    let s = 1.0 - t;
    [s * s * s / 6.0, 2.0 / 3.0 - t * t * (1.0 - 0.5 * t), 2.0 / 3.0 - s * s * (1.0 - 0.5 * s), t * t * t / 6.0].map(|w| w as f32)
}

/// Cubic B-spline coefficients on `size` points of the cell of the image moved so that `at` comes to the origin.
fn spline(image: &FourierImage, at: [f64; 2], size: [usize; 2], transfer: &dyn Fn(f64) -> f64) -> Vec<f64> {
    let [nx, ny] = size;
    let grid = Grid { nx, ny, cell_angstrom: image.cell_angstrom() };
    let mut spectrum = vec![Complex64::default(); nx * ny];
    // The Fourier transform of the spline sampled at its knots.
    let knots = |h: i32, n: usize| (2.0 + (TAU * f64::from(h) / n as f64).cos()) / 3.0;
    for (h, k, c) in image.iter() {
        let q = grid.frequency(h, k);
        let phase = Complex64::cis(TAU * (q[0] * at[0] + q[1] * at[1]));
        spectrum[grid.index(h, k)] += c * phase * transfer(q[0] * q[0] + q[1] * q[1]) / (knots(h, nx) * knots(k, ny));
    }
    let fft = Fft2::<f64>::new(nx, ny);
    fft.inverse(&mut spectrum, &mut fft.scratch());
    spectrum.into_iter().map(|c| c.re).collect()
}

/// Few tables and what each counts in each row, such that every row is their sum to [`REDUCTION`].
fn reduced(rows: &[Vec<f64>]) -> (Vec<Vec<f64>>, Vec<f64>) {
    let n = rows.len();
    let whole = || (rows.to_vec(), (0..n * n).map(|i| if i / n == i % n { 1.0 } else { 0.0 }).collect());
    if n <= FEW {
        return whole();
    }
    let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(x, y)| x * y).sum::<f64>();
    let gram = Mat::<f64>::from_fn(n, n, |i, j| dot(&rows[i], &rows[j]));
    let Ok(eigen) = gram.self_adjoint_eigen(Side::Lower) else { return whole() };
    let vectors = eigen.U();
    let largest = rows.iter().flatten().fold(0.0_f64, |m, v| m.max(v.abs()));
    let mut left = rows.to_vec();
    let (mut tables, mut columns): (Vec<Vec<f64>>, Vec<Vec<f64>>) = (Vec::new(), Vec::new());
    // Eigenvalues ascend: the last vector carries most.
    for column in (0..n).rev() {
        let u: Vec<f64> = (0..n).map(|i| vectors[(i, column)]).collect();
        let mut table = vec![0.0; rows[0].len()];
        for (row, &w) in rows.iter().zip(&u) {
            table.iter_mut().zip(row).for_each(|(t, v)| *t += w * v);
        }
        for (row, &w) in left.iter_mut().zip(&u) {
            row.iter_mut().zip(&table).for_each(|(v, t)| *v -= w * t);
        }
        tables.push(table);
        columns.push(u);
        if left.iter().flatten().all(|v| v.abs() <= REDUCTION * largest) {
            break;
        }
    }
    let of_node = (0..n).flat_map(|i| columns.iter().map(move |u| u[i])).collect();
    (tables, of_node)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An image of smooth columns with waves up to the limit, and a fainter one that grows with `node`.
    fn image(node: f64) -> FourierImage {
        let mut image = FourierImage::zeros([[4.0, 0.0], [0.0, 3.9]], 8, 8);
        for h in -8..=8_i32 {
            for k in -8..=8_i32 {
                let fall = (-0.08 * f64::from(h * h + k * k)).exp();
                let c = Complex64::new(fall, 0.0) + Complex64::cis(node * f64::from(h) * 0.02) * 0.3 * node * fall;
                image.add(h, k, c);
            }
        }
        image
    }

    #[test]
    fn tables_give_the_fourier_series_at_every_offset() {
        let images: Vec<FourierImage> = (0..9).map(|n| image(f64::from(n) / 8.0)).collect();
        let at = [1.3, 0.4];
        let response = Response::new(&images.iter().map(|i| (i, at)).collect::<Vec<_>>(), &|_| 1.0);
        assert!(response.rank() < 9, "nine smooth images need fewer tables: {}", response.rank());
        let peak = images[8].value([0.0; 2]);
        for node in [0, 3, 8] {
            let coefficients = response.coefficients(&[(node, 1.0)]);
            for offset in [[0.0, 0.0], [0.33, -0.71], [-5.2, 9.13], [1.999, 0.05]] {
                let exact = images[node].value([at[0] + offset[0], at[1] + offset[1]]);
                let error = (response.value(&coefficients, offset) - exact).abs() / peak;
                assert!(error < 3e-5, "node {node} at {offset:?}: {error}");
            }
        }
    }

    #[test]
    fn weights_of_a_spline_sum_to_one() {
        for t in [0.0, 0.25, 0.7, 0.999] {
            assert!((cubic(t).iter().sum::<f32>() - 1.0).abs() < 1e-6);
        }
    }
}
