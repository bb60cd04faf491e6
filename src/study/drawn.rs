//! Images of a perovskite drawn from Gaussians with their truth, for tests: a smooth random polarization, noise, and a false shift of B that the
//! truth does not hold, as a mis-tilt makes it.

use crate::crystal::Site;
use crate::image::{Image, Truth, TruthCell, TruthColumn};
use crate::numerics::seeds::Streams;
use rand::RngExt;
use rand_distr::{Distribution, StandardNormal};

/// Pixels in a cell and pixel size, pm.
pub(super) const CELL_PX: f64 = 12.0;
pub(super) const PIXEL_PM: f64 = 33.0;

/// `cells` × `cells` cells; `noise` is the standard deviation of a pixel in units of an A column's height.
pub(super) fn image(cells: usize, seed: u64, noise: f64, false_shift_pm: [f64; 2]) -> Image {
    let mut random = Streams::new("mistilt test images", seed).stream(0);
    let waves: Vec<[f64; 4]> = (0..6).map(|_| [0.06, 0.06, 6.3, 6.3].map(|size| size * (random.random::<f64>() - 0.5) * 2.0)).collect();
    let field = |[x, y]: [f64; 2]| {
        let sum = |phase: usize| waves.iter().map(|w| (w[0] * x + w[1] * y + w[phase]).cos()).sum::<f64>();
        [12.0 * sum(2), 12.0 * sum(3)]
    };
    let side = (cells as f64 * CELL_PX) as usize;
    let mut truth = Truth::default();
    let mut spots = Vec::new();
    let mut column = |site, cell: [i32; 2], place: [f64; 2], height: f64, moved: [f64; 2]| {
        let inside = place.iter().all(|p| (0.0..side as f64 - 1.0).contains(p));
        if inside {
            truth.columns.push(TruthColumn { site, cell, entrance_px: place, mean_px: place, exit_px: place });
        }
        spots.push(([place[0] + moved[0], place[1] + moved[1]], height));
        inside
    };
    let mut shifts = Vec::new();
    for j in -1..=cells as i32 {
        for i in -1..=cells as i32 {
            let corner = [i, j].map(|k| f64::from(k) * CELL_PX + 3.2);
            column(Site::A, [i, j], corner, 1.0, [0.0; 2]);
            let middle = corner.map(|c| c + 0.5 * CELL_PX);
            let shift_pm = field(middle);
            let place = [0, 1].map(|k| middle[k] + shift_pm[k] / PIXEL_PM);
            if column(Site::B, [i, j], place, 0.45, false_shift_pm.map(|f| f / PIXEL_PM)) {
                shifts.push(TruthCell { index: [i, j], shift_pm });
            }
        }
    }
    truth.cells = shifts;
    let mut data = vec![0.1_f32; side * side];
    for ([cx, cy], height) in spots {
        let near = |c: f64| ((c - 7.0).max(0.0) as usize)..((c + 8.0).clamp(0.0, side as f64) as usize);
        for y in near(cy) {
            for x in near(cx) {
                let r2 = (x as f64 - cx).powi(2) + (y as f64 - cy).powi(2);
                data[y * side + x] += (height * (-0.5 * r2 / (1.5 * 1.5)).exp()) as f32;
            }
        }
    }
    for value in &mut data {
        let draw: f64 = StandardNormal.sample(&mut random);
        *value += (noise * draw) as f32;
    }
    let image = Image::new(side, side, data).and_then(|i| i.with_pixel_size_pm(PIXEL_PM));
    let mut image = image.unwrap_or_else(|e| unreachable!("{e}"));
    image.truth = Some(truth);
    image
}
