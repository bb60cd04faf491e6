//! From an image to its polarization map in one call: columns found, measured, joined into cells; pixels and picometres.

use super::map::CellFits;
use super::{PolarizationError, PolarizationMap};
use crate::columns::{
    ColumnLattice, Estimator, FindError, FindOptions, PixelWindow, Pixels, Zone, absent_pixels, find_columns, measure_cell_pixels,
    measure_columns,
};
use crate::crystal::Site;
use rayon::prelude::*;

/// How a polarization map is made of an image.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct MapOptions {
    /// How columns are found.
    pub find: FindOptions,
    /// How columns are measured. [`Estimator::CellFit`], the default, fits a B column and its four A columns together; along ⟨110⟩, where
    /// B has two, it fits single Gaussians.
    pub estimator: Estimator,
    /// Radius of the window about a column, px; [`ColumnLattice::window_radius_px`] if `None`.
    pub window_radius_px: Option<f64>,
    /// Whether the fits' uncertainty allows for residuals correlated between pixels (scan noise, neighbours' tails), which takes longer.
    pub empirical_covariance: bool,
    /// Known side of the pseudocubic cell, pm: gives the pixel size of an image that has none.
    pub lattice_pm: Option<f64>,
}

impl Default for MapOptions {
    fn default() -> Self {
        Self {
            find: FindOptions::default(),
            estimator: Estimator::CellFit,
            window_radius_px: None,
            empirical_covariance: true,
            lattice_pm: None,
        }
    }
}

/// The polarization map of an image (`width × height` values, row-major, y down, NaN where there is none) and its measured columns.
///
/// # Errors
/// [`PolarizationError`] with a sentence if the image shows no perovskite lattice or no cell of it is complete.
pub fn polarization_map(
    image: &[f32],
    width: usize,
    height: usize,
    pixel_size_pm: Option<f64>,
    options: &MapOptions,
) -> Result<(PolarizationMap, ColumnLattice), PolarizationError> {
    let found = find_columns(image, width, height, &options.find)?;
    let absent = absent_pixels(image, width, height);
    let pixels = Pixels::new(image, width, height).and_then(|p| p.without(&absent));
    let pixels = pixels.ok_or(FindError::Shape { width, height, values: image.len() })?;
    let window = PixelWindow {
        radius_px: options.window_radius_px.unwrap_or_else(|| found.window_radius_px()),
        empirical: options.empirical_covariance,
    };
    let jointly = options.estimator == Estimator::CellFit && options.find.zone == Zone::Z100;
    let single = if options.estimator == Estimator::CellFit { Estimator::Gaussian } else { options.estimator };
    // For a joint fit the single ones are only its starts.
    let (columns, _) = measure_columns(&pixels, &found, &PixelWindow { empirical: window.empirical && !jointly, ..window }, single);
    let fits = jointly.then(|| cell_fits(&pixels, &columns, &window));
    let map = PolarizationMap::assemble(&columns, fits.as_ref(), pixel_size_pm, options.lattice_pm)?;
    Ok((map, columns))
}

/// Joint fits of all cells whose B column has four A neighbours.
fn cell_fits(pixels: &Pixels<'_>, columns: &ColumnLattice, window: &PixelWindow) -> CellFits {
    let cells: Vec<([i32; 2], [[f64; 2]; 5])> = columns
        .sublattice(Site::B)
        .filter_map(|b| {
            let around = columns.neighbours_of_b(b.index);
            let a: Option<Vec<[f64; 2]>> = around.iter().map(|n| columns.column(Site::A, *n).map(|c| c.position_px)).collect();
            let [p, q, r, s] = a?.try_into().ok()?;
            Some((b.index, [b.position_px, p, q, r, s]))
        })
        .collect();
    cells.into_par_iter().map(|(index, starts)| (index, measure_cell_pixels(pixels, &starts, window).ok())).collect()
}
