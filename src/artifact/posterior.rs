//! The tilt that an image shows, with its uncertainty: thickness, defocus and source size are unknown within their ranges and averaged over.
//!
//! Prior: any tilt within the allowed disc, any setting within the table. Three kinds of evidence, alone and together: a centrosymmetric region
//! (its shift is all mis-tilt), the shape of the columns (skewness, disagreement of estimators), and what domains of opposite polarization
//! have in common. The posterior is evaluated on a raster of tilts that is refined about its mean, for settings of a Halton sequence in a box that
//! closes in on those that count, until enough of them do.

use super::at_tilt::{Parts, exchange};
use super::cubic::terms;
use super::error_modes::{ErrorModes, Wrong};
use super::response::Setting;
use super::witness::{Evidence, Method, Witness};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

/// Settings of thickness, defocus and source size that are averaged over.
const SETTINGS: usize = 64;
/// The posterior is spread over as many of them at least, counted by the inverse of the sum of squared probabilities.
const ENOUGH: f64 = 12.0;
/// Tilts across the raster.
const ACROSS: usize = 21;
/// Refinements of raster and box at most.
const REFINEMENTS: usize = 9;
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
    points: Vec<Weighted>,
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
        let modes = ErrorModes::of(self);
        let radius = self.beliefs.max_tilt_mrad;
        let mut search = Search { centre: [0.0; 2], half: [radius; 2], range: [[0.0, 1.0]; 3] };
        let mut refinement = 0;
        loop {
            refinement += 1;
            let fractions = search.fractions();
            let settings: Vec<Setting> = fractions.iter().map(|f| self.table.setting(*f)).collect();
            let parts: Vec<Parts> = settings.iter().map(|s| Parts::new(&self.table.at(s), self.table.true_shift_pm)).collect();
            let points = self.points(method, &modes, &settings, &parts, &search.raster(radius));
            let Moments { mean, covariance } = moments(points.iter().map(|(t, _, w)| (*t, *w)));
            let sigma = [covariance[0].max(0.0).sqrt(), covariance[2].max(0.0).sqrt()];
            let mut share = [0.0; SETTINGS];
            for (_, s, w) in &points {
                share[*s] += w;
            }
            let enough = share.iter().map(|w| w * w).sum::<f64>() * ENOUGH < 1.0;
            let fine = (0..2).all(|c| sigma[c] > 2.5 * search.step()[c]);
            if (fine && enough) || refinement > REFINEMENTS {
                // A uniform disc has a standard deviation of half its radius.
                let tells = sigma.map(|s| s < 0.8 * 0.5 * radius);
                let estimate = TiltEstimate { method, mean_mrad: mean, covariance_mrad2: covariance, tells };
                return self.posterior_of(estimate, settings, points, parts);
            }
            search.close_in(mean, sigma, (!enough).then_some((&fractions, &share)), radius);
        }
    }

    fn posterior_of(&self, estimate: TiltEstimate, settings: Vec<Setting>, points: Vec<Weighted>, parts: Vec<Parts>) -> Posterior {
        Posterior {
            estimate,
            settings,
            points,
            parts,
            shift_sigma_pm: [self.table.sigma(0), self.table.sigma(1)],
            tilt_part_sigma_pm: [self.table.tilt_sigma(0), self.table.tilt_sigma(1)],
            scale: self.beliefs.shape_scale,
        }
    }

    /// Tilts of a raster and settings with their probabilities; those that do not count are left out.
    fn points(&self, method: Method, modes: &ErrorModes, settings: &[Setting], parts: &[Parts], raster: &[[f64; 2]]) -> Vec<Weighted> {
        // The reference region is as thick, and seen in the same focus by the same source.
        let reference: Option<Vec<Parts>> =
            self.reference.as_ref().map(|(table, _)| settings.iter().map(|s| Parts::new(&table.at(s), table.true_shift_pm)).collect());
        let wrong: Vec<Wrong> = raster.par_iter().map(|t| self.wrong(method, modes, *t)).collect();
        let logs: Vec<Vec<f64>> = (0..settings.len())
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
        let mut points: Vec<Weighted> = Vec::new();
        for (s, logs) in logs.iter().enumerate() {
            let weights = raster.iter().zip(logs).map(|(t, log)| (*t, s, (log - top).exp()));
            points.extend(weights.filter(|(.., weight)| *weight > 1e-7));
        }
        let total: f64 = points.iter().map(|p| p.2).sum();
        for point in &mut points {
            point.2 /= total;
        }
        points
    }
}

/// A tilt, the number of a setting, and their probability.
type Weighted = ([f64; 2], usize, f64);

/// Where tilts and settings are looked for: a square of tilts, and a range of each fraction of the table.
struct Search {
    centre: [f64; 2],
    half: [f64; 2],
    range: [[f64; 2]; 3],
}

impl Search {
    /// Settings as fractions of the table, from Halton's sequence.
    fn fractions(&self) -> Vec<[f64; 3]> {
        let inside = |n: usize| {
            let f = [2, 3, 5].map(|base| halton(n, base));
            [0, 1, 2].map(|axis| self.range[axis][0] + f[axis] * (self.range[axis][1] - self.range[axis][0]))
        };
        (1..=SETTINGS).map(inside).collect()
    }

    fn step(&self) -> [f64; 2] {
        self.half.map(|h| 2.0 * h / (ACROSS - 1) as f64)
    }

    /// The tilts of the square within the allowed disc, mrad.
    fn raster(&self, radius: f64) -> Vec<[f64; 2]> {
        let step = self.step();
        (0..ACROSS * ACROSS)
            .map(|i| {
                let at = |c: usize| if c == 0 { i % ACROSS } else { i / ACROSS };
                [0, 1].map(|c| self.centre[c] - self.half[c] + step[c] * at(c) as f64)
            })
            .filter(|t| t[0].hypot(t[1]) <= radius)
            .collect()
    }

    /// Closes in on the mean, and, where too few settings count, on those.
    fn close_in(&mut self, mean: [f64; 2], sigma: [f64; 2], few: Option<(&Vec<[f64; 3]>, &[f64; SETTINGS])>, radius: f64) {
        let step = self.step();
        let wanted = [0, 1].map(|c| (5.0 * sigma[c]).max(2.0 * step[c]).min(radius));
        self.half = match few {
            None => wanted,
            // A tilt beyond the raster may have become the likeliest in the new box: the raster closes in no faster than by half.
            Some((fractions, share)) => {
                self.range = closer(self.range, fractions, share);
                [0, 1].map(|c| wanted[c].max(0.5 * self.half[c]))
            }
        };
        self.centre = mean;
    }
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
