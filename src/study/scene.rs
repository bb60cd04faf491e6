//! The scene of a point: built from its settings, imaged by library or by multislice, put into pixels with its truth; Å, mrad.

use super::spec::{CrystalSource, Point, PointConfig};
use super::{RunError, frame, setup};
use crate::crystal::{Crystal, structures};
use crate::image::{Image, Metadata, Radiance, Raster, SourceShape, whole_file};
use crate::multislice::{DeviceChoice, MultisliceError};
use crate::scene::{Fidelity, Imaging, Library, LibraryAxes, LibrarySpan, Material, Motion, MultisliceImage, Scene, SceneImage, View};
use rayon::prelude::*;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A scene and how it is imaged.
#[derive(Debug, Clone)]
pub struct SceneJob {
    /// The scene.
    pub scene: Arc<Scene>,
    /// Microscope and numerics.
    pub imaging: Imaging,
    /// By library or by multislice.
    pub fidelity: Fidelity,
}

impl SceneJob {
    /// The scene of a point; `None` where the point has none.
    pub fn new(config: &PointConfig) -> Result<Option<Self>, RunError> {
        let Some(settings) = &config.scene else { return Ok(None) };
        let crystal = crystal(&config.crystal.source)?;
        let scene = Scene::new(settings, &crystal, 10.0 * config.crystal.thickness_nm, config.crystal.specimen_tilt_mrad)?;
        Ok(Some(Self { scene: Arc::new(scene), imaging: imaging(config)?, fidelity: settings.fidelity }))
    }

    /// The same job on the device that was asked for.
    pub fn on(mut self, config: &PointConfig, choice: DeviceChoice) -> Result<Self, RunError> {
        self.imaging.device = setup::device(&config.simulation, choice)?;
        Ok(self)
    }

    /// The axes of the library of every material of the scene; none where it is imaged by multislice.
    #[must_use]
    pub fn axes(&self) -> Vec<LibraryAxes> {
        if self.fidelity == Fidelity::Multislice {
            return Vec::new();
        }
        let span = |material| LibrarySpan::of(&self.scene, material, self.defocus_angstrom());
        (0..self.scene.materials.len()).filter_map(span).map(|span| span.axes()).collect()
    }

    /// Defocus, underfocus positive, Å.
    #[must_use]
    pub fn defocus_angstrom(&self) -> f64 {
        self.imaging.probe.aberrations.defocus_angstrom()
    }

    /// Steps of progress that the images take.
    #[must_use]
    pub fn steps(&self) -> usize {
        match self.fidelity {
            Fidelity::Library => self.axes().iter().map(|axes| Library::steps(axes, &self.imaging)).sum(),
            Fidelity::Multislice => MultisliceImage::steps(&self.scene, &self.imaging),
        }
    }

    /// Computes the images, all detectors at once; libraries that the shelf holds are taken from it, others put there.
    pub fn run(&self, shelf: &mut Shelf, progress: &(dyn Fn(usize) + Sync)) -> Result<SceneImages, RunError> {
        Ok(match self.fidelity {
            Fidelity::Library => {
                let axes = self.axes();
                let made = axes.iter().zip(&self.scene.materials);
                let libraries =
                    made.map(|(axes, material)| shelf.library(material, axes, &self.imaging, progress)).collect::<Result<_, _>>()?;
                SceneImages::Library { scene: self.scene.clone(), libraries, defocus_angstrom: self.defocus_angstrom() }
            }
            Fidelity::Multislice => SceneImages::Multislice(MultisliceImage::compute(&self.scene, &self.imaging, progress)?),
        })
    }
}

/// Libraries that scenes share: those of one run, and in a folder those of runs before.
#[derive(Debug, Default)]
pub struct Shelf {
    known: Vec<(String, Arc<Library>)>,
    folder: Option<PathBuf>,
}

impl Shelf {
    /// A shelf that keeps its libraries in a folder, if there is one.
    #[must_use]
    pub fn kept_in(folder: Option<&Path>) -> Self {
        Self { known: Vec::new(), folder: folder.map(Path::to_owned) }
    }

    /// The library of a material over these axes: known, kept and whole, or computed now.
    pub fn library(
        &mut self,
        material: &Material,
        axes: &LibraryAxes,
        imaging: &Imaging,
        progress: &(dyn Fn(usize) + Sync),
    ) -> Result<Arc<Library>, RunError> {
        let key = Library::key(material, axes, imaging);
        if let Some((_, library)) = self.known.iter().find(|(k, _)| *k == key) {
            return Ok(library.clone());
        }
        let library = match self.read(&key, material)? {
            Some(kept) => kept,
            None => self.compute(&key, material, axes, imaging, progress)?,
        };
        self.known.push((key, Arc::new(library)));
        // Pushed just now.
        Ok(self.known[self.known.len() - 1].1.clone())
    }

    fn path(&self, key: &str) -> Option<PathBuf> {
        self.folder.as_ref().map(|folder| folder.join(format!("{key}.library")))
    }

    /// A kept library; one that is not whole counts as none and is made again.
    fn read(&self, key: &str, material: &Material) -> Result<Option<Library>, RunError> {
        let Some(path) = self.path(key) else { return Ok(None) };
        match std::fs::read(&path) {
            Ok(bytes) => Ok(Library::from_bytes(&bytes, key, material).ok()),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(RunError::disk(path)(e)),
        }
    }

    fn compute(
        &self,
        key: &str,
        material: &Material,
        axes: &LibraryAxes,
        imaging: &Imaging,
        progress: &(dyn Fn(usize) + Sync),
    ) -> Result<Library, RunError> {
        let library = Library::compute(material, axes, imaging, progress)?;
        if let (Some(folder), Some(path)) = (&self.folder, self.path(key)) {
            std::fs::create_dir_all(folder).map_err(RunError::disk(folder))?;
            let bytes = library.to_bytes(key)?;
            whole_file(&path, |file| file.write_all(&bytes)).map_err(RunError::disk(&path))?;
        }
        Ok(library)
    }
}

/// The images of a scene on every detector, seen with a point source.
#[derive(Debug, Clone)]
pub enum SceneImages {
    /// From libraries, one a material.
    Library {
        /// The scene.
        scene: Arc<Scene>,
        /// The libraries.
        libraries: Vec<Arc<Library>>,
        /// Defocus, underfocus positive, Å.
        defocus_angstrom: f64,
    },
    /// By multislice, one a detector.
    Multislice(Vec<MultisliceImage>),
}

impl SceneImages {
    /// The image on one detector (by its place in the study), seen with a source.
    pub fn on(&self, detector: usize, source: SourceShape) -> Result<Box<dyn Radiance + Send>, RunError> {
        Ok(match self {
            Self::Library { scene, libraries, defocus_angstrom } => {
                let view = View { detector, defocus_angstrom: *defocus_angstrom };
                Box::new(SceneImage::new(scene.clone(), libraries.clone(), view, source)?)
            }
            Self::Multislice(images) => {
                let missing = crate::scene::SceneError::NoSuchDetector { asked: detector, have: images.len() };
                Box::new(images.get(detector).ok_or(missing)?.blurred(&source))
            }
        })
    }
}

/// Samples an image on a raster, rows side by side on all threads.
#[must_use]
pub fn sample(image: &dyn Radiance, raster: Raster) -> Vec<f32> {
    let mut pixels = vec![0.0_f32; raster.width * raster.height];
    pixels.par_chunks_mut(raster.width.max(1)).enumerate().for_each(|(iy, row)| {
        let positions: Vec<[f64; 2]> = raster.row(iy).collect();
        let mut values = vec![0.0; positions.len()];
        image.evaluate(&positions, &mut values);
        row.iter_mut().zip(values).for_each(|(pixel, value)| *pixel = value as f32);
    });
    pixels
}

/// The raster of a whole scene in pixels of this size, Å; a column at the edge stands half a pixel inside.
#[must_use]
pub fn whole_raster(scene: &Scene, pixel_angstrom: f64) -> Raster {
    let [width, height] = scene.extent_angstrom().map(|e| ((e / pixel_angstrom).round() as usize).max(1));
    Raster { origin_angstrom: [0.5 * pixel_angstrom; 2], pixel_angstrom, width, height }
}

/// The noiseless image of a point's scene on one detector, with calibration, microscope and truth.
pub fn clean_image(point: &Point, job: &SceneJob, images: &SceneImages, detector: usize, raster: Raster) -> Result<Image, RunError> {
    let microscope = &point.config.microscope;
    let source = SourceShape { fwhm_angstrom: microscope.source_fwhm_angstrom, ..SourceShape::default() };
    let pixels = sample(images.on(detector, source)?.as_ref(), raster);
    let wrap = |error: crate::image::ImageError| RunError::Disk { path: "image".into(), source: std::io::Error::other(error) };
    let image = Image::new(raster.width, raster.height, pixels).and_then(|i| i.with_pixel_size_pm(100.0 * raster.pixel_angstrom));
    let mut image = image.map_err(wrap)?;
    let ring = &microscope.detectors[detector.min(microscope.detectors.len() - 1)];
    image.metadata.title = Some(format!("{} scene, point {}", job.scene.materials[0].name, point.index));
    image.metadata.detector_name = Some(ring.name.clone());
    image.metadata.beam_energy_kev = Some(microscope.voltage_kv);
    image.metadata.convergence_mrad = Some(microscope.convergence_mrad);
    image.metadata.detector_inner_mrad = Some(ring.inner_mrad);
    image.metadata.detector_outer_mrad = Some(ring.outer_mrad);
    image.metadata.notes = vec!["values are the fraction of the beam on the detector; x right, y down".to_owned()];
    image.truth = Some(job.scene.truth(raster));
    Ok(image)
}

/// The image of a scene as the study records it: the first frame of its camera, or the clean image without one.
pub fn recorded_image(point: &Point, job: &SceneJob, images: &SceneImages, detector: usize, raster: Raster) -> Result<Image, RunError> {
    let mut clean = clean_image(point, job, images, detector, raster)?;
    let Some(camera) = &point.config.camera else { return Ok(clean) };
    let sharp = images.on(detector, SourceShape::default())?;
    let truth = clean.truth.take().unwrap_or_default();
    let frame = frame::expose(sharp.as_ref(), point, camera, raster, 0, detector)?.with_truth(truth).image;
    let metadata = Metadata { notes: frame.metadata.notes, ..clean.metadata };
    Ok(Image { metadata, ..frame })
}

/// The crystal of a source.
pub(super) fn crystal(source: &CrystalSource) -> Result<Crystal, RunError> {
    match source {
        CrystalSource::Shipped(name) => {
            structures::get(name).ok_or_else(|| RunError::UnknownStructure { name: name.clone(), known: structures::names().join(", ") })
        }
        CrystalSource::File(path) => Ok(Crystal::read(path)?),
    }
}

fn imaging(config: &PointConfig) -> Result<Imaging, RunError> {
    let simulation = &config.simulation;
    let motion = simulation.phonons.map_or(Motion::None, |p| Motion::FrozenPhonons { seed: config.seed, pairs: p.pairs as usize });
    if let Some(period) = simulation.phonons.map(|p| p.period as usize).filter(|&p| p > 1) {
        // In a scene every cell of the library moves alike, and every atom of the whole scene on its own.
        let [nx, ny] = [1, 1];
        return Err(MultisliceError::PeriodDoesNotDivide { period, nx, ny }.into());
    }
    Ok(Imaging {
        probe: setup::probe(&config.microscope),
        detectors: setup::detectors(&config.microscope),
        pixel_angstrom: simulation.pixel_angstrom,
        oversampling: simulation.oversampling as usize,
        factors: setup::factors(simulation),
        k_points: simulation.k_points.map(|n| n as usize),
        motion,
        device: setup::device(simulation, DeviceChoice::Cpu)?,
    })
}
