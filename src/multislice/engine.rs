//! The seam between physics and hardware: an engine propagates a batch of waves through slices; the waves stay behind the seam, and what a
//! detector needs of them comes out.

use super::cuda::{self, Cards, Cuda};
use super::{Bloch, Contraction, Cpu, ImageSums, MultisliceError, Reference, Setting};
use crate::crystal::Element;
use crate::numerics::lanes::Isa;
use crate::specimen::Slice;
use num_complex::Complex64;
use std::f64::consts::TAU;
use std::ops::Range;
use std::sync::Arc;

/// Waves at the entrance surface, as coefficients c of Σ c exp(2πi k·r).
#[derive(Debug, Clone, Copy)]
pub enum InitialWaves<'a> {
    /// One plane wave of amplitude 1 for each frequency (h, k) of the class.
    Plane(&'a [(i32, i32)]),
    /// One probe at many places.
    Probes(Probes<'a>),
    /// Full spectra in FFT order.
    Spectra(&'a [Vec<Complex64>]),
}

/// One probe at many places: A(k) exp(−2πi k·r) for every position r.
#[derive(Debug, Clone, Copy)]
pub struct Probes<'a> {
    /// A(k) exp(−iχ(k)) of the Bloch class, FFT order.
    pub aperture: &'a [Complex64],
    /// Positions, Å.
    pub positions_angstrom: &'a [[f64; 2]],
}

impl InitialWaves<'_> {
    /// Number of waves.
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            Self::Plane(waves) => waves.len(),
            Self::Probes(probes) => probes.positions_angstrom.len(),
            Self::Spectra(waves) => waves.len(),
        }
    }

    /// Whether there is no wave.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The spectrum of one wave, FFT order, before the band limit.
    #[must_use]
    pub fn spectrum(&self, wave: usize, bloch: Bloch, setting: &Setting) -> Vec<Complex64> {
        let grid = setting.grid;
        match self {
            Self::Plane(waves) => {
                let (h, k) = waves[wave];
                let mut spectrum = vec![Complex64::default(); grid.len()];
                spectrum[grid.index(h, k)] = Complex64::new(1.0, 0.0);
                spectrum
            }
            Self::Probes(Probes { aperture, positions_angstrom }) => {
                let r = positions_angstrom[wave];
                let shifted = |((h, k), a): ((i32, i32), &Complex64)| {
                    let q = bloch.wave_vector(grid, h, k);
                    if *a == Complex64::default() { *a } else { a * Complex64::cis(-TAU * (q[0] * r[0] + q[1] * r[1])) }
                };
                grid.frequencies().zip(*aperture).map(shifted).collect()
            }
            Self::Spectra(waves) => waves[wave].clone(),
        }
    }
}

/// A way to compute: prepared for one [`Setting`], shared by all threads.
pub trait Engine: Send + Sync {
    /// Name for provenance: hardware, instruction set, precision.
    fn name(&self) -> String;

    /// How many waves should travel together where the caller may choose. No result depends on it.
    fn batch(&self) -> usize {
        16
    }

    /// Places waves of one Bloch class before the slices of one configuration.
    fn start<'a>(
        &'a self,
        bloch: Bloch,
        slices: &'a [Slice],
        waves: InitialWaves<'_>,
    ) -> Result<Box<dyn Propagation + 'a>, MultisliceError>;
}

/// Waves on their way through one configuration; they stay in the engine's own memory and layout.
///
/// What is provided reads every wave and works on the processor; an engine with a memory of its own does it there.
pub trait Propagation {
    /// Number of waves.
    fn waves(&self) -> usize;

    /// Steps every wave through `slices`.
    fn advance(&mut self, slices: Range<usize>) -> Result<(), MultisliceError>;

    /// Copies the spectrum of one wave, FFT order of the working grid, f64 whatever the engine's precision.
    fn read(&mut self, wave: usize, spectrum: &mut [Complex64]) -> Result<(), MultisliceError>;

    /// Points of a spectrum.
    fn points(&self) -> usize;

    /// Σ|c|² of every wave.
    fn intensities(&mut self) -> Result<Vec<f64>, MultisliceError> {
        let (mut spectrum, mut out) = (vec![Complex64::default(); self.points()], Vec::with_capacity(self.waves()));
        for wave in 0..self.waves() {
            self.read(wave, &mut spectrum)?;
            out.push(spectrum.iter().map(Complex64::norm_sqr).sum());
        }
        Ok(out)
    }

    /// Σ w|c|² over each detector, `[wave][detector]`; a detector is a list of (position in FFT order, weight).
    fn detect(&mut self, detectors: &[Vec<(u32, f64)>]) -> Result<Vec<Vec<f64>>, MultisliceError> {
        let (mut spectrum, mut out) = (vec![Complex64::default(); self.points()], Vec::with_capacity(self.waves()));
        for wave in 0..self.waves() {
            self.read(wave, &mut spectrum)?;
            let sum = |d: &Vec<(u32, f64)>| d.iter().map(|&(i, w)| w * spectrum[i as usize].norm_sqr()).sum();
            out.push(detectors.iter().map(sum).collect());
        }
        Ok(out)
    }

    /// Adds the images of all contractions to the sums.
    fn contract(&mut self, contractions: &Arc<[Contraction]>, sums: &mut ImageSums<'_>) -> Result<(), MultisliceError> {
        let mut spectra = vec![vec![Complex64::default(); self.points()]; self.waves()];
        for (wave, spectrum) in spectra.iter_mut().enumerate() {
            self.read(wave, spectrum)?;
        }
        contractions.iter().for_each(|c| c.add(&spectra, sums));
        Ok(())
    }
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
    /// f32 waves on graphics cards.
    Cuda(Cards),
    /// The same, and the CPU for what the cards fail at: lost, or too small.
    CudaOrCpu(Cards),
}

impl Device {
    /// The engine for a setting and the elements its slices hold. With [`Device::CudaOrCpu`] that of the CPU, where the cards refuse.
    pub fn engine(self, setting: &Setting, elements: &[Element]) -> Result<Box<dyn Engine>, MultisliceError> {
        Ok(match self {
            Self::Cpu => Box::new(Cpu::new(setting, elements, Isa::best())?),
            Self::CpuWith(isa) => Box::new(Cpu::new(setting, elements, isa)?),
            Self::Reference => Box::new(Reference::new(setting, elements)),
            Self::Cuda(cards) => Box::new(Cuda::new(setting, elements, cuda::drivers(cards)?, None)?),
            Self::CudaOrCpu(cards) => match Self::Cuda(cards).engine(setting, elements) {
                Err(MultisliceError::Device(error)) => Box::new(Instead::new(setting, elements, &error)?),
                engine => engine?,
            },
        })
    }

    /// The engine of the CPU in place of a card that failed, its name saying why; `None` where the device was asked for and nothing else.
    pub fn instead(
        self,
        setting: &Setting,
        elements: &[Element],
        error: &cuda::DeviceError,
    ) -> Result<Option<Box<dyn Engine>>, MultisliceError> {
        match self {
            Self::CudaOrCpu(_) => Ok(Some(Box::new(Instead::new(setting, elements, error)?))),
            _ => Ok(None),
        }
    }

    /// Runs `work` on the engine, and once more on the CPU where a card fails on the way and [`Self::instead`] allows it.
    pub fn run<T>(
        self,
        setting: &Setting,
        elements: &[Element],
        work: impl Fn(&dyn Engine) -> Result<T, MultisliceError>,
    ) -> Result<T, MultisliceError> {
        match work(self.engine(setting, elements)?.as_ref()) {
            Err(MultisliceError::Device(error)) => match self.instead(setting, elements, &error)? {
                Some(cpu) => work(cpu.as_ref()),
                None => Err(error.into()),
            },
            result => result,
        }
    }
}

/// The CPU in place of a card, with the reason in its name.
struct Instead {
    cpu: Cpu,
    why: String,
}

impl Instead {
    fn new(setting: &Setting, elements: &[Element], error: &cuda::DeviceError) -> Result<Self, MultisliceError> {
        Ok(Self { cpu: Cpu::new(setting, elements, Isa::best())?, why: error.to_string() })
    }
}

impl Engine for Instead {
    fn name(&self) -> String {
        format!("{}, since {}", self.cpu.name(), self.why)
    }

    fn start<'a>(
        &'a self,
        bloch: Bloch,
        slices: &'a [Slice],
        waves: InitialWaves<'_>,
    ) -> Result<Box<dyn Propagation + 'a>, MultisliceError> {
        self.cpu.start(bloch, slices, waves)
    }
}
