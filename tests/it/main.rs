//! End-to-end tests and tests that cross rooms; one binary, one module a subject.

mod cli;
mod studies;
