//! The network: a convolutional regression from a sub-image to a polarization with its uncertainty; windows in px, shifts in pm.
//!
//! [`train`] makes a [`Network`] of a [`crate::windows::WindowSet`] with labels; [`Network::predict`] gives a [`Prediction`] a window;
//! [`reliability`] says whether its uncertainties are true; [`Network::to_bytes`] and [`Network::from_bytes`] keep it. The network is an
//! [`Architecture`], a plain value. No file is opened here.

mod architecture;
mod augmentation;
mod calibration;
mod cpu;
mod domain;
mod error;
mod features;
mod graph;
mod loss;
mod model_file;
mod network;
mod optimiser;
mod parameters;
mod settings;
mod symmetry;
mod training;

pub use architecture::{Architecture, Block, GlobalPooling, Head, LARGEST_WINDOW_PX, NETWORK_VERSION, Pooling, SMALLEST_WINDOW_PX};
pub use augmentation::{Augmentation, CameraNoise};
pub use calibration::{Coverage, Reliability, SigmaBin, reliability};
pub use domain::{Domain, DomainCheck};
pub use error::DcnnError;
pub use features::{Attention, FeatureMaps, Features, Filter, Occlusion};
pub use loss::Loss;
pub use network::{Network, Prediction};
pub use optimiser::Schedule;
pub use settings::{Device, TrainingSettings};
pub use symmetry::Symmetry;
pub use training::{EpochRecord, Trained, Trainer, train};
