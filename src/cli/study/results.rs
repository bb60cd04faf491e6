//! `mistilt study diff` and `export`: what is done with results that stand.

use super::{DiffArgs, ExportArgs};
use crate::cli::failure::Failure;
use crate::cli::output::Output;
use crate::study::diff::{self, Difference, Moved};
use crate::study::export;
use serde_json::{Value as Json, json};
use std::fmt::Write as _;

pub(super) fn export(args: &ExportArgs, output: &mut Output) -> Result<(), Failure> {
    export::export(&args.folder, &args.output)?;
    let bytes = std::fs::metadata(&args.output)?.len();
    output.say(&format!("{}: {:.2} MB", args.output.display(), bytes as f64 / 1e6));
    if output.json {
        return Ok(output.json(&json!({ "file": args.output, "bytes": bytes }))?);
    }
    Ok(())
}

pub(super) fn diff(args: &DiffArgs, output: &mut Output) -> Result<(), Failure> {
    let difference = diff::diff(&args.first, &args.second)?;
    output.say(&summary(&difference));
    if output.json {
        let moved: Vec<Json> = difference.moved.iter().map(moved_json).collect();
        return Ok(output.json(&json!({
            "rows": difference.rows,
            "numbers": difference.numbers,
            "only_first": difference.only_a,
            "only_second": difference.only_b,
            "moved": moved,
        }))?);
    }
    Ok(output.data(&lines(&difference, args.limit))?)
}

fn summary(d: &Difference) -> String {
    let mut out = format!("{} of {} numbers in {} common rows moved", d.moved.len(), d.numbers, d.rows);
    let beyond = d.moved.iter().filter(|m| m.sigmas().is_some_and(|s| s.abs() > 3.0)).count();
    // Writing to a String cannot fail.
    if let Some(largest) = d.moved.iter().filter_map(Moved::sigmas).map(f64::abs).reduce(f64::max) {
        let _ = write!(out, ", {beyond} of them by more than 3 σ, the farthest by {largest:.1} σ");
    }
    if d.only_a + d.only_b > 0 {
        let _ = write!(out, "; {} rows are in the first alone, {} in the second", d.only_a, d.only_b);
    }
    out
}

/// One line a number that moved, the farthest first.
fn lines(d: &Difference, limit: usize) -> String {
    let number = |value: Option<f64>| value.map_or("none".to_owned(), |v| format!("{v:.4}"));
    let mut out = String::new();
    for m in d.moved.iter().take(limit) {
        let row: Vec<String> = m.row.iter().map(|(column, value)| format!("{column}={value}")).collect();
        let change = m.change().map_or(String::new(), |c| format!("  {c:+.4}"));
        let sigmas = m.sigmas().map_or(String::new(), |s| format!("  {s:+.2} σ"));
        let _ = writeln!(out, "{}  {}: {} -> {}{change}{sigmas}", row.join(" "), m.quantity, number(m.a), number(m.b));
    }
    if d.moved.len() > limit {
        let _ = writeln!(out, "... and {} more (--limit, --json)", d.moved.len() - limit);
    }
    out
}

fn moved_json(m: &Moved) -> Json {
    let row: serde_json::Map<String, Json> = m.row.iter().map(|(column, value)| (column.clone(), value.as_str().into())).collect();
    json!({ "row": row, "quantity": m.quantity, "first": m.a, "second": m.b, "change": m.change(), "sigma": m.sigma, "sigmas": m.sigmas() })
}
