//! Multislice of a whole scene, atom by atom: as one supercell with a grid of Bloch offsets where it repeats, and in a window of cells around
//! every probe where it does not.

use super::imaging::{Imaging, Motion};
use super::library::{images_of, mean_over_groups};
use super::sampled::{SampledImage, fast_count};
use super::strands::{Block, Frozen, stack};
use super::{Scene, SceneError};
use crate::image::{FourierImage, Radiance, SourceShape};
use crate::microscope::Edge;
use crate::multislice::{Illumination, Scan, Setting};
use crate::specimen::{FrozenPhonons, Sign};
use rayon::prelude::*;

/// Samples along the shortest wave of an image that is taken probe by probe.
const SAMPLES_PER_WAVE: f64 = 3.0;
/// Room around the cone of the probe in a window, Å.
const MARGIN_ANGSTROM: f64 = 6.0;

/// The image of a scene by multislice, on one detector.
#[derive(Debug, Clone)]
pub enum MultisliceImage {
    /// Of a scene that repeats: exact at every place.
    Periodic(FourierImage),
    /// Sampled finer than its shortest wave needs.
    Sampled(SampledImage),
}

impl MultisliceImage {
    /// The images of a scene, one a detector; `progress` is told finished steps of [`Self::steps`].
    pub fn compute(scene: &Scene, imaging: &Imaging, progress: &(dyn Fn(usize) + Sync)) -> Result<Vec<Self>, SceneError> {
        if scene.periodic == [true; 2] { supercell(scene, imaging, progress) } else { windows(scene, imaging, progress) }
    }

    /// Steps of `progress`: k-points of the supercell, or windows.
    #[must_use]
    pub fn steps(scene: &Scene, imaging: &Imaging) -> usize {
        if scene.periodic == [true; 2] {
            let runs = if let Motion::AlikeInEveryCell { pairs, .. } = imaging.motion { 2 * pairs } else { 1 };
            runs * supercell_of(scene, imaging.k_points).1.iter().product::<usize>()
        } else {
            let [nx, ny] = scene.size;
            (nx + 2) * (ny + 2)
        }
    }

    /// The same image seen with a source.
    #[must_use]
    pub fn blurred(&self, source: &SourceShape) -> Self {
        match self {
            Self::Periodic(image) => Self::Periodic(image.filtered(|q_squared| source.transfer(q_squared))),
            Self::Sampled(image) => Self::Sampled(image.filtered(&|q_squared| source.transfer(q_squared))),
        }
    }
}

impl Radiance for MultisliceImage {
    fn evaluate(&self, positions_angstrom: &[[f64; 2]], out: &mut [f64]) {
        match self {
            Self::Periodic(image) => image.evaluate(positions_angstrom, out),
            Self::Sampled(image) => image.evaluate(positions_angstrom, out),
        }
    }

    fn seen_with(&self, source: &SourceShape) -> Option<Box<dyn Radiance + '_>> {
        Some(Box::new(self.blurred(source)))
    }
}

/// The cells of the supercell, one along an axis on which nothing varies, and the Bloch offsets that are left to it.
fn supercell_of(scene: &Scene, k_points: [usize; 2]) -> (Block, [usize; 2]) {
    let count = [0, 1].map(|c| if scene.is_uniform_along(c) { 1 } else { scene.size[c] });
    (Block { first: [0; 2], count }, [0, 1].map(|c| k_points[c].div_ceil(count[c])))
}

fn supercell(scene: &Scene, imaging: &Imaging, progress: &(dyn Fn(usize) + Sync)) -> Result<Vec<MultisliceImage>, SceneError> {
    let (block, k_points) = supercell_of(scene, imaging.k_points);
    let cell = scene.block_cell(block);
    let reference = reference_tilt(scene);
    let strands = scene.strands(block, reference);
    let made = |frozen| stack(&strands, cell, [0.0; 2], scene.layer_angstrom, frozen);
    let illumination = [Illumination { specimen_tilt_mrad: reference, probe: imaging.probe.clone() }];
    let layers = strands.iter().map(|s| s.layers).max().unwrap_or(1);
    let result = images_of(&made, cell, k_points, &illumination, &[2 * layers], imaging, progress)?;
    let mut mean = mean_over_groups(&result);
    Ok(mean.remove(0).remove(0).into_iter().map(MultisliceImage::Periodic).collect())
}

/// The tilt that the illumination takes: that of the scene's middle.
fn reference_tilt(scene: &Scene) -> [f64; 2] {
    scene.b_column(scene.size.map(|n| (n / 2) as i64)).tilt_mrad
}

/// Probes of one cell after another, each in a window wide enough for its cone; the samples of all make one grid.
fn windows(scene: &Scene, imaging: &Imaging, progress: &(dyn Fn(usize) + Sync)) -> Result<Vec<MultisliceImage>, SceneError> {
    let extent = scene.extent_angstrom();
    // One cell beyond every edge, so that places at the edge can be interpolated.
    let margin = scene.column_angstrom;
    let spacing = 1.0 / (2.0 * imaging.probe.radius() * SAMPLES_PER_WAVE);
    let count = extent.map(|e| fast_count(((e + 2.0 * margin) / spacing).ceil() as usize + 1));
    let origin = [-margin; 2];
    let place = |n: usize| [0, 1].map(|c| origin[c] + spacing * [n % count[0], n / count[0]][c] as f64);
    let mut of_cell: std::collections::BTreeMap<[i64; 2], Vec<usize>> = std::collections::BTreeMap::new();
    for n in 0..count[0] * count[1] {
        of_cell.entry(scene.cell_at(place(n))).or_default().push(n);
    }
    let jobs: Vec<([i64; 2], Vec<usize>)> = of_cell.into_iter().collect();
    let signals: Result<Vec<Vec<Vec<f64>>>, SceneError> = jobs
        .par_iter()
        .map(|(cell, numbers)| {
            let positions: Vec<[f64; 2]> = numbers.iter().map(|&n| place(n)).collect();
            let values = window(scene, imaging, *cell, &positions);
            progress(1);
            values
        })
        .collect();
    let mut samples = vec![vec![0.0; count[0] * count[1]]; imaging.detectors.len()];
    for ((_, numbers), values) in jobs.iter().zip(signals?) {
        for (&n, value) in numbers.iter().zip(values) {
            for (image, v) in samples.iter_mut().zip(value) {
                image[n] = v;
            }
        }
    }
    Ok(samples.into_iter().map(|s| MultisliceImage::Sampled(SampledImage::new(origin, spacing, count, &s))).collect())
}

/// Signals `[probe][detector]` of probes in one cell.
fn window(scene: &Scene, imaging: &Imaging, cell: [i64; 2], positions: &[[f64; 2]]) -> Result<Vec<Vec<f64>>, SceneError> {
    let thickness = scene.b_column(cell).layers as f64 * scene.layer_angstrom;
    let reach = thickness * imaging.probe.convergence_mrad * 1e-3 + MARGIN_ANGSTROM;
    let half = (reach / scene.column_angstrom).ceil() as i64;
    let block = Block { first: cell.map(|n| n - half), count: [2 * half as usize + 1; 2] };
    let (box_cell, corner) = (scene.block_cell(block), scene.corner_angstrom(block.first));
    let tilt = scene.b_column(cell).tilt_mrad;
    let strands = scene.strands(block, tilt);
    let layers = strands.iter().map(|s| s.layers).max().unwrap_or(1);
    let setting = Setting::new(box_cell, imaging.pixel_angstrom, imaging.probe.beam, imaging.factors, imaging.oversampling)?;
    let exits = [2 * layers];
    let scan = Scan {
        setting,
        k_points: [1, 1],
        probe: imaging.probe.clone(),
        specimen_tilt_mrad: tilt,
        detectors: &imaging.detectors,
        exits: &exits,
        edge: Edge::AreaWeighted,
    };
    let inside: Vec<[f64; 2]> = positions.iter().map(|r| [r[0] - corner[0], r[1] - corner[1]]).collect();
    let configurations = configurations(imaging.motion);
    let mut sums = vec![vec![0.0; imaging.detectors.len()]; positions.len()];
    for frozen in &configurations {
        let stack = stack(&strands, box_cell, corner, scene.layer_angstrom, *frozen)?;
        let mut elements: Vec<_> = stack.slab.atoms.iter().map(|a| a.element).collect();
        elements.sort_unstable();
        elements.dedup();
        let engine = imaging.device.engine(&setting, &elements)?;
        let values = scan.run(engine.as_ref(), &|_| stack.at_rest(exits[0]), &inside)?;
        for (sum, value) in sums.iter_mut().zip(values) {
            for (s, v) in sum.iter_mut().zip(&value[0]) {
                *s += v / configurations.len() as f64;
            }
        }
    }
    Ok(sums)
}

/// The configurations of a window: every atom has its own draw, the same in all windows that hold it.
fn configurations(motion: Motion) -> Vec<Frozen> {
    let (seed, pairs, alike) = match motion {
        Motion::None => return vec![Frozen::AtRest],
        Motion::FrozenPhonons { seed, pairs } => (seed, pairs, false),
        Motion::AlikeInEveryCell { seed, pairs } => (seed, pairs, true),
    };
    let phonons = FrozenPhonons::new(seed);
    (0..pairs).flat_map(|pair| [Sign::Plus, Sign::Minus].map(|sign| Frozen::Now(phonons, pair, sign, alike))).collect()
}
