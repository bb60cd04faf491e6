//! Annular detectors: weights of diffraction-raster cells between two angles around the optic axis; mrad at the interface.

use super::{Beam, Edge};
use serde::{Deserialize, Serialize};

/// A detector that counts electrons scattered between two angles.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AnnularDetector {
    /// Name in tables and figures ("HAADF").
    pub name: String,
    /// Inner angle, mrad.
    pub inner_mrad: f64,
    /// Outer angle, mrad.
    pub outer_mrad: f64,
}

impl AnnularDetector {
    /// Share, 0 to 1, of the raster cell (edges `cell`, 1/Å) around the scattering vector k (1/Å from the optic axis) that the ring covers.
    #[must_use]
    pub fn weight(&self, k: [f64; 2], cell: [[f64; 2]; 2], beam: Beam, edge: Edge) -> f64 {
        let wave_number = |mrad: f64| mrad * 1e-3 / beam.wavelength_angstrom();
        edge.covered(k, cell, wave_number(self.outer_mrad)) - edge.covered(k, cell, wave_number(self.inner_mrad))
    }
}
