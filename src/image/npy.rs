//! NumPy `.npy` arrays: reads every real dtype in both byte orders and memory orders, writes little-endian f32.
//!
//! Format: <https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html> (versions 1, 2 and 3).

use super::bytes::{Frames, Kind, Number, gather, pixels, squeeze};
use super::error::FileFault;
use super::publish::publish;
use super::read::{Page, assemble};
use super::{Image, ImageError, sidecar};
use std::path::Path;

/// A header longer than this is refused; `NumPy` itself refuses beyond 10 000 by default.
const MAX_HEADER: usize = 1 << 16;

/// What the header of an array says.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Header {
    number: Result<Number, String>,
    big_endian: bool,
    fortran_order: bool,
    pub(super) shape: Vec<usize>,
    /// Where the numbers begin.
    data_start: usize,
}

impl Header {
    /// Bytes of the whole array, as the header claims.
    pub(super) fn array_bytes(&self) -> Option<u64> {
        let size = self.number.as_ref().map_or(8, |n| n.size()) as u64;
        self.shape.iter().try_fold(size, |product, &n| product.checked_mul(n as u64))
    }

    /// The image or stack the array is: axes of length 1 do not count, the last two axes are rows and columns.
    pub(super) fn frames(&self) -> Result<Frames, FileFault> {
        let mut axes: Vec<(usize, usize)> = Vec::new();
        let mut stride = 1_usize;
        let order: Vec<usize> = if self.fortran_order { (0..self.shape.len()).collect() } else { (0..self.shape.len()).rev().collect() };
        for axis in order {
            axes.push((self.shape[axis], stride));
            // A product beyond the address space is refused with the pixel count, before any stride is used.
            stride = stride.saturating_mul(self.shape[axis]);
        }
        if !self.fortran_order {
            axes.reverse();
        }
        squeeze(&mut axes, |a| a.0);
        match axes[..] {
            [(height, sy), (width, sx)] => Ok(Frames { width, height, count: 1, strides: [sx, sy, 0] }),
            [(count, sf), (height, sy), (width, sx)] => Ok(Frames { width, height, count, strides: [sx, sy, sf] }),
            _ => Err(FileFault::unsupported(format!(
                "holds an array of shape {:?}, which is neither an image (2 axes) nor a stack of images (3 axes, the first counts the images)",
                self.shape
            ))),
        }
    }
}

/// Reads a `.npy` file.
pub(super) fn read(content: &[u8], page: Page) -> Result<Image, FileFault> {
    let header = header(content)?;
    let frames = header.frames()?;
    pixels(frames.width as u64, frames.height as u64)?;
    let number = header.number.clone().map_err(FileFault::Unsupported)?;
    let data = gather(&content[header.data_start..], number, header.big_endian, &frames, page)?;
    assemble(frames.width, frames.height, data)
}

/// Reads the header of a `.npy` file from its first bytes.
pub(super) fn header(content: &[u8]) -> Result<Header, FileFault> {
    let short = || FileFault::damaged("it ends within its header");
    if !content.starts_with(b"\x93NUMPY") {
        return Err(FileFault::damaged("it does not begin as a .npy file does"));
    }
    let [major, _minor] = content.get(6..8).and_then(|b| b.try_into().ok()).ok_or_else(short)?;
    let (length, start) = match major {
        1 => (content.get(8..10).and_then(|b| b.try_into().ok()).map(|b| usize::from(u16::from_le_bytes(b))).ok_or_else(short)?, 10),
        2 | 3 => (content.get(8..12).and_then(|b| b.try_into().ok()).map(|b| u32::from_le_bytes(b) as usize).ok_or_else(short)?, 12),
        _ => return Err(FileFault::unsupported(format!("is a .npy file of version {major}; versions 1 to 3 are known"))),
    };
    if length > MAX_HEADER {
        return Err(FileFault::damaged(format!("its header claims {length} bytes")));
    }
    let text = content.get(start..start + length).ok_or_else(short)?;
    let text = String::from_utf8_lossy(text);
    let (number, big_endian) = dtype(value_of(&text, "descr")?);
    let fortran_order = match value_of(&text, "fortran_order")? {
        t if t.starts_with("True") => true,
        t if t.starts_with("False") => false,
        _ => return Err(FileFault::damaged("its header does not say the memory order")),
    };
    let shape = shape(value_of(&text, "shape")?)?;
    Ok(Header { number, big_endian, fortran_order, shape, data_start: start + length })
}

/// What follows `'key':` in the header, a Python dictionary of three known keys.
fn value_of<'t>(text: &'t str, key: &str) -> Result<&'t str, FileFault> {
    [format!("'{key}'"), format!("\"{key}\"")]
        .iter()
        .find_map(|quoted| text.split_once(quoted.as_str()))
        .and_then(|(_, rest)| rest.trim_start().strip_prefix(':'))
        .map(str::trim_start)
        .ok_or_else(|| FileFault::damaged(format!("its header has no `{key}`")))
}

/// Number type and byte order of a dtype string such as `'<f4'`; a sentence for those that are no real numbers.
fn dtype(text: &str) -> (Result<Number, String>, bool) {
    let quote = text.chars().next().filter(|c| matches!(c, '\'' | '"'));
    let Some(descr) = quote.and_then(|q| text[1..].split(q).next()) else {
        return (Err("holds records, not numbers; save one field of them".to_owned()), false);
    };
    let (order, rest) = match descr.split_at_checked(1) {
        Some((o @ ("<" | ">" | "|" | "="), rest)) => (o, rest),
        _ => ("=", descr),
    };
    let big_endian = order == ">" || (order == "=" && cfg!(target_endian = "big"));
    let size: Option<usize> = rest.get(1..).and_then(|s| s.parse().ok());
    let kind = match rest.chars().next() {
        Some('b') if size == Some(1) => return (Ok(Number::Bool), big_endian),
        Some('f') => Some(Kind::Float),
        Some('i') => Some(Kind::Signed),
        Some('u') => Some(Kind::Unsigned),
        Some('c') => return (Err("holds complex numbers; save their modulus or one part".to_owned()), big_endian),
        _ => None,
    };
    let number = kind.zip(size).and_then(|(kind, size)| Number::of(kind, size));
    let shown: String = descr.chars().take(40).collect();
    (number.ok_or_else(|| format!("holds numbers of type `{shown}`; integers and floats of 1 to 8 bytes are known")), big_endian)
}

fn shape(text: &str) -> Result<Vec<usize>, FileFault> {
    let wrong = || FileFault::damaged("the shape in its header cannot be read");
    let inside = text.strip_prefix('(').and_then(|t| t.split_once(')')).ok_or_else(wrong)?.0;
    let axes: Vec<usize> = inside
        .split(',')
        .map(str::trim)
        .filter(|t| !t.is_empty())
        // Python 2 wrote long integers as `12L`.
        .map(|t| t.trim_end_matches('L').parse().map_err(|_| wrong()))
        .collect::<Result<_, _>>()?;
    if axes.len() > 32 { Err(wrong()) } else { Ok(axes) }
}

impl Image {
    /// Writes the pixels as a `.npy` array of f32 (rows, columns), and the sidecar `PATH.json` with all else.
    ///
    /// # Errors
    /// [`ImageError::Write`] where the disk refuses, [`ImageError::Truth`] for a ground truth that is none.
    pub fn write_npy(&self, path: impl AsRef<Path>) -> Result<(), ImageError> {
        use ndarray_npy::WriteNpyExt;
        let path = path.as_ref();
        let array = ndarray::ArrayView2::from_shape((self.height, self.width), &self.data).map_err(|_| ImageError::Shape {
            width: self.width,
            height: self.height,
            len: self.data.len(),
        })?;
        sidecar::write(self, path)?;
        publish(path, |file| array.write_npy(file).map_err(std::io::Error::other))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(descr: &str, fortran: &str, shape: &str, data: &[u8]) -> Vec<u8> {
        let text = format!("{{'descr': '{descr}', 'fortran_order': {fortran}, 'shape': {shape}, }}\n");
        let mut out = b"\x93NUMPY\x01\x00".to_vec();
        out.extend((text.len() as u16).to_le_bytes());
        out.extend(text.bytes());
        out.extend(data);
        out
    }

    #[test]
    fn c_and_fortran_order_give_the_same_image() {
        let c = read(&file("|u1", "False", "(2, 3)", &[0, 1, 2, 10, 11, 12]), Page::Only).unwrap();
        let f = read(&file("|u1", "True", "(2, 3)", &[0, 10, 1, 11, 2, 12]), Page::Only).unwrap();
        assert_eq!((c.width, c.height, &c.data[..]), (3, 2, &[0.0, 1.0, 2.0, 10.0, 11.0, 12.0][..]));
        assert_eq!(c, f);
    }

    #[test]
    fn half_floats_big_endian_and_stacks_are_read() {
        let image = read(&file(">f2", "False", "(1, 1, 2)", &[0x3e, 0x00, 0xfc, 0x00]), Page::Only).unwrap();
        assert_eq!((image.width, image.height, image.data[0]), (2, 1, 1.5));
        assert!(image.data[1].is_nan(), "-inf is no data");
        let stack = file("<i2", "False", "(2, 1, 2)", &[1, 0, 2, 0, 3, 0, 255, 255]);
        assert_eq!(read(&stack, Page::Index(1)).unwrap().data, [3.0, -1.0]);
        assert!(read(&stack, Page::Only).unwrap_err().to_string().contains("page"));
    }

    #[test]
    fn what_is_no_image_is_refused_in_words() {
        for (content, says) in [
            (file("<c8", "False", "(1, 1)", &[0; 8]), "complex"),
            (file("<U4", "False", "(1, 1)", &[0; 16]), "<U4"),
            (file("<f4", "False", "(4,)", &[0; 16]), "[4]"),
            (file("<f4", "False", "(2, 2)", &[0; 15]), "need 16 bytes and only 15"),
            (file("<f4", "False", "(99999999999, 9999999999)", &[0; 15]), "2^28"),
            (file("<f4", "False", "(0, 3)", &[]), "empty"),
            (file("<f4", "False", "(2, x)", &[]), "shape"),
            (b"\x93NUMPY\x01".to_vec(), "ends within"),
            (b"\x93NUMPY\x07\0\0\0".to_vec(), "version 7"),
        ] {
            let fault = read(&content, Page::Only).unwrap_err().to_string();
            assert!(fault.contains(says), "{fault}");
        }
    }

    #[test]
    fn what_is_written_is_read_back() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.npy");
        let image = Image::new(3, 2, vec![0.0, 1.5, f32::NAN, -3.0, 4.0, 1e-30]).unwrap().with_pixel_size_pm(15.1).unwrap();
        image.write(&path).unwrap();
        let back = Image::read(&path, &super::super::ReadOptions::default()).unwrap();
        assert!(back.data.iter().zip(&image.data).all(|(a, b)| a.to_bits() == b.to_bits()));
        assert_eq!(back.pixel_size_pm, Some(15.1));
    }
}
