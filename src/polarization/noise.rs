//! How much a cell's displacement scatters, judged from its neighbours alone: the empirical uncertainty beside the fitted one; px.

use crate::columns::median;
use std::collections::BTreeMap;

/// Standard deviation (x, y) of each displacement from the scatter around it, or NaN where fewer than 12 cells lie within ±2.
///
/// Each cell is compared with the cells two steps away on opposite sides, which share no column with it or with each other:
/// d = (P₋ + P₊)/2 − P has variance 3/2 of one cell's, and a gradient of P cancels. The scale of d is 1.4826 times its median
/// magnitude over the cells within ±2, so a wall or a bad fit among them hardly counts.
pub(crate) fn local_noise(cells: &[([i32; 2], [f64; 2])]) -> Vec<[f64; 2]> {
    let by_index: BTreeMap<[i32; 2], usize> = cells.iter().enumerate().map(|(n, c)| (c.0, n)).collect();
    let second_differences: Vec<Vec<[f64; 2]>> = cells.iter().map(|(index, p)| differences(*index, *p, cells, &by_index)).collect();
    cells
        .iter()
        .map(|([i, j], _)| {
            let near = (-2..=2).flat_map(|dj| (-2..=2).map(move |di| [i + di, j + dj]));
            let around: Vec<[f64; 2]> =
                near.filter_map(|index| by_index.get(&index)).flat_map(|n| second_differences[*n].iter().copied()).collect();
            scale(&around)
        })
        .collect()
}

/// Standard deviation (x, y) of one cell's displacement over the whole map; NaN with fewer than 12 comparisons.
pub(crate) fn overall_noise(cells: &[([i32; 2], [f64; 2])]) -> [f64; 2] {
    let by_index: BTreeMap<[i32; 2], usize> = cells.iter().enumerate().map(|(n, c)| (c.0, n)).collect();
    let all: Vec<[f64; 2]> = cells.iter().flat_map(|(index, p)| differences(*index, *p, cells, &by_index)).collect();
    scale(&all)
}

fn differences([i, j]: [i32; 2], p: [f64; 2], cells: &[([i32; 2], [f64; 2])], by_index: &BTreeMap<[i32; 2], usize>) -> Vec<[f64; 2]> {
    let at = |index: [i32; 2]| by_index.get(&index).map(|n| cells[*n].1);
    [[2, 0], [0, 2]]
        .into_iter()
        .filter_map(|[di, dj]| {
            let [before, after] = [at([i - di, j - dj])?, at([i + di, j + dj])?];
            Some([0, 1].map(|axis| 0.5 * (before[axis] + after[axis]) - p[axis]))
        })
        .collect()
}

fn scale(differences: &[[f64; 2]]) -> [f64; 2] {
    if differences.len() < 12 {
        return [f64::NAN; 2];
    }
    [0, 1].map(|axis| 1.4826 * median(differences.iter().map(|d| d[axis].abs()).collect()).unwrap_or(f64::NAN) / 1.5_f64.sqrt())
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;
    use rand_distr::{Distribution, Normal};

    #[test]
    fn finds_the_noise_put_in_under_a_gradient_and_a_wall() {
        let mut random = rand_chacha::ChaCha8Rng::seed_from_u64(3);
        let [x_noise, y_noise] = [Normal::new(0.0, 0.2).unwrap(), Normal::new(0.0, 0.5).unwrap()];
        let cells: Vec<([i32; 2], [f64; 2])> = (0..40 * 30)
            .map(|n| {
                let [i, j] = [n % 40, n / 40];
                let wall = if i < 20 { 2.0 } else { -2.0 };
                ([i, j], [wall + x_noise.sample(&mut random), 0.1 * f64::from(j) + y_noise.sample(&mut random)])
            })
            .collect();
        let [x, y] = overall_noise(&cells);
        assert!((x / 0.2 - 1.0).abs() < 0.12 && (y / 0.5 - 1.0).abs() < 0.1, "{x} {y}");
        let local = local_noise(&cells);
        let middle = median(local.iter().map(|s| s[1]).filter(|s| s.is_finite()).collect()).unwrap();
        assert!((middle / 0.5 - 1.0).abs() < 0.15, "{middle}");
        assert!(overall_noise(&cells[..3])[0].is_nan());
    }
}
