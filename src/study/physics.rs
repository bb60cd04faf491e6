//! The version of the numbers: part of every key of the store, so that no result of older physics answers for newer.

/// Raise it by one whenever a change can move a number that a study reports, and write the golden numbers anew
/// (`MISTILT_UPDATE=1 cargo test --release golden`): a test fails while the numbers have moved and this has not.
pub const PHYSICS_VERSION: u32 = 1;
