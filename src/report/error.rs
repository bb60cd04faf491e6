//! What can go wrong when a figure or a page is made.

use std::path::PathBuf;

/// Errors of figures and pages.
#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    /// Nothing finite to draw.
    #[error("{figure} has nothing to draw: {missing}")]
    Empty {
        /// Which figure.
        figure: &'static str,
        /// What is missing, and what to do.
        missing: String,
    },
    /// Two inputs that must have the same length do not.
    #[error("{figure}: {what} has {found} values where {expected} are needed")]
    Length {
        /// Which figure.
        figure: &'static str,
        /// Which input.
        what: String,
        /// Its length.
        found: usize,
        /// The length it must have.
        expected: usize,
    },
    /// A value out of its range.
    #[error("{figure}: {what} is {found}; it must be {allowed}")]
    Range {
        /// Which figure.
        figure: &'static str,
        /// Which input.
        what: String,
        /// Its value.
        found: f64,
        /// The values allowed, in words.
        allowed: &'static str,
    },
    /// The figure would not fit a sheet.
    #[error(
        "{figure} would be {height_mm:.0} mm tall; {limit_mm:.0} mm is the limit: draw fewer rows of panels, or split it in several figures"
    )]
    TooTall {
        /// Which figure.
        figure: &'static str,
        /// The height it would have.
        height_mm: f64,
        /// The greatest height allowed.
        limit_mm: f64,
    },
    /// A file could not be written; nothing was left in its place.
    #[error("cannot write {}: {source}; check that the folder exists, that you may write there and that the disk is not full", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The PNG encoder failed.
    #[error("cannot encode {figure} as PNG: {source}")]
    Png {
        /// Which figure.
        figure: &'static str,
        /// What the encoder said.
        source: png::EncodingError,
    },
}
