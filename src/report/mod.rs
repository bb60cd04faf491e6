//! Figures fit for a paper (SVG and PNG) and a self-contained HTML page, from plain data; lengths in pm and image pixels, tilts in mrad.
//!
//! Every figure is a struct of plain data with a `draw` that returns a [`Figure`]; [`Figure::save`] writes its two files.

mod axes;
mod canvas;
mod distribution;
mod error;
mod explorer;
mod figure;
mod fonts;
mod html;
mod image_grid;
mod image_panel;
mod lines;
mod map;
mod marks;
mod mosaic;
pub mod network;
mod overlay;
mod picture;
mod portrait;
mod raster;
pub mod sensitivity;
mod series;
mod split_maps;
mod style;
mod svg;
mod ticks;
pub mod verdict;
mod wheel;

pub use distribution::{Histograms, Parity};
pub use error::ReportError;
pub use explorer::{Explorer, Found, Frame, MOST_FRAMES};
pub use figure::{Figure, SavedFigure};
pub use html::{FigureContent, FigureRef, Page, Table};
pub use image_grid::{GridPanel, ImageGrid};
pub use image_panel::{Arrow, ColumnMark, ImagePanel, ImageRow, Marker};
pub use lines::{Legend, LineChart, Panel, Row};
pub use map::{MapCell, MapData, MapStyle};
pub use mosaic::{Mosaic, Tiles};
pub use picture::{ColourMap, Pixels};
pub use portrait::{Captioned, Portrait};
pub use series::{Series, Spread};
pub use split_maps::{SplitMaps, SplitPoint};
pub use style::Width;
pub use ticks::Scale;

#[cfg(test)]
mod samples;
