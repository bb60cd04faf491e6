//! Any bytes as a `.png` file: an image or an error, never a panic, never more memory than the bytes can back.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mistilt::image::{Image, Page, ReadOptions};

fuzz_target!(|content: &[u8]| {
    for page in [Page::Only, Page::Sum] {
        // The answer does not matter here, only that there is one.
        let _ = Image::from_bytes("a.png", content, &ReadOptions { page, ..ReadOptions::default() });
    }
});
