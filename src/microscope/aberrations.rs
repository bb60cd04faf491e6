//! Geometric aberrations of the probe-forming lens in Krivanek's notation C_{n,m}; χ(k) in radians.
//!
//! χ(α, φ) = (2π/λ) Σ C_{n,m} α^{n+1}/(n+1) cos m(φ − φ_{n,m}) (Krivanek, Dellby & Lupini, Ultramicroscopy 78 (1999) 1), and the probe's
//! spectrum is A exp(−iχ). Defocus is underfocus-positive, C_{1,0} = −defocus: a positive defocus puts the focus inside the specimen, that
//! deep below the entrance surface (the propagator exp(−iπλzk²) undoes it there).

use super::Beam;
use std::f64::consts::PI;

/// One coefficient C_{n,m} and its azimuth.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Aberration {
    /// Order n ≥ 1: the phase grows as angle^{n+1}.
    pub n: u32,
    /// Multiplicity m: 0 for round aberrations, n + 1 − m even.
    pub m: u32,
    /// C_{n,m}, Å.
    pub coefficient_angstrom: f64,
    /// Azimuth φ_{n,m} in the image (x to y), rad.
    pub azimuth_rad: f64,
}

/// The lens: a sum of coefficients.
#[derive(Debug, Clone, Default, PartialEq, serde::Serialize)]
pub struct Aberrations(pub Vec<Aberration>);

impl Aberrations {
    /// A lens whose only aberration is a defocus (underfocus positive), Å.
    #[must_use]
    pub fn defocus(defocus_angstrom: f64) -> Self {
        Self(vec![Aberration { n: 1, m: 0, coefficient_angstrom: -defocus_angstrom, azimuth_rad: 0.0 }])
    }

    /// The defocus, Å: what all terms C_{1,0} make.
    #[must_use]
    pub fn defocus_angstrom(&self) -> f64 {
        -self.0.iter().filter(|a| (a.n, a.m) == (1, 0)).map(|a| a.coefficient_angstrom).sum::<f64>()
    }

    /// The same lens at another defocus, Å.
    #[must_use]
    pub fn at_defocus(&self, defocus_angstrom: f64) -> Self {
        let others = self.0.iter().filter(|a| (a.n, a.m) != (1, 0)).copied();
        Self(Self::defocus(defocus_angstrom).0.into_iter().chain(others).collect())
    }

    /// χ in radians at the wave vector k (1/Å), measured from the optic axis.
    #[must_use]
    pub fn phase_rad(&self, k: [f64; 2], beam: Beam) -> f64 {
        let wavelength = beam.wavelength_angstrom();
        let alpha = wavelength * k[0].hypot(k[1]);
        let azimuth = k[1].atan2(k[0]);
        let term = |c: &Aberration| {
            let angular = if c.m == 0 { 1.0 } else { (f64::from(c.m) * (azimuth - c.azimuth_rad)).cos() };
            c.coefficient_angstrom * alpha.powi(c.n as i32 + 1) / f64::from(c.n + 1) * angular
        };
        2.0 * PI / wavelength * self.0.iter().map(term).sum::<f64>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BEAM: Beam = Beam { energy_kev: 200.0 };

    #[test]
    fn another_defocus_leaves_the_other_terms() {
        let mut lens = Aberrations::defocus(30.0);
        lens.0.push(Aberration { n: 3, m: 0, coefficient_angstrom: 1e4, azimuth_rad: 0.0 });
        let other = lens.at_defocus(-12.0);
        assert_eq!((lens.defocus_angstrom(), other.defocus_angstrom()), (30.0, -12.0));
        assert_eq!(other.at_defocus(30.0), lens);
        assert_eq!(Aberrations::default().defocus_angstrom(), 0.0);
    }

    #[test]
    fn defocus_and_spherical_aberration_are_the_textbook_terms() {
        // χ = πλ k² (½ Cs λ² k² − Δf), Kirkland (2010) eq. 2.10.
        let (cs, defocus, k) = (1.3e7, 700.0, 0.4);
        let mut lens = Aberrations::defocus(defocus);
        lens.0.push(Aberration { n: 3, m: 0, coefficient_angstrom: cs, azimuth_rad: 0.0 });
        let wavelength = BEAM.wavelength_angstrom();
        let expected = PI * wavelength * k * k * (0.5 * cs * wavelength * wavelength * k * k - defocus);
        assert!((lens.phase_rad([0.0, k], BEAM) - expected).abs() < 1e-9);
    }

    #[test]
    fn astigmatism_changes_sign_over_a_quarter_turn_and_follows_its_azimuth() {
        let lens = |azimuth_rad| Aberrations(vec![Aberration { n: 1, m: 2, coefficient_angstrom: 50.0, azimuth_rad }]);
        let (x, y) = ([0.5, 0.0], [0.0, 0.5]);
        assert!((lens(0.0).phase_rad(x, BEAM) + lens(0.0).phase_rad(y, BEAM)).abs() < 1e-12);
        assert!((lens(PI / 2.0).phase_rad(y, BEAM) - lens(0.0).phase_rad(x, BEAM)).abs() < 1e-12);
    }
}
