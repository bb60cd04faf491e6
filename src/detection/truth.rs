//! The scan's truth at the columns: how far each stage moved each column, as a fit of the column sees it; Å and px.

use super::scan::{ScanPath, ScanStage};
use crate::image::{Truth, TruthStage};
use rayon::prelude::*;

/// Standard deviation, Å, of the Gaussian by which the displacements of the pixels about a column are averaged.
///
/// A column that is Gaussian of width σ answers displaced pixels by weights of width σ/√2 (least squares) to σ (centre of mass); σ is 0.4 to
/// 0.5 Å in ADF images of perovskites.
pub const COLUMN_SIGMA_ANGSTROM: f64 = 0.35;

/// Pixels further than this many standard deviations count for nothing.
const REACH: f64 = 3.0;

impl ScanPath {
    /// How far each stage moves columns that stand at `positions_angstrom` on the specimen, Å: for each stage, for each column, the
    /// displacement of the pixels that show it, averaged with a Gaussian of [`COLUMN_SIGMA_ANGSTROM`].
    #[must_use]
    pub fn at_columns(&self, positions_angstrom: &[[f64; 2]]) -> Vec<Vec<[f64; 2]>> {
        let by_column: Vec<Vec<[f64; 2]>> = positions_angstrom.par_iter().map(|r| self.at_column(*r)).collect();
        (0..self.stages().len()).map(|s| by_column.iter().map(|stages| stages[s]).collect()).collect()
    }

    fn at_column(&self, r: [f64; 2]) -> Vec<[f64; 2]> {
        let raster = self.raster();
        // The column is seen at p where p − d(p) is its place: three rounds are enough for displacements that change little over a pixel.
        let mut seen = r;
        for _ in 0..3 {
            let px = raster.to_px(seen);
            let nearest = [(px[0], raster.width), (px[1], raster.height)].map(|(p, n)| p.round().clamp(0.0, n as f64 - 1.0) as usize);
            let mut d = [[0.0; 2]];
            self.add(nearest[1], nearest[0], &mut d);
            seen = [r[0] + d[0][0], r[1] + d[0][1]];
        }
        self.stages().iter().map(|stage| self.average(stage, raster.to_px(seen))).collect()
    }

    /// The mean displacement about `px`, weighted; of the nearest pixel where `px` lies outside the frame.
    fn average(&self, stage: &ScanStage, px: [f64; 2]) -> [f64; 2] {
        let raster = self.raster();
        let sigma = COLUMN_SIGMA_ANGSTROM / raster.pixel_angstrom;
        let reach = (REACH * sigma).max(1.0);
        let [x, y] = [px[0].clamp(0.0, raster.width as f64 - 1.0), px[1].clamp(0.0, raster.height as f64 - 1.0)];
        let span = |p: f64, n: usize| ((p - reach).ceil().max(0.0) as usize, ((p + reach).floor() as usize).min(n - 1));
        let ((left, right), (top, bottom)) = (span(x, raster.width), span(y, raster.height));
        let (mut sum, mut weight) = ([0.0; 2], 0.0);
        let mut row = vec![[0.0; 2]; right + 1 - left];
        for iy in top..=bottom {
            row.fill([0.0; 2]);
            stage.add(iy, left, &mut row);
            for (i, d) in row.iter().enumerate() {
                let distance = ((left + i) as f64 - x).powi(2) + (iy as f64 - y).powi(2);
                let w = (-0.5 * distance / (sigma * sigma)).exp();
                sum = [sum[0] + w * d[0], sum[1] + w * d[1]];
                weight += w;
            }
        }
        sum.map(|s| if weight > 0.0 { s / weight } else { 0.0 })
    }

    /// Adds to the truth of a clean image what each stage did to its columns, px; columns stand where they enter the specimen.
    pub fn tell(&self, truth: &mut Truth) {
        let raster = self.raster();
        let place = |px: [f64; 2]| [0, 1].map(|c| raster.origin_angstrom[c] + raster.pixel_angstrom * px[c]);
        let positions: Vec<[f64; 2]> = truth.columns.iter().map(|c| place(c.entrance_px)).collect();
        for (stage, displaced) in self.stages().iter().zip(self.at_columns(&positions)) {
            let displacement_px = displaced.into_iter().map(|d| d.map(|v| v / raster.pixel_angstrom)).collect();
            truth.stages.push(TruthStage { name: stage.name().to_owned(), displacement_px });
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::detection::{Camera, CameraSettings, Drift, Flyback, FrameKey, RowJitter};
    use crate::image::{FourierImage, Raster};

    fn path(settings: CameraSettings) -> super::ScanPath {
        let raster = Raster { origin_angstrom: [0.0; 2], pixel_angstrom: 0.2, width: 60, height: 50 };
        let image = FourierImage::zeros([[4.0, 0.0], [0.0, 4.0]], 1, 1);
        Camera::new(settings).unwrap().expose(&image, raster, FrameKey::first(1)).unwrap().scan
    }

    #[test]
    fn a_steady_drift_moves_columns_by_its_rate_times_their_time() {
        let drift = Some(Drift { pm_per_row: [10.0, -4.0] });
        let path = path(CameraSettings { drift, ..CameraSettings::default() });
        // At x = 4 and y = 6 Å, and seen n lines late: row 30 − 0.04 n/0.2 and column 20 + 0.1 n/0.2, of which 66 make a line with its flyback.
        let found = &path.at_columns(&[[4.0, 6.0]])[0][0];
        let rows = (30.0 + 20.0 / 66.0) / (1.0 + 0.2 - 0.5 / 66.0);
        assert!((found[0] - 0.1 * rows).abs() < 0.02 && (found[1] + 0.04 * rows).abs() < 0.02, "{found:?} {rows}");
    }

    #[test]
    fn columns_beyond_the_frame_take_the_nearest_pixels_and_no_stage_gives_no_truth() {
        let jitter = Some(RowJitter { rms_pm: 5.0, y_ratio: 0.0, correlation: 0.0 });
        let flyback = Some(Flyback { amplitude_pm: 30.0, decay_us: 20.0 });
        let path = path(CameraSettings { jitter, flyback, ..CameraSettings::default() });
        let displaced = path.at_columns(&[[-3.0, 40.0], [2.0, 4.0]]);
        assert_eq!(displaced.len(), 2);
        assert!(displaced.iter().flatten().flatten().all(|d| d.is_finite()));
        assert_eq!(displaced[0][1][1], 0.0, "no jitter along y was asked for");
        let quiet = super::ScanPath::clone(&self::path(CameraSettings::default()));
        assert!(quiet.at_columns(&[[1.0, 1.0]]).is_empty());
    }
}
