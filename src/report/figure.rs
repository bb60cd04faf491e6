//! A finished figure: the same drawing as SVG text and as 300 dpi PNG bytes, saved side by side and never half-written.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use super::canvas::Canvas;
use super::{ReportError, raster, svg};
use crate::image::whole_file;

/// A drawing ready to be saved or put in a page.
#[derive(Clone, Debug)]
pub struct Figure {
    pub(crate) name: &'static str,
    pub(crate) title: String,
    pub(crate) canvas: Canvas,
}

/// The two files of a figure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SavedFigure {
    /// The vector file.
    pub svg: PathBuf,
    /// The 300 dpi pixel file.
    pub png: PathBuf,
}

impl Figure {
    pub(crate) fn new(name: &'static str, title: String, canvas: Canvas) -> Self {
        Self { name, title, canvas }
    }

    /// The figure as SVG; its text is text, in `DejaVu Sans`, Arial or the reader's sans-serif.
    pub fn svg(&self) -> Result<String, ReportError> {
        svg::document(&self.canvas, &self.title).map_err(|source| ReportError::Png { figure: self.name, source })
    }

    /// The figure as a PNG file's bytes, 300 dots per inch at its printed size.
    pub fn png(&self) -> Result<Vec<u8>, ReportError> {
        raster::png(&self.canvas).map_err(|source| ReportError::Png { figure: self.name, source })
    }

    /// Width and height in millimetres.
    #[must_use]
    pub fn size_mm(&self) -> (f64, f64) {
        (self.canvas.width_pt / super::style::PT_PER_MM, self.canvas.height_pt / super::style::PT_PER_MM)
    }

    /// Write `FOLDER/STEM.svg` and `FOLDER/STEM.png`. Each file appears whole or not at all.
    pub fn save(&self, folder: &Path, stem: &str) -> Result<SavedFigure, ReportError> {
        let (svg, png) = (self.svg()?, self.png()?);
        let saved = SavedFigure { svg: folder.join(format!("{stem}.svg")), png: folder.join(format!("{stem}.png")) };
        write_whole(&saved.svg, svg.as_bytes())?;
        write_whole(&saved.png, &png)?;
        Ok(saved)
    }
}

/// Write a file under another name first and rename it, so that a reader never meets half of it.
pub(crate) fn write_whole(path: &Path, bytes: &[u8]) -> Result<(), ReportError> {
    whole_file(path, |file| file.write_all(bytes)).map_err(|source| ReportError::Write { path: path.to_owned(), source })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_write_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let figure = Figure::new("test figure", "nothing".to_owned(), Canvas::new(10.0, 10.0));
        let missing = folder.path().join("no-such-folder");
        let error = figure.save(&missing, "a").unwrap_err().to_string();
        assert!(error.contains("cannot write") && error.contains("a.svg"), "{error}");
        // A folder in the way of the file: the rename fails after the bytes were written.
        std::fs::create_dir(folder.path().join("b.svg")).unwrap();
        std::fs::write(folder.path().join("b.svg/keep"), "x").unwrap();
        assert!(figure.save(folder.path(), "b").is_err());
        let left: Vec<_> = std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(left, ["b.svg"], "a partial file was left");
    }
}
