//! The training file: which images or dataset a network learns from, how they are cut into windows, its shape and its training.

use super::camera_table::{CameraTable, FrameSettings};
use super::error::StudyError;
use super::network_table::{NetworkTable, TrainingTable};
use super::windows_table::WindowSettings;
use crate::columns::{BrightSite, Zone};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::path::Path;
use std::str::FromStr;

/// Largest training file that is read, bytes.
const MAX_FILE_BYTES: u64 = 1 << 20;

/// A mistilt training: the data a network learns from, the network, and how it is trained.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "mistilt training")]
pub struct TrainingFile {
    /// Short name of the network: letters, digits, `-`, `_`.
    #[schemars(regex(pattern = r"^[A-Za-z0-9_-]{1,64}$"))]
    pub name: String,
    /// Seed of the weights, the order of the windows and all augmentation, 0 or more. Default 1.
    #[serde(default = "default_seed")]
    #[schemars(range(min = 0, max = 9_007_199_254_740_991_i64))]
    pub seed: u64,
    /// What the network learns from.
    pub data: DataTable,
    /// How images become windows, and how those are divided into training, validation and test.
    #[serde(default)]
    pub windows: WindowSettings,
    /// The shape of the network. Default: architecture "small".
    #[serde(default)]
    pub network: NetworkTable,
    /// How it is trained.
    #[serde(default)]
    pub training: TrainingTable,
    /// Camera whose noise `training.fresh_noise` puts on the windows of images without noise, as `mistilt simulate` writes them without a
    /// camera: only its stages after the scan count. Default: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub camera: Option<CameraTable>,
}

fn default_seed() -> u64 {
    1
}

/// What a network learns from: images, or the folder of a dataset. Paths count from the folder of the training file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[derive(Default)]
pub struct DataTable {
    /// Image files; each is divided by the same line. Give these or `dataset`.
    pub images: Vec<String>,
    /// Folder of a dataset of windows, as `mistilt dataset` makes it; its last samples validate and test. Give this or `images`.
    pub dataset: Option<String>,
    /// CSV table of labels with the columns x_px, y_px, px_pm, py_pm, for a single image; takes the place of `windows.labels`. Default: none.
    pub labels_file: Option<String>,
    /// Pixel size of the images in pm, above 0. Default: what the files say.
    #[schemars(extend("exclusiveMinimum" = 0.0))]
    pub pixel_size_pm: Option<f64>,
    /// Side of the pseudocubic cell in pm, above 0 (396 for BiFeO3): calibrates images without a pixel size. Default: none.
    #[schemars(extend("exclusiveMinimum" = 0.0))]
    pub lattice_pm: Option<f64>,
    /// Zone axis of the images, "100" or "110". Default "100".
    pub zone: Option<String>,
    /// The brighter sublattice, "A" or "B". Default "A".
    pub bright_site: Option<String>,
}

/// The JSON Schema (draft 2020-12) of training files, as the text of a file ending in a newline.
#[must_use]
pub fn training_schema_text() -> String {
    let mut root = schemars::schema_for!(TrainingFile).to_value();
    super::schema::drop_null(&mut root);
    format!("{root:#}\n")
}

impl TrainingFile {
    /// Reads a training file.
    ///
    /// # Errors
    /// [`StudyError::Unreadable`] with the line and what is allowed there.
    pub fn read(path: &Path) -> Result<Self, StudyError> {
        let unreadable = |reason: String| StudyError::Unreadable { path: path.to_owned(), reason };
        let meta = std::fs::metadata(path).map_err(|e| unreadable(e.to_string()))?;
        if !meta.is_file() || meta.len() > MAX_FILE_BYTES {
            return Err(unreadable(format!("it is no file of at most {MAX_FILE_BYTES} bytes")));
        }
        let text = std::fs::read_to_string(path).map_err(|e| unreadable(e.to_string()))?;
        Self::parse(&text).map_err(unreadable)
    }

    /// Checks the text of a training file; the error is a sentence, or several lines that show the place.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &str) -> Result<Self, String> {
        let file: Self = toml::from_str(text).map_err(|e| e.to_string())?;
        file.check()?;
        Ok(file)
    }

    fn check(&self) -> Result<(), String> {
        let letters = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        if self.name.is_empty() || self.name.len() > 64 || !self.name.chars().all(letters) {
            return Err(format!("`name` is \"{}\"; it takes 1 to 64 letters, digits, - and _", self.name));
        }
        let data = &self.data;
        if data.images.is_empty() == data.dataset.is_none() {
            return Err("`[data]` needs either `images` or `dataset`".to_owned());
        }
        if data.labels_file.is_some() && data.images.len() != 1 {
            return Err("`labels_file` labels one image: give one in `images`".to_owned());
        }
        for (key, value) in [("pixel_size_pm", data.pixel_size_pm), ("lattice_pm", data.lattice_pm)] {
            if let Some(value) = value.filter(|v| !(v.is_finite() && *v > 0.0)) {
                return Err(format!("`{key}` is {value}; it must be above 0"));
            }
        }
        self.zone()?;
        self.bright_site()?;
        self.training.settings().check().map_err(|e| e.to_string())?;
        self.windows.spec().check().map_err(|e| e.to_string())?;
        self.check_camera()?;
        // The smallest window that the file could mean tells whether the network can be built at all.
        let size = self.windows.size_px.map_or(64, |n| n as usize);
        self.network.architecture().parameter_count(size).map(|_| ()).map_err(|e| e.to_string())
    }

    fn check_camera(&self) -> Result<(), String> {
        let own = self.camera.iter().flat_map(CameraTable::own_findings);
        let found = own.chain(self.training.findings(&self.windows, self.camera_settings().as_ref()));
        if let Some((_, message, _, help)) = found.into_iter().next() {
            return Err(format!("{message} {help}").trim_end().to_owned());
        }
        if self.camera.is_some() && !self.training.fresh_noise {
            return Err("`[camera]` serves fresh noise alone: set `training.fresh_noise = true`".to_owned());
        }
        Ok(())
    }

    /// The camera of fresh noise; windows are already seen with the source of their images.
    #[must_use]
    pub fn camera_settings(&self) -> Option<FrameSettings> {
        self.camera.as_ref().map(|c| c.settings(0.0))
    }

    /// Zone axis of the images.
    ///
    /// # Errors
    /// A sentence for a name that is none.
    pub fn zone(&self) -> Result<Zone, String> {
        let name = self.data.zone.as_deref().unwrap_or("100");
        Zone::from_str(name).map_err(|_| format!("`zone` is \"{name}\"; it is \"100\" or \"110\""))
    }

    /// The brighter sublattice.
    ///
    /// # Errors
    /// A sentence for a name that is none.
    pub fn bright_site(&self) -> Result<BrightSite, String> {
        let name = self.data.bright_site.as_deref().unwrap_or("A");
        BrightSite::from_str(name).map_err(|_| format!("`bright_site` is \"{name}\"; it is \"A\" or \"B\""))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "name = \"net\"\n[data]\nimages = [\"a.npy\"]\n";

    #[test]
    fn the_training_that_ships_and_its_schema_are_those_of_the_types() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("training");
        let file = TrainingFile::read(&root.join("real-patch.toml")).unwrap();
        assert!(file.data.images.iter().all(|image| root.join(image).is_file()));
        let committed = std::fs::read_to_string(root.join("training.schema.json")).unwrap();
        assert!(committed == training_schema_text(), "write it anew: mistilt schema --training > training/training.schema.json");
    }

    #[test]
    fn a_short_file_is_enough() {
        let file = TrainingFile::parse(GOOD).unwrap();
        assert_eq!((file.seed, file.training, file.windows), (1, TrainingTable::default(), WindowSettings::default()));
    }

    #[test]
    fn what_is_wrong_is_said_with_its_place() {
        let with = |more: &str| TrainingFile::parse(&format!("{GOOD}{more}")).unwrap_err();
        for (more, parts) in [
            ("[training]\nepoch = 3\n", ["epoch", "epochs"]),
            ("[training]\nepochs = 0\n", ["number of epochs is 0", "1 to 100000"]),
            ("[network]\narchitecture = \"vgg\"\n", ["vgg", "atomai-regressor"]),
            ("[network]\nchannels = [0]\n", ["0 channels", "1 to 512"]),
            ("dataset = \"d\"\n", ["either `images`", "or `dataset`"]),
            ("zone = \"111\"\n", ["111", "\"110\""]),
            ("[windows]\nsize_px = 3\n", ["side in px", "4 to 1024"]),
            ("[training]\nfresh_noise = true\n", ["no camera", "[camera]"]),
            ("[camera]\ndose_e_per_px = 50\n", ["fresh noise alone", "training.fresh_noise"]),
            ("[camera]\ndose_e_per_px = 50\ncurrent_pa = 3\n", ["in two ways", "current_pa"]),
            ("[training]\nfresh_noise = true\n[camera]\ndose_e_per_px = nan\n", ["camera cannot be", "dose"]),
        ] {
            let refusal = with(more);
            assert!(parts.iter().all(|part| refusal.contains(part)), "{more}: {refusal}");
        }
    }
}
