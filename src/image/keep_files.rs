//! Writes one image in every format, and DM files of every number type, for other programs to check (`scripts/check-files.sh`).

use super::dm::tests::{STYLES, number_types, writer::scene};
use super::{Image, ReadOptions, Truth};
use std::path::PathBuf;

/// The image of the fixtures with one pixel without data.
fn example() -> Image {
    let mut data: Vec<f32> = (0..20_u8).map(|i| f32::from(10 * (i / 5) + i % 5)).collect();
    data[0] = f32::NAN;
    let mut image = Image::new(5, 4, data).unwrap().with_pixel_size_pm(15.1).unwrap();
    image.metadata.title = Some("film".into());
    image.metadata.beam_energy_kev = Some(200.0);
    image.metadata.convergence_mrad = Some(30.0);
    image.metadata.detector_inner_mrad = Some(70.0);
    image.metadata.detector_outer_mrad = Some(200.0);
    image.truth = Some(Truth::default());
    image
}

/// Without the variable the files go to a temporary folder, and only our own reader looks at them.
#[test]
fn files_for_other_programs() {
    let temporary = tempfile::tempdir().unwrap();
    let folder = std::env::var_os("MISTILT_KEEP_FILES").map_or(temporary.path().to_path_buf(), PathBuf::from);
    let image = example();
    for name in ["image.npy", "image.tif", "image.hspy"] {
        image.write(folder.join(name)).unwrap();
        let back = Image::read(folder.join(name), &ReadOptions::default()).unwrap();
        assert_eq!((back.pixel_size_pm, &back.data[1..], &back.truth), (image.pixel_size_pm, &image.data[1..], &image.truth), "{name}");
    }
    assert!(image.write(folder.join("image.png")).unwrap_err().to_string().contains(".npy, .tif or .hspy"));
    for style in STYLES {
        for (kind, code, size, data, _) in number_types() {
            let end = if style.big_endian { "big" } else { "little" };
            let path = folder.join(format!("type{kind}-{end}.dm{}", style.version));
            std::fs::write(&path, style.file(&scene(&[2, 1], kind, code, size, data, "nm"))).unwrap();
            let read = Image::read(&path, &ReadOptions::default()).unwrap();
            let expect = serde_json::json!({
                "width": read.width, "height": read.height, "data": read.data,
                "pixel_size_pm": read.pixel_size_pm, "beam_energy_kev": read.metadata.beam_energy_kev,
            });
            std::fs::write(format!("{}.expect", path.display()), expect.to_string()).unwrap();
        }
    }
}
