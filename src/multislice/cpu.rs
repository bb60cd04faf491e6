//! The fast CPU engine: f32 waves interleaved in the lanes of the widest vectors, in blocks that stay in cache through many slices.

use super::{Bloch, Engine, InitialWaves, MultisliceError, Propagation, Setting};
use crate::crystal::Element;
use crate::numerics::lanes::{Isa, Propagator, StepPlan, Transmission, WaveBlock};
use crate::specimen::{Slice, SliceAtom, TransmissionPlan};
use num_complex::{Complex32, Complex64};
use std::ops::Range;
use std::sync::Arc;

/// Memory for transmission functions of one configuration that wait to be used, bytes: they are made in chunks of slices this large.
const CHUNK_BYTES: usize = 64 << 20;

/// f32 SIMD engine.
pub struct Cpu {
    setting: Setting,
    isa: Isa,
    transmission: TransmissionPlan<f32>,
}

impl Cpu {
    /// An engine for one setting and the elements its slices hold, on one instruction set.
    pub fn new(setting: &Setting, elements: &[Element], isa: Isa) -> Result<Self, MultisliceError> {
        let Setting { grid, beam, factors, oversampling, band } = *setting;
        // Refuse sizes the kernels cannot transform before any work starts.
        StepPlan::new(grid.nx, grid.ny, &vec![true; grid.nx], isa)?;
        Ok(Self { setting: *setting, isa, transmission: TransmissionPlan::new(grid, oversampling, band, beam, factors, elements) })
    }
}

impl Engine for Cpu {
    fn name(&self) -> String {
        format!("cpu f32 {:?}", self.isa).to_lowercase()
    }

    fn start<'a>(
        &'a self,
        bloch: Bloch,
        slices: &'a [Slice],
        waves: InitialWaves<'_>,
    ) -> Result<Box<dyn Propagation + 'a>, MultisliceError> {
        let grid = self.setting.grid;
        let pass = bloch.pass(&self.setting);
        let kept: Vec<bool> = (0..grid.nx).map(|x| (0..grid.ny).any(|y| pass[y * grid.nx + x] > 0.0)).collect();
        let plan = StepPlan::new(grid.nx, grid.ny, &kept, self.isa)?;
        let blocks = match waves {
            InitialWaves::Plane(list) => {
                let position = |&(h, k): &(i32, i32)| (h.rem_euclid(grid.nx as i32) as usize, k.rem_euclid(grid.ny as i32) as usize);
                let positions: Vec<(usize, usize)> = list.iter().map(position).collect();
                positions.chunks(plan.lanes()).map(|chunk| plan.plane_waves(chunk)).collect()
            }
            InitialWaves::Probes(_) | InitialWaves::Spectra(_) => {
                let limited = |wave: &usize| -> Vec<Complex32> {
                    let keep =
                        |(c, p): (Complex64, &f64)| if *p > 0.0 { Complex32::new(c.re as f32, c.im as f32) } else { Complex32::default() };
                    waves.spectrum(*wave, bloch, &self.setting).into_iter().zip(&pass).map(keep).collect()
                };
                let load = |chunk: &[usize]| {
                    let narrow: Vec<Vec<Complex32>> = chunk.iter().map(limited).collect();
                    plan.load(&narrow.iter().map(Vec::as_slice).collect::<Vec<_>>())
                };
                (0..waves.len()).collect::<Vec<_>>().chunks(plan.lanes()).map(load).collect()
            }
        };
        Ok(Box::new(Run { engine: self, bloch, slices, waves: waves.len(), plan, blocks, propagators: Vec::new(), shared: Vec::new() }))
    }
}

struct Run<'a> {
    engine: &'a Cpu,
    bloch: Bloch,
    slices: &'a [Slice],
    waves: usize,
    plan: StepPlan,
    blocks: Vec<WaveBlock>,
    /// Propagators by distance.
    propagators: Vec<(f64, Arc<Propagator>)>,
    /// Transmission functions of atoms that several slices share (a crystal at rest).
    shared: Vec<(Arc<[SliceAtom]>, Arc<Transmission>)>,
}

impl Propagation for Run<'_> {
    fn waves(&self) -> usize {
        self.waves
    }

    fn points(&self) -> usize {
        self.engine.setting.grid.len()
    }

    fn advance(&mut self, slices: Range<usize>) -> Result<(), MultisliceError> {
        let slices = &self.slices[slices];
        let per_chunk = (CHUNK_BYTES / (self.engine.setting.grid.len() * size_of::<Complex32>())).max(2);
        for chunk in slices.chunks(per_chunk) {
            let propagators: Vec<_> = chunk.iter().map(|s| self.propagator(s.thickness_angstrom)).collect();
            let transmissions = self.transmissions(chunk);
            let steps: Vec<(&Transmission, &Propagator)> = transmissions.iter().zip(&propagators).map(|(t, p)| (&**t, &**p)).collect();
            for block in &mut self.blocks {
                self.plan.advance(block, &steps);
            }
        }
        Ok(())
    }

    fn read(&mut self, wave: usize, spectrum: &mut [Complex64]) -> Result<(), MultisliceError> {
        let lanes = self.plan.lanes();
        let mut narrow = vec![Complex32::default(); spectrum.len()];
        self.plan.read(&self.blocks[wave / lanes], wave % lanes, &mut narrow);
        for (wide, c) in spectrum.iter_mut().zip(narrow) {
            *wide = Complex64::new(f64::from(c.re), f64::from(c.im));
        }
        Ok(())
    }
}

impl Run<'_> {
    fn propagator(&mut self, distance_angstrom: f64) -> Arc<Propagator> {
        if let Some((_, known)) = self.propagators.iter().find(|(d, _)| d.to_bits() == distance_angstrom.to_bits()) {
            return known.clone();
        }
        let wide = self.bloch.propagator(&self.engine.setting, distance_angstrom);
        let narrow: Vec<Complex32> = wide.iter().map(|c| Complex32::new(c.re as f32, c.im as f32)).collect();
        let made = Arc::new(self.plan.propagator(&narrow));
        self.propagators.push((distance_angstrom, made.clone()));
        made
    }

    /// The transmission functions of a chunk of slices, each made once, two to a transform.
    fn transmissions(&mut self, chunk: &[Slice]) -> Vec<Arc<Transmission>> {
        let mut made: Vec<Option<Arc<Transmission>>> = vec![None; chunk.len()];
        let mut missing: Vec<usize> = Vec::new();
        for (i, slice) in chunk.iter().enumerate() {
            made[i] = self.shared.iter().find(|(atoms, _)| Arc::ptr_eq(atoms, &slice.atoms)).map(|(_, t)| t.clone());
            if made[i].is_none() && !missing.iter().any(|&j| Arc::ptr_eq(&chunk[j].atoms, &slice.atoms)) {
                missing.push(i);
            }
        }
        let plan = &self.engine.transmission;
        let mut scratch = plan.scratch();
        for pair in missing.chunks(2) {
            let atoms: Vec<&[SliceAtom]> = pair.iter().map(|&i| &*chunk[i].atoms).collect();
            for (&i, natural) in pair.iter().zip(plan.build(&atoms, &mut scratch)) {
                let t = Arc::new(self.plan.transmission(&natural));
                made[i] = Some(t.clone());
                // More owners than the slice itself: other slices hold the same atoms.
                if Arc::strong_count(&chunk[i].atoms) > 1 {
                    self.shared.push((chunk[i].atoms.clone(), t));
                }
            }
        }
        (0..chunk.len())
            .map(|i| {
                let twin = || missing.iter().find(|&&j| Arc::ptr_eq(&chunk[j].atoms, &chunk[i].atoms)).and_then(|&j| made[j].clone());
                // Every slice was either known, missing (made above) or the twin of a missing one.
                made[i].clone().or_else(twin).expect("a transmission function for every slice of the chunk")
            })
            .collect()
    }
}
