//! The cyclic colours of polarization maps: a tilted ring in Oklab (Ottosson 2020, <https://bottosson.github.io/posts/oklab/>), walked
//! at an even pace, so that equal turns look equally different; the green side is light and the magenta side dark, which keeps the
//! four directions apart for red-green-blind readers.

use std::sync::LazyLock;

/// Steps of the table around the ring.
const STEPS: usize = 360;
/// Lightness of the ring's centre and how far it tilts towards green.
const LIGHTNESS: f64 = 0.66;
const TILT: f64 = 0.13;
const CHROMA: f64 = 0.125;
/// Hue angle of the lightest point (green).
const LIGHTEST: f64 = 145.0;
/// Hue angle of a displacement to the right: a red, as in most published maps.
const RIGHT: f64 = 25.0;
/// The colour of no displacement: nearly white.
const ZERO: [f64; 3] = [0.97, 0.0, 0.0];

/// The ring at even steps of perceived difference, starting at a displacement to the right.
static RING: LazyLock<Vec<[f64; 3]>> = LazyLock::new(|| {
    let fine = 20 * STEPS;
    let at = |index: usize| ring_point(RIGHT + 360.0 * index as f64 / fine as f64);
    let mut walked = vec![0.0];
    for index in 0..fine {
        let (a, b) = (at(index), at(index + 1));
        walked.push(walked[index] + (0..3).map(|k| (a[k] - b[k]).powi(2)).sum::<f64>().sqrt());
    }
    let whole = walked[fine];
    (0..STEPS).map(|step| at(walked.partition_point(|&length| length < whole * step as f64 / STEPS as f64))).collect()
});

fn ring_point(hue_degrees: f64) -> [f64; 3] {
    let hue = hue_degrees.to_radians();
    [LIGHTNESS + TILT * (hue - LIGHTEST.to_radians()).cos(), CHROMA * hue.cos(), CHROMA * hue.sin()]
}

/// The colour of a displacement (x right, y down) whose full saturation is reached at `full`.
pub(crate) fn wheel(dx: f64, dy: f64, full: f64) -> [u8; 3] {
    // Counter-clockwise on the page, where y points down.
    let turn = (-dy).atan2(dx).rem_euclid(std::f64::consts::TAU) / std::f64::consts::TAU;
    let place = turn * STEPS as f64;
    let (low, part) = (place.floor() as usize % STEPS, place.fract());
    let strength = (dx.hypot(dy) / full).clamp(0.0, 1.0);
    let (a, b) = (RING[low], RING[(low + 1) % STEPS]);
    to_srgb(std::array::from_fn(|k| ZERO[k] + strength * (a[k] + part * (b[k] - a[k]) - ZERO[k])))
}

/// Blue over white to vermillion for −1 to 1, evenly in Oklab: the colours of signed differences.
pub(crate) fn diverging(value: f64) -> [u8; 3] {
    const MINUS: [f64; 3] = [0.45, -0.04, -0.125];
    const PLUS: [f64; 3] = [0.55, 0.115, 0.095];
    let value = if value.is_nan() { 0.0 } else { value.clamp(-1.0, 1.0) };
    let end = if value < 0.0 { MINUS } else { PLUS };
    to_srgb(std::array::from_fn(|k| ZERO[k] + value.abs() * (end[k] - ZERO[k])))
}

fn to_srgb(lab: [f64; 3]) -> [u8; 3] {
    linear_srgb(lab).map(|linear| {
        let linear = linear.clamp(0.0, 1.0);
        let encoded = if linear <= 0.003_130_8 { 12.92 * linear } else { 1.055 * linear.powf(1.0 / 2.4) - 0.055 };
        (encoded * 255.0).round() as u8
    })
}

fn linear_srgb([lightness, a, b]: [f64; 3]) -> [f64; 3] {
    let l = (lightness + 0.396_337_777_4 * a + 0.215_803_757_3 * b).powi(3);
    let m = (lightness - 0.105_561_345_8 * a - 0.063_854_172_8 * b).powi(3);
    let s = (lightness - 0.089_484_177_5 * a - 1.291_485_548 * b).powi(3);
    [
        4.076_741_662_1 * l - 3.307_711_591_3 * m + 0.230_969_929_2 * s,
        -1.268_438_004_6 * l + 2.609_757_401_1 * m - 0.341_319_396_5 * s,
        -0.004_196_086_3 * l - 0.703_418_614_7 * m + 1.707_614_701 * s,
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_colour_of_the_ring_exists_in_srgb() {
        for (step, lab) in RING.iter().enumerate() {
            for channel in linear_srgb(*lab) {
                assert!((-0.02..=1.02).contains(&channel), "step {step}: {channel} is outside sRGB");
            }
        }
    }

    #[test]
    fn equal_turns_are_equally_different() {
        let steps: Vec<f64> =
            (0..STEPS).map(|i| (0..3).map(|k| (RING[i][k] - RING[(i + 1) % STEPS][k]).powi(2)).sum::<f64>().sqrt()).collect();
        let mean = steps.iter().sum::<f64>() / STEPS as f64;
        assert!(steps.iter().all(|step| (step / mean - 1.0).abs() < 0.1), "uneven steps");
    }

    /// Viénot, Brettel and Mollon (1999): what a deuteranope sees of linear sRGB; the four diagonal directions stay apart.
    #[test]
    fn directions_stay_apart_without_green_cones() {
        let seen = |degrees: f64| {
            let turn: f64 = degrees.to_radians();
            let [r, g, b] = wheel(turn.cos(), -turn.sin(), 1.0).map(|c| (f64::from(c) / 255.0).powf(2.2));
            let yellow = 0.292_75 * r + 0.707_25 * g;
            [yellow, -0.022_34 * r + 0.022_34 * g + b].map(|c: f64| c.max(0.0).cbrt())
        };
        for (a, b) in [(45.0, 135.0), (135.0, 225.0), (225.0, 315.0), (315.0, 45.0), (0.0, 180.0), (90.0, 270.0)] {
            let (p, q) = (seen(a), seen(b));
            let distance = (p[0] - q[0]).hypot(p[1] - q[1]);
            assert!(distance > 0.1, "{a}° and {b}° look alike: {distance}");
        }
    }
}
