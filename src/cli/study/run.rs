//! `mistilt study run`, `retry` and `merge`: the commands that compute and that leave results.

use super::plan::headline;
use super::{MergeArgs, ResultsArgs, RunArgs, duration, interrupt};
use crate::cli::failure::Failure;
use crate::cli::output::Output;
use crate::multislice::DeviceChoice;
use crate::study::plan::Plan;
use crate::study::run::{self, Outcome, Session};
use crate::study::share::Share;
use crate::study::{RunError, Study};
use serde_json::json;
use std::num::NonZeroUsize;

/// A study, how to work on it, and the command that would go on with it.
struct Task {
    study: Study,
    session: Session,
    device: DeviceChoice,
    again: String,
}

impl Task {
    fn new(args: &ResultsArgs, again: String, output: &Output) -> Result<Self, Failure> {
        let study = args.study.read()?;
        output.say(&headline(&study));
        let mut session = args.session(&study);
        session.interrupt = interrupt().map_err(|e| Failure::BadInput(format!("signals cannot be caught: {e}")))?;
        Ok(Self { study, session, device: args.device.device, again })
    }

    /// Runs `work` with the plan and a progress bar on so many threads; a stop tells how to go on.
    fn run<T: Send>(
        &self,
        threads: Option<NonZeroUsize>,
        share: Share,
        output: &Output,
        work: impl FnOnce(&Plan, &(dyn Fn(usize) + Sync)) -> Result<T, RunError> + Send,
    ) -> Result<T, Failure> {
        let result = with_threads(threads, || {
            let plan = Plan::new(self.study.points())?.on(self.device)?;
            warn_of_length(&plan, output)?;
            let bar = output.bar(run::steps(&plan, share));
            let done = work(&plan, &|steps| bar.inc(steps as u64));
            bar.finish_and_clear();
            done
        });
        match result {
            Err(Failure::Run(RunError::Interrupted)) => Err(Failure::Stopped { again: self.again.clone() }),
            result => result,
        }
    }
}

pub(super) fn run(args: &RunArgs, output: &mut Output) -> Result<(), Failure> {
    let shard = args.shard.map_or(String::new(), |shard| format!(" --shard {shard}"));
    let mut task = Task::new(&args.results, format!("mistilt study run {}{shard}", args.results.typed()), output)?;
    task.session.submitted.clone_from(&args.submitted);
    let (study, session, threads) = (&task.study, &task.session, args.results.threads);
    if study.learning.is_some() {
        let learning = super::learning::Task { study, session, threads, again: &task.again };
        return match args.shard {
            Some(share) => learning.share(share, &format!("mistilt study merge {}", args.results.typed()), output),
            None => learning.run(output),
        };
    }
    let Some(share) = args.shard else {
        let outcome = task.run(threads, Share::WHOLE, output, |plan, progress| run::run(study, plan, session, progress))?;
        return tell(study, &outcome, output);
    };
    let failures = task.run(threads, share, output, |plan, progress| run::run_share(study, plan, session, share, progress))?;
    output.say(&format!(
        "Share {share} of {} is done; once all are, write the results: mistilt study merge {}",
        study.name,
        args.results.typed()
    ));
    if output.json {
        let failed: Vec<_> = failures.iter().map(|f| json!({ "point": f.point, "stage": f.stage, "error": f.error })).collect();
        output.json(&json!({ "shard": share.to_string(), "store": session.store, "failed": failed }))?;
    }
    match failures.first() {
        None => Ok(()),
        Some(first) => {
            Err(Failure::Incomplete(format!("{} points of this share failed, the first, {}: {}", failures.len(), first.point, first.error)))
        }
    }
}

pub(super) fn retry(args: &ResultsArgs, output: &mut Output) -> Result<(), Failure> {
    let task = Task::new(args, format!("mistilt study run {}", args.typed()), output)?;
    let (study, session) = (&task.study, &task.session);
    if study.learning.is_some() {
        // A training that failed has left no network, and every run tries it again.
        return super::learning::Task { study, session, threads: args.threads, again: &task.again }.run(output);
    }
    let (retried, outcome) = task.run(args.threads, Share::WHOLE, output, |plan, progress| run::retry(study, plan, session, progress))?;
    output.say(&format!("{retried} failed points were tried again."));
    tell(study, &outcome, output)
}

pub(super) fn merge(args: &MergeArgs, output: &mut Output) -> Result<(), Failure> {
    let MergeArgs { results: args, partial, submitted } = args;
    let partial = *partial;
    let flag = if partial { " --partial" } else { "" };
    let mut task = Task::new(args, format!("mistilt study merge {}{flag}", args.typed()), output)?;
    task.session.submitted.clone_from(submitted);
    let (study, session) = (&task.study, &task.session);
    if study.learning.is_some() {
        if partial {
            return Err(Failure::BadInput("a learning study is merged once all its networks are trained: leave out --partial".to_owned()));
        }
        return super::learning::Task { study, session, threads: args.threads, again: &task.again }.merge(output);
    }
    let outcome = task.run(args.threads, Share::WHOLE, output, |plan, progress| run::merge(study, plan, session, partial, progress))?;
    tell(study, &outcome, output)
}

/// Warns before more than a day of work begins. The calibration runs only where there is much to do at any speed.
fn warn_of_length(plan: &Plan, output: &Output) -> Result<(), RunError> {
    let threads = rayon::current_num_threads();
    if plan.seconds_at_least(threads) > DAY / 24.0 {
        warn_if_long(plan.cost(threads)?.seconds, output);
    }
    Ok(())
}

const DAY: f64 = 86_400.0;

/// Warns of so many seconds of work on this thread pool, if they are more than a day.
pub(super) fn warn_if_long(seconds: f64, output: &Output) {
    if seconds > DAY {
        let hint = if seconds > 30.0 * DAY { ". Take fewer values, k-points or repeats, or a cluster" } else { "" };
        output.say(&format!(
            "warning: this takes about {} on {} threads{hint}. It can be stopped and goes on where it was; \
             mistilt study submit spreads it over a cluster",
            duration(seconds),
            rayon::current_num_threads()
        ));
    }
}

/// What came of it; points that are not there make the command incomplete.
fn tell(study: &Study, outcome: &Outcome, output: &mut Output) -> Result<(), Failure> {
    for sentence in outcome.warnings.iter().chain(&outcome.answers) {
        output.say(sentence);
    }
    let report = outcome.folder.join("report.html");
    output.say(&format!("{} measurements in {}. The report is {}", outcome.records.len(), duration(outcome.seconds), report.display()));
    if output.json {
        let refused = outcome.records.iter().filter(|r| r.measured_pm.is_err()).count();
        output.json(&json!({
            "folder": outcome.folder,
            "report": report,
            "points": study.points().len(),
            "records": outcome.records.len(),
            "refused": refused,
            "failed": outcome.failures.len(),
            "missing": outcome.missing,
            "seconds": outcome.seconds,
            "answers": outcome.answers,
            "warnings": outcome.warnings,
        }))?;
    } else {
        output.data(&format!("{}\n", report.display()))?;
    }
    let points = study.points().len();
    match (outcome.failures.len(), outcome.missing) {
        (0, 0) => Ok(()),
        (0, missing) => Err(Failure::Incomplete(format!("{missing} of {points} points are not computed yet"))),
        (failed, _) => Err(Failure::Incomplete(format!(
            "{failed} of {points} points failed: {} says why, and `mistilt study retry` tries them again",
            outcome.folder.join("failures.csv").display()
        ))),
    }
}

/// Runs `work` on so many threads, all cores if none are named.
pub(in crate::cli) fn with_threads<T: Send>(
    threads: Option<NonZeroUsize>,
    work: impl FnOnce() -> Result<T, RunError> + Send,
) -> Result<T, Failure> {
    let builder = rayon::ThreadPoolBuilder::new().num_threads(threads.map_or(0, NonZeroUsize::get));
    let pool =
        builder.build().map_err(|e| Failure::BadInput(format!("the threads could not be started ({e}); ask for fewer with --threads")))?;
    Ok(pool.install(work)?)
}
