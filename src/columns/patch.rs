//! The samples inside a round window, cut from pixels or evaluated from Fourier coefficients; lengths in samples, about the window's centre.

use super::estimate::FitFailure;
use crate::image::FourierImage;
use num_complex::Complex64;
use std::f64::consts::TAU;

/// Samples handled together in inner loops; every row of a patch is padded to a multiple of it with samples of weight 0.
pub(super) const LANES: usize = 2;

/// Largest radius of a window, samples: beyond it a "column" is a picture, and memory would grow with a user's slip.
pub(super) const MAX_RADIUS: f64 = 256.0;

/// Least part of a window's samples that must be there (inside the image, finite, not masked).
pub(super) const LEAST_PRESENT: f64 = 2.0 / 3.0;

/// Pixels of a real image, row-major, y down; NaN, infinities and masked pixels count as absent.
#[derive(Debug, Clone, Copy)]
pub struct Pixels<'a> {
    pub(super) values: &'a [f32],
    pub(super) width: usize,
    pub(super) height: usize,
    absent: Option<&'a [bool]>,
}

impl<'a> Pixels<'a> {
    /// `None` unless `values` holds `width × height` pixels, at least one.
    #[must_use]
    pub fn new(values: &'a [f32], width: usize, height: usize) -> Option<Self> {
        let fits = !values.is_empty() && width.checked_mul(height) == Some(values.len());
        fits.then_some(Self { values, width, height, absent: None })
    }

    /// The same pixels with those marked `true` left out (dead rows, dust, the scale bar); `None` unless there is one mark a pixel.
    #[must_use]
    pub fn without(self, absent: &'a [bool]) -> Option<Self> {
        (absent.len() == self.values.len()).then_some(Self { absent: Some(absent), ..self })
    }

    /// The same marks on other values of the same shape.
    pub(super) fn with_values<'b>(self, values: &'b [f32]) -> Pixels<'b>
    where
        'a: 'b,
    {
        debug_assert_eq!(values.len(), self.values.len());
        Pixels { values, ..self }
    }

    /// Lays the present pixels of a row, from `column` on, into `values`, and 1 into their `weights`.
    fn fill(&self, column: i64, row: i64, values: &mut [f64], weights: &mut [f64]) {
        if row < 0 || row >= self.height as i64 {
            return;
        }
        let skipped = (-column).clamp(0, values.len() as i64) as usize;
        let end = (self.width as i64 - column).clamp(skipped as i64, values.len() as i64) as usize;
        if skipped == end {
            return;
        }
        let first = row as usize * self.width + (column + skipped as i64) as usize;
        let pixels = first..first + end - skipped;
        let out = values[skipped..end].iter_mut().zip(&mut weights[skipped..end]);
        for ((value, weight), &pixel) in out.zip(&self.values[pixels.clone()]) {
            let finite = pixel.is_finite();
            *value = if finite { f64::from(pixel) } else { 0.0 };
            *weight = f64::from(u8::from(finite));
        }
        if let Some(absent) = self.absent {
            let out = values[skipped..end].iter_mut().zip(&mut weights[skipped..end]);
            out.zip(&absent[pixels]).filter(|(_, absent)| **absent).for_each(|((value, weight), _)| (*value, *weight) = (0.0, 0.0));
        }
    }

    /// The pixels within `radius` of `centre` (px).
    pub(super) fn cut(&self, centre: [f64; 2], radius: f64) -> Result<Patch, FitFailure> {
        self.cut_covering(centre, radius, |_, _| true)
    }

    /// As [`Pixels::cut`] of the samples `wanted` takes, by their patch coordinates.
    pub(super) fn cut_covering(&self, centre: [f64; 2], radius: f64, wanted: impl Fn(f64, f64) -> bool) -> Result<Patch, FitFailure> {
        let inside = |p: f64, n: usize| p >= -0.5 && p <= n as f64 - 0.5;
        if !(inside(centre[0], self.width) && inside(centre[1], self.height)) {
            return Err(FitFailure::OutsideImage);
        }
        let frame = Frame::of_pixels(centre);
        let middle = frame.origin;
        let fill = |i: i64, j: i64, values: &mut [f64], weights: &mut [f64]| {
            self.fill(middle[0] as i64 + i, middle[1] as i64 + j, values, weights);
        };
        Patch::new(frame, frame.local(centre), radius, wanted, fill)
    }
}

/// From patch coordinates p (samples) to the image's: origin + spacing (p₀ e₀ + p₁ e₁), e orthonormal.
#[derive(Debug, Clone, Copy)]
pub(super) struct Frame {
    pub(super) origin: [f64; 2],
    pub(super) axes: [[f64; 2]; 2],
    pub(super) spacing: f64,
}

impl Frame {
    /// The frame of pixels about the pixel nearest to `centre`.
    pub(super) fn of_pixels(centre: [f64; 2]) -> Self {
        Self { origin: centre.map(f64::round), axes: [[1.0, 0.0], [0.0, 1.0]], spacing: 1.0 }
    }

    pub(super) fn position(&self, p: [f64; 2]) -> [f64; 2] {
        let v = self.vector(p);
        [self.origin[0] + self.spacing * v[0], self.origin[1] + self.spacing * v[1]]
    }

    /// A direction, turned but not stretched.
    pub(super) fn vector(&self, p: [f64; 2]) -> [f64; 2] {
        let [e, f] = self.axes;
        [p[0] * e[0] + p[1] * f[0], p[0] * e[1] + p[1] * f[1]]
    }

    /// From the image's coordinates to the patch's.
    pub(super) fn local(&self, r: [f64; 2]) -> [f64; 2] {
        let d = [(r[0] - self.origin[0]) / self.spacing, (r[1] - self.origin[1]) / self.spacing];
        self.axes.map(|e| d[0] * e[0] + d[1] * e[1])
    }

    /// A covariance [xx, xy, yy] in samples², turned and stretched to the image's unit.
    pub(super) fn covariance(&self, c: [f64; 3]) -> [f64; 3] {
        let [e, f] = self.axes;
        let s = self.spacing * self.spacing;
        let entry = |i: usize, j: usize| s * (c[0] * e[i] * e[j] + c[1] * (e[i] * f[j] + f[i] * e[j]) + c[2] * f[i] * f[j]);
        [entry(0, 0), entry(0, 1), entry(1, 1)]
    }
}

/// One row of a patch: `width` samples from `start`, at `y` and at `x`, `x + 1`, ..., padded to `len`, a multiple of [`LANES`].
#[derive(Debug, Clone, Copy)]
pub(super) struct Row {
    pub(super) x: f64,
    pub(super) y: f64,
    pub(super) start: usize,
    pub(super) width: usize,
    pub(super) len: usize,
}

/// The samples inside a window. Absent samples have value 0 and weight 0, the others weight 1.
#[derive(Debug, Clone)]
pub(super) struct Patch {
    pub(super) frame: Frame,
    /// The window's centre and radius, samples.
    pub(super) centre: [f64; 2],
    pub(super) radius: f64,
    pub(super) rows: Vec<Row>,
    pub(super) values: Vec<f64>,
    pub(super) weights: Vec<f64>,
    /// How many samples have weight 1.
    pub(super) samples: usize,
}

impl Patch {
    /// The samples (i, j) of a unit grid that `wanted` takes, within `radius` of `centre`. `fill` lays those of a row that are present, from
    /// (i, j) on, into values, with weights 1.
    fn new(
        frame: Frame,
        centre: [f64; 2],
        radius: f64,
        wanted: impl Fn(f64, f64) -> bool,
        fill: impl Fn(i64, i64, &mut [f64], &mut [f64]),
    ) -> Result<Self, FitFailure> {
        let reach = (radius + 1.0).ceil() as i64;
        let capacity = (2 * reach + 1 + LANES as i64) * (2 * reach + 1);
        let mut patch = Self {
            frame,
            centre,
            radius,
            rows: Vec::with_capacity(2 * reach as usize + 1),
            values: Vec::with_capacity(capacity as usize),
            weights: Vec::with_capacity(capacity as usize),
            samples: 0,
        };
        let mut inside = 0;
        for j in -reach..=reach {
            let dy = j as f64 - centre[1];
            let half = radius * radius - dy * dy;
            if half < 0.0 {
                continue;
            }
            let half = half.sqrt();
            let (first, last) = ((centre[0] - half).ceil() as i64, (centre[0] + half).floor() as i64);
            if last < first {
                continue;
            }
            let (start, width) = (patch.values.len(), (last - first + 1) as usize);
            let len = width.next_multiple_of(LANES);
            patch.values.resize(start + len, 0.0);
            patch.weights.resize(start + len, 0.0);
            let (values, weights) = (&mut patch.values[start..start + width], &mut patch.weights[start..start + width]);
            fill(first, j, values, weights);
            for (i, (value, weight)) in values.iter_mut().zip(weights).enumerate() {
                if wanted((first + i as i64) as f64, j as f64) {
                    inside += 1;
                    patch.samples += usize::from(*weight > 0.0);
                } else {
                    (*value, *weight) = (0.0, 0.0);
                }
            }
            patch.rows.push(Row { x: first as f64, y: j as f64, start, width, len });
        }
        let needed = (LEAST_PRESENT * f64::from(inside)).ceil() as usize;
        if patch.samples < needed.max(4) {
            return Err(FitFailure::TooFewSamples { found: patch.samples, needed: needed.max(4) });
        }
        Ok(patch)
    }

    /// Present samples as (x, y, value).
    pub(super) fn iter(&self) -> impl Iterator<Item = (f64, f64, f64)> + '_ {
        self.rows.iter().flat_map(move |row| {
            let range = row.start..row.start + row.len;
            let pairs = self.values[range.clone()].iter().zip(&self.weights[range]);
            pairs.enumerate().filter(|&(_, (_, &w))| w > 0.0).map(move |(i, (&value, _))| (row.x + i as f64, row.y, value))
        })
    }

    pub(super) fn minimum(&self) -> f64 {
        self.iter().map(|(_, _, value)| value).fold(f64::INFINITY, f64::min)
    }

    pub(super) fn maximum(&self) -> f64 {
        self.iter().map(|(_, _, value)| value).fold(f64::NEG_INFINITY, f64::max)
    }
}

/// A Fourier image made ready for patches.
///
/// The patch's grid is turned so that its first axis runs along a₁: then b₂ has no part along it, exp(2πi q·r) splits into a table over columns
/// times a table over rows, and a patch of P² samples costs about P² H instead of 4 P² H K (H, K the limits of h and k), in oblique cells too.
pub(super) struct FourierPatches<'a> {
    image: &'a FourierImage,
    axes: [[f64; 2]; 2],
    /// c(h, k) + conj c(−h, −k) for h > 0, c(0, k) for h = 0, as rows of h: the real part of the whole sum from half of it.
    folded: Vec<Complex64>,
    spacing: f64,
}

impl<'a> FourierPatches<'a> {
    pub(super) fn new(image: &'a FourierImage, spacing: f64) -> Self {
        let [a1, _] = image.cell_angstrom();
        let length = a1[0].hypot(a1[1]);
        let e = [a1[0] / length, a1[1] / length];
        let [h_max, k_max] = image.limits().map(|n| n as i32);
        let folded = (0..=h_max).flat_map(|h| {
            (-k_max..=k_max).map(move |k| {
                let c = image.coefficient(h, k);
                if h == 0 { c } else { c + image.coefficient(-h, -k).conj() }
            })
        });
        Self { image, axes: [e, [-e[1], e[0]]], folded: folded.collect(), spacing }
    }

    /// The frame of a patch about `centre` (Å).
    pub(super) fn frame(&self, centre: [f64; 2]) -> Frame {
        Frame { origin: centre, axes: self.axes, spacing: self.spacing }
    }

    /// The image sampled every `spacing` Å within `radius` samples of `centre` (Å).
    pub(super) fn cut(&self, centre: [f64; 2], radius: f64) -> Result<Patch, FitFailure> {
        self.cut_covering(centre, radius, |_, _| true)
    }

    /// As [`FourierPatches::cut`] of the samples `wanted` takes, by their patch coordinates.
    pub(super) fn cut_covering(&self, centre: [f64; 2], radius: f64, wanted: impl Fn(f64, f64) -> bool) -> Result<Patch, FitFailure> {
        let (reach, values) = self.square(centre, radius);
        let side = 2 * reach + 1;
        Patch::new(self.frame(centre), [0.0; 2], radius, wanted, |i, j, into, weights| {
            let from = (j + reach as i64) as usize * side + (i + reach as i64) as usize;
            for ((value, weight), &sample) in into.iter_mut().zip(weights).zip(&values[from..]) {
                if sample.is_finite() {
                    (*value, *weight) = (sample, 1.0);
                }
            }
        })
    }

    /// The reach n ≥ radius and the (2n + 1)² samples about `centre`, rows along the patch's first axis.
    fn square(&self, centre: [f64; 2], radius: f64) -> (usize, Vec<f64>) {
        let reach = radius.ceil() as usize;
        let side = 2 * reach + 1;
        let [b1, b2] = self.image.reciprocal();
        let dot = |b: [f64; 2], v: [f64; 2]| b[0] * v[0] + b[1] * v[1];
        let (u, v) = (dot(b1, centre), dot(b2, centre));
        let [h_max, k_max] = self.image.limits();
        let ramp = |frequency: f64| (0..side).map(move |i| Complex64::cis(TAU * frequency * (i as f64 - reach as f64)));
        let step = [b1, b2].map(|b| self.axes.map(|e| self.spacing * dot(b, e)));
        let along_rows: Vec<Vec<Complex64>> = (0..=2 * k_max).map(|k| ramp((k as f64 - k_max as f64) * step[1][1]).collect()).collect();
        let mut values = vec![0.0; side * side];
        let mut down = vec![Complex64::default(); side];
        for h in 0..=h_max {
            down.fill(Complex64::default());
            for (k, table) in along_rows.iter().enumerate() {
                let phase = TAU * (h as f64 * u + (k as f64 - k_max as f64) * v);
                let c = self.folded[h * (2 * k_max + 1) + k] * Complex64::cis(phase);
                down.iter_mut().zip(table).for_each(|(sum, &t)| *sum += c * t);
            }
            down.iter_mut().zip(ramp(h as f64 * step[0][1])).for_each(|(sum, t)| *sum *= t);
            let (re, im): (Vec<f64>, Vec<f64>) = ramp(h as f64 * step[0][0]).map(|t| (t.re, t.im)).unzip();
            for (row, t) in values.chunks_exact_mut(side).zip(&down) {
                row.iter_mut().zip(re.iter().zip(&im)).for_each(|(value, (re, im))| *value += re * t.re - im * t.im);
            }
        }
        (reach, values)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patches_of_an_oblique_fourier_image_equal_its_values() {
        let mut image = FourierImage::zeros([[3.9, 0.4], [-0.3, 4.1]], 3, 2);
        for (i, (h, k)) in (-3..=3).flat_map(|h| (-2..=2).map(move |k| (h, k))).enumerate() {
            assert!(image.add(h, k, Complex64::new((i as f64).sin(), (i as f64 * 1.7).cos())));
        }
        let patch = FourierPatches::new(&image, 0.11).cut([0.37, 1.9], 7.3).expect("a patch");
        assert!(patch.samples > 150);
        for (x, y, value) in patch.iter() {
            let r = patch.frame.position([x, y]);
            assert!((value - image.value(r)).abs() < 1e-12, "{r:?}");
            let back = patch.frame.local(r);
            assert!((back[0] - x).abs() < 1e-9 && (back[1] - y).abs() < 1e-9);
        }
    }

    #[test]
    fn absent_pixels_and_edges_are_left_out_and_counted() {
        let mut values = vec![1.0f32; 20 * 20];
        values[10 * 20..11 * 20].fill(f32::NAN);
        let mut mask = vec![false; 400];
        mask[9 * 20 + 10] = true;
        let pixels = Pixels::new(&values, 20, 20).expect("400 pixels").without(&mask).expect("400 marks");
        let patch = pixels.cut([10.0, 10.0], 4.0).expect("49 pixels less 9 and 1");
        assert_eq!(patch.samples, 49 - 9 - 1);
        assert!(patch.iter().all(|(_, y, _)| y.abs() > 0.5));
        assert_eq!(pixels.cut([0.0, 3.0], 4.0).err(), Some(FitFailure::TooFewSamples { found: 28, needed: 33 }));
        assert_eq!(pixels.cut([-0.6, 3.0], 4.0).err(), Some(FitFailure::OutsideImage));
        assert_eq!(pixels.cut([f64::NAN, 3.0], 4.0).err(), Some(FitFailure::OutsideImage));
        assert!(Pixels::new(&values, 20, 21).is_none() && Pixels::new(&[], 0, 0).is_none() && pixels.without(&mask[1..]).is_none());
    }
}
