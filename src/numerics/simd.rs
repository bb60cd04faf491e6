//! SIMD vectors of f32 as a trait, the kernels that run on them, and the vector of processors without special instructions.
//!
//! The vectors of x86-64 stand in `lanes/vector.rs`. A value of a vector type is itself the proof that the processor has the
//! instructions: the first one comes only from [`Vector::zero_if_supported`], every other one is computed from it.

#![expect(clippy::inline_always, reason = "inlined into the functions compiled for the instruction set")]

/// Independent f32 lanes. Every product is vector times scalar, which is all that a multislice step (one wave a lane) and a
/// convolution (one output channel a lane) need.
pub(crate) trait Vector: Copy + Send + Sync + 'static {
    /// Number of lanes.
    const LANES: usize;
    /// The zero vector, if this processor has the instructions.
    fn zero_if_supported() -> Option<Self>;
    /// The first [`Self::LANES`] of these values.
    fn load(self, values: &[f32]) -> Self;
    /// self + other.
    fn plus(self, other: Self) -> Self;
    /// self − other.
    fn minus(self, other: Self) -> Self;
    /// The larger of the two, lane by lane.
    fn larger(self, other: Self) -> Self;
    /// self · x.
    fn times(self, x: f32) -> Self;
    /// self · x + c, rounded once (twice on processors without such an instruction).
    fn times_plus(self, x: f32, c: Self) -> Self;
    /// self · x − c, rounded once (twice on processors without such an instruction).
    fn times_minus(self, x: f32, c: Self) -> Self;
    /// c − self · x, rounded once (twice on processors without such an instruction).
    fn times_from(self, x: f32, c: Self) -> Self;
    /// The lanes in order.
    fn lanes(&self) -> &[f32];
    /// The lanes in order, to write to.
    fn lanes_mut(&mut self) -> &mut [f32];
    /// Runs `kernel` in a function compiled for these instructions; `self` is the proof that they are there.
    fn run<K: Kernel>(self, kernel: K);
}

/// A piece of work on vectors. `run` and all that it calls must be `#[inline(always)]`: closures and plain functions do not inherit
/// the instruction set of the function that calls them.
pub(crate) trait Kernel {
    /// Does the work.
    fn run(self);
}

/// Eight lanes of plain Rust, for any processor.
#[derive(Clone, Copy)]
pub(crate) struct Plain([f32; 8]);

impl Plain {
    #[inline(always)]
    fn with(self, other: Self, f: impl Fn(f32, f32) -> f32) -> Self {
        Self(std::array::from_fn(|lane| f(self.0[lane], other.0[lane])))
    }
}

impl Vector for Plain {
    const LANES: usize = 8;

    fn zero_if_supported() -> Option<Self> {
        Some(Self([0.0; 8]))
    }
    #[inline(always)]
    fn load(self, values: &[f32]) -> Self {
        let values = &values[..8];
        Self(std::array::from_fn(|lane| values[lane]))
    }
    #[inline(always)]
    fn plus(self, other: Self) -> Self {
        self.with(other, |a, b| a + b)
    }
    #[inline(always)]
    fn minus(self, other: Self) -> Self {
        self.with(other, |a, b| a - b)
    }
    #[inline(always)]
    fn larger(self, other: Self) -> Self {
        self.with(other, |a, b| if a > b { a } else { b })
    }
    #[inline(always)]
    fn times(self, x: f32) -> Self {
        self.with(self, |a, _| a * x)
    }
    #[inline(always)]
    fn times_plus(self, x: f32, c: Self) -> Self {
        self.with(c, |a, c| a * x + c)
    }
    #[inline(always)]
    fn times_minus(self, x: f32, c: Self) -> Self {
        self.with(c, |a, c| a * x - c)
    }
    #[inline(always)]
    fn times_from(self, x: f32, c: Self) -> Self {
        self.with(c, |a, c| c - a * x)
    }
    #[inline(always)]
    fn lanes(&self) -> &[f32] {
        &self.0
    }
    #[inline(always)]
    fn lanes_mut(&mut self) -> &mut [f32] {
        &mut self.0
    }
    fn run<K: Kernel>(self, kernel: K) {
        kernel.run();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(target_arch = "x86_64")]
    use crate::numerics::lanes::{F32x8, F32x16};

    /// Every operation on numbers that f32 holds exactly, so that fused and plain products agree.
    fn operations<V: Vector>(zero: V) -> Vec<f32> {
        let values: Vec<f32> = (0..16_u8).map(|i| f32::from(i) - 7.0).collect();
        let (a, c) = (zero.load(&values), zero.load(&values).times(-2.0));
        let all = [a.plus(c), a.minus(c), a.larger(c), a.times_plus(3.0, c), a.times_minus(3.0, c), a.times_from(3.0, c)];
        all.iter().flat_map(|v| v.lanes()[..8].to_vec()).collect()
    }

    #[test]
    fn the_vectors_of_all_processors_agree() {
        let plain = operations(Plain::zero_if_supported().unwrap());
        assert_eq!(plain[..3], [7.0, 6.0, 5.0]);
        assert_eq!(plain[16..19], [14.0, 12.0, 10.0], "the larger of -7 and 14");
        #[cfg(target_arch = "x86_64")]
        {
            assert!(F32x8::zero_if_supported().is_none_or(|zero| operations(zero) == plain));
            assert!(F32x16::zero_if_supported().is_none_or(|zero| operations(zero) == plain));
        }
    }
}
