//! The seam between physics and hardware: an engine propagates a batch of waves through slices; the waves stay behind the seam.

use super::{Bloch, Cpu, MultisliceError, Reference, Setting};
use crate::crystal::Element;
use crate::numerics::lanes::Isa;
use crate::specimen::Slice;
use num_complex::Complex64;
use std::ops::Range;

/// Waves at the entrance surface, as coefficients c of Σ c exp(2πi k·r).
#[derive(Debug, Clone, Copy)]
pub enum InitialWaves<'a> {
    /// One plane wave of amplitude 1 for each frequency (h, k) of the class.
    Plane(&'a [(i32, i32)]),
    /// Full spectra in FFT order.
    Spectra(&'a [Vec<Complex64>]),
}

impl InitialWaves<'_> {
    /// Number of waves.
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            Self::Plane(waves) => waves.len(),
            Self::Spectra(waves) => waves.len(),
        }
    }

    /// Whether there is no wave.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// A way to compute: prepared for one [`Setting`], shared by all threads.
pub trait Engine: Send + Sync {
    /// Name for provenance: hardware, instruction set, precision.
    fn name(&self) -> String;

    /// Places waves of one Bloch class before the slices of one configuration.
    fn start<'a>(
        &'a self,
        bloch: Bloch,
        slices: &'a [Slice],
        waves: InitialWaves<'_>,
    ) -> Result<Box<dyn Propagation + 'a>, MultisliceError>;
}

/// Waves on their way through one configuration; they stay in the engine's own memory and layout.
pub trait Propagation {
    /// Steps every wave through `slices`.
    fn advance(&mut self, slices: Range<usize>);

    /// Copies the spectrum of one wave, FFT order of the working grid, f64 whatever the engine's precision.
    fn read(&self, wave: usize, spectrum: &mut [Complex64]);
}

/// Which engine to use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Device {
    /// f32 waves on the CPU's widest vectors.
    #[default]
    Cpu,
    /// f32 waves on a named instruction set.
    CpuWith(Isa),
    /// The f64 scalar reference: slow, the judge of all others.
    Reference,
}

impl Device {
    /// The engine for a setting and the elements its slices hold.
    pub fn engine(self, setting: &Setting, elements: &[Element]) -> Result<Box<dyn Engine>, MultisliceError> {
        Ok(match self {
            Self::Cpu => Box::new(Cpu::new(setting, elements, Isa::best())?),
            Self::CpuWith(isa) => Box::new(Cpu::new(setting, elements, isa)?),
            Self::Reference => Box::new(Reference::new(setting, elements)),
        })
    }
}
