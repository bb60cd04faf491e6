//! From the settings of a point to the physics: crystal, slab, slices, probe and detectors; lengths in Å from here on.

use super::RunError;
use super::spec::{
    AberrationSettings, CrystalAxes, CrystalSettings, CrystalSource, MicroscopeSettings, PointConfig, Precision, ScatteringFactors,
    SimulationSettings, Slicing as SlicingSetting,
};
use crate::crystal::{Crystal, structures};
use crate::microscope::{Aberration, Aberrations, AnnularDetector, Beam, Probe};
use crate::multislice::{Device, DeviceChoice, MultisliceError, Setting};
use crate::potential::Factors;
use crate::specimen::{Basis, Cut, Slab, Slicing, Stack};

/// The specimen of a point: the slab as cut, and the slices the waves step through.
#[derive(Debug, Clone)]
pub struct Specimen {
    /// Name and source of the crystal.
    pub crystal: (String, String),
    /// One in-plane cell, with its columns: what is measured.
    pub slab: Slab,
    /// The slices of the cell, repeated in plane to the period of the phonons.
    pub stack: Stack,
    /// In-plane repeats in `stack`.
    pub period: usize,
}

/// Reads, recognises, cuts and slices.
pub fn specimen(crystal: &CrystalSettings, simulation: &SimulationSettings) -> Result<Specimen, RunError> {
    let read = match &crystal.source {
        CrystalSource::Shipped(name) => {
            structures::get(name).ok_or_else(|| RunError::UnknownStructure { name: name.clone(), known: structures::names().join(", ") })?
        }
        CrystalSource::File(path) => Crystal::read(path)?,
    };
    let basis = match crystal.axes {
        CrystalAxes::Pseudocubic => Basis::Pseudocubic,
        CrystalAxes::Lattice => Basis::Lattice,
    };
    read.require_b_site()?;
    let slab = Slab::cut(&read, &Cut { zone_axis: crystal.zone_axis, x_axis: crystal.x_axis, basis })?;
    let slicing = match simulation.slicing {
        SlicingSetting::Planes { tolerance_angstrom } => Slicing::Planes { tolerance_angstrom },
        SlicingSetting::Equal { thickness_angstrom } => Slicing::Thickness { angstrom: thickness_angstrom },
    };
    let period = simulation.phonons.map_or(1, |p| p.period as usize);
    let stack = Stack::new(slab.repeated([period, period]), slicing);
    Ok(Specimen { crystal: (read.name, read.source), slab, stack, period })
}

/// The beam of a point.
#[must_use]
pub fn beam(microscope: &MicroscopeSettings) -> Beam {
    Beam { energy_kev: microscope.voltage_kv }
}

/// The grid, band limit and numerics of a point.
pub fn setting(config: &PointConfig, specimen: &Specimen) -> Result<Setting, RunError> {
    let cell = specimen.stack.slab.in_plane_angstrom;
    let simulation = &config.simulation;
    let factors = factors(simulation);
    Ok(Setting::new(cell, simulation.pixel_angstrom, beam(&config.microscope), factors, simulation.oversampling as usize)?)
}

/// The scattering factors a point asks for.
#[must_use]
pub fn factors(simulation: &SimulationSettings) -> Factors {
    match simulation.scattering_factors {
        ScatteringFactors::Lobato => Factors::Lobato,
        ScatteringFactors::Kirkland => Factors::Kirkland,
    }
}

/// The device a point runs on, of what was asked for.
pub fn device(simulation: &SimulationSettings, choice: DeviceChoice) -> Result<Device, RunError> {
    Ok(choice.device(simulation.precision == Precision::F64).map_err(MultisliceError::from)?)
}

/// Lens and aperture of a point.
#[must_use]
pub fn probe(microscope: &MicroscopeSettings) -> Probe {
    let mut aberrations = Aberrations::defocus(microscope.defocus_nm * 10.0);
    aberrations.0.extend(lens(&microscope.aberrations));
    Probe { beam: beam(microscope), convergence_mrad: microscope.convergence_mrad, aberrations }
}

fn lens(a: &AberrationSettings) -> Vec<Aberration> {
    let (nm, um, mm) = (10.0, 1e4, 1e7);
    let terms = [
        (1, 2, a.c12_nm * nm, a.phi12_deg),
        (2, 1, a.c21_nm * nm, a.phi21_deg),
        (2, 3, a.c23_nm * nm, a.phi23_deg),
        (3, 0, a.c30_um * um, 0.0),
        (3, 2, a.c32_um * um, a.phi32_deg),
        (3, 4, a.c34_um * um, a.phi34_deg),
        (5, 0, a.c50_mm * mm, 0.0),
    ];
    let used = terms.into_iter().filter(|t| t.2 != 0.0);
    used.map(|(n, m, coefficient_angstrom, deg)| Aberration { n, m, coefficient_angstrom, azimuth_rad: deg.to_radians() }).collect()
}

/// Detectors of a point.
#[must_use]
pub fn detectors(microscope: &MicroscopeSettings) -> Vec<AnnularDetector> {
    let one =
        |d: &super::spec::DetectorSettings| AnnularDetector { name: d.name.clone(), inner_mrad: d.inner_mrad, outer_mrad: d.outer_mrad };
    microscope.detectors.iter().map(one).collect()
}
