//! Runs one propagation and hands every point its images: one scattering matrix, or one direct scan a tilt and probe.

use super::RunError;
use super::plan::Propagation;
use super::spec::Method;
use crate::image::FourierImage;
use crate::microscope::Edge;
use crate::multislice::{Engine, Illumination, ImageStack, MultisliceError, Scan, ScatteringStudy};
use crate::specimen::{FrozenPhonons, Sign, Slice};
use serde::{Deserialize, Serialize};

/// The images of one propagation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Images {
    /// `[group][illumination][exit][detector]`: groups of configurations are independent, their scatter is the sampling error.
    pub stack: ImageStack,
}

impl Images {
    /// Runs the propagation on the current thread pool; `progress` counts Bloch classes.
    pub fn compute(propagation: &Propagation, progress: &(dyn Fn(usize) + Sync)) -> Result<Self, RunError> {
        let stack = match propagation.shared.simulation.method {
            Method::ScatteringMatrix => scattering_matrix(propagation).run(progress)?,
            Method::Probes => probes(propagation, progress)?,
        };
        Ok(Self::of(propagation, stack))
    }

    /// The images of one cell, from those of the repeated cell that a phonon period makes.
    pub(super) fn of(propagation: &Propagation, mut stack: ImageStack) -> Self {
        let (period, cell) = (propagation.specimen.period, propagation.specimen.slab.in_plane_angstrom);
        if period > 1 {
            for image in stack.images.iter_mut().flatten().flatten().flatten() {
                *image = image.folded(cell, period);
            }
        }
        Self { stack }
    }

    /// The images of all groups at one place, sharp source, and their weights.
    #[must_use]
    pub fn groups(&self, illumination: usize, exit: usize, detector: usize) -> Vec<(f64, &FourierImage)> {
        self.stack.weights.iter().copied().zip(self.stack.images.iter().map(|group| &group[illumination][exit][detector])).collect()
    }
}

/// The scattering-matrix way of a propagation.
pub(super) fn scattering_matrix(p: &Propagation) -> ScatteringStudy<'_> {
    ScatteringStudy {
        stack: &p.specimen.stack,
        setting: p.setting,
        k_points: p.k_points(),
        raster_origin: p.raster_origin,
        exits: p.exits.clone(),
        illuminations: p.illuminations.clone(),
        detectors: p.detectors.clone(),
        phonons: p.phonons(),
        edge: Edge::AreaWeighted,
        device: p.device,
    }
}

fn scan<'a>(p: &'a Propagation, illumination: &Illumination) -> Scan<'a> {
    Scan {
        setting: p.setting,
        k_points: p.k_points(),
        probe: illumination.probe.clone(),
        specimen_tilt_mrad: illumination.specimen_tilt_mrad,
        detectors: &p.detectors,
        exits: &p.exits,
        edge: Edge::AreaWeighted,
    }
}

/// Refuses, before anything runs, what the propagation would refuse once its waves are due.
pub(super) fn check(p: &Propagation) -> Result<(), RunError> {
    match p.shared.simulation.method {
        Method::ScatteringMatrix => scattering_matrix(p).check()?,
        Method::Probes => p.illuminations.iter().try_for_each(|i| scan(p, i).check())?,
    }
    p.specimen.slab.true_shift_pm()?;
    Ok(())
}

/// Probe by probe.
fn probes(p: &Propagation, progress: &(dyn Fn(usize) + Sync)) -> Result<ImageStack, RunError> {
    let mut elements: Vec<_> = p.specimen.stack.slab.atoms.iter().map(|a| a.element).collect();
    elements.sort_unstable();
    elements.dedup();
    Ok(p.device.run(&p.setting, &elements, |engine| probes_on(p, engine, progress))?)
}

/// The same on one engine: every pair of configurations is a group of its own.
fn probes_on(p: &Propagation, engine: &dyn Engine, progress: &(dyn Fn(usize) + Sync)) -> Result<ImageStack, MultisliceError> {
    let count = p.exits.last().copied().unwrap_or(0);
    let phonons = p.phonons();
    let groups = phonons.as_ref().map_or(1, |f| f.1);
    let mut images = vec![Vec::new(); groups];
    for illumination in &p.illuminations {
        let scan = scan(p, illumination);
        for (pair, group) in images.iter_mut().enumerate() {
            let signs: &[Sign] = if phonons.is_some() { &[Sign::Plus, Sign::Minus] } else { &[Sign::Plus] };
            let mut sum: Option<Vec<Vec<FourierImage>>> = None;
            for &sign in signs {
                let slices = |class: usize| -> Vec<Slice> {
                    phonons.as_ref().map_or_else(
                        || p.specimen.stack.at_rest(count),
                        |(f, _)| p.specimen.stack.displaced(count, f, FrozenPhonons::shared_by_opposite(class, p.k_points()), pair, sign),
                    )
                };
                let mut part = scan.image(engine, &slices)?;
                part.iter_mut().flatten().for_each(|i| i.scale(1.0 / signs.len() as f64));
                match &mut sum {
                    None => sum = Some(part),
                    Some(sum) => sum.iter_mut().flatten().zip(part.iter().flatten()).for_each(|(s, i)| s.accumulate(i)),
                }
            }
            group.push(sum.unwrap_or_default());
        }
        progress(p.k_points().iter().product::<usize>() / p.illuminations.len().max(1));
    }
    let weights = vec![1.0 / groups as f64; groups];
    // A direct scan reads detectors alone: what leaves through the band limit is not measured, and said so by NaN.
    let lost = vec![vec![f64::NAN; p.exits.len()]; p.illuminations.len()];
    Ok(ImageStack { images, weights, lost, engine: engine.name() })
}
