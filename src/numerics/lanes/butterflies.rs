//! Discrete Fourier transforms of 1 to 10 points held in registers, forward exp(−2πi jk/q) or inverse exp(+2πi jk/q), no scale.
//!
//! Sources: Winograd's short transforms (Nussbaumer, Fast Fourier Transform and Convolution Algorithms, 1982) for 3 and 5 points,
//! Good's prime-factor maps (J. R. Stat. Soc. B 20 (1958) 361) for 6 and 10, Cooley and Tukey for the rest.
//! Sixteen points were tried and are slower: they do not fit the registers.
#![expect(clippy::inline_always, reason = "inlined into the functions compiled for the instruction set, see `vector`")]

use std::f32::consts::FRAC_1_SQRT_2;

use num_complex::Complex32;

use super::vector::Vector;

/// One complex number of every wave of a block: all real parts, then all imaginary parts.
#[derive(Clone, Copy)]
#[repr(C)]
pub(super) struct Element<V> {
    /// Real parts, one lane a wave.
    pub(super) re: V,
    /// Imaginary parts, one lane a wave.
    pub(super) im: V,
}

impl<V: Vector> Element<V> {
    #[inline(always)]
    fn plus(self, other: Self) -> Self {
        Self { re: self.re.plus(other.re), im: self.im.plus(other.im) }
    }
    #[inline(always)]
    fn minus(self, other: Self) -> Self {
        Self { re: self.re.minus(other.re), im: self.im.minus(other.im) }
    }
    #[inline(always)]
    fn scaled(self, x: f32) -> Self {
        Self { re: self.re.times(x), im: self.im.times(x) }
    }
    /// self · x + c.
    #[inline(always)]
    fn scaled_plus(self, x: f32, c: Self) -> Self {
        Self { re: self.re.times_plus(x, c.re), im: self.im.times_plus(x, c.im) }
    }
    /// self · x − c.
    #[inline(always)]
    fn scaled_minus(self, x: f32, c: Self) -> Self {
        Self { re: self.re.times_minus(x, c.re), im: self.im.times_minus(x, c.im) }
    }
    /// self − i·other in the forward transform, self + i·other in the inverse.
    #[inline(always)]
    fn plus_turned<const INVERSE: bool>(self, other: Self) -> Self {
        if INVERSE {
            Self { re: self.re.minus(other.im), im: self.im.plus(other.re) }
        } else {
            Self { re: self.re.plus(other.im), im: self.im.minus(other.re) }
        }
    }
    /// self + i·other in the forward transform, self − i·other in the inverse.
    #[inline(always)]
    fn minus_turned<const INVERSE: bool>(self, other: Self) -> Self {
        if INVERSE { self.plus_turned::<false>(other) } else { self.plus_turned::<true>(other) }
    }
    /// self · w.
    #[inline(always)]
    pub(super) fn times(self, w: Complex32) -> Self {
        Self { re: self.re.times_minus(w.re, self.im.times(w.im)), im: self.re.times_plus(w.im, self.im.times(w.re)) }
    }
    /// self · w*.
    #[inline(always)]
    pub(super) fn times_conjugate(self, w: Complex32) -> Self {
        Self { re: self.im.times_plus(w.im, self.re.times(w.re)), im: self.re.times_from(w.im, self.im.times(w.re)) }
    }
    /// self · exp(∓iπ/4), − forward, + inverse.
    #[inline(always)]
    fn eighth_turned<const INVERSE: bool>(self) -> Self {
        let (sum, difference) = (self.re.plus(self.im), self.im.minus(self.re));
        if INVERSE {
            Self { re: self.re.minus(self.im), im: sum }.scaled(FRAC_1_SQRT_2)
        } else {
            Self { re: sum, im: difference }.scaled(FRAC_1_SQRT_2)
        }
    }
}

/// The transforms that exist: `Dft: Butterfly<Q>`.
pub(super) struct Dft;

/// A transform of `Q` points.
pub(super) trait Butterfly<const Q: usize> {
    /// The transform, natural order in and out.
    fn transform<V: Vector, const INVERSE: bool>(x: [Element<V>; Q]) -> [Element<V>; Q];
}

impl Butterfly<1> for Dft {
    #[inline(always)]
    fn transform<V: Vector, const INVERSE: bool>(x: [Element<V>; 1]) -> [Element<V>; 1] {
        x
    }
}

impl Butterfly<2> for Dft {
    #[inline(always)]
    fn transform<V: Vector, const INVERSE: bool>([a, b]: [Element<V>; 2]) -> [Element<V>; 2] {
        [a.plus(b), a.minus(b)]
    }
}

impl Butterfly<3> for Dft {
    #[inline(always)]
    fn transform<V: Vector, const INVERSE: bool>([a, b, c]: [Element<V>; 3]) -> [Element<V>; 3] {
        const SIN_60: f32 = 0.866_025_4;
        let (sum, difference) = (b.plus(c), b.minus(c).scaled(SIN_60));
        let middle = sum.scaled_plus(-0.5, a);
        [a.plus(sum), middle.plus_turned::<INVERSE>(difference), middle.minus_turned::<INVERSE>(difference)]
    }
}

impl Butterfly<4> for Dft {
    #[inline(always)]
    fn transform<V: Vector, const INVERSE: bool>([a, b, c, d]: [Element<V>; 4]) -> [Element<V>; 4] {
        let (s0, d0, s1, d1) = (a.plus(c), a.minus(c), b.plus(d), b.minus(d));
        [s0.plus(s1), d0.plus_turned::<INVERSE>(d1), s0.minus(s1), d0.minus_turned::<INVERSE>(d1)]
    }
}

impl Butterfly<5> for Dft {
    #[inline(always)]
    fn transform<V: Vector, const INVERSE: bool>([a, b, c, d, e]: [Element<V>; 5]) -> [Element<V>; 5] {
        const COS_72: f32 = 0.309_017;
        const COS_144: f32 = -0.809_017;
        const SIN_72: f32 = 0.951_056_5;
        const SIN_144: f32 = 0.587_785_25;
        let (s1, d1, s2, d2) = (b.plus(e), b.minus(e), c.plus(d), c.minus(d));
        let even1 = s1.scaled_plus(COS_72, s2.scaled_plus(COS_144, a));
        let even2 = s1.scaled_plus(COS_144, s2.scaled_plus(COS_72, a));
        let odd1 = d1.scaled_plus(SIN_72, d2.scaled(SIN_144));
        let odd2 = d1.scaled_minus(SIN_144, d2.scaled(SIN_72));
        [
            a.plus(s1).plus(s2),
            even1.plus_turned::<INVERSE>(odd1),
            even2.plus_turned::<INVERSE>(odd2),
            even2.minus_turned::<INVERSE>(odd2),
            even1.minus_turned::<INVERSE>(odd1),
        ]
    }
}

impl Butterfly<6> for Dft {
    #[inline(always)]
    fn transform<V: Vector, const INVERSE: bool>(x: [Element<V>; 6]) -> [Element<V>; 6] {
        // Input 3·n1 + 2·n2, output 3·k1 + 4·k2 (mod 6): two threes, then three twos, no twiddles.
        let a = <Self as Butterfly<3>>::transform::<V, INVERSE>([x[0], x[2], x[4]]);
        let b = <Self as Butterfly<3>>::transform::<V, INVERSE>([x[3], x[5], x[1]]);
        [a[0].plus(b[0]), a[1].minus(b[1]), a[2].plus(b[2]), a[0].minus(b[0]), a[1].plus(b[1]), a[2].minus(b[2])]
    }
}

impl Butterfly<8> for Dft {
    #[inline(always)]
    fn transform<V: Vector, const INVERSE: bool>(x: [Element<V>; 8]) -> [Element<V>; 8] {
        let e = <Self as Butterfly<4>>::transform::<V, INVERSE>([x[0], x[2], x[4], x[6]]);
        let o = <Self as Butterfly<4>>::transform::<V, INVERSE>([x[1], x[3], x[5], x[7]]);
        let (o1, o3) = (o[1].eighth_turned::<INVERSE>(), o[3].eighth_turned::<INVERSE>());
        [
            e[0].plus(o[0]),
            e[1].plus(o1),
            e[2].plus_turned::<INVERSE>(o[2]),
            e[3].plus_turned::<INVERSE>(o3),
            e[0].minus(o[0]),
            e[1].minus(o1),
            e[2].minus_turned::<INVERSE>(o[2]),
            e[3].minus_turned::<INVERSE>(o3),
        ]
    }
}

impl Butterfly<10> for Dft {
    #[inline(always)]
    fn transform<V: Vector, const INVERSE: bool>(x: [Element<V>; 10]) -> [Element<V>; 10] {
        // Input 5·n1 + 2·n2, output 5·k1 + 6·k2 (mod 10): two fives, then five twos, no twiddles.
        let a = <Self as Butterfly<5>>::transform::<V, INVERSE>([x[0], x[2], x[4], x[6], x[8]]);
        let b = <Self as Butterfly<5>>::transform::<V, INVERSE>([x[5], x[7], x[9], x[1], x[3]]);
        [
            a[0].plus(b[0]),
            a[1].minus(b[1]),
            a[2].plus(b[2]),
            a[3].minus(b[3]),
            a[4].plus(b[4]),
            a[0].minus(b[0]),
            a[1].plus(b[1]),
            a[2].minus(b[2]),
            a[3].plus(b[3]),
            a[4].minus(b[4]),
        ]
    }
}

/// Runs `$body` with `$Q` the constant equal to the radix `$q`.
macro_rules! with_radix {
    ($q:expr, $Q:ident => $body:expr) => {
        with_radix!(@arms $q, $Q, $body; 1, 2, 3, 4, 5, 6, 8, 10)
    };
    (@arms $q:expr, $Q:ident, $body:expr; $($value:literal),+) => {
        match $q {
            $($value => { const $Q: usize = $value; $body })+
            other => unreachable!("the plan has no radix {other}"),
        }
    };
}
pub(super) use with_radix;
