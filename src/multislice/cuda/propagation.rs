//! Waves of one Bloch class on a card: placed, stepped through slices on one of three routes, and read by detectors.

use super::contraction;
use super::engine::{Cuda, Lease};
use super::tables::{Route, Tables, fused_bytes};
use super::transmission::{self, bytes_a_slice};
use super::workspace::{Arg, Slot, Workspace, blocks};
use super::{DeviceError, specialise};
use crate::multislice::{Bloch, Contraction, ImageSums, InitialWaves, MultisliceError, Propagation};
use crate::specimen::{Slice, SliceAtom};
use num_complex::Complex64;
use std::ops::Range;
use std::sync::Arc;

/// Memory that a chunk of transmission functions may take while it is made, bytes.
const CHUNK_BYTES: usize = 96 << 20;

/// One propagation: a workspace on loan, and what is known of its content.
pub(super) struct Run<'a> {
    engine: &'a Cuda,
    lease: Lease<'a>,
    bloch: Bloch,
    slices: &'a [Slice],
    waves: usize,
    /// Slices made at once; halved where memory runs out.
    chunk: usize,
    /// Whose transmission functions the card holds, in order.
    made: Vec<Arc<[SliceAtom]>>,
    /// Distances of the propagators the card holds.
    distances: Vec<f64>,
    /// Columns that the band limit keeps, FFT order, and their places in the order of the transform (route of two passes).
    kept: Vec<i32>,
    /// Which contractions the card knows.
    contractions: contraction::Loaded,
}

impl<'a> Run<'a> {
    pub(super) fn start(
        engine: &'a Cuda,
        mut lease: Lease<'a>,
        bloch: Bloch,
        slices: &'a [Slice],
        waves: InitialWaves<'_>,
    ) -> Result<Self, DeviceError> {
        let setting = &engine.setting;
        let (grid, n, count) = (setting.grid, setting.grid.len(), waves.len());
        let pass = bloch.pass(setting);
        let narrow: Vec<f32> = pass.iter().map(|p| *p as f32).collect();
        let (workspace, tables) = lease.parts();
        workspace.reserve(Slot::Waves, 8 * n * count)?;
        workspace.put(Slot::Pass, &narrow)?;
        match waves {
            InitialWaves::Plane(list) => {
                let positions: Vec<i32> = list.iter().map(|&(h, k)| grid.index(h, k) as i32).collect();
                workspace.put(Slot::Positions, &positions)?;
                let arguments = [Arg::Slot(Slot::Waves), Arg::Slot(Slot::Positions), Arg::Int(n), Arg::Int(count)];
                workspace.launch("plane_waves", blocks(n, 256, count), [256, 1, 1], &arguments)?;
            }
            InitialWaves::Probes(probes) => {
                let limited = |(a, p): (&Complex64, &f64)| if *p > 0.0 { [a.re as f32, a.im as f32] } else { [0.0; 2] };
                let aperture: Vec<[f32; 2]> = probes.aperture.iter().zip(&pass).map(limited).collect();
                workspace.put(Slot::Aperture, &aperture)?;
                workspace.put(Slot::Positions, probes.positions_angstrom)?;
                let sizes = [Arg::Int(grid.nx), Arg::Int(grid.ny)];
                let memories = [Arg::Slot(Slot::Waves), Arg::Slot(Slot::Aperture), Arg::Slot(Slot::Positions)];
                let arguments = [&memories[..], &sizes, &vectors(bloch, grid.reciprocal()), &[Arg::Int(count)]].concat();
                workspace.launch("probes", blocks(n, 256, count), [256, 1, 1], &arguments)?;
            }
            InitialWaves::Spectra(_) => {
                let limited = |(c, p): (Complex64, &f64)| if *p > 0.0 { [c.re as f32, c.im as f32] } else { [0.0; 2] };
                let all: Vec<[f32; 2]> =
                    (0..count).flat_map(|w| waves.spectrum(w, bloch, setting).into_iter().zip(&pass).map(limited)).collect();
                workspace.put(Slot::Waves, &all)?;
            }
        }
        let mut kept = Vec::new();
        if tables.route == Route::Passes {
            kept = (0..grid.nx).filter(|x| (0..grid.ny).any(|y| pass[y * grid.nx + x] > 0.0)).map(|x| x as i32).collect();
            if let Some([x, _]) = &tables.coarse.lines {
                let mut position = vec![0_i32; grid.nx];
                x.stages.frequencies(grid.nx).iter().enumerate().for_each(|(at, f)| position[*f as usize] = at as i32);
                let places: Vec<i32> = kept.iter().map(|c| position[*c as usize]).collect();
                workspace.put(Slot::Kept, &kept)?;
                workspace.put(Slot::KeptPlaces, &places)?;
            }
            workspace.reserve(Slot::Mixed, 8 * grid.ny * kept.len() * count)?;
        }
        let chunk = (CHUNK_BYTES / bytes_a_slice(tables)).clamp(2, 256);
        Ok(Self {
            engine,
            lease,
            bloch,
            slices,
            waves: count,
            chunk,
            made: Vec::new(),
            distances: Vec::new(),
            kept,
            contractions: contraction::Loaded::default(),
        })
    }
}

/// k0, b1 and b2 as a kernel takes them.
fn vectors<'a>(bloch: Bloch, reciprocal: [[f64; 2]; 2]) -> Vec<Arg<'a>> {
    [bloch.offset, reciprocal[0], reciprocal[1]].iter().flatten().map(|v| Arg::Double(*v)).collect()
}

impl Propagation for Run<'_> {
    fn waves(&self) -> usize {
        self.waves
    }

    fn points(&self) -> usize {
        self.engine.setting.grid.len()
    }

    fn advance(&mut self, slices: Range<usize>) -> Result<(), MultisliceError> {
        let (mut next, end) = (slices.start, slices.end);
        while next < end {
            let (taken, unique) = self.gather(next, end);
            match self.step(next..next + taken, unique) {
                // Nothing of the chunk has moved the waves yet: memory is taken before the first kernel that does.
                Err(error) if error.is_out_of_memory() && self.chunk > 2 => {
                    self.chunk /= 2;
                    self.made.clear();
                    self.distances.clear();
                }
                result => {
                    result?;
                    next += taken;
                }
            }
        }
        Ok(())
    }

    fn read(&mut self, wave: usize, spectrum: &mut [Complex64]) -> Result<(), MultisliceError> {
        let values: Vec<[f32; 2]> = self.lease.parts().0.get(Slot::Waves, wave * spectrum.len(), spectrum.len())?;
        spectrum.iter_mut().zip(values).for_each(|(s, [re, im])| *s = Complex64::new(f64::from(re), f64::from(im)));
        Ok(())
    }

    fn intensities(&mut self) -> Result<Vec<f64>, MultisliceError> {
        let (n, waves) = (self.points(), self.waves);
        let (workspace, _) = self.lease.parts();
        Ok(contraction::intensities(workspace, n, waves)?)
    }

    fn detect(&mut self, detectors: &[Vec<(u32, f64)>]) -> Result<Vec<Vec<f64>>, MultisliceError> {
        let (n, waves) = (self.points(), self.waves);
        let (workspace, _) = self.lease.parts();
        Ok(contraction::detect(workspace, n, waves, detectors)?)
    }

    fn contract(&mut self, contractions: &Arc<[Contraction]>, sums: &mut ImageSums<'_>) -> Result<(), MultisliceError> {
        let n = self.points();
        let (workspace, _) = self.lease.parts();
        Ok(self.contractions.contract(workspace, n, contractions, sums)?)
    }
}

impl Run<'_> {
    /// How many slices from `next` on go together, and the distinct atoms among them.
    fn gather(&self, next: usize, end: usize) -> (usize, Vec<Arc<[SliceAtom]>>) {
        let mut unique: Vec<Arc<[SliceAtom]>> = Vec::new();
        // A crystal at rest repeats a few sets of atoms; thermal motion makes every slice its own. Either way the list is searched from its end.
        for (taken, slice) in self.slices[next..end].iter().enumerate() {
            if !unique.iter().rev().take(64).any(|known| Arc::ptr_eq(known, &slice.atoms)) {
                if unique.len() == self.chunk {
                    return (taken, unique);
                }
                unique.push(slice.atoms.clone());
            }
        }
        (end - next, unique)
    }

    /// Makes what a chunk needs and queues its steps.
    fn step(&mut self, range: Range<usize>, unique: Vec<Arc<[SliceAtom]>>) -> Result<(), DeviceError> {
        let slices = &self.slices[range];
        let (workspace, tables) = self.lease.parts();
        let known = |atoms: &Arc<[SliceAtom]>| self.made.iter().position(|m| Arc::ptr_eq(m, atoms));
        if !unique.iter().all(|atoms| known(atoms).is_some()) {
            let atoms: Vec<&[SliceAtom]> = unique.iter().map(|a| &**a).collect();
            transmission::build(workspace, tables, &self.engine.elements, &atoms)?;
            self.made = unique;
        }
        let distinct = distinct_distances(slices);
        if !distinct.iter().all(|d| self.distances.contains(d)) {
            propagators(workspace, tables, self.engine, self.bloch, &self.kept, &distinct)?;
            self.distances = distinct;
        }
        let index = |list: &[f64], d: f64| list.iter().position(|known| *known == d).unwrap_or(0) as i32;
        let made = &self.made;
        let which: Vec<i32> = slices.iter().map(|s| made.iter().position(|m| Arc::ptr_eq(m, &s.atoms)).unwrap_or(0) as i32).collect();
        let distance: Vec<i32> = slices.iter().map(|s| index(&self.distances, s.thickness_angstrom)).collect();
        let definitions = self.engine.count_work(self.waves * slices.len(), &self.lease)?;
        let (workspace, tables) = self.lease.parts();
        match tables.route {
            Route::Fused => fused(workspace, tables, self.waves, &which, &distance, &definitions),
            Route::Passes => passes(workspace, tables, self.waves, self.kept.len(), &which, &distance),
            Route::Transforms => transforms(workspace, tables, self.waves, &which, &distance),
        }
    }
}

fn distinct_distances(slices: &[Slice]) -> Vec<f64> {
    let mut distinct: Vec<f64> = slices.iter().map(|s| s.thickness_angstrom).collect();
    distinct.sort_by(f64::total_cmp);
    distinct.dedup();
    distinct
}

/// Queues the propagators of these distances, in the order of the route, with the scale of the transforms.
fn propagators(
    workspace: &mut Workspace,
    tables: &Tables,
    engine: &Cuda,
    bloch: Bloch,
    kept: &[i32],
    distances: &[f64],
) -> Result<(), DeviceError> {
    let (setting, grid) = (&engine.setting, engine.setting.grid);
    let natural = |n: usize| -> Vec<i32> { (0..n).map(|i| crate::numerics::grid::Grid::signed(i, n)).collect() };
    let (columns, rows) = match (tables.route, &tables.coarse.lines) {
        (Route::Fused, Some([x, y])) => (x.signed_frequencies(), y.signed_frequencies()),
        (Route::Passes, Some([_, y])) => {
            let signed = natural(grid.nx);
            (kept.iter().map(|c| signed[*c as usize]).collect(), y.signed_frequencies())
        }
        _ => (natural(grid.nx), natural(grid.ny)),
    };
    let (width, height) = (columns.len(), rows.len());
    workspace.put(Slot::Distances, distances)?;
    workspace.put(Slot::ColumnFrequencies, &columns)?;
    workspace.put(Slot::RowFrequencies, &rows)?;
    workspace.reserve(Slot::Propagators, 8 * width * height * distances.len())?;
    let tilt = bloch.specimen_tilt_mrad.map(|t| Arg::Double(t * 1e-3));
    let arguments = [Slot::Propagators, Slot::Pass, Slot::ColumnFrequencies, Slot::RowFrequencies, Slot::Distances].map(Arg::Slot);
    let sizes = [Arg::Int(width), Arg::Int(grid.nx), Arg::Int(grid.ny)];
    let wavelength = [Arg::Double(setting.beam.wavelength_angstrom())];
    let rest = [Arg::Float(1.0 / grid.len() as f32), Arg::Int(distances.len())];
    let arguments = [&arguments[..], &sizes, &vectors(bloch, grid.reciprocal()), &wavelength, &tilt, &rest].concat();
    workspace.launch("propagator", blocks(width * height, 256, distances.len()), [256, 1, 1], &arguments)
}

/// All slices in one launch, a wave a block.
fn fused(
    workspace: &mut Workspace,
    tables: &Tables,
    waves: usize,
    which: &[i32],
    distance: &[i32],
    definitions: &str,
) -> Result<(), DeviceError> {
    let Some([x, y]) = &tables.coarse.lines else { return Ok(()) };
    workspace.put(Slot::Which, which)?;
    workspace.put(Slot::Distance, distance)?;
    let memories = [Slot::Waves, Slot::Transmissions, Slot::Propagators, Slot::Which, Slot::Distance].map(Arg::Slot);
    let lines = [&x.roots, &y.roots, &x.frequency, &y.frequency].map(Arg::Table);
    let radices = [x, y].map(|l| Arg::Int4(l.stages.argument()));
    let sizes = [Arg::Int(x.n), Arg::Int(y.n), Arg::Int(which.len())];
    let arguments = [&memories[..], &lines, &radices, &sizes].concat();
    let threads = specialise::fused_threads(tables.coarse.size);
    workspace.launch_with("fused_slices", definitions, [waves, 1, 1], [threads, 1, 1], fused_bytes(tables.coarse.size), &arguments)
}

/// Two launches a slice.
fn passes(
    workspace: &mut Workspace,
    tables: &Tables,
    waves: usize,
    kept: usize,
    which: &[i32],
    distance: &[i32],
) -> Result<(), DeviceError> {
    let Some([x, y]) = &tables.coarse.lines else { return Ok(()) };
    let (n, lines, width) = (x.n * y.n, tables.coarse.rows(x.n), tables.coarse.columns(y.n));
    let columns = |workspace: &mut Workspace, distance: usize, arrive: bool, leave: bool| {
        let memories = [Arg::Slot(Slot::Waves), Arg::Slot(Slot::Mixed), Arg::From(Slot::Propagators, 8 * distance * y.n * kept)];
        let line = [Arg::Table(&y.roots), Arg::Table(&y.position), Arg::Slot(Slot::Kept), Arg::Int4(y.stages.argument())];
        let sizes = [y.n, x.n, kept, width, waves, usize::from(arrive), usize::from(leave)].map(Arg::Int);
        let arguments = [&memories[..], &line, &sizes].concat();
        let shared = 8 * (y.n * width + y.n);
        workspace.launch_with("slice_columns", "", blocks(kept, width, waves), [256, 1, 1], shared, &arguments)
    };
    columns(workspace, 0, false, true)?;
    for (i, (&t, &d)) in which.iter().zip(distance).enumerate() {
        let memories = [Arg::Slot(Slot::Mixed), Arg::From(Slot::Transmissions, 8 * n * t as usize)];
        let line = [Arg::Table(&x.roots), Arg::Slot(Slot::KeptPlaces), Arg::Int4(x.stages.argument())];
        let sizes = [x.n, y.n, kept, lines, waves].map(Arg::Int);
        let arguments = [&memories[..], &line, &sizes].concat();
        let shared = 8 * (lines * super::tables::row_pitch(x.n) + x.n);
        workspace.launch_with("slice_rows", "", blocks(y.n, lines, waves), [256, 1, 1], shared, &arguments)?;
        columns(workspace, d as usize, true, i + 1 < which.len())?;
    }
    Ok(())
}

/// Transform, product, transform, product.
fn transforms(workspace: &mut Workspace, tables: &Tables, waves: usize, which: &[i32], distance: &[i32]) -> Result<(), DeviceError> {
    let n = tables.coarse.size[0] * tables.coarse.size[1];
    let times = |workspace: &mut Workspace, table: Slot, index: i32| {
        let memories = [Arg::Slot(Slot::Waves), Arg::From(table, 8 * n * index as usize)];
        let arguments = [&memories[..], &[Arg::Int(n), Arg::Int(waves)]].concat();
        workspace.launch("multiply", blocks(n, 256, waves), [256, 1, 1], &arguments)
    };
    for (&t, &d) in which.iter().zip(distance) {
        tables.coarse.transform(workspace, Slot::Waves, waves, true, false)?;
        times(workspace, Slot::Transmissions, t)?;
        tables.coarse.transform(workspace, Slot::Waves, waves, false, false)?;
        times(workspace, Slot::Propagators, d)?;
    }
    Ok(())
}
