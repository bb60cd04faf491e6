//! `mistilt columns`: every atomic column of an image, with its uncertainty.

use super::failure::Failure;
use super::open::Open;
use super::output::Output;
use crate::columns::{ColumnLattice, ColumnStatus, Estimator, PixelWindow, Pixels, absent_pixels, find_columns, measure_columns};
use crate::crystal::Site;
use serde_json::json;
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// Which image.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    open: Open,
}

pub(super) fn run(args: &Args, output: &mut Output) -> Result<(), Failure> {
    let image = args.open.read()?;
    let options = args.open.options()?;
    let bad = |e: crate::columns::FindError| Failure::BadInput(e.to_string());
    let found = find_columns(&image.data, image.width, image.height, &options.find).map_err(bad)?;
    let absent = absent_pixels(&image.data, image.width, image.height);
    let pixels = Pixels::new(&image.data, image.width, image.height).and_then(|p| p.without(&absent));
    // The reader made the image: its values are as many as its pixels.
    let pixels = pixels.ok_or_else(|| Failure::BadInput("the image's shape does not match its values".to_owned()))?;
    let window = PixelWindow { radius_px: options.window_radius_px.unwrap_or_else(|| found.window_radius_px()), empirical: true };
    // Columns alone have no cell to fit together.
    let single = if options.estimator == Estimator::CellFit { Estimator::Gaussian } else { options.estimator };
    let (columns, refused) = measure_columns(&pixels, &found, &window, single);
    let mut reasons: BTreeMap<String, usize> = BTreeMap::new();
    for (_, reason) in &refused {
        // Counted by kind; the sentences themselves carry numbers of single columns.
        let kind = serde_json::to_value(reason).ok().and_then(|v| v["reason"].as_str().map(str::to_owned));
        *reasons.entry(kind.unwrap_or_else(|| reason.to_string())).or_default() += 1;
    }
    let count = |site| columns.sublattice(site).count();
    output.say(&format!(
        "{} A and {} B columns, a = {:.2} px; {} fits refused",
        count(Site::A),
        count(Site::B),
        columns.lattice_a_px(),
        refused.len()
    ));
    for (reason, n) in &reasons {
        output.say(&format!("  {n}: {reason}"));
    }
    if output.json {
        return Ok(output.json(&json!({
            "a_columns": count(Site::A), "b_columns": count(Site::B), "lattice_a_px": columns.lattice_a_px(),
            "pixel_size_pm": image.pixel_size_pm, "refused": refused.len(), "refused_by_reason": reasons,
        }))?);
    }
    Ok(output.data(&csv_text(&columns))?)
}

/// One line a column; positions of refused ones are those of the search and say so by their status.
pub(super) fn csv_text(columns: &ColumnLattice) -> String {
    let mut text = "site,index_a,index_b,x_px,y_px,sigma_x_px,sigma_y_px,intensity,status\n".to_owned();
    let number = |v: f64| if v.is_finite() { v.to_string() } else { String::new() };
    for c in &columns.columns {
        let site = if c.site == Site::A { "A" } else { "B" };
        let [xx, _, yy] = c.covariance_px2;
        let status = match c.status {
            ColumnStatus::Found => "found",
            ColumnStatus::Inferred => "inferred",
            ColumnStatus::Measured => "measured",
            ColumnStatus::Failed => "refused",
        };
        let [x, y] = c.position_px;
        // Writing to a String cannot fail.
        let _ = writeln!(
            text,
            "{site},{},{},{x},{y},{},{},{},{status}",
            c.index[0],
            c.index[1],
            number(xx.sqrt()),
            number(yy.sqrt()),
            number(c.intensity)
        );
    }
    text
}
