//! `mistilt study clean`: less on disk.

use super::CleanArgs;
use crate::cli::failure::Failure;
use crate::cli::output::Output;
use crate::study::clean::{self, Scope};
use serde_json::json;

pub(super) fn clean(args: &CleanArgs, output: &mut Output) -> Result<(), Failure> {
    let study = args.results.study.read()?;
    let session = args.results.session(&study);
    let scope = match (args.own, args.others) {
        (true, _) => Scope::Own,
        (_, true) => Scope::Others,
        _ => Scope::Leftovers,
    };
    let cleaned = clean::clean(&study, &session, scope, args.dry_run)?;
    let verb = if args.dry_run { "would be" } else { "were" };
    output.say(&format!(
        "{} files, {:.1} MB, {verb} removed from {}.",
        cleaned.files.len(),
        cleaned.bytes as f64 / 1e6,
        session.store.display()
    ));
    if output.json {
        return Ok(output.json(&json!({ "files": cleaned.files, "bytes": cleaned.bytes, "removed": !args.dry_run }))?);
    }
    for path in &cleaned.files {
        output.data(&format!("{}\n", path.display()))?;
    }
    Ok(())
}
