//! A wave through a slice on a CUDA card, on every route, beside two floors measured in the same run: cuFFT's two transforms alone, and the
//! bytes a route must move at the bandwidth of a copy. Run with `cargo bench --bench cuda`; without a card it says so and ends.

#![allow(clippy::print_stdout, reason = "the table is what a benchmark is run for")]

use mistilt::crystal::{Crystal, structures};
use mistilt::microscope::Beam;
use mistilt::multislice::cuda::{Argument, Cuda, Driver, Launch, Queue, Route, automatic, devices, drivers};
use mistilt::multislice::{Bloch, Engine, InitialWaves, Setting};
use mistilt::numerics::grid::Grid;
use mistilt::potential::Factors;
use mistilt::specimen::{Basis, Cut, Slab, Slice, Slicing, Stack};
use std::sync::Arc;
use std::time::Instant;

const BEAM: Beam = Beam { energy_kev: 300.0 };
/// Slices a measurement steps through.
const SLICES: usize = 100;

fn main() {
    let Some(cards) = automatic() else {
        let reason = devices().err().map_or("the driver sees no card".to_owned(), |error| error.to_string());
        println!("No measurement: {reason}.");
        return;
    };
    let card = drivers(cards).expect("the card was just found").remove(0);
    println!("## Time of a wave through a slice, {}\n", card.name());
    let bandwidth = bandwidth(card.as_ref());
    println!("A copy moves {:.0} GB/s. µs a wave and slice, batches that fill the card:\n", bandwidth / 1e9);
    println!("| grid | fused | compiled for its size | two passes | cuFFT | floor: cuFFT alone | floor: bytes of the passes |");
    println!("|---|---|---|---|---|---|---|");
    let crystal = structures::get("bifeo3-cubic").expect("it ships");
    for side in [80, 128, 256, 512] {
        row(&card, &crystal, side, bandwidth);
    }
}

/// One line of the table.
fn row(card: &Arc<dyn Driver>, crystal: &Crystal, side: usize, bandwidth: f64) {
    let cells = side.div_ceil(80);
    let cut = Cut { zone_axis: [0, 0, 1], x_axis: [1, 0, 0], basis: Basis::Pseudocubic };
    let slab = Slab::cut(crystal, &cut).expect("a cubic crystal is cut along [001]").repeated([cells, cells]);
    let stack = Stack::new(slab, Slicing::Planes { tolerance_angstrom: 0.6 });
    let cell = stack.slab.in_plane_angstrom;
    let grid = Grid { nx: side, ny: side, cell_angstrom: cell };
    let mut setting = Setting::new(cell, cell[0][0] / side as f64 * 1.001, BEAM, Factors::Lobato, 2).expect("a grid of usual size");
    setting.grid = grid;
    setting.band = mistilt::numerics::band_limit::BandLimit::two_thirds(grid.nyquist());
    let mut elements: Vec<_> = stack.slab.atoms.iter().map(|a| a.element).collect();
    elements.sort_unstable();
    elements.dedup();
    // At rest: a few transmission functions, so that the steps alone are measured.
    let slices = stack.at_rest(SLICES);
    let waves = (1 << 30) / (8 * side * side);
    let waves = waves.min(2048);
    let time = |route: Route, special: bool| -> String {
        let engine = match Cuda::new(&setting, &elements, vec![card.clone()], Some(route)) {
            Ok(engine) if engine.route() == Some(route) => engine,
            _ => return "–".to_owned(),
        };
        if special && !engine.specialise().unwrap_or(false) {
            return "–".to_owned();
        }
        format!("{:.3}", 1e6 * seconds(&engine, &slices, waves) / (waves * SLICES) as f64)
    };
    let kept = 2.0 / 3.0;
    let bytes = 4.0 * 8.0 * kept * (side * side) as f64;
    println!(
        "| {side}² | {} | {} | {} | {} | {} | {:.3} |",
        time(Route::Fused, false),
        time(Route::Fused, true),
        time(Route::Passes, false),
        time(Route::Transforms, false),
        fft_alone(card.as_ref(), side, waves).map_or_else(|| "–".to_owned(), |s| format!("{:.3}", 1e6 * s)),
        1e6 * bytes / bandwidth
    );
}

/// The fastest of three runs.
fn seconds(engine: &Cuda, slices: &[Slice], waves: usize) -> f64 {
    let beams: Vec<(i32, i32)> = (0..waves as i32).map(|i| (i % 16 - 8, i / 16 % 16 - 8)).collect();
    let run = |_| {
        let mut waves = engine.start(Bloch::default(), slices, InitialWaves::Plane(&beams)).expect("the waves fit");
        // One slice of each kind first: what is made once is not part of a step.
        waves.advance(0..SLICES).and_then(|()| waves.intensities()).expect("the card works");
        let start = Instant::now();
        waves.advance(0..SLICES).and_then(|()| waves.intensities()).expect("the card works");
        start.elapsed().as_secs_f64()
    };
    (0..3).map(run).fold(f64::INFINITY, f64::min)
}

/// Seconds of a forward and an inverse transform of one wave by cuFFT.
fn fft_alone(card: &dyn Driver, side: usize, waves: usize) -> Option<f64> {
    if !card.has_fft() {
        return None;
    }
    let mut queue = card.queue().ok()?;
    let memory = queue.allocate(8 * side * side * waves).ok()?;
    let mut both = |times: usize| {
        for _ in 0..times {
            queue.fft(&memory, [side, side], waves, true).ok()?;
            queue.fft(&memory, [side, side], waves, false).ok()?;
        }
        queue.wait().ok()
    };
    both(1)?;
    let start = Instant::now();
    both(20)?;
    Some(start.elapsed().as_secs_f64() / (20 * waves) as f64)
}

/// Bytes a second of a kernel that reads and writes far more than any cache holds.
fn bandwidth(card: &dyn Driver) -> f64 {
    let (n, count) = (1 << 20, 256);
    let mut queue = card.queue().expect("the card works");
    let (waves, table) = (queue.allocate(8 * n * count).expect("2 GB fit"), queue.allocate(8 * n).expect("8 MB fit"));
    let arguments = [Argument::Memory(&waves), Argument::Memory(&table), Argument::Int(n as i32), Argument::Int(count as i32)];
    let launch =
        Launch { kernel: "multiply", definitions: "", grid: [n / 256, count, 1], block: [256, 1, 1], shared: 0, arguments: &arguments };
    let run = |queue: &mut Box<dyn Queue>, times: usize| {
        (0..times).try_for_each(|_| queue.launch(&launch)).and_then(|()| queue.wait()).expect("the card works");
    };
    run(&mut queue, 2);
    let start = Instant::now();
    run(&mut queue, 20);
    20.0 * 16.0 * (n * count) as f64 / start.elapsed().as_secs_f64()
}
