//! Images of a learning study on demand, and the workshop that trains on them and keeps its networks in a store.

use super::super::frames::{Frames, FramesPlan};
use super::super::spec::PointConfig;
use super::super::vault::{LIBRARIES, Vault};
use super::super::vault_entry::Address;
use super::super::{RunError, Study};
use super::run::Workshop;
use super::shares::{Mark, NETWORK, mark};
use serde_bytes::ByteBuf;
use std::cell::RefCell;
use std::sync::atomic::{AtomicUsize, Ordering};

/// What all images of a study share: libraries of the responses of its columns.
pub(super) struct Images(Frames);

fn settings(study: &Study) -> impl Iterator<Item = (PointConfig, u64)> {
    let repeats = study.learning.as_ref().map_or(1, |l| u64::from(l.repeats));
    study.points().iter().flat_map(move |p| (0..repeats).map(move |n| (p.config.clone(), n)))
}

/// Steps that the libraries take.
pub(super) fn steps(study: &Study) -> Result<usize, RunError> {
    Ok(FramesPlan::new(settings(study))?.steps())
}

impl Images {
    /// Computes the libraries, or reads those that the store keeps. One process computes, others that ask for the same wait.
    pub(super) fn prepare(study: &Study, vault: &Vault, progress: &(dyn Fn(usize) + Sync)) -> Result<Self, RunError> {
        let plan = FramesPlan::new(settings(study))?;
        let steps = plan.steps();
        let configs: Vec<&PointConfig> = study.points().iter().map(|p| &p.config).collect();
        let _one = vault.wait(&Address::new("libraries", &configs)?)?;
        let told = AtomicUsize::new(0);
        let count = |n: usize| {
            told.fetch_add(n, Ordering::Relaxed);
            progress(n);
        };
        let frames = plan.make(Some(&vault.root().join(LIBRARIES)), &count)?;
        // What was kept took no steps.
        progress(steps.saturating_sub(told.load(Ordering::Relaxed)));
        Ok(Self(frames))
    }

    /// Runs `work` in a workshop that keeps networks in the store and marks the trainings that are over.
    pub(super) fn with_workshop<T>(
        &self,
        study: &Study,
        vault: &Vault,
        progress: &dyn Fn(usize),
        work: impl FnOnce(&Workshop<'_>) -> Result<T, RunError>,
    ) -> Result<T, RunError> {
        let stopped = || if vault.interrupted() { Err(RunError::Interrupted) } else { Ok(()) };
        let last: RefCell<Option<String>> = RefCell::new(None);
        work(&Workshop {
            frame: &|point, repeat| stopped().and_then(|()| self.0.image(&point.config, u64::from(repeat))),
            keep: &|inputs, make| {
                stopped()?;
                // As bytes, not as a list of numbers.
                let (bytes, epochs): (ByteBuf, usize) =
                    vault.get_or_make(NETWORK, inputs, || make().map(|(bytes, epochs)| (ByteBuf::from(bytes), epochs)))?;
                *last.borrow_mut() = Some(Address::new(NETWORK, inputs)?.key.to_string());
                Ok((bytes.into_vec(), epochs))
            },
            done: &|unit, refusal| {
                let network = last.borrow_mut().take().filter(|_| refusal.is_none());
                vault.write(&mark(study, unit)?, &Mark { network, refusal: refusal.map(str::to_owned) })
            },
            progress,
        })
    }
}
