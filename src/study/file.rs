//! The study file as typed: one table a room, every key with its unit, range and default. The JSON Schema and the checks come from here.

use super::camera_table::CameraTable;
use super::sweep_table::SweepTable;
use crate::scene::SceneSettings;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A mistilt study: one setting of crystal, microscope, simulation and measurement, and the sweep that varies it.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "mistilt study")]
pub struct StudyFile {
    /// Study files to build on, paths from this file's folder: what this file says lies over what they say, and later ones over earlier ones.
    /// Tables are merged key by key; lists and axes are replaced. Default: none.
    #[serde(default)]
    pub include: Vec<String>,
    /// Short name of the study: letters, digits, `-`, `_`; it names the results folder.
    #[schemars(regex(pattern = r"^[A-Za-z0-9_-]{1,64}$"))]
    pub name: String,
    /// The question the study answers, one sentence; it heads the report. Default: none.
    #[serde(default)]
    pub question: String,
    /// Seed of every random number of the study (frozen phonons, bootstrap), 0 or more. Default 1.
    #[serde(default = "default_seed")]
    #[schemars(range(min = 0, max = 9_007_199_254_740_991_i64))]
    pub seed: u64,
    /// The crystal and how it lies under the beam.
    pub crystal: CrystalTable,
    /// The microscope.
    pub microscope: MicroscopeSettings,
    /// A scene of many cells in place of one repeated cell. Default: none.
    pub scene: Option<SceneSettings>,
    /// How the images are computed. Default: a scattering matrix with frozen phonons.
    #[serde(default)]
    pub simulation: SimulationTable,
    /// How columns are measured in the images. Default: all three estimators.
    #[serde(default)]
    pub measure: MeasureSettings,
    /// How images are recorded. Default: not at all; columns are measured in the noiseless image.
    #[serde(default)]
    pub camera: Option<CameraTable>,
    /// What the report shows.
    #[serde(default)]
    pub report: ReportSettings,
    /// What varies from point to point. Default: nothing, one point.
    #[serde(default)]
    pub sweep: SweepTable,
}

/// The seed of a study that names none.
pub(super) fn default_seed() -> u64 {
    1
}

/// The crystal and how it lies under the beam. Image axes: x right, y down, z along the beam.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CrystalTable {
    /// Name of a structure that ships, such as "bifeo3-r3c" (`mistilt structures` lists them). Give this or `file`.
    pub structure: Option<String>,
    /// Path of a structure file (CIF, POSCAR, extended XYZ), relative to the study file. Give this or `structure`.
    #[schemars(extend("x-path" = true))]
    pub file: Option<String>,
    /// Zone axis [u, v, w] along the beam, whole numbers of -100 to 100. Default [0, 0, 1].
    #[serde(default = "beam_along_c")]
    #[schemars(inner(range(min = -100, max = 100)))]
    pub zone_axis: [i32; 3],
    /// Direction [u, v, w] that lies along x (right) in the image, -100 to 100 each, made perpendicular to the zone axis. Default [1, 0, 0].
    #[serde(default = "image_along_a")]
    #[schemars(inner(range(min = -100, max = 100)))]
    pub x_axis: [i32; 3],
    /// What `zone_axis` and `x_axis` count in. Default "pseudocubic".
    #[serde(default)]
    pub axes: CrystalAxes,
    /// Thickness of the specimen along the beam in nm, above 0 to 500.
    #[schemars(range(max = 500.0), extend("exclusiveMinimum" = 0.0))]
    pub thickness_nm: f64,
    /// Mis-tilt of the specimen along x in mrad, -60 to 60. Positive: deeper atoms stand further right in the image. Default 0.
    #[serde(default)]
    #[schemars(range(min = -60.0, max = 60.0), extend("x-beyond" = BEYOND_TILT))]
    pub specimen_tilt_x_mrad: f64,
    /// Mis-tilt of the specimen along y in mrad, -60 to 60. Positive: deeper atoms stand further down in the image. Default 0.
    #[serde(default)]
    #[schemars(range(min = -60.0, max = 60.0), extend("x-beyond" = BEYOND_TILT))]
    pub specimen_tilt_y_mrad: f64,
}

const BEYOND_TILT: &str =
    "The tilted propagator holds for small angles (paraxial): beyond 60 mrad take another zone axis instead of a tilt.";

fn beam_along_c() -> [i32; 3] {
    [0, 0, 1]
}

fn image_along_a() -> [i32; 3] {
    [1, 0, 0]
}

/// What crystal directions count in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum CrystalAxes {
    /// The axes of the perovskite's pseudocubic cell, about 4 Å long.
    #[default]
    Pseudocubic,
    /// The lattice vectors of the structure as it is given.
    Lattice,
}

/// The microscope: beam, lens and detectors.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MicroscopeSettings {
    /// Acceleration voltage in kV, 20 to 1500.
    #[schemars(range(min = 20.0, max = 1500.0))]
    pub voltage_kv: f64,
    /// Convergence semi-angle (half the cone) in mrad, above 0 to 100.
    #[schemars(range(max = 100.0), extend("exclusiveMinimum" = 0.0))]
    pub convergence_mrad: f64,
    /// Defocus in nm, -1000 to 1000; underfocus is positive (C10 = -defocus). Positive: the focus lies that far inside the
    /// specimen, below the entrance surface. Default 0, focus at the entrance surface.
    #[serde(default)]
    #[schemars(range(min = -1000.0, max = 1000.0))]
    pub defocus_nm: f64,
    /// Effective source size, full width at half maximum of a Gaussian in Å, 0 to 5. Default 0.8.
    #[serde(default = "default_source")]
    #[schemars(range(min = 0.0, max = 5.0))]
    pub source_fwhm_angstrom: f64,
    /// Residual aberrations of the probe. Default: none.
    #[serde(default)]
    pub aberrations: AberrationSettings,
    /// Annular detectors, one table each; at least one. All are recorded in the same run.
    #[schemars(length(min = 1, max = 64))]
    pub detectors: Vec<DetectorSettings>,
}

fn default_source() -> f64 {
    0.8
}

/// Residual aberrations in Krivanek's notation: `χ(α, φ) = 2π/λ Σ C_nm α^(n+1) cos(m(φ - φ_nm)) / (n + 1)`, φ from x towards y.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct AberrationSettings {
    /// Two-fold astigmatism C12 in nm, 0 to 1000. Default 0.
    #[schemars(range(min = 0.0, max = 1000.0))]
    pub c12_nm: f64,
    /// Azimuth of C12 in degrees, -360 to 360. Default 0.
    #[schemars(range(min = -360.0, max = 360.0))]
    pub phi12_deg: f64,
    /// Axial coma C21 in nm, 0 to 100000. Default 0.
    #[schemars(range(min = 0.0, max = 100_000.0))]
    pub c21_nm: f64,
    /// Azimuth of C21 in degrees, -360 to 360. Default 0.
    #[schemars(range(min = -360.0, max = 360.0))]
    pub phi21_deg: f64,
    /// Three-fold astigmatism C23 in nm, 0 to 100000. Default 0.
    #[schemars(range(min = 0.0, max = 100_000.0))]
    pub c23_nm: f64,
    /// Azimuth of C23 in degrees, -360 to 360. Default 0.
    #[schemars(range(min = -360.0, max = 360.0))]
    pub phi23_deg: f64,
    /// Third-order spherical aberration C30 (Cs) in µm, -10000 to 10000. Default 0, corrected.
    #[schemars(range(min = -10_000.0, max = 10_000.0))]
    pub c30_um: f64,
    /// Axial star aberration C32 in µm, 0 to 10000. Default 0.
    #[schemars(range(min = 0.0, max = 10_000.0))]
    pub c32_um: f64,
    /// Azimuth of C32 in degrees, -360 to 360. Default 0.
    #[schemars(range(min = -360.0, max = 360.0))]
    pub phi32_deg: f64,
    /// Four-fold astigmatism C34 in µm, 0 to 10000. Default 0.
    #[schemars(range(min = 0.0, max = 10_000.0))]
    pub c34_um: f64,
    /// Azimuth of C34 in degrees, -360 to 360. Default 0.
    #[schemars(range(min = -360.0, max = 360.0))]
    pub phi34_deg: f64,
    /// Fifth-order spherical aberration C50 in mm, -1000 to 1000. Default 0.
    #[schemars(range(min = -1000.0, max = 1000.0))]
    pub c50_mm: f64,
}

/// An annular detector around the optic axis.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DetectorSettings {
    /// Name of the detector, such as "haadf": letters, digits, `-`, `_`; it names rows of the tables.
    #[schemars(regex(pattern = r"^[A-Za-z0-9_-]{1,64}$"))]
    pub name: String,
    /// Inner semi-angle in mrad, 0 to 500.
    #[schemars(range(min = 0.0, max = 500.0))]
    pub inner_mrad: f64,
    /// Outer semi-angle in mrad, above the inner one, to 500.
    #[schemars(range(max = 500.0), extend("exclusiveMinimum" = 0.0))]
    pub outer_mrad: f64,
}

/// How the images are computed.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct SimulationTable {
    /// Way to the image. Default "scattering-matrix".
    pub method: Method,
    /// Parametrization of the electron scattering factors. Default "lobato".
    pub scattering_factors: ScatteringFactors,
    /// Largest real-space sampling of the waves in Å, 0.01 to 0.5; the cell is divided into pixels of at most this size. Detectors must
    /// end below the band limit λ/(3 pixel). Default 0.05.
    #[schemars(range(min = 0.01, max = 0.5))]
    pub pixel_angstrom: f64,
    /// Times finer the grid on which exp(iσV) is taken before it is cropped to the band limit, 1 to 4. Default 2.
    #[schemars(range(min = 1, max = 4))]
    pub oversampling: u32,
    /// Bloch offsets along the two in-plane axes, 1 to 64 each: N × N of them equal an N × N supercell. Default [8, 8].
    #[schemars(inner(range(min = 1, max = 64)))]
    pub k_points: [u32; 2],
    /// Frozen phonons (Einstein model); false freezes every atom at its mean position. Default true.
    pub phonons: bool,
    /// Antithetic pairs (+u, -u) of phonon configurations for each k-point, 1 to 1000. Default 1.
    #[schemars(range(min = 1, max = 1000))]
    pub phonon_pairs: u32,
    /// In-plane repeat of the phonon displacements in cells, 1 to 16. Default 1.
    #[schemars(range(min = 1, max = 16))]
    pub phonon_period: u32,
    /// How the specimen is sliced along the beam: "planes". Give this or `slice_thickness_angstrom`. Default "planes".
    pub slicing: Option<SlicingName>,
    /// Thickness of equal slices in Å, 0.1 to 20, instead of one slice a plane. Two planes in one slice fake a shift under tilt.
    #[schemars(range(min = 0.1, max = 20.0))]
    pub slice_thickness_angstrom: Option<f64>,
    /// Largest difference of height in Å, 0 to 5, of atoms that count as one plane. Default 0.6.
    #[schemars(range(min = 0.0, max = 5.0))]
    pub plane_tolerance_angstrom: f64,
    /// Precision of the waves; detector sums are always f64. Default "f32".
    pub precision: Precision,
    /// What the k-grid does when the specimen is tilted. Default "shared".
    pub tilt_raster: TiltRaster,
}

impl Default for SimulationTable {
    fn default() -> Self {
        Self {
            method: Method::default(),
            scattering_factors: ScatteringFactors::default(),
            pixel_angstrom: 0.05,
            oversampling: 2,
            k_points: [8, 8],
            phonons: true,
            phonon_pairs: 1,
            phonon_period: 1,
            slicing: None,
            slice_thickness_angstrom: None,
            plane_tolerance_angstrom: 0.6,
            precision: Precision::default(),
            tilt_raster: TiltRaster::default(),
        }
    }
}

/// Way from the specimen to the image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Method {
    /// One scattering matrix of all beams serves every tilt, defocus, aberration, detector and thickness.
    #[default]
    ScatteringMatrix,
    /// Multislice of one probe after another: slow, and the reference for the other.
    Probes,
}

/// Parametrization of the electron scattering factors.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ScatteringFactors {
    /// Lobato and Van Dyck, Acta Cryst. A 70 (2014) 636.
    #[default]
    Lobato,
    /// Kirkland, Advanced Computing in Electron Microscopy, 2nd edition (2010), appendix C.
    Kirkland,
}

/// The one named way to slice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum SlicingName {
    /// One atomic plane a slice, at the mean height of its atoms.
    Planes,
}

/// Floating-point precision of the waves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Precision {
    /// 32 bits: the fast one.
    #[default]
    F32,
    /// 64 bits: the judge.
    F64,
}

/// What the k-grid does when the specimen is tilted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum TiltRaster {
    /// One k-grid for all tilts: the aperture moves across it, and one scattering matrix serves all.
    #[default]
    Shared,
    /// The k-grid moves with the tilt, so that every tilt samples the aperture alike; a scattering matrix for each tilt off the raster.
    Shifted,
}

/// How columns are measured in the images.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct MeasureSettings {
    /// Estimators of a column's position, side by side. Default all three.
    #[schemars(length(min = 1), extend("uniqueItems" = true))]
    pub estimators: Vec<Estimator>,
    /// Radius in Å, 0.2 to 5, of the window around a column that an estimator sees. Default 0.9.
    #[schemars(range(min = 0.2, max = 5.0))]
    pub window_radius_angstrom: f64,
    /// Distance in Å, 0.01 to 1, of the samples in that window. Default 0.1.
    #[schemars(range(min = 0.01, max = 1.0))]
    pub sample_angstrom: f64,
}

impl Default for MeasureSettings {
    fn default() -> Self {
        let estimators = vec![Estimator::Gaussian, Estimator::CentreOfMass, Estimator::Maximum];
        Self { estimators, window_radius_angstrom: 0.9, sample_angstrom: 0.1 }
    }
}

/// Estimator of a column's position.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Estimator {
    /// Least-squares fit of a two-dimensional Gaussian.
    Gaussian,
    /// Intensity-weighted mean position in the window.
    CentreOfMass,
    /// Position of the intensity maximum.
    Maximum,
}

impl Estimator {
    /// The name as typed in a study file.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Gaussian => "gaussian",
            Self::CentreOfMass => "centre-of-mass",
            Self::Maximum => "maximum",
        }
    }
}

/// What the report shows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ReportSettings {
    /// Draw figures. Default true.
    pub figures: bool,
    /// Key of the axis along x of the main figure, such as `crystal.specimen_tilt_x_mrad`. Default: the first tilt axis, else the first axis.
    pub x: Option<String>,
    /// Values of `x` at which an image is shown; each must be a value of that axis. Default: its first, middle and last.
    pub images_at: Vec<f64>,
}

impl Default for ReportSettings {
    fn default() -> Self {
        Self { figures: true, x: None, images_at: Vec::new() }
    }
}
