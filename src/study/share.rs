//! The share of a study that one process takes: contiguous parts of equal cost of all k-point blocks and of all points; no share needs to know
//! another, and the same study falls into the same shares on every machine.

use super::compute;
use super::plan::{Plan, Propagation};
use super::spec::Method;
use std::fmt;
use std::ops::Range;
use std::str::FromStr;

/// Share number `index` of `count`, from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Share {
    /// From 1 to `count`.
    pub index: usize,
    /// How many shares there are.
    pub count: usize,
}

impl Share {
    /// Largest number of shares.
    pub const MOST: usize = 100_000;

    /// All of it.
    pub const WHOLE: Self = Self { index: 1, count: 1 };

    /// The part of a range of units that is this share's, by weight: units whose middle lies in the share's stretch of the total.
    #[must_use]
    pub fn of(self, weights: &[f64]) -> Range<usize> {
        let total: f64 = weights.iter().sum();
        let (low, high) = ((self.index - 1) as f64 / self.count as f64 * total, self.index as f64 / self.count as f64 * total);
        let mut before = 0.0;
        let mut range = weights.len()..weights.len();
        for (unit, weight) in weights.iter().enumerate() {
            let middle = before + 0.5 * weight;
            before += weight;
            if middle >= low && range.start == weights.len() {
                range.start = unit;
            }
            // The last share takes what rounding leaves.
            if middle >= high && self.index < self.count {
                range.end = unit;
                break;
            }
        }
        range.start.min(range.end)..range.end
    }
}

impl fmt::Display for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.index, self.count)
    }
}

impl FromStr for Share {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let numbers = text.split_once('/').and_then(|(i, n)| Some((i.trim().parse().ok()?, n.trim().parse().ok()?)));
        match numbers {
            Some((index, count)) if index >= 1 && index <= count && count <= Self::MOST => Ok(Self { index, count }),
            _ => Err(format!("`{text}` is no share: write I/N, such as 1/8 for the first of eight (1 to {})", Self::MOST)),
        }
    }
}

/// A unit of the image stage that can be computed apart: one block of one propagation, or a whole direct scan.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct BlockUnit {
    pub propagation: usize,
    pub block: usize,
}

/// Blocks of a propagation.
pub(super) fn block_count(p: &Propagation) -> usize {
    match p.shared.simulation.method {
        Method::ScatteringMatrix => compute::scattering_matrix(p).block_count(),
        // A direct scan is one unit.
        Method::Probes => 1,
    }
}

/// The blocks of a share, in the order of the plan.
pub(super) fn blocks(plan: &Plan, share: Share) -> Vec<BlockUnit> {
    let (mut units, mut weights) = (Vec::new(), Vec::new());
    for (propagation, p) in plan.propagations.iter().enumerate() {
        let count = block_count(p);
        let weight = p.work() / count as f64;
        units.extend((0..count).map(|block| BlockUnit { propagation, block }));
        weights.extend(std::iter::repeat_n(weight, count));
    }
    units[share.of(&weights)].to_vec()
}

/// The points of a share, as (propagation, place in it).
pub(super) fn places(plan: &Plan, share: Share) -> Vec<(usize, usize)> {
    let all: Vec<(usize, usize)> =
        plan.propagations.iter().enumerate().flat_map(|(i, p)| (0..p.places.len()).map(move |j| (i, j))).collect();
    all[share.of(&vec![1.0; all.len()])].to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn shares_are_contiguous_and_miss_nothing(weights in prop::collection::vec(0.01_f64..100.0, 0..60), count in 1_usize..40) {
            let mut next = 0;
            for index in 1..=count {
                let range = Share { index, count }.of(&weights);
                prop_assert_eq!(range.start, next.min(weights.len()));
                next = range.end;
            }
            prop_assert_eq!(next, weights.len());
        }
    }

    #[test]
    fn equal_units_fall_into_equal_shares() {
        let sizes: Vec<usize> = (1..=4).map(|index| Share { index, count: 4 }.of(&[1.0; 16]).len()).collect();
        assert_eq!(sizes, [4; 4]);
        assert!(Share { index: 3, count: 4 }.of(&[]).is_empty());
        // One heavy unit among light ones.
        assert_eq!(Share { index: 1, count: 2 }.of(&[10.0, 1.0, 1.0]), 0..1);
    }

    #[test]
    fn a_share_is_typed_as_it_is_written() {
        assert_eq!("3/8".parse::<Share>().unwrap(), Share { index: 3, count: 8 });
        for bad in ["0/8", "9/8", "3", "a/b", "1/0", "-1/4", "1/100001"] {
            assert!(bad.parse::<Share>().unwrap_err().contains("1/8"), "{bad}");
        }
    }
}
