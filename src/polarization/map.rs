//! The polarization map of an image: one entry a cell, with what it was measured from; pixels, x right, y down.

use super::shift::{shift_covariance, shift_from_mean};
use super::{ChargeModel, PolarizationError, noise};
use crate::columns::{CellColumns, ColumnLattice, ColumnStatus, LatticeColumn, Zone};
use crate::crystal::Site;
use std::collections::{BTreeMap, BTreeSet};

/// Where the pixel size of a map comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Calibration {
    /// Nobody gave one: displacements are in pixels only.
    None,
    /// The image's own, or the user's.
    PixelSize,
    /// From the user's lattice parameter and the mean cell of this image.
    LatticeParameter,
}

/// Why a cell is not in the map.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Rejection {
    /// The B column has fewer A neighbours than its zone gives it: an edge or a missing column.
    MissingA,
    /// The A columns are there and B is not.
    MissingB,
    /// One of the columns could not be measured.
    FitFailed,
    /// B lies a quarter of the cell or more from its middle: not polarization but a wrong column.
    TooFar,
}

/// One cell of the map.
#[derive(Debug, Clone, PartialEq)]
pub struct Cell {
    /// Index of the cell along the two lattice vectors: that of its B column and of its first A column.
    pub index: [i32; 2],
    /// Mean of its A columns, px.
    pub centre_px: [f64; 2],
    /// B column minus that mean, px (x right, y down).
    pub shift_px: [f64; 2],
    /// Covariance xx, xy, yy of the shift, px², from the fits of its columns: `Σ_B + Σ Σ_A / n²`. NaN if the columns carry none.
    pub covariance_px2: [f64; 3],
    /// Standard deviation (x, y) of the shift, px, from the scatter among neighbouring cells; NaN where too few are near.
    pub scatter_px: [f64; 2],
    /// True where the shift is less than twice its standard deviation, the larger of the fitted and the empirical.
    pub unresolved: bool,
    /// Length along the first lattice vector here, px.
    pub a_px: f64,
    /// Length along the second, px.
    pub b_px: f64,
    /// Angle between them, degrees.
    pub angle_deg: f64,
    /// Mean brightness of its A columns, in the unit of the columns.
    pub a_intensity: f64,
    /// Brightness of its B column.
    pub b_intensity: f64,
}

impl Cell {
    /// Length of the shift, px.
    #[must_use]
    pub fn magnitude_px(&self) -> f64 {
        self.shift_px[0].hypot(self.shift_px[1])
    }

    /// Standard deviation of the shift along its own direction, px: the larger of the fitted and the empirical one, `None` if neither
    /// is known.
    #[must_use]
    pub fn sigma_px(&self) -> Option<f64> {
        let length = self.magnitude_px();
        let [u, v] = if length > 0.0 { self.shift_px.map(|p| p / length) } else { [std::f64::consts::FRAC_1_SQRT_2; 2] };
        let [xx, xy, yy] = self.covariance_px2;
        let fitted = (u * u * xx + 2.0 * u * v * xy + v * v * yy).sqrt();
        let scatter = (u * self.scatter_px[0]).hypot(v * self.scatter_px[1]);
        [fitted, scatter].into_iter().filter(|s| s.is_finite()).max_by(f64::total_cmp)
    }
}

/// The polarization of every cell of an image.
#[derive(Debug, Clone, PartialEq)]
pub struct PolarizationMap {
    /// Zone axis.
    pub zone: Zone,
    /// Cells sorted by index, the second lattice vector slow.
    pub cells: Vec<Cell>,
    /// How many cells were left out, and why.
    pub rejected: BTreeMap<Rejection, usize>,
    /// Mean side of the pseudocubic cell, px.
    pub lattice_a_px: f64,
    /// Pixel size, pm, if there is one.
    pub pixel_size_pm: Option<f64>,
    /// Where the pixel size comes from.
    pub calibration: Calibration,
    /// Standard deviation (x, y) of one cell's shift over the whole map, from the scatter among neighbours, px; NaN for tiny maps.
    pub scatter_px: [f64; 2],
}

/// Largest believable shift in units of a: that of BFO is 0.085, of `PbTiO3` 0.12; a limit nearer to them would cut into the noise's tail
/// and pull the mean.
const FARTHEST: f64 = 0.25;

/// Joint fits by cell index; `None` for a cell whose fit failed.
pub(super) type CellFits = BTreeMap<[i32; 2], Option<CellColumns>>;

impl PolarizationMap {
    /// The map of columns already measured. `pixel_size_pm` wins over `lattice_pm` (the known side of the pseudocubic cell).
    ///
    /// # Errors
    /// [`PolarizationError`] if no cell is complete or a given length is not one.
    pub fn from_lattice(lattice: &ColumnLattice, pixel_size_pm: Option<f64>, lattice_pm: Option<f64>) -> Result<Self, PolarizationError> {
        Self::assemble(lattice, None, pixel_size_pm, lattice_pm)
    }

    /// The same, with joint fits in place of single columns where there are any.
    pub(super) fn assemble(
        lattice: &ColumnLattice,
        fits: Option<&CellFits>,
        pixel_size_pm: Option<f64>,
        lattice_pm: Option<f64>,
    ) -> Result<Self, PolarizationError> {
        let is_length = |v: f64| v.is_finite() && v > 0.0;
        if let Some(pm) = pixel_size_pm.filter(|v| !is_length(*v)) {
            return Err(PolarizationError::PixelSize(pm));
        }
        if let Some(pm) = lattice_pm.filter(|v| !is_length(*v)) {
            return Err(PolarizationError::LatticeParameter(pm));
        }
        let (mut cells, rejected) = complete_cells(lattice, fits);
        if cells.is_empty() {
            let count = |site| lattice.sublattice(site).count();
            return Err(PolarizationError::NoCells { a: count(Site::A), b: count(Site::B), rejected });
        }
        let shifts: Vec<([i32; 2], [f64; 2])> = cells.iter().map(|c| (c.index, c.shift_px)).collect();
        for (cell, scatter) in cells.iter_mut().zip(noise::local_noise(&shifts)) {
            cell.scatter_px = scatter;
            cell.unresolved = cell.sigma_px().is_none_or(|sigma| cell.magnitude_px() < 2.0 * sigma);
        }
        let lattice_a_px = local_a_px(lattice, &cells);
        let (pixel_size_pm, calibration) = match (pixel_size_pm, lattice_pm) {
            (Some(pm), _) => (Some(pm), Calibration::PixelSize),
            (None, Some(pm)) => (Some(pm / lattice_a_px), Calibration::LatticeParameter),
            (None, None) => (None, Calibration::None),
        };
        let scatter_px = noise::overall_noise(&shifts);
        Ok(Self { zone: lattice.zone, cells, rejected, lattice_a_px, pixel_size_pm, calibration, scatter_px })
    }

    /// Shift of a cell, pm; `None` without a pixel size.
    #[must_use]
    pub fn shift_pm(&self, cell: &Cell) -> Option<[f64; 2]> {
        self.pixel_size_pm.map(|pm| cell.shift_px.map(|p| p * pm))
    }

    /// Standard deviation (x, y) of a cell's shift from its fits, pm.
    #[must_use]
    pub fn fitted_sigma_pm(&self, cell: &Cell) -> Option<[f64; 2]> {
        self.pixel_size_pm.map(|pm| [cell.covariance_px2[0], cell.covariance_px2[2]].map(|v| v.sqrt() * pm))
    }

    /// Polarization density (x, y) of a cell by a named model, µC/cm²; `None` without a pixel size.
    #[must_use]
    pub fn polarization_uc_per_cm2(&self, cell: &Cell, model: ChargeModel) -> Option<[f64; 2]> {
        self.shift_pm(cell).map(|p| p.map(|v| v * model.factor_uc_per_cm2_pm()))
    }

    /// The cell with an index.
    #[must_use]
    pub fn cell(&self, [i, j]: [i32; 2]) -> Option<&Cell> {
        self.cells.binary_search_by_key(&(j, i), |c| (c.index[1], c.index[0])).ok().map(|n| &self.cells[n])
    }
}

/// Side of the pseudocubic cell, px: from the median cell, which neither distortion nor columns cut by an edge pull.
fn local_a_px(lattice: &ColumnLattice, cells: &[Cell]) -> f64 {
    let middle = |f: &dyn Fn(&Cell) -> f64| crate::columns::median(cells.iter().map(f).collect());
    let area = middle(&|c| c.a_px * c.b_px * c.angle_deg.to_radians().sin());
    // The ratio of a cell's area to the cube's face is that of the zone's mean cell.
    let [e1, e2] = lattice.basis_px;
    let mean_area = (e1[0] * e2[1] - e1[1] * e2[0]).abs();
    area.map_or(lattice.lattice_a_px(), |area| lattice.lattice_a_px() * (area / mean_area).sqrt())
}

fn complete_cells(lattice: &ColumnLattice, fits: Option<&CellFits>) -> (Vec<Cell>, BTreeMap<Rejection, usize>) {
    let mut rejected = BTreeMap::new();
    let mut cells = Vec::new();
    let local_basis = lattice.local_bases_px();
    for b in lattice.sublattice(Site::B) {
        let measured = match fits {
            Some(fits) => jointly_measured(lattice, b, fits),
            None => singly_measured(lattice, b),
        };
        match measured.and_then(|m| cell_of(lattice, b.index, &m, &local_basis)) {
            Ok(cell) => cells.push(cell),
            Err(why) => *rejected.entry(why).or_default() += 1,
        }
    }
    let has_b: BTreeSet<[i32; 2]> = lattice.sublattice(Site::B).map(|b| b.index).collect();
    let complete = |index: [i32; 2]| lattice.neighbours_of_b(index).into_iter().all(|n| lattice.column(Site::A, n).is_some());
    let without_b = lattice.sublattice(Site::A).filter(|a| !has_b.contains(&a.index) && complete(a.index)).count();
    if without_b > 0 {
        rejected.insert(Rejection::MissingB, without_b);
    }
    (cells, rejected)
}

/// What the columns of one cell give.
struct Measured {
    a: Vec<[f64; 2]>,
    b: [f64; 2],
    covariance: [f64; 3],
    a_intensity: f64,
    b_intensity: f64,
}

fn singly_measured(lattice: &ColumnLattice, b: &LatticeColumn) -> Result<Measured, Rejection> {
    let around = lattice.neighbours_of_b(b.index);
    let a: Option<Vec<&LatticeColumn>> = around.iter().map(|index| lattice.column(Site::A, *index)).collect();
    let a = a.ok_or(Rejection::MissingA)?;
    if a.iter().copied().chain([b]).any(|c| c.status == ColumnStatus::Failed) {
        return Err(Rejection::FitFailed);
    }
    let covariances: Vec<[f64; 3]> = a.iter().map(|c| c.covariance_px2).collect();
    Ok(Measured {
        a: a.iter().map(|c| c.position_px).collect(),
        b: b.position_px,
        covariance: shift_covariance(b.covariance_px2, &covariances),
        a_intensity: a.iter().map(|c| c.intensity).sum::<f64>() / a.len() as f64,
        b_intensity: b.intensity,
    })
}

fn jointly_measured(lattice: &ColumnLattice, b: &LatticeColumn, fits: &CellFits) -> Result<Measured, Rejection> {
    let Some(fit) = fits.get(&b.index) else { return singly_measured(lattice, b).and(Err(Rejection::FitFailed)) };
    let fit = fit.as_ref().ok_or(Rejection::FitFailed)?;
    Ok(Measured {
        a: fit.a.iter().map(|c| c.position).collect(),
        b: fit.b.position,
        covariance: fit.shift_empirical_covariance.or(fit.shift_covariance).unwrap_or([f64::NAN; 3]),
        a_intensity: fit.a.iter().map(|c| c.amplitude).sum::<f64>() / 4.0,
        b_intensity: fit.b.amplitude,
    })
}

fn cell_of(
    lattice: &ColumnLattice,
    index: [i32; 2],
    measured: &Measured,
    local_basis: impl Fn([f64; 2]) -> Option<[[f64; 2]; 2]>,
) -> Result<Cell, Rejection> {
    let places = &measured.a;
    let shift_px = shift_from_mean(measured.b, places);
    if shift_px[0].hypot(shift_px[1]) > FARTHEST * lattice.lattice_a_px() {
        return Err(Rejection::TooFar);
    }
    let [e1, e2] = match places[..] {
        // The mean of opposite edges of the cell itself.
        [p, q, r, s] => [0, 1].map(|k| {
            let [near, far] = if k == 0 { [[p, q], [r, s]] } else { [[p, r], [q, s]] };
            [0, 1].map(|x| 0.5 * (near[1][x] - near[0][x] + far[1][x] - far[0][x]))
        }),
        _ => local_basis(index.map(f64::from)).unwrap_or(lattice.basis_px),
    };
    let angle = (e1[0] * e2[1] - e1[1] * e2[0]).atan2(e1[0] * e2[0] + e1[1] * e2[1]);
    Ok(Cell {
        index,
        centre_px: [measured.b[0] - shift_px[0], measured.b[1] - shift_px[1]],
        shift_px,
        covariance_px2: measured.covariance,
        scatter_px: [f64::NAN; 2],
        unresolved: true,
        a_px: e1[0].hypot(e1[1]),
        b_px: e2[0].hypot(e2[1]),
        angle_deg: angle.to_degrees(),
        a_intensity: measured.a_intensity,
        b_intensity: measured.b_intensity,
    })
}
