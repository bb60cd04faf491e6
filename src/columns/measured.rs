//! Every column of a lattice measured by one estimator, in windows that fit between its neighbours; pixels.

use super::background::{Prepared, median};
use super::lattice::Zone;
use super::{ColumnFit, ColumnLattice, ColumnStatus, Estimator, FitFailure, LatticeColumn, PixelWindow, Pixels, Widths, measure_pixels};
use crate::crystal::Site;
use rayon::prelude::*;

impl ColumnLattice {
    /// Radius of a window that holds one column and little of its neighbours, px: 0.35 a along ⟨100⟩ (A and B stand 0.71 a apart), 0.25 a
    /// along ⟨110⟩ (0.5 a apart); at least 1.5 px.
    #[must_use]
    pub fn window_radius_px(&self) -> f64 {
        let fraction = match self.zone {
            Zone::Z100 => 0.35,
            Zone::Z110 => 0.25,
        };
        (fraction * self.lattice_a_px()).max(1.5)
    }
}

/// The lattice with every column measured; columns that could not be keep their place as [`ColumnStatus::Failed`]. Returns also why, as
/// (position in [`ColumnLattice::columns`], reason).
///
/// Gaussians are fitted as is the practice with atomap: first to the image, then the darker sublattice again with the brighter one's
/// Gaussians taken away, then the brighter with the darker's taken away, so that neither pulls on the other by its tails.
#[must_use]
pub fn measure_columns(
    pixels: &Pixels<'_>,
    lattice: &ColumnLattice,
    window: &PixelWindow,
    estimator: Estimator,
) -> (ColumnLattice, Vec<(usize, FitFailure)>) {
    let twice = matches!(estimator, Estimator::Gaussian | Estimator::RoundGaussian);
    let first = PixelWindow { empirical: window.empirical && !twice, ..*window };
    let mut fits: Vec<Fit> = lattice.columns.par_iter().map(|c| measure_pixels(pixels, c.position_px, &first, estimator)).collect();
    if twice {
        let dark = darker_site(lattice, &fits);
        for remeasured in [dark, if dark == Site::A { Site::B } else { Site::A }] {
            let others = without_site(pixels, lattice, &fits, remeasured);
            let rest = pixels.with_values(&others);
            fits.par_iter_mut().zip(&lattice.columns).filter(|(_, c)| c.site == remeasured).for_each(|(fit, column)| {
                *fit = measure_pixels(&rest, column.position_px, window, estimator);
            });
        }
    }
    let mut measured = lattice.clone();
    let mut failures = Vec::new();
    for (n, (column, fit)) in measured.columns.iter_mut().zip(fits).enumerate() {
        match fit {
            Ok(fit) => *column = column_from(*column, &fit),
            Err(why) => {
                column.status = ColumnStatus::Failed;
                failures.push((n, why));
            }
        }
    }
    (measured, failures)
}

type Fit = Result<ColumnFit, FitFailure>;

fn darker_site(lattice: &ColumnLattice, fits: &[Fit]) -> Site {
    let found = |site: Site| median(lattice.sublattice(site).map(|c| c.intensity).filter(|v| v.is_finite()).collect());
    let fitted = |site: Site| {
        let of_site = lattice.columns.iter().zip(fits).filter(move |(c, _)| c.site == site);
        median(of_site.filter_map(|(_, fit)| fit.as_ref().ok()).map(|fit| fit.amplitude).collect())
    };
    // What was found counts: a faint sublattice may have no believable fit yet.
    let [a, b] = [Site::A, Site::B].map(|site| found(site).or_else(|| fitted(site)).unwrap_or(0.0));
    if a < b { Site::A } else { Site::B }
}

/// The image less the Gaussians of all columns but those of `kept`. Columns whose fit failed, as at edges, are taken away as their
/// sublattice's median Gaussian.
fn without_site(pixels: &Pixels<'_>, lattice: &ColumnLattice, fits: &[Fit], kept: Site) -> Vec<f32> {
    let typical = |f: &dyn Fn(&ColumnFit) -> Option<f64>| {
        let others = lattice.columns.iter().zip(fits).filter(|(c, _)| c.site != kept);
        median(others.filter_map(|(_, fit)| f(fit.as_ref().ok()?)).filter(|v| v.is_finite()).collect())
    };
    let middle = typical(&|f| Some(f.amplitude)).zip(typical(&|f| f.widths.map(|w| (w.sigma_major * w.sigma_minor).sqrt())));
    let reach = 1.2 * lattice.lattice_a_px();
    let mut rest = pixels.values.to_vec();
    for (column, fit) in lattice.columns.iter().zip(fits).filter(|(c, _)| c.site != kept) {
        let own = fit.as_ref().ok().and_then(|fit| Some((fit.position, fit.amplitude, fit.widths?)));
        let round = |sigma: f64| Widths { sigma_major: sigma, sigma_minor: sigma, angle_mrad: 0.0 };
        let gaussian = own.or_else(|| middle.map(|(amplitude, sigma)| (column.position_px, amplitude, round(sigma))));
        if let Some((position, amplitude, widths)) = gaussian {
            subtract(&mut rest, [pixels.width, pixels.height], position, amplitude, &widths, reach);
        }
    }
    rest
}

fn subtract(values: &mut [f32], size: [usize; 2], position: [f64; 2], amplitude: f64, widths: &Widths, reach: f64) {
    let span = |k: usize| {
        let end = |v: f64| v.clamp(0.0, size[k] as f64) as usize;
        end((position[k] - reach).ceil())..end((position[k] + reach).floor() + 1.0)
    };
    let (sin, cos) = (1e-3 * widths.angle_mrad).sin_cos();
    for y in span(1) {
        for x in span(0) {
            let [dx, dy] = [x as f64 - position[0], y as f64 - position[1]];
            let along = (dx * cos + dy * sin) / widths.sigma_major;
            let across = (dy * cos - dx * sin) / widths.sigma_minor;
            values[y * size[0] + x] -= (amplitude * (-0.5 * (along * along + across * across)).exp()) as f32;
        }
    }
}

/// A column moved to where a fit found it. The covariance is the one that allows for correlated residuals, where there is one.
fn column_from(column: LatticeColumn, fit: &ColumnFit) -> LatticeColumn {
    LatticeColumn {
        position_px: fit.position,
        covariance_px2: fit.empirical_covariance.or(fit.covariance).unwrap_or([f64::NAN; 3]),
        intensity: fit.amplitude,
        status: ColumnStatus::Measured,
        ..column
    }
}

/// True for pixels no estimator should use: those that are not finite, and dead or wild scan rows. Empty if the image is unusable.
#[must_use]
pub fn absent_pixels(image: &[f32], width: usize, height: usize) -> Vec<bool> {
    Prepared::new(image, width, height).map(|p| p.valid.iter().map(|ok| !ok).collect()).unwrap_or_default()
}
