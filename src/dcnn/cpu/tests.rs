//! The kernels against a plain f64 network written from the definitions, and their gradients against its finite differences.

use super::*;
use crate::dcnn::{Architecture, Block, GlobalPooling, Head, Pooling};
use crate::numerics::seeds::Streams;
use rand_distr::{Distribution, StandardNormal};

fn normal(purpose: &str, count: usize) -> Vec<f32> {
    let mut random = Streams::new(purpose, 3).stream(0);
    (0..count).map(|_| StandardNormal.sample(&mut random)).collect()
}

/// An image `[channel][y][x]` of a plain network.
struct Planes {
    side: usize,
    data: Vec<f64>,
}

impl Planes {
    fn at(&self, c: usize, y: isize, x: isize) -> f64 {
        let n = self.side as isize;
        if (0..n).contains(&y) && (0..n).contains(&x) { self.data[(c * self.side + y as usize) * self.side + x as usize] } else { 0.0 }
    }

    fn channels(&self) -> usize {
        self.data.len() / (self.side * self.side)
    }

    fn convolved(&self, weights: &[f64], bias: &[f64]) -> Self {
        let (n, inputs) = (self.side, self.channels());
        let mut data = Vec::new();
        for (o, b) in bias.iter().enumerate() {
            for (y, x) in (0..n * n).map(|p| ((p / n) as isize, (p % n) as isize)) {
                let mut sum = *b;
                for i in 0..inputs {
                    for (ky, kx) in (0..9).map(|t| (t / 3, t % 3)) {
                        sum += weights[((o * inputs + i) * 3 + ky as usize) * 3 + kx as usize] * self.at(i, y + ky - 1, x + kx - 1);
                    }
                }
                data.push(sum.max(0.0));
            }
        }
        Self { side: n, data }
    }

    fn pooled(&self, pooling: Pooling) -> Self {
        let n = self.side / 2;
        let mut data = Vec::new();
        for c in 0..self.channels() {
            for (y, x) in (0..n * n).map(|p| (2 * (p / n) as isize, 2 * (p % n) as isize)) {
                let four = [self.at(c, y, x), self.at(c, y, x + 1), self.at(c, y + 1, x), self.at(c, y + 1, x + 1)];
                data.push(match pooling {
                    Pooling::Max => four.into_iter().fold(f64::MIN, f64::max),
                    Pooling::Average => four.iter().sum::<f64>() / 4.0,
                });
            }
        }
        Self { side: n, data }
    }

    fn features(&self, pooling: GlobalPooling) -> Vec<f64> {
        let planes = self.data.chunks(self.side * self.side);
        match pooling {
            GlobalPooling::Flatten => self.data.clone(),
            GlobalPooling::Average => planes.map(|p| p.iter().sum::<f64>() / p.len() as f64).collect(),
            GlobalPooling::Max => planes.map(|p| p.iter().copied().fold(f64::MIN, f64::max)).collect(),
        }
    }
}

/// The outputs of a network by its definition, all in f64.
fn plain_outputs(plan: &Plan, weights: &[f64], window: &[f32]) -> Vec<f64> {
    let tensor = |p: &crate::dcnn::architecture::Parameter| &weights[p.range()];
    let mut image = Planes { side: plan.size_px, data: window.iter().map(|&v| f64::from(v)).collect() };
    for (l, c) in plan.convolutions.iter().enumerate() {
        let [w, b] = plan.convolution_parameters(l).map(tensor);
        image = image.convolved(w, b);
        if c.pooled {
            image = image.pooled(plan.pooling);
        }
    }
    let mut values = image.features(plan.global_pooling);
    for (l, dense) in plan.dense.iter().enumerate() {
        let [w, b] = plan.dense_parameters(l).map(tensor);
        let out = (0..dense.outputs).map(|o| b[o] + values.iter().zip(&w[o * dense.inputs..]).map(|(v, w)| v * w).sum::<f64>());
        values = out.map(|v| if dense.leaky { v.max(f64::from(LEAK) * v) } else { v }).collect();
    }
    values
}

fn plain_loss(plan: &Plan, weights: &[f64], windows: &[f32], targets: &[[f32; 2]], loss: Loss) -> f64 {
    let of = |(window, target): (&[f32], &[f32; 2])| {
        let o = plain_outputs(plan, weights, window);
        let axis = |k: usize| {
            let error = o[k] - f64::from(target[k]);
            match loss {
                Loss::MeanSquare => 0.5 * error * error,
                Loss::GaussianNll { .. } => 0.5 * (error * error * (-o[2 + k]).exp() + o[2 + k]),
            }
        };
        axis(0) + axis(1)
    };
    windows.chunks(plan.size_px * plan.size_px).zip(targets).map(of).sum()
}

/// Networks in which every operation occurs: odd and even sides, padded and full channels, both poolings, all three global poolings.
fn networks() -> Vec<(Architecture, usize)> {
    let block = |channels, convolutions| Block { channels, convolutions };
    let network = |blocks: &[Block], pooling, global_pooling, hidden: &[usize], head| Architecture {
        blocks: blocks.to_vec(),
        pooling,
        global_pooling,
        hidden: hidden.to_vec(),
        head,
    };
    use {GlobalPooling as G, Head as H, Pooling as P};
    vec![
        (network(&[block(3, 1), block(5, 2)], P::Max, G::Average, &[4], H::MeanAndVariance), 9),
        (network(&[block(2, 2), block(3, 1)], P::Average, G::Flatten, &[3, 4], H::MeanAndVariance), 10),
        (network(&[block(4, 1), block(3, 1), block(2, 1)], P::Max, G::Max, &[], H::Mean), 13),
        (network(&[block(16, 1), block(1, 1)], P::Average, G::Average, &[], H::MeanAndVariance), 8),
    ]
}

/// Weights about the size that training starts from, biases not zero.
fn weights_of(plan: &Plan) -> Vec<f32> {
    normal("weights", plan.parameter_count()).iter().map(|w| 0.35 * w).collect()
}

#[test]
fn outputs_are_those_of_the_definition_on_every_processor() {
    for (architecture, size) in networks().into_iter().chain([(Architecture::default(), 32), (Architecture::default(), 20)]) {
        let plan = architecture.plan(size).unwrap();
        let weights = weights_of(&plan);
        let exact: Vec<f64> = weights.iter().map(|&w| f64::from(w)).collect();
        let windows = normal("windows", 3 * size * size);
        let wanted: Vec<f64> = windows.chunks(size * size).flat_map(|window| plain_outputs(&plan, &exact, window)).collect();
        let largest = wanted.iter().fold(0.0_f64, |m, v| m.max(v.abs()));
        for isa in Isa::available() {
            let found = CpuEngine::on(isa, &plan, &weights).outputs(&windows);
            for (f, w) in found.iter().zip(&wanted) {
                assert!((f64::from(*f) - w).abs() < 2e-5 * largest, "{isa} {architecture:?}: {f} {w}");
            }
        }
    }
}

#[test]
fn gradients_are_the_finite_differences_of_the_definition() {
    for (architecture, size) in networks() {
        let plan = architecture.plan(size).unwrap();
        let weights = weights_of(&plan);
        let windows = normal("windows", 3 * size * size);
        let targets = [[0.4, -0.3], [-1.0, 0.8], [0.1, 0.2]];
        let loss = if plan.outputs == 4 { Loss::GaussianNll { beta: 0.0 } } else { Loss::MeanSquare };
        let exact: Vec<f64> = weights.iter().map(|&w| f64::from(w)).collect();
        let slope = |k: usize| {
            let moved = |by: f64| {
                let mut w = exact.clone();
                w[k] += by;
                plain_loss(&plan, &w, &windows, &targets, loss)
            };
            (moved(1e-5) - moved(-1e-5)) / 2e-5
        };
        let wanted: Vec<f64> = (0..weights.len()).map(slope).collect();
        let largest = wanted.iter().fold(0.0_f64, |m, v| m.max(v.abs()));
        for isa in Isa::available() {
            let found = CpuEngine::on(isa, &plan, &weights).gradient(&windows, &targets, loss);
            let value = plain_loss(&plan, &exact, &windows, &targets, loss);
            assert!((found.loss - value).abs() < 1e-4 * value.abs().max(1.0), "{isa}: {} {value}", found.loss);
            for (parameter, (f, w)) in found.gradient.iter().zip(&wanted).enumerate() {
                assert!((f64::from(*f) - w).abs() < 1e-4 * largest, "{isa} {architecture:?}: parameter {parameter}: {f} {w}");
            }
        }
    }
}

#[test]
fn the_number_of_threads_changes_nothing() {
    let plan = Architecture::default().plan(16).unwrap();
    let engine = CpuEngine::new(&plan, &weights_of(&plan));
    let windows = normal("windows", 37 * 256);
    let targets = vec![[0.3, -0.2]; 37];
    let on = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| (engine.outputs(&windows), engine.gradient(&windows, &targets, Loss::default()).gradient))
    };
    assert!(on(1) == on(3));
}

#[test]
fn activations_are_behind_relu_and_without_padding() {
    let (architecture, size) = networks().remove(0);
    let plan = architecture.plan(size).unwrap();
    let engine = CpuEngine::new(&plan, &weights_of(&plan));
    let layers = engine.activations(&normal("windows", size * size));
    assert_eq!(layers.iter().map(Vec::len).collect::<Vec<_>>(), [81 * 3, 16 * 5, 16 * 5]);
    assert!(layers.iter().flatten().all(|v| *v >= 0.0) && layers.iter().flatten().any(|v| *v > 0.0));
}

/// One long step can push every hidden unit below zero; the gradient still reaches their weights and those of the convolutions.
#[test]
fn a_head_whose_units_are_all_below_zero_goes_on_learning() {
    let plan = Architecture::default().plan(16).unwrap();
    let mut weights = weights_of(&plan);
    weights[plan.dense_parameters(0)[1].range()].fill(-1e3);
    let engine = CpuEngine::new(&plan, &weights);
    let gradient = engine.gradient(&normal("windows", 256), &[[0.3, -0.2]], Loss::MeanSquare).gradient;
    for parameter in [plan.dense_parameters(0)[0], plan.convolution_parameters(0)[0]] {
        assert!(gradient[parameter.range()].iter().any(|g| *g != 0.0), "{}", parameter.name);
    }
}
