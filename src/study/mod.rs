//! Studies: from the file that declares one, through its checks, plan and run, to its records and report; angles in mrad, thickness and
//! defocus in nm, shifts in pm, units in every name.

mod axes;
mod check;
pub mod compute;
pub mod converge;
pub mod dataset_run;
mod dataset_table;
#[cfg(test)]
mod drawn;
mod error;
mod explore;
mod figures;
pub mod file;
mod includes;
mod interval;
mod learning_table;
pub mod measure;
mod overrides;
pub mod plan;
mod reference;
mod rules;
pub mod run;
mod run_error;
mod schema;
pub mod setup;
pub mod spec;
pub mod store;
mod story;
mod sweep;
pub mod sweep_table;
pub mod table;
mod tree;
mod trend;
mod validate;
mod when;
mod windows_table;
mod wording;

pub use axes::{Axis, AxisValue, MAX_POINTS};
pub use error::{Place, Problem, Source, StudyError};
pub use reference::key_reference;
pub use run_error::RunError;
pub use schema::{json_schema, json_schema_text};
pub use spec::{Point, Study};
