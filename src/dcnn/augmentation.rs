//! What makes a window new in every epoch: a symmetry of the square, noise, or what a camera adds; drawn by counters.

use super::network::Network;
use super::settings::TrainingSettings;
use super::symmetry::Symmetry;
use crate::detection::WindowNoise;
use crate::numerics::seeds::Streams;
use crate::windows::Normalisation;
use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};
use rayon::prelude::*;

/// A change of a window that leaves its label true, such as the noise of a camera.
pub trait Augmentation: Sync {
    /// Changes a window of `size_px × size_px` values in place; all chance comes from `random`.
    fn apply(&self, window: &mut [f32], size_px: usize, random: &mut ChaCha8Rng);
}

impl Augmentation for WindowNoise {
    fn apply(&self, window: &mut [f32], size_px: usize, random: &mut ChaCha8Rng) {
        // The one refusal is of windows that are no whole rows, and these are squares.
        let _ = self.apply(random.random(), window, size_px);
    }
}

/// Windows of the sample that the domain is learnt from.
const SAMPLE: usize = 2000;

/// The augmentation of one training.
pub(super) struct Augmenter<'a> {
    size_px: usize,
    symmetries: bool,
    noise: f64,
    camera: Option<&'a dyn Augmentation>,
    network: Network,
    given: Normalisation,
}

impl<'a> Augmenter<'a> {
    pub(super) fn new(settings: &TrainingSettings, camera: Option<&'a dyn Augmentation>, network: &Network, given: Normalisation) -> Self {
        let TrainingSettings { symmetries, noise, .. } = *settings;
        Self { size_px: network.size_px(), symmetries, noise, camera, network: network.clone(), given }
    }

    /// Windows and standardised labels of a batch: those of `part`, in that order, as they are in this epoch.
    pub(super) fn batch(&self, values: &[f32], targets: &[[f32; 2]], part: &[usize], seed: u64, epoch: usize) -> (Vec<f32>, Vec<[f32; 2]>) {
        let pixels = self.size_px * self.size_px;
        let streams = Streams::new("mistilt: augmentation of the training windows", seed);
        let count = targets.len() as u64;
        let mut windows = vec![0.0; part.len() * pixels];
        let mut turned = vec![[0.0; 2]; part.len()];
        let jobs = windows.par_chunks_mut(pixels).zip(&mut turned).zip(part).with_min_len(8);
        jobs.for_each(|((to, target), &index)| {
            let mut random = streams.stream(epoch as u64 * count + index as u64);
            let symmetry = Symmetry::number(if self.symmetries { random.random_range(0..Symmetry::COUNT as u64) as usize } else { 0 });
            *target = symmetry.turn_vector(targets[index]);
            symmetry.turn(&values[index * pixels..][..pixels], self.size_px, to);
            self.disturb(to, &mut random);
        });
        (windows, turned)
    }

    /// Some of the windows as they are in training: those the domain of the network is learnt from.
    pub(super) fn sample(&self, values: &[f32], seed: u64) -> Vec<f32> {
        let pixels = self.size_px * self.size_px;
        let count = values.len() / pixels;
        let taken = count.min(SAMPLE);
        let streams = Streams::new("mistilt: windows that show the domain of a network", seed);
        let mut out = Vec::with_capacity(taken * pixels);
        for k in 0..taken {
            let mut window = values[count * k / taken * pixels..][..pixels].to_vec();
            self.disturb(&mut window, &mut streams.stream(k as u64));
            out.extend(window);
        }
        out
    }

    fn disturb(&self, window: &mut [f32], random: &mut ChaCha8Rng) {
        if let Some(camera) = self.camera {
            camera.apply(window, self.size_px, random);
        }
        self.network.prepare(window, self.given);
        if self.noise > 0.0 {
            let sigma = (self.noise * random.random::<f64>()) as f32 * deviation(window);
            for value in window.iter_mut() {
                let draw: f32 = StandardNormal.sample(random);
                *value += sigma * draw;
            }
            if self.network.normalisation() == Normalisation::Window {
                normalise(window);
            }
        }
    }
}

fn deviation(window: &[f32]) -> f32 {
    let n = window.len() as f64;
    let mean = window.iter().map(|v| f64::from(*v)).sum::<f64>() / n;
    (window.iter().map(|v| (f64::from(*v) - mean).powi(2)).sum::<f64>() / n).sqrt() as f32
}

/// A window to mean 0 and standard deviation 1; a flat one to 0.
pub(super) fn normalise(window: &mut [f32]) {
    let n = window.len() as f64;
    let mean = window.iter().map(|v| f64::from(*v)).sum::<f64>() / n;
    let sigma = deviation(window);
    let scale = if sigma > 0.0 { 1.0 / sigma } else { 0.0 };
    for value in window {
        *value = ((f64::from(*value) - mean) as f32) * scale;
    }
}
