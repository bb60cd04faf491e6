//! The two lattice vectors of an image of columns, from its Bragg peaks or from a table of positions; pixels, x right, y down.
//!
//! A perovskite seen along [100] shows a square of A columns with a B column in each middle; along \[110\] a rectangle a/√2 × a of A
//! columns with a B column halfway along the long edge. The strongest square (rectangular) star of Bragg peaks belongs either to one
//! species, when A and B differ much, or to both together, when they look alike; which of the two is told in real space later.

use super::spectrum::Bragg;
use super::{FindError, neighbours::PointGrid};
use std::f64::consts::SQRT_2;

/// The zone axis along which a perovskite is viewed, pseudocubic indices.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Hash, serde::Serialize, serde::Deserialize)]
pub enum Zone {
    /// ⟨100⟩: A columns on a square lattice, B columns in the middles.
    #[default]
    #[serde(rename = "100")]
    Z100,
    /// ⟨110⟩: A columns on a rectangle a/√2 × a, B columns halfway along the edges a.
    #[serde(rename = "110")]
    Z110,
}

impl std::str::FromStr for Zone {
    type Err = FindError;

    fn from_str(text: &str) -> Result<Self, FindError> {
        match text.trim_matches(['[', ']', '<', '>', ' ']) {
            "100" => Ok(Self::Z100),
            "110" => Ok(Self::Z110),
            _ => Err(FindError::Zone(text.to_owned())),
        }
    }
}

impl std::fmt::Display for Zone {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Z100 => "100",
            Self::Z110 => "110",
        })
    }
}

/// Two vectors `[e1, e2]`, px.
pub(crate) type Basis = [[f64; 2]; 2];

pub(crate) fn length(v: [f64; 2]) -> f64 {
    v[0].hypot(v[1])
}

pub(crate) fn cross(a: [f64; 2], b: [f64; 2]) -> f64 {
    a[0] * b[1] - a[1] * b[0]
}

pub(crate) fn combine(basis: Basis, i: f64, j: f64) -> [f64; 2] {
    [i * basis[0][0] + j * basis[1][0], i * basis[0][1] + j * basis[1][1]]
}

/// `[b1, b2]` with `e_i · b_j = δ_ij`.
pub(crate) fn reciprocal(basis: Basis) -> Basis {
    let [a, b] = basis;
    let det = cross(a, b);
    [[b[1] / det, -b[0] / det], [-a[1] / det, a[0] / det]]
}

/// The integer matrix (rows: new vectors in old ones) that turns e1 nearest +x and e2 nearest +y, right-handed.
pub(crate) fn upright(basis: Basis) -> [[i32; 2]; 2] {
    let first_is_x = basis[0][0].abs() * length(basis[1]) >= basis[1][0].abs() * length(basis[0]);
    let (x, y) = if first_is_x { (0, 1) } else { (1, 0) };
    let mut rows = [[0; 2]; 2];
    rows[0][x] = if basis[x][0] < 0.0 { -1 } else { 1 };
    let e1 = combine(basis, f64::from(rows[0][0]), f64::from(rows[0][1]));
    rows[1][y] = if cross(e1, basis[y]) < 0.0 { -1 } else { 1 };
    rows
}

pub(crate) fn transformed(basis: Basis, rows: [[i32; 2]; 2]) -> Basis {
    rows.map(|[i, j]| combine(basis, f64::from(i), f64::from(j)))
}

impl Zone {
    /// Length of the longer vector of the A lattice over the shorter.
    pub(crate) fn aspect(self) -> f64 {
        match self {
            Self::Z100 => 1.0,
            Self::Z110 => SQRT_2,
        }
    }

    /// Whether two vectors could span this zone's lattice of columns, with room for shear and scan distortion.
    fn fits(self, u: [f64; 2], v: [f64; 2]) -> bool {
        let (lu, lv) = (length(u), length(v));
        let ratio = lu.max(lv) / lu.min(lv) / self.aspect();
        let sine = cross(u, v).abs() / (lu * lv);
        let tolerance = if self == Self::Z100 { 1.25 } else { 1.18 };
        ratio < tolerance && ratio > 1.0 / tolerance && sine > 75_f64.to_radians().sin()
    }

    /// Side a of the pseudocubic cell that a lattice of one species with this basis would have, px.
    pub(crate) fn lattice_a_px(self, basis: Basis) -> f64 {
        let area = cross(basis[0], basis[1]).abs();
        match self {
            Self::Z100 => area.sqrt(),
            Self::Z110 => (area * SQRT_2).sqrt(),
        }
    }
}

/// The basis of the strongest star of Bragg peaks that fits the zone. `expected_a_px` (±20 %) rules out others when it is known.
pub(crate) fn from_bragg(peaks: &[Bragg], zone: Zone, expected_a_px: Option<f64>) -> Result<Basis, FindError> {
    let mut best: Option<(f64, Basis)> = None;
    for (i, first) in peaks.iter().enumerate() {
        for second in &peaks[i + 1..] {
            if !zone.fits(first.g, second.g) {
                continue;
            }
            let basis = reciprocal([first.g, second.g]);
            let a = zone.lattice_a_px(basis);
            // The star may be that of A and B together, whose cell is half as large.
            let expected = expected_a_px.is_none_or(|e| [1.0, SQRT_2].iter().any(|f| (a * f / e).ln().abs() < 0.2));
            let score = (first.power * second.power).sqrt();
            if expected && best.is_none_or(|(s, _)| score > s) {
                best = Some((score, basis));
            }
        }
    }
    let (_, basis) =
        best.ok_or(if peaks.len() < 2 { FindError::NoLattice } else { FindError::OtherLattice { zone, peaks: peaks.len() } })?;
    Ok(transformed(basis, upright(basis)))
}

/// The basis of a table of positions of one species: the commonest short difference, and the commonest one across it.
pub(crate) fn from_positions(points: &[[f64; 2]], zone: Zone) -> Result<Basis, FindError> {
    let grid = PointGrid::new(points, None).ok_or(FindError::TooFewPositions(points.len()))?;
    let step = (points.len() / 1500).max(1);
    let sample = || points.iter().enumerate().step_by(step);
    let nearest = |(i, p): (usize, &[f64; 2])| {
        let mut reach = grid.cell_px();
        // Widened until a neighbour is within reach: a point far from all others has none within 16 mean spacings and is left out.
        for _ in 0..5 {
            let found = grid.within(*p, reach).filter(|&j| j != i).map(|j| length([points[j][0] - p[0], points[j][1] - p[1]]));
            if let Some(least) = found.filter(|d| *d > 0.0).min_by(f64::total_cmp) {
                return Some(least);
            }
            reach *= 2.0;
        }
        None
    };
    let spacing = super::background::median(sample().filter_map(nearest).collect()).ok_or(FindError::TooFewPositions(points.len()))?;
    let differences: Vec<[f64; 2]> = sample()
        .flat_map(|(i, p)| grid.within(*p, 1.8 * spacing).filter(move |&j| j != i).map(|j| [points[j][0] - p[0], points[j][1] - p[1]]))
        .map(|d| if d[1] < 0.0 || (d[1] == 0.0 && d[0] < 0.0) { [-d[0], -d[1]] } else { d })
        .filter(|d| length(*d) > 0.5 * spacing)
        .collect();
    let first = commonest(&differences, 0.15 * spacing, |d| length(d) < 1.3 * spacing);
    let first = first.ok_or(FindError::TooFewPositions(points.len()))?;
    let second = commonest(&differences, 0.15 * spacing, |d| zone.fits(first, d));
    let second = second.ok_or(FindError::OtherLattice { zone, peaks: points.len() })?;
    Ok(transformed([first, second], upright([first, second])))
}

/// Centre of the densest cluster of vectors: the mean of those within `radius` of the one that has the most others within it.
fn commonest(vectors: &[[f64; 2]], radius: f64, allowed: impl Fn([f64; 2]) -> bool) -> Option<[f64; 2]> {
    let candidates: Vec<[f64; 2]> = vectors.iter().copied().filter(|v| allowed(*v)).collect();
    let step = (candidates.len() / 400).max(1);
    let near = |c: [f64; 2]| candidates.iter().filter(move |v| length([v[0] - c[0], v[1] - c[1]]) < radius);
    let centre = candidates.iter().step_by(step).copied().max_by_key(|c| near(*c).count())?;
    let (count, sum) = near(centre).fold((0.0, [0.0; 2]), |(n, s), v| (n + 1.0, [s[0] + v[0], s[1] + v[1]]));
    Some([sum[0] / count, sum[1] / count])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_basis_is_turned_upright_and_right_handed() {
        for basis in [[[0.0, 5.0], [6.0, 0.5]], [[-5.0, 0.3], [0.2, -5.0]], [[3.0, -4.0], [4.0, 3.0]]] {
            let [e1, e2] = transformed(basis, upright(basis));
            assert!(cross(e1, e2) > 0.0 && e1[0] > 0.0 && e2[1] > 0.0, "{e1:?} {e2:?}");
            assert!((cross(e1, e2) - cross(basis[0], basis[1]).abs()).abs() < 1e-9);
        }
    }

    #[test]
    fn the_strongest_fitting_star_wins_over_superlattice_peaks() {
        let g = [[0.05, 0.002], [-0.001, 0.048]];
        let sum = |i: f64, j: f64, power: f64| Bragg { g: combine(g, i, j), power };
        let peaks = [sum(1.0, 0.0, 50.0), sum(0.0, 1.0, 40.0), sum(1.0, 1.0, 30.0), sum(0.5, 1.0, 20.0), sum(0.5, 0.0, 15.0)];
        let basis = from_bragg(&peaks, Zone::Z100, None).unwrap();
        let back = reciprocal(basis);
        assert!(length([back[0][0] - g[0][0], back[0][1] - g[0][1]]) < 1e-12);
        assert!(matches!(from_bragg(&peaks[..1], Zone::Z100, None), Err(FindError::NoLattice)));
        assert!(matches!(from_bragg(&peaks[..2], Zone::Z100, Some(90.0)), Err(FindError::OtherLattice { .. })));
    }

    #[test]
    fn a_table_of_positions_gives_its_basis_in_both_zones() {
        for (zone, e) in [(Zone::Z100, [[20.0, 1.0], [-2.0, 19.0]]), (Zone::Z110, [[14.0, 1.0], [-1.0, 20.0]])] {
            let points: Vec<[f64; 2]> = (0..400)
                .filter(|n| n % 17 != 0)
                .map(|n| {
                    let wobble = 0.4 * f64::from(n * 7919 % 11) / 11.0;
                    let p = combine(e, f64::from(n % 20), f64::from(n / 20));
                    [p[0] + wobble, p[1] - wobble]
                })
                .collect();
            let basis = from_positions(&points, zone).unwrap();
            let off = |i: usize| length([basis[i][0] - e[i][0], basis[i][1] - e[i][1]]);
            assert!(off(0) < 0.3 && off(1) < 0.3, "{basis:?}");
        }
        assert!(from_positions(&[[1.0, 1.0]; 30], Zone::Z100).is_err());
    }
}
