//! A column's signal must not know where it stands between the pixels of the simulation.

use crate::scene::{self, BEAM};
use mistilt::columns::{Estimator, Window, measure};
use mistilt::microscope::Edge;
use mistilt::multislice::{Device, Illumination, ScatteringStudy, Setting};
use mistilt::potential::Factors;
use mistilt::specimen::{Slab, Stack};

/// Ten Bi atoms, one above the other.
const ATOMS: usize = 10;
const CELL_ANGSTROM: f64 = 4.0;
const PIXEL_ANGSTROM: f64 = 0.05;
/// Sub-pixel positions along x and y, px.
const STEPS: [[f64; 2]; 5] = [[0.0, 0.0], [0.21, 0.0], [0.5, 0.5], [0.0, 0.77], [0.77, 0.21]];

/// What is seen of the column at one position.
struct Seen {
    /// Measured minus true position, pm.
    error_pm: [f64; 2],
    maximum: f64,
    mean: f64,
}

fn column(position_angstrom: [f64; 2]) -> Slab {
    let fractional = position_angstrom.map(|x| x / CELL_ANGSTROM);
    scene::slab([[CELL_ANGSTROM, 0.0], [0.0, CELL_ANGSTROM]], 3.96, vec![scene::atom("Bi", fractional, 0.0)])
}

fn look(stack: &Stack, oversampling: usize, near: [f64; 2]) -> Seen {
    let cell = stack.slab.in_plane_angstrom;
    let study = ScatteringStudy {
        stack,
        setting: Setting::new(cell, PIXEL_ANGSTROM, BEAM, Factors::Lobato, oversampling).unwrap(),
        k_points: [2, 2],
        raster_origin: [0.0; 2],
        exits: vec![ATOMS],
        illuminations: vec![Illumination { specimen_tilt_mrad: [0.0; 2], probe: scene::probe(25.0, 0.0) }],
        detectors: vec![scene::ring(70.0, 115.0)],
        phonons: None,
        edge: Edge::AreaWeighted,
        device: Device::Reference,
    };
    let image = &study.run(&|_| ()).unwrap().images[0][0][0][0];
    let window = Window { radius_angstrom: 0.9, sample_angstrom: 0.1 };
    let fit = measure(image, near, &window, Estimator::Maximum).unwrap();
    let error_pm = [0, 1].map(|c| 100.0 * (fit.position[c] - near[c]));
    Seen { error_pm, maximum: image.value(fit.position), mean: image.mean() }
}

/// Largest relative change of maximum and of mean, and largest error of the position (pm), over the sub-pixel steps.
fn spread(oversampling: usize, steps: &[[f64; 2]]) -> [f64; 3] {
    let seen: Vec<Seen> = steps
        .iter()
        .map(|step| {
            let at = step.map(|s| 2.0 + s * PIXEL_ANGSTROM);
            look(&scene::stack(column(at)), oversampling, at)
        })
        .collect();
    let relative = |of: fn(&Seen) -> f64| seen.iter().map(|s| (of(s) / of(&seen[0]) - 1.0).abs()).fold(0.0, f64::max);
    let error = seen.iter().map(|s| s.error_pm[0].hypot(s.error_pm[1])).fold(0.0, f64::max);
    [relative(|s| s.maximum), relative(|s| s.mean), error]
}

#[test]
fn a_static_bismuth_column_shines_alike_wherever_it_stands_between_pixels() {
    // As the program comes.
    let [maximum, mean, error_pm] = spread(2, &STEPS);
    assert!(maximum < 1e-3 && mean < 1e-3, "relative change of the maximum {maximum:.2e}, of the mean {mean:.2e}");
    assert!(error_pm < 0.01, "the maximum is {error_pm} pm from the column");
    // Finer still, it is gone.
    let [fine_maximum, fine_mean, _] = spread(4, &STEPS[..3]);
    assert!(fine_maximum < 1e-3 && fine_mean < 1e-3, "oversampling 4: {fine_maximum:.2e} and {fine_mean:.2e}");
    // Without the finer grid the same steps show: this is what the test must be able to see.
    let [raw_maximum, raw_mean, _] = spread(1, &STEPS[..3]);
    assert!(raw_maximum > 10.0 * maximum && raw_mean > 10.0 * mean, "oversampling 1: {raw_maximum:.2e} and {raw_mean:.2e}");
}
