//! The analogue-to-digital converter: whole steps from 0 to 2^bits − 1.

use super::CameraError;
use super::settings::within;

/// A converter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Adc {
    /// Bits, 1 to 24: a pixel holds 24 bits exactly.
    pub bits: u32,
}

/// The signal of the highest step over the brightest expected one: noise above the brightest column is not cut off.
const HEADROOM: f64 = 1.25;

impl Adc {
    pub(super) fn check(self) -> Result<(), CameraError> {
        within("number of bits of the ADC", f64::from(self.bits), 1.0, 24.0, "1 to 24")
    }

    /// Turns signals into steps; the highest step is a quarter above the `brightest` expected signal.
    pub(super) fn convert(self, brightest: f64, row: &mut [f64]) {
        let top = f64::from((1_u32 << self.bits.min(24)) - 1);
        let per_step = if brightest > 0.0 { HEADROOM * brightest / top } else { 1.0 };
        for v in row.iter_mut() {
            *v = (*v / per_step).round().clamp(0.0, top);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_are_whole_and_end_where_the_bits_end() {
        let mut row = vec![-3.0, 0.0, 50.0, 100.0, 125.0, 1e9, f64::NAN];
        Adc { bits: 8 }.convert(100.0, &mut row);
        assert_eq!(row[..6], [0.0, 0.0, 102.0, 204.0, 255.0, 255.0]);
        assert!(row[6].is_nan());
        let mut dark = vec![0.0, 0.0];
        Adc { bits: 12 }.convert(0.0, &mut dark);
        assert_eq!(dark, [0.0, 0.0]);
    }
}
