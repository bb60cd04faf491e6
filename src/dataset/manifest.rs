//! `manifest.json`: how a dataset was made and what it holds, so that it can be read, checked and made again.

use super::DatasetError;
use crate::windows::{Kernel, WindowSpec};
use serde_json::Value as Json;
use std::collections::BTreeMap;

/// Name of the file in the dataset's folder.
pub const MANIFEST: &str = "manifest.json";

/// Name and version of the layout.
const FORMAT: &str = "mistilt dataset 1";

/// What a dataset's folder holds and where it comes from.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Manifest {
    /// "mistilt dataset 1".
    pub format: String,
    /// Program and version.
    pub program: String,
    /// Its commit.
    pub commit: String,
    /// Name of the study.
    pub study: String,
    /// Its file, as it was read.
    pub study_text: String,
    /// What was set over it on the command line.
    pub overrides: Vec<String>,
    /// Seed of every random number.
    pub seed: u64,
    /// "windows" or "images".
    pub content: String,
    /// Images simulated.
    pub samples: u64,
    /// Windows, or images, in all shards.
    pub items: u64,
    /// How windows were cut; none for images.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub windows: Option<WindowSpec>,
    /// How labels between columns were made; none for images.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label_kernel: Option<Kernel>,
    /// Side of a window, px; none for images.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub window_px: Option<usize>,
    /// Side of a pixel, pm.
    pub pixel_size_pm: f64,
    /// Keys of the study that vary from sample to sample, and how they are drawn.
    pub vary: BTreeMap<String, Json>,
    /// How far the images are from full multislice, where they were put together from a library of columns.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub library_error: Option<Json>,
    /// The files.
    pub shards: Vec<ShardEntry>,
}

/// One file of a dataset.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct ShardEntry {
    /// Name in the folder.
    pub file: String,
    /// Its first sample.
    pub first_sample: u64,
    /// How many samples it holds.
    pub samples: u64,
    /// Windows, or images.
    pub items: u64,
    /// Bytes of the file.
    pub bytes: u64,
    /// blake3 of the file.
    pub blake3: String,
}

impl Manifest {
    /// The first field of every manifest.
    #[must_use]
    pub fn format() -> String {
        FORMAT.to_owned()
    }

    /// Reads a manifest.
    ///
    /// # Errors
    /// [`DatasetError::Manifest`] if it is none, or of another version.
    pub fn parse(text: &str) -> Result<Self, DatasetError> {
        let manifest: Self = serde_json::from_str(text).map_err(|e| DatasetError::Manifest(e.to_string()))?;
        if manifest.format == FORMAT {
            // A name with a path in it could lead out of the folder.
            match manifest.shards.iter().find(|s| s.file.contains(['/', '\\']) || s.file.starts_with('.')) {
                Some(shard) => Err(DatasetError::Manifest(format!("\"{}\" is no name of a shard", shard.file))),
                None => Ok(manifest),
            }
        } else {
            Err(DatasetError::Manifest(format!("its format is \"{}\", and this program knows \"{FORMAT}\"", manifest.format)))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn example() -> Manifest {
        let shard = ShardEntry { file: "shard-00000.h5".into(), first_sample: 0, samples: 2, items: 50, bytes: 1000, blake3: "f0".into() };
        Manifest {
            format: Manifest::format(),
            program: "mistilt 0.1.0".into(),
            commit: "c0ffee".into(),
            study: "set".into(),
            study_text: "name = \"set\"\n".into(),
            overrides: vec![],
            seed: 3,
            content: "windows".into(),
            samples: 2,
            items: 50,
            windows: Some(WindowSpec::default()),
            label_kernel: Some(Kernel::default()),
            window_px: Some(32),
            pixel_size_pm: 19.8,
            vary: BTreeMap::from([("camera.dose".into(), serde_json::json!({ "uniform": [1.0, 2.0] }))]),
            library_error: None,
            shards: vec![shard],
        }
    }

    #[test]
    fn a_manifest_comes_back_and_others_are_refused() {
        let text = serde_json::to_string_pretty(&example()).unwrap();
        assert_eq!(Manifest::parse(&text).unwrap(), example());
        let newer = text.replace("mistilt dataset 1", "mistilt dataset 9");
        assert!(Manifest::parse(&newer).unwrap_err().to_string().contains("dataset 9"));
        let sly = text.replace("shard-00000.h5", "../../secret.h5");
        assert!(Manifest::parse(&sly).unwrap_err().to_string().contains("no name of a shard"));
    }
}
