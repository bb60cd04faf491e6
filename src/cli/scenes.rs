//! `mistilt scenes`: an image of every scene of a study, with truth, tables and figures.

use super::devices::DeviceArgs;
use super::failure::Failure;
use super::output::Output;
use super::study::{StudyArgs, with_threads};
use crate::study::scene_gallery::{Request, SceneSummary, gallery};
use serde_json::json;
use std::fmt::Write as _;
use std::num::NonZeroUsize;
use std::path::PathBuf;

/// Which study, where to, how fine.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    study: StudyArgs,
    /// Folder to write; files of the same names are replaced. Default: results/ and the study's name
    #[arg(long, short, value_name = "DIR")]
    output: Option<PathBuf>,
    /// Folder in which libraries are kept from run to run, by a hash of what they depend on. Default: none are kept
    #[arg(long, value_name = "DIR")]
    library: Option<PathBuf>,
    /// Pixel size, pm, 1 to 50. Default: 15
    #[arg(long, value_name = "PM", default_value_t = 15.0, hide_default_value = true)]
    pixel_pm: f64,
    /// Threads to compute with, 1 or more; the images do not depend on it. Default: all cores
    #[arg(long, value_name = "N")]
    threads: Option<NonZeroUsize>,
    #[command(flatten)]
    device: DeviceArgs,
}

pub(super) fn run(args: &Args, output: &mut Output) -> Result<(), Failure> {
    let study = args.study.read()?;
    if !(1.0..=50.0).contains(&args.pixel_pm) {
        return Err(Failure::BadInput(format!("pixels of {} pm are not made: choose 1 to 50 pm", args.pixel_pm)));
    }
    let folder = args.output.clone().unwrap_or_else(|| PathBuf::from("results").join(&study.name));
    let request =
        Request { pixel_angstrom: args.pixel_pm / 100.0, folder: &folder, libraries: args.library.as_deref(), device: args.device.device };
    let bar = output.bar(0);
    bar.set_style(indicatif::ProgressStyle::default_spinner());
    let done = with_threads(args.threads, || gallery(study.points(), &request, &|text| bar.set_message(text.to_owned())))?;
    bar.finish_and_clear();
    output.say(&format!("images, tables and figures in {}", folder.display()));
    if output.json {
        return Ok(output.json(&json!({ "folder": folder, "scenes": done }))?);
    }
    Ok(output.data(&table(&done))?)
}

fn table(scenes: &[SceneSummary]) -> String {
    let mut text =
        format!("{:<28}{:>7}{:>14}{:>16}{:>12}{:>12}\n", "image", "cells", "rms shift pm", "mean intensity", "library s", "pixels s");
    for s in scenes {
        // Writing to a string cannot fail.
        let _ = writeln!(
            text,
            "{:<28}{:>7}{:>14.2}{:>16.5}{:>12.1}{:>12.1}",
            s.image, s.cells, s.rms_shift_pm, s.mean_intensity, s.seconds_multislice, s.seconds_pixels
        );
    }
    text
}
