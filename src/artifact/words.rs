//! The verdict in words, a sentence a region and some for the image; pm, mrad, image axes x right and y down.

use super::verdict::{Call, RegionVerdict, Verdict};
use super::witness::Method;

/// Names of directions: Miller indices of the lattice where the zone is known, else an angle.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Directions {
    /// Indices along the first lattice vector of the image.
    pub x: [i32; 3],
    /// Indices along the second.
    pub y: [i32; 3],
}

impl Directions {
    /// Of a cut: y = z × x.
    #[must_use]
    pub fn of(zone: [i32; 3], x: [i32; 3]) -> Self {
        let cross = [0, 1, 2].map(|i| zone[(i + 1) % 3] * x[(i + 2) % 3] - zone[(i + 2) % 3] * x[(i + 1) % 3]);
        let common = cross.iter().fold(0, |g, c| gcd(g, c.abs())).max(1);
        Self { x, y: cross.map(|c| c / common) }
    }

    /// A vector's direction given in the axes of the crystal, as `[100]` or `[110]` within 15°, else as an angle from x toward y.
    #[must_use]
    pub fn name(&self, [x, y]: [f64; 2]) -> String {
        let degrees = y.atan2(x).to_degrees();
        let eighth = (degrees / 45.0).round();
        let square = |v: [i32; 3]| v.iter().map(|i| i * i).sum::<i32>();
        let diagonal = eighth as i32 % 2 != 0;
        if (degrees - 45.0 * eighth).abs() > 15.0 || (diagonal && square(self.x) != square(self.y)) {
            return format!("at {degrees:.0}° from x toward y");
        }
        let (i, j) = [(1, 0), (1, 1), (0, 1), (-1, 1), (-1, 0), (-1, -1), (0, -1), (1, -1)][(eighth as i32).rem_euclid(8) as usize];
        let sum = [0, 1, 2].map(|k| i * self.x[k] + j * self.y[k]);
        let common = sum.iter().fold(0, |g, c| gcd(g, c.abs())).max(1);
        let indices = sum.map(|k| k / common);
        let spaced = indices.iter().any(|k| *k < 0);
        let text: Vec<String> = indices.iter().map(|k| k.to_string().replace('-', "−")).collect();
        format!("along [{}]", text.join(if spaced { " " } else { "" }))
    }
}

fn gcd(a: i32, b: i32) -> i32 {
    if b == 0 { a } else { gcd(b, a % b) }
}

/// "(+1.2, −0.4)".
#[must_use]
pub fn pair(v: [f64; 2], decimals: usize) -> String {
    format!("({:+.decimals$}, {:+.decimals$})", v[0], v[1]).replace('-', "−")
}

/// One sentence on a region.
#[must_use]
pub fn region_sentence(r: &RegionVerdict, verdict: &Verdict, directions: &Directions) -> String {
    let length = r.measured_pm[0].hypot(r.measured_pm[1]);
    let direction = directions.name(verdict.axes.to_crystal(r.measured_pm));
    let tilt = verdict.max_tilt_mrad;
    let head = format!("Region {} ({} cells): the {length:.1} pm {direction}", r.number, r.cells);
    let left = r.corrected_pm.mean[0].hypot(r.corrected_pm.mean[1]);
    let (sx, sy) = (r.corrected_pm.covariance[0].sqrt(), r.corrected_pm.covariance[2].sqrt());
    let corrected = format!("{} ± ({sx:.1}, {sy:.1}) pm", pair(r.corrected_pm.mean, 1));
    let needed = if r.needed_tilt_mrad.is_finite() {
        format!("a mis-tilt of {:.1} mrad fakes as much", r.needed_tilt_mrad)
    } else {
        "no mis-tilt fakes it".to_owned()
    };
    match r.call {
        Call::Crystal => format!(
            "{head} are not mis-tilt: within {tilt} mrad at most {:.1} pm of them can be faked. With the tilt's part taken out {corrected} remain.",
            r.bound_pm
        ),
        Call::CrystalAfterCorrection => format!(
            "{head} could be faked within {tilt} mrad ({needed}), but the tilt that this image shows leaves {corrected}: crystal, by that \
             estimate."
        ),
        Call::MisTilt => format!(
            "{head} are mis-tilt by what this image shows of its tilt: {} pm of the shift are the tilt's and {corrected} remain, which is \
             not different from zero ({left:.1} pm).",
            pair(r.tilt_part_pm.mean, 1)
        ),
        Call::Undecided => format!(
            "{head} are within what a mis-tilt of up to {tilt} mrad fakes ({needed}), and the image does not show its tilt well enough to tell: \
             {corrected} remain."
        ),
        Call::Noise => format!("{head} are not above their noise."),
    }
}

/// The sentences on the image.
#[must_use]
pub fn image_sentences(verdict: &Verdict) -> Vec<String> {
    let mut out = Vec::new();
    let cells: usize = verdict.regions.iter().map(|r| r.cells).sum();
    let of = |wanted: &dyn Fn(Call) -> bool| -> f64 {
        100.0 * verdict.regions.iter().filter(|r| wanted(r.call)).map(|r| r.cells).sum::<usize>() as f64 / cells.max(1) as f64
    };
    let (crystal, estimate) = (of(&|c| c == Call::Crystal), of(&|c| c == Call::CrystalAfterCorrection));
    let (tilt, undecided, noise) = (of(&|c| c == Call::MisTilt), of(&|c| c == Call::Undecided), of(&|c| c == Call::Noise));
    out.push(format!(
        "Of {cells} cells in {} regions {crystal:.0} % are polarized beyond what any mis-tilt within {} mrad fakes, {estimate:.0} % by the tilt \
         estimate; {tilt:.0} % are mis-tilt, {undecided:.0} % undecided, {noise:.0} % noise.",
        verdict.regions.len(),
        verdict.max_tilt_mrad
    ));
    out.push(format!("A mis-tilt within {} mrad fakes at most {:.1} pm.", verdict.max_tilt_mrad, verdict.largest_fake_pm));
    if verdict.common_tilt.freedom > 0 {
        let c = &verdict.common_tilt;
        out.push(if c.is_excluded() {
            format!(
                "No single tilt within the range explains all regions as unpolarized: the best leaves χ² = {:.0} for {} degrees of freedom.",
                c.chi_square, c.freedom
            )
        } else {
            format!(
                "A single tilt of {} mrad would explain all regions as unpolarized (χ² = {:.1} for {} degrees of freedom).",
                pair(c.tilt_mrad, 1),
                c.chi_square,
                c.freedom
            )
        });
    }
    for t in &verdict.tilts {
        let s = t.sigma_mrad();
        let told = match t.tells {
            [true, true] => String::new(),
            [false, false] => "; that is no more than the allowed range".to_owned(),
            [true, false] => "; it says nothing of the tilt along the second lattice vector".to_owned(),
            [false, true] => "; it says nothing of the tilt along the first lattice vector".to_owned(),
        };
        let name = if t.method == Method::Together { "all evidence".to_owned() } else { format!("the {}", t.method.name()) };
        out.push(format!("Tilt from {name}: {} ± ({:.2}, {:.2}) mrad{told}.", pair(t.mean_mrad, 2), s[0], s[1]));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directions_have_their_crystallographers_names() {
        let d = Directions::of([0, 0, 1], [1, 0, 0]);
        assert_eq!(d.y, [0, 1, 0]);
        let named =
            [([27.0, 26.0], "along [110]"), ([8.0, 0.5], "along [100]"), ([-5.0, 5.0], "along [−1 1 0]"), ([0.0, -3.0], "along [0 −1 0]")];
        for (v, name) in named {
            assert_eq!(d.name(v), name);
        }
        assert_eq!(d.name([10.0, 4.0]), "at 22° from x toward y");
        assert_eq!(Directions::of([1, -1, 0], [1, 1, 0]).y, [0, 0, 1]);
    }
}
