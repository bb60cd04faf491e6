//! `mistilt trial`: tests the verdict on images whose truth is known, or shows how tilt makes distributions lopsided.

use super::failure::Failure;
use super::output::Output;
use super::specimen::{cache_folder, library_in};
use super::study::with_threads;
use crate::artifact::scores::{rule_scores, tilt_scores};
use crate::artifact::trial::Outcome;
use crate::artifact::{Conditions, TiltLibrary};
use crate::crystal::Crystal;
use crate::image::whole_file;
use crate::study::RunError;
use crate::study::asymmetry_report as lopsided;
use crate::study::asymmetry_trial::AsymmetryTrial;
use crate::study::store::{Draft, PROVENANCE};
use crate::study::trial::{Trial, VerdictTrial};
use crate::study::trial_report as figures;
use serde_json::{Value as Json, json};
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

/// Which trial.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct Args {
    /// The trial file (TOML), such as studies/trials/verdict-validation.toml
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Folder of results; one with earlier results is replaced. Default: results/ and the trial's name
    #[arg(long, short, value_name = "DIR")]
    output: Option<PathBuf>,
    /// Folder of tilt libraries. Default: mistilt in the user's cache folder
    #[arg(long, value_name = "DIR")]
    library: Option<PathBuf>,
    /// Threads to compute with, 1 or more; the results do not depend on it. Default: all cores
    #[arg(long, value_name = "N")]
    threads: Option<NonZeroUsize>,
}

pub(super) fn run(args: &Args, output: &mut Output) -> Result<(), Failure> {
    let trial = Trial::read(&args.file)?;
    let target = args.output.clone().unwrap_or_else(|| PathBuf::from("results").join(trial.name()));
    let draft = Draft::begin(&target)?;
    let value = match &trial {
        Trial::Verdict(trial) => verdict(trial, args, &draft, output)?,
        Trial::Asymmetry(trial) => asymmetry(trial, args, &draft, output)?,
    };
    draft.json("trial.json", &value)?;
    draft.json(PROVENANCE, &provenance(args))?;
    let report = draft.publish()?.join("report.html");
    for line in value["answers"].as_array().into_iter().flatten().filter_map(Json::as_str) {
        output.say(line);
    }
    output.say(&format!("The report is {}", report.display()));
    if output.json {
        return Ok(output.json(&value)?);
    }
    Ok(output.data(&format!("{}\n", report.display()))?)
}

fn provenance(args: &Args) -> Json {
    json!({
        "program": format!("mistilt {}", env!("CARGO_PKG_VERSION")),
        "commit": env!("MISTILT_COMMIT"),
        "file": args.file,
        "file_blake3": std::fs::read(&args.file).ok().map(|bytes| blake3::hash(&bytes).to_hex().to_string()),
    })
}

/// Makes or finds the libraries of a trial.
fn librarian<'a>(folder: &'a Path, output: &'a Output) -> impl Fn(&Crystal, &Conditions) -> Result<TiltLibrary, RunError> + Sync + 'a {
    move |crystal, conditions| library_in(folder, crystal, conditions, output)
}

fn verdict(trial: &VerdictTrial, args: &Args, draft: &Draft, output: &Output) -> Result<Json, Failure> {
    let bar = output.bar(trial.images());
    let folder = args.library.clone().unwrap_or_else(cache_folder);
    let findings = with_threads(args.threads, || trial.run(&librarian(&folder, output), &|n| bar.inc(n as u64)))?;
    bar.finish_and_clear();
    table(&draft.path().join("images.csv"), &figures::IMAGE_COLUMNS, figures::image_rows(&findings.outcomes))?;
    table(&draft.path().join("regions.csv"), &figures::REGION_COLUMNS, figures::region_rows(&findings.outcomes))?;
    table(&draft.path().join("bent.csv"), &figures::BENT_COLUMNS, figures::bent_rows(&findings.bent))?;
    let outcomes = figures::of_tiles(&findings.outcomes);
    let figures = save(draft, figures::verdict_figures(trial, &outcomes).map_err(RunError::from)?)?;
    let mut answers = figures::verdict_answers(&outcomes);
    answers.extend(figures::other_answers(&findings.outcomes, &findings.bent));
    let page = figures::verdict_page(trial, &outcomes, &figures, answers.clone(), lines(&provenance(args)));
    page.map_err(RunError::from)?.save(&draft.path().join("report.html")).map_err(RunError::from)?;
    let all: Vec<&Outcome> = outcomes.iter().collect();
    Ok(json!({
        "name": trial.name,
        "images": outcomes.len(),
        "answers": answers,
        "bent": findings.bent,
        "tilt_scores": tilt_scores(&all),
        "rule_scores": rule_scores(&all),
    }))
}

fn asymmetry(trial: &AsymmetryTrial, args: &Args, draft: &Draft, output: &Output) -> Result<Json, Failure> {
    let folder = args.library.clone().unwrap_or_else(cache_folder);
    let (rows, response) = with_threads(args.threads, || trial.run(&librarian(&folder, output)))?;
    table(&draft.path().join("distributions.csv"), &lopsided::SHAPE_COLUMNS, lopsided::shape_rows(&rows))?;
    let figures = save(draft, lopsided::asymmetry_figures(trial, &rows, &response).map_err(RunError::from)?)?;
    let answers = lopsided::asymmetry_answers(trial, &rows);
    let page = lopsided::asymmetry_page(trial, &figures, answers.clone(), lines(&provenance(args)));
    page.map_err(RunError::from)?.save(&draft.path().join("report.html")).map_err(RunError::from)?;
    Ok(json!({ "name": trial.name, "answers": answers, "rows": rows }))
}

fn save(draft: &Draft, figures: Vec<crate::report::Captioned>) -> Result<Vec<crate::report::Captioned>, Failure> {
    let folder = draft.subfolder("figures")?;
    for captioned in &figures {
        captioned.figure.save(&folder, captioned.stem).map_err(RunError::from)?;
    }
    Ok(figures)
}

fn table(path: &Path, header: &[&str], rows: Vec<Vec<String>>) -> Result<(), Failure> {
    let written = whole_file(path, |file| {
        let mut table = csv::Writer::from_writer(file);
        table.write_record(header)?;
        for row in rows {
            table.write_record(row)?;
        }
        table.flush()
    });
    Ok(written.map_err(RunError::disk(path))?)
}

fn lines(provenance: &Json) -> Vec<(String, String)> {
    let text = |v: &Json| v.as_str().map_or_else(|| v.to_string(), str::to_owned);
    provenance.as_object().into_iter().flatten().map(|(k, v)| (k.clone(), text(v))).collect()
}
