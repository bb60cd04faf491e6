//! Columns found, indexed and turned into polarization maps: drawn perovskites with known columns, and real images.

use crate::perovskite_scene::{Drawn, Scene};
use mistilt::columns::{BrightSite, ColumnLattice, ColumnStatus, Estimator, FindError, FindOptions, Zone, find_columns};
use mistilt::crystal::Site;
use mistilt::polarization::{Comparison, MapOptions, PolarizationMap, Rejection, polarization_map};
use proptest::prelude::*;
use std::collections::BTreeMap;

/// The found column nearest to each drawn one, if it is within a fifth of the cell, has the right site and is not claimed twice.
fn matched(scene: &Scene, found: &ColumnLattice) -> Vec<(Drawn, [i32; 2])> {
    let near = |d: &Drawn| {
        let site = if d.is_a { Site::A } else { Site::B };
        let distance = |p: [f64; 2]| (p[0] - d.place[0]).hypot(p[1] - d.place[1]);
        let best = found.sublattice(site).min_by(|p, q| distance(p.position_px).total_cmp(&distance(q.position_px)))?;
        (distance(best.position_px) < 0.2 * scene.a_px()).then_some((*d, best.index))
    };
    scene.columns().iter().filter_map(near).collect()
}

/// Every interior A column and every B column with its A columns is found, and all indices differ from the drawn ones by one and the
/// same step, up to a rotation of the cell.
fn assert_all_found_and_indexed(scene: &Scene, found: &ColumnLattice) {
    let margin = 0.5 * scene.a_px();
    let interior =
        |p: [f64; 2]| p[0] > margin && p[1] > margin && p[0] < scene.width as f64 - margin && p[1] < scene.height as f64 - margin;
    let pairs = matched(scene, found);
    let missed: Vec<Drawn> = scene
        .columns()
        .into_iter()
        .filter(|d| d.is_a && interior(d.place) && !pairs.iter().any(|(e, _)| e.is_a && e.index == d.index))
        .collect();
    assert!(missed.is_empty(), "{} A columns missed, such as {:?}", missed.len(), missed.first());
    let drawn: BTreeMap<[i32; 2], [i32; 2]> = pairs.iter().filter(|(d, _)| d.is_a).map(|(d, index)| (d.index, *index)).collect();
    // One linear map takes drawn indices to found ones: read it off one cell, then check it everywhere.
    let step = |from: [i32; 2], to: [i32; 2]| Some([0, 1].map(|k| drawn.get(&to).unwrap()[k] - drawn.get(&from).unwrap()[k]));
    let (origin, at) = drawn
        .iter()
        .find(|([i, j], _)| drawn.contains_key(&[i + 1, *j]) && drawn.contains_key(&[*i, j + 1]))
        .expect("a corner of three columns");
    let [ex, ey] = [[1, 0], [0, 1]].map(|[i, j]| step(*origin, [origin[0] + i, origin[1] + j]).unwrap());
    for (d, index) in &pairs {
        let [u, v] = [d.index[0] - origin[0], d.index[1] - origin[1]];
        if d.is_a {
            let expected = [0, 1].map(|k| at[k] + u * ex[k] + v * ey[k]);
            assert_eq!(*index, expected, "drawn {:?}", d.index);
        }
    }
    for b in found.sublattice(Site::B) {
        let around = found.neighbours_of_b(b.index);
        let places: Option<Vec<[f64; 2]>> = around.iter().map(|n| found.column(Site::A, *n).map(|a| a.position_px)).collect();
        let Some(places) = places else { continue };
        let middle = [0, 1].map(|x| places.iter().map(|p| p[x]).sum::<f64>() / places.len() as f64);
        let off = (middle[0] - b.position_px[0]).hypot(middle[1] - b.position_px[1]);
        assert!(off < 0.25 * scene.a_px(), "B {:?} is {off} px from its cell", b.index);
    }
}

fn find(scene: &Scene) -> ColumnLattice {
    let options = FindOptions { zone: scene.zone, ..FindOptions::default() };
    find_columns(&scene.draw(), scene.width, scene.height, &options).unwrap()
}

/// Truth of each cell by nearest centre: B less the mean of its A columns as drawn.
fn errors_px(scene: &Scene, map: &PolarizationMap) -> Vec<[f64; 2]> {
    let drawn = scene.columns();
    let a: BTreeMap<[i32; 2], [f64; 2]> = drawn.iter().filter(|d| d.is_a).map(|d| (d.index, d.place)).collect();
    let corners: &[[i32; 2]] = if scene.zone == Zone::Z100 { &[[0, 0], [1, 0], [0, 1], [1, 1]] } else { &[[0, 0], [0, 1]] };
    let cells: Vec<([f64; 2], [f64; 2])> = drawn
        .iter()
        .filter(|d| !d.is_a)
        .filter_map(|b| {
            let around: Option<Vec<[f64; 2]>> = corners.iter().map(|[i, j]| a.get(&[b.index[0] + i, b.index[1] + j]).copied()).collect();
            let around = around?;
            let middle = [0, 1].map(|x| around.iter().map(|p| p[x]).sum::<f64>() / around.len() as f64);
            Some((middle, [b.place[0] - middle[0], b.place[1] - middle[1]]))
        })
        .collect();
    map.cells
        .iter()
        .filter_map(|cell| {
            let distance = |p: [f64; 2]| (p[0] - cell.centre_px[0]).hypot(p[1] - cell.centre_px[1]);
            let (_, truth) = cells.iter().find(|(middle, _)| distance(*middle) < 0.2 * scene.a_px())?;
            Some([cell.shift_px[0] - truth[0], cell.shift_px[1] - truth[1]])
        })
        .collect()
}

fn rms(errors: &[[f64; 2]]) -> f64 {
    (errors.iter().map(|e| e[0] * e[0] + e[1] * e[1]).sum::<f64>() / errors.len() as f64).sqrt()
}

fn rotated(a: f64, degrees: f64, shear: f64) -> [[f64; 2]; 2] {
    let (s, c) = degrees.to_radians().sin_cos();
    [[a * c, a * s], [a * (shear * c - s), a * (shear * s + c)]]
}

#[test]
fn columns_are_found_at_any_rotation_shear_and_scale_of_a_non_square_image() {
    for (a, degrees, shear, width, height) in [
        (26.0, 0.0, 0.0, 256, 180),
        (14.0, 33.0, 0.04, 200, 260),
        (22.0, 45.0, -0.03, 230, 230),
        (60.0, -20.0, 0.02, 400, 520),
        (100.0, 10.0, 0.0, 700, 600),
        (8.0, 12.0, 0.02, 128, 96),
        (5.0, 27.0, 0.0, 90, 70),
    ] {
        let scene = Scene { noise: 0.05, polarization: |_| [0.0, 0.0], ..Scene::new(width, height, rotated(a, degrees, shear)) };
        let found = find(&scene);
        assert!((found.lattice_a_px() / scene.a_px() - 1.0).abs() < 0.01, "{a}: {}", found.lattice_a_px());
        assert_all_found_and_indexed(&scene, &found);
    }
}

#[test]
fn three_pixels_a_cell_still_show_their_lattice() {
    let scene = Scene { sigma: 0.15, ..Scene::new(64, 48, rotated(3.2, 7.0, 0.0)) };
    let found = find(&scene);
    assert!((found.lattice_a_px() / scene.a_px() - 1.0).abs() < 0.02, "{}", found.lattice_a_px());
    let columns = scene.columns();
    assert!(matched(&scene, &found).len() * 10 >= columns.len() * 8, "{} of {}", matched(&scene, &found).len(), columns.len());
}

#[test]
fn a_and_b_of_nearly_equal_brightness_are_told_apart_by_the_faint_difference() {
    for heights in [[1.0, 0.85], [0.85, 1.0]] {
        let bright_site = if heights[0] > heights[1] { BrightSite::A } else { BrightSite::B };
        let scene = Scene { heights, noise: 0.05, ..Scene::new(300, 260, rotated(24.0, 18.0, 0.02)) };
        let options = FindOptions { bright_site, ..FindOptions::default() };
        let found = find_columns(&scene.draw(), scene.width, scene.height, &options).unwrap();
        assert!((found.lattice_a_px() / scene.a_px() - 1.0).abs() < 0.01);
        assert_all_found_and_indexed(&scene, &found);
    }
}

#[test]
fn a_bright_b_sublattice_is_named_b_when_asked() {
    let scene = Scene { heights: [0.35, 1.0], noise: 0.03, polarization: |_| [1.5, -1.0], ..Scene::new(240, 260, rotated(25.0, 4.0, 0.0)) };
    let options = MapOptions {
        find: FindOptions { bright_site: BrightSite::B, ..FindOptions::default() },
        estimator: Estimator::CellFit,
        ..MapOptions::default()
    };
    let (map, columns) = polarization_map(&scene.draw(), scene.width, scene.height, None, &options).unwrap();
    assert_all_found_and_indexed(&scene, &columns);
    let summary = map.summary();
    assert!((summary.x_pixels.median - 1.5).abs() < 0.2 && (summary.y_pixels.median + 1.0).abs() < 0.2, "{summary:?}");
}

#[test]
fn along_110_b_lies_between_two_a_columns() {
    let [short, long] = rotated(1.0, 15.0, 0.0);
    let basis = [short.map(|v| 21.0 * v), long.map(|v| 21.0 * 2_f64.sqrt() * v)];
    for heights in [[1.0, 0.4], [1.0, 0.8]] {
        let scene =
            Scene { zone: Zone::Z110, heights, sigma: 0.09, noise: 0.03, polarization: |_| [1.2, 0.4], ..Scene::new(260, 300, basis) };
        let found = find(&scene);
        assert!((found.lattice_a_px() / scene.a_px() - 1.0).abs() < 0.01, "{} {}", found.lattice_a_px(), scene.a_px());
        assert_all_found_and_indexed(&scene, &found);
        let options = MapOptions { find: FindOptions { zone: Zone::Z110, ..FindOptions::default() }, ..MapOptions::default() };
        let (map, _) = polarization_map(&scene.draw(), scene.width, scene.height, None, &options).unwrap();
        let errors = errors_px(&scene, &map);
        assert!(errors.len() == map.cells.len() && errors.len() > 60 && rms(&errors) < 0.5, "{} {}", errors.len(), rms(&errors));
    }
}

/// Background ramp, NaN border, dead rows, drift, missing columns and a wall, all at once.
fn hard_scene() -> Scene {
    Scene {
        noise: 0.06,
        polarization: |[x, _]| if x < 0.5 { [1.6, -0.8] } else { [-1.6, -0.8] },
        distortion: |[x, y]| [3.0 * (y / 60.0).sin(), 2.5 * (x / 70.0).cos()],
        background: |[x, y]| 0.2 + 1.5 * x + 0.5 * (4.0 * y).sin(),
        missing: |site, [i, j]| match site {
            'A' => (i * 5 + j * 3).rem_euclid(29) == 7,
            _ => (i * 3 + j * 7).rem_euclid(31) == 4,
        },
        ..Scene::new(420, 380, rotated(24.0, -8.0, 0.03))
    }
}

fn spoil(image: &mut [f32], width: usize, height: usize) {
    for y in 0..height {
        for x in 0..width {
            if x + y < 60 || x + 14 > width || y + 9 > height {
                image[y * width + x] = f32::NAN;
            }
        }
    }
    for row in [150, 151, 260] {
        image[row * width..][..width].fill(0.0);
    }
}

#[test]
fn a_wall_is_measured_through_holes_drift_ramp_nan_border_and_dead_rows() {
    let scene = hard_scene();
    let mut image = scene.draw();
    spoil(&mut image, scene.width, scene.height);
    for estimator in [Estimator::Gaussian, Estimator::CellFit] {
        let options = MapOptions { estimator, ..MapOptions::default() };
        let (map, columns) = polarization_map(&image, scene.width, scene.height, Some(16.5), &options).unwrap();
        let pairs = matched(&scene, &columns);
        let seen = |d: &Drawn| {
            let [x, y] = d.place.map(|v| v as usize);
            x + y > 84 && x + 40 < scene.width && y + 35 < scene.height && x > 12 && y > 12
        };
        let expected = scene.columns().into_iter().filter(|d| d.is_a && seen(d)).count();
        let found = pairs.iter().filter(|(d, _)| d.is_a && seen(d)).count();
        assert_eq!(found, expected);
        let errors = errors_px(&scene, &map);
        assert!(map.cells.len() > 120 && errors.len() + 3 >= map.cells.len(), "{} of {}", errors.len(), map.cells.len());
        assert!(rms(&errors) < 0.6, "{estimator:?}: {}", rms(&errors));
        // Either side of the wall has its own sign.
        let wrong = map.cells.iter().filter(|c| (c.centre_px[0] - 210.0).abs() > 14.0 && (c.shift_px[0] > 0.0) != (c.centre_px[0] < 210.0));
        assert!(wrong.count() <= 3);
        assert!(map.rejected.get(&Rejection::MissingA).copied().unwrap_or(0) > 5, "{:?}", map.rejected);
    }
}

#[test]
fn a_centrosymmetric_crystal_reads_zero_and_its_scatter_is_the_stated_one() {
    let scene = Scene { noise: 0.04, ..Scene::new(640, 600, rotated(26.0, 3.0, 0.01)) };
    for estimator in [Estimator::Gaussian, Estimator::CellFit] {
        let options = MapOptions { estimator, lattice_pm: Some(396.0), ..MapOptions::default() };
        let (map, _) = polarization_map(&scene.draw(), scene.width, scene.height, None, &options).unwrap();
        let s = map.summary();
        let [mean, sd] = [[s.mean_px_pm, s.mean_py_pm], [s.sd_px_pm, s.sd_py_pm]].map(|v| v.map(Option::unwrap));
        assert!(s.cells > 450 && mean.iter().all(|m| m.abs() < 2.0) && sd.iter().all(|d| *d < 3.0), "{estimator:?} {mean:?} {sd:?}");
        let stated = [s.fitted_sigma_px_pm, s.scatter_px_pm].map(Option::unwrap);
        assert!(stated.iter().all(|sigma| (sigma / sd[0] - 1.0).abs() < 0.35), "{estimator:?} {stated:?} {sd:?}");
        // Under a normal law 86 % lie within two standard deviations in two dimensions.
        assert!(s.unresolved as f64 > 0.7 * s.cells as f64, "{} of {}", s.unresolved, s.cells);
    }
}

#[test]
fn two_maps_of_one_scene_are_joined_by_index_whatever_was_cropped() {
    let scene = hard_scene();
    let image = scene.draw();
    let options = MapOptions { lattice_pm: Some(396.0), ..MapOptions::default() };
    let (whole, _) = polarization_map(&image, scene.width, scene.height, None, &options).unwrap();
    let mut cropped = image;
    cropped[..100 * scene.width].fill(f32::NAN);
    let (part, _) = polarization_map(&cropped, scene.width, scene.height, None, &options).unwrap();
    let comparison = Comparison::between(&whole, &part).unwrap();
    assert_eq!(comparison.unit, "pm");
    assert!(comparison.cells + 5 > part.cells.len() && comparison.only_in_reference > 20);
    assert!(
        comparison.bias.iter().all(|b| b.abs() < 1.0) && comparison.correlation[0] > 0.9,
        "{:?} {:?}",
        comparison.bias,
        comparison.correlation
    );
    let same = Comparison::between(&whole, &whole).unwrap();
    assert!(same.rmse == [0.0, 0.0] && same.cells == whole.cells.len());
}

#[test]
fn maps_are_written_whole_as_csv_and_npz() {
    let scene = Scene { noise: 0.02, ..Scene::new(160, 150, rotated(24.0, 5.0, 0.0)) };
    let options = MapOptions { lattice_pm: Some(390.0), ..MapOptions::default() };
    let (map, _) = polarization_map(&scene.draw(), scene.width, scene.height, None, &options).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let [table, arrays] = ["map.csv", "map.npz"].map(|name| folder.path().join(name));
    map.write_csv(&table).unwrap();
    map.write_npz(&arrays).unwrap();
    let mut rows = csv::Reader::from_path(&table).unwrap();
    let column = rows.headers().unwrap().iter().position(|h| h == "shift_x_pm").unwrap();
    let shifts: Vec<f64> = rows.records().map(|r| r.unwrap()[column].parse().unwrap()).collect();
    assert_eq!(shifts.len(), map.cells.len());
    assert!((shifts[3] - map.shift_pm(&map.cells[3]).unwrap()[0]).abs() < 1e-9);
    let mut archive = ndarray_npy::NpzReader::new(std::fs::File::open(&arrays).unwrap()).unwrap();
    let stored: ndarray::Array2<f64> = archive.by_name("shift_pm").unwrap();
    assert!((stored[[3, 0]] - shifts[3]).abs() < 1e-9);
    assert!(map.write_csv(&folder.path().join("no such folder/map.csv")).unwrap_err().to_string().contains("no such folder"));
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 2, "no temporary file is left");
}

#[test]
fn what_is_no_perovskite_gives_a_sentence() {
    let noise: Vec<f32> = Scene { heights: [0.0, 0.0], noise: 1.0, ..Scene::new(200, 150, rotated(20.0, 0.0, 0.0)) }.draw();
    let blob: Vec<f32> =
        (0..128 * 128).map(|n| (-((n % 128) as f32 - 60.0).powi(2) / 50.0 - ((n / 128) as f32 - 64.0).powi(2) / 50.0).exp()).collect();
    let options = FindOptions::default();
    let find = |image: &[f32], width: usize, height: usize| find_columns(image, width, height, &options).unwrap_err();
    assert_eq!(find(&noise, 200, 150), FindError::NoLattice);
    let error = find(&blob, 128, 128);
    assert!(matches!(error, FindError::NoLattice | FindError::OtherLattice { .. } | FindError::TooFewColumns { .. }), "{error}");
    assert_eq!(find(&[3.0; 64 * 64], 64, 64), FindError::Flat);
    assert_eq!(find(&[f32::NAN; 64 * 64], 64, 64), FindError::Blank);
    assert_eq!(find(&[1.0], 1, 1), FindError::TooSmall { width: 1, height: 1 });
    assert_eq!(find(&[1.0; 5], 2, 2), FindError::Shape { width: 2, height: 2, values: 5 });
    // A square lattice of one species only.
    let simple = Scene { heights: [1.0, 0.0], noise: 0.03, ..Scene::new(220, 200, rotated(22.0, 5.0, 0.0)) };
    let error = find(&simple.draw(), 220, 200);
    assert!(matches!(error, FindError::NoSecondSublattice { .. }) && error.to_string().contains("--zone 110"), "{error}");
    // A hexagonal lattice.
    let hexagonal = Scene { heights: [1.0, 0.0], noise: 0.03, ..Scene::new(220, 200, [[22.0, 0.0], [11.0, 19.05]]) };
    assert!(find_columns(&hexagonal.draw(), 220, 200, &options).is_err());
    assert!("111".parse::<Zone>().unwrap_err().to_string().contains("100 or 110"));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn random_pixels_never_panic(width in 1_usize..70, height in 1_usize..70, seed: u64, kind in 0_u32..4) {
        let mut state = seed | 1;
        let mut bits = || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 16) as u32
        };
        let image: Vec<f32> = (0..width * height)
            .map(|n| match kind {
                0 => f32::from_bits(bits()),
                1 => (bits() % 7) as f32,
                2 => if bits() % 5 == 0 { f32::NAN } else { ((n % width) as f32 * 0.9).sin() * ((n / width) as f32 * 0.8).sin() },
                _ => if bits() % 50 == 0 { f32::MAX } else { 0.0 },
            })
            .collect();
        for zone in [Zone::Z100, Zone::Z110] {
            let options = MapOptions { find: FindOptions { zone, ..FindOptions::default() }, estimator: Estimator::CellFit, ..MapOptions::default() };
            if let Err(error) = polarization_map(&image, width, height, Some(10.0), &options) {
                prop_assert!(error.to_string().len() > 20);
            }
        }
    }

    #[test]
    fn random_positions_never_panic(points in prop::collection::vec(prop::array::uniform2(-1e3_f64..1e3), 0..80), scale in prop::sample::select(vec![1.0, 1e-200, 1e300, 0.0, f64::NAN])) {
        let scaled: Vec<[f64; 2]> = points.iter().map(|p| p.map(|v| v * scale)).collect();
        for zone in [Zone::Z100, Zone::Z110] {
            let _ = ColumnLattice::from_positions(&scaled, &scaled, zone);
        }
    }
}

#[test]
fn inferred_columns_are_marked_until_measured() {
    let scene = Scene {
        heights: [1.0, 0.08],
        sigma: 0.19,
        noise: 0.002,
        polarization: |_| [2.0, 0.0],
        ..Scene::new(260, 260, rotated(26.0, 2.0, 0.0))
    };
    let found = find(&scene);
    assert!(found.columns.iter().all(|c| matches!(c.status, ColumnStatus::Found | ColumnStatus::Inferred)));
    assert_all_found_and_indexed(&scene, &found);
}
