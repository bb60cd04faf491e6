//! An image on pixels of another size, by cubic convolution that widens when pixels grow so that nothing aliases; NaN stays NaN.
//!
//! Kernel: Keys, IEEE Trans. Acoust. Speech Signal Process. 29 (1981) 1153, a = -1/2; exact for quadratics where pixels shrink.

use super::WindowsError;
use crate::image::Image;

/// Most an image is scaled by, either way.
const MOST: f64 = 8.0;

/// Relative difference of pixel sizes that is no difference.
const SAME: f64 = 1e-3;

/// The image with square pixels of `pixel_size_pm`; the centre of its first pixel stays where it is. The truth does not come along.
///
/// # Errors
/// [`WindowsError::Image`] without a pixel size, [`WindowsError::Scale`] for more than a factor of 8.
pub fn resampled(image: &Image, pixel_size_pm: f64) -> Result<Image, WindowsError> {
    let sizes = image.pixel_sizes_pm().ok_or(crate::image::ImageError::NoPixelSize)?;
    let scale = sizes.map(|from| pixel_size_pm / from);
    if let Some(k) = (0..2).find(|&k| !(1.0 / MOST..=MOST).contains(&scale[k])) {
        return Err(WindowsError::Scale { from_pm: sizes[k], to_pm: pixel_size_pm });
    }
    let (columns, rows) = (taps(image.width, scale[0]), taps(image.height, scale[1]));
    let (width, height) = (columns.len(), rows.len());
    // What is there, and how much of it is there: their ratio is the value.
    let [mut sums, mut weights] = [vec![0.0; width * image.height], vec![0.0; width * image.height]];
    for (y, row) in image.rows().enumerate() {
        for (x, tap) in columns.iter().enumerate() {
            let (value, weight) = tap.apply(|i| (f64::from(row[i]), 1.0));
            sums[y * width + x] = value;
            weights[y * width + x] = weight;
        }
    }
    let mut data = vec![f32::NAN; width * height];
    for (y, tap) in rows.iter().enumerate() {
        for x in 0..width {
            let (value, weight) = tap.apply(|i| (sums[i * width + x], weights[i * width + x]));
            // A place without data for more than half of its kernel has none.
            if weight > 0.5 {
                data[y * width + x] = (value / weight) as f32;
            }
        }
    }
    let mut out = Image::new(width, height, data)?.with_pixel_size_pm(pixel_size_pm)?;
    out.metadata = image.metadata.clone();
    Ok(out)
}

/// Whether two pixel sizes count as one.
pub(super) fn same_size(a: f64, b: f64) -> bool {
    (a / b - 1.0).abs() <= SAME
}

/// The pixels that make one pixel of the result, along one axis; weights of those inside the image sum to 1.
struct Tap {
    first: usize,
    weights: Vec<f64>,
}

impl Tap {
    /// Sum of what `at` gives (value, weight), passing over pixels without data.
    fn apply(&self, at: impl Fn(usize) -> (f64, f64)) -> (f64, f64) {
        let there = self.weights.iter().enumerate().map(|(k, w)| (w, at(self.first + k))).filter(|(_, (v, _))| v.is_finite());
        there.fold((0.0, 0.0), |(value, weight), (w, (v, n))| (value + w * v, weight + w * n))
    }
}

fn taps(length: usize, scale: f64) -> Vec<Tap> {
    let count = ((length - 1) as f64 / scale + 1e-9).floor() as usize + 1;
    let stretch = scale.max(1.0);
    let tap = |i: usize| {
        let centre = i as f64 * scale;
        let first = (centre - 2.0 * stretch).ceil().max(0.0) as usize;
        let last = ((centre + 2.0 * stretch).floor() as usize).min(length - 1);
        let weights: Vec<f64> = (first..=last).map(|j| keys((j as f64 - centre) / stretch)).collect();
        let total: f64 = weights.iter().sum();
        Tap { first, weights: weights.into_iter().map(|w| w / total).collect() }
    };
    (0..count).map(tap).collect()
}

/// Keys' cubic kernel with a = -1/2.
fn keys(t: f64) -> f64 {
    let t = t.abs();
    if t < 1.0 {
        (1.5 * t - 2.5) * t * t + 1.0
    } else if t < 2.0 {
        ((-0.5 * t + 2.5) * t - 4.0) * t + 2.0
    } else {
        0.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image(n: usize, pm: f64, f: impl Fn(f64, f64) -> f64) -> Image {
        let data = (0..n * n).map(|i| f((i % n) as f64 * pm, (i / n) as f64 * pm) as f32).collect();
        Image::new(n, n, data).unwrap().with_pixel_size_pm(pm).unwrap()
    }

    #[test]
    fn smooth_images_come_out_the_same_at_any_pixel_size() {
        let wave = |x: f64, y: f64| 2.0 + (x / 70.0).sin() * (y / 90.0 + 0.3).cos();
        let from = image(80, 12.0, wave);
        for pm in [7.0, 12.0, 19.0, 30.0] {
            let out = resampled(&from, pm).unwrap();
            assert_eq!(out.width, (79.0 * 12.0 / pm).floor() as usize + 1);
            let worst = |margin: usize| {
                let inside = |i: &usize| [i % out.width, i / out.width].iter().all(|&k| k >= margin && k + margin < out.width);
                let error = |i: usize| (f64::from(out.data[i]) - wave((i % out.width) as f64 * pm, (i / out.width) as f64 * pm)).abs();
                (0..out.data.len()).filter(inside).map(error).fold(0.0, f64::max)
            };
            // A wider kernel damps the wave a little: (σ/70 pm)², σ² about 0.1 pixels² of the result.
            assert!(worst(4) < 0.03, "{pm}: {}", worst(4));
        }
    }

    #[test]
    fn fine_noise_does_not_alias_into_coarse_pixels() {
        // Alternating pixels, far above what coarse pixels can hold.
        let out = resampled(&image(64, 10.0, |x, _| if ((x / 10.0) as usize).is_multiple_of(2) { 1.0 } else { -1.0 }), 40.0).unwrap();
        assert!(out.data.iter().enumerate().filter(|(i, _)| (2..14).contains(&(i % 16))).all(|(_, v)| v.abs() < 0.05));
    }

    #[test]
    fn holes_stay_holes_and_do_not_grow() {
        let mut from = image(40, 10.0, |_, _| 5.0);
        for y in 10..20 {
            for x in 10..20 {
                from.data[y * 40 + x] = f32::NAN;
            }
        }
        let out = resampled(&from, 20.0).unwrap();
        let holes = out.data.iter().filter(|v| v.is_nan()).count();
        assert!((16..=36).contains(&holes), "{holes}");
        assert!(out.data.iter().filter(|v| v.is_finite()).all(|v| (v - 5.0).abs() < 1e-5));
    }

    #[test]
    fn oblong_pixels_become_square_and_absurd_sizes_are_refused() {
        let mut from = image(20, 10.0, |x, _| x);
        from.set_pixel_sizes_pm(10.0, 20.0).unwrap();
        let out = resampled(&from, 10.0).unwrap();
        assert_eq!((out.width, out.height, out.pixel_height_pm), (20, 39, None));
        assert!(matches!(resampled(&from, 200.0), Err(WindowsError::Scale { .. })));
    }
}
