//! Studies with `[learning]`, whose networks are trained and tested on their images: run, shared out, merged, and how far they are.

use super::super::failure::Failure;
use super::super::output::Output;
use super::run::{warn_if_long, with_threads};
use super::status::{at_work, jobs_of, slurm_lines, with_places};
use crate::study::learning::{self, LearningOutcome, LearningStatus};
use crate::study::run::Session;
use crate::study::scene_cost::SceneCost;
use crate::study::share::Share;
use crate::study::{RunError, Study};
use serde_json::json;
use std::fmt::Write as _;
use std::num::NonZeroUsize;
use std::time::Instant;

/// How a command works on a learning study, and the command that would go on with it.
pub(super) struct Task<'a> {
    pub(super) study: &'a Study,
    pub(super) session: &'a Session,
    pub(super) threads: Option<NonZeroUsize>,
    pub(super) again: &'a str,
}

impl Task<'_> {
    /// Runs `work` with a progress bar of so many steps; a stop tells how to go on.
    fn work<T: Send>(
        &self,
        steps: usize,
        output: &Output,
        work: impl FnOnce(&(dyn Fn(usize) + Sync)) -> Result<T, RunError> + Send,
    ) -> Result<T, Failure> {
        let bar = output.bar(steps);
        let result = with_threads(self.threads, || work(&|steps| bar.inc(steps as u64)));
        bar.finish_and_clear();
        match result {
            Err(Failure::Run(RunError::Interrupted)) => Err(Failure::Stopped { again: self.again.to_owned() }),
            result => result,
        }
    }

    /// Runs all of it and writes the results, after a warning where that takes days: timing a part of it is worth it only where there is much.
    pub(super) fn run(&self, output: &mut Output) -> Result<(), Failure> {
        const MANY: usize = 200;
        let start = Instant::now();
        if learning::network_count(self.study) > MANY {
            with_threads(self.threads, || {
                warn_if_long(SceneCost::of(self.study, rayon::current_num_threads())?.seconds(), output);
                Ok(())
            })?;
        }
        let steps = learning::step_count(self.study)?;
        let outcome = self.work(steps, output, |progress| learning::run(self.study, self.session, progress))?;
        tell(self.study, &outcome, start.elapsed().as_secs_f64(), output)
    }

    /// Trains one share of its networks.
    pub(super) fn share(&self, share: Share, merge: &str, output: &mut Output) -> Result<(), Failure> {
        let steps = learning::share_steps(self.study, share)?;
        let refused = self.work(steps, output, |progress| learning::run_share(self.study, self.session, share, progress))?;
        output.say(&format!("Share {share} of {} is done; once all are, write the results: {merge}", self.study.name));
        for why in &refused {
            output.say(&format!("warning: a network could not be trained: {why}"));
        }
        if output.json {
            output.json(&json!({ "shard": share.to_string(), "store": self.session.store, "refused": refused }))?;
        }
        Ok(())
    }

    /// Writes the results of networks that are all trained.
    pub(super) fn merge(&self, output: &mut Output) -> Result<(), Failure> {
        learning::check_merge(self.study, self.session)?;
        self.run(output)
    }
}

/// How far a learning study is.
pub(super) fn status(study: &Study, session: &Session, output: &mut Output) -> Result<(), Failure> {
    let status = learning::status(study, session)?;
    let jobs = status.submitted.as_ref().map(jobs_of);
    let LearningStatus { networks, done, refused, .. } = &status;
    if output.json {
        let own = json!({ "networks": networks, "done": done, "left": networks - done, "refused": refused });
        output.json(&with_places(own, session, (&status.at_work, status.published), (status.submitted.as_ref(), jobs.as_ref())))?;
    } else {
        let mut out = format!("done    {done} of {networks} networks\nrefused {}\nleft    {}\n", refused.len(), networks - done);
        // Writing to a String cannot fail.
        for why in refused {
            let _ = writeln!(out, "a network cannot be trained: {why}");
        }
        out += &at_work(&status.at_work);
        if let (Some(submitted), Some(jobs)) = (&status.submitted, &jobs) {
            out += &slurm_lines(submitted, jobs);
        }
        let _ = writeln!(out, "results {}", if status.published { "written" } else { "not written yet" });
        output.data(&out)?;
    }
    if done == networks {
        return Ok(());
    }
    Err(Failure::Incomplete(format!("{} of {networks} networks are not trained", networks - done)))
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
