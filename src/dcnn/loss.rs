//! What training makes small: the negative logarithm of a Gaussian likelihood with a predicted variance, or the squared error.
//!
//! Nix and Weigend, Proc. IEEE ICNN (1994) 55; the weighting by the variance to the power β, which keeps the mean from being neglected
//! where the variance is large, is that of Seitzer et al., ICLR 2022 (arXiv:2203.09168).

use serde::{Deserialize, Serialize};

/// Limits of the logarithm of the predicted variance (of standardised labels): σ from 0.002 to 12 of the labels' spread.
const LOG_VARIANCE: std::ops::RangeInclusive<f32> = -12.0..=5.0;

/// The loss of a window.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Loss {
    /// `½ Σ [(t − μ)² / σ² + ln σ²]`, its gradient weighted by σ^(2β). β = 0 is the plain likelihood, 1 the gradient of a squared error for
    /// the mean.
    GaussianNll {
        /// β, 0 to 1.
        beta: f32,
    },
    /// `½ Σ (t − μ)²`; a variance that comes out as well is not trained.
    MeanSquare,
}

impl Default for Loss {
    fn default() -> Self {
        Self::GaussianNll { beta: 0.5 }
    }
}

/// Variance of a standardised label from the network's output.
pub(super) fn variance(log_variance: f32) -> f32 {
    log_variance.clamp(*LOG_VARIANCE.start(), *LOG_VARIANCE.end()).exp()
}

impl Loss {
    /// The loss of outputs `[μx, μy]` or `[μx, μy, ln σx², ln σy²]`, and its gradient. The value is never weighted by β.
    pub(super) fn value_and_gradient(self, outputs: &[f32], target: [f32; 2], gradient: &mut [f32]) -> f64 {
        gradient.fill(0.0);
        let mut total = 0.0;
        for axis in 0..2 {
            let error = outputs[axis] - target[axis];
            match self {
                Self::GaussianNll { beta } if outputs.len() == 4 => {
                    let raw = outputs[2 + axis];
                    let precision = 1.0 / variance(raw);
                    let weight = precision.powf(-beta);
                    gradient[axis] = weight * error * precision;
                    // Beyond the limits the output does nothing, and is only let back in.
                    let slope = 0.5 * (1.0 - error * error * precision);
                    let leaves = (raw >= *LOG_VARIANCE.end() && slope < 0.0) || (raw <= *LOG_VARIANCE.start() && slope > 0.0);
                    gradient[2 + axis] = if leaves { 0.0 } else { weight * slope };
                    total += 0.5 * f64::from(error * error * precision - precision.ln());
                }
                _ => {
                    gradient[axis] = error;
                    total += 0.5 * f64::from(error * error);
                }
            }
        }
        total
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_gradient_is_the_finite_difference() {
        let outputs = [0.3_f32, -1.2, 0.4, -1.5];
        for (loss, n) in [(Loss::GaussianNll { beta: 0.0 }, 4), (Loss::MeanSquare, 4), (Loss::MeanSquare, 2)] {
            let value = |o: &[f32]| loss.value_and_gradient(&o[..n], [0.9, -0.7], &mut [0.0; 4][..n]);
            let mut gradient = [0.0; 4];
            loss.value_and_gradient(&outputs[..n], [0.9, -0.7], &mut gradient[..n]);
            for (k, found) in gradient.iter().enumerate().take(n) {
                let step = |by: f32| std::array::from_fn::<f32, 4, _>(|i| outputs[i] + if i == k { by } else { 0.0 });
                let slope = (value(&step(1e-2)) - value(&step(-1e-2))) / 2e-2;
                assert!((slope - f64::from(*found)).abs() < 2e-4, "{loss:?} {k}: {slope} {found}");
            }
        }
    }

    /// Two values whose likelihood is written out: ½(1/4 + ln 4) for an error of 1 at σ = 2, on both axes.
    #[test]
    fn the_likelihood_by_hand() {
        let four = 4.0_f32.ln();
        let value = Loss::default().value_and_gradient(&[1.0, -1.0, four, four], [0.0, 0.0], &mut [0.0; 4]);
        assert!((value - (0.25 + 4.0_f64.ln())).abs() < 1e-6);
    }

    #[test]
    fn beta_weights_the_gradient_and_nothing_else() {
        let outputs = [0.3_f32, -1.2, 0.4, -1.5];
        let [mut plain, mut weighted] = [[0.0; 4]; 2];
        let a = Loss::GaussianNll { beta: 0.0 }.value_and_gradient(&outputs, [0.9, -0.7], &mut plain);
        let b = Loss::GaussianNll { beta: 0.5 }.value_and_gradient(&outputs, [0.9, -0.7], &mut weighted);
        assert_eq!(a, b);
        for k in 0..4 {
            let sigma = (0.5 * outputs[2 + k % 2]).exp();
            assert!((weighted[k] - sigma * plain[k]).abs() < 1e-6);
        }
    }

    #[test]
    fn a_variance_at_its_limit_is_let_back_and_not_out() {
        let mut gradient = [0.0; 4];
        Loss::GaussianNll { beta: 0.0 }.value_and_gradient(&[0.0, 0.0, -20.0, 9.0], [0.0, 0.0], &mut gradient);
        assert_eq!(gradient[2], 0.0, "no error: the variance would shrink for ever");
        assert!(gradient[3] > 0.0, "too large a variance comes back");
    }
}
