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
use std::sync::Arc;

/// Largest error of the reduction, of the largest value.
const REDUCTION: f64 = 1e-5;
/// Up to this many nodes nothing is reduced.
const FEW: usize = 4;

/// The images of all nodes about one column, reduced to few tables: what every image of scenes from one library shares.
#[derive(Debug)]
pub(super) struct Reduced {
    cell_angstrom: [[f64; 2]; 2],
    size: [usize; 2],
    /// Spline coefficients `[iy][ix]` of each table.
    tables: Vec<Vec<f64>>,
    /// What each table counts in each node, `[node][table]`.
    of_node: Vec<f64>,
}

impl Reduced {
    /// From the images of all nodes and the place of the column in each, Å.
    pub(super) fn new(images: &[(&FourierImage, [f64; 2])]) -> Self {
        let first = images[0].0;
        let size = first.limits().map(|n| fast_size((6 * n).max(24)));
        let rows: Vec<Vec<f64>> = images.iter().map(|(image, at)| spline(image, *at, size)).collect();
        let (tables, of_node) = reduced(&rows);
        Self { cell_angstrom: first.cell_angstrom(), size, tables, of_node }
    }

    /// A table seen with a source: `transfer` is the source's, a function of |q|².
    fn seen(&self, table: &[f64], transfer: &dyn Fn(f64) -> f64) -> Vec<f64> {
        let [nx, ny] = self.size;
        let grid = Grid { nx, ny, cell_angstrom: self.cell_angstrom };
        let fft = Fft2::<f64>::new(nx, ny);
        let mut scratch = fft.scratch();
        let mut spectrum: Vec<Complex64> = table.iter().map(|&v| Complex64::new(v, 0.0)).collect();
        fft.forward(&mut spectrum, &mut scratch);
        for (c, (h, k)) in spectrum.iter_mut().zip(grid.frequencies()) {
            let q = grid.frequency(h, k);
            *c *= transfer(q[0] * q[0] + q[1] * q[1]) / (nx * ny) as f64;
        }
        fft.inverse(&mut spectrum, &mut scratch);
        spectrum.into_iter().map(|c| c.re).collect()
    }
}

/// Tables of one sublattice, seen with a source.
pub(super) struct Response {
    reciprocal: [[f64; 2]; 2],
    rank: usize,
    /// Spline coefficients `[iy][ix][rank]`.
    tables: Vec<f32>,
    /// The sublattice, one of the pair.
    of: (Arc<[Reduced; 2]>, usize),
}

impl Response {
    /// One sublattice of a pair of A and B, seen with a source; `transfer` is the source's, a function of |q|².
    pub(super) fn new(pair: &Arc<[Reduced; 2]>, sublattice: usize, transfer: &dyn Fn(f64) -> f64) -> Self {
        let own = &pair[sublattice];
        let seen: Vec<Vec<f64>> = own.tables.iter().map(|table| own.seen(table, transfer)).collect();
        let points = own.size[0] * own.size[1];
        let tables = (0..points).flat_map(|i| seen.iter().map(move |t| t[i] as f32)).collect();
        Self { reciprocal: crate::numerics::grid::reciprocal(own.cell_angstrom), rank: seen.len(), tables, of: (pair.clone(), sublattice) }
    }

    /// Number of tables.
    pub(super) fn rank(&self) -> usize {
        self.rank
    }

    /// What each table counts for the given nodes and weights.
    pub(super) fn coefficients(&self, weights: &[(usize, f64)]) -> Vec<f32> {
        let of_node = &self.of.0[self.of.1].of_node;
        let of = |r: usize| weights.iter().map(|&(node, w)| w * of_node[node * self.rank + r]).sum::<f64>() as f32;
        (0..self.rank).map(of).collect()
    }

    /// The response at an offset from the column, Å.
    pub(super) fn value(&self, coefficients: &[f32], offset_angstrom: [f64; 2]) -> f64 {
        let size = self.of.0[self.of.1].size;
        let along = |c: usize| {
            let b = self.reciprocal[c];
            let n = size[c] as f64;
            let t = (b[0] * offset_angstrom[0] + b[1] * offset_angstrom[1]) * n;
            let whole = t.floor();
            ((whole as i64 - 1).rem_euclid(size[c] as i64) as usize, cubic(t - whole))
        };
        let ((x0, wx), (y0, wy)) = (along(0), along(1));
        let [nx, ny] = size;
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
fn spline(image: &FourierImage, at: [f64; 2], size: [usize; 2]) -> Vec<f64> {
    let [nx, ny] = size;
    let grid = Grid { nx, ny, cell_angstrom: image.cell_angstrom() };
    let mut spectrum = vec![Complex64::default(); nx * ny];
    // The Fourier transform of the spline sampled at its knots.
    let knots = |h: i32, n: usize| (2.0 + (TAU * f64::from(h) / n as f64).cos()) / 3.0;
    for (h, k, c) in image.iter() {
        let q = grid.frequency(h, k);
        let phase = Complex64::cis(TAU * (q[0] * at[0] + q[1] * at[1]));
        spectrum[grid.index(h, k)] += c * phase / (knots(h, nx) * knots(k, ny));
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
        let nodes: Vec<_> = images.iter().map(|i| (i, at)).collect();
        let pair = Arc::new([Reduced::new(&nodes[..1]), Reduced::new(&nodes)]);
        let response = Response::new(&pair, 1, &|_| 1.0);
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
    fn a_source_blurs_the_tables_as_it_blurs_the_images() {
        let transfer = |q2: f64| (-3.0 * q2).exp();
        let mut blurred = image(0.4);
        let [b1, b2] = blurred.reciprocal();
        let sharp = image(0.4);
        for (h, k, c) in sharp.iter() {
            let q = [0, 1].map(|i| f64::from(h) * b1[i] + f64::from(k) * b2[i]);
            blurred.add(h, k, c * (transfer(q[0] * q[0] + q[1] * q[1]) - 1.0));
        }
        let pair = Arc::new([Reduced::new(&[(&sharp, [0.0; 2])]), Reduced::new(&[(&sharp, [0.0; 2])])]);
        let response = Response::new(&pair, 0, &transfer);
        for at in [[0.0, 0.0], [0.7, -1.2], [2.9, 3.3]] {
            let error = response.value(&response.coefficients(&[(0, 1.0)]), at) - blurred.value(at);
            assert!(error.abs() < 1e-4 * blurred.value([0.0; 2]), "{at:?}: {error}");
        }
    }

    #[test]
    fn weights_of_a_spline_sum_to_one() {
        for t in [0.0, 0.25, 0.7, 0.999] {
            assert!((cubic(t).iter().sum::<f32>() - 1.0).abs() < 1e-6);
        }
    }
}
