//! Power spectra of scan noise down the rows: estimated from displacements, to be held against the spectra that the stages state.

use crate::numerics::fft::Fft2;
use num_complex::Complex64;
use std::f64::consts::TAU;

/// A one-sided power spectral density.
#[derive(Debug, Clone, PartialEq, Default, serde::Serialize)]
pub struct Spectrum {
    /// Frequencies, cycles a row, above 0 to below 1/2.
    pub frequency_per_row: Vec<f64>,
    /// Density, pm² rows: its integral over the frequency is the variance.
    pub density_pm2_rows: Vec<f64>,
}

/// The mean of the periodograms of several series of equal length (pm, one value a row) under Hann's window (Welch, IEEE Trans. Audio
/// Electroacoust. 15 (1967) 70); empty for series of fewer than four values.
#[must_use]
pub fn periodogram(series: &[Vec<f64>]) -> Spectrum {
    let n = series.iter().map(Vec::len).min().unwrap_or(0);
    if n < 4 {
        return Spectrum::default();
    }
    let window: Vec<f64> = (0..n).map(|i| 0.5 - 0.5 * (TAU * (i as f64 + 0.5) / n as f64).cos()).collect();
    let power = window.iter().map(|w| w * w).sum::<f64>();
    let fft = Fft2::<f64>::new(n, 1);
    let mut scratch = fft.scratch();
    let bins = 1..n.div_ceil(2);
    let mut density = vec![0.0; bins.len()];
    for values in series {
        let mut wave: Vec<Complex64> = values.iter().zip(&window).map(|(v, w)| Complex64::new(v * w, 0.0)).collect();
        fft.forward(&mut wave, &mut scratch);
        for (sum, c) in density.iter_mut().zip(&wave[bins.clone()]) {
            *sum += 2.0 * c.norm_sqr() / power / series.len() as f64;
        }
    }
    Spectrum { frequency_per_row: bins.map(|k| k as f64 / n as f64).collect(), density_pm2_rows: density }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detection::sinusoids::Frame;
    use crate::detection::{RowJitter, Sinusoids, Timing};

    /// Means of the ratio of two spectra over four bands of frequencies.
    fn ratios(found: &Spectrum, stated: &Spectrum) -> Vec<f64> {
        assert_eq!(found.frequency_per_row, stated.frequency_per_row);
        let ratio: Vec<f64> = found.density_pm2_rows.iter().zip(&stated.density_pm2_rows).map(|(f, s)| f / s).collect();
        // The lowest bins leak into one another where the spectrum is steep.
        ratio[2..].chunks(ratio.len().div_ceil(4)).map(|band| band.iter().sum::<f64>() / band.len() as f64).collect()
    }

    #[test]
    fn row_jitter_has_the_variance_and_the_spectrum_of_its_parameters() {
        for correlation in [0.0, 0.7, -0.4] {
            let jitter = RowJitter { rms_pm: 6.0, y_ratio: 0.5, correlation };
            let frames: Vec<Vec<[f64; 2]>> = (0..100).map(|seed| jitter.rows(seed, 512)).collect();
            let along = |c: usize| frames.iter().map(|f| f.iter().map(|d| 100.0 * d[c]).collect()).collect::<Vec<Vec<f64>>>();
            let (x, y) = (along(0), along(1));
            let rms = |s: &[Vec<f64>]| (s.iter().flatten().map(|v| v * v).sum::<f64>() / 51_200.0).sqrt();
            assert!((rms(&x) - 6.0).abs() < 0.2 && (rms(&y) - 3.0).abs() < 0.1, "{} {}", rms(&x), rms(&y));
            let found = periodogram(&x);
            let stated = jitter.spectrum(&found.frequency_per_row);
            for ratio in ratios(&found, &stated) {
                // 100 frames of 64 bins each: a standard error near 2 %.
                assert!((ratio - 1.0).abs() < 0.08, "correlation {correlation}: {ratio}");
            }
            let integral: f64 = stated.density_pm2_rows.iter().sum::<f64>() / 512.0;
            assert!((integral - 36.0).abs() < 1.0, "{integral}");
        }
    }

    #[test]
    fn sinusoids_have_the_spectrum_of_their_parameters() {
        let settings = Sinusoids { power_percent: 4.0, max_hz: 500.0, components: 200 };
        let frame = Frame { timing: Timing::default(), width: 200, height: 256, pixel_angstrom: 0.2 };
        let rows = |seed: u64| -> Vec<f64> {
            let path = settings.path(seed, frame);
            (0..256)
                .map(|iy| {
                    let mut first = [[0.0; 2]];
                    path.add(iy, 0, &mut first);
                    100.0 * first[0][0]
                })
                .collect()
        };
        let found = periodogram(&(0..60).map(rows).collect::<Vec<_>>());
        let stated = settings.spectrum(&found.frequency_per_row, frame.timing, 200, 20.0);
        for ratio in ratios(&found, &stated) {
            assert!((ratio - 1.0).abs() < 0.2, "{ratio}");
        }
    }
}
