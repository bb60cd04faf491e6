//! The front door: reads an image of any known format, told by its content first and its name second.

use super::error::FileFault;
use super::{Image, ImageError, bytes, dm, hdf5, npy, npz, png, sidecar, tiff, units};
use std::path::{Path, PathBuf};

/// Files of all formats but HDF5 are read whole; longer ones are refused.
const MAX_FILE_BYTES: u64 = 1 << 33;

/// What a caller may choose when an image is read.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ReadOptions {
    /// Side of a pixel, pm; it counts more than what file and sidecar say.
    pub pixel_size_pm: Option<f64>,
    /// Name of the image in a file that holds several: an array of a `.npz`, a dataset or group of an HDF5 file, a detector of a
    /// Velox `.emd`. `FILE:NAME` as path says the same.
    pub key: Option<String>,
    /// Which image of a stack.
    pub page: Page,
}

/// Which image of a stack is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Page {
    /// The only one; a stack of several is refused.
    #[default]
    Only,
    /// The one of this number, counted from 0.
    Index(usize),
    /// The sum of all.
    Sum,
}

impl std::str::FromStr for Page {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "sum" => Ok(Self::Sum),
            number => number
                .parse()
                .map(Self::Index)
                .map_err(|_| format!("`{text}` is no page: give a number counted from 0, or `sum` to add all up")),
        }
    }
}

/// A file format, as the first bytes tell it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Format {
    Npy,
    Npz,
    Tiff,
    Png,
    Hdf5,
    Dm,
}

impl Image {
    /// Reads an image with its pixel size, microscope metadata and (from the sidecar `PATH.json`) ground truth.
    ///
    /// Known are `.npy`, `.npz`, TIFF, PNG, HDF5 (HyperSpy, Berkeley and Velox `.emd`, the Sm-BFO data set's layout) and Gatan
    /// `.dm3`/`.dm4`. `PATH:NAME` chooses one image of a file that holds several. The pixel size is taken from `options`, else from
    /// the sidecar, else from the file.
    ///
    /// # Errors
    /// Whatever the file is, the answer is an image or an [`ImageError`] that says what is wrong and what to do; no claim of a file
    /// about its own size is believed before it is checked against its length and against [`super::MAX_PIXELS`].
    pub fn read(path: impl AsRef<Path>, options: &ReadOptions) -> Result<Self, ImageError> {
        let (path, options) = split_key(path.as_ref(), options);
        let failed = |source| ImageError::Read { path: path.clone(), source };
        let format = sniff(&first_bytes(&path).map_err(failed)?, &path).ok_or_else(|| ImageError::UnknownFormat { path: path.clone() })?;
        let mut image = if format == Format::Hdf5 {
            hdf5::read_path(&path, &options).map_err(|fault| fault.at(&path))?
        } else {
            let length = std::fs::metadata(&path).map_err(failed)?.len();
            if length > MAX_FILE_BYTES {
                let fault = FileFault::unsupported(format!("a file of {length} bytes is too long to read; save one image of it alone"));
                return Err(fault.at(&path));
            }
            decode(format, &std::fs::read(&path).map_err(failed)?, &options).map_err(|fault| fault.at(&path))?
        };
        sidecar::apply(&mut image, &path)?;
        image.metadata.source_file = Some(path.display().to_string());
        finish(image, &options)
    }

    /// Reads an image from the content of a file; `name` stands for the file in messages and tells the format where content does not.
    ///
    /// # Errors
    /// As [`Image::read`].
    pub fn from_bytes(name: impl AsRef<Path>, content: &[u8], options: &ReadOptions) -> Result<Self, ImageError> {
        let name = name.as_ref();
        let format = sniff(content, name).ok_or_else(|| ImageError::UnknownFormat { path: name.to_path_buf() })?;
        let image = match format {
            Format::Hdf5 => hdf5::read_bytes(content.to_vec(), options),
            other => decode(other, content, options),
        };
        finish(image.map_err(|fault| fault.at(name))?, options)
    }

    /// Writes the image by its extension (`.npy`, `.tif`, `.hspy`), with the sidecar `PATH.json` beside it; each file appears whole
    /// or not at all.
    ///
    /// # Errors
    /// [`ImageError::OutputFormat`] for another extension, [`ImageError::Write`] where the disk refuses, [`ImageError::Truth`] for a
    /// ground truth that is none.
    pub fn write(&self, path: impl AsRef<Path>) -> Result<(), ImageError> {
        let path = path.as_ref();
        match extension(path).as_str() {
            "npy" => self.write_npy(path),
            "tif" | "tiff" => self.write_tiff(path),
            "hspy" | "hdf5" => self.write_hspy(path),
            _ => Err(ImageError::OutputFormat { path: path.to_path_buf() }),
        }
    }

    /// Takes a pixel size as a file states it; what is no length or no positive number is noted and left.
    pub(super) fn calibrate(&mut self, scale: [f64; 2], unit: &str) {
        let shown: String = unit.trim().chars().take(40).collect();
        let Some(pm) = units::picometres(unit) else {
            if !shown.is_empty() {
                self.metadata.notes.push(format!("the file's pixel size is in `{shown}`, which is no length: not used"));
                self.metadata.original_units = Some(shown);
            }
            return;
        };
        // A negative scale means an axis that runs the other way; the size of the pixel is the same.
        let [x, y] = scale.map(|s| s.abs() * pm);
        if self.set_pixel_sizes_pm(x, y).is_err() {
            self.metadata.notes.push(format!("the file's pixel size of {} x {} {shown} makes no sense: not used", scale[0], scale[1]));
        }
        self.metadata.original_units = Some(shown);
    }
}

/// The caller's pixel size has the last word.
fn finish(mut image: Image, options: &ReadOptions) -> Result<Image, ImageError> {
    if let Some(size) = options.pixel_size_pm {
        image.set_pixel_sizes_pm(size, size)?;
    }
    Ok(image)
}

fn decode(format: Format, content: &[u8], options: &ReadOptions) -> Result<Image, FileFault> {
    if options.key.is_some() && format != Format::Npz {
        return Err(FileFault::unsupported("holds no images by name; leave out the name after the colon (a stack is chosen from by page)"));
    }
    match format {
        Format::Npy => npy::read(content, options.page),
        Format::Npz => npz::read(content, options),
        Format::Tiff => tiff::read(content, options.page),
        Format::Png => png::read(content),
        Format::Dm => dm::read(content, options.page),
        Format::Hdf5 => hdf5::read_bytes(content.to_vec(), options),
    }
}

/// `FILE:NAME` where no file of the whole name exists.
fn split_key(path: &Path, options: &ReadOptions) -> (PathBuf, ReadOptions) {
    let mut options = options.clone();
    if options.key.is_none()
        && !path.exists()
        && let Some((file, key)) = path.to_str().and_then(|p| p.rsplit_once(':'))
        && Path::new(file).is_file()
        && !key.is_empty()
    {
        options.key = Some(key.to_owned());
        return (PathBuf::from(file), options);
    }
    (path.to_path_buf(), options)
}

/// Enough of the file to tell its format: an HDF5 file from MATLAB begins at byte 512.
fn first_bytes(path: &Path) -> std::io::Result<Vec<u8>> {
    use std::io::Read;
    let mut start = Vec::with_capacity(520);
    std::fs::File::open(path)?.take(520).read_to_end(&mut start)?;
    Ok(start)
}

fn extension(path: &Path) -> String {
    path.extension().map_or(String::new(), |e| e.to_string_lossy().to_lowercase())
}

fn sniff(start: &[u8], path: &Path) -> Option<Format> {
    const HDF5: &[u8] = b"\x89HDF\r\n\x1a\n";
    let begins = |magic: &[u8]| start.starts_with(magic);
    if begins(b"\x93NUMPY") {
        return Some(Format::Npy);
    }
    if begins(b"PK\x03\x04") || begins(b"PK\x05\x06") {
        return Some(Format::Npz);
    }
    if begins(b"II*\0") || begins(b"MM\0*") || begins(b"II+\0") || begins(b"MM\0+") {
        return Some(Format::Tiff);
    }
    if begins(b"\x89PNG\r\n\x1a\n") {
        return Some(Format::Png);
    }
    if begins(HDF5) || start.get(512..).is_some_and(|s| s.starts_with(HDF5)) {
        return Some(Format::Hdf5);
    }
    if dm::is_dm(start) {
        return Some(Format::Dm);
    }
    match extension(path).as_str() {
        "npy" => Some(Format::Npy),
        "npz" => Some(Format::Npz),
        "tif" | "tiff" => Some(Format::Tiff),
        "png" => Some(Format::Png),
        "hspy" | "hdf5" | "h5" | "emd" => Some(Format::Hdf5),
        "dm3" | "dm4" => Some(Format::Dm),
        _ => None,
    }
}

/// An image from pixels that a reader has decoded and checked.
pub(super) fn assemble(width: usize, height: usize, data: Vec<f32>) -> Result<Image, FileFault> {
    bytes::pixels(width as u64, height as u64)?;
    Image::new(width, height, data).map_err(|e| FileFault::damaged(e.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_counts_more_than_the_name() {
        assert_eq!(sniff(b"\x93NUMPY\x01\0", Path::new("a.tif")), Some(Format::Npy));
        assert_eq!(sniff(b"", Path::new("a.TIF")), Some(Format::Tiff));
        assert_eq!(sniff(b"hello", Path::new("a.txt")), None);
    }

    #[test]
    fn pages_are_numbers_or_the_sum() {
        assert_eq!(("3".parse(), "sum".parse()), (Ok(Page::Index(3)), Ok(Page::Sum)));
        assert!("-1".parse::<Page>().unwrap_err().contains("counted from 0"));
    }

    #[test]
    fn files_that_are_not_there_or_not_known_are_named() {
        let read = |p: &Path| Image::read(p, &ReadOptions::default()).unwrap_err().to_string();
        assert!(read(Path::new("/no/such.npy")).starts_with("cannot read `/no/such.npy`"));
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.txt");
        std::fs::write(&path, "x,y\n").unwrap();
        assert!(read(&path).contains("not an image file known here"));
        assert!(read(folder.path()).contains("cannot read"));
    }

    #[test]
    fn calibration_in_reciprocal_units_is_noted_and_left() {
        let mut image = Image::new(1, 1, vec![0.0]).unwrap();
        image.calibrate([0.1, 0.1], "1/nm");
        assert!(image.pixel_size_pm.is_none() && image.metadata.notes[0].contains("1/nm"));
        image.calibrate([0.0, 0.1], "nm");
        assert!(image.pixel_size_pm.is_none() && image.metadata.notes[1].contains("makes no sense"));
        image.calibrate([-0.1, 0.1], "nm");
        assert_eq!(image.pixel_sizes_pm(), Some([100.0, 100.0]));
    }
}
