//! Transmission functions exp(iσV) of single slices: translation-invariant, band-limited; V in V Å, σ in rad/(V Å).
//!
//! The potential is summed from exact Fourier phases (no rounding of atoms to pixels), the phase grating is formed on a grid `oversampling`
//! times finer, transformed, cut to the band limit and sampled on the working grid. Without the finer grid exp(iσV) aliases, and a heavy
//! column's signal depends on where it stands between the pixels. The potential itself fades out by a cosine from 0.4 to 0.8 of the fine
//! band: a sharp end would leave the logarithmic peak of V at a nucleus aliasing thirty times more.

use super::SliceAtom;
use crate::crystal::Element;
use crate::microscope::Beam;
use crate::numerics::band_limit::BandLimit;
use crate::numerics::fft::{Fft2, Fft2Scratch};
use crate::numerics::grid::{Grid, area, norm};
use crate::potential::{Factors, PROJECTED_VOLT_ANGSTROM2};
use num_complex::{Complex, Complex64};
use num_traits::Float;
use rustfft::FftNum;
use std::collections::BTreeMap;

/// What slices of one grid share, whatever computes them: σ V(k) of each element on the fine grid, and the cut to the working grid.
pub struct TransmissionTables<T> {
    /// The grid on which phase gratings are formed.
    pub fine: Grid,
    /// The working grid.
    pub coarse: Grid,
    /// σ V(k)/area of one atom at the origin, fine grid, FFT order.
    pub potentials: BTreeMap<Element, Vec<T>>,
    /// (position in the fine spectrum, position in the coarse spectrum, what passes over the number of fine points) of every frequency
    /// inside the band limit.
    pub cut: Vec<(u32, u32, T)>,
}

impl<T: FftNum + Float> TransmissionTables<T> {
    /// Tables for `elements` on `grid`, the phase grating being formed `oversampling` times finer and cut to `band`.
    #[must_use]
    pub fn new(grid: Grid, oversampling: usize, band: BandLimit, beam: Beam, factors: Factors, elements: &[Element]) -> Self {
        let fine = grid.finer(oversampling);
        let scale = PROJECTED_VOLT_ANGSTROM2 * beam.interaction_rad_per_volt_angstrom() / area(grid.cell_angstrom).abs();
        // On the working grid itself (oversampling 1) the whole square stays, its Nyquist lines too: what codes without a finer grid do.
        let nyquist = fine.nyquist();
        let window = BandLimit { radius: 0.8 * nyquist, taper: 0.4 * nyquist };
        let table = |&element: &Element| {
            let at = |(h, k): (i32, i32)| {
                let q = norm(fine.frequency(h, k));
                let keep = if oversampling == 1 { 1.0 } else { window.pass(q) };
                real::<T>(if keep > 0.0 { scale * keep * factors.scattering_factor_angstrom(element, q) } else { 0.0 })
            };
            (element, fine.frequencies().map(at).collect())
        };
        let fine_points = 1.0 / fine.len() as f64;
        let cut = grid.frequencies().map(|(h, k)| (h, k, band.pass(norm(grid.frequency(h, k)))));
        let cut =
            cut.filter(|c| c.2 > 0.0).map(|(h, k, pass)| (fine.index(h, k) as u32, grid.index(h, k) as u32, real(pass * fine_points)));
        Self { fine, coarse: grid, potentials: elements.iter().map(table).collect(), cut: cut.collect() }
    }
}

/// Everything slices of one grid share on the processor: the tables and FFT plans.
pub struct TransmissionPlan<T: FftNum> {
    tables: TransmissionTables<T>,
    fine_fft: Fft2<T>,
    coarse_fft: Fft2<T>,
}

/// Buffers to build transmission functions in; one a thread.
pub struct TransmissionScratch<T> {
    fine: Vec<Complex<T>>,
    fine_fft: Fft2Scratch<T>,
    coarse_fft: Fft2Scratch<T>,
}

impl<T: FftNum + Float + Default> TransmissionPlan<T> {
    /// [`TransmissionTables::new`] with FFT plans.
    #[must_use]
    pub fn new(grid: Grid, oversampling: usize, band: BandLimit, beam: Beam, factors: Factors, elements: &[Element]) -> Self {
        let tables = TransmissionTables::new(grid, oversampling, band, beam, factors, elements);
        let (fine_fft, coarse_fft) = (Fft2::new(tables.fine.nx, tables.fine.ny), Fft2::new(grid.nx, grid.ny));
        Self { tables, fine_fft, coarse_fft }
    }

    /// Buffers for [`Self::build`].
    #[must_use]
    pub fn scratch(&self) -> TransmissionScratch<T> {
        TransmissionScratch {
            fine: vec![Complex::default(); self.tables.fine.len()],
            fine_fft: self.fine_fft.scratch(),
            coarse_fft: self.coarse_fft.scratch(),
        }
    }

    /// The transmission functions of one or two slices (row-major, real space, working grid). Two at once share one transform: both
    /// potentials are real, so they ride as real and imaginary part. Elements the plan has no table for are left out.
    pub fn build(&self, slices: &[&[SliceAtom]], scratch: &mut TransmissionScratch<T>) -> Vec<Vec<Complex<T>>> {
        debug_assert!(matches!(slices.len(), 1 | 2), "one or two slices ride in one transform");
        scratch.fine.fill(Complex::default());
        for (slice, quarter_turn) in slices.iter().zip([false, true]) {
            self.add_potential(slice, quarter_turn, &mut scratch.fine);
        }
        self.fine_fft.inverse(&mut scratch.fine, &mut scratch.fine_fft);
        let phases: Vec<T> = if slices.len() == 2 { scratch.fine.iter().map(|v| v.im).collect() } else { Vec::new() };
        for v in &mut scratch.fine {
            *v = unit_phase(v.re);
        }
        let mut out = vec![self.cut_to_band(scratch)];
        if slices.len() == 2 {
            for (v, phase) in scratch.fine.iter_mut().zip(phases) {
                *v = unit_phase(phase);
            }
            out.push(self.cut_to_band(scratch));
        }
        out
    }

    /// Adds σV(k) of the atoms, times i if `quarter_turn`, from exact phases exp(−2πi(hu + kv)). A Nyquist line stands for both its mirror
    /// images: it takes their mean, a cosine, so that the potential stays real.
    fn add_potential(&self, atoms: &[SliceAtom], quarter_turn: bool, spectrum: &mut [Complex<T>]) {
        let (nx, ny) = (self.tables.fine.nx, self.tables.fine.ny);
        for atom in atoms {
            let Some(table) = self.tables.potentials.get(&atom.element) else { continue };
            let along = |n: usize, u: f64| -> Vec<Complex<T>> {
                let phase = |i: usize| Complex64::cis(-std::f64::consts::TAU * (f64::from(Grid::signed(i, n)) * u).fract());
                (0..n).map(|i| complex(if 2 * i == n { phase(i).re.into() } else { phase(i) })).collect()
            };
            let (px, mut py) = (along(nx, atom.in_plane[0]), along(ny, atom.in_plane[1]));
            let turn: Complex<T> = complex(Complex64::new(0.0, 1.0));
            for p in &mut py {
                *p = p.scale(real(atom.weight));
                if quarter_turn {
                    *p = *p * turn;
                }
            }
            for ((row, f), p) in spectrum.chunks_exact_mut(nx).zip(table.chunks_exact(nx)).zip(&py) {
                for ((v, &f), x) in row.iter_mut().zip(f).zip(&px) {
                    *v = *v + Complex::new(f * (x.re * p.re - x.im * p.im), f * (x.re * p.im + x.im * p.re));
                }
            }
        }
    }

    /// Fine phase grating in `scratch.fine` → band-limited transmission function on the working grid.
    fn cut_to_band(&self, scratch: &mut TransmissionScratch<T>) -> Vec<Complex<T>> {
        self.fine_fft.forward(&mut scratch.fine, &mut scratch.fine_fft);
        let mut out = vec![Complex::default(); self.tables.coarse.len()];
        for &(from, to, pass) in &self.tables.cut {
            out[to as usize] = scratch.fine[from as usize].scale(pass);
        }
        self.coarse_fft.inverse(&mut out, &mut scratch.coarse_fft);
        out
    }
}

/// exp(i phase), in the precision of the waves.
fn unit_phase<T: Float>(phase: T) -> Complex<T> {
    let (sin, cos) = phase.sin_cos();
    Complex::new(cos, sin)
}

/// A float of either precision: both hold, rounded, any f64 the tables make.
fn real<T: Float>(value: f64) -> T {
    T::from(value).unwrap_or_else(T::nan)
}

fn complex<T: Float>(z: Complex64) -> Complex<T> {
    Complex::new(real(z.re), real(z.im))
}
