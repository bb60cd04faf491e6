//! `mistilt schema`: the JSON Schema of study files, and the reference of their keys that is made from it.

use super::failure::Failure;
use super::output::Output;
use crate::study::{json_schema_text, key_reference};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Print the reference of every key for people, in Markdown, instead of the schema. Default: the schema
    #[arg(long)]
    markdown: bool,
}

pub(super) fn run(args: &Args, output: &mut Output) -> Result<(), Failure> {
    Ok(output.data(&if args.markdown { key_reference() } else { json_schema_text() })?)
}
