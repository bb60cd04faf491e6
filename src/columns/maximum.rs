//! The intensity maximum: by Newton's ascent on the Fourier series (Å), or of a moving cubic surface through pixels (px).

use super::estimate::{ColumnFit, FitFailure, PixelSource, Source, Window, distance_samples, skewness, widths};
use super::patch::Patch;
use super::uncertainty::noise_variance;
use crate::image::FourierImage;
use crate::numerics::least_squares::{Cholesky, NormalEquations};

const ITERATIONS: usize = 100;

/// The maximum of the series near `start` (Å): Newton steps on the exact derivatives, within a trust radius that starts at a tenth of the
/// window's radius; steepest ascent where the surface is not yet a cap. It ends when a step is below 1e-12 of the window's radius.
pub(super) fn on_fourier(image: &FourierImage, start: [f64; 2], window: &Window, patch: &Patch) -> Result<ColumnFit, FitFailure> {
    let mut position = start;
    let mut here = image.derivatives(position);
    let mut trust = 0.1 * window.radius_angstrom;
    for iteration in 1..=ITERATIONS {
        let step = ascent(here.gradient, here.hessian, trust);
        let length = step[0].hypot(step[1]);
        let next = [position[0] + step[0], position[1] + step[1]];
        let there = image.derivatives(next);
        // Below this a rise of the intensity drowns in rounding, and Newton's step is right anyway.
        let tiny = length < 1e-6 * window.radius_angstrom;
        if there.value >= here.value || tiny {
            (position, here) = (next, there);
            trust = (2.0 * trust).min(0.5 * window.radius_angstrom);
        } else {
            trust = 0.25 * length;
        }
        let distance = distance_samples(&patch.frame, position, start);
        if distance.is_nan() || distance > patch.radius {
            return Err(FitFailure::LeftWindow { distance_samples: distance });
        }
        if length <= 1e-12 * window.radius_angstrom {
            let turned = turned_hessian(patch, here.hessian);
            return cap(patch, position, here.value, turned, None, iteration);
        }
    }
    Err(FitFailure::DidNotConverge { iterations: ITERATIONS })
}

/// Å⁻² in image axes to samples⁻² in the patch's.
fn turned_hessian(patch: &Patch, [xx, xy, yy]: [f64; 3]) -> [f64; 3] {
    let [e, f] = patch.frame.axes;
    let s = patch.frame.spacing * patch.frame.spacing;
    let form = |u: [f64; 2], v: [f64; 2]| s * (xx * u[0] * v[0] + xy * (u[0] * v[1] + u[1] * v[0]) + yy * u[1] * v[1]);
    [form(e, e), form(e, f), form(f, f)]
}

/// Newton's step to the top of a cap, or straight up, no longer than `trust`.
fn ascent(gradient: [f64; 2], [xx, xy, yy]: [f64; 3], trust: f64) -> [f64; 2] {
    let determinant = xx * yy - xy * xy;
    let slope = gradient[0].hypot(gradient[1]);
    let step = if determinant > 0.0 && xx < 0.0 {
        [(xy * gradient[1] - yy * gradient[0]) / determinant, (xy * gradient[0] - xx * gradient[1]) / determinant]
    } else if slope > 0.0 {
        gradient.map(|g| g / slope * trust)
    } else {
        [0.0; 2]
    };
    let length = step[0].hypot(step[1]);
    if length > trust { step.map(|s| s * trust / length) } else { step }
}

/// The result at a maximum, or a refusal if it is none. Widths are those of the Gaussian with the same height above the window's minimum and
/// the same curvature; `hessian` is per sample².
fn cap(
    patch: &Patch,
    position: [f64; 2],
    value: f64,
    [xx, xy, yy]: [f64; 3],
    covariance: Option<[f64; 3]>,
    iterations: usize,
) -> Result<ColumnFit, FitFailure> {
    let background = patch.minimum();
    let amplitude = value - background;
    if !(amplitude > 0.0 && xx < 0.0 && xx * yy - xy * xy > 0.0) {
        return Err(FitFailure::Flat);
    }
    Ok(ColumnFit {
        position,
        covariance,
        empirical_covariance: None,
        amplitude,
        background,
        widths: Some(widths(&patch.frame, [xx, xy, yy].map(|h| -h / amplitude))),
        residual_rms: None,
        skewness: skewness(patch, patch.frame.local(position), background),
        samples: patch.samples,
        iterations,
    })
}

/// A cubic surface by weighted least squares about a centre: value, gradient and Hessian there, and what noise does to the gradient.
struct Surface {
    value: f64,
    gradient: [f64; 2],
    hessian: [f64; 3],
    /// Under independent noise of variance 1.
    gradient_covariance: [f64; 3],
}

/// The point where the cubic surface fitted around it is level. The surface takes the samples within half the window's radius, at least
/// 3 px, weighted by (1 − d²/R²)², and moves with the point: steps of at most a pixel until they are below 1e-8 px.
///
/// A cubic smooths a Gaussian column of σ by a part of (R/σ)⁴; a symmetric column keeps its position.
pub(super) fn on_pixels(source: &PixelSource<'_>, start: [f64; 2]) -> Result<ColumnFit, FitFailure> {
    let support = PixelSource { pixels: source.pixels, radius: (0.5 * source.radius).max(3.0), empirical: false };
    let (mut position, mut longest) = (start, 1.0);
    for iteration in 1..=ITERATIONS {
        let patch = support.cut(position)?;
        let surface = Surface::new(&patch)?;
        let step = ascent(surface.gradient, surface.hessian, longest);
        let length = step[0].hypot(step[1]);
        position = [position[0] + step[0], position[1] + step[1]];
        let distance = (position[0] - start[0]).hypot(position[1] - start[1]);
        if distance.is_nan() || distance > source.radius {
            return Err(FitFailure::LeftWindow { distance_samples: distance });
        }
        if length <= 1e-8 {
            let window = source.cut(position)?;
            // Not from the surface's residuals: a peak is no cubic, and at low noise its misfit is most of them.
            let covariance = noise_variance(&window).and_then(|variance| surface.covariance(&support, position, variance));
            return cap(&window, position, surface.value, surface.hessian, covariance, iteration);
        }
        // Samples that enter and leave make the surface jump a little: shorter steps end any cycle.
        if iteration > ITERATIONS / 4 {
            longest *= 0.8;
        }
    }
    Err(FitFailure::DidNotConverge { iterations: ITERATIONS })
}

impl Surface {
    fn new(patch: &Patch) -> Result<Self, FitFailure> {
        let mut equations = NormalEquations::<10>::default();
        let mut squared = [[0.0; 10]; 10];
        let reach = patch.radius * patch.radius;
        for (x, y, value) in patch.iter() {
            let (x, y) = (x - patch.centre[0], y - patch.centre[1]);
            let weight = (1.0 - (x * x + y * y) / reach).powi(2);
            let m = [1.0, x, y, x * x, x * y, y * y, x * x * x, x * x * y, x * y * y, y * y * y];
            equations.add(value, &m, weight);
            for (row, &mi) in squared.iter_mut().zip(&m) {
                row.iter_mut().zip(&m).for_each(|(sum, &mj)| *sum += weight * weight * mi * mj);
            }
        }
        let inverse = Cholesky::new(&equations.curvature)?.inverse();
        let dot = |u: &[f64; 10], v: &[f64; 10]| u.iter().zip(v).map(|(u, v)| u * v).sum::<f64>();
        let fitted = inverse.map(|row| dot(&row, &equations.gradient));
        // Noise of variance 1 gives the coefficients the covariance A⁻¹BA⁻¹ with A = Σ w m mᵀ and B = Σ w² m mᵀ.
        let spread = inverse.map(|row| squared.map(|column| dot(&row, &column)));
        let covariance = |i: usize, j: usize| dot(&spread[i], &inverse[j]);
        if !fitted.iter().all(|f| f.is_finite()) {
            return Err(FitFailure::NotFinite);
        }
        Ok(Self {
            value: fitted[0],
            gradient: [fitted[1], fitted[2]],
            hessian: [2.0 * fitted[3], fitted[4], 2.0 * fitted[5]],
            gradient_covariance: [covariance(1, 1), covariance(1, 2), covariance(2, 2)],
        })
    }

    /// S⁻¹ cov(gradient) S⁻ᵀ under independent noise, S the slope of the surface's gradient as the surface moves. That is not the surface's own
    /// Hessian: a cubic that moves over a peak levels off more slowly than each of its positions says. `None` where the slope cannot be told.
    fn covariance(&self, support: &PixelSource<'_>, position: [f64; 2], variance: f64) -> Option<[f64; 3]> {
        let gradient = |x: f64, y: f64| Some(Self::new(&support.cut([position[0] + x, position[1] + y]).ok()?).ok()?.gradient);
        let h = 0.25;
        let (right, left, below, above) = (gradient(h, 0.0)?, gradient(-h, 0.0)?, gradient(0.0, h)?, gradient(0.0, -h)?);
        let [sxx, syx] = [0, 1].map(|k| (right[k] - left[k]) / (2.0 * h));
        let [sxy, syy] = [0, 1].map(|k| (below[k] - above[k]) / (2.0 * h));
        let determinant = sxx * syy - sxy * syx;
        let inverse = [[syy / determinant, -sxy / determinant], [-syx / determinant, sxx / determinant]];
        let [gxx, gxy, gyy] = self.gradient_covariance.map(|c| variance * c);
        let form = |u: [f64; 2], v: [f64; 2]| u[0] * v[0] * gxx + (u[0] * v[1] + u[1] * v[0]) * gxy + u[1] * v[1] * gyy;
        let covariance = [form(inverse[0], inverse[0]), form(inverse[0], inverse[1]), form(inverse[1], inverse[1])];
        covariance.iter().all(|c| c.is_finite()).then_some(covariance)
    }
}
