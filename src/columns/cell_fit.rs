//! A B column and its four A columns fitted together, so that the tails of the A columns no longer pull on B; lengths in samples.
//!
//! Model: five Gaussians on a plane b + gx x + gy y. The four A columns share one inverse-width matrix, B has its own; each has its height and
//! position: 24 parameters. The window is the union of five discs, which follow their columns.

use super::estimate::{ColumnFit, FitFailure, Noise, PixelWindow, Window, checked_radius, distance_samples, skewness, widths};
use super::exponential::exp;
use super::gaussian::{Gaussian, first_guess};
use super::patch::{FourierPatches, Frame, MAX_RADIUS, Patch, Pixels};
use super::uncertainty::ResidualCorrelation;
use crate::image::FourierImage;
use crate::numerics::least_squares::{Criteria, NormalEquations, Solution, minimise};
use serde::{Deserialize, Serialize};

/// The five columns of a cell, fitted together. Lengths in Å on a [`FourierImage`], px on [`Pixels`].
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct CellColumns {
    /// The B column.
    pub b: ColumnFit,
    /// The four A columns, in the order of the starts.
    pub a: [ColumnFit; 4],
    /// B minus the mean of the four A.
    pub shift: [f64; 2],
    /// Formal covariance [xx, xy, yy] of the shift, the columns' common errors included; `None` without noise (simulated images).
    pub shift_covariance: Option<[f64; 3]>,
    /// Covariance of the shift that allows for residuals correlated between neighbouring pixels; `None` as in [`ColumnFit`].
    pub shift_empirical_covariance: Option<[f64; 3]>,
}

const PARAMETERS: usize = 24;
/// Offsets into the parameters: five times (height, x, y), B first; then the widths and the plane.
const WIDTH_A: usize = 15;
const WIDTH_B: usize = 18;
const PLANE: usize = 21;
/// Windows that follow their columns settle within a few rounds.
const ROUNDS: usize = 6;

type Parameters = [f64; PARAMETERS];

/// Measures B (first) and its four A columns near `starts_angstrom` on a simulated image, in discs of the window's radius.
pub fn measure_cell(image: &FourierImage, starts_angstrom: &[[f64; 2]; 5], window: &Window) -> Result<CellColumns, FitFailure> {
    let radius = checked_radius(window.radius_angstrom / window.sample_angstrom)?;
    let patches = FourierPatches::new(image, window.sample_angstrom);
    let cut = |starts: &[[f64; 2]; 5]| {
        let frame = patches.frame(starts[0]);
        let (local, reach) = discs(&frame, starts, radius)?;
        patches.cut_covering(starts[0], reach, |x, y| in_discs(&local, radius, x, y))
    };
    follow(cut, |start| patches.cut(start, radius), starts_angstrom, radius, 0.02, Noise::None)
}

/// Measures B (first) and its four A columns near `starts_px` on pixels, in discs of the window's radius.
pub fn measure_cell_pixels(pixels: &Pixels<'_>, starts_px: &[[f64; 2]; 5], window: &PixelWindow) -> Result<CellColumns, FitFailure> {
    let radius = checked_radius(window.radius_px)?;
    let cut = |starts: &[[f64; 2]; 5]| {
        let frame = Frame::of_pixels(starts[0]);
        let (local, reach) = discs(&frame, starts, radius)?;
        pixels.cut_covering(starts[0], reach, |x, y| in_discs(&local, radius, x, y))
    };
    follow(
        cut,
        |start| pixels.cut(start, radius),
        starts_px,
        radius,
        0.5,
        if window.empirical { Noise::Correlated } else { Noise::Independent },
    )
}

/// Local centres of the discs and the radius about the first that holds them all.
fn discs(frame: &Frame, starts: &[[f64; 2]; 5], radius: f64) -> Result<([[f64; 2]; 5], f64), FitFailure> {
    let local = starts.map(|s| frame.local(s));
    let farthest = local.iter().map(|p| (p[0] - local[0][0]).hypot(p[1] - local[0][1])).fold(0.0, f64::max);
    let reach = farthest + radius;
    if local.iter().flatten().all(|c| c.is_finite()) && reach <= MAX_RADIUS {
        Ok((local, reach))
    } else {
        Err(FitFailure::BadWindow { radius_samples: reach })
    }
}

fn in_discs(centres: &[[f64; 2]; 5], radius: f64, x: f64, y: f64) -> bool {
    centres.iter().any(|c| (x - c[0]).powi(2) + (y - c[1]).powi(2) <= radius * radius)
}

fn follow(
    cut: impl Fn(&[[f64; 2]; 5]) -> Result<Patch, FitFailure>,
    cut_one: impl Fn([f64; 2]) -> Result<Patch, FitFailure>,
    starts: &[[f64; 2]; 5],
    radius: f64,
    settled: f64,
    noise: Noise,
) -> Result<CellColumns, FitFailure> {
    let mut guesses = [None; 5];
    for (guess, &start) in guesses.iter_mut().zip(starts) {
        let patch = cut_one(start)?;
        let gaussian = first_guess(&patch);
        *guess = Some((patch.frame.position(gaussian.position), gaussian));
    }
    let guesses = guesses.map(|guess| guess.expect("all five were filled above"));
    let mut centres = *starts;
    let mut patch = cut(&centres)?;
    let mut parameters = assemble(&patch.frame, &guesses);
    let mut round = 1;
    loop {
        let fitted = |from: Parameters| minimise(from, &Criteria::default(), |p, sums| accumulate(&patch, p, sums));
        let fit = match fitted(parameters) {
            // The tails of bright A columns can hide a faint B column from the moments that its guess comes from: once more, from a B column as wide
            // as the A columns.
            Err(_) if round == 1 => fitted(plain(&patch, &parameters, &centres))?,
            fit => fit?,
        };
        let found: [[f64; 2]; 5] = std::array::from_fn(|i| patch.frame.position([fit.parameters[3 * i + 1], fit.parameters[3 * i + 2]]));
        for (position, start) in found.iter().zip(starts) {
            let distance = distance_samples(&patch.frame, *position, *start);
            if distance > radius {
                return Err(FitFailure::LeftWindow { distance_samples: distance });
            }
        }
        let moved = found.iter().zip(&centres).map(|(p, c)| distance_samples(&patch.frame, *p, *c)).fold(0.0, f64::max);
        if moved <= settled || round == ROUNDS {
            check(&fit.parameters, radius)?;
            return result(&patch, &fit, &found, noise, &cut_one);
        }
        let next = cut(&found)?;
        parameters = fit.parameters;
        shift_plane(&mut parameters, &patch.frame, &next.frame);
        for (i, position) in found.iter().enumerate() {
            [parameters[3 * i + 1], parameters[3 * i + 2]] = next.frame.local(*position);
        }
        (centres, patch) = (found, next);
        round += 1;
    }
}

/// Starting parameters from five single guesses: shared widths and background are means.
fn assemble(frame: &Frame, guesses: &[([f64; 2], Gaussian); 5]) -> Parameters {
    let mut p = [0.0; PARAMETERS];
    for (i, (position, gaussian)) in guesses.iter().enumerate() {
        let [x, y] = frame.local(*position);
        p[3 * i..3 * i + 3].copy_from_slice(&[gaussian.amplitude, x, y]);
        p[PLANE] += 0.2 * gaussian.background;
        let (width, part) = if i == 0 { (WIDTH_B, 1.0) } else { (WIDTH_A, 0.25) };
        (0..3).for_each(|k| p[width + k] += part * gaussian.inverse_width[k]);
    }
    p
}

/// A plainer start: the positions of the windows, a B column of the A columns' width, heights above a level background.
fn plain(patch: &Patch, guess: &Parameters, centres: &[[f64; 2]; 5]) -> Parameters {
    let mut p = *guess;
    let background = patch.minimum();
    let near = |x: f64, y: f64| {
        let square = |s: &(f64, f64, f64)| (s.0 - x).powi(2) + (s.1 - y).powi(2);
        patch.iter().min_by(|a, b| square(a).total_cmp(&square(b))).map_or(background, |s| s.2)
    };
    for (i, centre) in centres.iter().enumerate() {
        let [x, y] = patch.frame.local(*centre);
        p[3 * i..3 * i + 3].copy_from_slice(&[(near(x, y) - background).max(f64::MIN_POSITIVE), x, y]);
    }
    (0..3).for_each(|k| p[WIDTH_B + k] = p[WIDTH_A + k]);
    p[PLANE..].copy_from_slice(&[background, 0.0, 0.0]);
    p
}

/// The plane seen from another frame's origin (both turned alike).
fn shift_plane(p: &mut Parameters, from: &Frame, to: &Frame) {
    let [x, y] = from.local(to.origin);
    p[PLANE] += p[PLANE + 1] * x + p[PLANE + 2] * y;
}

/// Adds every sample of the patch to the normal equations. A column whose Gaussian is below 1e-10 there is left out of the sample's sums.
fn accumulate(patch: &Patch, p: &Parameters, sums: &mut NormalEquations<PARAMETERS>) -> bool {
    let positive = |w: usize| p[w] > 0.0 && p[w + 2] > 0.0 && p[w] * p[w + 2] - p[w + 1].powi(2) > 1e-9 * p[w] * p[w + 2];
    if !(positive(WIDTH_A) && positive(WIDTH_B)) {
        return false;
    }
    for (x, y, value) in patch.iter() {
        let mut sample = Sample::new(x, y, value);
        sample.add_columns(p, 1e-10);
        sample.add_plane(p);
        sums.add_sparse(sample.residual, &sample.derivatives[..sample.count], 1.0);
    }
    true
}

/// The residual at one sample and the derivatives that are not zero there, in the order of the parameters.
struct Sample {
    x: f64,
    y: f64,
    residual: f64,
    derivatives: [(usize, f64); PARAMETERS],
    count: usize,
}

impl Sample {
    fn new(x: f64, y: f64, value: f64) -> Self {
        Self { x, y, residual: value, derivatives: [(0, 0.0); PARAMETERS], count: 0 }
    }

    fn push(&mut self, parameter: usize, derivative: f64) {
        self.derivatives[self.count] = (parameter, derivative);
        self.count += 1;
    }

    fn add_columns(&mut self, p: &Parameters, negligible: f64) {
        let mut by_width = [[0.0; 3]; 2];
        let mut touched = [false; 2];
        for i in 0..5 {
            let (width, group) = if i == 0 { (WIDTH_B, 1) } else { (WIDTH_A, 0) };
            let [a, b, c] = [p[width], p[width + 1], p[width + 2]];
            let (x, y) = (self.x - p[3 * i + 1], self.y - p[3 * i + 2]);
            let e = exp(-0.5 * (a * x * x + 2.0 * b * x * y + c * y * y));
            if e < negligible {
                continue;
            }
            let g = p[3 * i] * e;
            self.residual -= g;
            self.push(3 * i, e);
            self.push(3 * i + 1, g * (a * x + b * y));
            self.push(3 * i + 2, g * (b * x + c * y));
            touched[group] = true;
            let second = [-0.5 * g * x * x, -g * x * y, -0.5 * g * y * y];
            by_width[group].iter_mut().zip(second).for_each(|(sum, s)| *sum += s);
        }
        for (group, width) in [WIDTH_A, WIDTH_B].into_iter().enumerate() {
            if touched[group] {
                (0..3).for_each(|k| self.push(width + k, by_width[group][k]));
            }
        }
    }

    fn add_plane(&mut self, p: &Parameters) {
        self.residual -= p[PLANE] + p[PLANE + 1] * self.x + p[PLANE + 2] * self.y;
        for (k, derivative) in [1.0, self.x, self.y].into_iter().enumerate() {
            self.push(PLANE + k, derivative);
        }
    }
}

fn check(p: &Parameters, radius: f64) -> Result<(), FitFailure> {
    for w in [WIDTH_A, WIDTH_B] {
        let unit = Frame { origin: [0.0; 2], axes: [[1.0, 0.0], [0.0, 1.0]], spacing: 1.0 };
        let width = widths(&unit, [p[w], p[w + 1], p[w + 2]]);
        if width.sigma_minor < 0.25 {
            return Err(FitFailure::WidthRanAway { sigma_samples: width.sigma_minor });
        }
        if width.sigma_major.is_nan() || width.sigma_major > 2.0 * radius {
            return Err(FitFailure::WidthRanAway { sigma_samples: width.sigma_major });
        }
    }
    if (0..5).any(|i| p[3 * i] <= 0.0) { Err(FitFailure::AmplitudeNotPositive) } else { Ok(()) }
}

fn result(
    patch: &Patch,
    fit: &Solution<PARAMETERS>,
    found: &[[f64; 2]; 5],
    noise: Noise,
    cut_one: &impl Fn([f64; 2]) -> Result<Patch, FitFailure>,
) -> Result<CellColumns, FitFailure> {
    let p = &fit.parameters;
    let covariance = fit.covariance();
    let (residuals, jacobian): (Vec<f64>, Vec<Parameters>) = patch.iter().map(|sample| linearised(p, sample)).unzip();
    let correlation = if noise == Noise::Correlated { ResidualCorrelation::new(patch, &residuals, &jacobian) } else { None };
    let formal = |[u, v]: &[Parameters; 2]| {
        let form = |f: &Parameters, g: &Parameters| -> f64 {
            (0..PARAMETERS).flat_map(|i| (0..PARAMETERS).map(move |j| (i, j))).map(|(i, j)| f[i] * covariance[i][j] * g[j]).sum()
        };
        patch.frame.covariance([form(u, u), form(u, v), form(v, v)])
    };
    let empirical = |f: &[Parameters; 2]| correlation.as_ref().map(|c| patch.frame.covariance(c.covariance(f)));
    let unit = |columns: &[(usize, f64)], axis: usize| {
        let mut f = [0.0; PARAMETERS];
        for &(i, part) in columns {
            f[3 * i + 1 + axis] = part;
        }
        f
    };
    let column = |i: usize| -> Result<ColumnFit, FitFailure> {
        let f = [unit(&[(i, 1.0)], 0), unit(&[(i, 1.0)], 1)];
        let width = if i == 0 { WIDTH_B } else { WIDTH_A };
        let (x, y) = (p[3 * i + 1], p[3 * i + 2]);
        let background = p[PLANE] + p[PLANE + 1] * x + p[PLANE + 2] * y;
        Ok(ColumnFit {
            position: found[i],
            covariance: (noise != Noise::None).then(|| formal(&f)),
            empirical_covariance: empirical(&f),
            amplitude: p[3 * i],
            background,
            widths: Some(widths(&patch.frame, [p[width], p[width + 1], p[width + 2]])),
            residual_rms: Some((fit.cost / patch.samples as f64).sqrt()),
            skewness: lone_skewness(p, i, &patch.frame, cut_one(found[i])?, background),
            samples: patch.samples,
            iterations: fit.iterations,
        })
    };
    let mean = [(0, 1.0), (1, -0.25), (2, -0.25), (3, -0.25), (4, -0.25)];
    let difference = [unit(&mean, 0), unit(&mean, 1)];
    Ok(CellColumns {
        b: column(0)?,
        a: [column(1)?, column(2)?, column(3)?, column(4)?],
        shift: [0, 1].map(|k| found[0][k] - 0.25 * found[1..].iter().map(|a| a[k]).sum::<f64>()),
        shift_covariance: (noise != Noise::None).then(|| formal(&difference)),
        shift_empirical_covariance: empirical(&difference),
    })
}

/// Skewness of one column after the fitted others and the plane's slope are taken off its patch.
fn lone_skewness(p: &Parameters, column: usize, frame: &Frame, mut alone: Patch, background: f64) -> Option<[f64; 2]> {
    let mut others = *p;
    others[3 * column] = 0.0;
    for row in &alone.rows {
        for (i, value) in alone.values[row.start..row.start + row.len].iter_mut().enumerate() {
            let [x, y] = frame.local(alone.frame.position([row.x + i as f64, row.y]));
            let mut sample = Sample::new(x, y, *value);
            sample.add_columns(&others, 0.0);
            sample.add_plane(&others);
            *value = sample.residual + background;
        }
    }
    let position = alone.frame.local(frame.position([p[3 * column + 1], p[3 * column + 2]]));
    skewness(&alone, position, background)
}

fn linearised(p: &Parameters, (x, y, value): (f64, f64, f64)) -> (f64, Parameters) {
    let mut sample = Sample::new(x, y, value);
    sample.add_columns(p, 0.0);
    sample.add_plane(p);
    let mut jacobian = [0.0; PARAMETERS];
    sample.derivatives[..sample.count].iter().for_each(|&(i, d)| jacobian[i] = d);
    (sample.residual, jacobian)
}
