//! A 2-D Gaussian on a constant background by least squares: A exp(−(a x² + 2 b x y + c y²)/2) + B about (x₀, y₀), lengths in samples.
//!
//! The inverse-width matrix (a, b, c) has no singular angle where the widths are equal. The derivatives are g times polynomials of degree ≤ 2
//! in (x, y), so the normal equations are moments of g² and g r: about a third of the additions that sums over Jacobian rows would cost.

use super::estimate::{ColumnFit, FitFailure, Noise, Source, distance_samples, skewness, widths};
use super::exponential::exp;
use super::patch::{LANES, Patch};
use super::uncertainty::ResidualCorrelation;
use crate::numerics::least_squares::{Criteria, NormalEquations, Refusal, Solution, minimise};

/// Whether a Gaussian may be longer one way than the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    /// Two widths and a rotation: seven parameters.
    Elliptical,
    /// One width: five parameters.
    Round,
}

/// Windows that follow their column settle within a few rounds; a column that still moves then stays with its last window.
const ROUNDS: usize = 6;

/// Amplitude, x, y, a, b, c, background.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Gaussian {
    pub(super) amplitude: f64,
    pub(super) position: [f64; 2],
    pub(super) inverse_width: [f64; 3],
    pub(super) background: f64,
}

/// A Gaussian fitted to one patch, with what its uncertainty needs.
pub(super) struct PatchFit<const N: usize> {
    pub(super) gaussian: Gaussian,
    pub(super) solution: Solution<N>,
}

/// Fits a Gaussian in a window that follows it.
pub(super) fn fit(source: &impl Source, start: [f64; 2], shape: Shape) -> Result<ColumnFit, FitFailure> {
    match shape {
        Shape::Elliptical => follow::<7, 6>(source, start),
        Shape::Round => follow::<5, 4>(source, start),
    }
}

fn follow<const N: usize, const M: usize>(source: &impl Source, start: [f64; 2]) -> Result<ColumnFit, FitFailure> {
    let mut patch = source.cut(start)?;
    let mut guess = first_guess(&patch);
    let ahead = [0, 1].map(|i| guess.position[i] - patch.centre[i]);
    if ahead[0].hypot(ahead[1]) > source.settled() {
        // The guess is good to a tenth of a sample: a window moved there now rarely has to move again.
        patch = source.cut(patch.frame.position(guess.position))?;
        guess.position = patch.centre;
    }
    let mut round = 1;
    loop {
        let found: PatchFit<N> = fit_patch::<N, M>(&patch, guess)?;
        let position = patch.frame.position(found.gaussian.position);
        let distance = distance_samples(&patch.frame, position, start);
        if distance > patch.radius {
            return Err(FitFailure::LeftWindow { distance_samples: distance });
        }
        let offset = [0, 1].map(|i| found.gaussian.position[i] - patch.centre[i]);
        if offset[0].hypot(offset[1]) <= source.settled() || round == ROUNDS {
            return Ok(column_fit::<N, M>(&patch, &found, source.noise()));
        }
        patch = source.cut(position)?;
        guess = Gaussian { position: patch.centre, ..found.gaussian };
        round += 1;
    }
}

fn column_fit<const N: usize, const M: usize>(patch: &Patch, found: &PatchFit<N>, noise: Noise) -> ColumnFit {
    let Gaussian { amplitude, position, inverse_width, background } = found.gaussian;
    let covariance = found.solution.covariance();
    let formal = [covariance[1][1], covariance[2][1], covariance[2][2]];
    let empirical = || {
        let (residuals, jacobian) = linearised::<N, M>(patch, &found.gaussian);
        let position = [1, 2].map(|i| std::array::from_fn(|k| f64::from(u8::from(k == i))));
        ResidualCorrelation::new(patch, &residuals, &jacobian).map(|correlation| correlation.covariance(&position))
    };
    ColumnFit {
        position: patch.frame.position(position),
        covariance: (noise != Noise::None).then(|| patch.frame.covariance(formal)),
        empirical_covariance: if noise == Noise::Correlated { empirical().map(|c| patch.frame.covariance(c)) } else { None },
        amplitude,
        background,
        widths: Some(widths(&patch.frame, inverse_width)),
        residual_rms: Some((found.solution.cost / patch.samples as f64).sqrt()),
        skewness: skewness(patch, position, background),
        samples: patch.samples,
        iterations: found.solution.iterations,
    }
}

/// Fits a Gaussian to a patch as it stands. N = 7, M = 6 is elliptical, N = 5, M = 4 round.
pub(super) fn fit_patch<const N: usize, const M: usize>(patch: &Patch, start: Gaussian) -> Result<PatchFit<N>, FitFailure> {
    let (mut last, mut scratch) = (start, Vec::with_capacity(patch.values.len()));
    let solution = minimise(pack::<N>(&start), &Criteria::default(), |p, equations| {
        let here = unpack(p);
        let [a, b, c] = here.inverse_width;
        if !(a > 0.0 && c > 0.0 && a * c - b * b > 1e-9 * a * c) {
            return false;
        }
        last = here;
        fill::<N, M>(&Sums::new(patch, &here, &mut scratch), &here, patch, equations);
        true
    });
    let sane = |fitted: &Gaussian| {
        let sigma = widths(&super::patch::Frame { spacing: 1.0, ..patch.frame }, fitted.inverse_width);
        let ran_away = |sigma_samples: f64| Err(FitFailure::WidthRanAway { sigma_samples });
        match sigma {
            w if w.sigma_minor < 0.25 => ran_away(w.sigma_minor),
            w if w.sigma_major.is_nan() || w.sigma_major > 2.0 * patch.radius => ran_away(w.sigma_major),
            _ if fitted.amplitude <= 0.0 => Err(FitFailure::AmplitudeNotPositive),
            _ => Ok(()),
        }
    };
    match solution {
        Ok(solution) => {
            let gaussian = unpack(&solution.parameters);
            sane(&gaussian)?;
            Ok(PatchFit { gaussian, solution })
        }
        Err(refusal) => {
            if matches!(refusal, Refusal::DidNotConverge { .. } | Refusal::Singular { .. }) {
                sane(&last)?;
            }
            Err(refusal.into())
        }
    }
}

impl From<Refusal> for FitFailure {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::NotFinite => Self::NotFinite,
            Refusal::TooFewSamples { samples, parameters } => Self::TooFewSamples { found: samples, needed: parameters + 1 },
            Refusal::Singular { .. } => Self::Undetermined,
            Refusal::DidNotConverge { iterations } => Self::DidNotConverge { iterations },
        }
    }
}

fn pack<const N: usize>(g: &Gaussian) -> [f64; N] {
    let ([x, y], [a, b, c]) = (g.position, g.inverse_width);
    let all = [g.amplitude, x, y, a, b, c, g.background];
    let round = [g.amplitude, x, y, (a * c - b * b).sqrt(), g.background, 0.0, 0.0];
    std::array::from_fn(|i| if N == 7 { all[i] } else { round[i] })
}

fn unpack<const N: usize>(p: &[f64; N]) -> Gaussian {
    let inverse_width = if N == 7 { [p[3], p[4], p[5]] } else { [p[3], 0.0, p[3]] };
    Gaussian { amplitude: p[0], position: [p[1], p[2]], inverse_width, background: p[N - 1] }
}

/// Monomials up to second degree, in the order of every table below: 1, x, y, x², xy, y².
const POWERS: [[usize; 2]; 6] = [[0, 0], [1, 0], [0, 1], [2, 0], [1, 1], [0, 2]];

/// ∂model/∂parameter = g × these polynomials, for all parameters but the background.
fn polynomials<const M: usize>(g: &Gaussian) -> [[f64; 6]; M] {
    let (amplitude, [a, b, c]) = (g.amplitude, g.inverse_width);
    let x = [0.0, amplitude * a, amplitude * b, 0.0, 0.0, 0.0];
    let y = [0.0, amplitude * b, amplitude * c, 0.0, 0.0, 0.0];
    let half = -0.5 * amplitude;
    let height = [1.0, 0.0, 0.0, 0.0, 0.0, 0.0];
    let third = if M == 4 { [0.0, 0.0, 0.0, half, 0.0, half] } else { [0.0, 0.0, 0.0, half, 0.0, 0.0] };
    let all = [height, x, y, third, [0.0, 0.0, 0.0, 0.0, -amplitude, 0.0], [0.0, 0.0, 0.0, 0.0, 0.0, half]];
    std::array::from_fn(|i| all[i])
}

/// Moments over a patch about the Gaussian's centre: `[i][j]` is the sum with xⁱ yʲ.
#[derive(Default)]
struct Sums {
    /// Σ w g² xⁱ yʲ, i + j ≤ 4.
    squared: [[f64; 5]; 5],
    /// Σ w g xⁱ yʲ, i + j ≤ 2.
    plain: [[f64; 3]; 3],
    /// Σ w g r xⁱ yʲ, i + j ≤ 2.
    residual: [[f64; 3]; 3],
    /// Σ w r and Σ w r².
    rest: [f64; 2],
}

impl Sums {
    /// Sums at a Gaussian whose inverse-width matrix is positive definite.
    fn new(patch: &Patch, g: &Gaussian, scratch: &mut Vec<f64>) -> Self {
        exponentials(patch, g, scratch);
        let mut sums = Self::default();
        for row in &patch.rows {
            let range = row.start..row.start + row.len;
            let (values, weights) = (&patch.values[range.clone()], &patch.weights[range.clone()]);
            let m = row_moments(values, weights, &scratch[range], row.x - g.position[0], g);
            let y = row.y - g.position[1];
            let powers = [1.0, y, y * y, y * y * y, y * y * y * y];
            for (i, sums) in sums.squared.iter_mut().enumerate() {
                sums.iter_mut().zip(&powers[..5 - i]).for_each(|(sum, power)| *sum += m[i] * power);
            }
            for i in 0..3 {
                let plain = sums.plain[i].iter_mut().zip(&mut sums.residual[i]);
                plain.zip(&powers[..3 - i]).for_each(|((plain, residual), power)| {
                    *plain += m[5 + i] * power;
                    *residual += m[8 + i] * power;
                });
            }
            sums.rest[0] += m[11];
            sums.rest[1] += m[12];
        }
        sums
    }
}

/// g at every sample of the patch: exponents row by row, then one loop over all of them that vectorises.
fn exponentials(patch: &Patch, g: &Gaussian, out: &mut Vec<f64>) {
    let [a, b, c] = g.inverse_width;
    out.clear();
    for row in &patch.rows {
        let (x, y) = (row.x - g.position[0], row.y - g.position[1]);
        let (square, linear, constant) = (-0.5 * a, -b * y, -0.5 * c * y * y);
        out.extend((0..row.len as i32).map(|i| {
            let x = x + f64::from(i);
            x * (square * x + linear) + constant
        }));
    }
    for exponent in out {
        *exponent = exp(*exponent);
    }
}

/// Σ over one row of w g² xⁱ (i ≤ 4), w g xⁱ (i ≤ 2), w g r xⁱ (i ≤ 2), w r, w r².
fn row_moments(values: &[f64], weights: &[f64], exponentials: &[f64], mut x: f64, g: &Gaussian) -> [f64; 13] {
    let mut sums = [[0.0; LANES]; 13];
    let chunks = values.chunks_exact(LANES).zip(weights.chunks_exact(LANES)).zip(exponentials.chunks_exact(LANES));
    for ((values, weights), exponentials) in chunks {
        let mut terms = [[0.0; LANES]; 13];
        for l in 0..LANES {
            let (dx, e) = (x + l as f64, exponentials[l]);
            let r = values[l] - (g.amplitude * e + g.background);
            let (we, wr) = (weights[l] * e, weights[l] * r);
            let (g2, gr, x2) = (we * e, we * r, dx * dx);
            terms[0][l] = g2;
            terms[1][l] = g2 * dx;
            terms[2][l] = g2 * x2;
            terms[3][l] = g2 * x2 * dx;
            terms[4][l] = g2 * x2 * x2;
            terms[5][l] = we;
            terms[6][l] = we * dx;
            terms[7][l] = we * x2;
            terms[8][l] = gr;
            terms[9][l] = gr * dx;
            terms[10][l] = gr * x2;
            terms[11][l] = wr;
            terms[12][l] = wr * r;
        }
        for (sum, term) in sums.iter_mut().zip(&terms) {
            for l in 0..LANES {
                sum[l] += term[l];
            }
        }
        x += LANES as f64;
    }
    sums.map(|lanes| lanes.iter().sum())
}

/// The normal equations from the moments: `J = g T · monomials`, so `JᵀWJ = T (moments of g²) Tᵀ`.
fn fill<const N: usize, const M: usize>(sums: &Sums, g: &Gaussian, patch: &Patch, equations: &mut NormalEquations<N>) {
    let t = polynomials::<M>(g);
    for i in 0..M {
        let half: [f64; 6] = std::array::from_fn(|q| {
            let [qx, qy] = POWERS[q];
            (0..6).map(|p| t[i][p] * sums.squared[POWERS[p][0] + qx][POWERS[p][1] + qy]).sum()
        });
        for (entry, row) in equations.curvature[i][..=i].iter_mut().zip(&t) {
            *entry = half.iter().zip(row).map(|(h, t)| h * t).sum();
        }
        equations.gradient[i] = (0..6).map(|p| t[i][p] * sums.residual[POWERS[p][0]][POWERS[p][1]]).sum();
        equations.curvature[M][i] = (0..6).map(|p| t[i][p] * sums.plain[POWERS[p][0]][POWERS[p][1]]).sum();
    }
    equations.curvature[M][M] = patch.samples as f64;
    equations.gradient[M] = sums.rest[0];
    equations.cost = sums.rest[1];
    equations.samples = patch.samples;
}

/// Residual and Jacobian row of each present sample, in the order of [`Patch::iter`].
fn linearised<const N: usize, const M: usize>(patch: &Patch, g: &Gaussian) -> (Vec<f64>, Vec<[f64; N]>) {
    let t = polynomials::<M>(g);
    let [a, b, c] = g.inverse_width;
    let one = |(x, y, value): (f64, f64, f64)| {
        let (x, y) = (x - g.position[0], y - g.position[1]);
        let e = exp(-0.5 * (a * x * x + 2.0 * b * x * y + c * y * y));
        let monomials = [1.0, x, y, x * x, x * y, y * y];
        let mut jacobian = [1.0; N];
        for (derivative, row) in jacobian.iter_mut().zip(&t) {
            *derivative = e * row.iter().zip(&monomials).map(|(t, m)| t * m).sum::<f64>();
        }
        (value - g.amplitude * e - g.background, jacobian)
    };
    patch.iter().map(one).unzip()
}

/// A start from moments under a Gaussian weight of σ = R/2 about the window's centre, which are undone exactly if the column is Gaussian:
/// the product of two Gaussians is a Gaussian whose inverse widths add. The background is the mean of the window's rim, the ends of its rows.
pub(super) fn first_guess(patch: &Patch) -> Gaussian {
    let reach = patch.radius * patch.radius;
    let (mut rim, mut count) = (0.0, 0.0);
    for end in patch.rows.iter().flat_map(|row| [row.start, row.start + row.width - 1]) {
        rim += patch.weights[end] * patch.values[end];
        count += patch.weights[end];
    }
    let background = if count > 0.0 { rim / count } else { patch.minimum() };
    let weight = 4.0 / reach;
    // Residuals of a Gaussian of no height are the intensity above the background.
    let window = Gaussian { amplitude: 0.0, position: patch.centre, inverse_width: [weight, 0.0, weight], background };
    let mass = Sums::new(patch, &window, &mut Vec::with_capacity(patch.values.len())).residual;
    let moments = POWERS.map(|[i, j]| mass[i][j]);
    deconvolved(patch, moments, weight, background).unwrap_or_else(|| {
        let inverse = 9.0 / reach;
        let amplitude = patch.maximum() - background;
        Gaussian { amplitude, position: patch.centre, inverse_width: [inverse, 0.0, inverse], background }
    })
}

fn deconvolved(patch: &Patch, m: [f64; 6], weight: f64, background: f64) -> Option<Gaussian> {
    let (x, y) = (m[1] / m[0], m[2] / m[0]);
    let (xx, xy, yy) = (m[3] / m[0] - x * x, m[4] / m[0] - x * y, m[5] / m[0] - y * y);
    let spread = xx * yy - xy * xy;
    let product = [yy / spread, -xy / spread, xx / spread];
    let [a, b, c] = [product[0] - weight, product[1], product[2] - weight];
    let determinant = a * c - b * b;
    let narrowest = 4.0;
    let usable = m[0] > 0.0 && xx > 0.0 && spread > 0.0 && a > 0.1 * weight && c > 0.1 * weight && determinant > 0.01 * weight * weight;
    if !(usable && a < narrowest && c < narrowest) {
        return None;
    }
    let pull = [product[0] * x + product[1] * y, product[1] * x + product[2] * y];
    let position = [(c * pull[0] - b * pull[1]) / determinant, (a * pull[1] - b * pull[0]) / determinant];
    let form = |[a, b, c]: [f64; 3], [x, y]: [f64; 2]| a * x * x + 2.0 * b * x * y + c * y * y;
    let overlap = (-0.5 * (form([a, b, c], position) - form(product, [x, y]))).exp();
    let amplitude = m[0] / (std::f64::consts::TAU * spread.sqrt() * overlap);
    let inside = position[0].hypot(position[1]) < patch.radius;
    let position = [position[0] + patch.centre[0], position[1] + patch.centre[1]];
    (inside && amplitude.is_finite()).then_some(Gaussian { amplitude, position, inverse_width: [a, b, c], background })
}
