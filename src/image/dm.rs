//! Gatan `.dm3` and `.dm4` images: pixels of every real type with pixel size, beam energy and detector angles.
//!
//! An image is an entry of `ImageList` with `ImageData.{Data, DataType, Dimensions, Calibrations}` and `ImageTags`; entries that
//! `Thumbnails` points at are previews.

use super::bytes::{Frames, Number, gather, pixels, squeeze};
use super::dm_tags::{Element, Tag, TagFile, parse};
use super::error::FileFault;
use super::png::{LUMINANCE_NOTE, luminance};
use super::read::{Page, assemble};
use super::{Image, Metadata, units};
use std::collections::BTreeSet;

pub(super) use super::dm_tags::is_dm;

/// Reads the first image that is no preview.
pub(super) fn read(content: &[u8], page: Page) -> Result<Image, FileFault> {
    let file = parse(content)?;
    let entry = main_image(&file)?;
    let data = entry.get("ImageData").ok_or_else(|| FileFault::damaged("its image has no ImageData"))?;
    let sides = dimensions(data)?;
    let (frames, x, y) = frames(&sides)?;
    let mut image = decode(&file, data, &frames, page)?;
    calibrate(&file, &mut image, data, x, y);
    image.metadata.title = entry.get("Name").and_then(|t| file.text(t)).filter(|t| !t.is_empty());
    if let Some(tags) = entry.get("ImageTags") {
        microscope(&file, &mut image.metadata, tags);
    }
    Ok(image)
}

/// The first entry of `ImageList` that `Thumbnails` does not point at.
fn main_image<'f>(file: &'f TagFile<'_>) -> Result<&'f Tag, FileFault> {
    let list = file.root.get("ImageList").map(Tag::children).unwrap_or_default();
    let previews: BTreeSet<usize> = file
        .root
        .get("Thumbnails")
        .map(Tag::children)
        .unwrap_or_default()
        .iter()
        .filter_map(|(_, t)| t.get("ImageIndex")?.number())
        .map(|n| n as usize)
        .collect();
    let mut images = list.iter().enumerate().filter(|(i, _)| !previews.contains(i)).map(|(_, (_, tag))| tag).peekable();
    // Without a list of previews the first of several is one when it is a colour picture (type 23).
    if previews.is_empty() && list.len() > 1 {
        let kind = images.peek().and_then(|t| t.at(&["ImageData", "DataType"])?.number());
        if kind == Some(23.0) {
            images.next();
        }
    }
    images.next().ok_or_else(|| FileFault::unsupported("is a DigitalMicrograph file without an image"))
}

/// Sides along x, y, ... as the file has them.
fn dimensions(data: &Tag) -> Result<Vec<usize>, FileFault> {
    let sides: Vec<f64> = data.get("Dimensions").map(Tag::children).unwrap_or_default().iter().filter_map(|(_, t)| t.number()).collect();
    if sides.len() > 8 || sides.iter().any(|s| !(*s >= 0.0 && *s < 9e15)) {
        return Err(FileFault::damaged("the sides of its image make no sense"));
    }
    Ok(sides.into_iter().map(|s| s as usize).collect())
}

/// The image or stack of given sides (x fastest), and which axes are x and y; axes of length 1 do not count.
fn frames(sides: &[usize]) -> Result<(Frames, usize, usize), FileFault> {
    let mut axes: Vec<usize> = (0..sides.len()).rev().collect();
    squeeze(&mut axes, |&a| sides[a]);
    let (x, y, count) = match axes[..] {
        [y, x] => (x, y, 1),
        [z, y, x] => (x, y, sides[z]),
        _ => {
            return Err(FileFault::unsupported(format!(
                "holds data with sides {sides:?}, which is neither an image (2 axes) nor a stack of images (3 axes)"
            )));
        }
    };
    Ok((Frames::row_major(sides[x], sides[y], count)?, x, y))
}

fn decode(file: &TagFile<'_>, data: &Tag, frames: &Frames, page: Page) -> Result<Image, FileFault> {
    let code = data.get("DataType").and_then(Tag::number).unwrap_or(0.0) as u32;
    let array = data.get("Data").ok_or_else(|| FileFault::damaged("its image has no pixels"))?;
    let (bytes, element, count) = file.bytes(array).ok_or_else(|| FileFault::damaged("its pixels are no array"))?;
    let number = match code {
        1 => Number::I16,
        2 => Number::F32,
        6 => Number::U8,
        7 => Number::I32,
        9 => Number::I8,
        10 => Number::U16,
        11 => Number::U32,
        12 => Number::F64,
        14 => Number::Bool,
        39 => Number::I64,
        40 => Number::U64,
        8 | 23 => return colour(bytes, frames, page),
        3 | 5 | 13 | 27 | 28 => {
            return Err(FileFault::unsupported("holds complex pixels (a Fourier transform or a hologram); save its modulus first"));
        }
        other => return Err(FileFault::unsupported(format!("holds pixels of DigitalMicrograph's type {other}, which is not known"))),
    };
    if element.size() != number.size() && !matches!(element, Element::Record(_)) {
        let bits = pixels(frames.width as u64, frames.height as u64)?.saturating_mul(frames.count);
        let what = if number == Number::Bool && count <= bits / 8 + 1 { "packed into bits" } else { "of another size than their type" };
        return Err(FileFault::unsupported(format!("holds pixels {what}; save the image as 8-bit integers or floats")));
    }
    assemble(frames.width, frames.height, gather(bytes, number, file.big_endian(), frames, page)?)
}

/// Colour as 4 bytes a pixel: blue, green, red, nothing.
fn colour(bytes: &[u8], frames: &Frames, page: Page) -> Result<Image, FileFault> {
    let channel = |k: usize| -> Result<Vec<f32>, FileFault> {
        let strides = frames.strides.map(|s| s * 4);
        let wide = Frames { strides, ..*frames };
        let needed = frames.width.checked_mul(frames.height).and_then(|n| n.checked_mul(frames.count)?.checked_mul(4));
        if needed.is_none_or(|n| n > bytes.len()) {
            return Err(FileFault::damaged(format!("its colour image has only {} bytes", bytes.len())));
        }
        gather(bytes.get(k..).unwrap_or_default(), Number::U8, false, &wide, page)
    };
    let (b, g, r) = (channel(0)?, channel(1)?, channel(2)?);
    let grey = r.iter().zip(&g).zip(&b).map(|((&r, &g), &b)| luminance(f64::from(r), f64::from(g), f64::from(b)) as f32);
    let mut image = assemble(frames.width, frames.height, grey.collect())?;
    image.metadata.notes.push(LUMINANCE_NOTE.to_owned());
    Ok(image)
}

fn calibrate(file: &TagFile<'_>, image: &mut Image, data: &Tag, x: usize, y: usize) {
    let axes = data.at(&["Calibrations", "Dimension"]).map(Tag::children).unwrap_or_default();
    let axis = |i: usize| -> Option<(f64, String)> {
        let (_, tag) = axes.get(i)?;
        Some((tag.get("Scale")?.number()?, tag.get("Units").and_then(|t| file.text(t)).unwrap_or_default()))
    };
    if let (Some((x, unit)), Some((y, unit_y))) = (axis(x), axis(y)) {
        let ratio = units::picometres(&unit_y).zip(units::picometres(&unit)).map_or(1.0, |(y, x)| y / x);
        image.calibrate([x, y * ratio], &unit);
    }
}

/// Searches the free tags of the microscope for voltage and angles; the programs that write them agree on words, not on places.
fn microscope(file: &TagFile<'_>, found: &mut Metadata, tags: &Tag) {
    for (name, tag) in tags.children() {
        // The parser bounds the depth of groups.
        if let Tag::Group(_) = tag {
            microscope(file, found, tag);
            continue;
        }
        let lower = name.to_lowercase();
        let value = tag.number().filter(|v| v.is_finite() && *v > 0.0);
        let slot = if lower == "voltage" || lower == "voltage (v)" {
            found.beam_energy_kev = found.beam_energy_kev.or(value.map(|v| v * 1e-3));
            continue;
        } else if lower.contains("inner ang") {
            &mut found.detector_inner_mrad
        } else if lower.contains("outer ang") {
            &mut found.detector_outer_mrad
        } else if lower.contains("convergence") && lower.contains("mrad") {
            &mut found.convergence_mrad
        } else if lower == "signal name" || lower == "detector name" {
            found.detector_name = found.detector_name.take().or_else(|| file.text(tag).filter(|t| !t.is_empty()));
            continue;
        } else {
            continue;
        };
        *slot = slot.or(value.filter(|v| *v < 2000.0));
        if lower.contains("haadf") && found.detector_name.is_none() {
            found.detector_name = Some("HAADF".to_owned());
        }
    }
}

#[cfg(test)]
#[path = "dm_tests.rs"]
pub(in crate::image) mod tests;
