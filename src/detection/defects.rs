//! Hot and dead pixels: events that flood a pixel, and samples that were lost; each frame has its own.

use super::CameraError;
use super::settings::within;
use rand::RngExt;
use rand_chacha::ChaCha8Rng;

/// How far above the brightest expected signal a hot pixel reads.
const HOT_FACTOR: f64 = 3.0;

/// Fractions of the pixels that are hot and dead.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Defects {
    /// Fraction that reads three times the brightest expected signal.
    pub hot_fraction: f64,
    /// Fraction that reads the black level.
    pub dead_fraction: f64,
}

/// What a defect does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DefectKind {
    /// Reads too much.
    Hot,
    /// Reads nothing.
    Dead,
}

/// A pixel that tells nothing of the specimen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Defect {
    /// Column of the image.
    pub ix: usize,
    /// Row of the image.
    pub iy: usize,
    /// What it does.
    pub kind: DefectKind,
}

impl Defects {
    pub(super) fn check(&self) -> Result<(), CameraError> {
        within("fraction of hot pixels", self.hot_fraction, 0.0, 0.5, "0 to 0.5")?;
        within("fraction of dead pixels", self.dead_fraction, 0.0, 0.5, "0 to 0.5")
    }

    /// Puts the defects of one row in it; `brightest` and `black` are signals.
    pub(super) fn put(&self, rng: &mut ChaCha8Rng, brightest: f64, black: f64, row: &mut [f64], mut found: impl FnMut(usize, DefectKind)) {
        for (ix, value) in row.iter_mut().enumerate() {
            let u = rng.random::<f64>();
            if u < self.hot_fraction {
                *value = black + HOT_FACTOR * (brightest - black);
                found(ix, DefectKind::Hot);
            } else if u < self.hot_fraction + self.dead_fraction {
                *value = black;
                found(ix, DefectKind::Dead);
            }
        }
    }
}
