//! Arithmetic of lattices: vectors are rows, so a fractional row times the lattice matrix is a Cartesian row; Å.

/// A Cartesian or fractional vector.
pub(crate) type Vector = [f64; 3];
/// Three rows.
pub(crate) type Matrix = [[f64; 3]; 3];

/// Scalar product.
pub(crate) fn dot(a: Vector, b: Vector) -> f64 {
    a[0] * b[0] + a[1] * b[1] + a[2] * b[2]
}

/// Vector product.
pub(crate) fn cross(a: Vector, b: Vector) -> Vector {
    [a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]]
}

/// Length.
pub(crate) fn norm(a: Vector) -> f64 {
    dot(a, a).sqrt()
}

/// a + b.
pub(crate) fn add(a: Vector, b: Vector) -> Vector {
    [a[0] + b[0], a[1] + b[1], a[2] + b[2]]
}

/// a − b.
pub(crate) fn sub(a: Vector, b: Vector) -> Vector {
    [a[0] - b[0], a[1] - b[1], a[2] - b[2]]
}

/// a times a number.
pub(crate) fn scale(a: Vector, factor: f64) -> Vector {
    a.map(|x| x * factor)
}

/// The vector of length one along a; `a` must not be zero.
pub(crate) fn unit(a: Vector) -> Vector {
    scale(a, 1.0 / norm(a))
}

/// Row times matrix: fractional to Cartesian when `m` is a lattice.
pub(crate) fn row_times(v: Vector, m: &Matrix) -> Vector {
    add(add(scale(m[0], v[0]), scale(m[1], v[1])), scale(m[2], v[2]))
}

/// Matrix product.
pub(crate) fn product(a: &Matrix, b: &Matrix) -> Matrix {
    a.map(|row| row_times(row, b))
}

/// Rows become columns.
pub(crate) fn transpose(m: &Matrix) -> Matrix {
    [0, 1, 2].map(|i| [m[0][i], m[1][i], m[2][i]])
}

/// Signed volume spanned by the rows.
pub(crate) fn determinant(m: &Matrix) -> f64 {
    dot(m[0], cross(m[1], m[2]))
}

/// Whether the rows span no volume (NaN spans none).
pub(crate) fn is_singular(m: &Matrix) -> bool {
    let volume = determinant(m).abs();
    volume.is_nan() || volume <= 1e-6
}

/// The inverse matrix; `m` must not be singular (crystals are checked for it when they are made).
pub(crate) fn inverse(m: &Matrix) -> Matrix {
    let volume = determinant(m);
    let columns = [cross(m[1], m[2]), cross(m[2], m[0]), cross(m[0], m[1])];
    transpose(&columns.map(|c| scale(c, 1.0 / volume)))
}

/// The tensor `⟨u_i u_j⟩` in new axes, the rows of `axes` (unit vectors) in the old ones: R U Rᵀ.
pub(crate) fn tensor_in_axes(tensor: &Matrix, axes: &Matrix) -> Matrix {
    product(&product(axes, tensor), &transpose(axes))
}

/// An isotropic displacement tensor U·1.
pub(crate) fn isotropic(u: f64) -> Matrix {
    [[u, 0.0, 0.0], [0.0, u, 0.0], [0.0, 0.0, u]]
}

/// Distance between the lattice planes facing each vector, Å: how far one goes before the cell repeats.
pub(crate) fn plane_distances(lattice: &Matrix) -> Vector {
    let volume = determinant(lattice).abs();
    [(1, 2), (2, 0), (0, 1)].map(|(i, j)| volume / norm(cross(lattice[i], lattice[j])))
}

/// A fractional coordinate in [0, 1); what rounding leaves just below 1 becomes 0.
pub(crate) fn wrap(x: f64) -> f64 {
    let fraction = x - x.floor();
    if fraction > 1.0 - 1e-9 { 0.0 } else { fraction }
}

/// Lattice vectors of a cell in the usual crystallographic frame, a along x and c* along z.
pub(crate) fn from_parameters(lengths: Vector, angles_degree: Vector) -> Matrix {
    let [cos_alpha, cos_beta, cos_gamma] = angles_degree.map(cosine_of_degrees);
    let sin_gamma = (1.0 - cos_gamma * cos_gamma).sqrt();
    let y = (cos_alpha - cos_beta * cos_gamma) / sin_gamma;
    let z = (1.0 - cos_beta * cos_beta - y * y).sqrt();
    [[lengths[0], 0.0, 0.0], [lengths[1] * cos_gamma, lengths[1] * sin_gamma, 0.0], [lengths[2] * cos_beta, lengths[2] * y, lengths[2] * z]]
}

/// The cosine, exact at 60°, 90° and 120°, so that right angles leave no 1e-17 in a lattice.
fn cosine_of_degrees(angle: f64) -> f64 {
    let twice = (2.0 * angle.to_radians().cos() * 1e12).round() / 1e12;
    if twice.fract() == 0.0 { twice / 2.0 } else { angle.to_radians().cos() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use approx::assert_abs_diff_eq;

    #[test]
    fn a_hexagonal_cell_has_the_volume_one_computes_by_hand() {
        let lattice = from_parameters([5.57882, 5.57882, 13.86932], [90.0, 90.0, 120.0]);
        assert_abs_diff_eq!(determinant(&lattice), 3.0_f64.sqrt() / 2.0 * 5.57882 * 5.57882 * 13.86932, epsilon = 1e-9);
        assert!(lattice[2][0].abs() + lattice[2][1].abs() == 0.0, "c is not along z: {:?}", lattice[2]);
        assert_abs_diff_eq!(plane_distances(&lattice)[0], 5.57882 * 3.0_f64.sqrt() / 2.0, epsilon = 1e-12);
    }

    #[test]
    fn a_lattice_times_its_inverse_is_one() {
        let lattice = from_parameters([3.1, 4.5, 7.2], [71.0, 98.0, 112.0]);
        let one = product(&lattice, &inverse(&lattice));
        for (i, row) in one.iter().enumerate() {
            for (j, value) in row.iter().enumerate() {
                assert_abs_diff_eq!(*value, f64::from(u8::from(i == j)), epsilon = 1e-12);
            }
        }
    }

    #[test]
    fn wrapping_leaves_no_fraction_a_hair_below_one() {
        for (x, wrapped) in [(1.25, 0.25), (-0.25, 0.75), (-1e-12, 0.0), (1.0, 0.0)] {
            assert_abs_diff_eq!(wrap(x), wrapped, epsilon = 1e-15);
        }
    }
}
