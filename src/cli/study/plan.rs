//! `mistilt study plan`: the points of a study and what they cost, before anything runs.

use super::{StudyArgs, duration};
use crate::cli::failure::Failure;
use crate::cli::output::Output;
use crate::multislice::DeviceChoice;
use crate::study::Study;
use crate::study::cost::Cost;
use crate::study::plan::{self, Plan};
use crate::study::scene_cost::SceneCost;
use serde_json::{Value as Json, json};
use std::fmt::Write as _;
use std::num::NonZeroUsize;

/// A study of more seconds is warned of.
const DAY: f64 = 86_400.0;

pub(super) fn plan(args: &StudyArgs, output: &mut Output) -> Result<(), Failure> {
    let study = args.read()?;
    output.say(&headline(&study));
    if study.points().iter().any(|p| p.config.scene.is_some()) {
        return points_of_scenes(&study, output);
    }
    let plan = Plan::new(study.points())?.on(DeviceChoice::Auto)?;
    let threads = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
    let cost = plan.cost(threads)?;
    output.say(&cost_lines(&plan, &cost, threads));
    if output.json {
        return Ok(output.json(&plan_json(&study, &plan, &cost, threads))?);
    }
    Ok(output.data(&points_table(&study))?)
}

/// Points of scenes, and what their libraries, images and networks cost.
fn points_of_scenes(study: &Study, output: &mut Output) -> Result<(), Failure> {
    let threads = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
    let bar = output.bar_of(0, "{spinner} timing a part of it");
    let cost = SceneCost::of(study, threads)?;
    bar.finish_and_clear();
    output.say(&scene_lines(&cost, threads));
    if output.json {
        let axes: Vec<Json> = study.axes.iter().map(axis_json).collect();
        return Ok(output.json(&json!({
            "name": study.name, "question": study.question, "points": study.points().len(), "axes": axes, "threads": threads,
            "seconds": cost.seconds(), "memory_bytes": cost.memory_bytes, "disk_bytes": cost.disk_bytes, "parts": cost,
        }))?);
    }
    Ok(output.data(&points_table(study))?)
}

/// What it costs and where the time goes.
fn scene_lines(cost: &SceneCost, threads: usize) -> String {
    let parts = [
        ("libraries".to_owned(), cost.library_seconds),
        (format!("{} images", cost.images), cost.image_seconds),
        (format!("{} networks", cost.networks), cost.network_seconds),
        ("the library's check".to_owned(), cost.check_seconds),
    ];
    let parts: Vec<String> =
        parts.iter().filter(|(_, seconds)| *seconds > 0.0).map(|(what, seconds)| format!("{what} {}", duration(*seconds))).collect();
    format!(
        "about {} on {threads} threads ({}), {:.0} MB of memory, {:.0} MB on disk{}",
        duration(cost.seconds()),
        parts.join(", "),
        cost.memory_bytes / 1e6,
        cost.disk_bytes / 1e6,
        if cost.seconds() > DAY { "\nwarning: that is more than a day" } else { "" }
    )
}

fn axis_json(axis: &crate::study::Axis) -> Json {
    json!({ "key": axis.key, "column": axis.column, "group": axis.group, "values": axis.values })
}

/// Rows the table will have.
fn measurements(study: &Study) -> usize {
    study.points().iter().map(|p| p.config.microscope.detectors.len() * p.config.measure.estimators.len()).sum()
}

/// One line: name, points and the axes that make them.
pub(super) fn headline(study: &Study) -> String {
    let groups = study.axes.iter().map(|axis| axis.group + 1).max().unwrap_or(0);
    let factor = |group: usize| {
        let axes: Vec<_> = study.axes.iter().filter(|axis| axis.group == group).collect();
        let names = axes.iter().map(|axis| axis.column.as_str()).collect::<Vec<_>>().join(" with ");
        let up_to = if axes.iter().any(|axis| !axis.when.is_empty()) { "up to " } else { "" };
        format!("{up_to}{} {names}", axes.first().map_or(0, |axis| axis.values.len()))
    };
    let factors = (0..groups).map(factor).collect::<Vec<_>>().join(" × ");
    let points = match study.points().len() {
        1 => "1 point".to_owned(),
        n => format!("{n} points"),
    };
    if factors.is_empty() { format!("{}: {points}", study.name) } else { format!("{}: {points} = {factors}", study.name) }
}

/// One line a point, columns aligned, the header first.
fn points_table(study: &Study) -> String {
    let header = std::iter::once("point".to_owned()).chain(study.axes.iter().map(|axis| axis.column.clone()));
    let mut rows = vec![header.collect::<Vec<_>>()];
    rows.extend(study.points().iter().map(|point| {
        let values = point.values.iter().map(|(_, value)| value.to_string());
        std::iter::once(point.index.to_string()).chain(values).collect()
    }));
    let widths: Vec<usize> = (0..rows[0].len()).map(|c| rows.iter().map(|row| row[c].chars().count()).max().unwrap_or(0)).collect();
    let mut out = String::new();
    for row in &rows {
        let cells: Vec<String> = row.iter().zip(&widths).map(|(cell, &width)| format!("{cell:>width$}")).collect();
        // Writing to a String cannot fail.
        let _ = writeln!(out, "{}", cells.join("  "));
    }
    out
}

/// What is shared and what it costs.
fn cost_lines(plan: &Plan, cost: &Cost, threads: usize) -> String {
    let one = |p: &plan::Propagation| {
        let grid = p.setting.grid;
        let configurations = p.phonons().map_or(1, |f| 2 * f.1);
        format!(
            "  {}: {} × {} grid, {} k-points × {configurations} configurations, {:.0} waves, {} slices; serves {} points",
            p.specimen.crystal.0,
            grid.nx,
            grid.ny,
            p.k_points().iter().product::<usize>(),
            p.waves(),
            p.exits.last().copied().unwrap_or(0),
            p.places.len()
        )
    };
    // A sweep of crystals or voltages has many; the first few show what they are like.
    const SHOWN: usize = 8;
    let mut shared: Vec<String> = plan.propagations.iter().take(SHOWN).map(one).collect();
    if plan.propagations.len() > SHOWN {
        shared.push(format!("  ... and {} more", plan.propagations.len() - SHOWN));
    }
    let propagations = match plan.propagations.len() {
        1 => "1 propagation".to_owned(),
        n => format!("{n} propagations"),
    };
    format!(
        "{propagations}:\n{}\nabout {} on {threads} threads ({:.2e} pixel-slices, {:.0} transmission functions), {:.0} MB of memory, {:.0} MB on disk{}",
        shared.join("\n"),
        duration(cost.seconds),
        cost.pixel_slices,
        cost.transmissions,
        cost.memory_bytes / 1e6,
        cost.disk_bytes / 1e6,
        if cost.seconds > DAY { "\nwarning: that is more than a day; mistilt study submit spreads it over a cluster" } else { "" }
    )
}

fn plan_json(study: &Study, plan: &Plan, cost: &Cost, threads: usize) -> Json {
    let axes: Vec<Json> = study.axes.iter().map(axis_json).collect();
    json!({
        "name": study.name,
        "question": study.question,
        "file": study.source.name,
        "overrides": study.overrides,
        "points": study.points().len(),
        "tasks": { "propagations": plan.propagations.len(), "k_points": plan.steps(), "measurements": measurements(study) },
        "pixel_slices": cost.pixel_slices,
        "transmission_functions": cost.transmissions,
        "threads": threads,
        "seconds": cost.seconds,
        "bytes": cost.memory_bytes,
        "memory_bytes": cost.memory_bytes,
        "disk_bytes": cost.disk_bytes,
        "axes": axes,
    })
}
