//! Slabs of the shipped structures: polar displacements of the literature, densities, zone axes, and independence of the setting.

use approx::assert_abs_diff_eq;
use mistilt::crystal::{Crystal, Site, structures};
use mistilt::specimen::{Basis, Cut, Slab, SlabAtom};
use proptest::prelude::*;

fn shipped(name: &str) -> Crystal {
    structures::get(name).expect("the structure ships")
}

/// A pseudocubic zone with an x axis across it.
const ZONES: [([i32; 3], [i32; 3]); 5] =
    [([0, 0, 1], [1, 0, 0]), ([1, 1, 0], [0, 0, 1]), ([1, 1, 1], [1, -1, 0]), ([2, 1, 0], [0, 0, 1]), ([-1, 1, 0], [0, 0, 1])];

fn cut(crystal: &Crystal, zone_axis: [i32; 3], x_axis: [i32; 3]) -> Slab {
    Slab::cut(crystal, &Cut::pseudocubic(zone_axis, x_axis)).unwrap_or_else(|error| panic!("{zone_axis:?}: {error}"))
}

/// Whether some atom of the second slab, taken as the origin in place of the first slab's first, makes the two the same.
fn same_up_to_origin(left: &Slab, right: &Slab, tolerance_angstrom: f64) -> bool {
    let same_cell = left
        .in_plane_angstrom
        .iter()
        .flatten()
        .zip(right.in_plane_angstrom.iter().flatten())
        .all(|(x, y)| (x - y).abs() < tolerance_angstrom);
    if !same_cell || (left.period_angstrom - right.period_angstrom).abs() > tolerance_angstrom || left.atoms.len() != right.atoms.len() {
        return false;
    }
    let offset = |a: &SlabAtom, b: &SlabAtom| {
        [b.in_plane[0] - a.in_plane[0], b.in_plane[1] - a.in_plane[1], (b.z_angstrom - a.z_angstrom) / left.period_angstrom]
    };
    let first = &left.atoms[0];
    right.atoms.iter().filter(|origin| origin.element == first.element).any(|origin| {
        let shift = offset(first, origin);
        left.atoms.iter().all(|atom| {
            right.atoms.iter().any(|other| {
                let found = offset(atom, other);
                let rest = [0, 1, 2].map(|i| (found[i] - shift[i]) - (found[i] - shift[i]).round());
                let [x, y] = left.position([rest[0], rest[1]]);
                other.element == atom.element && x.hypot(y).hypot(rest[2] * left.period_angstrom) < tolerance_angstrom
            })
        })
    })
}

#[test]
fn bismuth_ferrite_along_a_cube_edge_has_the_shift_of_the_literature() {
    let crystal = shipped("bifeo3-r3c");
    for (zone, x) in [([0, 0, 1], [1, 0, 0]), ([1, 0, 0], [0, 1, 0]), ([0, 1, 0], [0, 0, 1])] {
        let slab = cut(&crystal, zone, x);
        let truth = slab.true_shift_pm().expect("cages of four");
        assert_eq!((truth.len(), truth[0].a_columns.len()), (2, 4));
        for cell in truth {
            let [px, py] = cell.shift_pm;
            // Palewicz et al. 2007: 41.3 pm along [111]pc, which in an ideal cube is 23.9 pm on each axis and 33.7 pm across an edge.
            assert_abs_diff_eq!(px, 23.9, epsilon = 0.3);
            assert_abs_diff_eq!(py, 23.9, epsilon = 0.3);
            assert_abs_diff_eq!(px.hypot(py), 33.7, epsilon = 0.2);
            // In the true cell the edge makes the angle with c whose sine is (a/√3)/p; and the face's two edges, equally far from
            // the shift, are 90.57° apart.
            let edge = (5.57882_f64.powi(2) / 3.0 + (13.86932_f64 / 6.0).powi(2)).sqrt();
            let across = (0.25 - 0.22021) * 1386.932 * 5.57882 / 3.0_f64.sqrt() / edge;
            assert_abs_diff_eq!(px.hypot(py), across, epsilon = 1e-3);
            assert_abs_diff_eq!(py / px, 0.990, epsilon = 0.001);
        }
    }
}

#[test]
fn bismuth_ferrite_across_its_polar_axis_has_all_of_the_shift() {
    let crystal = shipped("bifeo3-r3c");
    // [1-10] is at right angles to [111]; x along [001], so y = z × x is along [-1-10] and the shift has opposite signs.
    let truth = cut(&crystal, [1, -1, 0], [0, 0, 1]).true_shift_pm().expect("cages of two");
    for cell in truth {
        assert_eq!(cell.a_columns.len(), 2);
        assert_abs_diff_eq!(cell.shift_pm[0].hypot(cell.shift_pm[1]), 41.3, epsilon = 0.2);
        assert!(cell.shift_pm[0] > 20.0 && cell.shift_pm[1] < -30.0, "{:?}", cell.shift_pm);
    }
    let along = Slab::cut(&crystal, &Cut::pseudocubic([1, 1, 1], [1, -1, 0])).expect("a slab");
    assert!(along.true_shift_pm().unwrap_err().to_string().contains("not surrounded by two or four A columns"));
}

#[test]
fn a_cube_has_no_shift_and_lead_titanate_has_it_along_c() {
    for (zone, x) in [([0, 0, 1], [1, 0, 0]), ([1, 1, 0], [0, 0, 1]), ([2, 1, 0], [0, 0, 1])] {
        for name in ["bifeo3-cubic", "srtio3"] {
            for cell in cut(&shipped(name), zone, x).true_shift_pm().expect("cages") {
                assert_abs_diff_eq!(cell.shift_pm[0].hypot(cell.shift_pm[1]), 0.0, epsilon = 1e-9);
            }
        }
    }
    let lead = shipped("pbtio3");
    // (0.5377 − 1/2) · 4.152 Å, seen across c and along it.
    for (zone, x, expected) in
        [([1, 0, 0], [0, 0, 1], [15.65, 0.0]), ([0, 1, 0], [1, 0, 0], [0.0, -15.65]), ([0, 0, 1], [1, 0, 0], [0.0, 0.0])]
    {
        let shift = cut(&lead, zone, x).true_shift_pm().expect("cages")[0].shift_pm;
        assert_abs_diff_eq!(shift[0], expected[0], epsilon = 0.01);
        assert_abs_diff_eq!(shift[1], expected[1], epsilon = 0.01);
    }
}

#[test]
fn the_in_plane_shear_of_bismuth_ferrite_is_kept() {
    let slab = cut(&shipped("bifeo3-r3c"), [0, 0, 1], [1, 0, 0]);
    let [a, b] = slab.in_plane_angstrom;
    // The diagonals of the sheared pseudocubic face differ by its shear: |a|² − |b|² = ∓4 p² sin(shear).
    let sheared = ((b[0].powi(2) + b[1].powi(2)) - (a[0].powi(2) + a[1].powi(2))) / (4.0 * 3.965_f64.powi(2));
    assert_abs_diff_eq!(sheared.abs(), 0.010, epsilon = 0.001);
    assert_abs_diff_eq!(slab.period_angstrom, 2.0 * 3.965, epsilon = 0.002);
    assert_abs_diff_eq!(slab.area_angstrom2(), 2.0 * 3.965_f64.powi(2), epsilon = 0.02);
    assert_eq!((slab.atoms.len(), slab.columns.len()), (20, 4));
}

#[test]
fn every_slab_has_the_density_of_its_crystal() {
    for name in structures::names() {
        let crystal = shipped(name);
        let density = crystal.atoms.iter().map(|a| a.occupancy).sum::<f64>() / crystal.volume_angstrom3();
        for (zone, x) in ZONES {
            // Along these an orthorhombic lattice repeats nowhere near.
            if name == "smfeo3-pnma" && matches!(zone, [1, 1, 1] | [2, 1, 0]) {
                continue;
            }
            let slab = cut(&crystal, zone, x);
            let found = slab.atoms.iter().map(|a| a.occupancy).sum::<f64>() / (slab.area_angstrom2() * slab.period_angstrom);
            assert_abs_diff_eq!(found, density, epsilon = 1e-9);
            assert!(slab.atoms.iter().all(|a| (0.0..slab.period_angstrom).contains(&a.z_angstrom)), "{name} {zone:?}");
            assert!(slab.atoms.iter().all(|a| a.in_plane.iter().all(|f| (0.0..1.0).contains(f))), "{name} {zone:?}");
            // No atom twice: even the shortest Ti–O bond is longer.
            for (index, atom) in slab.atoms.iter().enumerate() {
                for other in &slab.atoms[index + 1..] {
                    let [x, y] = slab.shortest_vector(slab.position(atom.in_plane), slab.position(other.in_plane));
                    let along = other.z_angstrom - atom.z_angstrom;
                    let z = along - (along / slab.period_angstrom).round() * slab.period_angstrom;
                    let one_site = atom.occupancy + other.occupancy < 1.0 + 1e-9;
                    assert!(one_site || x.hypot(y).hypot(z) > 1.7, "{name} {zone:?}: {atom:?} {other:?}");
                }
            }
        }
    }
}

#[test]
fn zone_axes_have_the_periods_and_columns_one_counts_by_hand() {
    // Repeat along the beam and area of the cell across it in units of the cube's edge and face, and columns of A and of B.
    let cube = [
        (1.0, 1.0, 1, 1),
        (2.0_f64.sqrt(), 0.5 * 2.0_f64.sqrt(), 1, 1),
        (3.0_f64.sqrt(), 3.0_f64.sqrt(), 3, 3),
        (5.0_f64.sqrt(), 1.0, 1, 1),
    ];
    let edge = 3.965;
    for ((zone, x), (period, _, _, _)) in ZONES.into_iter().zip(cube) {
        let slab = cut(&shipped("bifeo3-cubic"), zone, x);
        assert_abs_diff_eq!(slab.period_angstrom, period * edge, epsilon = 1e-9);
        let per_cell = slab.area_angstrom2() * slab.period_angstrom / edge.powi(3);
        assert_abs_diff_eq!(per_cell, per_cell.round(), epsilon = 1e-9);
        let columns = |site| slab.columns.iter().filter(|c| c.site == site).count();
        assert_eq!(columns(Site::A), columns(Site::B), "{zone:?}");
        // In a cube every column holds one cation a period.
        assert_eq!(columns(Site::A), per_cell.round() as usize, "{zone:?}");
        assert_eq!(slab.atoms.len(), 5 * columns(Site::A));
    }
}

#[test]
fn the_file_and_the_shipped_structure_give_the_same_slab() {
    let read = Crystal::from_cif(include_str!("../data/bifeo3_r3c.cif"), "bifeo3_r3c.cif").expect("a sound file");
    for (zone, x) in ZONES {
        let (left, right) = (cut(&shipped("bifeo3-r3c"), zone, x), cut(&read, zone, x));
        assert!(same_up_to_origin(&left, &right, 1e-6), "{zone:?}");
        assert_eq!(left.columns.len(), right.columns.len());
    }
}

#[test]
fn a_turned_copy_of_the_crystal_gives_the_same_slab() {
    // A turn about an odd axis (Rodrigues' formula).
    let (axis, angle) = ([2.0 / 7.0, 3.0 / 7.0, 6.0 / 7.0], 0.4_f64);
    let turn = |v: [f64; 3]| {
        let dot: f64 = v.iter().zip(axis).map(|(x, a)| x * a).sum();
        let cross = [axis[1] * v[2] - axis[2] * v[1], axis[2] * v[0] - axis[0] * v[2], axis[0] * v[1] - axis[1] * v[0]];
        [0, 1, 2].map(|i| v[i] * angle.cos() + cross[i] * angle.sin() + axis[i] * dot * (1.0 - angle.cos()))
    };
    // The axes of an orthorhombic crystal without polarization are those nearest to x, y and z: they do not turn with it.
    for name in ["bifeo3-r3c", "bifeo3-cubic", "srtio3", "pbtio3", "sm-bifeo3-r3c"] {
        let crystal = shipped(name);
        let mut turned = crystal.clone();
        turned.lattice_angstrom = turned.lattice_angstrom.map(turn);
        for (zone, x) in ZONES {
            let by_lattice = |c: &Crystal| Slab::cut(c, &Cut { zone_axis: zone, x_axis: x, basis: Basis::Lattice });
            let pairs = [(cut(&crystal, zone, x), cut(&turned, zone, x)), (by_lattice(&crystal).unwrap(), by_lattice(&turned).unwrap())];
            for (left, right) in pairs {
                assert!(same_up_to_origin(&left, &right, 1e-6), "{name} {zone:?}");
            }
        }
    }
}

#[test]
fn displacement_tensors_turn_with_the_image_axes() {
    let mut crystal = shipped("pbtio3");
    for atom in &mut crystal.atoms {
        atom.displacement_angstrom2 = [[0.01, 0.0, 0.0], [0.0, 0.02, 0.0], [0.0, 0.0, 0.03]];
    }
    // Beam along a, x along c: the image's x, y, z are the crystal's c, −b... by y = z × x = a × c = −b.
    let slab = cut(&crystal, [1, 0, 0], [0, 0, 1]);
    let u = slab.atoms[0].displacement_angstrom2;
    for (found, expected) in [(u[0][0], 0.03), (u[1][1], 0.02), (u[2][2], 0.01), (u[0][1], 0.0)] {
        assert_abs_diff_eq!(found, expected, epsilon = 1e-12);
    }
}

#[test]
fn tilted_columns_move_by_depth_times_angle() {
    let slab = cut(&shipped("bifeo3-r3c"), [0, 0, 1], [1, 0, 0]);
    for (column, tilted) in slab.columns.iter().zip(slab.columns_at([10.0, -4.0], 200.0)) {
        let moved = [tilted.exit_angstrom[0] - column.position_angstrom[0], tilted.exit_angstrom[1] - column.position_angstrom[1]];
        assert_abs_diff_eq!(moved[0], 2.0, epsilon = 1e-12);
        assert_abs_diff_eq!(moved[1], -0.8, epsilon = 1e-12);
        assert_abs_diff_eq!(tilted.mean_angstrom[0], column.position_angstrom[0] + 1.0, epsilon = 1e-12);
        assert_abs_diff_eq!(tilted.entrance_angstrom[1], column.position_angstrom[1], epsilon = 1e-12);
    }
}

#[test]
fn repeating_a_slab_repeats_atoms_columns_and_truth() {
    let slab = cut(&shipped("bifeo3-r3c"), [0, 0, 1], [1, 0, 0]);
    let large = slab.repeated([3, 2]);
    assert_eq!((large.atoms.len(), large.columns.len()), (6 * slab.atoms.len(), 6 * slab.columns.len()));
    assert_abs_diff_eq!(large.area_angstrom2(), 6.0 * slab.area_angstrom2(), epsilon = 1e-9);
    for atom in large.atoms.iter().filter(|a| a.column.is_some()) {
        let column = &large.columns[atom.column.expect("filtered")];
        let [x, y] = large.shortest_vector(column.position_angstrom, large.position(atom.in_plane));
        assert!(column.site == atom.site && x.hypot(y) < 0.1, "{atom:?} {column:?}");
    }
    let shift = slab.true_shift_pm().expect("cages")[0].shift_pm;
    let truth = large.true_shift_pm().expect("cages");
    assert_eq!(truth.len(), 12);
    for cell in truth {
        assert_abs_diff_eq!(cell.shift_pm[0], shift[0], epsilon = 0.05);
    }
}

#[test]
fn a_substituted_supercell_shares_its_columns() {
    // Half of the A sites hold Bi and Sm together.
    let mut crystal = shipped("bifeo3-r3c");
    let samarium = mistilt::crystal::Element::from_symbol("Sm").expect("an element");
    crystal.atoms[0].occupancy = 0.7;
    let mut partner = crystal.atoms[0].clone();
    (partner.element, partner.occupancy) = (samarium, 0.3);
    crystal.atoms.push(partner);
    let crystal = crystal.checked().expect("occupancies add up to one").with_recognised_sites();
    let slab = cut(&crystal, [0, 0, 1], [1, 0, 0]);
    assert_eq!(slab.columns.iter().filter(|c| c.site == Site::A).count(), slab.columns.iter().filter(|c| c.site == Site::B).count());
    assert!(slab.true_shift_pm().expect("cages").iter().all(|cell| (cell.shift_pm[0] - 23.9).abs() < 0.2));
}

#[test]
fn cuts_that_cannot_be_made_say_why() {
    let crystal = shipped("bifeo3-r3c");
    let refused = |crystal: &Crystal, zone, x| Slab::cut(crystal, &Cut::pseudocubic(zone, x)).unwrap_err().to_string();
    assert!(refused(&crystal, [0, 0, 0], [1, 0, 0]).contains("the zone axis [0, 0, 0] cannot be used"));
    assert!(refused(&crystal, [0, 0, 1], [0, 0, 21]).contains("the x axis [0, 0, 21] cannot be used"));
    assert!(refused(&crystal, [0, 0, i32::MIN], [1, 0, 0]).contains("cannot be used"));
    assert!(refused(&crystal, [0, 0, 1], [0, 0, -2]).contains("lies along the zone axis"));
    let mut cations = crystal.clone();
    cations.atoms.retain(|a| a.site != Site::Oxygen);
    assert!(refused(&cations.with_recognised_sites(), [0, 0, 1], [1, 0, 0]).contains("has no B site"));
    let mut no_a = crystal.clone();
    no_a.atoms.retain(|a| a.site != Site::A);
    assert!(refused(&no_a, [0, 0, 1], [1, 0, 0]).contains("no pseudocubic basis"));
}

/// The planes that slices follow. In fractions of the pseudocubic vectors Fe stands at 1/2 + (1/4 − 0.22021)·2 on all three, so its plane
/// along an edge p is (1/2 + 0.05958) p below the plane of Bi.
#[test]
fn planes_of_atoms_stand_at_the_heights_of_the_structure() {
    let cube = cut(&shipped("bifeo3-cubic"), [0, 0, 1], [1, 0, 0]).plane_heights_angstrom(1e-3);
    assert_eq!(cube.len(), 2);
    assert_abs_diff_eq!(cube[1], 3.965 / 2.0, epsilon = 1e-9);
    let ferrite = shipped("bifeo3-r3c");
    let slab = cut(&ferrite, [0, 0, 1], [1, 0, 0]);
    let planes = slab.plane_heights_angstrom(1e-3);
    let half = slab.period_angstrom / 2.0;
    assert_eq!(planes.len(), 10);
    assert_abs_diff_eq!(planes[3], (0.5 + 2.0 * (0.25 - 0.22021)) * half, epsilon = 1e-6);
    for (upper, lower) in planes[..5].iter().zip(&planes[5..]) {
        assert_abs_diff_eq!(upper + half, lower, epsilon = 1e-6);
    }
    // Along a face diagonal the same fractions count twice, modulo the diagonal's half at which Bi repeats.
    let diagonal = cut(&ferrite, [1, 1, 0], [0, 0, 1]);
    let planes = diagonal.plane_heights_angstrom(1e-3);
    assert_eq!(planes.len(), 10);
    assert_abs_diff_eq!(planes[1], 2.0 * (0.25 - 0.22021) * diagonal.period_angstrom, epsilon = 1e-6);
}

/// A tetragonal lattice does not repeat across [101]; the slab takes a long cell instead of one that climbs too steeply.
#[test]
fn a_direction_that_barely_repeats_gets_a_long_cell() {
    let slab = cut(&shipped("pbtio3"), [1, 0, 1], [0, 1, 0]);
    let longest = slab.in_plane_angstrom.iter().map(|v| v[0].hypot(v[1])).fold(0.0, f64::max);
    assert!(longest > 20.0 && longest < 100.0, "{longest}");
    assert_eq!(slab.atoms.len() % 5, 0);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    /// Any zone axis gives a slab of the crystal's density with whole columns, or a sentence.
    #[test]
    fn any_zone_axis_is_cut_or_refused(zone in prop::array::uniform3(-20..=20_i32), x in prop::array::uniform3(-2..=2_i32), which in 0..4_usize) {
        let crystal = shipped(structures::names()[which]);
        match Slab::cut(&crystal, &Cut::pseudocubic(zone, x)) {
            Ok(slab) => {
                let volume_of_atom = crystal.volume_angstrom3() / crystal.atoms.len() as f64;
                let found = slab.area_angstrom2() * slab.period_angstrom / slab.atoms.len() as f64;
                prop_assert!((found - volume_of_atom).abs() < 1e-6, "{found} {volume_of_atom}");
                let _ = slab.true_shift_pm();
            }
            Err(error) => prop_assert!(error.to_string().len() > 20),
        }
    }
}
