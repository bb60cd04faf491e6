//! Trials: the verdict on images whose truth is known, and the asymmetry of distributions under tilt; their files, checks and runs.

use super::RunError;
use crate::artifact::asymmetry::{Cells, Ensemble, Shape, shape, shifts_pm};
use crate::artifact::mosaic::Pattern;
use crate::artifact::trial::{Outcome, Scene, run};
use crate::artifact::{
    ArtifactError, Beliefs, Conditions, Libraries, Numerics, Options, Prepared, ReferenceCells, ResponseTable, Ruler, Setting, TiltLibrary,
    spaced,
};
use crate::crystal::{Crystal, structures};
use crate::detection::{Camera, CameraSettings, Dose, FrameKey, RowJitter};
use crate::image::SourceShape;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
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
    /// Thickness, nm.
    pub thickness_nm: f64,
    /// Defocus, nm.
    pub defocus_nm: f64,
    /// Source, Å.
    pub source_fwhm_angstrom: f64,
    /// Largest tilt, mrad: the images have tilts of it and of half of it along several directions.
    pub tilt_mrad: f64,
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
    /// Tilts of each set, at most 13.
    pub tilts: usize,
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
}

/// A trial of distributions.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AsymmetryTrial {
    /// "asymmetry".
    pub kind: String,
    /// Name.
    pub name: String,
    /// What it asks.
    pub question: String,
    /// Seed.
    pub seed: u64,
    /// Microscope.
    pub microscope: Microscope,
    /// Structure that ships.
    pub structure: String,
    /// Thickness, nm.
    pub thickness_nm: f64,
    /// Source, Å.
    pub source_fwhm_angstrom: f64,
    /// Largest tilt, mrad; it points along x and y alike.
    pub tilt_mrad: f64,
    /// Bends of the foil, mrad.
    pub bend_mrad: Vec<f64>,
    /// Polarizations.
    pub ensembles: Vec<Ensemble>,
    /// Cells.
    pub cells: usize,
    /// Noise of one cell, pm.
    pub noise_pm: f64,
}

/// One row of an asymmetry trial.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct AsymmetryRow {
    /// Polarizations.
    pub ensemble: Ensemble,
    /// Tilt along [1, 1], mrad.
    pub tilt_mrad: f64,
    /// Bend, mrad.
    pub bend_mrad: f64,
    /// Distribution of Px and of Py.
    pub shapes: [Shape; 2],
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

fn checked_name(name: &str) -> Result<(), String> {
    let plain = !name.is_empty() && name.len() <= 64 && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_');
    if plain { Ok(()) } else { Err("name must be letters, digits, - and _: it names a folder".to_owned()) }
}

fn within(what: &str, value: f64, low: f64, high: f64) -> Result<(), String> {
    if (low..=high).contains(&value) { Ok(()) } else { Err(format!("{what} must lie from {low} to {high}, not {value}")) }
}

fn ascending(what: &str, [low, high]: [f64; 2]) -> Result<(), String> {
    if low.is_finite() && high.is_finite() && low <= high { Ok(()) } else { Err(format!("{what} must be [low, high]")) }
}

fn structure(name: &str) -> Result<Crystal, RunError> {
    structures::get(name).ok_or_else(|| RunError::UnknownStructure { name: name.to_owned(), known: structures::names().join(", ") })
}

impl VerdictTrial {
    fn check(&self) -> Result<(), String> {
        checked_name(&self.name)?;
        within("truth.source_fwhm_angstrom", self.truth.source_fwhm_angstrom, 0.0, 3.0)?;
        within("truth.row_jitter_pm", self.truth.row_jitter_pm, 0.0, 200.0)?;
        let doses = &self.truth.dose_electrons_per_square_angstrom;
        if doses.is_empty() || doses.len() > 20 {
            return Err("truth.dose_electrons_per_square_angstrom must list 1 to 20 doses".to_owned());
        }
        doses.iter().try_for_each(|d| within("a dose in electrons an Å²", *d, 1.0, 1e9))?;
        ascending("told.thickness_nm", self.told.thickness_nm)?;
        within("told.thickness_step_nm", self.told.thickness_step_nm, 0.5, 100.0)?;
        ascending("told.defocus_nm", self.told.defocus_nm)?;
        ascending("told.source_fwhm_angstrom", self.told.source_fwhm_angstrom)?;
        within("told.max_tilt_mrad", self.told.max_tilt_mrad, 0.1, 20.0)?;
        within("truth.tilt_mrad", self.truth.tilt_mrad, 0.1, self.told.max_tilt_mrad)?;
        within("images.pixel_pm", self.images.pixel_pm, 5.0, 40.0)?;
        if !(8..=100).contains(&self.images.cells) || !(1..=13).contains(&self.images.tilts) || self.images.patterns.is_empty() {
            return Err("images: 8 to 100 cells along an edge, 1 to 13 tilts, at least one pattern".to_owned());
        }
        Ok(())
    }

    /// Images it makes.
    #[must_use]
    pub fn images(&self) -> usize {
        self.images.patterns.len() * self.images.tilts * self.truth.dose_electrons_per_square_angstrom.len()
    }

    /// Runs it; `progress` counts images.
    pub fn run(&self, library: Librarian<'_>, progress: &(dyn Fn(usize) + Sync)) -> Result<Vec<Outcome>, RunError> {
        let told = self.microscope.conditions(
            spaced(self.told.thickness_nm[0], self.told.thickness_nm[1], self.told.thickness_step_nm),
            spaced(self.told.defocus_nm[0], self.told.defocus_nm[1], 4.0),
            self.told.max_tilt_mrad,
            1,
        );
        let truly = self.microscope.conditions(vec![self.truth.thickness_nm], vec![self.truth.defocus_nm], self.truth.tilt_mrad, 1001);
        let [film, unpolarized, substrate] = [&self.truth.structure, &self.truth.unpolarized, &self.truth.substrate].map(|n| structure(n));
        let (film, unpolarized, substrate) = (film?, unpolarized?, substrate?);
        let believed = library(&film, &told)?;
        let believed_substrate = library(&substrate, &told)?;
        let [true_film, true_unpolarized, true_substrate] = [&film, &unpolarized, &substrate].map(|c| library(c, &truly));
        let (true_film, true_unpolarized, true_substrate) = (true_film?, true_unpolarized?, true_substrate?);

        let pixel_angstrom = 0.01 * self.images.pixel_pm;
        let edge = 3.96;
        let ruler = Ruler { window_radius_angstrom: 0.35 * edge, sample_angstrom: pixel_angstrom, ..Ruler::default() };
        let options = |reference: ReferenceCells| Options {
            beliefs: Beliefs { max_tilt_mrad: self.told.max_tilt_mrad, ..Beliefs::default() },
            ruler,
            source_fwhm_angstrom: Some(self.told.source_fwhm_angstrom),
            reference,
            bend_degree: 0,
        };
        let prepare = |reference: Option<&TiltLibrary>| {
            let cells = if reference.is_some() { ReferenceCells::Darker } else { ReferenceCells::None };
            Prepared::new(&Libraries { film: &believed, reference }, self.told.source_fwhm_angstrom, &options(cells))
        };
        let plain = prepare(None)?;
        let with_substrate =
            if self.images.patterns.contains(&Pattern::Substrate) { Some(prepare(Some(&believed_substrate))?) } else { None };

        let doses = &self.truth.dose_electrons_per_square_angstrom;
        let cameras: Vec<Camera> = doses.iter().map(|d| self.camera(*d)).collect::<Result<_, _>>()?;
        let (patterns, tilts) = (self.images.patterns.len(), self.images.tilts);
        let one = |number: usize| -> Result<Outcome, RunError> {
            let (dose, pattern, tilt) = (number / (patterns * tilts), self.images.patterns[number / tilts % patterns], number % tilts);
            let scene = Scene {
                pattern,
                film: if pattern == Pattern::Unpolarized { &true_unpolarized } else { &true_film },
                substrate: &true_substrate,
                // Large and small tilts by turns: the last are the largest.
                tilt: (true_film.header.tilts_mrad.len() - 1 + 5 * tilt) % true_film.header.tilts_mrad.len(),
                cells: self.images.cells,
                pixel_pm: self.images.pixel_pm,
                camera: &cameras[dose],
                dose: doses[dose],
                key: FrameKey { seed: self.seed, frame: number as u64, channel: 0 },
            };
            let prepared = with_substrate.as_ref().filter(|_| pattern == Pattern::Substrate).unwrap_or(&plain);
            let outcome = run(&scene, prepared)?;
            progress(1);
            Ok(outcome)
        };
        (0..self.images()).into_par_iter().map(one).collect()
    }
}

impl VerdictTrial {
    /// Source, row jitter (a third of it along y, rows independent) and dose.
    fn camera(&self, electrons: f64) -> Result<Camera, RunError> {
        let jitter = RowJitter { rms_pm: self.truth.row_jitter_pm, y_ratio: 1.0 / 3.0, correlation: 0.0 };
        Ok(Camera::new(CameraSettings {
            source: SourceShape { fwhm_angstrom: self.truth.source_fwhm_angstrom, ..SourceShape::default() },
            dose: Some(Dose::PerSquareAngstrom { electrons }),
            jitter: (self.truth.row_jitter_pm > 0.0).then_some(jitter),
            ..CameraSettings::default()
        })?)
    }
}

impl Microscope {
    fn conditions(&self, thickness_nm: Vec<f64>, defocus_nm: Vec<f64>, tilt_mrad: f64, seed: u64) -> Conditions {
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

impl AsymmetryTrial {
    fn check(&self) -> Result<(), String> {
        checked_name(&self.name)?;
        within("tilt_mrad", self.tilt_mrad, 0.1, 20.0)?;
        within("noise_pm", self.noise_pm, 0.0, 100.0)?;
        within("source_fwhm_angstrom", self.source_fwhm_angstrom, 0.0, 3.0)?;
        if !(100..=10_000_000).contains(&self.cells) || self.ensembles.is_empty() || self.bend_mrad.is_empty() {
            return Err("100 to 10 million cells, at least one of ensembles and of bend_mrad".to_owned());
        }
        self.bend_mrad.iter().try_for_each(|b| within("a bend in mrad", *b, 0.0, self.tilt_mrad))
    }

    /// Runs it: the distributions at eleven tilts from −`tilt_mrad` to +`tilt_mrad`.
    pub fn run(&self, library: Librarian<'_>) -> Result<(Vec<AsymmetryRow>, crate::artifact::Response), RunError> {
        // A bend adds to the largest tilt.
        let reach = self.tilt_mrad + self.bend_mrad.iter().copied().fold(0.0, f64::max);
        let conditions = self.microscope.conditions(vec![self.thickness_nm], vec![0.0], reach, 1);
        let library = library(&structure(&self.structure)?, &conditions)?;
        let table = ResponseTable::new(&library, &[self.source_fwhm_angstrom], &Ruler::default())?;
        let response =
            table.at(&Setting { thickness_nm: self.thickness_nm, defocus_nm: 0.0, source_fwhm_angstrom: self.source_fwhm_angstrom });
        let mut wanted = Vec::new();
        for &ensemble in &self.ensembles {
            for &bend in &self.bend_mrad {
                wanted.extend((-5..=5).map(|i| (ensemble, bend, self.tilt_mrad * f64::from(i) / 5.0)));
            }
        }
        let row = |(ensemble, bend_mrad, tilt_mrad): (Ensemble, f64, f64)| {
            let shifts = self.shifts(&response, ensemble, tilt_mrad, bend_mrad);
            AsymmetryRow { ensemble, tilt_mrad, bend_mrad, shapes: [0, 1].map(|c| shape(&shifts.iter().map(|s| s[c]).collect::<Vec<_>>())) }
        };
        Ok((wanted.into_par_iter().map(row).collect(), response))
    }

    /// Shifts of all cells, pm.
    #[must_use]
    pub fn shifts(&self, response: &crate::artifact::Response, ensemble: Ensemble, tilt_mrad: f64, bend_mrad: f64) -> Vec<[f64; 2]> {
        let cells = Cells { ensemble, count: self.cells, noise_pm: self.noise_pm, seed: self.seed };
        let across = tilt_mrad * std::f64::consts::FRAC_1_SQRT_2;
        shifts_pm(response, &cells, [across; 2], bend_mrad)
    }
}
