//! The pseudocubic basis of a perovskite: three nearly orthogonal A–A vectors that every lattice vector is whole numbers of; Å.

use super::error::{CrystalError, Result};
use super::lattice::{Matrix, Vector, add, determinant, dot, inverse, norm, product, scale, sub, unit};
use super::neighbours::Neighbours;
use super::perovskite::site_positions;
use super::{Crystal, Site};

/// Range of A–A nearest-neighbour distances of perovskites, Å.
const EDGE_ANGSTROM: std::ops::RangeInclusive<f64> = 3.5..=4.5;
/// Two edges count as orthogonal when the cosine between them is below this (14°).
const ORTHOGONAL: f64 = 0.25;
/// A mean B-minus-A displacement smaller than this is none, Å.
const POLAR_ANGSTROM: f64 = 0.01;

/// The pseudocubic basis of a crystal.
#[derive(Debug, Clone, PartialEq)]
pub struct Pseudocubic {
    /// The three vectors as rows, right-handed, Cartesian, Å.
    pub vectors_angstrom: [[f64; 3]; 3],
    /// The crystal's lattice vectors as rows in this basis: exactly whole numbers.
    pub lattice_in_basis: [[i64; 3]; 3],
    /// Mean displacement of the B sites from the centres of their eight A sites, Cartesian, Å; zero in a centrosymmetric crystal.
    /// In `BiFeO3` and `PbTiO3` it points against the electric polarization, because the A cations lead the B cations there.
    pub polar_displacement_angstrom: [f64; 3],
}

impl Pseudocubic {
    /// Lengths of the three vectors, Å.
    #[must_use]
    pub fn lengths_angstrom(&self) -> [f64; 3] {
        self.vectors_angstrom.map(norm)
    }

    /// How far the angles between vectors 2-3, 3-1 and 1-2 are below a right angle, mrad.
    #[must_use]
    pub fn shear_mrad(&self) -> [f64; 3] {
        let [a, b, c] = self.vectors_angstrom.map(unit);
        [dot(b, c), dot(c, a), dot(a, b)].map(|cosine| cosine.asin() * 1e3)
    }
}

impl Crystal {
    /// The pseudocubic basis: the A–A vectors of 3.5 to 4.5 Å, averaged over the cell so that lattice vectors are exactly whole
    /// numbers of them. Among the 24 right-handed choices of axes it is the one in which the mean B-minus-A displacement has no
    /// negative component and its largest component along the third axis (so it lies along +⟨111⟩ in R3c, +⟨001⟩ in P4mm);
    /// what that leaves open is settled by nearness to the Cartesian x, y, z.
    pub fn pseudocubic(&self) -> Result<Pseudocubic> {
        let fail = |why: &str| CrystalError::NoPseudocubic { crystal: self.name.clone(), why: why.into() };
        let a_sites = site_positions(self, Site::A);
        if a_sites.is_empty() {
            return Err(fail("no atom is an A site"));
        }
        let neighbours = Neighbours::new(&self.lattice_angstrom, a_sites.iter().copied());
        let edges = mean_edges(&neighbours, &a_sites).ok_or_else(|| fail("its A sites have no three orthogonal neighbours"))?;
        let numbers = product(&self.lattice_angstrom, &inverse(&edges));
        let whole = numbers.map(|row| row.map(f64::round));
        let is_whole = numbers.iter().flatten().zip(whole.iter().flatten()).all(|(x, n)| (x - n).abs() < 0.1);
        if !is_whole || (determinant(&whole).abs() - a_sites.len() as f64).abs() > 0.5 {
            return Err(fail("its lattice vectors are not whole numbers of A–A vectors"));
        }
        let vectors = product(&inverse(&whole), &self.lattice_angstrom);
        let polar = polar_displacement(self, &neighbours);
        let vectors_angstrom = conventional_axes(&vectors, polar);
        let lattice_in_basis = product(&self.lattice_angstrom, &inverse(&vectors_angstrom)).map(|row| row.map(|x| x.round() as i64));
        Ok(Pseudocubic { vectors_angstrom, lattice_in_basis, polar_displacement_angstrom: polar })
    }
}

/// Three A–A vectors, each averaged over all A sites: in a periodic crystal such means add up to lattice vectors exactly.
fn mean_edges(neighbours: &Neighbours, a_sites: &[Vector]) -> Option<Matrix> {
    let edges_of = |site: &Vector| -> Vec<Vector> {
        neighbours.within(*site, *EDGE_ANGSTROM.end()).iter().filter(|n| EDGE_ANGSTROM.contains(&n.distance)).map(|n| n.vector).collect()
    };
    let first = edges_of(&a_sites[0]);
    let [a, b, c] = orthogonal_three(&first)?;
    let mut sums = [[0.0; 3]; 3];
    for site in a_sites {
        let edges = edges_of(site);
        for (sum, direction) in sums.iter_mut().zip([a, b, c]) {
            let nearest = edges.iter().max_by(|x, y| dot(unit(**x), unit(direction)).total_cmp(&dot(unit(**y), unit(direction))))?;
            *sum = add(*sum, *nearest);
        }
    }
    let mean = sums.map(|sum| scale(sum, 1.0 / a_sites.len() as f64));
    (determinant(&mean).abs() > 20.0).then_some(mean)
}

/// The three vectors most nearly orthogonal to one another.
fn orthogonal_three(edges: &[Vector]) -> Option<Matrix> {
    let mut best: Option<(f64, Matrix)> = None;
    for (i, a) in edges.iter().enumerate() {
        for (j, b) in edges.iter().enumerate().skip(i + 1) {
            for c in edges.iter().skip(j + 1) {
                let [u, v, w] = [unit(*a), unit(*b), unit(*c)];
                let worst = [dot(u, v), dot(v, w), dot(w, u)].iter().fold(0.0_f64, |worst, x| worst.max(x.abs()));
                if worst < ORTHOGONAL && best.is_none_or(|(least, _)| worst < least - 1e-9) {
                    best = Some((worst, [*a, *b, *c]));
                }
            }
        }
    }
    best.map(|(_, edges)| edges)
}

/// Mean over the B sites of B minus the centre of its eight nearest A sites, Å; sites with fewer within 5 Å are left out.
fn polar_displacement(crystal: &Crystal, a_sites: &Neighbours) -> Vector {
    let (mut sum, mut count) = ([0.0; 3], 0.0);
    for b_site in site_positions(crystal, Site::B) {
        let cage = a_sites.within(b_site, 5.0);
        if cage.len() >= 8 {
            let centre = cage[..8].iter().fold([0.0; 3], |sum, n| add(sum, scale(n.vector, 0.125)));
            sum = sub(sum, centre);
            count += 1.0;
        }
    }
    if count > 0.0 && norm(sum) / count > POLAR_ANGSTROM { scale(sum, 1.0 / count) } else { [0.0; 3] }
}

/// The right-handed order and signs of the axes that the doc of [`Crystal::pseudocubic`] promises.
fn conventional_axes(vectors: &Matrix, polar: Vector) -> Matrix {
    const ORDERS: [[usize; 3]; 6] = [[0, 1, 2], [1, 2, 0], [2, 0, 1], [1, 0, 2], [0, 2, 1], [2, 1, 0]];
    let mut best: Option<([f64; 3], Matrix)> = None;
    for order in ORDERS {
        for signs in 0..8_u8 {
            let sign = |axis: usize| if signs >> axis & 1 == 0 { 1.0 } else { -1.0 };
            let axes = [0, 1, 2].map(|axis| scale(vectors[order[axis]], sign(axis)));
            if determinant(&axes) > 0.0 {
                let score = score(&axes, polar);
                if best.is_none_or(|(highest, _)| is_above(score, highest)) {
                    best = Some((score, axes));
                }
            }
        }
    }
    best.expect("half of all sign choices are right-handed, as the vectors span a volume").1
}

/// Number of components of the polar displacement that are not negative, whether its largest lies along the third axis, and
/// nearness to x, y, z.
fn score(axes: &Matrix, polar: Vector) -> [f64; 3] {
    let nearness = (0..3).map(|axis| unit(axes[axis])[axis]).sum();
    let length = norm(polar);
    if length == 0.0 {
        return [0.0, 0.0, nearness];
    }
    let components = axes.map(|axis| dot(unit(axis), polar) / length);
    let not_negative = components.iter().filter(|c| **c > -0.05).count() as f64;
    let largest = components.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    [not_negative, f64::from(u8::from(components[2] > largest - 0.05)), nearness]
}

/// Lexicographic comparison in which differences of rounding do not count.
fn is_above(a: [f64; 3], b: [f64; 3]) -> bool {
    a.iter().zip(b).find(|(x, y)| (*x - y).abs() > 1e-6).is_some_and(|(x, y)| *x > y)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crystal::structures;
    use approx::assert_abs_diff_eq;

    /// Palewicz et al. 2007: edges 3.965 Å, angles 89.4°, Fe 41.3 pm from the centre of the Bi cube.
    #[test]
    fn bismuth_ferrite_has_the_pseudocubic_cell_of_the_literature() {
        let basis = structures::get("bifeo3-r3c").expect("it ships").pseudocubic().expect("a perovskite");
        for (length, shear) in basis.lengths_angstrom().into_iter().zip(basis.shear_mrad()) {
            assert_abs_diff_eq!(length, 3.965, epsilon = 0.001);
            assert_abs_diff_eq!(shear, 10.0, epsilon = 1.0);
        }
        assert!(determinant(&basis.vectors_angstrom) > 0.0);
        let polar = basis.polar_displacement_angstrom;
        assert_abs_diff_eq!(norm(polar), 0.413, epsilon = 0.001);
        // Along [111]: the same projection on all three.
        for axis in basis.vectors_angstrom {
            assert_abs_diff_eq!(dot(unit(axis), polar), 0.413 / 3.0_f64.sqrt(), epsilon = 0.003);
        }
    }

    #[test]
    fn lead_titanate_points_along_the_third_axis_and_a_cube_keeps_x_y_z() {
        let basis = structures::get("pbtio3").expect("it ships").pseudocubic().expect("a perovskite");
        assert_eq!(basis.lattice_in_basis, [[1, 0, 0], [0, 1, 0], [0, 0, 1]]);
        assert_abs_diff_eq!(basis.polar_displacement_angstrom[2], 0.1565, epsilon = 1e-4);
        let cubic = structures::get("bifeo3-cubic").expect("it ships").pseudocubic().expect("a perovskite");
        assert_eq!(cubic.lattice_in_basis, [[1, 0, 0], [0, 1, 0], [0, 0, 1]]);
        assert!(norm(cubic.polar_displacement_angstrom) < 1e-12);
    }

    #[test]
    fn a_supercell_has_the_basis_of_its_cell() {
        let single = structures::get("bifeo3-r3c").expect("it ships");
        let basis = single.pseudocubic().expect("a perovskite");
        let mut double = single.clone();
        double.lattice_angstrom[0] = scale(double.lattice_angstrom[0], 2.0);
        for atom in &mut double.atoms {
            atom.fractional[0] /= 2.0;
        }
        double.atoms.extend(single.atoms.iter().cloned().map(|mut atom| {
            atom.fractional[0] = atom.fractional[0] / 2.0 + 0.5;
            atom
        }));
        let found = double.pseudocubic().expect("a perovskite");
        for (row, expected) in found.vectors_angstrom.iter().flatten().zip(basis.vectors_angstrom.iter().flatten()) {
            assert_abs_diff_eq!(row, expected, epsilon = 1e-9);
        }
    }

    #[test]
    fn a_crystal_without_a_sites_is_told_so() {
        let mut crystal = structures::get("srtio3").expect("it ships");
        crystal.atoms.remove(0);
        let message = crystal.pseudocubic().unwrap_err().to_string();
        assert!(message.contains("no atom is an A site") && message.contains("own lattice"), "{message}");
    }
}
