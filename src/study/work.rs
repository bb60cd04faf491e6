//! The work of a study, stage by stage through the store: what is there is read, what is missing is made, what fails is kept with its reason.

use super::RunError;
use super::compute::{self, Images};
use super::frame::{self, Frame};
use super::measure::{self, Record};
use super::plan::{Plan, Propagation};
use super::share::{self, Share};
use super::spec::{Method, Point, Study};
use super::stages;
use super::vault::Vault;
use super::vault_entry::Address;
use super::vault_lock::Lock;
use crate::multislice::RunningSums;
use rayon::prelude::*;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

/// A propagation that takes longer keeps its sums so far this often: a kill loses a minute of work, not an hour.
const CHECKPOINT_EVERY: Duration = Duration::from_mins(1);

/// A study, its plan and its store.
pub(super) struct Work<'a> {
    pub study: &'a Study,
    pub plan: &'a Plan,
    pub vault: &'a Vault,
    /// Counts steps of [`Work::steps`].
    pub progress: &'a (dyn Fn(usize) + Sync),
    /// Of every propagation's images.
    addresses: Vec<Address>,
}

/// How far a point is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum State {
    /// Its records are in the store.
    Done,
    /// An attempt failed: at which stage, and why.
    Failed(&'static str, String),
    /// Not done yet.
    Missing,
}

impl<'a> Work<'a> {
    pub(super) fn new(study: &'a Study, plan: &'a Plan, vault: &'a Vault, progress: &'a (dyn Fn(usize) + Sync)) -> Result<Self, RunError> {
        let addresses = plan.propagations.iter().map(stages::image).collect::<Result<_, _>>()?;
        Ok(Self { study, plan, vault, progress, addresses })
    }

    /// Steps of the progress of a share: its k-points and its points.
    #[must_use]
    pub(super) fn steps(plan: &Plan, share: Share) -> usize {
        let k_points = |p: &Propagation, block: usize| match p.shared.simulation.method {
            Method::ScatteringMatrix => compute::scattering_matrix(p).block(block).len(),
            Method::Probes => p.k_points().iter().product(),
        };
        let blocks = share::blocks(plan, share);
        blocks.iter().map(|u| k_points(&plan.propagations[u.propagation], u.block)).sum::<usize>() + share::places(plan, share).len()
    }

    /// Does everything that a share has left. A point that fails is kept with its reason and the rest goes on; what stops all is an error.
    pub(super) fn fill(&self, share: Share) -> Result<(), RunError> {
        if share != Share::WHOLE {
            self.sum_own_blocks(share)?;
        }
        let places = share::places(self.plan, share);
        for of_one in places.chunk_by(|a, b| a.0 == b.0) {
            let index = of_one[0].0;
            let mut pending = Vec::new();
            for &(_, place) in of_one {
                match self.state(index, place)? {
                    State::Missing => pending.push(place),
                    State::Done | State::Failed(..) => (self.progress)(1),
                }
            }
            if pending.is_empty() {
                if share == Share::WHOLE {
                    (self.progress)(k_points(&self.plan.propagations[index]));
                }
                continue;
            }
            match attempt(|| self.images(index, share))? {
                Ok(images) => self.measure(index, &images, &pending)?,
                Err(why) => {
                    self.vault.keep_failure(&self.addresses[index], &why)?;
                    (self.progress)(pending.len());
                }
            }
        }
        Ok(())
    }

    /// How far a point is.
    pub(super) fn state(&self, index: usize, place: usize) -> Result<State, RunError> {
        let address = self.measurement(index, place)?;
        if self.vault.contains(&address) {
            return Ok(State::Done);
        }
        if let Some(why) = self.vault.failure(&address) {
            return Ok(State::Failed(stages::MEASUREMENT, why));
        }
        let image = &self.addresses[index];
        Ok(match self.vault.failure(image) {
            Some(why) if !self.vault.contains(image) => State::Failed(stages::IMAGE, why),
            _ => State::Missing,
        })
    }

    /// The records of a point, if they are there.
    pub(super) fn records(&self, index: usize, place: usize) -> Result<Option<Vec<Record>>, RunError> {
        let point = self.point(index, place).index;
        let records: Option<Vec<Record>> = self.vault.read(&self.measurement(index, place)?)?;
        // Another study may have kept them under its own number.
        Ok(records.map(|records| records.into_iter().map(|r| Record { point, ..r }).collect()))
    }

    /// Forgets the failures of all points and says how many there were.
    pub(super) fn forgive(&self) -> Result<usize, RunError> {
        let mut forgiven = 0;
        for (index, p) in self.plan.propagations.iter().enumerate() {
            for place in 0..p.places.len() {
                if matches!(self.state(index, place)?, State::Failed(..)) {
                    forgiven += 1;
                    self.vault.forgive(&self.measurement(index, place)?)?;
                }
            }
        }
        self.addresses.iter().try_for_each(|image| self.vault.forgive(image))?;
        Ok(forgiven)
    }

    /// What the study comes to, its numbers and names of points aside: a file that was changed has another.
    pub(super) fn fingerprint(&self) -> Result<String, RunError> {
        let mut hash = blake3::Hasher::new();
        for (index, p) in self.plan.propagations.iter().enumerate() {
            for (place, at) in p.places.iter().enumerate() {
                hash.update(format!("{} {}\n", at.point, self.measurement(index, place)?.key).as_bytes());
            }
        }
        Ok(hash.finalize().to_hex().to_string())
    }

    /// Of a share at work.
    pub(super) fn share_address(&self, share: Share) -> Result<Address, RunError> {
        let images: Vec<_> = self.addresses.iter().map(|a| a.key).collect();
        Address::new("share", &(images, share.to_string()))
    }

    /// Every address that the study can use, blocks and checkpoints too.
    pub(super) fn all_addresses(&self) -> Result<Vec<Address>, RunError> {
        let mut out = Vec::new();
        for (index, (p, image)) in self.plan.propagations.iter().zip(&self.addresses).enumerate() {
            out.push(stages::checkpoint(image)?);
            for block in 0..share::block_count(p) {
                out.push(stages::block(image, block)?);
            }
            for (place, shared) in p.shares_frames().into_iter().enumerate() {
                out.push(self.measurement(index, place)?);
                if shared {
                    out.extend(self.frames(index, place)?);
                }
            }
            out.push(image.clone());
        }
        Ok(out)
    }

    /// Blocks and checkpoints whose image is there.
    pub(super) fn parts_of_complete_images(&self) -> Result<Vec<Address>, RunError> {
        let mut out = Vec::new();
        for (p, image) in self.plan.propagations.iter().zip(&self.addresses).filter(|(_, image)| self.vault.contains(image)) {
            out.push(stages::checkpoint(image)?);
            for block in 0..share::block_count(p) {
                out.push(stages::block(image, block)?);
            }
        }
        Ok(out)
    }

    /// Blocks of a propagation that are summed, and all of them.
    pub(super) fn blocks_done(&self, index: usize) -> Result<(usize, usize), RunError> {
        let (p, image) = (&self.plan.propagations[index], &self.addresses[index]);
        let count = share::block_count(p);
        if self.vault.contains(image) {
            return Ok((count, count));
        }
        let in_checkpoint = self.vault.read::<RunningSums>(&stages::checkpoint(image)?)?.map_or(0, |sums| sums.blocks());
        let mut done = in_checkpoint;
        for block in in_checkpoint..count {
            done += usize::from(self.vault.contains(&stages::block(image, block)?));
        }
        Ok((done, count))
    }

    /// The images of a propagation: read, or made. Where processes share the work, each takes the blocks that no other has.
    pub(super) fn images(&self, index: usize, share: Share) -> Result<Images, RunError> {
        let (p, address) = (&self.plan.propagations[index], &self.addresses[index]);
        let alone = share == Share::WHOLE;
        loop {
            if let Some(images) = self.vault.read(address)? {
                if alone {
                    (self.progress)(k_points(p));
                }
                return Ok(images);
            }
            let matrix = p.shared.simulation.method == Method::ScatteringMatrix;
            if !alone && matrix {
                match self.take_missing_blocks(index, &(0..share::block_count(p)).collect::<Vec<_>>())? {
                    Taken::Some => continue,
                    Taken::NoneLeftToTake => {
                        self.vault.pause()?;
                        continue;
                    }
                    Taken::AllThere => {}
                }
            }
            let Some(_lock) = self.vault.try_lock(address)? else {
                self.vault.pause()?;
                continue;
            };
            if self.vault.contains(address) {
                continue;
            }
            let images = if matrix {
                let quiet: &(dyn Fn(usize) + Sync) = &|_| ();
                self.sum_all(index, if alone { self.progress } else { quiet })?
            } else {
                Images::compute(p, self.progress)?
            };
            self.vault.write(address, &images)?;
            self.remove_parts(index)?;
            return Ok(images);
        }
    }

    /// The images of a propagation whose points were measured: from the store, or, should they have been removed, computed again.
    pub(super) fn images_again(&self, index: usize) -> Result<Images, RunError> {
        let quiet = Work { progress: &|_| (), addresses: self.addresses.clone(), ..*self };
        quiet.images(index, Share::WHOLE)
    }

    fn point(&self, index: usize, place: usize) -> &Point {
        &self.study.points()[self.plan.propagations[index].places[place].point]
    }

    fn measurement(&self, index: usize, place: usize) -> Result<Address, RunError> {
        let p = &self.plan.propagations[index];
        stages::measurement(&self.addresses[index], p, p.places[place], self.point(index, place))
    }

    /// Measures points on all threads; each keeps its records as soon as it has them. Points that measure the same frames follow each other.
    fn measure(&self, index: usize, images: &Images, places: &[usize]) -> Result<(), RunError> {
        let p = &self.plan.propagations[index];
        let shared = p.shares_frames();
        let one = |&place: &usize| -> Result<(), RunError> {
            if self.vault.interrupted() {
                return Err(RunError::Interrupted);
            }
            let address = self.measurement(index, place)?;
            let kept = |channel, number, make: &dyn Fn() -> Result<Frame, RunError>| self.frame(index, place, channel, number, make);
            let source: frame::Source<'_> = if shared[place] { &kept } else { &frame::anew };
            match attempt(|| measure::records_of(p, images, p.places[place], self.point(index, place), source))? {
                Ok(records) => self.vault.write(&address, &records)?,
                Err(why) => self.vault.keep_failure(&address, &why)?,
            }
            (self.progress)(1);
            Ok(())
        };
        let mut ordered = places.to_vec();
        ordered.sort_by_key(|&place| (p.places[place].frames, place));
        let groups: Vec<&[usize]> = ordered.chunk_by(|&a, &b| p.places[a].frames == p.places[b].frames).collect();
        groups.par_iter().map(|group| group.iter().try_for_each(one)).collect::<Vec<_>>().into_iter().collect()
    }

    /// A frame that several points measure: read if it is there, else exposed and kept. Two processes may expose the same one at once: that takes
    /// less time than waiting, and they write the same bytes.
    fn frame(
        &self,
        index: usize,
        place: usize,
        channel: usize,
        number: u64,
        make: &dyn Fn() -> Result<Frame, RunError>,
    ) -> Result<Frame, RunError> {
        let p = &self.plan.propagations[index];
        let config = &self.point(index, place).config;
        let Some(address) = stages::frame(&self.addresses[index], p, p.places[place], config, channel, number)? else { return make() };
        if let Some(kept) = self.vault.read(&address)? {
            return Ok(kept);
        }
        let made = make()?;
        self.vault.write(&address, &made)?;
        Ok(made)
    }

    /// Where the frames of a point are kept, if they are.
    fn frames(&self, index: usize, place: usize) -> Result<Vec<Address>, RunError> {
        let (p, config) = (&self.plan.propagations[index], &self.point(index, place).config);
        let mut out = Vec::new();
        for channel in 0..config.microscope.detectors.len() {
            for number in 0..config.camera.as_ref().map_or(0, |c| u64::from(c.repeats)) {
                out.extend(stages::frame(&self.addresses[index], p, p.places[place], config, channel, number)?);
            }
        }
        Ok(out)
    }

    /// The image stage of a share: its blocks of every propagation that still has points to measure.
    fn sum_own_blocks(&self, share: Share) -> Result<(), RunError> {
        for units in share::blocks(self.plan, share).chunk_by(|a, b| a.propagation == b.propagation) {
            let index = units[0].propagation;
            let p = &self.plan.propagations[index];
            let mut needed = false;
            for place in 0..p.places.len() {
                needed |= self.state(index, place)? == State::Missing;
            }
            if !needed || self.vault.contains(&self.addresses[index]) {
                continue;
            }
            let blocks: Vec<usize> = units.iter().map(|u| u.block).collect();
            let outcome = attempt(|| match p.shared.simulation.method {
                Method::ScatteringMatrix => {
                    while self.take_missing_blocks(index, &blocks)? == Taken::Some {}
                    Ok(())
                }
                Method::Probes => self.images(index, share).map(drop),
            })?;
            if let Err(why) = outcome {
                self.vault.keep_failure(&self.addresses[index], &why)?;
            }
        }
        Ok(())
    }

    /// Takes some of the blocks that are missing and that no other process has, and sums them.
    fn take_missing_blocks(&self, index: usize, blocks: &[usize]) -> Result<Taken, RunError> {
        let (p, image) = (&self.plan.propagations[index], &self.addresses[index]);
        let study = compute::scattering_matrix(p);
        let mut taken: Vec<(usize, Address, Lock)> = Vec::new();
        let mut missing = 0;
        for &block in blocks {
            let address = stages::block(image, block)?;
            if self.vault.contains(&address) {
                continue;
            }
            missing += 1;
            if let Some(lock) = self.vault.try_lock(&address)? {
                taken.push((block, address, lock));
            }
            if taken.len() == study.blocks_at_once() {
                break;
            }
        }
        // Whoever finished the image removed its blocks, and whoever held a lock has written its block, before letting go.
        taken.retain(|(_, address, _)| !self.vault.contains(address));
        if missing == 0 || self.vault.contains(image) {
            return Ok(Taken::AllThere);
        }
        if taken.is_empty() {
            return Ok(Taken::NoneLeftToTake);
        }
        study.check()?;
        let mut engine = study.engine()?;
        let numbers: Vec<usize> = taken.iter().map(|(block, ..)| *block).collect();
        let sums = study.sum_blocks_or_on_cpu(&mut engine, &numbers, self.progress, &|| self.vault.interrupted())?;
        for ((_, address, _), sums) in taken.iter().zip(&sums) {
            self.vault.write(address, sums)?;
        }
        if sums.len() < taken.len() { Err(RunError::Interrupted) } else { Ok(Taken::Some) }
    }

    /// Sums all blocks in their order: from the checkpoint, from blocks that other processes left, and by computing the rest.
    fn sum_all(&self, index: usize, progress: &(dyn Fn(usize) + Sync)) -> Result<Images, RunError> {
        let (p, image) = (&self.plan.propagations[index], &self.addresses[index]);
        let study = compute::scattering_matrix(p);
        let checkpoint = stages::checkpoint(image)?;
        let mut total: RunningSums = self.vault.read(&checkpoint)?.unwrap_or_default();
        progress((0..total.blocks()).map(|b| study.block(b).len()).sum());
        study.check()?;
        let mut engine = study.engine()?;
        let mut kept = Instant::now();
        while total.blocks() < study.block_count() {
            let next = total.blocks();
            if let Some(sums) = self.vault.read(&stages::block(image, next)?)? {
                total.add(sums);
                progress(study.block(next).len());
                continue;
            }
            let mut wanted = Vec::new();
            for block in next..study.block_count().min(next + study.blocks_at_once()) {
                if self.vault.contains(&stages::block(image, block)?) {
                    break;
                }
                wanted.push(block);
            }
            let sums = study.sum_blocks_or_on_cpu(&mut engine, &wanted, progress, &|| self.vault.interrupted())?;
            let complete = sums.len() == wanted.len();
            for sums in sums {
                total.add(sums);
            }
            let due = kept.elapsed() > CHECKPOINT_EVERY && total.blocks() < study.block_count();
            if (due || !complete) && total.blocks() > 0 {
                self.vault.write(&checkpoint, &total)?;
                kept = Instant::now();
            }
            if !complete {
                return Err(RunError::Interrupted);
            }
        }
        Ok(Images::of(p, study.finish(total)))
    }

    /// Removes what led to images that are now complete.
    fn remove_parts(&self, index: usize) -> Result<(), RunError> {
        let image = &self.addresses[index];
        self.vault.remove(&stages::checkpoint(image)?)?;
        for block in 0..share::block_count(&self.plan.propagations[index]) {
            self.vault.remove(&stages::block(image, block)?)?;
        }
        Ok(())
    }
}

/// What came of looking for blocks to sum.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Taken {
    /// Some were summed; there may be more.
    Some,
    /// All that are missing are in the hands of others.
    NoneLeftToTake,
    /// None is missing.
    AllThere,
}

fn k_points(p: &Propagation) -> usize {
    p.k_points().iter().product()
}

/// Runs a piece of work whose failure must not stop the rest: an error or a panic becomes its reason; what concerns the whole run stays an
/// error.
fn attempt<T>(work: impl FnOnce() -> Result<T, RunError>) -> Result<Result<T, String>, RunError> {
    match catch_unwind(AssertUnwindSafe(work)) {
        Ok(Ok(value)) => Ok(Ok(value)),
        Ok(Err(error)) if error.stops_everything() => Err(error),
        Ok(Err(error)) => Ok(Err(error.to_string())),
        Err(panic) => {
            let said = panic.downcast_ref::<String>().map(String::as_str).or_else(|| panic.downcast_ref::<&str>().copied());
            Ok(Err(format!("a fault of mistilt: {}", said.unwrap_or("it panicked without a word"))))
        }
    }
}
