//! How a scene is imaged: microscope, sampling and thermal motion, for the library and for multislice of the whole scene alike.

use crate::microscope::{AnnularDetector, Probe};
use crate::multislice::Device;
use crate::potential::Factors;

/// Microscope and numerics.
#[derive(Debug, Clone, PartialEq)]
pub struct Imaging {
    /// Lens and aperture.
    pub probe: Probe,
    /// Detectors.
    pub detectors: Vec<AnnularDetector>,
    /// Largest sampling of the waves, Å.
    pub pixel_angstrom: f64,
    /// Times finer the grid of exp(iσV).
    pub oversampling: usize,
    /// Scattering factors.
    pub factors: Factors,
    /// Bloch offsets of one cell; a supercell of n cells takes an n-th of them.
    pub k_points: [usize; 2],
    /// Thermal motion.
    pub motion: Motion,
    /// Engine.
    pub device: Device,
}

impl Imaging {
    /// The same at another defocus, Å.
    #[must_use]
    pub fn at_defocus(&self, defocus_angstrom: f64) -> Self {
        let probe = Probe { aberrations: self.probe.aberrations.at_defocus(defocus_angstrom), ..self.probe.clone() };
        Self { probe, ..self.clone() }
    }
}

/// Thermal motion of the atoms.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Motion {
    /// Every atom at its mean place.
    None,
    /// Frozen phonons, every atom on its own: antithetic pairs, for each k-point its own.
    FrozenPhonons {
        /// Seed.
        seed: u64,
        /// Pairs (+u, −u) for each k-point.
        pairs: usize,
    },
    /// Frozen phonons in which every cell of the scene moves like every other: the noise of the sampling is then the same in the library and
    /// in multislice of the whole scene, and cancels in their comparison.
    AlikeInEveryCell {
        /// Seed.
        seed: u64,
        /// Pairs (+u, −u).
        pairs: usize,
    },
}
