//! How a line of n points is transformed in stages, and in which order its spectrum ends: the host's half of `kernels/stages.cuh`.

/// Radices of a transform, first stage first; unused ones are 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stages {
    /// Up to four radices.
    pub radices: [usize; 4],
}

/// Radices the kernels know, the largest first.
const RADICES: [usize; 8] = [16, 10, 9, 8, 5, 4, 3, 2];

impl Stages {
    /// The fewest stages for n points, the most even among those; `None` where n is no product of the radices, or needs more than four.
    #[must_use]
    pub fn new(n: usize) -> Option<Self> {
        let mut best: Option<Vec<usize>> = None;
        search(n, &mut Vec::new(), &mut best);
        let mut found = best?;
        // The smallest first: its butterflies join two directions and hold their points longest.
        found.sort_unstable();
        let mut radices = [1; 4];
        radices[..found.len()].copy_from_slice(&found);
        Some(Self { radices })
    }

    /// The frequency, 0 to n − 1, that a forward transform leaves at each position.
    #[must_use]
    pub fn frequencies(&self, n: usize) -> Vec<i32> {
        let frequency = |position: usize| {
            let (mut rest, mut block, mut place, mut sum) = (position, n, 1, 0);
            for &radix in self.radices.iter().filter(|r| **r > 1) {
                block /= radix;
                sum += rest / block * place;
                rest %= block;
                place *= radix;
            }
            sum as i32
        };
        (0..n).map(frequency).collect()
    }

    /// As a kernel's argument.
    #[must_use]
    pub fn argument(&self) -> [i32; 4] {
        self.radices.map(|r| r as i32)
    }
}

fn search(n: usize, taken: &mut Vec<usize>, best: &mut Option<Vec<usize>>) {
    if n == 1 && !taken.is_empty() {
        let largest = |list: &[usize]| list.iter().copied().max().unwrap_or(1);
        let better = best.as_ref().is_none_or(|b| (taken.len(), largest(taken)) < (b.len(), largest(b)));
        if better {
            *best = Some(taken.clone());
        }
        return;
    }
    if taken.len() == 4 {
        return;
    }
    let below = taken.last().copied().unwrap_or(usize::MAX);
    for &radix in RADICES.iter().filter(|r| **r <= below && n.is_multiple_of(**r)) {
        taken.push(radix);
        search(n / radix, taken, best);
        taken.pop();
    }
}

/// exp(−2πi m/n) for m = 0..n, worked out in double precision.
#[must_use]
pub fn roots(n: usize) -> Vec<[f32; 2]> {
    let root = |m: usize| {
        let (sin, cos) = (-std::f64::consts::TAU * m as f64 / n as f64).sin_cos();
        [cos as f32, sin as f32]
    };
    (0..n).map(root).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::numerics::grid::fast_size;

    #[test]
    fn every_size_a_grid_takes_has_stages_and_an_order_that_misses_nothing() {
        let mut n = 2;
        while n <= 4096 {
            n = fast_size(n + 1);
            // Four stages leave a few large sizes out, 3750 = 2·3·5⁴ the first; they take cuFFT.
            let Some(stages) = Stages::new(n) else {
                assert!(n >= 3750, "{n}");
                continue;
            };
            assert_eq!(stages.radices.iter().product::<usize>(), n);
            let mut order = stages.frequencies(n);
            order.sort_unstable();
            assert!(order.iter().enumerate().all(|(i, f)| i as i32 == *f), "{n}");
        }
    }

    #[test]
    fn usual_sizes_take_two_stages_and_odd_primes_none() {
        for n in [64, 72, 80, 90, 100, 128, 160, 256] {
            assert_eq!(Stages::new(n).unwrap().radices[2], 1, "{n}");
        }
        assert_eq!(Stages::new(80).unwrap().radices, [8, 10, 1, 1]);
        assert_eq!(Stages::new(512).unwrap().radices, [8, 8, 8, 1]);
        assert_eq!((Stages::new(14), Stages::new(1)), (None, None));
    }
}
