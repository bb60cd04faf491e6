//! Errors of this room: each a sentence that names the file, what is wrong with it, what is allowed and what to do.

use std::path::PathBuf;

/// Everything that can go wrong with an image, its file or its ground truth.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ImageError {
    /// The operating system would not read the file.
    #[error("cannot read `{}`: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// The operating system would not write the file.
    #[error("cannot write `{}`: {source}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// The content of the file is not what is needed.
    #[error("`{}`: {fault}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What is the matter with it.
        fault: FileFault,
    },
    /// Neither content nor extension is known.
    #[error(
        "`{}` is not an image file known here; known are .npy, .npz, .tif, .png, .hspy, .hdf5, .h5, .emd, .dm3 and .dm4",
        path.display()
    )]
    UnknownFormat {
        /// The file.
        path: PathBuf,
    },
    /// The extension of an output file is not one that can be written.
    #[error("cannot tell how to write `{}`: the name should end in .npy, .tif or .hspy", path.display())]
    OutputFormat {
        /// The file.
        path: PathBuf,
    },
    /// A pixel size that is no length.
    #[error("a pixel size of {value} pm makes no sense; it must be a positive number of picometres (a HAADF image has 2 to 50 pm)")]
    PixelSize {
        /// The value given.
        value: f64,
    },
    /// The image has no pixel size and the caller needs one.
    #[error(
        "the image has no pixel size; give it in picometres (`--pixel-size-pm 15.1`), or as {{\"pixel_size_pm\": 15.1}} in a file named like the image with `.json` added"
    )]
    NoPixelSize,
    /// The pixels are oblong and the caller needs square ones.
    #[error("the pixels are not square ({x_pm} pm wide, {y_pm} pm high); resample the image, or give one pixel size for both axes")]
    NotSquare {
        /// Width of a pixel, pm.
        x_pm: f64,
        /// Height of a pixel, pm.
        y_pm: f64,
    },
    /// Pixels and shape disagree.
    #[error("{len} values do not fill an image of {width} x {height} pixels; both sides must be at least 1 and the product at most 2^28")]
    Shape {
        /// Pixels in a row.
        width: usize,
        /// Rows.
        height: usize,
        /// Values given.
        len: usize,
    },
    /// A ground truth that cannot be stored.
    #[error("the ground truth cannot be stored: {reason}")]
    Truth {
        /// What is wrong with it.
        reason: String,
    },
}

/// What can be the matter with the content of an image file.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum FileFault {
    /// The file is cut short or its parts contradict each other.
    #[error("the file is damaged: {0}; copy it again from its source")]
    Damaged(String),
    /// The file is sound but holds something that is no image for this program.
    #[error("{0}")]
    Unsupported(String),
    /// A stack, and no page was chosen.
    #[error("holds {count} images of {width} x {height} pixels; choose one with page 0 to {last}, or add them up with page `sum`", last = count.saturating_sub(1))]
    Stack {
        /// Images in the stack.
        count: usize,
        /// Pixels in a row.
        width: usize,
        /// Rows.
        height: usize,
    },
    /// A page that is not there.
    #[error("has no page {page}; pages are counted from 0 and the last is {last}", last = count.saturating_sub(1))]
    NoSuchPage {
        /// The page asked for.
        page: usize,
        /// Pages there are.
        count: usize,
    },
    /// Several images by name, and none was chosen.
    #[error("holds {} images ({}); name one after the file and a colon, as in `FILE:{}`", names.len(), list(names), names.first().map_or("", String::as_str))]
    Choose {
        /// Names of the images.
        names: Vec<String>,
    },
    /// A name that is not there.
    #[error("holds no image named `{key}`; it holds {}", list(names))]
    NoSuchKey {
        /// The name asked for.
        key: String,
        /// Names of the images.
        names: Vec<String>,
    },
    /// More pixels than the bound.
    #[error("an image of {width} x {height} pixels is beyond the limit of 2^28 (16384 x 16384) pixels; crop or bin it first")]
    TooLarge {
        /// Pixels in a row.
        width: u64,
        /// Rows.
        height: u64,
    },
}

impl FileFault {
    /// The fault with the file it was found in.
    pub(super) fn at(self, path: &std::path::Path) -> ImageError {
        ImageError::File { path: path.to_path_buf(), fault: self }
    }

    pub(super) fn damaged(reason: impl Into<String>) -> Self {
        Self::Damaged(reason.into())
    }

    pub(super) fn unsupported(reason: impl Into<String>) -> Self {
        Self::Unsupported(reason.into())
    }
}

/// At most eight names, each at most 80 characters: a damaged file must not flood the screen.
fn list(names: &[String]) -> String {
    if names.is_empty() {
        return "none".to_owned();
    }
    let mut shown: Vec<String> = names.iter().take(8).map(|n| n.chars().take(80).collect()).collect();
    if names.len() > 8 {
        shown.push(format!("and {} more", names.len() - 8));
    }
    shown.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stack_says_how_to_choose() {
        let text = FileFault::Stack { count: 12, width: 64, height: 32 }.at(std::path::Path::new("a.tif")).to_string();
        assert_eq!(text, "`a.tif`: holds 12 images of 64 x 32 pixels; choose one with page 0 to 11, or add them up with page `sum`");
    }

    #[test]
    fn long_lists_of_names_are_cut() {
        let names = (0..100).map(|i| format!("{i}{}", "x".repeat(500))).collect();
        let text = FileFault::Choose { names }.to_string();
        assert!(text.len() < 2000 && text.contains("and 92 more"), "{text}");
    }
}
