//! What makes a window new in every epoch: a symmetry of the square, noise, or what a camera adds; drawn by counters.

use super::network::Network;
use super::settings::TrainingSettings;
use super::symmetry::Symmetry;
use crate::detection::WindowNoise;
use crate::numerics::seeds::Streams;
use crate::windows::{Normalisation, WindowSet};
use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};
use rayon::prelude::*;
use std::borrow::Cow;

/// A change of a window that leaves its label true, such as the noise of a camera.
pub trait Augmentation: Sync {
    /// Changes a window of `size_px × size_px` values, of image number `image` of the training set, in place; all chance comes from `random`.
    fn apply(&self, window: &mut [f32], size_px: usize, image: u32, random: &mut ChaCha8Rng);

    /// All that decides what it does, as text: part of what a checkpoint belongs to.
    fn key(&self) -> String;
}

/// The noise of the cameras that took the images of a training set, put anew on windows of expected fractions of the beam.
#[derive(Debug, Clone)]
pub struct CameraNoise {
    /// One camera an image, in the order of their numbers; images beyond the last have its camera.
    pub cameras: Vec<WindowNoise>,
    /// The dose of a window is its camera's times a factor between 1 / this and this, even in its logarithm; 1 or more.
    pub dose_spread: f64,
}

impl CameraNoise {
    /// Changes one window of an image in place.
    pub fn disturb(&self, window: &mut [f32], size_px: usize, image: u32, random: &mut ChaCha8Rng) {
        let Some(camera) = self.cameras.get(image as usize).or(self.cameras.last()) else { return };
        let number = random.random();
        // The one refusal is of windows that are no whole rows, and these are squares.
        let _ = if self.dose_spread > 1.0 {
            let factor = self.dose_spread.powf(2.0 * random.random::<f64>() - 1.0);
            camera.at_dose(factor).apply(number, window, size_px)
        } else {
            camera.apply(number, window, size_px)
        };
    }

    /// Windows of expected fractions as their cameras record them once, then normalised one by one: what validates and tests. Window n draws
    /// from its own stream of `seed`.
    pub fn record(&self, set: &mut WindowSet, seed: u64) {
        let size_px = set.size_px;
        let streams = Streams::new("mistilt: windows as a camera records them once", seed);
        let windows = set.values.par_chunks_mut((size_px * size_px).max(1)).zip(&set.images).enumerate().with_min_len(8);
        windows.for_each(|(n, (window, &image))| {
            self.disturb(window, size_px, image, &mut streams.stream(n as u64));
            normalise(window);
        });
        set.normalisation = Normalisation::Window;
    }
}

impl Augmentation for CameraNoise {
    fn apply(&self, window: &mut [f32], size_px: usize, image: u32, random: &mut ChaCha8Rng) {
        self.disturb(window, size_px, image, random);
    }

    fn key(&self) -> String {
        let cameras: Vec<_> = self.cameras.iter().map(WindowNoise::key).collect();
        serde_json::json!({ "cameras": cameras, "dose_spread": self.dose_spread }).to_string()
    }
}

/// Windows with a label, the image each comes from, and their standardised labels. A million windows are not copied if all have one.
pub(super) struct Examples<'a> {
    pub(super) values: Cow<'a, [f32]>,
    pub(super) images: Vec<u32>,
    pub(super) targets: Vec<[f32; 2]>,
}

impl Examples<'_> {
    pub(super) fn len(&self) -> usize {
        self.targets.len()
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
    pub(super) fn batch(&self, examples: &Examples<'_>, part: &[usize], seed: u64, epoch: usize) -> (Vec<f32>, Vec<[f32; 2]>) {
        let pixels = self.size_px * self.size_px;
        let streams = Streams::new("mistilt: augmentation of the training windows", seed);
        let count = examples.len() as u64;
        let mut windows = vec![0.0; part.len() * pixels];
        let mut turned = vec![[0.0; 2]; part.len()];
        let jobs = windows.par_chunks_mut(pixels).zip(&mut turned).zip(part).with_min_len(8);
        jobs.for_each(|((to, target), &index)| {
            let mut random = streams.stream(epoch as u64 * count + index as u64);
            let symmetry = Symmetry::number(if self.symmetries { random.random_range(0..Symmetry::COUNT as u64) as usize } else { 0 });
            *target = symmetry.turn_vector(examples.targets[index]);
            symmetry.turn(&examples.values[index * pixels..][..pixels], self.size_px, to);
            self.disturb(to, examples.images[index], &mut random);
        });
        (windows, turned)
    }

    /// Some of the windows as they are in training: those the domain of the network is learnt from.
    pub(super) fn sample(&self, examples: &Examples<'_>, seed: u64) -> Vec<f32> {
        let pixels = self.size_px * self.size_px;
        let count = examples.len();
        let taken = count.min(SAMPLE);
        let streams = Streams::new("mistilt: windows that show the domain of a network", seed);
        let mut out = Vec::with_capacity(taken * pixels);
        for k in 0..taken {
            let index = count * k / taken;
            let mut window = examples.values[index * pixels..][..pixels].to_vec();
            self.disturb(&mut window, examples.images[index], &mut streams.stream(k as u64));
            out.extend(window);
        }
        out
    }

    fn disturb(&self, window: &mut [f32], image: u32, random: &mut ChaCha8Rng) {
        if let Some(camera) = self.camera {
            camera.apply(window, self.size_px, image, random);
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
