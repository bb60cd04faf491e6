//! The ground truth of a scene: every column of an image with its place at each depth, every cell with its shift, tilt and composition.

use super::{Scene, SceneColumn};
use crate::crystal::Site;
use crate::image::{Raster, Truth, TruthCell, TruthColumn};
use serde::Serialize;

/// What is true of one cell.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct SceneCell {
    /// Index (i, j): column and row of the cell.
    pub index: [i32; 2],
    /// B column minus the mean of its four A columns, pm, in plane, free of mis-tilt.
    pub shift_pm: [f64; 2],
    /// The same along the beam, pm.
    pub shift_along_beam_pm: f64,
    /// Specimen tilt, mrad.
    pub tilt_mrad: [f64; 2],
    /// Thickness, nm.
    pub thickness_nm: f64,
    /// Fraction of the dopant in its four A columns.
    pub dopant_fraction: f64,
    /// 0 for the crystal, 1 for the substrate.
    pub material: usize,
}

impl Scene {
    /// Every cell of the scene, row after row.
    #[must_use]
    pub fn cells(&self) -> Vec<SceneCell> {
        let [nx, ny] = self.size.map(|n| n as i64);
        (0..ny).flat_map(|j| (0..nx).map(move |i| [i, j])).map(|cell| self.cell(cell)).collect()
    }

    fn cell(&self, [i, j]: [i64; 2]) -> SceneCell {
        let b = self.b_column([i, j]);
        let cage = self.cage([i, j]);
        let mean = |of: &dyn Fn(&SceneColumn) -> f64| cage.iter().map(|&c| of(c)).sum::<f64>() / 4.0;
        SceneCell {
            index: [i as i32, j as i32],
            shift_pm: [0, 1].map(|c| 100.0 * (b.position_angstrom[c] - mean(&|a| a.position_angstrom[c]))),
            shift_along_beam_pm: 100.0 * (b.displacement_angstrom[2] - mean(&|a| a.displacement_angstrom[2])),
            tilt_mrad: b.tilt_mrad,
            thickness_nm: b.layers as f64 * self.layer_angstrom / 10.0,
            dopant_fraction: mean(&|a| a.dopant_fraction),
            material: b.material,
        }
    }

    /// The four A columns of a cell.
    fn cage(&self, [i, j]: [i64; 2]) -> [&SceneColumn; 4] {
        [[i, j], [i + 1, j], [i, j + 1], [i + 1, j + 1]].map(|corner| self.a_column(corner))
    }

    /// The truth of an image on `raster`: the columns whose entrance lies on it, and the cells all of whose columns do. A column at
    /// corner or in cell (i, j) has that index.
    #[must_use]
    pub fn truth(&self, raster: Raster) -> Truth {
        let [nx, ny] = self.size.map(|n| n as i64);
        let on_raster = |column: &SceneColumn| raster.holds_px(raster.to_px(column.position_angstrom));
        let mut truth = Truth::default();
        for j in 0..=ny {
            for i in 0..=nx {
                truth.columns.extend(Some(self.a_column([i, j])).filter(|c| on_raster(c)).map(|c| self.tilted(c, [i, j], raster)));
            }
        }
        for j in 0..ny {
            for i in 0..nx {
                let b = self.b_column([i, j]);
                if !on_raster(b) {
                    continue;
                }
                truth.columns.push(self.tilted(b, [i, j], raster));
                if self.cage([i, j]).into_iter().all(on_raster) {
                    let cell = self.cell([i, j]);
                    truth.cells.push(TruthCell { index: cell.index, shift_pm: cell.shift_pm });
                }
            }
        }
        truth
    }

    fn tilted(&self, column: &SceneColumn, [i, j]: [i64; 2], raster: Raster) -> TruthColumn {
        let thickness = column.layers as f64 * self.layer_angstrom;
        let at = |depth: f64| raster.to_px([0, 1].map(|c| column.position_angstrom[c] + 1e-3 * column.tilt_mrad[c] * depth));
        debug_assert!(matches!(column.site, Site::A | Site::B), "a scene holds cation columns");
        TruthColumn {
            site: column.site,
            cell: [i as i32, j as i32],
            entrance_px: at(0.0),
            mean_px: at(0.5 * thickness),
            exit_px: at(thickness),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Pattern, Phase, SceneSettings};
    use super::*;
    use crate::crystal::structures;

    fn scene(settings: &SceneSettings) -> Scene {
        Scene::new(settings, &structures::get("bifeo3-r3c").unwrap(), 200.0, [3.0, 0.0]).unwrap()
    }

    fn raster(scene: &Scene) -> Raster {
        let [w, h] = scene.extent_angstrom();
        Raster { origin_angstrom: [-1.0, -1.0], pixel_angstrom: 0.2, width: (w / 0.2) as usize + 20, height: (h / 0.2) as usize + 20 }
    }

    #[test]
    fn a_uniform_scene_has_the_shift_of_its_variant_in_every_cell() {
        let scene = scene(&SceneSettings { size_cells: [5, 4], variant: 3, ..SceneSettings::default() });
        let truth = scene.truth(raster(&scene));
        assert_eq!((truth.cells.len(), truth.columns.len()), (20, 20 + 30));
        for cell in &truth.cells {
            assert!((cell.shift_pm[0] - 23.9).abs() < 0.1 && (cell.shift_pm[1] + 23.9).abs() < 0.1, "{cell:?}");
        }
    }

    #[test]
    fn a_wall_has_its_profile_in_the_cells() {
        let settings = SceneSettings { size_cells: [24, 2], pattern: Pattern::Wall71, wall_width_nm: 1.5, ..SceneSettings::default() };
        let scene = scene(&settings);
        for cell in scene.cells() {
            let s = (f64::from(cell.index[0]) + 0.5 - 12.0) * scene.column_angstrom;
            let expected = -41.3 / 3.0_f64.sqrt() * (2.0 * s / 15.0).tanh();
            assert!((cell.shift_pm[1] - expected).abs() < 0.1 && (cell.shift_pm[0] - 23.9).abs() < 0.1, "{cell:?}");
        }
    }

    #[test]
    fn tilt_and_thickness_fields_are_lines_through_the_centre() {
        let settings = SceneSettings {
            size_cells: [20, 10],
            bend_mrad_per_nm: 1.0,
            bend_azimuth_deg: 90.0,
            wedge_nm_per_nm: 0.5,
            ..SceneSettings::default()
        };
        let scene = scene(&settings);
        assert_eq!(scene.periodic, [false; 2]);
        let layer_nm = scene.layer_angstrom / 10.0;
        for cell in scene.cells() {
            let [x, y] = scene.centre_angstrom(cell.index.map(i64::from));
            let [w, h] = scene.extent_angstrom();
            assert!((cell.tilt_mrad[0] - 3.0).abs() < 1e-9);
            assert!((cell.tilt_mrad[1] - (y - h / 2.0) / 10.0).abs() < 1e-9);
            assert!((cell.thickness_nm - (20.0 + 0.5 * (x - w / 2.0) / 10.0)).abs() <= 0.51 * layer_nm);
        }
        let truth = scene.truth(raster(&scene));
        for column in truth.columns {
            let moved = (column.exit_px[0] - column.entrance_px[0]) * 0.2;
            assert!((0.4..0.8).contains(&moved), "3 mrad over 16 to 25 nm: {moved}");
            assert!((column.mean_px[0] - 0.5 * (column.exit_px[0] + column.entrance_px[0])).abs() < 1e-9);
        }
    }

    #[test]
    fn a_random_tilt_has_its_spread_and_leaves_the_scene_periodic() {
        let settings = SceneSettings { size_cells: [64, 64], tilt_random_mrad: 2.0, tilt_correlation_nm: 1.5, ..SceneSettings::default() };
        let scene = scene(&settings);
        assert_eq!(scene.periodic, [true; 2]);
        let cells = scene.cells();
        for c in 0..2 {
            let mean = [3.0, 0.0][c];
            let rms = (cells.iter().map(|cell| (cell.tilt_mrad[c] - mean).powi(2)).sum::<f64>() / cells.len() as f64).sqrt();
            assert!((rms - 2.0).abs() < 0.4, "{rms}");
        }
    }

    #[test]
    fn substitution_is_binomial_and_every_atom_its_own_draw() {
        let settings = SceneSettings { size_cells: [40, 40], composition: 0.1, ..SceneSettings::default() };
        let scene = scene(&settings);
        let layers = scene.a_column([3, 3]).layers;
        let fractions: Vec<f64> = (0..40).flat_map(|j| (0..40).map(move |i| [i, j])).map(|c| scene.a_column(c).dopant_fraction).collect();
        let n = fractions.len() as f64;
        let mean = fractions.iter().sum::<f64>() / n;
        let variance = fractions.iter().map(|f| (f - mean).powi(2)).sum::<f64>() / n;
        let expected = 0.1 * 0.9 / layers as f64;
        assert!((mean - 0.1).abs() < 5.0 * (expected / n).sqrt(), "{mean}");
        assert!((variance / expected - 1.0).abs() < 5.0 * (2.0 / n).sqrt(), "{variance} {expected}");
        assert_eq!(
            scene.substituted([3, 3], layers).iter().filter(|&&s| s).count() as f64 / layers as f64,
            scene.a_column([3, 3]).dopant_fraction
        );
        // The scene repeats, its substitution with it.
        assert_eq!(scene.a_column([40, 7]).dopant_fraction, scene.a_column([0, 7]).dopant_fraction);
        let other = Scene::new(&SceneSettings { seed: 2, ..settings.clone() }, &structures::get("bifeo3-r3c").unwrap(), 200.0, [0.0; 2]);
        assert_ne!(other.unwrap().substituted([3, 3], 40), scene.substituted([3, 3], 40));
    }

    #[test]
    fn a_film_stands_on_its_substrate_with_its_columns() {
        let settings =
            SceneSettings { size_cells: [4, 10], substrate: Some("srtio3".into()), substrate_rows: 4, ..SceneSettings::default() };
        let scene = scene(&settings);
        assert_eq!(scene.column_angstrom, scene.materials[1].edges_angstrom[0]);
        let film = scene.rows_angstrom[1];
        let below = scene.rows_angstrom[10] - scene.rows_angstrom[9];
        assert!((below - 3.905).abs() < 1e-9 && film > 4.0);
        for cell in scene.cells() {
            let polar = cell.shift_pm[0].hypot(cell.shift_pm[1]) > 1.0;
            assert_eq!(polar, cell.material == 0, "{cell:?}");
        }
        assert_eq!([6, 7].map(|j| scene.a_column([0, j]).material), [0, 1]);
        assert_eq!(scene.cell_at([1.0, scene.rows_angstrom[7] + 0.1]), [0, 7]);
        assert_eq!(scene.cell_at([-1.0, -0.1]), [-1, -1]);
    }

    #[test]
    fn antipolar_phases_shift_cells_against_one_another_and_not_on_average() {
        for phase in [Phase::Pbam, Phase::Pnma] {
            let scene = scene(&SceneSettings { size_cells: [8, 8], phase, ..SceneSettings::default() });
            assert_eq!(scene.periodic, [true; 2]);
            let cells = scene.cells();
            let mean = cells.iter().map(|c| c.shift_pm[0]).sum::<f64>() / cells.len() as f64;
            assert!(mean.abs() < 1e-9);
        }
    }

    #[test]
    fn bad_scenes_are_refused_in_words() {
        let crystal = structures::get("bifeo3-r3c").unwrap();
        let refuse = |settings: SceneSettings| Scene::new(&settings, &crystal, 200.0, [0.0; 2]).unwrap_err().to_string();
        let base = SceneSettings::default();
        assert!(refuse(SceneSettings { substrate_rows: 3, ..base.clone() }).contains("substrate"));
        assert!(refuse(SceneSettings { substrate: Some("mica".into()), substrate_rows: 3, ..base.clone() }).contains("srtio3"));
        assert!(refuse(SceneSettings { substrate: Some("srtio3".into()), substrate_rows: 16, ..base.clone() }).contains("film"));
        assert!(refuse(SceneSettings { size_cells: [400, 2], bend_mrad_per_nm: 2.0, ..base.clone() }).contains("60 mrad"));
        assert!(refuse(SceneSettings { size_cells: [400, 2], wedge_nm_per_nm: 1.0, ..base }).contains("1 nm"));
    }
}
