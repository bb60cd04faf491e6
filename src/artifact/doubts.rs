//! What makes a verdict doubtful: a foil that seems bent, kinds of evidence that contradict each other, a tilt at the edge of what is allowed.

use super::bend::Bend;
use super::bound::distance_square;
use super::judge::sigma_along;
use super::posterior::{Posterior, TiltEstimate};
use super::regions::Region;
use super::response::ResponseTable;
use crate::polarization::PolarizationMap;

/// A bend that was not fitted, or cannot be.
pub(super) fn bend_warning(
    map: &PolarizationMap,
    shifts: &[[f64; 2]],
    found: &[Region],
    degree: usize,
    fitted: Option<&Bend>,
    table: &ResponseTable,
) -> Option<String> {
    if degree > 0 {
        return fitted.is_none().then(|| "The image has too few cells to fit a bent foil; it was taken as flat.".to_owned());
    }
    let bend = Bend::fit(map, shifts, &found.iter().collect::<Vec<_>>(), 1).filter(|b| b.evidence > 10.0)?;
    let rms = bend.rms_pm(found.iter().flat_map(|r| &r.cells).map(|&c| map.cells[c].centre_px));
    let [[a, _], [_, d]] = table.at(&table.middle()).slope_at([0.0; 2]);
    let slope = 0.5 * (a.abs() + d.abs());
    Some(format!(
        "Within regions the polarization changes slowly over the image, by {rms:.1} pm rms: so would a foil bent by {:.1} mrad rms. \
         --bend-degree 1 or 2 takes it for tilt; otherwise it is left in.",
        rms / slope.max(1e-3)
    ))
}

/// Kinds of evidence that contradict each other beyond chance.
pub(super) fn contradiction(posteriors: &[Posterior]) -> Vec<String> {
    let mut out = Vec::new();
    for (i, a) in posteriors.iter().enumerate() {
        for b in &posteriors[i + 1..] {
            let (a, b) = (&a.estimate, &b.estimate);
            let d = [0, 1].map(|c| a.mean_mrad[c] - b.mean_mrad[c]);
            let sum = [0, 1, 2].map(|c| a.covariance_mrad2[c] + b.covariance_mrad2[c]);
            if distance_square(d, sum) > 13.8 {
                out.push(format!(
                    "The tilts from the {} and from the {} contradict each other beyond chance: is the structure right, and is the reference \
                     region tilted as the rest is?",
                    a.method.name(),
                    b.method.name()
                ));
            }
        }
    }
    out
}

/// A tilt that leans against the allowed range is sooner one beyond it, or not what the image shows.
pub(super) fn edge_warning(estimate: &TiltEstimate, max_tilt_mrad: f64) -> Option<String> {
    let [x, y] = estimate.mean_mrad;
    let size = x.hypot(y);
    let sigma = sigma_along([x, y], estimate.covariance_mrad2);
    (sigma < 0.1 * max_tilt_mrad && size + 2.0 * sigma > max_tilt_mrad).then(|| {
        format!(
            "The image's tilt, {size:.1} mrad, leans against the {max_tilt_mrad} mrad that are allowed: allow more, or doubt the structure, the \
             thickness and the microscope that were given."
        )
    })
}
