//! What each stage of a study depends on, and by that where the store keeps its result: image, then measurement.
//!
//! image: slab, slices, grid, beam, k-points, tilts, probes, detectors, exits, phonon seed, numerics. A structure file counts by its atoms, not
//! by its path. measurement: the image, the place in it, and every setting of the point. A noisy frame is no entry of its own: it is a function
//! of image, camera and seed, sooner made again than read, and its settings are in the key of what is measured in it.

use super::plan::{Place, Propagation};
use super::spec::{Point, SimulationSettings};
use super::vault_entry::Address;
use super::{RunError, setup};
use crate::multislice::{Illumination, Setting};
use crate::specimen::Stack;
use serde::Serialize;

/// All images of one propagation.
pub(super) const IMAGE: &str = "image";
/// The sums of one block of k-points of a propagation that several processes share.
pub(super) const BLOCK: &str = "block";
/// The sums so far of a propagation that one process computes alone.
pub(super) const CHECKPOINT: &str = "checkpoint";
/// The records of one point.
pub(super) const MEASUREMENT: &str = "measurement";
/// All stages, in the order of the work.
pub(super) const ALL: [&str; 4] = [BLOCK, CHECKPOINT, IMAGE, MEASUREMENT];

#[derive(Serialize)]
struct ImageInputs<'a> {
    stack: &'a Stack,
    period: usize,
    setting: &'a Setting,
    simulation: &'a SimulationSettings,
    k_points: [usize; 2],
    raster_origin: [f64; 2],
    exits: &'a [usize],
    illuminations: &'a [Illumination],
    /// Inner and outer angle, mrad; a name changes no electron.
    detectors: Vec<[f64; 2]>,
    /// Of the phonons; none where atoms are at rest.
    seed: Option<u64>,
}

/// Where the images of a propagation are kept.
pub(super) fn image(p: &Propagation) -> Result<Address, RunError> {
    let inputs = ImageInputs {
        stack: &p.specimen.stack,
        period: p.specimen.period,
        setting: &p.setting,
        simulation: &p.shared.simulation,
        k_points: p.k_points(),
        raster_origin: p.raster_origin,
        exits: &p.exits,
        illuminations: &p.illuminations,
        detectors: p.detectors.iter().map(|d| [d.inner_mrad, d.outer_mrad]).collect(),
        seed: p.phonons().map(|_| p.shared.seed),
    };
    Address::new(IMAGE, &inputs)
}

/// Where the sums of one block are kept.
pub(super) fn block(image: &Address, block: usize) -> Result<Address, RunError> {
    Address::new(BLOCK, &(image.key, block))
}

/// Where the sums so far are kept.
pub(super) fn checkpoint(image: &Address) -> Result<Address, RunError> {
    Address::new(CHECKPOINT, &image.key)
}

/// Where the records of a point are kept.
pub(super) fn measurement(image: &Address, p: &Propagation, place: Place, point: &Point) -> Result<Address, RunError> {
    let unstorable = |error: serde_json::Error| RunError::Store { what: format!("point {}", point.index), reason: error.to_string() };
    let mut config = serde_json::to_value(&point.config).map_err(unstorable)?;
    // The image's key stands for the crystal's atoms; a path would tie the entry to one machine.
    if let Some(crystal) = config.get_mut("crystal").and_then(serde_json::Value::as_object_mut) {
        crystal.remove("source");
    }
    // Which of the propagation's detectors are the point's: equal settings may stand at other places in another study.
    let detectors: Vec<Option<usize>> =
        setup::detectors(&point.config.microscope).iter().map(|d| p.detectors.iter().position(|known| known == d)).collect();
    Address::new(MEASUREMENT, &(image.key, place.illumination, place.exit, detectors, config))
}
