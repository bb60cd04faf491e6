//! The darker sublattice: a column looked for in the middle of every cell of bright columns, beside their tails; pixels, y down.

use super::background::{Prepared, median};
use super::find::{scanned, stepped};
use super::grow::IndexField;
use super::lattice::length;
use super::maxima::bilinear;
use super::sublattice::{ColumnLattice, LatticeColumn, Node, cells_of, dark, dark_place, empty_places, join};
use super::{FindError, FindOptions};

/// How far from the middle of its cell a column may stand, in units of the pseudocubic a: polarization reaches 0.12 a.
const REACH: f64 = 0.2;

/// The image less a Gaussian for each bright column.
struct Residual<'a> {
    values: &'a [f32],
    width: usize,
    field: &'a IndexField,
    height: f64,
    sigma_px: f64,
}

impl Residual<'_> {
    fn at(&self, p: [f64; 2], cell: [i32; 2]) -> f64 {
        let near = (-1..=2).flat_map(|dj| (-1..=2).map(move |di| [cell[0] + di, cell[1] + dj]));
        let tails = near.filter_map(|index| self.field.get(index)).map(|c| {
            let r2 = (p[0] - c[0]).powi(2) + (p[1] - c[1]).powi(2);
            self.height * (-0.5 * r2 / self.sigma_px.powi(2)).exp()
        });
        bilinear(self.values, self.width, p) - tails.sum::<f64>()
    }

    /// Highest place within `reach` of `middle`, and whether the image falls off on all sides of it.
    fn summit(&self, middle: [f64; 2], cell: [i32; 2], reach: f64) -> ([f64; 2], bool) {
        let step = (reach / 6.0).max(0.25);
        let steps = (reach / step) as i32;
        let place = |i: i32, j: i32| [middle[0] + step * f64::from(i), middle[1] + step * f64::from(j)];
        let disc = (-steps..=steps).flat_map(|j| (-steps..=steps).map(move |i| (i, j))).filter(|(i, j)| i * i + j * j <= steps * steps);
        let highest = disc.map(|(i, j)| (self.at(place(i, j), cell), i, j)).max_by(|a, b| a.0.total_cmp(&b.0));
        let Some((top, i, j)) = highest else { return (middle, false) };
        let vertex = |low: f64, high: f64| {
            let curvature = low - 2.0 * top + high;
            if curvature < 0.0 { (0.5 * (low - high) / curvature).clamp(-0.5, 0.5) * step } else { 0.0 }
        };
        let [left, right, above, below] = [(i - 1, j), (i + 1, j), (i, j - 1), (i, j + 1)].map(|(i, j)| self.at(place(i, j), cell));
        let peak = left <= top && right <= top && above <= top && below <= top;
        let p = place(i, j);
        (if peak { [p[0] + vertex(left, right), p[1] + vertex(above, below)] } else { p }, peak)
    }
}

/// Looks for the dark column of every cell in `sharp` (the image lightly smoothed, less its background).
///
/// # Errors
/// [`FindError::NoSecondSublattice`] if the middles of the cells are no brighter than the places where nothing should stand.
pub(crate) fn with_dark_columns(
    nodes: &[Node],
    field: &IndexField,
    options: &FindOptions,
    sharp: &[f32],
    image: &Prepared,
) -> Result<ColumnLattice, FindError> {
    let a_px = options.zone.lattice_a_px(field.basis);
    let (height, sigma_px) = bright_profile(nodes, field, sharp, image.width, a_px);
    let residual = Residual { values: sharp, width: image.width, field, height, sigma_px };
    let places: Vec<([i32; 2], [f64; 2])> = cells_of(nodes.iter().map(|n| n.index), options.zone, field.basis)
        .into_iter()
        .filter_map(|cell| Some((cell, dark_place(field, options.zone, cell).filter(|p| scanned(image, *p))?)))
        .collect();
    let summits: Vec<([f64; 2], bool)> = places.iter().map(|(cell, middle)| residual.summit(*middle, *cell, REACH * a_px)).collect();
    let offset = [0, 1].map(|axis| {
        let seen = summits.iter().zip(&places).filter(|(s, _)| s.1);
        median(seen.map(|(s, p)| s.0[axis] - p.1[axis]).collect()).unwrap_or(0.0)
    });
    let rise: Vec<f64> = places
        .iter()
        .filter_map(|(cell, middle)| {
            let empty = empty_places(field, options.zone, *cell);
            let level = empty.iter().map(|p| residual.at(*p, *cell)).sum::<f64>() / empty.len() as f64;
            let here = residual.at([middle[0] + offset[0], middle[1] + offset[1]], *cell);
            (!empty.is_empty()).then_some(here - level)
        })
        .collect();
    let missing = FindError::NoSecondSublattice { zone: options.zone, bright: nodes.len() };
    let typical = median(rise.clone()).ok_or_else(|| missing.clone())?;
    let spread = 1.4826 * median(rise.iter().map(|r| (r - typical).abs()).collect()).unwrap_or(0.0);
    if typical < 0.015 * height || typical < 3.0 * 1.25 * spread / (rise.len() as f64).sqrt() {
        return Err(missing);
    }
    let found: Vec<LatticeColumn> = places
        .iter()
        .zip(&summits)
        .map(|((cell, middle), (summit, seen))| {
            // A column that hides in a bright one's flank is measured from where its neighbours' stand.
            let place = if *seen { *summit } else { [middle[0] + offset[0], middle[1] + offset[1]] };
            dark(*cell, place, residual.at(place, *cell), *seen)
        })
        .collect();
    Ok(join(nodes, found, field.basis, options))
}

/// Median height of the bright columns and the width of a Gaussian that falls off as they do over a sixth of a.
fn bright_profile(nodes: &[Node], field: &IndexField, sharp: &[f32], width: usize, a_px: f64) -> (f64, f64) {
    let top = median(nodes.iter().map(|n| bilinear(sharp, width, n.peak.position_px)).collect()).unwrap_or(1.0);
    let floor =
        median(nodes.iter().flat_map(|n| empty_places(field, super::Zone::Z100, n.index)).map(|p| bilinear(sharp, width, p)).collect());
    let floor = floor.unwrap_or(0.0).min(0.5 * top);
    let fraction = 1.0 / 6.0;
    let ring = nodes.iter().flat_map(|n| {
        let p = n.peak.position_px;
        [0, 1].into_iter().flat_map(move |k| [-1.0, 1.0].map(move |s| (p, k, s)))
    });
    let at_ring = ring.map(|(p, k, s)| {
        let step = s * fraction * a_px / length(field.basis[k]);
        bilinear(sharp, width, if k == 0 { stepped(p, field.basis, step, 0.0) } else { stepped(p, field.basis, 0.0, step) })
    });
    let side = median(at_ring.collect()).unwrap_or(0.5 * top);
    let ratio = ((top - floor) / (side - floor).max(1e-6)).max(1.2);
    (top - floor, fraction * a_px / (2.0 * ratio.ln()).sqrt())
}
