//! Detectors on a card: ring sums, intensities, and images from M = S†S, all reduced there; only sums and coefficients come back.

use super::DeviceError;
use super::workspace::{Arg, Slot, Workspace, blocks};
use crate::multislice::{Contraction, ImageSums};
use num_complex::Complex64;
use std::ops::Range;
use std::sync::Arc;

/// Memory that the matrices of one launch may take, bytes.
const MATRIX_BYTES: usize = 256 << 20;
/// Side of the tiles of `kernels/gram.cu`.
const TILE: usize = 32;

/// Σ|c|² of every wave.
pub(super) fn intensities(workspace: &mut Workspace, n: usize, waves: usize) -> Result<Vec<f64>, DeviceError> {
    workspace.reserve(Slot::Result, 8 * waves)?;
    let arguments = [Arg::Slot(Slot::Result), Arg::Slot(Slot::Waves), Arg::Int(n), Arg::Int(waves)];
    workspace.launch("intensities", blocks(1, 1, waves), [128, 1, 1], &arguments)?;
    workspace.get(Slot::Result, 0, waves)
}

/// Σ w|c|² of every wave on every detector, `[wave][detector]`.
pub(super) fn detect(
    workspace: &mut Workspace,
    n: usize,
    waves: usize,
    detectors: &[Vec<(u32, f64)>],
) -> Result<Vec<Vec<f64>>, DeviceError> {
    let rings = detectors.len();
    if rings == 0 {
        return Ok(vec![Vec::new(); waves]);
    }
    let positions: Vec<i32> = detectors.iter().flatten().map(|(i, _)| *i as i32).collect();
    let weights: Vec<f64> = detectors.iter().flatten().map(|(_, w)| *w).collect();
    workspace.put(Slot::Rings, &positions)?;
    workspace.put(Slot::RingWeights, &weights)?;
    workspace.put(Slot::RingFirst, &firsts(detectors.iter().map(Vec::len)))?;
    workspace.reserve(Slot::Result, 8 * waves * rings)?;
    let memories = [Slot::Result, Slot::Waves, Slot::Rings, Slot::RingWeights, Slot::RingFirst].map(Arg::Slot);
    let arguments = [&memories[..], &[Arg::Int(n), Arg::Int(rings), Arg::Int(waves)]].concat();
    workspace.launch("ring_sums", blocks(rings, 1, waves), [128, 1, 1], &arguments)?;
    let sums: Vec<f64> = workspace.get(Slot::Result, 0, waves * rings)?;
    Ok(sums.chunks(rings).map(<[f64]>::to_vec).collect())
}

/// 0 and the running sums of some lengths.
fn firsts(lengths: impl Iterator<Item = usize>) -> Vec<i32> {
    let mut out = vec![0_i32];
    out.extend(lengths.scan(0, |sum, n| {
        *sum += n as i32;
        Some(*sum)
    }));
    out
}

/// What the card knows of contractions: those of a class are read at every exit and go over once.
#[derive(Default)]
pub(super) struct Loaded {
    contractions: Option<Arc<[Contraction]>>,
    part: Range<usize>,
    layout: Layout,
}

/// Sizes of the part that is loaded.
#[derive(Default, Clone, Copy)]
struct Layout {
    tiles: usize,
    probes: usize,
    limits: [usize; 2],
}

impl Loaded {
    /// Adds the images of all contractions to the sums, in parts whose matrices fit.
    pub(super) fn contract(
        &mut self,
        workspace: &mut Workspace,
        n: usize,
        contractions: &Arc<[Contraction]>,
        sums: &mut ImageSums<'_>,
    ) -> Result<(), DeviceError> {
        let bytes = |c: &Contraction| 16 * c.waves.len() * c.waves.len();
        let mut start = 0;
        while start < contractions.len() {
            let (mut end, mut total) = (start, 0);
            while end < contractions.len() && (end == start || total + bytes(&contractions[end]) <= MATRIX_BYTES) {
                total += bytes(&contractions[end]);
                end += 1;
            }
            let same = self.contractions.as_ref().is_some_and(|c| Arc::ptr_eq(c, contractions)) && self.part == (start..end);
            if !same {
                // Half a load is no load.
                self.contractions = None;
                self.layout = load(workspace, &contractions[start..end])?;
                self.contractions = Some(contractions.clone());
                self.part = start..end;
            }
            workspace.reserve(Slot::Matrices, total)?;
            self.run(workspace, n, &contractions[start..end], sums)?;
            start = end;
        }
        Ok(())
    }

    fn run(&self, workspace: &mut Workspace, n: usize, part: &[Contraction], sums: &mut ImageSums<'_>) -> Result<(), DeviceError> {
        let Layout { tiles, probes, limits: [h_max, k_max] } = self.layout;
        let rows = 2 * k_max + 1;
        let coefficients = (h_max + 1) * rows;
        workspace.reserve(Slot::Result, 16 * coefficients * probes)?;
        let memories = [
            Slot::Matrices,
            Slot::Waves,
            Slot::Rings,
            Slot::RingWeights,
            Slot::RingFirst,
            Slot::Columns,
            Slot::ColumnFirst,
            Slot::MatrixOffset,
            Slot::Tiles,
        ];
        let arguments = [&memories.map(Arg::Slot)[..], &[Arg::Int(n)]].concat();
        workspace.launch("gram", [tiles, 1, 1], [16, 16, 1], &arguments)?;
        let memories = [
            Slot::Result,
            Slot::Matrices,
            Slot::MatrixOffset,
            Slot::ProbeMatrix,
            Slot::ColumnFirst,
            Slot::BeamFirst,
            Slot::Beams,
            Slot::Amplitudes,
            Slot::Boxes,
            Slot::Lookup,
        ];
        let arguments = [&memories.map(Arg::Slot)[..], &[Arg::Int(h_max), Arg::Int(k_max), Arg::Int(probes)]].concat();
        workspace.launch("contract", blocks(coefficients, 128, probes), [128, 1, 1], &arguments)?;
        let values: Vec<[f64; 2]> = workspace.get(Slot::Result, 0, coefficients * probes)?;
        let all = part.iter().flat_map(|c| c.apertures.iter().map(move |a| (c.detector, a)));
        for ((detector, aperture), image) in all.zip(values.chunks(coefficients)) {
            if aperture.beams.is_empty() {
                continue;
            }
            let [dh, dk] = extent(&aperture.beams.iter().map(|b| b.frequency).collect::<Vec<_>>()).1.map(|n| n - 1);
            for (q, [re, im]) in image.iter().enumerate() {
                let (h, k) = ((q / rows) as i32, (q % rows) as i32 - k_max as i32);
                let held = h <= dh && k.abs() <= dk && (h > 0 || k >= 0);
                if held {
                    sums.add_hermitian(aperture.illumination, detector, (h, k), Complex64::new(*re, *im), (h, k) != (0, 0));
                }
            }
        }
        Ok(())
    }
}

/// Smallest h and k, and the size of the box around all frequencies.
fn extent(frequencies: &[(i32, i32)]) -> ([i32; 2], [i32; 2]) {
    let axis = |f: &dyn Fn(&(i32, i32)) -> i32| {
        let (low, high) = frequencies.iter().map(f).fold((i32::MAX, i32::MIN), |(l, h), v| (l.min(v), h.max(v)));
        if low > high { (0, 1) } else { (low, high - low + 1) }
    };
    let ((h, width), (k, height)) = (axis(&|f| f.0), axis(&|f| f.1));
    ([h, k], [width, height])
}

/// Copies what contractions need to the card.
fn load(workspace: &mut Workspace, part: &[Contraction]) -> Result<Layout, DeviceError> {
    let positions: Vec<i32> = part.iter().flat_map(|c| &c.ring).map(|(i, _)| *i as i32).collect();
    let roots: Vec<f32> = part.iter().flat_map(|c| &c.ring).map(|(_, root)| *root as f32).collect();
    let columns: Vec<i32> = part.iter().flat_map(|c| &c.waves).map(|w| *w as i32).collect();
    let (mut offset, mut offsets, mut tiles) = (0_i64, Vec::new(), Vec::new());
    for (g, c) in part.iter().enumerate() {
        offsets.push(offset);
        offset += (c.waves.len() * c.waves.len()) as i64;
        for row in 0..c.waves.len().div_ceil(TILE) {
            tiles.extend((0..=row).map(|column| [g as i32, row as i32, column as i32]));
        }
    }
    let (mut matrix, mut beams, mut amplitudes, mut boxes, mut lookup) = (Vec::new(), Vec::new(), Vec::new(), Vec::new(), Vec::new());
    let (mut lengths, mut limits) = (Vec::new(), [0_usize; 2]);
    for (g, aperture) in part.iter().enumerate().flat_map(|(g, c)| c.apertures.iter().map(move |a| (g, a))) {
        matrix.push(g as i32);
        lengths.push(aperture.beams.len());
        let frequencies: Vec<(i32, i32)> = aperture.beams.iter().map(|b| b.frequency).collect();
        let ([h0, k0], [width, height]) = extent(&frequencies);
        boxes.push([h0, k0, width, height, lookup.len() as i32]);
        let mut table = vec![-1_i32; (width * height) as usize];
        for (number, &(h, k)) in frequencies.iter().enumerate() {
            table[((k - k0) * width + h - h0) as usize] = number as i32;
        }
        lookup.extend(table);
        limits = [limits[0].max(width as usize - 1), limits[1].max(height as usize - 1)];
        beams.extend(aperture.beams.iter().map(|b| [b.column as i32, b.frequency.0, b.frequency.1]));
        amplitudes.extend(aperture.beams.iter().map(|b| [b.amplitude.re, b.amplitude.im]));
    }
    workspace.put(Slot::Rings, &positions)?;
    workspace.put(Slot::RingWeights, &roots)?;
    workspace.put(Slot::RingFirst, &firsts(part.iter().map(|c| c.ring.len())))?;
    workspace.put(Slot::Columns, &columns)?;
    workspace.put(Slot::ColumnFirst, &firsts(part.iter().map(|c| c.waves.len())))?;
    workspace.put(Slot::MatrixOffset, &offsets)?;
    workspace.put(Slot::Tiles, &tiles)?;
    workspace.put(Slot::ProbeMatrix, &matrix)?;
    workspace.put(Slot::BeamFirst, &firsts(lengths.into_iter()))?;
    workspace.put(Slot::Beams, &beams)?;
    workspace.put(Slot::Amplitudes, &amplitudes)?;
    workspace.put(Slot::Boxes, &boxes)?;
    workspace.put(Slot::Lookup, &lookup)?;
    Ok(Layout { tiles: tiles.len(), probes: matrix.len(), limits })
}
