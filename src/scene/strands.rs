//! From columns to atoms: strands of atoms along the beam, stacked into slices of one atomic plane each; Å, mrad.
//!
//! A layer of cells is two planes, A with its oxygen and B with its two. Heights that differ within a plane are taken at the plane's mean;
//! what that leaves is their difference times the tilt, 0.2 pm at 10 mrad in BiFeO3.

use super::{Material, Scene, SceneColumn, SceneError};
use crate::crystal::lattice::isotropic;
use crate::crystal::{Element, Site};
use crate::specimen::{FrozenPhonons, Plane, Sign, Slab, SlabAtom, Stack};

/// Most atoms of one stack.
const ATOM_LIMIT: usize = 200_000;
/// Cells along one axis whose atoms have draws of their own.
const DISTINCT_CELLS: i64 = 228;

/// Atoms one above the other, one a layer.
#[derive(Debug, Clone)]
pub(super) struct Strand {
    /// Place at the entrance surface, Å.
    pub(super) position_angstrom: [f64; 2],
    /// Whether it stands in the planes of B.
    pub(super) in_b_plane: bool,
    /// Displacement along the beam, Å.
    pub(super) height_angstrom: f64,
    /// The usual element, and its mean-square displacement, Å².
    pub(super) usual: (Element, f64),
    /// The element of the layers that are marked.
    pub(super) other: (Element, f64),
    /// Marked layers; none beyond its end.
    pub(super) marked: Vec<bool>,
    /// Atoms.
    pub(super) layers: usize,
    /// How far it leans beyond the tilt of the illumination, mrad.
    pub(super) lean_mrad: [f64; 2],
    pub(super) site: Site,
    /// Cell and place in the cell (0 to 4), for the draws of its motion.
    pub(super) cell: [i64; 2],
    pub(super) place: u64,
}

/// How the atoms of a stack move.
#[derive(Debug, Clone, Copy)]
pub(super) enum Frozen {
    /// The stack keeps mean-square displacements, for a propagation that draws its own.
    Later,
    /// At rest.
    AtRest,
    /// Displaced already: source, pair, sign, and whether every cell moves alike.
    Now(FrozenPhonons, usize, Sign, bool),
}

/// A box of cells.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Block {
    pub(super) first: [i64; 2],
    pub(super) count: [usize; 2],
}

/// The five strands of one cell of a uniform crystal at the origin.
pub(super) fn uniform_cell(material: &Material, shift_angstrom: [f64; 3], marked: &[bool], layers: usize) -> Vec<Strand> {
    let [ax, ay, _] = material.edges_angstrom;
    let column = |site, at: [f64; 2], shift: [f64; 3]| SceneColumn {
        site,
        material: 0,
        position_angstrom: [at[0] + shift[0], at[1] + shift[1]],
        displacement_angstrom: shift,
        surroundings_angstrom: [0.0; 2],
        dopant_fraction: 0.0,
        tilt_mrad: [0.0; 2],
        layers,
    };
    let (a, b) = (column(Site::A, [0.0; 2], [0.0; 3]), column(Site::B, [0.5 * ax, 0.5 * ay], shift_angstrom));
    let cell = CellStrands { cell: [0, 0], material, reference_mrad: [0.0; 2] };
    let oxygen = shift_angstrom.map(|d| d * material.oxygen_ratio);
    vec![
        cell.cation(&a, marked.to_vec()),
        cell.cation(&b, Vec::new()),
        cell.oxygen(2, [0.5 * ax, 0.5 * ay], oxygen, &b),
        cell.oxygen(3, [0.5 * ax, 0.0], oxygen, &b),
        cell.oxygen(4, [0.0, 0.5 * ay], oxygen, &b),
    ]
}

/// What the strands of one cell share.
struct CellStrands<'a> {
    cell: [i64; 2],
    material: &'a Material,
    reference_mrad: [f64; 2],
}

impl CellStrands<'_> {
    fn cation(&self, column: &SceneColumn, marked: Vec<bool>) -> Strand {
        let kind = if column.site == Site::A { 0 } else { 2 };
        let species = |i: usize| (self.material.elements[i], self.material.displacement_angstrom2[i]);
        Strand {
            position_angstrom: column.position_angstrom,
            in_b_plane: column.site == Site::B,
            height_angstrom: column.displacement_angstrom[2],
            usual: species(kind),
            other: species(if column.site == Site::A { 1 } else { 2 }),
            marked,
            layers: column.layers,
            lean_mrad: self.lean(column),
            site: column.site,
            cell: self.cell,
            place: u64::from(column.site == Site::B),
        }
    }

    /// An oxygen at an ideal place: 2 shares the B column, 3 and 4 stand in the planes of B.
    fn oxygen(&self, place: u64, at: [f64; 2], shift: [f64; 3], like: &SceneColumn) -> Strand {
        let species = (self.material.elements[3], self.material.displacement_angstrom2[3]);
        Strand {
            position_angstrom: [at[0] + shift[0], at[1] + shift[1]],
            in_b_plane: place != 2,
            height_angstrom: shift[2],
            usual: species,
            other: species,
            marked: Vec::new(),
            layers: like.layers,
            lean_mrad: self.lean(like),
            site: Site::Oxygen,
            cell: self.cell,
            place,
        }
    }

    fn lean(&self, column: &SceneColumn) -> [f64; 2] {
        [0, 1].map(|c| column.tilt_mrad[c] - self.reference_mrad[c])
    }
}

impl Scene {
    /// All strands of a block of cells; `reference_mrad` is the tilt that the illumination takes care of.
    pub(super) fn strands(&self, block: Block, reference_mrad: [f64; 2]) -> Vec<Strand> {
        let mut strands = Vec::new();
        for j in block.first[1]..block.first[1] + block.count[1] as i64 {
            for i in block.first[0]..block.first[0] + block.count[0] as i64 {
                let (a, b) = (self.a_beyond([i, j]), self.b_beyond([i, j]));
                let of = |column: &SceneColumn| CellStrands { cell: [i, j], material: &self.materials[column.material], reference_mrad };
                strands.push(of(&a).cation(&a, self.substituted([i, j], a.layers)));
                strands.push(of(&b).cation(&b, Vec::new()));
                let ratio = self.materials[b.material].oxygen_ratio;
                let between =
                    |other: &SceneColumn| [0, 1, 2].map(|c| ratio * b.displacement_angstrom[c].midpoint(other.displacement_angstrom[c]));
                let (centre, corner) = (self.centre_angstrom([i, j]), self.corner_angstrom([i, j]));
                strands.push(of(&b).oxygen(2, centre, between(&b), &b));
                strands.push(of(&b).oxygen(3, [centre[0], corner[1]], between(&self.b_beyond([i, j - 1])), &b));
                strands.push(of(&b).oxygen(4, [corner[0], centre[1]], between(&self.b_beyond([i - 1, j])), &b));
            }
        }
        strands
    }

    /// The A column of any corner, moved to where the outermost would go on.
    pub(super) fn a_beyond(&self, corner: [i64; 2]) -> SceneColumn {
        let column = *self.a_column(corner);
        self.moved(column, self.corner_angstrom(corner))
    }

    /// The B column of any cell, likewise.
    pub(super) fn b_beyond(&self, cell: [i64; 2]) -> SceneColumn {
        let column = *self.b_column(cell);
        self.moved(column, self.centre_angstrom(cell))
    }

    #[expect(clippy::unused_self, reason = "reads as what a scene does with its columns")]
    fn moved(&self, column: SceneColumn, ideal: [f64; 2]) -> SceneColumn {
        SceneColumn { position_angstrom: [0, 1].map(|c| ideal[c] + column.displacement_angstrom[c]), ..column }
    }

    /// The in-plane vectors of a block, Å.
    pub(super) fn block_cell(&self, block: Block) -> [[f64; 2]; 2] {
        let end = [0, 1].map(|c| block.first[c] + block.count[c] as i64);
        let (from, to) = (self.corner_angstrom(block.first), self.corner_angstrom(end));
        [[to[0] - from[0], 0.0], [0.0, to[1] - from[1]]]
    }
}

/// Stacks strands into planes, two a layer, in a cell whose corner is `origin_angstrom`.
pub(super) fn stack(
    strands: &[Strand],
    cell_angstrom: [[f64; 2]; 2],
    origin_angstrom: [f64; 2],
    layer_angstrom: f64,
    frozen: Frozen,
) -> Result<Stack, SceneError> {
    let layers = strands.iter().map(|s| s.layers).max().unwrap_or(1);
    let atoms = strands.iter().map(|s| s.layers).sum::<usize>();
    if atoms > ATOM_LIMIT {
        return Err(SceneError::TooManyAtoms { atoms, limit: ATOM_LIMIT });
    }
    // B stands this far from midway between the planes of A, on average.
    let heights = |site: Site| {
        let of_site: Vec<f64> = strands.iter().filter(|s| s.site == site).map(|s| s.height_angstrom).collect();
        of_site.iter().sum::<f64>() / of_site.len().max(1) as f64
    };
    let b_depth = 0.5 * layer_angstrom + heights(Site::B) - heights(Site::A);
    let extent = [cell_angstrom[0][0], cell_angstrom[1][1]];
    let mut slab =
        Slab { in_plane_angstrom: cell_angstrom, period_angstrom: layers as f64 * layer_angstrom, atoms: Vec::new(), columns: Vec::new() };
    let mut planes = Vec::with_capacity(2 * layers);
    for layer in 0..layers {
        for b_plane in [false, true] {
            let z_angstrom = layer as f64 * layer_angstrom + if b_plane { b_depth } else { 0.0 };
            let first = slab.atoms.len();
            for strand in strands.iter().filter(|s| s.in_b_plane == b_plane && layer < s.layers) {
                slab.atoms.push(strand.atom(layer, z_angstrom, origin_angstrom, extent, frozen));
            }
            let thickness_angstrom = if b_plane { layer_angstrom - b_depth } else { b_depth };
            planes.push(Plane { z_angstrom, thickness_angstrom, atoms: (first..slab.atoms.len()).collect() });
        }
    }
    Ok(Stack { slab, planes })
}

impl Strand {
    fn atom(&self, layer: usize, z_angstrom: f64, origin: [f64; 2], extent: [f64; 2], frozen: Frozen) -> SlabAtom {
        let (element, u) = if self.marked.get(layer).copied().unwrap_or(false) { self.other } else { self.usual };
        let tensor = isotropic(u);
        let moved = match frozen {
            Frozen::Now(phonons, pair, sign, alike) => {
                let [i, j] = self.cell.map(|n| n.rem_euclid(DISTINCT_CELLS) as u64);
                let cell = if alike { 0 } else { j * DISTINCT_CELLS as u64 + i };
                phonons.displacement_angstrom([0, pair as u64, layer as u64, 5 * cell + self.place], sign, &tensor)
            }
            Frozen::Later | Frozen::AtRest => [0.0; 2],
        };
        let at = [0, 1].map(|c| self.position_angstrom[c] - origin[c] + 1e-3 * self.lean_mrad[c] * z_angstrom + moved[c]);
        SlabAtom {
            element,
            in_plane: [at[0] / extent[0], at[1] / extent[1]],
            z_angstrom,
            occupancy: 1.0,
            displacement_angstrom2: if matches!(frozen, Frozen::Later) { tensor } else { [[0.0; 3]; 3] },
            site: self.site,
            column: None,
        }
    }
}
