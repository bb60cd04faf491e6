//! `mistilt train`: from a training file to a folder with a network, its card, figures and report.

use super::failure::Failure;
use super::output::Output;
use super::study::with_threads;
use crate::dcnn::EpochRecord;
use crate::study::training_file::TrainingFile;
use crate::study::training_run;
use serde_json::json;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

/// What to learn from, and where the model goes.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct Args {
    /// Training file
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Folder of the model; one with an earlier model is replaced. Default: results/ and the training's name
    #[arg(long, short, value_name = "MODEL")]
    output: Option<PathBuf>,
    /// Start anew, even if a checkpoint of this training is there. Default: take it up
    #[arg(long)]
    restart: bool,
    /// Threads to compute with, 1 or more; the model does not depend on it. Default: all cores
    #[arg(long, value_name = "N")]
    threads: Option<NonZeroUsize>,
}

pub(super) fn run(args: &Args, output: &mut Output) -> Result<(), Failure> {
    let file = TrainingFile::read(&args.file)?;
    let folder = args.file.parent().unwrap_or(Path::new(""));
    let target = args.output.clone().unwrap_or_else(|| PathBuf::from("results").join(&file.name));
    let bar = OnceLock::new();
    let progress = |left: usize, record: Option<&EpochRecord>| {
        let bar = bar.get_or_init(|| output.bar_of(left, "{wide_bar} {pos}/{len} epochs, {eta} left, {msg}"));
        if let Some(record) = record {
            bar.inc(1);
            let error = record.validation_rmse_pm.map_or_else(String::new, |rmse| format!(", validation error {rmse:.2} pm"));
            bar.set_message(format!("loss {:.3}{error}", record.training_loss));
        }
    };
    let outcome = with_threads(args.threads, || training_run::run(&file, folder, &target, args.restart, &progress))?;
    if let Some(bar) = bar.get() {
        bar.finish_and_clear();
    }
    if outcome.resumed_epochs > 0 {
        output.say(&format!("The training was taken up at epoch {}.", outcome.resumed_epochs + 1));
    }
    for sentence in training_run::answers(&outcome.card) {
        output.say(&sentence);
    }
    let report = outcome.folder.join("report.html");
    output.say(&format!("{} epochs in {:.0} s. The report is {}", outcome.card.history.len(), outcome.seconds, report.display()));
    if output.json {
        let test = outcome.card.errors.test.as_ref();
        return Ok(output.json(&json!({
            "folder": outcome.folder,
            "model": outcome.folder.join(training_run::MODEL),
            "epochs": outcome.card.history.len(),
            "resumed_epochs": outcome.resumed_epochs,
            "best_epochs": outcome.card.best_epochs,
            "parameters": outcome.card.parameters,
            "rmse_pm": test.map(|r| r.rmse_pm),
            "rmse_of_mean_pm": test.map(|r| r.rmse_of_mean_pm),
            "errors": outcome.card.errors,
            "seconds": outcome.seconds,
        }))?);
    }
    Ok(output.data(&format!("{}\n", outcome.folder.join(training_run::MODEL).display()))?)
}
