//! `mistilt study run` of a study with `[learning]`: networks trained and tested on its images.

use super::super::failure::Failure;
use super::super::output::Output;
use super::run::with_threads;
use crate::study::learning::{self, LearningOutcome};
use crate::study::run::Session;
use crate::study::vault::LIBRARIES;
use crate::study::{RunError, Study, frames};
use serde_json::json;
use std::num::NonZeroUsize;
use std::time::Instant;

/// Runs it; a stop tells how to go on.
pub(super) fn run(
    study: &Study,
    session: &Session,
    threads: Option<NonZeroUsize>,
    again: &str,
    output: &mut Output,
) -> Result<(), Failure> {
    let start = Instant::now();
    let bar = output.bar(learning::step_count(study));
    let result = with_threads(threads, || {
        let repeats = study.learning.as_ref().map_or(1, |l| u64::from(l.repeats));
        let settings = study.points().iter().flat_map(|p| (0..repeats).map(|n| (p.config.clone(), n)));
        let maker = frames::Frames::prepare(settings, Some(&session.store.join(LIBRARIES)))?;
        learning::run(study, session, &|point, repeat, _| maker.image(&point.config, u64::from(repeat)), &|steps| bar.inc(steps as u64))
    });
    bar.finish_and_clear();
    let outcome = match result {
        Err(Failure::Run(RunError::Interrupted)) => return Err(Failure::Stopped { again: again.to_owned() }),
        result => result?,
    };
    tell(study, &outcome, start.elapsed().as_secs_f64(), output)
}

fn tell(study: &Study, outcome: &LearningOutcome, seconds: f64, output: &mut Output) -> Result<(), Failure> {
    for sentence in outcome.warnings.iter().chain(&outcome.answers) {
        output.say(sentence);
    }
    let report = outcome.folder.join("report.html");
    output.say(&format!("{} tests of networks and fits in {seconds:.0} s. The report is {}", outcome.records.len(), report.display()));
    if output.json {
        let refused = outcome.records.iter().filter(|r| r.score.is_none()).count();
        return Ok(output.json(&json!({
            "folder": outcome.folder, "report": report, "points": study.points().len(), "records": outcome.records.len(), "refused": refused,
            "seconds": seconds, "answers": outcome.answers, "warnings": outcome.warnings,
        }))?);
    }
    Ok(output.data(&format!("{}\n", report.display()))?)
}
