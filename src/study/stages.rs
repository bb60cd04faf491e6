//! What each stage of a study depends on, and by that where the store keeps its result: image, frame, measurement.
//!
//! image: slab, slices, grid, beam, k-points, tilts, probes, detectors, exits, phonon seed, numerics. A structure file counts by its atoms, not
//! by its path. frame: the image, the place in it, the camera, the pixels and the seed. measurement: the image, the place in it, and every setting of the
//! point. A frame is kept where several points measure it, as for several windows; one that a single point measures is made for that point alone.

use super::plan::{Place, Propagation};
use super::spec::{Point, PointConfig, SimulationSettings};
use super::vault_entry::Address;
use super::{RunError, frame, setup};
use crate::multislice::{Illumination, Setting};
use crate::specimen::Stack;
use serde::Serialize;

/// All images of one propagation.
pub(super) const IMAGE: &str = "image";
/// The sums of one block of k-points of a propagation that several processes share.
pub(super) const BLOCK: &str = "block";
/// The sums so far of a propagation that one process computes alone.
pub(super) const CHECKPOINT: &str = "checkpoint";
/// One frame of the camera that several points measure.
pub(super) const FRAME: &str = "frame";
/// The records of one point.
pub(super) const MEASUREMENT: &str = "measurement";
/// All stages, in the order of the work.
pub(super) const ALL: [&str; 5] = [BLOCK, CHECKPOINT, IMAGE, FRAME, MEASUREMENT];

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

/// Where a frame of a point is kept; `None` for a point without a camera or a detector that is none of its own.
pub(super) fn frame(
    image: &Address,
    p: &Propagation,
    place: Place,
    config: &PointConfig,
    channel: usize,
    number: u64,
) -> Result<Option<Address>, RunError> {
    let Some(settings) = &config.camera else { return Ok(None) };
    let detectors = setup::detectors(&config.microscope);
    let Some(detector) = detectors.get(channel).and_then(|d| p.detectors.iter().position(|known| known == d)) else { return Ok(None) };
    let raster = settings.raster(frame::ORIGIN_ANGSTROM);
    let drawn = (frame::seed(config), number, channel);
    Address::new(FRAME, &(image.key, place.illumination, place.exit, detector, raster, &settings.camera, drawn)).map(Some)
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
