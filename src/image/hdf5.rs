//! HDF5: opens the file under guard, tells the layout (HyperSpy, Velox, Berkeley, Sm-BFO, a lone array) and decodes its arrays.

use super::bytes::{Frames, Kind, Number, gather, pixels, plausible, squeeze};
use super::error::FileFault;
use super::read::{Page, assemble};
use super::{Image, ReadOptions, emd, hyperspy, sm_bfo};
use hdf5_pure::{AttrValue, Dataset, Datatype, DatatypeByteOrder, File, Group};
use std::collections::HashMap;
use std::path::Path;

/// Groups are followed to this depth, and this many of them.
const MAX_DEPTH: usize = 8;
const MAX_GROUPS: usize = 4096;

/// An array larger than this is not read: a stack of images is better split first.
const MAX_ARRAY_BYTES: u64 = 1 << 33;

/// The attributes of a group or dataset.
pub(super) type Attributes = HashMap<String, AttrValue>;

/// An open HDF5 file and its length, the measure of every claim it makes.
pub(super) struct Store {
    pub(super) file: File,
    bytes: usize,
}

/// An array of numbers, row-major.
pub(super) struct Array {
    number: Number,
    big_endian: bool,
    pub(super) shape: Vec<usize>,
    bytes: Vec<u8>,
}

/// Reads the image of an HDF5 file.
pub(super) fn read_path(path: &Path, options: &ReadOptions) -> Result<Image, FileFault> {
    with_path(path, |store| read(store, options))
}

/// Reads the image of the bytes of an HDF5 file.
pub(super) fn read_bytes(content: Vec<u8>, options: &ReadOptions) -> Result<Image, FileFault> {
    guarded(|| {
        let bytes = content.len();
        let file = File::from_bytes(content).map_err(broken)?;
        read(&Store { file, bytes }, options)
    })
}

/// Does `work` with the file at `path`.
pub(super) fn with_path<T>(path: &Path, work: impl FnOnce(&Store) -> Result<T, FileFault>) -> Result<T, FileFault> {
    guarded(|| {
        let length = std::fs::metadata(path).map_err(|e| FileFault::unsupported(format!("cannot be read ({e})")))?.len();
        let file = File::open_streaming(path).map_err(broken)?;
        work(&Store { file, bytes: usize::try_from(length).unwrap_or(usize::MAX) })
    })
}

/// The HDF5 library is young: should it panic on a file that no test has shown it, the user still gets a sentence.
fn guarded<T>(work: impl FnOnce() -> Result<T, FileFault>) -> Result<T, FileFault> {
    // Nothing outlives the closure but its result, so no broken invariant can be seen afterwards.
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(work))
        .unwrap_or_else(|_| Err(FileFault::damaged("the HDF5 library gave up on it")))
}

#[expect(clippy::needless_pass_by_value, reason = "so that it fits `map_err`")]
pub(super) fn broken(e: hdf5_pure::Error) -> FileFault {
    FileFault::damaged(format!("the HDF5 library says: {e}"))
}

fn read(store: &Store, options: &ReadOptions) -> Result<Image, FileFault> {
    let root = store.file.root();
    let reads = [hyperspy::read, emd::read_velox, emd::read_berkeley, sm_bfo::read_image];
    for layout in reads {
        if let Some(image) = layout(store, &root, options)? {
            return Ok(image);
        }
    }
    lone_array(store, &root, options)
}

/// A file of no known layout: the array of the name given, or the only one with two axes.
fn lone_array(store: &Store, root: &Group, options: &ReadOptions) -> Result<Image, FileFault> {
    let mut arrays = Vec::new();
    for (path, group) in walk(root) {
        for name in group.datasets().map_err(broken)? {
            let Ok(dataset) = group.dataset(&name) else { continue };
            let wide = dataset.shape().is_ok_and(|s| s.iter().filter(|&&n| n > 1).count() >= 2);
            if wide && number_type(&dataset).is_some() {
                arrays.push((vec![format!("{path}{name}"), name], dataset));
            }
        }
    }
    if arrays.is_empty() {
        return Err(FileFault::unsupported(
            "holds no image; known layouts are HyperSpy, Berkeley and Velox .emd, the Sm-BFO data set's, and plain arrays of two axes",
        ));
    }
    let dataset = select(arrays, options.key.as_deref())?;
    let mut image = store.array(&dataset)?.image(options.page)?;
    image.metadata.notes.push("a plain HDF5 array, which says nothing of its pixel size".to_owned());
    Ok(image)
}

/// The candidate whose name or one of whose other names is `key`; without a key, the only one.
pub(super) fn select<T>(mut candidates: Vec<(Vec<String>, T)>, key: Option<&str>) -> Result<T, FileFault> {
    let names = |c: &[(Vec<String>, T)]| c.iter().map(|(n, _)| n.first().cloned().unwrap_or_default()).collect();
    match key {
        None if candidates.len() > 1 => Err(FileFault::Choose { names: names(&candidates) }),
        None => candidates.pop().map(|c| c.1).ok_or_else(|| FileFault::unsupported("holds no image")),
        Some(key) => {
            let wanted = key.trim_matches('/');
            match candidates.iter().position(|(n, _)| n.iter().any(|n| n.trim_matches('/') == wanted)) {
                Some(found) => Ok(candidates.swap_remove(found).1),
                None => Err(FileFault::NoSuchKey { key: key.to_owned(), names: names(&candidates) }),
            }
        }
    }
}

/// All groups below `root` with their paths (ending in `/`), parents before children, bounded in depth and number.
pub(super) fn walk(root: &Group) -> Vec<(String, Group)> {
    let mut found = vec![(String::new(), root.clone(), 0)];
    let mut next = 0;
    while next < found.len() {
        let (path, group, depth) = found[next].clone();
        next += 1;
        if depth >= MAX_DEPTH {
            continue;
        }
        let mut names = group.groups().unwrap_or_default();
        names.sort_unstable();
        for name in names {
            if found.len() >= MAX_GROUPS {
                break;
            }
            if let Ok(child) = group.group(&name) {
                found.push((format!("{path}{name}/"), child, depth + 1));
            }
        }
    }
    found.into_iter().map(|(path, group, _)| (path, group)).collect()
}

/// The entry of `names` that is `wanted` but for case.
pub(super) fn find_name(names: &[String], wanted: &str) -> Option<String> {
    names.iter().find(|n| n.eq_ignore_ascii_case(wanted)).cloned()
}

/// A text attribute, without the words HyperSpy and h5py write for nothing.
pub(super) fn text(attributes: &Attributes, name: &str) -> Option<String> {
    let value = attributes.get(name)?;
    let text = value.as_str().or_else(|| value.as_strings().and_then(|s| s.first()).map(String::as_str))?;
    let text = text.trim_end_matches('\0');
    (!text.is_empty() && text != "_None_" && text != "<undefined>").then(|| text.to_owned())
}

/// A number attribute: a scalar, or an array of one.
pub(super) fn number(attributes: &Attributes, name: &str) -> Option<f64> {
    let value = attributes.get(name)?;
    let as_float = |v: &AttrValue| v.as_f64().or_else(|| v.as_i64().map(|i| i as f64)).or_else(|| v.as_u64().map(|i| i as f64));
    as_float(value)
        .or_else(|| value.to_f64s().and_then(|v| v.first().copied()))
        .or_else(|| value.to_i64s().and_then(|v| v.first().map(|&i| i as f64)))
        .or_else(|| value.as_str().and_then(|s| s.trim().parse().ok()))
        .filter(|v| v.is_finite())
}

fn number_type(dataset: &Dataset) -> Option<(Number, bool)> {
    let big = |order: &DatatypeByteOrder| *order == DatatypeByteOrder::BigEndian;
    match dataset.datatype().ok()? {
        Datatype::FixedPoint { size, byte_order, layout } => {
            let kind = if layout.signed { Kind::Signed } else { Kind::Unsigned };
            Some((Number::of(kind, size as usize)?, big(&byte_order)))
        }
        Datatype::FloatingPoint { size, byte_order, layout } => {
            // IEEE formats only: bfloat16 has two bytes, too, but an exponent of 8 bits.
            let exponent = [(2, 5), (4, 8), (8, 11)].contains(&(size, layout.exponent_size));
            Some((Number::of(Kind::Float, size as usize).filter(|_| exponent)?, big(&byte_order)))
        }
        // h5py stores booleans as an enumeration of bytes.
        Datatype::Enumeration { size: 1, .. } => Some((Number::Bool, false)),
        _ => None,
    }
}

impl Store {
    /// Reads an array of numbers, its size checked against the file's and the bound before anything is allocated.
    pub(super) fn array(&self, dataset: &Dataset) -> Result<Array, FileFault> {
        let shape = dataset.shape().map_err(broken)?;
        let Some((number, big_endian)) = number_type(dataset) else {
            return Err(FileFault::unsupported(
                "holds values that are no real numbers (complex, text or records); save their modulus or one part",
            ));
        };
        let claimed = shape.iter().try_fold(number.size() as u64, |n, &d| n.checked_mul(d));
        let claimed = claimed.ok_or_else(|| FileFault::damaged("the shape of an array overflows"))?;
        plausible(claimed, self.bytes)?;
        if claimed > MAX_ARRAY_BYTES {
            return Err(FileFault::unsupported(format!("holds an array of {claimed} bytes, more than 2^33; split the stack first")));
        }
        if let Some(chunk) = dataset.chunk_shape().map_err(broken)? {
            let bytes = chunk.iter().try_fold(number.size() as u64, |n, &d| n.checked_mul(d));
            plausible(bytes.unwrap_or(u64::MAX), self.bytes)?;
        }
        let bytes = dataset.read_raw().map_err(broken)?;
        let shape = shape.iter().map(|&n| usize::try_from(n).unwrap_or(usize::MAX)).collect();
        Ok(Array { number, big_endian, shape, bytes })
    }

    /// The numbers of the dataset `name` of `group`, if it is there; at most `limit` of them.
    pub(super) fn numbers(&self, group: &Group, name: &str, limit: u64) -> Option<Vec<f64>> {
        let dataset = group.dataset(name).ok()?;
        let count = dataset.shape().ok()?.iter().try_fold(1_u64, |n, &d| n.checked_mul(d))?;
        if count > limit { None } else { self.array(&dataset).ok().map(|a| a.values()) }
    }
}

impl Array {
    /// All numbers, in order.
    pub(super) fn values(&self) -> Vec<f64> {
        self.bytes.chunks_exact(self.number.size()).map(|b| self.number.decode(b, self.big_endian)).collect()
    }

    /// The raw bytes.
    pub(super) fn raw(&self) -> &[u8] {
        &self.bytes
    }

    /// The image whose rows and columns are the last two axes; a third before them counts images. Axes of length 1 do not count.
    pub(super) fn image(&self, page: Page) -> Result<Image, FileFault> {
        let mut axes = self.shape.clone();
        squeeze(&mut axes, |&n| n);
        let frames = match axes[..] {
            [height, width] => Frames::row_major(width, height, 1)?,
            [count, height, width] => Frames::row_major(width, height, count)?,
            _ => return Err(self.no_image()),
        };
        self.pixels(&frames, page)
    }

    pub(super) fn no_image(&self) -> FileFault {
        FileFault::unsupported(format!(
            "holds an array of shape {:?}, which is neither an image (2 axes) nor a stack of images (3 axes)",
            self.shape
        ))
    }

    /// The image of the given memory layout.
    pub(super) fn pixels(&self, frames: &Frames, page: Page) -> Result<Image, FileFault> {
        pixels(frames.width as u64, frames.height as u64)?;
        assemble(frames.width, frames.height, gather(&self.bytes, self.number, self.big_endian, frames, page)?)
    }
}
