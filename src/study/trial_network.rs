//! Networks beside the verdict in a trial: trained on images of the trial's crystals with other seeds, upright or at all tilts, and asked of its
//! images; pm.

use super::RunError;
use super::trial::{NetworkTrial, TrueCrystals, VerdictTrial};
use crate::artifact::mosaic::Pattern;
use crate::artifact::trial::expose;
use crate::artifact::{ArtifactError, Ruler};
use crate::columns::FindOptions;
use crate::dcnn::{Architecture, Network, TrainingSettings, train};
use crate::detection::FrameKey;
use crate::image::Image;
use crate::numerics::seeds::Streams;
use crate::polarization::{MapOptions, PolarizationMap, polarization_map};
use crate::windows::{Cut, LabelField, WindowSet, WindowSize, WindowSpec, cut};
use rand::RngExt;
use rayon::prelude::*;
use std::ops::ControlFlow;

/// What the training images show, by turns.
const PATTERNS: [Pattern; 4] = [Pattern::Halves180, Pattern::Unpolarized, Pattern::Halves71, Pattern::Monodomain];
/// Frames of training are numbered from here, far from those that are judged.
const FIRST_FRAME: u64 = 1 << 32;

impl NetworkTrial {
    /// The network that has seen upright crystals, and the one that has seen every tilt up to the largest of the trial.
    pub(super) fn trained(&self, trial: &VerdictTrial, truth: &TrueCrystals<'_>, ruler: &Ruler) -> Result<Vec<Network>, RunError> {
        [false, true].into_iter().map(|mixed| self.network(trial, truth, ruler, mixed)).collect()
    }

    fn network(&self, trial: &VerdictTrial, truth: &TrueCrystals<'_>, ruler: &Ruler, mixed: bool) -> Result<Network, RunError> {
        let sets: Vec<WindowSet> =
            (0..self.images).into_par_iter().map(|n| self.windows(trial, truth, ruler, mixed, n)).collect::<Result<_, _>>()?;
        let validation = (self.images / 6).max(1);
        let joined = |sets: &[WindowSet]| -> Result<WindowSet, RunError> {
            let mut all = sets[0].clone();
            sets[1..].iter().try_for_each(|s| all.append(s))?;
            Ok(all)
        };
        let (stop, learn) = sets.split_at(validation);
        let settings = TrainingSettings { epochs: self.epochs, ..TrainingSettings::default() };
        let trained =
            train(&joined(learn)?, &joined(stop)?, &Architecture::default(), &settings, trial.seed, &mut |_| ControlFlow::Continue(()))?;
        Ok(trained.network)
    }

    /// The labelled windows of one training image.
    fn windows(
        &self,
        trial: &VerdictTrial,
        truth: &TrueCrystals<'_>,
        ruler: &Ruler,
        mixed: bool,
        number: usize,
    ) -> Result<WindowSet, RunError> {
        let name = "mistilt 2026 training images of a trial";
        let share: f64 = Streams::new("mistilt 2026 tilts of training images", trial.seed).stream(number as u64).random();
        let largest = trial.truth.tilt_mrad.iter().copied().fold(0.0, f64::max);
        // Evenly over the disc.
        let (stand, source) = trial.drawn(name, number, if mixed { largest * share.sqrt() } else { 0.0 });
        let doses = &trial.truth.dose_electrons_per_square_angstrom;
        let dose = doses[number / PATTERNS.len() % doses.len()];
        let camera = trial.camera(dose, source)?;
        let pattern = PATTERNS[number % PATTERNS.len()];
        let key = FrameKey { seed: trial.seed, frame: FIRST_FRAME + number as u64, channel: 0 };
        let thickness = number % trial.truth.thickness_nm.len();
        let scene = trial.scene(truth, pattern, (dose, &camera, source), (thickness, stand), ruler, key);
        let frame = expose(&scene)?;
        let options = MapOptions { find: FindOptions::default(), empirical_covariance: false, ..MapOptions::default() };
        let (map, _) =
            polarization_map(&frame.data, frame.width, frame.height, Some(trial.images.pixel_pm), &options).map_err(ArtifactError::from)?;
        let mut field = LabelField::from_map(&map)?;
        let true_pm = scene.film.true_shift_pm();
        for point in &mut field.points {
            let place = [point.position_px[0] / frame.width as f64, point.position_px[1] / frame.height as f64];
            let mirror = pattern.mirror(place).unwrap_or([0.0; 2]);
            point.vector_pm = [0, 1].map(|c| mirror[c] * true_pm[c]);
        }
        let spec = WindowSpec { size: WindowSize::Lattices(self.window_lattices), ..WindowSpec::default() };
        Ok(cut(&frame, &spec, Some(&field), None)?.set)
    }
}

/// What networks say of every cell of a map.
pub(super) fn say(networks: &[Network], image: &Image, map: &PolarizationMap) -> Result<Vec<Vec<[f64; 2]>>, ArtifactError> {
    let failed = |e: &dyn std::fmt::Display| ArtifactError::Image(format!("the network cannot read the image: {e}"));
    let field = LabelField::from_map(map).map_err(|e| failed(&e))?;
    let one = |network: &Network| {
        let spec = WindowSpec { size: WindowSize::Pixels(network.size_px()), ..WindowSpec::default() };
        let Cut { set, .. } = cut(image, &spec, Some(&field), None).map_err(|e| failed(&e))?;
        let predictions = network.predict(&set).map_err(|e| failed(&e))?;
        let mut out = vec![[f64::NAN; 2]; map.cells.len()];
        let places: std::collections::BTreeMap<[i32; 2], usize> = map.cells.iter().enumerate().map(|(n, c)| (c.index, n)).collect();
        for (cell, prediction) in set.cells.iter().zip(&predictions) {
            if let Some(&n) = places.get(cell) {
                out[n] = prediction.mean_pm.map(f64::from);
            }
        }
        Ok(out)
    };
    networks.iter().map(one).collect()
}
