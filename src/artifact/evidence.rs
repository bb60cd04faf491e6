//! From an image and its polarization map to evidence on its tilt: regions, their mean cells, and the signs of tilt in them; pm, crystal axes.

use super::ArtifactError;
use super::library::TiltLibrary;
use super::mean_cell::{Axes, MeanCell};
use super::posterior::{SIGNS, Witness};
use super::reading::{COMPONENTS, Reading, Ruler, read_cells};
use super::regions::Region;
use super::response::ResponseTable;
use crate::image::FourierImage;
use crate::numerics::least_squares::Cholesky;
use crate::numerics::seeds::Streams;
use crate::polarization::PolarizationMap;
use num_complex::Complex64;
use rand_distr::{Distribution, StandardNormal};
use rayon::prelude::*;

/// Fewest cells whose mean shows the shape of a column.
const FEWEST_CELLS_FOR_SHAPE: usize = 16;
/// Groups of the jackknife.
const GROUPS: usize = 12;
/// Pairs of noise draws that tell how the signs of tilt err together.
const DRAWS: usize = 40;

/// An image with its map.
#[derive(Debug, Clone, Copy)]
pub struct Scan<'a> {
    /// Pixels, row-major.
    pub pixels: &'a [f32],
    /// Pixels a row.
    pub width: usize,
    /// Its map, with a pixel size.
    pub map: &'a PolarizationMap,
    /// Its axes.
    pub axes: Axes,
}

/// How the signs of tilt err together under white noise: a covariance up to a factor.
#[derive(Debug, Clone, PartialEq)]
pub struct NoiseShape([[f64; SIGNS]; SIGNS]);

impl NoiseShape {
    /// From the simulated upright image at the middle of a library's settings with noise added to its coefficients.
    pub fn new(library: &TiltLibrary, source_fwhm_angstrom: f64, ruler: &Ruler) -> Result<Self, ArtifactError> {
        let [t, f] = [library.header.thickness_nm.len() / 2, library.header.conditions.defocus_nm.len() / 2];
        let (image, cell) = library.mean_cell([0, t, f], None, source_fwhm_angstrom);
        let cells = std::slice::from_ref(&cell);
        let failed = |source| ArtifactError::Column { thickness_nm: library.header.thickness_nm[t], x: 0.0, y: 0.0, source };
        let streams = Streams::new("mistilt 2026 noise on a mean cell", 0);
        let difference = |n: usize| -> Result<[f64; SIGNS], ArtifactError> {
            let read = |sign: f64| read_cells(&noisy(&image, &streams, n, sign), cells, [0.0; 2], ruler).map(signs_of).map_err(failed);
            let (plus, minus) = (read(1.0)?, read(-1.0)?);
            Ok(std::array::from_fn(|i| 0.5 * (plus[i] - minus[i])))
        };
        let draws = (0..DRAWS).into_par_iter().map(difference).collect::<Result<Vec<_>, _>>()?;
        let mut sum = [[0.0; SIGNS]; SIGNS];
        for d in &draws {
            for i in 0..SIGNS {
                (0..SIGNS).for_each(|j| sum[i][j] += d[i] * d[j] / DRAWS as f64);
            }
        }
        Ok(Self(sum))
    }
}

/// White noise of a thousandth of the mean on every coefficient.
fn noisy(image: &FourierImage, streams: &Streams, draw: usize, sign: f64) -> FourierImage {
    let mut random = streams.stream(draw as u64);
    let mut normal = || {
        let z: f64 = StandardNormal.sample(&mut random);
        1e-3 * image.mean() * sign * z
    };
    let mut out = image.clone();
    for (h, k, _) in image.iter().filter(|(h, k, _)| *k > 0 || (*k == 0 && *h > 0)) {
        let c = Complex64::new(normal(), normal());
        out.add(h, k, c);
        out.add(-h, -k, c.conj());
    }
    out
}

fn signs_of(reading: Reading) -> [f64; SIGNS] {
    let list = reading.to_list();
    std::array::from_fn(|i| list[i + 2])
}

/// The mean cell of a region and what it says.
#[derive(Debug, Clone)]
pub struct Observed {
    /// The evidence.
    pub witness: Witness,
    /// Readings of the mean cell; `None` where it could not be made or read.
    pub reading: Option<Reading>,
}

/// Looks at one region. `shift_pm` and its covariance are those of the image's axes, with any bend taken out.
#[must_use]
pub fn observe(
    scan: &Scan<'_>,
    region: &Region,
    table: &ResponseTable,
    noise: &NoiseShape,
    ruler: &Ruler,
    shape_true_to_mrad: f64,
    bend_pm: [f64; 2],
) -> Observed {
    let shift = scan.axes.to_crystal([region.mean_pm[0] - bend_pm[0], region.mean_pm[1] - bend_pm[1]]);
    let exchanged = is_exchanged(table.true_shift_pm, shift);
    let mut witness = Witness {
        shift_pm: shift,
        covariance_pm2: scan.axes.covariance_to_crystal(region.covariance_pm2),
        signs: None,
        cells: region.cells.len(),
        exchanged,
    };
    let mean = (region.cells.len() >= FEWEST_CELLS_FOR_SHAPE)
        .then(|| MeanCell::new(scan.pixels, scan.width, scan.map, &region.cells, &scan.axes, GROUPS))
        .flatten();
    let Some(mean) = mean else { return Observed { witness, reading: None } };
    let read = |(image, cell): &(FourierImage, super::CellPlaces)| read_cells(image, std::slice::from_ref(cell), [0.0; 2], ruler).ok();
    let Some(reading) = read(&mean.whole) else { return Observed { witness, reading: None } };
    let left_out: Option<Vec<[f64; SIGNS]>> = mean.without.par_iter().map(|w| read(w).map(signs_of)).collect();
    if let Some(left_out) = left_out.filter(|l| l.len() > 2) {
        witness.signs = covariance(&left_out, table, noise, exchanged, shape_true_to_mrad).map(|factor| (signs_of(reading), factor));
    }
    Observed { witness, reading: Some(reading) }
}

/// Covariance of the signs: that of noise, scaled to what the jackknife finds, plus what the simulation may be wrong by.
fn covariance(
    left_out: &[[f64; SIGNS]],
    table: &ResponseTable,
    NoiseShape(shape): &NoiseShape,
    exchanged: bool,
    shape_true_to_mrad: f64,
) -> Option<Cholesky<SIGNS>> {
    let n = left_out.len() as f64;
    let variance = |i: usize| {
        let mean = left_out.iter().map(|s| s[i]).sum::<f64>() / n;
        (n - 1.0) / n * left_out.iter().map(|s| (s[i] - mean).powi(2)).sum::<f64>()
    };
    let factor = (0..SIGNS).map(|i| variance(i) / shape[i][i]).sum::<f64>() / SIGNS as f64;
    let middle = table.at(&table.middle());
    let mut total = [[0.0; SIGNS]; SIGNS];
    for i in 0..SIGNS {
        (0..SIGNS).for_each(|j| total[i][j] = factor * shape[i][j]);
        let own = 2 + if exchanged { i ^ 1 } else { i };
        let polynomial = &middle.components[own];
        let slope = polynomial.slope()[own % 2];
        // What columns show upright comes from the oxygen beside them, which is known less well than the tilt's own doing.
        let model = [table.sigma(own), shape_true_to_mrad * slope, 0.1 * polynomial.0[0]];
        total[i][i] += model.iter().map(|m| m * m).sum::<f64>();
    }
    Cholesky::new(&total).ok()
}

/// A crystal polarized along one in-plane axis stands for a domain polarized along the other with x and y exchanged.
fn is_exchanged(true_pm: [f64; 2], shift: [f64; 2]) -> bool {
    let polar = true_pm.map(|p| p.abs() > 3.0);
    match polar {
        [true, false] => shift[1].abs() > shift[0].abs(),
        [false, true] => shift[0].abs() > shift[1].abs(),
        _ => false,
    }
}

/// The source size, Å, at which the simulated A columns are as wide as those of the image; `None` where no size from 0 to 3 Å fits.
pub fn source_of_width(library: &TiltLibrary, width_a_pm: f64, ruler: &Ruler) -> Result<Option<f64>, ArtifactError> {
    let [t, f] = [library.header.thickness_nm.len() / 2, library.header.conditions.defocus_nm.len() / 2];
    let width = |source: f64| -> Result<f64, ArtifactError> {
        let failed = |e| ArtifactError::Column { thickness_nm: library.header.thickness_nm[t], x: 0.0, y: 0.0, source: e };
        let (image, cell) = library.mean_cell([0, t, f], None, source);
        Ok(read_cells(&image, std::slice::from_ref(&cell), [0.0; 2], ruler).map_err(failed)?.width_pm[0])
    };
    let (mut low, mut high) = (0.05, 2.0);
    if width(low)? > width_a_pm || width(high)? < width_a_pm {
        return Ok(None);
    }
    for _ in 0..12 {
        let middle = 0.5 * (low + high);
        if width(middle)? < width_a_pm { low = middle } else { high = middle }
    }
    Ok(Some(0.5 * (low + high)))
}

const _: () = assert!(COMPONENTS == SIGNS + 5);

/// Cells that belong to another, lighter crystal: the largest connected part whose A columns are much darker than the rest; empty where there
/// is no such part. Sr (38) beside Bi (83) is darker by a factor of two and more.
#[must_use]
pub fn find_reference(map: &PolarizationMap) -> Vec<bool> {
    const FEWEST: usize = 25;
    let logs: Vec<f64> = map.cells.iter().map(|c| c.a_intensity.ln()).collect();
    let mut sorted: Vec<f64> = logs.iter().copied().filter(|v| v.is_finite()).collect();
    sorted.sort_by(f64::total_cmp);
    let none = vec![false; map.cells.len()];
    if sorted.len() < 2 * FEWEST {
        return none;
    }
    // Otsu's threshold (IEEE Trans. Syst. Man Cybern. 9 (1979) 62) on the logarithm of brightness.
    let total: f64 = sorted.iter().sum();
    let (mut below, mut best) = (0.0, (0.0, 0));
    for (i, value) in sorted.iter().enumerate().take(sorted.len() - 1) {
        below += value;
        let n = (i + 1) as f64;
        let rest = sorted.len() as f64 - n;
        let between = n * rest * ((total - below) / rest - below / n).powi(2);
        if between > best.0 {
            best = (between, i);
        }
    }
    let threshold = 0.5 * (sorted[best.1] + sorted[best.1 + 1]);
    let mean = |list: &[f64]| list.iter().sum::<f64>() / list.len() as f64;
    let (dark, bright) = sorted.split_at(best.1 + 1);
    let spread = |list: &[f64]| (list.iter().map(|v| (v - mean(list)).powi(2)).sum::<f64>() / list.len() as f64).sqrt();
    let apart = mean(bright) - mean(dark);
    if dark.len() < FEWEST || apart < 1.4_f64.ln() || apart < 3.0 * (spread(dark) + spread(bright)) {
        return none;
    }
    logs.iter().map(|v| *v < threshold).collect()
}
