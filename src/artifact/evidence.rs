//! From an image and its polarization map to evidence on its tilt: regions, their mean cells, and the signs of tilt in them; pm, crystal axes.

use super::ArtifactError;
use super::influence::{Covariance, Influence, READ};
use super::library::TiltLibrary;
use super::mean_cell::{Axes, MeanCell};
use super::reading::{COMPONENTS, Reading, Ruler, read_cells};
use super::regions::{Region, student};
use super::response::ResponseTable;
use super::witness::{SIGNS, Witness};
use crate::numerics::least_squares::Cholesky;
use crate::polarization::PolarizationMap;
use rayon::prelude::*;
use std::collections::BTreeSet;

/// Fewest cells whose mean shows the shape of a column.
const FEWEST_CELLS_FOR_SHAPE: usize = 16;
/// Bands of a region that are read alone.
const BANDS: usize = 6;

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
    /// Shift of the mean cell, less any bend, and its covariance, pm and pm²; `None` where its error is not known.
    pub shift_of_mean: Option<([f64; 2], [f64; 3])>,
}

impl Observed {
    /// The evidence with its shift read from the mean cell. Its error comes from all rows of pixels, and the error of the mean over the map from
    /// the few rows of cells that a region has, which tell it badly; but a mean cell is smeared where polarization changes.
    #[must_use]
    pub fn by_mean_cell(self) -> Witness {
        match self.shift_of_mean {
            Some((shift_pm, covariance_pm2)) => Witness { shift_pm, covariance_pm2, ..self.witness },
            None => self.witness,
        }
    }
}

/// Looks at one region. `shift_pm` and its covariance are those of the image's axes, with any bend taken out.
#[must_use]
pub fn observe(
    scan: &Scan<'_>,
    region: &Region,
    table: &ResponseTable,
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
        .then(|| MeanCell::new(scan.pixels, scan.width, scan.map, &region.cells, &scan.axes))
        .flatten();
    let Some(mean) = mean else { return Observed { witness, reading: None, shift_of_mean: None } };
    let reading = read_cells(&mean.image, std::slice::from_ref(&mean.places), [0.0; 2], ruler).ok().filter(Reading::is_whole);
    let mut shift_of_mean = None;
    let influence = reading.filter(|_| table.shows_shape()).and_then(|r| Some((r, Influence::new(&mean, ruler).ok()?)));
    if let Some((reading, influence)) = influence {
        let noise = influence.covariance(&mean, scan.pixels, scan.width, scan.map.lattice_a_px);
        let few = student(freedom_of_rows(scan.map, region) - 1.0).powi(2);
        let noise = noise.map(|row| row.map(|c| few * c));
        if let Some(noise) = beyond_linear(scan, region, ruler, &reading, noise) {
            let bend = scan.axes.to_crystal(bend_pm);
            let mean = [0, 1].map(|c| reading.shift_pm[c] - bend[c]);
            shift_of_mean = Some((mean, [noise[0][0], noise[0][1], noise[1][1]]));
            witness.signs = factor(&noise, table, exchanged, shape_true_to_mrad).map(|factor| (signs_of(reading), factor));
        }
    }
    Observed { witness, reading, shift_of_mean }
}

/// Rows of pixels of a region that err alone and tell the error of a column: jitter is shared over the height of a column, a quarter of a cell, and
/// half of those quarters miss the column.
fn freedom_of_rows(map: &PolarizationMap, region: &Region) -> f64 {
    let rows: BTreeSet<i64> = region.cells.iter().map(|&c| (map.cells[c].centre_px[1] / map.lattice_a_px).floor() as i64).collect();
    2.0 * rows.len() as f64
}

/// The covariance of noise that acts linearly, widened where it does not: by the scatter of the readings of single bands of the region where that is
/// larger, and by the bias that is to be expected from how far their mean is off the reading of the whole. `None` where a band cannot be read:
/// then noise rules the shape.
fn beyond_linear(scan: &Scan<'_>, region: &Region, ruler: &Ruler, whole: &Reading, mut noise: Covariance) -> Option<Covariance> {
    // Cells come in the order of the scan: a band is a stretch of rows, so that jitter is not shared between bands.
    let bands: Vec<&[usize]> = region.cells.chunks(region.cells.len().div_ceil(BANDS)).collect();
    let read = |cells: &&[usize]| {
        let mean = MeanCell::new(scan.pixels, scan.width, scan.map, cells, &scan.axes)?;
        read_cells(&mean.image, std::slice::from_ref(&mean.places), [0.0; 2], ruler).ok().filter(Reading::is_whole)
    };
    let vectors = |r: Reading| -> [f64; READ] { std::array::from_fn(|i| r.to_list()[i]) };
    let readings: Vec<[f64; READ]> = bands.par_iter().map(read).collect::<Option<Vec<_>>>()?.into_iter().map(vectors).collect();
    let n = readings.len() as f64;
    let whole = vectors(*whole);
    let mean = |i: usize| readings.iter().map(|r| r[i]).sum::<f64>() / n;
    let variance = |i: usize| readings.iter().map(|r| (r[i] - mean(i)).powi(2)).sum::<f64>() / (n * (n - 1.0).max(1.0));
    // x and y of one vector share their factor: a few bands tell a variance badly.
    let factor: [f64; READ] = std::array::from_fn(|i| {
        let pair = [i & !1, i | 1];
        let ratio = pair.iter().map(|&k| variance(k) / noise[k][k]).sum::<f64>() / 2.0;
        ratio.max(1.0).sqrt()
    });
    for i in 0..READ {
        for j in 0..READ {
            noise[i][j] *= factor[i] * factor[j];
        }
        // A bias grows as the noise's variance does, n times as large in a band.
        noise[i][i] += ((mean(i) - whole[i]) / (n - 1.0).max(1.0)).powi(2);
    }
    Some(noise)
}

/// Covariance of the signs less what the measured shift makes expect of them: noise, and what the simulation may be wrong by in each sign alone.
fn factor(noise: &Covariance, table: &ResponseTable, exchanged: bool, shape_true_to_mrad: f64) -> Option<Cholesky<SIGNS>> {
    let middle = table.at(&table.middle());
    let own = |i: usize| if exchanged { i ^ 1 } else { i };
    let total_of = |i: usize, j: usize| {
        let [a, b] = [i, j].map(|i| middle.per_shift(own(i)));
        let (x, y) = (i % 2, j % 2);
        noise[2 + i][2 + j] - a * noise[x][2 + j] - b * noise[2 + i][y] + a * b * noise[x][y]
    };
    let mut total: [[f64; SIGNS]; SIGNS] = std::array::from_fn(|i| std::array::from_fn(|j| total_of(i, j)));
    for (i, row) in total.iter_mut().enumerate() {
        let polynomial = &middle.components[2 + own(i)];
        let slope = polynomial.slope()[own(i) % 2];
        // What columns show upright comes from the oxygen beside them, which is known less well than the tilt's own doing.
        let model = [table.own_sigma(2 + own(i)), shape_true_to_mrad * slope, shape_true_to_mrad / 3.0 * polynomial.0[0]];
        row[i] += model.iter().map(|m| m * m).sum::<f64>();
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
