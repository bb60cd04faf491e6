//! A periodic, possibly oblique grid in the plane and its reciprocal raster; lengths in Å, frequencies in 1/Å.

/// A grid of `nx × ny` points on the cell `[a1, a2]`: point (ix, iy) at (ix/nx) a1 + (iy/ny) a2, stored row-major `[iy][ix]`.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize)]
pub struct Grid {
    /// Points along a1.
    pub nx: usize,
    /// Points along a2.
    pub ny: usize,
    /// The cell's two vectors, Å.
    pub cell_angstrom: [[f64; 2]; 2],
}

impl Grid {
    /// The smallest grid whose points lie no farther apart than `pixel_angstrom` along both vectors, with sizes of the form
    /// 2^a 3^b 5^c (fast transforms) and even (a symmetric band limit).
    #[must_use]
    pub fn for_pixel(cell_angstrom: [[f64; 2]; 2], pixel_angstrom: f64) -> Self {
        // A hair of tolerance, so that 4 Å in pixels of 0.05 Å is 80 points whatever the rounding.
        let [nx, ny] = cell_angstrom.map(|a| fast_size((norm(a) / pixel_angstrom * (1.0 - 1e-9)).ceil().max(2.0) as usize));
        Self { nx, ny, cell_angstrom }
    }

    /// The same cell sampled `factor` times finer.
    #[must_use]
    pub fn finer(self, factor: usize) -> Self {
        Self { nx: self.nx * factor, ny: self.ny * factor, ..self }
    }

    /// Number of points.
    #[must_use]
    pub fn len(self) -> usize {
        self.nx * self.ny
    }

    /// Whether the grid has no points.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.len() == 0
    }

    /// Reciprocal vectors `[b1, b2]` with a_i · b_j = δ_ij (no 2π), 1/Å.
    #[must_use]
    pub fn reciprocal(self) -> [[f64; 2]; 2] {
        reciprocal(self.cell_angstrom)
    }

    /// The frequency h b1 + k b2, 1/Å.
    #[must_use]
    pub fn frequency(self, h: i32, k: i32) -> [f64; 2] {
        combine(self.reciprocal(), [f64::from(h), f64::from(k)])
    }

    /// The signed frequency index held at FFT position `i` of `n`: −n/2 ≤ index < n/2.
    #[must_use]
    pub fn signed(i: usize, n: usize) -> i32 {
        if 2 * i < n { i as i32 } else { i as i32 - n as i32 }
    }

    /// Position in the FFT-ordered, row-major array of the frequency (h, k), wrapped into the grid.
    #[must_use]
    pub fn index(self, h: i32, k: i32) -> usize {
        let wrap = |i: i32, n: usize| i.rem_euclid(n as i32) as usize;
        wrap(k, self.ny) * self.nx + wrap(h, self.nx)
    }

    /// All signed frequency indices (h, k) in storage order.
    pub fn frequencies(self) -> impl Iterator<Item = (i32, i32)> {
        (0..self.ny).flat_map(move |y| (0..self.nx).map(move |x| (Self::signed(x, self.nx), Self::signed(y, self.ny))))
    }

    /// Radius of the largest disc of frequencies that the grid holds in every direction, 1/Å.
    #[must_use]
    pub fn nyquist(self) -> f64 {
        let [a1, a2] = self.cell_angstrom;
        (self.nx as f64 / (2.0 * norm(a1))).min(self.ny as f64 / (2.0 * norm(a2)))
    }
}

/// The smallest even number of the form 2^a 3^b 5^c that is at least `n`.
#[must_use]
pub fn fast_size(n: usize) -> usize {
    let smooth = |mut m: usize| {
        for p in [2, 3, 5] {
            while m.is_multiple_of(p) {
                m /= p;
            }
        }
        m == 1
    };
    // A power of two lies below twice any number, so the search ends there at the latest.
    (n.max(2)..=2 * n.max(2)).find(|&m| m % 2 == 0 && smooth(m)).unwrap_or(n)
}

/// Length of a vector.
#[must_use]
pub fn norm(v: [f64; 2]) -> f64 {
    v[0].hypot(v[1])
}

/// s\[0\] v\[0\] + s\[1\] v\[1\].
#[must_use]
pub fn combine(v: [[f64; 2]; 2], s: [f64; 2]) -> [f64; 2] {
    [s[0] * v[0][0] + s[1] * v[1][0], s[0] * v[0][1] + s[1] * v[1][1]]
}

/// Signed area a1 × a2.
#[must_use]
pub fn area(cell: [[f64; 2]; 2]) -> f64 {
    cell[0][0] * cell[1][1] - cell[0][1] * cell[1][0]
}

/// Reciprocal vectors of a cell, a_i · b_j = δ_ij.
#[must_use]
pub fn reciprocal(cell: [[f64; 2]; 2]) -> [[f64; 2]; 2] {
    let ([[ax, ay], [bx, by]], det) = (cell, area(cell));
    [[by / det, -bx / det], [-ay / det, ax / det]]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_even_fast_and_just_large_enough() {
        assert_eq!([79, 80, 81, 97, 127, 500].map(fast_size), [80, 80, 90, 100, 128, 500]);
        let grid = Grid::for_pixel([[4.0, 0.0], [0.0, 3.9]], 0.05);
        assert_eq!((grid.nx, grid.ny), (80, 80));
    }

    #[test]
    fn reciprocal_vectors_are_dual_and_the_nyquist_disc_fits() {
        let grid = Grid { nx: 12, ny: 10, cell_angstrom: [[4.0, 0.5], [-1.0, 3.0]] };
        let b = grid.reciprocal();
        for (i, a) in grid.cell_angstrom.iter().enumerate() {
            for (j, b) in b.iter().enumerate() {
                let dot = a[0] * b[0] + a[1] * b[1];
                assert!((dot - f64::from(u8::from(i == j))).abs() < 1e-12);
            }
        }
        let inside = (-20..20).flat_map(|h| (-20..20).map(move |k| (h, k)));
        for (h, k) in inside.filter(|&(h, k)| norm(grid.frequency(h, k)) < grid.nyquist()) {
            assert!(2 * h.abs() < 12 && 2 * k.abs() < 10);
        }
    }

    #[test]
    fn index_and_signed_frequency_are_inverse() {
        let grid = Grid { nx: 6, ny: 5, cell_angstrom: [[1.0, 0.0], [0.0, 1.0]] };
        for (i, (h, k)) in grid.frequencies().enumerate() {
            assert_eq!(grid.index(h, k), i);
        }
    }
}
