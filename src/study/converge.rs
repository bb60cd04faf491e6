//! What the numerics cost: one point again and again, one knob changed at a time; pm and % of the mean intensity.

use super::RunError;
use super::compute::Images;
use super::measure::{self, Record};
use super::plan::Plan;
use super::spec::{PhononSettings, Point, ScatteringFactors, SimulationSettings, Slicing, TiltRaster};
use crate::multislice::DeviceChoice;
use std::time::Instant;

/// The point with one setting changed.
#[derive(Debug, Clone)]
pub struct Row {
    /// Name of the setting in the study file.
    pub knob: &'static str,
    /// Its value here.
    pub value: String,
    /// Records of the point with it, or why it could not run.
    pub outcome: Result<Vec<Record>, String>,
    /// Seconds it took.
    pub seconds: f64,
}

/// Changed settings to try, with the setting's name and new value.
type Variant = (&'static str, String, SimulationSettings);

/// The point as the study states it, then every knob; `tell` hears each as it begins.
pub fn converge(point: &Point, choice: DeviceChoice, tell: &dyn Fn(&str)) -> Result<Vec<Row>, RunError> {
    let mut rows = Vec::new();
    let as_stated = ("as stated", String::new(), point.config.simulation.clone());
    for (knob, value, simulation) in std::iter::once(as_stated).chain(variants(&point.config.simulation)) {
        tell(&format!("{knob} {value}"));
        let mut changed = point.clone();
        changed.config.simulation = simulation;
        let start = Instant::now();
        let outcome = run(&changed, choice);
        let seconds = start.elapsed().as_secs_f64();
        match outcome {
            // The point itself must run; a knob that cannot turn that way says why and the rest go on.
            Err(error) if rows.is_empty() => return Err(error),
            outcome => rows.push(Row { knob, value, outcome: outcome.map_err(|e| e.to_string()), seconds }),
        }
    }
    Ok(rows)
}

fn run(point: &Point, choice: DeviceChoice) -> Result<Vec<Record>, RunError> {
    let plan = Plan::new(std::slice::from_ref(point))?.on(choice)?;
    let propagation = &plan.propagations[0];
    let images = Images::compute(propagation, &|_| ())?;
    measure::records(propagation, &images, propagation.places[0], point)
}

fn variants(base: &SimulationSettings) -> Vec<Variant> {
    let mut out: Vec<Variant> = Vec::new();
    let mut add = |knob, value: String, change: &dyn Fn(&mut SimulationSettings)| {
        let mut changed = base.clone();
        change(&mut changed);
        if changed != *base {
            out.push((knob, value, changed));
        }
    };
    for factor in [0.75, 1.25] {
        let pixel = (base.pixel_angstrom * factor * 1e4).round() / 1e4;
        add("pixel_angstrom", pixel.to_string(), &|s| s.pixel_angstrom = pixel);
    }
    for oversampling in [base.oversampling.saturating_sub(1).max(1), (base.oversampling + 1).min(4)] {
        add("oversampling", oversampling.to_string(), &|s| s.oversampling = oversampling);
    }
    let period = base.phonons.map_or(1, |p| p.period);
    for (n, d) in [(1, 2), (3, 4), (5, 4)] {
        // Whole multiples of the phonon period, so that the grid stays a supercell.
        let k = base.k_points.map(|k| (k * n / d / period).max(1) * period);
        add("k_points", format!("[{}, {}]", k[0], k[1]), &|s| s.k_points = k);
    }
    if let Some(phonons) = base.phonons {
        add("phonon_pairs", (2 * phonons.pairs).to_string(), &|s| s.phonons = Some(PhononSettings { pairs: 2 * phonons.pairs, ..phonons }));
        add("phonon_period", (2 * period).to_string(), &|s| s.phonons = Some(PhononSettings { period: 2 * period, ..phonons }));
        add("phonons", "false".to_owned(), &|s| s.phonons = None);
    }
    add("plane_tolerance_angstrom", "0.02".to_owned(), &|s| s.slicing = Slicing::Planes { tolerance_angstrom: 0.02 });
    for thickness in [2.0, 4.0] {
        let slicing = Slicing::Equal { thickness_angstrom: thickness };
        add("slice_thickness_angstrom", thickness.to_string(), &move |s| s.slicing = slicing);
    }
    add("scattering_factors", "kirkland".to_owned(), &|s| s.scattering_factors = ScatteringFactors::Kirkland);
    add("tilt_raster", "shifted".to_owned(), &|s| s.tilt_raster = TiltRaster::Shifted);
    out
}
