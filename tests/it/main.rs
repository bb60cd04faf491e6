//! End-to-end tests and tests against references, in one binary.

#![allow(clippy::print_stdout, reason = "tests show the numbers they judge, with --nocapture")]
#![allow(clippy::case_sensitive_file_extension_comparisons, reason = "the files were named by this crate")]

mod abtem;
mod camera;
mod camera_study;
mod cli;
mod column_estimators;
mod crystal;
mod cuda;
mod docs;
mod golden;
mod house;
mod image_files;
mod invariance;
mod kirkland;
mod learning_shares;
mod multislice;
mod network;
mod network_commands;
mod null_test;
mod perovskite_scene;
mod polarization_map;
mod quick_studies;
mod real_images;
mod scene;
mod scene_library;
mod slab;
mod studies;
mod study_run;
mod survival;
mod verdict;
mod windows;
