//! The polar mode of a perovskite in three numbers: how far B stands from A, how far the anions follow, how far they are scattered; Å.

use super::error::{CrystalError, Result};
use super::lattice::{Vector, add, determinant, dot, norm, scale, sub};
use super::neighbours::Neighbours;
use super::perovskite::site_positions;
use super::{Crystal, Element, Site};

/// Longest B–O bond that counts, Å: the long apical bond of `PbTiO3` has 2.4.
const BOND_ANGSTROM: f64 = 2.65;

/// A perovskite reduced to an orthogonal five-atom cell that a scene can vary from cell to cell.
#[derive(Debug, Clone, PartialEq)]
pub struct PolarMode {
    /// Edge of the cube with the volume of one formula unit, Å.
    pub edge_angstrom: f64,
    /// Length of the mean displacement of B from the centre of its eight A sites, Å; 0 in a centrosymmetric crystal.
    pub displacement_angstrom: f64,
    /// Mean displacement of the anions from their ideal places over that of B, both against A: 1.62 in R3c `BiFeO3`, where Bi leads Fe.
    pub oxygen_ratio: f64,
    /// Mean square, along one axis, of the anions' static places about those the polar mode gives them, Å²: what rotations of the octahedra
    /// amount to in a column seen end on.
    pub oxygen_scatter_angstrom2: f64,
    /// The most frequent element of the A sites, of the B sites and of the anions.
    pub elements: [Element; 3],
    /// Mean-square displacement along one axis of these, Å².
    pub thermal_angstrom2: [f64; 3],
}

impl Crystal {
    /// Reduces the crystal to its polar mode; refuses one that is no perovskite.
    pub fn polar_mode(&self) -> Result<PolarMode> {
        self.require_b_site()?;
        let basis = self.pseudocubic()?;
        let polar = basis.polar_displacement_angstrom;
        let (oxygen_ratio, oxygen_scatter_angstrom2) = self.anions(polar)?;
        let sites = [Site::A, Site::B, Site::Oxygen].map(|site| self.dominant(site));
        let missing = || CrystalError::NoPseudocubic { crystal: self.name.clone(), why: "it lacks A, B or anion atoms".into() };
        let [a, b, o] = sites;
        let (a, b, o) = (a.ok_or_else(missing)?, b.ok_or_else(missing)?, o.ok_or_else(missing)?);
        Ok(PolarMode {
            edge_angstrom: determinant(&basis.vectors_angstrom).abs().cbrt(),
            displacement_angstrom: norm(polar),
            oxygen_ratio,
            oxygen_scatter_angstrom2,
            elements: [a.0, b.0, o.0],
            thermal_angstrom2: [a.1, b.1, o.1],
        })
    }

    /// The element with the most atoms on a site, and its mean-square displacement along one axis.
    fn dominant(&self, site: Site) -> Option<(Element, f64)> {
        let of_site = || self.atoms.iter().filter(move |a| a.site == site);
        let amount = |element: Element| of_site().filter(|a| a.element == element).map(|a| a.occupancy).sum::<f64>();
        let element = of_site().map(|a| a.element).max_by(|x, y| amount(*x).total_cmp(&amount(*y)).then(y.cmp(x)))?;
        let traces: Vec<f64> =
            of_site().filter(|a| a.element == element).map(|a| (0..3).map(|i| a.displacement_angstrom2[i][i]).sum::<f64>() / 3.0).collect();
        Some((element, traces.iter().sum::<f64>() / traces.len() as f64))
    }

    /// How far the anions follow the polar displacement, and their mean square about that along one axis.
    fn anions(&self, polar: Vector) -> Result<(f64, f64)> {
        let b_sites = Neighbours::new(&self.lattice_angstrom, site_positions(self, Site::B));
        let mut displacements = Vec::new();
        for anion in site_positions(self, Site::Oxygen) {
            let bonds = b_sites.within(anion, BOND_ANGSTROM);
            if let [first, second, ..] = bonds.as_slice() {
                // The ideal place is midway between two B sites that are not displaced.
                displacements.push(sub(scale(add(first.vector, second.vector), -0.5), scale(polar, -1.0)));
            }
        }
        if displacements.is_empty() {
            let why = "no anion stands between two B sites".into();
            return Err(CrystalError::NoPseudocubic { crystal: self.name.clone(), why });
        }
        let n = displacements.len() as f64;
        let mean = scale(displacements.iter().fold([0.0; 3], |sum, d| add(sum, *d)), 1.0 / n);
        let scatter = displacements.iter().map(|d| norm(sub(*d, mean)).powi(2)).sum::<f64>() / (3.0 * n);
        let square = dot(polar, polar);
        Ok((if square > 0.0 { dot(mean, polar) / square } else { 0.0 }, scatter))
    }
}

#[cfg(test)]
mod tests {
    use crate::crystal::{Element, structures};
    use approx::assert_abs_diff_eq;

    /// By hand from Palewicz et al.: Fe at 0.22021 c against 1/4, the mean O at 0.95183 c against 1, both along the threefold axis.
    #[test]
    fn bismuth_ferrite_has_the_shifts_of_its_coordinates() {
        let mode = structures::get("bifeo3-r3c").unwrap().polar_mode().unwrap();
        let c = 13.86932;
        assert_abs_diff_eq!(mode.displacement_angstrom, (0.25 - 0.22021) * c, epsilon = 1e-3);
        assert_abs_diff_eq!(mode.oxygen_ratio, (1.0 - 0.95183) / (0.25 - 0.22021), epsilon = 1e-2);
        assert_eq!(mode.elements.map(Element::symbol), ["Bi", "Fe", "O"]);
        // Antiphase rotation by some 12° about the threefold axis moves an oxygen by about 0.4 Å: 0.05 Å² along one axis.
        assert!((0.03..0.08).contains(&mode.oxygen_scatter_angstrom2), "{}", mode.oxygen_scatter_angstrom2);
        assert_abs_diff_eq!(mode.edge_angstrom, 3.965, epsilon = 2e-3);
    }

    #[test]
    fn a_cubic_crystal_has_no_mode_and_no_scatter() {
        let mode = structures::get("srtio3").unwrap().polar_mode().unwrap();
        assert_eq!((mode.displacement_angstrom, mode.oxygen_ratio), (0.0, 0.0));
        assert!(mode.oxygen_scatter_angstrom2 < 1e-20);
        assert_abs_diff_eq!(mode.edge_angstrom, 3.905, epsilon = 1e-9);
    }
}
