//! Cutting a slab from a crystal along any zone axis: whole-number lattice vectors along and across the beam; Å, image axes.
//!
//! The beam travels along +`zone_axis`, which is +z of the image frame (into the page). Image x is the projection of `x_axis`, image
//! y = z × x points down. In-plane repeat vectors of a distorted crystal may climb a little along the beam (0.04 Å a cell in R3c
//! `BiFeO3` along ⟨100⟩pc); the cut shears each column along itself until they do not, which changes heights by at most 2 % of in-plane
//! distances and in-plane positions not at all.

use serde::{Deserialize, Serialize};

use super::cut_lattice::{in_plane_vectors, primitive_direction};
use super::slab::{Slab, SlabAtom};
use crate::crystal::lattice::{Matrix, Vector, cross, dot, norm, row_times, scale, sub, tensor_in_axes, unit};
use crate::crystal::{Crystal, CrystalError, Site};

/// Largest zone-axis index taken.
pub(crate) const INDEX_LIMIT: i32 = 20;
/// Most atoms a slab's repeat cell may hold.
const ATOM_LIMIT: usize = 200_000;

/// Which vectors the indices of a [`Cut`] count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Basis {
    /// The pseudocubic vectors of the perovskite, [`Crystal::pseudocubic`].
    #[default]
    Pseudocubic,
    /// The crystal's own lattice vectors.
    Lattice,
}

/// How to cut a slab.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Cut {
    /// The direction the beam travels, indices up to 20.
    pub zone_axis: [i32; 3],
    /// The direction whose projection points to the right in the image.
    pub x_axis: [i32; 3],
    /// What the indices count.
    pub basis: Basis,
}

impl Cut {
    /// A cut in pseudocubic indices.
    #[must_use]
    pub fn pseudocubic(zone_axis: [i32; 3], x_axis: [i32; 3]) -> Self {
        Self { zone_axis, x_axis, basis: Basis::Pseudocubic }
    }
}

/// Why a slab cannot be cut or has no true polarization.
#[derive(Debug, thiserror::Error)]
pub enum CutError {
    /// The crystal itself cannot be used.
    #[error(transparent)]
    Crystal(#[from] CrystalError),
    /// An axis is zero or has absurd indices.
    #[error("the {which} {indices:?} cannot be used: give three whole numbers from -20 to 20, not all 0, such as [0, 0, 1]")]
    Indices {
        /// "zone axis" or "x axis".
        which: &'static str,
        /// As given.
        indices: [i32; 3],
    },
    /// The x axis lies along the beam.
    #[error("the x axis {x_axis:?} lies along the zone axis {zone_axis:?}: choose one that does not, at right angles if possible")]
    XAlongBeam {
        /// As given.
        x_axis: [i32; 3],
        /// As given.
        zone_axis: [i32; 3],
    },
    /// No repeat cell across the beam.
    #[error(
        "the slab of {crystal} along {zone_axis:?} repeats nowhere within {reach} Å across the beam, because its lattice is not \
         commensurate with that direction: choose a zone axis of lower indices, or another crystal setting"
    )]
    NoRepeat {
        /// The crystal.
        crystal: String,
        /// As given.
        zone_axis: [i32; 3],
        /// How far was searched, Å.
        reach: f64,
    },
    /// The repeat cell is too large.
    #[error("the slab of {crystal} along {zone_axis:?} would hold {atoms} atoms, more than {limit}: choose a zone axis of lower indices")]
    TooManyAtoms {
        /// The crystal.
        crystal: String,
        /// As given.
        zone_axis: [i32; 3],
        /// How many.
        atoms: usize,
        /// The limit.
        limit: usize,
    },
    /// A columns and B columns do not surround one another.
    #[error(
        "the B column at ({x:.2}, {y:.2}) Å is not surrounded by two or four A columns in this projection, so a B-minus-A shift means \
         nothing there: choose a zone axis such as ⟨100⟩ or ⟨110⟩ in pseudocubic indices"
    )]
    NoCage {
        /// Position of the column, Å.
        x: f64,
        /// Position of the column, Å.
        y: f64,
    },
}

impl Slab {
    /// Cuts the repeat cell of a slab. The cell is the smallest across the beam whose vectors climb along it by less than 2 % of
    /// their length; its first vector is the one nearest to image x. An A atom (the first of the primitive cell) stands at the in-plane
    /// origin and at height 0. Atoms are sorted by height.
    pub fn cut(crystal: &Crystal, cut: &Cut) -> Result<Self, CutError> {
        for (which, indices) in [("zone axis", cut.zone_axis), ("x axis", cut.x_axis)] {
            if indices == [0; 3] || indices.iter().any(|i| !(-INDEX_LIMIT..=INDEX_LIMIT).contains(i)) {
                return Err(CutError::Indices { which, indices });
            }
        }
        crystal.require_b_site()?;
        let primitive = crystal.primitive();
        let (along, x_direction) = directions(crystal, &primitive, cut)?;
        let period = row_times(along.map(|n| n as f64), &primitive.lattice_angstrom);
        let axes = image_axes(period, x_direction).ok_or(CutError::XAlongBeam { x_axis: cut.x_axis, zone_axis: cut.zone_axis })?;
        let cell = in_plane_vectors(along, &primitive.lattice_angstrom, &axes).ok_or_else(|| CutError::NoRepeat {
            crystal: crystal.name.clone(),
            zone_axis: cut.zone_axis,
            reach: super::cut_lattice::REACH_ANGSTROM,
        })?;
        let atoms = primitive.atoms.len() * cell.translations.len();
        if atoms > ATOM_LIMIT {
            return Err(CutError::TooManyAtoms { crystal: crystal.name.clone(), zone_axis: cut.zone_axis, atoms, limit: ATOM_LIMIT });
        }
        let mut slab = Self { in_plane_angstrom: cell.in_plane, period_angstrom: norm(period), atoms: Vec::new(), columns: Vec::new() };
        slab.atoms = place_atoms(&primitive, &slab, &axes, cell.climb_per_angstrom, &cell.translations);
        slab.find_columns();
        Ok(slab)
    }
}

/// The shortest lattice vector along the zone in whole numbers of primitive vectors, and the Cartesian direction of x.
fn directions(crystal: &Crystal, primitive: &Crystal, cut: &Cut) -> Result<([i64; 3], Vector), CutError> {
    let x_axis = cut.x_axis.map(f64::from);
    Ok(match cut.basis {
        Basis::Pseudocubic => {
            let basis = primitive.pseudocubic()?;
            (primitive_direction(cut.zone_axis, &basis.lattice_in_basis), row_times(x_axis, &basis.vectors_angstrom))
        }
        Basis::Lattice => {
            let to_primitive = crate::crystal::lattice::inverse(&primitive.lattice_angstrom);
            let zone = row_times(row_times(cut.zone_axis.map(f64::from), &crystal.lattice_angstrom), &to_primitive);
            // The crystal's lattice vectors are whole numbers of primitive ones, so rounding only removes 1e-12.
            let whole = zone.map(|x| x.round() as i64);
            (super::cut_lattice::without_common_factor(whole), row_times(x_axis, &crystal.lattice_angstrom))
        }
    })
}

/// Unit vectors of the image frame as rows: x right, y = z × x down, z along the beam.
fn image_axes(period: Vector, x_direction: Vector) -> Option<Matrix> {
    let z = unit(period);
    let projected = sub(x_direction, scale(z, dot(x_direction, z)));
    if norm(projected) < 1e-3 * norm(x_direction) {
        return None;
    }
    let x = unit(projected);
    Some([x, cross(z, x), z])
}

/// The atoms of the primitive cell, moved by all translations, in fractions of the in-plane cell and heights of the beam's period.
fn place_atoms(primitive: &Crystal, slab: &Slab, axes: &Matrix, climb: [f64; 2], translations: &[[i64; 3]]) -> Vec<SlabAtom> {
    let origin = primitive.atoms.iter().find(|a| a.site == Site::A).unwrap_or(&primitive.atoms[0]).fractional;
    let mut atoms = Vec::with_capacity(primitive.atoms.len() * translations.len());
    for translation in translations {
        for atom in &primitive.atoms {
            let fractional = [0, 1, 2].map(|axis| atom.fractional[axis] - origin[axis] + translation[axis] as f64);
            let cartesian = row_times(fractional, &primitive.lattice_angstrom);
            let [x, y, z] = axes.map(|axis| dot(axis, cartesian));
            let height = (z - climb[0] * x - climb[1] * y) / slab.period_angstrom;
            atoms.push(SlabAtom {
                element: atom.element,
                in_plane: slab.fractional([x, y]).map(wrap),
                z_angstrom: wrap(height) * slab.period_angstrom,
                occupancy: atom.occupancy,
                displacement_angstrom2: tensor_in_axes(&atom.displacement_angstrom2, axes),
                site: atom.site,
                column: None,
            });
        }
    }
    // Rounded keys, so that planes stay together whatever the last bits are.
    let key = |a: &SlabAtom| [a.z_angstrom, a.in_plane[0], a.in_plane[1], f64::from(a.element.atomic_number())].map(|x| (x * 1e5).round());
    atoms.sort_by(|a, b| key(a).partial_cmp(&key(b)).expect("atoms of a checked crystal have finite coordinates"));
    atoms
}

/// A fraction in [0, 1); rounding errors of files and lattices, up to 1e-6, do not send an atom to the far end.
pub(super) fn wrap(x: f64) -> f64 {
    let fraction = x - x.floor();
    // Adding zero turns −0 into 0.
    if fraction > 1.0 - 1e-6 { 0.0 } else { fraction + 0.0 }
}
