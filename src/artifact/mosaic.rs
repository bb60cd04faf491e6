//! Images whose polarization and tilt are known: domains of one simulated crystal side by side, by its mirrors; Å, mrad, pm.
//!
//! A domain mirrored by M under a tilt θ is the mirror image of the simulated crystal under Mθ, exactly. Domains meet without a wall of finite
//! width, on one square lattice of A columns: crystals are strained to it, which moves no column by more than its part of that strain.

use super::TiltLibrary;
use crate::image::{FourierImage, Radiance, SourceShape};

/// Which domains an image shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Pattern {
    /// One domain.
    Monodomain,
    /// Left and right halves with opposite in-plane polarization.
    #[serde(rename = "halves-180")]
    Halves180,
    /// Left and right halves whose polarization along y is opposite and along x the same.
    #[serde(rename = "halves-71")]
    Halves71,
    /// One domain above, the centrosymmetric substrate in the lowest third.
    Substrate,
    /// The crystal without polarization.
    Unpolarized,
}

impl Pattern {
    /// As in the file.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Monodomain => "monodomain",
            Self::Halves180 => "halves-180",
            Self::Halves71 => "halves-71",
            Self::Substrate => "substrate",
            Self::Unpolarized => "unpolarized",
        }
    }

    /// Mirror (sx, sy) of the crystal at a place given in fractions of the field; `None` in the substrate.
    #[must_use]
    pub fn mirror(self, [x, y]: [f64; 2]) -> Option<[f64; 2]> {
        match self {
            Self::Halves180 if x >= 0.5 => Some([-1.0, -1.0]),
            Self::Halves71 if x >= 0.5 => Some([1.0, -1.0]),
            Self::Substrate if y >= 2.0 / 3.0 => None,
            _ => Some([1.0, 1.0]),
        }
    }
}

/// The image: a tile for each kind of place.
#[derive(Debug, Clone)]
pub struct Mosaic {
    pattern: Pattern,
    side_angstrom: f64,
    /// Image and mirror; the substrate's, if there is one, last.
    tiles: Vec<(FourierImage, [f64; 2])>,
}

impl Mosaic {
    /// A field of `cells` × `cells` perovskite cells of `film` (and `substrate`) at tilt number `tilt` of both libraries, which must have the
    /// same tilts, and their first thickness and defocus; `None` where a library lacks a mirrored tilt.
    #[must_use]
    pub fn new(pattern: Pattern, film: &TiltLibrary, substrate: &TiltLibrary, tilt: usize, cells: usize) -> Option<Self> {
        let side = edge_angstrom(film);
        let mirrors: &[[f64; 2]] = match pattern {
            Pattern::Halves180 => &[[1.0, 1.0], [-1.0, -1.0]],
            Pattern::Halves71 => &[[1.0, 1.0], [1.0, -1.0]],
            _ => &[[1.0, 1.0]],
        };
        let mut tiles = Vec::new();
        for mirror in mirrors {
            tiles.push((on_square_lattice(&film.image(mirrored(film, tilt, *mirror)?, 0, 0, None), edge_angstrom(film), side), *mirror));
        }
        if pattern == Pattern::Substrate {
            tiles.push((on_square_lattice(&substrate.image(tilt, 0, 0, None), edge_angstrom(substrate), side), [1.0, 1.0]));
        }
        Some(Self { pattern, side_angstrom: cells as f64 * side, tiles })
    }

    /// Side of the square field, Å; an A column stands at its corner.
    #[must_use]
    pub fn side_angstrom(&self) -> f64 {
        self.side_angstrom
    }

    fn tile(&self, position: [f64; 2]) -> usize {
        let mirror = self.pattern.mirror(position.map(|p| p / self.side_angstrom));
        mirror.map_or(self.tiles.len() - 1, |m| self.tiles.iter().position(|t| t.1 == m).unwrap_or(0))
    }
}

impl Radiance for Mosaic {
    fn evaluate(&self, positions_angstrom: &[[f64; 2]], out: &mut [f64]) {
        assert_eq!(positions_angstrom.len(), out.len(), "one value a position");
        for (number, (image, mirror)) in self.tiles.iter().enumerate() {
            let mine: Vec<usize> = (0..out.len()).filter(|&i| self.tile(positions_angstrom[i]) == number).collect();
            let places: Vec<[f64; 2]> = mine.iter().map(|&i| [0, 1].map(|c| mirror[c] * positions_angstrom[i][c])).collect();
            let mut values = vec![0.0; mine.len()];
            image.evaluate(&places, &mut values);
            for (i, value) in mine.into_iter().zip(values) {
                out[i] = value;
            }
        }
    }

    fn seen_with(&self, source: &SourceShape) -> Option<Box<dyn Radiance + '_>> {
        let tiles = self.tiles.iter().map(|(image, mirror)| (image.filtered(|q2| source.transfer(q2)), *mirror)).collect();
        Some(Box::new(Self { tiles, ..self.clone() }))
    }
}

/// The number of the mirrored tilt.
fn mirrored(library: &TiltLibrary, tilt: usize, mirror: [f64; 2]) -> Option<usize> {
    let wanted = [0, 1].map(|c| mirror[c] * library.header.tilts_mrad[tilt][c]);
    library.header.tilts_mrad.iter().position(|t| (t[0] - wanted[0]).hypot(t[1] - wanted[1]) < 1e-9)
}

/// Edge of a square with the area of one perovskite cell, Å.
fn edge_angstrom(library: &TiltLibrary) -> f64 {
    let [[a, b], [c, d]] = library.header.in_plane_angstrom;
    ((a * d - b * c).abs() / library.header.cells.len() as f64).sqrt()
}

/// The same image on a square lattice of another edge.
fn on_square_lattice(image: &FourierImage, edge: f64, wanted: f64) -> FourierImage {
    let cell = image.cell_angstrom().map(|v| v.map(|c| (c / edge).round() * wanted));
    let [h, k] = image.limits();
    let mut out = FourierImage::zeros(cell, h, k);
    for (h, k, c) in image.iter() {
        out.add(h, k, c);
    }
    out
}
