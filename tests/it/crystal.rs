//! Structure files end to end: shipped structures against files, displacement tensors, bad input, and mutated bytes.

use approx::assert_abs_diff_eq;
use mistilt::crystal::{Atom, Crystal, Site, structures};
use mistilt::specimen::{Cut, Slab};
use proptest::prelude::*;

const CIF: &str = include_str!("../data/bifeo3_r3c.cif");

fn shipped(name: &str) -> Crystal {
    structures::get(name).expect("the structure ships")
}

/// Atoms of the same element at the same place, whatever their order.
fn assert_same_atoms(left: &Crystal, right: &Crystal, tolerance: f64) {
    assert_eq!(left.atoms.len(), right.atoms.len());
    for atom in &left.atoms {
        let matches = |other: &&Atom| {
            let offsets = atom.fractional.iter().zip(other.fractional).map(|(x, y)| (x - y) - (x - y).round());
            other.element == atom.element && other.site == atom.site && offsets.map(f64::abs).fold(0.0, f64::max) < tolerance
        };
        let partner = right.atoms.iter().find(matches).unwrap_or_else(|| panic!("no partner of {atom:?}"));
        for (u, v) in atom.displacement_angstrom2.iter().flatten().zip(partner.displacement_angstrom2.iter().flatten()) {
            assert_abs_diff_eq!(u, v, epsilon = 1e-12);
        }
    }
}

/// A CIF in P1 that lists every atom, with its tensor in CIF's own components.
fn as_cif(crystal: &Crystal, cell: &str, u: impl Fn(&Atom) -> [f64; 6]) -> String {
    use std::fmt::Write;
    let mut atoms = String::new();
    let mut tensors = String::new();
    for (index, atom) in crystal.atoms.iter().enumerate() {
        let ([x, y, z], symbol) = (atom.fractional, atom.element);
        writeln!(atoms, "{symbol}{index} {x} {y} {z} {}", atom.occupancy).expect("strings take all");
        let [a, b, c, d, e, f] = u(atom);
        writeln!(tensors, "{symbol}{index} {a} {b} {c} {d} {e} {f}").expect("strings take all");
    }
    format!(
        "data_x\n{cell}\nloop_\n_atom_site_label\n_atom_site_fract_x\n_atom_site_fract_y\n_atom_site_fract_z\n_atom_site_occupancy\n{atoms}\
         loop_\n_atom_site_aniso_label\n_atom_site_aniso_U_11\n_atom_site_aniso_U_22\n_atom_site_aniso_U_33\n\
         _atom_site_aniso_U_12\n_atom_site_aniso_U_13\n_atom_site_aniso_U_23\n{tensors}"
    )
}

#[test]
fn the_cif_of_bismuth_ferrite_is_the_shipped_structure() {
    let read = Crystal::from_cif(CIF, "bifeo3_r3c.cif").expect("a sound file");
    assert_eq!((read.name.as_str(), read.source.as_str()), ("Bi Fe O3", "read from bifeo3_r3c.cif"));
    assert_same_atoms(&read, &shipped("bifeo3-r3c"), 1e-9);
}

#[test]
fn special_positions_printed_with_four_digits_make_no_extra_atoms() {
    let text = CIF
        .replace("Bi1 Bi3+ 0.0000     0.0000 ", "Bi1 Bi3+ 0.6667     0.3333 ")
        .replace("Fe1 Fe3+ 0.0000     0.0000 ", "Fe1 Fe3+ .3333 .6667 ");
    assert!(text != CIF);
    let shifted = text.replace("0.0000      1.0", "0.3333      1.0").replace("0.22021(10)", "0.88688");
    assert_same_atoms(&Crystal::from_cif(&shifted, "x.cif").expect("a sound file"), &shipped("bifeo3-r3c"), 1e-4);
}

/// Bi of R3c `BiFeO3` moves in its plane: U11 = U22 = 2 U12 is isotropic across the three-fold axis, and the tensor stays so under it.
#[test]
fn anisotropic_displacements_of_a_hexagonal_cell_become_cartesian() {
    let loops = "loop_\n_atom_site_aniso_label\n_atom_site_aniso_U_11\n_atom_site_aniso_U_22\n_atom_site_aniso_U_33\n_atom_site_aniso_U_12\n\
        _atom_site_aniso_U_13\n_atom_site_aniso_U_23\nBi1 0.0081(7) 0.0081(7) 0.0010 0.00405 0 0\nO1 0.010 0.007 0.009 0.004 0.001 -0.002\n";
    let crystal = Crystal::from_cif(&format!("{CIF}{loops}"), "x.cif").expect("a sound file");
    for atom in crystal.atoms.iter().filter(|a| a.site == Site::A) {
        for (i, row) in atom.displacement_angstrom2.iter().enumerate() {
            for (j, u) in row.iter().enumerate() {
                assert_abs_diff_eq!(
                    *u,
                    if i != j {
                        0.0
                    } else if i == 2 {
                        0.0010
                    } else {
                        0.0081
                    },
                    epsilon = 1e-12
                );
            }
        }
    }
    // The operations turn the tensor of oxygen but keep its trace and determinant.
    let trace = |a: &Atom| (0..3).map(|i| a.displacement_angstrom2[i][i]).sum::<f64>();
    let oxygens: Vec<_> = crystal.atoms.iter().filter(|a| a.site == Site::Oxygen).collect();
    // U_eq of a hexagonal cell: a third of 4/3 (U11 + U22 − U12) + U33 (Fischer and Tillmanns, Acta Cryst. C 44 (1988) 775).
    for oxygen in &oxygens {
        assert_abs_diff_eq!(trace(oxygen), 4.0 / 3.0 * (0.010 + 0.007 - 0.004) + 0.009, epsilon = 1e-12);
    }
    let is_turned = oxygens.iter().any(|o| (o.displacement_angstrom2[0][0] - oxygens[0].displacement_angstrom2[0][0]).abs() > 1e-4);
    assert!(is_turned, "all oxygens have the same tensor");
}

#[test]
fn b_values_are_eight_pi_squared_u() {
    let factor = 8.0 * std::f64::consts::PI.powi(2);
    let text = CIF.replace("_atom_site_U_iso_or_equiv", "_atom_site_B_iso_or_equiv");
    let text = text.replace("0.0054(8)", &format!("{}", 0.0054 * factor)).replace("0.0047(7)", &format!("{}", 0.0047 * factor));
    let crystal = Crystal::from_cif(&text.replace("0.0081(3)", &format!("{}", 0.0081 * factor)), "x.cif").expect("a sound file");
    assert_same_atoms(&crystal, &shipped("bifeo3-r3c"), 1e-9);
}

#[test]
fn tensors_survive_the_round_trip_through_a_triclinic_cif() {
    let cell =
        "_cell_length_a 5.1\n_cell_length_b 6.3\n_cell_length_c 7.7\n_cell_angle_alpha 81\n_cell_angle_beta 97\n_cell_angle_gamma 112";
    let base = shipped("srtio3");
    let given = [0.011, 0.007, 0.013, 0.002, -0.001, 0.003];
    let crystal = Crystal::from_cif(&as_cif(&base, cell, |_| given), "x.cif").expect("a sound file");
    // Back: U_ij = (a*_i · U a*_j) / (|a*_i| |a*_j|), with the reciprocal vectors from cross products.
    let [a, b, c] = crystal.lattice_angstrom;
    let cross = |u: [f64; 3], v: [f64; 3]| [u[1] * v[2] - u[2] * v[1], u[2] * v[0] - u[0] * v[2], u[0] * v[1] - u[1] * v[0]];
    let unit = |v: [f64; 3]| v.map(|x| x / v.iter().map(|x| x * x).sum::<f64>().sqrt());
    let reciprocal = [unit(cross(b, c)), unit(cross(c, a)), unit(cross(a, b))];
    for atom in &crystal.atoms {
        for ((i, j), expected) in [(0, 0), (1, 1), (2, 2), (0, 1), (0, 2), (1, 2)].into_iter().zip(given) {
            let u: f64 = (0..3)
                .flat_map(|m| (0..3).map(move |n| (m, n)))
                .map(|(m, n)| reciprocal[i][m] * atom.displacement_angstrom2[m][n] * reciprocal[j][n])
                .sum();
            assert_abs_diff_eq!(u, expected, epsilon = 1e-12);
        }
    }
}

#[test]
fn bad_cifs_say_what_to_do() {
    let without = |from: &str| CIF.lines().filter(|line| !line.contains(from)).collect::<Vec<_>>().join("\n");
    let no_operations = {
        let start = CIF.find("loop_\n_space_group_symop_id").expect("the loop");
        let end = CIF.find("loop_\n_atom_site_label").expect("the loop");
        format!("{}{}", &CIF[..start], &CIF[end..])
    };
    for (text, words) in [
        (without("_cell_length_b"), "gives no unit cell: add _cell_length_b"),
        (no_operations.clone(), "names the space group R 3 c :H but lists no symmetry operations"),
        (CIF.replace("13.86932(16)", "thirteen"), "line 6: _cell_length_c is \"thirteen\""),
        (CIF.replace("gamma 120", "gamma 180"), "from 1 to 179"),
        (CIF.replace("alpha 90", "alpha 170"), "span no usable cell"),
        (CIF.replace("alpha 90", "alpha 80"), "does not fit the cell"),
        (CIF.replace("'x, y, z'", "'x, y'"), "line 20: the symmetry operation"),
        (CIF.replace("Fe3+", "Qx3+"), "\"Qx3+\" in x.cif names no chemical element"),
        (CIF.replace("1.0 0.0047", "1.2 0.0047"), "occupancy 1.2"),
        (CIF.replace("1.0 0.0047", "-1 0.0047"), "occupancy -1"),
        (CIF.replace("0.0047(7)", "-0.47"), "mean-square displacement -0.47"),
        (CIF.replace("0.0047(7)", "small"), "\"small\" is no displacement U"),
        (CIF.replace("0.4469(3)", "?"), "lacks a fractional coordinate"),
        (CIF.replace("0.22021(10)", "0.01"), "Å apart and their occupancies"),
        (CIF.replace("_atom_site_fract_x", "_atom_site_cartn_x"), "no data block lists atoms"),
        (format!("{CIF}{}", CIF.replace("data_", "data_other_")), "holds 2 structures (BiFeO3_298K, other_BiFeO3_298K)"),
        (String::new(), "no data block lists atoms"),
    ] {
        let message = Crystal::from_cif(&text, "x.cif").expect_err(words).to_string();
        assert!(message.contains(words), "{message}\n  lacks: {words}");
    }
    let unnamed = no_operations.replace("'R 3 c :H'", "'P 1'").replace("_IT_number 161", "_IT_number 1");
    assert_eq!(Crystal::from_cif(&unnamed, "x.cif").expect("P 1 needs no operations").atoms.len(), 3);
}

#[test]
fn files_are_read_by_their_names() {
    let read =
        Crystal::read(std::path::Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/bifeo3_r3c.cif"))).expect("a sound file");
    assert_eq!(read.atoms.len(), 30);
}

const POSCAR: &str = "SrTiO3\n1.0\n3.905 0 0\n0 3.905 0\n0 0 3.905\nSr Ti O\n1 1 3\nSelective dynamics\nDirect\n\
    0 0 0 T T T\n.5 .5 .5 T T T\n.5 .5 0 T T T\n.5 0 .5 F F F\n0 .5 .5 F F F\n";
const XYZ: &str = "5\nLattice=\"3.905 0 0 0 3.905 0 0 0 3.905\" Properties=species:S:1:pos:R:3:occupancy:R:1 pbc=\"T T T\"\n\
    Sr 0 0 0 1\nTi 1.9525 1.9525 1.9525 1\nO 1.9525 1.9525 0 1\nO 1.9525 0 1.9525 1\nO 0 1.9525 1.9525 1\n";

/// The text with some bytes replaced, then cut.
fn mutated(text: &str, changes: &[(prop::sample::Index, u8)], length: prop::sample::Index) -> String {
    let mut bytes = text.as_bytes().to_vec();
    for (index, byte) in changes {
        let place = index.index(bytes.len());
        bytes[place] = *byte;
    }
    bytes.truncate(length.index(2 * bytes.len()));
    String::from_utf8_lossy(&bytes).into_owned()
}

fn any_byte() -> impl Strategy<Value = u8> {
    prop_oneof![any::<u8>(), prop::sample::select(b"0123456789.-+eE'\";#_ \n,/xyz?()".to_vec())]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever bytes a structure file holds, reading it gives a sound crystal or a sentence.
    #[test]
    fn mutated_files_never_panic(changes in prop::collection::vec((any::<prop::sample::Index>(), any_byte()), 0..12), length: prop::sample::Index) {
        for result in [
            Crystal::from_cif(&mutated(CIF, &changes, length), "x.cif"),
            Crystal::from_poscar(&mutated(POSCAR, &changes, length), "POSCAR"),
            Crystal::from_xyz(&mutated(XYZ, &changes, length), "x.xyz"),
        ] {
            match result {
                Ok(crystal) => {
                    prop_assert!(!crystal.atoms.is_empty() && crystal.volume_angstrom3() >= 1.0);
                    let _ = Slab::cut(&crystal, &Cut::pseudocubic([0, 0, 1], [1, 0, 0])).and_then(|slab| slab.true_shift_pm());
                }
                Err(error) => prop_assert!(error.to_string().len() > 20),
            }
        }
    }
}
