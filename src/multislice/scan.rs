//! Direct multislice, probe by probe: for any scene, and the oracle of the scattering matrix.
//!
//! The probe stands at each of the image's Nyquist positions, each Bloch class of it goes through the slices on its own, and the specimen
//! tilt stands in the propagator. With one k-point this is classical multislice of one (super)cell.

use super::{Bloch, Engine, InitialWaves, MultisliceError, Probes, Setting};
use crate::image::FourierImage;
use crate::microscope::{AnnularDetector, Edge, Probe};
use crate::numerics::grid::{combine, norm};
use crate::specimen::Slice;
use num_complex::Complex64;
use rayon::prelude::*;

/// What a direct scan needs beside the engine.
#[derive(Debug, Clone)]
pub struct Scan<'a> {
    /// Numerics.
    pub setting: Setting,
    /// Bloch offsets along the two in-plane vectors; [1, 1] is classical multislice.
    pub k_points: [usize; 2],
    /// Lens and aperture.
    pub probe: Probe,
    /// Specimen tilt, mrad.
    pub specimen_tilt_mrad: [f64; 2],
    /// Detectors.
    pub detectors: &'a [AnnularDetector],
    /// Slice counts at which to detect, ascending.
    pub exits: &'a [usize],
    /// Edges of aperture and detector.
    pub edge: Edge,
}

impl Scan<'_> {
    /// Refuses, before any wave runs, an aperture or detector beyond the band limit.
    pub fn check(&self) -> Result<(), MultisliceError> {
        for detector in self.detectors {
            self.setting.check_angle(&format!("detector {}", detector.name), detector.outer_mrad)?;
        }
        self.setting.check_angle("the aperture", self.probe.convergence_mrad)
    }

    /// Detector signals `[probe][exit][detector]`, fraction of the beam, for probes at `positions_angstrom`.
    ///
    /// `slices(class)` gives the configuration a Bloch class goes through: the same for all in a crystal at rest.
    pub fn run(
        &self,
        engine: &dyn Engine,
        slices: &(dyn Fn(usize) -> Vec<Slice> + Sync),
        positions_angstrom: &[[f64; 2]],
    ) -> Result<Vec<Vec<Vec<f64>>>, MultisliceError> {
        self.check()?;
        let classes: Vec<Bloch> = (0..self.k_points[0] * self.k_points[1]).map(|i| self.bloch(i)).collect();
        let share = |bloch: &Bloch| self.aperture(bloch).iter().map(Complex64::norm_sqr).sum::<f64>();
        let total: f64 = classes.iter().map(share).sum();
        // Sums run over classes in order, so no thread count changes a byte.
        let batches: Vec<&[[f64; 2]]> = positions_angstrom.chunks(engine.batch().max(1)).collect();
        let signals: Result<Vec<_>, MultisliceError> = batches
            .par_iter()
            .map(|batch| {
                let mut sums = vec![vec![vec![0.0; self.detectors.len()]; self.exits.len()]; batch.len()];
                for (index, bloch) in classes.iter().enumerate() {
                    self.propagate(engine, *bloch, &slices(index), batch, 1.0 / total, &mut sums)?;
                }
                Ok(sums)
            })
            .collect();
        Ok(signals?.into_iter().flatten().collect())
    }

    /// The image of one cell by its Fourier coefficients `[exit][detector]`: probes at the Nyquist positions of the cell
    /// (an ADF image is band-limited at twice the aperture), then a discrete Fourier transform, exact.
    pub fn image(
        &self,
        engine: &dyn Engine,
        slices: &(dyn Fn(usize) -> Vec<Slice> + Sync),
    ) -> Result<Vec<Vec<FourierImage>>, MultisliceError> {
        let cell = self.setting.grid.cell_angstrom;
        // With area-weighted edges a raster cell reaches past the aperture by up to its own size.
        let raster = self.raster();
        let reach = 2.0 * (self.probe.radius() + norm(raster[0]) + norm(raster[1]));
        let [h_max, k_max] = cell.map(|a| (reach * norm(a)).ceil() as usize);
        let (nx, ny) = (2 * h_max + 1, 2 * k_max + 1);
        let position = |i: usize| combine(cell, [(i % nx) as f64 / nx as f64, (i / nx) as f64 / ny as f64]);
        let positions: Vec<[f64; 2]> = (0..nx * ny).map(position).collect();
        let signals = self.run(engine, slices, &positions)?;
        let image = |exit: usize, detector: usize| {
            let samples: Vec<f64> = signals.iter().map(|s| s[exit][detector]).collect();
            FourierImage::from_samples(cell, h_max, k_max, &samples)
        };
        Ok((0..self.exits.len()).map(|e| (0..self.detectors.len()).map(|d| image(e, d)).collect()).collect())
    }

    fn raster(&self) -> [[f64; 2]; 2] {
        let b = self.setting.grid.reciprocal();
        [0, 1].map(|i| b[i].map(|c| c / self.k_points[i] as f64))
    }

    fn bloch(&self, index: usize) -> Bloch {
        let fraction = [index % self.k_points[0], index / self.k_points[0]];
        let offset = combine(self.setting.grid.reciprocal(), [0, 1].map(|i| fraction[i] as f64 / self.k_points[i] as f64));
        Bloch { offset, centre: [0.0; 2], specimen_tilt_mrad: self.specimen_tilt_mrad }
    }

    /// A(k) of one class before normalisation, FFT order.
    fn aperture(&self, bloch: &Bloch) -> Vec<Complex64> {
        let (grid, raster) = (self.setting.grid, self.raster());
        grid.frequencies().map(|(h, k)| self.probe.amplitude(bloch.wave_vector(grid, h, k), raster, self.edge)).collect()
    }

    fn propagate(
        &self,
        engine: &dyn Engine,
        bloch: Bloch,
        slices: &[Slice],
        positions: &[[f64; 2]],
        norm: f64,
        sums: &mut [Vec<Vec<f64>>],
    ) -> Result<(), MultisliceError> {
        let (grid, raster) = (self.setting.grid, self.raster());
        let aperture: Vec<Complex64> = self.aperture(&bloch).into_iter().map(|a| a * norm.sqrt()).collect();
        let ring = |d: &AnnularDetector| -> Vec<(u32, f64)> {
            let weight = |(h, k)| d.weight(bloch.wave_vector(grid, h, k), raster, self.probe.beam, self.edge);
            grid.frequencies().enumerate().map(|(i, hk)| (i as u32, weight(hk))).filter(|(_, w)| *w > 0.0).collect()
        };
        let rings: Vec<Vec<(u32, f64)>> = self.detectors.iter().map(ring).collect();
        let probes = Probes { aperture: &aperture, positions_angstrom: positions };
        let mut waves = engine.start(bloch, slices, InitialWaves::Probes(probes))?;
        let mut done = 0;
        for (exit, &count) in self.exits.iter().enumerate() {
            waves.advance(done..count)?;
            done = count;
            for (sums, signals) in sums.iter_mut().zip(waves.detect(&rings)?) {
                sums[exit].iter_mut().zip(signals).for_each(|(sum, signal)| *sum += signal);
            }
        }
        Ok(())
    }
}
