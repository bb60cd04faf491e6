//! NumPy `.npz` archives: the only image of it, or the one of a name; stored or deflated.

use super::bytes::{pixels, plausible};
use super::error::FileFault;
use super::npy::{self, Header};
use super::{Image, ReadOptions};
use std::io::{Cursor, Read};

type Archive<'a> = zip::ZipArchive<Cursor<&'a [u8]>>;

/// Headers are at the very start of each array; this much always holds them.
const HEADER_BYTES: u64 = 1 << 16;

/// Archives with more arrays than this are refused.
const MAX_ARRAYS: usize = 4096;

/// Reads the array `options.key`, or the only one that is an image.
pub(super) fn read(content: &[u8], options: &ReadOptions) -> Result<Image, FileFault> {
    let mut archive =
        zip::ZipArchive::new(Cursor::new(content)).map_err(|e| FileFault::damaged(format!("it is no sound zip archive ({e})")))?;
    let entries = arrays(&archive)?;
    let names: Vec<String> = entries.iter().map(|(_, name)| name.clone()).collect();
    let index = if let Some(key) = &options.key {
        let wanted = key.strip_suffix(".npy").unwrap_or(key);
        let found = entries.iter().find(|(_, name)| name == wanted);
        found.ok_or_else(|| FileFault::NoSuchKey { key: key.clone(), names })?.0
    } else {
        only_image(&mut archive, &entries)?
    };
    let header = peek(&mut archive, index)?;
    let claimed = header.array_bytes().ok_or_else(|| FileFault::damaged("the shape of its array overflows"))?;
    let frames = header.frames()?;
    pixels(frames.width as u64, frames.height as u64)?;
    plausible(claimed, content.len())?;
    npy::read(&unpack(&mut archive, index, claimed + HEADER_BYTES)?, options.page)
}

/// Index and name (without `.npy`) of every array.
fn arrays(archive: &Archive<'_>) -> Result<Vec<(usize, String)>, FileFault> {
    if archive.len() > MAX_ARRAYS {
        return Err(FileFault::unsupported(format!("holds {} arrays; at most {MAX_ARRAYS} are looked through", archive.len())));
    }
    let name = |i| archive.name_for_index(i).and_then(|n| n.strip_suffix(".npy")).map(|n| (i, n.to_owned()));
    Ok((0..archive.len()).filter_map(name).collect())
}

/// The one array with two axes; with none of those, the one with three.
fn only_image(archive: &mut Archive<'_>, entries: &[(usize, String)]) -> Result<usize, FileFault> {
    let mut by_axes: [Vec<&(usize, String)>; 2] = [Vec::new(), Vec::new()];
    for entry in entries {
        match peek(archive, entry.0)?.shape.len() {
            2 => by_axes[0].push(entry),
            3 => by_axes[1].push(entry),
            _ => {}
        }
    }
    let candidates = if by_axes[0].is_empty() { &by_axes[1] } else { &by_axes[0] };
    match candidates[..] {
        [one] => Ok(one.0),
        [] => Err(FileFault::unsupported("holds no array with two axes, so no image")),
        _ => Err(FileFault::Choose { names: candidates.iter().map(|(_, name)| name.clone()).collect() }),
    }
}

fn peek(archive: &mut Archive<'_>, index: usize) -> Result<Header, FileFault> {
    npy::header(&unpack(archive, index, HEADER_BYTES + 12)?)
}

/// At most `limit` bytes of an entry; the sizes the archive claims are not used to allocate.
fn unpack(archive: &mut Archive<'_>, index: usize, limit: u64) -> Result<Vec<u8>, FileFault> {
    let entry = archive.by_index(index).map_err(|e| FileFault::damaged(format!("array {index} cannot be unpacked ({e})")))?;
    let mut out = Vec::new();
    entry.take(limit).read_to_end(&mut out).map_err(|e| FileFault::damaged(format!("array {index} cannot be unpacked ({e})")))?;
    Ok(out)
}
