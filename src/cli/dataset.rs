//! `mistilt dataset`: from a study file to a folder of labelled training data.

use super::failure::Failure;
use super::output::Output;
use super::study::{StudyArgs, interrupt, quoted, with_threads};
use crate::study::RunError;
use crate::study::dataset_run::{self, DatasetPlan, Means, Part};
use crate::study::frames::FramesPlan;
use crate::study::library_check::{check_dataset, table};
use serde_json::json;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Instant;

/// Which study, where to.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    study: StudyArgs,
    /// Folder of the dataset; good files in it are kept
    #[arg(long, short, value_name = "DIR")]
    output: PathBuf,
    /// Make part I of N of the files, I from 1 to N: for several processes or machines on one folder. Default: all
    #[arg(long, value_name = "I/N", value_parser = part)]
    part: Option<Part>,
    /// Folder in which libraries are kept, by a hash of what they depend on. Default: library/ in the dataset's folder
    #[arg(long, value_name = "DIR")]
    library: Option<PathBuf>,
    /// Cells of the strips on which the library is held against multislice of every atom, 4 to 32. Default: 8
    #[arg(long, value_name = "N", default_value_t = 8, hide_default_value = true, value_parser = clap::value_parser!(u32).range(4..=32))]
    check_cells: u32,
    /// Threads to compute with, 1 or more; the data do not depend on it. Default: all cores
    #[arg(long, value_name = "N")]
    threads: Option<NonZeroUsize>,
}

fn part(text: &str) -> Result<Part, String> {
    let parsed = text.split_once('/').and_then(|(i, n)| Some((i.trim().parse::<u64>().ok()?, n.trim().parse::<u64>().ok()?)));
    match parsed {
        Some((i, n)) if (1..=n).contains(&i) => Ok(Part { index: i - 1, count: n }),
        _ => Err("write it as 2/8: the second of eight parts".to_owned()),
    }
}

pub(super) fn run(args: &Args, output: &mut Output) -> Result<(), Failure> {
    let study = args.study.read()?;
    let plan = DatasetPlan::new(&study)?;
    let start = Instant::now();
    let part = args.part.unwrap_or(Part { index: 0, count: 1 });
    let interrupt = interrupt().map_err(|e| Failure::BadInput(format!("signals cannot be caught: {e}")))?;
    let shared = with_threads(args.threads, || shared(&plan))?;
    let made = with_threads(args.threads, || {
        let span = shared.span();
        let bar = output.bar_of(shared.steps(), "library {wide_bar} {pos}/{len} k-points, {eta} left");
        let library = args.library.clone().unwrap_or_else(|| args.output.join("library"));
        let frames = shared.make(Some(&library), &|n| bar.inc(n as u64))?;
        bar.finish_and_clear();
        let bar = output.bar_of(plan.samples() as usize, "{wide_bar} {pos}/{len} images, {eta} left {msg}");
        let held_out = plan.sample(0)?.config;
        let outcome = dataset_run::run(
            &plan,
            &args.output,
            part,
            &Means {
                frame: &|sample| frames.image(&sample.config, sample.number),
                library_error: &|| {
                    let tell = |text: &str| bar.set_message(text.to_owned());
                    span.map_or(Ok(Vec::new()), |span| check_dataset(&held_out, &span, args.check_cells, &tell))
                },
                progress: &|n| bar.inc(n as u64),
                stop: &|| interrupt.raised(),
            },
        );
        bar.finish_and_clear();
        outcome
    });
    let outcome = match made {
        Err(Failure::Run(RunError::Interrupted)) => {
            let again = std::env::args().map(|word| quoted(&word)).collect::<Vec<_>>().join(" ");
            return Err(Failure::Stopped { again });
        }
        made => made?,
    };
    let seconds = start.elapsed().as_secs_f64();
    if !outcome.library_error.is_empty() {
        output.say("What the library of column responses costs against multislice of every atom, on held-out scenes:");
        output.say(table(&outcome.library_error).trim_end());
    }
    for note in &outcome.notes {
        output.say(note);
    }
    if outcome.shards < outcome.all {
        output.say(&format!("{} of {} files are there; the manifest appears with the last", outcome.shards, outcome.all));
    }
    if output.json {
        return Ok(output.json(&json!({
            "folder": outcome.folder, "shards": outcome.shards, "shards_in_all": outcome.all, "shards_kept": outcome.kept,
            "windows": outcome.items, "seconds": seconds, "library_error": outcome.library_error,
        }))?);
    }
    Ok(output.data(&format!(
        "{} {} files ({} kept), {} windows\n",
        outcome.folder.display(),
        outcome.shards,
        outcome.kept,
        outcome.items
    ))?)
}

/// What the samples share: their scenes are looked at one by one.
fn shared(plan: &DatasetPlan<'_>) -> Result<FramesPlan, RunError> {
    let mut refused = None;
    let settings = (0..plan.samples()).map_while(|n| match plan.sample(n) {
        Ok(sample) => Some((sample.config, sample.number)),
        Err(error) => {
            refused = Some(error);
            None
        }
    });
    let shared = FramesPlan::new(settings)?;
    refused.map_or(Ok(shared), Err)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_counted_from_one() {
        assert_eq!(part("2/8").unwrap(), Part { index: 1, count: 8 });
        for bad in ["0/8", "9/8", "2", "a/b", "2/0", ""] {
            assert!(part(bad).is_err(), "{bad}");
        }
    }
}
