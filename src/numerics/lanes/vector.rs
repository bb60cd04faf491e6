//! SIMD vectors of f32 for x86-64; the one file of the crate that needs `unsafe`. Source: Intel's intrinsics guide.
//!
//! A value of a vector type is itself the proof that the processor has the instructions: the first one comes only from
//! [`Vector::zero_if_supported`], every other one is computed from it. So all operations are safe to call.
#![expect(
    unsafe_code,
    reason = "SIMD intrinsics, and calls of functions compiled for them, are unsafe where the feature is only known at run time"
)]

use core::arch::x86_64::{_MM_HINT_T1, _mm_prefetch};

pub(crate) use crate::numerics::simd::{Kernel, Vector};

/// Asks for the value `distance` values after `here` to be brought near (second-level cache); it need not exist.
#[inline(always)]
pub(super) fn prefetch<T>(here: &T, distance: usize) {
    const CACHE_LINE: usize = 64;
    let ahead = (&raw const *here).wrapping_add(distance).cast::<i8>();
    for line in 0..size_of::<T>() / CACHE_LINE {
        // SAFETY: a prefetch is a hint, it reads nothing and no address makes it fault; SSE is part of x86-64.
        unsafe { _mm_prefetch::<_MM_HINT_T1>(ahead.wrapping_add(line * CACHE_LINE)) }
    }
}

macro_rules! vector {
    ($name:ident, $raw:ident, $lanes:literal, $doc:literal, $feature:literal, $($detect:tt),+; $zero:ident, $load:ident, $max:ident, $splat:ident, $add:ident, $sub:ident, $mul:ident, $fma:ident, $fms:ident, $fnma:ident) => {
        #[doc = $doc]
        #[derive(Clone, Copy)]
        #[repr(transparent)]
        pub(crate) struct $name(core::arch::x86_64::$raw);

        impl Vector for $name {
            const LANES: usize = $lanes;

            fn zero_if_supported() -> Option<Self> {
                let supported = $(is_x86_feature_detected!($detect))&&+;
                // SAFETY: the instructions were detected just above.
                supported.then(|| Self(unsafe { core::arch::x86_64::$zero() }))
            }
            #[inline(always)]
            fn load(self, values: &[f32]) -> Self {
                let values = &values[..$lanes];
                // SAFETY: `self` exists only where the instructions do; the slice holds as many values as are read, aligned or not.
                Self(unsafe { core::arch::x86_64::$load(values.as_ptr()) })
            }
            #[inline(always)]
            fn larger(self, other: Self) -> Self {
                // SAFETY: `self` exists only where the instructions do.
                Self(unsafe { core::arch::x86_64::$max(self.0, other.0) })
            }
            #[inline(always)]
            fn plus(self, other: Self) -> Self {
                // SAFETY: `self` exists only where the instructions do.
                Self(unsafe { core::arch::x86_64::$add(self.0, other.0) })
            }
            #[inline(always)]
            fn minus(self, other: Self) -> Self {
                // SAFETY: `self` exists only where the instructions do.
                Self(unsafe { core::arch::x86_64::$sub(self.0, other.0) })
            }
            #[inline(always)]
            fn times(self, x: f32) -> Self {
                // SAFETY: `self` exists only where the instructions do.
                Self(unsafe { core::arch::x86_64::$mul(self.0, core::arch::x86_64::$splat(x)) })
            }
            #[inline(always)]
            fn times_plus(self, x: f32, c: Self) -> Self {
                // SAFETY: `self` exists only where the instructions do.
                Self(unsafe { core::arch::x86_64::$fma(self.0, core::arch::x86_64::$splat(x), c.0) })
            }
            #[inline(always)]
            fn times_minus(self, x: f32, c: Self) -> Self {
                // SAFETY: `self` exists only where the instructions do.
                Self(unsafe { core::arch::x86_64::$fms(self.0, core::arch::x86_64::$splat(x), c.0) })
            }
            #[inline(always)]
            fn times_from(self, x: f32, c: Self) -> Self {
                // SAFETY: `self` exists only where the instructions do.
                Self(unsafe { core::arch::x86_64::$fnma(self.0, core::arch::x86_64::$splat(x), c.0) })
            }
            #[inline(always)]
            fn lanes(&self) -> &[f32] {
                // SAFETY: the vector is this many f32, nothing else, and at least as strictly aligned; the borrow is passed on.
                unsafe { &*(&raw const self.0).cast::<[f32; $lanes]>() }
            }
            #[inline(always)]
            fn lanes_mut(&mut self) -> &mut [f32] {
                // SAFETY: as in `lanes`, every bit pattern is a valid f32, and the exclusive borrow is passed on.
                unsafe { &mut *(&raw mut self.0).cast::<[f32; $lanes]>() }
            }
            fn run<K: Kernel>(self, kernel: K) {
                #[target_feature(enable = $feature)]
                fn compiled_for_it<K: Kernel>(kernel: K) {
                    kernel.run();
                }
                // SAFETY: `self` exists only where the instructions do.
                unsafe { compiled_for_it(kernel) }
            }
        }
    };
}

vector!(F32x16, __m512, 16, "Sixteen lanes, AVX-512.", "avx512f", "avx512f"; _mm512_setzero_ps, _mm512_loadu_ps, _mm512_max_ps, _mm512_set1_ps, _mm512_add_ps, _mm512_sub_ps, _mm512_mul_ps, _mm512_fmadd_ps, _mm512_fmsub_ps, _mm512_fnmadd_ps);
vector!(F32x8, __m256, 8, "Eight lanes, AVX2 with FMA.", "avx2,fma", "avx2", "fma"; _mm256_setzero_ps, _mm256_loadu_ps, _mm256_max_ps, _mm256_set1_ps, _mm256_add_ps, _mm256_sub_ps, _mm256_mul_ps, _mm256_fmadd_ps, _mm256_fmsub_ps, _mm256_fnmadd_ps);
