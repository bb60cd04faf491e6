//! Polynomials of third degree in the tilt (mrad): how every measured number answers a mis-tilt, with its slope and curvature.

use crate::numerics::least_squares::Cholesky;

/// Coefficients of a polynomial of third degree in two variables.
pub(super) const TERMS: usize = 10;
/// Powers (of θx, of θy) of each term.
pub(super) const POWERS: [[u32; 2]; TERMS] = [[0, 0], [1, 0], [0, 1], [2, 0], [1, 1], [0, 2], [3, 0], [2, 1], [1, 2], [0, 3]];

/// f(θ) = Σ c_mn θx^m θy^n with m + n ≤ 3, θ in mrad.
#[derive(Debug, Clone, Copy, PartialEq, Default, serde::Serialize, serde::Deserialize)]
pub struct Cubic(pub [f64; TERMS]);

/// The terms at a tilt.
#[must_use]
pub(super) fn terms([x, y]: [f64; 2]) -> [f64; TERMS] {
    let (xx, yy) = (x * x, y * y);
    [1.0, x, y, xx, x * y, yy, xx * x, xx * y, x * yy, yy * y]
}

impl Cubic {
    /// Value at a tilt.
    #[must_use]
    pub fn value(&self, tilt_mrad: [f64; 2]) -> f64 {
        self.dot(&terms(tilt_mrad))
    }

    /// Value where the terms are known.
    #[must_use]
    pub(super) fn dot(&self, terms: &[f64; TERMS]) -> f64 {
        self.0.iter().zip(terms).map(|(c, t)| c * t).sum()
    }

    /// ∂f/∂θ at zero tilt.
    #[must_use]
    pub fn slope(&self) -> [f64; 2] {
        [self.0[1], self.0[2]]
    }

    /// ∂²f/∂θ² at zero tilt: [xx, xy, yy], so that f ≈ f(0) + slope·θ + ½ θᵀ H θ.
    #[must_use]
    pub fn curvature(&self) -> [f64; 3] {
        [2.0 * self.0[3], self.0[4], 2.0 * self.0[5]]
    }

    /// The same with its value at zero tilt taken away.
    #[must_use]
    pub fn from_zero(mut self) -> Self {
        self.0[0] = 0.0;
        self
    }

    /// Adds a multiple of another.
    pub(super) fn add_scaled(&mut self, other: &Self, weight: f64) {
        self.0.iter_mut().zip(&other.0).for_each(|(a, b)| *a += weight * b);
    }

    /// The polynomial of a crystal whose polarization is `amplitude` (x, y) of this one's, by the mirrors x → −x and y → −y: a term whose
    /// parity under a mirror is odd scales with the amplitude along it, an even term stays. `parity` is 1 along x for an x-component, 1
    /// along y for a y-component.
    #[must_use]
    pub(super) fn of_domain(&self, amplitude: [f64; 2], parity: [u32; 2]) -> Self {
        let mut out = *self;
        for (c, power) in out.0.iter_mut().zip(POWERS) {
            for axis in 0..2 {
                if (power[axis] + parity[axis]) % 2 == 1 {
                    *c *= amplitude[axis];
                }
            }
        }
        out
    }
}

/// Least-squares fits of polynomials through values at fixed tilts.
pub(super) struct Design {
    tilts: Vec<[f64; 2]>,
    /// `weights[term][tilt]`.
    weights: Vec<Vec<f64>>,
}

impl Design {
    /// For these tilts; `None` where they do not determine a polynomial of third degree.
    pub(super) fn new(tilts_mrad: &[[f64; 2]]) -> Option<Self> {
        // In units of the largest tilt every term is of order one.
        let scale = tilts_mrad.iter().flatten().fold(0.0_f64, |m, t| m.max(t.abs()));
        if scale <= 0.0 || tilts_mrad.len() < TERMS {
            return None;
        }
        let rows: Vec<[f64; TERMS]> = tilts_mrad.iter().map(|t| terms(t.map(|v| v / scale))).collect();
        let mut normal = [[0.0; TERMS]; TERMS];
        for row in &rows {
            for i in 0..TERMS {
                (0..TERMS).for_each(|j| normal[i][j] += row[i] * row[j]);
            }
        }
        let factor = Cholesky::new(&normal).ok()?;
        let solved: Vec<[f64; TERMS]> = rows.iter().map(|row| factor.solve(*row)).collect();
        let weights = (0..TERMS)
            .map(|k| {
                let unit = scale.powi((POWERS[k][0] + POWERS[k][1]) as i32);
                solved.iter().map(|s| s[k] / unit).collect()
            })
            .collect();
        Some(Self { tilts: tilts_mrad.to_vec(), weights })
    }

    /// What the value at a tilt adds to a term.
    pub(super) fn weight(&self, term: usize, tilt: usize) -> f64 {
        self.weights[term][tilt]
    }

    /// The polynomial through one value a tilt.
    pub(super) fn fit(&self, values: &[f64]) -> Cubic {
        let mut cubic = Cubic::default();
        for (c, weights) in cubic.0.iter_mut().zip(&self.weights) {
            *c = weights.iter().zip(values).map(|(w, v)| w * v).sum();
        }
        cubic
    }

    /// Root mean square of what the polynomial leaves, for the degrees of freedom it leaves.
    pub(super) fn residual_rms(&self, cubic: &Cubic, values: &[f64]) -> f64 {
        let free = self.tilts.len().saturating_sub(TERMS).max(1) as f64;
        (self.tilts.iter().zip(values).map(|(t, v)| (v - cubic.value(*t)).powi(2)).sum::<f64>() / free).sqrt()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::artifact::Conditions;

    fn example() -> Cubic {
        Cubic([0.5, -0.4, 0.03, 0.01, -0.02, 0.005, 1e-3, -2e-3, 5e-4, 3e-4])
    }

    #[test]
    fn a_cubic_is_recovered_from_the_library_tilts() {
        let tilts = Conditions::default().tilts_mrad();
        let (design, cubic) = (Design::new(&tilts).unwrap(), example());
        let values: Vec<f64> = tilts.iter().map(|t| cubic.value(*t)).collect();
        let found = design.fit(&values);
        assert!(found.0.iter().zip(cubic.0).all(|(a, b)| (a - b).abs() < 1e-12), "{found:?}");
        assert!(design.residual_rms(&found, &values) < 1e-12);
        assert!(Design::new(&tilts[..9]).is_none());
        // f(θ) − f(0) = slope·θ + ½ θᵀHθ + third order.
        let [xx, xy, yy] = cubic.curvature();
        let t = [1e-3, 2e-3];
        let series =
            cubic.slope()[0] * t[0] + cubic.slope()[1] * t[1] + 0.5 * (xx * t[0] * t[0] + 2.0 * xy * t[0] * t[1] + yy * t[1] * t[1]);
        assert!((cubic.value(t) - 0.5 - series).abs() < 1e-10);
    }

    #[test]
    fn a_mirrored_domain_answers_the_mirrored_tilt() {
        let cubic = example();
        for parity in [[1, 0], [0, 1]] {
            for (sx, sy) in [(1.0, 1.0), (-1.0, 1.0), (1.0, -1.0), (-1.0, -1.0)] {
                let domain = cubic.of_domain([sx, sy], parity);
                let sign = if parity == [1, 0] { sx } else { sy };
                for t in [[1.5, -2.0], [0.3, 4.0]] {
                    assert!((domain.value(t) - sign * cubic.value([sx * t[0], sy * t[1]])).abs() < 1e-12);
                }
            }
            // Without polarization a component is odd in its own tilt.
            let none = cubic.of_domain([0.0, 0.0], parity);
            assert!((none.value([2.0, 1.0]) + none.value([-2.0, -1.0])).abs() < 1e-12);
        }
    }
}
