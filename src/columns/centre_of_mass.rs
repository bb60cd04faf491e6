//! Centre of mass of a column in a round window that follows the centre; lengths in samples.

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

/// Sums over the window: mass, centre, second moments, and the sum of squared weights times offsets for the uncertainty.
struct Moments {
    mass: f64,
    centre: [f64; 2],
    spread: [f64; 3],
    lever: [f64; 3],
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
        let position = patch.frame.position(moments.centre);
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
    // The rim fades over its last sample, so that the centre moves smoothly as samples enter and leave.
    let fade = |x: f64, y: f64| (patch.radius - (x - patch.centre[0]).hypot(y - patch.centre[1])).clamp(0.0, 1.0);
    let mut sums = [0.0; 6];
    for (x, y, value) in patch.iter() {
        let mass = fade(x, y) * (value - level);
        let (x, y) = (x - patch.centre[0], y - patch.centre[1]);
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
    let mut lever = [0.0; 3];
    for (x, y, _) in patch.iter() {
        let weight = (fade(x, y) / mass).powi(2);
        let (x, y) = (x - centre[0], y - centre[1]);
        for (sum, term) in lever.iter_mut().zip([x * x, x * y, y * y]) {
            *sum += weight * term;
        }
    }
    Ok(Moments { mass, centre, spread, lever })
}

fn column_fit(patch: &Patch, moments: &Moments, background: f64, iterations: usize, noise: Noise) -> ColumnFit {
    let [xx, xy, yy] = moments.spread;
    let determinant = xx * yy - xy * xy;
    let inverse = [yy / determinant, -xy / determinant, xx / determinant];
    let variance = if noise == Noise::None { None } else { noise_variance(patch) };
    debug_assert!(moments.mass > 0.0, "a column without mass was refused before");
    ColumnFit {
        position: patch.frame.position(moments.centre),
        covariance: variance.map(|variance| patch.frame.covariance(moments.lever.map(|l| variance * l))),
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
