//! Frozen phonons: Einstein displacements in Å, in plane, from counter-based seeds, in antithetic pairs (+u, −u).
//!
//! Each atom moves independently with its own mean-square tensor (Loane, Xu & Silcox, Acta Cryst. A 47 (1991) 267). A pair (+u, −u) cancels
//! every error that is odd in the displacement: the shift of a column is. The draw is keyed by (seed, k-point, pair, repeat along the beam,
//! atom) and by nothing else: the same at every tilt, for any number of threads. Displacements along the beam are left out: they move an atom
//! within its slice.

use crate::numerics::seeds::Streams;
use rand_distr::{Distribution, StandardNormal};

/// Which half of an antithetic pair.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sign {
    /// +u.
    Plus,
    /// −u.
    Minus,
}

/// The source of all thermal displacements of a study.
#[derive(Debug, Clone, Copy)]
pub struct FrozenPhonons {
    streams: Streams,
}

impl FrozenPhonons {
    /// Largest counters a draw is keyed by: k-points, pairs, repeats along the beam, atoms in a repeat.
    pub const LIMITS: [u64; 4] = [1 << 14, 1 << 12, 1 << 20, 1 << 18];

    /// Displacements under the study's seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self { streams: Streams::new("mistilt 2026 frozen phonon displacements", seed) }
    }

    /// The k-point counter of Bloch class `index` of a k-grid: k0 and −k0 share one draw.
    ///
    /// The class −k0 of the displacements −u is the inversion image of the class k0 of +u, so with both signs of both classes the sampling
    /// error of a shift cancels to leading order, and wholly where the crystal has an inversion centre and stands upright.
    #[must_use]
    pub fn shared_by_opposite(index: usize, k_points: [usize; 2]) -> usize {
        let [nx, ny] = k_points;
        let opposite = (ny - index / nx) % ny * nx + (nx - index % nx) % nx;
        index.min(opposite)
    }

    /// In-plane displacement (x, y), Å, of one atom of tensor `u_angstrom2`, for the counters `[k_point, pair, repeat, atom]`.
    ///
    /// The Cholesky factor of the in-plane part of the tensor turns two standard normals into correlated displacements.
    #[must_use]
    pub fn displacement_angstrom(&self, counters: [u64; 4], sign: Sign, u_angstrom2: &[[f64; 3]; 3]) -> [f64; 2] {
        debug_assert!(counters.iter().zip(Self::LIMITS).all(|(&c, limit)| c < limit), "counters {counters:?} exceed their bits");
        let [k_point, pair, repeat, atom] = counters;
        let mut rng = self.streams.stream(k_point << 50 | pair << 38 | repeat << 18 | atom);
        let normal: [f64; 2] = [StandardNormal.sample(&mut rng), StandardNormal.sample(&mut rng)];
        let (xx, xy, yy) = (u_angstrom2[0][0], u_angstrom2[0][1], u_angstrom2[1][1]);
        let l11 = xx.max(0.0).sqrt();
        let l21 = if l11 > 0.0 { xy / l11 } else { 0.0 };
        let l22 = (yy - l21 * l21).max(0.0).sqrt();
        let s = if sign == Sign::Plus { 1.0 } else { -1.0 };
        [s * l11 * normal[0], s * (l21 * normal[0] + l22 * normal[1])]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TENSOR: [[f64; 3]; 3] = [[0.008, 0.003, 0.0], [0.003, 0.004, 0.0], [0.0, 0.0, 0.006]];

    #[test]
    fn the_scatter_of_many_draws_is_the_tensor() {
        let phonons = FrozenPhonons::new(3);
        let n = 40_000_u32;
        let mut sum = [0.0; 3];
        for atom in 0..n {
            let [x, y] = phonons.displacement_angstrom([5, 1, 9, u64::from(atom)], Sign::Plus, &TENSOR);
            for (s, product) in sum.iter_mut().zip([x * x, x * y, y * y]) {
                *s += product / f64::from(n);
            }
        }
        for (measured, expected) in sum.iter().zip([0.008, 0.003, 0.004]) {
            // Five standard errors of a variance estimated from n draws.
            assert!((measured - expected).abs() < 5.0 * 0.008 * (2.0 / f64::from(n)).sqrt(), "{sum:?}");
        }
    }

    #[test]
    fn opposite_k_points_share_a_draw_and_others_do_not() {
        let draws: Vec<usize> = (0..16).map(|i| FrozenPhonons::shared_by_opposite(i, [4, 4])).collect();
        // (1, 2) and (3, 2); Γ and the zone corner stand alone.
        assert_eq!([draws[9], draws[11], draws[0], draws[10]], [9, 9, 0, 10]);
        let mut unique = draws;
        unique.sort_unstable();
        unique.dedup();
        assert_eq!(unique.len(), 10);
    }

    #[test]
    fn a_pair_is_antithetic_and_every_counter_matters() {
        let phonons = FrozenPhonons::new(3);
        let base = [1, 2, 3, 4];
        let plus = phonons.displacement_angstrom(base, Sign::Plus, &TENSOR);
        let minus = phonons.displacement_angstrom(base, Sign::Minus, &TENSOR);
        assert!((plus[0] + minus[0]).abs() + (plus[1] + minus[1]).abs() < 1e-18);
        for i in 0..4 {
            let mut other = base;
            other[i] += 1;
            assert_ne!(phonons.displacement_angstrom(other, Sign::Plus, &TENSOR), plus);
        }
        assert_ne!(FrozenPhonons::new(4).displacement_angstrom(base, Sign::Plus, &TENSOR), plus);
    }
}
