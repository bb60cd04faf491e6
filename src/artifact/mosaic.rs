//! Images whose polarization and tilt are known: domains of one simulated crystal side by side, by its mirrors; Å, mrad, pm.
//!
//! A domain mirrored by M under a tilt θ is the mirror image of the simulated crystal under Mθ, exactly. A bent foil shows at every place the
//! crystal at the tilt of that place. Domains meet without a wall of finite width, on one square lattice of A columns: crystals are strained to it, which moves no column by more than its part of that strain.

use super::TiltLibrary;
use super::cubic::{Design, TERMS, terms};
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

/// How the specimen stands to the beam: a tilt, and how it changes over the field of a bent foil.
#[derive(Debug, Clone, Copy, PartialEq, Default, serde::Serialize, serde::Deserialize)]
pub struct Stand {
    /// Tilt in the middle of the field, mrad.
    pub tilt_mrad: [f64; 2],
    /// What is added to it from the middle to the right edge, mrad, and taken away to the left.
    pub bend_mrad: [f64; 2],
}

impl Stand {
    /// The tilt at a fraction of the field's width.
    #[must_use]
    pub fn at(&self, x: f64) -> [f64; 2] {
        [0, 1].map(|c| self.tilt_mrad[c] + (2.0 * x - 1.0) * self.bend_mrad[c])
    }
}

/// The image of one crystal as a polynomial of the tilt: one image for flat foils, one a power of the tilt for bent ones.
#[derive(Debug, Clone)]
struct Tile {
    /// With the mirror of the crystal.
    mirror: [f64; 2],
    /// Images and the powers of the tilt that they belong to; a flat foil's is the sum at its tilt.
    images: Vec<FourierImage>,
}

/// The image: a tile for each kind of place.
#[derive(Debug, Clone)]
pub struct Mosaic {
    pattern: Pattern,
    stand: Stand,
    side_angstrom: f64,
    /// The substrate's, if there is one, last.
    tiles: Vec<Tile>,
}

impl Mosaic {
    /// A field of `cells` × `cells` perovskite cells of `film` (and `substrate`), of one thickness of theirs and their first defocus, at any tilt
    /// within their range: every Fourier coefficient is a polynomial of third degree of it. `None` where the libraries' tilts determine none.
    #[must_use]
    pub fn new(pattern: Pattern, [film, substrate]: [&TiltLibrary; 2], thickness: usize, stand: Stand, cells: usize) -> Option<Self> {
        let side = film.edge_angstrom();
        let mirrors: &[[f64; 2]] = match pattern {
            Pattern::Halves180 => &[[1.0, 1.0], [-1.0, -1.0]],
            Pattern::Halves71 => &[[1.0, 1.0], [1.0, -1.0]],
            _ => &[[1.0, 1.0]],
        };
        let tile = |library: &TiltLibrary, mirror: [f64; 2]| -> Option<Tile> {
            let images = powers(library, thickness)?.map(|image| on_square_lattice(&image, library.edge_angstrom(), side));
            let images = if stand.bend_mrad == [0.0; 2] {
                let mut sum = images[0].clone();
                for (image, term) in images.iter().zip(terms([0, 1].map(|c| mirror[c] * stand.tilt_mrad[c]))).skip(1) {
                    let mut part = image.clone();
                    part.scale(term);
                    sum.accumulate(&part);
                }
                vec![sum]
            } else {
                images.to_vec()
            };
            Some(Tile { mirror, images })
        };
        let mut tiles = mirrors.iter().map(|m| tile(film, *m)).collect::<Option<Vec<_>>>()?;
        if pattern == Pattern::Substrate {
            tiles.push(tile(substrate, [1.0, 1.0])?);
        }
        Some(Self { pattern, stand, side_angstrom: cells as f64 * side, tiles })
    }

    /// Side of the square field, Å; an A column stands at its corner.
    #[must_use]
    pub fn side_angstrom(&self) -> f64 {
        self.side_angstrom
    }

    fn tile(&self, position: [f64; 2]) -> usize {
        let mirror = self.pattern.mirror(position.map(|p| p / self.side_angstrom));
        mirror.map_or(self.tiles.len() - 1, |m| self.tiles.iter().position(|t| t.mirror == m).unwrap_or(0))
    }
}

impl Radiance for Mosaic {
    fn evaluate(&self, positions_angstrom: &[[f64; 2]], out: &mut [f64]) {
        assert_eq!(positions_angstrom.len(), out.len(), "one value a position");
        for (number, Tile { mirror, images }) in self.tiles.iter().enumerate() {
            let mine: Vec<usize> = (0..out.len()).filter(|&i| self.tile(positions_angstrom[i]) == number).collect();
            let places: Vec<[f64; 2]> = mine.iter().map(|&i| [0, 1].map(|c| mirror[c] * positions_angstrom[i][c])).collect();
            let mut values = vec![0.0; mine.len()];
            for (power, image) in images.iter().enumerate() {
                image.evaluate(&places, &mut values);
                for (&i, value) in mine.iter().zip(&values) {
                    let tilt = self.stand.at(positions_angstrom[i][0] / self.side_angstrom);
                    let term = if power == 0 { 1.0 } else { terms([0, 1].map(|c| mirror[c] * tilt[c]))[power] };
                    out[i] = if power == 0 { 0.0 } else { out[i] } + term * value;
                }
            }
        }
    }

    fn seen_with(&self, source: &SourceShape) -> Option<Box<dyn Radiance + '_>> {
        let seen = |tile: &Tile| Tile { images: tile.images.iter().map(|i| i.filtered(|q2| source.transfer(q2))).collect(), ..*tile };
        Some(Box::new(Self { tiles: self.tiles.iter().map(seen).collect(), ..self.clone() }))
    }
}

/// One image a term of the polynomial through the images of all tilts.
fn powers(library: &TiltLibrary, thickness: usize) -> Option<[FourierImage; TERMS]> {
    let weights = Design::new(&library.header.tilts_mrad)?;
    let all: Vec<FourierImage> = (0..library.header.tilts_mrad.len()).map(|tilt| library.image(tilt, thickness, 0, None)).collect();
    Some(std::array::from_fn(|term| {
        let mut sum = all[0].clone();
        sum.scale(weights.weight(term, 0));
        for (tilt, image) in all.iter().enumerate().skip(1) {
            let mut part = image.clone();
            part.scale(weights.weight(term, tilt));
            sum.accumulate(&part);
        }
        sum
    }))
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
