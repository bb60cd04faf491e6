//! Labelled training data on disk: shards of images and windows with their truth, and the manifest that says how they were made.
