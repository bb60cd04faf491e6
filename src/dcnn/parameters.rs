//! The weights that training starts from: normal numbers of variance 2 / inputs (He et al., ICCV 2015, for ReLU), drawn by counters.

use super::architecture::Plan;
use crate::numerics::seeds::Streams;
use rand_distr::{Distribution, StandardNormal};

/// The head's last layer starts this much smaller: the first predictions are near the labels' mean, with their spread as σ.
const LAST_LAYER: f64 = 0.1;

/// Starting weights in the order of the plan's parameters; biases are zero. Tensor n draws from stream n.
pub(super) fn initial(plan: &Plan, seed: u64) -> Vec<f32> {
    let streams = Streams::new("mistilt: initial weights of a network", seed);
    let mut out = vec![0.0; plan.parameter_count()];
    let last = plan.parameters.len() - 2;
    for (n, parameter) in plan.parameters.iter().enumerate().filter(|(_, p)| !p.is_bias()) {
        let inputs: usize = parameter.shape[1..].iter().product();
        let spread = (2.0 / inputs as f64).sqrt() * if n == last { LAST_LAYER } else { 1.0 };
        let mut random = streams.stream(n as u64);
        for weight in &mut out[parameter.range()] {
            let draw: f64 = StandardNormal.sample(&mut random);
            *weight = (spread * draw) as f32;
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dcnn::Architecture;

    #[test]
    fn weights_have_the_variance_that_relu_keeps_and_depend_on_the_seed_alone() {
        let plan = Architecture::default().plan(32).unwrap();
        let weights = initial(&plan, 1);
        assert_eq!(weights, initial(&plan, 1));
        assert_ne!(weights, initial(&plan, 2));
        let layer = &weights[plan.parameters[4].range()]; // 48 × 32 × 9 weights
        let variance = layer.iter().map(|w| f64::from(*w).powi(2)).sum::<f64>() / layer.len() as f64;
        assert!((variance * 288.0 / 2.0 - 1.0).abs() < 0.05, "{variance}");
        assert!(weights[plan.parameters[1].range()].iter().all(|b| *b == 0.0));
    }
}
