//! The verdict: for every region and for the image, how much of the polarization could be mis-tilt, in numbers; image axes, pm and mrad.

use super::bend::Bend;
use super::bound::CommonTilt;
use super::mean_cell::Axes;
use super::posterior::{Moments, TiltEstimate};
use super::reading::{Reading, Ruler};
use super::witness::Beliefs;
use serde::{Deserialize, Serialize};

/// What is asked.
#[derive(Debug, Clone, PartialEq)]
pub struct Options {
    /// What is believed beyond the data.
    pub beliefs: Beliefs,
    /// Estimator, window and pixel of the map.
    pub ruler: Ruler,
    /// Range of source sizes, Å; `None` to take it from the width of the columns.
    pub source_fwhm_angstrom: Option<[f64; 2]>,
    /// Which cells are centrosymmetric.
    pub reference: ReferenceCells,
    /// Degree of the polynomial of a bent foil; 0 for a flat one.
    pub bend_degree: usize,
}

/// Which cells belong to the centrosymmetric reference.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReferenceCells {
    /// None.
    None,
    /// The part whose A columns are much darker.
    Darker,
    /// Those whose middle lies in the rectangle [x0, y0, x1, y1], px.
    Box([i64; 4]),
}

/// What a region's polarization is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Call {
    /// More than any allowed tilt fakes.
    Crystal,
    /// An allowed tilt could fake it, but the tilt that the image shows does not.
    CrystalAfterCorrection,
    /// The tilt that the image shows explains it.
    MisTilt,
    /// An allowed tilt could fake it, and the image does not show enough of its tilt to tell.
    Undecided,
    /// It is not above its own noise.
    Noise,
}

impl Call {
    /// In words.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Crystal => "crystal",
            Self::CrystalAfterCorrection => "crystal, by the tilt estimate",
            Self::MisTilt => "mis-tilt",
            Self::Undecided => "undecided",
            Self::Noise => "noise",
        }
    }

    /// Whether polarization is claimed.
    #[must_use]
    pub fn is_polar(self) -> bool {
        matches!(self, Self::Crystal | Self::CrystalAfterCorrection)
    }
}

/// A region's verdict; vectors in image axes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RegionVerdict {
    /// Number, from 1, the largest first.
    pub number: usize,
    /// Cells.
    pub cells: usize,
    /// Middle, px.
    pub centre_px: [f64; 2],
    /// Measured mean shift, pm, and its covariance [xx, xy, yy], pm².
    pub measured_pm: [f64; 2],
    /// Its covariance.
    pub measured_covariance_pm2: [f64; 3],
    /// Largest shift along this direction that the allowed tilts fake in an unpolarized crystal, pm.
    pub bound_pm: f64,
    /// Smallest tilt that fakes all of it, mrad; beyond the allowed range in proportion.
    pub needed_tilt_mrad: f64,
    /// What the estimated tilt adds, pm.
    pub tilt_part_pm: Moments,
    /// Measured less the tilt's part, pm; the covariance holds noise, tilt, thickness, defocus and source size.
    pub corrected_pm: Moments,
    /// The same with the estimator's own gain taken out: the crystal's polarization displacement, if it is one like the simulated, pm.
    pub crystal_pm: Moments,
    /// The call.
    pub call: Call,
    /// What its mean cell says.
    pub reading: Option<Reading>,
}

/// A cell of the map with its tilt part taken out.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct CellVerdict {
    /// Index of the cell.
    pub index: [i32; 2],
    /// Its region, from 1; 0 for none.
    pub region: usize,
    /// Measured, pm.
    pub measured_pm: [f64; 2],
    /// Measured less the tilt's part, pm.
    pub corrected_pm: [f64; 2],
    /// Standard deviations of that, noise, tilt and settings together, pm.
    pub corrected_sigma_pm: [f64; 2],
    /// Largest shift along this direction that the allowed tilts fake, pm.
    pub bound_pm: f64,
}

/// The verdict on an image.
#[derive(Debug, Clone)]
pub struct Verdict {
    /// Regions, largest first.
    pub regions: Vec<RegionVerdict>,
    /// Cells, in the order of the map.
    pub cells: Vec<CellVerdict>,
    /// Tilt by each kind of evidence the image has, the combination last; image axes.
    pub tilts: Vec<TiltEstimate>,
    /// Whether one allowed tilt can explain all regions as unpolarized; image axes.
    pub common_tilt: CommonTilt,
    /// Largest shift that the allowed tilts fake in any direction, pm.
    pub largest_fake_pm: f64,
    /// Allowed tilt, mrad.
    pub max_tilt_mrad: f64,
    /// Range of source sizes used, Å.
    pub source_fwhm_angstrom: [f64; 2],
    /// Cells of the reference and their mean shift, pm, image axes.
    pub reference: Option<(usize, [f64; 2])>,
    /// The bend, where one was asked for, and how strongly it is there.
    pub bend: Option<Bend>,
    /// Orientation of the lattice.
    pub axes: Axes,
    /// What the reader must not overlook.
    pub warnings: Vec<String>,
}
