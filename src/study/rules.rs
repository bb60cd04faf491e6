//! Values of an axis by a rule: spaced, drawn at random, or a Latin hypercube; a draw is a function of the study's seed and the axis' key.

use super::axes::{MAX_POINTS, rounded};
use crate::numerics::seeds::Streams;
use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};
use std::collections::BTreeSet;

/// Every rule's name in a study file.
pub(super) const NAMES: [&str; 8] =
    ["linspace", "logspace", "range", "random", "random_log", "random_normal", "latin_hypercube", "latin_hypercube_log"];

/// Whether an axis of this rule walks with all others of its kind.
pub(super) fn is_latin(rule: &str) -> bool {
    rule.starts_with("latin")
}

/// Who draws: the study's seed, the axis' key, and whether its values are whole numbers.
#[derive(Debug, Clone, Copy)]
pub(super) struct Axis<'a> {
    pub(super) key: &'a str,
    pub(super) seed: u64,
    pub(super) whole: bool,
}

/// The values that `rule = [a, b, c]` makes, or why it makes none.
pub(super) fn values(rule: &str, [a, b, c]: [f64; 3], axis: Axis) -> Result<Vec<f64>, String> {
    match rule {
        "range" => return range(a, b, c),
        "linspace" => return Ok(linspace(a, b, count(rule, "first, last", c)?)),
        "logspace" => {
            let n = count(rule, "first, last", c)?;
            above_zero(rule, [a, b])?;
            let inner = linspace_at(a.ln(), b.ln(), n).into_iter().map(|x| rounded(x.exp(), 0.0));
            let mut out: Vec<f64> = inner.collect();
            // The ends are what was typed, not what a logarithm and its inverse make of it.
            out[0] = a;
            if n > 1 {
                out[n - 1] = b;
            }
            return Ok(out);
        }
        _ => {}
    }
    let ends = if rule == "random_normal" { "mean, standard_deviation" } else { "lowest, highest" };
    let n = count(rule, ends, c)?;
    if axis.whole && rule != "random" {
        return Err(format!("{rule} draws numbers that are not whole; `random` draws whole ones."));
    }
    let mut rng = stream(axis);
    if rule == "random_normal" {
        if b <= 0.0 {
            return Err(format!("random_normal = [mean, standard_deviation, how_many] needs a standard deviation above 0, not {b}."));
        }
        let mut draw = || -> f64 { StandardNormal.sample(&mut rng) };
        return Ok((0..n).map(|_| rounded(a + b * draw(), a.abs().max(b))).collect());
    }
    if b <= a {
        return Err(format!("{rule} = [lowest, highest, how_many] has its lowest value {a} not below its highest {b}."));
    }
    let log = rule.ends_with("_log");
    if log {
        above_zero(rule, [a, b])?;
    }
    if axis.whole {
        return whole(a, b, n, &mut rng);
    }
    let (low, high) = if log { (a.ln(), b.ln()) } else { (a, b) };
    let back = |x: f64| if log { rounded(x.exp(), 0.0) } else { rounded(x, a.abs().max(b.abs())) }.clamp(a, b);
    if is_latin(rule) {
        let parts = shuffled(n, &mut rng);
        return Ok(parts.into_iter().map(|part| back(low + (high - low) * (part as f64 + unit(&mut rng)) / n as f64)).collect());
    }
    Ok((0..n).map(|_| back(low + (high - low) * unit(&mut rng))).collect())
}

/// Seeds of the repeats of a study: its own, then seeds that are drawn from it.
pub(super) fn repeat_seeds(seed: u64, repeats: usize) -> Vec<u64> {
    let streams = Streams::new("mistilt 2026 seeds of repeats", seed);
    // 53 bits pass unchanged through every table and every program that takes numbers for floating-point ones.
    let drawn = |i: usize| streams.stream(i as u64).random::<u64>() >> 11;
    (0..repeats).map(|i| if i == 0 { seed } else { drawn(i) }).collect()
}

fn stream(axis: Axis) -> ChaCha8Rng {
    let digest = blake3::hash(axis.key.as_bytes());
    let mut number = [0; 8];
    number.copy_from_slice(&digest.as_bytes()[..8]);
    Streams::new("mistilt 2026 values of random axes", axis.seed).stream(u64::from_le_bytes(number))
}

/// A number of [0, 1), from 53 bits.
fn unit(rng: &mut ChaCha8Rng) -> f64 {
    (rng.random::<u64>() >> 11) as f64 / (1_u64 << 53) as f64
}

/// A number of 0 to `n` − 1; for the few values of an axis the bias of the product is below 1e-13.
fn below(n: u64, rng: &mut ChaCha8Rng) -> u64 {
    ((u128::from(rng.random::<u64>()) * u128::from(n)) >> 64) as u64
}

/// 0 to `n` − 1 in random order (Fisher and Yates).
fn shuffled(n: usize, rng: &mut ChaCha8Rng) -> Vec<usize> {
    let mut out: Vec<usize> = (0..n).collect();
    for i in (1..n).rev() {
        out.swap(i, below(i as u64 + 1, rng) as usize);
    }
    out
}

/// Whole numbers of `low` to `high`, no two alike.
fn whole(low: f64, high: f64, n: usize, rng: &mut ChaCha8Rng) -> Result<Vec<f64>, String> {
    let (low, high) = (low.ceil(), high.floor());
    let there = high - low + 1.0;
    if n as f64 > there {
        return Err(format!("random asks for {n} different whole numbers, and from {low} to {high} there are {there}."));
    }
    let (mut seen, mut out) = (BTreeSet::new(), Vec::with_capacity(n));
    while out.len() < n {
        let drawn = below(there as u64, rng);
        if seen.insert(drawn) {
            out.push(low + drawn as f64);
        }
    }
    Ok(out)
}

fn count(rule: &str, ends: &str, count: f64) -> Result<usize, String> {
    if count.fract() != 0.0 || !(1.0..=MAX_POINTS as f64).contains(&count) {
        return Err(format!("{rule} = [{ends}, how_many] makes 1 to {MAX_POINTS} values, not {count}."));
    }
    Ok(count as usize)
}

fn above_zero(rule: &str, ends: [f64; 2]) -> Result<(), String> {
    match ends.iter().find(|&&end| end <= 0.0) {
        Some(end) => Err(format!("{rule} needs numbers above 0, for it takes their logarithm, and {end} is not.")),
        None => Ok(()),
    }
}

fn linspace(first: f64, last: f64, n: usize) -> Vec<f64> {
    let scale = first.abs().max(last.abs());
    linspace_at(first, last, n).into_iter().map(|x| rounded(x, scale)).collect()
}

fn linspace_at(first: f64, last: f64, n: usize) -> Vec<f64> {
    let at = |i: usize| if n == 1 { first } else { first + (last - first) * (i as f64 / (n - 1) as f64) };
    (0..n).map(at).collect()
}

fn range(start: f64, stop: f64, step: f64) -> Result<Vec<f64>, String> {
    let steps = (stop - start) / step;
    if step == 0.0 || steps < 0.0 || !steps.is_finite() {
        return Err(format!("range = [start, stop, step] never comes from {start} to {stop} by steps of {step}."));
    }
    // A billionth of a step forgives the rounding of decimal steps: 0 to 0.3 by 0.1 has four values.
    let count = (steps + 1e-9).floor() + 1.0;
    if count > MAX_POINTS as f64 {
        return Err(format!("range = [{start}, {stop}, {step}] makes {count} values, more than {MAX_POINTS}."));
    }
    let scale = start.abs().max(stop.abs());
    Ok((0..count as usize).map(|i| rounded(start + i as f64 * step, scale)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn made(rule: &str, numbers: [f64; 3]) -> Result<Vec<f64>, String> {
        values(rule, numbers, Axis { key: "crystal.thickness_nm", seed: 1, whole: false })
    }

    #[test]
    fn range_includes_the_stop_when_hit_and_decimal_steps_print_short() {
        assert_eq!(made("range", [0.0, 0.3, 0.1]).unwrap(), [0.0, 0.1, 0.2, 0.3]);
        assert_eq!(made("range", [0.0, 10.0, 4.0]).unwrap(), [0.0, 4.0, 8.0]);
        assert_eq!(made("range", [5.0, -5.0, -5.0]).unwrap(), [5.0, 0.0, -5.0]);
        for bad in [[0.0, 1.0, -0.1], [0.0, 1.0, 0.0], [0.0, 1e9, 1e-9]] {
            assert!(made("range", bad).is_err());
        }
    }

    #[test]
    fn linspace_and_logspace_end_exactly() {
        assert_eq!(made("linspace", [-10.0, 10.0, 11.0]).unwrap()[5].to_bits(), 0.0_f64.to_bits());
        assert_eq!(made("linspace", [0.0, 1.0, 4.0]).unwrap(), [0.0, 0.333_333_333_33, 0.666_666_666_67, 1.0]);
        assert_eq!(made("linspace", [3.0, 9.0, 1.0]).unwrap(), [3.0]);
        assert!(made("linspace", [0.0, 1.0, 0.0]).is_err() && made("linspace", [0.0, 1.0, 2.5]).is_err());
        assert_eq!(made("logspace", [1.0, 1000.0, 4.0]).unwrap(), [1.0, 10.0, 100.0, 1000.0]);
        assert_eq!(made("logspace", [8.0, 2.0, 3.0]).unwrap(), [8.0, 4.0, 2.0]);
        assert!(made("logspace", [-1.0, 1.0, 3.0]).unwrap_err().contains("above 0"));
    }

    #[test]
    fn whole_numbers_are_drawn_without_repetition_until_none_is_left() {
        let axis = Axis { key: "simulation.phonon_pairs", seed: 7, whole: true };
        let mut all = values("random", [1.0, 20.0, 20.0], axis).unwrap();
        assert_ne!(all, (1..=20).map(f64::from).collect::<Vec<_>>(), "drawn, not counted");
        all.sort_by(f64::total_cmp);
        assert_eq!(all, (1..=20).map(f64::from).collect::<Vec<_>>());
        assert!(values("random", [1.0, 20.0, 21.0], axis).unwrap_err().contains("there are 20"));
        assert!(values("latin_hypercube", [1.0, 20.0, 5.0], axis).is_err());
    }

    #[test]
    fn a_normal_axis_has_its_mean_and_deviation() {
        let drawn = made("random_normal", [5.0, 2.0, 4000.0]).unwrap();
        let mean = drawn.iter().sum::<f64>() / 4000.0;
        let deviation = (drawn.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / 3999.0).sqrt();
        // Four standard errors: σ/√n of the mean, σ/√(2n) of the deviation.
        assert!((mean - 5.0).abs() < 4.0 * 2.0 / 4000_f64.sqrt(), "{mean}");
        assert!((deviation - 2.0).abs() < 4.0 * 2.0 / 8000_f64.sqrt(), "{deviation}");
        assert!(made("random_normal", [5.0, 0.0, 4.0]).is_err());
    }

    #[test]
    fn the_first_repeat_has_the_seed_of_the_study_and_no_two_are_alike() {
        let seeds = repeat_seeds(42, 1000);
        assert_eq!(seeds[0], 42);
        assert_eq!(seeds[..10], repeat_seeds(42, 10)[..], "more repeats keep the first ones");
        assert_eq!(seeds.iter().collect::<BTreeSet<_>>().len(), 1000);
        assert!(seeds.iter().all(|&s| s < 1 << 53));
    }

    proptest! {
        #[test]
        fn draws_keep_their_bounds_their_count_and_their_first_values(
            low in -50.0..50.0_f64, wide in 0.01..100.0_f64, n in 1..60_usize, more in 0..40_usize, seed in 0..u64::MAX
        ) {
            let axis = Axis { key: "crystal.specimen_tilt_x_mrad", seed, whole: false };
            let drawn = values("random", [low, low + wide, n as f64], axis).unwrap();
            prop_assert_eq!(drawn.len(), n);
            prop_assert!(drawn.iter().all(|x| (low..=low + wide).contains(x)));
            let longer = values("random", [low, low + wide, (n + more) as f64], axis).unwrap();
            prop_assert_eq!(&longer[..n], &drawn[..]);
            let other = values("random", [low, low + wide, n as f64], Axis { key: "crystal.specimen_tilt_y_mrad", ..axis }).unwrap();
            prop_assert_ne!(drawn, other);
        }

        #[test]
        fn a_latin_hypercube_has_one_value_in_each_part(low in 0.1..50.0_f64, wide in 1.0..100.0_f64, n in 1..80_usize, seed in 0..u64::MAX) {
            let high = low + wide;
            for rule in ["latin_hypercube", "latin_hypercube_log"] {
                let axis = Axis { key: "microscope.defocus_nm", seed, whole: false };
                let drawn = values(rule, [low, high, n as f64], axis).unwrap();
                let place = |x: f64| if rule.ends_with("log") { (x / low).ln() / (high / low).ln() } else { (x - low) / wide };
                // A hair, because values are rounded to 12 digits and a draw may lie on the edge of its part.
                let mut parts: Vec<usize> = drawn.iter().map(|&x| ((place(x) * n as f64 + 1e-9) as usize).min(n - 1)).collect();
                parts.sort_unstable();
                prop_assert_eq!(parts, (0..n).collect::<Vec<_>>());
            }
        }
    }
}
