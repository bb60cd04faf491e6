//! What a study file says of a scene: its pattern of polarization, phase, composition, mis-tilt and thickness; pm, nm, mrad, degrees.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A scene: a field of polarization, composition, mis-tilt and thickness on a grid of pseudocubic cells seen along ⟨001⟩, built from the
/// crystal of `[crystal]`, whose thickness and mis-tilt hold at the scene's centre. Image axes: x right, y down, z along the beam.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct SceneSettings {
    /// Cells along x and along y, 1 to 512 each. Default [16, 16].
    #[schemars(inner(range(min = 1, max = 512)))]
    pub size_cells: [u32; 2],
    /// How the images are computed. Default "library".
    pub fidelity: Fidelity,
    /// Seed of the scene's own fields and of its substitution, 0 or more: other scenes of one kind, from the same library. Default 1.
    #[schemars(range(min = 0, max = 9_007_199_254_740_991_i64))]
    pub seed: u64,
    /// How the displacement of B against A varies over the scene. Default "uniform".
    pub pattern: Pattern,
    /// Along which directions it may point, and what the A sites do besides. Default "r3c".
    pub phase: Phase,
    /// Which of the eight variants a uniform scene, or the first domain, is: 1 to 8. Variant 1 displaces B towards +x, +y, +z; subtract
    /// one, and bit 1 turns the sign of x, bit 2 that of y, bit 4 that of z. Default 1.
    #[schemars(range(min = 1, max = 8))]
    pub variant: u32,
    /// Length of the displacement of B against A in pm, 0 to 80, in three dimensions. Default: that of the crystal at its composition.
    #[schemars(range(min = 0.0, max = 80.0))]
    pub displacement_pm: Option<f64>,
    /// Length of the alternating displacement of the A sites in pm, 0 to 60, in the phases "pbam" and "pnma". Default 25.
    #[schemars(range(min = 0.0, max = 60.0))]
    pub antipolar_pm: f64,
    /// Full width of a domain wall in nm, 0.1 to 20: the displacement goes as tanh(2s/width). Default 1.
    #[schemars(range(min = 0.1, max = 20.0))]
    pub wall_width_nm: f64,
    /// Direction of the normal of walls and stripes in degrees, -360 to 360, from x towards y. Default: that of a neutral wall.
    #[schemars(range(min = -360.0, max = 360.0))]
    pub wall_normal_deg: Option<f64>,
    /// Repeat in nm, 1 to 200, of stripes (two domains) and of a vortex array (two vortices); adjusted so that whole repeats fit. Default 8.
    #[schemars(range(min = 1.0, max = 200.0))]
    pub period_nm: f64,
    /// Distance in nm, 0.5 to 100, over which the correlation of a random pattern falls to 1/e. Default 3.
    #[schemars(range(min = 0.5, max = 100.0))]
    pub correlation_nm: f64,
    /// Fraction of the A sites that the dopant takes, each at random, 0 to 1. Default 0.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub composition: f64,
    /// Element that substitutes on the A sites, a chemical symbol. Default "Sm".
    #[schemars(regex(pattern = r"^[A-Z][a-z]?$"))]
    pub dopant: String,
    /// Structure that ships on which the scene lies as a strained film, such as "srtio3"; its rows are the lowest. Default: no substrate.
    pub substrate: Option<String>,
    /// Rows of cells of the substrate, 0 to 512. Default 0.
    #[schemars(range(min = 0, max = 512))]
    pub substrate_rows: u32,
    /// Bending of the foil in mrad of tilt per nm of distance along `bend_azimuth_deg`, -10 to 10. Default 0.
    #[schemars(range(min = -10.0, max = 10.0))]
    pub bend_mrad_per_nm: f64,
    /// Direction along which the foil bends in degrees, -360 to 360, from x towards y; the tilt lies along it too. Default 0.
    #[schemars(range(min = -360.0, max = 360.0))]
    pub bend_azimuth_deg: f64,
    /// Root mean square in mrad, 0 to 10, of each component of a smooth random mis-tilt (a buckled foil). Default 0.
    #[schemars(range(min = 0.0, max = 10.0))]
    pub tilt_random_mrad: f64,
    /// Distance in nm, 0.5 to 200, over which the correlation of that mis-tilt falls to 1/e. Default 10.
    #[schemars(range(min = 0.5, max = 200.0))]
    pub tilt_correlation_nm: f64,
    /// Growth of the thickness in nm per nm of distance along `wedge_azimuth_deg`, -2 to 2. Default 0.
    #[schemars(range(min = -2.0, max = 2.0))]
    pub wedge_nm_per_nm: f64,
    /// Direction along which the thickness grows in degrees, -360 to 360, from x towards y. Default 0.
    #[schemars(range(min = -360.0, max = 360.0))]
    pub wedge_azimuth_deg: f64,
}

impl Default for SceneSettings {
    fn default() -> Self {
        Self {
            size_cells: [16, 16],
            fidelity: Fidelity::Library,
            seed: 1,
            pattern: Pattern::Uniform,
            phase: Phase::R3c,
            variant: 1,
            displacement_pm: None,
            antipolar_pm: 25.0,
            wall_width_nm: 1.0,
            wall_normal_deg: None,
            period_nm: 8.0,
            correlation_nm: 3.0,
            composition: 0.0,
            dopant: "Sm".to_owned(),
            substrate: None,
            substrate_rows: 0,
            bend_mrad_per_nm: 0.0,
            bend_azimuth_deg: 0.0,
            tilt_random_mrad: 0.0,
            tilt_correlation_nm: 10.0,
            wedge_nm_per_nm: 0.0,
            wedge_azimuth_deg: 0.0,
        }
    }
}

/// How the images of a scene are computed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Fidelity {
    /// Responses of single columns, computed by multislice once, summed over the scene: seconds for 50 × 50 nm.
    #[default]
    Library,
    /// Multislice of the whole scene, atom by atom: slow, and the judge of the library.
    Multislice,
}

/// How the displacement varies over the scene.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub enum Pattern {
    /// One variant.
    #[default]
    #[serde(rename = "uniform")]
    Uniform,
    /// Two domains whose displacements differ in the sign of the one in-plane component along the wall: 71° in R3c.
    #[serde(rename = "wall-71")]
    Wall71,
    /// Two domains that differ in the signs of that component and of the one along the beam: 109° in R3c.
    #[serde(rename = "wall-109")]
    Wall109,
    /// Two domains of opposite displacement.
    #[serde(rename = "wall-180")]
    Wall180,
    /// Domains of "wall-71" in turn.
    #[serde(rename = "stripes-71")]
    Stripes71,
    /// Domains of "wall-109" in turn.
    #[serde(rename = "stripes-109")]
    Stripes109,
    /// Domains of "wall-180" in turn.
    #[serde(rename = "stripes-180")]
    Stripes180,
    /// One vortex about the centre.
    #[serde(rename = "vortex")]
    Vortex,
    /// A square array of vortices that turn in opposite senses.
    #[serde(rename = "vortex-array")]
    VortexArray,
    /// Displacements that change smoothly and at random in direction and length, up to that of the phase.
    #[serde(rename = "random")]
    Random,
}

/// Along which directions the displacement may point, and what the A sites do besides.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Phase {
    /// ⟨111⟩: rhombohedral.
    #[default]
    R3c,
    /// ⟨010⟩, along y of the image: tetragonal.
    Tetragonal,
    /// ⟨121⟩, turned from ⟨111⟩ towards y: monoclinic, MA-like.
    Ma,
    /// ⟨120⟩, turned from ⟨110⟩ towards y, none along the beam: monoclinic, MC-like.
    Mc,
    /// Antipolar like PbZrO3: A sites displaced along ⟨110⟩, two diagonal rows one way and two the other.
    Pbam,
    /// Antipolar like the orthoferrites: A sites of one row displaced along ⟨101⟩, those of the next against it.
    Pnma,
    /// No displacement.
    Cubic,
    /// What Sm-doped BiFeO3 is at its composition: "r3c" below 0.14, "pbam" below 0.18, "pnma" from there.
    SmModel,
}

impl Phase {
    /// The phase that stands for this one at a composition.
    #[must_use]
    pub fn at(self, composition: f64) -> Self {
        match self {
            Self::SmModel if composition < 0.14 => Self::R3c,
            Self::SmModel if composition < 0.18 => Self::Pbam,
            Self::SmModel => Self::Pnma,
            other => other,
        }
    }

    /// Unit vector of variant 1 of the displacement of B against A; zero in antipolar phases.
    #[must_use]
    pub fn direction(self) -> [f64; 3] {
        let along: [f64; 3] = match self {
            Self::R3c | Self::SmModel => [1.0, 1.0, 1.0],
            Self::Tetragonal => [0.0, 1.0, 0.0],
            Self::Ma => [1.0, 2.0, 1.0],
            Self::Mc => [1.0, 2.0, 0.0],
            Self::Pbam | Self::Pnma | Self::Cubic => return [0.0; 3],
        };
        let length = along.iter().map(|x| x * x).sum::<f64>().sqrt();
        along.map(|x| x / length)
    }
}
