//! `mistilt study ...`: the life of a study, from its file to its report.

use super::failure::Failure;
use super::output::Output;
use crate::study::Study;
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
    /// Folder of results. Default: results/ and the study's name and hash
    #[arg(long, short, value_name = "DIR")]
    pub output: Option<PathBuf>,
    /// Threads to compute with, 1 or more; the results do not depend on it. Default: all cores
    #[arg(long, value_name = "N")]
    pub threads: Option<NonZeroUsize>,
}

pub(super) fn run(command: &Command, output: &mut Output) -> Result<(), Failure> {
    match command {
        Command::Plan(args) => plan(args, output),
    }
}

fn plan(args: &StudyArgs, output: &mut Output) -> Result<(), Failure> {
    let study = args.read()?;
    output.say(&headline(&study));
    if output.json {
        return Ok(output.json(&plan_json(&study))?);
    }
    Ok(output.data(&points_table(&study))?)
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

fn plan_json(study: &Study) -> Json {
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
        "axes": axes,
    })
}
