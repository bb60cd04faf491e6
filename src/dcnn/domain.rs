//! What the windows of a training look like, and how far others are from that: the power of a window in rings of spatial frequency, and the
//! Mahalanobis distance of its logarithms.

use super::{DcnnError, Network, Prediction};
use crate::columns::median;
use crate::windows::WindowSet;
use rustfft::FftPlanner;
use rustfft::num_complex::Complex32;
use serde::{Deserialize, Serialize};

/// Rings between frequency 0 and Nyquist.
const RINGS: usize = 8;
/// Relative power that is added to every ring: detail below this is nothing.
const FLOOR: f64 = 1e-6;
/// Spread that is believed of a ring at least, in decades: training windows that are all alike must not make every other one foreign.
const LEAST_SPREAD: f64 = 0.03;

/// Part of the windows beyond the training's 99 % from which on an image is refused, and from which on it is warned of.
const REFUSED_BEYOND: f64 = 0.5;
const WARNED_BEYOND: f64 = 0.1;
/// Times the disagreement of the members on validation windows (95th percentile) at which an image is refused.
const REFUSED_DISAGREEMENT: f64 = 3.0;
/// Pixels may be this much coarser than the network's, beyond which detail is lost, and this much finer, which loses nothing.
const COARSEST: f64 = 2.0;
const FINEST: f64 = 1.0 / 8.0;

/// Mean and covariance of the logarithmic ring powers of training windows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Domain {
    /// Side of a window, px.
    size_px: usize,
    /// Mean log10 of each ring's part of the power, from low to high frequency.
    mean: Vec<f64>,
    /// Inverse of the covariance, row after row.
    precision: Vec<f64>,
    /// Distance that 99 % of the training windows keep.
    distance_99: f64,
}

/// How far the windows of an image are from those of the training.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct DomainCheck {
    /// Part of the windows farther than 99 % of the training windows: 0.01 where all is alike.
    pub beyond: f64,
    /// Median distance in units of the distance that 99 % of the training windows keep.
    pub median_distance: f64,
    /// Median log10 power of each ring, less that of the training: positive at high frequency means noisier.
    pub ring_decades: Vec<f64>,
}

impl Domain {
    /// Learns from windows (`n × size × size`, normalised).
    pub(super) fn of(windows: &[f32], size_px: usize) -> Self {
        let rings = descriptors(windows, size_px);
        let n = rings.len().max(1) as f64;
        let mean: Vec<f64> = (0..RINGS).map(|r| rings.iter().map(|d| d[r]).sum::<f64>() / n).collect();
        let mut covariance = vec![0.0; RINGS * RINGS];
        for d in &rings {
            for (i, j) in (0..RINGS * RINGS).map(|k| (k / RINGS, k % RINGS)) {
                covariance[i * RINGS + j] += (d[i] - mean[i]) * (d[j] - mean[j]) / n;
            }
        }
        for r in 0..RINGS {
            covariance[r * RINGS + r] += LEAST_SPREAD * LEAST_SPREAD;
        }
        let mut domain = Self { size_px, mean, precision: inverse(covariance), distance_99: 1.0 };
        let mut distances: Vec<f64> = rings.iter().map(|d| domain.distance(d)).collect();
        distances.sort_unstable_by(f64::total_cmp);
        domain.distance_99 = distances.get((distances.len() * 99 / 100).min(distances.len().max(1) - 1)).copied().unwrap_or(1.0).max(1e-9);
        domain
    }

    /// How far windows (prepared as those of the training) are from it; `None` without a window.
    #[must_use]
    pub(super) fn check(&self, windows: &[f32]) -> Option<DomainCheck> {
        let rings = descriptors(windows, self.size_px);
        let distances: Vec<f64> = rings.iter().map(|d| self.distance(d) / self.distance_99).collect();
        Some(DomainCheck {
            beyond: distances.iter().filter(|d| **d > 1.0).count() as f64 / distances.len() as f64,
            ring_decades: (0..RINGS).map(|r| median(rings.iter().map(|d| d[r] - self.mean[r]).collect()).unwrap_or(0.0)).collect(),
            median_distance: median(distances)?,
        })
    }

    fn distance(&self, descriptor: &[f64; RINGS]) -> f64 {
        let d: Vec<f64> = descriptor.iter().zip(&self.mean).map(|(v, m)| v - m).collect();
        let square: f64 = (0..RINGS * RINGS).map(|k| d[k / RINGS] * self.precision[k] * d[k % RINGS]).sum();
        square.max(0.0).sqrt()
    }
}

impl Network {
    /// Refuses an image whose pixels are too far from those of the training to be resampled to them.
    ///
    /// # Errors
    /// [`DcnnError::Domain`] with both sizes.
    pub fn check_pixel_size(&self, pixel_size_pm: f64) -> Result<(), DcnnError> {
        let own = self.pixel_size_pm();
        let factor = pixel_size_pm / own;
        if (FINEST..=COARSEST).contains(&factor) {
            return Ok(());
        }
        let reason = format!(
            "the image has pixels of {pixel_size_pm:.2} pm and the network was trained on {own:.2} pm: pixels more than {COARSEST} \
             times as coarse or 8 times as fine are not resampled; is the pixel size right? If it is, train on images of such pixels"
        );
        Err(DcnnError::Domain { reason })
    }

    /// How far windows are from those of the training; `None` without windows.
    ///
    /// # Errors
    /// [`DcnnError::Windows`] if they are cut otherwise than those of the training.
    pub fn check_domain(&self, windows: &WindowSet) -> Result<Option<DomainCheck>, DcnnError> {
        self.check_windows(windows)?;
        let mut values = windows.values.clone();
        self.prepare(&mut values, windows.normalisation);
        Ok(self.domain().and_then(|domain| domain.check(&values)))
    }

    /// Refuses predictions of windows that are unlike those of the training, or on which the members disagree; returns a warning where it is
    /// not sure.
    ///
    /// # Errors
    /// [`DcnnError::Domain`] says what is different, with numbers.
    pub fn refuse_foreign(&self, check: Option<&DomainCheck>, predictions: &[Prediction]) -> Result<Option<String>, DcnnError> {
        let disagreement = median(predictions.iter().flat_map(|p| p.epistemic_sigma_pm).map(f64::from).filter(|v| v.is_finite()).collect());
        if let (Some(found), Some(usual)) = (disagreement, self.epistemic_95_pm())
            && found > REFUSED_DISAGREEMENT * usual
        {
            let reason = format!(
                "the {} networks of the ensemble disagree by {found:.1} pm on this image (median), and by less than {usual:.1} pm on 95 % of what \
                 they were checked with: they have not learnt such images",
                self.member_count()
            );
            return Err(DcnnError::Domain { reason });
        }
        let Some(check) = check.filter(|c| c.beyond > WARNED_BEYOND) else { return Ok(None) };
        let high = check.ring_decades.last().copied().unwrap_or(0.0);
        let how = match high {
            h if h > 0.1 => "; they have more fine detail or noise",
            h if h < -0.1 => "; they have less fine detail or noise",
            _ => "",
        };
        let reason = format!(
            "{:.0} % of the windows are further from the network's training than 99 % of its own windows (median {:.1} times as far){how}",
            100.0 * check.beyond,
            check.median_distance
        );
        if check.beyond > REFUSED_BEYOND { Err(DcnnError::Domain { reason }) } else { Ok(Some(reason)) }
    }
}

/// log10 of each ring's part of the power of every window, its mean taken off and its rim faded by a Hann window.
fn descriptors(windows: &[f32], size: usize) -> Vec<[f64; RINGS]> {
    let fft = FftPlanner::<f32>::new().plan_fft_forward(size);
    let hann: Vec<f32> = (0..size).map(|i| (std::f32::consts::PI * (i as f32 + 0.5) / size as f32).sin().powi(2)).collect();
    let mut rows = vec![Complex32::default(); size * size];
    let mut columns = rows.clone();
    let mut describe = |window: &[f32]| {
        let mean = window.iter().sum::<f32>() / window.len() as f32;
        for (i, (to, v)) in rows.iter_mut().zip(window).enumerate() {
            *to = Complex32::new((v - mean) * hann[i % size] * hann[i / size], 0.0);
        }
        fft.process(&mut rows);
        for (i, to) in columns.iter_mut().enumerate() {
            *to = rows[i % size * size + i / size];
        }
        fft.process(&mut columns);
        let mut power = [0.0; RINGS];
        for (i, value) in columns.iter().enumerate() {
            let frequency = |k: usize| k.min(size - k) as f64 / (0.5 * size as f64);
            let ring = (frequency(i % size).hypot(frequency(i / size)) * RINGS as f64) as usize;
            // The corners beyond Nyquist count to the last ring.
            power[ring.min(RINGS - 1)] += f64::from(value.norm_sqr());
        }
        let total = power.iter().sum::<f64>().max(f64::MIN_POSITIVE);
        power.map(|p| (p / total + FLOOR).log10())
    };
    windows.chunks_exact(size * size).map(&mut describe).collect()
}

/// The inverse of a positive definite matrix by Gauss and Jordan's elimination; its diagonal was raised, so no pivot is zero.
fn inverse(mut matrix: Vec<f64>) -> Vec<f64> {
    let n = RINGS;
    let mut out: Vec<f64> = (0..n * n).map(|k| f64::from(u8::from(k / n == k % n))).collect();
    for p in 0..n {
        let pivot = matrix[p * n + p];
        for k in 0..n {
            matrix[p * n + k] /= pivot;
            out[p * n + k] /= pivot;
        }
        for r in (0..n).filter(|r| *r != p) {
            let factor = matrix[r * n + p];
            for k in 0..n {
                matrix[r * n + k] -= factor * matrix[p * n + k];
                out[r * n + k] -= factor * out[p * n + k];
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::numerics::seeds::Streams;
    use rand_distr::{Distribution, StandardNormal};

    /// Waves of a period of about `period` px with noise.
    fn waves(count: usize, period: f32, noise: f32, stream: u64) -> Vec<f32> {
        let mut random = Streams::new("waves", 1).stream(stream);
        let mut out = Vec::new();
        for _ in 0..count {
            let phase: f32 = StandardNormal.sample(&mut random);
            for (y, x) in (0..400).map(|i| (i / 20, i % 20)) {
                let draw: f32 = StandardNormal.sample(&mut random);
                let wave = |k: i32| (std::f32::consts::TAU * k as f32 / period + phase).sin();
                out.push(wave(x) + wave(y) + noise * draw);
            }
        }
        out
    }

    #[test]
    fn windows_like_those_of_the_training_are_at_home_and_others_are_not() {
        let domain = Domain::of(&waves(300, 7.0, 0.2, 0), 20);
        let check = |windows: &[f32]| domain.check(windows).unwrap();
        let alike = check(&waves(200, 7.0, 0.2, 1));
        assert!(alike.beyond < 0.08 && alike.median_distance < 1.0, "{alike:?}");
        let noisy = check(&waves(200, 7.0, 1.5, 2));
        assert!(noisy.beyond > 0.9 && *noisy.ring_decades.last().unwrap() > 0.5, "{noisy:?}");
        let finer = check(&waves(200, 4.0, 0.2, 3));
        assert!(finer.beyond > 0.9, "{finer:?}");
        assert!(domain.check(&[]).is_none());
    }

    #[test]
    fn the_inverse_is_one() {
        let mut matrix = vec![0.0; RINGS * RINGS];
        for (i, j) in (0..RINGS * RINGS).map(|k| (k / RINGS, k % RINGS)) {
            matrix[i * RINGS + j] = (-(i as f64 - j as f64).abs()).exp();
        }
        let inverted = inverse(matrix.clone());
        for (i, j) in (0..RINGS * RINGS).map(|k| (k / RINGS, k % RINGS)) {
            let product: f64 = (0..RINGS).map(|k| matrix[i * RINGS + k] * inverted[k * RINGS + j]).sum();
            assert!((product - f64::from(u8::from(i == j))).abs() < 1e-10);
        }
    }
}
