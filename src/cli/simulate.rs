//! `mistilt simulate`: one point of a study file to an image file with its truth.

use super::devices::DeviceArgs;
use super::failure::Failure;
use super::output::Output;
use super::study::{StudyArgs, with_threads};
use crate::study::measure::Record;
use crate::study::{RunError, run};
use serde_json::json;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Instant;

/// Which point, which detector, where to.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    study: StudyArgs,
    /// Image file to write: .npy, .tif or .hspy
    #[arg(long, short, value_name = "FILE")]
    output: PathBuf,
    /// Point of the study, as `study plan` numbers them. Default: 0
    #[arg(long, value_name = "N", default_value_t = 0, hide_default_value = true)]
    point: usize,
    /// Name of the detector. Default: the first of the study
    #[arg(long, value_name = "NAME")]
    detector: Option<String>,
    /// Side of the square image, Å, 5 to 200. Default: that of the study's camera, 32 without one
    #[arg(long, value_name = "A")]
    field_angstrom: Option<f64>,
    /// Pixel size, pm, 1 to 50. Default: that of the study's camera, 10 without one
    #[arg(long, value_name = "PM")]
    pixel_pm: Option<f64>,
    /// Folder in which libraries of scenes are kept from run to run, by a hash of what they depend on. Default: none are kept
    #[arg(long, value_name = "DIR")]
    library: Option<PathBuf>,
    /// Threads to compute with, 1 or more; the image does not depend on it. Default: all cores
    #[arg(long, value_name = "N")]
    threads: Option<NonZeroUsize>,
    #[command(flatten)]
    device: DeviceArgs,
}

pub(super) fn run(args: &Args, output: &mut Output) -> Result<(), Failure> {
    let study = args.study.read()?;
    let point = study.points().get(args.point).ok_or(RunError::NoSuchPoint { asked: args.point, points: study.points().len() })?;
    let detectors = &point.config.microscope.detectors;
    let detector = match &args.detector {
        None => 0,
        Some(name) => detectors.iter().position(|d| d.name == *name).ok_or_else(|| {
            let known: Vec<&str> = detectors.iter().map(|d| d.name.as_str()).collect();
            Failure::BadInput(format!("the study has no detector named \"{name}\"; it has {}", known.join(", ")))
        })?,
    };
    let camera = point.config.camera.as_ref();
    let field = args.field_angstrom.or(camera.map(|c| c.field_angstrom)).unwrap_or(32.0);
    let pixel = args.pixel_pm.or(camera.map(|c| 100.0 * c.pixel_angstrom)).unwrap_or(10.0);
    let given = args.field_angstrom.is_none_or(|f| (5.0..=200.0).contains(&f)) && args.pixel_pm.is_none_or(|p| (1.0..=50.0).contains(&p));
    if let Some(job) = crate::study::scene::SceneJob::new(&point.config)? {
        let job = job.on(&point.config, args.device.device)?;
        let view = super::simulate_scene::View {
            detector,
            field_angstrom: args.field_angstrom,
            pixel_angstrom: pixel / 100.0,
            libraries: args.library.clone(),
        };
        return super::simulate_scene::run(point, &job, &view, &args.output, args.threads, output);
    }
    if !given {
        return Err(Failure::BadInput(format!(
            "an image of {field} Å in pixels of {pixel} pm is not made: choose 5 to 200 Å and 1 to 50 pm"
        )));
    }
    let field = run::Field { side_angstrom: field, pixel_angstrom: pixel / 100.0 };
    let bar = output.bar(point.config.simulation.k_points.iter().product::<u32>() as usize);
    let start = Instant::now();
    let (image, records) =
        with_threads(args.threads, || run::simulate(point, detector, field, args.device.device, &|steps| bar.inc(steps as u64)))?;
    bar.finish_and_clear();
    image.write(&args.output).map_err(|e| {
        if matches!(e, crate::image::ImageError::Write { .. }) {
            Failure::Output(std::io::Error::other(e))
        } else {
            Failure::BadInput(e.to_string())
        }
    })?;
    let seconds = start.elapsed().as_secs_f64();
    let name = &detectors[detector].name;
    let own: Vec<&Record> = records.iter().filter(|r| r.detector == *name).collect();
    for r in &own {
        if let (Ok([mx, my]), Some([ax, ay])) = (&r.measured_pm, r.apparent_pm()) {
            output.say(&format!(
                "{}: B−A ({:+.2}, {:+.2}) pm, of which ({:+.2}, {:+.2}) pm is not in the crystal",
                r.estimator, mx, my, ax, ay
            ));
        }
    }
    // A simulated image has pixels: its statistics exist.
    let (mean, min, max) = image.statistics().map_or((f64::NAN, f64::NAN, f64::NAN), |s| (s.mean, s.min, s.max));
    if output.json {
        let shifts: Vec<_> = own
            .iter()
            .map(|r| json!({ "estimator": r.estimator, "measured_pm": r.measured_pm.as_ref().ok(), "true_pm": r.true_pm, "apparent_pm": r.apparent_pm() }))
            .collect();
        return Ok(output.json(&json!({
            "file": args.output, "width": image.width, "height": image.height, "pixel_size_pm": image.pixel_size_pm,
            "mean": mean, "min": min, "max": max, "seconds": seconds, "shifts": shifts,
        }))?);
    }
    Ok(output.data(&format!(
        "{} {} × {} px, mean {mean:.5}, {min:.5} to {max:.5} ({})\n",
        args.output.display(),
        image.width,
        image.height,
        image.metadata.notes.first().map_or("", String::as_str)
    ))?)
}
