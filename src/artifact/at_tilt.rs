//! The simulated crystal at a tilt, for any amplitude of its polarization; vectors in the axes of the crystal, pm and mrad.
//!
//! Given a tilt and a setting, a region's measured shift fixes the amplitude of its polarization in units of the simulated crystal's, and with it
//! everything else the region should show: the polarization needs no guess.

use super::cubic::{POWERS, TERMS, terms};
use super::reading::{COMPONENTS, Reading};
use super::response::{POLAR_PM, Response};
use super::witness::Witness;

/// A response with its terms sorted by what they do under the mirrors: 0 even, 1 odd along x, 2 odd along y, 3 odd along both.
#[derive(Debug, Clone)]
pub(super) struct Parts {
    pub(super) sorted: Vec<[f64; TERMS]>,
    pub(super) class: Vec<[u8; TERMS]>,
    pub(super) polar_pm: [f64; 2],
    pub(super) true_pm: [f64; 2],
}

/// A response at one tilt, for any amplitude of the polarization.
pub(super) struct AtTilt {
    /// `[component][class]`.
    sums: [[f64; 4]; COMPONENTS],
    pub(super) polar: [bool; 2],
}

impl Parts {
    pub(super) fn new(response: &Response, true_pm: [f64; 2]) -> Self {
        let class = (0..COMPONENTS).map(|k| {
            let parity = Reading::parity(k);
            POWERS.map(|p| ((p[0] + parity[0]) % 2 + 2 * ((p[1] + parity[1]) % 2)) as u8)
        });
        Self {
            sorted: response.components.iter().map(|c| c.0).collect(),
            class: class.collect(),
            polar_pm: [response.components[0].0[0], response.components[1].0[0]],
            true_pm,
        }
    }

    /// By how much a sign of tilt changes with the shift along its axis when the polarization changes.
    pub(super) fn per_shift(&self, sign: usize) -> f64 {
        let shift = self.polar_pm[sign % 2];
        if shift.abs() > POLAR_PM { self.sorted[2 + sign][0] / shift } else { 0.0 }
    }

    pub(super) fn at(&self, terms: &[f64; TERMS]) -> AtTilt {
        let mut sums = [[0.0; 4]; COMPONENTS];
        for ((sum, coefficients), class) in sums.iter_mut().zip(&self.sorted).zip(&self.class) {
            for ((c, t), k) in coefficients.iter().zip(terms).zip(class) {
                sum[usize::from(*k)] += c * t;
            }
        }
        AtTilt { sums, polar: self.polar_pm.map(|p| p.abs() > POLAR_PM) }
    }
}

impl AtTilt {
    pub(super) fn value(&self, component: usize, [ax, ay]: [f64; 2]) -> f64 {
        let s = &self.sums[component];
        s[0] + ax * s[1] + ay * s[2] + ax * ay * s[3]
    }

    /// The amplitude with which the crystal shows a shift at this tilt; 1 along an axis on which it has no polarization.
    pub(super) fn amplitude(&self, shift_pm: [f64; 2]) -> [f64; 2] {
        let mut a = self.polar.map(|polar| if polar { 0.0 } else { 1.0 });
        for _ in 0..4 {
            for axis in (0..2).filter(|&i| self.polar[i]) {
                let own = if axis == 0 { self.sums[0][1] + a[1] * self.sums[0][3] } else { self.sums[1][2] + a[0] * self.sums[1][3] };
                let rest = self.value(axis, a) - a[axis] * own;
                a[axis] = ((shift_pm[axis] - rest) / own).clamp(-1.5, 1.5);
            }
        }
        a
    }
}

/// x and y exchanged where a region asks for it.
pub(super) fn exchange(v: [f64; 2], exchanged: bool) -> [f64; 2] {
    if exchanged { [v[1], v[0]] } else { v }
}

/// The crystal of a region at a tilt of the image, and the amplitude at which it shows the region's shift.
pub(super) fn seen(witness: &Witness, parts: &Parts, tilt: [f64; 2]) -> (AtTilt, [f64; 2]) {
    let at = parts.at(&terms(exchange(tilt, witness.exchanged)));
    let amplitude = at.amplitude(exchange(witness.shift_pm, witness.exchanged));
    (at, amplitude)
}
