//! The tilt sensitivity ∂P/∂θ (pm/mrad, 2 × 2) with its curvature and sampling error, for a structure, thickness, defocus, source and estimator.
//!
//! Around the upright crystal P_i(θ) = P_i(0) + Σ_j S_ij θ_j + ½ Σ_jk H_ijk θ_j θ_k + third order; all from one propagation.

use super::ArtifactError;
use super::cubic::{Cubic, Design};
use super::library::TiltLibrary;
use super::reading::{Ruler, read_shift};
use super::response::{jackknife, near_angstrom};
use crate::columns::Estimator;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

/// One row of the sensitivity table.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Sensitivity {
    /// Thickness, nm.
    pub thickness_nm: f64,
    /// Defocus, nm.
    pub defocus_nm: f64,
    /// Effective source, full width at half maximum, Å.
    pub source_fwhm_angstrom: f64,
    /// Estimator.
    pub estimator: Estimator,
    /// S: rows Px, Py; columns θx, θy; pm/mrad.
    pub slope_pm_per_mrad: [[f64; 2]; 2],
    /// Sampling error of S (finite number of phonon configurations); NaN without phonons.
    pub slope_sigma_pm_per_mrad: [[f64; 2]; 2],
    /// H: for Px and Py [xx, xy, yy], pm/mrad².
    pub curvature_pm_per_mrad2: [[f64; 3]; 2],
    /// Measured minus true shift at zero tilt: what the estimator and the oxygen columns add, pm.
    pub offset_pm: [f64; 2],
    /// Sampling error of the same, pm.
    pub offset_sigma_pm: [f64; 2],
    /// Root mean square of what the polynomial leaves up to the largest tilt, pm.
    pub misfit_pm: [f64; 2],
    /// The polynomials themselves (pm over mrad), for Px and Py.
    pub polynomials: [Cubic; 2],
}

/// The table: all thicknesses and defoci of a library, at every source size by every ruler; and, for rows that are missing, why.
pub fn sensitivities(
    library: &TiltLibrary,
    source_fwhm_angstrom: &[f64],
    rulers: &[Ruler],
) -> Result<(Vec<Sensitivity>, Vec<String>), ArtifactError> {
    let [nt, nf] = [library.header.thickness_nm.len(), library.header.conditions.defocus_nm.len()];
    let mut wanted = Vec::new();
    for t in 0..nt {
        for f in 0..nf {
            for &source in source_fwhm_angstrom {
                wanted.extend(rulers.iter().map(|ruler| (t, f, source, *ruler)));
            }
        }
    }
    let truth = library.true_shift_pm();
    let design = Design::new(&library.header.tilts_mrad)
        .ok_or_else(|| ArtifactError::Damaged("its tilts do not determine a polynomial".to_owned()))?;
    let groups = if library.groups() > 1 { library.groups() } else { 0 };
    let row = |(t, f, source, ruler): (usize, usize, f64, Ruler)| -> Result<Sensitivity, ArtifactError> {
        let thickness_nm = library.header.thickness_nm[t];
        let shifts = |without: Option<usize>| -> Result<[Vec<f64>; 2], ArtifactError> {
            let mut out = [Vec::new(), Vec::new()];
            for (n, tilt) in library.header.tilts_mrad.iter().enumerate() {
                let (image, cell) = library.mean_cell([n, t, f], without, source);
                let failed = |source| ArtifactError::Column { thickness_nm, x: tilt[0], y: tilt[1], source };
                let shift = read_shift(&image, &cell, near_angstrom(thickness_nm, *tilt), &ruler).map_err(failed)?;
                out.iter_mut().zip(shift).for_each(|(list, v)| list.push(v));
            }
            Ok(out)
        };
        let all = shifts(None)?;
        let polynomials = [0, 1].map(|k| design.fit(&all[k]));
        let without = (0..groups).map(|g| Ok(shifts(Some(g))?.map(|v| design.fit(&v)))).collect::<Result<Vec<_>, ArtifactError>>()?;
        let sigma = |k: usize, n: usize| jackknife(&without.iter().map(|w| w[k].0[n]).collect::<Vec<_>>());
        Ok(Sensitivity {
            thickness_nm,
            defocus_nm: library.header.conditions.defocus_nm[f],
            source_fwhm_angstrom: source,
            estimator: ruler.estimator,
            slope_pm_per_mrad: polynomials.map(|p| p.slope()),
            slope_sigma_pm_per_mrad: [0, 1].map(|k| [sigma(k, 1), sigma(k, 2)]),
            curvature_pm_per_mrad2: polynomials.map(|p| p.curvature()),
            offset_pm: [0, 1].map(|k| polynomials[k].0[0] - truth[k]),
            offset_sigma_pm: [0, 1].map(|k| sigma(k, 0)),
            misfit_pm: [0, 1].map(|k| design.residual_rms(&polynomials[k], &all[k])),
            polynomials,
        })
    };
    let rows: Vec<Result<Sensitivity, ArtifactError>> = wanted.par_iter().map(|w| row(*w)).collect();
    let (mut made, mut missing) = (Vec::new(), Vec::new());
    for (row, (_, f, source, ruler)) in rows.into_iter().zip(wanted) {
        match row {
            Ok(row) => made.push(row),
            Err(why) => {
                let defocus_nm = library.header.conditions.defocus_nm[f];
                missing.push(format!("defocus {defocus_nm} nm, source {source} Å, {:?}: {why}", ruler.estimator));
            }
        }
    }
    Ok((made, missing))
}

impl Sensitivity {
    /// Largest shift that a tilt of this size fakes in any direction, by the slope alone: the larger singular value of S times the tilt, pm.
    #[must_use]
    pub fn largest_fake_pm(&self, tilt_mrad: f64) -> f64 {
        let [[a, b], [c, d]] = self.slope_pm_per_mrad;
        let (sum, product) = (a * a + b * b + c * c + d * d, a * d - b * c);
        tilt_mrad * (0.5 * (sum + (sum * sum - 4.0 * product * product).max(0.0).sqrt())).sqrt()
    }
}
