//! What every propagation of one simulation shares (grid, beam, band limit) and what one Bloch class adds (offset, tilt); 1/Å and mrad.

use super::MultisliceError;
use crate::microscope::{Beam, wave_vector};
use crate::numerics::band_limit::BandLimit;
use crate::numerics::grid::{Grid, norm};
use crate::potential::Factors;
use num_complex::Complex64;
use std::f64::consts::PI;

/// Numerics of one simulation.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize)]
pub struct Setting {
    /// Working grid on the in-plane cell.
    pub grid: Grid,
    /// Beam.
    pub beam: Beam,
    /// Scattering factors.
    pub factors: Factors,
    /// The phase grating is formed on a grid this many times finer.
    pub oversampling: usize,
    /// Band limit of waves and transmission functions.
    pub band: BandLimit,
}

impl Setting {
    /// Points of the largest grid: 4096², 128 MiB a wave in f32.
    pub const MAX_POINTS: usize = 1 << 24;

    /// The setting for a cell sampled at least every `pixel_angstrom`, with a sharp band limit at 2/3 of Nyquist.
    pub fn new(
        cell_angstrom: [[f64; 2]; 2],
        pixel_angstrom: f64,
        beam: Beam,
        factors: Factors,
        oversampling: usize,
    ) -> Result<Self, MultisliceError> {
        let wanted = cell_angstrom.map(|a| norm(a) / pixel_angstrom * oversampling as f64);
        let points = wanted[0] * wanted[1];
        if points.is_nan() || points >= Self::MAX_POINTS as f64 {
            let [nx, ny] = wanted.map(|n| n as usize);
            return Err(MultisliceError::GridTooLarge { nx, ny, limit: Self::MAX_POINTS });
        }
        let grid = Grid::for_pixel(cell_angstrom, pixel_angstrom);
        Ok(Self { grid, beam, factors, oversampling, band: BandLimit::two_thirds(grid.nyquist()) })
    }

    /// Refuses an angle (mrad from the centre of the band limit) that the sampling does not carry, by name and value.
    pub fn check_angle(&self, what: &str, angle_mrad: f64) -> Result<(), MultisliceError> {
        let limit_mrad = self.band.radius * self.beam.wavelength_angstrom() * 1e3;
        if angle_mrad <= limit_mrad {
            return Ok(());
        }
        let [x, y] = self.grid.cell_angstrom;
        let pixel_angstrom = (norm(x) / self.grid.nx as f64).max(norm(y) / self.grid.ny as f64);
        let needed_angstrom = pixel_angstrom * limit_mrad / angle_mrad;
        Err(MultisliceError::BeyondBandLimit { what: what.to_owned(), angle_mrad, limit_mrad, pixel_angstrom, needed_angstrom })
    }
}

/// One Bloch class of waves: all wave vectors k = k0 + G of one offset k0, their tilt, and the disc of wave vectors that is kept.
///
/// The specimen tilt can stand in the propagator (`specimen_tilt_mrad`), or the crystal stays upright and the beam, with the centre of the
/// band limit, tilts by −θ/λ (`offset`, `centre`): the two agree to rounding.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Bloch {
    /// k0, 1/Å; need not lie in the first zone.
    pub offset: [f64; 2],
    /// Centre of the band limit, 1/Å.
    pub centre: [f64; 2],
    /// Specimen tilt θ, mrad: at depth z a column stands at +θ z.
    pub specimen_tilt_mrad: [f64; 2],
}

impl Bloch {
    /// The wave vector k0 + G of the frequency (h, k), 1/Å.
    #[must_use]
    pub fn wave_vector(&self, grid: Grid, h: i32, k: i32) -> [f64; 2] {
        let g = grid.frequency(h, k);
        [self.offset[0] + g[0], self.offset[1] + g[1]]
    }

    /// What the band limit passes, FFT order.
    #[must_use]
    pub fn pass(&self, setting: &Setting) -> Vec<f64> {
        let from_centre = |(h, k)| {
            let q = self.wave_vector(setting.grid, h, k);
            setting.band.pass(norm([q[0] - self.centre[0], q[1] - self.centre[1]]))
        };
        setting.grid.frequencies().map(from_centre).collect()
    }

    /// P(k) = exp(−iπλΔz|k|² + 2πiΔz k·θ) with the band limit, FFT order, for a distance in Å.
    #[must_use]
    pub fn propagator(&self, setting: &Setting, distance_angstrom: f64) -> Vec<Complex64> {
        let wavelength = setting.beam.wavelength_angstrom();
        let tilt = self.specimen_tilt_mrad.map(|t| t * 1e-3);
        let phase = |(h, k)| {
            let q = self.wave_vector(setting.grid, h, k);
            PI * distance_angstrom * (2.0 * (q[0] * tilt[0] + q[1] * tilt[1]) - wavelength * (q[0] * q[0] + q[1] * q[1]))
        };
        let pass = self.pass(setting);
        setting
            .grid
            .frequencies()
            .map(phase)
            .zip(pass)
            .map(|(p, a)| if a == 0.0 { Complex64::default() } else { Complex64::from_polar(a, p) })
            .collect()
    }
}

/// The beam tilt −θ/λ (1/Å) that shows an upright crystal as a specimen tilted by θ.
#[must_use]
pub fn beam_tilt(specimen_tilt_mrad: [f64; 2], beam: Beam) -> [f64; 2] {
    wave_vector(specimen_tilt_mrad.map(|t| -t), beam)
}
