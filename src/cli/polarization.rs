//! `mistilt polarization`: from an image file to a folder with its polarization map, figures and report.

use super::columns::csv_text;
use super::failure::Failure;
use super::open::Open;
use super::output::Output;
use crate::columns::ColumnLattice;
use crate::crystal::Site;
use crate::image::Image;
use crate::polarization::{Comparison, PolarizationError, PolarizationMap, polarization_map};
use crate::report::Portrait;
use crate::study::RunError;
use crate::study::store::{Draft, PROVENANCE};
use serde_json::{Value as Json, json};
use std::path::PathBuf;

/// Which image, and how to show it.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    open: Open,
    /// Displacement at the rim of the colour wheel, pm. Default: 50
    #[arg(long, value_name = "PM", default_value_t = 50.0, hide_default_value = true)]
    legend_pm: f64,
    /// Folder of results; one with earlier results is replaced. Default: results/ and the image's name
    #[arg(long, short, value_name = "DIR")]
    output: Option<PathBuf>,
}

pub(super) fn run(args: &Args, output: &mut Output) -> Result<(), Failure> {
    let image = args.open.read()?;
    let options = args.open.options()?;
    let pixel_size_pm =
        image.pixel_size_pm.map(|_| image.square_pixel_size_pm()).transpose().map_err(|e| Failure::BadInput(e.to_string()))?;
    if pixel_size_pm.is_none() && args.open.lattice_pm.is_none() {
        return Err(Failure::BadInput(format!(
            "{} says nothing of its pixel size: give --pixel-size-pm, or --lattice-pm with the side of the pseudocubic cell (396 for BiFeO3)",
            args.open.image.display()
        )));
    }
    let bad = |e: PolarizationError| Failure::BadInput(e.to_string());
    let (map, columns) = polarization_map(&image.data, image.width, image.height, pixel_size_pm, &options).map_err(bad)?;
    let comparison = truth_map(&image, &map).and_then(|truth| Comparison::between(&truth, &map).ok());
    let portrait = Portrait { image: &image, map: &map, columns: &columns, legend_pm: args.legend_pm, comparison: comparison.as_ref() };

    let stem = args.open.image.file_stem().map_or_else(|| "image".into(), |s| s.to_string_lossy().into_owned());
    let target = args.output.clone().unwrap_or_else(|| PathBuf::from("results").join(format!("{stem}-polarization")));
    let draft = Draft::begin(&target)?;
    write_tables(&draft, &map, &columns)?;
    let folder = draft.subfolder("figures")?;
    let figures = portrait.figures().map_err(RunError::from)?;
    for captioned in &figures {
        captioned.figure.save(&folder, captioned.stem).map_err(RunError::from)?;
    }
    let summary = map.summary();
    let provenance = json!({
        "program": format!("mistilt {}", env!("CARGO_PKG_VERSION")),
        "commit": env!("MISTILT_COMMIT"),
        "image": args.open.image,
        "image_blake3": std::fs::read(&args.open.image).ok().map(|bytes| blake3::hash(&bytes).to_hex().to_string()),
        "estimator": options.estimator,
        "summary": summary,
    });
    let lines = ["program", "commit", "image", "image_blake3", "estimator"];
    let text = |v: &Json| v.as_str().map_or_else(|| v.to_string(), str::to_owned);
    let lines = lines.iter().map(|k| ((*k).to_owned(), text(&provenance[*k]))).collect();
    let page = portrait.page(&figures, image.metadata.notes.clone(), lines).map_err(RunError::from)?;
    page.save(&draft.path().join("report.html")).map_err(RunError::from)?;
    draft.json(PROVENANCE, &provenance)?;
    let folder = draft.publish()?;

    for sentence in portrait.answers() {
        output.say(&sentence);
    }
    let report = folder.join("report.html");
    output.say(&format!("The report is {}", report.display()));
    if output.json {
        let mut value = serde_json::to_value(&summary).map_err(std::io::Error::other)?;
        value["folder"] = json!(folder);
        value["comparison"] =
            comparison.as_ref().map_or(Json::Null, |c| json!({ "cells": c.cells, "bias": c.bias, "rmse": c.rmse, "unit": c.unit }));
        return Ok(output.json(&value)?);
    }
    Ok(output.data(&format!("{}\n", report.display()))?)
}

fn write_tables(draft: &Draft, map: &PolarizationMap, columns: &ColumnLattice) -> Result<(), Failure> {
    let disk = |path: PathBuf, e: &dyn std::error::Error| RunError::Disk { path, source: std::io::Error::other(e.to_string()) };
    let cells = draft.path().join("cells.csv");
    map.write_csv(&cells).map_err(|e| disk(cells.clone(), &e))?;
    let archive = draft.path().join("map.npz");
    map.write_npz(&archive).map_err(|e| disk(archive.clone(), &e))?;
    let list = draft.path().join("columns.csv");
    crate::image::whole_file(&list, |file| std::io::Write::write_all(file, csv_text(columns).as_bytes()))
        .map_err(|e| disk(list.clone(), &e))?;
    for (component, name) in ["x", "y"].into_iter().enumerate() {
        let path = draft.path().join(format!("polarization-{name}.hspy"));
        index_image(map, component).and_then(|image| image.write_hspy(&path)).map_err(|e| disk(path.clone(), &e))?;
    }
    Ok(())
}

/// One component of the map in pm on the grid of cell indices; NaN where there is no cell. A pixel is one cell.
fn index_image(map: &PolarizationMap, component: usize) -> Result<Image, crate::image::ImageError> {
    let range = |c: usize| map.cells.iter().map(|cell| cell.index[c]).fold((i32::MAX, i32::MIN), |(l, h), i| (l.min(i), h.max(i)));
    let [(i0, i1), (j0, j1)] = [range(0), range(1)];
    let (width, height) = ((i1 - i0 + 1) as usize, (j1 - j0 + 1) as usize);
    let mut data = vec![f32::NAN; width * height];
    for cell in &map.cells {
        let at = (cell.index[1] - j0) as usize * width + (cell.index[0] - i0) as usize;
        data[at] = map.shift_pm(cell).map_or(f32::NAN, |s| s[component] as f32);
    }
    let mut image = Image::new(width, height, data)?;
    if let Some(pm) = map.pixel_size_pm {
        image = image.with_pixel_size_pm(pm * map.lattice_a_px)?;
    }
    image.metadata.title = Some(format!("polarization displacement {} (pm), one pixel a cell", ["x", "y"][component]));
    Ok(image)
}

/// The map of the true columns that came with the image, where they enter the specimen.
fn truth_map(image: &Image, map: &PolarizationMap) -> Option<PolarizationMap> {
    let truth = image.truth.as_ref()?;
    let positions = |site: Site| truth.columns_of(site).map(|c| c.entrance_px).collect::<Vec<_>>();
    let lattice = ColumnLattice::from_positions(&positions(Site::A), &positions(Site::B), map.zone).ok()?;
    PolarizationMap::from_lattice(&lattice, map.pixel_size_pm, None).ok()
}
