//! From pixels to columns with a site and an index: one call that needs no tuning on a perovskite; pixels, x right, y down.

use super::background::{Prepared, Unusable};
use super::lattice::{self, Basis, Zone, combine, length};
use super::maxima::{Peak, bilinear, local_maxima};
use super::sublattice::{self, ColumnLattice};
use super::{dark, grow, spectrum};

/// Which sublattice is the brighter in the image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum BrightSite {
    /// The A columns (Bi, Pb, Ba, Sr).
    #[default]
    A,
    /// The B columns (the heavier B of `KNbO3`, `KTaO3`).
    B,
}

impl std::str::FromStr for BrightSite {
    type Err = FindError;

    fn from_str(text: &str) -> Result<Self, FindError> {
        match text {
            "A" | "a" => Ok(Self::A),
            "B" | "b" => Ok(Self::B),
            _ => Err(FindError::BrightSite(text.to_owned())),
        }
    }
}

/// What the finder is told; the defaults serve a bismuth, lead, barium or strontium perovskite along ⟨100⟩.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct FindOptions {
    /// Zone axis.
    pub zone: Zone,
    /// Which sublattice is brighter.
    pub bright_site: BrightSite,
    /// Side of the pseudocubic cell, px, to ±20 %, if it is known; only lattices near it are then considered.
    pub lattice_a_px: Option<f64>,
}

impl FindOptions {
    /// Whether a cell of this side may be the one that is known, to ±20 %; any may where none is.
    pub(crate) fn knows(&self, a_px: f64) -> bool {
        self.lattice_a_px.is_none_or(|known| (a_px / known - 1.0).abs() <= 0.2)
    }
}

/// Why no columns could be given a lattice.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum FindError {
    /// The number of values is not width × height.
    #[error("the image is said to be {width} × {height} px but holds {values} values: check how it was read")]
    Shape {
        /// Width, px.
        width: usize,
        /// Height, px.
        height: usize,
        /// Number of values.
        values: usize,
    },
    /// Too few pixels to hold three cells.
    #[error("the image is {width} × {height} px, too small to show a lattice: at least 16 × 16 px with three cells across are needed")]
    TooSmall {
        /// Width, px.
        width: usize,
        /// Height, px.
        height: usize,
    },
    /// Too many pixels to work on.
    #[error(
        "the image has {pixels} pixels and its columns stand {spacing_px:.1} px apart; finding them would need too much memory: crop it"
    )]
    TooLarge {
        /// Number of pixels.
        pixels: usize,
        /// Distance between columns, px.
        spacing_px: f64,
    },
    /// Nearly all pixels are NaN or infinite.
    #[error("fewer than a tenth of the image's pixels are finite numbers: crop the image to the part that was scanned")]
    Blank,
    /// All pixels are equal.
    #[error("all pixels of the image are equal: there is nothing to find (was the right channel or frame read?)")]
    Flat,
    /// No pair of Bragg peaks.
    #[error(
        "the image shows no lattice: its Fourier transform has no two peaks above the noise. Is it in focus and atomically resolved, with at least three cells across?"
    )]
    NoLattice,
    /// Bragg peaks that do not fit the zone.
    #[error("the image has a lattice ({peaks} peaks) but none that fits a perovskite along {zone}: try --zone {other}, or crop to one grain", other = if *zone == Zone::Z100 { "110" } else { "100" })]
    OtherLattice {
        /// The zone asked for.
        zone: Zone,
        /// Number of peaks (or positions) looked at.
        peaks: usize,
    },
    /// Bragg peaks, but no columns on the lattice.
    #[error(
        "only {found} columns could be placed on a lattice of {spacing_px:.1} px; at least 9 are needed: is the image noisier than its columns are bright, or more than one grain?"
    )]
    TooFewColumns {
        /// Columns placed.
        found: usize,
        /// Distance between columns, px.
        spacing_px: f64,
    },
    /// One species only.
    #[error(
        "no second sublattice found: between the {bright} bright columns nothing rises above the noise; try --zone {other}, or --bright-site B if the B columns are the bright ones, or a lower inner detector angle to see the lighter columns", other = if *zone == Zone::Z100 { "110" } else { "100" }
    )]
    NoSecondSublattice {
        /// The zone asked for.
        zone: Zone,
        /// Number of bright columns.
        bright: usize,
    },
    /// Too few positions for a lattice.
    #[error("{0} positions do not make a lattice: at least 9 distinct positions of one sublattice are needed")]
    TooFewPositions(usize),
    /// A spacing outside the image.
    #[error("columns {0} px apart cannot be looked for: the spacing must be at least 2 px and at most the size of the image")]
    Spacing(f64),
    /// A zone that is not known.
    #[error("zone axis '{0}' is not known: use 100 or 110 (pseudocubic)")]
    Zone(String),
    /// A site that is neither A nor B.
    #[error("bright site '{0}' is not known: use A or B")]
    BrightSite(String),
}

impl FindError {
    pub(crate) fn unusable(why: Unusable, values: usize, width: usize, height: usize) -> Self {
        match why {
            Unusable::Shape => Self::Shape { width, height, values },
            Unusable::Blank => Self::Blank,
            Unusable::Flat => Self::Flat,
        }
    }
}

/// Columns closer than this are looked for in a finer sampled copy of the image, px.
const FINE_SPACING_PX: f64 = 9.0;
/// Largest number of samples worked on: 1 GiB in single precision.
const MOST_SAMPLES: usize = 1 << 28;
/// Fewest bright columns that make a lattice.
pub(crate) const FEWEST_COLUMNS: usize = 9;

/// Finds the columns of a perovskite in an image (`width × height` values, row-major, y down; NaN where there is none), tells A from
/// B and gives every column its lattice index. Positions are good to a fraction of a pixel; measuring them is the next step.
///
/// # Errors
/// [`FindError`], a sentence, if the image shows no lattice, one of another kind, or one sublattice only.
pub fn find_columns(image: &[f32], width: usize, height: usize, options: &FindOptions) -> Result<ColumnLattice, FindError> {
    if width.checked_mul(height) != Some(image.len()) {
        return Err(FindError::Shape { width, height, values: image.len() });
    }
    if width.min(height) < 16 {
        return Err(FindError::TooSmall { width, height });
    }
    if image.len() > MOST_SAMPLES {
        return Err(FindError::TooLarge { pixels: image.len(), spacing_px: f64::NAN });
    }
    let prepared = Prepared::new(image, width, height).map_err(|e| FindError::unusable(e, image.len(), width, height))?;
    let basis = lattice::from_bragg(&spectrum::bragg_peaks(&prepared), options.zone, options.lattice_a_px)?;
    let spacing_px = length(basis[0]).min(length(basis[1]));
    let factor = ((FINE_SPACING_PX / spacing_px).ceil() as usize).clamp(1, 5);
    if image.len() * factor * factor > MOST_SAMPLES {
        return Err(FindError::TooLarge { pixels: image.len(), spacing_px });
    }
    let fine = if factor > 1 { prepared.upsampled(factor) } else { prepared };
    let scale = factor as f64;
    let known = FindOptions { lattice_a_px: options.lattice_a_px.map(|a| a * scale), ..*options };
    let found = find_in(&fine, basis.map(|e| e.map(|v| v * scale)), &known)?;
    Ok(found.scaled(1.0 / scale))
}

/// Finding in a prepared image whose columns are well sampled, in its own pixels.
fn find_in(image: &Prepared, basis: Basis, options: &FindOptions) -> Result<ColumnLattice, FindError> {
    let spacing_px = length(basis[0]).min(length(basis[1]));
    let smooth = image.band(0.14 * spacing_px, 0.8 * spacing_px);
    let peaks: Vec<Peak> = local_maxima(&smooth, &image.valid, image.width, 0.35 * spacing_px);
    let points: Vec<[f64; 2]> = peaks.iter().map(|p| p.position_px).collect();
    let heights: Vec<f64> = peaks.iter().map(|p| p.height).collect();
    let (nodes, field) = grow::grow(&points, &heights, basis).ok_or(FindError::TooFewColumns { found: 0, spacing_px })?;
    if nodes.len() < FEWEST_COLUMNS {
        return Err(FindError::TooFewColumns { found: nodes.len(), spacing_px });
    }
    let value = |p: [f64; 2]| bilinear(&smooth, image.width, p);
    let columns: Vec<sublattice::Node> = nodes.iter().map(|(index, n)| sublattice::Node { index: *index, peak: peaks[*n] }).collect();
    let parity = sublattice::bright_parity(&columns, &field, options.zone, value);
    let half = parity.map(|bright_is_odd| sublattice::bright_half(&columns, &field, options.zone, bright_is_odd));
    // In noise the columns of one sublattice may seem to alternate: a known cell tells.
    let known = half.filter(|(_, field)| options.knows(options.zone.lattice_a_px(field.basis)));
    let (columns, field) = known.unwrap_or((columns, field));
    let a_px = options.zone.lattice_a_px(field.basis);
    let sharp = image.band(0.08 * a_px, 0.8 * a_px);
    dark::with_dark_columns(&columns, &field, options, &sharp, image)
}

/// A point in the cell between four nodes, from the mean of the two nodes it lies between; `None` if either is missing.
pub(crate) fn between(field: &grow::IndexField, from: [i32; 2], to: [i32; 2]) -> Option<[f64; 2]> {
    let [p, q] = [field.get(from)?, field.get(to)?];
    Some([0.5 * (p[0] + q[0]), 0.5 * (p[1] + q[1])])
}

/// Whether a place lies inside the image.
pub(crate) fn inside(image: &Prepared, p: [f64; 2]) -> bool {
    let within = |v: f64, n: usize| v >= -0.5 && v < n as f64 - 0.5;
    within(p[0], image.width) && within(p[1], image.height)
}

/// Whether the pixel at a place was scanned.
pub(crate) fn scanned(image: &Prepared, p: [f64; 2]) -> bool {
    inside(image, p) && image.valid[(p[1].round() as usize) * image.width + p[0].round() as usize]
}

/// The place reached from `p` by a fractional step in a basis.
pub(crate) fn stepped(p: [f64; 2], basis: Basis, i: f64, j: f64) -> [f64; 2] {
    let e = combine(basis, i, j);
    [p[0] + e[0], p[1] + e[1]]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_known_cell_keeps_bright_columns_that_seem_to_alternate_on_one_sublattice() {
        let (cell, side) = (20.0, 200);
        let spot = |x: f64, y: f64, at: [f64; 2]| (-((x - at[0]).powi(2) + (y - at[1]).powi(2)) / 18.0).exp();
        let mut image = vec![0.0_f32; side * side];
        for (n, pixel) in image.iter_mut().enumerate() {
            let (x, y) = ((n % side) as f64, (n / side) as f64);
            for (i, j) in (0..10).flat_map(|j| (0..10).map(move |i| (i, j))) {
                // Every other A column a tenth darker; B columns that hardly rise.
                let bright = if (i + j) % 2 == 0 { 1.0 } else { 0.9 };
                let corner = [cell * (f64::from(i) + 0.5), cell * (f64::from(j) + 0.5)];
                *pixel += (bright * spot(x, y, corner) + 0.03 * spot(x, y, corner.map(|c| c + 0.5 * cell))) as f32;
            }
        }
        let a_px = |lattice_a_px| {
            let options = FindOptions { lattice_a_px, ..FindOptions::default() };
            find_columns(&image, side, side, &options).map(|found| found.lattice_a_px())
        };
        // Without that knowledge the brighter half passes for A and the other for B.
        for (known, seen) in [(Some(cell), cell), (None, std::f64::consts::SQRT_2 * cell)] {
            let found = a_px(known).unwrap();
            assert!((found / seen - 1.0).abs() < 0.05, "{known:?}: {found}");
        }
    }
}
