//! `mistilt study submit`: a study as a job array of a Slurm cluster.

use super::plan::headline;
use super::{SubmitArgs, duration};
use crate::cli::failure::Failure;
use crate::cli::output::Output;
use crate::study::plan::Plan;
use crate::study::run::{self, Session};
use crate::study::scene_cost::SceneCost;
use crate::study::slurm::{self, Request};
use crate::study::{RunError, Study, learning};
use serde_json::json;
use std::num::NonZeroUsize;

pub(super) fn submit(args: &SubmitArgs, output: &mut Output) -> Result<(), Failure> {
    let study = args.results.study.read()?;
    output.say(&headline(&study));
    let session = args.results.session(&study);
    let threads = args.results.threads.map_or(1, NonZeroUsize::get);
    let work = Work::of(&study, threads)?;
    let (seconds, memory_bytes, units) = work.cost;
    let elements = args.elements.map_or_else(|| slurm::elements(seconds, units), NonZeroUsize::get);
    let each = seconds / elements as f64;
    let program = std::env::current_exe().map_err(|e| Failure::BadInput(format!("the path of this program is not known ({e})")))?;
    let fingerprint = work.fingerprint(&study, &session)?;
    let request = Request {
        name: format!("mistilt-{}", study.name),
        program,
        arguments: format!("{} --submitted {fingerprint}", args.results.typed_without_threads()),
        elements,
        threads,
        minutes: args.minutes.unwrap_or_else(|| slurm::minutes(each)),
        megabytes: args.memory_mb.unwrap_or((1.5 * memory_bytes / 1e6).ceil() as u64 + 200),
        gres: args.gres.clone(),
        logs: session.target.with_extension("logs"),
        options: args.sbatch.clone(),
    };
    output.say(&format!(
        "about {} on {threads} threads: {elements} elements of about {} each, then a merge",
        duration(seconds),
        duration(each)
    ));
    if args.dry_run {
        if output.json {
            return Ok(
                output.json(&json!({ "elements": elements, "array": request.array_script(), "merge": request.merge_script("ARRAY") }))?
            );
        }
        return Ok(output.data(&format!("{}\n{}", request.array_script(), request.merge_script("ARRAY")))?);
    }
    let submitted = run::submit(&session, &fingerprint, &request)?;
    output.say(&format!("logs go to {}; see how it goes: mistilt study status {}", request.logs.display(), args.results.typed()));
    if output.json {
        return Ok(output.json(&submitted)?);
    }
    Ok(output.data(&format!("array {}\nmerge {}\n", submitted.array, submitted.merge))?)
}

/// What there is to submit: waves and points, or networks.
struct Work {
    /// Of waves; none for networks.
    plan: Option<Plan>,
    /// Seconds, bytes of memory, and units that can be computed apart.
    cost: (f64, f64, usize),
}

impl Work {
    fn of(study: &Study, threads: usize) -> Result<Self, RunError> {
        if study.learning.is_some() {
            let cost = SceneCost::of(study, threads)?;
            return Ok(Self { plan: None, cost: (cost.seconds(), cost.memory_bytes, learning::network_count(study)) });
        }
        let plan = Plan::new(study.points())?;
        let cost = plan.cost(threads)?;
        Ok(Self { cost: (cost.seconds, cost.memory_bytes, run::block_count(&plan)), plan: Some(plan) })
    }

    fn fingerprint(&self, study: &Study, session: &Session) -> Result<String, RunError> {
        self.plan.as_ref().map_or_else(|| learning::fingerprint(study), |plan| run::fingerprint(study, plan, session))
    }
}
