//! Images of perovskites drawn from Gaussians, with every column's true place and index; pixels, x right, y down.

use mistilt::columns::Zone;
use rand::SeedableRng;
use rand_distr::{Distribution, Normal};

/// What is drawn.
pub(crate) struct Scene {
    pub(crate) width: usize,
    pub(crate) height: usize,
    pub(crate) zone: Zone,
    /// Vectors between A columns, px; along ⟨110⟩ the second is the longer.
    pub(crate) basis: [[f64; 2]; 2],
    pub(crate) origin: [f64; 2],
    /// Peak heights of A and B.
    pub(crate) heights: [f64; 2],
    /// Standard deviation of a column, in units of a.
    pub(crate) sigma: f64,
    /// Standard deviation of the noise of one pixel.
    pub(crate) noise: f64,
    /// Displacement of B in its cell, px, by fractional place in the image.
    pub(crate) polarization: fn([f64; 2]) -> [f64; 2],
    /// Displacement of all columns, px, by place: drift and distortion.
    pub(crate) distortion: fn([f64; 2]) -> [f64; 2],
    /// Background by fractional place in the image.
    pub(crate) background: fn([f64; 2]) -> f64,
    /// A or B columns left out, by site ('A' or 'B') and lattice index.
    pub(crate) missing: fn(char, [i32; 2]) -> bool,
    pub(crate) seed: u64,
}

/// A column that was drawn.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Drawn {
    pub(crate) is_a: bool,
    pub(crate) index: [i32; 2],
    pub(crate) place: [f64; 2],
}

impl Scene {
    pub(crate) fn new(width: usize, height: usize, basis: [[f64; 2]; 2]) -> Self {
        Self {
            width,
            height,
            zone: Zone::Z100,
            basis,
            origin: [0.3 * basis[0][0] + 3.7, 0.4 * basis[1][1] + 2.2],
            heights: [1.0, 0.45],
            sigma: 0.12,
            noise: 0.0,
            polarization: |_| [0.0; 2],
            distortion: |_| [0.0; 2],
            background: |_| 0.1,
            missing: |_, _| false,
            seed: 1,
        }
    }

    pub(crate) fn a_px(&self) -> f64 {
        let [[a, b], [c, d]] = self.basis;
        let area = (a * d - b * c).abs();
        if self.zone == Zone::Z100 { area.sqrt() } else { (area * 2_f64.sqrt()).sqrt() }
    }

    /// All columns whose centres lie in the image.
    pub(crate) fn columns(&self) -> Vec<Drawn> {
        let far = 2 * ((self.width + self.height) as f64 / self.a_px()) as i32;
        let place = |u: f64, v: f64| [0, 1].map(|x| self.origin[x] + u * self.basis[0][x] + v * self.basis[1][x]);
        let mut drawn = Vec::new();
        for j in -far..=far {
            for i in -far..=far {
                let (u, v) = (f64::from(i), f64::from(j));
                let half = if self.zone == Zone::Z100 { 0.5 } else { 0.0 };
                for (is_a, p) in [(true, place(u, v)), (false, place(u + half, v + 0.5))] {
                    if (self.missing)(if is_a { 'A' } else { 'B' }, [i, j]) {
                        continue;
                    }
                    let fraction = [p[0] / self.width as f64, p[1] / self.height as f64];
                    let shift = if is_a { [0.0; 2] } else { (self.polarization)(fraction) };
                    let drift = (self.distortion)(p);
                    let place = [p[0] + shift[0] + drift[0], p[1] + shift[1] + drift[1]];
                    if place[0] > -0.5 && place[1] > -0.5 && place[0] < self.width as f64 - 0.5 && place[1] < self.height as f64 - 0.5 {
                        drawn.push(Drawn { is_a, index: [i, j], place });
                    }
                }
            }
        }
        drawn
    }

    pub(crate) fn draw(&self) -> Vec<f32> {
        let mut image: Vec<f64> = (0..self.width * self.height)
            .map(|n| (self.background)([(n % self.width) as f64 / self.width as f64, (n / self.width) as f64 / self.height as f64]))
            .collect();
        let sigma = self.sigma * self.a_px();
        let reach = (5.0 * sigma).ceil() as i64;
        for column in self.columns() {
            let height = self.heights[usize::from(!column.is_a)];
            let middle = column.place.map(|v| v.round() as i64);
            for y in (middle[1] - reach).max(0)..=(middle[1] + reach).min(self.height as i64 - 1) {
                for x in (middle[0] - reach).max(0)..=(middle[0] + reach).min(self.width as i64 - 1) {
                    let r2 = (x as f64 - column.place[0]).powi(2) + (y as f64 - column.place[1]).powi(2);
                    image[y as usize * self.width + x as usize] += height * (-0.5 * r2 / (sigma * sigma)).exp();
                }
            }
        }
        let mut random = rand_chacha::ChaCha8Rng::seed_from_u64(self.seed);
        let noise = Normal::new(0.0, self.noise).unwrap();
        image.into_iter().map(|v| (v + noise.sample(&mut random)) as f32).collect()
    }
}
