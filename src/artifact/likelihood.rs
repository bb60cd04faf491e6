//! How far the evidence of an image is from what a tilt and a setting make of the crystal, in units of its errors.

use super::at_tilt::{AtTilt, Parts, exchange, seen};
use super::cubic::terms;
use super::error_modes::{ErrorModes, MODES, Wrong, extend};
use super::response::ResponseTable;
use super::witness::{Evidence, Method, SIGNS, Witness};
use crate::numerics::least_squares::Cholesky;

impl Evidence<'_> {
    /// What the data are off the expectation by, in units of their own errors: signs of every region, of the reference, the reference's shift, and
    /// the balance of opposite domains.
    pub(super) fn rows(&self, method: Method, parts: &Parts, reference: Option<&Parts>, tilt: [f64; 2], out: &mut Vec<f64>) {
        let uses = |m: Method| method == m || method == Method::Together;
        let seen: Vec<(AtTilt, [f64; 2])> = self.witnesses.iter().map(|w| seen(w, parts, tilt)).collect();
        if uses(Method::Shape) {
            for (w, (at, amplitude)) in self.witnesses.iter().zip(&seen) {
                let Some((signs, factor)) = &w.signs else { continue };
                out.extend(factor.forward(std::array::from_fn(|i| signs[i] - at.value(2 + w.own(i), *amplitude))));
            }
        }
        if let (Some((table, witness)), Some(parts)) = (&self.reference, reference) {
            let at = parts.at(&terms(tilt));
            if let (true, Some((signs, factor))) = (uses(Method::Shape), &witness.signs) {
                out.extend(factor.forward(std::array::from_fn(|i| signs[i] - at.value(2 + i, [1.0; 2]))));
            }
            if uses(Method::Reference) {
                let d = [0, 1].map(|c| witness.shift_pm[c] - at.value(c, [1.0; 2]));
                out.extend(shift_factor(table, witness).map_or([0.0; 2], |f| f.forward(d)));
            }
        }
        if uses(Method::Domains) {
            for axis in 0..2 {
                let crystal = |n: usize| {
                    let (w, (at, a)) = (&self.witnesses[n], &seen[n]);
                    let own = w.own(axis);
                    if at.polar[own] { a[own] * parts.polar_pm[own] } else { w.shift_pm[axis] - at.value(own, *a) }
                };
                out.extend(self.balance(axis, &crystal));
            }
        }
    }

    /// What the modes of error add to [`Evidence::rows`] at a tilt.
    pub(super) fn wrong(&self, method: Method, modes: &ErrorModes, tilt: [f64; 2]) -> Wrong {
        let uses = |m: Method| method == m || method == Method::Together;
        let mut rows: Vec<[f64; MODES]> = Vec::new();
        let film: Vec<(AtTilt, [f64; 2])> = self.witnesses.iter().map(|w| seen(w, &modes.middle, tilt)).collect();
        let scale = self.beliefs.shape_scale;
        if uses(Method::Shape) {
            for (w, (at, a)) in self.witnesses.iter().zip(&film) {
                let Some((_, factor)) = &w.signs else { continue };
                let upright = modes.middle.at(&terms([0.0; 2]));
                let by_shift = |i: usize| modes.middle.per_shift(w.own(i));
                let added = |mode: &Parts| -> [f64; SIGNS] {
                    let e = mode.at(&terms(exchange(tilt, w.exchanged)));
                    std::array::from_fn(|i| e.value(2 + w.own(i), *a) - by_shift(i) * e.value(w.own(i % 2), *a))
                };
                let mut columns: Vec<(usize, [f64; SIGNS])> = modes.film.iter().map(added).enumerate().collect();
                let whole = |i: usize| at.value(2 + w.own(i), *a) - upright.value(2 + w.own(i), *a);
                columns.push((MODES - 1, std::array::from_fn(|i| scale * whole(i))));
                extend(&mut rows, factor, &columns);
            }
        }
        if let (Some((table, witness)), Some(middle)) = (&self.reference, &modes.middle_reference) {
            let added = |mode: &Parts, i: usize| mode.at(&terms(tilt)).value(i, [1.0; 2]);
            let first = modes.film.len();
            if let (true, Some((_, factor))) = (uses(Method::Shape), &witness.signs) {
                let of = |(n, mode): (usize, &Parts)| (first + n, std::array::from_fn(|i| added(mode, 2 + i)));
                let mut columns: Vec<(usize, [f64; SIGNS])> = modes.reference.iter().enumerate().map(of).collect();
                columns.push((MODES - 1, std::array::from_fn(|i| scale * (added(middle, 2 + i) - middle.sorted[2 + i][0]))));
                extend(&mut rows, factor, &columns);
            }
            if uses(Method::Reference) {
                let of = |(n, mode): (usize, &Parts)| (first + n, [added(mode, 0), added(mode, 1)]);
                let columns: Vec<(usize, [f64; 2])> = modes.reference.iter().enumerate().map(of).collect();
                match shift_factor(table, witness) {
                    Some(factor) => extend(&mut rows, &factor, &columns),
                    None => rows.extend([[0.0; MODES]; 2]),
                }
            }
        }
        if uses(Method::Domains) {
            for axis in 0..2 {
                let mut row = [0.0; MODES];
                let mut there = false;
                for (slot, mode) in row.iter_mut().zip(&modes.film) {
                    let crystal = |n: usize| {
                        let w = &self.witnesses[n];
                        -mode.at(&terms(exchange(tilt, w.exchanged))).value(w.own(axis), film[n].1)
                    };
                    if let Some(value) = self.balance(axis, &crystal) {
                        (*slot, there) = (value, true);
                    }
                }
                if there || self.opposite(axis).is_some() {
                    rows.push(row);
                }
            }
        }
        Wrong::new(rows)
    }

    /// The sum over the two classes of opposite domains of what their crystals show along an axis, in units of its error: 0 for a crystal whose
    /// domains are equal; `None` where one class is missing.
    fn balance(&self, axis: usize, crystal: &dyn Fn(usize) -> f64) -> Option<f64> {
        let (positive, negative) = self.opposite(axis)?;
        let (mut sum, mut variance) = (0.0, 0.0);
        for class in [&positive, &negative] {
            let cells: f64 = class.iter().map(|&n| self.witnesses[n].cells as f64).sum();
            for &n in class {
                let (w, share) = (&self.witnesses[n], self.witnesses[n].cells as f64 / cells);
                let equal = self.beliefs.domains_equal_to * w.shift_pm[axis];
                sum += share * crystal(n);
                variance += share * share * (w.covariance_pm2[2 * axis] + equal * equal);
            }
        }
        Some(sum / variance.max(f64::MIN_POSITIVE).sqrt())
    }

    /// Regions whose shift along an axis is clearly positive, and clearly negative; `None` where one of the kinds is missing.
    pub(super) fn opposite(&self, axis: usize) -> Option<(Vec<usize>, Vec<usize>)> {
        // A mis-tilt must not turn the sign of what is called a domain.
        let least = |w: &Witness| (3.0 * w.covariance_pm2[2 * axis].sqrt()).max(5.0);
        let of = |sign: f64| -> Vec<usize> {
            (0..self.witnesses.len()).filter(|&n| sign * self.witnesses[n].shift_pm[axis] > least(&self.witnesses[n])).collect()
        };
        let (positive, negative) = (of(1.0), of(-1.0));
        (!positive.is_empty() && !negative.is_empty()).then_some((positive, negative))
    }
}

/// Error of the reference's shift: its noise, and what the simulation may be wrong by in each component alone.
fn shift_factor(table: &ResponseTable, witness: &Witness) -> Option<Cholesky<2>> {
    let [xx, xy, yy] = witness.covariance_pm2;
    let model = [table.own_sigma(0).powi(2), table.own_sigma(1).powi(2)];
    Cholesky::new(&[[xx + model[0], xy], [xy, yy + model[1]]]).ok()
}
