//! `mistilt dataset`: from a study file to a folder of labelled training data.

use super::failure::Failure;
use super::output::Output;
use super::study::{StudyArgs, with_threads};
use crate::study::dataset_run::{self, DatasetPlan, Part};
use crate::study::frames::Frames;
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
    let bar = output.bar(plan.samples() as usize);
    let start = Instant::now();
    let part = args.part.unwrap_or(Part { index: 0, count: 1 });
    let outcome = with_threads(args.threads, || {
        let samples = (0..plan.samples()).map(|n| plan.sample(n)).collect::<Result<Vec<_>, _>>()?;
        let frames = Frames::prepare(samples.into_iter().map(|s| (s.config, s.number)), None)?;
        let frame = |sample: &dataset_run::Sample| frames.image(&sample.config, sample.number);
        dataset_run::run(&plan, &args.output, part, &frame, &|n| bar.inc(n as u64), &|| false)
    })?;
    bar.finish_and_clear();
    let seconds = start.elapsed().as_secs_f64();
    for note in &outcome.notes {
        output.say(note);
    }
    if outcome.shards < outcome.all {
        output.say(&format!("{} of {} files are there; the manifest appears with the last", outcome.shards, outcome.all));
    }
    if output.json {
        return Ok(output.json(&json!({
            "folder": outcome.folder, "shards": outcome.shards, "shards_in_all": outcome.all, "shards_kept": outcome.kept,
            "windows": outcome.items, "seconds": seconds,
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
