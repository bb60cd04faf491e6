//! A study whose every point has been checked: what the plan, the run and the report take. Units stand in the names.

use super::axes::{Axis, AxisValue};
use super::check::{nearest, quoted};
use super::error::{Problem, Source, StudyError};
use super::tree::Node;
use super::{includes, validate};
use serde::Serialize;
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub use super::camera_table::FrameSettings;
pub use crate::scene::SceneSettings;

pub use super::file::{
    AberrationSettings, CrystalAxes, DetectorSettings, Estimator, MeasureSettings, Method, MicroscopeSettings, Precision, ReportSettings,
    ScatteringFactors, TiltRaster,
};

/// A checked study.
#[derive(Debug, Clone)]
pub struct Study {
    /// Short name; safe as the name of a folder.
    pub name: String,
    /// The question it answers; may be empty.
    pub question: String,
    /// What varies, in the order of the file.
    pub axes: Vec<Axis>,
    /// What the report shows; `x` is filled in where there is an axis.
    pub report: ReportSettings,
    /// The overrides that were applied, as typed: `key=value`.
    pub overrides: Vec<String>,
    /// The study file: its path as given, and its text.
    pub source: Arc<Source>,
    /// The files that it includes, in the order in which they were read.
    pub included: Vec<Arc<Source>>,
    pub(super) points: Vec<Point>,
    pub(super) tree: Node,
}

/// One point of a study: the values of its axes and everything that follows from them.
#[derive(Debug, Clone, PartialEq)]
pub struct Point {
    /// Place in the study, from 0; the first axis is the slowest.
    pub index: usize,
    /// Column name and value of every axis, in the order of [`Study::axes`].
    pub values: Vec<(Arc<str>, AxisValue)>,
    /// The whole setting.
    pub config: PointConfig,
}

/// The whole setting of one point. It serializes to the same text on every machine, so it can be hashed.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PointConfig {
    /// Seed of every random number.
    pub seed: u64,
    /// The crystal under the beam.
    pub crystal: CrystalSettings,
    /// The microscope.
    pub microscope: MicroscopeSettings,
    /// How the image is computed.
    pub simulation: SimulationSettings,
    /// How columns are measured.
    pub measure: MeasureSettings,
    /// How the image is exposed to frames; `None` measures the noiseless image alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub camera: Option<FrameSettings>,
    /// The scene, where there is one in place of a repeated cell.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scene: Option<SceneSettings>,
}

/// The crystal under the beam. Image axes: x right, y down, z along the beam.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct CrystalSettings {
    /// Where the structure comes from.
    pub source: CrystalSource,
    /// Zone axis [u, v, w] along the beam; never zero.
    pub zone_axis: [i32; 3],
    /// Direction [u, v, w] along x of the image; never zero nor parallel to the zone axis.
    pub x_axis: [i32; 3],
    /// What the two directions count in.
    pub axes: CrystalAxes,
    /// Thickness along the beam, nm.
    pub thickness_nm: f64,
    /// Specimen tilt (θx, θy), mrad: at depth z below the entrance surface a column stands at +θ z.
    pub specimen_tilt_mrad: [f64; 2],
}

/// Where a structure comes from.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum CrystalSource {
    /// The name of a structure that ships.
    Shipped(String),
    /// A structure file, resolved against the folder of the study file.
    File(PathBuf),
}

/// How the image is computed.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SimulationSettings {
    /// Way to the image.
    pub method: Method,
    /// Scattering factors.
    pub scattering_factors: ScatteringFactors,
    /// Largest real-space sampling of the waves, Å.
    pub pixel_angstrom: f64,
    /// Times finer the grid of exp(iσV), 1 to 4.
    pub oversampling: u32,
    /// Bloch offsets along the two in-plane axes.
    pub k_points: [u32; 2],
    /// Frozen phonons; `None` freezes every atom at its mean position.
    pub phonons: Option<PhononSettings>,
    /// How the specimen is sliced.
    pub slicing: Slicing,
    /// Precision of the waves.
    pub precision: Precision,
    /// What the k-grid does under tilt.
    pub tilt_raster: TiltRaster,
}

/// Frozen phonons.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct PhononSettings {
    /// Antithetic pairs (+u, -u) for each k-point.
    pub pairs: u32,
    /// In-plane repeat of the displacements, cells.
    pub period: u32,
}

/// How the specimen is sliced along the beam.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Slicing {
    /// One atomic plane a slice.
    Planes {
        /// Largest difference of height of atoms of one plane, Å.
        tolerance_angstrom: f64,
    },
    /// Equal slices.
    Equal {
        /// Thickness of a slice, Å.
        thickness_angstrom: f64,
    },
}

impl Study {
    /// Reads and checks a study file; `overrides` are `key=value` as for `--set`. Paths in the file count from its folder.
    pub fn read(path: &Path, overrides: &[String]) -> Result<Self, StudyError> {
        let text = includes::text_of(path).map_err(|reason| StudyError::Unreadable { path: path.to_owned(), reason })?;
        let folder = path.parent().unwrap_or(Path::new(""));
        Self::parse(&path.display().to_string(), &text, folder, overrides)
    }

    /// Checks the text of a study called `name` in messages, whose paths (of structures, of included files) count from `folder`.
    pub fn parse(name: &str, text: &str, folder: &Path, overrides: &[String]) -> Result<Self, StudyError> {
        let source = Arc::new(Source { name: name.to_owned(), text: text.to_owned() });
        validate::study(&source, folder, overrides).map_err(|problems| StudyError::Invalid { problems })
    }

    /// Every point, by index: the product of the axes, the first slowest, less what conditions take away. A study without axes has one point.
    #[must_use]
    pub fn points(&self) -> &[Point] {
        &self.points
    }

    /// An error that points at `key` (dotted) in the study file, or at the axis that varies it.
    #[must_use]
    pub fn problem_at(&self, key: &str, message: impl Into<String>, help: impl Into<String>) -> StudyError {
        let place = validate::place_of(&self.tree, &self.axes, key);
        StudyError::Invalid { problems: vec![Problem { message: message.into(), label: "here".into(), help: help.into(), place }] }
    }

    /// Refuses a `crystal.structure` that is none of `known`.
    pub fn check_structures(&self, known: &[&str]) -> Result<(), StudyError> {
        for point in &self.points {
            if let CrystalSource::Shipped(name) = &point.config.crystal.source
                && !known.contains(&name.as_str())
            {
                let help = match nearest(name, known.iter().copied()) {
                    Some(meant) => format!("Did you mean \"{meant}\"? `mistilt structures` lists all."),
                    None => format!("These ship: {}.", quoted(known)),
                };
                return Err(self.problem_at("crystal.structure", format!("No structure is called \"{name}\"."), help));
            }
        }
        Ok(())
    }
}
