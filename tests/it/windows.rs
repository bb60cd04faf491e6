//! Windows across rooms: a random split leaks and the line with its guard band does not; labels from a fit, from a table and from the truth
//! agree.

use crate::perovskite_scene::Scene;
use mistilt::image::Image;
use mistilt::polarization::{MapOptions, polarization_map};
use mistilt::windows::{
    LabelField, LabelPoint, LabelSource, Line, Normalisation, Partition, Placement, Split, WindowSet, WindowSize, WindowSpec, cut,
};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

const SIZE: [usize; 2] = [180, 120];

/// Noise correlated over a few pixels, and a smooth field of labels that has nothing to do with it.
fn unrelated() -> (Image, LabelField) {
    let mut random = ChaCha8Rng::seed_from_u64(5);
    let [w, h] = SIZE;
    let mut noise: Vec<f32> = (0..w * h).map(|_| random.random::<f32>() - 0.5).collect();
    for _ in 0..3 {
        let mean = |x: usize, y: usize| {
            let (rows, columns) = (y.saturating_sub(2)..(y + 3).min(h), x.saturating_sub(2)..(x + 3).min(w));
            rows.flat_map(|y| columns.clone().map(move |x| y * w + x)).map(|i| noise[i]).sum::<f32>() / 25.0
        };
        noise = (0..w * h).map(|i| mean(i % w, i / w)).collect();
    }
    let waves: Vec<[f64; 3]> = (0..8)
        .map(|_| [0.15 * (random.random::<f64>() - 0.5), 0.15 * (random.random::<f64>() - 0.5), 6.3 * random.random::<f64>()])
        .collect();
    let field = |[x, y]: [f64; 2], turn: f64| waves.iter().map(|[kx, ky, phase]| (kx * x + ky * y + phase + turn).cos()).sum::<f64>();
    let point = |k: i32| {
        let position_px = [4.0 + 9.0 * f64::from(k % 20), 4.0 + 9.0 * f64::from(k / 20)];
        LabelPoint { cell: [k % 20, k / 20], position_px, vector_pm: [field(position_px, 0.0), field(position_px, 1.6)] }
    };
    let image = Image::new(w, h, noise).unwrap().with_pixel_size_pm(40.0).unwrap();
    (image, LabelField::new((0..20 * 13).map(point).collect(), LabelSource::Table))
}

/// Part of the variance of the test labels that a network explains which only remembers: the label of the training window most alike.
fn explained_by_memory(set: &WindowSet, split: &Partition) -> f64 {
    let distance = |i: usize, j: usize| set.window(i).iter().zip(set.window(j)).map(|(a, b)| (a - b).powi(2)).sum::<f32>();
    let (mut error, mut variance) = (0.0, 0.0);
    let mean = [0, 1].map(|k| split.test.iter().map(|&i| f64::from(set.labels[i][k])).sum::<f64>() / split.test.len() as f64);
    for &i in &split.test {
        let nearest = split.train.iter().copied().min_by(|&a, &b| distance(i, a).total_cmp(&distance(i, b))).unwrap();
        for (k, mean) in mean.iter().enumerate() {
            error += f64::from(set.labels[i][k] - set.labels[nearest][k]).powi(2);
            variance += (f64::from(set.labels[i][k]) - mean).powi(2);
        }
    }
    1.0 - error / variance
}

#[test]
fn memory_pays_on_a_random_split_and_not_across_the_line() {
    let (image, field) = unrelated();
    let spec = WindowSpec { placement: Placement::Grid { step_px: 4 }, size: WindowSize::Pixels(16), ..WindowSpec::default() };
    let cut = cut(&image, &spec, Some(&field), None).unwrap();
    let random = Split::Random { train_fraction: 2.0 / 3.0, seed: 1 }.apply(&cut.set, cut.raster).unwrap();
    let line = Split::Line(Line { angle_deg: 20.0, ..Line::default() }).apply(&cut.set, cut.raster).unwrap();
    let (leaky, honest) = (explained_by_memory(&cut.set, &random), explained_by_memory(&cut.set, &line));
    println!("a look-up explains {:.0} % on the random split and {:.0} % across the line", 100.0 * leaky, 100.0 * honest);
    assert!(random.leaky && leaky > 0.6, "{leaky}");
    assert!(!line.leaky && honest < 0.1, "{honest}");
}

#[test]
fn labels_from_the_fit_from_its_table_and_from_the_truth_agree() {
    let mut scene = Scene::new(260, 200, [[20.0, 0.0], [0.0, 20.0]]);
    scene.polarization = |[u, v]| [1.2 * u - 0.3, 0.8 - 1.1 * v];
    scene.noise = 0.01;
    let image = Image::new(260, 200, scene.draw()).unwrap().with_pixel_size_pm(20.0).unwrap();
    let (map, _) = polarization_map(&image.data, 260, 200, Some(20.0), &MapOptions::default()).unwrap();
    let fit = LabelField::from_map(&map).unwrap();
    let spec = WindowSpec { size: WindowSize::Lattices(1.6), normalisation: Normalisation::Window, ..WindowSpec::default() };
    let centred = cut(&image, &spec, Some(&fit), None).unwrap();
    assert_eq!(centred.set.size_px, 32);
    assert!(centred.set.len() > 80, "{}", centred.set.len());
    // What was drawn: linear in the place of the cell, 20 pm a pixel.
    let drawn = |[x, y]: [f64; 2]| [20.0 * (1.2 * x / 260.0 - 0.3), 20.0 * (0.8 - 1.1 * y / 200.0)];
    for (label, position) in centred.set.labels.iter().zip(&centred.set.positions_px) {
        let want = drawn(*position);
        assert!((0..2).all(|k| (f64::from(label[k]) - want[k]).abs() < 2.0), "{label:?} for {want:?}");
    }

    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cells.csv");
    map.write_csv(&path).unwrap();
    let table = LabelField::from_csv(std::fs::File::open(&path).unwrap()).unwrap();
    let again = cut(&image, &spec, Some(&table), None).unwrap();
    assert_eq!(again.set.values, centred.set.values);
    assert!(again.set.labels.as_flattened().iter().zip(centred.set.labels.as_flattened()).all(|(a, b)| (a - b).abs() < 1e-4));

    // Without atom finding: the same field, interpolated.
    let grid = WindowSpec { placement: Placement::Grid { step_px: 7 }, size: WindowSize::Pixels(32), ..spec };
    let grid = cut(&image, &grid, Some(&fit), None).unwrap();
    let errors: Vec<f64> = grid
        .set
        .labels
        .iter()
        .zip(&grid.set.positions_px)
        .flat_map(|(label, p)| {
            let want = drawn(*p);
            [0, 1].map(|k| (f64::from(label[k]) - want[k]).abs())
        })
        .collect();
    assert!(
        grid.set.len() > 500 && errors.iter().all(|e| *e < 2.0),
        "{} {:?}",
        grid.set.len(),
        errors.iter().fold(0.0, |a: f64, b| a.max(*b))
    );
}
