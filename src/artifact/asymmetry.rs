//! How a mis-tilt makes the distributions of Px and Py lopsided: many cells of random polarization under a tilt that is uniform or varies.
//!
//! Nelson, Ghosh et al. (npj Comput. Mater. 7 (2021) 149) saw asymmetric distributions of polarization in Sm-doped BiFeO3 and named mis-tilt as
//! a possible cause. Here every cell answers the tilt as simulated, its polarization being a multiple of the simulated crystal's; pm, mrad.

use super::response::Response;
use crate::numerics::seeds::Streams;
use rand::RngExt;
use rand_distr::{Distribution, StandardNormal};
use serde::{Deserialize, Serialize};

/// Which polarizations the cells have, in units of the simulated crystal's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Ensemble {
    /// Four domains (±1, ±1) in equal parts.
    Domains,
    /// Two domains (1, 1) and (−1, −1), three to one.
    UnequalDomains,
    /// A random field: both components normal with a standard deviation of 0.6.
    RandomField,
}

impl Ensemble {
    /// In words.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Domains => "four equal domains",
            Self::UnequalDomains => "two domains, 3:1",
            Self::RandomField => "random field",
        }
    }
}

/// A specimen and how it is measured.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Cells {
    /// Polarizations.
    pub ensemble: Ensemble,
    /// Cells.
    pub count: usize,
    /// Noise of one cell, pm.
    pub noise_pm: f64,
    /// Seed.
    pub seed: u64,
}

/// How a component is distributed.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Shape {
    /// Mean, pm.
    pub mean_pm: f64,
    /// Standard deviation, pm.
    pub sd_pm: f64,
    /// Skewness ⟨(P − mean)³⟩/sd³.
    pub skewness: f64,
    /// Fraction of cells with a positive value.
    pub positive: f64,
}

/// How the foil stands: a tilt along a direction, and a bend along the same, whose sense is the direction's whatever the tilt's.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Foil {
    /// Direction of tilt and bend; its length does not count.
    pub along: [f64; 2],
    /// Tilt along it, mrad, of either sign.
    pub tilt_mrad: f64,
    /// From the middle of the field, where this is added to the tilt, to its edge, where it is taken away, the tilt falls as a parabola: a foil
    /// that is bent one way has more of one tilt than of the other, mrad.
    pub bend_mrad: f64,
}

/// Shifts (x, y) of all cells of a foil, pm.
#[must_use]
pub fn shifts_pm(response: &Response, cells: &Cells, foil: &Foil) -> Vec<[f64; 2]> {
    let streams = Streams::new("mistilt 2026 asymmetry of distributions", cells.seed);
    let length = foil.along[0].hypot(foil.along[1]).max(f64::MIN_POSITIVE);
    let along = foil.along.map(|v| v / length);
    (0..cells.count)
        .map(|n| {
            let mut random = streams.stream(n as u64);
            let mut normal = || -> f64 { StandardNormal.sample(&mut random) };
            let noise = [normal(), normal()];
            let field = [0.6 * normal(), 0.6 * normal()];
            let [u, v, place]: [f64; 3] = [random.random(), random.random(), random.random()];
            let amplitude = match cells.ensemble {
                Ensemble::Domains => [if u < 0.5 { 1.0 } else { -1.0 }, if v < 0.5 { 1.0 } else { -1.0 }],
                Ensemble::UnequalDomains => [if u < 0.75 { 1.0 } else { -1.0 }; 2],
                Ensemble::RandomField => field,
            };
            let tilt = foil.tilt_mrad + foil.bend_mrad * (1.0 - 2.0 * place * place);
            let tilt = along.map(|v| v * tilt);
            let shift = response.of_domain(amplitude).shift_pm(tilt);
            [0, 1].map(|c| shift[c] + cells.noise_pm * noise[c])
        })
        .collect()
}

/// The shape of one component's distribution.
#[must_use]
pub fn shape(values: &[f64]) -> Shape {
    let n = values.len().max(1) as f64;
    let mean_pm = values.iter().sum::<f64>() / n;
    let moment = |k: i32| values.iter().map(|v| (v - mean_pm).powi(k)).sum::<f64>() / n;
    let sd_pm = moment(2).sqrt();
    Shape { mean_pm, sd_pm, skewness: moment(3) / sd_pm.powi(3), positive: values.iter().filter(|v| **v > 0.0).count() as f64 / n }
}

#[cfg(test)]
mod tests {
    use super::super::cubic::Cubic;
    use super::super::reading::COMPONENTS;
    use super::*;

    #[test]
    fn a_bend_shifts_the_curve_and_puts_no_kink_at_zero_tilt() {
        let mut components = [Cubic::default(); COMPONENTS];
        components[0] = Cubic([20.0, -0.8, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0]);
        let response = Response { components };
        let cells = Cells { ensemble: Ensemble::Domains, count: 4000, noise_pm: 1.0, seed: 1 };
        let mean = |tilt_mrad| {
            shape(
                &shifts_pm(&response, &cells, &Foil { along: [2.0, 0.0], tilt_mrad, bend_mrad: 6.0 })
                    .iter()
                    .map(|s| s[0])
                    .collect::<Vec<_>>(),
            )
            .mean_pm
        };
        // Linear in the tilt, and by the mean of the parabola (a third of the bend) from that of a flat foil at every tilt.
        let [below, at, above] = [-0.1, 0.0, 0.1].map(mean);
        assert!((above - 2.0 * at + below).abs() < 1e-9 && (above - at + 0.08).abs() < 1e-9, "{below} {at} {above}");
        assert!((at + 0.8 * 2.0).abs() < 0.6, "{at}");
    }

    #[test]
    fn the_shape_of_a_lopsided_sample_is_the_textbooks() {
        // An exponential distribution has skewness 2; its quantiles at even steps come close.
        let n = 200_000;
        let values: Vec<f64> = (0..n).map(|i| -((f64::from(i) + 0.5) / f64::from(n)).ln()).collect();
        let found = shape(&values);
        assert!((found.mean_pm - 1.0).abs() < 1e-3 && (found.sd_pm - 1.0).abs() < 1e-2 && (found.skewness - 2.0).abs() < 0.05, "{found:?}");
        assert_eq!(found.positive, 1.0);
    }
}
