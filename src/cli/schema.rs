//! `mistilt schema`: the JSON Schema of study files and of training files.

use super::failure::Failure;
use super::output::Output;
use crate::study::json_schema_text;
use crate::study::training_file::training_schema_text;

/// Of which files.
#[derive(Debug, Clone, Copy, clap::Args)]
pub(super) struct Args {
    /// The schema of training files instead. Default: of study files
    #[arg(long)]
    training: bool,
}

pub(super) fn run(args: Args, output: &mut Output) -> Result<(), Failure> {
    let text = if args.training { training_schema_text() } else { json_schema_text() };
    Ok(output.data(&text)?)
}
