//! potential
