//! The convergent probe: its aperture on a reciprocal raster, with aberrations; normalised so that the probe is one electron.

use super::{Aberrations, Beam};
use crate::numerics::disc::covered_fraction;
use num_complex::Complex64;

/// How a sharp edge in angle falls on a raster of frequencies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Edge {
    /// A raster cell counts by the share of its area inside: images change smoothly with angle and tilt.
    #[default]
    AreaWeighted,
    /// A raster cell counts by its centre (|k| ≤ radius): what most codes do; for comparisons with them.
    Hard,
}

impl Edge {
    /// Share, 0 to 1, of the raster cell around k that lies within `radius` of the optic axis (all in 1/Å).
    #[must_use]
    pub fn covered(self, k: [f64; 2], cell: [[f64; 2]; 2], radius: f64) -> f64 {
        match self {
            Self::AreaWeighted => covered_fraction(k, cell, radius),
            // The tolerance decides raster points that stand on the edge but for rounding; a disc of no size holds nothing.
            Self::Hard => f64::from(u8::from(radius > 0.0 && k[0].hypot(k[1]) <= radius * (1.0 + 1e-12))),
        }
    }
}

/// The probe-forming lens and its aperture.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct Probe {
    /// Energy.
    pub beam: Beam,
    /// Convergence semi-angle, mrad.
    pub convergence_mrad: f64,
    /// Lens aberrations, defocus among them.
    pub aberrations: Aberrations,
}

impl Probe {
    /// Aperture radius, 1/Å.
    #[must_use]
    pub fn radius(&self) -> f64 {
        self.convergence_mrad * 1e-3 / self.beam.wavelength_angstrom()
    }

    /// A(k) exp(−iχ(k)) before normalisation, at k (1/Å) from the optic axis on a raster of cells `cell`.
    #[must_use]
    pub fn amplitude(&self, k: [f64; 2], cell: [[f64; 2]; 2], edge: Edge) -> Complex64 {
        // The amplitude, not the intensity, goes with the covered share: a root would make cells that are barely touched jump in.
        let share = edge.covered(k, cell, self.radius());
        if share == 0.0 { Complex64::default() } else { Complex64::from_polar(share, -self.aberrations.phase_rad(k, self.beam)) }
    }
}
