//! The two formats called `.emd`: Velox (Thermo Fisher; one image a detector, frames along the last axis, metadata as JSON) and
//! Berkeley (groups with `emd_group_type`, their axes as datasets `dim1`, `dim2`).

use super::bytes::{Frames, squeeze};
use super::error::FileFault;
use super::hdf5::{Array, Store, broken, number, select, text, walk};
use super::{Image, Metadata, ReadOptions, units};
use hdf5_pure::Group;
use serde_json::Value;

/// Axes longer than this are not read to find their step.
const MAX_AXIS: u64 = 1 << 20;

/// Reads the Velox image of detector or identifier `options.key`, or the only one; `None` when the file is not Velox'.
pub(super) fn read_velox(store: &Store, root: &Group, options: &ReadOptions) -> Result<Option<Image>, FileFault> {
    let Ok(images) = root.group("Data/Image") else { return Ok(None) };
    let mut candidates = Vec::new();
    let mut identifiers = images.groups().map_err(broken)?;
    identifiers.sort_unstable();
    for id in identifiers {
        let group = images.group(&id).map_err(broken)?;
        if group.dataset("Data").is_err() {
            continue;
        }
        let metadata = velox_json(store, &group).unwrap_or(Value::Null);
        let detector = metadata["BinaryResult"]["Detector"].as_str().map(str::to_owned);
        let names = detector.into_iter().chain([id.clone(), format!("Data/Image/{id}"), format!("Data/Image/{id}/Data")]).collect();
        candidates.push((names, (group, metadata)));
    }
    if candidates.is_empty() {
        return Ok(None);
    }
    name_twins_by_identifier(&mut candidates);
    let (group, metadata) = select(candidates, options.key.as_deref())?;
    let array = store.array(&group.dataset("Data").map_err(broken)?)?;
    let frames = match array.shape[..] {
        [height, width] => Frames::row_major(width, height, 1)?,
        [height, width, count] => Frames { width, height, count, strides: [count, count.saturating_mul(width), 1] },
        _ => return Err(array.no_image()),
    };
    let mut image = array.pixels(&frames, options.page)?;
    velox_metadata(&mut image, &metadata);
    Ok(Some(image))
}

/// Two images of one detector cannot be told apart by its name: both go by their identifier.
fn name_twins_by_identifier<T>(candidates: &mut [(Vec<String>, T)]) {
    let names: Vec<String> = candidates.iter().map(|(n, _)| n[0].clone()).collect();
    for (own, candidate) in candidates.iter_mut().enumerate() {
        if names.iter().enumerate().any(|(other, name)| other != own && *name == names[own]) && candidate.0.len() > 3 {
            candidate.0.remove(0);
        }
    }
}

/// The metadata of the first frame: JSON in a column of bytes, zeros after it.
fn velox_json(store: &Store, group: &Group) -> Option<Value> {
    let array = store.array(&group.dataset("Metadata").ok()?).ok()?;
    let columns = array.shape.get(1).copied().unwrap_or(1).max(1);
    let text: Vec<u8> = array.raw().iter().step_by(columns).copied().take_while(|&b| b != 0).collect();
    serde_json::from_slice(&text).ok()
}

/// A number that Velox writes as text.
fn velox_number(value: &Value) -> Option<f64> {
    value.as_f64().or_else(|| value.as_str()?.trim().parse().ok()).filter(|v| v.is_finite())
}

fn velox_metadata(image: &mut Image, json: &Value) {
    let result = &json["BinaryResult"];
    let size = &result["PixelSize"];
    if let Some(x) = velox_number(&size["width"]) {
        let y = velox_number(&size["height"]).unwrap_or(x);
        image.calibrate([x, y], result["PixelUnitX"].as_str().unwrap_or("m"));
    }
    let found = &mut image.metadata;
    // Volts, and radians, in the file.
    found.beam_energy_kev = velox_number(&json["Optics"]["AccelerationVoltage"]).map(|v| v * 1e-3);
    found.convergence_mrad = velox_number(&json["Optics"]["BeamConvergence"]).map(|v| v * 1e3).filter(|v| *v > 0.0);
    found.detector_name = result["Detector"].as_str().map(str::to_owned);
    let Some(detectors) = json["Detectors"].as_object() else { return };
    let own = detectors.values().find(|d| d["DetectorName"].as_str().is_some_and(|n| Some(n) == found.detector_name.as_deref()));
    if let Some(range) = own.map(|d| &d["CollectionAngleRange"]) {
        found.detector_inner_mrad = velox_number(&range["begin"]).map(|v| v * 1e3);
        found.detector_outer_mrad = velox_number(&range["end"]).map(|v| v * 1e3);
    }
}

/// Reads the Berkeley image of group `options.key`, or the only one; `None` when no group calls itself one.
pub(super) fn read_berkeley(store: &Store, root: &Group, options: &ReadOptions) -> Result<Option<Image>, FileFault> {
    let mut candidates = Vec::new();
    for (path, group) in walk(root) {
        let is_emd = group.attrs().is_ok_and(|a| a.contains_key("emd_group_type"));
        if is_emd && group.dataset("data").is_ok_and(|d| d.shape().is_ok_and(|s| s.len() >= 2)) {
            let name = path.trim_end_matches('/').to_owned();
            candidates.push((vec![name.clone(), format!("{name}/data")], group));
        }
    }
    if candidates.is_empty() {
        return Ok(None);
    }
    let group = select(candidates, options.key.as_deref())?;
    let array = store.array(&group.dataset("data").map_err(broken)?)?;
    let mut image = array.image(options.page)?;
    berkeley_axes(store, &mut image, &group, &array);
    berkeley_microscope(&mut image.metadata, root);
    image.metadata.title = group.attrs().ok().and_then(|a| text(&a, "name").or_else(|| text(&a, "title")));
    Ok(Some(image))
}

/// Pixel size from the steps of the axes; `dim1` is the first axis of the array (`dim0` in files of version 1).
fn berkeley_axes(store: &Store, image: &mut Image, group: &Group, array: &Array) {
    let first = usize::from(group.dataset("dim0").is_err());
    let mut axes: Vec<usize> = (0..array.shape.len()).collect();
    squeeze(&mut axes, |&a| array.shape[a]);
    let axis = |a: Option<&usize>| -> Option<(f64, String)> {
        let name = format!("dim{}", a? + first);
        let values = store.numbers(group, &name, MAX_AXIS)?;
        // Version 1 may give the first two values only; the step is the same.
        let step = match values[..] {
            [start, .., end] => (end - start) / (values.len() - 1) as f64,
            _ => return None,
        };
        let attributes = group.dataset(&name).ok()?.attrs().ok()?;
        Some((step, text(&attributes, "units").unwrap_or_default()))
    };
    let mut from_end = axes.iter().rev();
    let (x, y) = (axis(from_end.next()), axis(from_end.next()));
    if let (Some((x, unit)), Some((y, unit_y))) = (x, y) {
        let ratio = units::picometres(&unit_y).zip(units::picometres(&unit)).map_or(1.0, |(y, x)| y / x);
        image.calibrate([x, y * ratio], &unit);
    }
}

/// The group `microscope` is free text by key; anything that says voltage is taken, in V or kV by its size.
fn berkeley_microscope(found: &mut Metadata, root: &Group) {
    let Some(attributes) = root.group("microscope").ok().and_then(|g| g.attrs().ok()) else { return };
    let mut names: Vec<&String> = attributes.keys().collect();
    names.sort_unstable();
    for name in names {
        let lower = name.to_lowercase();
        // No microscope works below 1 kV or above 3 MV.
        let kilo = |v: f64| if v >= 5000.0 { v * 1e-3 } else { v };
        if (lower.contains("voltage") || lower.contains("beam_energy")) && !lower.contains("unit") {
            found.beam_energy_kev = found.beam_energy_kev.or(number(&attributes, name).map(kilo).filter(|v| *v > 0.0));
        }
    }
}
