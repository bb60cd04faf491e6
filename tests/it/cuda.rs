//! The CUDA engine: its kernels on the processor against scalar twins, the whole engine against the f64 reference, and a card where one is.

mod card;
mod engine;
pub(crate) mod host;
mod kernels;
mod shim;

use std::sync::atomic::{AtomicUsize, Ordering};

static SKIPPED: AtomicUsize = AtomicUsize::new(0);

/// Says, and counts, that a test could not run.
pub(crate) fn skip(test: &str, reason: &str) {
    let count = SKIPPED.fetch_add(1, Ordering::SeqCst) + 1;
    println!("skipped {test}: {reason} ({count} skipped so far)");
}

/// The kernels compiled for the processor, or the test is skipped.
macro_rules! kernels_or_skip {
    ($test:literal) => {
        match $crate::cuda::host::Kernels::shipped() {
            Ok(kernels) => kernels,
            Err(reason) => return $crate::cuda::skip($test, &reason),
        }
    };
}
pub(crate) use kernels_or_skip;
