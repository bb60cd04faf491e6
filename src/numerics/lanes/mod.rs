//! The step of multislice, ψ ← P·(tψ), in f32 for many waves at once: one wave a SIMD lane.
//!
//! Waves that cross the same slices share every transmission value, propagator value and twiddle, so all products are vector times
//! scalar and nothing is transposed. Only the kx columns that the band limit keeps are stored and transformed along y.
//!
//! A wave is given and returned by its Fourier coefficients c(k), ψ(r) = Σ c(k) exp(+2πi k·r), in FFT order, row-major `[ky][kx]`;
//! a step is c ← P · forward FFT(t · ψ) / (nx ny). The same bytes come out whichever lane a wave is in and whatever the others are.

#[cfg(target_arch = "x86_64")]
mod butterflies;
#[cfg(target_arch = "x86_64")]
mod line;
mod portable;
#[cfg(target_arch = "x86_64")]
mod step;
#[cfg(test)]
mod tests;
#[cfg(target_arch = "x86_64")]
mod vector;

use std::fmt;
use std::sync::Arc;

use num_complex::Complex32;
use rustfft::{Fft, FftPlanner};

use portable::PortablePlan;
#[cfg(target_arch = "x86_64")]
use step::LanePlan;
#[cfg(target_arch = "x86_64")]
use vector::Vector;
#[cfg(target_arch = "x86_64")]
pub(crate) use vector::{F32x8, F32x16};

/// The longest side of a grid; a transmission function of that size is 2 GB.
const LONGEST_SIDE: usize = 16_384;

/// The instruction sets a step can run on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Isa {
    /// AVX-512: sixteen waves a block.
    Avx512,
    /// AVX2 with FMA: eight waves a block.
    Avx2,
    /// Any processor and any grid size: one wave a block, through rustfft.
    Portable,
}

impl Isa {
    /// The fastest instruction set of this processor.
    #[must_use]
    pub fn best() -> Self {
        Self::available().first().copied().unwrap_or(Self::Portable)
    }

    /// All instruction sets of this processor, fastest first.
    #[must_use]
    pub fn available() -> Vec<Self> {
        [Self::Avx512, Self::Avx2, Self::Portable].into_iter().filter(|isa| isa.is_here()).collect()
    }

    #[cfg(target_arch = "x86_64")]
    fn is_here(self) -> bool {
        match self {
            Self::Avx512 => vector::F32x16::zero_if_supported().is_some(),
            Self::Avx2 => vector::F32x8::zero_if_supported().is_some(),
            Self::Portable => true,
        }
    }

    #[cfg(not(target_arch = "x86_64"))]
    fn is_here(self) -> bool {
        self == Self::Portable
    }
}

impl fmt::Display for Isa {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Avx512 => "AVX-512",
            Self::Avx2 => "AVX2",
            Self::Portable => "portable",
        })
    }
}

/// Why a grid cannot be stepped.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LanesError {
    /// A side is zero or too long.
    #[error("a grid of {nx} × {ny} pixels cannot be propagated: each side must be 1 to {LONGEST_SIDE} pixels")]
    Size {
        /// Pixels along x.
        nx: usize,
        /// Pixels along y.
        ny: usize,
    },
    /// A side has a prime factor other than 2, 3 and 5.
    #[error(
        "a side of {side} pixels has a prime factor other than 2, 3 and 5, which the {isa} transforms lack: \
         take {below} or {above} pixels, or the portable path"
    )]
    Factors {
        /// Pixels of the side.
        side: usize,
        /// The instruction set asked for.
        isa: Isa,
        /// The next smaller side that works.
        below: usize,
        /// The next larger side that works.
        above: usize,
    },
    /// The list of kept columns does not fit the grid.
    #[error("{given} kept-column marks were given for {nx} columns: give one for every kx")]
    KeptColumns {
        /// Marks given.
        given: usize,
        /// Pixels along x.
        nx: usize,
    },
    /// No column is kept.
    #[error("no kx column is kept, so nothing would be left of the wave: widen the band limit")]
    NothingKept,
    /// The processor lacks the instruction set.
    #[error("this processor has no {isa} instructions: take one of {}", list(.available))]
    Missing {
        /// The instruction set asked for.
        isa: Isa,
        /// What there is.
        available: Vec<Isa>,
    },
}

fn list(isas: &[Isa]) -> String {
    isas.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

/// How a step is done on one grid with one band limit: shared by all threads.
pub struct StepPlan {
    isa: Isa,
    engine: Box<dyn Engine>,
    layout: Arc<Layout>,
    y_forward: Arc<dyn Fft<f32>>,
    y_inverse: Arc<dyn Fft<f32>>,
}

/// The k-space factor of a step in the order of its plan, with the scale of the transforms in it.
#[derive(Clone)]
pub struct Propagator {
    factors: Vec<Complex32>,
    layout: Arc<Layout>,
}

/// The real-space factor of a step.
#[derive(Clone)]
pub struct Transmission {
    values: Vec<Complex32>,
    layout: Arc<Layout>,
}

/// Up to [`StepPlan::lanes`] waves that go through the same slices, and the scratch they need.
pub struct WaveBlock {
    waves: Box<dyn Waves>,
    layout: Arc<Layout>,
}

/// The order in which an engine holds k-space.
#[derive(Debug, PartialEq, Eq)]
struct Layout {
    nx: usize,
    ny: usize,
    /// The ky at each position of a column after its forward transform.
    ky_at: Vec<usize>,
    /// The kx of each kept column.
    columns: Vec<usize>,
}

/// What makes blocks for one grid on one instruction set.
trait Engine: Send + Sync {
    fn lanes(&self) -> usize;
    fn layout(&self) -> &Arc<Layout>;
    fn bytes_per_block(&self) -> usize;
    /// A block of waves that are zero everywhere.
    fn blank(&self) -> Box<dyn Waves>;
}

/// A block of waves: for every lane and kept column, a line of real y.
trait Waves: Send + Sync {
    fn put_column(&mut self, lane: usize, column: usize, line: &[Complex32]);
    fn take_column(&self, lane: usize, column: usize, line: &mut [Complex32]);
    fn step(&mut self, transmission: &[Complex32], propagator: &[Complex32]);
}

impl StepPlan {
    /// A plan for a grid of `nx` × `ny` pixels. `kept_columns[kx]` (FFT order) says which kx the band limit leaves; all others are
    /// dropped after every step. The SIMD paths take sides of 2^a 3^b 5^c pixels, the portable path any.
    pub fn new(nx: usize, ny: usize, kept_columns: &[bool], isa: Isa) -> Result<Self, LanesError> {
        if !(1..=LONGEST_SIDE).contains(&nx) || !(1..=LONGEST_SIDE).contains(&ny) {
            return Err(LanesError::Size { nx, ny });
        }
        if kept_columns.len() != nx {
            return Err(LanesError::KeptColumns { given: kept_columns.len(), nx });
        }
        if !kept_columns.contains(&true) {
            return Err(LanesError::NothingKept);
        }
        let engine = engine(nx, ny, kept_columns, isa)?;
        let layout = Arc::clone(engine.layout());
        let mut planner = FftPlanner::new();
        Ok(Self { isa, engine, layout, y_forward: planner.plan_fft_forward(ny), y_inverse: planner.plan_fft_inverse(ny) })
    }

    /// The instruction set of this plan.
    #[must_use]
    pub fn isa(&self) -> Isa {
        self.isa
    }

    /// Waves in a block.
    #[must_use]
    pub fn lanes(&self) -> usize {
        self.engine.lanes()
    }

    /// Memory of a block, in bytes.
    #[must_use]
    pub fn bytes_per_block(&self) -> usize {
        self.engine.bytes_per_block()
    }

    /// A propagator from its values in FFT order, row-major `[ky][kx]`, *without* the scale of the transforms.
    ///
    /// # Panics
    /// If there are not nx · ny values.
    #[must_use]
    pub fn propagator(&self, natural: &[Complex32]) -> Propagator {
        let Layout { nx, ny, ref ky_at, ref columns } = *self.layout;
        assert_eq!(natural.len(), nx * ny, "a propagator has one value a pixel");
        let scale = (1.0 / (nx * ny) as f64) as f32;
        let column = |&kx: &usize| ky_at.iter().map(move |&ky| natural[ky * nx + kx] * scale);
        Propagator { factors: columns.iter().flat_map(column).collect(), layout: Arc::clone(&self.layout) }
    }

    /// A transmission function from its values, row-major `[y][x]`.
    ///
    /// # Panics
    /// If there are not nx · ny values.
    #[must_use]
    pub fn transmission(&self, natural: &[Complex32]) -> Transmission {
        assert_eq!(natural.len(), self.layout.nx * self.layout.ny, "a transmission function has one value a pixel");
        Transmission { values: natural.to_vec(), layout: Arc::clone(&self.layout) }
    }

    /// A block of up to [`Self::lanes`] waves given by their Fourier coefficients, FFT order, row-major `[ky][kx]`. Dropped columns
    /// are ignored; lanes without a wave are zero.
    ///
    /// # Panics
    /// If there are more waves than lanes, or a wave has not nx · ny coefficients.
    #[must_use]
    pub fn load(&self, waves: &[&[Complex32]]) -> WaveBlock {
        let Layout { nx, ny, ref columns, .. } = *self.layout;
        assert!(waves.len() <= self.lanes(), "{} waves do not fit in {} lanes", waves.len(), self.lanes());
        assert!(waves.iter().all(|wave| wave.len() == nx * ny), "a wave has one coefficient a pixel");
        let mut block = self.blank();
        let mut line = vec![Complex32::default(); ny];
        let mut scratch = vec![Complex32::default(); self.y_inverse.get_inplace_scratch_len()];
        for (lane, wave) in waves.iter().enumerate() {
            for (column, &kx) in columns.iter().enumerate() {
                for (value, row) in line.iter_mut().zip(wave.chunks_exact(nx)) {
                    *value = row[kx];
                }
                self.y_inverse.process_with_scratch(&mut line, &mut scratch);
                block.waves.put_column(lane, column, &line);
            }
        }
        block
    }

    /// A block of plane waves exp(+2πi k·r), each given by its (kx, ky) indices in FFT order. A wave in a dropped column is zero.
    ///
    /// # Panics
    /// If there are more waves than lanes, or an index is outside the grid.
    #[must_use]
    pub fn plane_waves(&self, frequencies: &[(usize, usize)]) -> WaveBlock {
        let Layout { nx, ny, ref columns, .. } = *self.layout;
        assert!(frequencies.len() <= self.lanes(), "{} waves do not fit in {} lanes", frequencies.len(), self.lanes());
        let root = |i: usize| -> Complex32 {
            let angle = std::f64::consts::TAU * i as f64 / ny as f64;
            Complex32::new(angle.cos() as f32, angle.sin() as f32)
        };
        let roots: Vec<Complex32> = (0..ny).map(root).collect();
        let mut block = self.blank();
        for (lane, &(kx, ky)) in frequencies.iter().enumerate() {
            assert!(kx < nx && ky < ny, "beam ({kx}, {ky}) is outside a grid of {nx} × {ny}");
            if let Some(column) = columns.iter().position(|&kept| kept == kx) {
                let line: Vec<Complex32> = (0..ny).map(|y| roots[y * ky % ny]).collect();
                block.waves.put_column(lane, column, &line);
            }
        }
        block
    }

    /// Takes the waves through the slices: for each, times t in real space, then times P in k-space.
    ///
    /// # Panics
    /// If the block or a slice was made for another grid, band limit or instruction set.
    pub fn advance(&self, block: &mut WaveBlock, slices: &[(&Transmission, &Propagator)]) {
        self.assert_same(&block.layout);
        for (transmission, propagator) in slices {
            self.assert_same(&transmission.layout);
            self.assert_same(&propagator.layout);
            block.waves.step(&transmission.values, &propagator.factors);
        }
    }

    /// The Fourier coefficients of the wave in `lane`, FFT order, row-major `[ky][kx]`, zero in the dropped columns.
    ///
    /// # Panics
    /// If the block was made for another plan, there is no such lane, or `out` has not nx · ny coefficients.
    pub fn read(&self, block: &WaveBlock, lane: usize, out: &mut [Complex32]) {
        let Layout { nx, ny, ref columns, .. } = *self.layout;
        self.assert_same(&block.layout);
        assert!(lane < self.lanes(), "there is no lane {lane} among {}", self.lanes());
        assert_eq!(out.len(), nx * ny, "a wave has one coefficient a pixel");
        out.fill(Complex32::default());
        let scale = (1.0 / ny as f64) as f32;
        let mut line = vec![Complex32::default(); ny];
        let mut scratch = vec![Complex32::default(); self.y_forward.get_inplace_scratch_len()];
        for (column, &kx) in columns.iter().enumerate() {
            block.waves.take_column(lane, column, &mut line);
            self.y_forward.process_with_scratch(&mut line, &mut scratch);
            for (row, value) in out.chunks_exact_mut(nx).zip(&line) {
                row[kx] = value * scale;
            }
        }
    }

    fn blank(&self) -> WaveBlock {
        WaveBlock { waves: self.engine.blank(), layout: Arc::clone(&self.layout) }
    }

    fn assert_same(&self, layout: &Arc<Layout>) {
        assert!(Arc::ptr_eq(&self.layout, layout) || self.layout == *layout, "made for another grid, band limit or instruction set");
    }
}

/// The engine of an instruction set, if the processor has it and the sides suit it.
fn engine(nx: usize, ny: usize, kept_columns: &[bool], isa: Isa) -> Result<Box<dyn Engine>, LanesError> {
    #[cfg(target_arch = "x86_64")]
    fn lanes<V: Vector>(nx: usize, ny: usize, kept_columns: &[bool], isa: Isa) -> Result<Box<dyn Engine>, LanesError> {
        let zero = V::zero_if_supported().ok_or_else(|| LanesError::Missing { isa, available: Isa::available() })?;
        let plan = LanePlan::new(zero, nx, ny, kept_columns).ok_or_else(|| unsuitable(nx, ny, isa))?;
        Ok(Box::new(Arc::new(plan)))
    }
    match isa {
        #[cfg(target_arch = "x86_64")]
        Isa::Avx512 => lanes::<vector::F32x16>(nx, ny, kept_columns, isa),
        #[cfg(target_arch = "x86_64")]
        Isa::Avx2 => lanes::<vector::F32x8>(nx, ny, kept_columns, isa),
        #[cfg(not(target_arch = "x86_64"))]
        Isa::Avx512 | Isa::Avx2 => Err(LanesError::Missing { isa, available: Isa::available() }),
        Isa::Portable => Ok(Box::new(Arc::new(PortablePlan::new(nx, ny, kept_columns)))),
    }
}

/// Names the side that does not factor, and its neighbours that do.
#[cfg(target_arch = "x86_64")]
fn unsuitable(nx: usize, ny: usize, isa: Isa) -> LanesError {
    let side = if factors(nx) { ny } else { nx };
    let below = (1..side).rev().find(|&n| factors(n)).unwrap_or(1);
    let above = (side..2 * side).find(|&n| factors(n)).unwrap_or(side);
    LanesError::Factors { side, isa, below, above }
}

/// Whether n = 2^a 3^b 5^c.
#[cfg(target_arch = "x86_64")]
fn factors(n: usize) -> bool {
    let rest = [2, 3, 5].into_iter().fold(n, |mut n, prime| {
        while n > 0 && n.is_multiple_of(prime) {
            n /= prime;
        }
        n
    });
    rest == 1
}
