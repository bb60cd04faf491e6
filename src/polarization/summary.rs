//! A polarization map in a few robust numbers: pm where the pixel size is known, px always.

use super::{Calibration, PolarizationMap, Rejection};
use crate::columns::median;
use std::collections::BTreeMap;

/// One component of the shift over all cells, in the unit of the values given.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize)]
pub struct Component {
    /// Mean.
    pub mean: f64,
    /// Median.
    pub median: f64,
    /// Robust standard deviation: 1.4826 times the median distance from the median.
    pub sd: f64,
    /// Sample skewness g₁.
    pub skewness: f64,
    /// Standard error of the skewness of as many normal values.
    pub skewness_standard_error: f64,
}

impl Component {
    /// Statistics of a set of values; NaN where there are too few.
    #[must_use]
    pub fn of(values: &[f64]) -> Self {
        let n = values.len() as f64;
        let mean = values.iter().sum::<f64>() / n;
        let moment = |power: i32| values.iter().map(|v| (v - mean).powi(power)).sum::<f64>() / n;
        let middle = median(values.to_vec()).unwrap_or(f64::NAN);
        let spread = median(values.iter().map(|v| (v - middle).abs()).collect()).unwrap_or(f64::NAN);
        let error = (6.0 * n * (n - 1.0) / ((n - 2.0) * (n + 1.0) * (n + 3.0))).sqrt();
        Self {
            mean,
            median: middle,
            sd: 1.4826 * spread,
            skewness: moment(3) / moment(2).powf(1.5),
            skewness_standard_error: if n > 2.0 { error } else { f64::NAN },
        }
    }
}

/// The numbers a polarization map is quoted by. Fields in pm are `None` without a pixel size.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct Summary {
    /// Cells in the map.
    pub cells: usize,
    /// Cells left out.
    pub rejected: usize,
    /// How many of them for which reason.
    pub rejected_by_reason: BTreeMap<Rejection, usize>,
    /// Cells whose shift is below twice its uncertainty.
    pub unresolved: usize,
    /// Median shift along x (right), pm.
    pub median_px_pm: Option<f64>,
    /// Median shift along y (down), pm.
    pub median_py_pm: Option<f64>,
    /// Mean shift along x, pm.
    pub mean_px_pm: Option<f64>,
    /// Mean shift along y, pm.
    pub mean_py_pm: Option<f64>,
    /// Robust standard deviation along x, pm.
    pub sd_px_pm: Option<f64>,
    /// Robust standard deviation along y, pm.
    pub sd_py_pm: Option<f64>,
    /// Median length of the shift, pm.
    pub median_magnitude_pm: Option<f64>,
    /// Noise of one cell along x from the scatter among neighbours, pm.
    pub scatter_px_pm: Option<f64>,
    /// The same along y, pm.
    pub scatter_py_pm: Option<f64>,
    /// Median uncertainty along x from the fits, pm.
    pub fitted_sigma_px_pm: Option<f64>,
    /// The same along y, pm.
    pub fitted_sigma_py_pm: Option<f64>,
    /// Pixel size, pm.
    pub pixel_size_pm: Option<f64>,
    /// Where the pixel size comes from.
    pub calibration: Calibration,
    /// Mean side of the pseudocubic cell, px.
    pub lattice_a_px: f64,
    /// Shift along x, pixels.
    pub x_pixels: Component,
    /// Shift along y, pixels.
    pub y_pixels: Component,
}

impl PolarizationMap {
    /// The map in a few numbers.
    #[must_use]
    pub fn summary(&self) -> Summary {
        let component = |axis: usize| Component::of(&self.cells.iter().map(|c| c.shift_px[axis]).collect::<Vec<_>>());
        let [x, y] = [component(0), component(1)];
        let pm = |px: f64| self.pixel_size_pm.map(|size| px * size).filter(|v| v.is_finite());
        let middle = |values: Vec<f64>| median(values.into_iter().filter(|v| v.is_finite()).collect()).and_then(pm);
        let fitted = |k: usize| middle(self.cells.iter().map(|c| c.covariance_px2[k].sqrt()).collect());
        Summary {
            cells: self.cells.len(),
            rejected: self.rejected.values().sum(),
            rejected_by_reason: self.rejected.clone(),
            unresolved: self.cells.iter().filter(|c| c.unresolved).count(),
            median_px_pm: pm(x.median),
            median_py_pm: pm(y.median),
            mean_px_pm: pm(x.mean),
            mean_py_pm: pm(y.mean),
            sd_px_pm: pm(x.sd),
            sd_py_pm: pm(y.sd),
            median_magnitude_pm: middle(self.cells.iter().map(super::Cell::magnitude_px).collect()),
            scatter_px_pm: pm(self.scatter_px[0]),
            scatter_py_pm: pm(self.scatter_px[1]),
            fitted_sigma_px_pm: fitted(0),
            fitted_sigma_py_pm: fitted(2),
            pixel_size_pm: self.pixel_size_pm,
            calibration: self.calibration,
            lattice_a_px: self.lattice_a_px,
            x_pixels: x,
            y_pixels: y,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statistics_of_a_small_set_by_hand() {
        let c = Component::of(&[1.0, 2.0, 3.0, 4.0, 10.0]);
        assert!((c.mean - 4.0).abs() < 1e-12 && (c.median - 3.0).abs() < 1e-12);
        assert!((c.sd - 1.4826).abs() < 1e-12);
        // m3 = (-27 - 8 - 1 + 0 + 216)/5 = 36, m2 = 10: g1 = 36 / 10^1.5.
        assert!((c.skewness - 36.0 / 10_f64.powf(1.5)).abs() < 1e-12);
        assert!((c.skewness_standard_error - (120.0_f64 / (3.0 * 6.0 * 8.0)).sqrt()).abs() < 1e-12);
    }
}
