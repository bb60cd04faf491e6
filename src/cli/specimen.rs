//! What `sensitivity` and `verdict` share: which specimen in which microscope, and the tilt library of it, made once and kept by content.

use super::failure::Failure;
use super::output::Output;
use super::study::with_threads;
use crate::artifact::words::Directions;
use crate::artifact::{Conditions, Numerics, TiltLibrary, spaced};
use crate::crystal::{Crystal, structures};
use crate::image::whole_file;
use crate::specimen::Cut;
use crate::study::RunError;
use std::io::Write as _;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// A range `LOW..HIGH`, or one number.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Range {
    pub(super) low: f64,
    pub(super) high: f64,
}

impl FromStr for Range {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let number = |t: &str| t.trim().parse::<f64>().ok().filter(|v| v.is_finite());
        let (low, high) = text.split_once("..").map_or((number(text), number(text)), |(l, h)| (number(l), number(h)));
        match (low, high) {
            (Some(low), Some(high)) if low <= high => Ok(Self { low, high }),
            _ => Err("give one number, or a range such as 15..30, the smaller first".to_owned()),
        }
    }
}

/// Three whole numbers with commas.
pub(super) fn direction(text: &str) -> Result<[i32; 3], String> {
    let numbers: Option<Vec<i32>> = text.split(',').map(|t| t.trim().parse().ok()).collect();
    numbers.and_then(|n| n.try_into().ok()).ok_or_else(|| "give three whole numbers with commas, such as 0,0,1".to_owned())
}

/// Specimen and microscope.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct Specimen {
    /// Crystal: a structure that ships (`mistilt structures`) or a CIF, POSCAR or extended XYZ file. Default: bifeo3-r3c
    #[arg(long, value_name = "NAME|FILE", default_value = "bifeo3-r3c", hide_default_value = true)]
    pub(super) structure: String,
    /// Direction of the beam in the pseudocubic cell. Default: 0,0,1
    #[arg(long, value_name = "U,V,W", default_value = "0,0,1", hide_default_value = true, value_parser = direction, allow_hyphen_values = true)]
    zone_axis: [i32; 3],
    /// Direction along the first lattice vector of the image, to the right. Default: 1,0,0
    #[arg(long, value_name = "U,V,W", default_value = "1,0,0", hide_default_value = true, value_parser = direction, allow_hyphen_values = true)]
    x_axis: [i32; 3],
    /// Thickness, nm, or the range it may have. Default: 10..40
    #[arg(long, value_name = "NM", default_value = "10..40", hide_default_value = true)]
    pub(super) thickness_nm: Range,
    /// Thicknesses in that range stand at most this far apart, nm, 0.5 to 100; the response swings within some nanometres. Default: 2.5
    #[arg(long, value_name = "NM", default_value_t = 2.5, hide_default_value = true)]
    thickness_step_nm: f64,
    /// Defocus, nm, or the range it may have; positive: the focus lies inside the specimen. Default: 0
    #[arg(long, value_name = "NM", default_value = "0", hide_default_value = true, allow_hyphen_values = true)]
    pub(super) defocus_nm: Range,
    /// Largest specimen tilt to consider, mrad, above 0 to 20. Default: 5 for a verdict, 10 for a sensitivity
    #[arg(long, value_name = "MRAD")]
    pub(super) max_tilt_mrad: Option<f64>,
    /// Acceleration voltage, kV. Default: 300
    #[arg(long, value_name = "KV", default_value_t = 300.0, hide_default_value = true)]
    voltage_kv: f64,
    /// Convergence semi-angle, mrad. Default: 25
    #[arg(long, value_name = "MRAD", default_value_t = 25.0, hide_default_value = true)]
    convergence_mrad: f64,
    /// Inner and outer semi-angle of the detector, mrad. Default: 60..100
    #[arg(long, value_name = "MRAD", default_value = "60..100", hide_default_value = true)]
    detector_mrad: Range,
    /// Bloch offsets along each in-plane axis: N × N of them equal an N × N supercell. Default: 8
    #[arg(long, value_name = "N", default_value_t = 8, hide_default_value = true)]
    k_points: usize,
    /// Largest real-space sampling of the waves, Å. Default: 0.05
    #[arg(long, value_name = "A", default_value_t = 0.05, hide_default_value = true)]
    wave_pixel_angstrom: f64,
    /// Antithetic pairs of phonon configurations for each k-point; 0 freezes the crystal. Default: 1
    #[arg(long, value_name = "N", default_value_t = 1, hide_default_value = true)]
    phonon_pairs: usize,
    /// Seed of the phonons. Default: 1
    #[arg(long, value_name = "N", default_value_t = 1, hide_default_value = true)]
    seed: u64,
    /// Folder of tilt libraries, each made once and found again by its content. Default: mistilt in the user's cache folder
    #[arg(long, value_name = "DIR")]
    library: Option<PathBuf>,
    /// Threads to compute with, 1 or more; the results do not depend on it. Default: all cores
    #[arg(long, value_name = "N")]
    pub(super) threads: Option<NonZeroUsize>,
}

/// Foci of a library stand at most this far apart, nm.
const DEFOCUS_STEP_NM: f64 = 4.0;

impl Specimen {
    /// The crystal named or read.
    pub(super) fn crystal(&self) -> Result<Crystal, Failure> {
        crystal(&self.structure)
    }

    /// The conditions of its library, for tilts up to `tilt_mrad`.
    pub(super) fn conditions(&self, tilt_mrad: f64) -> Result<Conditions, Failure> {
        if !(tilt_mrad > 0.0 && tilt_mrad <= 20.0) {
            return Err(Failure::BadInput(format!("the largest tilt must be above 0 and at most 20 mrad, not {tilt_mrad}")));
        }
        if !(0.5..=100.0).contains(&self.thickness_step_nm) {
            return Err(Failure::BadInput(format!("--thickness-step-nm must lie from 0.5 to 100, not {}", self.thickness_step_nm)));
        }
        Ok(Conditions {
            cut: Cut::pseudocubic(self.zone_axis, self.x_axis),
            voltage_kv: self.voltage_kv,
            convergence_mrad: self.convergence_mrad,
            aberrations: Vec::new(),
            detector_mrad: [self.detector_mrad.low, self.detector_mrad.high],
            thickness_nm: spaced(self.thickness_nm.low, self.thickness_nm.high, self.thickness_step_nm),
            defocus_nm: spaced(self.defocus_nm.low, self.defocus_nm.high, DEFOCUS_STEP_NM),
            tilt_mrad,
            numerics: Numerics {
                pixel_angstrom: self.wave_pixel_angstrom,
                k_points: [self.k_points; 2],
                phonon_pairs: self.phonon_pairs,
                seed: self.seed,
                ..Numerics::default()
            },
        })
    }

    /// The library of these conditions: read where it was made before, else computed and kept.
    pub(super) fn library(&self, crystal: &Crystal, conditions: &Conditions, output: &Output) -> Result<TiltLibrary, Failure> {
        with_threads(self.threads, || library_in(&self.folder(), crystal, conditions, output))
    }

    /// Names of directions in its images.
    pub(super) fn directions(&self) -> Directions {
        Directions::of(self.zone_axis, self.x_axis)
    }

    fn folder(&self) -> PathBuf {
        self.library.clone().unwrap_or_else(cache_folder)
    }
}

/// A structure that ships, or a structure file.
pub(super) fn crystal(name: &str) -> Result<Crystal, Failure> {
    if let Some(crystal) = structures::get(name) {
        return Ok(crystal);
    }
    let path = Path::new(name);
    if path.exists() {
        return Ok(Crystal::read(path).map_err(RunError::from)?);
    }
    let known = structures::names().join(", ");
    Err(Failure::BadInput(format!("{name} is neither a structure that ships ({known}) nor a file that is there")))
}

/// `mistilt` in the user's cache folder, else in the results.
pub(super) fn cache_folder() -> PathBuf {
    let variable = |name: &str| std::env::var_os(name).filter(|v| !v.is_empty()).map(PathBuf::from);
    variable("XDG_CACHE_HOME")
        .or_else(|| variable("HOME").map(|home| home.join(".cache")))
        .or_else(|| variable("LOCALAPPDATA"))
        .map_or_else(|| PathBuf::from("results").join("library"), |cache| cache.join("mistilt"))
}

/// The library in a folder; one that is damaged is made again, on the threads of the caller.
pub(super) fn library_in(folder: &Path, crystal: &Crystal, conditions: &Conditions, output: &Output) -> Result<TiltLibrary, RunError> {
    TiltLibrary::check(crystal, conditions)?;
    let key = conditions.key(crystal);
    let path = folder.join(format!("tilt-{key}.npz"));
    if let Some(library) = std::fs::read(&path).ok().and_then(|bytes| TiltLibrary::decode(&bytes).ok()).filter(|l| l.header.key == key) {
        output.say(&format!("tilt library of {}: {}", crystal.name, path.display()));
        return Ok(library);
    }
    output.say(&format!(
        "computing the tilt library of {} ({} tilts up to {} mrad, {} thicknesses, {} defoci); it is kept as {}",
        crystal.name,
        conditions.tilts_mrad().len(),
        conditions.tilt_mrad,
        conditions.thickness_nm.len(),
        conditions.defocus_nm.len(),
        path.display()
    ));
    let bar = output.bar(TiltLibrary::steps(conditions));
    let library = TiltLibrary::compute(crystal, conditions, &|n| bar.inc(n as u64))?;
    bar.finish_and_clear();
    std::fs::create_dir_all(folder).map_err(RunError::disk(folder))?;
    let bytes = library.encode()?;
    whole_file(&path, |file| file.write_all(&bytes)).map_err(RunError::disk(&path))?;
    Ok(library)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_and_directions_are_read_or_refused_in_words() {
        assert_eq!("15..30".parse(), Ok(Range { low: 15.0, high: 30.0 }));
        assert_eq!("-2".parse(), Ok(Range { low: -2.0, high: -2.0 }));
        for bad in ["30..15", "x", "", "1..", "nan"] {
            assert!(bad.parse::<Range>().unwrap_err().contains("15..30"), "{bad}");
        }
        assert_eq!(direction("1,-1, 0"), Ok([1, -1, 0]));
        assert!(direction("1,0").is_err());
    }
}
