//! The path of one scan: how far every stage displaces what each pixel shows; Å, image axes.

use super::drift::DriftPath;
use super::settings::CameraSettings;
use super::sinusoids::{Frame, SinusoidPath};
use super::{FrameKey, RowJitter};
use crate::image::Raster;
use std::borrow::Cow;

/// What one stage of the scan does to the image.
///
/// The displacement d at a pixel says how far what is seen there is moved: pixel r shows the specimen at r − d.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct ScanStage {
    name: Cow<'static, str>,
    motion: Motion,
}

#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
enum Motion {
    Drift(DriftPath),
    /// One displacement a row.
    Rows(Vec<[f64; 2]>),
    Sinusoids(SinusoidPath),
    /// Along x, one displacement a column, alike in all rows.
    Line(Vec<f64>),
}

impl ScanStage {
    /// Name of the stage, as it stands in the truth of an image.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Adds its displacement, Å, at the pixels of row `iy` from column `ix` on.
    ///
    /// # Panics
    /// If row or columns lie outside the frame.
    pub fn add(&self, iy: usize, ix: usize, row: &mut [[f64; 2]]) {
        match &self.motion {
            Motion::Drift(path) => path.add(iy, ix, row),
            Motion::Rows(rows) => row.iter_mut().for_each(|d| *d = [d[0] + rows[iy][0], d[1] + rows[iy][1]]),
            Motion::Sinusoids(path) => path.add(iy, ix, row),
            Motion::Line(line) => row.iter_mut().zip(&line[ix..]).for_each(|(d, x)| d[0] += x),
        }
    }

    /// A stage that moves whole rows.
    pub(super) fn rows(name: &'static str, rows: Vec<[f64; 2]>) -> Self {
        Self { name: name.into(), motion: Motion::Rows(rows) }
    }
}

/// All stages of the scan of one frame, in order; their displacements add.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct ScanPath {
    raster: Raster,
    stages: Vec<ScanStage>,
}

impl ScanPath {
    pub(super) fn new(settings: &CameraSettings, raster: Raster, key: FrameKey) -> Self {
        let seed = key.scan();
        let Raster { width, height, pixel_angstrom, .. } = raster;
        let timing = settings.timing;
        let mut stages = Vec::new();
        let mut add = |name: &'static str, motion| stages.push(ScanStage { name: name.into(), motion });
        if let Some(drift) = settings.drift.filter(|d| d.pm_per_row != [0.0; 2]) {
            add("drift", Motion::Drift(drift.path(timing, width)));
        }
        if let Some(jitter) = settings.jitter.filter(|j: &RowJitter| j.rms_pm > 0.0) {
            add("row jitter", Motion::Rows(jitter.rows(seed, height)));
        }
        if let Some(sinusoids) = settings.sinusoids.filter(|s| s.power_percent > 0.0) {
            add("sinusoids", Motion::Sinusoids(sinusoids.path(seed, Frame { timing, width, height, pixel_angstrom })));
        }
        if let Some(flyback) = settings.flyback.filter(|f| f.amplitude_pm != 0.0) {
            add("flyback", Motion::Line(flyback.line(timing, width)));
        }
        Self { raster, stages }
    }

    /// The pixels of the frame.
    #[must_use]
    pub fn raster(&self) -> Raster {
        self.raster
    }

    /// The stages that displace anything, in order.
    #[must_use]
    pub fn stages(&self) -> &[ScanStage] {
        &self.stages
    }

    pub(super) fn push(&mut self, stage: ScanStage) {
        self.stages.push(stage);
    }

    /// Adds the displacement of all stages, Å, at the pixels of row `iy` from column `ix` on.
    pub fn add(&self, iy: usize, ix: usize, row: &mut [[f64; 2]]) {
        self.stages.iter().for_each(|stage| stage.add(iy, ix, row));
    }

    /// Where on the specimen the pixels of row `iy` look, Å.
    #[must_use]
    pub fn positions(&self, iy: usize) -> Vec<[f64; 2]> {
        let mut displaced = vec![[0.0; 2]; self.raster.width];
        self.add(iy, 0, &mut displaced);
        self.raster.row(iy).zip(displaced).map(|(r, d)| [r[0] - d[0], r[1] - d[1]]).collect()
    }
}
