//! The electron beam: relativistic wavelength in Å and interaction constant in rad/(V Å) from the energy in keV.

use std::f64::consts::PI;

/// h c in keV Å (CODATA 2018, exact).
const HC_KEV_ANGSTROM: f64 = 12.398_419_843_320_026;
/// Electron rest energy in keV (CODATA 2018).
const REST_KEV: f64 = 510.998_95;

/// A monochromatic electron beam.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize)]
pub struct Beam {
    /// Kinetic energy, keV (numerically the acceleration voltage in kV).
    pub energy_kev: f64,
}

impl Beam {
    /// λ = hc / √(E (E + 2mc²)), Å.
    ///
    /// ```
    /// let beam = mistilt::microscope::Beam { energy_kev: 300.0 };
    /// assert!((beam.wavelength_angstrom() - 0.0196875).abs() < 1e-7);
    /// ```
    #[must_use]
    pub fn wavelength_angstrom(self) -> f64 {
        let e = self.energy_kev;
        HC_KEV_ANGSTROM / (e * (e + 2.0 * REST_KEV)).sqrt()
    }

    /// σ = 2π m e λ / h² with the relativistic mass, rad/(V Å).
    #[must_use]
    pub fn interaction_rad_per_volt_angstrom(self) -> f64 {
        let e = self.energy_kev;
        2.0 * PI / (self.wavelength_angstrom() * e * 1e3) * (REST_KEV + e) / (2.0 * REST_KEV + e)
    }
}

/// The wave vector k = α/λ (1/Å) of an angle in mrad: small angles, α = λk.
#[must_use]
pub fn wave_vector(angle_mrad: [f64; 2], beam: Beam) -> [f64; 2] {
    angle_mrad.map(|a| a * 1e-3 / beam.wavelength_angstrom())
}

/// The angle in mrad of a wave number k in 1/Å: α = λk.
#[must_use]
pub fn angle_of_mrad(k: f64, beam: Beam) -> f64 {
    k * beam.wavelength_angstrom() * 1e3
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wavelength_and_interaction_at_four_voltages() {
        let golden = [
            (60.0, 0.048_660_6, 1.135_691),
            (100.0, 0.037_014_4, 0.924_395_8),
            (200.0, 0.025_079_3, 0.728_840_1),
            (300.0, 0.019_687_5, 0.652_616_1),
        ];
        for (energy_kev, wavelength, interaction) in golden {
            let beam = Beam { energy_kev };
            assert!((beam.wavelength_angstrom() - wavelength).abs() < 5.1e-8);
            assert!((beam.interaction_rad_per_volt_angstrom() * 1e3 - interaction).abs() < 5.1e-7);
        }
    }
}
