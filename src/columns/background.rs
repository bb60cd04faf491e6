//! What an image is before its columns are looked for: dead pixels told apart and filled, intensities scaled, slow background
//! removed; pixels, row-major, y down.
//!
//! All smoothing is a normalised convolution, Σ w v / Σ w over the valid pixels only (Knutsson and Westin, CVPR 1993), so NaN borders
//! and dead rows neither darken nor brighten what lies beside them.

use rayon::prelude::*;

/// An image made ready for finding: finite everywhere, scaled so that its dark level is 0 and its bright level is 1.
#[derive(Debug, Clone)]
pub(crate) struct Prepared {
    pub(crate) width: usize,
    pub(crate) height: usize,
    /// Scaled values; invalid pixels hold the local mean.
    pub(crate) values: Vec<f32>,
    /// False for pixels that were not finite and for dead or wild scan rows.
    pub(crate) valid: Vec<bool>,
}

/// Why an image cannot be prepared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unusable {
    /// `width × height` is not the number of values.
    Shape,
    /// Fewer than a tenth of the pixels are finite.
    Blank,
    /// All finite pixels are equal.
    Flat,
}

impl Prepared {
    pub(crate) fn new(image: &[f32], width: usize, height: usize) -> Result<Self, Unusable> {
        if width.checked_mul(height) != Some(image.len()) || image.is_empty() {
            return Err(Unusable::Shape);
        }
        let mut valid: Vec<bool> = image.iter().map(|v| v.is_finite()).collect();
        if valid.iter().filter(|v| **v).count() * 10 < image.len() {
            return Err(Unusable::Blank);
        }
        let [low, high] = levels(image).ok_or(Unusable::Flat)?;
        // Clamped so that one hot pixel cannot outshine a column.
        let scale = |v: f32| (((f64::from(v) - low) / (high - low)) as f32).clamp(-1.0, 3.0);
        let mut values: Vec<f32> = image.iter().map(|&v| if v.is_finite() { scale(v) } else { 0.0 }).collect();
        mark_dead_rows(&values, &mut valid, width);
        if valid.iter().any(|v| !v) {
            let mut sigma = 2.0;
            let mut fill = blur(&values, &valid, width, sigma);
            // Wider and wider means until every hole has a value.
            while fill.iter().any(|v| v.is_nan()) && sigma < (width + height) as f64 {
                sigma *= 4.0;
                let wider = blur(&values, &valid, width, sigma);
                fill.iter_mut().zip(&wider).filter(|(v, _)| v.is_nan()).for_each(|(v, w)| *v = *w);
            }
            for ((value, filled), _) in values.iter_mut().zip(&fill).zip(&valid).filter(|(_, valid)| !**valid) {
                *value = if filled.is_nan() { 0.5 } else { *filled };
            }
        }
        Ok(Self { width, height, values, valid })
    }

    /// The image smoothed to `fine_px` less the image smoothed to `coarse_px` (standard deviations, px): columns without background.
    pub(crate) fn band(&self, fine_px: f64, coarse_px: f64) -> Vec<f32> {
        let fine = blur(&self.values, &self.valid, self.width, fine_px);
        let coarse = blur(&self.values, &self.valid, self.width, coarse_px);
        fine.par_iter().zip(&coarse).map(|(f, c)| if (f - c).is_nan() { 0.0 } else { f - c }).collect()
    }

    /// The prepared image `factor` times as finely sampled (Lanczos-3, separable), so that columns 2 px apart can be told apart.
    /// Pixel (x, y) of the result lies at (x, y) / factor of this one.
    pub(crate) fn upsampled(&self, factor: usize) -> Self {
        let rows = resample(&self.values, self.width, factor);
        let wide = self.width * factor;
        let turned = transpose(&rows, wide);
        let values = transpose(&resample(&turned, self.height, factor), self.height * factor);
        let height = self.height * factor;
        let valid = (0..wide * height).map(|i| self.valid[(i / wide / factor) * self.width + (i % wide) / factor]).collect();
        Self { width: wide, height, values, valid }
    }
}

/// The 1 % and 99.5 % levels of the finite values, or their extremes where those coincide; `None` for a flat image.
fn levels(image: &[f32]) -> Option<[f64; 2]> {
    // Every 7th pixel of a large image tells the levels as well as all of them.
    let step = if image.len() > 1 << 20 { 7 } else { 1 };
    let mut sample: Vec<f32> = image.iter().step_by(step).copied().filter(|v| v.is_finite()).collect();
    sample.sort_unstable_by(f32::total_cmp);
    let at = |fraction: f64| f64::from(sample[((sample.len() - 1) as f64 * fraction) as usize]);
    if sample.is_empty() {
        return None;
    }
    [[at(0.01), at(0.995)], [at(0.0), at(1.0)]].into_iter().find(|[low, high]| high > low)
}

/// Marks scan rows that carry no image: constant rows, and rows whose mean jumps far from both neighbours'.
fn mark_dead_rows(values: &[f32], valid: &mut [bool], width: usize) {
    let statistics: Vec<Option<[f64; 2]>> = values
        .chunks_exact(width)
        .zip(valid.chunks_exact(width))
        .map(|(row, ok)| {
            let kept: Vec<f64> = row.iter().zip(ok).filter(|(_, ok)| **ok).map(|(v, _)| f64::from(*v)).collect();
            let n = kept.len() as f64;
            let mean = kept.iter().sum::<f64>() / n;
            let variance = kept.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / n;
            (kept.len() >= 4).then_some([mean, variance.sqrt()])
        })
        .collect();
    let Some(typical) = median(statistics.iter().flatten().map(|s| s[1]).collect()) else { return };
    let jump = |row: usize| -> Option<f64> {
        let around = [row.checked_sub(1)?, row + 1].map(|r| statistics.get(r).copied().flatten());
        let [Some(above), Some(below)] = around else { return None };
        Some((statistics[row]?[0] - 0.5 * (above[0] + below[0])).abs())
    };
    let jumps: Vec<Option<f64>> = (0..statistics.len()).map(jump).collect();
    let usual = median(jumps.iter().flatten().copied().collect()).unwrap_or(f64::INFINITY).max(0.02);
    let peers = |row: usize| [row.wrapping_sub(1), row + 1].map(|r| jumps.get(r).copied().flatten().unwrap_or(0.0));
    for (row, ok) in valid.chunks_exact_mut(width).enumerate() {
        let Some([_, spread]) = statistics[row] else { continue };
        // A wild row also makes its two neighbours jump, by half as much: only the largest of the three is at fault.
        let wild = jumps[row].is_some_and(|j| j > 12.0 * usual && peers(row).iter().all(|p| j > *p));
        if spread < 0.05 * typical || wild {
            ok.fill(false);
        }
    }
}

/// Median of the values (the mean of the middle two of an even count); `None` if there are none.
pub(crate) fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_unstable_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() {
        0 => None,
        n if n.is_multiple_of(2) => Some(0.5 * (values[middle - 1] + values[middle])),
        _ => Some(values[middle]),
    }
}

/// Normalised Gaussian smoothing over the valid pixels; NaN where no valid pixel is near.
fn blur(values: &[f32], valid: &[bool], width: usize, sigma_px: f64) -> Vec<f32> {
    let masked: Vec<f32> = values.par_iter().zip(valid).map(|(v, ok)| if *ok { *v } else { 0.0 }).collect();
    let weight: Vec<f32> = valid.par_iter().map(|ok| f32::from(u8::from(*ok))).collect();
    let sums = smooth(masked, width, sigma_px);
    let weights = smooth(weight, width, sigma_px);
    // Below 1e-3 the sum is rounding, not image.
    sums.par_iter().zip(&weights).map(|(s, w)| if *w > 1e-3 { s / w } else { f32::NAN }).collect()
}

/// Separable Gaussian smoothing with zeros outside the image.
fn smooth(values: Vec<f32>, width: usize, sigma_px: f64) -> Vec<f32> {
    let height = values.len() / width;
    let along_x = smooth_rows(values, width, sigma_px);
    let along_y = smooth_rows(transpose(&along_x, width), height, sigma_px);
    transpose(&along_y, height)
}

fn smooth_rows(mut values: Vec<f32>, width: usize, sigma_px: f64) -> Vec<f32> {
    if sigma_px < 10.0 {
        let reach = (3.5 * sigma_px).ceil() as usize;
        let raw: Vec<f64> = (0..=reach).map(|i| (-0.5 * (i as f64 / sigma_px.max(1e-3)).powi(2)).exp()).collect();
        let total = raw[0] + 2.0 * raw[1..].iter().sum::<f64>();
        let kernel: Vec<f32> = raw.iter().map(|k| (k / total) as f32).collect();
        values.par_chunks_exact_mut(width).for_each(|row| {
            let source = row.to_vec();
            for (x, out) in row.iter_mut().enumerate() {
                let first = x.saturating_sub(reach);
                let last = (x + reach).min(width - 1);
                *out = (first..=last).map(|i| source[i] * kernel[i.abs_diff(x)]).sum();
            }
        });
    } else {
        // Three running means whose widths have together the variance of the Gaussian (Wells, PAMI 8 (1986) 234).
        let radius = ((sigma_px * sigma_px * 4.0 + 1.0).sqrt() / 2.0 - 0.5).round().max(1.0) as usize;
        values.par_chunks_exact_mut(width).for_each(|row| (0..3).for_each(|_| running_mean(row, radius)));
    }
    values
}

fn running_mean(row: &mut [f32], radius: usize) {
    let mut cumulative = Vec::with_capacity(row.len() + 1);
    cumulative.push(0.0_f64);
    for v in row.iter() {
        cumulative.push(cumulative[cumulative.len() - 1] + f64::from(*v));
    }
    let width = row.len();
    for (x, out) in row.iter_mut().enumerate() {
        let sum = cumulative[(x + radius + 1).min(width)] - cumulative[x.saturating_sub(radius)];
        *out = (sum / (2 * radius + 1) as f64) as f32;
    }
}

fn transpose(values: &[f32], width: usize) -> Vec<f32> {
    let height = values.len() / width;
    let mut out = vec![0.0; values.len()];
    // Bands of 16 columns keep both the reads and the writes in cache.
    out.par_chunks_mut(16 * height).enumerate().for_each(|(band, rows)| {
        let first = 16 * band;
        for y in 0..height {
            for (i, row) in rows.chunks_exact_mut(height).enumerate() {
                row[y] = values[y * width + first + i];
            }
        }
    });
    out
}

/// Every row `factor` times as finely sampled by a Lanczos-3 kernel, its weights normalised at the ends.
fn resample(values: &[f32], width: usize, factor: usize) -> Vec<f32> {
    let lanczos = |x: f64| if x.abs() < 1e-9 { 1.0 } else { sinc(x) * sinc(x / 3.0) };
    let mut out = vec![0.0; values.len() * factor];
    out.par_chunks_exact_mut(width * factor).zip(values.par_chunks_exact(width)).for_each(|(fine, row)| {
        for (i, value) in fine.iter_mut().enumerate() {
            let x = i as f64 / factor as f64;
            let near = x.floor() as isize;
            let (mut sum, mut total) = (0.0, 0.0);
            for j in (near - 2).max(0)..=(near + 3).min(width as isize - 1) {
                let weight = lanczos(x - j as f64);
                sum += weight * f64::from(row[j as usize]);
                total += weight;
            }
            *value = (sum / total) as f32;
        }
    });
    out
}

fn sinc(x: f64) -> f64 {
    (std::f64::consts::PI * x).sin() / (std::f64::consts::PI * x)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn smoothing_keeps_a_constant_beside_nan_and_dead_rows() {
        let (width, height) = (40, 30);
        let mut image: Vec<f32> = (0..width * height).map(|i| 5.0 + (((i * 7919) % 13) as f32) * 0.1).collect();
        image[..3 * width].fill(f32::NAN);
        image[17 * width..18 * width].fill(0.0);
        let prepared = Prepared::new(&image, width, height).unwrap();
        assert!(!prepared.valid[5] && !prepared.valid[17 * width + 3] && prepared.valid[20 * width]);
        let smooth = blur(&prepared.values, &prepared.valid, width, 6.0);
        let (low, high) = smooth.iter().fold((f32::MAX, f32::MIN), |(l, h), v| (l.min(*v), h.max(*v)));
        assert!(high - low < 0.12, "{low} {high}");
    }

    #[test]
    fn both_smoothings_have_the_variance_asked_for() {
        for sigma in [1.3, 4.0, 10.5, 17.0] {
            let (width, height) = (161, 121);
            let mut image = vec![0.0; width * height];
            image[60 * width + 80] = 1.0;
            let out = smooth(image, width, sigma);
            let moment =
                |power: i32| out.iter().enumerate().map(|(i, v)| f64::from(*v) * ((i % width) as f64 - 80.0).powi(power)).sum::<f64>();
            assert!((moment(0) - 1.0).abs() < 1e-4);
            assert!((moment(2).sqrt() / sigma - 1.0).abs() < 0.05, "{sigma}: {}", moment(2).sqrt());
        }
    }

    #[test]
    fn upsampling_interpolates_a_band_limited_wave() {
        let (width, height) = (32, 24);
        let wave = |x: f64, y: f64| (0.9 * x + 0.5 * y).cos();
        let image: Vec<f32> = (0..width * height).map(|i| wave((i % width) as f64, (i / width) as f64) as f32).collect();
        let fine = Prepared { width, height, values: image, valid: vec![true; width * height] }.upsampled(3);
        let at = |x: usize, y: usize| f64::from(fine.values[y * fine.width + x]);
        for (x, y) in [(40, 31), (52, 40), (29, 25)] {
            assert!((at(x, y) - wave(x as f64 / 3.0, y as f64 / 3.0)).abs() < 0.02);
        }
    }

    #[test]
    fn blank_flat_and_misshapen_images_are_refused() {
        assert_eq!(Prepared::new(&[f32::NAN; 100], 10, 10).unwrap_err(), Unusable::Blank);
        assert_eq!(Prepared::new(&[2.0; 100], 10, 10).unwrap_err(), Unusable::Flat);
        assert_eq!(Prepared::new(&[2.0; 100], 10, 11).unwrap_err(), Unusable::Shape);
        assert_eq!(median(vec![4.0, 1.0, 3.0, 2.0]), Some(2.5));
    }
}
