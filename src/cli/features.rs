//! `mistilt features`: what a network looks at in an image: filters, feature maps, and which columns decide its prediction.

use super::failure::Failure;
use super::open::Open;
use super::output::Output;
use super::predict::{calibrated, model};
use crate::study::features;
use serde_json::json;
use std::path::PathBuf;

/// Which model, which image.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct Args {
    /// Folder of a model, or its model.safetensors
    #[arg(value_name = "MODEL")]
    model: PathBuf,
    #[command(flatten)]
    open: Open,
    /// Cells whose windows are blanked place by place, at most. Default: 32
    #[arg(long, value_name = "N", default_value_t = 32, hide_default_value = true, value_parser = clap::value_parser!(u16).range(1..=4096))]
    cells: u16,
    /// Folder of results; one with earlier results is replaced. Default: results/, the image's name and -features
    #[arg(long, short, value_name = "DIR")]
    output: Option<PathBuf>,
}

pub(super) fn run(args: &Args, output: &mut Output) -> Result<(), Failure> {
    let (network, card) = model(&args.model)?;
    let image = calibrated(&args.open)?;
    let seen = features::look(&network, &card, &image, &args.open.options()?.find, usize::from(args.cells))?;
    let stem = args.open.image.file_stem().map_or_else(|| "image".into(), |s| s.to_string_lossy().into_owned());
    let target = args.output.clone().unwrap_or_else(|| PathBuf::from("results").join(format!("{stem}-features")));
    let folder = seen.publish(&network, &card, &args.open.image, &target)?;
    for sentence in seen.answers() {
        output.say(&sentence);
    }
    let report = folder.join("report.html");
    output.say(&format!("The report is {}", report.display()));
    if output.json {
        return Ok(output.json(&json!({
            "folder": folder,
            "windows": seen.windows,
            "attention": seen.attention,
            "layers": seen.layers(),
        }))?);
    }
    Ok(output.data(&format!("{}\n", report.display()))?)
}
