//! `mistilt man [COMMAND]...`: manual pages made from the command line's own definition.

use super::failure::Failure;
use super::output::Output;
use std::path::PathBuf;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The command whose page to print, such as `study plan`. Default: the program itself
    command: Vec<String>,
    /// Folder to write the pages of all commands to, instead of printing one; it is made where it is missing. Default: none
    #[arg(long, short, value_name = "DIR", conflicts_with = "command")]
    output: Option<PathBuf>,
}

pub(super) fn run(args: &Args, output: &mut Output) -> Result<(), Failure> {
    let mut root = super::command();
    root.build();
    if let Some(folder) = &args.output {
        std::fs::create_dir_all(folder)?;
        clap_mangen::generate_to(super::command(), folder)?;
        return Ok(output.data(&format!("{}\n", folder.display()))?);
    }
    let mut command = root;
    for name in &args.command {
        let Some(child) = command.find_subcommand(name).cloned() else {
            let known: Vec<&str> = command.get_subcommands().map(clap::Command::get_name).filter(|n| *n != "help").collect();
            let allowed =
                if known.is_empty() { "it has no commands below it".to_owned() } else { format!("there are {}", known.join(", ")) };
            return Err(Failure::BadInput(format!("`{}` has no command `{name}`: {allowed}.", command.get_name())));
        };
        command = child;
    }
    let mut page = Vec::new();
    clap_mangen::Man::new(command).render(&mut page)?;
    Ok(output.data(&String::from_utf8_lossy(&page))?)
}
