//! `mistilt study ...`: the life of a study, from its file to its report.

mod clean;
mod cluster;
mod learning;
mod plan;
mod results;
mod run;
mod status;

use super::devices::DeviceArgs;
use super::failure::Failure;
use super::output::Output;
use crate::multislice::DeviceChoice;
use crate::study::run::Session;
use crate::study::share::Share;
use crate::study::{Holder, Interrupt, Study};
use clap::Subcommand;
use std::num::NonZeroUsize;
use std::path::PathBuf;

pub(super) use run::with_threads;

#[derive(Debug, Subcommand)]
#[expect(clippy::doc_markdown, reason = "the examples are help that a terminal shows, not Markdown")]
pub(super) enum Command {
    /// Check a study file and print its points, without computing anything
    ///
    /// Prints one line a point with the value of every axis, each in the unit that its
    /// column names. A mistake in the file is shown with its line, and no point is printed.
    ///
    /// Examples:
    ///
    ///   mistilt study plan studies/tilt.toml
    ///   mistilt study plan studies/tilt.toml --set microscope.voltage_kv=200
    ///   mistilt study plan studies/tilt.toml --set 'crystal.thickness_nm=[10, 20]'
    ///   mistilt study plan studies/tilt.toml --json
    #[command(verbatim_doc_comment)]
    Plan(StudyArgs),
    /// Run a study, or go on with it, and write its results and report
    ///
    /// Simulates every point (points that differ only in tilt, thickness, probe, detector or
    /// estimator share one propagation of waves), measures the columns and writes
    /// results/NAME/: records.csv and records.npz (one row a point, detector and estimator),
    /// images/*.npy with their truth in a sidecar, figures/*.svg and *.png, provenance.json,
    /// and report.html, which explains them. The folder appears when all is done.
    ///
    /// What has been computed is kept in the store, results/store, and is not computed again:
    /// stopped (Ctrl-C) or killed, the same command goes on where it was. A point that fails is
    /// kept with its reason in failures.csv, the rest goes on, and the exit code is 3; `study
    /// retry` tries it again. With --shard I/N a process computes one of N shares into the
    /// store, on any machine that sees it; `study merge` then writes the results.
    ///
    /// A study with a [learning] table trains networks on its images instead and tests them, beside
    /// the column fit, on images they have not seen: records.csv, matrices, maps, report.html.
    ///
    /// Examples:
    ///
    ///   mistilt study run studies/tilt.toml
    ///   mistilt study run studies/tilt.toml -o results/thin --set crystal.thickness_nm=10
    ///   mistilt study run studies/tilt.toml --shard 1/4
    #[command(verbatim_doc_comment)]
    Run(RunArgs),
    /// Try the failed points of a study again, and run what is left
    ///
    /// Example:
    ///
    ///   mistilt study retry studies/tilt.toml
    #[command(verbatim_doc_comment)]
    Retry(ResultsArgs),
    /// Write the results of a study whose shares were computed with --shard or on a cluster
    ///
    /// Refuses with exit code 3 while points are missing; --partial writes what is there.
    ///
    /// Examples:
    ///
    ///   mistilt study merge studies/tilt.toml
    ///   mistilt study merge studies/tilt.toml --partial -o results/so-far
    #[command(verbatim_doc_comment)]
    Merge(MergeArgs),
    /// Say how far a study is: points done, failed and left, and who is at work
    ///
    /// Reads the store only. A study may be asked for while it runs, from any machine that
    /// sees the store. Exit code 3 while points are missing or failed.
    ///
    /// Examples:
    ///
    ///   mistilt study status studies/tilt.toml
    ///   mistilt study status studies/tilt.toml --json
    #[command(verbatim_doc_comment)]
    Status(ResultsArgs),
    /// Submit a study to a Slurm cluster: an array of shares, then a merge
    ///
    /// Every element of the array is one share of the study, computed into the store, which all
    /// nodes must see. Elements are cut to about half an hour of the estimated time. Killed,
    /// preempted or out of time, an element goes on where it was. The merge waits for all of
    /// them and writes the results. Without Slurm the shares run by hand: study run --shard.
    ///
    /// Examples:
    ///
    ///   mistilt study submit studies/tilt.toml --slurm --threads 8 --dry-run
    ///   mistilt study submit studies/tilt.toml --slurm --threads 8 --sbatch=--partition=long
    #[command(verbatim_doc_comment)]
    Submit(SubmitArgs),
    /// Compare two results folders: which numbers moved, and by how many standard errors
    ///
    /// Rows are matched by axes, detector and estimator. One line a number that is not the
    /// same in both, the farthest first; nothing where the two agree.
    ///
    /// Example:
    ///
    ///   mistilt study diff results/tilt results/tilt-200kv
    #[command(verbatim_doc_comment)]
    Diff(DiffArgs),
    /// Write results as one file: the table as .csv, .npz or .json, or the whole folder as .zip
    ///
    /// Examples:
    ///
    ///   mistilt study export results/tilt -o tilt.zip
    ///   mistilt study export results/tilt -o tilt.json
    #[command(verbatim_doc_comment)]
    Export(ExportArgs),
    /// Remove from the store what is needed no more
    ///
    /// Without a flag: what kills left behind, damaged entries that were set aside, and parts
    /// of images that are complete. Results folders are never touched. Refuses while a process
    /// is at work in the store.
    ///
    /// Examples:
    ///
    ///   mistilt study clean studies/tilt.toml
    ///   mistilt study clean studies/tilt.toml --others --dry-run
    #[command(verbatim_doc_comment)]
    Clean(CleanArgs),
}

/// Which study.
#[derive(Debug, Clone, clap::Args)]
pub struct StudyArgs {
    /// The study file (TOML)
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// Value of a key over what the file says, with the unit in the key's name; a list makes an axis. May be given again. Default: none
    #[arg(long, value_name = "KEY=VALUE")]
    pub set: Vec<String>,
}

impl StudyArgs {
    /// Reads and checks the study.
    pub fn read(&self) -> Result<Study, crate::study::StudyError> {
        Study::read(&self.file, &self.set)
    }
}

/// Which study, where its results stand and what the command may use.
#[derive(Debug, Clone, clap::Args)]
pub struct ResultsArgs {
    /// The study and its overrides.
    #[command(flatten)]
    pub study: StudyArgs,
    /// Folder of results; one with earlier results is replaced. Default: results/ and the study's name
    #[arg(long, short, value_name = "DIR")]
    pub output: Option<PathBuf>,
    /// Folder of all that was computed, shared by studies. Default: store, beside the folder of results
    #[arg(long, value_name = "DIR")]
    pub store: Option<PathBuf>,
    /// Threads to compute with, 1 or more; the results do not depend on it. Default: all cores
    #[arg(long, value_name = "N")]
    pub threads: Option<NonZeroUsize>,
    /// Where to compute.
    #[command(flatten)]
    pub device: DeviceArgs,
}

impl ResultsArgs {
    /// Where the results of the study stand, and this process as others see it.
    fn session(&self, study: &Study) -> Session {
        let target = self.output.clone().unwrap_or_else(|| PathBuf::from("results").join(&study.name));
        let mut session = Session::at(&target);
        if let Some(store) = &self.store {
            session.store.clone_from(store);
        }
        let variable = |name| std::env::var(name).ok().filter(|value: &String| !value.is_empty());
        let array = variable("SLURM_ARRAY_JOB_ID").and_then(|job| Some(format!("{job}_{}", variable("SLURM_ARRAY_TASK_ID")?)));
        session.holder = Holder::of_this_process(array.or_else(|| variable("SLURM_JOB_ID")).or_else(|| variable("HQ_JOB_ID")));
        session
    }

    /// The arguments as typed, for a shell.
    fn typed(&self) -> String {
        let threads = self.threads.map_or(String::new(), |n| format!(" --threads {n}"));
        self.typed_without_threads() + &threads
    }

    fn typed_without_threads(&self) -> String {
        let mut words = vec![self.study.file.display().to_string()];
        words.extend(self.study.set.iter().flat_map(|set| ["--set".to_owned(), set.clone()]));
        let folders = [("-o", &self.output), ("--store", &self.store)];
        if self.device.device != DeviceChoice::default() {
            words.extend(["--device".to_owned(), self.device.device.to_string()]);
        }
        words.extend(
            folders.into_iter().filter_map(|(flag, folder)| Some([flag.to_owned(), folder.as_ref()?.display().to_string()])).flatten(),
        );
        words.iter().map(|word| quoted(word)).collect::<Vec<_>>().join(" ")
    }
}

/// What `study run` takes.
#[derive(Debug, Clone, clap::Args)]
pub struct RunArgs {
    /// Study, place and threads.
    #[command(flatten)]
    pub results: ResultsArgs,
    /// Compute share I of N into the store and write no results. Default: all, with results
    #[arg(long, value_name = "I/N")]
    pub shard: Option<Share>,
    /// Fingerprint of the study that was submitted: another one is refused.
    #[arg(long, hide = true)]
    pub submitted: Option<String>,
}

/// What `study merge` takes.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct MergeArgs {
    #[command(flatten)]
    results: ResultsArgs,
    /// Write the points that are there and leave out those that are not. Default: refuse while points are missing
    #[arg(long)]
    partial: bool,
    /// Fingerprint of the study that was submitted: another one is refused.
    #[arg(long, hide = true)]
    submitted: Option<String>,
}

/// What `study submit` takes.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct SubmitArgs {
    #[command(flatten)]
    results: ResultsArgs,
    /// Submit to Slurm, the one batch system that is known
    #[arg(long, required = true)]
    slurm: bool,
    /// Elements of the array, 1 or more. Default: half an hour of estimated time each
    #[arg(long, value_name = "N")]
    elements: Option<NonZeroUsize>,
    /// Minutes an element may take before it is requeued. Default: three times the estimate, 10 at least
    #[arg(long, value_name = "MIN")]
    minutes: Option<u64>,
    /// Memory of an element, MB. Default: half more than the estimate
    #[arg(long, value_name = "MB")]
    memory_mb: Option<u64>,
    /// Generic resources of an element, such as gpu:1. Default: none
    #[arg(long, value_name = "LIST")]
    gres: Option<String>,
    /// A further option of sbatch, such as --sbatch=--partition=long. May be given again. Default: none
    #[arg(long, value_name = "OPTION", allow_hyphen_values = true)]
    sbatch: Vec<String>,
    /// Print the two scripts and submit nothing. Default: submit
    #[arg(long)]
    dry_run: bool,
}

/// What `study diff` takes.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct DiffArgs {
    /// A results folder
    #[arg(value_name = "A")]
    first: PathBuf,
    /// Another
    #[arg(value_name = "B")]
    second: PathBuf,
    /// Lines to print at most. Default: 20
    #[arg(long, value_name = "N", default_value_t = 20, hide_default_value = true)]
    limit: usize,
}

/// What `study export` takes.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct ExportArgs {
    /// A results folder
    #[arg(value_name = "DIR")]
    folder: PathBuf,
    /// File to write; its ending says the format: .csv, .npz, .json or .zip
    #[arg(long, short, value_name = "FILE")]
    output: PathBuf,
}

/// What `study clean` takes.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct CleanArgs {
    #[command(flatten)]
    results: ResultsArgs,
    /// Remove everything of this study too: it would be computed anew. Default: keep it
    #[arg(long, conflicts_with = "others")]
    own: bool,
    /// Remove everything that this study does not need too. Default: keep it
    #[arg(long)]
    others: bool,
    /// Say what would be removed and remove nothing. Default: remove it
    #[arg(long)]
    dry_run: bool,
}

pub(super) fn run(command: &Command, output: &mut Output) -> Result<(), Failure> {
    match command {
        Command::Plan(args) => plan::plan(args, output),
        Command::Run(args) => run::run(args, output),
        Command::Retry(args) => run::retry(args, output),
        Command::Merge(args) => run::merge(args, output),
        Command::Submit(args) => cluster::submit(args, output),
        Command::Diff(args) => results::diff(args, output),
        Command::Export(args) => results::export(args, output),
        Command::Status(args) => status::status(args, output),
        Command::Clean(args) => clean::clean(args, output),
    }
}

/// A word as a shell reads it back.
pub(super) fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./=:,+@%".contains(c);
    if !word.is_empty() && word.chars().all(plain) { word.to_owned() } else { format!("'{}'", word.replace('\'', "'\\''")) }
}

/// The flag that Ctrl-C, SIGTERM and SIGUSR1 (batch systems send it before time is up) raise; a second signal ends the process at once.
pub(super) fn interrupt() -> Result<Interrupt, std::io::Error> {
    use signal_hook::{consts, flag};
    let interrupt = Interrupt::default();
    #[cfg(unix)]
    let signals = [consts::SIGINT, consts::SIGTERM, consts::SIGUSR1];
    #[cfg(not(unix))]
    let signals = [consts::SIGINT, consts::SIGTERM];
    for signal in signals {
        flag::register_conditional_shutdown(signal, 130, interrupt.flag())?;
        flag::register(signal, interrupt.flag())?;
    }
    Ok(interrupt)
}

/// Seconds as a person says them.
fn duration(seconds: f64) -> String {
    match seconds {
        s if s < 100.0 => format!("{s:.0} s"),
        s if s < 6000.0 => format!("{:.0} min", s / 60.0),
        s if s < 180_000.0 => format!("{:.1} h", s / 3600.0),
        s => format!("{:.1} days", s / 86400.0),
    }
}

#[cfg(test)]
mod tests {
    use super::quoted;

    #[test]
    fn words_come_back_from_a_shell_as_they_were() {
        for word in ["studies/tilt.toml", "crystal.thickness_nm=[10, 20]", "it's", "a b", "", "$HOME", "µ"] {
            let output = std::process::Command::new("sh").args(["-c", &format!("printf %s {}", quoted(word))]).output().unwrap();
            assert_eq!(String::from_utf8(output.stdout).unwrap(), word);
        }
    }
}
