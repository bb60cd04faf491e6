//! Images with their truth for networks and datasets, one a setting and number: what several settings share (the libraries of their scenes) is
//! computed once.

use super::RunError;
use super::run::{self, Field};
use super::scene::{SceneImages, SceneJob, Shelf, recorded_image, whole_raster};
use super::spec::{Point, PointConfig};
use crate::image::Image;
use crate::multislice::DeviceChoice;
use crate::scene::{Fidelity, Imaging, Library, LibrarySpan, Material};
use std::path::Path;
use std::sync::Arc;

/// Pixel of a scene's image where no camera says it, Å.
const PIXEL_ANGSTROM: f64 = 0.33;
/// Images of a repeated cell: 8 × 8 cells on pixels as scans have them.
const REPEATED: Field = Field { side_angstrom: 32.0, pixel_angstrom: 0.2 };

/// What the settings of a study share.
#[derive(Debug, Default)]
pub struct Frames {
    shelf: Vec<Shelved>,
}

#[derive(Debug)]
struct Shelved {
    material: Material,
    /// At no defocus.
    imaging: Imaging,
    library: Arc<Library>,
}

/// Scenes that can share a library: those of one material and microscope, at any defocus.
#[derive(Debug)]
struct Kind {
    material: Material,
    number: usize,
    /// At no defocus.
    imaging: Imaging,
    span: LibrarySpan,
}

/// The libraries that settings need, not yet computed.
#[derive(Debug, Default)]
pub struct FramesPlan {
    kinds: Vec<Kind>,
}

impl FramesPlan {
    /// What these settings, each with its number, share. Their scenes are looked at one by one and not kept.
    pub fn new(settings: impl Iterator<Item = (PointConfig, u64)>) -> Result<Self, RunError> {
        let mut kinds: Vec<Kind> = Vec::new();
        for (config, number) in settings {
            let Some(job) = SceneJob::new(&numbered(&config, number))? else { continue };
            if job.fidelity != Fidelity::Library {
                continue;
            }
            let imaging = job.imaging.at_defocus(0.0);
            for (place, material) in job.scene.materials.iter().enumerate() {
                let Some(span) = LibrarySpan::of(&job.scene, place, job.defocus_angstrom()) else { continue };
                let same = |k: &&mut Kind| k.number == place && k.material == *material && k.imaging == imaging;
                match kinds.iter_mut().find(same) {
                    Some(kind) => kind.span = kind.span.joined(&span),
                    None => kinds.push(Kind { material: material.clone(), number: place, imaging: imaging.clone(), span }),
                }
            }
        }
        Ok(Self { kinds })
    }

    /// Steps of progress that the libraries take, where none is kept.
    #[must_use]
    pub fn steps(&self) -> usize {
        self.kinds.iter().map(|k| Library::steps(&k.span.axes(), &k.imaging)).sum()
    }

    /// What the first material ranges over in all settings; `None` where no setting is imaged by a library.
    #[must_use]
    pub fn span(&self) -> Option<LibrarySpan> {
        self.kinds.first().map(|k| k.span)
    }

    /// Values that are tabulated, over all libraries.
    #[must_use]
    pub fn nodes(&self) -> usize {
        self.kinds.iter().map(|k| k.span.axes().nodes()).sum()
    }

    /// Memory that the libraries take while they are reduced, bytes.
    #[must_use]
    pub fn bytes(&self) -> f64 {
        self.kinds.iter().map(|k| Library::bytes(&k.material, &k.span.axes(), &k.imaging)).sum()
    }

    /// Whether another plan asks for the same libraries.
    #[must_use]
    pub fn same(&self, other: &Self) -> bool {
        let keys =
            |plan: &Self| -> Vec<String> { plan.kinds.iter().map(|k| Library::key(&k.material, &k.span.axes(), &k.imaging)).collect() };
        keys(self) == keys(other)
    }

    /// Computes the libraries. They are taken from `folder` and kept there, if there is one.
    pub fn make(self, folder: Option<&Path>, progress: &(dyn Fn(usize) + Sync)) -> Result<Frames, RunError> {
        let mut known = Shelf::kept_in(folder);
        let mut shelf = Vec::new();
        for kind in self.kinds {
            let library = known.library(&kind.material, &kind.span.axes(), &kind.imaging, progress)?;
            shelf.push(Shelved { material: kind.material, imaging: kind.imaging, library });
        }
        Ok(Frames { shelf })
    }
}

impl Frames {
    /// Computes what these settings, each with its number, share. Libraries are taken from `folder` and kept there, if there is one.
    pub fn prepare(settings: impl Iterator<Item = (PointConfig, u64)>, folder: Option<&Path>) -> Result<Self, RunError> {
        FramesPlan::new(settings)?.make(folder, &|_| {})
    }

    /// Memory that the libraries take while they are reduced, bytes.
    #[must_use]
    pub fn bytes(&self) -> f64 {
        self.shelf.iter().map(|s| Library::bytes(&s.material, &s.library.axes, &s.imaging)).sum()
    }

    /// What the libraries take on disk, bytes.
    #[must_use]
    pub fn kept_bytes(&self) -> f64 {
        self.shelf.iter().map(|s| s.library.kept_bytes()).sum()
    }

    /// The image of a setting on its first detector, as its camera records it; another `number` is another scene and other noise.
    pub fn image(&self, config: &PointConfig, number: u64) -> Result<Image, RunError> {
        let point = Point { index: 0, values: Vec::new(), config: numbered(config, number) };
        let Some(job) = SceneJob::new(&point.config)? else {
            return run::simulate(&point, 0, REPEATED, DeviceChoice::default(), &|_| {}).map(|(image, _)| image);
        };
        let images = self.images(&job)?;
        let pixel_angstrom = point.config.camera.as_ref().map_or(PIXEL_ANGSTROM, |c| c.pixel_angstrom);
        recorded_image(&point, &job, &images, 0, whole_raster(&job.scene, pixel_angstrom))
    }

    fn images(&self, job: &SceneJob) -> Result<SceneImages, RunError> {
        let imaging = job.imaging.at_defocus(0.0);
        let known =
            |material: &Material| self.shelf.iter().find(|s| s.material == *material && s.imaging == imaging).map(|s| s.library.clone());
        let libraries: Option<Vec<Arc<Library>>> = job.scene.materials.iter().map(known).collect();
        match libraries.filter(|_| job.fidelity == Fidelity::Library) {
            Some(libraries) => Ok(SceneImages::Library { scene: job.scene.clone(), libraries, defocus_angstrom: job.defocus_angstrom() }),
            None => job.run(&mut Shelf::default(), &|_| {}),
        }
    }
}

/// The setting with the seeds of a number. The seed of the phonons stays: images of one study share their libraries.
fn numbered(config: &PointConfig, number: u64) -> PointConfig {
    let mut config = config.clone();
    match &mut config.scene {
        Some(scene) => scene.seed = scene.seed.wrapping_add(number),
        None => config.seed = config.seed.wrapping_add(number),
    }
    config
}
