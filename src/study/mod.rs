//! Studies: from the file that declares one, through its checks, plan and run, to its records and report; angles in mrad, thickness and
//! defocus in nm, shifts in pm, units in every name.

pub mod asymmetry_report;
mod axes;
mod check;
pub mod compute;
pub mod converge;
mod error;
pub mod file;
pub mod measure;
mod overrides;
pub mod plan;
pub mod run;
mod run_error;
mod schema;
pub mod sensitivity;
pub mod setup;
pub mod spec;
pub mod store;
mod story;
mod sweep;
pub mod table;
mod tree;
mod trend;
pub mod trial;
pub mod trial_report;
mod validate;

pub use axes::{Axis, AxisValue, MAX_POINTS};
pub use error::{Place, Problem, Source, StudyError};
pub use run_error::RunError;
pub use schema::{json_schema, json_schema_text};
pub use spec::{Point, Study};
