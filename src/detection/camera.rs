//! The camera: checked settings, and one frame of a noiseless image through the whole chain.

use super::exposure::{Exposure, Unit};
use super::scan::{ScanPath, ScanStage};
use super::settings::CameraSettings;
use super::signal::{Level, SignalChain};
use super::{CameraError, Defect, FrameKey, Preset};
use crate::image::{Image, Radiance, Raster};
use crate::numerics::seeds::Streams;
use rayon::prelude::*;

/// The most pixels of a frame, 2^24: 4096 × 4096.
pub const MAX_FRAME_PIXELS: usize = 1 << 24;

/// A microscope's way from a noiseless image to a frame.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Camera {
    settings: CameraSettings,
}

impl Camera {
    /// A camera of these settings.
    ///
    /// # Errors
    /// [`CameraError::Setting`] names the first that is out of its range.
    pub fn new(settings: CameraSettings) -> Result<Self, CameraError> {
        settings.check()?;
        Ok(Self { settings })
    }

    /// A camera of a preset.
    #[must_use]
    pub fn preset(preset: Preset) -> Self {
        Self { settings: preset.settings() }
    }

    /// Its settings.
    #[must_use]
    pub fn settings(&self) -> &CameraSettings {
        &self.settings
    }

    /// One frame of `source` on `raster`. The draws depend on `key` alone: the same bytes for any number of threads.
    ///
    /// # Errors
    /// [`CameraError::Frame`] for a raster without pixels or with more than [`MAX_FRAME_PIXELS`]; [`CameraError::CannotBlur`] when the
    /// camera has a source and the image cannot be given one.
    pub fn expose(&self, source: &dyn Radiance, raster: Raster, key: FrameKey) -> Result<Exposure, CameraError> {
        let settings = &self.settings;
        check(raster)?;
        let blurred =
            if settings.source.is_point() { None } else { Some(source.seen_with(&settings.source).ok_or(CameraError::CannotBlur)?) };
        let source = blurred.as_deref().unwrap_or(source);
        let mut scan = ScanPath::new(settings, raster, key);
        let mut values = vec![0.0; raster.width * raster.height];
        values.par_chunks_mut(raster.width).enumerate().for_each(|(iy, row)| source.evaluate(&scan.positions(iy), row));

        let chain = SignalChain::new(settings, raster.pixel_angstrom, key.signal());
        if let Some(field) = chain.contamination(0, raster.pixel_angstrom) {
            let mean = Level::of(values.iter().copied()).mean;
            values.par_chunks_mut(raster.width).enumerate().for_each(|(iy, row)| field.add(iy, mean, row));
        }
        let expected: Vec<f32> = values.iter().map(|&v| v as f32).collect();
        let level = Level::of(values.iter().copied());
        let rows: Vec<_> = values
            .par_chunks_mut(raster.width)
            .enumerate()
            .map(|(iy, row)| chain.read(&mut chain.generators(iy as u64), level, row))
            .collect();
        if let Some(atomai) = settings.atomai {
            let mut rng = Streams::new("mistilt 2026 camera atomai", key.signal()).stream(0);
            let shifts = atomai.apply(&mut rng, &mut values, raster.width);
            scan.push(ScanStage::rows("AtomAI augmentation", shifts.iter().map(|px| [px * raster.pixel_angstrom, 0.0]).collect()));
        }
        let unit = self.unit(chain.electrons_per_px.is_some());
        let defect = |(iy, row): (usize, &super::signal::RowTruth)| -> Vec<Defect> {
            row.defects.iter().map(|&(ix, kind)| Defect { ix, iy, kind }).collect()
        };
        Ok(Exposure {
            image: image(raster, &values, unit)?,
            unit,
            expected,
            electrons_per_px: chain.electrons_per_px,
            scan,
            defects: rows.iter().enumerate().flat_map(defect).collect(),
            line_offsets: if settings.lines.is_some() { rows.iter().map(|r| r.offset).collect() } else { Vec::new() },
        })
    }

    /// The displacements alone of one frame.
    ///
    /// # Errors
    /// [`CameraError::Frame`] as for [`Camera::expose`].
    pub fn scan(&self, raster: Raster, key: FrameKey) -> Result<ScanPath, CameraError> {
        check(raster)?;
        Ok(ScanPath::new(&self.settings, raster, key))
    }

    fn unit(&self, counted: bool) -> Unit {
        let settings = &self.settings;
        if settings.atomai.is_some() {
            Unit::Normalised
        } else if settings.adc.is_some() {
            Unit::AdcSteps
        } else if !counted {
            Unit::BeamFraction
        } else if settings.detector.is_some_and(|d| !d.is_perfect()) {
            Unit::DetectorUnits
        } else {
            Unit::Electrons
        }
    }
}

fn check(raster: Raster) -> Result<(), CameraError> {
    let Raster { width, height, pixel_angstrom, origin_angstrom } = raster;
    let pixels = width.checked_mul(height).unwrap_or(0);
    let finite = origin_angstrom.iter().all(|v| v.is_finite()) && pixel_angstrom.is_finite() && pixel_angstrom > 1e-3;
    if finite && (1..=MAX_FRAME_PIXELS).contains(&pixels) { Ok(()) } else { Err(CameraError::Frame { width, height, pixel_angstrom }) }
}

fn image(raster: Raster, values: &[f64], unit: Unit) -> Result<Image, CameraError> {
    let data = values.iter().map(|&v| v as f32).collect();
    let image = Image::new(raster.width, raster.height, data).and_then(|i| i.with_pixel_size_pm(100.0 * raster.pixel_angstrom));
    // The raster has been checked: this is the same refusal once more, should the two ever differ.
    let refusal = CameraError::Frame { width: raster.width, height: raster.height, pixel_angstrom: raster.pixel_angstrom };
    let mut image = image.map_err(|_| refusal)?;
    image.metadata.notes = vec![format!("values are {}; x right, y down", unit.name())];
    Ok(image)
}
