//! Pooling of one window between blocks (2×2) and before the head (global), and the gradients back through pooling and ReLU; channels
//! fastest.

use crate::dcnn::{GlobalPooling, Pooling};

/// Copies or pools the activations of a convolution (`side × side × channels`, no rim) into the next input, which has a rim.
///
/// An odd last row or column is left out, as in `PyTorch`.
pub(super) fn forward(pooling: Option<Pooling>, active: &[f32], side: usize, channels: usize, next: &mut [f32]) {
    let row = side * channels;
    let out_side = if pooling.is_some() { side / 2 } else { side };
    let next_row = (out_side + 2) * channels;
    for y in 0..out_side {
        let to = &mut next[(y + 1) * next_row + channels..][..out_side * channels];
        let Some(pooling) = pooling else {
            to.copy_from_slice(&active[y * row..][..row]);
            continue;
        };
        let (upper, lower) = (&active[2 * y * row..][..row], &active[(2 * y + 1) * row..][..row]);
        let pairs = upper.chunks_exact(2 * channels).zip(lower.chunks_exact(2 * channels));
        for (to, (upper, lower)) in to.chunks_exact_mut(channels).zip(pairs) {
            let ((a, b), (c, d)) = (upper.split_at(channels), lower.split_at(channels));
            for ((((to, &a), &b), &c), &d) in to.iter_mut().zip(a).zip(b).zip(c).zip(d) {
                *to = match pooling {
                    Pooling::Max => a.max(b).max(c.max(d)),
                    Pooling::Average => 0.25 * (a + b + c + d),
                };
            }
        }
    }
}

/// The gradient before ReLU of a convolution from that of the next input (no rim), written with a rim.
///
/// The largest of four gets the whole gradient of a maximum, the first of equal ones; where the activation is zero, ReLU stops it.
pub(super) fn backward(pooling: Option<Pooling>, active: &[f32], next_gradient: &[f32], side: usize, channels: usize, out: &mut [f32]) {
    let (row, rim) = (side * channels, (side + 2) * channels);
    let Some(pooling) = pooling else {
        for y in 0..side {
            let to = &mut out[(y + 1) * rim + channels..][..row];
            masked(&active[y * row..][..row], &next_gradient[y * row..][..row], to);
        }
        return;
    };
    let half = side / 2;
    for y in 0..half {
        let (upper, lower) = (&active[2 * y * row..][..row], &active[(2 * y + 1) * row..][..row]);
        let start = (2 * y + 1) * rim + channels;
        let (out_upper, out_lower) = out[start..start + rim + row].split_at_mut(rim);
        let outs = out_upper[..row].chunks_exact_mut(2 * channels).zip(out_lower.chunks_exact_mut(2 * channels));
        let pairs = upper.chunks_exact(2 * channels).zip(lower.chunks_exact(2 * channels));
        let gradients = next_gradient[y * half * channels..][..half * channels].chunks_exact(channels);
        for ((gradient, (upper, lower)), (out_upper, out_lower)) in gradients.zip(pairs).zip(outs) {
            four(pooling, gradient, upper, lower, out_upper, out_lower);
        }
    }
}

/// The gradients of the four pixels behind one pooled pixel; each slice holds two pixels but `gradient`, which holds one.
fn four(pooling: Pooling, gradient: &[f32], upper: &[f32], lower: &[f32], out_upper: &mut [f32], out_lower: &mut [f32]) {
    let n = gradient.len();
    let ((a, b), (c, d)) = (upper.split_at(n), lower.split_at(n));
    let ((ga, gb), (gc, gd)) = (out_upper.split_at_mut(n), out_lower.split_at_mut(n));
    // Slices of one length each, so that the compiler sees it and the loop runs in vectors.
    let (b, c, d) = (&b[..n], &c[..n], &d[..n]);
    let (gb, gc, gd) = (&mut gb[..n], &mut gc[..n], &mut gd[..n]);
    match pooling {
        Pooling::Average => {
            for k in 0..n {
                let g = 0.25 * gradient[k];
                ga[k] = if a[k] > 0.0 { g } else { 0.0 };
                gb[k] = if b[k] > 0.0 { g } else { 0.0 };
                gc[k] = if c[k] > 0.0 { g } else { 0.0 };
                gd[k] = if d[k] > 0.0 { g } else { 0.0 };
            }
        }
        Pooling::Max => {
            for k in 0..n {
                let (upper, lower) = (a[k].max(b[k]), c[k].max(d[k]));
                let g = if upper.max(lower) > 0.0 { gradient[k] } else { 0.0 };
                let (g_upper, g_lower) = if upper >= lower { (g, 0.0) } else { (0.0, g) };
                ga[k] = if a[k] >= b[k] { g_upper } else { 0.0 };
                gb[k] = if a[k] >= b[k] { 0.0 } else { g_upper };
                gc[k] = if c[k] >= d[k] { g_lower } else { 0.0 };
                gd[k] = if c[k] >= d[k] { 0.0 } else { g_lower };
            }
        }
    }
}

fn masked(active: &[f32], gradient: &[f32], out: &mut [f32]) {
    for ((out, &a), &g) in out.iter_mut().zip(active).zip(gradient) {
        *out = if a > 0.0 { g } else { 0.0 };
    }
}

/// One number a channel from the last activations (no rim), or all of them.
pub(super) fn global_forward(pooling: GlobalPooling, active: &[f32], channels: usize, features: &mut [f32]) {
    let pixels = active.chunks_exact(channels);
    let scale = 1.0 / pixels.len() as f32;
    match pooling {
        GlobalPooling::Flatten => features.copy_from_slice(active),
        GlobalPooling::Average => {
            features.fill(0.0);
            pixels.for_each(|pixel| features.iter_mut().zip(pixel).for_each(|(f, a)| *f += a));
            for feature in features {
                *feature *= scale;
            }
        }
        GlobalPooling::Max => {
            // Behind ReLU nothing is below zero.
            features.fill(0.0);
            pixels.for_each(|pixel| features.iter_mut().zip(pixel).for_each(|(f, a)| *f = f.max(*a)));
        }
    }
}

/// The gradient of the last activations (no rim), ReLU not yet applied. Of equal maxima the first gets it.
pub(super) fn global_backward(pooling: GlobalPooling, active: &[f32], features: &[f32], gradient: &[f32], out: &mut [f32]) {
    let channels = features.len();
    let scale = channels as f32 / active.len() as f32;
    match pooling {
        GlobalPooling::Flatten => out.copy_from_slice(gradient),
        GlobalPooling::Average => {
            for pixel in out.chunks_exact_mut(channels) {
                pixel.iter_mut().zip(gradient).for_each(|(o, g)| *o = g * scale);
            }
        }
        GlobalPooling::Max => {
            out.fill(0.0);
            for channel in 0..channels {
                let first = (channel..active.len()).step_by(channels).find(|&at| active[at] == features[channel]);
                if let Some(at) = first {
                    out[at] = gradient[channel];
                }
            }
        }
    }
}
