//! Cells of a periodic slab, for simulated images: which A columns stand around each B column, across the cell's edges; Å, image axes.

use super::PolarizationError;
use super::shift::shift_from_mean;
use crate::columns::Zone;
use crate::crystal::Site;
use crate::specimen::Slab;

/// A B column of a periodic cell and the A columns around it.
#[derive(Debug, Clone, PartialEq)]
pub struct PeriodicCell {
    /// Index of the B column in [`Slab::columns`].
    pub b: usize,
    /// Its A columns: index in [`Slab::columns`], and by how many in-plane cells along each vector it is moved to stand beside B.
    /// Four along ⟨100⟩, two along ⟨110⟩.
    pub a: Vec<(usize, [i32; 2])>,
}

impl PeriodicCell {
    /// B minus the mean of its A columns, in the unit of the positions. `positions[n]` is where column n of the slab was measured, in
    /// the period nearest to its true place; `in_plane` holds the repeat vectors in the same unit.
    #[must_use]
    pub fn shift(&self, positions: &[[f64; 2]], in_plane: [[f64; 2]; 2]) -> [f64; 2] {
        shift_from_mean(positions[self.b], &self.a_positions(positions, in_plane))
    }

    /// Positions of its A columns beside B.
    #[must_use]
    pub fn a_positions(&self, positions: &[[f64; 2]], in_plane: [[f64; 2]; 2]) -> Vec<[f64; 2]> {
        self.a.iter().map(|(n, cells)| moved(positions[*n], *cells, in_plane)).collect()
    }
}

fn moved(p: [f64; 2], cells: [i32; 2], in_plane: [[f64; 2]; 2]) -> [f64; 2] {
    [0, 1].map(|x| p[x] + f64::from(cells[0]) * in_plane[0][x] + f64::from(cells[1]) * in_plane[1][x])
}

/// The perovskite cells of a slab's in-plane cell, one a B column, in the order of its columns.
///
/// # Errors
/// [`PolarizationError::NotACell`] if a B column does not stand among as many equally near A columns as the zone gives it.
pub fn periodic_cells(slab: &Slab, zone: Zone) -> Result<Vec<PeriodicCell>, PolarizationError> {
    let sites = |site: Site| slab.columns.iter().enumerate().filter(move |(_, c)| c.site == site);
    let refusal = || PolarizationError::NotACell { a: sites(Site::A).count(), b: sites(Site::B).count(), zone };
    let wanted = match zone {
        Zone::Z100 => 4,
        Zone::Z110 => 2,
    };
    let around = |b: [f64; 2]| {
        let mut near: Vec<(f64, usize, [i32; 2])> = sites(Site::A)
            .flat_map(|(n, a)| {
                let reach = |axis: usize| {
                    // Two periods each way of the nearest image: enough for any cell that is not a needle.
                    let nearest = nearest_period(b, a.position_angstrom, slab.in_plane_angstrom)[axis];
                    nearest - 2..=nearest + 2
                };
                let rows = reach(1);
                reach(0).flat_map(move |i| rows.clone().map(move |j| [i, j])).map(move |cells| {
                    let p = moved(a.position_angstrom, cells, slab.in_plane_angstrom);
                    ((p[0] - b[0]).hypot(p[1] - b[1]), n, cells)
                })
            })
            .collect();
        near.sort_by(|p, q| p.0.total_cmp(&q.0).then(p.1.cmp(&q.1)).then(p.2.cmp(&q.2)));
        near
    };
    let cells: Option<Vec<PeriodicCell>> = sites(Site::B)
        .map(|(b, column)| {
            let near = around(column.position_angstrom);
            // The next A column stands 2.2 (1.7) times as far; polarization changes that by less than a third.
            let complete = near.len() > wanted && near[wanted].0 > 1.15 * near[wanted - 1].0 && near[wanted - 1].0 < 1.6 * near[0].0;
            complete.then(|| PeriodicCell { b, a: near[..wanted].iter().map(|(_, n, cells)| (*n, *cells)).collect() })
        })
        .collect();
    cells.filter(|c| !c.is_empty()).ok_or_else(refusal)
}

/// Whole in-plane cells from `p` to the image of it nearest to `b`, roughly.
fn nearest_period(b: [f64; 2], p: [f64; 2], [u, v]: [[f64; 2]; 2]) -> [i32; 2] {
    let d = [b[0] - p[0], b[1] - p[1]];
    let det = u[0] * v[1] - u[1] * v[0];
    [((d[0] * v[1] - d[1] * v[0]) / det).round() as i32, ((u[0] * d[1] - u[1] * d[0]) / det).round() as i32]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::specimen::Column;

    fn slab(in_plane: [[f64; 2]; 2], columns: &[(Site, [f64; 2])]) -> Slab {
        let columns = columns.iter().map(|(site, p)| Column { site: *site, position_angstrom: *p }).collect();
        Slab { in_plane_angstrom: in_plane, period_angstrom: 3.96, atoms: Vec::new(), columns }
    }

    #[test]
    fn one_cell_along_100_finds_its_one_a_column_four_times() {
        let in_plane = [[3.96, 0.04], [0.04, 3.96]];
        let slab = slab(in_plane, &[(Site::A, [0.3, 3.8]), (Site::B, [2.1 + 0.24, 1.9 - 0.1])]);
        let cells = periodic_cells(&slab, Zone::Z100).unwrap();
        assert_eq!(cells[0].a.len(), 4);
        assert!(cells[0].a.iter().all(|(n, _)| *n == 0));
        let positions: Vec<[f64; 2]> = slab.columns.iter().map(|c| c.position_angstrom).collect();
        // The middle of the four images of A nearest to B is A + (a1 - a2) / 2.
        let middle = [0.3 + 0.5 * (3.96 - 0.04), 3.8 + 0.5 * (0.04 - 3.96)];
        let shift = cells[0].shift(&positions, in_plane);
        assert!((shift[0] - (2.34 - middle[0])).abs() < 1e-12 && (shift[1] - (1.8 - middle[1])).abs() < 1e-12, "{shift:?}");
    }

    #[test]
    fn along_110_b_lies_between_two() {
        let in_plane = [[2.8, 0.0], [0.0, 3.96]];
        let cells = periodic_cells(&slab(in_plane, &[(Site::A, [0.0, 0.0]), (Site::B, [0.2, 1.98])]), Zone::Z110).unwrap();
        assert_eq!(cells[0].a.iter().map(|a| a.1).collect::<Vec<_>>(), [[0, 0], [0, 1]]);
    }

    #[test]
    fn a_slab_without_its_a_columns_is_refused_in_words() {
        let error = periodic_cells(&slab([[4.0, 0.0], [0.0, 4.0]], &[(Site::B, [2.0, 2.0])]), Zone::Z100).unwrap_err();
        assert!(error.to_string().contains("0 A and 1 B"));
    }
}
