//! How strongly atoms scatter fast electrons: scattering factors from published tables, projected potentials in V Å.

mod factors;
pub use factors::{Factors, PROJECTED_VOLT_ANGSTROM2};
