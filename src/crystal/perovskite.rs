//! Which atom is A, B or anion of the perovskite ABO3, told from the distances of cations to anions; Å.

use super::check::SHARED_SITE_ANGSTROM;
use super::error::{CrystalError, Result};
use super::lattice::{Vector, add, inverse, row_times, scale, wrap};
use super::neighbours::{Neighbour, Neighbours};
use super::{Crystal, Site};

/// Cations whose six nearest anions are nearer than this on average are B sites, Å. Examples: Fe in R3c `BiFeO3` 2.03, Ti in `PbTiO3`
/// 2.01, Zr in a zirconate 2.10; A sites: Bi in R3c `BiFeO3` 2.40, Sm in `SmFeO3` 2.4, Sr in `SrTiO3` 2.76.
pub(crate) const B_SITE_REACH_ANGSTROM: f64 = 2.27;
/// A cation with at least eight anions this near, but not an octahedron of them, is an A site, Å.
const A_SITE_REACH_ANGSTROM: f64 = 3.5;
const A_SITE_ANIONS: usize = 8;

impl Crystal {
    /// The crystal with [`Site`] set on every atom. O, F and N are the anions (`Oxygen`). A cation is `B` when its six nearest anions
    /// are nearer than 2.27 Å on average, which off-centring does not change much; else `A` when it has at least eight anions within
    /// 3.5 Å; else `Other`.
    #[must_use]
    pub fn with_recognised_sites(mut self) -> Self {
        let is_anion: Vec<bool> = self.atoms.iter().map(|a| matches!(a.element.symbol(), "O" | "F" | "N")).collect();
        let anions = self.atoms.iter().zip(&is_anion).filter(|(_, anion)| **anion).map(|(a, _)| a.fractional);
        let anions = Neighbours::new(&self.lattice_angstrom, anions);
        for (atom, anion) in self.atoms.iter_mut().zip(is_anion) {
            atom.site = if anion { Site::Oxygen } else { site_of_cation(&anions.within(atom.fractional, A_SITE_REACH_ANGSTROM)) };
        }
        self
    }

    /// That the crystal has a B site, as every measurement of polarization needs.
    pub fn require_b_site(&self) -> Result<()> {
        if self.atoms.iter().any(|a| a.site == Site::B) {
            return Ok(());
        }
        Err(CrystalError::NoBSite { crystal: self.name.clone(), reach: B_SITE_REACH_ANGSTROM })
    }
}

/// The site of a cation with these anions around it, nearest first.
fn site_of_cation(anions: &[Neighbour]) -> Site {
    // Anions that share a site by occupancies count once.
    let mut distinct: Vec<&Neighbour> = Vec::new();
    for anion in anions {
        let is_new = |seen: &&Neighbour| super::lattice::norm(super::lattice::sub(seen.vector, anion.vector)) > SHARED_SITE_ANGSTROM;
        if distinct.len() < A_SITE_ANIONS && distinct.iter().all(is_new) {
            distinct.push(anion);
        }
    }
    if distinct.len() >= 6 && distinct[..6].iter().map(|n| n.distance).sum::<f64>() / 6.0 <= B_SITE_REACH_ANGSTROM {
        Site::B
    } else if distinct.len() >= A_SITE_ANIONS {
        Site::A
    } else {
        Site::Other
    }
}

/// Fractional positions of the distinct sites of one kind: atoms within 0.5 Å of one another are one site, at their mean weighted by
/// occupancy.
pub(crate) fn site_positions(crystal: &Crystal, site: Site) -> Vec<Vector> {
    let atoms: Vec<_> = crystal.atoms.iter().filter(|a| a.site == site).collect();
    let neighbours = Neighbours::new(&crystal.lattice_angstrom, atoms.iter().map(|a| a.fractional));
    let to_fractional = inverse(&crystal.lattice_angstrom);
    let mut taken = vec![false; atoms.len()];
    let mut positions = Vec::new();
    for (index, atom) in atoms.iter().enumerate() {
        if taken[index] {
            continue;
        }
        let (mut sum, mut weight) = ([0.0; 3], 0.0);
        for near in neighbours.within(atom.fractional, SHARED_SITE_ANGSTROM).iter().filter(|n| !taken[n.index]) {
            sum = add(sum, scale(near.vector, atoms[near.index].occupancy));
            weight += atoms[near.index].occupancy;
        }
        for near in neighbours.within(atom.fractional, SHARED_SITE_ANGSTROM) {
            taken[near.index] = true;
        }
        positions.push(add(atom.fractional, row_times(scale(sum, 1.0 / weight), &to_fractional)).map(wrap));
    }
    positions
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crystal::{Element, structures};

    #[test]
    fn mixed_cations_and_shared_anions_keep_their_sites() {
        let mut crystal = structures::get("bifeo3-r3c").expect("it ships");
        let (samarium, fluorine) = (Element::from_symbol("Sm").unwrap(), Element::from_symbol("F").unwrap());
        for atom in crystal.atoms.clone() {
            let partner = match atom.site {
                Site::A => samarium,
                Site::Oxygen => fluorine,
                _ => continue,
            };
            crystal.atoms.push(crate::crystal::Atom { element: partner, occupancy: 0.2, site: Site::Other, ..atom });
        }
        crystal.atoms[..30].iter_mut().filter(|a| a.site != Site::B).for_each(|a| a.occupancy = 0.8);
        let crystal = crystal.checked().expect("shared sites add up to one").with_recognised_sites();
        for (element, site, count) in [("Bi", Site::A, 6), ("Sm", Site::A, 6), ("Fe", Site::B, 6), ("F", Site::Oxygen, 18)] {
            let found = crystal.atoms.iter().filter(|a| a.element.symbol() == element && a.site == site).count();
            assert_eq!(found, count, "{element}");
        }
        assert_eq!(site_positions(&crystal, Site::A).len(), 6);
    }

    #[test]
    fn a_metal_has_no_b_site_and_says_what_to_check() {
        let mut crystal = structures::get("srtio3").expect("it ships");
        crystal.atoms.truncate(2);
        let message = crystal.with_recognised_sites().require_b_site().unwrap_err().to_string();
        assert!(message.contains("has no B site") && message.contains("anions are listed"), "{message}");
    }
}
