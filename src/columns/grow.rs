//! Integer indices for points that lie on a slowly distorted lattice: grown outward from a good seed, each step predicted by an
//! affine fit to the indexed neighbours, so shear, drift, walls and missing points are followed; pixels.

use super::lattice::{Basis, combine, length};
use super::neighbours::PointGrid;
use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};

/// Indexed positions of one lattice of columns, and what they predict in between.
#[derive(Debug, Clone)]
pub(crate) struct IndexField {
    /// Lattice vectors where nothing nearer is known, px.
    pub(crate) basis: Basis,
    /// Positions by index. Only looked up, never walked: its order is not that of any result.
    positions: HashMap<[i32; 2], [f64; 2]>,
}

/// What the neighbours say of a place in the lattice.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Prediction {
    pub(crate) position: [f64; 2],
    pub(crate) basis: Basis,
    /// How many neighbours were asked.
    pub(crate) support: usize,
}

impl IndexField {
    pub(crate) fn new(basis: Basis) -> Self {
        Self { basis, positions: HashMap::new() }
    }

    pub(crate) fn insert(&mut self, index: [i32; 2], position: [f64; 2]) {
        self.positions.insert(index, position);
    }

    pub(crate) fn remove(&mut self, index: [i32; 2]) {
        self.positions.remove(&index);
    }

    pub(crate) fn get(&self, index: [i32; 2]) -> Option<[f64; 2]> {
        self.positions.get(&index).copied()
    }

    /// Affine fit to the indexed points within ±2 of the fractional index `at` (one of them left out if asked), with the global
    /// basis as a weak prior. `None` if there is no such point.
    pub(crate) fn predict(&self, at: [f64; 2], leave_out: Option<[i32; 2]>) -> Option<Prediction> {
        let middle = at.map(|v| v.round() as i32);
        // Unknowns: position at `at`, e1, e2. The prior weighs as much as a quarter of one neighbour.
        let mut normal = [[0.0; 3]; 3];
        let mut right = [[0.0; 2]; 3];
        for k in 0..2 {
            normal[k + 1][k + 1] = 0.25;
            right[k + 1] = self.basis[k].map(|e| 0.25 * e);
        }
        let mut support = 0;
        for j in -2..=2 {
            for i in -2..=2 {
                let index = [middle[0] + i, middle[1] + j];
                let Some(position) = self.get(index).filter(|_| leave_out != Some(index)) else { continue };
                let row = [1.0, f64::from(index[0]) - at[0], f64::from(index[1]) - at[1]];
                let weight = 1.0 / (0.5 + row[1] * row[1] + row[2] * row[2]);
                for r in 0..3 {
                    for c in 0..3 {
                        normal[r][c] += weight * row[r] * row[c];
                    }
                    for axis in 0..2 {
                        right[r][axis] += weight * row[r] * position[axis];
                    }
                }
                support += 1;
            }
        }
        if support == 0 {
            return None;
        }
        let [position, e1, e2] = solve3(normal, right);
        Some(Prediction { position, basis: [e1, e2], support })
    }
}

/// Solves a symmetric positive 3 × 3 system for two right sides by Cramer's rule.
fn solve3(m: [[f64; 3]; 3], right: [[f64; 2]; 3]) -> [[f64; 2]; 3] {
    let minor = |r: usize, c: usize| {
        let [r1, r2] = [(r + 1) % 3, (r + 2) % 3];
        let [c1, c2] = [(c + 1) % 3, (c + 2) % 3];
        m[r1][c1] * m[r2][c2] - m[r1][c2] * m[r2][c1]
    };
    let det: f64 = (0..3).map(|c| m[0][c] * minor(0, c)).sum();
    [0, 1, 2].map(|k| [0, 1].map(|axis| (0..3).map(|r| minor(r, k) * right[r][axis]).sum::<f64>() / det))
}

/// A point given its integer index: `(index, number of the point)`.
pub(crate) type Indexed = ([i32; 2], usize);

/// How far from its predicted place a point may lie, in units of the shorter lattice vector.
const TOLERANCE: f64 = 0.3;
/// How many missing columns in a row growth may step across.
const LONGEST_GAP: u32 = 3;

/// Indexes `points` (with `weights`, such as peak heights) from the seed with the best neighbourhood. Returns the indexed points,
/// sorted by row and then column, and the field that predicts between them.
pub(crate) fn grow(points: &[[f64; 2]], weights: &[f64], basis: Basis) -> Option<(Vec<Indexed>, IndexField)> {
    let shortest = length(basis[0]).min(length(basis[1]));
    let grid = PointGrid::new(points, Some(0.5 * shortest))?;
    let seed = best_seed(points, weights, basis, &grid, 0.25 * shortest)?;
    let mut growth = Growth {
        points,
        weights,
        field: IndexField::new(basis),
        taken: HashMap::new(),
        claimed: vec![false; points.len()],
        gaps: HashMap::new(),
        queue: BinaryHeap::new(),
        serial: 0,
    };
    growth.accept([0, 0], seed);
    while let Some((_, _, index)) = growth.queue.pop() {
        growth.visit(index, &grid, TOLERANCE * shortest);
    }
    let (mut nodes, mut field) = (growth.taken.into_iter().collect::<Vec<_>>(), growth.field);
    nodes.sort_unstable_by_key(|([i, j], _)| (*j, *i));
    // A point far from where its neighbours put it was a wrong turn.
    let astray = |(index, point): &Indexed| {
        let predicted = field.predict(index.map(f64::from), Some(*index)).filter(|p| p.support >= 3);
        predicted.is_some_and(|p| distance(p.position, points[*point]) > TOLERANCE * shortest)
    };
    let (wrong, right): (Vec<Indexed>, Vec<Indexed>) = nodes.into_iter().partition(astray);
    for (index, _) in &wrong {
        field.remove(*index);
    }
    field.basis = mean_basis(&right, &field);
    Some((right, field))
}

fn distance(a: [f64; 2], b: [f64; 2]) -> f64 {
    (a[0] - b[0]).hypot(a[1] - b[1])
}

/// The point with the most of its eight neighbours in place, and among those the one whose neighbourhood is brightest.
fn best_seed(points: &[[f64; 2]], weights: &[f64], basis: Basis, grid: &PointGrid<'_>, reach: f64) -> Option<usize> {
    let neighbours = [[1, 0], [0, 1], [-1, 0], [0, -1], [1, 1], [-1, 1], [-1, -1], [1, -1]];
    let score = |n: usize| {
        let p = points[n];
        let around = neighbours.iter().filter_map(|[i, j]| {
            let e = combine(basis, f64::from(*i), f64::from(*j));
            grid.nearest([p[0] + e[0], p[1] + e[1]], reach)
        });
        // The second darkest counts, so that a dark seed among bright columns of the other species is not chosen.
        let mut around: Vec<f64> = around.map(|m| weights[m]).chain([weights[n]]).collect();
        around.sort_unstable_by(f64::total_cmp);
        (around.len(), around[usize::from(around.len() > 1)])
    };
    let scored = (0..points.len()).map(|n| (score(n), n));
    let best = scored.max_by(|(a, n), (b, m)| a.0.cmp(&b.0).then(a.1.total_cmp(&b.1)).then(m.cmp(n)))?;
    (best.0.0 >= 4).then_some(best.1)
}

struct Growth<'a> {
    points: &'a [[f64; 2]],
    weights: &'a [f64],
    field: IndexField,
    taken: HashMap<[i32; 2], usize>,
    /// Whether a point has its index already.
    claimed: Vec<bool>,
    /// Indices with no point, and how many such lie in a row behind them.
    gaps: HashMap<[i32; 2], u32>,
    /// Best supported first, then oldest first.
    queue: BinaryHeap<(usize, Reverse<u64>, [i32; 2])>,
    serial: u64,
}

const SIDES: [[i32; 2]; 4] = [[1, 0], [0, 1], [-1, 0], [0, -1]];

impl Growth<'_> {
    fn accept(&mut self, index: [i32; 2], point: usize) {
        self.taken.insert(index, point);
        self.claimed[point] = true;
        self.field.insert(index, self.points[point]);
        self.gaps.remove(&index);
        self.ask_around(index);
    }

    fn ask_around(&mut self, [i, j]: [i32; 2]) {
        for [di, dj] in SIDES {
            let next = [i + di, j + dj];
            if !self.taken.contains_key(&next) && !self.gaps.contains_key(&next) {
                let support = self.support(next);
                self.queue.push((support, Reverse(self.serial), next));
                self.serial += 1;
            }
        }
    }

    fn support(&self, [i, j]: [i32; 2]) -> usize {
        let around = (-1..=1).flat_map(|di| (-1..=1).map(move |dj| [i + di, j + dj]));
        around.filter(|index| self.taken.contains_key(index)).count()
    }

    fn visit(&mut self, index: [i32; 2], grid: &PointGrid<'_>, reach: f64) {
        if self.taken.contains_key(&index) || self.gaps.contains_key(&index) {
            return;
        }
        let Some(predicted) = self.field.predict(index.map(f64::from), None) else {
            // The far side of a gap wider than the fit looks: nothing to go by.
            self.gaps.insert(index, LONGEST_GAP);
            return;
        };
        let expected = self.weights_around(index);
        let merit = |n: usize| self.weights[n] * (1.0 - 0.8 * (distance(self.points[n], predicted.position) / reach).powi(2));
        let candidates = grid.within(predicted.position, reach).filter(|n| self.weights[*n] > 0.25 * expected);
        let best = candidates.max_by(|&a, &b| merit(a).total_cmp(&merit(b)).then(b.cmp(&a)));
        // A point that already has an index keeps it: two indices for one point mean that the lattice folds here.
        let free = best.filter(|n| !self.claimed[*n]);
        if let Some(point) = free {
            self.accept(index, point);
            return;
        }
        let [i, j] = index;
        let behind = SIDES.iter().filter_map(|[di, dj]| {
            let side = [i + di, j + dj];
            if self.taken.contains_key(&side) { Some(0) } else { self.gaps.get(&side).copied() }
        });
        let depth = behind.min().unwrap_or(LONGEST_GAP) + 1;
        self.gaps.insert(index, depth);
        if best.is_none() && depth < LONGEST_GAP {
            self.ask_around(index);
        }
    }

    fn weights_around(&self, [i, j]: [i32; 2]) -> f64 {
        let around = (-2..=2).flat_map(|di| (-2..=2).map(move |dj| [i + di, j + dj]));
        let (n, sum) = around.filter_map(|index| self.taken.get(&index)).fold((0.0, 0.0), |(n, s), p| (n + 1.0, s + self.weights[*p]));
        if n > 0.0 { sum / n } else { 0.0 }
    }
}

/// Mean lattice vectors: a straight-line fit to the indexed points that have neighbours on all four sides (columns cut by the image's
/// edge lie askew), or to all if those are few; the field's own basis if they lie on one line.
fn mean_basis(nodes: &[Indexed], field: &IndexField) -> Basis {
    let surrounded = |([i, j], _): &&Indexed| SIDES.iter().all(|[di, dj]| field.get([i + di, j + dj]).is_some());
    let inner: Vec<Indexed> = nodes.iter().filter(surrounded).copied().collect();
    let nodes = if inner.len() >= 9 { &inner } else { nodes };
    let n = nodes.len() as f64;
    let mean = |f: &dyn Fn(&Indexed) -> f64| nodes.iter().map(f).sum::<f64>() / n;
    let position = |node: &Indexed| field.get(node.0).unwrap_or_default();
    let index_mean = [mean(&|m| f64::from(m.0[0])), mean(&|m| f64::from(m.0[1]))];
    let place_mean = [mean(&|m| position(m)[0]), mean(&|m| position(m)[1])];
    let (mut uu, mut uv, mut vv, mut up, mut vp) = (0.0, 0.0, 0.0, [0.0; 2], [0.0; 2]);
    for node in nodes {
        let [u, v] = [0, 1].map(|k| f64::from(node.0[k]) - index_mean[k]);
        uu += u * u;
        uv += u * v;
        vv += v * v;
        for axis in 0..2 {
            let d = position(node)[axis] - place_mean[axis];
            up[axis] += u * d;
            vp[axis] += v * d;
        }
    }
    let det = uu * vv - uv * uv;
    if det < 1e-9 * n.max(1.0) {
        return field.basis;
    }
    [[0, 1].map(|x| (vv * up[x] - uv * vp[x]) / det), [0, 1].map(|x| (uu * vp[x] - uv * up[x]) / det)]
}

#[cfg(test)]
mod tests {
    use super::*;

    const E: Basis = [[20.0, 1.5], [-1.0, 21.0]];

    fn bent(i: f64, j: f64) -> [f64; 2] {
        let p = combine(E, i, j);
        [p[0] + 9.0 * (p[1] / 90.0).sin(), p[1] + 7.0 * (p[0] / 80.0).cos()]
    }

    #[test]
    fn every_point_of_a_bent_lattice_with_holes_gets_its_index() {
        let missing = |i: i32, j: i32| (i * 7 + j * 3) % 23 == 0 || (i == 10 && (3..20).contains(&j));
        let all: Vec<[i32; 2]> = (0..24).flat_map(|j| (0..22).map(move |i| [i, j])).filter(|[i, j]| !missing(*i, *j)).collect();
        let mut points: Vec<[f64; 2]> = all.iter().map(|[i, j]| bent(f64::from(*i), f64::from(*j))).collect();
        let real = points.len();
        // Weaker columns in the middles, and false peaks.
        points.extend(all.iter().map(|[i, j]| bent(f64::from(*i) + 0.5, f64::from(*j) + 0.5)));
        let weights: Vec<f64> = (0..points.len()).map(|n| if n < real { 1.0 } else { 0.6 }).collect();
        let (nodes, field) = grow(&points, &weights, E).unwrap();
        assert_eq!(nodes.len(), real);
        let origin = nodes[0];
        for (index, point) in &nodes {
            let step = [0, 1].map(|k| index[k] - origin.0[k]);
            let truth = [0, 1].map(|k| all[*point][k] - all[origin.1][k]);
            assert_eq!(step, truth);
        }
        assert!(length([field.basis[0][0] - 20.0, field.basis[0][1] - 1.5]) < 1.0);
    }

    #[test]
    fn scattered_points_and_lines_grow_nothing() {
        assert!(grow(&[[0.0, 0.0], [500.0, 3.0], [20.0, 900.0]], &[1.0; 3], E).is_none());
        let line: Vec<[f64; 2]> = (0..9).map(|i| [20.0 * f64::from(i), 0.0]).collect();
        assert!(grow(&line, &[1.0; 9], E).is_none());
    }

    #[test]
    fn prediction_reproduces_an_affine_lattice_and_leaves_out_what_it_is_told_to() {
        let mut field = IndexField::new([[19.0, 0.0], [0.0, 19.0]]);
        (0..25).for_each(|n| field.insert([n % 5, n / 5], combine(E, f64::from(n % 5), f64::from(n / 5))));
        field.insert([2, 2], [1e3, 1e3]);
        let p = field.predict([2.0, 2.0], Some([2, 2])).unwrap();
        let exact = combine(E, 2.0, 2.0);
        assert!((p.position[0] - exact[0]).abs() < 0.05 && (p.position[1] - exact[1]).abs() < 0.05 && p.support == 24);
        assert!((p.basis[0][0] - 20.0).abs() < 0.05);
    }
}
