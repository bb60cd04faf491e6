//! A and B told apart by brightness and geometry, and the integer index every column keeps; pixels, x right, y down.
//!
//! Index (i, j) of an A column counts lattice vectors from the corner of the found region. A B column has the index of its cell:
//! along ⟨100⟩ it lies between A (i, j), (i+1, j), (i, j+1) and (i+1, j+1); along ⟨110⟩ between A (i, j) and the next along the edge a.

use super::background::median;
use super::find::{BrightSite, FEWEST_COLUMNS, between, stepped};
use super::grow::{self, IndexField};
use super::lattice::{self, Basis, Zone, length, transformed, upright};
use super::maxima::Peak;
use super::{FindError, FindOptions};
use crate::crystal::Site;

/// A column with its place in the lattice.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LatticeColumn {
    /// A or B.
    pub site: Site,
    /// Lattice index along the two vectors of [`ColumnLattice::basis_px`].
    pub index: [i32; 2],
    /// Position (x, y), px; pixel (0, 0) has its centre at (0, 0).
    pub position_px: [f64; 2],
    /// Covariance xx, xy, yy of the position, px²; NaN until measured.
    pub covariance_px2: [f64; 3],
    /// Height above background: as found, a fraction of the image's contrast; once measured, in the image's units.
    pub intensity: f64,
    /// How far it has come.
    pub status: ColumnStatus,
}

/// How a column's position is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ColumnStatus {
    /// A peak was found here.
    Found,
    /// No peak of its own was found, as beside a much brighter column; the position is where its neighbours say it should be.
    Inferred,
    /// Measured by an estimator.
    Measured,
    /// An estimator tried and failed; the position is the one found or inferred.
    Failed,
}

/// The columns of an image on their lattice.
#[derive(Debug, Clone, PartialEq)]
pub struct ColumnLattice {
    /// Zone axis the columns were read in.
    pub zone: Zone,
    /// Mean vectors between A columns, px: e1 nearest to +x, e2 nearest to +y.
    pub basis_px: [[f64; 2]; 2],
    /// All columns: A before B, each sorted by index, e2 slow.
    pub columns: Vec<LatticeColumn>,
}

impl ColumnLattice {
    /// A lattice from the columns found, its smallest A index moved to (0, 0).
    pub(crate) fn assemble(zone: Zone, basis_px: Basis, mut columns: Vec<LatticeColumn>) -> Self {
        let least = |k: usize| columns.iter().filter(|c| c.site == Site::A).map(|c| c.index[k]).min().unwrap_or(0);
        let origin = [least(0), least(1)];
        for column in &mut columns {
            column.index = [column.index[0] - origin[0], column.index[1] - origin[1]];
        }
        columns.sort_unstable_by_key(order);
        Self { zone, basis_px, columns }
    }

    /// Columns of one sublattice, in the order of their indices.
    pub fn sublattice(&self, site: Site) -> impl Iterator<Item = &LatticeColumn> {
        self.columns.iter().filter(move |c| c.site == site)
    }

    /// The column of a site with an index.
    #[must_use]
    pub fn column(&self, site: Site, index: [i32; 2]) -> Option<&LatticeColumn> {
        let found = self.columns.binary_search_by_key(&(site, index[1], index[0]), order);
        found.ok().map(|n| &self.columns[n])
    }

    /// Indices of the A columns around the B column of a cell: four along ⟨100⟩, the two along the edge a along ⟨110⟩.
    #[must_use]
    pub fn neighbours_of_b(&self, [i, j]: [i32; 2]) -> Vec<[i32; 2]> {
        around_dark(self.zone, self.basis_px, [i, j])
    }

    /// Mean side of the pseudocubic cell, px.
    #[must_use]
    pub fn lattice_a_px(&self) -> f64 {
        self.zone.lattice_a_px(self.basis_px)
    }

    /// Lattice vectors around a fractional A index, px: an affine fit to the A columns within two cells; `None` where there are fewer
    /// than three.
    pub fn local_bases_px(&self) -> impl Fn([f64; 2]) -> Option<[[f64; 2]; 2]> + use<> {
        let mut field = IndexField::new(self.basis_px);
        self.sublattice(Site::A).for_each(|c| field.insert(c.index, c.position_px));
        move |at| field.predict(at, None).filter(|p| p.support >= 3).map(|p| p.basis)
    }

    /// A lattice from positions measured elsewhere, px: A and B columns in any order; B columns that lie in no cell are left out.
    ///
    /// # Errors
    /// [`FindError`] if the A positions lie on no lattice of this zone.
    pub fn from_positions(a_px: &[[f64; 2]], b_px: &[[f64; 2]], zone: Zone) -> Result<Self, FindError> {
        if a_px.len() < FEWEST_COLUMNS {
            return Err(FindError::TooFewPositions(a_px.len()));
        }
        let basis = lattice::from_positions(a_px, zone)?;
        let spacing_px = length(basis[0]).min(length(basis[1]));
        let (nodes, field) = grow::grow(a_px, &vec![1.0; a_px.len()], basis).ok_or(FindError::TooFewColumns { found: 0, spacing_px })?;
        if nodes.len() < FEWEST_COLUMNS {
            return Err(FindError::TooFewColumns { found: nodes.len(), spacing_px });
        }
        let grid = super::neighbours::PointGrid::new(b_px, Some(0.5 * spacing_px));
        let mut columns: Vec<LatticeColumn> =
            nodes.iter().map(|(index, n)| LatticeColumn { status: ColumnStatus::Measured, ..given(Site::A, *index, a_px[*n]) }).collect();
        for cell in cells_of(nodes.iter().map(|n| n.0), zone, field.basis) {
            let Some(middle) = dark_place(&field, zone, cell) else { continue };
            if let Some(n) = grid.as_ref().and_then(|g| g.nearest(middle, 0.3 * spacing_px)) {
                columns.push(LatticeColumn { status: ColumnStatus::Measured, ..given(Site::B, cell, b_px[n]) });
            }
        }
        Ok(Self::assemble(zone, field.basis, columns))
    }

    /// The same lattice with all lengths multiplied.
    pub(crate) fn scaled(mut self, factor: f64) -> Self {
        self.basis_px = self.basis_px.map(|e| e.map(|v| v * factor));
        for column in &mut self.columns {
            column.position_px = column.position_px.map(|v| v * factor);
        }
        self
    }
}

fn order(column: &LatticeColumn) -> (Site, i32, i32) {
    (column.site, column.index[1], column.index[0])
}

fn given(site: Site, index: [i32; 2], position_px: [f64; 2]) -> LatticeColumn {
    LatticeColumn { site, index, position_px, covariance_px2: [f64::NAN; 3], intensity: f64::NAN, status: ColumnStatus::Found }
}

/// A bright column with its index in the lattice of bright columns.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Node {
    pub(crate) index: [i32; 2],
    pub(crate) peak: Peak,
}

/// Twice the step from a bright column to the dark one of its cell: (1, 1) along ⟨100⟩, along the longer vector along ⟨110⟩.
pub(crate) fn dark_offset(zone: Zone, basis: Basis) -> [i32; 2] {
    match zone {
        Zone::Z100 => [1, 1],
        Zone::Z110 if length(basis[0]) > length(basis[1]) => [1, 0],
        Zone::Z110 => [0, 1],
    }
}

/// Indices of the columns around the middle of a cell.
pub(crate) fn around_dark(zone: Zone, basis: Basis, [i, j]: [i32; 2]) -> Vec<[i32; 2]> {
    match zone {
        Zone::Z100 => vec![[i, j], [i + 1, j], [i, j + 1], [i + 1, j + 1]],
        Zone::Z110 => {
            let [di, dj] = dark_offset(zone, basis);
            vec![[i, j], [i + di, j + dj]]
        }
    }
}

/// All cells with at least one of the columns around them present, sorted: those at edges too.
pub(crate) fn cells_of(indices: impl Iterator<Item = [i32; 2]>, zone: Zone, basis: Basis) -> Vec<[i32; 2]> {
    let around = around_dark(zone, basis, [0, 0]);
    let cells: std::collections::BTreeSet<(i32, i32)> =
        indices.flat_map(|[i, j]| around.iter().map(move |[ci, cj]| (j - cj, i - ci))).collect();
    cells.into_iter().map(|(j, i)| [i, j]).collect()
}

/// The middle of a cell: the mean of the columns around it, or where the neighbourhood puts it if one of them is missing.
pub(crate) fn dark_place(field: &IndexField, zone: Zone, cell: [i32; 2]) -> Option<[f64; 2]> {
    let around: Vec<[f64; 2]> = around_dark(zone, field.basis, cell).into_iter().filter_map(|index| field.get(index)).collect();
    if around.len() == if zone == Zone::Z100 { 4 } else { 2 } {
        let n = around.len() as f64;
        return Some([0, 1].map(|axis| around.iter().map(|p| p[axis]).sum::<f64>() / n));
    }
    let step = dark_offset(zone, field.basis);
    field.predict([0, 1].map(|k| f64::from(cell[k]) + 0.5 * f64::from(step[k])), None).map(|p| p.position)
}

/// Whether the lattice found is A and B together, and if so which parity of its index is the bright species: columns of one parity are
/// mostly too faint to have been found, or columns alternate in brightness and the middles of their cells are empty.
pub(crate) fn bright_parity(nodes: &[Node], field: &IndexField, zone: Zone, value: impl Fn([f64; 2]) -> f64) -> Option<bool> {
    let odds = nodes.iter().filter(|n| odd(n.index, zone, field.basis)).count();
    let evens = nodes.len() - odds;
    if odds.min(evens) * 5 < odds.max(evens) * 4 {
        return Some(odds > evens);
    }
    let step = alternation(nodes, field, zone)?;
    // Along ⟨100⟩ a sublattice whose own columns differ, as ordered A ions do, is told by the B columns in its middles.
    (zone == Zone::Z110 || !middles_filled(nodes, field, zone, value)).then_some(step < 0.0)
}

/// By how much even columns are brighter than odd ones, if that is neither noise nor slight.
fn alternation(nodes: &[Node], field: &IndexField, zone: Zone) -> Option<f64> {
    let heights: std::collections::BTreeMap<[i32; 2], f64> = nodes.iter().map(|n| (n.index, n.peak.height)).collect();
    let sides = alternating_sides(zone, field.basis);
    let signed = |node: &Node| {
        let [i, j] = node.index;
        let around: Option<Vec<f64>> = sides.iter().map(|[di, dj]| heights.get(&[i + di, j + dj]).copied()).collect();
        let around = around?;
        let mean = around.iter().sum::<f64>() / around.len() as f64;
        Some(if odd(node.index, zone, field.basis) { mean - node.peak.height } else { node.peak.height - mean })
    };
    let differences: Vec<f64> = nodes.iter().filter_map(signed).collect();
    let step = median(differences.clone())?;
    let height = median(heights.values().copied().collect())?;
    let spread = 1.4826 * median(differences.iter().map(|d| (d - step).abs()).collect())?;
    // 6 % of the brightness: more than thickness does between neighbours, less than any two elements differ.
    (step.abs() > 0.06 * height && step.abs() > 5.0 * spread / (differences.len() as f64).sqrt()).then_some(step)
}

fn middles_filled(nodes: &[Node], field: &IndexField, zone: Zone, value: impl Fn([f64; 2]) -> f64) -> bool {
    let middle_above_edges = nodes.iter().filter_map(|node| {
        let [i, j] = node.index;
        let middle = value(dark_place(field, zone, node.index)?);
        let edges = [between(field, [i, j], [i + 1, j])?, between(field, [i, j], [i, j + 1])?];
        Some(middle - 0.5 * (value(edges[0]) + value(edges[1])))
    });
    median(middle_above_edges.collect()).is_some_and(|rise| rise > 0.0)
}

fn alternating_sides(zone: Zone, basis: Basis) -> Vec<[i32; 2]> {
    match (zone, dark_offset(zone, basis)) {
        (Zone::Z100, _) => vec![[1, 0], [-1, 0], [0, 1], [0, -1]],
        // A and B alternate along the short edge of a/√2 × a/2.
        (Zone::Z110, [1, _]) => vec![[0, 1], [0, -1]],
        (Zone::Z110, _) => vec![[1, 0], [-1, 0]],
    }
}

fn odd([i, j]: [i32; 2], zone: Zone, basis: Basis) -> bool {
    let count = match (zone, dark_offset(zone, basis)) {
        (Zone::Z100, _) => i + j,
        (Zone::Z110, [1, _]) => j,
        (Zone::Z110, _) => i,
    };
    count.rem_euclid(2) == 1
}

/// Twice the new index of an old one.
type Doubled = fn([i32; 2]) -> [i32; 2];

/// The bright half of a lattice of A and B together, with indices and field of its own.
pub(crate) fn bright_half(nodes: &[Node], field: &IndexField, zone: Zone, bright_is_odd: bool) -> (Vec<Node>, IndexField) {
    let basis = field.basis;
    // New vectors in old ones, and what they make of an index.
    let (rows, doubled): ([[i32; 2]; 2], Doubled) = match (zone, dark_offset(zone, basis)) {
        (Zone::Z100, _) => ([[1, 1], [-1, 1]], |[p, q]| [p + q, q - p]),
        (Zone::Z110, [1, _]) => ([[1, 0], [0, 2]], |[p, q]| [2 * p, q]),
        (Zone::Z110, _) => ([[2, 0], [0, 1]], |[p, q]| [p, 2 * q]),
    };
    let big = transformed(basis, rows);
    let turn = upright(big);
    // One step along an old vector that changes the parity, so that the bright columns fall on even indices.
    let origin = match (bright_is_odd, dark_offset(zone, basis)) {
        (false, _) => [0, 0],
        (true, [1, 0]) => [0, 1],
        (true, _) => [1, 0],
    };
    let mut bright_field = IndexField::new(transformed(big, turn));
    let bright = nodes.iter().filter(|n| odd(n.index, zone, basis) == bright_is_odd).map(|node| {
        let [x, y] = doubled([node.index[0] - origin[0], node.index[1] - origin[1]]);
        let index = turn.map(|[r, s]| (r * x + s * y).div_euclid(2));
        bright_field.insert(index, node.peak.position_px);
        Node { index, peak: node.peak }
    });
    (bright.collect(), bright_field)
}

/// Joins bright columns and the dark columns in their cells into one lattice, named A and B as the options say.
pub(crate) fn join(nodes: &[Node], dark: Vec<LatticeColumn>, basis: Basis, options: &FindOptions) -> ColumnLattice {
    let bright = |site: Site, shift: [i32; 2]| {
        nodes.iter().map(move |n| {
            let index = [n.index[0] - shift[0], n.index[1] - shift[1]];
            LatticeColumn { intensity: n.peak.height, ..given(site, index, n.peak.position_px) }
        })
    };
    let columns = match options.bright_site {
        BrightSite::A => bright(Site::A, [0, 0]).chain(dark.into_iter().map(|c| LatticeColumn { site: Site::B, ..c })).collect(),
        // With B bright the dark columns are A, and cell (i, j) of A has its B one dark step back in the bright index.
        BrightSite::B => {
            let step = dark_offset(options.zone, basis);
            bright(Site::B, step).chain(dark.into_iter().map(|c| LatticeColumn { site: Site::A, ..c })).collect()
        }
    };
    ColumnLattice::assemble(options.zone, basis, columns)
}

/// A dark column as found.
pub(crate) fn dark(index: [i32; 2], position_px: [f64; 2], intensity: f64, seen: bool) -> LatticeColumn {
    LatticeColumn {
        intensity,
        status: if seen { ColumnStatus::Found } else { ColumnStatus::Inferred },
        ..given(Site::B, index, position_px)
    }
}

/// A place beside the cells' middles where no column stands: between two neighbours along ⟨100⟩, the middle of the rectangle along ⟨110⟩.
pub(crate) fn empty_places(field: &IndexField, zone: Zone, [i, j]: [i32; 2]) -> Vec<[f64; 2]> {
    match zone {
        Zone::Z100 => [between(field, [i, j], [i + 1, j]), between(field, [i, j], [i, j + 1])].into_iter().flatten().collect(),
        Zone::Z110 => field.get([i, j]).map(|p| stepped(p, field.basis, 0.5, 0.5)).into_iter().collect(),
    }
}
