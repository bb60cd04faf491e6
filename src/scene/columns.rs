//! A scene: every cation column with its place, displacement, dopant, mis-tilt and thickness, on a grid of cells that goes on past its edges.

use super::fields::random_field;
use super::pattern::PatternField;
use super::settings::{Phase, SceneSettings};
use super::{Material, SceneError};
use crate::crystal::{Crystal, Site, structures};
use crate::numerics::seeds::Streams;
use rand::RngExt;

/// Cells kept beyond the edges of a scene that does not repeat; further out the outermost go on.
pub(super) const APRON: usize = 2;
/// Largest mis-tilt anywhere in a scene, mrad: beyond it the tilt of a paraxial propagator means little.
const TILT_LIMIT_MRAD: f64 = 60.0;
/// Least thickness anywhere in a scene, Å.
const THINNEST_ANGSTROM: f64 = 10.0;

/// One cation column.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SceneColumn {
    /// A or B.
    pub site: Site,
    /// Index into [`Scene::materials`].
    pub material: usize,
    /// Place at the entrance surface, Å.
    pub position_angstrom: [f64; 2],
    /// Displacement from its ideal place, Å, with the part along the beam.
    pub displacement_angstrom: [f64; 3],
    /// How far the other sublattice around it stands off centre, as a B-minus-A displacement in plane, Å: what a uniform crystal of the same
    /// surroundings would have.
    pub surroundings_angstrom: [f64; 2],
    /// Fraction of an A column's atoms that are the dopant; of a B column the mean of the A columns around it.
    pub dopant_fraction: f64,
    /// Specimen tilt here, mrad.
    pub tilt_mrad: [f64; 2],
    /// Cells along the beam.
    pub layers: usize,
}

/// A scene: columns of A at the corners of the cells and of B near their centres. Corner (0, 0) stands at the origin; cell (i, j) lies
/// between the corners (i, j) and (i + 1, j + 1); image axes.
#[derive(Debug, Clone)]
pub struct Scene {
    /// As declared.
    pub settings: SceneSettings,
    /// What it is made of: the crystal, and the substrate if there is one.
    pub materials: Vec<Material>,
    /// Cells along x and y.
    pub size: [usize; 2],
    /// Whether it repeats seamlessly along x and y.
    pub periodic: [bool; 2],
    /// Thickness of one layer of cells along the beam, Å.
    pub layer_angstrom: f64,
    /// Edge of a cell along x, Å.
    pub column_angstrom: f64,
    /// y of the upper edge of every row of cells, and of the lower edge of the last, Å.
    pub rows_angstrom: Vec<f64>,
    pub(super) a: ColumnGrid,
    pub(super) b: ColumnGrid,
    substitution: Streams,
}

/// Columns of one sublattice, cells (−APRON, −APRON) first, row after row.
#[derive(Debug, Clone)]
pub(super) struct ColumnGrid {
    pub(super) width: usize,
    pub(super) columns: Vec<SceneColumn>,
}

impl ColumnGrid {
    pub(super) fn height(&self) -> usize {
        self.columns.len() / self.width
    }

    /// Whether a column of its own stands for index (i, j).
    pub(super) fn holds(&self, [i, j]: [i64; 2]) -> bool {
        let inside = |n: i64, count: usize| (0..count as i64).contains(&(n + APRON as i64));
        inside(i, self.width) && inside(j, self.height())
    }

    /// Place in the list of the column that stands for index (i, j), wherever that is: the outermost stand for those beyond.
    pub(super) fn index(&self, [i, j]: [i64; 2]) -> usize {
        let inside = |n: i64, count: usize| (n + APRON as i64).clamp(0, count as i64 - 1) as usize;
        inside(j, self.height()) * self.width + inside(i, self.width)
    }
}

impl Scene {
    /// Builds a scene from a crystal of `thickness_angstrom` and `specimen_tilt_mrad` at its centre.
    pub fn new(
        settings: &SceneSettings,
        crystal: &Crystal,
        thickness_angstrom: f64,
        specimen_tilt_mrad: [f64; 2],
    ) -> Result<Self, SceneError> {
        let materials = materials(settings, crystal)?;
        let size = settings.size_cells.map(|n| n as usize);
        let film_rows = size[1] - if settings.substrate.is_some() { settings.substrate_rows as usize } else { 0 };
        let mut rows_angstrom = vec![0.0];
        for j in 0..size[1] {
            let material = &materials[usize::from(j >= film_rows)];
            rows_angstrom.push(rows_angstrom[j] + material.edges_angstrom[1]);
        }
        let [column_angstrom, _, layer_angstrom] = materials[0].edges_angstrom;
        let extent = [column_angstrom * size[0] as f64, rows_angstrom[size[1]]];
        let amplitude_pm = settings.displacement_pm.unwrap_or(materials[0].displacement_pm);
        let pattern = PatternField::new(settings, amplitude_pm, size, extent);
        let level = settings.bend_mrad_per_nm == 0.0;
        let flat = settings.wedge_nm_per_nm == 0.0;
        let seamless = level && flat && film_rows == size[1];
        let periodic = pattern.is_periodic().map(|p| p && seamless);
        let empty = || ColumnGrid { width: 1, columns: Vec::new() };
        let mut scene = Self {
            settings: settings.clone(),
            materials,
            size,
            periodic,
            layer_angstrom,
            column_angstrom,
            rows_angstrom,
            a: empty(),
            b: empty(),
            substitution: Streams::new("mistilt 2026 scene substitution", settings.seed),
        };
        let surface = Surface::new(settings, &scene, thickness_angstrom, specimen_tilt_mrad);
        surface.check(&scene)?;
        scene.place_b(&pattern, &surface, film_rows);
        scene.place_a(&pattern, &surface, film_rows);
        scene.find_surroundings();
        Ok(scene)
    }

    /// Width and height, Å.
    #[must_use]
    pub fn extent_angstrom(&self) -> [f64; 2] {
        [self.column_angstrom * self.size[0] as f64, self.rows_angstrom[self.size[1]]]
    }

    /// The A column at corner (i, j), 0 to size inclusive (beyond, the outermost stands for it).
    #[must_use]
    pub fn a_column(&self, corner: [i64; 2]) -> &SceneColumn {
        &self.a.columns[self.a.index(corner)]
    }

    /// The B column of cell (i, j), 0 to size exclusive (beyond, the outermost stands for it).
    #[must_use]
    pub fn b_column(&self, cell: [i64; 2]) -> &SceneColumn {
        &self.b.columns[self.b.index(cell)]
    }

    /// Ideal place of corner (i, j), Å, any whole numbers: beyond the scene the outermost rows go on.
    #[must_use]
    pub fn corner_angstrom(&self, [i, j]: [i64; 2]) -> [f64; 2] {
        let rows = self.size[1] as i64;
        let inside = j.clamp(0, rows);
        let beyond = (j - inside) as f64;
        let [first, last] =
            [self.rows_angstrom[1] - self.rows_angstrom[0], self.rows_angstrom[self.size[1]] - self.rows_angstrom[self.size[1] - 1]];
        let height = if beyond < 0.0 { first } else { last };
        [i as f64 * self.column_angstrom, self.rows_angstrom[inside as usize] + beyond * height]
    }

    /// Ideal place of the B site of cell (i, j), Å.
    #[must_use]
    pub fn centre_angstrom(&self, [i, j]: [i64; 2]) -> [f64; 2] {
        let ([x0, y0], [x1, y1]) = (self.corner_angstrom([i, j]), self.corner_angstrom([i + 1, j + 1]));
        [0.5 * (x0 + x1), 0.5 * (y0 + y1)]
    }

    /// The cell that a position lies in, of the ideal lattice and beyond the edges too.
    #[must_use]
    pub fn cell_at(&self, [x, y]: [f64; 2]) -> [i64; 2] {
        let rows = &self.rows_angstrom;
        let last = self.size[1];
        let j = if y < 0.0 {
            (y / (rows[1] - rows[0])).floor() as i64
        } else if y >= rows[last] {
            last as i64 + ((y - rows[last]) / (rows[last] - rows[last - 1])).floor() as i64
        } else {
            rows.partition_point(|&edge| edge <= y) as i64 - 1
        };
        [(x / self.column_angstrom).floor() as i64, j]
    }

    /// Which of the atoms of the A column at a corner are the dopant, from the entrance surface down.
    #[must_use]
    pub fn substituted(&self, corner: [i64; 2], layers: usize) -> Vec<bool> {
        let (composition, column) = (self.settings.composition, self.a_column(corner));
        if composition == 0.0 || column.material != 0 {
            return vec![false; layers];
        }
        let wrap = |n: i64, size: usize, periodic: bool| if periodic { n.rem_euclid(size as i64) } else { n };
        let [i, j] = [0, 1].map(|c| wrap(corner[c], self.size[c], self.periodic[c]));
        let mut rng = self.substitution.stream((i as u64 & 0xffff_ffff) << 32 | j as u64 & 0xffff_ffff);
        (0..layers).map(|_| rng.random::<f64>() < composition).collect()
    }

    fn place_b(&mut self, pattern: &PatternField, surface: &Surface, film_rows: usize) {
        let [nx, ny] = self.size;
        let mut columns = Vec::new();
        for j in grid_range(ny) {
            for i in grid_range(nx) {
                let ideal = self.centre_angstrom([i, j]);
                let substrate = j >= film_rows as i64 && self.materials.len() > 1;
                let pm = if substrate { [0.0; 3] } else { pattern.b_site_pm([i, j], ideal) };
                columns.push(self.column(Site::B, usize::from(substrate), ideal, pm, surface));
            }
        }
        self.b = ColumnGrid { width: nx + 2 * APRON, columns };
    }

    fn place_a(&mut self, pattern: &PatternField, surface: &Surface, film_rows: usize) {
        let [nx, ny] = self.size;
        let mut columns = Vec::new();
        for j in grid_range(ny + 1) {
            for i in grid_range(nx + 1) {
                let ideal = self.corner_angstrom([i, j]);
                // The plane of A sites at the interface belongs to the film.
                let substrate = j > film_rows as i64 && self.materials.len() > 1;
                let pm = if substrate { [0.0; 3] } else { pattern.a_site_pm([i, j]) };
                columns.push(self.column(Site::A, usize::from(substrate), ideal, pm, surface));
            }
        }
        self.a = ColumnGrid { width: nx + 1 + 2 * APRON, columns };
        for (number, (i, j)) in grid_range(ny + 1).flat_map(|j| grid_range(nx + 1).map(move |i| (i, j))).enumerate() {
            let layers = self.a.columns[number].layers;
            let count = self.substituted([i, j], layers).into_iter().filter(|&s| s).count();
            self.a.columns[number].dopant_fraction = count as f64 / layers as f64;
        }
    }

    fn column(&self, site: Site, material: usize, ideal: [f64; 2], pm: [f64; 3], surface: &Surface) -> SceneColumn {
        let displacement_angstrom = pm.map(|d| d / 100.0);
        SceneColumn {
            site,
            material,
            position_angstrom: [0, 1].map(|c| ideal[c] + displacement_angstrom[c]),
            displacement_angstrom,
            surroundings_angstrom: [0.0; 2],
            dopant_fraction: 0.0,
            tilt_mrad: surface.tilt_mrad(self, ideal),
            layers: surface.layers(self, ideal),
        }
    }

    /// What the other sublattice around every column looks like: its mean displacement against the column's own.
    fn find_surroundings(&mut self) {
        let [nx, ny] = self.size;
        let around = |grid: &ColumnGrid, corners: [[i64; 2]; 4]| {
            corners.map(|c| grid.columns[grid.index(c)]).iter().fold(([0.0; 2], 0.0), |(u, x), other| {
                let d = other.displacement_angstrom;
                ([u[0] + 0.25 * d[0], u[1] + 0.25 * d[1]], x + 0.25 * other.dopant_fraction)
            })
        };
        let b_places = grid_range(ny).flat_map(|j| grid_range(nx).map(move |i| [i, j]));
        for (number, [i, j]) in b_places.enumerate() {
            let (mean, fraction) = around(&self.a, [[i, j], [i + 1, j], [i, j + 1], [i + 1, j + 1]]);
            let own = &mut self.b.columns[number];
            own.surroundings_angstrom = [0, 1].map(|c| own.displacement_angstrom[c] - mean[c]);
            own.dopant_fraction = fraction;
        }
        let a_places = grid_range(ny + 1).flat_map(|j| grid_range(nx + 1).map(move |i| [i, j]));
        for (number, [i, j]) in a_places.enumerate() {
            let (mean, _) = around(&self.b, [[i - 1, j - 1], [i, j - 1], [i - 1, j], [i, j]]);
            let own = &mut self.a.columns[number];
            own.surroundings_angstrom = [0, 1].map(|c| mean[c] - own.displacement_angstrom[c]);
        }
    }
}

/// Indices along one axis, the apron included.
pub(super) fn grid_range(count: usize) -> std::ops::Range<i64> {
    -(APRON as i64)..(count + APRON) as i64
}

/// The crystal as film or bulk, and the substrate.
fn materials(settings: &SceneSettings, crystal: &Crystal) -> Result<Vec<Material>, SceneError> {
    let own = Material::new(crystal, &settings.dopant)?.doped(settings.composition)?;
    let (rows, of) = (settings.substrate_rows, settings.size_cells[1]);
    let refuse = |why| Err(SceneError::SubstrateRows { rows, of, why });
    let Some(name) = &settings.substrate else {
        return if rows > 0 { refuse("there is no scene.substrate for them; name one, such as \"srtio3\"") } else { Ok(vec![own]) };
    };
    if rows >= of {
        return refuse("nothing is left for the film; give fewer");
    }
    let unknown = || SceneError::Substrate { name: name.clone(), known: structures::names().join(", ") };
    let substrate = structures::get(name).ok_or_else(unknown)?;
    let below = Material::new(&substrate, &settings.dopant)?;
    let film = own.strained(below.edges_angstrom[0]);
    Ok(vec![film, below])
}

/// The foil: its mis-tilt and thickness everywhere.
struct Surface {
    tilt_mrad: [f64; 2],
    thickness_angstrom: f64,
    /// mrad per Å along the bending direction, and that direction.
    bend: (f64, [f64; 2]),
    /// Å per Å along the wedge, and that direction.
    wedge: (f64, [f64; 2]),
    random_mrad: Option<[Vec<f64>; 2]>,
}

impl Surface {
    fn new(settings: &SceneSettings, scene: &Scene, thickness_angstrom: f64, tilt_mrad: [f64; 2]) -> Self {
        let along = |deg: f64| [deg.to_radians().cos(), deg.to_radians().sin()];
        let extent = scene.extent_angstrom();
        let random_mrad = (settings.tilt_random_mrad > 0.0).then(|| {
            let streams = Streams::new("mistilt 2026 scene tilt", settings.seed);
            let cells = [0, 1].map(|i| 10.0 * settings.tilt_correlation_nm * scene.size[i] as f64 / extent[i]);
            let field = |number| random_field(&streams, number, scene.size, cells);
            [0, 1].map(|number| field(number).into_iter().map(|g| g * settings.tilt_random_mrad).collect())
        });
        Self {
            tilt_mrad,
            thickness_angstrom,
            bend: (settings.bend_mrad_per_nm / 10.0, along(settings.bend_azimuth_deg)),
            wedge: (settings.wedge_nm_per_nm, along(settings.wedge_azimuth_deg)),
            random_mrad,
        }
    }

    /// Refuses a foil that bends or thins too far within the scene.
    fn check(&self, scene: &Scene) -> Result<(), SceneError> {
        let [w, h] = scene.extent_angstrom();
        let corners = [[0.0, 0.0], [w, 0.0], [0.0, h], [w, h]];
        let steepest = corners.iter().flat_map(|&c| self.tilt_mrad(scene, c)).fold(0.0_f64, |m, t| m.max(t.abs()));
        if steepest > TILT_LIMIT_MRAD {
            let limit = "at most 60 mrad are simulated";
            return Err(SceneError::FieldTooLarge {
                what: "the mis-tilt",
                value: steepest,
                unit: "mrad",
                limit,
                key: "scene.bend_mrad_per_nm",
            });
        }
        let thinnest = corners.iter().map(|&c| self.thickness(scene, c)).fold(f64::INFINITY, f64::min);
        if thinnest < THINNEST_ANGSTROM {
            let limit = "at least 1 nm has to be left everywhere";
            let value = thinnest / 10.0;
            return Err(SceneError::FieldTooLarge { what: "the thickness", value, unit: "nm", limit, key: "scene.wedge_nm_per_nm" });
        }
        Ok(())
    }

    fn tilt_mrad(&self, scene: &Scene, at: [f64; 2]) -> [f64; 2] {
        let (rate, direction) = self.bend;
        let bent = rate * distance_along(scene, at, direction);
        let random = self.random_mrad.as_ref().map_or([0.0; 2], |fields| {
            let weights = scene.cells_around(at);
            [0, 1].map(|c| weights.iter().map(|&(cell, w)| w * fields[c][cell]).sum())
        });
        [0, 1].map(|c| self.tilt_mrad[c] + bent * direction[c] + random[c])
    }

    fn thickness(&self, scene: &Scene, at: [f64; 2]) -> f64 {
        let (slope, direction) = self.wedge;
        self.thickness_angstrom + slope * distance_along(scene, at, direction)
    }

    fn layers(&self, scene: &Scene, at: [f64; 2]) -> usize {
        // The apron of a wedge may go below what the scene itself was checked for.
        ((self.thickness(scene, at) / scene.layer_angstrom).round() as usize).max(1)
    }
}

/// Distance from the scene's centre along a direction, Å.
fn distance_along(scene: &Scene, at: [f64; 2], direction: [f64; 2]) -> f64 {
    let extent = scene.extent_angstrom();
    (0..2).map(|c| (at[c] - 0.5 * extent[c]) * direction[c]).sum()
}

impl Scene {
    /// The four cells around a position with bilinear weights, as places in a row-major, periodic field of one value a cell centre.
    fn cells_around(&self, at: [f64; 2]) -> [(usize, f64); 4] {
        let mut nearest = self.cell_at(at);
        for c in 0..2 {
            if at[c] < self.centre_angstrom(nearest)[c] {
                nearest[c] -= 1;
            }
        }
        let (low, high) = (self.centre_angstrom(nearest), self.centre_angstrom(nearest.map(|n| n + 1)));
        let t = [0, 1].map(|c| (at[c] - low[c]) / (high[c] - low[c]));
        let cell = |di: i64, dj: i64| {
            let [i, j] = [nearest[0] + di, nearest[1] + dj];
            (j.rem_euclid(self.size[1] as i64) as usize) * self.size[0] + i.rem_euclid(self.size[0] as i64) as usize
        };
        [
            (cell(0, 0), (1.0 - t[0]) * (1.0 - t[1])),
            (cell(1, 0), t[0] * (1.0 - t[1])),
            (cell(0, 1), (1.0 - t[0]) * t[1]),
            (cell(1, 1), t[0] * t[1]),
        ]
    }

    /// Whether every column along y is like every other: such a scene is one row of cells.
    #[must_use]
    pub fn is_uniform_along(&self, axis: usize) -> bool {
        let same = |grid: &ColumnGrid| {
            grid.columns.iter().enumerate().all(|(number, column)| {
                let first = if axis == 1 { number % grid.width } else { number / grid.width * grid.width };
                let like = &grid.columns[first];
                let close = |a: f64, b: f64| (a - b).abs() < 1e-9;
                column.material == like.material
                    && column.layers == like.layers
                    && column.displacement_angstrom.iter().zip(like.displacement_angstrom).all(|(a, b)| close(*a, b))
                    && column.tilt_mrad.iter().zip(like.tilt_mrad).all(|(a, b)| close(*a, b))
            })
        };
        self.settings.composition == 0.0 && same(&self.a) && same(&self.b)
    }

    /// The phase it is in.
    #[must_use]
    pub fn phase(&self) -> Phase {
        self.settings.phase.at(self.settings.composition)
    }
}
