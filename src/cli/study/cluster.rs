//! `mistilt study submit`: a study as a job array of a Slurm cluster.

use super::plan::headline;
use super::{SubmitArgs, duration};
use crate::cli::failure::Failure;
use crate::cli::output::Output;
use crate::study::plan::Plan;
use crate::study::run;
use crate::study::slurm::{self, Request};
use serde_json::json;
use std::num::NonZeroUsize;

pub(super) fn submit(args: &SubmitArgs, output: &mut Output) -> Result<(), Failure> {
    let study = args.results.study.read()?;
    output.say(&headline(&study));
    let session = args.results.session(&study);
    let plan = Plan::new(study.points())?;
    let threads = args.results.threads.map_or(1, NonZeroUsize::get);
    let cost = plan.cost(threads)?;
    let elements = args.elements.map_or_else(|| slurm::elements(cost.seconds, run::block_count(&plan)), NonZeroUsize::get);
    let each = cost.seconds / elements as f64;
    let program = std::env::current_exe().map_err(|e| Failure::BadInput(format!("the path of this program is not known ({e})")))?;
    let request = |fingerprint: &str| Request {
        name: format!("mistilt-{}", study.name),
        program,
        arguments: format!("{} --submitted {fingerprint}", args.results.typed_without_threads()),
        elements,
        threads,
        minutes: args.minutes.unwrap_or_else(|| slurm::minutes(each)),
        megabytes: args.memory_mb.unwrap_or((1.5 * cost.memory_bytes / 1e6).ceil() as u64 + 200),
        gres: args.gres.clone(),
        logs: session.target.with_extension("logs"),
        options: args.sbatch.clone(),
    };
    output.say(&format!(
        "about {} on {threads} threads: {elements} elements of about {} each, then a merge",
        duration(cost.seconds),
        duration(each)
    ));
    if args.dry_run {
        let request = request(&run::fingerprint(&study, &plan, &session)?);
        if output.json {
            return Ok(
                output.json(&json!({ "elements": elements, "array": request.array_script(), "merge": request.merge_script("ARRAY") }))?
            );
        }
        return Ok(output.data(&format!("{}\n{}", request.array_script(), request.merge_script("ARRAY")))?);
    }
    let (request, submitted) = run::submit(&study, &plan, &session, request)?;
    output.say(&format!("logs go to {}; see how it goes: mistilt study status {}", request.logs.display(), args.results.typed()));
    if output.json {
        return Ok(output.json(&submitted)?);
    }
    Ok(output.data(&format!("array {}\nmerge {}\n", submitted.array, submitted.merge))?)
}
