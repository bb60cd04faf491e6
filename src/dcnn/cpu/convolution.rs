//! 3×3 convolutions of one window as direct sums: forward with bias and ReLU, gradient of the weights, gradient of the input (a forward
//! pass with turned weights); no im2col, no copies.
//!
//! Channels are the fastest index and stand in the SIMD lanes: a lane is an output channel. Images are `[y][x][channel]` with one
//! pixel of zeros around; channels are padded with zeros to a multiple of [`CHANNEL_BLOCK`]. Weights are `[ky][kx][input][output]`.

#![expect(
    clippy::inline_always,
    clippy::needless_range_loop,
    reason = "kernels must be inlined to get the instruction set of their caller, closures of iterators among them; counted loops stay in it"
)]

use crate::numerics::simd::{Kernel, Vector};

/// Channels of an activation are padded to a multiple of this: the lanes of the widest vector.
pub(super) const CHANNEL_BLOCK: usize = 16;

/// Channels as stored.
pub(super) const fn padded(channels: usize) -> usize {
    channels.next_multiple_of(CHANNEL_BLOCK)
}

/// Shape of a convolution.
#[derive(Debug, Clone, Copy)]
pub(super) struct Shape {
    /// Side of the (square) image, px.
    pub(super) side: usize,
    /// Input channels.
    pub(super) inputs: usize,
    /// Input channels as stored: distance of neighbouring pixels.
    pub(super) input_stride: usize,
    /// Output channels as stored: a multiple of [`CHANNEL_BLOCK`].
    pub(super) outputs: usize,
}

impl Shape {
    /// Values of a row of the input with its rim.
    pub(super) fn input_row(&self) -> usize {
        (self.side + 2) * self.input_stride
    }

    /// Values of the whole input with its rim.
    pub(super) fn input_len(&self) -> usize {
        (self.side + 2) * self.input_row()
    }

    /// Values of the weights.
    pub(super) fn weights_len(&self) -> usize {
        9 * self.inputs * self.outputs
    }

    /// The taps of one kernel row as stretches of neighbouring values: (offset in the input row, values). Three pixels whose channels
    /// are not padded are one stretch.
    fn stretches(&self) -> ([(usize, usize); 3], usize) {
        let (n, stride) = (self.inputs, self.input_stride);
        if n == stride { ([(0, 3 * n); 3], 1) } else { ([(0, n), (stride, n), (2 * stride, n)], 3) }
    }
}

/// `output = input ∗ weights`, or with a bias `max(0, input ∗ weights + bias)`.
pub(super) struct Forward<'a, V> {
    pub(super) zero: V,
    pub(super) shape: Shape,
    /// With rim.
    pub(super) input: &'a [f32],
    pub(super) weights: &'a [f32],
    pub(super) bias: Option<&'a [f32]>,
    /// Without rim, `side × side × outputs`.
    pub(super) output: &'a mut [f32],
}

impl<V: Vector> Kernel for Forward<'_, V> {
    #[inline(always)]
    fn run(mut self) {
        let side = self.shape.side;
        for y in 0..side {
            let mut o = 0;
            // Two vectors of outputs at a time while there are two.
            while o + 2 * V::LANES <= self.shape.outputs {
                self.row::<2>(y, o);
                o += 2 * V::LANES;
            }
            while o < self.shape.outputs {
                self.row::<1>(y, o);
                o += V::LANES;
            }
        }
    }
}

impl<V: Vector> Forward<'_, V> {
    /// `OB` vectors of outputs of a row of pixels. Sixteen lanes come with 32 registers, fewer lanes with 16.
    #[inline(always)]
    fn row<const OB: usize>(&mut self, y: usize, o: usize) {
        let side = self.shape.side;
        let mut x = 0;
        if V::LANES >= 16 {
            while x + 8 <= side {
                self.pixels::<8, OB>(x, y, o);
                x += 8;
            }
        }
        while x + 4 <= side {
            self.pixels::<4, OB>(x, y, o);
            x += 4;
        }
        while x < side {
            self.pixels::<1, OB>(x, y, o);
            x += 1;
        }
    }

    /// `OB` vectors of outputs of `PX` neighbouring pixels, kept in registers over all taps and inputs.
    #[inline(always)]
    fn pixels<const PX: usize, const OB: usize>(&mut self, x: usize, y: usize, o: usize) {
        let Shape { side, inputs, input_stride, outputs } = self.shape;
        let mut start = [self.zero; OB];
        if let Some(bias) = self.bias {
            for j in 0..OB {
                start[j] = self.zero.load(&bias[o + j * V::LANES..]);
            }
        }
        let mut sums = [start; PX];
        let (stretches, count) = self.shape.stretches();
        let mut weights = self.weights.chunks_exact(outputs);
        for ky in 0..3 {
            let at = (y + ky) * self.shape.input_row() + x * input_stride;
            let line = &self.input[at..at + (PX + 1) * input_stride + inputs];
            for &(offset, length) in &stretches[..count] {
                let mut pixels = [&line[..0]; PX];
                for p in 0..PX {
                    pixels[p] = &line[p * input_stride + offset..][..length];
                }
                for (i, row) in (0..length).zip(&mut weights) {
                    let mut w = [self.zero; OB];
                    for j in 0..OB {
                        w[j] = self.zero.load(&row[o + j * V::LANES..]);
                    }
                    for p in 0..PX {
                        for j in 0..OB {
                            sums[p][j] = w[j].times_plus(pixels[p][i], sums[p][j]);
                        }
                    }
                }
            }
        }
        let to = &mut self.output[(y * side + x) * outputs..][..PX * outputs];
        for p in 0..PX {
            for j in 0..OB {
                let value = if self.bias.is_some() { sums[p][j].larger(self.zero) } else { sums[p][j] };
                to[p * outputs + o + j * V::LANES..][..V::LANES].copy_from_slice(value.lanes());
            }
        }
    }
}

/// Adds to the gradients of weights and bias what one window gives.
pub(super) struct WeightGradient<'a, V> {
    pub(super) zero: V,
    pub(super) shape: Shape,
    /// With rim.
    pub(super) input: &'a [f32],
    /// Gradient of the output, with a rim of one pixel.
    pub(super) gradient: &'a [f32],
    pub(super) weights: &'a mut [f32],
    pub(super) bias: &'a mut [f32],
}

impl<V: Vector> Kernel for WeightGradient<'_, V> {
    #[inline(always)]
    fn run(mut self) {
        let Shape { outputs, .. } = self.shape;
        let (stretches, count) = self.shape.stretches();
        let mut row = 0;
        for ky in 0..3 {
            for &(offset, length) in &stretches[..count] {
                let mut i = 0;
                while i < length {
                    let step = match length - i {
                        n if n >= 8 && V::LANES >= 16 => self.channels::<8>(ky, offset + i, row + i),
                        n if n >= 4 => self.channels::<4>(ky, offset + i, row + i),
                        3 => self.channels::<3>(ky, offset + i, row + i),
                        _ => self.channels::<1>(ky, offset + i, row + i),
                    };
                    i += step;
                }
                row += length;
            }
        }
        let (side, rim) = (self.shape.side, (self.shape.side + 2) * outputs);
        for y in 1..=side {
            for pixel in self.gradient[y * rim + outputs..][..side * outputs].chunks_exact(outputs) {
                for (sum, g) in self.bias.iter_mut().zip(pixel) {
                    *sum += g;
                }
            }
        }
    }
}

impl<V: Vector> WeightGradient<'_, V> {
    /// The weights of `CB` neighbouring inputs to all outputs; returns `CB`.
    #[inline(always)]
    fn channels<const CB: usize>(&mut self, ky: usize, offset: usize, row: usize) -> usize {
        let outputs = self.shape.outputs;
        let mut o = 0;
        while o + 2 * V::LANES <= outputs {
            self.block::<CB, 2>(ky, offset, row, o);
            o += 2 * V::LANES;
        }
        while o < outputs {
            self.block::<CB, 1>(ky, offset, row, o);
            o += V::LANES;
        }
        CB
    }

    #[inline(always)]
    fn block<const CB: usize, const OB: usize>(&mut self, ky: usize, offset: usize, row: usize, o: usize) {
        let Shape { side, input_stride, outputs, .. } = self.shape;
        let mut sums = [[self.zero; OB]; CB];
        let rim = (side + 2) * outputs;
        for y in 0..side {
            let inputs = &self.input[(y + ky) * self.shape.input_row() + offset..][..(side - 1) * input_stride + CB];
            let gradients = &self.gradient[(y + 1) * rim + outputs..][..side * outputs];
            for (x, gradient) in gradients.chunks_exact(outputs).enumerate() {
                let pixel = &inputs[x * input_stride..][..CB];
                let mut g = [self.zero; OB];
                for j in 0..OB {
                    g[j] = self.zero.load(&gradient[o + j * V::LANES..]);
                }
                for i in 0..CB {
                    for j in 0..OB {
                        sums[i][j] = g[j].times_plus(pixel[i], sums[i][j]);
                    }
                }
            }
        }
        for i in 0..CB {
            for j in 0..OB {
                let to = &mut self.weights[(row + i) * outputs + o + j * V::LANES..][..V::LANES];
                let total = self.zero.load(to).plus(sums[i][j]);
                to.copy_from_slice(total.lanes());
            }
        }
    }
}
