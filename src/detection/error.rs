//! Why a camera cannot be, or cannot expose an image; each message is a sentence to act on.

/// What is wrong with a camera's settings, its frame, or its image.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum CameraError {
    /// A setting out of its range.
    #[error("the camera's {name} is {found}; it must be {allowed}")]
    Setting {
        /// Which, with its unit.
        name: &'static str,
        /// As given.
        found: f64,
        /// The values allowed, in words.
        allowed: &'static str,
    },
    /// A frame without pixels, or with too many.
    #[error("a frame of {width} x {height} pixels of {pixel_angstrom} Å cannot be exposed; give 1 to 2^24 pixels larger than 0.001 Å")]
    Frame {
        /// Pixels in a row.
        width: usize,
        /// Rows.
        height: usize,
        /// Side of a pixel, Å.
        pixel_angstrom: f64,
    },
    /// The image cannot be given a source after it was made.
    #[error("this image cannot be blurred once it is made; give it its source size and probe tails when it is simulated")]
    CannotBlur,
    /// A window that is no rectangle.
    #[error("a window of {values} values has no rows of {width} pixels")]
    Window {
        /// Values.
        values: usize,
        /// Pixels in a row.
        width: usize,
    },
}
