//! Drift: the specimen moves at constant speed while the frame is recorded, which shears and stretches the image; pm a row.

use super::settings::within;
use super::{CameraError, Timing};

/// How far the specimen moves from the start of one line to the start of the next.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Drift {
    /// (x, y), pm a row; what is right of or below its place in the image is positive.
    pub pm_per_row: [f64; 2],
}

impl Drift {
    pub(super) fn check(&self) -> Result<(), CameraError> {
        self.pm_per_row.iter().try_for_each(|&v| within("drift in pm per row", v, -1000.0, 1000.0, "-1000 to 1000"))
    }

    pub(super) fn path(&self, timing: Timing, width: usize) -> DriftPath {
        DriftPath { angstrom_per_us: self.pm_per_row.map(|v| 0.01 * v / timing.line_us(width)), timing, width }
    }
}

/// Drift over a frame of known timing.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub(super) struct DriftPath {
    angstrom_per_us: [f64; 2],
    timing: Timing,
    width: usize,
}

impl DriftPath {
    pub(super) fn add(&self, iy: usize, ix: usize, row: &mut [[f64; 2]]) {
        for (i, d) in row.iter_mut().enumerate() {
            let time = self.timing.time_us(ix + i, iy, self.width);
            (0..2).for_each(|c| d[c] += self.angstrom_per_us[c] * time);
        }
    }
}
