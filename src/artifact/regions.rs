//! The map cut into regions of like polarization: modes of the distribution of the vectors, then connected parts; pm, image axes.

use crate::polarization::PolarizationMap;
use std::collections::BTreeMap;

/// Cells of like polarization that hang together.
#[derive(Debug, Clone, PartialEq)]
pub struct Region {
    /// Indices into the map's cells, ascending: scan order.
    pub cells: Vec<usize>,
    /// Mean shift, pm.
    pub mean_pm: [f64; 2],
    /// Covariance [xx, xy, yy] of the mean, pm²: from the scatter of blocks of cells, whose errors and texture may be shared.
    pub covariance_pm2: [f64; 3],
    /// Middle, px.
    pub centre_px: [f64; 2],
}

/// Fewest cells of a region.
pub const FEWEST_CELLS: usize = 9;

/// The regions, largest first, and for each cell of the map its region. Cells in parts smaller than [`FEWEST_CELLS`], as in walls, have none.
///
/// Vectors are smoothed by the median over the cells around, which keeps walls; a mode of their distribution is where a mean shift (Cheng,
/// IEEE Trans. Pattern Anal. 17 (1995) 790) with a Gaussian kernel comes to rest. The kernel is twice the noise of a smoothed vector and at
/// least 4 pm: domains less than about 8 pm apart are one region.
#[must_use]
pub fn regions(map: &PolarizationMap, leave_out: &[bool]) -> (Vec<Region>, Vec<Option<usize>>) {
    let shifts: Vec<[f64; 2]> = map.cells.iter().map(|c| map.shift_pm(c).unwrap_or([f64::NAN; 2])).collect();
    let by_index: BTreeMap<[i32; 2], usize> = map.cells.iter().enumerate().map(|(n, c)| (c.index, n)).collect();
    let used = |n: usize| !leave_out.get(n).copied().unwrap_or(false) && shifts[n].iter().all(|v| v.is_finite());
    let smooth = smoothed(map, &shifts, &by_index, &used);
    let noise = map.pixel_size_pm.map_or(0.0, |pm| pm * map.scatter_px.iter().copied().filter(|s| s.is_finite()).fold(0.0, f64::max));
    // A median of nine has 0.41 of the noise of one.
    let kernel_pm = (2.0 * 0.41 * noise).max(4.0);
    let label = modes(&smooth, kernel_pm);
    let mut parts = connected(map, &by_index, &label);
    parts.retain(|part| part.len() >= FEWEST_CELLS);
    parts.sort_by(|a, b| b.len().cmp(&a.len()).then(a[0].cmp(&b[0])));
    let mut of_cell = vec![None; map.cells.len()];
    for (number, part) in parts.iter().enumerate() {
        for &n in part {
            of_cell[n] = Some(number);
        }
    }
    (parts.into_iter().map(|cells| region(map, &shifts, cells)).collect(), of_cell)
}

/// A region of given cells.
#[must_use]
pub fn region(map: &PolarizationMap, shifts_pm: &[[f64; 2]], cells: Vec<usize>) -> Region {
    let n = cells.len().max(1) as f64;
    let mean = |f: &dyn Fn(usize) -> f64| cells.iter().map(|&c| f(c)).sum::<f64>() / n;
    let mean_pm = [0, 1].map(|k| mean(&|c| shifts_pm[c][k]));
    let centre_px = [0, 1].map(|k| mean(&|c| map.cells[c].centre_px[k]));
    let covariance_pm2 = covariance_of_mean(map, shifts_pm, &cells, mean_pm);
    Region { cells, mean_pm, covariance_pm2, centre_px }
}

/// Side of the blocks whose scatter tells the error of a mean, cells.
const BLOCK: i32 = 4;

/// The largest of three: from single cells as if they erred alone, from blocks of 4 × 4 cells, whose texture may be shared, and from rows of the
/// image, which share the jitter of the scan.
fn covariance_of_mean(map: &PolarizationMap, shifts: &[[f64; 2]], cells: &[usize], mean: [f64; 2]) -> [f64; 3] {
    let block = |c: usize| map.cells[c].index.map(|i| i.div_euclid(BLOCK));
    let row = |c: usize| [(map.cells[c].centre_px[1] / map.lattice_a_px).floor() as i32, 0];
    let alone = clustered(shifts, cells, mean, &|c| map.cells[c].index, 2).unwrap_or([f64::NAN; 3]);
    let together = [clustered(shifts, cells, mean, &block, 4), clustered(shifts, cells, mean, &row, 3)];
    let size = |c: &[f64; 3]| c[0] + c[2];
    together.into_iter().flatten().fold(alone, |most, c| if size(&c) > size(&most) { c } else { most })
}

/// Covariance of the mean of cells that err together within clusters and alone between them (Liang and Zeger, Biometrika 73 (1986) 13); `None`
/// with fewer clusters than asked.
fn clustered(shifts: &[[f64; 2]], cells: &[usize], mean: [f64; 2], key: &dyn Fn(usize) -> [i32; 2], fewest: usize) -> Option<[f64; 3]> {
    let mut sums: BTreeMap<[i32; 2], [f64; 2]> = BTreeMap::new();
    for &c in cells {
        let sum = sums.entry(key(c)).or_default();
        *sum = [0, 1].map(|k| sum[k] + shifts[c][k] - mean[k]);
    }
    let (n, m) = (cells.len() as f64, sums.len() as f64);
    let mut out = [0.0; 3];
    for d in sums.values() {
        out.iter_mut().zip([d[0] * d[0], d[0] * d[1], d[1] * d[1]]).for_each(|(s, v)| *s += v / (n * n) * m / (m - 1.0));
    }
    let few = student(m - 1.0).powi(2);
    let out = out.map(|v| v * few);
    (sums.len() >= fewest).then_some(out)
}

/// By how much a 95 % interval from a variance of few degrees of freedom is wider than from a known one: Student's quantile over the normal one,
/// to 2 % from two degrees on.
pub(super) fn student(freedom: f64) -> f64 {
    let f = freedom.max(2.0);
    1.0 + (2.37 / f + 2.82 / (f * f) + 3.6 / (f * f * f)) / 1.96
}

/// Component-wise median over the 3 × 3 cells around each used cell; `None` for the others.
fn smoothed(
    map: &PolarizationMap,
    shifts: &[[f64; 2]],
    by_index: &BTreeMap<[i32; 2], usize>,
    used: &dyn Fn(usize) -> bool,
) -> Vec<Option<[f64; 2]>> {
    let one = |n: usize| {
        let [i, j] = map.cells[n].index;
        let near = (-1..=1).flat_map(|dj| (-1..=1).map(move |di| [i + di, j + dj]));
        let around: Vec<usize> = near.filter_map(|index| by_index.get(&index).copied()).filter(|&m| used(m)).collect();
        [0, 1].map(|c| crate::columns::median(around.iter().map(|&m| shifts[m][c]).collect()).unwrap_or(f64::NAN))
    };
    (0..map.cells.len()).map(|n| used(n).then(|| one(n))).collect()
}

/// The mode each vector belongs to.
fn modes(vectors: &[Option<[f64; 2]>], kernel: f64) -> Vec<Option<usize>> {
    // Vectors are counted in bins a quarter of the kernel wide, so that the cost does not grow with the map.
    let bin = 0.25 * kernel;
    let key = |v: [f64; 2]| v.map(|x| (x / bin).round() as i32);
    let mut bins: BTreeMap<[i32; 2], f64> = BTreeMap::new();
    vectors.iter().flatten().filter(|v| v.iter().all(|x| x.is_finite())).for_each(|v| *bins.entry(key(*v)).or_default() += 1.0);
    let centres: Vec<([f64; 2], f64)> = bins.iter().map(|(k, n)| (k.map(|i| f64::from(i) * bin), *n)).collect();
    let climb = |mut at: [f64; 2]| {
        for _ in 0..200 {
            let (mut weight, mut sum) = (0.0, [0.0; 2]);
            for (c, n) in &centres {
                let d2 = (c[0] - at[0]).powi(2) + (c[1] - at[1]).powi(2);
                let w = n * (-0.5 * d2 / (kernel * kernel)).exp();
                weight += w;
                sum = [sum[0] + w * c[0], sum[1] + w * c[1]];
            }
            let next = sum.map(|s| s / weight);
            let moved = (next[0] - at[0]).hypot(next[1] - at[1]);
            at = next;
            if moved < 1e-4 * kernel {
                break;
            }
        }
        at
    };
    let mut tops: Vec<[f64; 2]> = Vec::new();
    let mut mode_of: BTreeMap<[i32; 2], usize> = BTreeMap::new();
    for k in bins.keys() {
        let top = climb(k.map(|i| f64::from(i) * bin));
        let known = tops.iter().position(|t| (t[0] - top[0]).hypot(t[1] - top[1]) < kernel);
        mode_of.insert(*k, known.unwrap_or(tops.len()));
        if known.is_none() {
            tops.push(top);
        }
    }
    vectors.iter().map(|v| v.and_then(|v| mode_of.get(&key(v)).copied())).collect()
}

/// Parts of one mode that hang together along the lattice vectors.
fn connected(map: &PolarizationMap, by_index: &BTreeMap<[i32; 2], usize>, label: &[Option<usize>]) -> Vec<Vec<usize>> {
    let mut seen = vec![false; label.len()];
    let mut parts = Vec::new();
    for start in 0..label.len() {
        if seen[start] || label[start].is_none() {
            continue;
        }
        seen[start] = true;
        let (mut part, mut next) = (vec![start], 0);
        while let Some(&n) = part.get(next) {
            next += 1;
            let [i, j] = map.cells[n].index;
            for index in [[i + 1, j], [i - 1, j], [i, j + 1], [i, j - 1]] {
                if let Some(&m) = by_index.get(&index).filter(|&&m| !seen[m] && label[m] == label[n]) {
                    seen[m] = true;
                    part.push(m);
                }
            }
        }
        part.sort_unstable();
        parts.push(part);
    }
    parts
}

#[cfg(test)]
pub(in crate::artifact) mod tests {
    use super::*;
    use crate::columns::Zone;
    use crate::numerics::seeds::Streams;
    use crate::polarization::{Calibration, Cell};
    use rand_distr::{Distribution, StandardNormal};

    /// A map of `side` × `side` cells, 20 px and 400 pm wide, with a shift (pm) and noise.
    pub(in crate::artifact) fn map(side: i32, noise_pm: f64, shift_pm: impl Fn(i32, i32) -> [f64; 2]) -> PolarizationMap {
        let mut random = Streams::new("mistilt 2026 tests of regions", 1).stream(0);
        let mut normal = || {
            let z: f64 = StandardNormal.sample(&mut random);
            z
        };
        let cells = (0..side * side)
            .map(|n| {
                let [i, j] = [n % side, n / side];
                let p = shift_pm(i, j).map(|v| (v + noise_pm * normal()) / 20.0);
                Cell {
                    index: [i, j],
                    centre_px: [20.0 * (f64::from(i) + 0.5), 20.0 * (f64::from(j) + 0.5)],
                    shift_px: p,
                    covariance_px2: [(noise_pm / 20.0).powi(2), 0.0, (noise_pm / 20.0).powi(2)],
                    scatter_px: [noise_pm / 20.0; 2],
                    unresolved: false,
                    a_px: 20.0,
                    b_px: 20.0,
                    angle_deg: 90.0,
                    a_intensity: 1.0,
                    b_intensity: 0.4,
                }
            })
            .collect();
        PolarizationMap {
            zone: Zone::Z100,
            cells,
            rejected: std::collections::BTreeMap::new(),
            lattice_a_px: 20.0,
            pixel_size_pm: Some(20.0),
            calibration: Calibration::PixelSize,
            scatter_px: [noise_pm / 20.0; 2],
        }
    }

    #[test]
    fn three_domains_and_their_walls_come_apart_under_noise() {
        let map = map(24, 6.0, |i, j| match (i < 12, j < 12) {
            (true, _) => [24.0, 24.0],
            (false, true) => [24.0, -24.0],
            (false, false) => [0.0, 0.0],
        });
        let (regions, of_cell) = regions(&map, &[]);
        assert_eq!(regions.len(), 3, "{:?}", regions.iter().map(|r| (r.cells.len(), r.mean_pm)).collect::<Vec<_>>());
        let wrong = of_cell.iter().filter(|r| r.is_none()).count();
        assert!(wrong < 20, "{wrong} cells without a region");
        for (region, truth) in regions.iter().zip([[24.0, 24.0], [24.0, -24.0], [0.0, 0.0]]) {
            let [x, _, y] = region.covariance_pm2.map(f64::sqrt);
            // The borders take the odd cell from a neighbour.
            assert!((region.mean_pm[0] - truth[0]).abs() < 4.0 * x + 1.0 && (region.mean_pm[1] - truth[1]).abs() < 4.0 * y + 1.0);
        }
    }

    #[test]
    fn students_quantiles_are_the_tables() {
        for (freedom, quantile) in [(2.0, 4.303), (4.0, 2.776), (10.0, 2.228), (30.0, 2.042)] {
            assert!((1.96 * student(freedom) / quantile - 1.0).abs() < 0.02, "{freedom}");
        }
    }

    #[test]
    fn one_domain_is_one_region_and_its_error_is_that_of_its_noise() {
        let map = map(20, 5.0, |_, _| [10.0, 0.0]);
        let (regions, _) = regions(&map, &[]);
        assert_eq!((regions.len(), regions[0].cells.len()), (1, 400));
        let sigma = regions[0].covariance_pm2[0].sqrt();
        // 5 pm over 400 independent cells; 25 blocks know that to 15 %.
        assert!((sigma / 0.25 - 1.0).abs() < 0.5, "{sigma}");
        let mut left: Vec<bool> = vec![false; 400];
        left[..200].fill(true);
        assert_eq!(super::regions(&map, &left).0[0].cells.len(), 200);
    }
}
