//! How a network is trained, as a value: loss, steps, stopping, augmentation, ensemble, device.

use super::{DcnnError, Loss, Schedule};
use serde::{Deserialize, Serialize};

/// Settings of a training.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrainingSettings {
    /// What is made small.
    pub loss: Loss,
    /// Epochs at most, 1 to 100000.
    pub epochs: usize,
    /// Windows a step, 1 to 65536; batches are made equally large.
    pub batch_size: usize,
    /// Largest learning rate of AdamW, above 0 to 1.
    pub learning_rate: f64,
    /// Decay of the weights, 0 to 1; a step takes learning rate × decay of a weight.
    pub weight_decay: f64,
    /// How the learning rate goes down.
    pub schedule: Schedule,
    /// Epochs without a smaller validation loss after which a member stops; 0: never.
    pub patience: usize,
    /// Turn every window by a symmetry of the square drawn anew each epoch, and its label with it.
    pub symmetries: bool,
    /// Noise added to every window in every epoch: Gaussian, its standard deviation drawn between 0 and this, in units of the window's own;
    /// 0 to 10.
    pub noise: f64,
    /// Networks of the ensemble, 1 to 64: their scatter is the epistemic uncertainty.
    pub members: usize,
    /// Longest gradient; a longer one is cut to it. Above 0.
    pub longest_gradient: f64,
    /// Where it is trained.
    pub device: Device,
}

/// Where a network is trained.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Device {
    /// This processor, all threads.
    #[default]
    Cpu,
    /// The first CUDA device; the build must have the feature `candle-cuda`.
    Cuda,
}

impl Default for TrainingSettings {
    fn default() -> Self {
        Self {
            loss: Loss::default(),
            epochs: 40,
            batch_size: 64,
            learning_rate: 2e-3,
            weight_decay: 0.01,
            schedule: Schedule::Cosine,
            patience: 0,
            symmetries: true,
            noise: 0.0,
            members: 1,
            longest_gradient: 5.0,
            device: Device::Cpu,
        }
    }
}

impl TrainingSettings {
    /// Checks every number.
    ///
    /// # Errors
    /// [`DcnnError::Range`] names the first that is out of its range.
    pub fn check(&self) -> Result<(), DcnnError> {
        let beta = if let Loss::GaussianNll { beta } = self.loss { f64::from(beta) } else { 0.0 };
        let patience = if let Schedule::Plateau { patience } = self.schedule { patience } else { 1 };
        let checks = [
            ("the number of epochs", self.epochs as f64, (1.0..=1e5).contains(&(self.epochs as f64)), "1 to 100000"),
            ("the batch size", self.batch_size as f64, (1..=65_536).contains(&self.batch_size), "1 to 65536"),
            ("the learning rate", self.learning_rate, self.learning_rate > 0.0 && self.learning_rate <= 1.0, "above 0 to 1"),
            ("the decay of the weights", self.weight_decay, (0.0..=1.0).contains(&self.weight_decay), "0 to 1"),
            ("the noise", self.noise, (0.0..=10.0).contains(&self.noise), "0 to 10"),
            ("the number of networks in the ensemble", self.members as f64, (1..=64).contains(&self.members), "1 to 64"),
            ("the longest gradient", self.longest_gradient, self.longest_gradient > 0.0, "above 0"),
            ("β of the likelihood", beta, (0.0..=1.0).contains(&beta), "0 to 1"),
            ("the patience of the learning rate", patience as f64, patience > 0, "1 or more epochs"),
        ];
        match checks.into_iter().find(|(_, _, fits, _)| !fits) {
            Some((what, value, _, allowed)) => Err(DcnnError::Range { what, value, allowed }),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_out_of_range_is_named() {
        let good = TrainingSettings::default();
        good.check().unwrap();
        let bad = [
            (TrainingSettings { epochs: 0, ..good }, "epochs"),
            (TrainingSettings { learning_rate: f64::NAN, ..good }, "learning rate is NaN"),
            (TrainingSettings { loss: Loss::GaussianNll { beta: 2.0 }, ..good }, "β"),
            (TrainingSettings { schedule: Schedule::Plateau { patience: 0 }, ..good }, "patience"),
            (TrainingSettings { members: 65, ..good }, "1 to 64"),
        ];
        for (settings, part) in bad {
            let refusal = settings.check().unwrap_err().to_string();
            assert!(refusal.contains(part), "{refusal}");
        }
    }
}
