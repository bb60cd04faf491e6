//! exp(x) without branches or tables, so that loops over pixels vectorise; relative error below 1e-14 for −700 ≤ x ≤ 700, clamped below.
//!
//! Cody and Waite's reduction x = k ln 2 + r, then the Taylor series of exp(r), |r| ≤ ln 2 / 2, by Estrin's scheme.

/// 1.5 · 2⁵²: adding it leaves the nearest integer in the low bits of the mantissa.
const ROUND: f64 = 6_755_399_441_055_744.0;
/// ln 2 = HIGH + LOW, HIGH short enough that k · HIGH is exact.
const LN2_HIGH: f64 = 6.931_471_803_691_238e-1;
const LN2_LOW: f64 = 1.908_214_929_270_587_7e-10;

/// exp(x) for x ≤ 700; x below −700 counts as −700.
#[inline]
pub(super) fn exp(x: f64) -> f64 {
    let x = if x > -700.0 { x } else { -700.0 };
    let shifted = x * std::f64::consts::LOG2_E + ROUND;
    let k = shifted - ROUND;
    let r = (x - k * LN2_HIGH) - k * LN2_LOW;
    let (r2, c) = (r * r, &INVERSE_FACTORIALS);
    let r4 = r2 * r2;
    let low = (1.0 + r) + r2 * (c[2] + r * c[3]);
    let middle = (c[4] + r * c[5]) + r2 * (c[6] + r * c[7]);
    let high = (c[8] + r * c[9]) + r2 * (c[10] + r * c[11]);
    let series = low + r4 * (middle + r4 * high);
    // k is added to the exponent bits; its bits beyond the exponent fall off the top.
    f64::from_bits(series.to_bits().wrapping_add(shifted.to_bits() << 52))
}

const INVERSE_FACTORIALS: [f64; 12] = {
    let mut c = [1.0; 12];
    let mut n = 1;
    while n < 12 {
        c[n] = c[n - 1] / n as f64;
        n += 1;
    }
    c
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn agrees_with_the_standard_library_to_1e_14_and_clamps() {
        for i in -70_000..=70_000 {
            let x = f64::from(i) * 0.01 - 1e-4;
            if x.abs() < 700.0 {
                assert!((exp(x) / x.exp() - 1.0).abs() < 1e-14, "{x}");
            }
        }
        assert_eq!(exp(0.0).to_bits(), 1.0f64.to_bits());
        assert!((exp(-1e9) / (-700.0f64).exp() - 1.0).abs() < 1e-13);
        assert!(exp(f64::NAN) < 1e-300);
    }
}
