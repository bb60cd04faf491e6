//! The plan of one 1-D transform: radices, twiddles and digit-reversed order, computed in double precision.
//!
//! The forward transform decimates in frequency (natural order in, digit-reversed out), the inverse decimates in time (digit-reversed
//! in, natural out), so a product in k-space needs no reordering: its factors are stored digit-reversed instead.

use std::f64::consts::TAU;

use num_complex::Complex32;

/// The radices that [`super::butterflies`] has, each with its real additions and multiplications a point.
const RADICES: [(usize, f64); 7] = [(2, 2.0), (3, 4.0), (4, 4.0), (5, 7.2), (6, 6.0), (8, 7.5), (10, 9.2)];
/// Loads and stores of a pass over the data, in the same unit.
const PASS: f64 = 4.0;
/// A twiddle product, in the same unit.
const TWIDDLE: f64 = 4.0;

/// Points of a line that are transformed in one go: 32 KiB of 16 waves, what a first-level cache holds.
const POINTS_IN_CACHE: usize = 256;
/// Points whose distance in memory is a multiple of this fall into few sets of a first-level cache.
const ALIASED: usize = 16;

/// One pass over a line: butterflies of `radix` points a distance `length / radix` apart in every block of `length` points.
#[derive(Debug, Clone)]
pub(super) struct Stage {
    /// Points of a butterfly.
    pub(super) radix: usize,
    /// Points of a block.
    pub(super) length: usize,
    /// exp(−2πi jk / length) at `[j][k]`, j = 0..length/radix, k = 0..radix.
    pub(super) twiddles: Vec<Complex32>,
}

/// A 1-D transform of `length` points, at least two stages (the first and the last are fused with loads, stores and products).
#[derive(Debug, Clone)]
pub(super) struct Line {
    /// Points.
    pub(super) length: usize,
    /// First stage of the forward transform (the last of the inverse): one block, the whole line.
    pub(super) outer: Stage,
    /// Stages between, in forward order.
    pub(super) middle: Vec<Stage>,
    /// Last stage of the forward transform: blocks of `radix` neighbours, no twiddles.
    pub(super) inner: Stage,
    /// Frequency held at each position after the forward transform.
    pub(super) frequency_at: Vec<usize>,
    /// Points on which all stages but the outer are done before the next ones are touched: the line, or one of its outer parts.
    pub(super) part: usize,
    /// Distance in memory from one such part to the next.
    pub(super) part_stride: usize,
    /// Distance in memory between the points of an outer butterfly.
    pub(super) outer_stride: usize,
}

impl Line {
    /// A plan with radices up to `largest_radix`; `None` unless the length is 2^a 3^b 5^c.
    pub(super) fn new(length: usize, largest_radix: usize) -> Option<Self> {
        if length == 0 {
            return None;
        }
        let mut radices = cheapest_radices(length, largest_radix)?;
        while radices.len() < 2 {
            radices.push(1);
        }
        // Measured: of two radices the larger is better outside, of three or more the smaller ones.
        if radices.len() > 2 {
            radices.reverse();
        }
        let mut stages = Vec::with_capacity(radices.len());
        let mut block = length;
        for &radix in &radices {
            stages.push(Stage { radix, length: block, twiddles: twiddles(block, radix) });
            block /= radix;
        }
        let inner = stages.pop()?;
        let outer = stages.remove(0);
        let outer_part = length / outer.radix;
        let by_parts = length > POINTS_IN_CACHE || outer_part.is_multiple_of(ALIASED);
        let (part, part_stride, outer_stride) =
            if by_parts { (outer_part, outer_part + 1, outer_part + 1) } else { (length, length, outer_part) };
        Some(Self { length, outer, middle: stages, inner, frequency_at: digit_reversed(&radices), part, part_stride, outer_stride })
    }

    /// Memory of the line in points, with the gaps between its parts.
    pub(super) fn tile_length(&self) -> usize {
        self.length / self.part * self.part_stride
    }
}

/// exp(−2πi jk / length) for one stage.
fn twiddles(length: usize, radix: usize) -> Vec<Complex32> {
    let angle = |j: usize, k: usize| -TAU * ((j * k) % length) as f64 / length as f64;
    let root = |(j, k)| Complex32::new(f64::cos(angle(j, k)) as f32, f64::sin(angle(j, k)) as f32);
    (0..length / radix).flat_map(|j| (0..radix).map(move |k| (j, k))).map(root).collect()
}

/// Frequency at each position: the first radix is the slowest digit of the position and the fastest of the frequency.
fn digit_reversed(radices: &[usize]) -> Vec<usize> {
    radices.iter().rev().fold(vec![0], |inner, &radix| (0..radix).flat_map(|k| inner.iter().map(move |&f| k + radix * f)).collect())
}

/// The cheapest product of radices, largest first; `None` unless the length is 2^a 3^b 5^c.
fn cheapest_radices(length: usize, largest_radix: usize) -> Option<Vec<usize>> {
    fn search(length: usize, largest: usize) -> Option<(f64, Vec<usize>)> {
        if length == 1 {
            return Some((0.0, Vec::new()));
        }
        let usable = RADICES.iter().filter(|&&(radix, _)| radix <= largest && length.is_multiple_of(radix));
        let candidates = usable.filter_map(|&(radix, operations)| {
            let (rest_cost, rest) = search(length / radix, radix)?;
            let last = length == radix;
            let twiddle = if last { 0.0 } else { TWIDDLE * (radix - 1) as f64 / radix as f64 };
            let mut radices = vec![radix];
            radices.extend(rest);
            Some((rest_cost + PASS + operations + twiddle, radices))
        });
        candidates.min_by(|a, b| a.0.total_cmp(&b.0))
    }
    search(length, largest_radix).map(|(_, radices)| radices)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_plan_multiplies_out_and_orders_all_frequencies() {
        for length in [1, 2, 5, 16, 20, 36, 80, 96, 128, 400, 512, 540, 1024] {
            let line = Line::new(length, 10).expect("2^a 3^b 5^c");
            let radices: usize = line.middle.iter().map(|stage| stage.radix).product::<usize>() * line.outer.radix * line.inner.radix;
            assert_eq!(radices, length);
            let mut seen = line.frequency_at.clone();
            seen.sort_unstable();
            assert!(seen.into_iter().eq(0..length));
            assert_eq!(line.inner.radix, line.inner.length);
        }
    }

    #[test]
    fn other_primes_are_refused() {
        for length in [7, 14, 112, 121, 0] {
            assert!(Line::new(length, 10).is_none(), "{length}");
        }
    }
}
