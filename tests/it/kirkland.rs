//! The textbook image of five single atoms: Kirkland, Advanced Computing in Electron Microscopy, 2nd ed. (2010), figure 5.12.

use mistilt::crystal::Element;
use mistilt::microscope::{Aberration, Aberrations, Beam, Edge, Probe};
use mistilt::numerics::band_limit::BandLimit;
use mistilt::numerics::fft::Fft2;
use mistilt::numerics::grid::Grid;
use mistilt::potential::Factors;
use mistilt::specimen::{SliceAtom, TransmissionPlan};
use num_complex::Complex64;

const BOX_ANGSTROM: f64 = 50.0;
const SYMBOLS: [&str; 5] = ["C", "Si", "Cu", "Au", "U"];
/// Points along the box: every atom stands on one, and 0.2 Å is fine for an image of 0.4 Å⁻¹.
const POINTS: usize = 250;

/// Coherent bright-field image, intensity 1 without atoms: 200 kV, Cs = 1.3 mm, underfocus 700 Å, objective aperture 10.37 mrad.
/// The phase grating is formed on a grid `oversampling` times finer than 0.2 Å.
fn image(oversampling: usize) -> Vec<f64> {
    let beam = Beam { energy_kev: 200.0 };
    let grid = Grid { nx: POINTS, ny: POINTS, cell_angstrom: [[BOX_ANGSTROM, 0.0], [0.0, BOX_ANGSTROM]] };
    let elements: Vec<Element> = SYMBOLS.iter().map(|s| Element::from_symbol(s).unwrap()).collect();
    let band = BandLimit::two_thirds(grid.nyquist());
    let plan = TransmissionPlan::<f64>::new(grid, oversampling, band, beam, Factors::Kirkland, &elements);
    let place = |(i, &element): (usize, &Element)| SliceAtom { element, in_plane: [(i as f64 + 0.5) / 5.0, 0.5], weight: 1.0 };
    let atoms: Vec<SliceAtom> = elements.iter().enumerate().map(place).collect();
    let mut wave = plan.build(&[&atoms], &mut plan.scratch()).remove(0);

    let mut aberrations = Aberrations::defocus(700.0);
    aberrations.0.push(Aberration { n: 3, m: 0, coefficient_angstrom: 1.3e7, azimuth_rad: 0.0 });
    let lens = Probe { beam, convergence_mrad: 10.37, aberrations };
    let (fft, raster, points) = (Fft2::<f64>::new(POINTS, POINTS), grid.reciprocal(), grid.len() as f64);
    let mut scratch = fft.scratch();
    fft.forward(&mut wave, &mut scratch);
    for ((h, k), c) in grid.frequencies().zip(&mut wave) {
        *c *= lens.amplitude(grid.frequency(h, k), raster, Edge::Hard) / points;
    }
    fft.inverse(&mut wave, &mut scratch);
    wave.iter().map(Complex64::norm_sqr).collect()
}

fn range(values: impl Iterator<Item = f64>) -> [f64; 2] {
    values.fold([f64::INFINITY, f64::NEG_INFINITY], |[low, high], v| [low.min(v), high.max(v)])
}

#[test]
fn five_single_atoms_look_as_in_figure_5_12() {
    let image = image(8);
    let rounded = range(image.iter().copied()).map(|v| (v * 100.0).round() as i32);
    assert_eq!(rounded, [72, 103], "the figure's intensities run from 0.72 to 1.03");

    // Every atom is a dark spot at its own place, darker with its atomic number.
    let pixels_an_atom = POINTS as f64 / 5.0;
    let darkest: Vec<(usize, f64)> = (0..SYMBOLS.len())
        .map(|i| {
            let strip = (i as f64 * pixels_an_atom) as usize..((i + 1) as f64 * pixels_an_atom) as usize;
            let values = strip.flat_map(|x| (0..POINTS).map(move |y| (x, y)));
            let (x, y) = values.min_by(|a, b| image[a.1 * POINTS + a.0].total_cmp(&image[b.1 * POINTS + b.0])).unwrap();
            let expected = (i as f64 + 0.5) * pixels_an_atom;
            assert!((x as f64 - expected).abs() <= 1.0 && y.abs_diff(POINTS / 2) <= 1, "{} at ({x}, {y})", SYMBOLS[i]);
            (x, image[y * POINTS + x])
        })
        .collect();
    assert!(darkest.windows(2).all(|pair| pair[1].1 < pair[0].1), "{darkest:?}");
}
