//! Labelled training data on disk: HDF5 shards of windows or images with their truth, and the manifest that says how they were made;
//! labels in pm (x right, y down).

mod arrays;
mod manifest;
mod shard;

pub use manifest::{MANIFEST, Manifest, ShardEntry};
pub use shard::{Content, Parameters, Shard, VerifiedShard};

/// What can be the matter with a dataset.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DatasetError {
    /// The file is none of ours, or damaged.
    #[error("the shard cannot be used: {reason}; make the dataset again, good shards are kept")]
    Shard {
        /// What is wrong with it.
        reason: String,
    },
    /// The HDF5 library would not write.
    #[error("the shard cannot be written: {0}")]
    Write(String),
    /// Images of one shard differ in size.
    #[error("images of {first:?} and of {other:?} px do not go in one shard: all images of a dataset have one size")]
    Sizes {
        /// Width and height of the first.
        first: [usize; 2],
        /// Of one that differs.
        other: [usize; 2],
    },
    /// The manifest is not one.
    #[error("the manifest cannot be used: {0}")]
    Manifest(String),
}
