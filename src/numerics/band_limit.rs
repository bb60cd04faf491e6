//! The circular band limit that keeps products of waves and transmission functions free of aliasing; 1/Å.

/// Frequencies within `radius` pass; a cosine taper of width `taper` inside the radius softens the edge (0: a sharp edge).
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize)]
pub struct BandLimit {
    /// Cut-off, 1/Å.
    pub radius: f64,
    /// Width of the cosine taper that ends at the radius, 1/Å.
    pub taper: f64,
}

impl BandLimit {
    /// A sharp limit at two thirds of `nyquist` (1/Å): the widest for which transmission × wave does not alias into the passed disc.
    #[must_use]
    pub fn two_thirds(nyquist: f64) -> Self {
        Self { radius: 2.0 / 3.0 * nyquist, taper: 0.0 }
    }

    /// What passes, 0 to 1, at the distance `k` (1/Å) from the centre of the disc.
    #[must_use]
    pub fn pass(self, k: f64) -> f64 {
        if k > self.radius {
            0.0
        } else if k > self.radius - self.taper {
            0.5 * (1.0 + (std::f64::consts::PI * (k - self.radius + self.taper) / self.taper).cos())
        } else {
            1.0
        }
    }
}

#[cfg(test)]
mod tests {
    use super::BandLimit;

    #[test]
    fn the_taper_falls_smoothly_from_one_to_zero() {
        let soft = BandLimit { radius: 2.0, taper: 0.5 };
        assert!((soft.pass(1.4999) - 1.0).abs() < 1e-12 && (soft.pass(1.75) - 0.5).abs() < 1e-12);
        assert!(soft.pass(1.9999) < 1e-6 && soft.pass(2.0001) == 0.0);
        let hard = BandLimit::two_thirds(3.0);
        assert!(hard.pass(1.9999) > 0.5 && hard.pass(2.0001) < 0.5);
    }
}
