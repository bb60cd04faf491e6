//! Slicing: the slab's atoms as a stack of atomic planes, one plane a slice, heights and thicknesses in Å.
//!
//! Two planes merged in one slice fake a relative shift of Δz·tan θ between their columns, 2 pm at 10 mrad for a perovskite: so planes are
//! found by height, by integer index, and never by floating-point slice edges.

use super::{FrozenPhonons, Sign, Slab};
use crate::crystal::Element;
use serde::Serialize;
use std::sync::Arc;

/// How atoms are gathered into slices.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Slicing {
    /// One atomic plane a slice; atoms whose heights spread by no more than the tolerance are one plane (Å).
    Planes {
        /// Largest spread of heights within a plane, Å.
        tolerance_angstrom: f64,
    },
    /// Equal slices no thicker than this (Å), planes merged or not: what a code without planes does, and what `converge` compares with.
    Thickness {
        /// Upper bound of the slice thickness, Å.
        angstrom: f64,
    },
}

/// One slice of the repeat cell.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Plane {
    /// Height below the entrance surface in the first repeat, Å.
    pub z_angstrom: f64,
    /// Distance to the next slice, Å.
    pub thickness_angstrom: f64,
    /// Indices into [`Slab::atoms`].
    pub atoms: Vec<usize>,
}

/// An atom as a slice holds it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SliceAtom {
    /// Element.
    pub element: Element,
    /// In-plane fractional coordinates (any real number; the cell repeats).
    pub in_plane: [f64; 2],
    /// Occupancy, 0 to 1: a partly occupied site scatters with its mean potential.
    pub weight: f64,
}

/// What an engine steps through: atoms to transmit, then empty space to cross. Slices that share an `Arc` share their transmission function.
#[derive(Debug, Clone)]
pub struct Slice {
    /// The atoms.
    pub atoms: Arc<[SliceAtom]>,
    /// Distance to the next slice, Å.
    pub thickness_angstrom: f64,
}

/// A slab cut into slices; the entrance surface is the first slice.
#[derive(Debug, Clone, Serialize)]
pub struct Stack {
    /// The slab.
    pub slab: Slab,
    /// Slices of one repeat, top first; the first stands at z = 0.
    pub planes: Vec<Plane>,
}

impl Stack {
    /// Cuts the slab into slices. A slab without atoms gives one empty slice a repeat.
    #[must_use]
    pub fn new(slab: Slab, slicing: Slicing) -> Self {
        let mut planes = match slicing {
            Slicing::Planes { tolerance_angstrom } => atomic_planes(&slab, tolerance_angstrom),
            Slicing::Thickness { angstrom } => equal_slices(&slab, angstrom),
        };
        let (first, period) = (planes.first().map_or(0.0, |p| p.z_angstrom), slab.period_angstrom);
        let heights: Vec<f64> = planes.iter().map(|p| p.z_angstrom - first).chain([period]).collect();
        for (plane, z) in planes.iter_mut().zip(heights.windows(2)) {
            (plane.z_angstrom, plane.thickness_angstrom) = (z[0], z[1] - z[0]);
        }
        Self { slab, planes }
    }

    /// Number of slices whose lower face lies nearest to `thickness_angstrom`; at least one.
    #[must_use]
    pub fn slices_for(&self, thickness_angstrom: f64) -> usize {
        let per_repeat = self.planes.len();
        let near = (thickness_angstrom / self.slab.period_angstrom) as usize * per_repeat;
        let candidates = near.saturating_sub(per_repeat).max(1)..=near + 2 * per_repeat;
        let miss = |&n: &usize| (self.thickness_angstrom(n) - thickness_angstrom).abs();
        candidates.min_by(|a, b| miss(a).total_cmp(&miss(b))).unwrap_or(1)
    }

    /// Depth of the lower face of slice number `slices` (counted from 1), Å.
    #[must_use]
    pub fn thickness_angstrom(&self, slices: usize) -> f64 {
        let (repeats, rest) = (slices / self.planes.len(), slices % self.planes.len());
        let within = self.planes.get(rest).map_or(0.0, |p| p.z_angstrom);
        repeats as f64 * self.slab.period_angstrom + within
    }

    /// The first `count` slices with every atom at rest; repeats share their atoms.
    #[must_use]
    pub fn at_rest(&self, count: usize) -> Vec<Slice> {
        let atom = |&i: &usize| {
            let a = &self.slab.atoms[i];
            SliceAtom { element: a.element, in_plane: a.in_plane, weight: a.occupancy }
        };
        let unique: Vec<Arc<[SliceAtom]>> = self.planes.iter().map(|p| p.atoms.iter().map(atom).collect()).collect();
        (0..count).map(|i| self.slice(i, unique[i % unique.len()].clone())).collect()
    }

    /// The first `count` slices of one frozen-phonon configuration.
    #[must_use]
    pub fn displaced(&self, count: usize, phonons: &FrozenPhonons, k_point: usize, pair: usize, sign: Sign) -> Vec<Slice> {
        let reciprocal = crate::numerics::grid::reciprocal(self.slab.in_plane_angstrom);
        let build = |i: usize| {
            let repeat = (i / self.planes.len()) as u64;
            let atom = |&index: &usize| {
                let a = &self.slab.atoms[index];
                let counters = [k_point as u64, pair as u64, repeat, index as u64];
                let u = phonons.displacement_angstrom(counters, sign, &a.displacement_angstrom2);
                let moved = [0, 1].map(|c| a.in_plane[c] + reciprocal[c][0] * u[0] + reciprocal[c][1] * u[1]);
                SliceAtom { element: a.element, in_plane: moved, weight: a.occupancy }
            };
            self.slice(i, self.planes[i % self.planes.len()].atoms.iter().map(atom).collect())
        };
        (0..count).map(build).collect()
    }

    fn slice(&self, index: usize, atoms: Arc<[SliceAtom]>) -> Slice {
        Slice { atoms, thickness_angstrom: self.planes[index % self.planes.len()].thickness_angstrom }
    }
}

/// Merges the closest heights first, as long as a plane spreads by no more than the tolerance; heights are periodic.
fn atomic_planes(slab: &Slab, tolerance: f64) -> Vec<Plane> {
    let mut atoms: Vec<(usize, f64)> = slab.atoms.iter().map(|a| a.z_angstrom).enumerate().collect();
    atoms.sort_by(|a, b| a.1.total_cmp(&b.1).then(a.0.cmp(&b.0)));
    // A group: its atoms with heights unwrapped across the period.
    let mut groups: Vec<Vec<(usize, f64)>> = atoms.into_iter().map(|a| vec![a]).collect();
    let period = slab.period_angstrom;
    while groups.len() > 1 {
        let n = groups.len();
        let spread = |i: usize| {
            let next_bottom = groups[(i + 1) % n].last().map_or(0.0, |a| a.1) + if i + 1 == n { period } else { 0.0 };
            next_bottom - groups[i][0].1
        };
        let (best, extent) = (0..n).map(|i| (i, spread(i))).min_by(|a, b| a.1.total_cmp(&b.1)).unwrap_or((0, f64::INFINITY));
        if extent > tolerance {
            break;
        }
        let wrapped = best + 1 == n;
        let next = groups.remove(if wrapped { 0 } else { best + 1 });
        let target = if wrapped { n - 2 } else { best };
        groups[target].extend(next.into_iter().map(|(i, z)| (i, if wrapped { z + period } else { z })));
    }
    let mut planes: Vec<Plane> = groups
        .into_iter()
        .map(|group| {
            let z = mean_height(slab, &group);
            // A plane that straddles the top of the cell belongs to the top, unless the next one stands there.
            let z = if z >= period { z - period } else { z };
            Plane { z_angstrom: z, thickness_angstrom: 0.0, atoms: group.into_iter().map(|(i, _)| i).collect() }
        })
        .collect();
    planes.sort_by(|a, b| a.z_angstrom.total_cmp(&b.z_angstrom));
    if planes.is_empty() { vec![empty_plane()] } else { planes }
}

/// Mean height of a plane's atoms, weighted by Z²: high-angle scattering goes nearly as Z², so the column an image shows keeps its height
/// to a hundredth of an ångström whatever oxygens share its plane.
fn mean_height(slab: &Slab, group: &[(usize, f64)]) -> f64 {
    let weight = |i: usize| {
        let a = &slab.atoms[i];
        f64::from(a.element.atomic_number()).powi(2) * a.occupancy.max(1e-9)
    };
    let (sum, total) = group.iter().fold((0.0, 0.0), |(s, t), &(i, z)| (s + weight(i) * z, t + weight(i)));
    sum / total
}

/// Equal slices; an atom on a boundary (within rounding) belongs to the slice below it.
fn equal_slices(slab: &Slab, thickness: f64) -> Vec<Plane> {
    let n = ((slab.period_angstrom / thickness - 1e-6).ceil() as usize).max(1);
    let dz = slab.period_angstrom / n as f64;
    let mut planes: Vec<Plane> = (0..n).map(|i| Plane { z_angstrom: i as f64 * dz, ..empty_plane() }).collect();
    for (i, atom) in slab.atoms.iter().enumerate() {
        planes[((atom.z_angstrom / dz + 1e-6) as usize) % n].atoms.push(i);
    }
    planes
}

fn empty_plane() -> Plane {
    Plane { z_angstrom: 0.0, thickness_angstrom: 0.0, atoms: Vec::new() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crystal::Site;
    use crate::specimen::SlabAtom;

    fn slab(heights: &[(&str, f64)]) -> Slab {
        let atom = |&(symbol, z): &(&str, f64)| SlabAtom {
            element: Element::from_symbol(symbol).unwrap(),
            in_plane: [0.0, 0.0],
            z_angstrom: z,
            occupancy: 1.0,
            displacement_angstrom2: [[0.0; 3]; 3],
            site: Site::Other,
            column: None,
        };
        Slab {
            in_plane_angstrom: [[4.0, 0.0], [0.0, 4.0]],
            period_angstrom: 4.0,
            atoms: heights.iter().map(atom).collect(),
            columns: Vec::new(),
        }
    }

    #[test]
    fn a_displaced_perovskite_has_two_planes_a_cell_at_the_heights_of_its_cations() {
        let stack =
            Stack::new(slab(&[("Bi", 0.1), ("O", 3.9), ("Fe", 2.3), ("O", 2.0), ("O", 2.05)]), Slicing::Planes { tolerance_angstrom: 0.6 });
        let planes: Vec<(usize, f64)> = stack.planes.iter().map(|p| (p.atoms.len(), p.z_angstrom)).collect();
        assert_eq!(planes.iter().map(|p| p.0).collect::<Vec<_>>(), [2, 3]);
        assert!(planes[0].1.abs() < 1e-12 && (planes[1].1 - 2.2).abs() < 0.06, "{planes:?}");
        let total: f64 = stack.planes.iter().map(|p| p.thickness_angstrom).sum();
        assert!((total - 4.0).abs() < 1e-12);
    }

    #[test]
    fn a_small_tolerance_keeps_every_height_apart() {
        let stack = Stack::new(slab(&[("Bi", 0.1), ("O", 3.9), ("Fe", 2.3), ("O", 2.0)]), Slicing::Planes { tolerance_angstrom: 0.05 });
        assert_eq!(stack.planes.len(), 4);
    }

    #[test]
    fn thickness_is_counted_to_the_next_plane() {
        let stack = Stack::new(slab(&[("Bi", 0.0), ("Fe", 2.0)]), Slicing::Planes { tolerance_angstrom: 0.1 });
        assert_eq!([3.0, 4.0, 9.1, 40.0].map(|t| stack.slices_for(t)), [1, 2, 5, 20]);
        assert!((stack.thickness_angstrom(5) - 10.0).abs() < 1e-12);
        assert_eq!(stack.slices_for(0.1), 1);
    }

    #[test]
    fn equal_slices_take_atoms_on_their_upper_face() {
        let stack = Stack::new(slab(&[("Bi", 0.0), ("Fe", 1.999_999_99)]), Slicing::Thickness { angstrom: 2.0 });
        assert_eq!(stack.planes.iter().map(|p| p.atoms.clone()).collect::<Vec<_>>(), [vec![0], vec![1]]);
    }

    #[test]
    fn repeats_at_rest_share_their_atoms_and_displaced_ones_do_not() {
        let stack = Stack::new(slab(&[("Bi", 0.0), ("Fe", 2.0)]), Slicing::Planes { tolerance_angstrom: 0.1 });
        let rest = stack.at_rest(4);
        assert!(Arc::ptr_eq(&rest[0].atoms, &rest[2].atoms));
        let mut warm = stack.clone();
        warm.slab.atoms[0].displacement_angstrom2 = [[0.01, 0.0, 0.0], [0.0, 0.01, 0.0], [0.0, 0.0, 0.01]];
        let moved = warm.displaced(4, &FrozenPhonons::new(1), 0, 0, Sign::Plus);
        assert_ne!(moved[0].atoms[0].in_plane, moved[2].atoms[0].in_plane);
        assert_eq!(moved[1].atoms[0].in_plane, rest[1].atoms[0].in_plane);
    }
}
