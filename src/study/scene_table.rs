//! The `[scene]` table of a study file: what its keys must agree on among themselves and with the rest of the file.

use super::file::StudyFile;
use crate::crystal::{Element, structures};
use crate::scene::{Fidelity, Pattern, Phase};

/// A problem of the table: key, message, label, help.
pub(super) type SceneFinding = (&'static str, String, &'static str, String);

/// Problems between the keys of the scene of one point.
pub(super) fn findings(file: &StudyFile) -> Vec<SceneFinding> {
    let Some(scene) = &file.scene else { return Vec::new() };
    let mut out = Vec::new();
    if Element::from_symbol(&scene.dopant).is_none() {
        let message = format!("`dopant` is \"{}\", which is no chemical element.", scene.dopant);
        out.push(("scene.dopant", message, "no element", "Give a symbol, such as \"Sm\".".to_owned()));
    }
    if let Some(name) = scene.substrate.as_deref().filter(|name| !structures::names().contains(name)) {
        let help = format!("These ship: {}.", structures::names().join(", "));
        out.push(("scene.substrate", format!("No structure is called \"{name}\"."), "no such structure", help));
    }
    if scene.substrate_rows > 0 && scene.substrate.is_none() {
        let help = "Name one, such as `substrate = \"srtio3\"`.".to_owned();
        out.push(("scene.substrate_rows", "There are rows of a substrate, and no `substrate`.".to_owned(), "of what?", help));
    }
    if scene.substrate_rows >= scene.size_cells[1] {
        let message = format!("{} of {} rows are substrate: nothing is left for the film.", scene.substrate_rows, scene.size_cells[1]);
        out.push(("scene.substrate_rows", message, "too many", "Give fewer rows than `size_cells` has.".to_owned()));
    }
    let antipolar = matches!(scene.phase.at(scene.composition), Phase::Pbam | Phase::Pnma | Phase::Cubic);
    if antipolar && scene.pattern != Pattern::Uniform {
        let message = format!("The phase at composition {} has no displacement that a pattern could vary.", scene.composition);
        let help = "Take `pattern = \"uniform\"`, or a polar phase such as \"r3c\".".to_owned();
        out.push(("scene.pattern", message, "nothing to vary", help));
    }
    let crystal = &file.crystal;
    if crystal.zone_axis != [0, 0, 1] || crystal.x_axis != [1, 0, 0] {
        let key = if crystal.zone_axis == [0, 0, 1] { "crystal.x_axis" } else { "crystal.zone_axis" };
        let help = "Leave `zone_axis` and `x_axis` out; `scene.variant` turns the displacement.".to_owned();
        out.push((key, "A scene is seen along [0, 0, 1] with [1, 0, 0] to the right.".to_owned(), "not with [scene]", help));
    }
    if scene.fidelity == Fidelity::Multislice && scene.size_cells.iter().product::<u32>() > 4096 {
        let message = format!("{} × {} cells are too many for multislice of the whole scene.", scene.size_cells[0], scene.size_cells[1]);
        out.push(("scene.size_cells", message, "at most 4096 cells", "Take fewer, or `fidelity = \"library\"`.".to_owned()));
    }
    out
}
