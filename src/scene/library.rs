//! The library: images of uniform crystals, by multislice, over displacement, composition, mis-tilt, defocus and thickness; fractions of
//! the beam.

use super::imaging::{Imaging, Motion};
use super::response::Reduced;
use super::strands::{Frozen, stack, uniform_cell};
use super::{LibraryAxes, Material, SceneError};
use crate::image::FourierImage;
use crate::microscope::{AnnularDetector, Edge, Probe};
use crate::multislice::{Illumination, ImageStack, ScatteringStudy, Setting};
use crate::specimen::{FrozenPhonons, Sign, Stack};
use std::sync::{Arc, OnceLock};

/// Most images of a library.
const IMAGE_LIMIT: usize = 50_000;

/// The images of one material, as Fourier coefficients of its cell with an A column at the origin and a point source.
#[derive(Debug, Clone)]
pub struct Library {
    /// The material.
    pub material: Material,
    /// What was tabulated.
    pub axes: LibraryAxes,
    /// The detectors.
    pub detectors: Vec<AnnularDetector>,
    /// `images[node × detectors + detector]`.
    pub images: Vec<FourierImage>,
    /// Largest fraction of the beam that any node lost through the band limit.
    pub lost: f64,
    /// Engine that computed it.
    pub engine: String,
    /// Responses of A and B by detector, made when they are first asked for.
    pub(super) responses: Vec<OnceLock<Arc<[Reduced; 2]>>>,
}

impl Library {
    /// Computes all images, at the defoci of the axes whatever the probe's own; `progress` is told every finished k-point of every structure.
    pub fn compute(
        material: &Material,
        axes: &LibraryAxes,
        imaging: &Imaging,
        progress: &(dyn Fn(usize) + Sync),
    ) -> Result<Self, SceneError> {
        let images = axes.nodes() * imaging.detectors.len();
        if images > IMAGE_LIMIT {
            return Err(SceneError::LibraryTooLarge { images, limit: IMAGE_LIMIT });
        }
        let mut library = Self {
            material: material.clone(),
            axes: axes.clone(),
            detectors: imaging.detectors.clone(),
            images: Vec::with_capacity(images),
            lost: 0.0,
            engine: String::new(),
            responses: vec![OnceLock::new(); imaging.detectors.len()],
        };
        for number in 0..axes.structures() {
            library.add_structure(number, imaging, progress)?;
        }
        Ok(library)
    }

    /// Steps of `progress` that [`Self::compute`] takes.
    #[must_use]
    pub fn steps(axes: &LibraryAxes, imaging: &Imaging) -> usize {
        let runs = if let Motion::AlikeInEveryCell { pairs, .. } = imaging.motion { 2 * pairs } else { 1 };
        axes.structures() * runs * imaging.k_points.iter().product::<usize>()
    }

    /// Memory that a library takes while the responses of one detector are reduced, bytes.
    #[must_use]
    pub fn bytes(material: &Material, axes: &LibraryAxes, imaging: &Imaging) -> f64 {
        let [ax, ay, _] = material.edges_angstrom;
        // Waves of the image: up to twice the aperture's radius.
        let waves = [ax, ay].map(|edge| 2.0 * imaging.probe.radius() * edge);
        let coefficients: f64 = waves.iter().map(|n| 2.0 * n + 1.0).product();
        let points: f64 = waves.iter().map(|n| 6.0 * n).product();
        axes.nodes() as f64 * (16.0 * coefficients * imaging.detectors.len() as f64 + 3.0 * 8.0 * points)
    }

    /// Bytes of the coefficients, as they are kept.
    #[must_use]
    pub fn kept_bytes(&self) -> f64 {
        let per_image = self.images.first().map_or(0.0, |image| image.limits().map(|n| 2.0 * n as f64 + 1.0).iter().product());
        16.0 * per_image * self.images.len() as f64
    }

    /// The image of a node on a detector.
    #[must_use]
    pub fn image(&self, node: usize, detector: usize) -> &FourierImage {
        &self.images[node * self.detectors.len() + detector]
    }

    /// The responses of A and B on a detector.
    pub(super) fn responses(&self, detector: usize) -> Arc<[Reduced; 2]> {
        let [ax, ay, _] = self.material.edges_angstrom;
        let place = |site: usize, node: usize| {
            let d = self.axes.displacement_pm(node);
            if site == 0 { [0.0; 2] } else { [0.5 * ax + d[0] / 100.0, 0.5 * ay + d[1] / 100.0] }
        };
        // On this thread alone: one that waited for others in here could be handed a task that waits for it.
        let make = || {
            Arc::new([0, 1].map(|site| {
                let nodes: Vec<_> = (0..self.axes.nodes()).map(|node| (self.image(node, detector), place(site, node))).collect();
                Reduced::new(&nodes)
            }))
        };
        self.responses[detector].get_or_init(make).clone()
    }

    fn add_structure(&mut self, number: usize, imaging: &Imaging, progress: &(dyn Fn(usize) + Sync)) -> Result<(), SceneError> {
        let (displacement_pm, composition) = self.axes.structure(number);
        let layers = self.axes.layers.last().copied().unwrap_or(1);
        let shift = [displacement_pm[0], displacement_pm[1], self.axes.displacement_z_pm].map(|d| d / 100.0);
        let strands = uniform_cell(&self.material, shift, &evenly_marked(composition, layers), layers);
        let [ax, ay, az] = self.material.edges_angstrom;
        let cell = [[ax, 0.0], [0.0, ay]];
        let probes: Vec<Probe> = self.axes.defocus_angstrom.iter().map(|&d| imaging.at_defocus(d).probe).collect();
        let tilts = self.axes.tilt_y_mrad.iter().flat_map(|&y| self.axes.tilt_x_mrad.iter().map(move |&x| [x, y]));
        let illuminations: Vec<Illumination> = tilts
            .flat_map(|specimen_tilt_mrad| probes.iter().map(move |probe| Illumination { specimen_tilt_mrad, probe: probe.clone() }))
            .collect();
        let exits: Vec<usize> = self.axes.layers.iter().map(|&n| 2 * n).collect();
        let made = |frozen| stack(&strands, cell, [0.0; 2], az, frozen);
        let result = images_of(&made, cell, imaging.k_points, &illuminations, &exits, imaging, progress)?;
        self.lost = result.lost.iter().flatten().copied().fold(self.lost, f64::max);
        self.engine.clone_from(&result.engine);
        let mean = mean_over_groups(&result);
        // [illumination][exit][detector] is the order of nodes within a structure.
        self.images.extend(mean.into_iter().flatten().flatten());
        Ok(())
    }
}

/// Layers that hold the dopant, spread evenly: the fraction holds at every depth.
fn evenly_marked(composition: f64, layers: usize) -> Vec<bool> {
    let up_to = |n: usize| (n as f64 * composition + 0.5).floor();
    (0..layers).map(|layer| up_to(layer + 1) > up_to(layer)).collect()
}

/// Runs one structure, with its atoms at rest, displaced by the propagation, or displaced alike in every cell.
pub(super) fn images_of(
    made: &dyn Fn(Frozen) -> Result<Stack, SceneError>,
    cell: [[f64; 2]; 2],
    k_points: [usize; 2],
    illuminations: &[Illumination],
    exits: &[usize],
    imaging: &Imaging,
    progress: &(dyn Fn(usize) + Sync),
) -> Result<ImageStack, SceneError> {
    let setting = Setting::new(cell, imaging.pixel_angstrom, imaging.probe.beam, imaging.factors, imaging.oversampling)?;
    let run = |stack: &Stack, phonons| {
        ScatteringStudy {
            stack,
            setting,
            k_points,
            raster_origin: [0.0; 2],
            exits: exits.to_vec(),
            illuminations: illuminations.to_vec(),
            detectors: imaging.detectors.clone(),
            phonons,
            edge: Edge::AreaWeighted,
            device: imaging.device,
        }
        .run(progress)
    };
    match imaging.motion {
        Motion::None => Ok(run(&made(Frozen::AtRest)?, None)?),
        Motion::FrozenPhonons { seed, pairs } => Ok(run(&made(Frozen::Later)?, Some((FrozenPhonons::new(seed), pairs)))?),
        Motion::AlikeInEveryCell { seed, pairs } => {
            let phonons = FrozenPhonons::new(seed);
            let mut sum: Option<ImageStack> = None;
            for pair in 0..pairs {
                for sign in [Sign::Plus, Sign::Minus] {
                    let part = run(&made(Frozen::Now(phonons, pair, sign, true))?, None)?;
                    match &mut sum {
                        None => sum = Some(part),
                        Some(sum) => {
                            sum.images.extend(part.images);
                            sum.weights.extend(part.weights);
                        }
                    }
                }
            }
            let mut all = sum.ok_or(crate::multislice::MultisliceError::TooMany { what: "phonon pairs", value: 0, limit: 1 })?;
            let total: f64 = all.weights.iter().sum();
            all.weights.iter_mut().for_each(|w| *w /= total);
            Ok(all)
        }
    }
}

/// `[illumination][exit][detector]`, the groups averaged by their weights.
pub(super) fn mean_over_groups(stack: &ImageStack) -> Vec<Vec<Vec<FourierImage>>> {
    let mut mean = stack.images[0].clone();
    mean.iter_mut().flatten().flatten().for_each(|image| image.scale(0.0));
    for (group, &weight) in stack.images.iter().zip(&stack.weights) {
        for (sum, part) in mean.iter_mut().flatten().flatten().zip(group.iter().flatten().flatten()) {
            let mut part = part.clone();
            part.scale(weight);
            sum.accumulate(&part);
        }
    }
    mean
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marked_layers_hold_the_fraction_at_every_depth() {
        let marked = evenly_marked(0.2, 50);
        for depth in [10, 25, 50] {
            let count = marked[..depth].iter().filter(|&&m| m).count();
            assert_eq!(count, depth / 5, "{depth}");
        }
        assert!(evenly_marked(0.0, 9).iter().all(|m| !m) && evenly_marked(1.0, 9).iter().all(|&m| m));
    }
}
