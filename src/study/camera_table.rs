//! The `[camera]` table of a study file: how the image of a point is exposed, each key over what the preset says; and its checks.

use super::file::MeasureSettings;
use crate::detection::{
    Adc, Camera, CameraSettings, Contamination, Defects, DetectorNoise, Dose, Drift, Flyback, LineOffsets, MAX_FRAME_PIXELS, Preset,
    RowJitter, Sinusoids, Timing,
};
use crate::image::{Raster, SourceShape};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How images are recorded: scan, dose, detector. A key that is left out has the value of the preset, whose default has no stage at all.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct CameraTable {
    /// Camera to begin with. Default "none": no stage but those that are asked for.
    pub preset: Preset,
    /// Side of the square field of view in Å, 12 to 1000. Default 64.
    #[schemars(range(min = 12.0, max = 1000.0))]
    pub field_angstrom: f64,
    /// Pixel of the frame in pm, 1 to 100. Default 20.
    #[schemars(range(min = 1.0, max = 100.0))]
    pub pixel_pm: f64,
    /// Independent frames of every point, 1 to 10000; two or more give the measured shift a standard error. Default 8.
    #[schemars(range(min = 1, max = 10_000))]
    pub repeats: u32,
    /// Time on one pixel in µs, 0.001 to 1e6. Default 10, with every preset.
    #[schemars(range(min = 0.001, max = 1e6))]
    pub dwell_us: f64,
    /// Time from the end of a line to the start of the next in µs, 0 to 1e6. Default 60, with every preset.
    #[schemars(range(min = 0.0, max = 1e6))]
    pub flyback_us: f64,
    /// Part of the probe, 0 to 1, in tails beyond the Gaussian of `microscope.source_fwhm_angstrom`. Default 0.
    #[schemars(range(min = 0.0, max = 1.0))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tail_fraction: Option<f64>,
    /// Full width at half maximum of the tails in Å, 0 to 100. Default 3.
    #[schemars(range(min = 0.0, max = 100.0))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tail_fwhm_angstrom: Option<f64>,
    /// Drift of the specimen to the right in pm a row, -1000 to 1000. Default 0; raw 0.05.
    #[schemars(range(min = -1000.0, max = 1000.0))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub drift_x_pm_per_row: Option<f64>,
    /// Drift of the specimen down in pm a row, -1000 to 1000. Default 0; raw 0.05.
    #[schemars(range(min = -1000.0, max = 1000.0))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub drift_y_pm_per_row: Option<f64>,
    /// Displacement of each row along x, root mean square in pm, 0 to 10000. Default 0; registered 1.5, raw 6.
    #[schemars(range(min = 0.0, max = 10_000.0))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub jitter_rms_pm: Option<f64>,
    /// Displacement of each row along y over that along x, 0 to 100. Default 1.
    #[schemars(range(min = 0.0, max = 100.0))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub jitter_y_ratio: Option<f64>,
    /// Correlation of the displacements of neighbouring rows, -0.999 to 0.999. Default 0.5.
    #[schemars(range(min = -0.999, max = 0.999))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub jitter_correlation: Option<f64>,
    /// Sinusoidal scan distortion: full width at half maximum of the local magnification in %, 0 to 100, as abTEM's `rms_power`. Default 0.
    #[schemars(range(min = 0.0, max = 100.0))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sinusoid_power_percent: Option<f64>,
    /// Highest frequency of the sinusoids in Hz, 0.001 to 1e6. Default 500.
    #[schemars(range(min = 0.001, max = 1e6))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sinusoid_max_hz: Option<f64>,
    /// Number of sinusoids along each of x and y, 1 to 10000. Default 200.
    #[schemars(range(min = 1, max = 10_000))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sinusoid_components: Option<u32>,
    /// Displacement to the right at the start of every line in pm, -10000 to 10000. Default 0; raw 15.
    #[schemars(range(min = -10_000.0, max = 10_000.0))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub flyback_pm: Option<f64>,
    /// Time in which that displacement decays in µs, 0.001 to 1e6. Default 30.
    #[schemars(range(min = 0.001, max = 1e6))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub flyback_decay_us: Option<f64>,
    /// Mean signal of contamination over the mean of the image, 0 to 100. Default 0.
    #[schemars(range(min = 0.0, max = 100.0))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub contamination_mean: Option<f64>,
    /// Variation (rms) of that signal over the specimen, over the mean of the image, 0 to 100. Default 0.
    #[schemars(range(min = 0.0, max = 100.0))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub contamination_rms: Option<f64>,
    /// Distance over which contamination varies in Å, 1 to 1e6. Default 50.
    #[schemars(range(min = 1.0, max = 1e6))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub contamination_length_angstrom: Option<f64>,
    /// Electrons an Å² of the field, 0 to 1e12; 0 counts none: neither shot noise nor detector noise. Give this, `dose_e_per_px` or
    /// `current_pa`. Default 0; registered 2e5, raw 2e4.
    #[schemars(range(min = 0.0, max = 1e12))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dose_e_per_angstrom2: Option<f64>,
    /// Electrons a pixel, 0 to 1e12, instead of `dose_e_per_angstrom2`. Default: none.
    #[schemars(range(min = 0.0, max = 1e12))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dose_e_per_px: Option<f64>,
    /// Beam current in pA, 0 to 1e12, on each pixel for `dwell_us`, instead of `dose_e_per_angstrom2`. Default: none.
    #[schemars(range(min = 0.0, max = 1e12))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub current_pa: Option<f64>,
    /// Detector units an electron, 1e-9 to 1e9. Default 1.
    #[schemars(range(min = 1e-9, max = 1e9))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gain_per_e: Option<f64>,
    /// Standard deviation of the height of one electron's pulse over its mean, 0 to 10. Default 0; registered and raw 0.5.
    #[schemars(range(min = 0.0, max = 10.0))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pulse_spread: Option<f64>,
    /// Mean dark counts in electrons a pixel, 0 to 1e9. Default 0.
    #[schemars(range(min = 0.0, max = 1e9))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dark_e_per_px: Option<f64>,
    /// Readout noise (rms) in electrons a pixel, 0 to 1e9. Default 0; raw 1.
    #[schemars(range(min = 0.0, max = 1e9))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub readout_rms_e: Option<f64>,
    /// Black level in electrons a pixel, 0 to 1e9. Default 0; raw 10.
    #[schemars(range(min = 0.0, max = 1e9))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub black_level_e: Option<f64>,
    /// Part of the pixels that are hot, 0 to 0.5. Default 0.
    #[schemars(range(min = 0.0, max = 0.5))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hot_fraction: Option<f64>,
    /// Part of the pixels that are dead, 0 to 0.5. Default 0.
    #[schemars(range(min = 0.0, max = 0.5))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dead_fraction: Option<f64>,
    /// Offset of the brightness of each line (rms) over the mean signal, 0 to 10. Default 0; raw 0.01.
    #[schemars(range(min = 0.0, max = 10.0))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line_offset_rms: Option<f64>,
    /// Bits of the converter, 0 to 24; 0 for none. Default 0; raw 16.
    #[schemars(range(min = 0, max = 24))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub adc_bits: Option<u32>,
}

impl Default for CameraTable {
    fn default() -> Self {
        let timing = Timing::default();
        Self {
            preset: Preset::None,
            field_angstrom: 64.0,
            pixel_pm: 20.0,
            repeats: 8,
            dwell_us: timing.dwell_us,
            flyback_us: timing.flyback_us,
            tail_fraction: None,
            tail_fwhm_angstrom: None,
            drift_x_pm_per_row: None,
            drift_y_pm_per_row: None,
            jitter_rms_pm: None,
            jitter_y_ratio: None,
            jitter_correlation: None,
            sinusoid_power_percent: None,
            sinusoid_max_hz: None,
            sinusoid_components: None,
            flyback_pm: None,
            flyback_decay_us: None,
            contamination_mean: None,
            contamination_rms: None,
            contamination_length_angstrom: None,
            dose_e_per_angstrom2: None,
            dose_e_per_px: None,
            current_pa: None,
            gain_per_e: None,
            pulse_spread: None,
            dark_e_per_px: None,
            readout_rms_e: None,
            black_level_e: None,
            hot_fraction: None,
            dead_fraction: None,
            line_offset_rms: None,
            adc_bits: None,
        }
    }
}

/// How the image of a point becomes frames; checked.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct FrameSettings {
    /// Side of the square field of view, Å.
    pub field_angstrom: f64,
    /// Pixel, Å.
    pub pixel_angstrom: f64,
    /// Independent frames.
    pub repeats: u32,
    /// The chain. Its source is that of the microscope, its tails those of the camera.
    pub camera: CameraSettings,
}

impl FrameSettings {
    /// The pixels of a frame that begins at `origin_angstrom`.
    #[must_use]
    pub fn raster(&self, origin_angstrom: [f64; 2]) -> Raster {
        Raster::square(origin_angstrom, self.field_angstrom, self.pixel_angstrom)
    }
}

/// A problem of the table: key, message, label, help.
pub(super) type CameraFinding = (&'static str, String, &'static str, String);

impl CameraTable {
    /// The settings of the frames, under the source size of the microscope.
    pub(super) fn settings(&self, source_fwhm_angstrom: f64) -> FrameSettings {
        let base = self.preset.settings();
        let camera = CameraSettings {
            source: SourceShape {
                fwhm_angstrom: source_fwhm_angstrom,
                tail_fraction: self.tail_fraction.unwrap_or(0.0),
                tail_fwhm_angstrom: self.tail_fwhm_angstrom.unwrap_or(3.0),
            },
            timing: Timing { dwell_us: self.dwell_us, flyback_us: self.flyback_us },
            drift: self.drift(&base),
            jitter: self.jitter(&base),
            sinusoids: self.sinusoid_power_percent.map(|power_percent| Sinusoids {
                power_percent,
                max_hz: self.sinusoid_max_hz.unwrap_or(500.0),
                components: self.sinusoid_components.unwrap_or(200),
            }),
            flyback: self.flyback(&base),
            contamination: self.contamination(),
            dose: self.dose().or(base.dose),
            detector: self.detector(&base),
            defects: (self.hot_fraction.is_some() || self.dead_fraction.is_some())
                .then(|| Defects { hot_fraction: self.hot_fraction.unwrap_or(0.0), dead_fraction: self.dead_fraction.unwrap_or(0.0) }),
            lines: self.line_offset_rms.map(|rms_fraction| LineOffsets { rms_fraction }).or(base.lines),
            adc: self.adc_bits.map_or(base.adc, |bits| (bits > 0).then_some(Adc { bits })),
            atomai: base.atomai,
        };
        let pixel_angstrom = self.pixel_pm / 100.0;
        FrameSettings { field_angstrom: self.field_angstrom, pixel_angstrom, repeats: self.repeats, camera }
    }

    fn drift(&self, base: &CameraSettings) -> Option<Drift> {
        let of = base.drift.map_or([0.0; 2], |d| d.pm_per_row);
        let own = [self.drift_x_pm_per_row.unwrap_or(of[0]), self.drift_y_pm_per_row.unwrap_or(of[1])];
        (own != [0.0; 2]).then_some(Drift { pm_per_row: own })
    }

    fn jitter(&self, base: &CameraSettings) -> Option<RowJitter> {
        let of = base.jitter.unwrap_or(RowJitter { rms_pm: 0.0, y_ratio: 1.0, correlation: 0.5 });
        Some(RowJitter {
            rms_pm: self.jitter_rms_pm.unwrap_or(of.rms_pm),
            y_ratio: self.jitter_y_ratio.unwrap_or(of.y_ratio),
            correlation: self.jitter_correlation.unwrap_or(of.correlation),
        })
        .filter(|j| j.rms_pm > 0.0)
    }

    fn flyback(&self, base: &CameraSettings) -> Option<Flyback> {
        let of = base.flyback.unwrap_or(Flyback { amplitude_pm: 0.0, decay_us: 30.0 });
        let own =
            Flyback { amplitude_pm: self.flyback_pm.unwrap_or(of.amplitude_pm), decay_us: self.flyback_decay_us.unwrap_or(of.decay_us) };
        (own.amplitude_pm != 0.0).then_some(own)
    }

    fn contamination(&self) -> Option<Contamination> {
        let (mean_fraction, rms_fraction) = (self.contamination_mean.unwrap_or(0.0), self.contamination_rms.unwrap_or(0.0));
        let length_angstrom = self.contamination_length_angstrom.unwrap_or(50.0);
        (mean_fraction > 0.0 || rms_fraction > 0.0).then_some(Contamination { mean_fraction, rms_fraction, length_angstrom })
    }

    fn dose(&self) -> Option<Dose> {
        let area = self.dose_e_per_angstrom2.map(|electrons| Dose::PerSquareAngstrom { electrons });
        let pixel = self.dose_e_per_px.map(|electrons| Dose::PerPixel { electrons });
        area.or(pixel).or(self.current_pa.map(|picoamperes| Dose::Current { picoamperes }))
    }

    fn detector(&self, base: &CameraSettings) -> Option<DetectorNoise> {
        let of = base.detector.unwrap_or_default();
        let own = DetectorNoise {
            gain_per_e: self.gain_per_e.unwrap_or(of.gain_per_e),
            pulse_spread: self.pulse_spread.unwrap_or(of.pulse_spread),
            dark_e_per_px: self.dark_e_per_px.unwrap_or(of.dark_e_per_px),
            readout_rms_e: self.readout_rms_e.unwrap_or(of.readout_rms_e),
            black_level_e: self.black_level_e.unwrap_or(of.black_level_e),
        };
        (own != DetectorNoise::default()).then_some(own)
    }

    /// What no schema sees: two doses, settings out of range, too many pixels, pixels too coarse for the estimators' window.
    pub(super) fn findings(&self, measure: &MeasureSettings) -> Vec<CameraFinding> {
        let mut out = self.own_findings();
        let side = (100.0 * self.field_angstrom / self.pixel_pm).round();
        if side * side > MAX_FRAME_PIXELS as f64 {
            let message = format!("A frame of {side} × {side} pixels is larger than the 4096 × 4096 that are exposed.");
            out.push(("camera.field_angstrom", message, "too large", "Take a smaller field or larger pixels.".to_owned()));
        }
        let radius_px = 100.0 * measure.window_radius_angstrom / self.pixel_pm;
        if !(1.5..=256.0).contains(&radius_px) {
            let message = format!("A window of {} Å has a radius of {radius_px} of the camera's pixels.", measure.window_radius_angstrom);
            let help = "The estimators need 1.5 to 256 pixels: change `camera.pixel_pm` or `measure.window_radius_angstrom`.".to_owned();
            out.push(("camera.pixel_pm", message, "does not fit the window", help));
        }
        out
    }

    /// What is wrong with the camera itself, whatever images it takes.
    pub(super) fn own_findings(&self) -> Vec<CameraFinding> {
        let mut out = Vec::new();
        let doses = [
            ("camera.dose_e_per_px", self.dose_e_per_px, self.dose_e_per_angstrom2.is_some()),
            ("camera.current_pa", self.current_pa, self.dose_e_per_angstrom2.or(self.dose_e_per_px).is_some()),
        ];
        for (key, value, taken) in doses {
            if value.is_some() && taken {
                let message = "The dose of the camera is given in two ways.".to_owned();
                let help = "Keep one of `dose_e_per_angstrom2`, `dose_e_per_px` and `current_pa`.".to_owned();
                out.push((key, message, "or this", help));
            }
        }
        if let Err(error) = Camera::new(self.settings(0.0).camera) {
            out.push(("camera.preset", format!("The camera cannot be: {error}."), "here", String::new()));
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(text: &str) -> CameraTable {
        toml::from_str(text).unwrap()
    }

    #[test]
    fn keys_stand_over_the_preset_and_zero_switches_off() {
        let raw = table("preset = \"raw\"\n").settings(0.8);
        let of_preset = Preset::Raw.settings();
        assert_eq!(raw.camera.source.fwhm_angstrom, 0.8);
        assert_eq!(
            CameraSettings { source: SourceShape { fwhm_angstrom: 0.8, tail_fraction: 0.0, tail_fwhm_angstrom: 3.0 }, ..of_preset },
            raw.camera
        );
        let quiet = table(
            "preset = \"raw\"\njitter_rms_pm = 0\nflyback_pm = 0\nadc_bits = 0\nline_offset_rms = 0\ndrift_x_pm_per_row = 0\ndrift_y_pm_per_row = 0\ndose_e_per_px = 50",
        );
        let camera = quiet.settings(0.0).camera;
        assert_eq!((camera.jitter, camera.flyback, camera.adc, camera.drift), (None, None, None, None));
        assert_eq!(camera.dose, Some(Dose::PerPixel { electrons: 50.0 }));
        assert_eq!(camera.detector.map(|d| d.readout_rms_e), Some(1.0));
        for preset in ["none", "registered", "atomai"] {
            let settings = table(&format!("preset = \"{preset}\"")).settings(0.0);
            assert!(Camera::new(settings.camera).is_ok(), "{preset}");
        }
    }

    #[test]
    fn what_keys_say_together_is_checked() {
        let measure = MeasureSettings::default();
        let keys = |text: &str| table(text).findings(&measure).into_iter().map(|f| f.0).collect::<Vec<_>>();
        assert!(keys("").is_empty() && keys("preset = \"raw\"\ncurrent_pa = 20").is_empty());
        assert_eq!(keys("dose_e_per_px = 5\ncurrent_pa = 20\ndose_e_per_angstrom2 = 3"), ["camera.dose_e_per_px", "camera.current_pa"]);
        assert_eq!(keys("field_angstrom = 1000\npixel_pm = 10"), ["camera.field_angstrom"]);
        assert_eq!(keys("pixel_pm = 80"), ["camera.pixel_pm"]);
    }
}
