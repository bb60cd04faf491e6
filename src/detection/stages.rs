//! The chain, stage by stage: the name of each, what it does in words, and the camera that ends after it.

use super::settings::CameraSettings;
use super::{Camera, Dose};
use crate::image::SourceShape;

/// A stage of the chain, in its order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Stage {
    /// The image as it was simulated.
    Image,
    /// Effective source size.
    Source,
    /// Tails of the probe.
    Tails,
    /// Drift.
    Drift,
    /// Row jitter.
    Jitter,
    /// Sinusoidal distortion.
    Sinusoids,
    /// Flyback transient.
    Flyback,
    /// Contamination.
    Contamination,
    /// Dose.
    Dose,
    /// Detector noise.
    Detector,
    /// Hot and dead pixels.
    Defects,
    /// Line offsets.
    Lines,
    /// Converter.
    Adc,
    /// AtomAI's augmentation.
    AtomAi,
}

impl Stage {
    /// All, in the order in which they act.
    pub const ALL: [Self; 14] = [
        Self::Image,
        Self::Source,
        Self::Tails,
        Self::Drift,
        Self::Jitter,
        Self::Sinusoids,
        Self::Flyback,
        Self::Contamination,
        Self::Dose,
        Self::Detector,
        Self::Defects,
        Self::Lines,
        Self::Adc,
        Self::AtomAi,
    ];

    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Image => "image",
            Self::Source => "source size",
            Self::Tails => "probe tails",
            Self::Drift => "drift",
            Self::Jitter => "row jitter",
            Self::Sinusoids => "sinusoids",
            Self::Flyback => "flyback",
            Self::Contamination => "contamination",
            Self::Dose => "dose",
            Self::Detector => "detector noise",
            Self::Defects => "hot and dead pixels",
            Self::Lines => "line offsets",
            Self::Adc => "ADC",
            Self::AtomAi => "AtomAI augmentation",
        }
    }
}

impl Camera {
    /// The stages of this camera that do something, the image first.
    #[must_use]
    pub fn stages(&self) -> Vec<Stage> {
        Stage::ALL.into_iter().filter(|stage| self.describe(*stage).is_some()).collect()
    }

    /// What a stage of this camera does, in a few words with units; `None` for one that does nothing.
    #[must_use]
    pub fn describe(&self, stage: Stage) -> Option<String> {
        let s = self.settings();
        let counted = s.dose.filter(|d| d.electrons_per_pixel(1.0, s.timing) > 0.0);
        match stage {
            Stage::Image => Some("as simulated".to_owned()),
            Stage::Source => (s.source.fwhm_angstrom > 0.0).then(|| format!("{} Å FWHM", s.source.fwhm_angstrom)),
            Stage::Tails => {
                let tails = SourceShape { fwhm_angstrom: 0.0, ..s.source };
                (!tails.is_point()).then(|| format!("{} % in {} Å FWHM", percent(tails.tail_fraction), tails.tail_fwhm_angstrom))
            }
            Stage::Drift => {
                s.drift.filter(|d| d.pm_per_row != [0.0; 2]).map(|d| format!("({}, {}) pm a row", d.pm_per_row[0], d.pm_per_row[1]))
            }
            Stage::Jitter => s.jitter.filter(|j| j.rms_pm > 0.0).map(|j| format!("{} pm rms, correlation {}", j.rms_pm, j.correlation)),
            Stage::Sinusoids => s.sinusoids.filter(|x| x.power_percent > 0.0).map(|x| format!("{} %, to {} Hz", x.power_percent, x.max_hz)),
            Stage::Flyback => {
                s.flyback.filter(|f| f.amplitude_pm != 0.0).map(|f| format!("{} pm, decays in {} µs", f.amplitude_pm, f.decay_us))
            }
            Stage::Contamination => s
                .contamination
                .filter(|c| c.mean_fraction > 0.0 || c.rms_fraction > 0.0)
                .map(|c| format!("{} ± {} % over {} Å", percent(c.mean_fraction), percent(c.rms_fraction), c.length_angstrom)),
            Stage::Dose => counted.map(|d| match d {
                Dose::PerPixel { electrons } => format!("{electrons} electrons a pixel"),
                Dose::PerSquareAngstrom { electrons } => format!("{electrons} electrons/Å²"),
                Dose::Current { picoamperes } => format!("{picoamperes} pA for {} µs", s.timing.dwell_us),
            }),
            Stage::Detector => s
                .detector
                .filter(|d| counted.is_some() && !d.is_perfect())
                .map(|d| format!("pulses ± {} %, readout {} e", percent(d.pulse_spread), d.readout_rms_e)),
            Stage::Defects => s
                .defects
                .filter(|d| d.hot_fraction > 0.0 || d.dead_fraction > 0.0)
                .map(|d| format!("{} % hot, {} % dead", percent(d.hot_fraction), percent(d.dead_fraction))),
            Stage::Lines => s.lines.filter(|l| l.rms_fraction > 0.0).map(|l| format!("{} % of the mean, rms", percent(l.rms_fraction))),
            Stage::Adc => s.adc.map(|a| format!("{} bits", a.bits)),
            Stage::AtomAi => s.atomai.map(|_| "default ranges".to_owned()),
        }
    }

    /// The camera whose chain ends after `stage`. It draws what the whole chain draws up to there.
    #[must_use]
    pub fn up_to(&self, stage: Stage) -> Self {
        let all = self.settings();
        let source = SourceShape {
            fwhm_angstrom: if stage >= Stage::Source { all.source.fwhm_angstrom } else { 0.0 },
            tail_fraction: if stage >= Stage::Tails { all.source.tail_fraction } else { 0.0 },
            ..all.source
        };
        let kept = CameraSettings {
            source,
            timing: all.timing,
            drift: all.drift.filter(|_| stage >= Stage::Drift),
            jitter: all.jitter.filter(|_| stage >= Stage::Jitter),
            sinusoids: all.sinusoids.filter(|_| stage >= Stage::Sinusoids),
            flyback: all.flyback.filter(|_| stage >= Stage::Flyback),
            contamination: all.contamination.filter(|_| stage >= Stage::Contamination),
            dose: all.dose.filter(|_| stage >= Stage::Dose),
            detector: all.detector.filter(|_| stage >= Stage::Detector),
            defects: all.defects.filter(|_| stage >= Stage::Defects),
            lines: all.lines.filter(|_| stage >= Stage::Lines),
            adc: all.adc.filter(|_| stage >= Stage::Adc),
            atomai: all.atomai.filter(|_| stage >= Stage::AtomAi),
        };
        // Every part of checked settings is checked.
        Self::new(kept).unwrap_or_default()
    }
}

/// A fraction in %, without the last digits of its binary form.
fn percent(fraction: f64) -> f64 {
    (1e8 * fraction).round() / 1e6
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detection::Preset;

    #[test]
    fn presets_name_their_stages_and_the_last_camera_is_the_whole() {
        let raw = Camera::preset(Preset::Raw);
        let names: Vec<&str> = raw.stages().into_iter().map(Stage::name).collect();
        assert_eq!(names, ["image", "drift", "row jitter", "flyback", "dose", "detector noise", "line offsets", "ADC"]);
        assert_eq!(raw.up_to(Stage::AtomAi), raw);
        assert_eq!(raw.up_to(Stage::Image).stages(), [Stage::Image]);
        assert_eq!(raw.describe(Stage::Jitter).as_deref(), Some("6 pm rms, correlation 0.5"));
        assert_eq!(Camera::preset(Preset::None).stages(), [Stage::Image]);
        assert_eq!(Camera::preset(Preset::Registered).describe(Stage::Jitter).as_deref(), Some("1.5 pm rms, correlation 0.5"));
    }

    #[test]
    fn every_preset_passes_its_own_checks() {
        for preset in [Preset::None, Preset::Registered, Preset::Raw, Preset::Atomai] {
            assert!(Camera::new(preset.settings()).is_ok(), "{preset:?}");
        }
    }
}
