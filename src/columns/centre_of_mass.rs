//! Centre of mass of a column in a round window that follows the centre; lengths in samples.
//!
//! The centre c solves c = F(c), F the centre of mass in the window about c. Plain iteration crawls where much intensity stands at the rim, so the
//! step is Newton's, (1 − K)⁻¹ (F(c) − c) with K = ∂F/∂c from the rim's samples; the same factor carries noise in F over to c.

use super::estimate::{ColumnFit, FitFailure, Noise, Source, distance_samples, skewness, widths};
use super::patch::Patch;
use super::uncertainty::noise_variance;

/// What is taken off the intensity before it is weighed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Background {
    None,
    Minimum,
}

/// A centre of mass moves the window by less than this at the end, samples.
const SETTLED: f64 = 1e-7;
/// Samples that enter or leave the window can keep the centre in a small cycle; one below this is accepted after [`PATIENCE`] rounds.
const CYCLE: f64 = 1e-3;
const PATIENCE: usize = 60;
const ROUNDS: usize = 200;

/// Sums over the window.
struct Moments {
    centre: [f64; 2],
    spread: [f64; 3],
    /// Σ (∂F/∂value)(∂F/∂value)ᵀ [xx, xy, yy].
    lever: [f64; 3],
    /// (1 − K)⁻¹, or 1 where that is no contraction's.
    gain: [[f64; 2]; 2],
}

/// Iterates window and centre of mass to their common fixed point.
pub(super) fn fit(source: &impl Source, start: [f64; 2], background: Background) -> Result<ColumnFit, FitFailure> {
    let mut centre = start;
    for round in 1..=ROUNDS {
        let patch = source.cut(centre)?;
        let level = match background {
            Background::None => 0.0,
            Background::Minimum => patch.minimum(),
        };
        let moments = moments(&patch, level)?;
        let position = patch.frame.position(moments.newton(patch.centre));
        let distance = distance_samples(&patch.frame, position, start);
        if distance.is_nan() || distance > patch.radius {
            return Err(FitFailure::LeftWindow { distance_samples: distance });
        }
        let moved = distance_samples(&patch.frame, position, centre);
        if moved <= SETTLED || (round >= PATIENCE && moved <= CYCLE) {
            return Ok(column_fit(&patch, &moments, level, round, source.noise()));
        }
        centre = position;
    }
    Err(FitFailure::DidNotConverge { iterations: ROUNDS })
}

fn moments(patch: &Patch, level: f64) -> Result<Moments, FitFailure> {
    let mut sums = [0.0; 6];
    for (x, y, value) in patch.iter() {
        let (x, y) = (x - patch.centre[0], y - patch.centre[1]);
        let mass = fade(patch.radius - x.hypot(y)) * (value - level);
        for (sum, term) in sums.iter_mut().zip([1.0, x, y, x * x, x * y, y * y]) {
            *sum += mass * term;
        }
    }
    let [mass, x, y, xx, xy, yy] = sums;
    if !mass.is_finite() {
        return Err(FitFailure::NotFinite);
    }
    if mass <= 0.0 {
        return Err(FitFailure::Flat);
    }
    let (x, y) = (x / mass, y / mass);
    let centre = [patch.centre[0] + x, patch.centre[1] + y];
    let spread = [xx / mass - x * x, xy / mass - x * y, yy / mass - y * y];
    let (lever, gain) = sensitivity(patch, level, mass, centre);
    Ok(Moments { centre, spread, lever, gain })
}

/// A sample's part in the window, by its depth inside the rim: the rim fades over its last sample, so that the centre moves smoothly as samples
/// enter and leave.
fn fade(depth: f64) -> f64 {
    depth.clamp(0.0, 1.0)
}

/// The lever and the gain of [`Moments`].
fn sensitivity(patch: &Patch, level: f64, mass: f64, centre: [f64; 2]) -> ([f64; 3], [[f64; 2]; 2]) {
    let (mut lever, mut k) = ([0.0; 3], [[0.0; 2]; 2]);
    for (x, y, value) in patch.iter() {
        let out = [x - patch.centre[0], y - patch.centre[1]];
        let distance = out[0].hypot(out[1]);
        let depth = patch.radius - distance;
        let d = [x - centre[0], y - centre[1]];
        let weight = (fade(depth) / mass).powi(2);
        for (sum, term) in lever.iter_mut().zip([d[0] * d[0], d[0] * d[1], d[1] * d[1]]) {
            *sum += weight * term;
        }
        if depth > 0.0 && depth < 1.0 {
            for (row, d) in k.iter_mut().zip(d) {
                row.iter_mut().zip(out).for_each(|(sum, out)| *sum += (value - level) / mass * d * out / distance);
            }
        }
    }
    let (a, d) = (1.0 - k[0][0], 1.0 - k[1][1]);
    let determinant = a * d - k[0][1] * k[1][0];
    let tame = a > 0.05 && d > 0.05 && determinant > 0.05 * a * d;
    let gain = [[d / determinant, k[0][1] / determinant], [k[1][0] / determinant, a / determinant]];
    (lever, if tame { gain } else { [[1.0, 0.0], [0.0, 1.0]] })
}

impl Moments {
    /// The next centre.
    fn newton(&self, from: [f64; 2]) -> [f64; 2] {
        let step = [self.centre[0] - from[0], self.centre[1] - from[1]];
        let [gx, gy] = self.gain.map(|g| g[0] * step[0] + g[1] * step[1]);
        [from[0] + gx, from[1] + gy]
    }

    /// Covariance [xx, xy, yy] of the centre under independent noise of variance 1.
    fn covariance(&self) -> [f64; 3] {
        let [xx, xy, yy] = self.lever;
        let form = |u: [f64; 2], v: [f64; 2]| u[0] * v[0] * xx + (u[0] * v[1] + u[1] * v[0]) * xy + u[1] * v[1] * yy;
        let [u, v] = self.gain;
        [form(u, u), form(u, v), form(v, v)]
    }
}

fn column_fit(patch: &Patch, moments: &Moments, background: f64, iterations: usize, noise: Noise) -> ColumnFit {
    let [xx, xy, yy] = moments.spread;
    let determinant = xx * yy - xy * xy;
    let inverse = [yy / determinant, -xy / determinant, xx / determinant];
    let variance = if noise == Noise::None { None } else { noise_variance(patch) };
    ColumnFit {
        position: patch.frame.position(moments.centre),
        covariance: variance.map(|variance| patch.frame.covariance(moments.covariance().map(|c| variance * c))),
        empirical_covariance: None,
        amplitude: patch.maximum() - background,
        background,
        widths: (determinant > 0.0 && xx > 0.0).then(|| widths(&patch.frame, inverse)),
        residual_rms: None,
        skewness: skewness(patch, moments.centre, background),
        samples: patch.samples,
        iterations,
    }
}
