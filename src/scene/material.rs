//! What the cells of a scene are made of: an orthogonal perovskite cell reduced from a crystal, doped and strained by stated models; Å, pm.
//!
//! Models, not measurements: the displacement of Sm-doped BiFeO3 goes as (1 − x/0.14)^½ (a second-order loss of polarization at the phase
//! boundary that Kan et al., Adv. Funct. Mater. 20 (2010) 1108, find near 14 % Sm), its edge follows Vegard's line to SmFeO3; a film takes the
//! in-plane edge of its substrate and answers along its normal as an isotropic solid of Poisson's ratio 0.34.

use super::SceneError;
use crate::crystal::models::{sm_edge_angstrom, sm_polar_factor};
use crate::crystal::{Crystal, Element, default_displacement_angstrom2};
use serde::Serialize;

/// Poisson's ratio of the strained film.
const POISSON: f64 = 0.34;

/// One material of a scene.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Material {
    /// Name and source of the crystal it was reduced from.
    pub name: String,
    /// Edges of the cell along x, y and z, Å.
    pub edges_angstrom: [f64; 3],
    /// Length of the displacement of B against A, pm, in three dimensions.
    pub displacement_pm: f64,
    /// The anions' displacement over that of B, both against A.
    pub oxygen_ratio: f64,
    /// A, the dopant on A, B and the anion.
    #[serde(serialize_with = "symbols")]
    pub elements: [Element; 4],
    /// Mean-square displacement along one axis of these, Å²; that of the anions holds their static scatter.
    pub displacement_angstrom2: [f64; 4],
}

impl Material {
    /// The material of an undoped crystal, with the element that may substitute on its A sites.
    pub fn new(crystal: &Crystal, dopant: &str) -> Result<Self, SceneError> {
        let mode = crystal.polar_mode()?;
        let dopant = Element::from_symbol(dopant).ok_or_else(|| SceneError::Dopant { symbol: dopant.to_owned() })?;
        let [a, b, o] = mode.elements;
        let [ua, ub, uo] = mode.thermal_angstrom2;
        Ok(Self {
            name: format!("{} ({})", crystal.name, crystal.source),
            edges_angstrom: [mode.edge_angstrom; 3],
            displacement_pm: 100.0 * mode.displacement_angstrom,
            oxygen_ratio: mode.oxygen_ratio,
            elements: [a, dopant, b, o],
            displacement_angstrom2: [ua, default_displacement_angstrom2(dopant), ub, uo + mode.oxygen_scatter_angstrom2],
        })
    }

    /// The material with a fraction of its A sites taken by the dopant. In BiFeO3 doped with Sm, displacement and edge follow the model.
    pub fn doped(mut self, composition: f64) -> Result<Self, SceneError> {
        let [a, dopant, b, _] = self.elements;
        if composition > 0.0 && a == dopant {
            return Err(SceneError::DopantIsHost { symbol: dopant.symbol().to_owned() });
        }
        if [a, dopant, b].map(Element::symbol) == ["Bi", "Sm", "Fe"] {
            self.displacement_pm *= sm_polar_factor(composition);
            self.edges_angstrom = self.edges_angstrom.map(|edge| sm_edge_angstrom(edge, composition));
        }
        Ok(self)
    }

    /// The material as a coherent film whose normal is y on a substrate of this edge, Å.
    #[must_use]
    pub fn strained(mut self, substrate_edge_angstrom: f64) -> Self {
        let [x, y, _] = self.edges_angstrom;
        let strain = substrate_edge_angstrom / x - 1.0;
        let normal = y * (1.0 - 2.0 * POISSON / (1.0 - POISSON) * strain);
        self.edges_angstrom = [substrate_edge_angstrom, normal, substrate_edge_angstrom];
        self
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn symbols<S: serde::Serializer>(elements: &[Element; 4], serializer: S) -> Result<S::Ok, S::Error> {
    elements.map(Element::symbol).serialize(serializer)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crystal::structures;
    use approx::assert_abs_diff_eq;

    fn ferrite() -> Material {
        Material::new(&structures::get("bifeo3-r3c").unwrap(), "Sm").unwrap()
    }

    #[test]
    fn doping_takes_polarization_and_volume_as_the_model_says() {
        let (pure, doped) = (ferrite(), ferrite().doped(0.07).unwrap());
        assert_abs_diff_eq!(pure.displacement_pm, 41.3, epsilon = 0.1);
        assert_abs_diff_eq!(doped.displacement_pm, pure.displacement_pm * 0.5_f64.sqrt(), epsilon = 1e-9);
        assert!(ferrite().doped(0.2).unwrap().displacement_pm == 0.0);
        assert_abs_diff_eq!(ferrite().doped(1.0).unwrap().edges_angstrom[0], 3.874, epsilon = 1e-3);
    }

    /// BiFeO3 on SrTiO3: 1.5 % compression, and a normal edge near the 4.06 Å that diffraction finds, short of it since the model is elastic.
    #[test]
    fn a_film_is_squeezed_in_plane_and_stretched_along_its_normal() {
        let film = ferrite().strained(3.905);
        assert_eq!([film.edges_angstrom[0], film.edges_angstrom[2]], [3.905; 2]);
        assert!((4.01..4.07).contains(&film.edges_angstrom[1]), "{:?}", film.edges_angstrom);
    }

    #[test]
    fn a_dopant_that_is_no_element_or_the_host_is_refused_by_name() {
        let crystal = structures::get("bifeo3-r3c").unwrap();
        assert!(Material::new(&crystal, "Xx").unwrap_err().to_string().contains("\"Xx\""));
        assert!(Material::new(&crystal, "Bi").unwrap().doped(0.1).unwrap_err().to_string().contains("\"Bi\""));
    }
}
