//! The images that a report shows: a few in a row for paper, and many behind a slider along the main axis.

use super::figures::{main_axis, other_axes};
use super::measure::{self, Record};
use super::plan::{Place, Propagation};
use super::run::repeats;
use super::spec::{Point, Study};
use super::sweep::SEED;
use super::wording::{label, label_value, plain, short};
use super::{Axis, AxisValue};
use crate::crystal::Site;
use crate::image::FourierImage;
use crate::numerics::grid::combine;
use crate::report::{ColumnMark, Explorer, Found, Frame, ImagePanel, ImageRow, MOST_FRAMES, Marker, Pixels, Width};
use std::collections::BTreeMap;

/// Field of view of the images, Å.
const FIELD_ANGSTROM: f64 = 8.0;
/// Pixel of the images on paper, and of those behind the slider (an ADF image holds nothing finer than twice this), Å.
const PAPER_PIXEL_ANGSTROM: f64 = 0.05;
const SLIDER_PIXEL_ANGSTROM: f64 = 0.1;
/// Where the images start, Å: an A column stands at the origin of the cell, and none should stand on the edge.
const ORIGIN_ANGSTROM: [f64; 2] = [-1.0, -1.0];
/// Stops of the slider at most.
const MOST_STOPS: usize = 41;

/// An image to show, with what was found in it.
#[derive(Debug, Clone)]
pub(super) struct Shown {
    /// Index of the point.
    pub point: usize,
    panel: ImagePanel,
    pixels: Pixels,
    truth: Vec<Marker>,
    /// The columns that each estimator found, by its name.
    found: Vec<(&'static str, Vec<Marker>)>,
}

impl Shown {
    /// Samples the image and marks the columns that the estimators find, and where the columns enter the specimen.
    #[must_use]
    pub(super) fn new(propagation: &Propagation, image: &FourierImage, place: Place, point: &Point) -> Self {
        let slab = &propagation.specimen.slab;
        let of_site = |i: usize, a, b| if slab.columns[i].site == Site::A { a } else { b };
        let truth: Vec<_> = slab
            .columns
            .iter()
            .enumerate()
            .map(|(i, column)| (column.position_angstrom, of_site(i, ColumnMark::TrueA, ColumnMark::TrueB)))
            .collect();
        let found_by = |&estimator| {
            let columns = measure::measured_columns(propagation, image, place, point, estimator).into_iter();
            let marks = columns.map(|f| (f.position_angstrom, of_site(f.column, ColumnMark::FittedA, ColumnMark::FittedB)));
            (estimator.name(), marks.collect::<Vec<_>>())
        };
        let found: Vec<_> = point.config.measure.estimators.iter().map(found_by).collect();
        let markers = |columns: &[([f64; 2], ColumnMark)], pixel| repeated(columns, slab.in_plane_angstrom, pixel);
        let mut on_paper = markers(&truth, PAPER_PIXEL_ANGSTROM);
        on_paper.extend(found.first().map(|(_, columns)| markers(columns, PAPER_PIXEL_ANGSTROM)).unwrap_or_default());
        let pixels = pixels(image, PAPER_PIXEL_ANGSTROM);
        Self {
            point: point.index,
            panel: ImagePanel { title: String::new(), pixels, markers: on_paper, arrows: Vec::new() },
            pixels: self::pixels(image, SLIDER_PIXEL_ANGSTROM),
            truth: markers(&truth, SLIDER_PIXEL_ANGSTROM),
            found: found.iter().map(|(name, columns)| (*name, markers(columns, SLIDER_PIXEL_ANGSTROM))).collect(),
        }
    }
}

fn pixels(image: &FourierImage, pixel_angstrom: f64) -> Pixels {
    let side = (FIELD_ANGSTROM / pixel_angstrom) as usize;
    let values = image.sample(ORIGIN_ANGSTROM, pixel_angstrom, side, side).into_iter().map(|v| v as f32).collect();
    Pixels { values, width: side, height: side, pixel_size_pm: pixel_angstrom * 100.0 }
}

/// Marks at all repeats of some columns within the field of view.
fn repeated(columns: &[([f64; 2], ColumnMark)], cell_angstrom: [[f64; 2]; 2], pixel_angstrom: f64) -> Vec<Marker> {
    let last = FIELD_ANGSTROM / pixel_angstrom - 1.0;
    let mut out = Vec::new();
    for (i, j) in repeats(cell_angstrom, FIELD_ANGSTROM) {
        let shift = combine(cell_angstrom, [f64::from(i), f64::from(j)]);
        for &(position, kind) in columns {
            let [x_px, y_px] = [0, 1].map(|c| (position[c] + shift[c] - ORIGIN_ANGSTROM[c]) / pixel_angstrom);
            if [x_px, y_px].iter().all(|p| (0.0..=last).contains(p)) {
                out.push(Marker { x_px, y_px, kind });
            }
        }
    }
    out
}

/// The slider's way through the study.
struct Walk {
    /// The main axis and the indices of its values at the stops.
    x: usize,
    stops: Vec<usize>,
    /// Axes that can be chosen, one a group; the others stand at one value.
    chosen: Vec<usize>,
}

impl Walk {
    /// Stops along the main axis, and as many other axes to choose from as the page can hold; `None` without a numeric main axis.
    fn new(study: &Study) -> Option<Self> {
        let x = main_axis(study)?;
        let n = study.axes[x].values.len();
        let stops: Vec<usize> = if n <= MOST_STOPS {
            (0..n).collect()
        } else {
            (0..MOST_STOPS).map(|i| (i * (n - 1) + (MOST_STOPS - 1) / 2) / (MOST_STOPS - 1)).collect()
        };
        let (mut chosen, mut frames) = (Vec::new(), stops.len());
        for axis in other_axes(study, x) {
            let more = frames * choices(&study.axes[axis]).len();
            if more <= MOST_FRAMES {
                chosen.push(axis);
                frames = more;
            }
        }
        Some(Self { x, stops, chosen })
    }

    /// The stop of a point and its place among the choices; `None` where the slider does not come by.
    fn place(&self, study: &Study, point: &Point) -> Option<(usize, Vec<usize>)> {
        let index = |axis: usize| study.axes[axis].values.iter().position(|v| *v == point.values[axis].1);
        let x = index(self.x)?;
        let stop = self.stops.iter().position(|&s| s == x)?;
        let rests = |axis: usize| {
            let (own, value) = (&study.axes[axis], &point.values[axis].1);
            let walks = own.group == study.axes[self.x].group || self.chosen.iter().any(|&c| study.axes[c].group == own.group);
            walks || *value == AxisValue::Idle || Some(value) == resting(own)
        };
        let idle = |axis: usize| study.axes[axis].values.len();
        (0..study.axes.len())
            .all(rests)
            .then(|| (stop, self.chosen.iter().map(|&axis| index(axis).unwrap_or_else(|| idle(axis))).collect()))
    }
}

/// Where an axis stands that cannot be chosen: its last value, or the first repeat.
fn resting(axis: &Axis) -> Option<&AxisValue> {
    if axis.key == SEED { axis.values.first() } else { axis.values.last() }
}

/// The choices of an axis; one under a condition may also be idle.
fn choices(axis: &Axis) -> Vec<String> {
    let idle = (!axis.when.is_empty()).then_some(AxisValue::Idle);
    axis.values.iter().chain(idle.as_ref()).map(short).collect()
}

/// The points whose images are shown, in a row or behind the slider.
#[must_use]
pub(super) fn points_to_show(study: &Study) -> Vec<usize> {
    let Some(walk) = Walk::new(study) else { return study.points().iter().take(1).map(|p| p.index).collect() };
    let mut out = points_on_paper(study);
    out.extend(study.points().iter().filter(|p| walk.place(study, p).is_some()).map(|p| p.index));
    out.sort_unstable();
    out.dedup();
    out
}

/// The points whose images stand in a row: along the main axis at the asked values, everything else at one value.
fn points_on_paper(study: &Study) -> Vec<usize> {
    let Some(x) = main_axis(study) else { return study.points().iter().take(1).map(|p| p.index).collect() };
    let axis = &study.axes[x];
    let wanted: Vec<usize> = if study.report.images_at.is_empty() {
        let n = axis.values.len();
        let mut ends = vec![0, n / 2, n - 1];
        ends.dedup();
        ends
    } else {
        study.report.images_at.iter().filter_map(|v| axis.values.iter().position(|n| n.number() == Some(*v))).collect()
    };
    let chosen = |p: &&Point| {
        study.axes.iter().enumerate().all(|(i, other)| {
            let value = &p.values[i].1;
            if i == x {
                wanted.iter().any(|&w| axis.values[w] == *value)
            } else {
                other.group == axis.group || *value == AxisValue::Idle || resting(other) == Some(value)
            }
        })
    };
    study.points().iter().filter(chosen).map(|p| p.index).collect()
}

/// The row of images for paper, and its caption; `None` where no image was kept.
pub(super) fn image_row(study: &Study, shown: &[Shown]) -> Option<(ImageRow, String)> {
    let on_paper = points_on_paper(study);
    let title_of = |s: &Shown| match main_axis(study) {
        Some(x) => label_value(&study.axes[x], &study.points()[s.point].values[x].1),
        None => String::new(),
    };
    // More would be too narrow to see a column in.
    const MOST_PANELS: usize = 5;
    let kept = shown.iter().filter(|s| on_paper.binary_search(&s.point).is_ok()).take(MOST_PANELS);
    let panels: Vec<ImagePanel> = kept.map(|s| ImagePanel { title: title_of(s), ..s.panel.clone() }).collect();
    if panels.is_empty() {
        return None;
    }
    let estimator = study.points().first().map_or("", |p| p.config.measure.estimators[0].name());
    let caption = format!(
        "Images along the main axis, all other axes at their last value. Filled marks: columns found by the {} estimator; open marks: where \
         the columns enter the specimen. x right, y down.",
        plain(estimator)
    );
    let row = ImageRow {
        title: "Simulated images with their columns".to_owned(),
        panels,
        width: Width::Double,
        intensity_label: Some("Fraction of the beam".to_owned()),
        share_contrast: true,
        ..ImageRow::default()
    };
    Some((row, caption))
}

/// The slider with its images; `None` where there is nothing to slide through.
pub(super) fn explorer(study: &Study, records: &[Record], shown: &[Shown]) -> Option<Explorer> {
    let walk = Walk::new(study).filter(|walk| walk.stops.len() > 1)?;
    let mut by_point: BTreeMap<usize, Vec<&Record>> = BTreeMap::new();
    for r in records {
        by_point.entry(r.point).or_default().push(r);
    }
    let mut estimators: Vec<&'static str> = Vec::new();
    for (name, _) in shown.iter().flat_map(|s| &s.found) {
        if !estimators.contains(name) {
            estimators.push(name);
        }
    }
    let frame = |s: &Shown| {
        let point = &study.points()[s.point];
        let (stop, choices) = walk.place(study, point)?;
        let detector = &point.config.microscope.detectors[0].name;
        let found = |name: &&'static str| {
            let record = by_point.get(&s.point).and_then(|own| own.iter().find(|r| r.estimator == *name && r.detector == *detector));
            Found {
                markers: s.found.iter().find(|(own, _)| own == name).map(|(_, marks)| marks.clone()).unwrap_or_default(),
                measured_pm: record.and_then(|r| r.measured_pm.as_ref().ok().copied()),
                true_pm: record.map_or([0.0; 2], |r| r.true_pm),
            }
        };
        let found = estimators.iter().map(found).collect();
        Some(Frame { stop, choices, pixels: s.pixels.clone(), truth: s.truth.clone(), found })
    };
    let frames: Vec<Frame> = shown.iter().filter_map(frame).collect();
    let axis = &study.axes[walk.x];
    (!frames.is_empty()).then(|| Explorer {
        caption: format!(
            "Images of the detector {} with the columns that the estimator finds. The contrast is one along the slider. x right, y down.",
            study.points()[0].config.microscope.detectors[0].name
        ),
        slider: label(axis),
        stops: walk.stops.iter().map(|&i| short(&axis.values[i])).collect(),
        choices: walk.chosen.iter().map(|&i| (label(&study.axes[i]), choices(&study.axes[i]))).collect(),
        estimators: estimators.into_iter().map(plain).collect(),
        frames,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    fn study(sweep: &str) -> Study {
        let text = format!(
            "name = \"x\"\n[crystal]\nstructure = \"bifeo3-r3c\"\nthickness_nm = 5\n[microscope]\nvoltage_kv = 300\nconvergence_mrad = 25\n\
             [[microscope.detectors]]\nname = \"haadf\"\ninner_mrad = 60\nouter_mrad = 100\n{sweep}\n"
        );
        Study::parse("x.toml", &text, Path::new(""), &[]).unwrap_or_else(|error| panic!("{error}"))
    }

    #[test]
    fn the_slider_takes_the_axes_that_fit_and_rests_elsewhere() {
        let study = study(
            "[sweep]\nrepeats = 2\n[sweep.axes]\n'crystal.specimen_tilt_x_mrad' = { linspace = [-10, 10, 21] }\n'crystal.thickness_nm' = [5, 10, 20]\n\
             'microscope.defocus_nm' = { linspace = [0, 9, 10] }",
        );
        let walk = Walk::new(&study).unwrap();
        assert_eq!((walk.stops.len(), walk.chosen.as_slice()), (21, [1].as_slice()), "63 images; ten defoci would make 630");
        let show = points_to_show(&study);
        assert_eq!(show.len(), 63);
        for &i in &show {
            let values = &study.points()[i].values;
            assert_eq!((values[2].1.number(), values[3].1.number()), (Some(9.0), Some(1.0)), "the last defocus, the first repeat");
        }
        assert_eq!(points_on_paper(&study).len(), 3);
    }

    #[test]
    fn idle_points_have_their_place_and_a_study_without_numbers_shows_its_first_image() {
        let conditional = study(
            "[sweep.axes]\n'simulation.phonons' = [false, true]\n'crystal.specimen_tilt_x_mrad' = [0, 5]\n\
             'microscope.defocus_nm' = { values = [1, 2], when = { 'simulation.phonons' = true } }",
        );
        let walk = Walk::new(&conditional).unwrap();
        let places: Vec<_> = conditional.points().iter().map(|p| walk.place(&conditional, p).unwrap()).collect();
        assert_eq!(places.len(), 2 + 2 * 2);
        assert_eq!(places[0], (0, vec![0, 2]), "idle stands behind the two values");
        assert_eq!(points_to_show(&study("[sweep.axes]\n'simulation.phonons' = [false, true]")), [0]);
    }
}
