//! Frames of a point: its image exposed by the camera on a field of cells, the columns measured on the pixels; shifts in pm.

use super::camera_table::FrameSettings;
use super::spec::{Estimator as EstimatorName, MeasureSettings, Point, PointConfig};
use super::{RunError, measure, run};
use crate::columns::{FitFailure, PixelWindow, Pixels, measure_pixels};
use crate::detection::{Camera, Exposure, FrameKey, ScanPath};
use crate::image::{FourierImage, Radiance, Raster};
use crate::numerics::grid::combine;
use crate::specimen::{CellTruth, Slab};
use rayon::prelude::*;
use std::collections::BTreeMap;

/// Where a frame begins, Å: an A column stands at the origin of the cell, and none should stand on the edge.
pub const ORIGIN_ANGSTROM: [f64; 2] = [-1.0, -1.0];
/// Room between a column's window and the edge of the frame, Å.
const MARGIN_ANGSTROM: f64 = 0.5;

/// A frame as it is measured and kept.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Frame {
    /// Pixels, four bytes each, row after row.
    #[serde(with = "serde_bytes")]
    pixels: Vec<u8>,
    /// What the scan did.
    scan: ScanPath,
}

/// How a frame is come by: channel, number, and what exposes it where it is not kept.
pub type Source<'a> = &'a dyn Fn(usize, u64, &dyn Fn() -> Result<Frame, RunError>) -> Result<Frame, RunError>;

/// Exposes every frame anew.
pub fn anew(_channel: usize, _number: u64, make: &dyn Fn() -> Result<Frame, RunError>) -> Result<Frame, RunError> {
    make()
}

/// What the frames of a point say, for one detector and estimator.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct FrameStatistics {
    /// Frames exposed.
    pub frames: usize,
    /// Measured minus true shift, mean over cells and frames, pm; NaN if no cell was measured.
    pub apparent_pm: [f64; 2],
    /// Standard error of that mean from the scatter of the frames' means, pm; NaN with fewer than two frames that have a cell.
    pub sigma_pm: [f64; 2],
    /// Standard deviation of the shift of one cell in one frame, pm: the precision.
    pub cell_scatter_pm: [f64; 2],
    /// Cells measured, over all frames.
    pub cells: usize,
    /// Cells refused because one of their columns was, over all frames.
    pub refused: usize,
}

/// The columns of a field: where they truly stand, and where the search for each begins.
struct Field<'a> {
    slab: &'a Slab,
    truth: &'a [CellTruth],
    /// For each column of the slab, where it is seen in the noiseless image less where it truly stands, Å.
    seen: &'a [[f64; 2]],
    raster: Raster,
    window: PixelWindow,
}

/// One cell of the field: its columns as indices into the field's columns.
struct Cell {
    b: usize,
    a: Vec<usize>,
}

/// A column of the field.
#[derive(Debug, Clone, Copy)]
struct Place {
    truth_angstrom: [f64; 2],
    seen_angstrom: [f64; 2],
}

/// All frames of a point on one detector, measured by every estimator of the point, in their order.
///
/// `image` is seen with a point source: the camera gives it its own. `seen` says for each column of the slab how far from its true place
/// it stands in the noiseless image, Å; there the search begins, moved by what the scan did. Frames come from `source`.
pub fn statistics(
    image: &FourierImage,
    slab: &Slab,
    truth: &[CellTruth],
    seen: &[[f64; 2]],
    point: &Point,
    channel: usize,
    source: Source<'_>,
) -> Result<Vec<FrameStatistics>, RunError> {
    let Some(settings) = &point.config.camera else { return Ok(Vec::new()) };
    let raster = settings.raster(ORIGIN_ANGSTROM);
    let field = Field { slab, truth, seen, raster, window: window(&point.config.measure, settings) };
    let (places, cells) = field.columns();
    let estimators = &point.config.measure.estimators;
    let mut tallies = vec![Tally::default(); estimators.len()];
    for frame in 0..u64::from(settings.repeats) {
        let Frame { pixels, scan } = source(channel, frame, &|| expose(image, point, settings, raster, frame, channel).map(Frame::from))?;
        let pixels: Vec<f32> = pixels.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect();
        let moved = moved(&scan, &places);
        for (tally, &estimator) in tallies.iter_mut().zip(estimators) {
            tally.add(&field.shifts(&pixels, &places, &cells, &moved, estimator));
        }
    }
    Ok(tallies.iter().map(Tally::statistics).collect())
}

/// One frame of a point; `image` is seen with a point source.
pub fn expose(
    image: &dyn Radiance,
    point: &Point,
    settings: &FrameSettings,
    raster: Raster,
    frame: u64,
    channel: usize,
) -> Result<Exposure, RunError> {
    let key = FrameKey { seed: seed(&point.config), frame, channel: channel as u64 };
    Ok(Camera::new(settings.camera.clone())?.expose(image, raster, key)?)
}

impl From<Exposure> for Frame {
    fn from(exposure: Exposure) -> Self {
        Self { pixels: exposure.image.data.iter().flat_map(|v| v.to_le_bytes()).collect(), scan: exposure.scan }
    }
}

/// What two points agree in that measure the same frames: their seed, and the size of the frame in pixels; `None` without a camera.
#[must_use]
pub fn identity(config: &PointConfig) -> Option<(u64, [usize; 2])> {
    let Raster { width, height, .. } = config.camera.as_ref()?.raster(ORIGIN_ANGSTROM);
    Some((seed(config), [width, height]))
}

/// The seed of a point's frames: of everything that makes its image and its camera, so that points have independent noise and keep it when a
/// study grows; not of how often or where it is measured, nor of the name of the crystal, which is no part of what the store keeps results by.
#[must_use]
pub fn seed(config: &PointConfig) -> u64 {
    let c = &config.crystal;
    let crystal = (c.zone_axis, c.x_axis, c.axes, c.thickness_nm, c.specimen_tilt_mrad);
    let camera = config.camera.as_ref().map(|c| (c.pixel_angstrom, &c.camera));
    let inputs = (config.seed, crystal, &config.microscope, &config.simulation, &config.scene, camera);
    // Plain numbers and names always serialize; Debug stands in should they ever not.
    let text = serde_json::to_string(&inputs).unwrap_or_else(|_| format!("{inputs:?}"));
    let mut first = [0; 8];
    first.copy_from_slice(&blake3::hash(text.as_bytes()).as_bytes()[..8]);
    u64::from_le_bytes(first)
}

fn window(measure: &MeasureSettings, settings: &FrameSettings) -> PixelWindow {
    PixelWindow { radius_px: measure.window_radius_angstrom / settings.pixel_angstrom, empirical: false }
}

/// How far the scan moved each column, Å.
fn moved(scan: &ScanPath, places: &[Place]) -> Vec<[f64; 2]> {
    let truths: Vec<[f64; 2]> = places.iter().map(|p| p.seen_angstrom).collect();
    let mut sum = vec![[0.0; 2]; places.len()];
    for stage in scan.at_columns(&truths) {
        sum.iter_mut().zip(stage).for_each(|(s, d)| *s = [s[0] + d[0], s[1] + d[1]]);
    }
    sum
}

impl Field<'_> {
    /// Every column of every cell that lies wholly in the field, each once, and the cells.
    fn columns(&self) -> (Vec<Place>, Vec<Cell>) {
        let (mut places, mut cells) = (Vec::new(), Vec::new());
        let mut known: BTreeMap<(usize, i32, i32), usize> = BTreeMap::new();
        let side = self.raster.pixel_angstrom * self.raster.width.max(self.raster.height) as f64;
        for (i, j) in run::repeats(self.slab.in_plane_angstrom, side) {
            for cell in self.truth {
                let members: Vec<(usize, i32, i32)> =
                    std::iter::once((cell.b_column, i, j)).chain(self.cage(cell).into_iter().map(|(n, k, l)| (n, i + k, j + l))).collect();
                if !members.iter().all(|m| self.holds(self.place(*m).seen_angstrom)) {
                    continue;
                }
                let mut indices = members.into_iter().map(|m| {
                    *known.entry(m).or_insert_with(|| {
                        places.push(self.place(m));
                        places.len() - 1
                    })
                });
                // The B column came first.
                if let Some(b) = indices.next() {
                    cells.push(Cell { b, a: indices.collect() });
                }
            }
        }
        (places, cells)
    }

    /// The A columns about a B column: index and repeats.
    fn cage(&self, cell: &CellTruth) -> Vec<(usize, i32, i32)> {
        let b = self.slab.columns[cell.b_column].position_angstrom;
        let mut near: Vec<(f64, (usize, i32, i32))> = Vec::new();
        let mut unique = cell.a_columns.clone();
        unique.sort_unstable();
        unique.dedup();
        for &n in &unique {
            for (k, l) in (-2..=2).flat_map(|l| (-2..=2).map(move |k| (k, l))) {
                let p = self.place((n, k, l)).truth_angstrom;
                near.push(((p[0] - b[0]).hypot(p[1] - b[1]), (n, k, l)));
            }
        }
        near.sort_by(|x, y| x.0.total_cmp(&y.0).then(x.1.cmp(&y.1)));
        near.into_iter().take(cell.a_columns.len()).map(|(_, m)| m).collect()
    }

    fn place(&self, (n, i, j): (usize, i32, i32)) -> Place {
        let shift = combine(self.slab.in_plane_angstrom, [f64::from(i), f64::from(j)]);
        let own = self.slab.columns[n].position_angstrom;
        let truth_angstrom = [own[0] + shift[0], own[1] + shift[1]];
        Place { truth_angstrom, seen_angstrom: [0, 1].map(|c| truth_angstrom[c] + self.seen[n][c]) }
    }

    /// Whether a column and its window lie in the field.
    fn holds(&self, r: [f64; 2]) -> bool {
        let room = self.window.radius_px + MARGIN_ANGSTROM / self.raster.pixel_angstrom;
        let px = self.raster.to_px(r);
        [(px[0], self.raster.width), (px[1], self.raster.height)].iter().all(|&(p, n)| p >= room && p <= n as f64 - 1.0 - room)
    }

    /// The apparent shift of every cell in one frame, pm, or why it has none.
    fn shifts(
        &self,
        pixels: &[f32],
        places: &[Place],
        cells: &[Cell],
        moved: &[[f64; 2]],
        estimator: EstimatorName,
    ) -> Vec<Result<[f64; 2], FitFailure>> {
        let estimator = measure::estimator(estimator);
        let displaced: Vec<Result<[f64; 2], FitFailure>> = places
            .par_iter()
            .zip(moved)
            .map(|(place, moved)| {
                // An image has as many pixels as its sides say.
                let pixels = Pixels::new(pixels, self.raster.width, self.raster.height).ok_or(FitFailure::OutsideImage)?;
                let start = self.raster.to_px([0, 1].map(|c| place.seen_angstrom[c] + moved[c]));
                let fit = measure_pixels(&pixels, start, &self.window, estimator)?;
                let truth = self.raster.to_px(place.truth_angstrom);
                Ok([0, 1].map(|c| 100.0 * self.raster.pixel_angstrom * (fit.position[c] - truth[c])))
            })
            .collect();
        let shift = |cell: &Cell| {
            let mut a = [0.0; 2];
            for &n in &cell.a {
                let d = displaced[n]?;
                a = [0, 1].map(|c| a[c] + d[c] / cell.a.len() as f64);
            }
            displaced[cell.b].map(|b| [b[0] - a[0], b[1] - a[1]])
        };
        cells.iter().map(shift).collect()
    }
}

/// Sums over frames.
#[derive(Debug, Clone, Default)]
struct Tally {
    /// Mean and number of cells of every frame.
    frames: Vec<([f64; 2], usize)>,
    shifts: Vec<[f64; 2]>,
    refused: usize,
}

impl Tally {
    fn add(&mut self, shifts: &[Result<[f64; 2], FitFailure>]) {
        let good: Vec<[f64; 2]> = shifts.iter().filter_map(|s| s.as_ref().ok().copied()).collect();
        self.refused += shifts.len() - good.len();
        self.frames.push((mean(&good), good.len()));
        self.shifts.extend(good);
    }

    fn statistics(&self) -> FrameStatistics {
        let apparent_pm = mean(&self.shifts);
        let seen: Vec<[f64; 2]> = self.frames.iter().filter(|f| f.1 > 0).map(|f| f.0).collect();
        let error = |sd: f64| if seen.len() < 2 { f64::NAN } else { sd / (seen.len() as f64).sqrt() };
        FrameStatistics {
            frames: self.frames.len(),
            apparent_pm,
            sigma_pm: deviation(&seen).map(error),
            cell_scatter_pm: deviation(&self.shifts),
            cells: self.shifts.len(),
            refused: self.refused,
        }
    }
}

/// Mean; NaN of nothing.
fn mean(values: &[[f64; 2]]) -> [f64; 2] {
    [0, 1].map(|c| values.iter().map(|v| v[c]).sum::<f64>() / values.len() as f64)
}

/// Standard deviation of a sample; NaN of fewer than two.
fn deviation(values: &[[f64; 2]]) -> [f64; 2] {
    let middle = mean(values);
    let n = values.len() as f64;
    [0, 1].map(|c| {
        if values.len() < 2 { f64::NAN } else { (values.iter().map(|v| (v[c] - middle[c]).powi(2)).sum::<f64>() / (n - 1.0)).sqrt() }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn means_errors_scatter_and_refusals_are_those_of_cells_and_frames() {
        let mut tally = Tally::default();
        tally.add(&[Ok([1.0, 0.0]), Ok([3.0, 0.0]), Err(FitFailure::Flat)]);
        tally.add(&[Ok([5.0, 0.0]), Ok([7.0, 0.0]), Ok([6.0, 0.0])]);
        tally.add(&[Err(FitFailure::Flat); 3]);
        let s = tally.statistics();
        assert_eq!((s.frames, s.cells, s.refused, s.apparent_pm), (3, 5, 4, [4.4, 0.0]));
        // The frames' means are 2 and 6; a frame without a cell says nothing.
        assert!((s.sigma_pm[0] - 8.0_f64.sqrt() / 2.0_f64.sqrt()).abs() < 1e-12);
        assert!((s.cell_scatter_pm[0] - 5.8_f64.sqrt()).abs() < 1e-12);
        let mut one = Tally::default();
        one.add(&[Ok([1.0, 2.0])]);
        assert!(one.statistics().sigma_pm[0].is_nan() && Tally::default().statistics().apparent_pm[0].is_nan());
    }
}
