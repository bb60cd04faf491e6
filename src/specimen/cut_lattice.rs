//! The lattice of a slab: the shortest vector along the beam and the smallest cell across it, in whole numbers; Å, image axes.

use crate::crystal::lattice::{Matrix, Vector, dot, norm, row_times};

/// How far across the beam repeats are looked for, Å.
pub(crate) const REACH_ANGSTROM: f64 = 100.0;
/// Steepest climb of the repeat plane along the beam that is neglected.
const CLIMB_LIMIT: f64 = 0.02;

/// The repeat of a slab across the beam.
pub(crate) struct InPlaneCell {
    /// Two vectors, image axes, Å, right-handed.
    pub(crate) in_plane: [[f64; 2]; 2],
    /// Slope of their plane against the beam along x and y: height gained per in-plane ångström.
    pub(crate) climb_per_angstrom: [f64; 2],
    /// Primitive lattice vectors that fill the cell, one for each primitive cell in it.
    pub(crate) translations: Vec<[i64; 3]>,
}

/// The whole numbers of primitive vectors along a direction given in a basis that the primitive vectors are whole numbers of
/// (rows of `lattice_in_basis`), made as small as they get.
pub(crate) fn primitive_direction(indices: [i32; 3], lattice_in_basis: &[[i64; 3]; 3]) -> [i64; 3] {
    let m = lattice_in_basis;
    let minor = |i: usize, j: usize| {
        // Cofactors of m, taken cyclically.
        let ([i1, i2], [j1, j2]) = ([(i + 1) % 3, (i + 2) % 3], [(j + 1) % 3, (j + 2) % 3]);
        m[i1][j1] * m[i2][j2] - m[i1][j2] * m[i2][j1]
    };
    let determinant: i64 = (0..3).map(|j| m[0][j] * minor(0, j)).sum();
    // Row times the inverse, which is the transposed cofactors over the determinant.
    let row = [0, 1, 2].map(|k| (0..3).map(|j| i64::from(indices[j]) * minor(k, j)).sum::<i64>() * determinant.signum());
    without_common_factor(row)
}

/// The same direction in coprime numbers.
pub(crate) fn without_common_factor(row: [i64; 3]) -> [i64; 3] {
    let factor = row.into_iter().fold(0, greatest_common_divisor).max(1);
    row.map(|n| n / factor)
}

fn greatest_common_divisor(a: i64, b: i64) -> i64 {
    if b == 0 { a.abs() } else { greatest_common_divisor(b, a % b) }
}

/// Two rows that with the coprime `along` make every lattice vector.
fn completed_to_basis(along: [i64; 3]) -> [[i64; 3]; 2] {
    // Column operations bring `along` to (±1, 0, 0); their inverses, applied as row operations to the unit matrix, make a matrix whose
    // first row is ±`along` and whose determinant is ±1.
    let mut numbers = along;
    let mut rows = [[1, 0, 0], [0, 1, 0], [0, 0, 1]];
    for column in [1, 2] {
        while numbers[column] != 0 {
            let quotient = numbers[0].div_euclid(numbers[column]);
            numbers[0] -= quotient * numbers[column];
            rows[column] = combined(rows[column], 1, rows[0], quotient);
            numbers.swap(0, column);
            rows.swap(0, column);
        }
    }
    [rows[1], rows[2]]
}

fn combined(a: [i64; 3], m: i64, b: [i64; 3], n: i64) -> [i64; 3] {
    [0, 1, 2].map(|axis| m * a[axis] + n * b[axis])
}

/// A lattice vector seen along the beam.
#[derive(Clone, Copy)]
struct Projected {
    /// Whole numbers of the two basis vectors across the beam.
    numbers: [i64; 2],
    /// Image axes, Å.
    position: [f64; 2],
    /// Height along the beam, the least of all repeats, Å.
    climb: f64,
}

impl Projected {
    fn length_squared(&self) -> f64 {
        self.position[0] * self.position[0] + self.position[1] * self.position[1]
    }

    fn reversed(self) -> Self {
        Self { numbers: self.numbers.map(|n| -n), position: self.position.map(|x| -x), climb: -self.climb }
    }
}

/// The smallest cell across the beam along `along` (whole numbers of the rows of `lattice`), axes as rows of `axes`.
/// `None` when none lies within [`REACH_ANGSTROM`].
pub(crate) fn in_plane_vectors(along: [i64; 3], lattice: &Matrix, axes: &Matrix) -> Option<InPlaneCell> {
    let cartesian = |row: [i64; 3]| row_times(row.map(|n| n as f64), lattice);
    let period = norm(cartesian(along));
    let basis = reduced(completed_to_basis(along), &|row| {
        let v = cartesian(row);
        [dot(axes[0], v), dot(axes[1], v)]
    });
    let candidates = candidates(&basis.map(cartesian), axes, period);
    let (first, second, climb_per_angstrom) = smallest_pair(&candidates)?;
    Some(InPlaneCell {
        in_plane: [first.position, second.position],
        climb_per_angstrom,
        translations: translations(first.numbers, second.numbers, &basis),
    })
}

/// Gauss's reduction of the two vectors as they project.
fn reduced(mut rows: [[i64; 3]; 2], project: &impl Fn([i64; 3]) -> [f64; 2]) -> [[i64; 3]; 2] {
    let product = |a: [f64; 2], b: [f64; 2]| a[0] * b[0] + a[1] * b[1];
    for _ in 0..200 {
        let (a, b) = (project(rows[0]), project(rows[1]));
        let quotient = (product(a, b) / product(a, a)).round();
        rows[1] = combined(rows[1], 1, rows[0], -(quotient as i64));
        let shortened = project(rows[1]);
        if product(shortened, shortened) >= product(a, a) * (1.0 - 1e-9) {
            break;
        }
        rows.swap(0, 1);
    }
    rows
}

/// All vectors (one of each pair ±v) within reach that climb little enough, shortest first.
fn candidates(basis: &[Vector; 2], axes: &Matrix, period: f64) -> Vec<Projected> {
    let [u, v] = basis.map(|b| [dot(axes[0], b), dot(axes[1], b)]);
    let heights = basis.map(|b| dot(axes[2], b));
    let area = (u[0] * v[1] - u[1] * v[0]).abs();
    // In the strip |i u + j v| ≤ R, |i| ≤ R |v| / area and likewise j.
    let bound = |other: [f64; 2]| ((REACH_ANGSTROM * other[0].hypot(other[1]) / area) as i64).min(400);
    let mut candidates = Vec::new();
    for i in 0..=bound(v) {
        for j in -bound(u)..=bound(u) {
            if i == 0 && j <= 0 {
                continue;
            }
            let (m, n) = (i as f64, j as f64);
            let position = [m * u[0] + n * v[0], m * u[1] + n * v[1]];
            let height = m * heights[0] + n * heights[1];
            let climb = height - (height / period).round() * period;
            let length = position[0].hypot(position[1]);
            if length <= REACH_ANGSTROM && climb.abs() <= CLIMB_LIMIT * length {
                candidates.push(Projected { numbers: [i, j], position, climb });
            }
        }
    }
    candidates.sort_by(|a, b| a.length_squared().total_cmp(&b.length_squared()).then(a.numbers.cmp(&b.numbers)));
    candidates
}

/// The pair spanning the least area whose plane is not too steep, and its slope. Of those the shortest; of cells alike, as those of a
/// hexagonal net, the obtuse one whose first vector is nearest to +x.
fn smallest_pair(candidates: &[Projected]) -> Option<(Projected, Projected, [f64; 2])> {
    let area = |a: &Projected, b: &Projected| (a.numbers[0] * b.numbers[1] - a.numbers[1] * b.numbers[0]).abs();
    let squares = |a: &Projected, b: &Projected| a.length_squared() + b.length_squared();
    let mut least: Option<(i64, f64)> = None;
    for (i, a) in candidates.iter().enumerate() {
        for b in &candidates[i + 1..] {
            let size = (area(a, b), squares(a, b));
            // Candidates come shortest first and no cell is smaller than one primitive cell.
            if least.is_some_and(|best| best.0 == 1 && size.1 > best.1) {
                break;
            }
            let is_smaller = least.is_none_or(|best| size.0 < best.0 || size.0 == best.0 && size.1 < best.1);
            if size.0 > 0 && is_smaller && slope(a, b).is_some() {
                least = Some(size);
            }
        }
    }
    let (least_area, least_squares) = least?;
    let pairs = candidates.iter().enumerate().flat_map(|(i, a)| {
        let short_enough = candidates[i + 1..].iter().take_while(move |b| squares(a, b) < least_squares * (1.0 + 1e-6));
        short_enough.map(move |b| (a, b))
    });
    let alike = pairs.filter(|(a, b)| area(a, b) == least_area && slope(a, b).is_some());
    let oriented = alike.map(|(a, b)| right_handed_along_x(*a, *b));
    let (first, second) = oriented.reduce(|best, pair| if is_preferred(&pair, &best) { pair } else { best })?;
    slope(&first, &second).map(|slope| (first, second, slope))
}

/// Whether the first of two right-handed pairs is the better cell: obtuse or right, then by nearness of its first vector to +x.
fn is_preferred(pair: &(Projected, Projected), best: &(Projected, Projected)) -> bool {
    let is_acute = |(a, b): &(Projected, Projected)| {
        let product = a.position[0] * b.position[0] + a.position[1] * b.position[1];
        product > 1e-6 * a.length_squared()
    };
    match (is_acute(pair), is_acute(best)) {
        (false, true) => true,
        (true, false) => false,
        _ => is_nearer_to_x(&pair.0, &best.0),
    }
}

/// Whether the first vector makes the smaller angle with +x; of two alike, the one above (−y).
fn is_nearer_to_x(p: &Projected, q: &Projected) -> bool {
    let angle = |p: &Projected| p.position[1].atan2(p.position[0]);
    let (to_p, to_q) = (angle(p).abs(), angle(q).abs());
    to_p < to_q - 1e-6 || (to_p < to_q + 1e-6 && angle(p) < angle(q))
}

/// The gradient of height over the plane the two vectors span, if it is small enough to neglect.
fn slope(a: &Projected, b: &Projected) -> Option<[f64; 2]> {
    let area = a.position[0] * b.position[1] - a.position[1] * b.position[0];
    let gradient = [(a.climb * b.position[1] - b.climb * a.position[1]) / area, (b.climb * a.position[0] - a.climb * b.position[0]) / area];
    (gradient[0].hypot(gradient[1]) <= CLIMB_LIMIT).then_some(gradient)
}

/// The two vectors so signed and ordered that the first is nearest to +x (the upper of two alike) and the pair is right-handed.
fn right_handed_along_x(a: Projected, b: Projected) -> (Projected, Projected) {
    let mut pairs = [(a, b), (a.reversed(), b), (b, a), (b.reversed(), a)];
    for (first, second) in &mut pairs {
        if first.position[0] * second.position[1] < first.position[1] * second.position[0] {
            *second = second.reversed();
        }
    }
    pairs.into_iter().reduce(|best, pair| if is_nearer_to_x(&pair.0, &best.0) { pair } else { best }).expect("there are four pairs")
}

/// One lattice vector for each primitive cell inside the cell of the two vectors: a box of their Hermite normal form.
fn translations(first: [i64; 2], second: [i64; 2], basis: &[[i64; 3]; 2]) -> Vec<[i64; 3]> {
    let (mut a, mut b) = (first, second);
    while b[0] != 0 {
        let quotient = a[0].div_euclid(b[0]);
        (a, b) = (b, [a[0] - quotient * b[0], a[1] - quotient * b[1]]);
    }
    let (width, height) = (a[0].abs(), b[1].abs());
    (0..width).flat_map(|i| (0..height).map(move |j| combined(basis[0], i, basis[1], j))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_direction_completes_to_a_basis_of_determinant_one() {
        for along in [[1, 0, 0], [0, 0, 1], [0, -1, 0], [2, 1, 0], [3, -5, 7], [-6, 10, 15], [1, 1, 1]] {
            let [a, b] = completed_to_basis(along);
            let cross = [a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]];
            let determinant: i64 = (0..3).map(|axis| along[axis] * cross[axis]).sum();
            assert_eq!(determinant.abs(), 1, "{along:?}");
        }
    }

    #[test]
    fn directions_are_solved_in_whole_numbers() {
        // Rock-salt-like primitive vectors of an R3c perovskite: (1,1,0) and so on.
        let face_centred = [[1, 1, 0], [0, 1, 1], [1, 0, 1]];
        for (indices, period) in
            [([0, 0, 1], [0, 0, 2]), ([1, 1, 0], [1, 1, 0]), ([1, 1, 1], [2, 2, 2]), ([2, 1, 0], [4, 2, 0]), ([-3, 1, 0], [-3, 1, 0])]
        {
            let numbers = primitive_direction(indices, &face_centred);
            let back = [0, 1, 2].map(|axis| (0..3).map(|k| numbers[k] * face_centred[k][axis]).sum::<i64>());
            assert_eq!(back, period, "{indices:?}");
        }
    }

    #[test]
    fn a_sheared_cube_repeats_as_a_square() {
        let lattice = [[4.0, 0.0, 0.0], [4.0, 4.0, 0.0], [8.0, 4.0, 4.0]];
        let axes = [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]];
        // Along z: third minus first minus second.
        let cell = in_plane_vectors([-1, -1, 1], &lattice, &axes).expect("a cube repeats");
        for (value, expected) in cell.in_plane.iter().flatten().zip([4.0, 0.0, 0.0, 4.0]) {
            approx::assert_abs_diff_eq!(*value, expected, epsilon = 1e-12);
        }
        assert_eq!(cell.translations.len(), 1);
    }
}
