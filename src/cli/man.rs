//! `mistilt man [COMMAND]...`: manual pages made from the command line's own definition.

use super::failure::Failure;
use super::output::Output;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The command whose page to print, such as `study plan`. Default: the program itself
    command: Vec<String>,
}

pub(super) fn run(args: &Args, output: &mut Output) -> Result<(), Failure> {
    let mut root = super::command();
    root.build();
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
