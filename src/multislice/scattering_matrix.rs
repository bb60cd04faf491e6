//! One propagation for all tilts, thicknesses, defoci, apertures and detectors: the k-grid scattering matrix of a periodic slab.
//!
//! A slab cell with an N×N grid of Bloch offsets k0 is exactly the N×N supercell. All beams that any illumination needs go through the
//! crystal once; an image is then a contraction, c_Q = Σ_k0 Σ_G A*(k) A(k − Q) M(k, k − Q), where M = S_D† S_D is the part of the scattering
//! matrix on the detector (cf. Ophus, Adv. Struct. Chem. Imaging 3 (2017) 13 for the matrix). A specimen tilt θ is the beam tilt −θ/λ with
//! aperture and detectors centred on it, so every tilt reads the same matrix; the raster of k-points stays, and aperture and detector move
//! over it by exact areas.

use super::setting::beam_tilt;
use super::{Aperture, ApertureBeam, Bloch, Contraction, Device, Engine, ImageSums, InitialWaves, MultisliceError, Setting};
use crate::crystal::Element;
use crate::image::FourierImage;
use crate::microscope::{AnnularDetector, Edge, Probe};
use crate::numerics::grid::{combine, norm};
use crate::specimen::{FrozenPhonons, Sign, Slice, Stack};
use num_complex::Complex64;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// One way to illuminate the slab.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Illumination {
    /// Specimen tilt θ, mrad.
    pub specimen_tilt_mrad: [f64; 2],
    /// Aperture and lens.
    pub probe: Probe,
}

/// Everything one propagation serves.
#[derive(Debug, Clone)]
pub struct ScatteringStudy<'a> {
    /// The sliced slab; with a phonon period M, already repeated M×M.
    pub stack: &'a Stack,
    /// Numerics.
    pub setting: Setting,
    /// Bloch offsets along the two in-plane vectors.
    pub k_points: [usize; 2],
    /// Where the raster of k-points starts, 1/Å: zero, or the beam tilt of the one tilt whose aperture should fall on the raster exactly.
    pub raster_origin: [f64; 2],
    /// Slice counts after which images are taken, ascending.
    pub exits: Vec<usize>,
    /// All illuminations.
    pub illuminations: Vec<Illumination>,
    /// All detectors.
    pub detectors: Vec<AnnularDetector>,
    /// Thermal motion: the source and the number of antithetic pairs a k-point; `None` for a crystal at rest.
    pub phonons: Option<(FrozenPhonons, usize)>,
    /// How apertures and detectors fall on the raster.
    pub edge: Edge,
    /// Engine.
    pub device: Device,
}

/// The images of a study, in independent groups of configurations whose scatter is the sampling error.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ImageStack {
    /// `images[group][illumination][exit][detector]`, each normalised to one electron.
    pub images: Vec<Vec<Vec<Vec<FourierImage>>>>,
    /// Weight of each group in the mean.
    pub weights: Vec<f64>,
    /// `lost[illumination][exit]`: fraction of the beam that left through the band limit.
    pub lost: Vec<Vec<f64>>,
    /// Engine that computed it.
    pub engine: String,
}

/// What one Bloch class adds to its block.
pub(super) struct ClassSums {
    /// `[pair][illumination][exit][detector]`.
    pub images: Vec<Vec<Vec<Vec<FourierImage>>>>,
    /// `[illumination][exit]`.
    pub lost: Vec<Vec<f64>>,
    /// The class's share of each probe, `[illumination]`.
    pub shares: Vec<f64>,
}

/// What one Bloch class contributes: images summed over its configurations, and the lost intensity.
struct ClassResult {
    /// `[pair][illumination][exit][detector]`.
    images: Vec<Vec<Vec<Vec<FourierImage>>>>,
    lost: Vec<Vec<f64>>,
}

/// One Bloch class laid out for contraction.
struct Class {
    bloch: Bloch,
    /// Beams any illumination needs.
    beams: Vec<(i32, i32)>,
    /// Per illumination: (index into beams, A(k) before normalisation).
    apertures: Vec<Vec<(usize, Complex64)>>,
    /// One for each tilt and detector; illuminations of one tilt share theirs.
    contractions: Arc<[Contraction]>,
}

impl ScatteringStudy<'_> {
    /// The engine for this study.
    pub fn engine(&self) -> Result<Box<dyn Engine>, MultisliceError> {
        self.device.engine(&self.setting, &self.elements())
    }

    /// The elements its slices hold.
    pub(super) fn elements(&self) -> Vec<Element> {
        let mut elements: Vec<Element> = self.stack.slab.atoms.iter().map(|a| a.element).collect();
        elements.sort_unstable();
        elements.dedup();
        elements
    }

    /// Sums the Bloch class number `index` to its block: what the class contributes to every image.
    pub(super) fn sum_class(&self, engine: &dyn Engine, index: usize) -> Result<ClassSums, MultisliceError> {
        let class = self.class(index);
        let shares = class.apertures.iter().map(|a| a.iter().map(|(_, a)| a.norm_sqr()).sum()).collect();
        let ClassResult { images, lost } = self.propagate_class(engine, &class, index)?;
        Ok(ClassSums { images, lost, shares })
    }

    pub(super) fn class_count(&self) -> usize {
        self.k_points[0] * self.k_points[1]
    }

    pub(super) fn pairs(&self) -> usize {
        self.phonons.as_ref().map_or(1, |p| p.1)
    }

    /// Independent groups: the pairs where a k-point has several, else the interleaved sub-grids of k-points.
    #[must_use]
    pub fn group_count(&self) -> usize {
        if self.phonons.is_none() {
            1
        } else if self.pairs() > 1 {
            self.pairs()
        } else {
            self.k_points.iter().map(|&n| smallest_divisor(n)).product()
        }
    }

    pub(super) fn group(&self, class: usize, pair: usize) -> usize {
        if self.phonons.is_none() {
            0
        } else if self.pairs() > 1 {
            pair
        } else {
            let [dx, dy] = self.k_points.map(smallest_divisor);
            (class / self.k_points[0] % dy) * dx + class % self.k_points[0] % dx
        }
    }

    /// Reciprocal raster of the supercell the k-grid stands for, 1/Å.
    fn raster(&self) -> [[f64; 2]; 2] {
        let b = self.setting.grid.reciprocal();
        [0, 1].map(|i| b[i].map(|c| c / self.k_points[i] as f64))
    }

    /// Centre of the band limit: the middle of the tilts' bounding box, so that the largest tilts reach equally far, 1/Å.
    fn centre(&self) -> [f64; 2] {
        let tilts = || self.illuminations.iter().map(|i| beam_tilt(i.specimen_tilt_mrad, i.probe.beam));
        [0, 1].map(|c| {
            let (low, high) = tilts().fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), t| (l.min(t[c]), h.max(t[c])));
            if low.is_finite() { 0.5 * (low + high) } else { 0.0 }
        })
    }

    /// Refuses, before any wave runs, an aperture or detector beyond the band limit, and counters the phonon seeds cannot hold.
    pub fn check(&self) -> Result<(), MultisliceError> {
        let centre = self.centre();
        for illumination in &self.illuminations {
            let beam = illumination.probe.beam;
            let t = beam_tilt(illumination.specimen_tilt_mrad, beam);
            let moved_mrad = norm([t[0] - centre[0], t[1] - centre[1]]) * beam.wavelength_angstrom() * 1e3;
            self.setting.check_angle("the aperture", illumination.probe.convergence_mrad + moved_mrad)?;
            for detector in &self.detectors {
                self.setting.check_angle(&format!("detector {}", detector.name), detector.outer_mrad + moved_mrad)?;
            }
        }
        let counts = [self.class_count(), self.pairs(), self.exits.last().copied().unwrap_or(0), self.stack.slab.atoms.len()];
        let names = ["k-points", "phonon pairs", "slices", "atoms in the repeat cell"];
        for ((&count, what), limit) in counts.iter().zip(names).zip(FrozenPhonons::LIMITS) {
            if count as u64 > limit {
                return Err(MultisliceError::TooMany { what, value: count as u64, limit });
            }
        }
        Ok(())
    }

    /// Lays out Bloch class number `index`.
    fn class(&self, index: usize) -> Class {
        let grid = self.setting.grid;
        let (b, centre) = (grid.reciprocal(), self.centre());
        // The class in the zone around the centre of the band limit: its integer part is the lattice vector nearest to the centre.
        let [a1, a2] = grid.cell_angstrom;
        let from_origin = [centre[0] - self.raster_origin[0], centre[1] - self.raster_origin[1]];
        let nearest = [a1, a2].map(|a| (a[0] * from_origin[0] + a[1] * from_origin[1]).round());
        let fraction = [index % self.k_points[0], index / self.k_points[0]];
        let on_raster = combine(b, [0, 1].map(|i| nearest[i] + fraction[i] as f64 / self.k_points[i] as f64));
        let offset = [on_raster[0] + self.raster_origin[0], on_raster[1] + self.raster_origin[1]];
        let bloch = Bloch { offset, centre, specimen_tilt_mrad: [0.0; 2] };
        let pass = bloch.pass(&self.setting);
        let kept: Vec<KeptPoint> = grid
            .frequencies()
            .enumerate()
            .filter(|(i, _)| pass[*i] > 0.0)
            .map(|(i, (h, k))| (i as u32, (h, k), bloch.wave_vector(grid, h, k)))
            .collect();

        let raster = self.raster();
        let mut beams: Vec<(i32, i32)> = Vec::new();
        let mut apertures = Vec::new();
        for illumination in &self.illuminations {
            let from_axis = from_axis(illumination);
            let mut aperture = Vec::new();
            for &(_, hk, q) in &kept {
                let a = illumination.probe.amplitude(from_axis(q), raster, self.edge);
                if a != Complex64::default() {
                    let known = beams.iter().position(|&b| b == hk);
                    aperture.push((known.unwrap_or(beams.len()), a));
                    if known.is_none() {
                        beams.push(hk);
                    }
                }
            }
            apertures.push(aperture);
        }
        let contractions = self.contractions(&kept, &beams, &apertures);
        Class { bloch, beams, apertures, contractions }
    }

    /// What is read of the waves of one class: one contraction for each tilt and detector.
    fn contractions(&self, kept: &[KeptPoint], beams: &[(i32, i32)], apertures: &[Vec<(usize, Complex64)>]) -> Arc<[Contraction]> {
        let mut out = Vec::new();
        for (first, illumination) in self.illuminations.iter().enumerate() {
            if self.illuminations[..first].iter().any(|other| same_matrix(other, illumination)) {
                continue;
            }
            let sharing: Vec<usize> =
                (first..self.illuminations.len()).filter(|&i| same_matrix(&self.illuminations[i], illumination)).collect();
            let mut waves: Vec<usize> = sharing.iter().flat_map(|&i| apertures[i].iter().map(|(b, _)| *b)).collect();
            waves.sort_unstable();
            waves.dedup();
            let beam = |&(b, amplitude): &(usize, Complex64)| ApertureBeam {
                column: waves.partition_point(|&w| w < b),
                frequency: beams[b],
                amplitude,
            };
            let aperture = |&i: &usize| Aperture { illumination: i, beams: apertures[i].iter().map(beam).collect() };
            let apertures: Vec<Aperture> = sharing.iter().map(aperture).collect();
            for (detector, d) in self.detectors.iter().enumerate() {
                let ring = self.ring(d, illumination, kept);
                if !ring.is_empty() && !waves.is_empty() {
                    out.push(Contraction { detector, ring, waves: waves.clone(), apertures: apertures.clone() });
                }
            }
        }
        out.into()
    }

    fn ring(&self, detector: &AnnularDetector, illumination: &Illumination, kept: &[KeptPoint]) -> Vec<(u32, f64)> {
        let from_axis = from_axis(illumination);
        let weight = |q| detector.weight(from_axis(q), self.raster(), illumination.probe.beam, self.edge);
        kept.iter().map(|&(i, _, q)| (i, weight(q))).filter(|(_, w)| *w > 0.0).map(|(i, w)| (i, w.sqrt())).collect()
    }

    /// All configurations of one class, one after the other.
    fn propagate_class(&self, engine: &dyn Engine, class: &Class, index: usize) -> Result<ClassResult, MultisliceError> {
        let last = self.exits.last().copied().unwrap_or(0);
        let mut result = ClassResult { images: Vec::new(), lost: vec![vec![0.0; self.exits.len()]; self.illuminations.len()] };
        let draw = FrozenPhonons::shared_by_opposite(index, self.k_points);
        let configurations: Vec<Vec<(f64, Vec<Slice>)>> = match &self.phonons {
            None => vec![vec![(1.0, self.stack.at_rest(last))]],
            Some((phonons, pairs)) => (0..*pairs)
                .map(|pair| [Sign::Plus, Sign::Minus].map(|s| (0.5, self.stack.displaced(last, phonons, draw, pair, s))).into())
                .collect(),
        };
        let pairs = configurations.len() as f64;
        for pair in configurations {
            let mut images = self.empty_images();
            for (weight, slices) in pair {
                self.propagate(engine, class, &slices, weight, weight / pairs, &mut images, &mut result.lost)?;
            }
            result.images.push(images);
        }
        Ok(result)
    }

    #[expect(clippy::too_many_arguments, reason = "one configuration needs its weights in both sums")]
    fn propagate(
        &self,
        engine: &dyn Engine,
        class: &Class,
        slices: &[Slice],
        weight: f64,
        lost_weight: f64,
        images: &mut [Vec<Vec<FourierImage>>],
        lost: &mut [Vec<f64>],
    ) -> Result<(), MultisliceError> {
        if class.beams.is_empty() {
            return Ok(());
        }
        let mut waves = engine.start(class.bloch, slices, InitialWaves::Plane(&class.beams))?;
        let mut done = 0;
        for (exit, &count) in self.exits.iter().enumerate() {
            waves.advance(done..count)?;
            done = count;
            let loss: Vec<f64> = waves.intensities()?.into_iter().map(|intensity| 1.0 - intensity).collect();
            for (sums, aperture) in lost.iter_mut().zip(&class.apertures) {
                sums[exit] += lost_weight * aperture.iter().map(|(b, a)| loss[*b] * a.norm_sqr()).sum::<f64>();
            }
            waves.contract(&class.contractions, &mut ImageSums { images, exit, weight })?;
        }
        Ok(())
    }

    /// Images of zeros, wide enough for every beam difference of the largest aperture.
    pub(super) fn empty_images(&self) -> Vec<Vec<Vec<FourierImage>>> {
        let cell = self.setting.grid.cell_angstrom;
        let one = |illumination: &Illumination| {
            // A raster cell half covered by the aperture has its centre up to a raster cell outside.
            let raster = self.raster();
            let reach = 2.0 * (illumination.probe.radius() + norm(raster[0]) + norm(raster[1]));
            let [h, k] = cell.map(|a| (reach * norm(a)).ceil() as usize);
            vec![vec![FourierImage::zeros(cell, h, k); self.detectors.len()]; self.exits.len()]
        };
        self.illuminations.iter().map(one).collect()
    }
}

/// A frequency inside the band limit: position in FFT order, (h, k), wave vector in 1/Å.
type KeptPoint = (u32, (i32, i32), [f64; 2]);

/// From a wave vector to its distance from the optic axis that a tilted specimen sees, 1/Å.
fn from_axis(illumination: &Illumination) -> impl Fn([f64; 2]) -> [f64; 2] {
    let tilt = beam_tilt(illumination.specimen_tilt_mrad, illumination.probe.beam);
    move |q| [q[0] - tilt[0], q[1] - tilt[1]]
}

/// Whether two illuminations read the same M: one tilt, one energy.
fn same_matrix(a: &Illumination, b: &Illumination) -> bool {
    a.specimen_tilt_mrad == b.specimen_tilt_mrad && a.probe.beam == b.probe.beam
}

pub(super) fn add_images(sum: &mut [Vec<Vec<FourierImage>>], part: &[Vec<Vec<FourierImage>>]) {
    for (s, p) in sum.iter_mut().flatten().flatten().zip(part.iter().flatten().flatten()) {
        s.accumulate(p);
    }
}

/// The smallest divisor above 1 (1 for 1).
fn smallest_divisor(n: usize) -> usize {
    (2..=n).find(|d| n.is_multiple_of(*d)).unwrap_or(1)
}
