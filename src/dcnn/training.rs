//! Training: epochs of shuffled and augmented batches, validation, early stopping, ensembles. Every draw is a function of (seed, member,
//! epoch, window), so a training that is kept and taken up again ends in the same bytes as one that ran through.

use super::architecture::Plan;
use super::augmentation::{Augmentation, Augmenter, Examples};
use super::cpu::{BatchGradient, CpuEngine};
use super::domain::Domain;
use super::graph::GraphEngine;
use super::network::{LabelScale, Network};
use super::optimiser::{AdamW, clip};
use super::parameters::initial;
use super::settings::{Device, TrainingSettings};
use super::{Architecture, DcnnError, Schedule};
use crate::numerics::seeds::Streams;
use crate::windows::{Normalisation, WindowSet};
use rand::{Rng, RngExt};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::ops::ControlFlow;

/// The fewest labelled windows a training takes.
const LEAST_WINDOWS: usize = 8;

/// What an epoch came to.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct EpochRecord {
    /// Member of the ensemble, from 0.
    pub member: usize,
    /// Epoch, from 1.
    pub epoch: usize,
    /// Mean loss of the training windows while they were learnt from, of standardised labels.
    pub training_loss: f64,
    /// Mean loss of the validation windows afterwards; `None` without any.
    pub validation_loss: Option<f64>,
    /// Root mean square error of a component on the validation windows, pm; `None` without any.
    pub validation_rmse_pm: Option<f64>,
    /// Learning rate at the end of the epoch.
    pub learning_rate: f64,
}

/// A trained network and how it got there.
#[derive(Debug, Clone, PartialEq)]
pub struct Trained {
    /// The network, each member as it was in its best epoch.
    pub network: Network,
    /// Every epoch of every member.
    pub history: Vec<EpochRecord>,
    /// The epoch that was kept, for every member.
    pub best_epochs: Vec<usize>,
}

/// Everything of a training that changes from epoch to epoch.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct State {
    pub(super) weights: Vec<f32>,
    pub(super) optimiser: AdamW,
    pub(super) best_weights: Vec<f32>,
    /// Weights of the members that are finished.
    pub(super) finished: Vec<Vec<f32>>,
    pub(super) counters: Counters,
}

/// The small numbers of a [`State`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Counters {
    pub(super) member: usize,
    /// Epochs that this member has behind it.
    pub(super) epoch: usize,
    pub(super) best_loss: Option<f64>,
    pub(super) best_epoch: usize,
    /// Epochs since the validation loss was last the smallest.
    pub(super) stale: usize,
    pub(super) halvings: u32,
    pub(super) best_epochs: Vec<usize>,
    pub(super) history: Vec<EpochRecord>,
}

enum Engine {
    Cpu(Box<CpuEngine>),
    Graph(GraphEngine),
}

impl Engine {
    fn new(device: Device, plan: &Plan, weights: &[f32]) -> Result<Self, DcnnError> {
        match device {
            Device::Cpu => Ok(Self::Cpu(Box::new(CpuEngine::new(plan, weights)))),
            Device::Cuda => GraphEngine::cuda(plan, weights).map(Self::Graph),
        }
    }

    fn set_weights(&mut self, weights: &[f32]) -> Result<(), DcnnError> {
        match self {
            Self::Cpu(engine) => {
                engine.set_weights(weights);
                Ok(())
            }
            Self::Graph(engine) => engine.set_weights(weights),
        }
    }

    fn gradient(&self, windows: &[f32], targets: &[[f32; 2]], settings: &TrainingSettings) -> Result<BatchGradient, DcnnError> {
        match self {
            Self::Cpu(engine) => Ok(engine.gradient(windows, targets, settings.loss)),
            Self::Graph(engine) => engine.gradient(windows, targets, settings.loss),
        }
    }

    fn outputs(&self, windows: &[f32]) -> Result<Vec<f32>, DcnnError> {
        match self {
            Self::Cpu(engine) => Ok(engine.outputs(windows)),
            Self::Graph(engine) => engine.outputs(windows),
        }
    }
}

/// A training that goes on epoch by epoch.
pub struct Trainer<'a> {
    plan: Plan,
    architecture: Architecture,
    settings: TrainingSettings,
    seed: u64,
    network: Network,
    training: Examples<'a>,
    validation: Examples<'static>,
    augmenter: Augmenter<'a>,
    engine: Engine,
    pub(super) state: State,
    /// Hash of all that decides the outcome: the key of a checkpoint.
    pub(super) key: String,
}

/// Trains a network: see [`Trainer`]. Windows without a label are left out. `progress` is told of every epoch and can stop the training,
/// which then keeps the best so far.
///
/// # Errors
/// [`DcnnError`] if the network cannot be built, the settings or windows do not fit, or the loss leaves the finite numbers.
pub fn train(
    training: &WindowSet,
    validation: &WindowSet,
    architecture: &Architecture,
    settings: &TrainingSettings,
    seed: u64,
    progress: &mut dyn FnMut(&EpochRecord) -> ControlFlow<()>,
) -> Result<Trained, DcnnError> {
    let mut trainer = Trainer::new(training, validation, architecture, settings, seed, None)?;
    while let Some(record) = trainer.epoch()? {
        if progress(&record).is_break() {
            break;
        }
    }
    trainer.finish()
}

impl<'a> Trainer<'a> {
    /// A training at its start. Windows of both sets must be cut alike; `validation` may be empty, and then there is no early stopping.
    ///
    /// `augmentation` changes the windows of every epoch as a camera would. It sees them as they are in the set; a set without
    /// normalisation is then normalised window by window afterwards, and the network does the same to what it is to predict.
    ///
    /// # Errors
    /// As for [`train`].
    pub fn new(
        training: &'a WindowSet,
        validation: &WindowSet,
        architecture: &Architecture,
        settings: &TrainingSettings,
        seed: u64,
        augmentation: Option<&'a dyn Augmentation>,
    ) -> Result<Self, DcnnError> {
        settings.check()?;
        let plan = architecture.plan(training.size_px)?;
        let known = [known_windows(training, "training", LEAST_WINDOWS)?, known_windows(validation, "validation", 0)?];
        let scale = LabelScale::of(training, &known[0], settings.symmetries);
        let mut network = Network::untrained(architecture, training, scale);
        if augmentation.is_some() && training.normalisation == Normalisation::None {
            network.normalise_windows();
        }
        if !validation.is_empty() {
            network.check_windows(validation)?;
        }
        let chosen = |set: &WindowSet, known: &[usize]| -> Vec<f32> { known.iter().flat_map(|&i| set.window(i)).copied().collect() };
        let targets = |set: &WindowSet, known: &[usize]| known.iter().map(|&i| scale.standardised(set.labels[i])).collect();
        let mut validation_values = chosen(validation, &known[1]);
        network.prepare(&mut validation_values, validation.normalisation);
        let images = |set: &WindowSet, known: &[usize]| -> Vec<u32> { known.iter().map(|&i| set.images[i]).collect() };
        let validation_examples = Examples {
            values: Cow::Owned(validation_values),
            images: images(validation, &known[1]),
            targets: targets(validation, &known[1]),
        };
        let all_known = known[0].len() == training.len();
        let values = if all_known { Cow::Borrowed(training.values.as_slice()) } else { Cow::Owned(chosen(training, &known[0])) };
        let training_examples = Examples { values, images: images(training, &known[0]), targets: targets(training, &known[0]) };
        let augmenter = Augmenter::new(settings, augmentation, &network, training.normalisation);
        let key = key(training, validation, architecture, settings, seed, augmentation);
        let weights = initial(&plan, member_seed(seed, 0));
        let engine = Engine::new(settings.device, &plan, &weights)?;
        let state = State::fresh(weights);
        Ok(Self {
            plan,
            architecture: architecture.clone(),
            settings: *settings,
            seed,
            network,
            training: training_examples,
            validation: validation_examples,
            augmenter,
            engine,
            state,
            key,
        })
    }

    /// One more epoch, or `None` when the training is finished.
    ///
    /// # Errors
    /// [`DcnnError::Diverged`] if the loss is no number any more; [`DcnnError::Device`] if the device fails.
    pub fn epoch(&mut self) -> Result<Option<EpochRecord>, DcnnError> {
        if self.member_is_done() && !self.next_member()? {
            return Ok(None);
        }
        let (epoch, member) = (self.state.counters.epoch, self.state.counters.member);
        let seed = member_seed(self.seed, member);
        let order = shuffled(self.training.len(), seed, epoch);
        let batches = order.len().div_ceil(self.settings.batch_size);
        let (mut total, mut learning_rate) = (0.0, 0.0);
        for batch in 0..batches {
            let part = &order[order.len() * batch / batches..order.len() * (batch + 1) / batches];
            let (windows, targets) = self.augmenter.batch(&self.training, part, seed, epoch);
            let BatchGradient { loss, mut gradient } = self.engine.gradient(&windows, &targets, &self.settings)?;
            total += loss;
            for g in &mut gradient {
                *g /= part.len() as f32;
            }
            let length = clip(&mut gradient, self.settings.longest_gradient);
            if !(loss.is_finite() && length.is_finite()) {
                return Err(DcnnError::Diverged { member, epoch: epoch + 1, learning_rate: self.settings.learning_rate });
            }
            let progress = epoch as f64 + batch as f64 / batches as f64;
            learning_rate =
                self.settings.learning_rate * self.settings.schedule.factor(progress, self.settings.epochs, self.state.counters.halvings);
            let State { weights, optimiser, .. } = &mut self.state;
            optimiser.step(&self.plan, weights, &gradient, learning_rate, self.settings.weight_decay);
            self.engine.set_weights(&self.state.weights)?;
        }
        let validation = self.validate()?;
        let record = EpochRecord {
            member,
            epoch: epoch + 1,
            training_loss: total / order.len() as f64,
            validation_loss: validation.map(|v| v.0),
            validation_rmse_pm: validation.map(|v| v.1),
            learning_rate,
        };
        self.keep(record);
        Ok(Some(record))
    }

    /// The network as it is now, each member in its best epoch.
    ///
    /// # Errors
    /// [`DcnnError::Stopped`] before the first epoch.
    pub fn finish(mut self) -> Result<Trained, DcnnError> {
        let State { best_weights, finished, counters, .. } = &mut self.state;
        if counters.best_epoch > 0 && finished.len() == counters.member {
            finished.push(std::mem::take(best_weights));
            counters.best_epochs.push(counters.best_epoch);
        }
        if finished.is_empty() {
            return Err(DcnnError::Stopped);
        }
        let mut network = self.network;
        network.set_members(std::mem::take(finished));
        let seen = self.augmenter.sample(&self.training, member_seed(self.seed, 0));
        network.set_domain(Domain::of(&seen, self.plan.size_px));
        network.learn_from_validation(&self.validation.values, &self.validation.targets);
        let Counters { history, best_epochs, .. } = self.state.counters;
        Ok(Trained { network, history, best_epochs })
    }

    /// Epochs that are still to come at most, over all members.
    #[must_use]
    pub fn epochs_left(&self) -> usize {
        let done = if self.member_is_done() { self.settings.epochs } else { self.state.counters.epoch };
        (self.settings.members - self.state.counters.member) * self.settings.epochs - done
    }

    /// The architecture that is trained.
    #[must_use]
    pub fn architecture(&self) -> &Architecture {
        &self.architecture
    }

    /// Gives the state to the engine, after it was read from a checkpoint.
    pub(super) fn restore(&mut self, state: State) -> Result<(), DcnnError> {
        self.engine.set_weights(&state.weights)?;
        self.state = state;
        Ok(())
    }

    fn member_is_done(&self) -> bool {
        let Counters { epoch, stale, .. } = self.state.counters;
        let out_of_patience = self.settings.patience > 0 && stale >= self.settings.patience && self.validation.len() > 0;
        epoch >= self.settings.epochs || out_of_patience
    }

    /// Goes on to the next member of the ensemble; `false` if that was the last.
    fn next_member(&mut self) -> Result<bool, DcnnError> {
        let next = self.state.counters.member + 1;
        if next >= self.settings.members {
            return Ok(false);
        }
        let weights = initial(&self.plan, member_seed(self.seed, next));
        self.engine.set_weights(&weights)?;
        let before = std::mem::replace(&mut self.state, State::fresh(weights));
        self.state.finished = before.finished;
        self.state.finished.push(before.best_weights);
        let Counters { best_epoch, mut best_epochs, history, .. } = before.counters;
        best_epochs.push(best_epoch);
        self.state.counters = Counters { member: next, best_epochs, history, ..self.state.counters.clone() };
        Ok(true)
    }

    /// Mean loss and root mean square error (pm) on the validation windows.
    fn validate(&self) -> Result<Option<(f64, f64)>, DcnnError> {
        if self.validation.len() == 0 {
            return Ok(None);
        }
        let outputs = self.engine.outputs(&self.validation.values)?;
        let (mut loss, mut squares) = (0.0, 0.0);
        let mut slopes = vec![0.0; self.plan.outputs];
        for (outputs, target) in outputs.chunks(self.plan.outputs).zip(&self.validation.targets) {
            loss += self.settings.loss.value_and_gradient(outputs, *target, &mut slopes);
            squares += (0..2).map(|k| f64::from(outputs[k] - target[k]).powi(2)).sum::<f64>();
        }
        let n = self.validation.len() as f64;
        Ok(Some((loss / n, self.network.label_scale_pm() * (squares / (2.0 * n)).sqrt())))
    }

    fn keep(&mut self, record: EpochRecord) {
        let State { weights, best_weights, counters, .. } = &mut self.state;
        counters.epoch += 1;
        counters.history.push(record);
        // Without validation the last epoch is the best.
        let better = record.validation_loss.is_none_or(|loss| counters.best_loss.is_none_or(|best| loss < best));
        if better {
            counters.best_loss = record.validation_loss;
            counters.best_epoch = counters.epoch;
            counters.stale = 0;
            best_weights.clone_from(weights);
        } else {
            counters.stale += 1;
            if let Schedule::Plateau { patience } = self.settings.schedule
                && counters.stale.is_multiple_of(patience)
            {
                counters.halvings += 1;
            }
        }
    }
}

impl State {
    fn fresh(weights: Vec<f32>) -> Self {
        let counters = Counters {
            member: 0,
            epoch: 0,
            best_loss: None,
            best_epoch: 0,
            stale: 0,
            halvings: 0,
            best_epochs: Vec::new(),
            history: Vec::new(),
        };
        Self { optimiser: AdamW::new(weights.len()), best_weights: weights.clone(), weights, finished: Vec::new(), counters }
    }
}

/// Windows with a label, which must be at least so many.
fn known_windows(set: &WindowSet, which: &'static str, least: usize) -> Result<Vec<usize>, DcnnError> {
    let known = set.labelled();
    if known.len() < least {
        return Err(DcnnError::TooFew { which, windows: set.len(), known: known.len(), least });
    }
    Ok(known)
}

/// The seed of a member of the ensemble.
fn member_seed(seed: u64, member: usize) -> u64 {
    Streams::new("mistilt: member of an ensemble of networks", seed).stream(member as u64).next_u64()
}

/// The order of the windows in an epoch (Fisher and Yates).
fn shuffled(count: usize, seed: u64, epoch: usize) -> Vec<usize> {
    let mut random = Streams::new("mistilt: order of the training windows", seed).stream(epoch as u64);
    let mut order: Vec<usize> = (0..count).collect();
    for i in (1..count).rev() {
        order.swap(i, random.random_range(0..=i as u64) as usize);
    }
    order
}

fn key(
    training: &WindowSet,
    validation: &WindowSet,
    architecture: &Architecture,
    settings: &TrainingSettings,
    seed: u64,
    augmentation: Option<&dyn Augmentation>,
) -> String {
    let facts = serde_json::json!({
        "training": training.digest(), "validation": validation.digest(), "architecture": architecture, "settings": settings, "seed": seed,
        "augmentation": augmentation.map(Augmentation::key),
    });
    blake3::hash(facts.to_string().as_bytes()).to_hex().to_string()
}
