//! The displacement of B against A at every place of a scene, and that of the A sites in antipolar phases; pm and Å, image axes.

use super::fields::random_field;
use super::settings::{Pattern, Phase, SceneSettings};
use crate::numerics::seeds::Streams;
use std::f64::consts::{FRAC_1_SQRT_2, TAU};

/// Everything a pattern depends on, worked out once for a scene.
pub(super) struct PatternField {
    pattern: Pattern,
    phase: Phase,
    /// Displacement of the first domain, pm.
    first_pm: [f64; 3],
    antipolar_pm: f64,
    wall_width_angstrom: f64,
    /// Unit vector across walls.
    normal: [f64; 2],
    /// Whole repeats along the edges of the scene, for patterns that repeat.
    repeats: [f64; 2],
    extent_angstrom: [f64; 2],
    /// Two Gaussian fields that give a random pattern its direction and length.
    random: Option<[Vec<f64>; 2]>,
    size: [usize; 2],
}

impl PatternField {
    /// For a scene of `size` cells and an extent in Å; `amplitude_pm` is the length of the displacement.
    pub(super) fn new(settings: &SceneSettings, amplitude_pm: f64, size: [usize; 2], extent_angstrom: [f64; 2]) -> Self {
        let phase = settings.phase.at(settings.composition);
        let bits = settings.variant.saturating_sub(1);
        let direction = phase.direction();
        let first_pm = [0, 1, 2].map(|axis| if bits >> axis & 1 == 0 { 1.0 } else { -1.0 } * amplitude_pm * direction[axis]);
        let normal = settings.wall_normal_deg.map_or_else(|| neutral_normal(settings.pattern, first_pm), |deg| unit(deg.to_radians()));
        let random = (settings.pattern == Pattern::Random).then(|| {
            let streams = Streams::new("mistilt 2026 scene pattern", settings.seed);
            let cells = [0, 1].map(|i| 10.0 * settings.correlation_nm * size[i] as f64 / extent_angstrom[i]);
            [0, 1].map(|number| random_field(&streams, number, size, cells))
        });
        Self {
            pattern: settings.pattern,
            phase,
            first_pm,
            antipolar_pm: settings.antipolar_pm,
            wall_width_angstrom: 10.0 * settings.wall_width_nm,
            normal,
            repeats: whole_repeats(settings.pattern, normal, extent_angstrom, 10.0 * settings.period_nm),
            extent_angstrom,
            random,
            size,
        }
    }

    /// Displacement of the B site of cell (i, j), whose ideal place is `at` (Å), pm.
    pub(super) fn b_site_pm(&self, [i, j]: [i64; 2], at: [f64; 2]) -> [f64; 3] {
        match self.pattern {
            Pattern::Uniform => self.first_pm,
            Pattern::Wall71 | Pattern::Wall109 | Pattern::Wall180 => {
                let from_centre = [0, 1].map(|c| at[c] - 0.5 * self.extent_angstrom[c]);
                let s = from_centre[0] * self.normal[0] + from_centre[1] * self.normal[1];
                self.flipped((2.0 * s / self.wall_width_angstrom).tanh())
            }
            Pattern::Stripes71 | Pattern::Stripes109 | Pattern::Stripes180 => self.flipped(self.stripe(at)),
            Pattern::Vortex => {
                let [x, y] = [0, 1].map(|c| at[c] - 0.5 * self.extent_angstrom[c]);
                let r = x.hypot(y);
                let turn = if r > 0.0 { (2.0 * r / self.wall_width_angstrom).tanh() / r } else { 0.0 };
                self.in_plane([-y * turn, x * turn])
            }
            Pattern::VortexArray => {
                let [u, v] = [0, 1].map(|c| TAU * self.repeats[c] * at[c] / self.extent_angstrom[c]);
                // Curl of a stream function cos u cos v; its slopes along the two axes reach 1.
                self.in_plane([-u.cos() * v.sin(), u.sin() * v.cos()])
            }
            Pattern::Random => {
                let [gx, gy] = self.random.as_ref().map_or([0.0; 2], |fields| {
                    let cell = j.rem_euclid(self.size[1] as i64) as usize * self.size[0] + i.rem_euclid(self.size[0] as i64) as usize;
                    [fields[0][cell], fields[1][cell]]
                });
                let length = (1.0 + gx * gx + gy * gy).sqrt();
                self.in_plane([gx / length, gy / length])
            }
        }
    }

    /// Displacement of the A site at corner (i, j), pm.
    pub(super) fn a_site_pm(&self, [i, j]: [i64; 2]) -> [f64; 3] {
        let u = self.antipolar_pm * FRAC_1_SQRT_2;
        match self.phase {
            Phase::Pbam => {
                let sign = if (i + j).rem_euclid(4) < 2 { 1.0 } else { -1.0 };
                [sign * u, -sign * u, 0.0]
            }
            Phase::Pnma => {
                let sign = if j.rem_euclid(2) == 0 { 1.0 } else { -1.0 };
                [sign * u, 0.0, sign * u]
            }
            _ => [0.0; 3],
        }
    }

    /// Whether the pattern closes on itself across the edges of the scene along x and along y.
    pub(super) fn is_periodic(&self) -> [bool; 2] {
        let multiple = match self.phase {
            Phase::Pbam => [4, 4],
            Phase::Pnma => [1, 2],
            _ => [1, 1],
        };
        let fits = [0, 1].map(|c| self.size[c].is_multiple_of(multiple[c]));
        match self.pattern {
            Pattern::Wall71 | Pattern::Wall109 | Pattern::Wall180 => {
                [0, 1].map(|c| fits[c] && self.normal[c].abs() < 1e-12 && self.normal[1 - c].abs() > 0.5)
            }
            Pattern::Vortex => [false; 2],
            _ => fits,
        }
    }

    /// The first domain with the components that its pattern flips multiplied by `sign` (−1 to 1).
    fn flipped(&self, sign: f64) -> [f64; 3] {
        let across = flipping_axis(self.normal);
        [0, 1, 2].map(|axis| {
            let flips = match self.pattern {
                Pattern::Wall71 | Pattern::Stripes71 => axis == across,
                Pattern::Wall109 | Pattern::Stripes109 => axis == across || axis == 2,
                _ => true,
            };
            if flips { -sign * self.first_pm[axis] } else { self.first_pm[axis] }
        })
    }

    /// −1 to 1 and back over one repeat; walls at a quarter and three quarters.
    fn stripe(&self, at: [f64; 2]) -> f64 {
        let phase = [0, 1].map(|c| self.repeats[c] * at[c] / self.extent_angstrom[c]);
        // Distance of one repeat along the normal of the stripes as they fit.
        let step = [0, 1].map(|c| self.repeats[c] / self.extent_angstrom[c]);
        let period = 1.0 / step[0].hypot(step[1]);
        let turn = (phase[0] + phase[1]).rem_euclid(1.0);
        let from_wall = (turn - 0.5).abs() - 0.25;
        (-2.0 * from_wall * period / self.wall_width_angstrom).tanh()
    }

    /// An in-plane direction and length (0 to 1) as a displacement: the in-plane part of the phase's, the part along the beam as it is.
    fn in_plane(&self, direction: [f64; 2]) -> [f64; 3] {
        let length = self.first_pm[0].hypot(self.first_pm[1]);
        [length * direction[0], length * direction[1], self.first_pm[2]]
    }
}

/// The in-plane component that flips across a wall: the one along it.
fn flipping_axis(normal: [f64; 2]) -> usize {
    usize::from(normal[0].abs() >= normal[1].abs())
}

/// A normal that leaves the displacement's component along it unchanged, so that the wall carries no charge: x for walls that flip y, and
/// for 180° walls the direction at right angles to the displacement in the image.
fn neutral_normal(pattern: Pattern, first_pm: [f64; 3]) -> [f64; 2] {
    let length = first_pm[0].hypot(first_pm[1]);
    match pattern {
        Pattern::Wall180 | Pattern::Stripes180 if length > 0.0 => [first_pm[1] / length, -first_pm[0] / length],
        _ => [1.0, 0.0],
    }
}

/// Whole repeats of a pattern along each edge of the scene, nearest to the period asked for and at least one in all.
fn whole_repeats(pattern: Pattern, normal: [f64; 2], extent: [f64; 2], period: f64) -> [f64; 2] {
    if pattern == Pattern::VortexArray {
        return [0, 1].map(|c| (extent[c] / period).round().max(1.0));
    }
    let fitted = [0, 1].map(|c| (extent[c] * normal[c] / period).round());
    if fitted != [0.0; 2] {
        return fitted;
    }
    let along = usize::from(normal[1].abs() > normal[0].abs());
    [0, 1].map(|c| if c == along { 1.0_f64.copysign(normal[c]) } else { 0.0 })
}

/// The unit vector at an angle from x towards y; whole quarter turns are exact.
fn unit(angle_rad: f64) -> [f64; 2] {
    [angle_rad.cos(), angle_rad.sin()].map(|c| if c.abs() < 1e-12 { 0.0 } else { c })
}

#[cfg(test)]
mod tests {
    use super::*;

    const EXTENT: [f64; 2] = [64.0, 32.0];

    fn field(settings: &SceneSettings) -> PatternField {
        PatternField::new(settings, 41.3, [16, 8], EXTENT)
    }

    #[test]
    fn a_wall_is_a_tanh_across_and_flips_what_its_angle_says() {
        let base = SceneSettings { wall_normal_deg: Some(0.0), ..SceneSettings::default() };
        let per_axis = 41.3 / 3.0_f64.sqrt();
        for (pattern, flips) in
            [(Pattern::Wall71, [false, true, false]), (Pattern::Wall109, [false, true, true]), (Pattern::Wall180, [true; 3])]
        {
            let field = field(&SceneSettings { pattern, ..base.clone() });
            for x in [2.0, 30.0, 32.0, 36.5, 62.0] {
                let profile = -(2.0_f64 * (x - 32.0) / 10.0).tanh();
                let expected = flips.map(|f| if f { per_axis * profile } else { per_axis });
                let got = field.b_site_pm([0, 0], [x, 11.0]);
                assert!(got.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-9), "{pattern:?} {got:?} {expected:?}");
            }
        }
    }

    #[test]
    fn the_default_wall_is_neutral() {
        for pattern in [Pattern::Wall71, Pattern::Wall109, Pattern::Wall180] {
            let field = field(&SceneSettings { pattern, variant: 3, ..SceneSettings::default() });
            let along = |d: [f64; 3]| d[0] * field.normal[0] + d[1] * field.normal[1];
            let [n, centre] = [field.normal, EXTENT.map(|e| 0.5 * e)];
            let [left, right] = [-20.0, 20.0].map(|s| field.b_site_pm([0, 0], [0, 1].map(|c| centre[c] + s * n[c])));
            assert!((along(left) - along(right)).abs() < 1e-6, "{pattern:?}");
            assert!((left[0] - right[0]).hypot(left[1] - right[1]) > 40.0, "{pattern:?} flips something in the image");
        }
    }

    #[test]
    fn stripes_and_vortices_close_on_themselves() {
        for pattern in [Pattern::Stripes71, Pattern::Stripes180, Pattern::VortexArray] {
            let field = field(&SceneSettings { pattern, period_nm: 3.0, ..SceneSettings::default() });
            assert_eq!(field.is_periodic(), [true; 2]);
            for at in [[3.0, 5.0], [17.0, 30.0]] {
                let here = field.b_site_pm([0, 0], at);
                for moved in [[at[0] + EXTENT[0], at[1]], [at[0], at[1] - EXTENT[1]]] {
                    let there = field.b_site_pm([0, 0], moved);
                    assert!(here.iter().zip(there).all(|(a, b)| (a - b).abs() < 1e-9), "{pattern:?}");
                }
            }
        }
    }

    #[test]
    fn a_vortex_turns_about_its_centre_and_is_still_there() {
        let field = field(&SceneSettings { pattern: Pattern::Vortex, ..SceneSettings::default() });
        let in_plane = 41.3 * (2.0_f64 / 3.0).sqrt();
        let right = field.b_site_pm([0, 0], [32.0 + 12.0, 16.0]);
        assert!(right[0].abs() < 1e-9 && (right[1] - in_plane * 2.4_f64.tanh()).abs() < 1e-9, "{right:?}");
        let centre = field.b_site_pm([0, 0], [32.0, 16.0]);
        assert_eq!(centre[0].hypot(centre[1]), 0.0);
    }

    #[test]
    fn antipolar_rows_are_two_up_two_down_or_one_and_one() {
        let pbam = field(&SceneSettings { phase: Phase::Pbam, ..SceneSettings::default() });
        let signs: Vec<bool> = (-1..7).map(|i| pbam.a_site_pm([i, 1])[0] > 0.0).collect();
        assert_eq!(signs, [true, true, false, false, true, true, false, false]);
        assert_eq!(pbam.b_site_pm([0, 0], [1.0, 1.0]).map(f64::abs), [0.0; 3]);
        let pnma = field(&SceneSettings { phase: Phase::SmModel, composition: 0.2, ..SceneSettings::default() });
        assert!((pnma.a_site_pm([3, 0])[0] + pnma.a_site_pm([3, 1])[0]).abs() < 1e-12);
        assert!((pnma.a_site_pm([0, 0])[0] - 25.0 * FRAC_1_SQRT_2).abs() < 1e-12);
    }

    #[test]
    fn a_random_pattern_never_exceeds_the_displacement_of_its_phase() {
        let field = field(&SceneSettings { pattern: Pattern::Random, correlation_nm: 0.8, ..SceneSettings::default() });
        let limit = 41.3 * (2.0_f64 / 3.0).sqrt();
        let lengths: Vec<f64> = (0..128).map(|c| field.b_site_pm([c % 16, c / 16], [0.0; 2])).map(|d| d[0].hypot(d[1])).collect();
        assert!(lengths.iter().all(|&l| l < limit));
        assert!(lengths.iter().fold(0.0_f64, |m, &l| m.max(l)) > 0.7 * limit);
    }
}
