//! What an image's response to tilt depends on before anyone measures it: crystal, beam, detector, thicknesses, foci, numerics; nm and mrad.

use super::ArtifactError;
use crate::crystal::Crystal;
use crate::microscope::{Aberration, AnnularDetector, Beam};
use crate::specimen::Cut;
use serde::{Deserialize, Serialize};

/// How finely the waves are computed; see the study file's `[simulation]` for the meaning of each.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Numerics {
    /// Largest sampling of the waves, Å.
    pub pixel_angstrom: f64,
    /// Times finer the grid of exp(iσV).
    pub oversampling: usize,
    /// Bloch offsets along the two in-plane vectors.
    pub k_points: [usize; 2],
    /// Antithetic pairs of phonon configurations a k-point; 0 for a crystal at rest.
    pub phonon_pairs: usize,
    /// Seed of the phonons.
    pub seed: u64,
}

impl Default for Numerics {
    fn default() -> Self {
        Self { pixel_angstrom: 0.05, oversampling: 2, k_points: [8, 8], phonon_pairs: 1, seed: 1 }
    }
}

/// One specimen in one microscope, over a range of tilts, thicknesses and foci.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Conditions {
    /// How the slab is cut.
    pub cut: Cut,
    /// Acceleration voltage, kV.
    pub voltage_kv: f64,
    /// Convergence semi-angle, mrad.
    pub convergence_mrad: f64,
    /// Aberrations besides defocus.
    pub aberrations: Vec<Aberration>,
    /// Detector, inner and outer semi-angle, mrad.
    pub detector_mrad: [f64; 2],
    /// Thicknesses, nm, ascending.
    pub thickness_nm: Vec<f64>,
    /// Defoci, nm, ascending; positive: the focus lies that far inside the specimen.
    pub defocus_nm: Vec<f64>,
    /// Largest specimen tilt, mrad.
    pub tilt_mrad: f64,
    /// Numerics.
    pub numerics: Numerics,
}

impl Default for Conditions {
    fn default() -> Self {
        Self {
            cut: Cut::pseudocubic([0, 0, 1], [1, 0, 0]),
            voltage_kv: 300.0,
            convergence_mrad: 25.0,
            aberrations: Vec::new(),
            detector_mrad: [60.0, 100.0],
            thickness_nm: vec![10.0, 20.0, 30.0],
            defocus_nm: vec![0.0],
            tilt_mrad: 10.0,
            numerics: Numerics::default(),
        }
    }
}

impl Conditions {
    /// Most thicknesses times defoci a library holds.
    const MOST_SETTINGS: usize = 400;

    /// Refuses what no library can be made of.
    pub fn check(&self) -> Result<(), ArtifactError> {
        let refuse = |text: String| Err(ArtifactError::Setting(text));
        let ascending = |list: &[f64]| !list.is_empty() && list.iter().all(|v| v.is_finite()) && list.windows(2).all(|w| w[0] < w[1]);
        if !ascending(&self.thickness_nm) || self.thickness_nm[0] <= 0.0 || self.thickness_nm.iter().any(|t| *t > 200.0) {
            return refuse(format!("thicknesses must be above 0, at most 200 nm and rise; these are {:?}", self.thickness_nm));
        }
        if !ascending(&self.defocus_nm) || self.defocus_nm.iter().any(|f| f.abs() > 1000.0) {
            return refuse(format!("defoci must lie within ±1000 nm and rise; these are {:?}", self.defocus_nm));
        }
        if self.thickness_nm.len() * self.defocus_nm.len() > Self::MOST_SETTINGS {
            let (t, f) = (self.thickness_nm.len(), self.defocus_nm.len());
            return refuse(format!("{t} thicknesses times {f} defoci are more than {}: take larger steps", Self::MOST_SETTINGS));
        }
        if !(self.tilt_mrad > 0.0 && self.tilt_mrad <= 30.0) {
            return refuse(format!("the largest tilt must be above 0 and at most 30 mrad, not {}", self.tilt_mrad));
        }
        let aperture = self.convergence_mrad > 0.0 && self.convergence_mrad <= 100.0;
        if !(aperture && (20.0..=1500.0).contains(&self.voltage_kv)) {
            return refuse("the voltage must be 20 to 1500 kV and the convergence semi-angle above 0 and at most 100 mrad".to_owned());
        }
        let [inner, outer] = self.detector_mrad;
        if !(inner >= 0.0 && outer > inner && outer <= 500.0) {
            return refuse(format!("a detector from {inner} to {outer} mrad is none: give the inner semi-angle, then a larger outer one"));
        }
        let n = &self.numerics;
        let usable = (0.01..=0.5).contains(&n.pixel_angstrom) && (1..=4).contains(&n.oversampling) && n.phonon_pairs <= 1000;
        if !usable || n.k_points.iter().any(|k| !(1..=64).contains(k)) {
            return refuse("numerics are out of range: pixel 0.01 to 0.5 Å, oversampling 1 to 4, 1 to 64 k-points each way".to_owned());
        }
        Ok(())
    }

    /// The beam.
    #[must_use]
    pub fn beam(&self) -> Beam {
        Beam { energy_kev: self.voltage_kv }
    }

    /// The detector.
    #[must_use]
    pub fn detector(&self) -> AnnularDetector {
        AnnularDetector { name: "adf".to_owned(), inner_mrad: self.detector_mrad[0], outer_mrad: self.detector_mrad[1] }
    }

    /// Tilts at which images are computed: upright, half of the largest tilt along ±x and ±y, and the largest in eight directions. They
    /// determine a polynomial of third degree in two variables and leave three degrees of freedom to judge it by.
    #[must_use]
    pub fn tilts_mrad(&self) -> Vec<[f64; 2]> {
        let (full, half) = (self.tilt_mrad, 0.5 * self.tilt_mrad);
        let mut tilts = vec![[0.0, 0.0], [half, 0.0], [-half, 0.0], [0.0, half], [0.0, -half]];
        let across = full * std::f64::consts::FRAC_1_SQRT_2;
        for [x, y] in [[full, 0.0], [across, across]] {
            tilts.extend([[x, y], [-y, x], [-x, -y], [y, -x]]);
        }
        // −0 and 0 are one tilt.
        tilts.iter_mut().flatten().for_each(|t| *t += 0.0);
        tilts
    }

    /// Name of the library by its content: everything that moves a byte of it.
    #[must_use]
    pub fn key(&self, crystal: &Crystal) -> String {
        // Plain numbers and names always serialize; Debug stands in should they ever not.
        let settings = serde_json::to_string(self).unwrap_or_else(|_| format!("{self:?}"));
        let mut hasher = blake3::Hasher::new_derive_key("mistilt 2026 tilt library, layout 1");
        hasher.update(env!("CARGO_PKG_VERSION").as_bytes());
        hasher.update(settings.as_bytes());
        hasher.update(format!("{crystal:?}").as_bytes());
        hasher.finalize().to_hex()[..32].to_owned()
    }
}

/// Evenly spaced values from `low` to `high`, both included, at most `step` apart; one value where the two are equal.
#[must_use]
pub fn spaced(low: f64, high: f64, step: f64) -> Vec<f64> {
    let intervals = ((high - low) / step - 1e-9).ceil().clamp(0.0, 1e4) as usize;
    if intervals == 0 { vec![low] } else { (0..=intervals).map(|i| low + (high - low) * i as f64 / intervals as f64).collect() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crystal::structures;

    #[test]
    fn the_key_follows_everything_that_counts() {
        let (base, crystal) = (Conditions::default(), structures::get("bifeo3-r3c").unwrap());
        let key = base.key(&crystal);
        assert_eq!(key, Conditions::default().key(&crystal));
        let mut moved = crystal.clone();
        moved.atoms[0].fractional[0] += 1e-4;
        let others = [
            Conditions { voltage_kv: 200.0, ..base.clone() }.key(&crystal),
            Conditions { defocus_nm: vec![1.0], ..base.clone() }.key(&crystal),
            Conditions { numerics: Numerics { seed: 2, ..Numerics::default() }, ..base.clone() }.key(&crystal),
            base.key(&moved),
        ];
        assert!(others.iter().all(|k| *k != key));
    }

    #[test]
    fn settings_that_cannot_be_are_refused_in_words() {
        let base = Conditions::default();
        assert!(base.check().is_ok());
        let bad = [
            (Conditions { thickness_nm: vec![20.0, 10.0], ..base.clone() }, "thicknesses"),
            (Conditions { thickness_nm: vec![], ..base.clone() }, "thicknesses"),
            (Conditions { defocus_nm: vec![f64::NAN], ..base.clone() }, "defoci"),
            (Conditions { tilt_mrad: -1.0, ..base.clone() }, "tilt"),
            (Conditions { detector_mrad: [90.0, 60.0], ..base.clone() }, "detector"),
        ];
        for (conditions, word) in bad {
            assert!(conditions.check().unwrap_err().to_string().contains(word));
        }
        assert_eq!(base.tilts_mrad().len(), 13);
        assert_eq!(spaced(15.0, 30.0, 5.0), [15.0, 20.0, 25.0, 30.0]);
        assert_eq!(spaced(3.0, 3.0, 5.0), [3.0]);
    }
}
