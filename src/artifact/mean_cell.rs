//! The mean unit cell of a part of an image, as Fourier coefficients by least squares through its pixels; pixels in, Å out.
//!
//! Every pixel of the given cells has a place (u, v) in its cell, from an affine fit to the cells around it, so drift and distortion that
//! change slowly drop out. I(u, v) = Σ c_hk exp(2πi(hu + kv)) is fitted to all of them: the normal matrix depends on frequency differences alone
//! (it is a Toeplitz matrix), so sums over pixels are all that is kept. Noise falls with the number of cells and biases no estimator that is
//! applied to the mean cell; what each pixel is off the mean cell by tells the error of its readings.

use super::library::CellPlaces;
use crate::image::{FourierImage, Radiance};
use crate::polarization::{Cell, PolarizationMap};
use num_complex::Complex64;
use rayon::prelude::*;
use std::f64::consts::TAU;

/// Highest frequency kept along each edge: 7 per 4 Å is 1.8/Å, beyond which a source of 0.8 Å leaves less than 1e-3.
const HIGHEST: usize = 7;
/// Conjugate-gradient steps at most; a handful does, for pixels fill the cell evenly.
const STEPS: usize = 60;

/// Where the cells of an image lie on it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Axes {
    /// From image x to the first lattice vector, rad.
    pub rotation_rad: f64,
    /// Pixel size, Å.
    pub pixel_angstrom: f64,
}

impl Axes {
    /// A vector of the image in the axes of the crystal.
    #[must_use]
    pub fn to_crystal(&self, [x, y]: [f64; 2]) -> [f64; 2] {
        let (s, c) = self.rotation_rad.sin_cos();
        [c * x + s * y, c * y - s * x]
    }

    /// A vector of the crystal in the axes of the image.
    #[must_use]
    pub fn to_image(&self, [x, y]: [f64; 2]) -> [f64; 2] {
        let (s, c) = self.rotation_rad.sin_cos();
        [c * x - s * y, s * x + c * y]
    }

    /// A covariance [xx, xy, yy] of the image in the axes of the crystal.
    #[must_use]
    pub fn covariance_to_crystal(&self, [xx, xy, yy]: [f64; 3]) -> [f64; 3] {
        let (s, c) = self.rotation_rad.sin_cos();
        [c * c * xx + 2.0 * c * s * xy + s * s * yy, c * s * (yy - xx) + (c * c - s * s) * xy, s * s * xx - 2.0 * c * s * xy + c * c * yy]
    }
}

/// Sums over pixels from which a mean cell follows.
#[derive(Debug, Clone)]
struct Sums {
    highest: usize,
    /// Σ exp(−2πi(du u + dv v)) over |du|, |dv| ≤ 2 highest.
    places: Vec<Complex64>,
    /// Σ I exp(−2πi(h u + k v)).
    values: Vec<Complex64>,
    /// Sums of the lattice vectors (px) and of cells.
    basis: [[f64; 2]; 2],
    cells: f64,
}

/// The mean cell of a set of cells.
#[derive(Debug, Clone)]
pub struct MeanCell {
    /// Its image, B column at the origin, and its columns.
    pub image: FourierImage,
    /// Where its columns are.
    pub places: CellPlaces,
    /// How many cells entered.
    pub cells: usize,
    frames: Vec<LocalFrame>,
}

/// A pixel of a cell and what it is off the mean cell by.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Residual {
    /// Row of the image.
    pub(super) row: usize,
    /// Place in the cell, −½ to ½.
    pub(super) place: [f64; 2],
    /// Pixel minus mean cell.
    pub(super) value: f64,
}

/// Points of the table of a mean cell along each edge; between them the nearest four are weighted.
const TABLE: usize = 64;

impl MeanCell {
    /// The mean cell of `cells` (indices into the map); `None` where there are too few whole cells.
    #[must_use]
    pub fn new(pixels: &[f32], width: usize, map: &PolarizationMap, cells: &[usize], axes: &Axes) -> Option<Self> {
        let highest = HIGHEST.min((0.45 * map.lattice_a_px) as usize).max(2);
        // Chunks of a fixed size, added in their order: the sum is the same for any number of threads.
        let parts: Vec<(Sums, Vec<LocalFrame>)> = cells
            .par_chunks(16)
            .map(|chunk| {
                let mut sums = Sums::new(highest);
                let frames = chunk.iter().filter_map(|&n| local_frame(map, &map.cells[n]));
                let frames = frames.filter(|frame| sums.add(pixels, width, frame)).collect();
                (sums, frames)
            })
            .collect();
        let mut total = Sums::new(highest);
        let mut frames = Vec::new();
        for (part, own) in parts {
            total.combine(&part);
            frames.extend(own);
        }
        let (image, places) = total.solve(axes)?;
        Some(Self { image, places, cells: frames.len(), frames })
    }

    /// What the pixels are off the mean cell by, cell by cell.
    pub(super) fn residuals(&self, pixels: &[f32], width: usize) -> Vec<Vec<Residual>> {
        let [e, f] = self.image.cell_angstrom();
        let grid = |i: usize| i as f64 / TABLE as f64;
        let at = |i: usize| [0, 1].map(|c| grid(i % TABLE) * e[c] + grid(i / TABLE) * f[c]);
        let places: Vec<[f64; 2]> = (0..TABLE * TABLE).map(at).collect();
        let mut values = vec![0.0; places.len()];
        self.image.evaluate(&places, &mut values);
        let mean = |place: [f64; 2]| corners(TABLE, place).iter().map(|(n, w)| w * values[*n]).sum::<f64>();
        let of_cell = |frame: &LocalFrame| {
            let own = frame.pixels(pixels, width).unwrap_or_default();
            own.into_iter().map(|(row, place, value)| Residual { row, place, value: value - mean(place) }).collect()
        };
        self.frames.par_iter().map(of_cell).collect()
    }
}

/// The four points of a periodic table of `side` × `side` about a place, with their weights.
pub(super) fn corners(side: usize, place: [f64; 2]) -> [(usize, f64); 4] {
    let at = place.map(|w| w.rem_euclid(1.0) * side as f64);
    let low = at.map(f64::floor);
    let [x, y] = [0, 1].map(|c| at[c] - low[c]);
    let [i, j] = low.map(|v| v as usize % side);
    let point = |di: usize, dj: usize| (j + dj) % side * side + (i + di) % side;
    [(point(0, 0), (1.0 - x) * (1.0 - y)), (point(1, 0), x * (1.0 - y)), (point(0, 1), (1.0 - x) * y), (point(1, 1), x * y)]
}

/// Middle of a cell and its lattice vectors, px, from the cells around it.
#[derive(Debug, Clone, Copy)]
struct LocalFrame {
    middle: [f64; 2],
    basis: [[f64; 2]; 2],
}

/// An affine fit to the middles of the cells within two steps; `None` with fewer than six, or all in a row.
fn local_frame(map: &PolarizationMap, cell: &Cell) -> Option<LocalFrame> {
    let [i, j] = cell.index;
    let near = (-2..=2).flat_map(|dj| (-2..=2).map(move |di| [di, dj]));
    let found: Vec<([f64; 2], [f64; 2])> =
        near.filter_map(|[di, dj]| Some(([f64::from(di), f64::from(dj)], map.cell([i + di, j + dj])?.centre_px))).collect();
    if found.len() < 6 {
        return None;
    }
    let n = found.len() as f64;
    let index = [0, 1].map(|c| found.iter().map(|f| f.0[c]).sum::<f64>() / n);
    let place = [0, 1].map(|c| found.iter().map(|f| f.1[c]).sum::<f64>() / n);
    let square = |a: usize, b: usize| found.iter().map(|f| (f.0[a] - index[a]) * (f.0[b] - index[b])).sum::<f64>() / n;
    let (ii, ij, jj) = (square(0, 0), square(0, 1), square(1, 1));
    let determinant = ii * jj - ij * ij;
    if determinant < 0.05 {
        return None;
    }
    let cross = |a: usize, c: usize| found.iter().map(|f| (f.0[a] - index[a]) * (f.1[c] - place[c])).sum::<f64>() / n;
    let basis = [
        [0, 1].map(|c| (jj * cross(0, c) - ij * cross(1, c)) / determinant),
        [0, 1].map(|c| (ii * cross(1, c) - ij * cross(0, c)) / determinant),
    ];
    let middle = [0, 1].map(|c| place[c] - index[0] * basis[0][c] - index[1] * basis[1][c]);
    Some(LocalFrame { middle, basis })
}

impl LocalFrame {
    /// The pixels of the cell: row, place in the cell, value. `None` where the cell is not wholly in the image or holds pixels without a value.
    fn pixels(&self, pixels: &[f32], width: usize) -> Option<Vec<(usize, [f64; 2], f64)>> {
        let [e, f] = self.basis;
        let determinant = e[0] * f[1] - e[1] * f[0];
        let height = pixels.len() / width;
        let reach = [0, 1].map(|c| 0.5 * (e[c].abs() + f[c].abs()));
        let span = [0, 1].map(|c| ((self.middle[c] - reach[c]).ceil(), (self.middle[c] + reach[c]).floor()));
        let inside = span[0].0 >= 0.0 && span[1].0 >= 0.0 && span[0].1 < width as f64 && span[1].1 < height as f64;
        if determinant <= 0.0 || !inside {
            return None;
        }
        let mut own = Vec::new();
        for y in span[1].0 as usize..=span[1].1 as usize {
            for x in span[0].0 as usize..=span[0].1 as usize {
                let d = [x as f64 - self.middle[0], y as f64 - self.middle[1]];
                let place = [(d[0] * f[1] - d[1] * f[0]) / determinant, (d[1] * e[0] - d[0] * e[1]) / determinant];
                if place.iter().all(|w| (-0.5..0.5).contains(w)) {
                    own.push((y, place, f64::from(pixels[y * width + x])));
                }
            }
        }
        (!own.is_empty() && own.iter().all(|p| p.2.is_finite())).then_some(own)
    }
}

impl Sums {
    fn new(highest: usize) -> Self {
        let side = |n: usize| (2 * n + 1) * (2 * n + 1);
        Self {
            highest,
            places: vec![Complex64::default(); side(2 * highest)],
            values: vec![Complex64::default(); side(highest)],
            basis: [[0.0; 2]; 2],
            cells: 0.0,
        }
    }

    fn combine(&mut self, other: &Self) {
        self.places.iter_mut().zip(&other.places).for_each(|(a, b)| *a += b);
        self.values.iter_mut().zip(&other.values).for_each(|(a, b)| *a += b);
        for (a, b) in self.basis.iter_mut().flatten().zip(other.basis.iter().flatten()) {
            *a += b;
        }
        self.cells += other.cells;
    }

    /// Adds the pixels of one cell, and says whether it has any that count.
    fn add(&mut self, pixels: &[f32], width: usize, frame: &LocalFrame) -> bool {
        let Some(own) = frame.pixels(pixels, width) else { return false };
        for (_, [u, v], value) in own {
            self.add_pixel(u, v, value);
        }
        for (sum, value) in self.basis.iter_mut().flatten().zip(frame.basis.iter().flatten()) {
            *sum += value;
        }
        self.cells += 1.0;
        true
    }

    fn add_pixel(&mut self, u: f64, v: f64, value: f64) {
        let n = 2 * self.highest;
        // Powers −n to n of exp(−2πi w); index n is the zeroth.
        let powers = |w: f64| {
            let step = Complex64::cis(-TAU * w);
            let mut list = [Complex64::new(1.0, 0.0); 4 * HIGHEST + 1];
            for d in 1..=n {
                list[n + d] = list[n + d - 1] * step;
                list[n - d] = list[n + d].conj();
            }
            list
        };
        let (along_u, along_v) = (powers(u), powers(v));
        // Only half is summed: the other is its conjugate.
        for dv in 0..=n {
            let row = &mut self.places[(n + dv) * (2 * n + 1)..][..=2 * n];
            let factor = along_v[n + dv];
            row.iter_mut().zip(&along_u).for_each(|(sum, p)| *sum += p * factor);
        }
        let m = self.highest;
        for k in 0..=m {
            let row = &mut self.values[(m + k) * (2 * m + 1)..][..=2 * m];
            let factor = along_v[n + k] * value;
            row.iter_mut().zip(&along_u[n - m..]).for_each(|(sum, p)| *sum += p * factor);
        }
    }

    /// The coefficients that fit best, as an image about the middle of the cell.
    fn solve(&self, axes: &Axes) -> Option<(FourierImage, CellPlaces)> {
        let m = self.highest;
        let count = self.places[(2 * m) * (4 * m + 1) + 2 * m].re;
        // Twice as many pixels as unknowns, and a cell to speak of.
        if self.cells < 1.0 || count < 2.0 * self.values.len() as f64 {
            return None;
        }
        let side = 2 * m + 1;
        let place = |h: i32, k: i32| {
            let n = 2 * m as i32;
            let at = |h: i32, k: i32| self.places[((k + n) * (2 * n + 1) + h + n) as usize];
            if k >= 0 { at(h, k) } else { at(-h, -k).conj() }
        };
        let value = |h: i32, k: i32| {
            let m = m as i32;
            let at = |h: i32, k: i32| self.values[((k + m) * (2 * m + 1) + h + m) as usize];
            if k >= 0 { at(h, k) } else { at(-h, -k).conj() }
        };
        let index: Vec<(i32, i32)> = (0..side * side).map(|i| ((i % side) as i32 - m as i32, (i / side) as i32 - m as i32)).collect();
        // Normalised to one pixel, with a trace of damping where pixels do not reach.
        let damping = 1e-6;
        let apply = |x: &[Complex64]| -> Vec<Complex64> {
            let row = |(h, k): &(i32, i32)| -> Complex64 {
                index.iter().zip(x).map(|((p, q), c)| place(h - p, k - q) * c).sum::<Complex64>() / count
            };
            index.iter().zip(x).map(|(hk, c)| row(hk) + damping * c).collect()
        };
        let right: Vec<Complex64> = index.iter().map(|(h, k)| value(*h, *k) / count).collect();
        let solution = conjugate_gradient(apply, &right);
        let scale = axes.pixel_angstrom / self.cells;
        let basis = self.basis.map(|e| axes.to_crystal(e.map(|v| v * scale)));
        let mut image = FourierImage::zeros(basis, m, m);
        for ((h, k), c) in index.iter().zip(&solution) {
            image.add(*h, *k, *c);
        }
        let corner = |i: f64, j: f64| [0, 1].map(|c| i * basis[0][c] + j * basis[1][c]);
        let a_angstrom = [(-0.5, -0.5), (0.5, -0.5), (-0.5, 0.5), (0.5, 0.5)].map(|(i, j)| corner(i, j)).to_vec();
        Some((image, CellPlaces { b_angstrom: [0.0; 2], a_angstrom, true_shift_pm: [0.0; 2] }))
    }
}

/// Hestenes and Stiefel's conjugate gradients for a Hermitian positive matrix (J. Res. Natl. Bur. Stand. 49 (1952) 409).
fn conjugate_gradient(apply: impl Fn(&[Complex64]) -> Vec<Complex64>, right: &[Complex64]) -> Vec<Complex64> {
    let square = |v: &[Complex64]| v.iter().map(Complex64::norm_sqr).sum::<f64>();
    let mut x = right.to_vec();
    let mut residual: Vec<Complex64> = right.iter().zip(apply(&x)).map(|(b, a)| b - a).collect();
    let mut direction = residual.clone();
    let (mut rr, end) = (square(&residual), 1e-20 * square(right));
    for _ in 0..STEPS {
        if rr <= end {
            break;
        }
        let moved = apply(&direction);
        let curvature: f64 = direction.iter().zip(&moved).map(|(d, m)| (d.conj() * m).re).sum();
        if curvature <= 0.0 {
            break;
        }
        let step = rr / curvature;
        x.iter_mut().zip(&direction).for_each(|(x, d)| *x += d * step);
        residual.iter_mut().zip(&moved).for_each(|(r, m)| *r -= m * step);
        let next = square(&residual);
        let ratio = next / rr;
        direction.iter_mut().zip(&residual).for_each(|(d, r)| *d = r + *d * ratio);
        rr = next;
    }
    x
}
