//! `mistilt study ...`: the life of a study, from its file to its report.

use super::failure::Failure;
use super::output::Output;
use crate::study::plan::{self, Cost, Plan};
use crate::study::{RunError, Study, run};
use clap::Subcommand;
use serde_json::{Value as Json, json};
use std::fmt::Write as _;
use std::num::NonZeroUsize;
use std::path::PathBuf;

#[derive(Debug, Subcommand)]
#[expect(clippy::doc_markdown, reason = "the examples are help that a terminal shows, not Markdown")]
pub(super) enum Command {
    /// Check a study file and print its points, without computing anything
    ///
    /// Prints one line a point with the value of every axis, each in the unit that its
    /// column names. A mistake in the file is shown with its line, and no point is printed.
    ///
    /// Examples:
    ///
    ///   mistilt study plan studies/tilt.toml
    ///   mistilt study plan studies/tilt.toml --set microscope.voltage_kv=200
    ///   mistilt study plan studies/tilt.toml --set 'crystal.thickness_nm=[10, 20]'
    ///   mistilt study plan studies/tilt.toml --json
    #[command(verbatim_doc_comment)]
    Plan(StudyArgs),
    /// Run a study and write its results and report
    ///
    /// Simulates every point (points that differ only in tilt, thickness, probe, detector or
    /// estimator share one propagation of waves), measures the columns and writes
    /// results/NAME/: records.csv and records.npz (one row a point, detector and estimator),
    /// images/*.npy with their truth in a sidecar, figures/*.svg and *.png, provenance.json,
    /// and report.html, which explains them. The folder appears when all is done.
    ///
    /// Examples:
    ///
    ///   mistilt study run studies/tilt.toml
    ///   mistilt study run studies/tilt.toml -o results/thin --set crystal.thickness_nm=10
    #[command(verbatim_doc_comment)]
    Run(RunArgs),
}

/// Which study.
#[derive(Debug, Clone, clap::Args)]
pub struct StudyArgs {
    /// The study file (TOML)
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// Value of a key over what the file says, with the unit in the key's name; a list makes an axis. May be given again. Default: none
    #[arg(long, value_name = "KEY=VALUE")]
    pub set: Vec<String>,
}

impl StudyArgs {
    /// Reads and checks the study.
    pub fn read(&self) -> Result<Study, crate::study::StudyError> {
        Study::read(&self.file, &self.set)
    }
}

/// Which study, where its results go and what it may use.
#[derive(Debug, Clone, clap::Args)]
pub struct RunArgs {
    /// The study and its overrides.
    #[command(flatten)]
    pub study: StudyArgs,
    /// Folder of results; one with earlier results is replaced. Default: results/ and the study's name
    #[arg(long, short, value_name = "DIR")]
    pub output: Option<PathBuf>,
    /// Threads to compute with, 1 or more; the results do not depend on it. Default: all cores
    #[arg(long, value_name = "N")]
    pub threads: Option<NonZeroUsize>,
}

pub(super) fn run(command: &Command, output: &mut Output) -> Result<(), Failure> {
    match command {
        Command::Plan(args) => plan(args, output),
        Command::Run(args) => run_study(args, output),
    }
}

fn run_study(args: &RunArgs, output: &mut Output) -> Result<(), Failure> {
    let study = args.study.read()?;
    output.say(&headline(&study));
    let target = args.output.clone().unwrap_or_else(|| PathBuf::from("results").join(&study.name));
    let outcome = with_threads(args.threads, || {
        let plan = Plan::new(study.points())?;
        let bar = output.bar(plan.steps());
        let outcome = run::run(&study, &plan, &target, &|steps| bar.inc(steps as u64))?;
        bar.finish_and_clear();
        Ok::<_, RunError>(outcome)
    })?;
    for sentence in outcome.warnings.iter().chain(&outcome.answers) {
        output.say(sentence);
    }
    let report = outcome.folder.join("report.html");
    output.say(&format!("{} measurements in {:.0} s. The report is {}", outcome.records.len(), outcome.seconds, report.display()));
    if output.json {
        let refused = outcome.records.iter().filter(|r| r.measured_pm.is_err()).count();
        return Ok(output.json(&json!({
            "folder": outcome.folder,
            "report": report,
            "points": study.points().len(),
            "records": outcome.records.len(),
            "refused": refused,
            "seconds": outcome.seconds,
            "answers": outcome.answers,
            "warnings": outcome.warnings,
        }))?);
    }
    Ok(output.data(&format!("{}\n", report.display()))?)
}

/// Runs `work` on so many threads, all cores if none are named.
pub(super) fn with_threads<T: Send>(
    threads: Option<NonZeroUsize>,
    work: impl FnOnce() -> Result<T, RunError> + Send,
) -> Result<T, Failure> {
    let builder = rayon::ThreadPoolBuilder::new().num_threads(threads.map_or(0, NonZeroUsize::get));
    let pool =
        builder.build().map_err(|e| Failure::BadInput(format!("the threads could not be started ({e}); ask for fewer with --threads")))?;
    Ok(pool.install(work)?)
}

fn plan(args: &StudyArgs, output: &mut Output) -> Result<(), Failure> {
    let study = args.read()?;
    output.say(&headline(&study));
    let plan = Plan::new(study.points())?;
    let threads = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
    let cost = plan.cost(threads)?;
    output.say(&cost_lines(&plan, &cost, threads));
    if output.json {
        return Ok(output.json(&plan_json(&study, &plan, &cost))?);
    }
    Ok(output.data(&points_table(&study))?)
}

/// Rows the table will have.
fn measurements(study: &Study) -> usize {
    study.points().iter().map(|p| p.config.microscope.detectors.len() * p.config.measure.estimators.len()).sum()
}

/// One line: name, points and the axes that make them.
fn headline(study: &Study) -> String {
    let groups = study.axes.iter().map(|axis| axis.group + 1).max().unwrap_or(0);
    let factor = |group: usize| {
        let axes: Vec<_> = study.axes.iter().filter(|axis| axis.group == group).collect();
        let names = axes.iter().map(|axis| axis.column.as_str()).collect::<Vec<_>>().join(" with ");
        format!("{} {names}", axes.first().map_or(0, |axis| axis.values.len()))
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
    let shared: Vec<String> = plan.propagations.iter().map(one).collect();
    let propagations = match plan.propagations.len() {
        1 => "1 propagation".to_owned(),
        n => format!("{n} propagations"),
    };
    format!(
        "{propagations}:\n{}\nabout {} on {threads} threads ({:.2e} pixel-slices, {:.0} transmission functions), {:.0} MB of memory",
        shared.join("\n"),
        duration(cost.seconds),
        cost.pixel_slices,
        cost.transmissions,
        cost.bytes / 1e6
    )
}

/// Seconds as a person says them.
fn duration(seconds: f64) -> String {
    match seconds {
        s if s < 100.0 => format!("{s:.0} s"),
        s if s < 6000.0 => format!("{:.0} min", s / 60.0),
        s if s < 180_000.0 => format!("{:.1} h", s / 3600.0),
        s => format!("{:.1} days", s / 86400.0),
    }
}

fn plan_json(study: &Study, plan: &Plan, cost: &Cost) -> Json {
    let axes: Vec<Json> = study
        .axes
        .iter()
        .map(|axis| json!({ "key": axis.key, "column": axis.column, "group": axis.group, "values": axis.values }))
        .collect();
    json!({
        "name": study.name,
        "question": study.question,
        "file": study.source.name,
        "overrides": study.overrides,
        "points": study.points().len(),
        "tasks": { "propagations": plan.propagations.len(), "k_points": plan.steps(), "measurements": measurements(study) },
        "pixel_slices": cost.pixel_slices,
        "transmission_functions": cost.transmissions,
        "seconds": cost.seconds,
        "bytes": cost.bytes,
        "axes": axes,
    })
}
