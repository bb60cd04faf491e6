//! The trial of distributions: its file and its run; how a mis-tilt makes Px and Py lopsided, pm and mrad.

use super::RunError;
use super::trial::{Librarian, Microscope, checked_name, structure, within};
use crate::artifact::asymmetry::{Cells, Ensemble, Foil, Shape, shape, shifts_pm};
use crate::artifact::{Response, ResponseTable, Ruler, Setting};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

/// Along which direction of the pseudocubic cell tilt and bend lie.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Direction {
    /// Along x.
    #[serde(rename = "100")]
    Edge,
    /// Along x and y alike, which is the direction of R3c polarization in the image.
    #[serde(rename = "110")]
    Diagonal,
}

impl Direction {
    /// As Miller indices.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Edge => "[100]",
            Self::Diagonal => "[110]",
        }
    }

    fn vector(self) -> [f64; 2] {
        match self {
            Self::Edge => [1.0, 0.0],
            Self::Diagonal => [1.0, 1.0],
        }
    }
}

/// A trial of distributions.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AsymmetryTrial {
    /// "asymmetry".
    pub kind: String,
    /// Name.
    pub name: String,
    /// What it asks.
    pub question: String,
    /// Seed.
    pub seed: u64,
    /// Microscope.
    pub microscope: Microscope,
    /// Structure that ships.
    pub structure: String,
    /// Thickness, nm.
    pub thickness_nm: f64,
    /// Source, Å.
    pub source_fwhm_angstrom: f64,
    /// Largest tilt, mrad.
    pub tilt_mrad: f64,
    /// Directions of tilt and bend.
    pub directions: Vec<Direction>,
    /// Bends of the foil, mrad.
    pub bend_mrad: Vec<f64>,
    /// Polarizations.
    pub ensembles: Vec<Ensemble>,
    /// Cells.
    pub cells: usize,
    /// Noise of one cell, pm.
    pub noise_pm: f64,
}

/// One row of an asymmetry trial.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct AsymmetryRow {
    /// Polarizations.
    pub ensemble: Ensemble,
    /// Direction of tilt and bend.
    pub direction: Direction,
    /// Tilt along it, mrad.
    pub tilt_mrad: f64,
    /// Bend, mrad.
    pub bend_mrad: f64,
    /// Distribution of Px and of Py.
    pub shapes: [Shape; 2],
}

impl AsymmetryTrial {
    pub(super) fn check(&self) -> Result<(), String> {
        checked_name(&self.name)?;
        within("tilt_mrad", self.tilt_mrad, 0.1, 20.0)?;
        within("noise_pm", self.noise_pm, 0.0, 100.0)?;
        within("source_fwhm_angstrom", self.source_fwhm_angstrom, 0.0, 3.0)?;
        if !(100..=10_000_000).contains(&self.cells) || self.ensembles.is_empty() || self.directions.is_empty() || self.bend_mrad.is_empty()
        {
            return Err("100 to 10 million cells, at least one of ensembles, directions and bend_mrad".to_owned());
        }
        self.bend_mrad.iter().try_for_each(|b| within("a bend in mrad", *b, 0.0, self.tilt_mrad))
    }

    /// Runs it: the distributions at eleven tilts from −`tilt_mrad` to +`tilt_mrad`.
    pub fn run(&self, library: Librarian<'_>) -> Result<(Vec<AsymmetryRow>, Response), RunError> {
        // A bend adds to the largest tilt.
        let reach = self.tilt_mrad + self.bend_mrad.iter().copied().fold(0.0, f64::max);
        let conditions = self.microscope.conditions(vec![self.thickness_nm], vec![0.0], reach, 1);
        let library = library(&structure(&self.structure)?, &conditions)?;
        let table = ResponseTable::new(&library, &[self.source_fwhm_angstrom], &Ruler::default())?;
        let response =
            table.at(&Setting { thickness_nm: self.thickness_nm, defocus_nm: 0.0, source_fwhm_angstrom: self.source_fwhm_angstrom });
        let mut wanted = Vec::new();
        for &ensemble in &self.ensembles {
            for &direction in &self.directions {
                for &bend in &self.bend_mrad {
                    wanted.extend((-5..=5).map(|i| (ensemble, direction, bend, self.tilt_mrad * f64::from(i) / 5.0)));
                }
            }
        }
        let row = |(ensemble, direction, bend_mrad, tilt_mrad): (Ensemble, Direction, f64, f64)| {
            let shifts = self.shifts(&response, ensemble, direction, tilt_mrad, bend_mrad);
            let shapes = [0, 1].map(|c| shape(&shifts.iter().map(|s| s[c]).collect::<Vec<_>>()));
            AsymmetryRow { ensemble, direction, tilt_mrad, bend_mrad, shapes }
        };
        Ok((wanted.into_par_iter().map(row).collect(), response))
    }

    /// Shifts of all cells, pm.
    #[must_use]
    pub fn shifts(&self, response: &Response, ensemble: Ensemble, direction: Direction, tilt_mrad: f64, bend_mrad: f64) -> Vec<[f64; 2]> {
        let cells = Cells { ensemble, count: self.cells, noise_pm: self.noise_pm, seed: self.seed };
        shifts_pm(response, &cells, &Foil { along: direction.vector(), tilt_mrad, bend_mrad })
    }
}
