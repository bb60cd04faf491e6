//! The largest shift that the allowed tilts can fake in an unpolarized crystal, over every thickness, defocus and source size of the table; pm.

use super::response::{Response, ResponseTable, Setting};

/// Azimuths of the ring of tilts.
const AZIMUTHS: usize = 72;
/// Sizes of tilt between zero and the largest.
const SIZES: usize = 20;

/// All shifts that can be faked.
#[derive(Debug, Clone, PartialEq)]
pub struct Bound {
    /// Largest tilt, mrad.
    pub max_tilt_mrad: f64,
    /// `[size]`: shifts faked by tilts of (size + 1) / SIZES of the largest, any azimuth and setting, pm.
    faked: Vec<Vec<[f64; 2]>>,
    /// The responses, one a corner and the middle of the table.
    responses: Vec<Response>,
}

/// How well one tilt explains all regions as unpolarized.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct CommonTilt {
    /// The tilt that explains most, mrad, axes of the crystal.
    pub tilt_mrad: [f64; 2],
    /// What it leaves: Σ over regions of dᵀC⁻¹d.
    pub chi_square: f64,
    /// Numbers less tilt components.
    pub freedom: usize,
}

impl CommonTilt {
    /// Whether chance leaves so much in less than 1 of 1000 cases (Wilson and Hilferty, Proc. Natl. Acad. Sci. 17 (1931) 684).
    #[must_use]
    pub fn is_excluded(&self) -> bool {
        let n = self.freedom as f64;
        if n < 1.0 {
            return false;
        }
        let spread = 2.0 / (9.0 * n);
        self.chi_square > n * (1.0 - spread + 3.09 * spread.sqrt()).powi(3)
    }
}

impl Bound {
    /// For tilts up to `max_tilt_mrad`.
    #[must_use]
    pub fn new(table: &ResponseTable, max_tilt_mrad: f64) -> Self {
        let mut responses = Vec::new();
        for &thickness_nm in &table.thickness_nm {
            for &defocus_nm in &table.defocus_nm {
                for &source_fwhm_angstrom in &table.source_fwhm_angstrom {
                    let response = table.at(&Setting { thickness_nm, defocus_nm, source_fwhm_angstrom });
                    responses.push(unpolarized(&response, table.true_shift_pm));
                }
            }
        }
        let ring = |size: f64| {
            let tilts = (0..AZIMUTHS).map(move |i| {
                let angle = std::f64::consts::TAU * i as f64 / AZIMUTHS as f64;
                [size * angle.cos(), size * angle.sin()]
            });
            tilts.flat_map(|t| responses.iter().map(move |r| r.fake_pm(t))).collect::<Vec<_>>()
        };
        let faked = (1..=SIZES).map(|i| ring(max_tilt_mrad * i as f64 / SIZES as f64)).collect();
        Self { max_tilt_mrad, faked, responses }
    }

    /// The largest shift that can be faked along a direction, pm; not negative.
    #[must_use]
    pub fn along(&self, direction: [f64; 2]) -> f64 {
        (0..SIZES).map(|i| self.along_at(i, direction)).fold(0.0, f64::max)
    }

    fn along_at(&self, size: usize, [x, y]: [f64; 2]) -> f64 {
        let length = x.hypot(y);
        if length == 0.0 {
            return 0.0;
        }
        self.faked[size].iter().map(|f| (f[0] * x + f[1] * y) / length).fold(0.0, f64::max)
    }

    /// The largest shift in any direction, pm.
    #[must_use]
    pub fn largest(&self) -> f64 {
        self.faked.iter().flatten().map(|f| f[0].hypot(f[1])).fold(0.0, f64::max)
    }

    /// The smallest tilt, mrad, that can fake a shift in full; beyond the allowed range it is continued in proportion.
    #[must_use]
    pub fn needed_mrad(&self, shift_pm: [f64; 2]) -> f64 {
        let length = shift_pm[0].hypot(shift_pm[1]);
        let (mut size_before, mut fake_before) = (0.0, 0.0);
        for i in 0..SIZES {
            let (size, fake) = (self.max_tilt_mrad * (i + 1) as f64 / SIZES as f64, self.along_at(i, shift_pm));
            if fake >= length {
                return size_before + (size - size_before) * (length - fake_before) / (fake - fake_before);
            }
            if fake > fake_before {
                (size_before, fake_before) = (size, fake);
            }
        }
        if fake_before > 0.0 { size_before * length / fake_before } else { f64::INFINITY }
    }

    /// The allowed tilt that explains most if no region is polarized; regions by mean (pm) and covariance (pm²).
    #[must_use]
    pub fn common_tilt(&self, regions: &[([f64; 2], [f64; 3])]) -> CommonTilt {
        const ACROSS: i32 = 20;
        let mut best = CommonTilt { tilt_mrad: [0.0; 2], chi_square: f64::INFINITY, freedom: (2 * regions.len()).saturating_sub(2) };
        for i in -ACROSS..=ACROSS {
            for j in -ACROSS..=ACROSS {
                let tilt = [i, j].map(|n| self.max_tilt_mrad * f64::from(n) / f64::from(ACROSS));
                if tilt[0].hypot(tilt[1]) > self.max_tilt_mrad {
                    continue;
                }
                for response in &self.responses {
                    let fake = response.fake_pm(tilt);
                    let chi_square = regions.iter().map(|(p, c)| distance_square([p[0] - fake[0], p[1] - fake[1]], *c)).sum::<f64>();
                    if chi_square < best.chi_square {
                        best = CommonTilt { tilt_mrad: tilt, chi_square, ..best };
                    }
                }
            }
        }
        best
    }
}

/// The response of the crystal with its polarization taken out; one that has none is left as it is.
fn unpolarized(response: &Response, true_shift_pm: [f64; 2]) -> Response {
    response.of_domain(true_shift_pm.map(|p| if p.abs() > 3.0 { 0.0 } else { 1.0 }))
}

/// dᵀC⁻¹d for a covariance [xx, xy, yy]; infinite where it has no inverse.
#[must_use]
pub(super) fn distance_square(d: [f64; 2], [xx, xy, yy]: [f64; 3]) -> f64 {
    let determinant = xx * yy - xy * xy;
    if determinant > 0.0 { (yy * d[0] * d[0] - 2.0 * xy * d[0] * d[1] + xx * d[1] * d[1]) / determinant } else { f64::INFINITY }
}
