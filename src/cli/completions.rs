//! `mistilt completions SHELL`: completions made from the command line's own definition.

use super::failure::Failure;
use super::output::Output;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The shell
    shell: clap_complete::Shell,
}

pub(super) fn run(args: &Args, output: &mut Output) -> Result<(), Failure> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut super::command(), "mistilt", &mut script);
    Ok(output.data(&String::from_utf8_lossy(&script))?)
}
