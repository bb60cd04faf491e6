//! How the noise of pixels becomes errors of a mean cell's readings: each pixel's influence on each reading, and their covariance; pm.
//!
//! A reading changes by Σ G(u, v) δI / n over the n pixels of a mean cell, G being its influence function (Hampel, J. Am. Stat. Assoc. 69 (1974)
//! 383), the gradient of the reading to the cell's Fourier coefficients turned into a function of the place. What the pixels are off the mean cell
//! by then gives the error of every reading and how they err together, whatever the noise: electrons, jitter that a row shares, texture that
//! a cell shares. Pairs of pixels of neighbouring rows or of one cell count as erring together (two-way clustering: Cameron, Gelbach and Miller,
//! J. Bus. Econ. Stat. 29 (2011) 238; rows with the weights of Newey and West, Econometrica 55 (1987) 703).

use super::mean_cell::{MeanCell, Residual, corners};
use super::reading::{Reading, Ruler, VECTORS, read_cells};
use crate::columns::FitFailure;
use crate::image::FourierImage;
use num_complex::Complex64;
use rayon::prelude::*;
use std::collections::BTreeMap;
use std::f64::consts::TAU;

/// Readings whose error is told: the shift and the signs of tilt.
pub(super) const READ: usize = 2 * VECTORS;
/// Points of the table of influence along each edge of the cell.
const TABLE: usize = 64;
/// Highest frequency whose influence counts: those of a mean cell.
const HIGHEST: i32 = 7;

/// Change of a coefficient by which a gradient is taken, in units of the contrast.
const STEP: f64 = 1e-4;

/// A covariance of the readings.
pub(super) type Covariance = [[f64; READ]; READ];

/// Root mean square of an image about its mean: the unit of intensity, for readings know neither gain nor offset.
fn contrast(image: &FourierImage) -> f64 {
    image.iter().filter(|(h, k, _)| (*h, *k) != (0, 0)).map(|(_, _, c)| c.norm_sqr()).sum::<f64>().sqrt()
}

/// What a change of the mean cell's intensity at a place, in units of its contrast, does to each reading.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Influence(Vec<[f64; READ]>);

impl Influence {
    /// Of a mean cell itself and no simulated one: noise moves a weak column more than a strong one, and which is weak depends on the thickness.
    pub(super) fn new(mean: &MeanCell, ruler: &Ruler) -> Result<Self, FitFailure> {
        let (image, cell) = (&mean.image, &mean.places);
        // Places are counted from the middle of the A columns.
        let n = cell.a_angstrom.len().max(1) as f64;
        let middle = [0, 1].map(|c| cell.a_angstrom.iter().map(|a| a[c]).sum::<f64>() / n);
        let [b1, b2] = image.reciprocal();
        let step = STEP * contrast(image);
        let read = |image: &FourierImage| read_cells(image, std::slice::from_ref(cell), [0.0; 2], ruler).map(Reading::to_list);
        let still = read(image)?;
        let slope = |h: i32, k: i32, unit: Complex64| -> Result<[f64; READ], FitFailure> {
            let g = [0, 1].map(|i| f64::from(h) * b1[i] + f64::from(k) * b2[i]);
            let mut moved = image.clone();
            let change = unit * Complex64::cis(-TAU * (g[0] * middle[0] + g[1] * middle[1])) * step;
            moved.add(h, k, change);
            moved.add(-h, -k, change.conj());
            let after = read(&moved)?;
            Ok(std::array::from_fn(|i| (after[i] - still[i]) / STEP))
        };
        let [h_max, k_max] = image.limits().map(|l| (l as i32).min(HIGHEST));
        let half: Vec<(i32, i32)> =
            (0..=k_max).flat_map(|k| (-h_max..=h_max).map(move |h| (h, k))).filter(|(h, k)| *k > 0 || *h > 0).collect();
        let slopes = half
            .par_iter()
            .map(|&(h, k)| Ok(((h, k), slope(h, k, Complex64::new(1.0, 0.0))?, slope(h, k, Complex64::new(0.0, 1.0))?)))
            .collect::<Result<Vec<_>, FitFailure>>()?;
        let point = |i: usize| {
            let [u, v] = [i % TABLE, i / TABLE].map(|n| n as f64 / TABLE as f64);
            let mut sum = [0.0; READ];
            for ((h, k), re, im) in &slopes {
                let (sin, cos) = (TAU * (f64::from(*h) * u + f64::from(*k) * v)).sin_cos();
                sum.iter_mut().zip(re.iter().zip(im)).for_each(|(s, (re, im))| *s += re * cos - im * sin);
            }
            sum
        };
        Ok(Self((0..TABLE * TABLE).into_par_iter().map(point).collect()))
    }

    /// Covariance of the readings of a mean cell; `lattice_px` is the edge of a cell.
    ///
    /// Rows and cells tell how large each error is. They are too few to tell how so many errors hang together, and the inverse of what they say is
    /// far too large (Hartlap, Simon and Schneider, Astron. Astrophys. 464 (2007) 399); that readings share the pixels that they look at is told
    /// by the thousands of single pixels.
    pub(super) fn covariance(&self, mean: &MeanCell, pixels: &[f32], width: usize, lattice_px: f64) -> Covariance {
        let cells = mean.residuals(pixels, width);
        let count = cells.iter().map(Vec::len).sum::<usize>().max(1) as f64 * contrast(&mean.image);
        let lag = (0.25 * lattice_px).round().max(1.0) as usize;
        // What each row of each cell adds to the readings.
        let rows_of_cells: Vec<BTreeMap<usize, [f64; READ]>> = cells
            .par_iter()
            .map(|residuals| {
                let mut rows: BTreeMap<usize, [f64; READ]> = BTreeMap::new();
                for r in residuals {
                    let sum = rows.entry(r.row).or_insert([0.0; READ]);
                    sum.iter_mut().zip(self.of(r)).for_each(|(s, g)| *s += g / count);
                }
                rows
            })
            .collect();
        let mut rows: BTreeMap<usize, [f64; READ]> = BTreeMap::new();
        let (mut within, mut shared) = ([[0.0; READ]; READ], [[0.0; READ]; READ]);
        for cell in &rows_of_cells {
            let mut whole = [0.0; READ];
            for (row, own) in cell {
                let sum = rows.entry(*row).or_insert([0.0; READ]);
                sum.iter_mut().zip(own).for_each(|(s, v)| *s += v);
                whole.iter_mut().zip(own).for_each(|(s, v)| *s += v);
            }
            add_product(&mut within, &whole, &whole);
            add_rows(&mut shared, cell, lag);
        }
        let mut along = [[0.0; READ]; READ];
        add_rows(&mut along, &rows, lag);
        with_correlation(&self.of_single_pixels(&cells), &variances(&along, &within, &shared))
    }

    /// What one pixel adds to every reading, but for the number of pixels.
    fn of(&self, residual: &Residual) -> [f64; READ] {
        let mut sum = [0.0; READ];
        for (point, weight) in corners(TABLE, residual.place) {
            sum.iter_mut().zip(&self.0[point]).for_each(|(s, g)| *s += weight * residual.value * g);
        }
        sum
    }

    /// The covariance of the readings, but for a factor, were every pixel to err alone.
    fn of_single_pixels(&self, cells: &[Vec<Residual>]) -> Covariance {
        let of_cell = |residuals: &Vec<Residual>| {
            let mut sum = [[0.0; READ]; READ];
            for own in residuals.iter().map(|r| self.of(r)) {
                add_product(&mut sum, &own, &own);
            }
            sum
        };
        // Added in the order of the cells: the same for any number of threads.
        let mut total = [[0.0; READ]; READ];
        for sum in cells.par_iter().map(of_cell).collect::<Vec<_>>() {
            total.iter_mut().flatten().zip(sum.iter().flatten()).for_each(|(t, s)| *t += s);
        }
        total
    }
}

/// Rows' variances plus cells' less what both count. One that comes out below nine tenths of the rows' own, as few cells make it, is held there.
fn variances(along: &Covariance, within: &Covariance, shared: &Covariance) -> [f64; READ] {
    std::array::from_fn(|i| (along[i][i] + within[i][i] - shared[i][i]).max(0.9 * along[i][i]))
}

/// A covariance scaled to given variances.
fn with_correlation(covariance: &Covariance, variances: &[f64; READ]) -> Covariance {
    let scale: [f64; READ] = std::array::from_fn(|i| (variances[i] / covariance[i][i].max(f64::MIN_POSITIVE)).sqrt());
    std::array::from_fn(|i| std::array::from_fn(|j| scale[i] * covariance[i][j] * scale[j]))
}

/// Adds sum over rows p, q of w(|p − q|) y_p y_qᵀ with w = 1 − |p − q| / (lag + 1).
fn add_rows(out: &mut Covariance, rows: &BTreeMap<usize, [f64; READ]>, lag: usize) {
    for (row, own) in rows {
        // The weighted sum over the rows about it.
        let mut about = [0.0; READ];
        for (other, values) in rows.range(row.saturating_sub(lag)..=row + lag) {
            let weight = 1.0 - other.abs_diff(*row) as f64 / (lag + 1) as f64;
            about.iter_mut().zip(values).for_each(|(s, v)| *s += weight * v);
        }
        add_product(out, own, &about);
    }
}

fn add_product(out: &mut Covariance, a: &[f64; READ], b: &[f64; READ]) {
    for (row, a) in out.iter_mut().zip(a) {
        row.iter_mut().zip(b).for_each(|(s, b)| *s += a * b);
    }
}

#[cfg(test)]
mod tests {
    use super::super::mean_cell::Axes;
    use super::super::regions;
    use super::*;
    use crate::numerics::least_squares::Cholesky;
    use crate::numerics::seeds::Streams;
    use rand_distr::{Distribution, StandardNormal};

    const SIDE: usize = 12;
    const CELL_PX: usize = 20;

    /// Bright A and dim B columns, electrons counted, rows off by `jitter_px`; 20 pm pixels.
    fn image(number: u64, electrons: f64, jitter_px: f64) -> Vec<f32> {
        let mut random = Streams::new("mistilt 2026 tests of influence", 1).stream(number);
        let mut normal = || -> f64 { StandardNormal.sample(&mut random) };
        let width = SIDE * CELL_PX;
        // A column and its neighbours, lopsided enough to have a skewness.
        let spot = |u: f64, v: f64| (-(u * u + v * v) / 20.0).exp() + 0.1 * (-((u - 2.0).powi(2) + v * v) / 40.0).exp();
        let near = |w: f64, at: f64| (w - at + 10.0).rem_euclid(20.0) - 10.0;
        let mut out = Vec::with_capacity(width * width);
        for y in 0..width {
            let off = jitter_px * normal();
            for x in 0..width {
                let (u, v) = (x as f64 - off, y as f64);
                let expected = 0.05 + spot(near(u, 0.0), near(v, 0.0)) + 0.4 * spot(near(u, 10.0), near(v, 10.0));
                let noise = if electrons > 0.0 { (expected / electrons).sqrt() * normal() } else { 0.0 };
                out.push((expected + noise) as f32);
            }
        }
        out
    }

    #[test]
    fn errors_of_readings_are_as_large_as_their_covariance_says_alone_and_together() {
        let map = regions::tests::map(SIDE as i32, 0.0, |_, _| [0.0; 2]);
        let cells: Vec<usize> = (0..map.cells.len()).collect();
        let (axes, ruler, width) = (Axes { rotation_rad: 0.0, pixel_angstrom: 0.2 }, Ruler::default(), SIDE * CELL_PX);
        let mean = |pixels: &[f32]| MeanCell::new(pixels, width, &map, &cells, &axes).unwrap();
        let read = |mean: &MeanCell| read_cells(&mean.image, std::slice::from_ref(&mean.places), [0.0; 2], &ruler).unwrap().to_list();
        let still = mean(&image(0, 0.0, 0.0));
        let (truth, influence) = (read(&still), Influence::new(&still, &ruler).unwrap());
        for (electrons, jitter_px) in [(200.0, 0.0), (1e9, 0.25), (400.0, 0.2)] {
            const IMAGES: u64 = 40;
            let one = |number: u64| {
                let pixels = image(number, electrons, jitter_px);
                let mean = mean(&pixels);
                let covariance = influence.covariance(&mean, &pixels, width, CELL_PX as f64);
                let (now, factor) = (read(&mean), Cholesky::new(&covariance).unwrap());
                let error: [f64; READ] = std::array::from_fn(|i| now[i] - truth[i]);
                let alone = (0..READ).map(|i| error[i].powi(2) / covariance[i][i]).sum::<f64>();
                [alone, factor.forward(error).iter().map(|v| v * v).sum()]
            };
            let all: Vec<[f64; 2]> = (1..=IMAGES).into_par_iter().map(one).collect();
            let [alone, together] = [0, 1].map(|k| all.iter().map(|v| v[k]).sum::<f64>() / (IMAGES * READ as u64) as f64);
            // 1 but for the few rows that tell a variance.
            assert!(
                (0.7..1.5).contains(&alone) && (0.7..1.7).contains(&together),
                "{electrons} electrons, {jitter_px} px: {alone} {together}"
            );
        }
    }
}
