//! `mistilt camera`: one point's image through the stages of its camera, as figures and a table.

use super::failure::Failure;
use super::output::Output;
use super::study::{StudyArgs, with_threads};
use crate::study::camera_run::{Chain, StageReport, chain};
use crate::study::store::{Draft, PROVENANCE};
use crate::study::{RunError, Study};
use serde_json::{Value as Json, json};
use std::fmt::Write as _;
use std::num::NonZeroUsize;
use std::path::PathBuf;

/// Which point, and where to.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    study: StudyArgs,
    /// Folder of results; one with earlier results is replaced. Default: results/, the study's name and -camera
    #[arg(long, short, value_name = "DIR")]
    output: Option<PathBuf>,
    /// Point of the study, as `study plan` numbers them. Default: 0
    #[arg(long, value_name = "N", default_value_t = 0, hide_default_value = true)]
    point: usize,
    /// Threads to compute with, 1 or more; the frames do not depend on it. Default: all cores
    #[arg(long, value_name = "N")]
    threads: Option<NonZeroUsize>,
}

pub(super) fn run(args: &Args, output: &mut Output) -> Result<(), Failure> {
    let study = args.study.read()?;
    let point = study.points().get(args.point).ok_or(RunError::NoSuchPoint { asked: args.point, points: study.points().len() })?;
    let target = args.output.clone().unwrap_or_else(|| PathBuf::from("results").join(format!("{}-camera", study.name)));
    let draft = Draft::begin(&target)?;
    let bar = output.bar(point.config.simulation.k_points.iter().product::<u32>() as usize);
    let chain = with_threads(args.threads, || chain(point, 0, &|steps| bar.inc(steps as u64)))?;
    bar.finish_and_clear();
    write(&draft, &chain, &study, args.point)?;
    let folder = draft.publish()?;
    output.say(&format!("{} stages; the figures are in {}", chain.stages.len(), folder.display()));
    if output.json {
        return Ok(output.json(&json!({ "folder": folder, "stages": chain.stages }))?);
    }
    Ok(output.data(&table(&chain.stages))?)
}

fn write(draft: &Draft, chain: &Chain, study: &Study, point: usize) -> Result<(), RunError> {
    chain.panels.draw()?.save(draft.path(), "chain")?;
    if let Some(figure) = chain.spectrum_figure() {
        figure?.save(draft.path(), "scan-noise")?;
        draft.json("scan-noise.json", &json!({ "measured": chain.measured, "stated": chain.stated }))?;
    }
    let frame = draft.path().join("frame.npy");
    chain.image.write_npy(&frame).map_err(|e| RunError::Disk { path: frame, source: std::io::Error::other(e) })?;
    draft.json("stages.json", &serde_json::to_value(&chain.stages).unwrap_or(Json::Null))?;
    let provenance = json!({
        "program": format!("mistilt {}", env!("CARGO_PKG_VERSION")),
        "commit": env!("MISTILT_COMMIT"),
        "point": point,
        "overrides": study.overrides,
        "study_file": study.source.name,
        "study_text": study.source.text,
    });
    draft.json(PROVENANCE, &provenance)
}

fn table(stages: &[StageReport]) -> String {
    let mut text =
        format!("{:<20}  {:<36}{:>13}{:>13}{:>12}{:>13}  unit\n", "stage", "setting", "dx rms (pm)", "dy rms (pm)", "change (%)", "mean");
    for s in stages {
        let [dx, dy] = s.displacement_rms_pm;
        let change = s.change_rms.map_or_else(|| "-".to_owned(), |c| format!("{:.2}", 100.0 * c));
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{:<20}  {:<36}{dx:>13.2}{dy:>13.2}{change:>12}{:>13.5}  {}", s.stage, s.setting, s.mean, s.unit);
    }
    text
}
