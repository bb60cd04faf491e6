//! `mistilt schema`: the JSON Schema of study files or of training files, and the reference of a study's keys that is made from it.

use super::failure::Failure;
use super::output::Output;
use crate::study::training_file::training_schema_text;
use crate::study::{json_schema_text, key_reference};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Print the reference of every key for people, in Markdown, instead of the schema. Default: the schema
    #[arg(long)]
    markdown: bool,
    /// Print the schema of training files instead. Default: of study files
    #[arg(long, conflicts_with = "markdown")]
    training: bool,
}

pub(super) fn run(args: &Args, output: &mut Output) -> Result<(), Failure> {
    let text = match (args.markdown, args.training) {
        (true, _) => key_reference(),
        (false, true) => training_schema_text(),
        (false, false) => json_schema_text(),
    };
    Ok(output.data(&text)?)
}
