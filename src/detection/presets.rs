//! Cameras to begin with. Their figures are declared, typical of 60 to 300 kV aberration-corrected instruments, not measured on one.

use super::settings::CameraSettings;
use super::{Adc, AtomAi, DetectorNoise, Dose, Drift, Flyback, LineOffsets, RowJitter};
use serde::{Deserialize, Serialize};

/// A named set of settings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Preset {
    /// The ideal camera: no stage but those that are asked for.
    #[default]
    None,
    /// Many frames, registered and averaged: row jitter 1.5 pm rms, 2e5 electrons/Å², pulses of unequal height.
    Registered,
    /// One quick frame: row jitter 6 pm rms, drift, flyback, 2e4 electrons/Å², readout noise, line offsets, 16 bits.
    Raw,
    /// AtomAI's augmentation with its default ranges, on an image without any other stage: for comparison.
    Atomai,
}

impl Preset {
    /// The settings it stands for.
    #[must_use]
    pub fn settings(self) -> CameraSettings {
        let jitter = |rms_pm| Some(RowJitter { rms_pm, y_ratio: 1.0, correlation: 0.5 });
        let dose = |electrons| Some(Dose::PerSquareAngstrom { electrons });
        let pulses = DetectorNoise { pulse_spread: 0.5, ..DetectorNoise::default() };
        match self {
            Self::None => CameraSettings::default(),
            Self::Registered => {
                CameraSettings { jitter: jitter(1.5), dose: dose(2e5), detector: Some(pulses), ..CameraSettings::default() }
            }
            Self::Raw => CameraSettings {
                drift: Some(Drift { pm_per_row: [0.05, 0.05] }),
                jitter: jitter(6.0),
                flyback: Some(Flyback { amplitude_pm: 15.0, decay_us: 30.0 }),
                dose: dose(2e4),
                detector: Some(DetectorNoise { readout_rms_e: 1.0, black_level_e: 10.0, ..pulses }),
                lines: Some(LineOffsets { rms_fraction: 0.01 }),
                adc: Some(Adc { bits: 16 }),
                ..CameraSettings::default()
            },
            Self::Atomai => CameraSettings { atomai: Some(AtomAi::default()), ..CameraSettings::default() },
        }
    }
}
