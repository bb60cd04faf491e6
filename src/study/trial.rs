//! Trials: the verdict on images whose truth is known, and the asymmetry of distributions under tilt; their files, checks and runs.

use super::RunError;
use super::asymmetry_trial::AsymmetryTrial;
use super::trial_network::say;
use crate::artifact::mosaic::{Pattern, Stand};
use crate::artifact::trial::{BentOutcome, Networks, Outcome, Scene, run, run_bent};
use crate::artifact::{
    ArtifactError, Beliefs, Conditions, Libraries, Numerics, Options, Prepared, ReferenceCells, Ruler, TiltLibrary, spaced,
};
use crate::crystal::{Crystal, structures};
use crate::detection::{Camera, CameraSettings, Dose, FrameKey, RowJitter};
use crate::image::SourceShape;
use crate::numerics::seeds::Streams;
use crate::scene::Fidelity;
use rand::RngExt;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use std::f64::consts::TAU;
use std::path::Path;

/// Makes or finds a tilt library.
pub type Librarian<'a> = &'a dyn Fn(&Crystal, &Conditions) -> Result<TiltLibrary, RunError>;

/// A trial as its file declares it.
#[derive(Debug, Clone)]
pub enum Trial {
    /// The verdict against images whose truth is known.
    Verdict(Box<VerdictTrial>),
    /// Distributions of many cells.
    Asymmetry(Box<AsymmetryTrial>),
}

/// Beam, detector and numerics that all libraries of a trial share.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Microscope {
    /// Acceleration voltage, kV.
    pub voltage_kv: f64,
    /// Convergence semi-angle, mrad.
    pub convergence_mrad: f64,
    /// Detector, mrad.
    pub detector_mrad: [f64; 2],
    /// Largest sampling of the waves, Å.
    pub wave_pixel_angstrom: f64,
    /// Bloch offsets each way.
    pub k_points: usize,
    /// Antithetic phonon pairs a k-point.
    pub phonon_pairs: usize,
}

/// What the images truly show.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Truth {
    /// Structures that ship: the polarized crystal, the same without polarization, the substrate.
    pub structure: String,
    /// Without polarization.
    pub unpolarized: String,
    /// The substrate.
    pub substrate: String,
    /// Thicknesses, nm: the images take them by turns.
    pub thickness_nm: Vec<f64>,
    /// Defocus, nm.
    pub defocus_nm: f64,
    /// Range of the source, Å: every image draws its own.
    pub source_fwhm_angstrom: [f64; 2],
    /// Sizes of tilt, mrad: the images take them by turns, along directions that are drawn.
    pub tilt_mrad: Vec<f64>,
    /// Bloch offsets each way and antithetic phonon pairs a k-point of the truth: more than the verdict has, for a crystal averages over all.
    pub k_points: usize,
    /// Pairs.
    pub phonon_pairs: usize,
    /// Electrons an Å², one set of images each.
    pub dose_electrons_per_square_angstrom: Vec<f64>,
    /// Row jitter, pm rms.
    pub row_jitter_pm: f64,
}

/// What the verdict is told.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Told {
    /// Range of thickness, nm.
    pub thickness_nm: [f64; 2],
    /// Thicknesses of the library stand at most this far apart, nm.
    pub thickness_step_nm: f64,
    /// Range of defocus, nm.
    pub defocus_nm: [f64; 2],
    /// Range of source size, Å.
    pub source_fwhm_angstrom: [f64; 2],
    /// Allowed tilt, mrad.
    pub max_tilt_mrad: f64,
    /// What is believed of the crystal; the defaults of the verdict where nothing is said.
    pub domains_equal_to: Option<f64>,
    /// To which tilt the shape of columns is simulated, mrad.
    pub shape_true_to_mrad: Option<f64>,
    /// To which fraction the effect of tilt on it is.
    pub shape_scale: Option<f64>,
}

/// The images.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Images {
    /// What they show.
    pub patterns: Vec<Pattern>,
    /// Cells along an edge.
    pub cells: usize,
    /// Pixel, pm.
    pub pixel_pm: f64,
    /// Images of each dose and pattern.
    pub repeats: usize,
}

/// A trial of the verdict.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VerdictTrial {
    /// "verdict".
    pub kind: String,
    /// Name.
    pub name: String,
    /// What it asks.
    pub question: String,
    /// Seed of noise; the truth's phonons have another seed than the library's.
    pub seed: u64,
    /// Microscope.
    pub microscope: Microscope,
    /// Truth.
    pub truth: Truth,
    /// What the verdict is told.
    pub told: Told,
    /// Images.
    pub images: Images,
    /// Images of bent foils; none where nothing is said.
    pub bent: Option<Bent>,
    /// Images of scenes; none where nothing is said.
    pub scenes: Option<Scenes>,
    /// Networks to compare with; none where nothing is said.
    pub network: Option<NetworkTrial>,
}

/// Images of bent foils, at every dose.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bent {
    /// What is added to the tilt at the right edge and taken away at the left, mrad.
    pub bend_mrad: Vec<f64>,
    /// What they show.
    pub patterns: Vec<Pattern>,
}

/// Images of scenes, whose crystal is one of five atoms: at the largest dose, polarized and not.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scenes {
    /// How they are computed.
    pub fidelities: Vec<Fidelity>,
    /// Sizes of tilt, mrad, along a direction that is drawn.
    pub tilt_mrad: Vec<f64>,
}

/// Networks trained on images of the trial's crystals with other seeds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NetworkTrial {
    /// Images each is trained on.
    pub images: usize,
    /// Epochs.
    pub epochs: usize,
    /// Side of a window, lattice parameters.
    pub window_lattices: f64,
}

/// What a trial of the verdict leaves.
#[derive(Debug, Clone)]
pub struct Findings {
    /// One a judged image: tiles first, then scenes.
    pub outcomes: Vec<Outcome>,
    /// One an image of a bent foil.
    pub bent: Vec<BentOutcome>,
}

/// Largest trial file that is read, bytes.
const MAX_FILE_BYTES: u64 = 1 << 20;

impl Trial {
    /// Reads and checks a trial file.
    pub fn read(path: &Path) -> Result<Self, RunError> {
        let refuse = |text: String| RunError::Artifact(ArtifactError::Setting(format!("{}: {text}", path.display())));
        let length = std::fs::metadata(path).map_err(RunError::disk(path))?.len();
        if length > MAX_FILE_BYTES {
            return Err(refuse(format!("it has {length} bytes, and a trial file has at most {MAX_FILE_BYTES}")));
        }
        let text = std::fs::read_to_string(path).map_err(RunError::disk(path))?;
        let table: toml::Table = toml::from_str(&text).map_err(|e| refuse(e.to_string()))?;
        match table.get("kind").and_then(toml::Value::as_str) {
            Some("verdict") => {
                let trial: VerdictTrial = toml::from_str(&text).map_err(|e| refuse(e.to_string()))?;
                trial.check().map_err(refuse)?;
                Ok(Self::Verdict(Box::new(trial)))
            }
            Some("asymmetry") => {
                let trial: AsymmetryTrial = toml::from_str(&text).map_err(|e| refuse(e.to_string()))?;
                trial.check().map_err(refuse)?;
                Ok(Self::Asymmetry(Box::new(trial)))
            }
            _ => Err(refuse("a trial says kind = \"verdict\" or kind = \"asymmetry\"".to_owned())),
        }
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::Verdict(t) => &t.name,
            Self::Asymmetry(t) => &t.name,
        }
    }
}

pub(super) fn checked_name(name: &str) -> Result<(), String> {
    let plain = !name.is_empty() && name.len() <= 64 && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_');
    if plain { Ok(()) } else { Err("name must be letters, digits, - and _: it names a folder".to_owned()) }
}

pub(super) fn within(what: &str, value: f64, low: f64, high: f64) -> Result<(), String> {
    if (low..=high).contains(&value) { Ok(()) } else { Err(format!("{what} must lie from {low} to {high}, not {value}")) }
}

fn ascending(what: &str, [low, high]: [f64; 2]) -> Result<(), String> {
    if low.is_finite() && high.is_finite() && low <= high { Ok(()) } else { Err(format!("{what} must be [low, high]")) }
}

pub(super) fn structure(name: &str) -> Result<Crystal, RunError> {
    structures::get(name).ok_or_else(|| RunError::UnknownStructure { name: name.to_owned(), known: structures::names().join(", ") })
}

impl VerdictTrial {
    fn check(&self) -> Result<(), String> {
        checked_name(&self.name)?;
        ascending("truth.source_fwhm_angstrom", self.truth.source_fwhm_angstrom)?;
        within("truth.source_fwhm_angstrom", self.truth.source_fwhm_angstrom[0], 0.0, 3.0)?;
        within("truth.source_fwhm_angstrom", self.truth.source_fwhm_angstrom[1], 0.0, 3.0)?;
        within("truth.row_jitter_pm", self.truth.row_jitter_pm, 0.0, 200.0)?;
        let doses = &self.truth.dose_electrons_per_square_angstrom;
        if doses.is_empty() || doses.len() > 20 {
            return Err("truth.dose_electrons_per_square_angstrom must list 1 to 20 doses".to_owned());
        }
        doses.iter().try_for_each(|d| within("a dose in electrons an Å²", *d, 1.0, 1e9))?;
        if let Some(network) = &self.network {
            within("network.images", network.images as f64, 2.0, 10_000.0)?;
            within("network.epochs", network.epochs as f64, 1.0, 10_000.0)?;
            within("network.window_lattices", network.window_lattices, 0.5, 8.0)?;
        }
        let sizes = self.bent.iter().flat_map(|b| &b.bend_mrad).chain(self.scenes.iter().flat_map(|s| &s.tilt_mrad));
        sizes.copied().try_for_each(|t| within("a bend or tilt in mrad", t, 0.0, self.told.max_tilt_mrad))?;
        ascending("told.thickness_nm", self.told.thickness_nm)?;
        within("told.thickness_step_nm", self.told.thickness_step_nm, 0.5, 100.0)?;
        ascending("told.defocus_nm", self.told.defocus_nm)?;
        ascending("told.source_fwhm_angstrom", self.told.source_fwhm_angstrom)?;
        within("told.max_tilt_mrad", self.told.max_tilt_mrad, 0.1, 20.0)?;
        if self.truth.tilt_mrad.is_empty() || self.truth.thickness_nm.is_empty() {
            return Err("truth.tilt_mrad and truth.thickness_nm must list at least one value".to_owned());
        }
        self.truth.tilt_mrad.iter().try_for_each(|t| within("a size of truth.tilt_mrad", *t, 0.0, self.told.max_tilt_mrad))?;
        let beliefs = [self.told.domains_equal_to, self.told.shape_true_to_mrad, self.told.shape_scale];
        beliefs.iter().flatten().try_for_each(|b| within("a belief of [told]", *b, 1e-6, 10.0))?;
        within("images.pixel_pm", self.images.pixel_pm, 5.0, 40.0)?;
        if !(8..=100).contains(&self.images.cells) || !(1..=1000).contains(&self.images.repeats) || self.images.patterns.is_empty() {
            return Err("images: 8 to 100 cells along an edge, 1 to 1000 repeats, at least one pattern".to_owned());
        }
        Ok(())
    }

    fn tiles(&self) -> usize {
        self.images.patterns.len() * self.images.repeats * self.truth.dose_electrons_per_square_angstrom.len()
    }

    /// Images it judges.
    #[must_use]
    pub fn images(&self) -> usize {
        let bent =
            self.bent.as_ref().map_or(0, |b| b.bend_mrad.len() * b.patterns.len() * self.truth.dose_electrons_per_square_angstrom.len());
        self.tiles() + bent + self.scenes.as_ref().map_or(0, |s| 2 * s.fidelities.len() * s.tilt_mrad.len())
    }

    /// Runs it; `progress` counts images.
    pub fn run(&self, library: Librarian<'_>, progress: &(dyn Fn(usize) + Sync)) -> Result<Findings, RunError> {
        let told = self.microscope.conditions(
            spaced(self.told.thickness_nm[0], self.told.thickness_nm[1], self.told.thickness_step_nm),
            spaced(self.told.defocus_nm[0], self.told.defocus_nm[1], 4.0),
            self.told.max_tilt_mrad,
            1,
        );
        let bends = self.bent.iter().flat_map(|b| &b.bend_mrad);
        let largest = self.truth.tilt_mrad.iter().chain(bends).copied().fold(0.1, f64::max);
        let numerics = Microscope { k_points: self.truth.k_points, phonon_pairs: self.truth.phonon_pairs, ..self.microscope.clone() };
        let truly = numerics.conditions(self.truth.thickness_nm.clone(), vec![self.truth.defocus_nm], largest, 1001);
        let [film, unpolarized, substrate] = [&self.truth.structure, &self.truth.unpolarized, &self.truth.substrate].map(|n| structure(n));
        let (film, unpolarized, substrate) = (film?, unpolarized?, substrate?);
        let believed = library(&film, &told)?;
        let believed_substrate = library(&substrate, &told)?;
        let [true_film, true_unpolarized, true_substrate] = [&film, &unpolarized, &substrate].map(|c| library(c, &truly));
        let (true_film, true_unpolarized, true_substrate) = (true_film?, true_unpolarized?, true_substrate?);

        let pixel_angstrom = 0.01 * self.images.pixel_pm;
        let edge = 3.96;
        let ruler = Ruler { window_radius_angstrom: 0.35 * edge, sample_angstrom: pixel_angstrom, ..Ruler::default() };
        let options = |reference: ReferenceCells, bend_degree: usize| Options {
            beliefs: self.told.beliefs(),
            ruler,
            source_fwhm_angstrom: Some(self.told.source_fwhm_angstrom),
            reference,
            bend_degree,
        };
        let prepare = |reference: Option<&TiltLibrary>, bend_degree: usize| {
            let cells = if reference.is_some() { ReferenceCells::Darker } else { ReferenceCells::None };
            Prepared::new(&Libraries { film: &believed, reference }, self.told.source_fwhm_angstrom, &options(cells, bend_degree))
        };
        let plain = prepare(None, 0)?;
        let with_substrate =
            if self.images.patterns.contains(&Pattern::Substrate) { Some(prepare(Some(&believed_substrate), 0)?) } else { None };

        let doses = &self.truth.dose_electrons_per_square_angstrom;
        let truth = TrueCrystals { film: &true_film, unpolarized: &true_unpolarized, substrate: &true_substrate };
        let networks = self.network.as_ref().map(|n| n.trained(self, &truth, &ruler)).transpose()?;
        let networks: Option<Box<Networks<'_>>> = networks.as_ref().map(|n| -> Box<Networks<'_>> { Box::new(|i, m| say(n, i, m)) });
        let (patterns, repeats) = (self.images.patterns.len(), self.images.repeats);
        let one = |number: usize| -> Result<Outcome, RunError> {
            let (dose, repeat) = (doses[number / (patterns * repeats)], number % repeats);
            let pattern = self.images.patterns[number / repeats % patterns];
            let size = self.truth.tilt_mrad[repeat % self.truth.tilt_mrad.len()];
            let (stand, source_fwhm_angstrom) = self.drawn("mistilt 2026 images of a trial", number, size);
            let camera = self.camera(dose, source_fwhm_angstrom)?;
            let key = FrameKey { seed: self.seed, frame: number as u64, channel: 0 };
            let thickness = (repeat / self.truth.tilt_mrad.len()) % self.truth.thickness_nm.len();
            let scene = self.scene(&truth, pattern, (dose, &camera, source_fwhm_angstrom), (thickness, stand), &ruler, key);
            let prepared = with_substrate.as_ref().filter(|_| pattern == Pattern::Substrate).unwrap_or(&plain);
            let outcome = run(&scene, prepared, networks.as_deref())?;
            progress(1);
            Ok(outcome)
        };
        let mut outcomes = (0..self.tiles()).into_par_iter().map(one).collect::<Result<Vec<_>, RunError>>()?;
        if let Some(scenes) = &self.scenes {
            outcomes.extend(scenes.outcomes(self, &film, &plain, progress)?);
        }
        let bent = match &self.bent {
            Some(bent) => {
                let prepared = prepare(None, 1)?;
                self.bent_outcomes(bent, &truth, &ruler, &prepared, progress)?
            }
            None => Vec::new(),
        };
        Ok(Findings { outcomes, bent })
    }

    fn bent_outcomes(
        &self,
        bent: &Bent,
        truth: &TrueCrystals<'_>,
        ruler: &Ruler,
        prepared: &Prepared,
        progress: &(dyn Fn(usize) + Sync),
    ) -> Result<Vec<BentOutcome>, RunError> {
        let mut wanted = Vec::new();
        for &dose in &self.truth.dose_electrons_per_square_angstrom {
            for &pattern in &bent.patterns {
                wanted.extend(bent.bend_mrad.iter().map(|b| (dose, pattern, *b)));
            }
        }
        let one = |(number, (dose, pattern, bend)): (usize, &(f64, Pattern, f64))| -> Result<BentOutcome, RunError> {
            // Along x, where the bend changes sides: what it adds at the right edge it takes away at the left.
            let (stand, source) = self.drawn("mistilt 2026 bent foils of a trial", number, 0.0);
            let stand = Stand { bend_mrad: [*bend, 0.0], ..stand };
            let camera = self.camera(*dose, source)?;
            let key = FrameKey { seed: self.seed, frame: (self.tiles() + number) as u64, channel: 0 };
            let thickness = number % self.truth.thickness_nm.len();
            let outcome = run_bent(&self.scene(truth, *pattern, (*dose, &camera, source), (thickness, stand), ruler, key), prepared)?;
            progress(1);
            Ok(outcome)
        };
        wanted.par_iter().enumerate().map(one).collect()
    }

    /// An image to be made.
    pub(super) fn scene<'a>(
        &self,
        truth: &TrueCrystals<'a>,
        pattern: Pattern,
        (dose, camera, source_fwhm_angstrom): (f64, &'a Camera, f64),
        (thickness, stand): (usize, Stand),
        ruler: &'a Ruler,
        key: FrameKey,
    ) -> Scene<'a> {
        Scene {
            pattern,
            film: if pattern == Pattern::Unpolarized { truth.unpolarized } else { truth.film },
            substrate: truth.substrate,
            thickness,
            stand,
            cells: self.images.cells,
            pixel_pm: self.images.pixel_pm,
            camera,
            source_fwhm_angstrom,
            ruler,
            dose,
            key,
        }
    }

    /// Tilt of a given size and source of an image, drawn from a stream of this name.
    pub(super) fn drawn(&self, stream: &str, number: usize, size_mrad: f64) -> (Stand, f64) {
        let mut random = Streams::new(stream, self.seed).stream(number as u64);
        let [u, v]: [f64; 2] = [random.random(), random.random()];
        let (sin, cos) = (TAU * u).sin_cos();
        let [low, high] = self.truth.source_fwhm_angstrom;
        (Stand { tilt_mrad: [size_mrad * cos, size_mrad * sin], bend_mrad: [0.0; 2] }, low + v * (high - low))
    }

    /// Source, row jitter (a third of it along y, rows independent) and dose.
    pub(super) fn camera(&self, electrons: f64, source_fwhm_angstrom: f64) -> Result<Camera, RunError> {
        let jitter = RowJitter { rms_pm: self.truth.row_jitter_pm, y_ratio: 1.0 / 3.0, correlation: 0.0 };
        Ok(Camera::new(CameraSettings {
            source: SourceShape { fwhm_angstrom: source_fwhm_angstrom, ..SourceShape::default() },
            dose: Some(Dose::PerSquareAngstrom { electrons }),
            jitter: (self.truth.row_jitter_pm > 0.0).then_some(jitter),
            ..CameraSettings::default()
        })?)
    }
}

/// Libraries of the crystals as they truly are.
#[derive(Debug, Clone, Copy)]
pub struct TrueCrystals<'a> {
    /// Polarized.
    pub film: &'a TiltLibrary,
    /// Without polarization.
    pub unpolarized: &'a TiltLibrary,
    /// The substrate.
    pub substrate: &'a TiltLibrary,
}

impl Told {
    fn beliefs(&self) -> Beliefs {
        let usual = Beliefs::default();
        Beliefs {
            max_tilt_mrad: self.max_tilt_mrad,
            domains_equal_to: self.domains_equal_to.unwrap_or(usual.domains_equal_to),
            shape_true_to_mrad: self.shape_true_to_mrad.unwrap_or(usual.shape_true_to_mrad),
            shape_scale: self.shape_scale.unwrap_or(usual.shape_scale),
        }
    }
}

impl Microscope {
    pub(super) fn conditions(&self, thickness_nm: Vec<f64>, defocus_nm: Vec<f64>, tilt_mrad: f64, seed: u64) -> Conditions {
        Conditions {
            voltage_kv: self.voltage_kv,
            convergence_mrad: self.convergence_mrad,
            detector_mrad: self.detector_mrad,
            thickness_nm,
            defocus_nm,
            tilt_mrad,
            numerics: Numerics {
                pixel_angstrom: self.wave_pixel_angstrom,
                k_points: [self.k_points; 2],
                phonon_pairs: self.phonon_pairs,
                seed,
                ..Numerics::default()
            },
            ..Conditions::default()
        }
    }
}
