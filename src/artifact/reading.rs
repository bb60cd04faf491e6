//! What one cell's image says to every estimator: the shift B − A, and the signs of tilt in its columns (skewness, estimators that disagree).
//!
//! A tilted column is smeared along the tilt, unevenly, since channelling makes most of its signal near the top: it is lopsided, and centre of
//! mass, Gaussian and maximum answer that differently. These numbers need no polarization to be known; lengths in pm.

use super::library::CellPlaces;
use crate::columns::{ColumnFit, Estimator, FitFailure, Window, measure, measure_cell};
use crate::image::FourierImage;
use serde::{Deserialize, Serialize};

/// How the shift is read from an image: the estimator and its window, those of the image that is judged.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ruler {
    /// Estimator of the shift.
    pub estimator: Estimator,
    /// Radius of its window, Å.
    pub window_radius_angstrom: f64,
    /// Distance of its samples, Å: the pixel of the image.
    pub sample_angstrom: f64,
}

impl Default for Ruler {
    fn default() -> Self {
        Self { estimator: Estimator::CellFit, window_radius_angstrom: 1.386, sample_angstrom: 0.15 }
    }
}

/// Window of the estimators that are compared with one another: half-way to the next column and no farther.
const SHAPE_WINDOW: Window = Window { radius_angstrom: 0.9, sample_angstrom: 0.1 };

/// Vectors in a reading: the shift and six signs of tilt.
pub(super) const VECTORS: usize = 7;
/// Numbers in a reading.
pub(super) const COMPONENTS: usize = 2 * VECTORS + 3;

/// Everything that is read from one cell; vectors in the image's axes. All but the shift are NaN where columns run into each other so far that
/// single ones cannot be fitted.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Reading {
    /// B minus the mean of A by the ruler, pm.
    pub shift_pm: [f64; 2],
    /// Skewness of the A column and of the B column, without unit.
    pub skewness: [[f64; 2]; 2],
    /// Centre of mass minus Gaussian, A and B, pm.
    pub mass_minus_gaussian_pm: [[f64; 2]; 2],
    /// Maximum minus Gaussian, A and B, pm.
    pub maximum_minus_gaussian_pm: [[f64; 2]; 2],
    /// Width (standard deviation) of the A and of the B column, pm.
    pub width_pm: [f64; 2],
    /// Height of the B column in units of the A column's.
    pub height_ratio: f64,
}

impl Reading {
    /// As a list: the vectors x then y, shift first, then widths and height ratio.
    #[must_use]
    pub(super) fn to_list(self) -> [f64; COMPONENTS] {
        let mut out = [0.0; COMPONENTS];
        let vectors = [[self.shift_pm].as_slice(), &self.skewness, &self.mass_minus_gaussian_pm, &self.maximum_minus_gaussian_pm].concat();
        let scalars = [self.width_pm[0], self.width_pm[1], self.height_ratio];
        for (slot, value) in out.iter_mut().zip(vectors.into_iter().flatten().chain(scalars)) {
            *slot = value;
        }
        out
    }

    /// Whether the shape of the columns could be read too, and not their shift alone.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.to_list().iter().all(|v| v.is_finite())
    }

    /// Parity of a component of the list under the mirrors x → −x and y → −y.
    pub(super) fn parity(component: usize) -> [u32; 2] {
        if component >= 2 * VECTORS { [0, 0] } else { [1 - component as u32 % 2, component as u32 % 2] }
    }
}

/// Reads the cells of an image, mean over the cells; `near_angstrom` is how far columns may have moved from their places, as by tilt.
pub fn read_cells(image: &FourierImage, cells: &[CellPlaces], near_angstrom: [f64; 2], ruler: &Ruler) -> Result<Reading, FitFailure> {
    let mut sum = [0.0; COMPONENTS];
    for cell in cells {
        let one = read_cell(image, cell, near_angstrom, ruler)?.to_list();
        sum.iter_mut().zip(one).for_each(|(s, v)| *s += v / cells.len() as f64);
    }
    let pair = |n: usize| [sum[2 * n], sum[2 * n + 1]];
    Ok(Reading {
        shift_pm: pair(0),
        skewness: [pair(1), pair(2)],
        mass_minus_gaussian_pm: [pair(3), pair(4)],
        maximum_minus_gaussian_pm: [pair(5), pair(6)],
        width_pm: pair(VECTORS),
        height_ratio: sum[COMPONENTS - 1],
    })
}

fn read_cell(image: &FourierImage, cell: &CellPlaces, near: [f64; 2], ruler: &Ruler) -> Result<Reading, FitFailure> {
    let moved = |p: [f64; 2]| [p[0] + near[0], p[1] + near[1]];
    let top = |p: [f64; 2]| measure(image, moved(p), &SHAPE_WINDOW, Estimator::Maximum);
    let first_a = *cell.a_angstrom.first().ok_or(FitFailure::NeedsFiveColumns)?;
    let top_b = top(cell.b_angstrom)?;
    let shift_pm = shift(image, cell, near, ruler, &top_b)?;
    let unreadable = |_| ColumnReading::unreadable();
    let a = top(first_a).and_then(|top| ColumnReading::new(image, &top)).unwrap_or_else(unreadable);
    let b = ColumnReading::new(image, &top_b).unwrap_or_else(unreadable);
    Ok(Reading {
        shift_pm,
        skewness: [a.skewness, b.skewness],
        mass_minus_gaussian_pm: [a.mass, b.mass],
        maximum_minus_gaussian_pm: [a.top, b.top],
        width_pm: [a.width, b.width],
        height_ratio: b.height / a.height,
    })
}

/// The shift alone, pm.
pub(super) fn read_shift(image: &FourierImage, cell: &CellPlaces, near: [f64; 2], ruler: &Ruler) -> Result<[f64; 2], FitFailure> {
    let place = [0, 1].map(|c| cell.b_angstrom[c] + near[c]);
    let b = measure(image, place, &SHAPE_WINDOW, Estimator::Maximum)?;
    shift(image, cell, near, ruler, &b)
}

/// B minus the mean of A by the ruler, pm.
fn shift(image: &FourierImage, cell: &CellPlaces, near: [f64; 2], ruler: &Ruler, b: &ColumnFit) -> Result<[f64; 2], FitFailure> {
    let window = Window { radius_angstrom: ruler.window_radius_angstrom, sample_angstrom: ruler.sample_angstrom };
    let moved = |p: [f64; 2]| [p[0] + near[0], p[1] + near[1]];
    let mut tops = Vec::new();
    for &place in &cell.a_angstrom {
        tops.push(measure(image, moved(place), &SHAPE_WINDOW, Estimator::Maximum)?.position);
    }
    if let (Estimator::CellFit, [p, q, r, s]) = (ruler.estimator, tops.as_slice()) {
        let fit = measure_cell(image, &[b.position, *p, *q, *r, *s], &window)?;
        return Ok(fit.shift.map(|v| 100.0 * v));
    }
    // Along ⟨110⟩ a B column has two A columns, and single Gaussians stand in for the joint fit, as on pixels.
    let single = if ruler.estimator == Estimator::CellFit { Estimator::Gaussian } else { ruler.estimator };
    let middle = measure(image, b.position, &window, single)?.position;
    let mut mean = [0.0; 2];
    for top in &tops {
        let place = measure(image, *top, &window, single)?.position;
        mean = [0, 1].map(|c| mean[c] + place[c] / tops.len() as f64);
    }
    Ok([0, 1].map(|c| 100.0 * (middle[c] - mean[c])))
}

/// One column by three estimators.
struct ColumnReading {
    skewness: [f64; 2],
    mass: [f64; 2],
    top: [f64; 2],
    width: f64,
    height: f64,
}

impl ColumnReading {
    fn new(image: &FourierImage, maximum: &ColumnFit) -> Result<Self, FitFailure> {
        let gaussian = measure(image, maximum.position, &SHAPE_WINDOW, Estimator::Gaussian)?;
        let mass = measure(image, maximum.position, &SHAPE_WINDOW, Estimator::CentreOfMass)?;
        let from_gaussian = |fit: &ColumnFit| [0, 1].map(|c| 100.0 * (fit.position[c] - gaussian.position[c]));
        let widths = gaussian.widths.ok_or(FitFailure::Undetermined)?;
        Ok(Self {
            skewness: gaussian.skewness.ok_or(FitFailure::Flat)?,
            mass: from_gaussian(&mass),
            top: from_gaussian(maximum),
            width: 100.0 * (widths.sigma_major * widths.sigma_minor).sqrt(),
            height: gaussian.amplitude,
        })
    }

    /// A column that runs into its neighbours: its place can be told by the joint fit, its shape cannot.
    fn unreadable() -> Self {
        Self { skewness: [f64::NAN; 2], mass: [f64::NAN; 2], top: [f64::NAN; 2], width: f64::NAN, height: f64::NAN }
    }
}
