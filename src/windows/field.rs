//! The polarization field that labels windows: displacements of cells at their B columns, and what it is in between; px and pm,
//! x right, y down.

use super::{WindowsError, label_csv};
use crate::columns::{ColumnLattice, PointGrid, median};
use crate::crystal::Site;
use crate::image::{Image, Truth};
use crate::polarization::PolarizationMap;
use std::collections::BTreeMap;

/// One cell that is known.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LabelPoint {
    /// Index of the cell.
    pub cell: [i32; 2],
    /// Where its B column stands in the image, px.
    pub position_px: [f64; 2],
    /// Displacement of B from the mean of its A columns, pm; NaN where only the position is known.
    pub vector_pm: [f64; 2],
}

/// Where labels come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LabelSource {
    /// The atoms that were simulated.
    Truth,
    /// Columns fitted in the image.
    Fit,
    /// A person's table.
    Table,
    /// Positions alone.
    None,
}

/// Known cells of one image.
#[derive(Debug, Clone, PartialEq)]
pub struct LabelField {
    /// The cells.
    pub points: Vec<LabelPoint>,
    /// Side of the pseudocubic cell, px, where it can be told.
    pub lattice_a_px: Option<f64>,
    /// Where the vectors come from.
    pub source: LabelSource,
}

/// How a label is made between cells: a plane fitted to the cells around by least squares, weighted by a Gaussian of their distance.
///
/// A field that is linear in the position comes out exactly; a sharper one is smoothed over the width of the Gaussian. Within a perfect
/// square lattice the default takes 62 % of the label at a B column from that cell itself.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Kernel {
    /// Standard deviation of the Gaussian, sides of the pseudocubic cell.
    pub sigma_lattices: f64,
}

impl Default for Kernel {
    fn default() -> Self {
        Self { sigma_lattices: 0.5 }
    }
}

/// Cells further than this many standard deviations from a place do not count there.
const REACH_SIGMAS: f64 = 3.0;

/// The field ends where the weighted mean of its cells lies further than this many standard deviations to one side: no label is
/// extrapolated beyond about a quarter of a cell.
const LOPSIDED_SIGMAS: f64 = 0.6;

impl LabelField {
    /// Labels from the truth that an image carries: the undistorted displacement of every cell, at the place where the image shows its
    /// B column (mean depth, moved by every stage of the imaging).
    ///
    /// # Errors
    /// [`WindowsError::NoTruth`] without a truth that has cells.
    pub fn from_truth(image: &Image) -> Result<Self, WindowsError> {
        let truth = image.truth.as_ref().filter(|t| !t.cells.is_empty()).ok_or(WindowsError::NoTruth)?;
        let shifts: BTreeMap<[i32; 2], [f64; 2]> = truth.cells.iter().map(|c| (c.index, c.shift_pm)).collect();
        let b_columns = truth.columns.iter().enumerate().filter(|(_, c)| c.site == Site::B);
        let points = b_columns.filter_map(|(n, column)| {
            let vector_pm = *shifts.get(&column.cell)?;
            Some(LabelPoint { cell: column.cell, position_px: shown_px(truth, n), vector_pm })
        });
        let points: Vec<LabelPoint> = points.collect();
        if points.is_empty() { Err(WindowsError::NoTruth) } else { Ok(Self::new(points, LabelSource::Truth)) }
    }

    /// Labels from a fitted map.
    ///
    /// # Errors
    /// [`WindowsError::Image`] where the map has no pixel size.
    pub fn from_map(map: &PolarizationMap) -> Result<Self, WindowsError> {
        let pm = map.pixel_size_pm.ok_or(crate::image::ImageError::NoPixelSize)?;
        let point = |c: &crate::polarization::Cell| LabelPoint {
            cell: c.index,
            position_px: [c.centre_px[0] + c.shift_px[0], c.centre_px[1] + c.shift_px[1]],
            vector_pm: c.shift_px.map(|v| v * pm),
        };
        let points = map.cells.iter().map(point).collect();
        Ok(Self { points, lattice_a_px: Some(map.lattice_a_px), source: LabelSource::Fit })
    }

    /// Labels from a table with a header: `x_px`, `y_px` (the B column), `px_pm`, `py_pm`, and `cell_a`, `cell_b` if the cells are counted;
    /// or the `cells.csv` of `mistilt polarization`, which is understood by its own names.
    ///
    /// # Errors
    /// [`WindowsError::Csv`] names the first line that is wrong.
    pub fn from_csv(table: impl std::io::Read) -> Result<Self, WindowsError> {
        Ok(Self::new(label_csv::read(table)?, LabelSource::Table))
    }

    /// The B columns of a lattice, unlabelled: where to look in an image whose polarization is to be predicted.
    #[must_use]
    pub fn positions(lattice: &ColumnLattice) -> Self {
        let b_columns = lattice.sublattice(Site::B);
        let points = b_columns.map(|c| LabelPoint { cell: c.index, position_px: c.position_px, vector_pm: [f64::NAN; 2] }).collect();
        Self { points, lattice_a_px: Some(lattice.lattice_a_px()), source: LabelSource::None }
    }

    /// A field of given cells; the side of the cell is the median distance of a cell to its nearest.
    #[must_use]
    pub fn new(points: Vec<LabelPoint>, source: LabelSource) -> Self {
        let places: Vec<[f64; 2]> = points.iter().map(|p| p.position_px).collect();
        let nearest = |grid: &PointGrid<'_>, i: usize| {
            let others = grid.within(places[i], 3.0 * grid.cell_px()).filter(|&j| j != i);
            others.map(|j| (places[j][0] - places[i][0]).hypot(places[j][1] - places[i][1])).min_by(f64::total_cmp)
        };
        let lattice_a_px =
            PointGrid::new(&places, None).and_then(|grid| median((0..places.len()).filter_map(|i| nearest(&grid, i)).collect()));
        Self { points, lattice_a_px, source }
    }

    /// Whether it has vectors, or positions alone.
    #[must_use]
    pub fn is_labelled(&self) -> bool {
        self.source != LabelSource::None
    }

    /// The field as a function of the position in px: vector in pm and nearest cell; `None` where the field does not reach.
    pub(super) fn interpolator<'a>(&'a self, places: &'a [[f64; 2]], kernel: Kernel) -> Option<impl Fn([f64; 2]) -> Option<LabelAt> + 'a> {
        let sigma = kernel.sigma_lattices * self.lattice_a_px?;
        let grid = PointGrid::new(places, Some(sigma))?;
        Some(move |at: [f64; 2]| {
            let near: Vec<usize> =
                grid.within(at, REACH_SIGMAS * sigma).filter(|&i| self.points[i].vector_pm.iter().all(|v| v.is_finite())).collect();
            let offset = |i: usize| [0, 1].map(|k| (places[i][k] - at[k]) / sigma);
            let weighted: Vec<([f64; 2], f64, [f64; 2])> = near
                .iter()
                .map(|&i| {
                    let [x, y] = offset(i);
                    ([x, y], (-0.5 * (x * x + y * y)).exp(), self.points[i].vector_pm)
                })
                .collect();
            let vector = plane_at_origin(&weighted)?;
            let nearest = near.iter().copied().min_by(|&i, &j| length(offset(i)).total_cmp(&length(offset(j))))?;
            Some((vector, self.points[nearest].cell))
        })
    }
}

/// A label, pm, and the index of the nearest cell.
type LabelAt = ([f64; 2], [i32; 2]);

fn length([x, y]: [f64; 2]) -> f64 {
    x.hypot(y)
}

/// Where the image shows a column: its mean position, moved by every stage.
fn shown_px(truth: &Truth, column: usize) -> [f64; 2] {
    let moves = truth.stages.iter().filter_map(|stage| stage.displacement_px.get(column));
    moves.fold(truth.columns[column].mean_px, |p, d| [p[0] + d[0], p[1] + d[1]])
}

/// The plane through weighted points `(offset, weight, value)` where the offset is zero; `None` if the points do not surround it or do
/// not span a plane.
fn plane_at_origin(points: &[([f64; 2], f64, [f64; 2])]) -> Option<[f64; 2]> {
    let sum = |f: &dyn Fn([f64; 2], [f64; 2]) -> f64| points.iter().map(|(d, w, v)| w * f(*d, *v)).sum::<f64>();
    let total = sum(&|_, _| 1.0);
    let [mx, my] = [sum(&|d, _| d[0]) / total, sum(&|d, _| d[1]) / total];
    let lopsided = mx.hypot(my);
    // No points at all give 0/0.
    if lopsided.is_nan() || lopsided > LOPSIDED_SIGMAS {
        return None;
    }
    let (xx, xy, yy) = (sum(&|d, _| (d[0] - mx).powi(2)), sum(&|d, _| (d[0] - mx) * (d[1] - my)), sum(&|d, _| (d[1] - my).powi(2)));
    let det = xx * yy - xy * xy;
    if det <= 1e-6 * total * total {
        return None;
    }
    Some([0, 1].map(|k| {
        let mean = sum(&|_, v| v[k]) / total;
        let (xv, yv) = (sum(&|d, v| (d[0] - mx) * (v[k] - mean)), sum(&|d, v| (d[1] - my) * (v[k] - mean)));
        let slope = [(yy * xv - xy * yv) / det, (xx * yv - xy * xv) / det];
        mean - slope[0] * mx - slope[1] * my
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::{TruthCell, TruthColumn, TruthStage};

    fn lattice(n: i32, a: f64, vector: impl Fn([f64; 2]) -> [f64; 2]) -> LabelField {
        let cells = (0..n * n).map(|k| [k % n, k / n]);
        let point = |cell: [i32; 2]| {
            let position_px = cell.map(|c| 10.0 + a * f64::from(c));
            LabelPoint { cell, position_px, vector_pm: vector(position_px) }
        };
        LabelField::new(cells.map(point).collect(), LabelSource::Truth)
    }

    fn places(field: &LabelField) -> Vec<[f64; 2]> {
        field.points.iter().map(|p| p.position_px).collect()
    }

    #[test]
    fn a_linear_field_is_interpolated_exactly_and_its_lattice_is_told() {
        let linear = |[x, y]: [f64; 2]| [3.0 + 0.1 * x - 0.2 * y, -1.0 + 0.05 * y];
        let field = lattice(6, 12.0, linear);
        assert!((field.lattice_a_px.unwrap() - 12.0).abs() < 1e-12);
        let places = places(&field);
        let at = field.interpolator(&places, Kernel::default()).unwrap();
        for p in [[34.0, 34.0], [40.3, 37.7], [28.0, 47.9], [10.0, 10.0], [8.0, 30.0]] {
            let (vector, _) = at(p).unwrap();
            let want = linear(p);
            assert!((0..2).all(|k| (vector[k] - want[k]).abs() < 1e-9), "{p:?}: {vector:?} for {want:?}");
        }
        assert_eq!(at([34.0, 47.0]).unwrap().1, [2, 3]);
    }

    #[test]
    fn the_field_ends_a_quarter_of_a_cell_beyond_its_last_column() {
        let field = lattice(6, 12.0, |_| [1.0, 2.0]);
        let places = places(&field);
        let at = field.interpolator(&places, Kernel::default()).unwrap();
        assert!(at([10.0 - 2.5, 34.0]).is_some());
        assert!(at([10.0 - 6.0, 34.0]).is_none() && at([10.0 - 40.0, 34.0]).is_none());
    }

    #[test]
    fn a_column_weighs_62_percent_in_its_own_label() {
        let field = lattice(7, 10.0, |p| if p == [40.0, 40.0] { [1.0, 0.0] } else { [0.0, 0.0] });
        let places = places(&field);
        let at = field.interpolator(&places, Kernel::default()).unwrap();
        let own = at([40.0, 40.0]).unwrap().0[0];
        // By hand: 1 / (1 + 2 e^-2)^2, neighbours beyond 1.5 a left out.
        let expected = 1.0 / (1.0 + 2.0 * (-2.0_f64).exp()).powi(2);
        assert!((own - expected).abs() < 1e-3 && (own - 0.62).abs() < 0.01, "{own} {expected}");
    }

    #[test]
    fn truth_is_put_where_the_image_shows_the_column() {
        let column = |site, x: f64| TruthColumn { site, cell: [0, 0], entrance_px: [x; 2], mean_px: [x + 0.5; 2], exit_px: [x + 1.0; 2] };
        let mut image = Image::new(4, 4, vec![0.0; 16]).unwrap();
        assert!(matches!(LabelField::from_truth(&image), Err(WindowsError::NoTruth)));
        image.truth = Some(Truth {
            columns: vec![column(Site::A, 0.0), column(Site::B, 1.0)],
            cells: vec![TruthCell { index: [0, 0], shift_pm: [20.0, -3.0] }],
            stages: ["drift", "jitter"].map(|name| TruthStage { name: name.into(), displacement_px: vec![[9.0; 2], [0.25, -0.5]] }).into(),
        });
        let field = LabelField::from_truth(&image).unwrap();
        assert_eq!(field.points, [LabelPoint { cell: [0, 0], position_px: [2.0, 0.5], vector_pm: [20.0, -3.0] }]);
    }
}
