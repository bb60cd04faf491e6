//! The plan of a study: which points share one propagation, before anything runs.

use super::spec::{Method, Point, TiltRaster};
use super::{RunError, compute, frame, setup};
use crate::microscope::AnnularDetector;
use crate::multislice::{Device, DeviceChoice, Illumination, Setting, beam_tilt};
use crate::specimen::FrozenPhonons;
use std::collections::BTreeMap;

/// Where a point's image lies in its propagation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// Index into the points given to the plan.
    pub point: usize,
    /// Index into [`Propagation::illuminations`].
    pub illumination: usize,
    /// Index into [`Propagation::exits`].
    pub exit: usize,
    /// Index into [`Propagation::places`] of the first point that measures the same frames of the camera, as points that differ in window or
    /// estimator do: its own for one that shares them with none before it.
    pub frames: usize,
}

/// Points that one propagation of waves serves: they differ only in tilt, thickness, probe, detectors, source size or estimators.
#[derive(Debug, Clone)]
pub struct Propagation {
    /// The specimen.
    pub specimen: setup::Specimen,
    /// Numerics.
    pub setting: Setting,
    /// The setting of its first point, for what all share.
    pub shared: super::spec::PointConfig,
    /// Start of the k-point raster, 1/Å.
    pub raster_origin: [f64; 2],
    /// What computes it.
    pub device: Device,
    /// Distinct tilts and probes.
    pub illuminations: Vec<Illumination>,
    /// Distinct exit slices, ascending.
    pub exits: Vec<usize>,
    /// Distinct detectors.
    pub detectors: Vec<AnnularDetector>,
    /// The points.
    pub places: Vec<Place>,
}

/// All propagations of a study, in the order of their first points.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The propagations.
    pub propagations: Vec<Propagation>,
}

impl Plan {
    /// Groups points by what they share; refuses angles, counters and crystals that the run would refuse.
    pub fn new(points: &[Point]) -> Result<Self, RunError> {
        let mut keys: Vec<String> = Vec::new();
        let mut propagations: Vec<Propagation> = Vec::new();
        for (index, point) in points.iter().enumerate() {
            if point.config.scene.is_some() {
                return Err(RunError::HasScene);
            }
            let key = shared_key(point);
            let number = if let Some(number) = keys.iter().position(|k| *k == key) {
                number
            } else {
                propagations.push(Propagation::new(point)?);
                keys.push(key);
                keys.len() - 1
            };
            propagations[number].add(index, point);
        }
        propagations.iter_mut().for_each(Propagation::sort_exits);
        for p in &mut propagations {
            p.share_frames(points);
        }
        propagations.iter().try_for_each(compute::check)?;
        Ok(Self { propagations })
    }

    /// The same plan on the devices that were asked for; without this it is the processor.
    pub fn on(mut self, choice: DeviceChoice) -> Result<Self, RunError> {
        for p in &mut self.propagations {
            p.device = setup::device(&p.shared.simulation, choice)?;
        }
        Ok(self)
    }

    /// Steps of the progress bar: one a Bloch class of every propagation.
    #[must_use]
    pub fn steps(&self) -> usize {
        self.propagations.iter().map(|p| p.k_points().iter().product::<usize>()).sum()
    }
}

/// What must agree for two points to share waves.
fn shared_key(point: &Point) -> String {
    let config = &point.config;
    let mut crystal = config.crystal.clone();
    crystal.thickness_nm = 0.0;
    let own_tilt = config.simulation.method == Method::Probes || config.simulation.tilt_raster == TiltRaster::Shifted;
    if !own_tilt {
        crystal.specimen_tilt_mrad = [0.0; 2];
    }
    let shared = (config.seed, crystal, config.microscope.voltage_kv, &config.simulation);
    // Plain numbers and names always serialize; Debug stands in should they ever not.
    serde_json::to_string(&shared).unwrap_or_else(|_| format!("{shared:?}"))
}

impl Propagation {
    fn new(point: &Point) -> Result<Self, RunError> {
        let config = &point.config;
        let specimen = setup::specimen(&config.crystal, &config.simulation)?;
        let setting = setup::setting(config, &specimen)?;
        let [nx, ny] = config.simulation.k_points.map(|n| n as usize);
        if nx % specimen.period != 0 || ny % specimen.period != 0 {
            return Err(crate::multislice::MultisliceError::PeriodDoesNotDivide { period: specimen.period, nx, ny }.into());
        }
        let raster_origin = match config.simulation.tilt_raster {
            TiltRaster::Shared => [0.0; 2],
            TiltRaster::Shifted => beam_tilt(config.crystal.specimen_tilt_mrad, setting.beam),
        };
        let (illuminations, exits, detectors, places) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        let device = setup::device(&config.simulation, DeviceChoice::Cpu)?;
        Ok(Self { specimen, setting, shared: config.clone(), raster_origin, device, illuminations, exits, detectors, places })
    }

    fn add(&mut self, index: usize, point: &Point) {
        let config = &point.config;
        let probe = setup::probe(&config.microscope);
        let illumination =
            find_or_push(&mut self.illuminations, Illumination { specimen_tilt_mrad: config.crystal.specimen_tilt_mrad, probe });
        let exit = find_or_push(&mut self.exits, self.specimen.stack.slices_for(config.crystal.thickness_nm * 10.0));
        for detector in setup::detectors(&config.microscope) {
            find_or_push(&mut self.detectors, detector);
        }
        self.places.push(Place { point: index, illumination, exit, frames: self.places.len() });
    }

    /// Finds the points that measure the same frames.
    fn share_frames(&mut self, points: &[Point]) {
        let mut first: BTreeMap<(u64, [usize; 2]), usize> = BTreeMap::new();
        for (number, place) in self.places.iter_mut().enumerate() {
            if let Some(frames) = frame::identity(&points[place.point].config) {
                place.frames = *first.entry(frames).or_insert(number);
            }
        }
    }

    /// Which places measure frames that another measures too.
    #[must_use]
    pub(super) fn shares_frames(&self) -> Vec<bool> {
        let mut users = vec![0_usize; self.places.len()];
        self.places.iter().for_each(|p| users[p.frames] += 1);
        self.places.iter().map(|p| users[p.frames] > 1).collect()
    }

    fn sort_exits(&mut self) {
        let mut sorted = self.exits.clone();
        sorted.sort_unstable();
        for place in &mut self.places {
            let count = self.exits[place.exit];
            place.exit = sorted.partition_point(|&n| n < count);
        }
        self.exits = sorted;
    }

    /// The work of all waves, in pixel-slices: what shares are cut by, the same on every machine.
    #[must_use]
    pub(super) fn work(&self) -> f64 {
        // A transmission function costs about as much as some forty steps of one wave.
        const TRANSMISSION: f64 = 40.0;
        let configurations = self.k_points().iter().product::<usize>() as f64 * self.phonons().map_or(1.0, |p| 2.0 * p.1 as f64);
        let slices = self.exits.last().copied().unwrap_or(0) as f64;
        configurations * slices * self.setting.grid.len() as f64 * (self.waves() + TRANSMISSION)
    }

    /// Bloch offsets of the propagated cell: the phonon period takes its share of the supercell.
    #[must_use]
    pub fn k_points(&self) -> [usize; 2] {
        self.shared.simulation.k_points.map(|n| n as usize / self.specimen.period)
    }

    /// Source of displacements and pairs a k-point.
    #[must_use]
    pub fn phonons(&self) -> Option<(FrozenPhonons, usize)> {
        self.shared.simulation.phonons.map(|p| (FrozenPhonons::new(self.shared.seed), p.pairs as usize))
    }

    /// Waves a Bloch class needs at most: beams of the union of all apertures, or the probes of one image.
    #[must_use]
    pub fn waves(&self) -> f64 {
        let area = crate::numerics::grid::area(self.setting.grid.cell_angstrom).abs();
        let radius = self.illuminations.iter().map(|i| i.probe.radius()).fold(0.0, f64::max);
        if self.shared.simulation.method == Method::Probes {
            let cell = self.setting.grid.cell_angstrom.map(crate::numerics::grid::norm);
            return cell.iter().map(|a| 2.0 * (2.0 * radius * a).ceil() + 1.0).product::<f64>() * self.illuminations.len() as f64;
        }
        // The union of the discs, by counting the cells of a fine raster around them.
        let step = radius / 16.0;
        let centres: Vec<[f64; 2]> = self.illuminations.iter().map(|i| beam_tilt(i.specimen_tilt_mrad, i.probe.beam)).collect();
        let mut cells: Vec<(i64, i64)> = Vec::new();
        for c in &centres {
            let (i0, j0) = ((c[0] / step) as i64, (c[1] / step) as i64);
            for (i, j) in (-18..=18).flat_map(|i| (-18..=18).map(move |j| (i0 + i, j0 + j))) {
                if (i as f64 * step - c[0]).hypot(j as f64 * step - c[1]) <= radius {
                    cells.push((i, j));
                }
            }
        }
        cells.sort_unstable();
        cells.dedup();
        cells.len() as f64 * step * step * area
    }
}

fn find_or_push<T: PartialEq>(list: &mut Vec<T>, item: T) -> usize {
    list.iter().position(|known| *known == item).unwrap_or_else(|| {
        list.push(item);
        list.len() - 1
    })
}
