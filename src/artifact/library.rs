//! The tilt library: the images of one specimen at all tilts, thicknesses and foci, from one propagation, kept by content; Å, nm, mrad.
//!
//! An image is kept as Fourier coefficients, so source size, pixel size, window and estimator are chosen afterwards and cost no waves. The file
//! is an `.npz` archive: `header` (JSON, bytes) and `coefficients` (group, tilt, thickness, defocus, k, h, re/im).

use super::{ArtifactError, Conditions};
use crate::columns::Zone;
use crate::crystal::Crystal;
use crate::image::FourierImage;
use crate::microscope::{Aberrations, Edge, Probe};
use crate::multislice::{Device, Illumination, ScatteringStudy, Setting};
use crate::polarization::{PolarizationError, periodic_cells};
use crate::potential::Factors;
use crate::specimen::{FrozenPhonons, Slab, Slicing, Stack};
use ndarray::{Array1, ArrayD, IxDyn};
use num_complex::Complex64;
use serde::{Deserialize, Serialize};
use std::f64::consts::TAU;
use std::io::Cursor;

/// Heights that count as one atomic plane, Å.
const PLANE_ANGSTROM: f64 = 0.6;

/// A B column of the simulated cell with the A columns around it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CellPlaces {
    /// The B column of the upright crystal, Å.
    pub b_angstrom: [f64; 2],
    /// Its A columns, four along ⟨100⟩ and two along ⟨110⟩, Å.
    pub a_angstrom: Vec<[f64; 2]>,
    /// B minus the mean of A, pm.
    pub true_shift_pm: [f64; 2],
}

/// What a library says of itself.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Header {
    /// What it was computed for.
    pub conditions: Conditions,
    /// Name and source of the crystal.
    pub crystal: (String, String),
    /// In-plane repeat vectors, Å.
    pub in_plane_angstrom: [[f64; 2]; 2],
    /// Perovskite cells of the repeat.
    pub cells: Vec<CellPlaces>,
    /// Tilts, mrad.
    pub tilts_mrad: Vec<[f64; 2]>,
    /// Thicknesses in whole slices, nm.
    pub thickness_nm: Vec<f64>,
    /// Weight of each independent group of phonon configurations.
    pub weights: Vec<f64>,
    /// Largest fraction of the beam lost through the band limit.
    pub lost: f64,
    /// Content key.
    pub key: String,
}

/// Images over tilt, thickness and defocus, in independent groups of phonon configurations.
#[derive(Debug, Clone, PartialEq)]
pub struct TiltLibrary {
    /// What it says of itself.
    pub header: Header,
    /// `[group][tilt][thickness][defocus]`, sharp source.
    images: Vec<Vec<Vec<Vec<FourierImage>>>>,
}

/// A propagation laid out: what [`TiltLibrary::compute`] runs.
struct Layout {
    slab: Slab,
    stack: Stack,
    setting: Setting,
    exits: Vec<usize>,
}

impl TiltLibrary {
    /// Runs the propagation on the current thread pool; `progress` counts k-points.
    pub fn compute(crystal: &Crystal, conditions: &Conditions, progress: &(dyn Fn(usize) + Sync)) -> Result<Self, ArtifactError> {
        let layout = Layout::new(crystal, conditions)?;
        let tilts_mrad = conditions.tilts_mrad();
        let probe = |defocus_nm: f64| Probe {
            beam: conditions.beam(),
            convergence_mrad: conditions.convergence_mrad,
            aberrations: {
                let mut all = Aberrations::defocus(10.0 * defocus_nm);
                all.0.extend(conditions.aberrations.iter().copied());
                all
            },
        };
        let illumination = |tilt: [f64; 2], defocus_nm: f64| Illumination { specimen_tilt_mrad: tilt, probe: probe(defocus_nm) };
        let pairs = tilts_mrad.iter().flat_map(|t| conditions.defocus_nm.iter().map(move |f| (*t, *f)));
        let study = ScatteringStudy {
            stack: &layout.stack,
            setting: layout.setting,
            k_points: conditions.numerics.k_points,
            raster_origin: [0.0; 2],
            exits: layout.exits.clone(),
            illuminations: pairs.map(|(t, f)| illumination(t, f)).collect(),
            detectors: vec![conditions.detector()],
            phonons: match conditions.numerics.phonon_pairs {
                0 => None,
                pairs => Some((FrozenPhonons::new(conditions.numerics.seed), pairs)),
            },
            edge: Edge::AreaWeighted,
            device: Device::Cpu,
        };
        let stack = study.run(progress)?;
        let (foci, count) = (conditions.defocus_nm.len(), tilts_mrad.len());
        let by_tilt = |group: &Vec<Vec<Vec<FourierImage>>>| {
            let exit_of = |tilt: usize, exit: usize| (0..foci).map(|f| rounded(&group[tilt * foci + f][exit][0])).collect();
            (0..count).map(|tilt| (0..layout.exits.len()).map(|exit| exit_of(tilt, exit)).collect()).collect()
        };
        let header = Header {
            conditions: conditions.clone(),
            crystal: (crystal.name.clone(), crystal.source.clone()),
            in_plane_angstrom: layout.slab.in_plane_angstrom,
            cells: cell_places(&layout.slab)?,
            thickness_nm: layout.exits.iter().map(|&n| 0.1 * layout.stack.thickness_angstrom(n)).collect(),
            lost: stack.lost.iter().flatten().copied().fold(0.0, f64::max),
            weights: stack.weights.clone(),
            key: conditions.key(crystal),
            tilts_mrad,
        };
        Ok(Self { images: stack.images.iter().map(by_tilt).collect(), header })
    }

    /// Steps of the progress of [`TiltLibrary::compute`].
    #[must_use]
    pub fn steps(conditions: &Conditions) -> usize {
        conditions.numerics.k_points.iter().product()
    }

    /// Refuses, before any wave runs, what the propagation would refuse.
    pub fn check(crystal: &Crystal, conditions: &Conditions) -> Result<(), ArtifactError> {
        let layout = Layout::new(crystal, conditions)?;
        layout.setting.check_angle("the detector with the largest tilt", conditions.detector_mrad[1] + conditions.tilt_mrad)?;
        cell_places(&layout.slab).map(|_| ())
    }

    /// The zone its cells were read in.
    #[must_use]
    pub fn zone(&self) -> Zone {
        if self.header.cells.first().is_some_and(|c| c.a_angstrom.len() == 2) { Zone::Z110 } else { Zone::Z100 }
    }

    /// Edge of a square with the area of one perovskite cell, Å.
    #[must_use]
    pub fn edge_angstrom(&self) -> f64 {
        let [[a, b], [c, d]] = self.header.in_plane_angstrom;
        ((a * d - b * c).abs() / self.header.cells.len() as f64).sqrt()
    }

    /// Number of independent groups.
    #[must_use]
    pub fn groups(&self) -> usize {
        self.images.len()
    }

    /// True shift of the crystal, mean over its cells, pm.
    #[must_use]
    pub fn true_shift_pm(&self) -> [f64; 2] {
        let n = self.header.cells.len() as f64;
        [0, 1].map(|c| self.header.cells.iter().map(|cell| cell.true_shift_pm[c]).sum::<f64>() / n)
    }

    /// The image of one setting, without one of the groups if so asked.
    #[must_use]
    pub fn image(&self, tilt: usize, thickness: usize, defocus: usize, without: Option<usize>) -> FourierImage {
        let used = || (0..self.groups()).filter(|g| Some(*g) != without);
        let total: f64 = used().map(|g| self.header.weights[g]).sum();
        let mut sum = self.images[0][tilt][thickness][defocus].clone();
        sum.scale(0.0);
        for g in used() {
            let mut part = self.images[g][tilt][thickness][defocus].clone();
            part.scale(self.header.weights[g] / total);
            sum.accumulate(&part);
        }
        sum
    }

    /// The mean perovskite cell of one setting's image with its places, seen with a source: what an analysis that averages cells sees.
    /// Along ⟨100⟩ the image is averaged over the crystal's B columns and given on one pseudocubic cell.
    #[must_use]
    pub fn mean_cell(
        &self,
        [tilt, thickness, defocus]: [usize; 3],
        without: Option<usize>,
        source_fwhm_angstrom: f64,
    ) -> (FourierImage, CellPlaces) {
        let image = self.image(tilt, thickness, defocus, without).blurred(source_fwhm_angstrom);
        (averaged(&image, &self.header.cells).unwrap_or(image), self.header.cells[0].clone())
    }

    /// The library as the bytes of its file.
    pub fn encode(&self) -> Result<Vec<u8>, ArtifactError> {
        let failed = |e: &dyn std::fmt::Display| ArtifactError::Damaged(e.to_string());
        let h = &self.header;
        let [h_max, k_max] = self.images[0][0][0][0].limits();
        let shape =
            [self.groups(), h.tilts_mrad.len(), h.thickness_nm.len(), h.conditions.defocus_nm.len(), 2 * k_max + 1, 2 * h_max + 1, 2];
        let all = self.images.iter().flatten().flatten().flatten();
        let values: Vec<f32> = all.flat_map(|i| i.iter().flat_map(|(_, _, c)| [c.re as f32, c.im as f32]).collect::<Vec<_>>()).collect();
        let coefficients = ArrayD::from_shape_vec(IxDyn(&shape), values).map_err(|e| failed(&e))?;
        let header = serde_json::to_vec(h).map_err(|e| failed(&e))?;
        let mut buffer = Cursor::new(Vec::new());
        let mut archive = ndarray_npy::NpzWriter::new(&mut buffer);
        archive.add_array("header", &Array1::from_vec(header)).map_err(|e| failed(&e))?;
        archive.add_array("coefficients", &coefficients).map_err(|e| failed(&e))?;
        archive.finish().map_err(|e| failed(&e))?;
        Ok(buffer.into_inner())
    }

    /// The library a file's bytes hold.
    pub fn decode(bytes: &[u8]) -> Result<Self, ArtifactError> {
        let failed = |e: &dyn std::fmt::Display| ArtifactError::Damaged(e.to_string());
        let mut archive = ndarray_npy::NpzReader::new(Cursor::new(bytes)).map_err(|e| failed(&e))?;
        let header: Array1<u8> = archive.by_name("header").map_err(|e| failed(&e))?;
        let header: Header = serde_json::from_slice(&header.to_vec()).map_err(|e| failed(&e))?;
        let coefficients: ArrayD<f32> = archive.by_name("coefficients").map_err(|e| failed(&e))?;
        let shape = coefficients.shape().to_vec();
        let counts = [header.weights.len(), header.tilts_mrad.len(), header.thickness_nm.len(), header.conditions.defocus_nm.len()];
        let odd = |n: usize| n % 2 == 1;
        if shape.len() != 7 || shape[..4] != counts || counts.contains(&0) || !odd(shape[4]) || !odd(shape[5]) || shape[6] != 2 {
            return Err(ArtifactError::Damaged(format!("its coefficients have the shape {shape:?}")));
        }
        let values: Vec<f32> = coefficients.iter().copied().collect();
        let limits = [shape[5] / 2, shape[4] / 2];
        let images: Vec<FourierImage> =
            values.chunks_exact(2 * shape[4] * shape[5]).map(|c| from_pairs(header.in_plane_angstrom, limits, c)).collect();
        let mut rest = images.into_iter();
        let images = (0..counts[0])
            .map(|_| (0..counts[1]).map(|_| (0..counts[2]).map(|_| rest.by_ref().take(counts[3]).collect()).collect()).collect())
            .collect();
        Ok(Self { header, images })
    }
}

impl Layout {
    fn new(crystal: &Crystal, conditions: &Conditions) -> Result<Self, ArtifactError> {
        conditions.check()?;
        crystal.require_b_site()?;
        let slab = Slab::cut(crystal, &conditions.cut)?;
        let stack = Stack::new(slab.clone(), Slicing::Planes { tolerance_angstrom: PLANE_ANGSTROM });
        let n = conditions.numerics;
        let setting = Setting::new(slab.in_plane_angstrom, n.pixel_angstrom, conditions.beam(), Factors::Lobato, n.oversampling)?;
        let mut exits: Vec<usize> = conditions.thickness_nm.iter().map(|t| stack.slices_for(10.0 * t)).collect();
        exits.dedup();
        if exits.len() < conditions.thickness_nm.len() {
            let text = format!("thicknesses closer than a lattice plane cannot be told apart: {:?} nm", conditions.thickness_nm);
            return Err(ArtifactError::Setting(text));
        }
        Ok(Self { slab, stack, setting, exits })
    }
}

/// An image averaged over translations from the first B column to all others, on the cell that its A columns span; `None` where they span
/// none that the image's frequencies fit, as along ⟨110⟩.
fn averaged(image: &FourierImage, cells: &[CellPlaces]) -> Option<FourierImage> {
    let [p, q, r, s] = cells.first()?.a_angstrom.as_slice() else { return None };
    // The corners of the cell: the one farthest from the first lies across.
    let from_first = [q, r, s].map(|c| [c[0] - p[0], c[1] - p[1]]);
    let across = (0..3).max_by(|&i, &j| from_first[i][0].hypot(from_first[i][1]).total_cmp(&from_first[j][0].hypot(from_first[j][1])))?;
    let [e, f] = match across {
        0 => [from_first[1], from_first[2]],
        1 => [from_first[0], from_first[2]],
        _ => [from_first[0], from_first[1]],
    };
    let edges = if e[0] * f[1] - e[1] * f[0] > 0.0 { [e, f] } else { [f, e] };
    let [b1, b2] = image.reciprocal();
    let [h_max, k_max] = image.limits();
    let mut out = FourierImage::zeros(edges, h_max, k_max);
    for (h, k, c) in image.iter() {
        let g = [0, 1].map(|i| f64::from(h) * b1[i] + f64::from(k) * b2[i]);
        let phase = |cell: &CellPlaces| {
            let t = [0, 1].map(|i| cell.b_angstrom[i] - cells[0].b_angstrom[i]);
            Complex64::cis(TAU * (g[0] * t[0] + g[1] * t[1]))
        };
        let factor = cells.iter().map(phase).sum::<Complex64>() / cells.len() as f64;
        let [u, v] = edges.map(|e| e[0] * g[0] + e[1] * g[1]);
        let whole = (u - u.round()).abs() < 1e-3 && (v - v.round()).abs() < 1e-3;
        if whole {
            out.add(u.round() as i32, v.round() as i32, c * factor);
        } else if factor.norm() > 0.2 {
            // The crystal does not repeat from one of its cells to the next, as where neighbours differ along a row.
            return None;
        }
    }
    Some(out)
}

/// Every B column of the slab with the A columns around it.
fn cell_places(slab: &Slab) -> Result<Vec<CellPlaces>, ArtifactError> {
    let cells = periodic_cells(slab, Zone::Z100).or_else(|_| periodic_cells(slab, Zone::Z110)).map_err(|e: PolarizationError| e)?;
    let positions: Vec<[f64; 2]> = slab.columns.iter().map(|c| c.position_angstrom).collect();
    let place = |cell: &crate::polarization::PeriodicCell| CellPlaces {
        b_angstrom: positions[cell.b],
        a_angstrom: cell.a_positions(&positions, slab.in_plane_angstrom),
        true_shift_pm: cell.shift(&positions, slab.in_plane_angstrom).map(|v| 100.0 * v),
    };
    Ok(cells.iter().map(place).collect())
}

/// Coefficients as the file holds them, so that a library read back is the one that was made.
fn rounded(image: &FourierImage) -> FourierImage {
    let pairs: Vec<f32> = image.iter().flat_map(|(_, _, c)| [c.re as f32, c.im as f32]).collect();
    from_pairs(image.cell_angstrom(), image.limits(), &pairs)
}

fn from_pairs(cell_angstrom: [[f64; 2]; 2], [h_max, k_max]: [usize; 2], pairs: &[f32]) -> FourierImage {
    let mut image = FourierImage::zeros(cell_angstrom, h_max, k_max);
    let places: Vec<(i32, i32)> = image.iter().map(|(h, k, _)| (h, k)).collect();
    for ((h, k), pair) in places.into_iter().zip(pairs.chunks_exact(2)) {
        image.add(h, k, Complex64::new(f64::from(pair[0]), f64::from(pair[1])));
    }
    image
}
