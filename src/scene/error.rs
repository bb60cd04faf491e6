//! Why a scene cannot be built or imaged, each as a sentence to act on.

use crate::crystal::CrystalError;
use crate::multislice::MultisliceError;

/// Errors of the room `scene`.
#[derive(Debug, thiserror::Error)]
pub enum SceneError {
    /// The crystal is no perovskite one can build cells of.
    #[error(transparent)]
    Crystal(#[from] CrystalError),
    /// Sampling, band limit, counters.
    #[error(transparent)]
    Multislice(#[from] MultisliceError),
    /// No such element.
    #[error("scene.dopant = \"{symbol}\" is no chemical element; give a symbol such as \"Sm\"")]
    Dopant {
        /// As given.
        symbol: String,
    },
    /// The dopant is the host.
    #[error("scene.dopant = \"{symbol}\" is what the A sites hold already; choose another element, or set scene.composition to 0")]
    DopantIsHost {
        /// As given.
        symbol: String,
    },
    /// No structure of that name.
    #[error("scene.substrate = \"{name}\" names no structure that ships; choose one of {known}")]
    Substrate {
        /// As given.
        name: String,
        /// What ships.
        known: String,
    },
    /// All rows are substrate, or rows without a substrate.
    #[error("scene.substrate_rows = {rows} of {of} rows: {why}")]
    SubstrateRows {
        /// As given.
        rows: u32,
        /// Rows of the scene.
        of: u32,
        /// What is wrong and what to do.
        why: &'static str,
    },
    /// The foil bends or thins out of what holds.
    #[error("{what} reaches {value:.1} {unit} at the edge of the scene; {limit} (lower {key}, or make the scene smaller)")]
    FieldTooLarge {
        /// "the mis-tilt".
        what: &'static str,
        /// The worst value.
        value: f64,
        /// Its unit.
        unit: &'static str,
        /// What is allowed, in words.
        limit: &'static str,
        /// The key to change.
        key: &'static str,
    },
    /// An atom-by-atom scene of too many atoms.
    #[error(
        "the scene holds {atoms} atoms, more than the {limit} that are computed at once; choose a smaller scene or thickness, or fidelity = \"library\""
    )]
    TooManyAtoms {
        /// How many.
        atoms: usize,
        /// The limit.
        limit: usize,
    },
    /// The library would hold too much.
    #[error(
        "a library for this scene holds {images} images, more than {limit}; narrow the range of tilt, thickness or displacement in the scene"
    )]
    LibraryTooLarge {
        /// How many.
        images: usize,
        /// The limit.
        limit: usize,
    },
    /// A library that was made for something else.
    #[error("this library was made for another crystal or another range: {what}; make it again")]
    LibraryDoesNotCover {
        /// What it lacks.
        what: String,
    },
    /// Bytes that are no library.
    #[error("these bytes are no library of this version: {what}; delete the file, and it is made again")]
    NoLibrary {
        /// What is wrong.
        what: String,
    },
    /// A detector asked for that is not there.
    #[error("the images hold {have} detectors, and number {asked} (from 0) is none of them")]
    NoSuchDetector {
        /// Asked for.
        asked: usize,
        /// How many there are.
        have: usize,
    },
}
