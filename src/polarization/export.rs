//! Polarization maps as tables (CSV) and arrays (NPZ); px and pm as named, x right, y down. Files appear whole or not at all.

use super::{ChargeModel, PolarizationError, PolarizationMap};
use crate::image::whole_file;
use ndarray::{Array1, Array2};
use std::io::{self, Write};
use std::path::Path;

const COLUMNS: [&str; 21] = [
    "index_a",
    "index_b",
    "centre_x_px",
    "centre_y_px",
    "shift_x_px",
    "shift_y_px",
    "shift_x_pm",
    "shift_y_pm",
    "fitted_sigma_x_pm",
    "fitted_sigma_y_pm",
    "scatter_x_pm",
    "scatter_y_pm",
    "covariance_xy_px2",
    "collective_mode_x_uc_per_cm2",
    "collective_mode_y_uc_per_cm2",
    "unresolved",
    "a_px",
    "b_px",
    "angle_deg",
    "a_intensity",
    "b_intensity",
];

impl PolarizationMap {
    /// Writes one row a cell: index, centre, shift in px and pm, its uncertainties, cell lengths and brightness. Columns in pm are
    /// empty without a pixel size, others where a value is unknown.
    ///
    /// # Errors
    /// [`PolarizationError::Write`] if the file cannot be written.
    pub fn write_csv(&self, path: &Path) -> Result<(), PolarizationError> {
        written(path, |file| {
            let mut table = csv::Writer::from_writer(file);
            table.write_record(COLUMNS)?;
            for cell in &self.cells {
                let pm = |px: f64| self.pixel_size_pm.map_or(f64::NAN, |size| px * size);
                let mut row: Vec<String> = cell.index.iter().map(ToString::to_string).collect();
                row.extend(cell.centre_px.into_iter().chain(cell.shift_px).map(number));
                row.extend(cell.shift_px.map(|v| number(pm(v))));
                row.extend([cell.covariance_px2[0], cell.covariance_px2[2]].map(|v| number(pm(v.sqrt()))));
                row.extend(cell.scatter_px.map(|v| number(pm(v))));
                row.push(number(cell.covariance_px2[1]));
                let density = self.polarization_uc_per_cm2(cell, ChargeModel::CollectiveMode).unwrap_or([f64::NAN; 2]);
                row.extend(density.map(number));
                row.push(u8::from(cell.unresolved).to_string());
                row.extend([cell.a_px, cell.b_px, cell.angle_deg, cell.a_intensity, cell.b_intensity].map(number));
                table.write_record(row)?;
            }
            table.flush()
        })
    }

    /// Writes the same as arrays for `numpy.load`: `index` (N, 2), `centre_px`, `shift_px`, `shift_pm`, `scatter_px`, `collective_mode_uc_per_cm2` (N, 2),
    /// `covariance_px2` (N, 3: xx, xy, yy), `unresolved`, `a_px`, `b_px`, `angle_deg`, `a_intensity`, `b_intensity` (N), and
    /// `pixel_size_pm`, `lattice_a_px` (1). Unknown values are NaN.
    ///
    /// # Errors
    /// [`PolarizationError::Write`] if the file cannot be written.
    pub fn write_npz(&self, path: &Path) -> Result<(), PolarizationError> {
        let n = self.cells.len();
        let pairs = |f: &dyn Fn(&super::Cell) -> [f64; 2]| Array2::from_shape_fn((n, 2), |(i, k)| f(&self.cells[i])[k]);
        let singles = |f: &dyn Fn(&super::Cell) -> f64| Array1::from_iter(self.cells.iter().map(f));
        let pixel_size_pm = self.pixel_size_pm.unwrap_or(f64::NAN);
        written(path, |file| {
            let other = |e: ndarray_npy::WriteNpzError| io::Error::other(e.to_string());
            // The archive's directory needs to seek, so it is put together in memory; a map is small beside its image.
            let mut buffer = io::Cursor::new(Vec::new());
            let mut archive = ndarray_npy::NpzWriter::new(&mut buffer);
            let index = Array2::from_shape_fn((n, 2), |(i, k)| self.cells[i].index[k]);
            archive.add_array("index", &index).map_err(other)?;
            archive.add_array("centre_px", &pairs(&|c| c.centre_px)).map_err(other)?;
            archive.add_array("shift_px", &pairs(&|c| c.shift_px)).map_err(other)?;
            archive.add_array("shift_pm", &pairs(&|c| c.shift_px.map(|v| v * pixel_size_pm))).map_err(other)?;
            archive.add_array("scatter_px", &pairs(&|c| c.scatter_px)).map_err(other)?;
            let covariance = Array2::from_shape_fn((n, 3), |(i, k)| self.cells[i].covariance_px2[k]);
            archive.add_array("covariance_px2", &covariance).map_err(other)?;
            let density = |c: &super::Cell| self.polarization_uc_per_cm2(c, ChargeModel::CollectiveMode).unwrap_or([f64::NAN; 2]);
            archive.add_array("collective_mode_uc_per_cm2", &pairs(&density)).map_err(other)?;
            archive.add_array("unresolved", &Array1::from_iter(self.cells.iter().map(|c| c.unresolved))).map_err(other)?;
            archive.add_array("a_px", &singles(&|c| c.a_px)).map_err(other)?;
            archive.add_array("b_px", &singles(&|c| c.b_px)).map_err(other)?;
            archive.add_array("angle_deg", &singles(&|c| c.angle_deg)).map_err(other)?;
            archive.add_array("a_intensity", &singles(&|c| c.a_intensity)).map_err(other)?;
            archive.add_array("b_intensity", &singles(&|c| c.b_intensity)).map_err(other)?;
            archive.add_array("pixel_size_pm", &Array1::from_elem(1, pixel_size_pm)).map_err(other)?;
            archive.add_array("lattice_a_px", &Array1::from_elem(1, self.lattice_a_px)).map_err(other)?;
            archive.finish().map_err(other)?;
            file.write_all(buffer.get_ref())
        })
    }
}

fn number(value: f64) -> String {
    if value.is_finite() { value.to_string() } else { String::new() }
}

fn written(path: &Path, write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> Result<(), PolarizationError> {
    whole_file(path, |file| write(file)).map_err(|source| PolarizationError::Write { path: path.to_owned(), source })
}
