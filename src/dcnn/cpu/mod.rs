//! The network on the processor: one window at a time through all layers and back, so that everything stays in the cache; windows in
//! fixed chunks on all threads, gradients summed in the order of the chunks: the same bytes for any number of threads.

mod convolution;
mod dense;
mod layout;
mod pooling;
#[cfg(test)]
mod tests;

use super::architecture::{LEAK, Plan};
use super::loss::Loss;
use crate::numerics::lanes::Isa;
#[cfg(target_arch = "x86_64")]
use crate::numerics::lanes::{F32x8, F32x16};
use crate::numerics::simd::{Plain, Vector};
use convolution::{Forward, WeightGradient};
use layout::{Layout, Packed, Sums, Workspace};
use rayon::prelude::*;
use std::sync::Mutex;

/// Windows whose gradients one thread sums; the chunks of a batch are summed in their order. A constant: results depend on it.
const CHUNK: usize = 8;

/// A network's weights packed for this processor, with the memory it works in.
pub(super) struct CpuEngine {
    layout: Layout,
    packed: Packed,
    isa: Isa,
    /// Memory of threads that are not at work.
    idle: Mutex<Vec<Workspace>>,
}

/// What a batch gives.
pub(super) struct BatchGradient {
    /// Sum of the losses of the windows.
    pub(super) loss: f64,
    /// Gradient of that sum, in the order of the plan's parameters.
    pub(super) gradient: Vec<f32>,
}

impl CpuEngine {
    /// A network with weights in the order of the plan's parameters.
    pub(super) fn new(plan: &Plan, weights: &[f32]) -> Self {
        Self::on(Isa::best(), plan, weights)
    }

    /// The same, on a given instruction set that this processor must have.
    pub(super) fn on(isa: Isa, plan: &Plan, weights: &[f32]) -> Self {
        let layout = Layout::new(plan);
        let packed = layout.pack(weights);
        Self { layout, packed, isa, idle: Mutex::new(Vec::new()) }
    }

    /// Takes new weights.
    pub(super) fn set_weights(&mut self, weights: &[f32]) {
        self.packed = self.layout.pack(weights);
    }

    /// Outputs of windows (`n × size × size` values): `n × outputs`.
    pub(super) fn outputs(&self, windows: &[f32]) -> Vec<f32> {
        let (pixels, outputs) = (self.layout.pixels(), self.layout.outputs());
        let mut out = vec![0.0; windows.len() / pixels * outputs];
        out.par_chunks_mut(CHUNK * outputs).zip(windows.par_chunks(CHUNK * pixels)).for_each(|(out, windows)| {
            self.with_workspace(|workspace| {
                for (out, window) in out.chunks_exact_mut(outputs).zip(windows.chunks_exact(pixels)) {
                    self.forward(workspace, window);
                    out.copy_from_slice(workspace.outputs());
                }
            });
        });
        out
    }

    /// Loss and gradient of windows with their (standardised) targets, x and y.
    pub(super) fn gradient(&self, windows: &[f32], targets: &[[f32; 2]], loss: Loss) -> BatchGradient {
        let pixels = self.layout.pixels();
        let chunks: Vec<(f64, Sums)> = windows
            .par_chunks(CHUNK * pixels)
            .zip(targets.par_chunks(CHUNK))
            .map(|(windows, targets)| {
                self.with_workspace(|workspace| {
                    let mut sums = self.layout.sums();
                    let mut total = 0.0;
                    for (window, &target) in windows.chunks_exact(pixels).zip(targets) {
                        self.forward(workspace, window);
                        total += workspace.lose(target, loss);
                        self.backward(workspace, &mut sums);
                    }
                    (total, sums)
                })
            })
            .collect();
        let loss = chunks.iter().map(|(loss, _)| loss).sum();
        let sums: Vec<Sums> = chunks.into_iter().map(|(_, sums)| sums).collect();
        BatchGradient { loss, gradient: self.layout.unpack(&sums) }
    }

    /// The activations (behind ReLU, before pooling) of every convolution for one window: `side × side × channels` without padding.
    pub(super) fn activations(&self, window: &[f32]) -> Vec<Vec<f32>> {
        self.with_workspace(|workspace| {
            self.forward(workspace, window);
            self.layout.activations(workspace)
        })
    }

    fn with_workspace<T>(&self, work: impl FnOnce(&mut Workspace) -> T) -> T {
        // A thread that panicked left no half-done state behind: every pass overwrites what it reads.
        let take = || self.idle.lock().unwrap_or_else(std::sync::PoisonError::into_inner).pop();
        let mut workspace = take().unwrap_or_else(|| self.layout.workspace());
        let result = work(&mut workspace);
        self.idle.lock().unwrap_or_else(std::sync::PoisonError::into_inner).push(workspace);
        result
    }

    fn forward(&self, workspace: &mut Workspace, window: &[f32]) {
        #[cfg(target_arch = "x86_64")]
        match self.isa {
            Isa::Avx512 => {
                if let Some(zero) = F32x16::zero_if_supported() {
                    return self.forward_on(zero, workspace, window);
                }
            }
            Isa::Avx2 => {
                if let Some(zero) = F32x8::zero_if_supported() {
                    return self.forward_on(zero, workspace, window);
                }
            }
            Isa::Portable => {}
        }
        if let Some(zero) = Plain::zero_if_supported() {
            self.forward_on(zero, workspace, window);
        }
    }

    fn backward(&self, workspace: &mut Workspace, sums: &mut Sums) {
        #[cfg(target_arch = "x86_64")]
        match self.isa {
            Isa::Avx512 => {
                if let Some(zero) = F32x16::zero_if_supported() {
                    return self.backward_on(zero, workspace, sums);
                }
            }
            Isa::Avx2 => {
                if let Some(zero) = F32x8::zero_if_supported() {
                    return self.backward_on(zero, workspace, sums);
                }
            }
            Isa::Portable => {}
        }
        if let Some(zero) = Plain::zero_if_supported() {
            self.backward_on(zero, workspace, sums);
        }
    }

    fn forward_on<V: Vector>(&self, zero: V, workspace: &mut Workspace, window: &[f32]) {
        let Workspace { inputs, active, features, hidden, .. } = workspace;
        let size = self.layout.size_px();
        let first = &mut inputs[0];
        for (y, row) in window.chunks_exact(size).enumerate() {
            first[(y + 1) * (size + 2) + 1..][..size].copy_from_slice(row);
        }
        for (l, convolution) in self.layout.convolutions().iter().enumerate() {
            let shape = convolution.shape;
            let weights = &self.packed.convolutions[l];
            zero.run(Forward {
                zero,
                shape,
                input: &inputs[l],
                weights: &weights.forward,
                bias: Some(&weights.bias),
                output: &mut active[l],
            });
            if let Some(next) = inputs.get_mut(l + 1) {
                pooling::forward(convolution.pooling, &active[l], shape.side, shape.outputs, next);
            }
        }
        let last = self.layout.last();
        pooling::global_forward(self.layout.global_pooling(), &active[last], self.layout.last_channels(), features);
        for (l, weights) in self.packed.dense.iter().enumerate() {
            let (before, rest) = hidden.split_at_mut(l);
            let input = before.last().unwrap_or(features);
            dense::forward(input, &weights.weights, &weights.bias, self.layout.leaky(l), &mut rest[0]);
        }
    }

    /// The gradient of the outputs stands in the workspace; adds that of the weights to `sums`.
    fn backward_on<V: Vector>(&self, zero: V, workspace: &mut Workspace, sums: &mut Sums) {
        let Workspace { inputs, active, features, hidden, hidden_gradients, feature_gradients, gradients, input_gradients } = workspace;
        for l in (0..self.packed.dense.len()).rev() {
            let (before, rest) = hidden_gradients.split_at_mut(l);
            if self.layout.leaky(l) {
                rest[0].iter_mut().zip(&hidden[l]).filter(|(_, h)| **h <= 0.0).for_each(|(g, _)| *g *= LEAK);
            }
            let input = if l == 0 { &*features } else { &hidden[l - 1] };
            let to = before.last_mut().unwrap_or(feature_gradients);
            let (weights, sums) = (&self.packed.dense[l], &mut sums.dense[l]);
            dense::backward(input, &weights.weights, &rest[0], &mut sums.weights, &mut sums.bias, to);
        }
        let last = self.layout.last();
        pooling::global_backward(self.layout.global_pooling(), &active[last], features, feature_gradients, &mut input_gradients[last + 1]);
        for (l, convolution) in self.layout.convolutions().iter().enumerate().rev() {
            let shape = convolution.shape;
            pooling::backward(convolution.pooling, &active[l], &input_gradients[l + 1], shape.side, shape.outputs, &mut gradients[l]);
            let sums = &mut sums.convolutions[l];
            let (weights, bias) = (&mut sums.weights, &mut sums.bias);
            zero.run(WeightGradient { zero, shape, input: &inputs[l], gradient: &gradients[l], weights, bias });
            if l > 0 {
                // The gradient of the input is the gradient of the output convolved with the turned weights.
                let turned = &self.packed.convolutions[l].backward;
                let shape = convolution.turned();
                zero.run(Forward { zero, shape, input: &gradients[l], weights: turned, bias: None, output: &mut input_gradients[l] });
            }
        }
    }
}
