//! The `[windows]` table: how images become windows for a network, and how those are divided into training and test.

use crate::windows::{Guard, Line, Normalisation, Placement, Split, WindowSize, WindowSpec};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How images become windows for a network, and how those are divided into training and test.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct WindowSettings {
    /// Where windows stand: on the B columns that are found, or on a grid without finding any. Default "centred".
    pub placement: PlacementName,
    /// Step of the grid in px of the image as cut, 1 to 1024. Default 8.
    #[schemars(range(min = 1, max = 1024))]
    pub grid_step_px: u32,
    /// Side of a window in sides of the pseudocubic cell, 0.5 to 16. Default 2.
    #[schemars(range(min = 0.5, max = 16.0))]
    pub size_lattices: f64,
    /// Side of a window in px, 4 to 1024, instead of `size_lattices`. Default: `size_lattices` counts.
    #[schemars(range(min = 4, max = 1024))]
    pub size_px: Option<u32>,
    /// Pixel size in pm, 1 to 1000, to which images are resampled before they are cut. Default: they keep their own.
    #[schemars(range(min = 1.0, max = 1000.0))]
    pub pixel_size_pm: Option<f64>,
    /// What becomes of the values: each window to mean 0 and deviation 1, the image so, or nothing. Default "window".
    pub normalisation: NormalisationName,
    /// Largest part of a window that may lack data, 0 to 0.5; what lacks becomes the window's mean. Default 0.
    #[schemars(range(min = 0.0, max = 0.5))]
    pub max_missing: f64,
    /// Labels: the simulated truth, or the columns as fitted in the image itself. Default "truth".
    pub labels: LabelName,
    /// Standard deviation of the Gaussian that weighs cells where a label is interpolated, in sides of the cell, 0.2 to 4. Default 0.5.
    #[schemars(range(min = 0.2, max = 4.0))]
    pub label_sigma_lattices: f64,
    /// Split of the windows: by a straight line with a guard band, or at random, which leaks. Default "line".
    pub split: SplitName,
    /// Direction from the training to the test side in degrees, -360 to 360, from x towards y. Default 0: training on the left.
    #[schemars(range(min = -360.0, max = 360.0))]
    pub split_angle_deg: f64,
    /// Part of the image on the training side, 0.05 to 0.95. Default 0.6666666666666667.
    #[schemars(range(min = 0.05, max = 0.95))]
    pub train_fraction: f64,
    /// Part of the training side, next to the line, that decides when to stop instead, 0 to 0.9. Default 0.2.
    #[schemars(range(min = 0.0, max = 0.9))]
    pub validation_fraction: f64,
    /// Half width of the guard band in px of the image as cut, 0 to 4096. Default: half a window, so that no pixel is on both sides.
    #[schemars(range(min = 0.0, max = 4096.0))]
    pub guard_px: Option<f64>,
}

impl Default for WindowSettings {
    fn default() -> Self {
        Self {
            placement: PlacementName::Centred,
            grid_step_px: 8,
            size_lattices: 2.0,
            size_px: None,
            pixel_size_pm: None,
            normalisation: NormalisationName::Window,
            max_missing: 0.0,
            labels: LabelName::Truth,
            label_sigma_lattices: 0.5,
            split: SplitName::Line,
            split_angle_deg: 0.0,
            train_fraction: 2.0 / 3.0,
            validation_fraction: 0.2,
            guard_px: None,
        }
    }
}

/// Where windows stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum PlacementName {
    /// On the B columns, which are found first.
    #[default]
    Centred,
    /// On a grid, without finding columns.
    Grid,
}

/// What becomes of the values of a window.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum NormalisationName {
    /// Each window to mean 0 and standard deviation 1.
    #[default]
    Window,
    /// The whole image to mean 0 and standard deviation 1.
    Image,
    /// As they are.
    None,
}

/// Where labels come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum LabelName {
    /// The atoms that were simulated.
    #[default]
    Truth,
    /// The columns as they are fitted in the image: what an experimenter has.
    Fit,
}

/// How windows are divided.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum SplitName {
    /// By a straight line with a guard band.
    #[default]
    Line,
    /// By lot: overlapping windows leak from test to training.
    RandomLeaky,
}

impl WindowSettings {
    /// The settings of [`crate::windows`].
    #[must_use]
    pub fn spec(&self) -> WindowSpec {
        WindowSpec {
            placement: match self.placement {
                PlacementName::Centred => Placement::Centred,
                PlacementName::Grid => Placement::Grid { step_px: self.grid_step_px as usize },
            },
            size: self.size_px.map_or(WindowSize::Lattices(self.size_lattices), |n| WindowSize::Pixels(n as usize)),
            pixel_size_pm: self.pixel_size_pm,
            normalisation: match self.normalisation {
                NormalisationName::Window => Normalisation::Window,
                NormalisationName::Image => Normalisation::Image,
                NormalisationName::None => Normalisation::None,
            },
            max_missing: self.max_missing,
        }
    }

    /// How windows are divided; the seed serves a random split.
    #[must_use]
    pub fn split(&self, seed: u64) -> Split {
        match self.split {
            SplitName::Line => Split::Line(Line {
                angle_deg: self.split_angle_deg,
                train_fraction: self.train_fraction,
                validation_fraction: self.validation_fraction,
                guard: self.guard_px.map_or(Guard::HalfWindow, Guard::Pixels),
            }),
            SplitName::RandomLeaky => Split::Random { train_fraction: self.train_fraction, seed },
        }
    }
}
