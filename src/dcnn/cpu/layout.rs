//! How weights, gradients and activations lie in memory on the processor, and the way from and to the plan's parameters, whose order is
//! `PyTorch`'s.

use super::convolution::{Shape, padded};
use crate::dcnn::architecture::{Parameter, Plan};
use crate::dcnn::loss::Loss;
use crate::dcnn::{GlobalPooling, Pooling};
use rayon::prelude::*;

/// A convolution and what follows it.
pub(super) struct Convolution {
    pub(super) shape: Shape,
    /// Output channels that are not padding.
    outputs: usize,
    pub(super) pooling: Option<Pooling>,
}

impl Convolution {
    /// The convolution that takes the gradient of the output to that of the input.
    pub(super) fn turned(&self) -> Shape {
        let Shape { side, input_stride, outputs, .. } = self.shape;
        Shape { side, inputs: self.outputs, input_stride: outputs, outputs: input_stride }
    }
}

/// A plan laid out.
pub(super) struct Layout {
    plan: Plan,
    convolutions: Vec<Convolution>,
}

/// Weights of all layers, ready for the kernels.
pub(super) struct Packed {
    pub(super) convolutions: Vec<PackedConvolution>,
    pub(super) dense: Vec<PackedDense>,
}

/// Weights of a convolution.
pub(super) struct PackedConvolution {
    /// `[ky][kx][input][output]`.
    pub(super) forward: Vec<f32>,
    /// `[2 − ky][2 − kx][output][input]`; empty for the first layer.
    pub(super) backward: Vec<f32>,
    pub(super) bias: Vec<f32>,
}

/// Weights of a dense layer, `[input][output]`, and its bias; or their gradients. For a convolution, those of [`PackedConvolution`].
pub(super) struct PackedDense {
    pub(super) weights: Vec<f32>,
    pub(super) bias: Vec<f32>,
}

/// Sums of gradients over a chunk, laid out like the forward weights.
pub(super) struct Sums {
    pub(super) convolutions: Vec<PackedDense>,
    pub(super) dense: Vec<PackedDense>,
}

/// What one window leaves in every layer, and the gradients of it.
pub(super) struct Workspace {
    /// Input of every convolution, with rim.
    pub(super) inputs: Vec<Vec<f32>>,
    /// Output of every convolution behind ReLU, without rim.
    pub(super) active: Vec<Vec<f32>>,
    pub(super) features: Vec<f32>,
    /// Output of every dense layer.
    pub(super) hidden: Vec<Vec<f32>>,
    pub(super) hidden_gradients: Vec<Vec<f32>>,
    pub(super) feature_gradients: Vec<f32>,
    /// Gradient before ReLU of every convolution, with rim.
    pub(super) gradients: Vec<Vec<f32>>,
    /// Gradient of the input of every convolution, without rim (the first is empty), and of the last activations.
    pub(super) input_gradients: Vec<Vec<f32>>,
}

impl Workspace {
    pub(super) fn outputs(&self) -> &[f32] {
        self.hidden.last().map_or(&[], Vec::as_slice)
    }

    /// The loss of the outputs, whose gradient is left where `backward` looks for it.
    pub(super) fn lose(&mut self, target: [f32; 2], loss: Loss) -> f64 {
        match (self.hidden.last(), self.hidden_gradients.last_mut()) {
            (Some(outputs), Some(gradient)) => loss.value_and_gradient(outputs, target, gradient),
            _ => 0.0,
        }
    }
}

impl Layout {
    pub(super) fn new(plan: &Plan) -> Self {
        let convolutions = plan.convolutions.iter().enumerate().map(|(l, c)| {
            let input_stride = if l == 0 { 1 } else { padded(c.inputs) };
            let shape = Shape { side: c.side, inputs: c.inputs, input_stride, outputs: padded(c.outputs) };
            Convolution { shape, outputs: c.outputs, pooling: c.pooled.then_some(plan.pooling) }
        });
        Self { convolutions: convolutions.collect(), plan: plan.clone() }
    }

    pub(super) fn convolutions(&self) -> &[Convolution] {
        &self.convolutions
    }

    pub(super) fn size_px(&self) -> usize {
        self.plan.size_px
    }

    pub(super) fn pixels(&self) -> usize {
        self.plan.size_px * self.plan.size_px
    }

    pub(super) fn outputs(&self) -> usize {
        self.plan.outputs
    }

    pub(super) fn global_pooling(&self) -> GlobalPooling {
        self.plan.global_pooling
    }

    /// Index of the last convolution.
    pub(super) fn last(&self) -> usize {
        self.convolutions.len() - 1
    }

    /// Channels of the last convolution, as stored.
    pub(super) fn last_channels(&self) -> usize {
        self.convolutions.last().map_or(1, |c| c.shape.outputs)
    }

    /// Whether a leaky ReLU follows a dense layer.
    pub(super) fn leaky(&self, layer: usize) -> bool {
        self.plan.dense[layer].leaky
    }

    /// Features as stored: with the padded channels.
    fn features(&self) -> usize {
        match self.plan.global_pooling {
            GlobalPooling::Flatten => self.plan.last_side().pow(2) * self.last_channels(),
            GlobalPooling::Average | GlobalPooling::Max => self.last_channels(),
        }
    }

    /// Inputs of a dense layer as stored.
    fn dense_inputs(&self, layer: usize) -> usize {
        if layer == 0 { self.features() } else { self.plan.dense[layer].inputs }
    }

    pub(super) fn workspace(&self) -> Workspace {
        let zeros = |n: usize| vec![0.0_f32; n];
        let area = |c: &Convolution| c.shape.side * c.shape.side;
        let outputs: Vec<usize> = self.plan.dense.iter().map(|d| d.outputs).collect();
        let input_gradients = self.convolutions.iter().enumerate();
        let input_gradients = input_gradients.map(|(l, c)| zeros(if l == 0 { 0 } else { area(c) * c.shape.input_stride }));
        let last = self.convolutions.last().map(|c| zeros(area(c) * c.shape.outputs));
        Workspace {
            inputs: self.convolutions.iter().map(|c| zeros(c.shape.input_len())).collect(),
            active: self.convolutions.iter().map(|c| zeros(area(c) * c.shape.outputs)).collect(),
            features: zeros(self.features()),
            hidden: outputs.iter().map(|&n| zeros(n)).collect(),
            hidden_gradients: outputs.iter().map(|&n| zeros(n)).collect(),
            feature_gradients: zeros(self.features()),
            gradients: self.convolutions.iter().map(|c| zeros((c.shape.side + 2).pow(2) * c.shape.outputs)).collect(),
            input_gradients: input_gradients.chain(last).collect(),
        }
    }

    pub(super) fn sums(&self) -> Sums {
        let zeros = |weights: usize, bias: usize| PackedDense { weights: vec![0.0; weights], bias: vec![0.0; bias] };
        let dense = self.plan.dense.iter().enumerate().map(|(l, d)| zeros(self.dense_inputs(l) * d.outputs, d.outputs));
        Sums {
            convolutions: self.convolutions.iter().map(|c| zeros(c.shape.weights_len(), c.shape.outputs)).collect(),
            dense: dense.collect(),
        }
    }

    /// From the order of the plan to that of the kernels.
    pub(super) fn pack(&self, values: &[f32]) -> Packed {
        let convolution = |l: usize, c: &Convolution| {
            let [weights, bias] = self.plan.convolution_parameters(l).map(|p| &values[p.range()]);
            let Shape { inputs, input_stride, outputs: stored, .. } = c.shape;
            let mut forward = vec![0.0; c.shape.weights_len()];
            let mut backward = vec![0.0; if l == 0 { 0 } else { 9 * c.outputs * input_stride }];
            for (at, tap, o, i) in taps(c.outputs, inputs) {
                forward[(tap * inputs + i) * stored + o] = weights[at];
                if l > 0 {
                    backward[((8 - tap) * c.outputs + o) * input_stride + i] = weights[at];
                }
            }
            let mut padded_bias = bias.to_vec();
            padded_bias.resize(stored, 0.0);
            PackedConvolution { forward, backward, bias: padded_bias }
        };
        let dense = (0..self.plan.dense.len()).map(|l| {
            let [weights, bias] = self.plan.dense_parameters(l).map(|p| &values[p.range()]);
            let mut packed = vec![0.0; self.dense_inputs(l) * self.plan.dense[l].outputs];
            self.each_dense(l, |at, to| packed[to] = weights[at]);
            PackedDense { weights: packed, bias: bias.to_vec() }
        });
        let convolutions = self.convolutions.iter().enumerate().map(|(l, c)| convolution(l, c)).collect();
        Packed { convolutions, dense: dense.collect() }
    }

    /// The total of the chunks' sums in the order of the plan; chunks are added in their order.
    pub(super) fn unpack(&self, chunks: &[Sums]) -> Vec<f32> {
        let mut out = vec![0.0; self.plan.parameter_count()];
        let mut tensors: Vec<(&Parameter, &mut [f32])> = Vec::with_capacity(self.plan.parameters.len());
        let mut rest = out.as_mut_slice();
        for parameter in &self.plan.parameters {
            let (values, behind) = rest.split_at_mut(parameter.range().len());
            tensors.push((parameter, values));
            rest = behind;
        }
        tensors.into_par_iter().enumerate().for_each(|(n, (parameter, values))| {
            let (layer, convolutions) = (n / 2, self.convolutions.len());
            let part = |sums: &'_ Sums| -> Vec<f32> {
                let packed = if layer < convolutions { &sums.convolutions[layer] } else { &sums.dense[layer - convolutions] };
                if parameter.is_bias() { packed.bias.clone() } else { packed.weights.clone() }
            };
            let Some((first, others)) = chunks.split_first() else { return };
            let mut total = part(first);
            for sums in others {
                let packed = if layer < convolutions { &sums.convolutions[layer] } else { &sums.dense[layer - convolutions] };
                let added = if parameter.is_bias() { &packed.bias } else { &packed.weights };
                total.iter_mut().zip(added).for_each(|(t, a)| *t += a);
            }
            if parameter.is_bias() {
                values.copy_from_slice(&total[..values.len()]);
            } else if let Some(c) = self.convolutions.get(layer) {
                for (at, tap, o, i) in taps(c.outputs, c.shape.inputs) {
                    values[at] = total[(tap * c.shape.inputs + i) * c.shape.outputs + o];
                }
            } else {
                self.each_dense(layer - convolutions, |at, from| values[at] = total[from]);
            }
        });
        out
    }

    /// The activations of every convolution without padded channels.
    pub(super) fn activations(&self, workspace: &Workspace) -> Vec<Vec<f32>> {
        let layers = self.convolutions.iter().zip(&workspace.active);
        layers.map(|(c, a)| a.chunks_exact(c.shape.outputs).flat_map(|pixel| pixel[..c.outputs].to_vec()).collect()).collect()
    }

    /// For every weight of a dense layer, its place in the plan's order and in the kernels'. Flattened features are `[channel][y][x]` in
    /// the one and `[y][x][channel]` in the other.
    fn each_dense(&self, layer: usize, mut each: impl FnMut(usize, usize)) {
        let dense = &self.plan.dense[layer];
        let channels = self.convolutions.last().map_or(1, |c| c.outputs);
        let area = if layer == 0 { dense.inputs / channels } else { 1 };
        let stored = self.last_channels();
        for o in 0..dense.outputs {
            for i in 0..dense.inputs {
                let place = if layer == 0 { (i % area) * stored + i / area } else { i };
                each(o * dense.inputs + i, place * dense.outputs + o);
            }
        }
    }
}

/// Every weight of a convolution in the order `[output][input][ky][kx]`: (its place, tap, output, input).
fn taps(outputs: usize, inputs: usize) -> impl Iterator<Item = (usize, usize, usize, usize)> {
    (0..outputs * inputs * 9).map(move |at| (at, at % 9, at / (9 * inputs), at / 9 % inputs))
}
