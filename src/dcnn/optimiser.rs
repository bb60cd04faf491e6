//! AdamW and its learning rate: moments and counters are plain values, so that a training can be kept and taken up again to the same bytes.
//!
//! Loshchilov and Hutter, ICLR 2019 (arXiv:1711.05101).

use super::architecture::Plan;
use serde::{Deserialize, Serialize};

const BETA_1: f64 = 0.9;
const BETA_2: f64 = 0.999;
const EPSILON: f64 = 1e-8;
/// Part of the first epoch in which the learning rate rises from zero: the moments are not known yet.
const WARM_UP_EPOCHS: f64 = 1.0;

/// How the learning rate goes down.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Schedule {
    /// It does not.
    Constant,
    /// Half a cosine to a hundredth over all epochs (Loshchilov and Hutter, arXiv:1608.03983).
    Cosine,
    /// Halved whenever the validation loss has not become smaller for so many epochs.
    Plateau {
        /// How many, 1 or more.
        patience: usize,
    },
}

impl Schedule {
    /// Factor of the learning rate at `progress` epochs of `epochs`; `halvings` counts those of a plateau.
    pub(super) fn factor(self, progress: f64, epochs: usize, halvings: u32) -> f64 {
        let warm = ((progress + 1e-3) / WARM_UP_EPOCHS).min(1.0);
        let shape = match self {
            Self::Constant => 1.0,
            Self::Cosine => 0.01 + 0.99 * 0.5 * (1.0 + (std::f64::consts::PI * progress / epochs as f64).cos()),
            Self::Plateau { .. } => 0.5_f64.powi(halvings.min(30) as i32),
        };
        warm * shape
    }
}

/// First and second moments of the gradient of every weight.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct AdamW {
    pub(super) first: Vec<f32>,
    pub(super) second: Vec<f32>,
    pub(super) step: u64,
}

impl AdamW {
    pub(super) fn new(weights: usize) -> Self {
        Self { first: vec![0.0; weights], second: vec![0.0; weights], step: 0 }
    }

    /// One step down. Biases do not decay.
    pub(super) fn step(&mut self, plan: &Plan, weights: &mut [f32], gradient: &[f32], learning_rate: f64, weight_decay: f64) {
        self.step += 1;
        let power = |beta: f64| 1.0 - beta.powf(self.step as f64);
        let (b1, b2) = (BETA_1 as f32, BETA_2 as f32);
        let rate = (learning_rate / power(BETA_1)) as f32;
        let scale = (1.0 / power(BETA_2).sqrt()) as f32;
        for parameter in &plan.parameters {
            let keep = if parameter.is_bias() { 1.0 } else { (1.0 - learning_rate * weight_decay) as f32 };
            let range = parameter.range();
            let moments = self.first[range.clone()].iter_mut().zip(&mut self.second[range.clone()]);
            for ((w, g), (m, v)) in weights[range.clone()].iter_mut().zip(&gradient[range]).zip(moments) {
                *m = b1 * *m + (1.0 - b1) * g;
                *v = b2 * *v + (1.0 - b2) * g * g;
                *w = *w * keep - rate * *m / (v.sqrt() * scale + EPSILON as f32);
            }
        }
    }
}

/// Scales a gradient to a length of at most `longest`; returns its length before.
pub(super) fn clip(gradient: &mut [f32], longest: f64) -> f64 {
    let length = gradient.iter().map(|g| f64::from(*g).powi(2)).sum::<f64>().sqrt();
    if length > longest {
        let factor = (longest / length) as f32;
        for g in gradient {
            *g *= factor;
        }
    }
    length
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dcnn::Architecture;

    /// The first step of Adam has the length of the learning rate, whatever the gradient's (Kingma and Ba, arXiv:1412.6980).
    #[test]
    fn the_first_step_is_as_long_as_the_learning_rate() {
        let plan = Architecture::default().plan(8).unwrap();
        let n = plan.parameter_count();
        let mut weights = vec![1.0; n];
        let gradient: Vec<f32> = (0..n).map(|i| if i % 2 == 0 { 1e-3 } else { -50.0 }).collect();
        AdamW::new(n).step(&plan, &mut weights, &gradient, 0.01, 0.0);
        for (w, g) in weights.iter().zip(&gradient) {
            assert!((w - (1.0 - 0.01 * g.signum())).abs() < 1e-5, "{w}");
        }
    }

    #[test]
    fn weights_decay_and_biases_do_not() {
        let plan = Architecture::default().plan(8).unwrap();
        let n = plan.parameter_count();
        let mut weights = vec![1.0; n];
        AdamW::new(n).step(&plan, &mut weights, &vec![0.0; n], 0.1, 0.5);
        for parameter in &plan.parameters {
            let wanted = if parameter.is_bias() { 1.0 } else { 0.95 };
            assert!(weights[parameter.range()].iter().all(|w| (w - wanted).abs() < 1e-6), "{}", parameter.name);
        }
    }

    #[test]
    fn the_learning_rate_warms_up_and_comes_down() {
        let cosine = |progress| Schedule::Cosine.factor(progress, 10, 0);
        assert!(cosine(0.0) < 0.01 && cosine(0.5) < cosine(1.0));
        assert!((cosine(10.0) - 0.01).abs() < 1e-9);
        assert_eq!(Schedule::Plateau { patience: 3 }.factor(5.0, 10, 2), 0.25);
    }

    #[test]
    fn long_gradients_are_cut_and_short_ones_left() {
        let mut gradient = [3.0, 4.0];
        assert_eq!(clip(&mut gradient, 10.0), 5.0);
        assert_eq!(gradient, [3.0, 4.0]);
        clip(&mut gradient, 1.0);
        assert!((gradient[0] - 0.6).abs() < 1e-6 && (gradient[1] - 0.8).abs() < 1e-6);
    }
}
