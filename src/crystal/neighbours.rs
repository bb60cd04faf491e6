//! Who is near: periodic neighbour search in boxes, so that large cells cost no more per atom than small ones; Å.

use super::lattice::{Matrix, Vector, norm, plane_distances, row_times, sub, wrap};

/// A neighbour found.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Neighbour {
    /// Index of the point.
    pub(crate) index: usize,
    /// From the place asked about to the point, Cartesian, Å.
    pub(crate) vector: Vector,
    /// Its length, Å.
    pub(crate) distance: f64,
}

/// Points of a periodic cell sorted into boxes.
#[derive(Debug)]
pub(crate) struct Neighbours {
    lattice: Matrix,
    plane_distances: Vector,
    boxes_along: [usize; 3],
    boxes: Vec<Vec<usize>>,
    fractional: Vec<Vector>,
}

impl Neighbours {
    /// Sorts points, given by fractional coordinates, into boxes at least about 3 Å wide.
    pub(crate) fn new(lattice: &Matrix, points: impl IntoIterator<Item = Vector>) -> Self {
        let plane_distances = plane_distances(lattice);
        let boxes_along = plane_distances.map(|d| ((d / 3.0) as usize).clamp(1, 40));
        let fractional: Vec<Vector> = points.into_iter().map(|f| f.map(wrap)).collect();
        let mut boxes = vec![Vec::new(); boxes_along.iter().product()];
        for (index, f) in fractional.iter().enumerate() {
            let [i, j, k] = [0, 1, 2].map(|axis| ((f[axis] * boxes_along[axis] as f64) as usize).min(boxes_along[axis] - 1));
            boxes[(i * boxes_along[1] + j) * boxes_along[2] + k].push(index);
        }
        Self { lattice: *lattice, plane_distances, boxes_along, boxes, fractional }
    }

    /// All points within `radius` Å of a fractional position, nearest first; a point at the position itself is among them.
    pub(crate) fn within(&self, position: Vector, radius: f64) -> Vec<Neighbour> {
        let position = position.map(wrap);
        let range = [0, 1, 2].map(|axis| {
            let reach = radius / self.plane_distances[axis];
            let boxes = self.boxes_along[axis] as f64;
            ((position[axis] - reach) * boxes).floor() as i64..=((position[axis] + reach) * boxes).floor() as i64
        });
        let mut found = Vec::new();
        for i in range[0].clone() {
            for j in range[1].clone() {
                for k in range[2].clone() {
                    self.search_box([i, j, k], position, radius, &mut found);
                }
            }
        }
        found.sort_by(|a, b| a.distance.total_cmp(&b.distance).then(a.index.cmp(&b.index)));
        found
    }

    /// Looks into one box, which may lie in another repeat of the cell.
    fn search_box(&self, place: [i64; 3], position: Vector, radius: f64, found: &mut Vec<Neighbour>) {
        let along = self.boxes_along.map(|n| n as i64);
        let [i, j, k] = [0, 1, 2].map(|axis| place[axis].rem_euclid(along[axis]) as usize);
        let repeat = [0, 1, 2].map(|axis| place[axis].div_euclid(along[axis]) as f64);
        for &index in &self.boxes[(i * self.boxes_along[1] + j) * self.boxes_along[2] + k] {
            let offset = sub(self.fractional[index], sub(position, repeat));
            let vector = row_times(offset, &self.lattice);
            let distance = norm(vector);
            if distance <= radius {
                found.push(Neighbour { index, vector, distance });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_simple_cubic_lattice_has_six_twelve_and_eight_neighbours() {
        for repeat in [1_u8, 5] {
            let edge = 3.9 * f64::from(repeat);
            let lattice = [[edge, 0.0, 0.0], [0.0, edge, 0.0], [0.0, 0.0, edge]];
            let n = usize::from(repeat);
            let points = (0..n * n * n).map(|p| [p / n / n, p / n % n, p % n].map(|i| i as f64 / n as f64));
            let neighbours = Neighbours::new(&lattice, points);
            for (radius, count) in [(0.1, 1), (3.95, 7), (5.6, 19), (6.8, 27)] {
                assert_eq!(neighbours.within([0.0; 3], radius).len(), count, "radius {radius}, {repeat} cells");
            }
        }
    }
}
