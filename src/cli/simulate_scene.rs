//! `mistilt simulate` of a study with a scene: the whole scene, or a square of it, with its truth.

use super::failure::Failure;
use super::output::Output;
use super::study::with_threads;
use crate::image::{Image, Raster};
use crate::study::scene::{SceneJob, Shelf, recorded_image, whole_raster};
use crate::study::spec::Point;
use serde_json::json;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::time::Instant;

/// What of the scene is put into pixels.
pub(super) struct View {
    pub(super) detector: usize,
    /// Side of a square at the scene's upper left; the whole scene without one.
    pub(super) field_angstrom: Option<f64>,
    pub(super) pixel_angstrom: f64,
    /// Folder in which libraries are kept.
    pub(super) libraries: Option<PathBuf>,
}

pub(super) fn run(
    point: &Point,
    job: &SceneJob,
    view: &View,
    file: &Path,
    threads: Option<NonZeroUsize>,
    output: &mut Output,
) -> Result<(), Failure> {
    let whole = whole_raster(&job.scene, view.pixel_angstrom);
    let raster = view.field_angstrom.map_or(whole, |side| Raster::square(whole.origin_angstrom, side, view.pixel_angstrom));
    let bar = output.bar(job.steps());
    let start = Instant::now();
    let (image, library_seconds) = with_threads(threads, || {
        let images = job.run(&mut Shelf::kept_in(view.libraries.as_deref()), &|steps| bar.inc(steps as u64))?;
        let seconds = start.elapsed().as_secs_f64();
        Ok((recorded_image(point, job, &images, view.detector, raster)?, seconds))
    })?;
    bar.finish_and_clear();
    let seconds = start.elapsed().as_secs_f64();
    write(&image, file)?;
    // A simulated image has pixels: its statistics exist.
    let (mean, min, max) = image.statistics().map_or((f64::NAN, f64::NAN, f64::NAN), |s| (s.mean, s.min, s.max));
    let truth = image.truth.as_ref();
    let (columns, cells) = truth.map_or((0, 0), |t| (t.columns.len(), t.cells.len()));
    if output.json {
        return Ok(output.json(&json!({
            "file": file, "width": image.width, "height": image.height, "pixel_size_pm": image.pixel_size_pm, "columns": columns,
            "cells": cells, "mean": mean, "min": min, "max": max, "seconds": seconds, "seconds_multislice": library_seconds,
        }))?);
    }
    output.say(&format!("{library_seconds:.1} s of multislice, {:.1} s for the pixels", seconds - library_seconds));
    Ok(output.data(&format!(
        "{} {} × {} px, {cells} cells, mean {mean:.5}, {min:.5} to {max:.5} ({})\n",
        file.display(),
        image.width,
        image.height,
        image.metadata.notes.first().map_or("", String::as_str)
    ))?)
}

fn write(image: &Image, file: &Path) -> Result<(), Failure> {
    image.write(file).map_err(|e| {
        if matches!(e, crate::image::ImageError::Write { .. }) {
            Failure::Output(std::io::Error::other(e))
        } else {
            Failure::BadInput(e.to_string())
        }
    })
}
