//! The `[network]` and `[training]` tables: the shape of the network and how it is trained.

use super::camera_table::{CameraFinding, FrameSettings};
use super::windows_table::{NormalisationName, WindowSettings};
use crate::dcnn::{Architecture, Block, Device, GlobalPooling, Head, Loss, Pooling, Schedule, TrainingSettings};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The shape of the network: an architecture that ships, and what is changed in it.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct NetworkTable {
    /// Architecture that ships; every other key changes it. Default "small".
    pub architecture: ArchitectureName,
    /// Output channels of the convolutions of each block, 1 to 512; one entry a block, 1 to 6. Default: the architecture's.
    #[schemars(length(min = 1, max = 6), inner(range(min = 1, max = 512)))]
    pub channels: Option<Vec<u32>>,
    /// Convolutions in each block, 1 to 4. Default: the architecture's.
    #[schemars(range(min = 1, max = 4))]
    pub convolutions: Option<u32>,
    /// How four pixels become one between two blocks. Default: the architecture's.
    pub pooling: Option<PoolingName>,
    /// How the last image becomes one number a channel. Default: the architecture's.
    pub global_pooling: Option<GlobalPoolingName>,
    /// Widths of the hidden layers of the head, 1 to 4096; at most 4. Default: the architecture's.
    #[schemars(length(max = 4), inner(range(min = 1, max = 4096)))]
    pub hidden: Option<Vec<u32>>,
    /// What comes out: mean and variance of the polarization, or its mean alone. Default: the architecture's.
    pub head: Option<HeadName>,
}

/// Architectures that ship.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ArchitectureName {
    /// Four blocks of one convolution, about 50 thousand parameters.
    #[default]
    Small,
    /// Four blocks of two convolutions, about 0.3 million parameters.
    Large,
    /// The layout of AtomAI's regressor with its VGG backbone, a quarter as wide: a baseline.
    AtomaiRegressor,
}

/// How four pixels become one between two blocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum PoolingName {
    /// The largest of the four.
    Max,
    /// Their mean.
    Average,
}

/// How the last image becomes one number a channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum GlobalPoolingName {
    /// The mean over the image.
    Average,
    /// The largest value.
    Max,
    /// All pixels, each with weights of its own.
    Flatten,
}

/// What comes out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum HeadName {
    /// Mean and variance of both components.
    MeanAndVariance,
    /// Both components alone.
    Mean,
}

impl NetworkTable {
    /// The architecture it asks for.
    #[must_use]
    pub fn architecture(&self) -> Architecture {
        let name = match self.architecture {
            ArchitectureName::Small => "small",
            ArchitectureName::Large => "large",
            ArchitectureName::AtomaiRegressor => "atomai-regressor",
        };
        let mut out = Architecture::named(name).unwrap_or_default();
        if let Some(channels) = &self.channels {
            let convolutions = out.blocks.last().map_or(1, |b| b.convolutions);
            out.blocks = channels.iter().map(|&c| Block { channels: c as usize, convolutions }).collect();
        }
        if let Some(convolutions) = self.convolutions {
            out.blocks.iter_mut().for_each(|b| b.convolutions = convolutions as usize);
        }
        if let Some(hidden) = &self.hidden {
            out.hidden = hidden.iter().map(|&n| n as usize).collect();
        }
        out.pooling = self.pooling.map_or(out.pooling, |p| match p {
            PoolingName::Max => Pooling::Max,
            PoolingName::Average => Pooling::Average,
        });
        out.global_pooling = self.global_pooling.map_or(out.global_pooling, |p| match p {
            GlobalPoolingName::Average => GlobalPooling::Average,
            GlobalPoolingName::Max => GlobalPooling::Max,
            GlobalPoolingName::Flatten => GlobalPooling::Flatten,
        });
        out.head = self.head.map_or(out.head, |h| match h {
            HeadName::MeanAndVariance => Head::MeanAndVariance,
            HeadName::Mean => Head::Mean,
        });
        out
    }
}

/// How the network is trained.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct TrainingTable {
    /// What is made small. Default "gaussian-nll".
    pub loss: LossName,
    /// Power β of the predicted σ² that weighs the gradient of "gaussian-nll", 0 to 1: 0 is the plain likelihood. Default 0.5.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub likelihood_beta: f64,
    /// Epochs at most, 1 to 100000. Default 40.
    #[schemars(range(min = 1, max = 100_000))]
    pub epochs: u32,
    /// Windows a step, 1 to 65536. Default 64.
    #[schemars(range(min = 1, max = 65_536))]
    pub batch_size: u32,
    /// Largest learning rate of AdamW, above 0 to 1. Default 0.002.
    #[schemars(range(max = 1.0), extend("exclusiveMinimum" = 0.0))]
    pub learning_rate: f64,
    /// Decay of the weights, 0 to 1. Default 0.01.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub weight_decay: f64,
    /// How the learning rate goes down. Default "cosine".
    pub schedule: ScheduleName,
    /// Epochs without a smaller validation loss after which schedule "plateau" halves the learning rate, 1 to 10000. Default 5.
    #[schemars(range(min = 1, max = 10_000))]
    pub plateau_patience: u32,
    /// Epochs without a smaller validation loss after which the training stops, 0 to 100000; 0 for never. Default 0.
    #[schemars(range(min = 0, max = 100_000))]
    pub patience: u32,
    /// Turn every window by one of the square's eight symmetries in each epoch, and its label with it. Default true.
    pub symmetries: bool,
    /// Most noise added to a window in each epoch, in units of the window's own standard deviation, 0 to 10. Default 0.
    #[schemars(range(min = 0.0, max = 10.0))]
    pub noise: f64,
    /// Put the noise of `[camera]` anew on every training window in each epoch, onto images without it: its stages after the scan, from
    /// contamination to the converter. Default false: the noise of the image as recorded, the same in all epochs.
    pub fresh_noise: bool,
    /// With `fresh_noise`, the dose of a window is the camera's times a factor drawn between 1 / this and this, 1 to 1000. Default 1.
    #[schemars(range(min = 1.0, max = 1000.0))]
    pub dose_spread: f64,
    /// Networks of the ensemble, 1 to 64; their scatter is the epistemic uncertainty. Default 1.
    #[schemars(range(min = 1, max = 64))]
    pub members: u32,
    /// Where it is trained; "cuda" needs a build with the feature candle-cuda. Default "cpu".
    pub device: DeviceName,
}

impl Default for TrainingTable {
    fn default() -> Self {
        let TrainingSettings { epochs, batch_size, learning_rate, weight_decay, symmetries, noise, members, .. } =
            TrainingSettings::default();
        Self {
            loss: LossName::GaussianNll,
            likelihood_beta: 0.5,
            epochs: epochs as u32,
            batch_size: batch_size as u32,
            learning_rate,
            weight_decay,
            schedule: ScheduleName::Cosine,
            plateau_patience: 5,
            patience: 0,
            symmetries,
            noise,
            fresh_noise: false,
            dose_spread: 1.0,
            members: members as u32,
            device: DeviceName::Cpu,
        }
    }
}

/// What is made small.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum LossName {
    /// The negative logarithm of a Gaussian likelihood, whose variance the network predicts.
    #[default]
    GaussianNll,
    /// The squared error.
    MeanSquare,
}

/// How the learning rate goes down.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ScheduleName {
    /// Half a cosine over all epochs.
    #[default]
    Cosine,
    /// Halved when the validation loss stands still.
    Plateau,
    /// It does not.
    Constant,
}

/// Where a network is trained.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum DeviceName {
    /// This processor.
    #[default]
    Cpu,
    /// The first CUDA device.
    Cuda,
}

impl TrainingTable {
    /// What does not go together with the windows and the camera.
    pub(super) fn findings(&self, windows: &WindowSettings, camera: Option<&FrameSettings>) -> Vec<CameraFinding> {
        let mut out = Vec::new();
        let mut add = |key, message: &str, label, help: &str| out.push((key, message.to_owned(), label, help.to_owned()));
        if !self.fresh_noise {
            if self.dose_spread != 1.0 {
                add(
                    "training.dose_spread",
                    "`dose_spread` acts on fresh noise, and there is none.",
                    "does nothing",
                    "Set `fresh_noise = true`.",
                );
            }
            return out;
        }
        let silent = camera.is_none_or(|c| c.camera == c.camera.scan_only());
        if silent {
            let message = "`fresh_noise` puts the noise of a camera on windows, and no camera here has any.";
            add("training.fresh_noise", message, "of which camera", "Add `[camera]` with a dose, such as `dose_e_per_angstrom2 = 20000`.");
        }
        if windows.normalisation != NormalisationName::Window {
            let message = "Windows with fresh noise are normalised one by one, after the noise.";
            add("training.fresh_noise", message, "not so normalised", "Leave out `windows.normalisation`, or set it to \"window\".");
        }
        if !(1.0..=1000.0).contains(&self.dose_spread) {
            add("training.dose_spread", "`dose_spread` is a factor from 1 to 1000.", "out of range", "Take 1 for the camera's own dose.");
        }
        out
    }

    /// The settings of [`crate::dcnn`].
    #[must_use]
    pub fn settings(&self) -> TrainingSettings {
        TrainingSettings {
            loss: match self.loss {
                LossName::GaussianNll => Loss::GaussianNll { beta: self.likelihood_beta as f32 },
                LossName::MeanSquare => Loss::MeanSquare,
            },
            epochs: self.epochs as usize,
            batch_size: self.batch_size as usize,
            learning_rate: self.learning_rate,
            weight_decay: self.weight_decay,
            schedule: match self.schedule {
                ScheduleName::Cosine => Schedule::Cosine,
                ScheduleName::Plateau => Schedule::Plateau { patience: self.plateau_patience as usize },
                ScheduleName::Constant => Schedule::Constant,
            },
            patience: self.patience as usize,
            symmetries: self.symmetries,
            noise: self.noise,
            members: self.members as usize,
            device: match self.device {
                DeviceName::Cpu => Device::Cpu,
                DeviceName::Cuda => Device::Cuda,
            },
            ..TrainingSettings::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn empty_tables_are_the_defaults_of_the_network() {
        assert_eq!(NetworkTable::default().architecture(), Architecture::default());
        assert_eq!(TrainingTable::default().settings(), TrainingSettings::default());
    }

    #[test]
    fn fresh_noise_needs_a_camera_that_has_some() {
        let keys = |training: &str, camera: Option<&str>, windows: &str| {
            let training: TrainingTable = toml::from_str(training).unwrap();
            let camera = camera.map(|text| toml::from_str::<super::super::camera_table::CameraTable>(text).unwrap().settings(0.8));
            let found = training.findings(&toml::from_str(windows).unwrap(), camera.as_ref());
            found.into_iter().map(|f| f.0).collect::<Vec<_>>()
        };
        let counting = Some("dose_e_per_px = 50");
        assert!(keys("", None, "").is_empty() && keys("fresh_noise = true\ndose_spread = 4", counting, "").is_empty());
        assert_eq!(keys("dose_spread = 4", counting, ""), ["training.dose_spread"]);
        assert_eq!(keys("fresh_noise = true", None, ""), ["training.fresh_noise"]);
        assert_eq!(keys("fresh_noise = true", Some("jitter_rms_pm = 3"), ""), ["training.fresh_noise"]);
        assert_eq!(keys("fresh_noise = true", counting, "normalisation = \"image\""), ["training.fresh_noise"]);
        assert_eq!(keys("fresh_noise = true\ndose_spread = 0.5", counting, ""), ["training.dose_spread"]);
    }

    #[test]
    fn keys_change_the_architecture_that_is_named() {
        let table: NetworkTable = toml::from_str("architecture = \"large\"\nchannels = [8, 16]\nhidden = []\nhead = \"mean\"").unwrap();
        let architecture = table.architecture();
        assert_eq!(architecture.blocks, [8, 16].map(|channels| Block { channels, convolutions: 2 }));
        assert!(architecture.hidden.is_empty() && architecture.head == Head::Mean);
        assert_eq!(architecture.pooling, Architecture::named("large").unwrap().pooling);
    }
}
