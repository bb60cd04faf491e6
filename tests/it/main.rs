//! Tests that cross rooms or read files: one binary, one module an idea.

mod image_files;
