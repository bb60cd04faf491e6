//! `mistilt library`: the error of a library of column responses against multislice of whole scenes, one row a held-out scene.

use super::failure::Failure;
use super::output::Output;
use super::study::{StudyArgs, with_threads};
use crate::study::RunError;
use crate::study::library_check::{check, table};
use serde_json::json;
use std::num::NonZeroUsize;
use std::path::PathBuf;

/// Which study, how long strips, where figures go.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    study: StudyArgs,
    /// Point of the study, as `study plan` numbers them. Default: 0
    #[arg(long, value_name = "N", default_value_t = 0, hide_default_value = true)]
    point: usize,
    /// Cells of a strip, 4 to 32: more than two walls' widths and the probe's reach. Default: 10
    #[arg(long, value_name = "N", default_value_t = 10, hide_default_value = true, value_parser = clap::value_parser!(u32).range(4..=32))]
    cells: u32,
    /// Folder for the figure and the columns (columns.csv). Default: none is written
    #[arg(long, short, value_name = "DIR")]
    output: Option<PathBuf>,
    /// Threads to compute with, 1 or more. Default: all cores
    #[arg(long, value_name = "N")]
    threads: Option<NonZeroUsize>,
}

pub(super) fn run(args: &Args, output: &mut Output) -> Result<(), Failure> {
    let study = args.study.read()?;
    let point = study.points().get(args.point).ok_or(RunError::NoSuchPoint { asked: args.point, points: study.points().len() })?;
    let bar = output.bar(0);
    bar.set_style(indicatif::ProgressStyle::default_spinner());
    let errors = with_threads(args.threads, || check(point, args.cells, args.output.as_deref(), &|text| bar.set_message(text.to_owned())))?;
    bar.finish_and_clear();
    if let Some(folder) = &args.output {
        output.say(&format!("figure and columns in {}", folder.display()));
    }
    if output.json {
        return Ok(output.json(&json!({ "scenes": errors }))?);
    }
    Ok(output.data(&table(&errors))?)
}
