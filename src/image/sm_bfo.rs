//! The layout of the Sm-doped BiFeO3 data set (Zenodo 4555979): `*_HAADF.h5` images and the `*_UCParameterization.h5` table of
//! unit cells beside them. MATLAB wrote the files: axes run the other way round and pixels count from 1.

use super::bytes::Frames;
use super::error::FileFault;
use super::hdf5::{Store, broken, find_name, number, text, walk, with_path};
use super::{Image, ImageError, ReadOptions, units};
use hdf5_pure::Group;
use std::path::{Path, PathBuf};

/// Tables with more numbers in one column than this are refused: 2^20 cells of 10 coordinates.
const MAX_NUMBERS: u64 = 1 << 24;

/// Pixel sizes of real images of columns, pm; decides how scale and unit of the file combine.
const USUAL_PIXEL_PM: std::ops::RangeInclusive<f64> = 0.5..=500.0;

/// The unit cells of one image, as the data set's authors measured them.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct UnitCellTable {
    /// One entry a cell, in the order of the file.
    pub cells: Vec<UnitCell>,
}

/// One unit cell; lengths in the file's own units (pixels unless the file says otherwise), `None` where it has NaN or no entry.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct UnitCell {
    /// Index (a, b) of the cell in the lattice.
    pub index: [i32; 2],
    /// Centre of the four A columns, px: x right, y down, (0, 0) the centre of the top left pixel.
    pub centre_px: [f64; 2],
    /// Polarization displacement of the cell as the file has it.
    pub polarization: Option<[f64; 2]>,
    /// Side a.
    pub a: Option<f64>,
    /// Side b.
    pub b: Option<f64>,
    /// Angle between the sides.
    pub alpha: Option<f64>,
    /// Area (called volume in the file).
    pub volume: Option<f64>,
    /// Intensities of the four corners (1 to 4) and the centre (5).
    pub intensities: [Option<f64>; 5],
    /// The columns of the cell, px, as [`UnitCell::centre_px`]; the last is the centre column.
    pub columns_px: Vec<[f64; 2]>,
}

/// Reads the data set `MainImage`; `None` when the file has none.
pub(super) fn read_image(store: &Store, root: &Group, options: &ReadOptions) -> Result<Option<Image>, FileFault> {
    let mut found = None;
    for (_, group) in walk(root) {
        if let Some(name) = find_name(&group.datasets().map_err(broken)?, "MainImage") {
            found = Some((group, name));
            break;
        }
    }
    let Some((group, name)) = found else { return Ok(None) };
    if options.key.as_deref().is_some_and(|k| !k.trim_matches('/').eq_ignore_ascii_case("MainImage")) {
        return Ok(None);
    }
    let array = store.array(&group.dataset(&name).map_err(broken)?)?;
    let &[width, height] = &array.shape[..] else { return Err(array.no_image()) };
    // MATLAB stores columns: the first axis here is x.
    let mut image = array.pixels(&Frames { width, height, count: 1, strides: [height, 1, 0] }, options.page)?;
    calibrate(store, &mut image, &group);
    image.metadata.notes.push("axes turned from MATLAB's order (the first axis of the array is x)".to_owned());
    Ok(Some(image))
}

/// `Scale` is the side of a pixel, `Units(m)` its unit in metres or by name.
fn calibrate(store: &Store, image: &mut Image, group: &Group) {
    let names = group.datasets().unwrap_or_default();
    let attributes = group.attrs().unwrap_or_default();
    let value = |wanted: &str| {
        let stored = find_name(&names, wanted).and_then(|n| store.numbers(group, &n, 16)).and_then(|v| v.first().copied());
        stored.or_else(|| number(&attributes, wanted)).filter(|v| v.is_finite() && *v > 0.0)
    };
    let Some(scale) = value("Scale") else { return };
    let word = find_name(&names, "Units(m)")
        .and_then(|n| group.dataset(&n).ok()?.read_string().ok()?.into_iter().next())
        .or_else(|| text(&attributes, "Units(m)"));
    if let Some(unit) = word.filter(|w| units::picometres(w).is_some()) {
        image.calibrate([scale, scale], &unit);
        return;
    }
    let unit = value("Units(m)").unwrap_or(1.0);
    // Some files give the side in units of `Units(m)`, some in metres.
    for metres in [scale * unit, scale] {
        if USUAL_PIXEL_PM.contains(&(metres * 1e12)) {
            image.calibrate([metres, metres], "m");
            return;
        }
    }
    image.metadata.notes.push(format!("Scale {scale:e} with Units(m) {unit:e} gives no usual pixel size: not used"));
}

impl UnitCellTable {
    /// Reads a `*_UCParameterization.h5` file.
    ///
    /// # Errors
    /// [`ImageError::File`] when it is no HDF5 file or lacks `ab` or `xy_COM`.
    pub fn read(path: impl AsRef<Path>) -> Result<Self, ImageError> {
        let path = path.as_ref();
        with_path(path, |store| read_table(store, &store.file.root())).map_err(|fault| fault.at(path))
    }

    /// The table that belongs to the image `Sm_0_1_HAADF.h5`: `Sm_0_1_UCParameterization.h5` in the same folder, whatever the case
    /// of its letters (the data set has `SM_10_0_HAADF.h5` beside `Sm_10_0_UCParameterization.h5`).
    #[must_use]
    pub fn path_beside(image: impl AsRef<Path>) -> Option<PathBuf> {
        let image = image.as_ref();
        let name = image.file_name()?.to_str()?.to_lowercase();
        let wanted = format!("{}_ucparameterization.h5", name.strip_suffix("_haadf.h5")?);
        let folder = image.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let mut matches: Vec<PathBuf> = std::fs::read_dir(folder)
            .ok()?
            .filter_map(|entry| Some(entry.ok()?.path()))
            .filter(|p| p.file_name().is_some_and(|n| n.to_string_lossy().to_lowercase() == wanted))
            .collect();
        matches.sort();
        matches.into_iter().next()
    }
}

fn read_table(store: &Store, root: &Group) -> Result<UnitCellTable, FileFault> {
    let names = root.datasets().map_err(broken)?;
    let column = |wanted: &str| -> Option<(Vec<usize>, Vec<f64>)> {
        let dataset = root.dataset(&find_name(&names, wanted)?).ok()?;
        let shape: Vec<usize> = dataset.shape().ok()?.iter().map(|&n| usize::try_from(n).unwrap_or(usize::MAX)).collect();
        let values = store.numbers(root, &find_name(&names, wanted)?, MAX_NUMBERS)?;
        Some((shape, values))
    };
    let pairs = |wanted: &str| column(wanted).and_then(|(shape, values)| as_pairs(&shape, &values));
    let missing = |name: &str| FileFault::unsupported(format!("holds no unit cells: it needs `{name}` as an array of 2 x N numbers"));
    let indices = pairs("ab").ok_or_else(|| missing("ab"))?;
    let centres = pairs("xy_COM").ok_or_else(|| missing("xy_COM"))?;
    let n = indices.len();
    if centres.len() != n {
        return Err(FileFault::damaged(format!("it has {n} cell indices and {} centres", centres.len())));
    }
    let polarization = pairs("Pxy").filter(|p| p.len() == n);
    let scalar = |wanted: &str| column(wanted).map(|(_, v)| v).filter(|v| v.len() == n);
    let (a, b, alpha, volume) = (scalar("a"), scalar("b"), scalar("alpha"), scalar("Vol"));
    let intensities = ["I1", "I2", "I3", "I4", "I5"].map(scalar);
    let columns = column("xy_atms").and_then(|(shape, values)| as_columns(&shape, &values, n));
    let at = |list: &Option<Vec<f64>>, i: usize| list.as_ref().map(|v| v[i]).filter(|v| v.is_finite());
    let cells = (0..n).map(|i| UnitCell {
        index: indices[i].map(|v| v.round() as i32),
        centre_px: from_matlab(centres[i]),
        polarization: polarization.as_ref().map(|p| p[i]).filter(|p| p.iter().all(|v| v.is_finite())),
        a: at(&a, i),
        b: at(&b, i),
        alpha: at(&alpha, i),
        volume: at(&volume, i),
        intensities: [0, 1, 2, 3, 4].map(|k| at(&intensities[k], i)),
        columns_px: columns.as_ref().map_or_else(Vec::new, |c| c[i].clone()),
    });
    Ok(UnitCellTable { cells: cells.collect() })
}

/// MATLAB's first pixel is 1.
fn from_matlab(xy: [f64; 2]) -> [f64; 2] {
    xy.map(|v| v - 1.0)
}

/// N pairs from an array of 2 x N (or N x 2) numbers.
fn as_pairs(shape: &[usize], values: &[f64]) -> Option<Vec<[f64; 2]>> {
    match *shape {
        [2, n] if values.len() == 2 * n => Some((0..n).map(|i| [values[i], values[n + i]]).collect()),
        [n, 2] if values.len() == 2 * n => Some(values.chunks_exact(2).map(|p| [p[0], p[1]]).collect()),
        _ => None,
    }
}

/// The columns of each of `n` cells from an array with one axis of `n`, one of 2 (x, y) and one that counts columns.
fn as_columns(shape: &[usize], values: &[f64], n: usize) -> Option<Vec<Vec<[f64; 2]>>> {
    let &[d0, d1, d2] = shape else { return None };
    let dims = [d0, d1, d2];
    let cell = dims.iter().position(|&d| d == n)?;
    let pair = (0..3).find(|&i| i != cell && dims[i] == 2)?;
    let column = 3 - cell - pair;
    let strides = [d1.checked_mul(d2)?, d2, 1];
    if strides[0].checked_mul(d0)? != values.len() {
        return None;
    }
    let value = |i: usize, k: usize, xy: usize| values[i * strides[cell] + k * strides[column] + xy * strides[pair]];
    Some((0..n).map(|i| (0..dims[column]).map(|k| from_matlab([value(i, k, 0), value(i, k, 1)])).collect()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use hdf5_pure::FileBuilder;

    #[test]
    fn the_image_is_turned_and_scaled_and_borders_are_no_data() {
        let mut file = FileBuilder::new();
        // x = 0..3 slow, y = 0..2 fast, as h5py shows a MATLAB array.
        file.create_dataset("MainImage").with_f64_data(&[0.0, 10.0, 1.0, f64::NAN, 2.0, f64::INFINITY]).with_shape(&[3, 2]);
        file.create_dataset("Scale").with_f64_data(&[0.151]).with_shape(&[1, 1]);
        file.create_dataset("Units(m)").with_f64_data(&[1e-10]).with_shape(&[1, 1]);
        let image = Image::from_bytes("Sm_0_0_HAADF.h5", &file.finish().unwrap(), &ReadOptions::default()).unwrap();
        assert_eq!((image.width, image.height), (3, 2));
        assert_eq!(&image.data[..4], [0.0, 1.0, 2.0, 10.0]);
        assert!(image.data[4].is_nan() && image.data[5].is_nan());
        assert!((image.pixel_size_pm.unwrap() - 15.1).abs() < 1e-9);
    }

    #[test]
    fn the_table_beside_an_image_is_found_whatever_its_case_and_read() {
        let folder = tempfile::tempdir().unwrap();
        let table = folder.path().join("Sm_10_0_UCParameterization.h5");
        let mut file = FileBuilder::new();
        file.create_dataset("ab").with_f64_data(&[1.0, 2.0, 3.0, -1.0, -2.0, -3.0]).with_shape(&[2, 3]);
        file.create_dataset("xy_COM").with_f64_data(&[11.0, 12.0, 13.0, 21.5, 22.5, 23.5]).with_shape(&[2, 3]);
        file.create_dataset("Pxy").with_f64_data(&[0.1, f64::NAN, 0.3, 0.4, 0.5, 0.6]).with_shape(&[2, 3]);
        file.create_dataset("I5").with_f32_data(&[5.0, 6.0, f32::INFINITY]).with_shape(&[1, 3]);
        let atoms: Vec<f64> = (0..30).map(f64::from).collect();
        file.create_dataset("xy_atms").with_f64_data(&atoms).with_shape(&[2, 5, 3]);
        file.write(&table).unwrap();
        let found = UnitCellTable::path_beside(folder.path().join("SM_10_0_HAADF.h5")).unwrap();
        let cells = UnitCellTable::read(found).unwrap().cells;
        assert_eq!((cells[1].index, cells[1].centre_px, cells[1].polarization), ([2, -2], [11.0, 21.5], None));
        assert_eq!((cells[0].intensities[4], cells[2].intensities[4], cells[0].a), (Some(5.0), None, None));
        assert_eq!(cells[0].columns_px.get(1), Some(&[2.0, 17.0]));
    }

    #[test]
    fn a_file_without_cells_says_what_it_lacks() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.h5");
        let mut file = FileBuilder::new();
        file.create_dataset("ab").with_f64_data(&[1.0, 2.0]).with_shape(&[2, 1]);
        file.write(&path).unwrap();
        assert!(UnitCellTable::read(&path).unwrap_err().to_string().contains("xy_COM"));
    }
}
