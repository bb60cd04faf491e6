//! A bent foil: a tilt that changes slowly over the image, as a polynomial of the place, read from the change of the shift within regions.
//!
//! Within a region the crystal's polarization is taken as uniform, so what changes slowly there is tilt. Each region has its own level; the
//! polynomial is common to all. Whether there is a bend at all is judged by the Bayesian information criterion over blocks of cells, whose
//! errors may be shared inside a block (Schwarz, Ann. Stat. 6 (1978) 461).

use super::regions::Region;
use crate::polarization::PolarizationMap;
use std::collections::BTreeMap;

/// Side of a block, cells.
const BLOCK: i32 = 4;
/// Most terms: x, y, x², xy, y².
const MOST: usize = 5;

/// A slow change of the shift over the image, pm.
#[derive(Debug, Clone, PartialEq)]
pub struct Bend {
    /// 1 or 2.
    pub degree: usize,
    centre_px: [f64; 2],
    half_px: f64,
    /// Coefficients of Px and Py.
    coefficients: [Vec<f64>; 2],
    /// Mean of each term over the cells.
    means: Vec<f64>,
    /// How much better the blocks are explained than without it, in units of 2 ln(odds): above 10 is very strong.
    pub evidence: f64,
}

fn terms(degree: usize, [x, y]: [f64; 2]) -> Vec<f64> {
    if degree == 1 { vec![x, y] } else { vec![x, y, x * x, x * y, y * y] }
}

impl Bend {
    /// Fits the change; `None` where there are too few blocks for it.
    #[must_use]
    pub fn fit(map: &PolarizationMap, shifts_pm: &[[f64; 2]], regions: &[&Region], degree: usize) -> Option<Self> {
        let degree = degree.clamp(1, 2);
        let places: Vec<[f64; 2]> = regions.iter().flat_map(|r| &r.cells).map(|&c| map.cells[c].centre_px).collect();
        let range = |k: usize| places.iter().fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), p| (l.min(p[k]), h.max(p[k])));
        let [(x0, x1), (y0, y1)] = [range(0), range(1)];
        let (centre_px, half_px) = ([0.5 * (x0 + x1), 0.5 * (y0 + y1)], 0.5 * (x1 - x0).max(y1 - y0));
        if !half_px.is_finite() || half_px <= 0.0 {
            return None;
        }
        let local = |p: [f64; 2]| [0, 1].map(|k| (p[k] - centre_px[k]) / half_px);
        // Means of blocks, less the mean of their region: rows of the fit with the region's level already out.
        let mut rows: Vec<(f64, Vec<f64>, [f64; 2])> = Vec::new();
        let mut levels = 0;
        for region in regions {
            let mut blocks: BTreeMap<[i32; 2], Vec<usize>> = BTreeMap::new();
            region.cells.iter().for_each(|&c| blocks.entry(map.cells[c].index.map(|i| i.div_euclid(BLOCK))).or_default().push(c));
            let summary = |cells: &[usize]| {
                let n = cells.len() as f64;
                let mut term = vec![0.0; terms(degree, [0.0; 2]).len()];
                let mut shift = [0.0; 2];
                for &c in cells {
                    term.iter_mut().zip(terms(degree, local(map.cells[c].centre_px))).for_each(|(s, t)| *s += t / n);
                    shift = [0, 1].map(|k| shift[k] + shifts_pm[c][k] / n);
                }
                (n, term, shift)
            };
            let (_, mean_term, mean_shift) = summary(&region.cells);
            levels += 1;
            for cells in blocks.values() {
                let (n, term, shift) = summary(cells);
                let term = term.iter().zip(&mean_term).map(|(t, m)| t - m).collect();
                rows.push((n, term, [shift[0] - mean_shift[0], shift[1] - mean_shift[1]]));
            }
        }
        let count = terms(degree, [0.0; 2]).len();
        if rows.len() < levels + count + 4 {
            return None;
        }
        let coefficients = [solve(&rows, 0)?, solve(&rows, 1)?];
        let left = |k: usize, with: bool| -> f64 {
            let one = |(n, term, shift): &(f64, Vec<f64>, [f64; 2])| {
                let fit = if with { term.iter().zip(&coefficients[k]).map(|(t, c)| t * c).sum() } else { 0.0 };
                n * (shift[k] - fit).powi(2)
            };
            rows.iter().map(one).sum()
        };
        let free = (rows.len() - levels) as f64;
        let gain = |k: usize| free * (left(k, false) / left(k, true).max(f64::MIN_POSITIVE)).ln() - count as f64 * free.ln();
        let n = places.len() as f64;
        let mut means = vec![0.0; count];
        for p in &places {
            means.iter_mut().zip(terms(degree, local(*p))).for_each(|(s, t)| *s += t / n);
        }
        let evidence = gain(0).max(gain(1));
        Some(Self { degree, centre_px, half_px, coefficients, means, evidence })
    }

    /// How far the shift at a place differs from its mean over the image, pm.
    #[must_use]
    pub fn shift_pm(&self, place_px: [f64; 2]) -> [f64; 2] {
        let local = [0, 1].map(|k| (place_px[k] - self.centre_px[k]) / self.half_px);
        let terms = terms(self.degree, local);
        [0, 1].map(|k| terms.iter().zip(&self.means).zip(&self.coefficients[k]).map(|((t, m), c)| (t - m) * c).sum())
    }

    /// Root mean square of the change over given places, pm.
    #[must_use]
    pub fn rms_pm(&self, places_px: impl Iterator<Item = [f64; 2]>) -> f64 {
        let (sum, n) = places_px.map(|p| self.shift_pm(p)).fold((0.0, 0.0), |(s, n), d| (s + d[0] * d[0] + d[1] * d[1], n + 1.0));
        if n > 0.0 { f64::sqrt(sum / n) } else { 0.0 }
    }
}

/// Weighted least squares by elimination with pivots; `None` where the blocks do not determine the terms.
fn solve(rows: &[(f64, Vec<f64>, [f64; 2])], component: usize) -> Option<Vec<f64>> {
    let count = rows.first()?.1.len();
    let mut m = [[0.0; MOST + 1]; MOST];
    for (n, term, shift) in rows {
        for i in 0..count {
            (0..count).for_each(|j| m[i][j] += n * term[i] * term[j]);
            m[i][count] += n * term[i] * shift[component];
        }
    }
    let scale = (0..count).map(|i| m[i][i]).fold(0.0, f64::max);
    for column in 0..count {
        let pivot = (column..count).max_by(|&a, &b| m[a][column].abs().total_cmp(&m[b][column].abs()))?;
        if m[pivot][column].abs() < 1e-9 * scale {
            return None;
        }
        m.swap(column, pivot);
        for row in (0..count).filter(|&r| r != column) {
            let factor = m[row][column] / m[column][column];
            let pivot_row = m[column];
            m[row].iter_mut().zip(pivot_row).take(count + 1).skip(column).for_each(|(v, p)| *v -= factor * p);
        }
    }
    Some((0..count).map(|i| m[i][count] / m[i][i]).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::artifact::regions::{regions, tests::map};

    #[test]
    fn a_bend_under_two_domains_is_found_and_a_flat_foil_has_none() {
        let wall = |i: i32| if i < 16 { 24.0 } else { -24.0 };
        let bent = map(32, 4.0, |i, j| [wall(i) + 0.2 * (f64::from(j) - 15.5), -10.0]);
        let flat = map(32, 4.0, |i, _| [wall(i), -10.0]);
        for (map, expected) in [(&bent, 0.2), (&flat, 0.0)] {
            let shifts: Vec<[f64; 2]> = map.cells.iter().map(|c| map.shift_pm(c).unwrap()).collect();
            let (found, _) = regions(map, &[]);
            let all: Vec<&Region> = found.iter().collect();
            let bend = Bend::fit(map, &shifts, &all, 1).unwrap();
            let per_cell = (bend.shift_pm([320.0, 420.0])[0] - bend.shift_pm([320.0, 220.0])[0]) / 10.0;
            assert!((per_cell - expected).abs() < 0.03, "{per_cell}");
            assert_eq!(bend.evidence > 10.0, expected > 0.0, "{}", bend.evidence);
            // The change has no mean: levels belong to the regions.
            let n = map.cells.len() as f64;
            let mean: f64 = map.cells.iter().map(|c| bend.shift_pm(c.centre_px)[0]).sum::<f64>() / n;
            assert!(mean.abs() < 0.5, "{mean}");
        }
    }
}
