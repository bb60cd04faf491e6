//! The tilt that an image shows, with its uncertainty: thickness, defocus and source size are unknown within their ranges and averaged over.
//!
//! Prior: any tilt within the allowed disc, any setting within the table. Three kinds of evidence, alone and together: a centrosymmetric region
//! (its shift is all mis-tilt), the shape of the columns (skewness, disagreement of estimators), and what domains of opposite polarization
//! have in common. The posterior is evaluated on a raster of tilts that is refined about its mean, for settings of a Halton sequence in a box that
//! closes in on those that count, until enough of them do.
//!
//! What the simulation may be wrong by at all places at once, the sampling of its phonons and the size of what tilt does to a column's shape, is
//! part of the likelihood: normal modes of error, each of unit variance, integrated out in closed form (Rasmussen and Williams, Gaussian Processes
//! for Machine Learning (2006), eq. 2.42).
//!
//! Given a tilt and a setting, a region's measured shift fixes the amplitude of its polarization in units of the simulated crystal's, and with it
//! everything else the region should show: the polarization needs no guess. All vectors in the axes of the crystal, pm and mrad.

use super::cubic::{POWERS, TERMS, terms};
use super::reading::{COMPONENTS, Reading, VECTORS};
use super::response::{POLAR_PM, Response, ResponseTable, Setting};
use crate::numerics::least_squares::Cholesky;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

/// Components of a reading that show tilt and no polarization: six vectors.
pub(super) const SIGNS: usize = 2 * (VECTORS - 1);
/// Settings of thickness, defocus and source size that are averaged over.
const SETTINGS: usize = 64;
/// The posterior is spread over as many of them at least, counted by the inverse of the sum of squared probabilities.
const ENOUGH: f64 = 12.0;
/// Tilts across the raster.
const ACROSS: usize = 21;
/// Refinements of raster and box at most.
const REFINEMENTS: usize = 9;
/// Modes of error at most: phonons of crystal and reference, and the scale of the shape.
const MODES: usize = 21;

/// What is believed of the crystal beyond the data.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Beliefs {
    /// Largest tilt, mrad.
    pub max_tilt_mrad: f64,
    /// Opposite domains have polarizations of equal size to this fraction (one standard deviation).
    pub domains_equal_to: f64,
    /// A column's shape is simulated to this tilt (one standard deviation of each sign of tilt, mrad).
    pub shape_true_to_mrad: f64,
    /// The effect of tilt on the shape of columns and on the shift is simulated to this fraction (one standard deviation): oxygen, atoms' vibrations
    /// and the specimen's surface are not those of the simulated crystal.
    pub shape_scale: f64,
}

impl Default for Beliefs {
    fn default() -> Self {
        Self { max_tilt_mrad: 5.0, domains_equal_to: 0.05, shape_true_to_mrad: 0.3, shape_scale: 0.2 }
    }
}

/// A region as evidence.
#[derive(Debug, Clone)]
pub struct Witness {
    /// Mean shift, pm.
    pub shift_pm: [f64; 2],
    /// Covariance of the mean, pm².
    pub covariance_pm2: [f64; 3],
    /// Signs of tilt in its mean cell (a [`Reading`] without its shift, widths and heights), and the Cholesky factor of their covariance.
    pub signs: Option<([f64; SIGNS], Cholesky<SIGNS>)>,
    /// Cells.
    pub cells: usize,
    /// The simulated crystal stands for this region with x and y exchanged.
    pub exchanged: bool,
}

/// Which evidence.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Method {
    /// A region that has no polarization by symmetry.
    Reference,
    /// Skewness of the columns and disagreement of the estimators.
    Shape,
    /// What opposite domains have in common.
    Domains,
    /// All of them.
    Together,
}

impl Method {
    /// All, the combination last.
    pub const ALL: [Self; 4] = [Self::Reference, Self::Shape, Self::Domains, Self::Together];

    /// In words.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Reference => "centrosymmetric region",
            Self::Shape => "shape of the columns",
            Self::Domains => "opposite domains",
            Self::Together => "all evidence",
        }
    }
}

/// All evidence of an image.
#[derive(Debug, Clone)]
pub struct Evidence<'a> {
    /// Responses of the crystal.
    pub table: &'a ResponseTable,
    /// Responses of the centrosymmetric crystal and what its region shows.
    pub reference: Option<(&'a ResponseTable, Witness)>,
    /// Regions of the crystal.
    pub witnesses: Vec<Witness>,
    /// What is believed.
    pub beliefs: Beliefs,
}

/// A tilt with its uncertainty, in the axes of the crystal.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TiltEstimate {
    /// From which evidence.
    pub method: Method,
    /// Mean, mrad.
    pub mean_mrad: [f64; 2],
    /// Covariance [xx, xy, yy], mrad².
    pub covariance_mrad2: [f64; 3],
    /// Whether the evidence says more than the allowed range of tilts, along x and y.
    pub tells: [bool; 2],
}

impl TiltEstimate {
    /// Standard deviations, mrad.
    #[must_use]
    pub fn sigma_mrad(&self) -> [f64; 2] {
        [self.covariance_mrad2[0].sqrt(), self.covariance_mrad2[2].sqrt()]
    }
}

/// Tilts and settings with their probabilities.
#[derive(Debug, Clone)]
pub struct Posterior {
    /// Its mean and covariance.
    pub estimate: TiltEstimate,
    /// Settings of thickness, defocus and source size.
    pub settings: Vec<Setting>,
    /// (tilt, setting, probability): the sum is 1.
    points: Vec<([f64; 2], usize, f64)>,
    parts: Vec<Parts>,
    /// What the simulated shift is known to, pm, and what the part that the tilt adds is.
    shift_sigma_pm: [f64; 2],
    tilt_part_sigma_pm: [f64; 2],
    /// To which fraction the tilt's part is simulated.
    scale: f64,
}

/// Mean and covariance of a vector over the posterior, pm.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct Moments {
    /// Mean.
    pub mean: [f64; 2],
    /// Covariance [xx, xy, yy].
    pub covariance: [f64; 3],
}

/// A response with its terms sorted by what they do under the mirrors: 0 even, 1 odd along x, 2 odd along y, 3 odd along both.
#[derive(Debug, Clone)]
struct Parts {
    sorted: Vec<[f64; TERMS]>,
    class: Vec<[u8; TERMS]>,
    polar_pm: [f64; 2],
    true_pm: [f64; 2],
}

/// A response at one tilt, for any amplitude of the polarization.
struct AtTilt {
    /// `[component][class]`.
    sums: [[f64; 4]; COMPONENTS],
    polar: [bool; 2],
}

impl Parts {
    fn new(response: &Response, true_pm: [f64; 2]) -> Self {
        let class = (0..COMPONENTS).map(|k| {
            let parity = Reading::parity(k);
            POWERS.map(|p| ((p[0] + parity[0]) % 2 + 2 * ((p[1] + parity[1]) % 2)) as u8)
        });
        Self {
            sorted: response.components.iter().map(|c| c.0).collect(),
            class: class.collect(),
            polar_pm: [response.components[0].0[0], response.components[1].0[0]],
            true_pm,
        }
    }

    /// By how much a sign of tilt changes with the shift along its axis when the polarization changes.
    fn per_shift(&self, sign: usize) -> f64 {
        let shift = self.polar_pm[sign % 2];
        if shift.abs() > POLAR_PM { self.sorted[2 + sign][0] / shift } else { 0.0 }
    }

    fn at(&self, terms: &[f64; TERMS]) -> AtTilt {
        let mut sums = [[0.0; 4]; COMPONENTS];
        for ((sum, coefficients), class) in sums.iter_mut().zip(&self.sorted).zip(&self.class) {
            for ((c, t), k) in coefficients.iter().zip(terms).zip(class) {
                sum[usize::from(*k)] += c * t;
            }
        }
        AtTilt { sums, polar: self.polar_pm.map(|p| p.abs() > POLAR_PM) }
    }
}

impl AtTilt {
    fn value(&self, component: usize, [ax, ay]: [f64; 2]) -> f64 {
        let s = &self.sums[component];
        s[0] + ax * s[1] + ay * s[2] + ax * ay * s[3]
    }

    /// The amplitude with which the crystal shows a shift at this tilt; 1 along an axis on which it has no polarization.
    fn amplitude(&self, shift_pm: [f64; 2]) -> [f64; 2] {
        let mut a = self.polar.map(|polar| if polar { 0.0 } else { 1.0 });
        for _ in 0..4 {
            for axis in (0..2).filter(|&i| self.polar[i]) {
                let own = if axis == 0 { self.sums[0][1] + a[1] * self.sums[0][3] } else { self.sums[1][2] + a[0] * self.sums[1][3] };
                let rest = self.value(axis, a) - a[axis] * own;
                a[axis] = ((shift_pm[axis] - rest) / own).clamp(-1.5, 1.5);
            }
        }
        a
    }
}

/// x and y exchanged where a region asks for it.
fn exchange(v: [f64; 2], exchanged: bool) -> [f64; 2] {
    if exchanged { [v[1], v[0]] } else { v }
}

impl Evidence<'_> {
    /// The posterior by one kind of evidence or by all; `None` where the image has none of that kind.
    #[must_use]
    pub fn posterior(&self, method: Method) -> Option<Posterior> {
        let signs = self.witnesses.iter().any(|w| w.signs.is_some()) || self.reference.as_ref().is_some_and(|r| r.1.signs.is_some());
        let there = match method {
            Method::Reference => self.reference.is_some(),
            Method::Shape => signs,
            Method::Domains => (0..2).any(|axis| self.opposite(axis).is_some()),
            Method::Together => true,
        };
        there.then(|| self.refined(method))
    }

    fn refined(&self, method: Method) -> Posterior {
        let middle = self.table.middle();
        let modes = ErrorModes {
            film: self.table.modes().iter().take(MODES / 2).map(|m| Parts::new(m, self.table.true_shift_pm)).collect(),
            reference: self.reference.as_ref().map_or_else(Vec::new, |(table, _)| {
                table.modes().iter().take(MODES / 2).map(|m| Parts::new(m, table.true_shift_pm)).collect()
            }),
            middle: Parts::new(&self.table.at(&middle), self.table.true_shift_pm),
            middle_reference: self.reference.as_ref().map(|(table, _)| Parts::new(&table.at(&middle), table.true_shift_pm)),
        };
        let radius = self.beliefs.max_tilt_mrad;
        let (mut centre, mut half) = ([0.0; 2], [radius; 2]);
        let mut range = [[0.0, 1.0]; 3];
        let mut refinement = 0;
        loop {
            let inside = |n: usize| {
                let f = [2, 3, 5].map(|base| halton(n, base));
                [0, 1, 2].map(|axis| range[axis][0] + f[axis] * (range[axis][1] - range[axis][0]))
            };
            let fractions: Vec<[f64; 3]> = (1..=SETTINGS).map(inside).collect();
            let settings: Vec<Setting> = fractions.iter().map(|f| self.table.setting(*f)).collect();
            let parts: Vec<Parts> = settings.iter().map(|s| Parts::new(&self.table.at(s), self.table.true_shift_pm)).collect();
            // The reference region is as thick, and seen in the same focus by the same source.
            let reference: Option<Vec<Parts>> =
                self.reference.as_ref().map(|(table, _)| settings.iter().map(|s| Parts::new(&table.at(s), table.true_shift_pm)).collect());
            let step = half.map(|h| 2.0 * h / (ACROSS - 1) as f64);
            let raster: Vec<[f64; 2]> = (0..ACROSS * ACROSS)
                .map(|i| [0, 1].map(|c| centre[c] - half[c] + step[c] * (if c == 0 { i % ACROSS } else { i / ACROSS }) as f64))
                .filter(|t| t[0].hypot(t[1]) <= radius)
                .collect();
            let wrong: Vec<Wrong> = raster.par_iter().map(|t| self.wrong(method, &modes, *t)).collect();
            let logs: Vec<Vec<f64>> = (0..SETTINGS)
                .into_par_iter()
                .map(|s| {
                    let mut rows = Vec::new();
                    let mut of = |(t, wrong): (&[f64; 2], &Wrong)| {
                        rows.clear();
                        self.rows(method, &parts[s], reference.as_ref().map(|r| &r[s]), *t, &mut rows);
                        wrong.log_likelihood(&rows)
                    };
                    raster.iter().zip(&wrong).map(&mut of).collect()
                })
                .collect();
            let top = logs.iter().flatten().copied().fold(f64::NEG_INFINITY, f64::max);
            let mut points: Vec<([f64; 2], usize, f64)> = Vec::new();
            for (s, logs) in logs.iter().enumerate() {
                for (t, log) in raster.iter().zip(logs) {
                    let weight = (log - top).exp();
                    if weight > 1e-7 {
                        points.push((*t, s, weight));
                    }
                }
            }
            let total: f64 = points.iter().map(|p| p.2).sum();
            for point in &mut points {
                point.2 /= total;
            }
            let Moments { mean, covariance } = moments(points.iter().map(|(t, _, w)| (*t, *w)));
            let sigma = [covariance[0].max(0.0).sqrt(), covariance[2].max(0.0).sqrt()];
            let mut share = [0.0; SETTINGS];
            for (_, s, w) in &points {
                share[*s] += w;
            }
            let enough = share.iter().map(|w| w * w).sum::<f64>() * ENOUGH < 1.0;
            refinement += 1;
            let fine = (0..2).all(|c| sigma[c] > 2.5 * step[c]);
            if (fine && enough) || refinement > REFINEMENTS {
                // A uniform disc has a standard deviation of half its radius.
                let tells = sigma.map(|s| s < 0.8 * 0.5 * radius);
                let estimate = TiltEstimate { method, mean_mrad: mean, covariance_mrad2: covariance, tells };
                let shift_sigma_pm = [self.table.sigma(0), self.table.sigma(1)];
                let tilt_part_sigma_pm = [self.table.tilt_sigma(0), self.table.tilt_sigma(1)];
                return Posterior {
                    estimate,
                    settings,
                    points,
                    parts,
                    shift_sigma_pm,
                    tilt_part_sigma_pm,
                    scale: self.beliefs.shape_scale,
                };
            }
            if !enough {
                range = closer(range, &fractions, &share);
            }
            // A tilt beyond the raster may have become the likeliest in the new box: the raster closes in no faster than by half.
            let wanted = [0, 1].map(|c| (5.0 * sigma[c]).max(2.0 * step[c]).min(radius));
            half = if enough { wanted } else { [0, 1].map(|c| wanted[c].max(0.5 * half[c])) };
            centre = mean;
        }
    }

    /// What the data are off the expectation by, in units of their own errors: signs of every region, of the reference, the reference's shift, and
    /// the balance of opposite domains.
    fn rows(&self, method: Method, parts: &Parts, reference: Option<&Parts>, tilt: [f64; 2], out: &mut Vec<f64>) {
        let uses = |m: Method| method == m || method == Method::Together;
        let seen: Vec<(AtTilt, [f64; 2])> = self.witnesses.iter().map(|w| seen(w, parts, tilt)).collect();
        if uses(Method::Shape) {
            for (w, (at, amplitude)) in self.witnesses.iter().zip(&seen) {
                let Some((signs, factor)) = &w.signs else { continue };
                out.extend(factor.forward(std::array::from_fn(|i| signs[i] - at.value(2 + w.own(i), *amplitude))));
            }
        }
        if let (Some((table, witness)), Some(parts)) = (&self.reference, reference) {
            let at = parts.at(&terms(tilt));
            if let (true, Some((signs, factor))) = (uses(Method::Shape), &witness.signs) {
                out.extend(factor.forward(std::array::from_fn(|i| signs[i] - at.value(2 + i, [1.0; 2]))));
            }
            if uses(Method::Reference) {
                let d = [0, 1].map(|c| witness.shift_pm[c] - at.value(c, [1.0; 2]));
                out.extend(shift_factor(table, witness).map_or([0.0; 2], |f| f.forward(d)));
            }
        }
        if uses(Method::Domains) {
            for axis in 0..2 {
                let crystal = |n: usize| {
                    let (w, (at, a)) = (&self.witnesses[n], &seen[n]);
                    let own = w.own(axis);
                    if at.polar[own] { a[own] * parts.polar_pm[own] } else { w.shift_pm[axis] - at.value(own, *a) }
                };
                out.extend(self.balance(axis, &crystal));
            }
        }
    }

    /// What the modes of error add to [`Evidence::rows`] at a tilt.
    fn wrong(&self, method: Method, modes: &ErrorModes, tilt: [f64; 2]) -> Wrong {
        let uses = |m: Method| method == m || method == Method::Together;
        let mut rows: Vec<[f64; MODES]> = Vec::new();
        let film: Vec<(AtTilt, [f64; 2])> = self.witnesses.iter().map(|w| seen(w, &modes.middle, tilt)).collect();
        let scale = self.beliefs.shape_scale;
        if uses(Method::Shape) {
            for (w, (at, a)) in self.witnesses.iter().zip(&film) {
                let Some((_, factor)) = &w.signs else { continue };
                let upright = modes.middle.at(&terms([0.0; 2]));
                let by_shift = |i: usize| modes.middle.per_shift(w.own(i));
                let added = |mode: &Parts| -> [f64; SIGNS] {
                    let e = mode.at(&terms(exchange(tilt, w.exchanged)));
                    std::array::from_fn(|i| e.value(2 + w.own(i), *a) - by_shift(i) * e.value(w.own(i % 2), *a))
                };
                let mut columns: Vec<(usize, [f64; SIGNS])> = modes.film.iter().map(added).enumerate().collect();
                let whole = |i: usize| at.value(2 + w.own(i), *a) - upright.value(2 + w.own(i), *a);
                columns.push((MODES - 1, std::array::from_fn(|i| scale * whole(i))));
                extend(&mut rows, factor, &columns);
            }
        }
        if let (Some((table, witness)), Some(middle)) = (&self.reference, &modes.middle_reference) {
            let added = |mode: &Parts, i: usize| mode.at(&terms(tilt)).value(i, [1.0; 2]);
            let first = modes.film.len();
            if let (true, Some((_, factor))) = (uses(Method::Shape), &witness.signs) {
                let of = |(n, mode): (usize, &Parts)| (first + n, std::array::from_fn(|i| added(mode, 2 + i)));
                let mut columns: Vec<(usize, [f64; SIGNS])> = modes.reference.iter().enumerate().map(of).collect();
                columns.push((MODES - 1, std::array::from_fn(|i| scale * (added(middle, 2 + i) - middle.sorted[2 + i][0]))));
                extend(&mut rows, factor, &columns);
            }
            if uses(Method::Reference) {
                let of = |(n, mode): (usize, &Parts)| (first + n, [added(mode, 0), added(mode, 1)]);
                let columns: Vec<(usize, [f64; 2])> = modes.reference.iter().enumerate().map(of).collect();
                match shift_factor(table, witness) {
                    Some(factor) => extend(&mut rows, &factor, &columns),
                    None => rows.extend([[0.0; MODES]; 2]),
                }
            }
        }
        if uses(Method::Domains) {
            for axis in 0..2 {
                let mut row = [0.0; MODES];
                let mut there = false;
                for (slot, mode) in row.iter_mut().zip(&modes.film) {
                    let crystal = |n: usize| {
                        let w = &self.witnesses[n];
                        -mode.at(&terms(exchange(tilt, w.exchanged))).value(w.own(axis), film[n].1)
                    };
                    if let Some(value) = self.balance(axis, &crystal) {
                        (*slot, there) = (value, true);
                    }
                }
                if there || self.opposite(axis).is_some() {
                    rows.push(row);
                }
            }
        }
        Wrong::new(rows)
    }

    /// The sum over the two classes of opposite domains of what their crystals show along an axis, in units of its error: 0 for a crystal whose
    /// domains are equal; `None` where one class is missing.
    fn balance(&self, axis: usize, crystal: &dyn Fn(usize) -> f64) -> Option<f64> {
        let (positive, negative) = self.opposite(axis)?;
        let (mut sum, mut variance) = (0.0, 0.0);
        for class in [&positive, &negative] {
            let cells: f64 = class.iter().map(|&n| self.witnesses[n].cells as f64).sum();
            for &n in class {
                let (w, share) = (&self.witnesses[n], self.witnesses[n].cells as f64 / cells);
                let equal = self.beliefs.domains_equal_to * w.shift_pm[axis];
                sum += share * crystal(n);
                variance += share * share * (w.covariance_pm2[2 * axis] + equal * equal);
            }
        }
        Some(sum / variance.max(f64::MIN_POSITIVE).sqrt())
    }

    /// Regions whose shift along an axis is clearly positive, and clearly negative; `None` where one of the kinds is missing.
    fn opposite(&self, axis: usize) -> Option<(Vec<usize>, Vec<usize>)> {
        // A mis-tilt must not turn the sign of what is called a domain.
        let least = |w: &Witness| (3.0 * w.covariance_pm2[2 * axis].sqrt()).max(5.0);
        let of = |sign: f64| -> Vec<usize> {
            (0..self.witnesses.len()).filter(|&n| sign * self.witnesses[n].shift_pm[axis] > least(&self.witnesses[n])).collect()
        };
        let (positive, negative) = (of(1.0), of(-1.0));
        (!positive.is_empty() && !negative.is_empty()).then_some((positive, negative))
    }
}

/// The crystal of a region at a tilt of the image, and the amplitude at which it shows the region's shift.
fn seen(witness: &Witness, parts: &Parts, tilt: [f64; 2]) -> (AtTilt, [f64; 2]) {
    let at = parts.at(&terms(exchange(tilt, witness.exchanged)));
    let amplitude = at.amplitude(exchange(witness.shift_pm, witness.exchanged));
    (at, amplitude)
}

impl Witness {
    /// An exchanged region shows in x what the simulated crystal shows in y.
    fn own(&self, component: usize) -> usize {
        if self.exchanged { component ^ 1 } else { component }
    }
}

/// Error of the reference's shift: its noise, and what the simulation may be wrong by in each component alone.
fn shift_factor(table: &ResponseTable, witness: &Witness) -> Option<Cholesky<2>> {
    let [xx, xy, yy] = witness.covariance_pm2;
    let model = [table.own_sigma(0).powi(2), table.own_sigma(1).powi(2)];
    Cholesky::new(&[[xx + model[0], xy], [xy, yy + model[1]]]).ok()
}

/// A range for each fraction of the table about the settings that count, at least half as wide as before.
fn closer(range: [[f64; 2]; 3], fractions: &[[f64; 3]], share: &[f64; SETTINGS]) -> [[f64; 2]; 3] {
    [0, 1, 2].map(|axis| {
        let [low, high] = range[axis];
        let mean: f64 = fractions.iter().zip(share).map(|(f, w)| w * f[axis]).sum();
        let variance: f64 = fractions.iter().zip(share).map(|(f, w)| w * (f[axis] - mean).powi(2)).sum();
        let half = (3.5 * variance.sqrt()).max(0.25 * (high - low));
        [(mean - half).max(low), (mean + half).min(high)]
    })
}

/// The ways in which the simulation may be wrong.
struct ErrorModes {
    film: Vec<Parts>,
    reference: Vec<Parts>,
    middle: Parts,
    middle_reference: Option<Parts>,
}

/// Modes of error at one tilt, in units of the data's own errors, and the factor of 1 + EᵀE.
struct Wrong {
    rows: Vec<[f64; MODES]>,
    factor: Option<Cholesky<MODES>>,
    half_log_determinant: f64,
}

impl Wrong {
    fn new(rows: Vec<[f64; MODES]>) -> Self {
        let mut normal: [[f64; MODES]; MODES] = std::array::from_fn(|i| std::array::from_fn(|j| f64::from(u8::from(i == j))));
        for row in &rows {
            for (i, line) in normal.iter_mut().enumerate().filter(|(i, _)| row[*i] != 0.0) {
                line.iter_mut().zip(row).for_each(|(sum, v)| *sum += row[i] * v);
            }
        }
        let factor = Cholesky::new(&normal).ok();
        let half_log_determinant = factor.as_ref().map_or(0.0, Cholesky::half_log_determinant);
        Self { rows, factor, half_log_determinant }
    }

    /// log of N(d; 0, 1 + E Eᵀ) but for a constant.
    fn log_likelihood(&self, d: &[f64]) -> f64 {
        let mut along = [0.0; MODES];
        for (row, value) in self.rows.iter().zip(d) {
            along.iter_mut().zip(row).for_each(|(sum, e)| *sum += e * value);
        }
        let square = |v: &[f64]| v.iter().map(|x| x * x).sum::<f64>();
        let explained = self.factor.as_ref().map_or(0.0, |f| square(&f.forward(along)));
        -0.5 * (square(d) - explained) - self.half_log_determinant
    }
}

/// Adds the rows of some modes, whitened.
fn extend<const N: usize>(rows: &mut Vec<[f64; MODES]>, factor: &Cholesky<N>, columns: &[(usize, [f64; N])]) {
    let first = rows.len();
    rows.extend([[0.0; MODES]; N]);
    for (mode, column) in columns {
        for (row, value) in rows[first..].iter_mut().zip(factor.forward(*column)) {
            row[*mode] = value;
        }
    }
}

impl Posterior {
    /// What the tilt adds to a region's shift, and the polarization of the crystal that remains once the estimator's own gain is taken out
    /// too; over all tilts and settings, pm.
    #[must_use]
    pub fn explain(&self, witness: &Witness) -> (Moments, Moments) {
        let mut fake = Vec::with_capacity(self.points.len());
        let mut crystal = Vec::with_capacity(self.points.len());
        for (tilt, setting, weight) in &self.points {
            let parts = &self.parts[*setting];
            let at = parts.at(&terms(exchange(*tilt, witness.exchanged)));
            let shift = exchange(witness.shift_pm, witness.exchanged);
            let a = at.amplitude(shift);
            let upright = |axis: usize| if at.polar[axis] { a[axis] * parts.polar_pm[axis] } else { 0.0 };
            let added = [0, 1].map(|axis| if at.polar[axis] { shift[axis] - upright(axis) } else { at.value(axis, a) });
            let left = [0, 1].map(|axis| {
                let gain = if at.polar[axis] { parts.true_pm[axis] / parts.polar_pm[axis] } else { 1.0 };
                (shift[axis] - added[axis]) * gain
            });
            fake.push((exchange(added, witness.exchanged), *weight));
            crystal.push((exchange(left, witness.exchanged), *weight));
        }
        let (mut fake, mut crystal) = (moments(fake.into_iter()), moments(crystal.into_iter()));
        // The simulation itself is known to the sampling of its phonons only, and is of another crystal than the specimen.
        for axis in 0..2 {
            let own = if witness.exchanged { 1 - axis } else { axis };
            let scale = (self.scale * fake.mean[axis]).powi(2);
            fake.covariance[2 * axis] += self.tilt_part_sigma_pm[own].powi(2) + scale;
            crystal.covariance[2 * axis] += self.shift_sigma_pm[own].powi(2) + scale;
        }
        (fake, crystal)
    }

    /// Mean slope of the fake shift over the tilt for an unpolarized crystal, pm/mrad: for fields of tilt that vary over the image.
    #[must_use]
    pub fn slope(&self) -> [[f64; 2]; 2] {
        let mut out = [[0.0; 2]; 2];
        for (_, setting, weight) in &self.points {
            let parts = &self.parts[*setting];
            for (i, row) in out.iter_mut().enumerate() {
                for (j, value) in row.iter_mut().enumerate() {
                    // The linear terms; odd in the polarization or not, an unpolarized crystal has the even ones.
                    let even = parts.class[i][1 + j] == 0;
                    *value += if even { weight * parts.sorted[i][1 + j] } else { 0.0 };
                }
            }
        }
        out
    }
}

fn moments(points: impl Iterator<Item = ([f64; 2], f64)> + Clone) -> Moments {
    let mut mean = [0.0; 2];
    for (v, w) in points.clone() {
        mean = [mean[0] + w * v[0], mean[1] + w * v[1]];
    }
    let mut covariance = [0.0; 3];
    for (v, w) in points {
        let d = [v[0] - mean[0], v[1] - mean[1]];
        covariance.iter_mut().zip([d[0] * d[0], d[0] * d[1], d[1] * d[1]]).for_each(|(c, p)| *c += w * p);
    }
    Moments { mean, covariance }
}

/// Halton's sequence (Numer. Math. 2 (1960) 84) in one base: the digits of n mirrored at the point.
pub(super) fn halton(mut n: usize, base: usize) -> f64 {
    let (mut value, mut digit) = (0.0, 1.0 / base as f64);
    while n > 0 {
        value += digit * (n % base) as f64;
        n /= base;
        digit /= base as f64;
    }
    value
}
