//! multislice
