//! Runs a study: every propagation once, every point measured, results kept as table, images, figures, provenance and report.

use super::compute::Images;
use super::explore::Shown;
use super::measure::{self, Record};
use super::plan::{Place, Plan, Propagation};
use super::spec::{Point, Study};
use super::store::{Draft, PROVENANCE};
use super::story;
use super::table::Table;
use super::{RunError, setup};
use crate::crystal::Site;
use crate::image::{FourierImage, Image, Truth, TruthCell, TruthColumn};
use crate::numerics::grid::combine;
use serde_json::{Value as Json, json};
use std::path::{Path, PathBuf};
use std::time::Instant;

/// The square of an image that is turned into pixels.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Field {
    /// Side, Å.
    pub side_angstrom: f64,
    /// Pixel, Å.
    pub pixel_angstrom: f64,
}

/// Images that a study keeps: a few cells, sampled finer than the 0.1 to 0.2 Å of real scans.
const KEPT: Field = Field { side_angstrom: 11.0, pixel_angstrom: 0.1 };

/// What a run left behind.
#[derive(Debug)]
pub struct Outcome {
    /// The results folder.
    pub folder: PathBuf,
    /// All records.
    pub records: Vec<Record>,
    /// Seconds.
    pub seconds: f64,
    /// Key sentences of the report.
    pub answers: Vec<String>,
    /// What the reader must not overlook.
    pub warnings: Vec<String>,
}

/// Runs all points and publishes the results at `target`; `progress` counts steps of [`Plan::steps`].
pub fn run(study: &Study, plan: &Plan, target: &Path, progress: &(dyn Fn(usize) + Sync)) -> Result<Outcome, RunError> {
    let start = Instant::now();
    let draft = Draft::begin(target)?;
    let image_folder = draft.subfolder("images")?;
    let (mut records, mut shown) = (Vec::new(), Vec::new());
    let show = story::points_to_show(study);
    for propagation in &plan.propagations {
        let images = Images::compute(propagation, progress)?;
        for &place in &propagation.places {
            let point = &study.points()[place.point];
            records.extend(measure::records(propagation, &images, place, point)?);
            for (number, detector) in setup::detectors(&point.config.microscope).iter().enumerate() {
                let Some(image) = measure::image(propagation, &images, place, point, number) else { continue };
                let file = image_folder.join(format!("point-{:04}-{}.npy", point.index, file_name(&detector.name)));
                pixels(propagation, &image, place, point, number, KEPT).and_then(|i| i.write_npy(&file)).map_err(image_error(&file))?;
                if number == 0 && show.contains(&point.index) {
                    shown.push(Shown::new(propagation, &image, place, point));
                }
            }
        }
    }
    // Propagations gather points out of their order; the table is in the order of the study.
    records.sort_by_key(|r| r.point);
    let table = Table::new(study, &records);
    table.write_csv(&draft.path().join("records.csv"))?;
    table.write_npz(&draft.path().join("records.npz"))?;
    shown.sort_by_key(|s| s.point);
    let seconds = start.elapsed().as_secs_f64();
    let provenance = provenance(study, plan, &records, seconds);
    let told = story::tell(study, plan, &records, &shown, &provenance, &draft)?;
    draft.json(PROVENANCE, &provenance)?;
    let folder = draft.publish()?;
    Ok(Outcome { folder, records, seconds, answers: told.answers, warnings: told.warnings })
}

/// Runs one point of a study to its image on one detector, with its truth.
pub fn simulate(point: &Point, detector: usize, field: Field, progress: &(dyn Fn(usize) + Sync)) -> Result<(Image, Vec<Record>), RunError> {
    let plan = Plan::new(std::slice::from_ref(point))?;
    let propagation = &plan.propagations[0];
    let images = Images::compute(propagation, progress)?;
    let place = propagation.places[0];
    let image = measure::image(propagation, &images, place, point, detector)
        .ok_or(RunError::NoSuchPoint { asked: detector, points: point.config.microscope.detectors.len() })?;
    let records = measure::records(propagation, &images, place, point)?;
    let pixels = pixels(propagation, &image, place, point, detector, field).map_err(image_error(Path::new("image")))?;
    Ok((pixels, records))
}

/// An image of a few cells in pixels, with calibration, microscope and truth.
fn pixels(
    propagation: &Propagation,
    image: &FourierImage,
    place: Place,
    point: &Point,
    detector: usize,
    field: Field,
) -> Result<Image, crate::image::ImageError> {
    let Field { side_angstrom, pixel_angstrom } = field;
    let side = (side_angstrom / pixel_angstrom).round() as usize;
    let data = image.sample([0.0; 2], pixel_angstrom, side, side).into_iter().map(|v| v as f32).collect();
    let mut out = Image::new(side, side, data)?.with_pixel_size_pm(pixel_angstrom * 100.0)?;
    let (microscope, ring) = (&point.config.microscope, &point.config.microscope.detectors[detector]);
    out.metadata.title = Some(format!("{} point {}", propagation.specimen.crystal.0, point.index));
    out.metadata.detector_name = Some(ring.name.clone());
    out.metadata.beam_energy_kev = Some(microscope.voltage_kv);
    out.metadata.convergence_mrad = Some(microscope.convergence_mrad);
    out.metadata.detector_inner_mrad = Some(ring.inner_mrad);
    out.metadata.detector_outer_mrad = Some(ring.outer_mrad);
    out.metadata.notes = vec!["values are the fraction of the beam on the detector; x right, y down".to_owned()];
    out.truth = Some(truth(propagation, place, point, field));
    Ok(out)
}

/// The true columns of the field of view, and the true shift of every cell, by in-plane repeat.
fn truth(propagation: &Propagation, place: Place, point: &Point, field: Field) -> Truth {
    let slab = &propagation.specimen.slab;
    let thickness = propagation.specimen.stack.thickness_angstrom(propagation.exits[place.exit]);
    let tilted = slab.columns_at(point.config.crystal.specimen_tilt_mrad, thickness);
    let cells = slab.true_shift_pm().unwrap_or_default();
    let mut truth = Truth::default();
    for (i, j) in repeats(slab.in_plane_angstrom, field.side_angstrom) {
        let shift = combine(slab.in_plane_angstrom, [f64::from(i), f64::from(j)]);
        let to_px = |r: [f64; 2]| [0, 1].map(|c| (r[c] + shift[c]) / field.pixel_angstrom);
        for column in &tilted {
            let (entrance, mean, exit) = (column.entrance_angstrom, column.mean_angstrom, column.exit_angstrom);
            if inside(to_px(entrance), field) && matches!(column.site, Site::A | Site::B) {
                truth.columns.push(TruthColumn {
                    site: column.site,
                    cell: [i, j],
                    entrance_px: to_px(entrance),
                    mean_px: to_px(mean),
                    exit_px: to_px(exit),
                });
            }
        }
        if let Some(cell) = cells.first().filter(|c| inside(to_px(slab.columns[c.b_column].position_angstrom), field)) {
            truth.cells.push(TruthCell { index: [i, j], shift_pm: cell.shift_pm });
        }
    }
    truth
}

fn inside(px: [f64; 2], field: Field) -> bool {
    px.iter().all(|&p| (0.0..=field.side_angstrom / field.pixel_angstrom - 1.0).contains(&p))
}

/// In-plane repeats that can reach a square field of view.
pub(super) fn repeats(cell_angstrom: [[f64; 2]; 2], field_angstrom: f64) -> Vec<(i32, i32)> {
    let b = crate::numerics::grid::reciprocal(cell_angstrom);
    let reach = b.map(|b| ((b[0].abs() + b[1].abs()) * field_angstrom).ceil() as i32 + 1);
    (-reach[1]..=reach[1]).flat_map(|j| (-reach[0]..=reach[0]).map(move |i| (i, j))).collect()
}

/// A detector's name as part of a file name.
fn file_name(name: &str) -> String {
    name.chars().map(|c| if c.is_ascii_alphanumeric() || c == '-' { c } else { '_' }).collect()
}

fn image_error(path: &Path) -> impl FnOnce(crate::image::ImageError) -> RunError {
    let path = path.to_owned();
    move |error| RunError::Disk { path, source: std::io::Error::other(error) }
}

/// Where the numbers come from: program, machine, seeds, and the study as read.
fn provenance(study: &Study, plan: &Plan, records: &[Record], seconds: f64) -> Json {
    let mut engines: Vec<&str> = records.iter().map(|r| r.engine.as_str()).collect();
    engines.dedup();
    let mut seeds: Vec<u64> = records.iter().map(|r| r.seed).collect();
    seeds.dedup();
    let mut crystals: Vec<Json> =
        plan.propagations.iter().map(|p| json!({ "name": p.specimen.crystal.0, "source": p.specimen.crystal.1 })).collect();
    crystals.dedup();
    json!({
        "program": format!("mistilt {}", env!("CARGO_PKG_VERSION")),
        "commit": env!("MISTILT_COMMIT"),
        "compiler": env!("MISTILT_RUSTC"),
        "engines": engines,
        "threads": rayon::current_num_threads(),
        "seeds": seeds,
        "points": study.points().len(),
        "propagations": plan.propagations.len(),
        "seconds": seconds,
        "crystals": crystals,
        "overrides": study.overrides,
        "study_file": study.source.name,
        "study_text": study.source.text,
        "included": study.included.iter().map(|s| json!({ "file": s.name, "text": s.text })).collect::<Vec<_>>(),
    })
}
