//! What the residuals of a fit say about its error when neighbouring pixels err together; lengths in samples.
//!
//! A fit turns noise ε into an error f·(JᵀJ)⁻¹Jᵀε, so its variance is Σᵢⱼ uᵢ uⱼ C(j − i) with u = f·(JᵀJ)⁻¹J and the noise's covariance C: the
//! sandwich estimator (White, Econometrica 48 (1980) 817; over space, Conley, J. Econometrics 92 (1999) 1). C comes from the residuals, and has to be
//! mended twice: residuals lack the noise that the fit took up, which is just the slow part that moves positions; and far lags are too noisy to use
//! as they are. So C is modelled as s² ρx^|Δx|^γ ρy^|Δy|^γ (γ from ½ to 2 spans long tails to smoothed noise), its four numbers are read from lags
//! 0, 1 and 2, and the part that the fit took up, Σₖ pₖ zₖzₖᵀ with pₖ = zₖᵀCzₖ and zₖ the orthonormal modes of J, is put back until nothing changes.

use super::patch::Patch;
use crate::numerics::least_squares::Cholesky;

/// Farthest lag, samples.
const REACH: i32 = 6;
/// Rounds of putting back what the fit took up.
const ROUNDS: usize = 30;

/// A field over the patch's bounding square, 0 where no sample is.
struct Plane {
    side: usize,
    values: Vec<f64>,
}

impl Plane {
    /// Lays values given in the order of [`Patch::iter`] out in the plane.
    fn new(patch: &Patch, values: impl Iterator<Item = f64>) -> Self {
        let reach = patch.radius.ceil() as usize + 1;
        let side = 2 * reach + 1;
        let mut plane = Self { side, values: vec![0.0; side * side] };
        for ((x, y, _), value) in patch.iter().zip(values) {
            let (column, row) = ((x + reach as f64) as usize, (y + reach as f64) as usize);
            plane.values[row * side + column] = value;
        }
        plane
    }

    /// Σᵢ a(i) b(i + Δ).
    fn correlate(&self, other: &Self, [dx, dy]: [i32; 2]) -> f64 {
        let side = self.side as i32;
        let (from, to) = ((-dx).max(0), side - dx.max(0));
        let (mut sum, mut lanes) = (0.0, [0.0; 4]);
        for row in (-dy).max(0)..side - dy.max(0) {
            let a = &self.values[(row * side + from) as usize..(row * side + to) as usize];
            let b = &other.values[((row + dy) * side + from + dx) as usize..((row + dy) * side + to + dx) as usize];
            let (a, b) = (a.chunks_exact(4), b.chunks_exact(4));
            sum += a.remainder().iter().zip(b.remainder()).map(|(a, b)| a * b).sum::<f64>();
            for (a, b) in a.zip(b) {
                lanes.iter_mut().zip(a.iter().zip(b)).for_each(|(lane, (a, b))| *lane += a * b);
            }
        }
        sum + lanes.iter().sum::<f64>()
    }
}

/// Half the lags within [`REACH`], Δ and −Δ being one; zero first.
fn lags() -> impl Iterator<Item = [i32; 2]> {
    let forward = (1..=REACH).map(|dx| [dx, 0]);
    std::iter::once([0, 0]).chain(forward).chain((1..=REACH).flat_map(|dy| (-REACH..=REACH).map(move |dx| [dx, dy])))
}

/// Covariance of the noise between neighbouring samples, as a fit's residuals tell it.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Correlation {
    variance: f64,
    /// Correlation at each distance along x and along y; that at a lag is the product.
    along: [[f64; REACH as usize + 1]; 2],
}

impl Correlation {
    fn at(&self, [dx, dy]: [i32; 2]) -> f64 {
        self.variance * self.along[0][dx.unsigned_abs() as usize] * self.along[1][dy.unsigned_abs() as usize]
    }

    /// From covariances at lags 0, (1,0), (0,1), (2,0), (0,2).
    fn new(c: [f64; 5]) -> Option<Self> {
        let variance = c[0];
        if !(variance > 0.0 && c.iter().all(|c| c.is_finite())) {
            return None;
        }
        // Below e⁻⁴⁰ a neighbour's correlation is nothing.
        let logarithm = [c[1], c[2]].map(|c| (c / variance).clamp(4e-18, 0.95).ln());
        let misfit = |stretch: &f64| {
            let second = |log: f64, c: f64| ((log * stretch).exp() - c / variance).powi(2);
            second(logarithm[0], c[3]) + second(logarithm[1], c[4])
        };
        // 2^γ for γ = ½, ¾, ... 2.
        let shapes = (2..=8).map(|quarters| (0.25 * f64::from(quarters)).exp2());
        let shape = shapes.min_by(|a, b| misfit(a).total_cmp(&misfit(b)))?.log2();
        let stretched: [f64; REACH as usize + 1] = std::array::from_fn(|d| (d as f64).powf(shape));
        let along = logarithm.map(|log| stretched.map(|d| (log * d).exp()));
        Some(Self { variance, along })
    }
}

/// A linearised fit with the covariance of its noise.
pub(super) struct ResidualCorrelation<'a, const N: usize> {
    patch: &'a Patch,
    jacobian: &'a [[f64; N]],
    factor: Cholesky<N>,
    noise: Correlation,
}

impl<'a, const N: usize> ResidualCorrelation<'a, N> {
    /// From residuals and Jacobian rows in the order of [`Patch::iter`]; `None` when there are fewer than three samples a parameter, too few
    /// to tell, or no residuals at all.
    pub(super) fn new(patch: &'a Patch, residuals: &[f64], jacobian: &'a [[f64; N]]) -> Option<Self> {
        if residuals.len() < 3 * N {
            return None;
        }
        let mut curvature = [[0.0; N]; N];
        for row in jacobian {
            for i in 0..N {
                (0..=i).for_each(|j| curvature[i][j] += row[i] * row[j]);
            }
        }
        let factor = Cholesky::new(&curvature).ok()?;
        let noise = noise_of(patch, residuals, jacobian, &factor)?;
        Some(Self { patch, jacobian, factor, noise })
    }

    /// Covariance [xx, xy, yy] of two linear functions of the parameters.
    pub(super) fn covariance(&self, functions: &[[f64; N]; 2]) -> [f64; 3] {
        let [u, v] = functions.map(|f| {
            let influence = self.factor.solve(f);
            Plane::new(self.patch, self.jacobian.iter().map(|row| row.iter().zip(&influence).map(|(j, f)| j * f).sum()))
        });
        let mut out = [0.0; 3];
        for lag in lags() {
            let c = self.noise.at(lag);
            let half = if lag == [0, 0] { 0.5 } else { 1.0 };
            let mirrored = |a: &Plane, b: &Plane| half * c * (a.correlate(b, lag) + b.correlate(a, lag));
            out[0] += mirrored(&u, &u);
            out[1] += mirrored(&u, &v);
            out[2] += mirrored(&v, &v);
        }
        out
    }
}

fn noise_of<const N: usize>(patch: &Patch, residuals: &[f64], jacobian: &[[f64; N]], factor: &Cholesky<N>) -> Option<Correlation> {
    let here = Plane::new(patch, residuals.iter().copied());
    let present = Plane::new(patch, residuals.iter().map(|_| 1.0));
    let modes: Vec<[f64; N]> = jacobian.iter().map(|row| factor.forward(*row)).collect();
    let modes: Vec<Plane> = (0..N).map(|k| Plane::new(patch, modes.iter().map(|z| z[k]))).collect();
    let overlap: Vec<([i32; 2], [f64; N])> = lags().map(|lag| (lag, std::array::from_fn(|k| modes[k].correlate(&modes[k], lag)))).collect();
    let near = [[0, 0], [1, 0], [0, 1], [2, 0], [0, 2]];
    let pairs = near.map(|lag| present.correlate(&present, lag));
    let measured = near.map(|lag| here.correlate(&here, lag));
    let taken_at = near.map(|lag| overlap.iter().find(|(other, _)| *other == lag).map_or([0.0; N], |(_, o)| *o));
    let mut noise = Correlation::new(std::array::from_fn(|i| measured[i] / pairs[i]))?;
    for _ in 0..ROUNDS {
        let mut power = [0.0; N];
        for (lag, o) in &overlap {
            let c = noise.at(*lag) * if *lag == [0, 0] { 1.0 } else { 2.0 };
            power.iter_mut().zip(o).for_each(|(sum, o)| *sum += c * o);
        }
        let mended = |i: usize| (measured[i] + taken_at[i].iter().zip(&power).map(|(o, p)| o * p).sum::<f64>()) / pairs[i];
        let next = Correlation::new(std::array::from_fn(mended))?;
        let change = (next.variance / noise.variance - 1.0).abs();
        noise = next;
        if change < 1e-4 {
            break;
        }
    }
    Some(noise)
}

/// Variance of noise that is independent from sample to sample: mean square of the second difference along both axes, which a smooth column hardly
/// touches (Immerkær, Comput. Vis. Image Underst. 64 (1996) 300), over 36. `None` without a full 3 × 3 neighbourhood.
pub(super) fn noise_variance(patch: &Patch) -> Option<f64> {
    let values = Plane::new(patch, patch.iter().map(|(_, _, value)| value));
    let present = Plane::new(patch, patch.iter().map(|_| 1.0));
    let side = values.side;
    let (mut sum, mut count) = (0.0, 0.0);
    for middle in (1..side - 1).flat_map(|row| (1..side - 1).map(move |column| row * side + column)) {
        let offsets = [-1i64, 0, 1].map(|dy| [-1i64, 0, 1].map(|dx| (middle as i64 + dy * side as i64 + dx) as usize));
        if offsets.iter().flatten().any(|&i| present.values[i] < 0.5) {
            continue;
        }
        let taps = [1.0, -2.0, 1.0];
        let difference: f64 = (0..3).map(|j| taps[j] * (0..3).map(|i| taps[i] * values.values[offsets[j][i]]).sum::<f64>()).sum();
        sum += difference * difference / 36.0;
        count += 1.0;
    }
    (count > 0.0).then(|| sum / count)
}
