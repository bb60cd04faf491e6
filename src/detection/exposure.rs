//! One exposed frame: what was read, what had been expected, and the truth of every stage.

use super::{Defect, ScanPath};
use crate::image::{Image, Truth};

/// What the values of an exposed image are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Unit {
    /// Fraction of the beam: no electrons were counted.
    BeamFraction,
    /// Electrons.
    Electrons,
    /// Units of the detector.
    DetectorUnits,
    /// Steps of the converter.
    AdcSteps,
    /// 0 to 1 over the range of the image.
    Normalised,
}

impl Unit {
    /// In words.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::BeamFraction => "fraction of the beam",
            Self::Electrons => "electrons",
            Self::DetectorUnits => "detector units",
            Self::AdcSteps => "ADC steps",
            Self::Normalised => "0 to 1 over the image",
        }
    }
}

/// One frame of a camera.
#[derive(Debug, Clone)]
pub struct Exposure {
    /// What was read.
    pub image: Image,
    /// Unit of its values.
    pub unit: Unit,
    /// The noiseless value of every pixel at the place where it looked, contamination included, as fraction of the beam.
    pub expected: Vec<f32>,
    /// Electrons that the beam brought to a pixel; `None` without a dose.
    pub electrons_per_px: Option<f64>,
    /// Displacements of every stage of the scan.
    pub scan: ScanPath,
    /// Pixels that were hot or dead.
    pub defects: Vec<Defect>,
    /// Offset of every line, in the unit of the signal before the converter; empty without line offsets.
    pub line_offsets: Vec<f64>,
}

impl Exposure {
    /// Expected electrons on the detector, pixel by pixel; `None` without a dose.
    #[must_use]
    pub fn expected_electrons(&self) -> Option<Vec<f32>> {
        let electrons = self.electrons_per_px? as f32;
        Some(self.expected.iter().map(|e| e * electrons).collect())
    }

    /// Gives the image the truth of the clean one, with what each stage of the scan did to its columns.
    #[must_use]
    pub fn with_truth(mut self, mut truth: Truth) -> Self {
        self.scan.tell(&mut truth);
        self.image.truth = Some(truth);
        self
    }
}
