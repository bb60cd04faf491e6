//! Runs a study through its store, and publishes what came of it: table, images, figures, provenance and report.

use super::compute::Images;
use super::explore::Shown;
use super::interrupt::Interrupt;
use super::measure::{self, Record};
use super::plan::{Place, Plan, Propagation};
use super::share::Share;
use super::spec::{Point, Study};
use super::store::{Draft, PROVENANCE};
use super::table::{self, Table};
use super::vault::Vault;
use super::vault_lock::Holder;
use super::work::{State, Work};
use super::{RunError, frame, setup, slurm, story};
use crate::crystal::Site;
use crate::image::{FourierImage, Image, Metadata, Raster, Truth, TruthCell, TruthColumn};
use crate::multislice::DeviceChoice;
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
pub(super) const KEPT: Field = Field { side_angstrom: 11.0, pixel_angstrom: 0.1 };

/// Where a study's results stand, who works on them, and how to make it stop.
#[derive(Debug, Clone)]
pub struct Session {
    /// The results folder.
    pub target: PathBuf,
    /// The store of stage results.
    pub store: PathBuf,
    /// This process.
    pub holder: Holder,
    /// Asks it to stop.
    pub interrupt: Interrupt,
    /// Fingerprint that the study must have: that of what was submitted.
    pub submitted: Option<String>,
}

impl Session {
    /// Results at `target`, with the store beside them.
    #[must_use]
    pub fn at(target: &Path) -> Self {
        let store = target.parent().unwrap_or(Path::new("")).join("store");
        Self { target: target.to_owned(), store, holder: Holder::of_this_process(None), interrupt: Interrupt::default(), submitted: None }
    }

    /// Refuses a study that is not the one that was submitted.
    fn check(&self, work: &Work<'_>) -> Result<(), RunError> {
        match &self.submitted {
            Some(expected) if *expected != work.fingerprint()? => Err(RunError::Changed { path: PathBuf::from(&work.study.source.name) }),
            _ => Ok(()),
        }
    }

    pub(super) fn vault(&self) -> Result<Vault, RunError> {
        Vault::open(&self.store, self.holder.clone(), self.interrupt.clone())
    }
}

/// What a run left behind.
#[derive(Debug)]
pub struct Outcome {
    /// The results folder.
    pub folder: PathBuf,
    /// All records.
    pub records: Vec<Record>,
    /// Points without records, and why.
    pub failures: Vec<PointFailure>,
    /// Points that were not computed yet; none but in a partial merge.
    pub missing: usize,
    /// Seconds.
    pub seconds: f64,
    /// Key sentences of the report.
    pub answers: Vec<String>,
    /// What the reader must not overlook.
    pub warnings: Vec<String>,
}

/// A point that could not be computed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PointFailure {
    /// Index of the point.
    pub point: usize,
    /// Stage at which it failed.
    pub stage: &'static str,
    /// Why.
    pub error: String,
}

/// Computes what the store lacks and publishes the results; `progress` counts [`steps`]. What was computed before a stop or a kill is not
/// computed again, and a point that failed is left out, with its reason in the outcome.
pub fn run(study: &Study, plan: &Plan, session: &Session, progress: &(dyn Fn(usize) + Sync)) -> Result<Outcome, RunError> {
    let start = Instant::now();
    Draft::check(&session.target)?;
    let vault = session.vault()?;
    let _lock = vault.lock_results(&session.target)?;
    let work = Work::new(study, plan, &vault, progress)?;
    // Records that turn out damaged when they are read are missing again, and made again.
    let mut rounds = 0;
    let collected = loop {
        work.fill(Share::WHOLE)?;
        let collected = Collected::read(&work)?;
        rounds += 1;
        if collected.missing == 0 || rounds == 3 {
            break collected;
        }
    };
    publish(&work, collected, &session.target, start)
}

/// Forgets the failures of earlier attempts, then runs; says how many points are tried again.
pub fn retry(study: &Study, plan: &Plan, session: &Session, progress: &(dyn Fn(usize) + Sync)) -> Result<(usize, Outcome), RunError> {
    Draft::check(&session.target)?;
    let vault = session.vault()?;
    let forgiven = Work::new(study, plan, &vault, progress)?.forgive()?;
    drop(vault);
    Ok((forgiven, run(study, plan, session, progress)?))
}

/// Computes one share into the store and publishes nothing; `progress` counts [`steps`]. Returns the failures among its points.
pub fn run_share(
    study: &Study,
    plan: &Plan,
    session: &Session,
    share: Share,
    progress: &(dyn Fn(usize) + Sync),
) -> Result<Vec<PointFailure>, RunError> {
    let vault = session.vault()?;
    let work = Work::new(study, plan, &vault, progress)?;
    session.check(&work)?;
    // To be seen at work; the same share running twice computes what the other has not taken.
    let _lock = vault.try_lock(&work.share_address(share)?)?;
    work.fill(share)?;
    let mut failures = Vec::new();
    for (index, place) in super::share::places(plan, share) {
        if let State::Failed(stage, error) = work.state(index, place)? {
            failures.push(PointFailure { point: plan.propagations[index].places[place].point, stage, error });
        }
    }
    Ok(failures)
}

/// Publishes what the shares have computed, and computes nothing but what their sums still lack. Refuses while points are missing, unless
/// `partial`.
pub fn merge(study: &Study, plan: &Plan, session: &Session, partial: bool, progress: &(dyn Fn(usize) + Sync)) -> Result<Outcome, RunError> {
    let start = Instant::now();
    Draft::check(&session.target)?;
    let vault = session.vault()?;
    let _lock = vault.lock_results(&session.target)?;
    let work = Work::new(study, plan, &vault, progress)?;
    session.check(&work)?;
    let collected = Collected::read(&work)?;
    let missing = collected.missing;
    if missing > 0 && !partial {
        let holders = vault.at_work();
        let others: Vec<String> = holders.iter().filter(|h| h.process != session.holder.process).map(Holder::sentence).collect();
        let at_work = if others.is_empty() { String::new() } else { format!(" ({} at work)", others.join(", ")) };
        return Err(RunError::Incomplete { missing, points: study.points().len(), at_work });
    }
    publish(&work, collected, &session.target, start)
}

/// Submits a study's shares and their merge to Slurm and remembers the jobs under its fingerprint.
pub fn submit(session: &Session, fingerprint: &str, request: &slurm::Request) -> Result<slurm::Submitted, RunError> {
    Draft::check(&session.target)?;
    let vault = session.vault()?;
    let submitted = request.submit()?;
    vault.keep_submission(fingerprint, &submitted)?;
    Ok(submitted)
}

/// The fingerprint of a study, without a store.
pub fn fingerprint(study: &Study, plan: &Plan, session: &Session) -> Result<String, RunError> {
    // Addresses alone: nothing is opened, nothing is written.
    let vault = Vault::closed(&session.store, session.holder.clone(), session.interrupt.clone());
    Work::new(study, plan, &vault, &|_| ())?.fingerprint()
}

/// Steps that `progress` counts: the k-points and points of a share.
#[must_use]
pub fn steps(plan: &Plan, share: Share) -> usize {
    Work::steps(plan, share)
}

/// Blocks of k-points of all propagations: no study has more shares with waves to compute.
#[must_use]
pub fn block_count(plan: &Plan) -> usize {
    super::share::blocks(plan, Share::WHOLE).len()
}

/// What the store holds of a study.
struct Collected {
    records: Vec<Record>,
    failures: Vec<PointFailure>,
    missing: usize,
}

impl Collected {
    fn read(work: &Work<'_>) -> Result<Self, RunError> {
        let mut out = Self { records: Vec::new(), failures: Vec::new(), missing: 0 };
        for (index, propagation) in work.plan.propagations.iter().enumerate() {
            for (number, place) in propagation.places.iter().enumerate() {
                if let Some(own) = work.records(index, number)? {
                    out.records.extend(own);
                } else if let State::Failed(stage, error) = work.state(index, number)? {
                    out.failures.push(PointFailure { point: place.point, stage, error });
                } else {
                    out.missing += 1;
                }
            }
        }
        out.records.sort_by_key(|r| r.point);
        out.failures.sort_by_key(|f| f.point);
        Ok(out)
    }

    fn holds(&self, point: usize) -> bool {
        self.records.binary_search_by_key(&point, |r| r.point).is_ok()
    }
}

/// Draws what was collected and puts the finished folder in its place.
fn publish(work: &Work<'_>, collected: Collected, target: &Path, start: Instant) -> Result<Outcome, RunError> {
    let (study, plan) = (work.study, work.plan);
    let draft = Draft::begin(target)?;
    let image_folder = draft.subfolder("images")?;
    let mut shown = Vec::new();
    let show = story::points_to_show(study);
    for (index, propagation) in plan.propagations.iter().enumerate() {
        let there: Vec<Place> =
            propagation.places.iter().copied().filter(|place| collected.holds(study.points()[place.point].index)).collect();
        if there.is_empty() {
            continue;
        }
        let images = work.images_again(index)?;
        for place in there {
            let point = &study.points()[place.point];
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
    let Collected { records, failures, missing } = collected;
    let table = Table::new(study, &records);
    table.write_csv(&draft.path().join("records.csv"))?;
    table.write_npz(&draft.path().join("records.npz"))?;
    if !failures.is_empty() {
        table::of_failures(study, &failures).write_csv(&draft.path().join("failures.csv"))?;
    }
    shown.sort_by_key(|s| s.point);
    let seconds = start.elapsed().as_secs_f64();
    let provenance = provenance(study, plan, &records, seconds);
    let mut told = story::tell(study, plan, &records, &shown, &incomplete(&failures, missing, study), &provenance, &draft)?;
    draft.json(PROVENANCE, &provenance)?;
    let folder = draft.publish()?;
    told.warnings.extend(work.vault.notes());
    Ok(Outcome { folder, records, failures, missing, seconds, answers: told.answers, warnings: told.warnings })
}

/// What the reader must know of points that the table lacks.
fn incomplete(failures: &[PointFailure], missing: usize, study: &Study) -> Vec<String> {
    let points = study.points().len();
    let failed = failures.first().map(|first| {
        format!(
            "{} of {points} points failed, the first, {}, because: {}. failures.csv names them all.",
            failures.len(),
            first.point,
            first.error
        )
    });
    let missing = (missing > 0).then(|| format!("{missing} of {points} points were not computed yet: these results are partial."));
    failed.into_iter().chain(missing).collect()
}

/// Runs one point of a study to its image on one detector, with its truth.
pub fn simulate(
    point: &Point,
    detector: usize,
    field: Field,
    choice: DeviceChoice,
    progress: &(dyn Fn(usize) + Sync),
) -> Result<(Image, Vec<Record>), RunError> {
    let plan = Plan::new(std::slice::from_ref(point))?.on(choice)?;
    let propagation = &plan.propagations[0];
    let images = Images::compute(propagation, progress)?;
    let place = propagation.places[0];
    let missing = || RunError::NoSuchPoint { asked: detector, points: point.config.microscope.detectors.len() };
    let image = measure::image(propagation, &images, place, point, detector).ok_or_else(missing)?;
    let mut clean = pixels(propagation, &image, place, point, detector, field).map_err(image_error(Path::new("image")))?;
    // One frame is asked for, not the statistics of many.
    let mut noiseless = point.clone();
    let camera = noiseless.config.camera.take();
    let records = measure::records(propagation, &images, place, &noiseless)?;
    let Some(camera) = &camera else { return Ok((clean, records)) };
    let sharp = measure::sharp_image(propagation, &images, place, point, detector).ok_or_else(missing)?;
    let raster = Raster::square([0.0; 2], field.side_angstrom, field.pixel_angstrom);
    let exposure = frame::expose(&sharp, point, camera, raster, 0, detector)?.with_truth(clean.truth.take().unwrap_or_default());
    let notes = exposure.image.metadata.notes.clone();
    let metadata = Metadata { notes, ..clean.metadata };
    Ok((Image { metadata, ..exposure.image }, records))
}

/// An image of a few cells in pixels, with calibration, microscope and truth.
pub(super) fn pixels(
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

/// A kept image that cannot be written.
pub(super) fn image_error(path: &Path) -> impl FnOnce(crate::image::ImageError) -> RunError {
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
        "physics_version": super::physics::PHYSICS_VERSION,
        "seconds": seconds,
        "axes": study.axes.iter().map(|axis| axis.column.as_str()).collect::<Vec<_>>(),
        "crystals": crystals,
        "overrides": study.overrides,
        "study_file": study.source.name,
        "study_text": study.source.text,
        "included": study.included.iter().map(|s| json!({ "file": s.name, "text": s.text })).collect::<Vec<_>>(),
    })
}
