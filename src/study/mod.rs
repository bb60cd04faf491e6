//! Studies: from the file that declares one, through its checks, plan and run, to its records and report; angles in mrad, thickness and
//! defocus in nm, shifts in pm, units in every name.

mod axes;
mod check;
pub mod clean;
pub mod compute;
pub mod converge;
pub mod cost;
pub mod diff;
mod error;
pub mod export;
pub mod file;
mod interrupt;
pub mod measure;
pub mod network_table;
mod overrides;
mod physics;
pub mod plan;
pub mod run;
mod run_error;
mod schema;
pub mod setup;
pub mod share;
pub mod slurm;
pub mod spec;
mod stages;
pub mod status;
pub mod store;
mod story;
mod sweep;
pub mod table;
mod tree;
mod trend;
mod validate;
pub mod vault;
mod vault_entry;
mod vault_lock;
mod work;

pub use axes::{Axis, AxisValue, MAX_POINTS};
pub use error::{Place, Problem, Source, StudyError};
pub use interrupt::Interrupt;
pub use physics::PHYSICS_VERSION;
pub use run_error::RunError;
pub use schema::{json_schema, json_schema_text};
pub use spec::{Point, Study};
pub use vault_lock::Holder;
