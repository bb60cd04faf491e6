//! Studies: the file that declares one, its sweep, its checks; angles in mrad, thickness and defocus in nm, units in every name.

mod axes;
mod check;
mod error;
pub mod file;
mod overrides;
mod schema;
pub mod spec;
mod sweep;
mod tree;
mod validate;

pub use axes::{Axis, AxisValue, MAX_POINTS};
pub use error::{Place, Problem, Source, StudyError};
pub use schema::{json_schema, json_schema_text};
pub use spec::{Point, Study};
