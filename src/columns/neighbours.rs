//! Points sorted into square cells, so that the neighbours of a position are found without looking at all points; pixels.

/// An index of points by cell: memory is linear in the number of points.
#[derive(Debug)]
pub(crate) struct PointGrid<'a> {
    points: &'a [[f64; 2]],
    cell: f64,
    origin: [f64; 2],
    count: [usize; 2],
    /// Where each cell's points start in `order`; one more entry than there are cells.
    first: Vec<u32>,
    order: Vec<u32>,
}

impl<'a> PointGrid<'a> {
    /// Indexes finite points; `cell_px` defaults to their mean spacing. `None` with fewer than two distinct points.
    pub(crate) fn new(points: &'a [[f64; 2]], cell_px: Option<f64>) -> Option<Self> {
        let (mut low, mut high) = ([f64::INFINITY; 2], [f64::NEG_INFINITY; 2]);
        for p in points.iter().filter(|p| p[0].is_finite() && p[1].is_finite()) {
            for axis in 0..2 {
                low[axis] = low[axis].min(p[axis]);
                high[axis] = high[axis].max(p[axis]);
            }
        }
        let extent = [high[0] - low[0], high[1] - low[1]];
        let widest = extent[0].max(extent[1]);
        if widest <= 0.0 || !widest.is_finite() {
            return None;
        }
        // Square roots first: products of lengths near the ends of the number range would not be numbers.
        let spacing = (extent[0].max(widest * 1e-3).sqrt() * extent[1].max(widest * 1e-3).sqrt()) / (points.len() as f64).sqrt();
        // Never more than about four cells a point, however far apart the points lie.
        let cell = cell_px.unwrap_or(spacing).max(0.5 * spacing);
        if !(cell.is_finite() && cell > 0.0) {
            return None;
        }
        let count = extent.map(|e| (e / cell) as usize + 1);
        let mut grid = Self { points, cell, origin: low, count, first: vec![0; count[0] * count[1] + 1], order: Vec::new() };
        let cells: Vec<Option<usize>> = points.iter().map(|p| grid.cell_of(*p)).collect();
        for cell in cells.iter().flatten() {
            grid.first[cell + 1] += 1;
        }
        for i in 1..grid.first.len() {
            grid.first[i] += grid.first[i - 1];
        }
        let mut next = grid.first.clone();
        grid.order = vec![0; grid.first[grid.first.len() - 1] as usize];
        for (point, cell) in cells.iter().enumerate() {
            if let Some(cell) = *cell {
                grid.order[next[cell] as usize] = point as u32;
                next[cell] += 1;
            }
        }
        Some(grid)
    }

    pub(crate) fn cell_px(&self) -> f64 {
        self.cell
    }

    fn cell_of(&self, p: [f64; 2]) -> Option<usize> {
        let [x, y] = [0, 1].map(|axis| (p[axis] - self.origin[axis]) / self.cell);
        let inside = x >= 0.0 && y >= 0.0 && x < self.count[0] as f64 && y < self.count[1] as f64;
        inside.then(|| y as usize * self.count[0] + x as usize)
    }

    /// Indices of the points within `radius_px` of `p`, in the order of the cells.
    pub(crate) fn within(&self, p: [f64; 2], radius_px: f64) -> impl Iterator<Item = usize> + '_ {
        let span = |axis: usize| {
            let at = |v: f64| ((v - self.origin[axis]) / self.cell).floor().clamp(0.0, self.count[axis] as f64 - 1.0) as usize;
            at(p[axis] - radius_px)..=at(p[axis] + radius_px)
        };
        let columns = span(0);
        span(1)
            .flat_map(move |y| columns.clone().map(move |x| y * self.count[0] + x))
            .flat_map(|cell| self.order[self.first[cell] as usize..self.first[cell + 1] as usize].iter())
            .map(|&i| i as usize)
            .filter(move |&i| (self.points[i][0] - p[0]).hypot(self.points[i][1] - p[1]) <= radius_px)
    }

    /// The nearest point within `radius_px`; the lower index of two that are equally near.
    pub(crate) fn nearest(&self, p: [f64; 2], radius_px: f64) -> Option<usize> {
        let distance = |i: usize| (self.points[i][0] - p[0]).hypot(self.points[i][1] - p[1]);
        self.within(p, radius_px).min_by(|&a, &b| distance(a).total_cmp(&distance(b)).then(a.cmp(&b)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_what_a_search_of_all_points_finds() {
        let mut state = 1_u64;
        let mut random = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (state >> 33) as f64 / f64::from(1_u32 << 31)
        };
        let points: Vec<[f64; 2]> = (0..300).map(|_| [90.0 * random(), 40.0 * random()]).collect();
        for cell in [None, Some(3.0), Some(200.0)] {
            let grid = PointGrid::new(&points, cell).unwrap();
            for p in [[10.0, 10.0], [-5.0, 41.0], [88.0, 3.0]] {
                let mut found: Vec<usize> = grid.within(p, 12.0).collect();
                found.sort_unstable();
                let all: Vec<usize> = (0..300).filter(|&i| (points[i][0] - p[0]).hypot(points[i][1] - p[1]) <= 12.0).collect();
                assert_eq!(found, all);
            }
        }
    }

    #[test]
    fn degenerate_sets_have_no_grid_and_far_outliers_cost_no_memory() {
        assert!(PointGrid::new(&[], None).is_none());
        assert!(PointGrid::new(&[[1.0, 2.0]; 9], None).is_none());
        assert!(PointGrid::new(&[[f64::NAN, 2.0], [0.0, 0.0]], None).is_none());
        let grid = PointGrid::new(&[[0.0, 0.0], [1e9, 1.0], [2.0, 2.0]], Some(1.0)).map(|g| g.first.len());
        assert!(grid.is_some_and(|cells| cells < 1000));
    }
}
