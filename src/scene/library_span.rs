//! The ranges that scenes ask of a library, and the axes that cover them; pm, mrad, Å of defocus, layers of cells.
//!
//! An axis along which nothing varies holds the one value, and costs nothing. Values are on round numbers otherwise, so that scenes of one kind
//! share a library.

use super::{LibraryAxes, Scene};

/// Step of the tilt axes, mrad.
const TILT_STEP_MRAD: f64 = 4.0;
/// Step of the defocus axis, Å. Two beams of an aperture of 25 mrad at 300 kV turn against each other once in 63 Å at most.
const DEFOCUS_STEP_ANGSTROM: f64 = 10.0;
/// Step of the thickness axis, layers: the channelling of a heavy column beats over some ten layers.
const LAYER_STEP: usize = 2;
/// A displacement may exceed the outermost value of its axis by this factor.
const STRETCH: f64 = 1.1;
/// Above this fraction of dopant somewhere, the composition axis spans all.
const DILUTE: f64 = 0.35;
/// The doped value of the composition axis below that.
const DOPED: f64 = 0.2;

/// Lowest and highest.
type Range = (f64, f64);

/// What the columns of one material range over, in one scene or several.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LibrarySpan {
    /// Displacement of B against A that counts as the material's own, pm.
    own_pm: f64,
    pub(super) displacement_pm: [Range; 2],
    height_pm: Range,
    pub(super) richest: f64,
    pub(super) tilt_mrad: [Range; 2],
    pub(super) defocus_angstrom: Range,
    pub(super) layers: Range,
}

const NOTHING: Range = (f64::INFINITY, f64::NEG_INFINITY);

fn with(range: Range, value: f64) -> Range {
    (range.0.min(value), range.1.max(value))
}

fn joined(a: Range, b: Range) -> Range {
    (a.0.min(b.0), a.1.max(b.1))
}

impl LibrarySpan {
    /// The ranges of one material of a scene that is seen at a defocus; `None` where the scene does not hold it.
    #[must_use]
    pub fn of(scene: &Scene, material: usize, defocus_angstrom: f64) -> Option<Self> {
        let mut span = Self {
            own_pm: scene.materials.get(material)?.displacement_pm,
            displacement_pm: [NOTHING; 2],
            height_pm: NOTHING,
            richest: 0.0,
            tilt_mrad: [NOTHING; 2],
            defocus_angstrom: (defocus_angstrom, defocus_angstrom),
            layers: NOTHING,
        };
        for column in scene.a.columns.iter().chain(&scene.b.columns).filter(|c| c.material == material) {
            for c in 0..2 {
                span.displacement_pm[c] = with(span.displacement_pm[c], 100.0 * column.surroundings_angstrom[c]);
                span.tilt_mrad[c] = with(span.tilt_mrad[c], column.tilt_mrad[c]);
            }
            span.richest = span.richest.max(column.dopant_fraction);
            span.layers = with(span.layers, column.layers as f64);
        }
        let b = scene.b.columns.iter().filter(|c| c.material == material);
        span.height_pm = b.fold(NOTHING, |range, c| with(range, 100.0 * c.displacement_angstrom[2]));
        (span.layers != NOTHING).then_some(span)
    }

    /// The ranges of both.
    #[must_use]
    pub fn joined(&self, other: &Self) -> Self {
        let pair = |a: [Range; 2], b: [Range; 2]| [joined(a[0], b[0]), joined(a[1], b[1])];
        Self {
            own_pm: self.own_pm,
            displacement_pm: pair(self.displacement_pm, other.displacement_pm),
            height_pm: joined(self.height_pm, other.height_pm),
            richest: self.richest.max(other.richest),
            tilt_mrad: pair(self.tilt_mrad, other.tilt_mrad),
            defocus_angstrom: joined(self.defocus_angstrom, other.defocus_angstrom),
            layers: joined(self.layers, other.layers),
        }
    }

    /// Axes that cover the ranges.
    #[must_use]
    pub fn axes(&self) -> LibraryAxes {
        let [displacement_x_pm, displacement_y_pm] = self.displacement_pm.map(|range| displacement_axis(range, self.own_pm));
        let [tilt_x_mrad, tilt_y_mrad] = self.tilt_mrad.map(|range| stepped(range, TILT_STEP_MRAD));
        let (low, high) = self.height_pm;
        LibraryAxes {
            displacement_x_pm,
            displacement_y_pm,
            displacement_z_pm: if high - low < 1e-6 { high } else { 0.0 },
            composition: match self.richest {
                0.0 => vec![0.0],
                x if x <= DILUTE => vec![0.0, DOPED],
                _ => vec![0.0, 0.5, 1.0],
            },
            tilt_x_mrad,
            tilt_y_mrad,
            defocus_angstrom: stepped(self.defocus_angstrom, DEFOCUS_STEP_ANGSTROM),
            layers: layer_axis(self.layers.0 as usize, self.layers.1 as usize),
        }
    }

    /// Whether the ranges lie within the axes; where not, which does not.
    pub(super) fn lies_within(&self, axes: &LibraryAxes) -> Result<(), String> {
        let within = |values: &[f64], (from, to): Range, slack: f64, what: &str| {
            let (low, high) = (values.first().copied().unwrap_or(0.0), values.last().copied().unwrap_or(0.0));
            let reach = if values.len() > 1 { slack } else { 1.0 };
            if from >= (low * reach).min(low) - 1e-3 && to <= high * reach + 1e-3 {
                Ok(())
            } else {
                Err(format!("{what} from {from} to {to}, where it has {low} to {high}"))
            }
        };
        let layers: Vec<f64> = axes.layers.iter().map(|&n| n as f64).collect();
        within(&axes.displacement_x_pm, self.displacement_pm[0], STRETCH, "displacements along x (pm)")?;
        within(&axes.displacement_y_pm, self.displacement_pm[1], STRETCH, "displacements along y (pm)")?;
        let dilute = if axes.composition.len() == 2 { DILUTE / DOPED } else { 1.0 };
        within(&axes.composition, (0.0, self.richest), dilute, "compositions")?;
        within(&axes.tilt_x_mrad, self.tilt_mrad[0], 1.0, "tilts along x (mrad)")?;
        within(&axes.tilt_y_mrad, self.tilt_mrad[1], 1.0, "tilts along y (mrad)")?;
        within(&axes.defocus_angstrom, self.defocus_angstrom, 1.0, "defoci (Å)")?;
        within(&layers, self.layers, 1.0, "layers")
    }
}

fn displacement_axis((low, high): Range, own_pm: f64) -> Vec<f64> {
    if high - low < 1e-3 {
        return vec![0.5 * (low + high)];
    }
    let largest = high.max(-low);
    let per_axis = own_pm / 3.0_f64.sqrt();
    let of_the_phase = [1.0, 2.0, 3.0].map(|n: f64| per_axis * n.sqrt()).into_iter().find(|d| STRETCH * d >= largest && *d > 1.0);
    let reach = of_the_phase.unwrap_or_else(|| 5.0 * (largest / 5.0).ceil());
    vec![-reach, 0.0, reach]
}

/// Multiples of the step from below the lowest to above the highest.
fn stepped((low, high): Range, step: f64) -> Vec<f64> {
    if high - low < 1e-6 {
        return vec![0.5 * (low + high)];
    }
    let (first, last) = ((low / step).floor() as i64, (high / step).ceil() as i64);
    // A parabola at least.
    let last = last.max(first + 2);
    (first..=last).map(|n| n as f64 * step).collect()
}

fn layer_axis(thinnest: usize, thickest: usize) -> Vec<usize> {
    if thinnest == thickest {
        return vec![thinnest];
    }
    let (first, last) = (thinnest / LAYER_STEP, thickest.div_ceil(LAYER_STEP));
    let last = last.max(first + 2);
    (first..=last).map(|n| (n * LAYER_STEP).max(1)).collect()
}

#[cfg(test)]
mod tests {
    use super::super::{Pattern, SceneSettings};
    use super::*;
    use crate::crystal::structures;

    fn scene(settings: &SceneSettings) -> Scene {
        Scene::new(settings, &structures::get("bifeo3-r3c").unwrap(), 100.0, [2.0, 0.0]).unwrap()
    }

    #[test]
    fn axes_hold_one_value_where_nothing_varies() {
        let axes = LibrarySpan::of(&scene(&SceneSettings::default()), 0, 30.0).unwrap().axes();
        assert_eq!(axes.nodes(), 1);
        assert_eq!((axes.tilt_x_mrad[0], axes.layers[0]), (2.0, 25));
        assert!((axes.displacement_x_pm[0] - 23.9).abs() < 0.1);
    }

    #[test]
    fn a_bent_wedge_with_a_wall_spans_its_ranges_on_round_numbers() {
        let settings = SceneSettings {
            size_cells: [30, 4],
            pattern: Pattern::Wall71,
            bend_mrad_per_nm: 1.0,
            wedge_nm_per_nm: 0.5,
            composition: 0.05,
            ..SceneSettings::default()
        };
        let scene = scene(&settings);
        let axes = LibrarySpan::of(&scene, 0, 0.0).unwrap().axes();
        assert_eq!(axes.displacement_x_pm.len(), 1);
        assert_eq!(axes.displacement_y_pm.len(), 3);
        assert_eq!(axes.composition, [0.0, 0.2]);
        assert!(axes.tilt_x_mrad.len() > 3 && axes.tilt_x_mrad.iter().all(|t| t % 4.0 == 0.0));
        assert!(axes.layers.first().unwrap() < &20 && axes.layers.last().unwrap() > &30);
        let span = LibrarySpan::of(&scene, 0, 0.0).unwrap();
        assert!(span.lies_within(&axes).is_ok());
        let narrow = LibraryAxes { tilt_x_mrad: vec![0.0], ..axes.clone() };
        assert!(span.lies_within(&narrow).unwrap_err().contains("tilts along x"));
    }

    #[test]
    fn the_span_of_several_scenes_covers_each() {
        let scenes = [[-3.0, 1.0], [5.0, 1.0]]
            .map(|tilt| Scene::new(&SceneSettings::default(), &structures::get("bifeo3-r3c").unwrap(), 100.0, tilt).unwrap());
        let spans = [LibrarySpan::of(&scenes[0], 0, -5.0).unwrap(), LibrarySpan::of(&scenes[1], 0, 25.0).unwrap()];
        let all = spans[0].joined(&spans[1]);
        let axes = all.axes();
        assert_eq!(axes.tilt_x_mrad, [-4.0, 0.0, 4.0, 8.0]);
        assert_eq!(axes.tilt_y_mrad, [1.0]);
        assert_eq!(axes.defocus_angstrom, [-10.0, 0.0, 10.0, 20.0, 30.0]);
        assert!(spans.iter().chain([&all]).all(|s| s.lies_within(&axes).is_ok()));
        let near = axes.around(&spans[1]);
        assert_eq!((near.defocus_angstrom.as_slice(), near.tilt_x_mrad.len()), (&[0.0, 10.0, 20.0, 30.0][..], 4));
        assert!(all.lies_within(&spans[0].axes()).unwrap_err().contains("tilts along x"));
        assert!(LibrarySpan::of(&scenes[0], 1, 0.0).is_none());
    }
}
