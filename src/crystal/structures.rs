//! The structures that ship, each with the publication its numbers come from; Å, Å².

use super::displacements::{DEFAULTS_NOTE, default_displacement_angstrom2};
use super::lattice::{from_parameters, isotropic};
use super::models;
use super::symmetry::{Operation, expand};
use super::{Atom, Crystal, Element, Site};

/// A structure that ships.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry {
    /// The name a study file gives ("bifeo3-r3c").
    pub name: &'static str,
    /// One line for a list.
    pub description: &'static str,
}

/// All structures that ship, in the order they are listed.
pub const ENTRIES: [Entry; 7] = [
    Entry { name: "bifeo3-r3c", description: "BiFeO3, R3c, 298 K: rhombohedral, B-minus-A shift 41.3 pm along [111]pc" },
    Entry { name: "bifeo3-cubic", description: "BiFeO3, ideal cubic perovskite, a = 3.965 Å: the null test, no shift at all" },
    Entry { name: "srtio3", description: "SrTiO3, cubic, room temperature, a = 3.905 Å: the usual substrate" },
    Entry { name: "pbtio3", description: "PbTiO3, P4mm, 298 K: tetragonal, B-minus-A shift 15.7 pm along [001]pc" },
    Entry {
        name: "sm-bifeo3-r3c",
        description: "Bi0.9Sm0.1FeO3, R3c, a model: the polar mode of BiFeO3 scaled by (1 - x/0.14)^(1/2), mean A atoms",
    },
    Entry {
        name: "sm-bifeo3-pbam",
        description: "Bi0.85Sm0.15FeO3, Pbam-like, a model: A sites displaced by 25 pm, two rows up and two down",
    },
    Entry { name: "smfeo3-pnma", description: "SmFeO3, Pnma (set as Pbnm): the orthoferrite at the far end, antipolar A sites" },
];

/// The names of the structures that ship.
#[must_use]
pub fn names() -> Vec<&'static str> {
    ENTRIES.iter().map(|entry| entry.name).collect()
}

/// The structure of that name, its whole unit cell with sites recognised.
#[must_use]
pub fn get(name: &str) -> Option<Crystal> {
    match name {
        "bifeo3-r3c" => Some(bifeo3_r3c()),
        "bifeo3-cubic" => Some(bifeo3_cubic()),
        "srtio3" => Some(srtio3()),
        "pbtio3" => Some(pbtio3()),
        "sm-bifeo3-r3c" => Some(sm_bifeo3_r3c()),
        "sm-bifeo3-pbam" => Some(sm_bifeo3_pbam()),
        "smfeo3-pnma" => Some(smfeo3_pnma()),
        _ => None,
    }
}

/// General positions of R3c (161), hexagonal axes, without the rhombohedral centring (International Tables A).
const R3C: [&str; 6] = ["x,y,z", "-y,x-y,z", "-x+y,-x,z", "-y,-x,z+1/2", "-x+y,y,z+1/2", "x,x-y,z+1/2"];
/// Obverse centring of a rhombohedral lattice in hexagonal axes.
const OBVERSE: [&str; 3] = ["x,y,z", "x+2/3,y+1/3,z+1/3", "x+1/3,y+2/3,z+2/3"];

/// One atom of an asymmetric unit: symbol, fractional coordinates, `U_iso` in Å².
pub(super) type Row = (&'static str, [f64; 3], f64);

/// `BiFeO3` at 298 K, space group R3c in hexagonal axes: neutron powder diffraction of A. Palewicz, R. Przeniosło, I. Sosnowska and
/// A. W. Hewat, Acta Cryst. B 63 (2007) 537. The isotropic U of the paper are used; its Bi is strongly anisotropic
/// (U11 = U22 = 0.0081 Å² across the polar axis, almost none along it), so displacements of Bi columns seen along ⟨100⟩pc are
/// rounder here than in the crystal. The B-minus-A shift points along −c, against the electric polarization, because Bi leads Fe.
fn bifeo3_r3c() -> Crystal {
    let lattice = from_parameters([5.57882, 5.57882, 13.86932], [90.0, 90.0, 120.0]);
    let rows = [("Bi", [0.0, 0.0, 0.0], 0.0054), ("Fe", [0.0, 0.0, 0.22021], 0.0047), ("O", [0.4469, 0.0181, 0.95183], 0.0081)];
    let operations: Vec<Operation> = OBVERSE.iter().flat_map(|&centring| R3C.iter().map(move |&o| centred(o, centring))).collect();
    build("BiFeO3 R3c, 298 K", "Palewicz et al., Acta Cryst. B 63 (2007) 537", lattice, &rows, &operations)
}

/// `BiFeO3` with every atom on its ideal perovskite position: a = 3.965 Å, the mean pseudocubic edge of the R3c structure,
/// and that structure's isotropic U. No such phase exists; whatever shift an analysis finds in it is an artefact.
fn bifeo3_cubic() -> Crystal {
    let source = "ideal perovskite (null test) with the pseudocubic edge and U_iso of Palewicz et al., Acta Cryst. B 63 (2007) 537";
    ideal_perovskite("BiFeO3, ideal cubic", source, 3.965, [("Bi", 0.0054), ("Fe", 0.0047), ("O", 0.0081)])
}

/// `SrTiO3` at room temperature, Pm-3m: a = 3.905 Å. U = B/8π² of the isotropic B = 0.6214, 0.4390 and 0.7323 Å² that STEM
/// simulations commonly quote after Y. A. Abramov et al., Acta Cryst. B 51 (1995) 942; oxygen, really flat (it moves more across
/// the Ti–O–Ti line than along it), is taken isotropic.
fn srtio3() -> Crystal {
    let eight_pi_squared = 8.0 * std::f64::consts::PI.powi(2);
    let source = "a = 3.905 Å; isotropic B after Abramov et al., Acta Cryst. B 51 (1995) 942, as quoted in STEM simulations";
    let rows = [("Sr", 0.6214), ("Ti", 0.4390), ("O", 0.7323)].map(|(symbol, b)| (symbol, b / eight_pi_squared));
    ideal_perovskite("SrTiO3, cubic", source, 3.905, rows)
}

/// `PbTiO3` at 298 K, P4mm with Pb at the origin: A. M. Glazer and S. A. Mabud, Acta Cryst. B 34 (1978) 1065. The displacements are
/// this crate's defaults by element, not the paper's. As in `BiFeO3`, the B-minus-A shift points against the polarization.
fn pbtio3() -> Crystal {
    let lattice = from_parameters([3.904, 3.904, 4.152], [90.0; 3]);
    let positions = [
        ("Pb", [0.0, 0.0, 0.0]),
        ("Ti", [0.5, 0.5, 0.5377]),
        ("O", [0.5, 0.5, 0.1118]),
        ("O", [0.5, 0.0, 0.6174]),
        ("O", [0.0, 0.5, 0.6174]),
    ];
    let rows = positions.map(|(symbol, position)| (symbol, position, default_displacement_angstrom2(element(symbol))));
    let source = format!("Glazer and Mabud, Acta Cryst. B 34 (1978) 1065; {DEFAULTS_NOTE}");
    build("PbTiO3 P4mm, 298 K", &source, lattice, &rows, &[operation("x,y,z")])
}

/// ABO3 with A at the corner, B in the centre and O on the faces; elements and `U_iso` in the order A, B, O.
fn ideal_perovskite(name: &str, source: &str, edge_angstrom: f64, [a, b, o]: [(&'static str, f64); 3]) -> Crystal {
    build(name, source, from_parameters([edge_angstrom; 3], [90.0; 3]), &ideal_cell([a, b, o]), &[operation("x,y,z")])
}

/// The atoms of that cell.
pub(super) fn ideal_cell([a, b, o]: [(&'static str, f64); 3]) -> [Row; 5] {
    [
        (a.0, [0.0, 0.0, 0.0], a.1),
        (b.0, [0.5, 0.5, 0.5], b.1),
        (o.0, [0.5, 0.5, 0.0], o.1),
        (o.0, [0.5, 0.0, 0.5], o.1),
        (o.0, [0.0, 0.5, 0.5], o.1),
    ]
}

/// Positions of R3c BiFeO3 (Palewicz et al.) with the displacements of Fe and O against Bi scaled by the model of `models`, 10 % of Bi
/// replaced by Sm on the same sites, and the lattice on Vegard's line.
fn sm_bifeo3_r3c() -> Crystal {
    const X: f64 = 0.10;
    let (left, size) = (models::sm_polar_factor(X), models::sm_edge_angstrom(3.965, X) / 3.965);
    let lattice = from_parameters([5.57882 * size, 5.57882 * size, 13.86932 * size], [90.0, 90.0, 120.0]);
    let rows = [
        ("Bi", [0.0, 0.0, 0.0], 0.0054),
        ("Fe", [0.0, 0.0, 0.25 - (0.25 - 0.22021) * left], 0.0047),
        ("O", [0.4469, 0.0181, 1.0 - (1.0 - 0.95183) * left], 0.0081),
    ];
    let operations: Vec<Operation> = OBVERSE.iter().flat_map(|&centring| R3C.iter().map(move |&o| centred(o, centring))).collect();
    let source = "model after Palewicz et al., Acta Cryst. B 63 (2007) 537: polar mode times (1 - x/0.14)^1/2, Vegard's line to SmFeO3";
    let pure = build("Bi0.9Sm0.1FeO3 R3c, model", source, lattice, &rows, &operations);
    models::substituted(pure, "Bi", element("Sm"), X)
}

/// See `models::pbam`.
fn sm_bifeo3_pbam() -> Crystal {
    let (lattice, rows) = models::pbam();
    let source = "model: ideal perovskite with the A-site pattern of PbZrO3, Glazer, Roleder and Dec, Acta Cryst. B 49 (1993) 846";
    let pure = build("Bi0.85Sm0.15FeO3 Pbam-like, model", source, lattice, &rows, &[operation("x,y,z")]);
    models::substituted(pure, "Bi", element("Sm"), 0.15)
}

/// General positions of Pbnm, the setting of Pnma (62) with c doubled.
const PBNM: [&str; 8] =
    ["x,y,z", "-x,-y,z+1/2", "x+1/2,-y+1/2,-z", "-x+1/2,y+1/2,-z+1/2", "-x,-y,-z", "x,y,-z+1/2", "-x+1/2,y+1/2,z", "x+1/2,-y+1/2,z+1/2"];

/// `SmFeO3` at room temperature: lattice of M. Eibschütz, Acta Cryst. 19 (1965) 337; the coordinates are those of the type, GdFeO3
/// (S. Geller, J. Chem. Phys. 24 (1956) 1236), from which SmFeO3 differs by about 0.01 in the A site. Displacements are this crate's defaults.
fn smfeo3_pnma() -> Crystal {
    let lattice = from_parameters([5.394, 5.592, 7.711], [90.0; 3]);
    let positions = [("Sm", [-0.018, 0.060, 0.25]), ("Fe", [0.5, 0.0, 0.0]), ("O", [0.05, 0.47, 0.25]), ("O", [-0.29, 0.275, 0.05])];
    let rows = positions.map(|(symbol, position)| (symbol, position, default_displacement_angstrom2(element(symbol))));
    let operations: Vec<Operation> = PBNM.iter().map(|&o| operation(o)).collect();
    let source = format!("lattice of Eibschütz, Acta Cryst. 19 (1965) 337, coordinates of GdFeO3 (Geller 1956); {DEFAULTS_NOTE}");
    build("SmFeO3 Pbnm", &source, lattice, &rows, &operations)
}

fn build(name: &str, source: &str, lattice_angstrom: [[f64; 3]; 3], rows: &[Row], operations: &[Operation]) -> Crystal {
    let atoms = rows
        .iter()
        .map(|&(symbol, fractional, u)| Atom {
            element: element(symbol),
            fractional,
            occupancy: 1.0,
            displacement_angstrom2: isotropic(u),
            site: Site::Other,
        })
        .collect();
    let asymmetric = Crystal { name: name.into(), source: source.into(), lattice_angstrom, atoms };
    let crystal = expand(asymmetric, operations).and_then(Crystal::checked).expect("the structures that ship are sound (tested)");
    crystal.with_recognised_sites()
}

fn element(symbol: &str) -> Element {
    Element::from_symbol(symbol).expect("the structures that ship name real elements (tested)")
}

fn operation(text: &str) -> Operation {
    Operation::parse(text).expect("the operations that ship are well formed (tested)")
}

/// The operation followed by the centring translation.
fn centred(text: &str, centring: &str) -> Operation {
    operation(text).followed_by(&operation(centring))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crystal::neighbours::Neighbours;
    use approx::assert_abs_diff_eq;

    /// Whole atoms on a site, partial ones added up.
    fn count(crystal: &Crystal, site: Site) -> usize {
        crystal.atoms.iter().filter(|a| a.site == site).map(|a| a.occupancy).sum::<f64>().round() as usize
    }

    #[test]
    fn every_name_gives_a_crystal_of_abo3_with_its_source() {
        for name in names() {
            let crystal = get(name).expect("every listed name is built");
            let cells = count(&crystal, Site::A);
            assert!(cells > 0 && count(&crystal, Site::B) == cells && count(&crystal, Site::Oxygen) == 3 * cells, "{name}");
            let atoms = crystal.atoms.iter().map(|a| a.occupancy).sum::<f64>();
            assert!((atoms - 5.0 * cells as f64).abs() < 1e-9, "{name}");
            assert!(crystal.source.contains("Acta Cryst."), "{name}");
        }
        assert!(get("unobtainium").is_none());
    }

    /// Palewicz et al. give Fe–O 1.951 and 2.108 Å within the rounding of their coordinates; the hexagonal cell holds six formulas.
    #[test]
    fn iron_in_bismuth_ferrite_has_three_short_and_three_long_bonds() {
        let crystal = get("bifeo3-r3c").expect("it ships");
        assert_eq!(crystal.atoms.len(), 30);
        let oxygens: Vec<_> = crystal.atoms.iter().filter(|a| a.site == Site::Oxygen).map(|a| a.fractional).collect();
        let neighbours = Neighbours::new(&crystal.lattice_angstrom, oxygens);
        for iron in crystal.atoms.iter().filter(|a| a.site == Site::B) {
            let bonds = neighbours.within(iron.fractional, 2.4);
            assert_eq!(bonds.len(), 6);
            for (bond, expected) in bonds.iter().zip([1.95, 1.95, 1.95, 2.11, 2.11, 2.11]) {
                assert_abs_diff_eq!(bond.distance, expected, epsilon = 0.01);
            }
        }
    }

    #[test]
    fn lead_titanate_has_one_short_apical_bond() {
        let crystal = get("pbtio3").expect("it ships");
        let oxygens: Vec<_> = crystal.atoms.iter().filter(|a| a.site == Site::Oxygen).map(|a| a.fractional).collect();
        let bonds = Neighbours::new(&crystal.lattice_angstrom, oxygens).within(crystal.atoms[1].fractional, 2.5);
        // (0.5377 − 0.1118) · 4.152 Å, and the rest of the cell edge.
        assert_abs_diff_eq!(bonds[0].distance, 1.768, epsilon = 0.001);
        assert_abs_diff_eq!(bonds[5].distance, 2.384, epsilon = 0.001);
    }
}
