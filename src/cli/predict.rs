//! `mistilt predict`: the polarization of an image by a trained network, with its uncertainty, or the reason why this network cannot tell.

use super::failure::Failure;
use super::open::Open;
use super::output::Output;
use crate::columns::find_columns;
use crate::dcnn::{DcnnError, Network};
use crate::image::Image;
use crate::study::prediction::{self, Prediction};
use crate::study::training_run::{ModelCard, read_model};
use crate::windows::Placement;
use serde_json::json;
use std::path::{Path, PathBuf};

/// Which model, which image.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct Args {
    /// Folder of a model, or its model.safetensors
    #[arg(value_name = "MODEL")]
    model: PathBuf,
    #[command(flatten)]
    open: Open,
    /// Put windows on a grid of this step, px of the model, instead of on columns. Default: as in training
    #[arg(long, value_name = "PX", value_parser = clap::value_parser!(u16).range(1..=1024))]
    grid_step_px: Option<u16>,
    /// Put windows on the B columns that are found. Default: as in training
    #[arg(long, conflicts_with = "grid_step_px")]
    centred: bool,
    /// Predict even what is unlike the training, with a warning. Default: refuse it
    #[arg(long)]
    force: bool,
    /// Displacement at the rim of the colour wheel, pm. Default: 50
    #[arg(long, value_name = "PM", default_value_t = 50.0, hide_default_value = true)]
    legend_pm: f64,
    /// Folder of results; one with earlier results is replaced. Default: results/, the image's name and -prediction
    #[arg(long, short, value_name = "DIR")]
    output: Option<PathBuf>,
}

pub(super) fn run(args: &Args, output: &mut Output) -> Result<(), Failure> {
    let (network, card) = model(&args.model)?;
    let image = calibrated(&args.open)?;
    let placement = placement(args.grid_step_px, args.centred, &card);
    let find = args.open.options()?.find;
    let found = prediction::predict(&network, &card, &image, placement, &find, args.force).map_err(|e| hint(e, args.force))?;
    let stem = args.open.image.file_stem().map_or_else(|| "image".into(), |s| s.to_string_lossy().into_owned());
    let target = args.output.clone().unwrap_or_else(|| PathBuf::from("results").join(format!("{stem}-prediction")));
    let folder = found.publish(&card, &image, &args.open.image, args.legend_pm, &target)?;
    tell(&found, &folder, output)?;
    Ok(())
}

fn tell(found: &Prediction, folder: &Path, output: &mut Output) -> Result<(), Failure> {
    for warning in &found.warnings {
        output.say(&format!("warning: {warning}"));
    }
    for sentence in found.answers() {
        output.say(&sentence);
    }
    let report = folder.join("report.html");
    output.say(&format!("The report is {}", report.display()));
    if output.json {
        let mut value = serde_json::to_value(found.summary()).map_err(std::io::Error::other)?;
        value["folder"] = json!(folder);
        value["warnings"] = json!(found.warnings);
        value["domain"] = json!(found.domain);
        value["against_truth"] = json!(found.against_truth);
        return Ok(output.json(&value)?);
    }
    Ok(output.data(&format!("{}\n", report.display()))?)
}

/// Where windows stand: as asked for, or as in training.
pub(super) fn placement(grid_step_px: Option<u16>, centred: bool, card: &ModelCard) -> Placement {
    match (grid_step_px, centred) {
        (Some(step), _) => Placement::Grid { step_px: usize::from(step) },
        (None, true) => Placement::Centred,
        (None, false) => card.windows.placement,
    }
}

/// The image with its pixel size: the user's, the file's, or the one that the lattice gives.
pub(super) fn calibrated(open: &Open) -> Result<Image, Failure> {
    let image = open.read()?;
    let Some(lattice_pm) = open.lattice_pm.filter(|_| image.pixel_size_pm.is_none()) else {
        return match image.square_pixel_size_pm() {
            Ok(_) => Ok(image),
            Err(e) => {
                Err(Failure::BadInput(format!("{}: {e}; give --pixel-size-pm, or --lattice-pm (396 for BiFeO3)", open.image.display())))
            }
        };
    };
    let bad = |e: &dyn std::fmt::Display| Failure::BadInput(format!("{}: {e}", open.image.display()));
    let lattice = find_columns(&image.data, image.width, image.height, &open.options()?.find).map_err(|e| bad(&e))?;
    image.with_pixel_size_pm(lattice_pm / lattice.lattice_a_px()).map_err(|e| bad(&e))
}

/// What to do about a refusal.
pub(super) fn hint(error: crate::study::RunError, forced: bool) -> Failure {
    match error {
        crate::study::RunError::Network(DcnnError::Domain { reason }) if !forced => {
            Failure::BadInput(format!("the network cannot tell: {reason}. Train on such images, or look at what it says with --force"))
        }
        other => other.into(),
    }
}

/// The model and its card, for the commands that take one.
pub(super) fn model(path: &Path) -> Result<(Network, ModelCard), Failure> {
    Ok(read_model(path)?)
}
