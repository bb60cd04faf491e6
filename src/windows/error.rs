//! Errors of this room: each a sentence that says what is wrong with windows, labels or a split, and what to do.

use super::Reason;
use crate::image::ImageError;
use std::collections::BTreeMap;

/// Everything that can go wrong between an image and a set of labelled windows.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WindowsError {
    /// The image has no pixel size, or oblong pixels.
    #[error(transparent)]
    Image(#[from] ImageError),
    /// A window that is no window in this image.
    #[error(
        "a window of {size_px} px does not fit: it must have 4 to 1024 px a side, and the image has {width} x {height} px of {pixel_size_pm:.2} pm"
    )]
    Size {
        /// Side of the window, px.
        size_px: usize,
        /// Pixels in a row of the image as cut.
        width: usize,
        /// Its rows.
        height: usize,
        /// Its pixel size, pm.
        pixel_size_pm: f64,
    },
    /// A size in lattice parameters where nothing says how long one is.
    #[error("the window is {lattices} lattice parameters wide, and nothing says how many pixels one is: give the size in px, or labels")]
    NoLattice {
        /// As asked for.
        lattices: f64,
    },
    /// A resampling that makes no sense.
    #[error(
        "the image has pixels of {from_pm:.3} pm and the windows need {to_pm:.3} pm; resampling by more than a factor of 8 is refused: is the pixel size right?"
    )]
    Scale {
        /// Pixel of the image, pm.
        from_pm: f64,
        /// Pixel asked for, pm.
        to_pm: f64,
    },
    /// A number that is out of its range.
    #[error("{what} is {value}; it must be {allowed}")]
    Range {
        /// Which number.
        what: &'static str,
        /// What it is.
        value: f64,
        /// What it may be.
        allowed: &'static str,
    },
    /// The placement needs positions and there are none.
    #[error("windows centred on columns need the columns' positions: fit them, or take a grid of windows")]
    NoPositions,
    /// The image carries no truth.
    #[error("the image carries no ground truth: take labels from its column fit, or from a CSV file of positions and vectors")]
    NoTruth,
    /// Nothing was cut.
    #[error("no window could be cut: {}", counted(rejected))]
    Empty {
        /// How many were refused, and why.
        rejected: BTreeMap<Reason, usize>,
    },
    /// A row of a table of labels.
    #[error("line {line} of the labels: {reason}")]
    Csv {
        /// Line, from 1.
        line: u64,
        /// What is wrong there.
        reason: String,
    },
    /// Two sets that do not go together.
    #[error("windows of {} and of {} do not go in one set; cut them alike", set(*first), set(*second))]
    Unlike {
        /// Side in px and pixel size in pm of one.
        first: (usize, f64),
        /// The same of the other.
        second: (usize, f64),
    },
    /// A side of a split that holds no window.
    #[error(
        "the split leaves {train} windows to train and {test} to test ({guarded} in the guard band): move or turn the line, or take smaller windows"
    )]
    Split {
        /// Windows on the training side.
        train: usize,
        /// Windows on the test side.
        test: usize,
        /// Windows in the guard band.
        guarded: usize,
    },
}

fn counted(rejected: &BTreeMap<Reason, usize>) -> String {
    if rejected.is_empty() {
        return "the image offers none".to_owned();
    }
    rejected.iter().map(|(why, n)| format!("{n} {why}")).collect::<Vec<_>>().join(", ")
}

fn set((size_px, pixel_size_pm): (usize, f64)) -> String {
    format!("{size_px} px of {pixel_size_pm:.3} pm")
}
