//! Published experimental images measured end to end and held to their known figures; sources and licences in `tests/data/real`.

use mistilt::columns::{Estimator, FindOptions, find_columns};
use mistilt::crystal::Site;
use mistilt::polarization::{MapOptions, PolarizationMap, polarization_map};

/// Luminance of an 8-bit PNG, its width and height.
pub(crate) fn luminance(name: &str) -> (Vec<f32>, usize, usize) {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/real").join(name);
    let mut decoder = png::Decoder::new(std::io::BufReader::new(std::fs::File::open(path).unwrap()));
    decoder.set_transformations(png::Transformations::normalize_to_color8());
    let mut reader = decoder.read_info().unwrap();
    let mut bytes = vec![0; reader.output_buffer_size().unwrap()];
    let info = reader.next_frame(&mut bytes).unwrap();
    let samples = info.color_type.samples();
    // Rec. 601 weights; equal channels give their common value.
    let grey = |p: &[u8]| match p {
        [r, g, b, ..] => 0.299 * f32::from(*r) + 0.587 * f32::from(*g) + 0.114 * f32::from(*b),
        [v, ..] => f32::from(*v),
        [] => 0.0,
    };
    (bytes[..info.buffer_size()].chunks_exact(samples).map(grey).collect(), info.width as usize, info.height as usize)
}

/// 256 native pixels of 15.1 pm are shown as 703.
const SMBFO_PM: f64 = 15.1 * 256.0 / 703.0;

fn smbfo(estimator: Estimator) -> PolarizationMap {
    let (image, width, height) = luminance("smbfo_input_patch.png");
    let options = MapOptions { estimator, ..MapOptions::default() };
    polarization_map(&image, width, height, Some(SMBFO_PM), &options).unwrap().0
}

#[test]
fn all_81_a_sites_of_samarium_doped_bismuth_ferrite_are_found() {
    let (image, width, height) = luminance("smbfo_input_patch.png");
    let found = find_columns(&image, width, height, &FindOptions::default()).unwrap();
    let inside = |p: [f64; 2]| p.iter().all(|v| (30.0..673.0).contains(v));
    assert_eq!(found.sublattice(Site::A).filter(|a| inside(a.position_px)).count(), 81);
    let native = smbfo(Estimator::CellFit).lattice_a_px * 256.0 / 703.0;
    assert!((native - 26.26).abs() < 0.1, "a = {native} native px");
}

#[test]
fn its_polarization_is_the_published_one_by_either_gaussian_route() {
    for estimator in [Estimator::CellFit, Estimator::Gaussian] {
        let summary = smbfo(estimator).summary();
        let [x, y] = [summary.median_px_pm, summary.median_py_pm].map(Option::unwrap);
        assert!((x - 21.0).abs() < 5.0 && (y + 9.0).abs() < 5.0, "{summary:#?}");
        assert!((summary.median_magnitude_pm.unwrap() - 30.0).abs() < 5.0 && summary.cells >= 55, "{summary:#?}");
    }
}

#[test]
fn dysprosium_scandate_in_a_raw_frame_with_row_jitter_gives_its_lattice_and_sublattices() {
    let (image, width, height) = luminance("dso.png");
    let (map, columns) = polarization_map(&image, width, height, Some(7.8125), &MapOptions::default()).unwrap();
    assert!(columns.sublattice(Site::A).count() >= 400, "{}", columns.sublattice(Site::A).count());
    assert!((map.lattice_a_px - 49.3).abs() < 1.5, "{}", map.lattice_a_px);
    assert!(map.cells.len() >= 330, "{} {:?}", map.cells.len(), map.rejected);
}
