//! Fully connected layers of the head for one window; weights are `[input][output]`.

use crate::dcnn::architecture::LEAK;

/// `output = input · weights + bias`, negative values times [`LEAK`] if `leaky`.
pub(super) fn forward(input: &[f32], weights: &[f32], bias: &[f32], leaky: bool, output: &mut [f32]) {
    output.copy_from_slice(bias);
    for (&x, row) in input.iter().zip(weights.chunks_exact(output.len())) {
        output.iter_mut().zip(row).for_each(|(o, w)| *o += x * w);
    }
    if leaky {
        for value in output {
            *value = value.max(LEAK * *value);
        }
    }
}

/// Adds the gradients of weights and bias, and sets that of the input; `gradient` is that of the output before its leaky ReLU.
pub(super) fn backward(
    input: &[f32],
    weights: &[f32],
    gradient: &[f32],
    weight_gradient: &mut [f32],
    bias_gradient: &mut [f32],
    input_gradient: &mut [f32],
) {
    let outputs = gradient.len();
    bias_gradient.iter_mut().zip(gradient).for_each(|(b, g)| *b += g);
    let rows = weights.chunks_exact(outputs).zip(weight_gradient.chunks_exact_mut(outputs));
    for ((&x, to), (row, row_gradient)) in input.iter().zip(input_gradient).zip(rows) {
        row_gradient.iter_mut().zip(gradient).for_each(|(w, g)| *w += x * g);
        *to = row.iter().zip(gradient).map(|(w, g)| w * g).sum();
    }
}
