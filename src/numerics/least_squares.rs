//! Levenberg-Marquardt for a handful of parameters: normal equations accumulated on the fly, unitless, no allocation.
//!
//! Marquardt's scaling (J. SIAM 11 (1963) 431) with Nielsen's damping update (IMM-REP-1999-05, Technical University of Denmark, 1999).

use thiserror::Error;

/// Sums over the samples that a step needs: `JᵀWJ`, `JᵀWr` and Σ w r², with r = datum − model and J = ∂model/∂parameter.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct NormalEquations<const N: usize> {
    /// `JᵀWJ`; only the lower triangle (row ≥ column) is read.
    pub curvature: [[f64; N]; N],
    /// `JᵀWr`.
    pub gradient: [f64; N],
    /// Σ w r².
    pub cost: f64,
    /// Number of samples that entered.
    pub samples: usize,
}

impl<const N: usize> Default for NormalEquations<N> {
    fn default() -> Self {
        Self { curvature: [[0.0; N]; N], gradient: [0.0; N], cost: 0.0, samples: 0 }
    }
}

impl<const N: usize> NormalEquations<N> {
    /// Adds one sample: its residual (datum − model), the model's derivatives there and its weight (1/variance, or 1).
    pub fn add(&mut self, residual: f64, jacobian: &[f64; N], weight: f64) {
        for (i, &j) in jacobian.iter().enumerate() {
            let weighted = weight * j;
            for (sum, &other) in self.curvature[i][..=i].iter_mut().zip(jacobian) {
                *sum += weighted * other;
            }
            self.gradient[i] += weighted * residual;
        }
        self.cost += weight * residual * residual;
        self.samples += 1;
    }

    /// Adds one sample whose derivatives vanish but for the given (parameter, derivative) pairs, parameters in any order, none twice.
    pub fn add_sparse(&mut self, residual: f64, jacobian: &[(usize, f64)], weight: f64) {
        for (n, &(i, j)) in jacobian.iter().enumerate() {
            let weighted = weight * j;
            for &(k, other) in &jacobian[..=n] {
                self.curvature[i.max(k)][i.min(k)] += weighted * other;
            }
            self.gradient[i] += weighted * residual;
        }
        self.cost += weight * residual * residual;
        self.samples += 1;
    }

    fn is_finite(&self) -> bool {
        self.cost.is_finite() && self.gradient.iter().all(|g| g.is_finite()) && (0..N).all(|i| self.curvature[i][i].is_finite())
    }
}

/// When to stop.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Criteria {
    /// Accepted or rejected steps before giving up.
    pub max_iterations: usize,
    /// Converged when the step about to be taken promises to lower Σ w r² by less than this fraction: with n samples the step is then
    /// below √(n × this) standard errors. That last step is taken without evaluating the model again.
    pub relative_reduction: f64,
    /// Converged when the step is below this fraction of the parameters, both measured by the change they make in the model
    /// (the norm with diag `JᵀWJ`): this ends fits of data without noise.
    pub relative_step: f64,
}

impl Default for Criteria {
    fn default() -> Self {
        Self { max_iterations: 60, relative_reduction: 1e-9, relative_step: 1e-11 }
    }
}

/// Why no minimum is given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum Refusal {
    /// A value that is NaN or infinite.
    #[error("the model or its derivatives are not finite at the start; give finite data and a start inside the model's domain")]
    NotFinite,
    /// Fewer samples than parameters, or as many.
    #[error("{samples} samples cannot determine {parameters} parameters and their uncertainty; give at least {}", parameters + 1)]
    TooFewSamples {
        /// Samples given.
        samples: usize,
        /// Parameters asked for.
        parameters: usize,
    },
    /// The data do not determine a parameter.
    #[error("the data do not determine parameter {parameter} apart from the others; fix it or give data that do")]
    Singular {
        /// Index of the first undetermined parameter.
        parameter: usize,
    },
    /// Out of iterations.
    #[error("no minimum within {iterations} iterations; start closer or allow more iterations")]
    DidNotConverge {
        /// Iterations spent.
        iterations: usize,
    },
}

/// A minimum of Σ w r².
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Solution<const N: usize> {
    /// The parameters at the minimum.
    pub parameters: [f64; N],
    /// `(JᵀWJ)⁻¹`: the covariance if the weights are true 1/variance. [`Solution::covariance`] scales it by what the residuals say.
    pub unscaled_covariance: [[f64; N]; N],
    /// Σ w r² at the minimum.
    pub cost: f64,
    /// Samples that entered.
    pub samples: usize,
    /// Steps tried.
    pub iterations: usize,
}

impl<const N: usize> Solution<N> {
    /// Σ w r² / (samples − parameters).
    #[must_use]
    pub fn reduced_chi_squared(&self) -> f64 {
        self.cost / (self.samples - N) as f64
    }

    /// Covariance of the parameters with the noise level taken from the residuals: reduced χ² times `(JᵀWJ)⁻¹`. Right for independent residuals only.
    #[must_use]
    pub fn covariance(&self) -> [[f64; N]; N] {
        let scale = self.reduced_chi_squared();
        self.unscaled_covariance.map(|row| row.map(|c| c * scale))
    }
}

/// The lower triangular factor L of a symmetric positive definite matrix A = L Lᵀ; the diagonal holds 1/Lᵢᵢ.
#[derive(Debug, Clone, Copy)]
pub struct Cholesky<const N: usize>([[f64; N]; N]);

impl<const N: usize> Cholesky<N> {
    /// Factors the lower triangle of `matrix`, or names the first parameter whose pivot lost all but 1e-14 of its diagonal element.
    pub fn new(matrix: &[[f64; N]; N]) -> Result<Self, Refusal> {
        let mut lower = *matrix;
        for i in 0..N {
            for j in 0..=i {
                let dot: f64 = (0..j).map(|k| lower[i][k] * lower[j][k]).sum();
                let value = matrix[i][j] - dot;
                if i > j {
                    lower[i][j] = value * lower[j][j];
                } else if value > 1e-14 * matrix[i][i] && value.is_finite() {
                    lower[i][i] = 1.0 / value.sqrt();
                } else {
                    return Err(Refusal::Singular { parameter: i });
                }
            }
        }
        Ok(Self(lower))
    }

    /// L⁻¹ b.
    #[must_use]
    pub fn forward(&self, mut b: [f64; N]) -> [f64; N] {
        for i in 0..N {
            let dot: f64 = (0..i).map(|k| self.0[i][k] * b[k]).sum();
            b[i] = (b[i] - dot) * self.0[i][i];
        }
        b
    }

    /// ½ log det A.
    #[must_use]
    pub fn half_log_determinant(&self) -> f64 {
        // The diagonal is kept inverted.
        -(0..N).map(|i| self.0[i][i].ln()).sum::<f64>()
    }

    /// A⁻¹ b.
    #[must_use]
    pub fn solve(&self, b: [f64; N]) -> [f64; N] {
        let mut x = self.forward(b);
        for i in (0..N).rev() {
            let dot: f64 = (i + 1..N).map(|k| self.0[k][i] * x[k]).sum();
            x[i] = (x[i] - dot) * self.0[i][i];
        }
        x
    }

    /// A⁻¹.
    #[must_use]
    pub fn inverse(&self) -> [[f64; N]; N] {
        let mut inverse = [[0.0; N]; N];
        for (i, row) in inverse.iter_mut().enumerate() {
            row[i] = 1.0;
            *row = self.solve(*row);
        }
        inverse
    }
}

/// Minimises Σ w r² from `start`.
///
/// `evaluate` fills the (zeroed) sums at the parameters it is given and returns `false` where they lie outside the model's domain:
/// such a step is refused and a shorter one tried.
pub fn minimise<const N: usize>(
    start: [f64; N],
    criteria: &Criteria,
    mut evaluate: impl FnMut(&[f64; N], &mut NormalEquations<N>) -> bool,
) -> Result<Solution<N>, Refusal> {
    let mut parameters = start;
    let mut here = NormalEquations::default();
    if !evaluate(&parameters, &mut here) || !here.is_finite() {
        return Err(Refusal::NotFinite);
    }
    if here.samples <= N {
        return Err(Refusal::TooFewSamples { samples: here.samples, parameters: N });
    }
    let (mut damping, mut growth) = (1e-4, 2.0);
    for iteration in 1..=criteria.max_iterations {
        let Some(step) = Step::new(&here, damping)? else {
            (damping, growth) = (damping * growth, growth * 2.0);
            continue;
        };
        let trial: [f64; N] = std::array::from_fn(|i| parameters[i] + step.change[i]);
        let scale = norm(&here, &parameters) + here.cost;
        if step.reduction <= criteria.relative_reduction * here.cost || step.norm <= criteria.relative_step.powi(2) * scale {
            here.cost = (here.cost - step.reduction).max(0.0);
            return solution(trial, &here, iteration);
        }
        let mut there = NormalEquations::default();
        let inside = evaluate(&trial, &mut there) && there.is_finite();
        let ratio = (here.cost - there.cost) / step.reduction;
        if inside && ratio > 0.0 {
            (parameters, here) = (trial, there);
            damping = (damping * (1.0 - (2.0 * ratio - 1.0).powi(3)).max(0.1)).max(1e-12);
            growth = 2.0;
        } else {
            (damping, growth) = (damping * growth, growth * 2.0);
        }
    }
    Err(Refusal::DidNotConverge { iterations: criteria.max_iterations })
}

fn solution<const N: usize>(parameters: [f64; N], at: &NormalEquations<N>, iterations: usize) -> Result<Solution<N>, Refusal> {
    let unscaled_covariance = Cholesky::new(&at.curvature)?.inverse();
    Ok(Solution { parameters, unscaled_covariance, cost: at.cost, samples: at.samples, iterations })
}

/// Σ Dᵢᵢ vᵢ² with D = diag `JᵀWJ`: the square of the change in the model that each parameter makes alone.
fn norm<const N: usize>(at: &NormalEquations<N>, v: &[f64; N]) -> f64 {
    (0..N).map(|i| at.curvature[i][i] * v[i] * v[i]).sum()
}

/// The damped step `(JᵀWJ + λD) δ = JᵀWr`.
struct Step<const N: usize> {
    change: [f64; N],
    /// What the quadratic model promises to take off Σ w r².
    reduction: f64,
    norm: f64,
}

impl<const N: usize> Step<N> {
    /// `None` when the damped matrix is still singular in floating point: more damping helps, unless a parameter has no effect at all.
    fn new(at: &NormalEquations<N>, damping: f64) -> Result<Option<Self>, Refusal> {
        let mut damped = at.curvature;
        for (i, row) in damped.iter_mut().enumerate() {
            if row[i] <= 0.0 || damping > 1e10 {
                return Err(Refusal::Singular { parameter: i });
            }
            row[i] *= 1.0 + damping;
        }
        let Ok(factor) = Cholesky::new(&damped) else { return Ok(None) };
        let change = factor.solve(at.gradient);
        let norm = norm(at, &change);
        let along: f64 = (0..N).map(|i| change[i] * at.gradient[i]).sum();
        Ok(Some(Self { change, reduction: along + damping * norm, norm }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// NIST Statistical Reference Datasets, nonlinear regression, Misra1a (Misra, NIST 1978): volume (y) against pressure (x), lower difficulty.
    const MISRA1A: [(f64, f64); 14] = [
        (10.07, 77.6),
        (14.73, 114.9),
        (17.94, 141.1),
        (23.93, 190.8),
        (29.61, 239.9),
        (35.18, 289.0),
        (40.02, 332.8),
        (44.82, 378.4),
        (50.76, 434.8),
        (55.05, 477.3),
        (61.01, 536.8),
        (66.40, 593.1),
        (75.47, 689.1),
        (81.78, 760.0),
    ];

    fn misra1a(start: [f64; 2]) -> Solution<2> {
        minimise(start, &Criteria { relative_reduction: 1e-16, ..Criteria::default() }, |p, sums| {
            for (y, x) in MISRA1A {
                let decay = (-p[1] * x).exp();
                sums.add(y - p[0] * (1.0 - decay), &[1.0 - decay, p[0] * x * decay], 1.0);
            }
            true
        })
        .expect("a certified problem")
    }

    #[test]
    fn misra1a_gives_the_certified_values_from_both_certified_starts() {
        for start in [[500.0, 1e-4], [250.0, 5e-4]] {
            let fit = misra1a(start);
            let (b1, b2) = (2.389_421_291_8e2, 5.501_564_318_1e-4);
            assert!((fit.parameters[0] / b1 - 1.0).abs() < 1e-9, "{fit:?}");
            assert!((fit.parameters[1] / b2 - 1.0).abs() < 1e-9, "{fit:?}");
            assert!((fit.cost / 1.245_513_889_4e-1 - 1.0).abs() < 1e-9);
            let covariance = fit.covariance();
            assert!((covariance[0][0].sqrt() / 2.707_007_524_1 - 1.0).abs() < 1e-7);
            assert!((covariance[1][1].sqrt() / 7.266_868_810_9e-6 - 1.0).abs() < 1e-7);
        }
    }

    #[test]
    fn a_weighted_line_has_the_closed_form_answer_and_covariance() {
        let data = [(0.0, 1.1, 4.0), (1.0, 2.9, 1.0), (2.0, 5.2, 2.0), (4.0, 8.8, 0.5)];
        let fit = minimise([0.0, 0.0], &Criteria::default(), |p, sums| {
            for (x, y, w) in data {
                sums.add(y - p[0] - p[1] * x, &[1.0, x], w);
            }
            true
        })
        .expect("a line");
        let sum = |f: &dyn Fn(f64, f64) -> f64| data.iter().map(|&(x, y, w)| w * f(x, y)).sum::<f64>();
        let (s, sx, sxx, sy, sxy) = (sum(&|_, _| 1.0), sum(&|x, _| x), sum(&|x, _| x * x), sum(&|_, y| y), sum(&|x, y| x * y));
        let determinant = s * sxx - sx * sx;
        let expected = [(sxx * sy - sx * sxy) / determinant, (s * sxy - sx * sy) / determinant];
        assert!((fit.parameters[0] - expected[0]).abs() < 1e-7 && (fit.parameters[1] - expected[1]).abs() < 1e-7, "{fit:?}");
        assert!((fit.unscaled_covariance[0][0] - sxx / determinant).abs() < 1e-12);
        assert!((fit.unscaled_covariance[0][1] + sx / determinant).abs() < 1e-12);
        assert!((fit.unscaled_covariance[1][1] - s / determinant).abs() < 1e-12);
    }

    #[test]
    fn undetermined_parameters_and_values_that_are_not_finite_are_refused_by_name() {
        let twice = |p: &[f64; 2], sums: &mut NormalEquations<2>| {
            (0..5).for_each(|i| sums.add(f64::from(i) - p[0] - p[1], &[1.0, 1.0], 1.0));
            true
        };
        assert_eq!(minimise([0.0, 0.0], &Criteria::default(), twice), Err(Refusal::Singular { parameter: 1 }));
        let idle = |p: &[f64; 2], sums: &mut NormalEquations<2>| {
            (0..5).for_each(|i| sums.add(f64::from(i) - p[1], &[0.0, 1.0], 1.0));
            true
        };
        assert_eq!(minimise([0.0, 0.0], &Criteria::default(), idle), Err(Refusal::Singular { parameter: 0 }));
        let few = |p: &[f64; 2], sums: &mut NormalEquations<2>| {
            sums.add(1.0 - p[0], &[1.0, 0.0], 1.0);
            true
        };
        assert_eq!(minimise([0.0, 0.0], &Criteria::default(), few), Err(Refusal::TooFewSamples { samples: 1, parameters: 2 }));
        let outside = |_: &[f64; 1], _: &mut NormalEquations<1>| false;
        assert_eq!(minimise([0.0], &Criteria::default(), outside), Err(Refusal::NotFinite));
        let bad = |_: &[f64; 1], sums: &mut NormalEquations<1>| {
            (0..3).for_each(|_| sums.add(f64::NAN, &[1.0], 1.0));
            true
        };
        assert_eq!(minimise([0.0], &Criteria::default(), bad), Err(Refusal::NotFinite));
    }

    #[test]
    fn a_model_that_runs_away_ends_in_a_refusal() {
        // exp(-p) has no minimum: the fit of zeros by it walks to infinity.
        let fit = minimise([0.0], &Criteria { relative_reduction: 0.0, relative_step: 0.0, max_iterations: 30 }, |p, sums| {
            (0..4).for_each(|_| sums.add(-(-p[0]).exp(), &[-(-p[0]).exp()], 1.0));
            true
        });
        assert_eq!(fit, Err(Refusal::DidNotConverge { iterations: 30 }));
    }
}
