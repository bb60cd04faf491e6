//! TIFF: grey images of 8 to 64-bit integers and 16 to 64-bit floats, colour as luminance, and the pixel sizes of `ImageJ`,
//! OME and Gatan tags and of the standard resolution.

use super::bytes::{choose, pixel, pixels, plausible};
use super::error::FileFault;
use super::png::{LUMINANCE_NOTE, luminance};
use super::read::{Page, assemble};
use super::{Image, units};
use ::tiff::ColorType;
use ::tiff::decoder::ifd::Value;
use ::tiff::decoder::{Decoder, DecodingResult, Limits};
use ::tiff::tags::{Tag, ValueBuffer};
use std::io::Cursor;

type Reader<'a> = Decoder<Cursor<&'a [u8]>>;

/// More pages than this are not looked for.
const MAX_PAGES: usize = 1 << 16;

/// Text tags longer than this are left unread.
const MAX_TEXT: u64 = 1 << 20;

/// A pixel of a real-space image of columns is smaller than this; larger ones are a printer's dots per inch.
const LARGEST_PIXEL_PM: f64 = 1e6;

/// One page: its place in the file and its sides.
struct PageInfo {
    index: usize,
    width: u32,
    height: u32,
}

/// Reads the page that `page` chooses.
pub(super) fn read(content: &[u8], page: Page) -> Result<Image, FileFault> {
    let mut decoder = Decoder::new(Cursor::new(content)).map_err(broken)?.with_limits(limits(content.len()));
    let pages = list_pages(&mut decoder, content.len())?;
    let Some(first) = pages.first() else { return Err(FileFault::unsupported("holds no image")) };
    let (width, height) = (first.width as usize, first.height as usize);
    let chosen = choose(page, pages.len(), width, height)?;
    if page == Page::Sum && pages.iter().any(|p| (p.width, p.height) != (first.width, first.height)) {
        return Err(FileFault::unsupported("holds pages of different sizes, which cannot be added up; choose one by its number from 0"));
    }
    let mut images = chosen.map(|i| {
        decoder.seek_to_image(pages[i].index).map_err(broken)?;
        read_page(&mut decoder, &pages[i], content.len())
    });
    let mut image = images.next().ok_or_else(|| FileFault::unsupported("holds no image"))??;
    if page == Page::Sum {
        // In f64: thousands of frames of 16-bit counts outgrow the 24 bits of f32.
        let mut sum: Vec<f64> = image.data.iter().map(|&v| f64::from(v)).collect();
        for next in images {
            sum.iter_mut().zip(&next?.data).for_each(|(s, &v)| *s += f64::from(v));
        }
        image.data = sum.into_iter().map(pixel).collect();
    }
    calibrate(&mut decoder, &mut image);
    Ok(image)
}

fn broken(e: ::tiff::TiffError) -> FileFault {
    match e {
        ::tiff::TiffError::UnsupportedError(e) => FileFault::unsupported(format!("is a TIFF of a kind that is not read ({e})")),
        e => FileFault::damaged(format!("the TIFF cannot be decoded ({e})")),
    }
}

/// Nothing in a file can be longer than the file itself, or than what compression packs into it.
fn limits(file_bytes: usize) -> Limits {
    let unpacked = file_bytes.saturating_mul(4096).saturating_add(1 << 16).min(1 << 33);
    let mut limits = Limits::default();
    limits.ifd_value_size = file_bytes;
    limits.intermediate_buffer_size = unpacked;
    limits.decoding_buffer_size = unpacked;
    limits
}

/// The pages that are full images, not reduced copies of one.
fn list_pages(decoder: &mut Reader<'_>, file_bytes: usize) -> Result<Vec<PageInfo>, FileFault> {
    let mut pages = Vec::new();
    for index in 0..MAX_PAGES {
        // The decoder makes room for the values of a tag before it reads them.
        if let Some((tag, entry)) = decoder.image_ifd().directory().iter().find(|(_, entry)| entry.count() > file_bytes as u64) {
            return Err(FileFault::damaged(format!("tag {} claims {} values", tag.to_u16(), entry.count())));
        }
        let kind: Option<u32> = decoder.find_tag_unsigned(Tag::NewSubfileType).map_err(broken)?;
        let (width, height) = decoder.dimensions().map_err(broken)?;
        // Bit 0 marks a reduced-resolution copy, bit 2 a transparency mask.
        if kind.unwrap_or(0) & 0b101 == 0 {
            pages.push(PageInfo { index, width, height });
        }
        if !decoder.more_images() {
            break;
        }
        decoder.next_image().map_err(broken)?;
    }
    Ok(pages)
}

fn read_page(decoder: &mut Reader<'_>, info: &PageInfo, file_bytes: usize) -> Result<Image, FileFault> {
    let n = pixels(u64::from(info.width), u64::from(info.height))?;
    let (samples, bits) = match decoder.colortype().map_err(broken)? {
        ColorType::Gray(bits) => (1, bits),
        ColorType::GrayA(bits) => (2, bits),
        ColorType::RGB(bits) => (3, bits),
        ColorType::RGBA(bits) => (4, bits),
        other => {
            return Err(FileFault::unsupported(format!("is a TIFF with pixels of kind {other:?}; convert it to grey or RGB first")));
        }
    };
    if bits < 8 {
        return Err(FileFault::unsupported(format!("is a TIFF of {bits}-bit pixels; convert it to 8 bits or more first")));
    }
    let planar: Option<u32> = decoder.find_tag_unsigned(Tag::PlanarConfiguration).map_err(broken)?;
    if samples > 1 && planar == Some(2) {
        return Err(FileFault::unsupported("is a TIFF whose colours lie in separate planes; convert it to grey first"));
    }
    plausible(n as u64 * samples * u64::from(bits / 8), file_bytes)?;
    let values = values(decoder.read_image().map_err(broken)?);
    let samples = samples as usize;
    if values.len() < n * samples {
        return Err(FileFault::damaged("the TIFF has fewer pixels than it says"));
    }
    let mut coloured = false;
    let data = values.chunks_exact(samples).take(n).map(|p| {
        coloured |= samples > 2 && (p[0].to_bits() != p[1].to_bits() || p[1].to_bits() != p[2].to_bits());
        let transparent = samples.is_multiple_of(2) && p[samples - 1] <= 0.0;
        let grey = if samples > 2 { luminance(p[0], p[1], p[2]) } else { p[0] };
        if transparent { f32::NAN } else { pixel(grey) }
    });
    let mut image = assemble(info.width as usize, info.height as usize, data.collect())?;
    if coloured {
        image.metadata.notes.push(LUMINANCE_NOTE.to_owned());
    }
    Ok(image)
}

fn values(result: DecodingResult) -> Vec<f64> {
    match result {
        DecodingResult::U8(v) => v.into_iter().map(f64::from).collect(),
        DecodingResult::U16(v) => v.into_iter().map(f64::from).collect(),
        DecodingResult::U32(v) => v.into_iter().map(f64::from).collect(),
        DecodingResult::U64(v) => v.into_iter().map(|x| x as f64).collect(),
        DecodingResult::I8(v) => v.into_iter().map(f64::from).collect(),
        DecodingResult::I16(v) => v.into_iter().map(f64::from).collect(),
        DecodingResult::I32(v) => v.into_iter().map(f64::from).collect(),
        DecodingResult::I64(v) => v.into_iter().map(|x| x as f64).collect(),
        DecodingResult::F16(v) => v.into_iter().map(half::f16::to_f64).collect(),
        DecodingResult::F32(v) => v.into_iter().map(f64::from).collect(),
        DecodingResult::F64(v) => v,
    }
}

/// Pixel size, from the most specific tag to the least.
fn calibrate(decoder: &mut Reader<'_>, image: &mut Image) {
    let description = text(decoder, Tag::ImageDescription).unwrap_or_default();
    let per_unit = [Tag::XResolution, Tag::YResolution].map(|t| number(decoder, t).filter(|v| *v > 0.0));
    let resolution = |image: &mut Image, unit: &str| {
        if let [Some(x), y] = per_unit {
            image.calibrate([1.0 / x, 1.0 / y.unwrap_or(x)], unit);
        }
    };
    if let Some((scale, unit)) = gatan(decoder) {
        image.calibrate(scale, &unit);
    } else if let Some((scale, unit)) = ome(&description) {
        image.calibrate(scale, &unit);
    } else if description.starts_with("ImageJ=") {
        if let Some(unit) = description.lines().find_map(|l| l.strip_prefix("unit=")) {
            resolution(image, unit);
        }
    } else {
        let unit = match decoder.find_tag_unsigned::<u32>(Tag::ResolutionUnit) {
            Ok(Some(2)) => "inch",
            Ok(Some(3)) => "cm",
            _ => return,
        };
        let pm = units::picometres(unit).zip(per_unit[0]).map(|(unit, per)| unit / per);
        if pm.is_some_and(|pm| pm < LARGEST_PIXEL_PM) {
            resolution(image, unit);
        }
    }
}

/// Gatan's own tags: 65003 and 65004 the units of y and x, 65009 and 65010 the sides of a pixel along y and x.
fn gatan(decoder: &mut Reader<'_>) -> Option<([f64; 2], String)> {
    let y = number(decoder, Tag::Unknown(65009))?;
    let x = number(decoder, Tag::Unknown(65010)).unwrap_or(y);
    let unit = text(decoder, Tag::Unknown(65004)).or_else(|| text(decoder, Tag::Unknown(65003)))?;
    Some(([x, y], unit))
}

/// `PhysicalSizeX="0.015" PhysicalSizeXUnit="nm"` of an OME-TIFF; without unit it is micrometres, as the OME schema says.
fn ome(description: &str) -> Option<([f64; 2], String)> {
    let attribute = |name: &str| {
        let (_, rest) = description.split_once(&format!(" {name}=\""))?;
        rest.split_once('"').map(|(value, _)| value)
    };
    let x: f64 = attribute("PhysicalSizeX")?.parse().ok()?;
    let y = attribute("PhysicalSizeY").and_then(|v| v.parse().ok()).unwrap_or(x);
    Some(([x, y], attribute("PhysicalSizeXUnit").unwrap_or("µm").to_owned()))
}

/// A tag that is a number.
fn number(decoder: &mut Reader<'_>, tag: Tag) -> Option<f64> {
    if decoder.image_ifd().find_entry(tag)?.count() != 1 {
        return None;
    }
    let value = match decoder.find_tag(tag).ok()?? {
        Value::Rational(a, b) => f64::from(a) / f64::from(b),
        Value::SRational(a, b) => f64::from(a) / f64::from(b),
        Value::Float(v) => f64::from(v),
        Value::Double(v) => v,
        _ => return None,
    };
    value.is_finite().then_some(value)
}

/// A tag that is text: UTF-8, UTF-16 (Gatan) or Latin-1 (`ImageJ`'s micro sign).
fn text(decoder: &mut Reader<'_>, tag: Tag) -> Option<String> {
    let mut ifd = decoder.image_ifd();
    let entry = ifd.find_entry(tag)?;
    if entry.count() > MAX_TEXT {
        return None;
    }
    let mut buffer = ValueBuffer::empty(entry.field_type());
    ifd.find_tag_buf(tag, &mut buffer).ok()??;
    let bytes = buffer.as_bytes();
    let wide = bytes.len() >= 2 && bytes.len().is_multiple_of(2) && bytes[1] == 0 && bytes[0] != 0;
    let decoded = if wide {
        let units: Vec<u16> = bytes.chunks_exact(2).map(|b| u16::from_le_bytes([b[0], b[1]])).collect();
        String::from_utf16_lossy(&units)
    } else {
        String::from_utf8(bytes.to_vec()).unwrap_or_else(|_| bytes.iter().map(|&b| char::from(b)).collect())
    };
    Some(decoded.trim_end_matches('\0').to_owned())
}
