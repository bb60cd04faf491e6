//! The tilt sensitivity a study file asks for: its crystal, microscope, thicknesses, defoci, sources and estimators; tilts up to its largest.

use super::spec::{CrystalAxes, CrystalSource, Estimator as EstimatorName, Study};
use super::{RunError, setup};
use crate::artifact::{Conditions, Numerics, Ruler};
use crate::columns::Estimator;
use crate::crystal::{Crystal, structures};
use crate::specimen::{Basis, Cut};

/// What to compute.
#[derive(Debug, Clone)]
pub struct Request {
    /// The crystal.
    pub crystal: Crystal,
    /// Specimen, microscope and numerics.
    pub conditions: Conditions,
    /// Source sizes, Å.
    pub source_fwhm_angstrom: Vec<f64>,
    /// Estimators in the study's window.
    pub rulers: Vec<Ruler>,
}

/// The request of a study: crystal, cut, lens, first detector and numerics of its first point; every thickness, defocus and source size of
/// any point. `tilt_mrad` stands for the largest tilt of the study, which is 10 mrad where the study has none.
pub fn request(study: &Study, tilt_mrad: Option<f64>) -> Result<Request, RunError> {
    let Some(first) = study.points().first() else { return Err(RunError::NoSuchPoint { asked: 0, points: 0 }) };
    let config = &first.config;
    let collect = |f: &dyn Fn(&super::spec::PointConfig) -> f64| {
        let mut list: Vec<f64> = study.points().iter().map(|p| f(&p.config)).collect();
        list.sort_by(f64::total_cmp);
        list.dedup();
        list
    };
    let crystal = match &config.crystal.source {
        CrystalSource::Shipped(name) => {
            structures::get(name).ok_or_else(|| RunError::UnknownStructure { name: name.clone(), known: structures::names().join(", ") })?
        }
        CrystalSource::File(path) => Crystal::read(path)?,
    };
    let largest = study.points().iter().flat_map(|p| p.config.crystal.specimen_tilt_mrad).fold(0.0_f64, |m, t| m.max(t.abs()));
    let basis = match config.crystal.axes {
        CrystalAxes::Pseudocubic => Basis::Pseudocubic,
        CrystalAxes::Lattice => Basis::Lattice,
    };
    let detector = setup::detectors(&config.microscope).swap_remove(0);
    let aberrations = setup::probe(&config.microscope).aberrations.0.into_iter().filter(|a| (a.n, a.m) != (1, 0)).collect();
    let conditions = Conditions {
        cut: Cut { zone_axis: config.crystal.zone_axis, x_axis: config.crystal.x_axis, basis },
        voltage_kv: config.microscope.voltage_kv,
        convergence_mrad: config.microscope.convergence_mrad,
        aberrations,
        detector_mrad: [detector.inner_mrad, detector.outer_mrad],
        thickness_nm: collect(&|c| c.crystal.thickness_nm),
        defocus_nm: collect(&|c| c.microscope.defocus_nm),
        tilt_mrad: tilt_mrad.unwrap_or(if largest > 0.0 { largest } else { 10.0 }),
        numerics: Numerics {
            pixel_angstrom: config.simulation.pixel_angstrom,
            oversampling: config.simulation.oversampling as usize,
            k_points: config.simulation.k_points.map(|k| k as usize),
            phonon_pairs: config.simulation.phonons.map_or(0, |p| p.pairs as usize),
            seed: config.seed,
        },
    };
    let ruler = |name: &EstimatorName| Ruler {
        estimator: match name {
            EstimatorName::Gaussian => Estimator::Gaussian,
            EstimatorName::CentreOfMass => Estimator::CentreOfMass,
            EstimatorName::Maximum => Estimator::Maximum,
        },
        window_radius_angstrom: config.measure.window_radius_angstrom,
        sample_angstrom: config.measure.sample_angstrom,
    };
    Ok(Request {
        crystal,
        conditions,
        source_fwhm_angstrom: collect(&|c| c.microscope.source_fwhm_angstrom),
        rulers: config.measure.estimators.iter().map(ruler).collect(),
    })
}
