//! The judge: multislice in f64 with plain 2-D FFTs, as simple as it can be written.

use super::{Bloch, Engine, InitialWaves, MultisliceError, Propagation, Setting};
use crate::crystal::Element;
use crate::numerics::fft::Fft2;
use crate::specimen::{Slice, TransmissionPlan};
use num_complex::Complex64;
use std::ops::Range;

/// f64 scalar engine.
pub struct Reference {
    setting: Setting,
    transmission: TransmissionPlan<f64>,
    fft: Fft2<f64>,
}

impl Reference {
    /// An engine for one setting and the elements its slices hold.
    #[must_use]
    pub fn new(setting: &Setting, elements: &[Element]) -> Self {
        let Setting { grid, beam, factors, oversampling, band } = *setting;
        let transmission = TransmissionPlan::new(grid, oversampling, band, beam, factors, elements);
        Self { setting: *setting, transmission, fft: Fft2::new(grid.nx, grid.ny) }
    }
}

impl Engine for Reference {
    fn name(&self) -> String {
        "reference f64".to_owned()
    }

    fn start<'a>(
        &'a self,
        bloch: Bloch,
        slices: &'a [Slice],
        waves: InitialWaves<'_>,
    ) -> Result<Box<dyn Propagation + 'a>, MultisliceError> {
        let pass = bloch.pass(&self.setting);
        let mut spectra: Vec<Vec<Complex64>> = (0..waves.len()).map(|w| waves.spectrum(w, bloch, &self.setting)).collect();
        for (c, p) in spectra.iter_mut().flat_map(|s| s.iter_mut().zip(&pass)) {
            if *p == 0.0 {
                *c = Complex64::default();
            }
        }
        Ok(Box::new(Run { engine: self, bloch, slices, spectra }))
    }
}

struct Run<'a> {
    engine: &'a Reference,
    bloch: Bloch,
    slices: &'a [Slice],
    spectra: Vec<Vec<Complex64>>,
}

impl Propagation for Run<'_> {
    fn waves(&self) -> usize {
        self.spectra.len()
    }

    fn points(&self) -> usize {
        self.engine.setting.grid.len()
    }

    fn advance(&mut self, slices: Range<usize>) -> Result<(), MultisliceError> {
        let Reference { setting, transmission, fft } = self.engine;
        let (mut build, mut scratch) = (transmission.scratch(), fft.scratch());
        let scale = 1.0 / setting.grid.len() as f64;
        for slice in &self.slices[slices] {
            let t = transmission.build(&[&slice.atoms], &mut build).remove(0);
            let p = self.bloch.propagator(setting, slice.thickness_angstrom);
            for wave in &mut self.spectra {
                fft.inverse(wave, &mut scratch);
                wave.iter_mut().zip(&t).for_each(|(w, t)| *w *= t);
                fft.forward(wave, &mut scratch);
                wave.iter_mut().zip(&p).for_each(|(w, p)| *w *= p * scale);
            }
        }
        Ok(())
    }

    fn read(&mut self, wave: usize, spectrum: &mut [Complex64]) -> Result<(), MultisliceError> {
        spectrum.copy_from_slice(&self.spectra[wave]);
        Ok(())
    }
}
