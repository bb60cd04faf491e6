//! The part of the chain after the scan, row by row: from expected fractions of the beam to what is read; for frames and for windows.

use super::settings::CameraSettings;
use super::{Camera, CameraError, DefectKind, FrameKey, contamination, dose};
use crate::numerics::seeds::Streams;
use rand_chacha::ChaCha8Rng;

/// Mean and maximum of a noiseless image.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Level {
    pub(super) mean: f64,
    pub(super) brightest: f64,
}

impl Level {
    /// Of values that are finite; zeros where none is.
    pub(super) fn of(values: impl Iterator<Item = f64>) -> Self {
        let (mut sum, mut count, mut brightest) = (0.0, 0_usize, 0.0_f64);
        for value in values.filter(|v| v.is_finite()) {
            sum += value;
            count += 1;
            brightest = brightest.max(value);
        }
        Self { mean: if count > 0 { sum / count as f64 } else { 0.0 }, brightest }
    }
}

/// The streams of the stages.
#[derive(Debug, Clone, Copy)]
struct Families {
    contamination: Streams,
    dose: Streams,
    detector: Streams,
    defects: Streams,
    lines: Streams,
}

/// The generators of one row, or of one window.
pub(super) struct Generators {
    dose: ChaCha8Rng,
    detector: ChaCha8Rng,
    defects: ChaCha8Rng,
    lines: ChaCha8Rng,
}

/// The signal chain of one frame, or of a family of windows.
#[derive(Debug, Clone)]
pub(super) struct SignalChain {
    settings: CameraSettings,
    pub(super) electrons_per_px: Option<f64>,
    families: Families,
}

/// What happened to a row beyond its values.
#[derive(Debug, Clone, Default)]
pub(super) struct RowTruth {
    pub(super) offset: f64,
    pub(super) defects: Vec<(usize, DefectKind)>,
}

impl SignalChain {
    pub(super) fn new(settings: &CameraSettings, pixel_angstrom: f64, seed: u64) -> Self {
        let family = |purpose| Streams::new(purpose, seed);
        let families = Families {
            contamination: family("mistilt 2026 camera contamination"),
            dose: family("mistilt 2026 camera shot noise"),
            detector: family("mistilt 2026 camera detector noise"),
            defects: family("mistilt 2026 camera hot and dead pixels"),
            lines: family("mistilt 2026 camera line offsets"),
        };
        let electrons = settings.dose.map(|dose| dose.electrons_per_pixel(pixel_angstrom, settings.timing)).filter(|&e| e > 0.0);
        Self { settings: settings.clone(), electrons_per_px: electrons, families }
    }

    /// The contamination number `number`: 0 in a frame.
    pub(super) fn contamination(&self, number: u64, pixel_angstrom: f64) -> Option<contamination::Field> {
        self.settings.contamination.map(|c| c.field(self.families.contamination.stream(number), pixel_angstrom))
    }

    pub(super) fn generators(&self, number: u64) -> Generators {
        let f = &self.families;
        Generators {
            dose: f.dose.stream(number),
            detector: f.detector.stream(number),
            defects: f.defects.stream(number),
            lines: f.lines.stream(number),
        }
    }

    /// What the noiseless signal `fraction` reads, less the noise.
    fn signal(&self, fraction: f64) -> f64 {
        let Some(electrons) = self.electrons_per_px else { return fraction };
        let mut one = [electrons * fraction];
        if let Some(detector) = self.settings.detector {
            one[0] = detector.gain_per_e * (one[0] + detector.dark_e_per_px + detector.black_level_e);
        }
        one[0]
    }

    fn black(&self) -> f64 {
        let detector = self.settings.detector.filter(|_| self.electrons_per_px.is_some());
        detector.map_or(0.0, |d| d.gain_per_e * d.black_level_e)
    }

    /// Turns the expected fractions of a row, contamination included, into what is read. `level` is that of the whole image.
    pub(super) fn read(&self, generators: &mut Generators, level: Level, row: &mut [f64]) -> RowTruth {
        let mut truth = RowTruth::default();
        if let Some(electrons) = self.electrons_per_px {
            for v in row.iter_mut() {
                *v = dose::poisson(electrons * *v, &mut generators.dose);
            }
            if let Some(detector) = self.settings.detector {
                detector.read(&mut generators.detector, row);
            }
        }
        let (black, brightest) = (self.black(), self.signal(level.brightest));
        if let Some(defects) = self.settings.defects {
            defects.put(&mut generators.defects, brightest, black, row, |ix, kind| truth.defects.push((ix, kind)));
        }
        if let Some(lines) = self.settings.lines {
            truth.offset = lines.draw(&mut generators.lines, self.signal(level.mean) - black);
            for v in row.iter_mut() {
                *v += truth.offset;
            }
        }
        if let Some(adc) = self.settings.adc {
            adc.convert(brightest, row);
        }
        truth
    }
}

/// The part of a camera after the scan, made ready for many windows of expected values: training data and augmentation.
///
/// Scan distortion needs the image itself and is not applied; nor is the source, which windows have already been given.
#[derive(Debug, Clone)]
pub struct WindowNoise {
    chain: SignalChain,
    pixel_angstrom: f64,
    seed: u64,
    atomai: Option<(super::AtomAi, Streams)>,
}

impl WindowNoise {
    /// The noise of a camera on windows of pixels of `pixel_angstrom`; windows of one seed are told apart by their number.
    ///
    /// # Errors
    /// [`CameraError::Frame`] when the pixel is not larger than 0.001 Å.
    pub fn new(camera: &Camera, pixel_angstrom: f64, seed: u64) -> Result<Self, CameraError> {
        if !(pixel_angstrom.is_finite() && pixel_angstrom > 1e-3) {
            return Err(CameraError::Frame { width: 1, height: 1, pixel_angstrom });
        }
        let settings = camera.settings();
        let chain = SignalChain::new(settings, pixel_angstrom, FrameKey::first(seed).signal());
        let atomai = settings.atomai.map(|a| (a, Streams::new("mistilt 2026 camera atomai windows", seed)));
        Ok(Self { chain, pixel_angstrom, seed, atomai })
    }

    /// The same camera at `factor` times its dose.
    #[must_use]
    pub fn at_dose(&self, factor: f64) -> Self {
        let mut out = self.clone();
        out.chain.electrons_per_px = self.chain.electrons_per_px.map(|electrons| factor * electrons);
        out
    }

    /// All that decides what it does: settings, pixel size and seed, as JSON.
    #[must_use]
    pub fn key(&self) -> serde_json::Value {
        serde_json::json!({ "camera": self.chain.settings, "pixel_angstrom": self.pixel_angstrom, "seed": self.seed })
    }

    /// Turns one window of expected fractions of the beam (row after row) into what is read: the draws depend on the seed and on
    /// `number` alone. Means and maxima that stages refer to are those of the window.
    ///
    /// # Errors
    /// [`CameraError::Window`] when the values are no whole rows of `width`.
    pub fn apply(&self, number: u64, window: &mut [f32], width: usize) -> Result<(), CameraError> {
        if width == 0 || window.is_empty() || !window.len().is_multiple_of(width) {
            return Err(CameraError::Window { values: window.len(), width });
        }
        let mut values: Vec<f64> = window.iter().map(|&v| f64::from(v)).collect();
        if let Some(field) = self.chain.contamination(number, self.pixel_angstrom) {
            let mean = Level::of(values.iter().copied()).mean;
            values.chunks_exact_mut(width).enumerate().for_each(|(iy, row)| field.add(iy, mean, row));
        }
        let level = Level::of(values.iter().copied());
        let mut generators = self.chain.generators(number);
        for row in values.chunks_exact_mut(width) {
            self.chain.read(&mut generators, level, row);
        }
        if let Some((atomai, streams)) = self.atomai {
            atomai.apply(&mut streams.stream(number), &mut values, width);
        }
        window.iter_mut().zip(values).for_each(|(out, v)| *out = v as f32);
        Ok(())
    }
}
