//! Peaks of an image: local maxima of the image smoothed to the scale of its columns, less its slow background; pixels, y down.

use super::FindError;
use super::background::Prepared;
use super::neighbours::PointGrid;
use rayon::prelude::*;
use std::cmp::Ordering;

/// A local maximum of a smoothed image.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Peak {
    /// Sub-pixel position (x, y), px; pixel (0, 0) has its centre at (0, 0).
    pub position_px: [f64; 2],
    /// Height above the slow background, as a fraction of the image's contrast (its 1 % to 99.5 % levels).
    pub height: f64,
}

/// Peaks of any image, lattice or not, highest first, none nearer than half of `spacing_px` (the expected distance between columns)
/// to a higher one. Those below a tenth of the 90th percentile of heights are left out.
///
/// # Errors
/// [`FindError`] if the image is blank, flat or misshapen, or the spacing is not between 2 px and the image's size.
pub fn find_peaks(image: &[f32], width: usize, height: usize, spacing_px: f64) -> Result<Vec<Peak>, FindError> {
    let prepared = Prepared::new(image, width, height).map_err(|e| FindError::unusable(e, image.len(), width, height))?;
    if !(2.0..=width.max(height) as f64).contains(&spacing_px) {
        return Err(FindError::Spacing(spacing_px));
    }
    let smooth = prepared.band(0.14 * spacing_px, 0.8 * spacing_px);
    Ok(local_maxima(&smooth, &prepared.valid, width, 0.5 * spacing_px))
}

/// Local maxima of `smooth`, none within `apart_px` of a higher one, highest first.
pub(crate) fn local_maxima(smooth: &[f32], valid: &[bool], width: usize, apart_px: f64) -> Vec<Peak> {
    let height = smooth.len() / width;
    let at = |x: usize, y: usize| smooth[y * width + x];
    let is_peak = |x: usize, y: usize| {
        let value = at(x, y);
        // Of equal neighbours the last in reading order counts, so that a plateau has one peak.
        let beats = |dx: usize, dy: usize| {
            let (nx, ny) = (x + dx, y + dy);
            if nx == 0 || ny == 0 || nx > width || ny > height || (dx == 1 && dy == 1) {
                return true;
            }
            let other = at(nx - 1, ny - 1);
            // An ordering, not an equality test: exact ties are what a plateau is.
            match value.total_cmp(&other) {
                Ordering::Equal => (dy, dx) < (1, 1),
                order => order == Ordering::Greater,
            }
        };
        value > 0.0 && valid[y * width + x] && (0..3).all(|dy| (0..3).all(|dx| beats(dx, dy)))
    };
    let mut peaks: Vec<Peak> = (0..height)
        .into_par_iter()
        .flat_map_iter(|y| (0..width).filter(move |&x| is_peak(x, y)).map(move |x| [x, y]))
        .map(|[x, y]| Peak { position_px: vertex(smooth, width, x, y), height: f64::from(at(x, y)) })
        .collect();
    peaks.sort_by(|a, b| b.height.total_cmp(&a.height));
    if let Some(bright) = peaks.get(peaks.len() / 10).map(|p| p.height) {
        peaks.retain(|p| p.height > 0.1 * bright);
    }
    let places: Vec<[f64; 2]> = peaks.iter().map(|p| p.position_px).collect();
    let Some(grid) = PointGrid::new(&places, Some(apart_px)) else { return peaks };
    let mut kept = vec![true; peaks.len()];
    for (n, place) in places.iter().enumerate() {
        if kept[n] {
            grid.within(*place, apart_px).filter(|m| *m > n).for_each(|m| kept[m] = false);
        }
    }
    peaks.into_iter().zip(kept).filter_map(|(peak, keep)| keep.then_some(peak)).collect()
}

/// Vertex of the parabolas through a maximum and its neighbours along x and y.
fn vertex(smooth: &[f32], width: usize, x: usize, y: usize) -> [f64; 2] {
    let height = smooth.len() / width;
    let shift = |low: f32, mid: f32, high: f32| {
        let curvature = f64::from(low) - 2.0 * f64::from(mid) + f64::from(high);
        if curvature < 0.0 { (0.5 * f64::from(low - high) / curvature).clamp(-0.5, 0.5) } else { 0.0 }
    };
    let at = |x: usize, y: usize| smooth[y * width + x];
    let dx = if x > 0 && x + 1 < width { shift(at(x - 1, y), at(x, y), at(x + 1, y)) } else { 0.0 };
    let dy = if y > 0 && y + 1 < height { shift(at(x, y - 1), at(x, y), at(x, y + 1)) } else { 0.0 };
    [x as f64 + dx, y as f64 + dy]
}

/// Bilinear value at a place, clamped to the image.
pub(crate) fn bilinear(values: &[f32], width: usize, p: [f64; 2]) -> f64 {
    let height = values.len() / width;
    let [x, y] = [p[0].clamp(0.0, (width - 1) as f64), p[1].clamp(0.0, (height - 1) as f64)];
    let [x0, y0] = [x as usize, y as usize];
    let [x1, y1] = [(x0 + 1).min(width - 1), (y0 + 1).min(height - 1)];
    let at = |x: usize, y: usize| f64::from(values[y * width + x]);
    let [u, v] = [x - x0 as f64, y - y0 as f64];
    (1.0 - v) * ((1.0 - u) * at(x0, y0) + u * at(x1, y0)) + v * ((1.0 - u) * at(x0, y1) + u * at(x1, y1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scattered_blobs_are_found_once_each_and_nan_beside_them_does_no_harm() {
        let (width, height) = (120, 80);
        let blobs = [[20.3, 30.8], [60.0, 20.0], [95.6, 60.1], [40.2, 60.7]];
        let mut image: Vec<f32> = (0..width * height)
            .map(|i| {
                let [x, y] = [(i % width) as f64, (i / width) as f64];
                let r2 = |b: &[f64; 2]| (x - b[0]).powi(2) + (y - b[1]).powi(2);
                (blobs.iter().map(|b| (-r2(b) / 18.0).exp()).sum::<f64>() + 0.004 * x) as f32
            })
            .collect();
        image[..5 * width].fill(f32::NAN);
        let peaks = find_peaks(&image, width, height, 20.0).unwrap();
        let strong: Vec<_> = peaks.iter().filter(|p| p.height > 0.3).collect();
        assert_eq!(strong.len(), 4);
        for blob in blobs {
            assert!(strong.iter().any(|p| (p.position_px[0] - blob[0]).hypot(p.position_px[1] - blob[1]) < 0.3));
        }
        assert!(matches!(find_peaks(&image, width, height, 0.1), Err(FindError::Spacing(_))));
    }
}
