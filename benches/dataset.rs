//! Windows a second and peak memory of a dataset, from drawn samples to verified files: the whole chain but the library, which is made once.

#![allow(clippy::print_stdout, reason = "a bench prints what it measured")]

use mistilt::study::Study;
use mistilt::study::dataset_run::{DatasetPlan, Means, Part, Sample, run};
use mistilt::study::frames::Frames;
use std::path::Path;
use std::time::Instant;

/// Samples of one run; 900 windows each.
const SAMPLES: u32 = 100;

fn main() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("studies/training-set.toml");
    let set = [format!("dataset.samples={SAMPLES}"), "dataset.shard_samples=10".to_owned(), "simulation.k_points=[2, 2]".to_owned()];
    let study = Study::read(&file, &set).unwrap_or_else(|e| panic!("{e}"));
    let plan = DatasetPlan::new(&study).unwrap_or_else(|e| panic!("{e}"));
    let settings = (0..plan.samples()).map(|n| plan.sample(n).unwrap_or_else(|e| panic!("{e}"))).map(|s| (s.config, s.number));
    let start = Instant::now();
    let frames = Frames::prepare(settings, None).unwrap_or_else(|e| panic!("{e}"));
    println!("library: {:.1} s (k_points [2, 2]; a full one is made once and kept)", start.elapsed().as_secs_f64());
    let folder = tempfile::tempdir().unwrap_or_else(|e| panic!("{e}"));
    let start = Instant::now();
    let frame = |sample: &Sample| frames.image(&sample.config, sample.number);
    let means = Means { frame: &frame, library_error: &|| Ok(Vec::new()), progress: &|_| {}, stop: &|| false };
    let outcome = run(&plan, folder.path(), Part { index: 0, count: 1 }, &means).unwrap_or_else(|e| panic!("{e}"));
    let seconds = start.elapsed().as_secs_f64();
    let rate = outcome.items as f64 / seconds;
    println!("{} windows in {seconds:.1} s: {rate:.0} windows/s, {:.2} million an hour", outcome.items, rate * 3.6e-3);
    println!("peak memory: {}", peak_memory());
}

/// The most memory this process has held, as the system says.
fn peak_memory() -> String {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|l| l.strip_prefix("VmHWM:"));
    let kilobytes = line.and_then(|l| l.trim().trim_end_matches("kB").trim().parse::<f64>().ok());
    kilobytes.map_or("not told on this system".to_owned(), |kb| format!("{:.0} MB", kb / 1e3))
}
