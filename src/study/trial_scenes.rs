//! Scenes in a trial of the verdict: the images of another room of the house, by library and by multislice, judged as all others; Å, pm, mrad.

use super::RunError;
use super::trial::{Scenes, VerdictTrial};
use crate::artifact::Prepared;
use crate::artifact::mosaic::Pattern;
use crate::artifact::trial::{Known, Made, Outcome, outcome};
use crate::crystal::Crystal;
use crate::detection::FrameKey;
use crate::image::{FourierImage, Radiance, Raster, SourceShape};
use crate::microscope::{Aberrations, AnnularDetector, Beam, Probe};
use crate::multislice::Device;
use crate::potential::Factors;
use crate::scene::{Fidelity, Imaging, Library, LibrarySpan, Motion, MultisliceImage, Phase, Scene, SceneImage, SceneSettings, View};
use std::sync::Arc;

/// Cells of the scene that is computed; it repeats seamlessly over the image.
const CELLS: u32 = 2;
/// Frames of scenes are numbered from here.
const FIRST_FRAME: u64 = 1 << 33;

impl Scenes {
    /// One a fidelity, phase and tilt, in this order.
    pub(super) fn outcomes(
        &self,
        trial: &VerdictTrial,
        crystal: &Crystal,
        prepared: &Prepared,
        progress: &(dyn Fn(usize) + Sync),
    ) -> Result<Vec<Outcome>, RunError> {
        let mut out = Vec::new();
        for &fidelity in &self.fidelities {
            for (place, phase) in [Phase::R3c, Phase::Cubic].into_iter().enumerate() {
                for (n, &size) in self.tilt_mrad.iter().enumerate() {
                    // Both fidelities show the same scenes under the same noise.
                    let number = place * self.tilt_mrad.len() + n;
                    out.push(judged(trial, crystal, prepared, (fidelity, phase, size), number)?);
                    progress(1);
                }
            }
        }
        Ok(out)
    }
}

fn judged(
    trial: &VerdictTrial,
    crystal: &Crystal,
    prepared: &Prepared,
    (fidelity, phase, size_mrad): (Fidelity, Phase, f64),
    number: usize,
) -> Result<Outcome, RunError> {
    let (stand, source_fwhm_angstrom) = trial.drawn("mistilt 2026 scenes of a trial", number, size_mrad);
    let thickness_nm = trial.truth.thickness_nm[number % trial.truth.thickness_nm.len()];
    let settings = SceneSettings { size_cells: [CELLS; 2], phase, fidelity, ..SceneSettings::default() };
    let scene = Arc::new(Scene::new(&settings, crystal, 10.0 * thickness_nm, stand.tilt_mrad)?);
    let imaging = trial.imaging();
    let image: Box<dyn Radiance + Send> = match fidelity {
        Fidelity::Library => {
            let view = View { detector: 0, defocus_angstrom: imaging.probe.aberrations.defocus_angstrom() };
            let spans = (0..scene.materials.len()).filter_map(|m| LibrarySpan::of(&scene, m, view.defocus_angstrom));
            let axes = spans.map(|span| span.axes());
            let made =
                axes.zip(&scene.materials).map(|(axes, material)| Library::compute(material, &axes, &imaging, &|_| {}).map(Arc::new));
            let libraries = made.collect::<Result<Vec<_>, _>>()?;
            Box::new(repeated(&SceneImage::new(scene.clone(), libraries, view, SourceShape::default())?, &scene))
        }
        Fidelity::Multislice => Box::new(MultisliceImage::compute(&scene, &imaging, &|_| {})?.swap_remove(0)),
    };
    let cells = scene.cells();
    let n = cells.len() as f64;
    let true_pm = [0, 1].map(|c| cells.iter().map(|cell| cell.shift_pm[c]).sum::<f64>() / n);
    let dose = trial.truth.dose_electrons_per_square_angstrom.iter().copied().fold(0.0, f64::max);
    let side = trial.images.cells as f64 * scene.column_angstrom;
    let raster = Raster::square([0.0; 2], side, 0.01 * trial.images.pixel_pm);
    let key = FrameKey { seed: trial.seed, frame: FIRST_FRAME + number as u64, channel: 0 };
    let frame = trial.camera(dose, source_fwhm_angstrom)?.expose(image.as_ref(), raster, key)?.image;
    let known = Known {
        made: if fidelity == Fidelity::Library { Made::SceneLibrary } else { Made::SceneMultislice },
        pattern: if phase == Phase::Cubic { Pattern::Unpolarized } else { Pattern::Monodomain },
        true_pm,
        // The library of the verdict has another crystal: nothing says what this one shows upright.
        upright_pm: [f64::NAN; 2],
        dose,
        tilt_mrad: stand.tilt_mrad,
        thickness_nm,
        source_fwhm_angstrom,
    };
    Ok(outcome(&frame, &known, prepared, None)?)
}

/// A uniform scene as one period of a Fourier series, so that it can be evaluated past its edges.
fn repeated(image: &SceneImage, scene: &Scene) -> FourierImage {
    const HIGHEST: usize = 12 * CELLS as usize;
    let [width, height] = scene.extent_angstrom();
    let side = 2 * HIGHEST + 1;
    let mut places = Vec::with_capacity(side * side);
    for j in 0..side {
        places.extend((0..side).map(|i| [width * i as f64 / side as f64, height * j as f64 / side as f64]));
    }
    let mut samples = vec![0.0; places.len()];
    image.evaluate(&places, &mut samples);
    FourierImage::from_samples([[width, 0.0], [0.0, height]], HIGHEST, HIGHEST, &samples)
}

impl VerdictTrial {
    /// Microscope and numerics of scenes: those of the verdict's libraries with the phonons of the truth.
    fn imaging(&self) -> Imaging {
        let m = &self.microscope;
        Imaging {
            probe: Probe {
                beam: Beam { energy_kev: m.voltage_kv },
                convergence_mrad: m.convergence_mrad,
                aberrations: Aberrations::defocus(10.0 * self.truth.defocus_nm),
            },
            detectors: vec![AnnularDetector { name: "adf".to_owned(), inner_mrad: m.detector_mrad[0], outer_mrad: m.detector_mrad[1] }],
            pixel_angstrom: m.wave_pixel_angstrom,
            oversampling: 2,
            factors: Factors::Lobato,
            k_points: [m.k_points; 2],
            motion: Motion::FrozenPhonons { seed: 1001, pairs: m.phonon_pairs },
            device: Device::Cpu,
        }
    }
}
