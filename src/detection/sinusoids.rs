//! Scan distortion as a sum of sinusoids in time, with the parametrisation of abTEM's scan noise: power in %, highest frequency, components.
//!
//! Frequencies f are uniform below the highest, amplitudes uniform on (0, 1)/√f, phases random; x and y are independent. The sum is scaled so
//! that the root mean square, over the pixels, of the relative change of the local magnification, (1 + ∂dx/∂x)(1 + ∂dy/∂y) − 1 by differences
//! of neighbouring pixels, is `power_percent`/235.5: the power is the full width at half maximum of that distribution, in %
//! (abTEM 1.0, `ScanNoiseTransform`; Madsen & Susi, Open Research Europe 1 (2021) 24).

use super::settings::within;
use super::spectrum::Spectrum;
use super::{CameraError, Timing};
use crate::numerics::seeds::Streams;
use num_complex::Complex64;
use rand::RngExt;
use rayon::prelude::*;
use std::f64::consts::TAU;

/// A magnification deviation of rms 1 is a full width at half maximum of 235.5 %.
const FWHM_PERCENT: f64 = 235.5;

/// Sinusoidal scan distortion.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sinusoids {
    /// Full width at half maximum of the distribution of the local magnification, %.
    pub power_percent: f64,
    /// Highest frequency, Hz.
    pub max_hz: f64,
    /// Number of frequencies for each of x and y.
    pub components: u32,
}

impl Sinusoids {
    pub(super) fn check(&self) -> Result<(), CameraError> {
        within("power of the sinusoidal distortion in %", self.power_percent, 0.0, 100.0, "0 to 100")?;
        within("highest frequency of the distortion in Hz", self.max_hz, 1e-3, 1e6, "0.001 to 1000000")?;
        within("number of frequencies of the distortion", f64::from(self.components), 1.0, 10_000.0, "1 to 10000")
    }

    /// The distortion of one frame.
    pub(super) fn path(&self, seed: u64, frame: Frame) -> SinusoidPath {
        let profile = |stream: u64| -> Vec<Component> {
            let mut rng = Streams::new("mistilt 2026 camera sinusoids", seed).stream(stream);
            let draw = |_| {
                // 1 - u avoids the frequency 0, whose amplitude is infinite.
                let hz = (1.0 - rng.random::<f64>()) * self.max_hz;
                let amplitude = rng.random::<f64>() / hz.sqrt();
                Component { per_us: 1e-6 * hz, amplitude, phase: TAU * rng.random::<f64>() }
            };
            (0..self.components).map(draw).collect()
        };
        let mut path = SinusoidPath { profiles: [profile(0), profile(1)], angstrom: 0.0, frame };
        let deviation = path.deviation();
        path.angstrom = if deviation > 0.0 { self.power_percent / (FWHM_PERCENT * deviation) * frame.pixel_angstrom } else { 0.0 };
        path
    }

    /// The one-sided power spectral density of dx at the starts of the lines that an ensemble of such frames has, pm² rows, f in cycles a
    /// row: N s²/(6 f_Hz f_max) folded at the line rate, s the scale that the expected deviation of the magnification gives.
    #[must_use]
    pub fn spectrum(&self, frequencies: &[f64], timing: Timing, width: usize, pixel_pm: f64) -> Spectrum {
        let line_s = 1e-6 * timing.line_us(width);
        let n = f64::from(self.components);
        // ⟨a²/2⟩ = 1/(6f): by the midpoint rule over f, where the gradients weigh each f by sin²(2πfΔt), Δt a pixel or a line apart.
        let steps = 100_000;
        let gradient = |dt: f64| {
            let at = |i: i32| {
                let f = (f64::from(i) + 0.5) / f64::from(steps) * self.max_hz;
                (TAU * f * dt).sin().powi(2) / (6.0 * f)
            };
            n * (0..steps).map(at).sum::<f64>() / f64::from(steps)
        };
        let deviation_squared = gradient(1e-6 * timing.dwell_us) + gradient(line_s);
        let scale_pm = self.power_percent / FWHM_PERCENT / deviation_squared.sqrt() * pixel_pm;
        let density = |hz: f64| if hz > 0.0 && hz <= self.max_hz { n * scale_pm * scale_pm / (6.0 * hz * self.max_hz) } else { 0.0 };
        let folds = (self.max_hz * line_s).ceil() as i32 + 1;
        let at = |&f: &f64| (-folds..=folds).map(|m| density((f + f64::from(m)).abs() / line_s)).sum::<f64>() / line_s;
        Spectrum { frequency_per_row: frequencies.to_vec(), density_pm2_rows: frequencies.iter().map(at).collect() }
    }
}

/// Size and timing of the frame.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize, serde::Deserialize)]
pub(super) struct Frame {
    pub(super) timing: Timing,
    pub(super) width: usize,
    pub(super) height: usize,
    pub(super) pixel_angstrom: f64,
}

/// a sin(2πft + phase).
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize, serde::Deserialize)]
struct Component {
    per_us: f64,
    amplitude: f64,
    phase: f64,
}

/// The sinusoids of one frame.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub(super) struct SinusoidPath {
    profiles: [Vec<Component>; 2],
    /// Scale of the profiles.
    angstrom: f64,
    frame: Frame,
}

impl SinusoidPath {
    pub(super) fn add(&self, iy: usize, ix: usize, row: &mut [[f64; 2]]) {
        let start = self.frame.timing.time_us(ix, iy, self.frame.width);
        for (c, profile) in self.profiles.iter().enumerate() {
            for k in profile {
                let mut wave = Complex64::cis(TAU * (k.per_us * start).fract() + k.phase) * (self.angstrom * k.amplitude);
                let step = Complex64::cis(TAU * k.per_us * self.frame.timing.dwell_us);
                for d in row.iter_mut() {
                    d[c] += wave.im;
                    wave *= step;
                }
            }
        }
    }

    /// Root mean square of the deviation of the magnification at unit scale (displacements in pixels).
    fn deviation(&self) -> f64 {
        let Frame { width, height, .. } = self.frame;
        let rows: Vec<f64> = (0..height).into_par_iter().map(|iy| self.row_deviation(iy)).collect();
        (rows.iter().sum::<f64>() / (width * height) as f64).sqrt()
    }

    /// Sum of the squares over one row. Central differences, one-sided at the edges: the difference of a sinusoid between t + p and t − m
    /// is another sinusoid, 2a sin(πf(p + m)) cos(2πf(t + (p − m)/2) + phase).
    fn row_deviation(&self, iy: usize) -> f64 {
        let Frame { timing, width, height, .. } = self.frame;
        let (line, dwell) = (timing.line_us(width), timing.dwell_us);
        let mut down = vec![0.0; width];
        self.differences(1, timing.time_us(0, iy, width), ends(iy, height).map(|n| n * line), &mut down);
        let mut along = vec![0.0; width];
        self.differences(0, timing.time_us(0, iy, width), [dwell; 2], &mut along);
        for ix in [0, width - 1] {
            let mut one = [0.0];
            self.differences(0, timing.time_us(ix, iy, width), ends(ix, width).map(|n| n * dwell), &mut one);
            along[ix] = one[0];
        }
        along.iter().zip(&down).map(|(gx, gy)| ((1.0 + gx) * (1.0 + gy) - 1.0).powi(2)).sum()
    }

    /// The slope per pixel (or row) between `after` and `before` µs about each pixel of a line that starts at `start` µs.
    fn differences(&self, profile: usize, start: f64, [before, after]: [f64; 2], out: &mut [f64]) {
        let dwell = self.frame.timing.dwell_us;
        // Steps of one pixel or one line: two of them in the middle, one at an edge, none in a frame of one.
        let steps = f64::from(u8::from(before > 0.0) + u8::from(after > 0.0)).max(1.0);
        for k in &self.profiles[profile] {
            let middle = start + 0.5 * (after - before);
            let size = 2.0 * k.amplitude * (0.5 * TAU * k.per_us * (before + after)).sin() / steps;
            let mut wave = Complex64::cis(TAU * (k.per_us * middle).fract() + k.phase) * size;
            let step = Complex64::cis(TAU * k.per_us * dwell);
            for value in out.iter_mut() {
                *value += wave.re;
                wave *= step;
            }
        }
    }
}

/// How many neighbours there are before and after index `i` of `n`, at most one each.
fn ends(i: usize, n: usize) -> [f64; 2] {
    [f64::from(u8::from(i > 0)), f64::from(u8::from(i + 1 < n))]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_local_magnification_deviates_as_asked() {
        let settings = Sinusoids { power_percent: 3.0, max_hz: 500.0, components: 50 };
        let frame = Frame { timing: Timing::default(), width: 40, height: 30, pixel_angstrom: 0.2 };
        let path = settings.path(5, frame);
        let mut field = vec![vec![[0.0; 2]; 40]; 30];
        field.iter_mut().enumerate().for_each(|(iy, row)| path.add(iy, 0, row));
        // numpy.gradient's differences, in pixels.
        let slope = |low: f64, high: f64, apart: usize| (high - low) / apart.max(1) as f64 / 0.2;
        let mut sum = 0.0;
        for iy in 0..30_usize {
            for ix in 0..40_usize {
                let (l, r) = (ix.saturating_sub(1), (ix + 1).min(39));
                let (u, d) = (iy.saturating_sub(1), (iy + 1).min(29));
                let gx = slope(field[iy][l][0], field[iy][r][0], r - l);
                let gy = slope(field[u][ix][1], field[d][ix][1], d - u);
                sum += ((1.0 + gx) * (1.0 + gy) - 1.0).powi(2);
            }
        }
        let fwhm = FWHM_PERCENT * (sum / 1200.0).sqrt();
        // Scaled after the product is taken at unit scale: equal to first order in the slopes.
        assert!((fwhm - 3.0).abs() < 0.2, "{fwhm}");
        let mut part = [[0.0; 2]; 3];
        path.add(7, 11, &mut part);
        for (a, b) in part.iter().zip(&field[7][11..14]) {
            assert!((a[0] - b[0]).abs() < 1e-12 && (a[1] - b[1]).abs() < 1e-12);
        }
    }
}
