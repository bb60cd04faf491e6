//! A noiseless image that can be evaluated anywhere (fraction of the beam, image axes, Å), where its pixels stand, and its source's shape.

use std::f64::consts::{LN_2, PI};

/// A noiseless image: a value at every position. What samples it (a scan with its jitter and drift) decides where.
pub trait Radiance: Sync {
    /// Writes the value at each position, as fraction of the beam, into `out`; image axes (x right, y down), Å.
    ///
    /// # Panics
    /// If `out` is not as long as `positions_angstrom`.
    fn evaluate(&self, positions_angstrom: &[[f64; 2]], out: &mut [f64]);

    /// The same image seen with an effective source, exactly; `None` where the image cannot tell and has to be made with its source.
    fn seen_with(&self, source: &SourceShape) -> Option<Box<dyn Radiance + '_>> {
        let _ = source;
        None
    }
}

/// Where pixels stand: pixel (ix, iy) has its centre at `origin_angstrom + pixel_angstrom (ix, iy)`; x right, y down.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Raster {
    /// Centre of the first pixel, Å.
    pub origin_angstrom: [f64; 2],
    /// Side of a pixel, Å.
    pub pixel_angstrom: f64,
    /// Pixels in a row.
    pub width: usize,
    /// Rows.
    pub height: usize,
}

impl Raster {
    /// A square of `side_angstrom` from `origin_angstrom`, of at least one pixel.
    #[must_use]
    pub fn square(origin_angstrom: [f64; 2], side_angstrom: f64, pixel_angstrom: f64) -> Self {
        let side = (side_angstrom / pixel_angstrom).round().max(1.0) as usize;
        Self { origin_angstrom, pixel_angstrom, width: side, height: side }
    }

    /// Centre of a pixel, Å.
    #[must_use]
    pub fn position(&self, ix: usize, iy: usize) -> [f64; 2] {
        let [x, y] = self.origin_angstrom;
        [x + self.pixel_angstrom * ix as f64, y + self.pixel_angstrom * iy as f64]
    }

    /// Centres of the pixels of row `iy`, Å.
    pub fn row(&self, iy: usize) -> impl Iterator<Item = [f64; 2]> + use<> {
        let raster = *self;
        (0..self.width).map(move |ix| raster.position(ix, iy))
    }

    /// Pixel coordinates of a position.
    #[must_use]
    pub fn to_px(&self, position_angstrom: [f64; 2]) -> [f64; 2] {
        [0, 1].map(|c| (position_angstrom[c] - self.origin_angstrom[c]) / self.pixel_angstrom)
    }

    /// Whether pixel coordinates lie between the centres of the outermost pixels.
    #[must_use]
    pub fn holds_px(&self, px: [f64; 2]) -> bool {
        let inside = |p: f64, n: usize| (0.0..=n as f64 - 1.0).contains(&p);
        inside(px[0], self.width) && inside(px[1], self.height)
    }
}

/// The effective source as the image sees it: a Gaussian core, and a fraction of the beam in wider tails.
///
/// Measured sources have tails beyond a Gaussian that a bivariate Cauchy distribution describes (Verbeeck, Béché & Van den Broek,
/// Ultramicroscopy 120 (2012) 35). The tails are those of the probe: they act after the core, and the two transfers multiply.
#[derive(Debug, Clone, Copy, PartialEq, Default, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SourceShape {
    /// Full width at half maximum of the Gaussian, Å; 0 for a point.
    pub fwhm_angstrom: f64,
    /// Fraction of the beam in the tails, 0 to 1.
    pub tail_fraction: f64,
    /// Full width at half maximum of the tails' bivariate Cauchy distribution, Å.
    pub tail_fwhm_angstrom: f64,
}

impl SourceShape {
    /// Whether it changes nothing.
    #[must_use]
    pub fn is_point(&self) -> bool {
        self.fwhm_angstrom == 0.0 && (self.tail_fraction == 0.0 || self.tail_fwhm_angstrom == 0.0)
    }

    /// Factor on the Fourier coefficient at |q|², 1/Å²; 1 at q = 0.
    ///
    /// exp(−(π w q)²/(4 ln 2)) of a Gaussian of width w, times 1 − f + f exp(−2πγq) of tails γ/(2π (r² + γ²)^(3/2)), whose width is
    /// 2γ (2^(2/3) − 1)^(1/2).
    #[must_use]
    pub fn transfer(&self, q_squared: f64) -> f64 {
        let core = (-(PI * self.fwhm_angstrom).powi(2) * q_squared / (4.0 * LN_2)).exp();
        let gamma = self.tail_fwhm_angstrom / (2.0 * (4.0_f64.cbrt() - 1.0).sqrt());
        core * (1.0 - self.tail_fraction + self.tail_fraction * (-2.0 * PI * gamma * q_squared.sqrt()).exp())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pixels_and_positions_are_inverse() {
        let raster = Raster { origin_angstrom: [-1.0, 2.0], pixel_angstrom: 0.25, width: 4, height: 3 };
        assert_eq!(raster.to_px(raster.position(3, 2)), [3.0, 2.0]);
        assert_eq!(raster.row(1).collect::<Vec<_>>(), (0..4).map(|i| raster.position(i, 1)).collect::<Vec<_>>());
        assert!(raster.holds_px([3.0, 2.0]) && !raster.holds_px([3.1, 2.0]) && !raster.holds_px([f64::NAN, 0.0]));
        assert_eq!(Raster::square([0.0; 2], 10.0, 0.2), Raster { origin_angstrom: [0.0; 2], pixel_angstrom: 0.2, width: 50, height: 50 });
    }

    #[test]
    fn the_transfer_is_the_fourier_transform_of_core_and_tails() {
        let core = SourceShape { fwhm_angstrom: 0.8, ..SourceShape::default() };
        // A Gaussian of width w falls to 1/2 at q = 2 ln 2 / (π w).
        let half = 2.0 * LN_2 / (PI * 0.8);
        assert!((core.transfer(half * half) - 0.5).abs() < 1e-14);
        // The Cauchy tails by their Hankel transform 2π ∫ f(r) J0(2πqr) r dr, J0 by its own integral, on r = γ tan t.
        let tails = SourceShape { tail_fraction: 1.0, tail_fwhm_angstrom: 3.0, ..SourceShape::default() };
        let gamma = 3.0 / (2.0 * (4.0_f64.cbrt() - 1.0).sqrt());
        let density = |r: f64| gamma / (2.0 * PI * (r * r + gamma * gamma).powf(1.5));
        assert!((density(1.5) / density(0.0) - 0.5).abs() < 1e-12, "half the height at half the width");
        let j0 = |z: f64| (0..400).map(|i| (z * ((f64::from(i) + 0.5) * PI / 400.0).sin()).cos()).sum::<f64>() / 400.0;
        let q = 0.05;
        let n = 20_000;
        let hankel: f64 = (0..n)
            .map(|i| {
                let t = (f64::from(i) + 0.5) / f64::from(n) * PI / 2.0;
                let r = gamma * t.tan();
                // Beyond 60 periods the oscillating tail of the integrand is below 1e-3 of the whole.
                if q * r > 60.0 { 0.0 } else { 2.0 * PI * density(r) * j0(2.0 * PI * q * r) * r * gamma / t.cos().powi(2) }
            })
            .sum::<f64>()
            * PI
            / 2.0
            / f64::from(n);
        assert!((hankel - tails.transfer(q * q)).abs() < 3e-3, "{hankel} {}", tails.transfer(q * q));
        assert_eq!(tails.transfer(0.0), 1.0);
        assert!(SourceShape::default().is_point() && !core.is_point() && !tails.is_point());
    }
}
