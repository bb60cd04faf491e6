//! `mistilt completions SHELL`: completions made from the command line's own definition.

use super::failure::Failure;
use super::output::Output;
use clap::ValueEnum;
use clap_complete::Shell;
use std::path::PathBuf;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The shell
    #[arg(required_unless_present = "output")]
    shell: Option<Shell>,
    /// Folder to write the completions to, those of every shell where none is named; it is made where it is missing. Default: none, print
    #[arg(long, short, value_name = "DIR")]
    output: Option<PathBuf>,
}

pub(super) fn run(args: &Args, output: &mut Output) -> Result<(), Failure> {
    let shells = args.shell.as_ref().map_or_else(Shell::value_variants, std::slice::from_ref);
    if let Some(folder) = &args.output {
        std::fs::create_dir_all(folder)?;
        for &shell in shells {
            clap_complete::generate_to(shell, &mut super::command(), "mistilt", folder)?;
        }
        return Ok(output.data(&format!("{}\n", folder.display()))?);
    }
    // Without a folder clap has asked for a shell.
    for &shell in shells {
        let mut script = Vec::new();
        clap_complete::generate(shell, &mut super::command(), "mistilt", &mut script);
        output.data(&String::from_utf8_lossy(&script))?;
    }
    Ok(())
}
