//! Figures fit for a paper (SVG and PNG) and a self-contained HTML page, from plain data; lengths in pm and image pixels, tilts in mrad.
//!
//! Every figure is a struct of plain data with a `draw` that returns a [`Figure`]; [`Figure::save`] writes its two files.

mod axes;
mod canvas;
mod error;
mod figure;
mod fonts;
mod lines;
mod marks;
mod raster;
mod style;
mod svg;
mod ticks;

pub use error::ReportError;
pub use figure::{Figure, SavedFigure};
pub use lines::{Legend, LineChart, Panel, Row, Series, Spread};
pub use style::Width;
pub use ticks::Scale;

#[cfg(test)]
mod samples;
