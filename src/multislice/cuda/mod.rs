//! The CUDA engine: the same physics as kernels (`kernels/`), behind the same traits as the CPU engines.
//!
//! From the seam downwards: `engine` lends workspaces to `propagation`s, which queue kernels through `workspace`; `transmission` and
//! `contraction` are the two other halves of the work; `tables` and `stages` say what a grid needs. `driver` is the seam to the hardware,
//! `card` its one implementation and the only file that speaks to CUDA, `source` the kernels themselves, `devices` what a machine has.

mod card;
mod contraction;
mod devices;
mod driver;
mod engine;
mod error;
mod propagation;
mod source;
mod specialise;
mod stages;
mod tables;
mod transmission;
mod workspace;

pub use devices::{CardInfo, Cards, Found, automatic, devices, drivers};
pub use driver::{Argument, Driver, Home, Launch, Memory, Queue};
pub use engine::Cuda;
pub use error::DeviceError;
pub use source::{PTX, fused_source, source};
pub use stages::{Stages, roots};
pub use tables::Route;
