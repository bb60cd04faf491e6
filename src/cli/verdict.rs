//! `mistilt verdict`: from an image file to a folder that says how much of its polarization could be mis-tilt.

use super::failure::Failure;
use super::open::Open;
use super::output::Output;
use super::specimen::{Range, Specimen, crystal};
use super::study::with_threads;
use crate::artifact::words::{image_sentences, region_sentence};
use crate::artifact::{Beliefs, Libraries, Options, ReferenceCells, Ruler, judge};
use crate::polarization::polarization_map;
use crate::report::verdict::{VerdictPage, write_tables};
use crate::study::RunError;
use crate::study::store::{Draft, PROVENANCE};
use serde_json::{Value as Json, json};
use std::path::PathBuf;

/// Which image, which specimen, and what is known of both.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    open: Open,
    #[command(flatten)]
    specimen: Specimen,
    /// Effective source size, Å, or its range. Default: from the width of the columns
    #[arg(long, value_name = "A")]
    source_fwhm_angstrom: Option<Range>,
    /// Where the image shows a centrosymmetric crystal: "darker" finds the part whose A columns are much darker (a SrTiO3 substrate),
    /// X0,Y0,X1,Y1 is a rectangle in px. Default: nowhere
    #[arg(long, value_name = "darker|BOX", value_parser = reference)]
    reference: Option<ReferenceCells>,
    /// Crystal of that region: a structure that ships or a file. Default: srtio3
    #[arg(long, value_name = "NAME|FILE", default_value = "srtio3", hide_default_value = true)]
    reference_structure: String,
    /// Degree of the polynomial of a bent foil's tilt over the image: 0 flat, 1 or 2. Default: 0
    #[arg(long, value_name = "N", default_value_t = 0, hide_default_value = true, value_parser = clap::value_parser!(u8).range(0..=2))]
    bend_degree: u8,
    /// Opposite domains are equally polarized to this fraction (one standard deviation). Default: 0.05
    #[arg(long, value_name = "F", default_value_t = 0.05, hide_default_value = true)]
    domains_equal_to: f64,
    /// Columns have their simulated shape to the effect of this tilt, mrad (one standard deviation of each sign of tilt). Default: 0.3
    #[arg(long, value_name = "MRAD", default_value_t = 0.3, hide_default_value = true)]
    shape_true_to_mrad: f64,
    /// Displacement at the rim of the colour wheel, pm. Default: 50
    #[arg(long, value_name = "PM", default_value_t = 50.0, hide_default_value = true)]
    legend_pm: f64,
    /// Folder of results; one with earlier results is replaced. Default: results/ and the image's name
    #[arg(long, short, value_name = "DIR")]
    output: Option<PathBuf>,
}

fn reference(text: &str) -> Result<ReferenceCells, String> {
    if text == "darker" {
        return Ok(ReferenceCells::Darker);
    }
    let numbers: Option<Vec<i64>> = text.split(',').map(|t| t.trim().parse().ok()).collect();
    match numbers.and_then(|n| <[i64; 4]>::try_from(n).ok()) {
        Some([x0, y0, x1, y1]) if x0 < x1 && y0 < y1 => Ok(ReferenceCells::Box([x0, y0, x1, y1])),
        _ => Err("write \"darker\", or a rectangle as X0,Y0,X1,Y1 in px with X0 < X1 and Y0 < Y1".to_owned()),
    }
}

impl Args {
    fn options(&self, ruler: Ruler) -> Result<Options, Failure> {
        let positive = |v: f64| v.is_finite() && v > 0.0;
        if !positive(self.domains_equal_to) || !positive(self.shape_true_to_mrad) {
            return Err(Failure::BadInput(
                "--domains-equal-to and --shape-true-to-mrad are standard deviations: give numbers above 0".to_owned(),
            ));
        }
        if self.source_fwhm_angstrom.is_some_and(|r| r.low < 0.0 || r.high > 5.0) {
            return Err(Failure::BadInput("the effective source size must lie from 0 to 5 Å".to_owned()));
        }
        Ok(Options {
            beliefs: Beliefs {
                max_tilt_mrad: self.specimen.max_tilt_mrad.unwrap_or(5.0),
                domains_equal_to: self.domains_equal_to,
                shape_true_to_mrad: self.shape_true_to_mrad,
                ..Beliefs::default()
            },
            ruler,
            source_fwhm_angstrom: self.source_fwhm_angstrom.map(|r| [r.low, r.high]),
            reference: self.reference.clone().unwrap_or(ReferenceCells::None),
            bend_degree: usize::from(self.bend_degree),
        })
    }
}

pub(super) fn run(args: &Args, output: &mut Output) -> Result<(), Failure> {
    let image = args.open.read()?;
    let mut mapping = args.open.options()?;
    let pixel_size_pm =
        image.pixel_size_pm.map(|_| image.square_pixel_size_pm()).transpose().map_err(|e| Failure::BadInput(e.to_string()))?;
    if pixel_size_pm.is_none() && args.open.lattice_pm.is_none() {
        return Err(Failure::BadInput(format!(
            "{} says nothing of its pixel size: give --pixel-size-pm, or --lattice-pm with the side of the pseudocubic cell (396 for BiFeO3)",
            args.open.image.display()
        )));
    }
    let film = args.specimen.crystal()?;
    // The crystal says how wide a cell is: where dim columns drown in noise no second lattice is made of the bright ones.
    let edges_angstrom = film.pseudocubic().ok().map(|cell| cell.lengths_angstrom());
    let edge_pm = edges_angstrom.map(|[a, b, c]| 100.0 * (a + b + c) / 3.0);
    mapping.find.lattice_a_px = edge_pm.zip(pixel_size_pm).map(|(edge, pixel)| edge / pixel);
    let (map, columns) =
        polarization_map(&image.data, image.width, image.height, pixel_size_pm, &mapping).map_err(|e| Failure::BadInput(e.to_string()))?;
    let pixel_angstrom = map.pixel_size_pm.unwrap_or(1.0) / 100.0;
    let radius_px = mapping.window_radius_px.unwrap_or_else(|| columns.window_radius_px());
    let ruler = Ruler { estimator: mapping.estimator, window_radius_angstrom: radius_px * pixel_angstrom, sample_angstrom: pixel_angstrom };
    let options = args.options(ruler)?;

    let conditions = args.specimen.conditions(options.beliefs.max_tilt_mrad)?;
    let library = args.specimen.library(&film, &conditions, output)?;
    let reference = match options.reference {
        ReferenceCells::None => None,
        _ => Some(args.specimen.library(&crystal(&args.reference_structure)?, &conditions, output)?),
    };
    let libraries = Libraries { film: &library, reference: reference.as_ref() };
    let verdict = with_threads(args.specimen.threads, || Ok(judge(&image.data, image.width, &map, &columns, &libraries, &options)))??;

    let directions = args.specimen.directions();
    let mut sentences = image_sentences(&verdict);
    sentences.extend(verdict.regions.iter().map(|r| region_sentence(r, &verdict, &directions)));
    let stem = args.open.image.file_stem().map_or_else(|| "image".into(), |s| s.to_string_lossy().into_owned());
    let target = args.output.clone().unwrap_or_else(|| PathBuf::from("results").join(format!("{stem}-verdict")));
    let draft = Draft::begin(&target)?;
    write_tables(draft.path(), &map, &verdict).map_err(RunError::from)?;
    let page =
        VerdictPage { image: &image, map: &map, columns: &columns, verdict: &verdict, sentences: &sentences, legend_pm: args.legend_pm };
    let figures = page.figures().map_err(RunError::from)?;
    let folder = draft.subfolder("figures")?;
    for captioned in &figures {
        captioned.figure.save(&folder, captioned.stem).map_err(RunError::from)?;
    }
    let json = json!({
        "image": args.open.image,
        "structure": library.header.crystal.0,
        "max_tilt_mrad": verdict.max_tilt_mrad,
        "largest_fake_pm": verdict.largest_fake_pm,
        "source_fwhm_angstrom": verdict.source_fwhm_angstrom,
        "sentences": sentences,
        "tilts": verdict.tilts,
        "common_tilt": verdict.common_tilt,
        "reference": verdict.reference.map(|(cells, mean_pm)| json!({ "cells": cells, "mean_pm": mean_pm })),
        "regions": verdict.regions,
        "warnings": verdict.warnings,
    });
    draft.json("verdict.json", &json)?;
    let provenance = json!({
        "program": format!("mistilt {}", env!("CARGO_PKG_VERSION")),
        "commit": env!("MISTILT_COMMIT"),
        "image": args.open.image,
        "image_blake3": std::fs::read(&args.open.image).ok().map(|bytes| blake3::hash(&bytes).to_hex().to_string()),
        "estimator": mapping.estimator,
        "library": library.header.key,
        "conditions": conditions,
        "beliefs": options.beliefs,
    });
    let text = |v: &Json| v.as_str().map_or_else(|| v.to_string(), str::to_owned);
    let keys = ["program", "commit", "image", "image_blake3", "estimator", "library", "conditions", "beliefs"];
    let lines = keys.iter().map(|k| ((*k).to_owned(), text(&provenance[*k]))).collect();
    page.page(&figures, lines).map_err(RunError::from)?.save(&draft.path().join("report.html")).map_err(RunError::from)?;
    draft.json(PROVENANCE, &provenance)?;
    let report = draft.publish()?.join("report.html");

    for line in verdict.warnings.iter().chain(&sentences) {
        output.say(line);
    }
    output.say(&format!("The report is {}", report.display()));
    if output.json {
        return Ok(output.json(&json)?);
    }
    Ok(output.data(&format!("{}\n", report.display()))?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reference_is_a_word_or_a_rectangle() {
        assert_eq!(reference("darker"), Ok(ReferenceCells::Darker));
        assert_eq!(reference("0, 10,200,90"), Ok(ReferenceCells::Box([0, 10, 200, 90])));
        for bad in ["brighter", "1,2,3", "9,0,3,4", "a,b,c,d"] {
            assert!(reference(bad).unwrap_err().contains("X0,Y0,X1,Y1"), "{bad}");
        }
    }
}
