//! The settings of the chain, each stage optional, and the ranges they are checked against.

use super::{Adc, AtomAi, CameraError, Contamination, Defects, DetectorNoise, Dose, Drift, Flyback, LineOffsets, RowJitter, Sinusoids};
use crate::image::SourceShape;
use serde::{Deserialize, Serialize};

/// When pixels are recorded.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Timing {
    /// Time on one pixel, µs.
    pub dwell_us: f64,
    /// Time from the end of a line to the start of the next, µs.
    pub flyback_us: f64,
}

impl Default for Timing {
    fn default() -> Self {
        Self { dwell_us: 10.0, flyback_us: 60.0 }
    }
}

impl Timing {
    /// From the start of a line of `width` pixels to the start of the next, µs.
    #[must_use]
    pub fn line_us(&self, width: usize) -> f64 {
        self.dwell_us * width as f64 + self.flyback_us
    }

    /// From the start of the frame to pixel (ix, iy), µs.
    #[must_use]
    pub fn time_us(&self, ix: usize, iy: usize, width: usize) -> f64 {
        self.line_us(width) * iy as f64 + self.dwell_us * ix as f64
    }
}

/// All settings of a camera; a stage that is `None` or zero is not there. The default is the ideal camera, which changes nothing.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CameraSettings {
    /// Effective source: size and tails.
    pub source: SourceShape,
    /// When pixels are recorded.
    pub timing: Timing,
    /// The specimen moves.
    pub drift: Option<Drift>,
    /// Lines stand off their places.
    pub jitter: Option<RowJitter>,
    /// Fields and vibrations of many frequencies.
    pub sinusoids: Option<Sinusoids>,
    /// The beam settles at the start of each line.
    pub flyback: Option<Flyback>,
    /// Matter on the specimen.
    pub contamination: Option<Contamination>,
    /// Electrons that are counted; without it neither shot nor detector noise.
    pub dose: Option<Dose>,
    /// What the detector makes of electrons; acts only with a dose.
    pub detector: Option<DetectorNoise>,
    /// Pixels that read too much, and nothing.
    pub defects: Option<Defects>,
    /// Brightness of lines.
    pub lines: Option<LineOffsets>,
    /// Steps of the converter.
    pub adc: Option<Adc>,
    /// The augmentation of AtomAI, for comparison, after everything else.
    pub atomai: Option<AtomAi>,
}

impl CameraSettings {
    /// The camera without its stages after the scan: images that it takes are expected fractions of the beam, displaced as before.
    #[must_use]
    pub fn scan_only(&self) -> Self {
        Self { contamination: None, dose: None, detector: None, defects: None, lines: None, adc: None, atomai: None, ..self.clone() }
    }

    /// Refuses the first setting that is out of its range.
    pub(super) fn check(&self) -> Result<(), CameraError> {
        let source = &self.source;
        within("source size in Å", source.fwhm_angstrom, 0.0, 5.0, "0 to 5")?;
        within("fraction of the probe in tails", source.tail_fraction, 0.0, 1.0, "0 to 1")?;
        within("width of the probe tails in Å", source.tail_fwhm_angstrom, 0.0, 100.0, "0 to 100")?;
        within("dwell time in µs", self.timing.dwell_us, 1e-3, 1e6, "0.001 to 1000000")?;
        within("flyback time in µs", self.timing.flyback_us, 0.0, 1e6, "0 to 1000000")?;
        self.drift.iter().try_for_each(Drift::check)?;
        self.jitter.iter().try_for_each(RowJitter::check)?;
        self.sinusoids.iter().try_for_each(Sinusoids::check)?;
        self.flyback.iter().try_for_each(Flyback::check)?;
        self.contamination.iter().try_for_each(Contamination::check)?;
        self.dose.iter().try_for_each(Dose::check)?;
        self.detector.iter().try_for_each(DetectorNoise::check)?;
        self.defects.iter().try_for_each(Defects::check)?;
        self.lines.into_iter().try_for_each(LineOffsets::check)?;
        self.adc.into_iter().try_for_each(Adc::check)
    }
}

/// Refuses a value outside [low, high], and what is no number.
pub(super) fn within(name: &'static str, found: f64, low: f64, high: f64, allowed: &'static str) -> Result<(), CameraError> {
    if (low..=high).contains(&found) { Ok(()) } else { Err(CameraError::Setting { name, found, allowed }) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pixels_are_recorded_line_after_line() {
        let timing = Timing { dwell_us: 10.0, flyback_us: 60.0 };
        assert_eq!((timing.line_us(100), timing.time_us(3, 2, 100)), (1060.0, 2150.0));
    }

    #[test]
    fn a_setting_that_cannot_be_is_named_with_its_unit() {
        let mut settings = CameraSettings::default();
        assert!(settings.check().is_ok());
        settings.dose = Some(Dose::PerPixel { electrons: f64::NAN });
        assert!(settings.check().unwrap_err().to_string().contains("dose"));
        settings.dose = None;
        settings.jitter = Some(RowJitter { rms_pm: -1.0, y_ratio: 1.0, correlation: 0.0 });
        assert_eq!(settings.check().unwrap_err().to_string(), "the camera's row jitter in pm is -1; it must be 0 to 10000");
        settings.jitter = None;
        settings.timing.dwell_us = 0.0;
        assert!(settings.check().unwrap_err().to_string().contains("dwell time in µs is 0"));
    }
}
