//! From exit waves to images: M = S† S over the part of a detector, then c_{G−G'} += A*(G) A(G') M(G, G') for every aperture that reads it.
//!
//! M is the detector's share of the scattering matrix seen at one tilt: all probes of that tilt (defocus, aberrations, smaller apertures) are
//! contractions of the same M. This is the form on the processor; a device may do the same in its own memory.

use crate::image::FourierImage;
use faer::linalg::matmul::triangular::{self, BlockStructure};
use faer::{Accum, Mat, Par, c64};
use num_complex::Complex64;

/// One detector at one tilt, and every probe that reads it.
#[derive(Debug, Clone, PartialEq)]
pub struct Contraction {
    /// Index of the detector.
    pub detector: usize,
    /// (position in FFT order, root of the detector's weight) of the raster points on the detector.
    pub ring: Vec<(u32, f64)>,
    /// The waves that enter M, ascending.
    pub waves: Vec<usize>,
    /// The probes.
    pub apertures: Vec<Aperture>,
}

/// A probe as a sum of beams.
#[derive(Debug, Clone, PartialEq)]
pub struct Aperture {
    /// Index of the illumination.
    pub illumination: usize,
    /// Its beams.
    pub beams: Vec<ApertureBeam>,
}

/// A beam of a probe.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ApertureBeam {
    /// Index into [`Contraction::waves`].
    pub column: usize,
    /// Frequency (h, k).
    pub frequency: (i32, i32),
    /// A(k) exp(−iχ(k)), before normalisation.
    pub amplitude: Complex64,
}

/// Where the images of one exit are summed: `images[illumination][exit][detector]`.
pub struct ImageSums<'a> {
    /// All images.
    pub images: &'a mut [Vec<Vec<FourierImage>>],
    /// Which exit.
    pub exit: usize,
    /// What each is multiplied with.
    pub weight: f64,
}

impl ImageSums<'_> {
    /// Adds to the coefficient (h, k) of one image and, off the origin, the conjugate to (−h, −k).
    pub fn add_hermitian(&mut self, illumination: usize, detector: usize, (h, k): (i32, i32), value: Complex64, mirrored: bool) {
        let (image, value) = (&mut self.images[illumination][self.exit][detector], value * self.weight);
        let inside = image.add(h, k, value) && (!mirrored || image.add(-h, -k, value.conj()));
        debug_assert!(inside, "beam differences fit the image's limits");
    }
}

impl Contraction {
    /// Adds the images to the sums, `spectra[wave]` being the exit waves in FFT order.
    pub fn add(&self, spectra: &[Vec<Complex64>], sums: &mut ImageSums<'_>) {
        let on_ring = Mat::<c64>::from_fn(self.ring.len(), self.waves.len(), |pixel, column| {
            let (position, root) = self.ring[pixel];
            spectra[self.waves[column]][position as usize] * root
        });
        let mut m = Mat::<c64>::zeros(self.waves.len(), self.waves.len());
        let (lower, full) = (BlockStructure::TriangularLower, BlockStructure::Rectangular);
        let one = c64::new(1.0, 0.0);
        triangular::matmul(m.as_mut(), lower, Accum::Replace, on_ring.adjoint(), full, on_ring.as_ref(), full, one, Par::Seq);
        for aperture in &self.apertures {
            for (n, a) in aperture.beams.iter().enumerate() {
                for b in &aperture.beams[..=n] {
                    // M is given by its lower triangle.
                    let (i, j) = (a.column, b.column);
                    let element = if i >= j { m[(i, j)] } else { m[(j, i)].conj() };
                    let difference = (a.frequency.0 - b.frequency.0, a.frequency.1 - b.frequency.1);
                    let value = a.amplitude.conj() * b.amplitude * element;
                    sums.add_hermitian(aperture.illumination, self.detector, difference, value, i != j);
                }
            }
        }
    }
}
