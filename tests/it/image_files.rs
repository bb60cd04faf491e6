//! Image files that other programs wrote (numpy, tifffile, h5py, HyperSpy): every one gives the same image and the same pixel size.

use mistilt::image::{FileFault, Image, ImageError, Page, ReadOptions, UnitCellTable};
use std::path::PathBuf;

fn fixture(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/data/image").join(name)
}

fn read(name: &str, options: &ReadOptions) -> Image {
    Image::read(fixture(name), options).unwrap_or_else(|e| panic!("{e}"))
}

fn key(key: &str) -> ReadOptions {
    ReadOptions { key: Some(key.into()), ..ReadOptions::default() }
}

fn page(page: Page) -> ReadOptions {
    ReadOptions { page, ..ReadOptions::default() }
}

/// All fixtures hold pixel (x, y) = 10 y + x on 5 x 4 pixels; `plus` is added to each.
fn assert_is_the_image(image: &Image, plus: f32, name: &str) {
    assert_eq!((image.width, image.height), (5, 4), "{name}");
    let expected: Vec<f32> = (0..20_u8).map(|i| f32::from(10 * (i / 5) + i % 5) + plus).collect();
    assert_eq!(image.data, expected, "{name}");
}

fn assert_15_1_pm(image: &Image, name: &str) {
    let size = image.square_pixel_size_pm().unwrap_or_else(|e| panic!("{name}: {e}"));
    assert!((size / 15.1 - 1.0).abs() < 1e-6, "{name}: {size} pm");
}

#[test]
fn numpy_arrays_of_every_kind_give_the_image() {
    for name in ["f2.npy", "f8_big.npy", "u2.npy", "fortran.npy", "stored.npz"] {
        assert_is_the_image(&read(name, &ReadOptions::default()), 0.0, name);
    }
    assert_eq!(read("bool.npy", &ReadOptions::default()).statistics().map(|s| (s.min, s.max)), Some((0.0, 1.0)));
    assert_is_the_image(&read("deflated.npz", &key("first")), 0.0, "deflated.npz");
    assert_is_the_image(&read("deflated.npz:second", &ReadOptions::default()), 100.0, "deflated.npz:second");
    let error = Image::read(fixture("deflated.npz"), &ReadOptions::default()).unwrap_err().to_string();
    assert!(error.contains("first, second") && error.contains("FILE:first"), "{error}");
}

#[test]
fn stacks_are_refused_and_then_chosen_from() {
    for name in ["stack.npy", "pages.tif", "imagej_stack.tif", "velox.emd"] {
        match Image::read(fixture(name), &ReadOptions::default()) {
            Err(ImageError::File { fault: FileFault::Stack { count: 2, width: 5, height: 4 }, .. }) => {}
            other => panic!("{name}: {other:?}"),
        }
        assert_is_the_image(&read(name, &page(Page::Index(1))), 100.0, name);
        let sum = read(name, &page(Page::Sum));
        assert_eq!((sum.get(0, 0), sum.get(4, 3)), (Some(100.0), Some(168.0)), "{name}");
    }
}

#[test]
fn tiff_tags_of_every_program_give_the_pixel_size() {
    for name in ["imagej.tif", "imagej_micron.tif", "centimetre.tif", "gatan.tif", "ome.ome.tif"] {
        let image = read(name, &ReadOptions::default());
        assert_is_the_image(&image, 0.0, name);
        assert_15_1_pm(&image, name);
    }
    for name in ["dots_per_inch.tif", "deflate.tif", "rgb.tif", "half.tif"] {
        let image = read(name, &ReadOptions::default());
        assert_is_the_image(&image, 0.0, name);
        assert_eq!(image.pixel_size_pm, None, "{name}");
    }
}

#[test]
fn a_signal_saved_by_hyperspy_is_read_with_axes_and_microscope() {
    let image = read("hyperspy.hspy", &ReadOptions::default());
    assert_is_the_image(&image, 0.0, "hyperspy.hspy");
    assert_15_1_pm(&image, "hyperspy.hspy");
    let m = &image.metadata;
    assert_eq!((m.title.as_deref(), m.beam_energy_kev, m.convergence_mrad), (Some("film"), Some(200.0), Some(30.0)));
}

#[test]
fn velox_and_berkeley_files_give_pixel_size_voltage_and_angles() {
    let image = read("velox.emd", &ReadOptions { key: Some("HAADF".into()), page: Page::Index(0), ..ReadOptions::default() });
    assert_is_the_image(&image, 0.0, "velox.emd");
    assert_15_1_pm(&image, "velox.emd");
    let m = &image.metadata;
    assert_eq!((m.beam_energy_kev, m.detector_name.as_deref()), (Some(300.0), Some("HAADF")));
    let mrad = [m.convergence_mrad, m.detector_inner_mrad, m.detector_outer_mrad].map(Option::unwrap);
    assert!(mrad.iter().zip([21.4, 70.0, 200.0]).all(|(a, b)| (a - b).abs() < 1e-9), "{mrad:?}");
    let image = read("berkeley.emd", &ReadOptions::default());
    assert_is_the_image(&image, 0.0, "berkeley.emd");
    assert_15_1_pm(&image, "berkeley.emd");
    assert_eq!(image.metadata.beam_energy_kev, Some(200.0));
}

#[test]
fn the_sm_bfo_layout_gives_image_and_unit_cells() {
    let path = fixture("SM_10_0_HAADF.h5");
    let image = Image::read(&path, &ReadOptions::default()).unwrap();
    assert_15_1_pm(&image, "SM_10_0_HAADF.h5");
    assert_eq!((image.width, image.height, image.get(3, 2)), (5, 4, Some(23.0)));
    assert!(image.data[0].is_nan() && image.data[19].is_nan());
    let table = UnitCellTable::path_beside(&path).unwrap();
    let cells = UnitCellTable::read(table).unwrap().cells;
    assert_eq!((cells.len(), cells[1].index, cells[1].centre_px), (3, [1, 0], [2.0, 1.0]));
    assert_eq!((cells[0].polarization, cells[2].polarization, cells[2].volume), (Some([0.1, 0.3]), None, None));
    assert_eq!((cells[0].columns_px.len(), cells[0].columns_px[4]), (5, [23.0, 26.0]));
}

#[test]
fn a_plain_array_is_found_in_an_unknown_layout() {
    let image = read("plain.h5", &ReadOptions::default());
    assert_is_the_image(&image, 0.0, "plain.h5");
    assert_is_the_image(&read("plain.h5:scan/adf", &ReadOptions::default()), 0.0, "plain.h5:scan/adf");
    let error = Image::read(fixture("plain.h5"), &key("nothing")).unwrap_err().to_string();
    assert!(error.contains("no image named `nothing`; it holds scan/adf"), "{error}");
}

#[test]
fn real_images_of_two_films_are_read() {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/data/real");
    let options = ReadOptions { pixel_size_pm: Some(8.0), ..ReadOptions::default() };
    let dso = Image::read(folder.join("dso.png"), &options).unwrap();
    assert_eq!((dso.width, dso.height, dso.pixel_size_pm), (1024, 1024, Some(8.0)));
    let film = Image::read(folder.join("smbfo_input_patch.png"), &ReadOptions::default()).unwrap();
    assert_eq!((film.width, film.height), (703, 703));
    let all = film.statistics().unwrap();
    assert!(all.count == 703 * 703 && all.mean > all.min && all.mean < all.max, "{all:?}");
}

#[test]
fn the_sidecar_counts_more_than_the_file_and_the_caller_more_than_both() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.tif");
    std::fs::copy(fixture("imagej.tif"), &path).unwrap();
    std::fs::write(folder.path().join("a.tif.json"), r#"{"pixel_size_pm": 20}"#).unwrap();
    assert_eq!(Image::read(&path, &ReadOptions::default()).unwrap().pixel_size_pm, Some(20.0));
    let options = ReadOptions { pixel_size_pm: Some(30.0), ..ReadOptions::default() };
    assert_eq!(Image::read(&path, &options).unwrap().pixel_size_pm, Some(30.0));
    let options = ReadOptions { pixel_size_pm: Some(f64::NAN), ..ReadOptions::default() };
    assert!(matches!(Image::read(&path, &options), Err(ImageError::PixelSize { .. })));
}
