//! `mistilt schema`: the JSON Schema of study files.

use super::failure::Failure;
use super::output::Output;
use crate::study::json_schema_text;

pub(super) fn run(output: &mut Output) -> Result<(), Failure> {
    Ok(output.data(&json_schema_text())?)
}
