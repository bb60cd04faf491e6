//! Records as a table: one row a point, detector and estimator, units in every column name; written as CSV and as `.npz` of the same.

use super::RunError;
use super::frame::FrameStatistics;
use super::measure::Record;
use super::run::PointFailure;
use super::spec::Study;
use super::{Axis, AxisValue};
use crate::image::whole_file;
use ndarray::Array1;
use ndarray_npy::{NpzWriter, WritableElement, WriteDataError};
use py_literal::Value as PyValue;
use std::io::Write;
use std::path::Path;

/// One column.
#[derive(Debug, Clone, PartialEq)]
pub enum Column {
    /// Numbers; NaN where there is none (an empty cell in CSV).
    Numbers(Vec<f64>),
    /// Whole numbers.
    Integers(Vec<i64>),
    /// Texts.
    Texts(Vec<String>),
}

/// Named columns of equal length.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Table {
    /// Name with unit, values.
    pub columns: Vec<(String, Column)>,
    /// Rows.
    pub rows: usize,
}

impl Table {
    /// The table of a study's records: the axes, then what every study reports.
    #[must_use]
    pub fn new(study: &Study, records: &[Record]) -> Self {
        let mut columns = vec![("point".to_owned(), Column::Integers(records.iter().map(|r| r.point as i64).collect()))];
        for (index, axis) in study.axes.iter().enumerate() {
            columns.push((axis.column.clone(), axis_column(study, axis, index, records)));
        }
        let mut text =
            |name: &str, of: &dyn Fn(&Record) -> String| columns.push((name.to_owned(), Column::Texts(records.iter().map(of).collect())));
        text("detector", &|r| r.detector.clone());
        text("estimator", &|r| r.estimator.to_owned());
        let mut number =
            |name: &str, of: &dyn Fn(&Record) -> f64| columns.push((name.to_owned(), Column::Numbers(records.iter().map(of).collect())));
        number("slab_thickness_nm", &|r| r.thickness_nm);
        for (c, axis) in ["x", "y"].into_iter().enumerate() {
            number(&format!("measured_{axis}_pm"), &|r| r.measured_pm.as_ref().map_or(f64::NAN, |m| m[c]));
            number(&format!("true_{axis}_pm"), &|r| r.true_pm[c]);
            number(&format!("apparent_{axis}_pm"), &|r| r.apparent_pm().map_or(f64::NAN, |a| a[c]));
            number(&format!("sampling_sigma_{axis}_pm"), &|r| r.sampling_sigma_pm[c]);
        }
        if records.iter().any(|r| r.frames.is_some()) {
            let of = |r: &Record, value: &dyn Fn(&FrameStatistics) -> f64| r.frames.as_ref().map_or(f64::NAN, value);
            number("frames", &|r| of(r, &|f| f.frames as f64));
            for (c, axis) in ["x", "y"].into_iter().enumerate() {
                number(&format!("frames_apparent_{axis}_pm"), &|r| of(r, &|f| f.apparent_pm[c]));
                number(&format!("frames_sigma_{axis}_pm"), &|r| of(r, &|f| f.sigma_pm[c]));
                number(&format!("cell_scatter_{axis}_pm"), &|r| of(r, &|f| f.cell_scatter_pm[c]));
            }
            number("cells_measured", &|r| of(r, &|f| f.cells as f64));
            number("cells_refused", &|r| of(r, &|f| f.refused as f64));
        }
        number("mean_intensity_fraction", &|r| r.intensity);
        number("lost_fraction", &|r| r.lost);
        let mut text =
            |name: &str, of: &dyn Fn(&Record) -> String| columns.push((name.to_owned(), Column::Texts(records.iter().map(of).collect())));
        text("refusal", &|r| r.measured_pm.as_ref().err().map_or(String::new(), ToString::to_string));
        text("engine", &|r| r.engine.clone());
        // Where seeds are swept their axis has the column.
        if !study.axes.iter().any(|axis| axis.column == "seed") {
            columns.push(("seed".to_owned(), Column::Integers(records.iter().map(|r| r.seed as i64).collect())));
        }
        Self { columns, rows: records.len() }
    }

    /// CSV: a header, one line a row; numbers in the shortest form that reads back the same.
    pub fn write_csv(&self, path: &Path) -> Result<(), RunError> {
        whole_file(path, |file| {
            let mut csv = csv::Writer::from_writer(file);
            csv.write_record(self.columns.iter().map(|(name, _)| name))?;
            for row in 0..self.rows {
                csv.write_record(self.columns.iter().map(|(_, column)| column.cell(row)))?;
            }
            csv.flush()
        })
        .map_err(RunError::disk(path))
    }

    /// The same columns as named arrays of a numpy archive: float64, int64 and unicode.
    pub fn write_npz(&self, path: &Path) -> Result<(), RunError> {
        // Zip needs to seek back: the archive is made in memory, it is as small as the table.
        let archive = || -> Result<Vec<u8>, ndarray_npy::WriteNpzError> {
            let mut npz = NpzWriter::new(std::io::Cursor::new(Vec::new()));
            for (name, column) in &self.columns {
                match column {
                    Column::Numbers(values) => npz.add_array(name.as_str(), &Array1::from_vec(values.clone()))?,
                    Column::Integers(values) => npz.add_array(name.as_str(), &Array1::from_vec(values.clone()))?,
                    Column::Texts(values) => {
                        npz.add_array(name.as_str(), &Array1::from_vec(values.iter().map(|v| Unicode::new(v)).collect()))?;
                    }
                }
            }
            Ok(npz.finish()?.into_inner())
        };
        whole_file(path, |file| file.write_all(&archive().map_err(std::io::Error::other)?)).map_err(RunError::disk(path))
    }
}

impl Column {
    /// The cell of one row as text; no text where there is no number.
    #[must_use]
    pub fn cell(&self, row: usize) -> String {
        match self {
            Self::Numbers(values) if values[row].is_nan() => String::new(),
            Self::Numbers(values) => values[row].to_string(),
            Self::Integers(values) => values[row].to_string(),
            Self::Texts(values) => values[row].clone(),
        }
    }
}

fn axis_column(study: &Study, axis: &Axis, index: usize, records: &[Record]) -> Column {
    let value = |r: &Record| &study.points()[r.point].values[index].1;
    let whole = |r: &Record| if let AxisValue::Integer(i) = value(r) { Some(*i) } else { None };
    if let Some(integers) = records.iter().map(whole).collect() {
        return Column::Integers(integers);
    }
    let numeric = axis.values.iter().all(|v| v.number().is_some());
    if numeric {
        Column::Numbers(records.iter().map(|r| value(r).number().unwrap_or(f64::NAN)).collect())
    } else {
        let text = |r: &Record| if *value(r) == AxisValue::Idle { String::new() } else { value(r).to_string() };
        Column::Texts(records.iter().map(text).collect())
    }
}

/// The table of the points that failed: their axes, the stage and the reason.
pub(super) fn of_failures(study: &Study, failures: &[PointFailure]) -> Table {
    let mut columns = vec![("point".to_owned(), Column::Integers(failures.iter().map(|f| f.point as i64).collect()))];
    for (index, axis) in study.axes.iter().enumerate() {
        let value = |f: &PointFailure| study.points()[f.point].values[index].1.to_string();
        columns.push((axis.column.clone(), Column::Texts(failures.iter().map(value).collect())));
    }
    columns.push(("stage".to_owned(), Column::Texts(failures.iter().map(|f| f.stage.to_owned()).collect())));
    columns.push(("error".to_owned(), Column::Texts(failures.iter().map(|f| f.error.clone()).collect())));
    Table { columns, rows: failures.len() }
}

/// Longest text a cell of the archive holds, characters; longer ones (refusals are sentences) are cut there.
const UNICODE_LENGTH: usize = 160;

/// A fixed-length numpy unicode string.
struct Unicode([u32; UNICODE_LENGTH]);

impl Unicode {
    fn new(text: &str) -> Self {
        let mut cells = [0; UNICODE_LENGTH];
        cells.iter_mut().zip(text.chars()).for_each(|(cell, c)| *cell = u32::from(c));
        Self(cells)
    }
}

impl WritableElement for Unicode {
    fn type_descriptor() -> PyValue {
        PyValue::String(format!("<U{UNICODE_LENGTH}"))
    }

    fn write<W: Write>(&self, mut writer: W) -> Result<(), WriteDataError> {
        self.0.iter().try_for_each(|c| Ok(writer.write_all(&c.to_le_bytes())?))
    }

    fn write_slice<W: Write>(slice: &[Self], mut writer: W) -> Result<(), WriteDataError> {
        slice.iter().try_for_each(|text| text.write(&mut writer))
    }
}
