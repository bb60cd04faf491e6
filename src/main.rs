//! The command `mistilt`.
fn main() {}
