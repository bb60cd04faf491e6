//! What an image testifies of its tilt: regions, what they show and how well, and what is believed beyond the data.

use super::reading::VECTORS;
use super::response::ResponseTable;
use crate::numerics::least_squares::Cholesky;
use serde::{Deserialize, Serialize};

/// Components of a reading that show tilt and no polarization: six vectors.
pub(super) const SIGNS: usize = 2 * (VECTORS - 1);

/// What is believed of the crystal beyond the data.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Beliefs {
    /// Largest tilt, mrad.
    pub max_tilt_mrad: f64,
    /// Opposite domains have polarizations of equal size to this fraction (one standard deviation).
    pub domains_equal_to: f64,
    /// A column's shape is simulated to this tilt (one standard deviation of each sign of tilt, mrad).
    pub shape_true_to_mrad: f64,
    /// The effect of tilt on the shape of columns and on the shift is simulated to this fraction (one standard deviation): oxygen, atoms' vibrations
    /// and the specimen's surface are not those of the simulated crystal.
    pub shape_scale: f64,
}

impl Default for Beliefs {
    fn default() -> Self {
        Self { max_tilt_mrad: 5.0, domains_equal_to: 0.05, shape_true_to_mrad: 0.3, shape_scale: 0.2 }
    }
}

/// A region as evidence.
#[derive(Debug, Clone)]
pub struct Witness {
    /// Mean shift, pm.
    pub shift_pm: [f64; 2],
    /// Covariance of the mean, pm².
    pub covariance_pm2: [f64; 3],
    /// Signs of tilt in its mean cell (a [`Reading`](super::reading::Reading) without its shift, widths and heights), and the Cholesky factor of their covariance.
    pub signs: Option<([f64; SIGNS], Cholesky<SIGNS>)>,
    /// Cells.
    pub cells: usize,
    /// The simulated crystal stands for this region with x and y exchanged.
    pub exchanged: bool,
}

/// Which evidence.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Method {
    /// A region that has no polarization by symmetry.
    Reference,
    /// Skewness of the columns and disagreement of the estimators.
    Shape,
    /// What opposite domains have in common.
    Domains,
    /// All of them.
    Together,
}

impl Method {
    /// All, the combination last.
    pub const ALL: [Self; 4] = [Self::Reference, Self::Shape, Self::Domains, Self::Together];

    /// In words.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Reference => "centrosymmetric region",
            Self::Shape => "shape of the columns",
            Self::Domains => "opposite domains",
            Self::Together => "all evidence",
        }
    }
}

/// All evidence of an image.
#[derive(Debug, Clone)]
pub struct Evidence<'a> {
    /// Responses of the crystal.
    pub table: &'a ResponseTable,
    /// Responses of the centrosymmetric crystal and what its region shows.
    pub reference: Option<(&'a ResponseTable, Witness)>,
    /// Regions of the crystal.
    pub witnesses: Vec<Witness>,
    /// What is believed.
    pub beliefs: Beliefs,
}

impl Witness {
    /// An exchanged region shows in x what the simulated crystal shows in y.
    pub(super) fn own(&self, component: usize) -> usize {
        if self.exchanged { component ^ 1 } else { component }
    }
}
