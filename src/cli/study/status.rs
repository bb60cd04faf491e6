//! `mistilt study status`: how far a study is.

use super::plan::headline;
use super::{ResultsArgs, duration};
use crate::cli::failure::Failure;
use crate::cli::output::Output;
use crate::study::Holder;
use crate::study::plan::Plan;
use crate::study::run::Session;
use crate::study::slurm::{self, Job, Submitted};
use crate::study::status::Status;
use serde_json::{Value as Json, json};
use std::fmt::Write as _;
use std::time::{SystemTime, UNIX_EPOCH};

pub(super) fn status(args: &ResultsArgs, output: &mut Output) -> Result<(), Failure> {
    let study = args.study.read()?;
    output.say(&headline(&study));
    let session = args.session(&study);
    if study.learning.is_some() {
        return super::learning::status(&study, &session, output);
    }
    let plan = Plan::new(study.points())?;
    let status = Status::of(&study, &plan, &session)?;
    let missing = status.missing();
    let seconds_left = if missing > 0 {
        let threads = args.threads.or_else(|| std::thread::available_parallelism().ok()).map_or(1, std::num::NonZeroUsize::get);
        status.seconds_left(&plan.cost(threads)?)
    } else {
        0.0
    };
    let jobs = status.submitted.as_ref().map(jobs_of);
    let blocks = status.left.iter().fold((0, 0), |(done, all), l| (done + l.blocks.0, all + l.blocks.1));
    if output.json {
        let failed: Vec<_> = status.failed.iter().map(|f| json!({ "point": f.point, "stage": f.stage, "error": f.error })).collect();
        let own = json!({
            "points": status.points,
            "done": status.done,
            "failed": failed,
            "left": status.missing(),
            "blocks": { "done": blocks.0, "all": blocks.1 },
            "seconds_left": seconds_left,
        });
        output.json(&with_places(own, &session, (&status.at_work, status.published), (status.submitted.as_ref(), jobs.as_ref())))?;
    } else {
        output.data(&lines(&status, blocks, seconds_left, jobs.as_ref()))?;
    }
    if status.done == status.points {
        return Ok(());
    }
    Err(Failure::Incomplete(format!("{} of {} points are not done", status.points - status.done, status.points)))
}

fn lines(status: &Status, blocks: (usize, usize), seconds_left: f64, jobs: Option<&Jobs>) -> String {
    let Status { points, done, failed, published, .. } = status;
    let mut out = format!("done    {done} of {points} points\nfailed  {}\nleft    {}\n", failed.len(), status.missing());
    // Writing to a String cannot fail.
    if status.missing() > 0 {
        let _ = writeln!(out, "time    about {} left for one process on this machine", duration(seconds_left));
    }
    let _ = writeln!(out, "waves   {} of {} blocks of k-points", blocks.0, blocks.1);
    for failure in failed {
        let _ = writeln!(out, "point {} failed ({}): {}", failure.point, failure.stage, failure.error);
    }
    out += &at_work(&status.at_work);
    if let (Some(submitted), Some(jobs)) = (&status.submitted, jobs) {
        out += &slurm_lines(submitted, jobs);
    }
    let _ = writeln!(out, "results {}", if *published { "written" } else { "not written yet" });
    out
}

/// What `own` says of a study, with who is at work on it, its jobs, and where its results and its store stand.
pub(super) fn with_places(
    mut own: Json,
    session: &Session,
    (at_work, published): (&[Holder], bool),
    (submitted, jobs): (Option<&Submitted>, Option<&Jobs>),
) -> Json {
    own["at_work"] = json!(at_work);
    own["submitted"] = json!(submitted);
    own["jobs"] = json!(jobs.map(|j| &j.0));
    own["accounting"] = json!(jobs.map(|j| &j.1));
    own["published"] = json!(published);
    own["folder"] = json!(session.target);
    own["store"] = json!(session.store);
    own
}

/// Jobs in the queue, and in the books.
pub(super) type Jobs = (Vec<Job>, Vec<Job>);

/// What Slurm says of the jobs of a study.
pub(super) fn jobs_of(submitted: &Submitted) -> Jobs {
    (slurm::queue(submitted).unwrap_or_default(), slurm::accounting(submitted).unwrap_or_default())
}

/// Who is at work, a line each.
pub(super) fn at_work(holders: &[Holder]) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs());
    let line = |h: &Holder| format!("at work: {} on {} for {}\n", h.sentence(), h.stage, duration(now.saturating_sub(h.since) as f64));
    holders.iter().map(line).collect()
}

/// The jobs of a study, a line each.
pub(super) fn slurm_lines(submitted: &Submitted, (queue, accounting): &Jobs) -> String {
    let mut out = format!("slurm   array {} of {} elements, merge {}\n", submitted.array, submitted.elements, submitted.merge);
    // While the queue knows the jobs it is newer than the books. Writing to a String cannot fail.
    for job in if queue.is_empty() { accounting } else { queue } {
        let _ = writeln!(out, "job {}: {} {}", job.id, job.state.to_lowercase(), if job.reason == "None" { "" } else { &job.reason });
    }
    if queue.is_empty() && accounting.is_empty() {
        let _ = writeln!(out, "no job of it is in the queue");
    }
    out
}
