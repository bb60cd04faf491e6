//! `mistilt structures`: the crystals that ship, with their sources.

use super::failure::Failure;
use super::output::Output;
use crate::crystal::{Crystal, structures};
use serde_json::json;
use std::collections::BTreeMap;

pub(super) fn run(output: &mut Output) -> Result<(), Failure> {
    let shipped: Vec<(&str, &str, Crystal)> =
        structures::ENTRIES.iter().filter_map(|entry| Some((entry.name, entry.description, structures::get(entry.name)?))).collect();
    if output.json {
        let one = |(name, description, crystal): &(&str, &str, Crystal)| json!({ "name": name, "description": description, "formula": formula(crystal), "source": crystal.source });
        return Ok(output.json(&shipped.iter().map(one).collect::<Vec<_>>())?);
    }
    for (name, description, crystal) in &shipped {
        output.data(&format!("{name}\n  {description}\n  {}\n  {}\n\n", formula(crystal), crystal.source))?;
    }
    Ok(())
}

/// Atoms of the unit cell by element, "Bi6 Fe6 O18".
fn formula(crystal: &Crystal) -> String {
    let mut counts: BTreeMap<u8, (&str, f64)> = BTreeMap::new();
    for atom in &crystal.atoms {
        counts.entry(atom.element.atomic_number()).or_insert((atom.element.symbol(), 0.0)).1 += atom.occupancy;
    }
    let one = |n: f64| (n - 1.0).abs() < f64::EPSILON;
    let heavy_first: Vec<String> =
        counts.values().rev().map(|(symbol, n)| if one(*n) { (*symbol).to_owned() } else { format!("{symbol}{n}") }).collect();
    heavy_first.join(" ")
}
