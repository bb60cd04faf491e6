//! Scenes: fields of polarization, composition, mis-tilt and thickness over a grid of cells, and their images at two fidelities.

mod columns;
mod error;
mod fields;
mod image;
mod imaging;
mod library;
mod library_axes;
mod library_file;
mod library_span;
mod material;
mod multislice;
mod pattern;
mod response;
mod sampled;
mod settings;
mod strands;
mod truth;

pub use columns::{Scene, SceneColumn};
pub use error::SceneError;
pub use image::{SceneImage, View};
pub use imaging::{Imaging, Motion};
pub use library::Library;
pub use library_axes::LibraryAxes;
pub use library_span::LibrarySpan;
pub use material::Material;
pub use multislice::MultisliceImage;
pub use sampled::SampledImage;
pub use settings::{Fidelity, Pattern, Phase, SceneSettings};
pub use truth::SceneCell;
