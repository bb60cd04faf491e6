//! A slab: the atoms of one cell that repeats in plane and along the beam; Å, image axes (x right, y down, z along the beam).

use crate::crystal::{Element, Site};
use serde::Serialize;

/// Cations of one site nearer than this across the beam stand in one column, Å: antiphase displacements reach 0.6 Å, columns of
/// ⟨210⟩pc zones stand 1.8 Å apart.
const COLUMN_ANGSTROM: f64 = 0.7;

/// One atom of the slab's repeat cell.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SlabAtom {
    /// Chemical element.
    pub element: Element,
    /// In-plane fractional coordinates along the two in-plane vectors, in [0, 1).
    pub in_plane: [f64; 2],
    /// Height below the top of the repeat cell along the beam, in [0, period), Å.
    pub z_angstrom: f64,
    /// Probability, 0 to 1, that the atom is there.
    pub occupancy: f64,
    /// Mean-square displacement tensor in image axes, Å².
    pub displacement_angstrom2: [[f64; 3]; 3],
    /// Role in the perovskite.
    pub site: Site,
    /// Index into [`Slab::columns`] of the column this atom stands in; `None` for oxygen and others.
    pub column: Option<usize>,
}

/// A cation column of the slab: what an estimator should find in an image of it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Column {
    /// A or B.
    pub site: Site,
    /// Mean in-plane position of the column's cations over one period, Å, image axes, inside the cell.
    /// It is the position at zero tilt; under `specimen_tilt_mrad` θ the column stands at this + θ z at depth z.
    pub position_angstrom: [f64; 2],
}

/// A slab of crystal: one repeat cell, periodic in plane (possibly oblique) and along the beam.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Slab {
    /// The two in-plane repeat vectors, Å, image axes; right-handed (a1 × a2 along the beam).
    pub in_plane_angstrom: [[f64; 2]; 2],
    /// Repeat distance along the beam, Å.
    pub period_angstrom: f64,
    /// Atoms of one repeat cell.
    pub atoms: Vec<SlabAtom>,
    /// Cation columns of one in-plane cell.
    pub columns: Vec<Column>,
}

/// The positions of one column of a tilted slab, Å, image axes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TiltedColumn {
    /// A or B.
    pub site: Site,
    /// At the entrance surface, depth 0.
    pub entrance_angstrom: [f64; 2],
    /// At half the thickness, the mean over depth.
    pub mean_angstrom: [f64; 2],
    /// At the exit surface.
    pub exit_angstrom: [f64; 2],
}

impl Slab {
    /// Area of the in-plane cell, Å².
    #[must_use]
    pub fn area_angstrom2(&self) -> f64 {
        let [a, b] = self.in_plane_angstrom;
        a[0] * b[1] - a[1] * b[0]
    }

    /// In-plane position of fractions of the two in-plane vectors, Å.
    #[must_use]
    pub fn position(&self, fractional: [f64; 2]) -> [f64; 2] {
        let [a, b] = self.in_plane_angstrom;
        [fractional[0] * a[0] + fractional[1] * b[0], fractional[0] * a[1] + fractional[1] * b[1]]
    }

    /// Fractions of the two in-plane vectors, not wrapped, of a position in Å.
    #[must_use]
    pub fn fractional(&self, position_angstrom: [f64; 2]) -> [f64; 2] {
        let ([a, b], area, [x, y]) = (self.in_plane_angstrom, self.area_angstrom2(), position_angstrom);
        [(x * b[1] - y * b[0]) / area, (y * a[0] - x * a[1]) / area]
    }

    /// The shortest vector from one in-plane position to any repeat of another, Å.
    #[must_use]
    pub fn shortest_vector(&self, from_angstrom: [f64; 2], to_angstrom: [f64; 2]) -> [f64; 2] {
        let offset = self.fractional([to_angstrom[0] - from_angstrom[0], to_angstrom[1] - from_angstrom[1]]).map(|x| x - x.round());
        // In an oblique cell the shortest repeat may be a neighbour of the rounded one.
        let repeats = (-1..=1).flat_map(|i| (-1..=1).map(move |j| [f64::from(i), f64::from(j)]));
        let vectors = repeats.map(|[i, j]| self.position([offset[0] + i, offset[1] + j]));
        let square = |v: [f64; 2]| v[0] * v[0] + v[1] * v[1];
        vectors.fold([f64::INFINITY; 2], |best, v| if square(v) < square(best) { v } else { best })
    }

    /// The distinct heights of atoms in one period, Å, ascending: the planes that slices should follow. Atoms nearer in height
    /// than `tolerance_angstrom` to the plane's first are in one plane.
    #[must_use]
    pub fn plane_heights_angstrom(&self, tolerance_angstrom: f64) -> Vec<f64> {
        let mut heights: Vec<f64> = self.atoms.iter().map(|a| a.z_angstrom).collect();
        heights.sort_by(f64::total_cmp);
        heights.dedup_by(|next, kept| *next - *kept < tolerance_angstrom);
        heights
    }

    /// The columns of the slab under `specimen_tilt_mrad` θ at a thickness: at depth z they stand at their untilted position + θ z.
    #[must_use]
    pub fn columns_at(&self, specimen_tilt_mrad: [f64; 2], thickness_angstrom: f64) -> Vec<TiltedColumn> {
        let at = |[x, y]: [f64; 2], depth: f64| [x + specimen_tilt_mrad[0] * 1e-3 * depth, y + specimen_tilt_mrad[1] * 1e-3 * depth];
        let tilted = |column: &Column| TiltedColumn {
            site: column.site,
            entrance_angstrom: column.position_angstrom,
            mean_angstrom: at(column.position_angstrom, thickness_angstrom / 2.0),
            exit_angstrom: at(column.position_angstrom, thickness_angstrom),
        };
        self.columns.iter().map(tilted).collect()
    }

    /// The slab with its in-plane cell repeated `counts` times along the two vectors, columns too. A count of 0 is taken as 1.
    #[must_use]
    pub fn repeated(&self, counts: [usize; 2]) -> Self {
        let counts = counts.map(|n| n.max(1));
        let scale = counts.map(|n| n as f64);
        let cells = || (0..counts[0]).flat_map(|i| (0..counts[1]).map(move |j| [i as f64, j as f64]));
        let mut slab = Self { atoms: Vec::new(), columns: Vec::new(), ..self.clone() };
        for (vector, factor) in slab.in_plane_angstrom.iter_mut().zip(scale) {
            *vector = vector.map(|x| x * factor);
        }
        for (cell, [i, j]) in cells().enumerate() {
            let moved = |[f, g]: [f64; 2]| [(f + i) / scale[0], (g + j) / scale[1]];
            slab.atoms.extend(self.atoms.iter().map(|atom| SlabAtom {
                in_plane: moved(atom.in_plane),
                column: atom.column.map(|column| column + cell * self.columns.len()),
                ..atom.clone()
            }));
            let shift = self.position([i, j]);
            slab.columns.extend(self.columns.iter().map(|column| Column {
                position_angstrom: [column.position_angstrom[0] + shift[0], column.position_angstrom[1] + shift[1]],
                ..*column
            }));
        }
        slab.atoms.sort_by(|a, b| a.z_angstrom.total_cmp(&b.z_angstrom));
        slab
    }

    /// Finds the columns of A and of B cations and tells every cation which is its own. Cations of one site belong to one column when
    /// they can be linked by steps below 0.7 Å across the beam; the column stands at their mean over one period, weighted by occupancy.
    pub(super) fn find_columns(&mut self) {
        let mut columns: Vec<(Column, Vec<usize>)> = Vec::new();
        for site in [Site::A, Site::B] {
            let mut left: Vec<usize> = (0..self.atoms.len()).filter(|&i| self.atoms[i].site == site).collect();
            while let Some(&first) = left.first() {
                let (members, others) = self.linked(first, &left);
                left = others;
                columns.push((self.column_of(site, first, &members), members));
            }
        }
        // By place, so that the order depends on the crystal and not on how its file lists it.
        let place = |column: &Column| self.fractional(column.position_angstrom).map(|x| (x * 1e5).round());
        columns.sort_by(|(a, _), (b, _)| a.site.cmp(&b.site).then(place(a).partial_cmp(&place(b)).expect("columns have finite positions")));
        for (index, (_, members)) in columns.iter().enumerate() {
            for &member in members {
                self.atoms[member].column = Some(index);
            }
        }
        self.columns = columns.into_iter().map(|(column, _)| column).collect();
    }

    /// The atoms linked to `first` by short steps, and the others.
    fn linked(&self, first: usize, among: &[usize]) -> (Vec<usize>, Vec<usize>) {
        let mut members = vec![first];
        let mut others: Vec<usize> = among.iter().copied().filter(|&i| i != first).collect();
        let mut next = 0;
        while next < members.len() {
            let here = self.position(self.atoms[members[next]].in_plane);
            let (near, far) = others.into_iter().partition(|&i| {
                let step = self.shortest_vector(here, self.position(self.atoms[i].in_plane));
                step[0].hypot(step[1]) < COLUMN_ANGSTROM
            });
            members.extend::<Vec<usize>>(near);
            others = far;
            next += 1;
        }
        (members, others)
    }

    fn column_of(&self, site: Site, first: usize, members: &[usize]) -> Column {
        let start = self.position(self.atoms[first].in_plane);
        let (mut sum, mut weight) = ([0.0; 2], 0.0);
        for &member in members {
            let atom = &self.atoms[member];
            let offset = self.shortest_vector(start, self.position(atom.in_plane));
            sum = [sum[0] + atom.occupancy * offset[0], sum[1] + atom.occupancy * offset[1]];
            weight += atom.occupancy;
        }
        let inside = self.fractional([start[0] + sum[0] / weight, start[1] + sum[1] / weight]).map(super::cut::wrap);
        Column { site, position_angstrom: self.position(inside) }
    }
}
