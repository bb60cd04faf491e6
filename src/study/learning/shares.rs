//! A learning study over several processes: each trains its share of the networks into the store, where the whole study then finds them.
//!
//! The key of a network holds its windows, which are known once its images are made. What is done is therefore told by marks, under what the
//! windows follow from; a mark names the network, or says why there is none.

use super::super::run::Session;
use super::super::share::Share;
use super::super::slurm::Submitted;
use super::super::spec::PointConfig;
use super::super::store::PROVENANCE;
use super::super::vault::Vault;
use super::super::vault_entry::Address;
use super::super::vault_lock::Holder;
use super::super::{RunError, Study};
use super::arrange::{Arrangement, Unit};
use super::images::{Images, steps};
use super::run::Workshop;
use super::train;
use crate::dcnn::NETWORK_VERSION;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::path::PathBuf;

/// Stage of the marks.
pub(super) const TRAINING: &str = "training";
/// Stage of the networks.
pub(super) const NETWORK: &str = "network";

/// What a training left.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Mark {
    /// Key of the network.
    pub(super) network: Option<String>,
    /// Why there is none.
    pub(super) refusal: Option<String>,
}

#[derive(Serialize)]
struct MarkInputs<'a> {
    version: u32,
    points: Vec<&'a PointConfig>,
    repeat: u32,
    most: Option<u32>,
}

/// Where the mark of a training stands.
pub(super) fn mark(study: &Study, unit: Unit<'_>) -> Result<Address, RunError> {
    let points = unit.points.iter().map(|&p| &study.points()[p].config).collect();
    let inputs = MarkInputs { version: NETWORK_VERSION, points, repeat: unit.repeat, most: train::most(study, unit) };
    Address::new(TRAINING, &inputs)
}

fn arrangement(study: &Study) -> (Arrangement, u32) {
    let settings = study.learning.clone().unwrap_or_default();
    (Arrangement::new(study, &settings), settings.repeats)
}

/// Networks of all repeats.
#[must_use]
pub fn network_count(study: &Study) -> usize {
    let (arrangement, repeats) = arrangement(study);
    arrangement.units(repeats).len()
}

/// What identifies a learning study whatever its results are called: its trainings and how they are tested.
pub fn fingerprint(study: &Study) -> Result<String, RunError> {
    let (arrangement, repeats) = arrangement(study);
    let mut hash = blake3::Hasher::new();
    for unit in arrangement.units(repeats) {
        hash.update(format!("{}\n", mark(study, unit)?.key).as_bytes());
    }
    hash.update(serde_json::to_string(&study.learning).unwrap_or_default().as_bytes());
    Ok(hash.finalize().to_hex().to_string())
}

/// Refuses a study that is not the one that was submitted.
fn check(study: &Study, session: &Session) -> Result<(), RunError> {
    match &session.submitted {
        Some(expected) if *expected != fingerprint(study)? => Err(RunError::Changed { path: PathBuf::from(&study.source.name) }),
        _ => Ok(()),
    }
}

/// The trainings of a share, in the order of the study; one on many images weighs as much as they do.
fn of_share<'a>(units: &'a [Unit<'a>], share: Share) -> &'a [Unit<'a>] {
    &units[share.of(&units.iter().map(|u| u.points.len() as f64).collect::<Vec<_>>())]
}

/// Steps that the progress of a share counts: k-points of the libraries, images and networks.
pub fn share_steps(study: &Study, share: Share) -> Result<usize, RunError> {
    let (arrangement, repeats) = arrangement(study);
    let units = arrangement.units(repeats);
    let mine = of_share(&units, share);
    let images: BTreeSet<(u32, usize)> = mine.iter().flat_map(|u| u.points.iter().map(|&p| (u.repeat, p))).collect();
    Ok(steps(study)? + images.len() + mine.len())
}

/// Trains one share of the networks into the store and publishes nothing. Returns why trainings of it failed.
pub fn run_share(study: &Study, session: &Session, share: Share, progress: &(dyn Fn(usize) + Sync)) -> Result<Vec<String>, RunError> {
    let vault = session.vault()?;
    check(study, session)?;
    let (arrangement, repeats) = arrangement(study);
    let units = arrangement.units(repeats);
    let mine = of_share(&units, share);
    // To be seen at work; the same share running twice finds what the other has trained.
    let _lock = vault.try_lock(&Address::new("share", &(fingerprint(study)?, share.to_string()))?)?;
    let mut left = Vec::new();
    for unit in mine {
        if vault.contains(&mark(study, *unit)?) {
            progress(1);
        } else {
            left.push(*unit);
        }
    }
    if !left.is_empty() {
        let images = Images::prepare(study, &vault, progress)?;
        images.with_workshop(study, &vault, progress, |workshop| train_all(study, &left, workshop))?;
    }
    let marks = mine.iter().map(|unit| vault.read::<Mark>(&mark(study, *unit)?));
    Ok(marks.collect::<Result<Vec<_>, _>>()?.into_iter().flatten().filter_map(|m| m.refusal).collect())
}

/// Trains some networks, repeat after repeat, on no more images than they need.
fn train_all(study: &Study, units: &[Unit<'_>], workshop: &Workshop<'_>) -> Result<(), RunError> {
    for part in units.chunk_by(|a, b| a.repeat == b.repeat) {
        let points: BTreeSet<usize> = part.iter().flat_map(|u| u.points).copied().collect();
        let sheets = train::sheets(study, points.into_iter(), part[0].repeat, workshop)?;
        for unit in part {
            // Why a training failed is in its mark.
            let _ = train::network(study, &sheets, *unit, workshop)?;
        }
    }
    Ok(())
}

/// How far a learning study is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LearningStatus {
    /// Networks of all repeats.
    pub networks: usize,
    /// Those that are trained, or cannot be.
    pub done: usize,
    /// Why some cannot be.
    pub refused: Vec<String>,
    /// Processes at work in the store; some may belong to other studies.
    pub at_work: Vec<Holder>,
    /// Whether the results folder stands.
    pub published: bool,
    /// Its jobs on a cluster, if it was submitted.
    pub submitted: Option<Submitted>,
}

/// Looks how far a study is; writes nothing, and a store that is not there is one without entries.
pub fn status(study: &Study, session: &Session) -> Result<LearningStatus, RunError> {
    let (arrangement, repeats) = arrangement(study);
    let units = arrangement.units(repeats);
    let published = session.target.join(PROVENANCE).is_file();
    let mut status =
        LearningStatus { networks: units.len(), done: 0, refused: Vec::new(), at_work: Vec::new(), published, submitted: None };
    if Vault::stands_at(&session.store) {
        let vault = session.vault()?;
        for unit in units {
            if let Some(mark) = vault.read::<Mark>(&mark(study, unit)?)? {
                status.done += 1;
                status.refused.extend(mark.refusal);
            }
        }
        status.at_work = vault.at_work();
        status.submitted = vault.submission(&fingerprint(study)?);
    }
    Ok(status)
}

/// Refuses to go on while networks are missing: a merge trains none.
pub fn check_merge(study: &Study, session: &Session) -> Result<(), RunError> {
    check(study, session)?;
    let status = status(study, session)?;
    let missing = status.networks - status.done;
    if missing == 0 {
        return Ok(());
    }
    let others: Vec<String> = status.at_work.iter().filter(|h| h.process != session.holder.process).map(Holder::sentence).collect();
    let at_work = if others.is_empty() { String::new() } else { format!(" ({} at work)", others.join(", ")) };
    Err(RunError::Untrained { missing, networks: status.networks, at_work })
}

/// The files of a study in its store: marks, and the networks that they name.
pub(in super::super) fn files(study: &Study, vault: &Vault) -> Result<BTreeSet<PathBuf>, RunError> {
    let (arrangement, repeats) = arrangement(study);
    let mut out = BTreeSet::new();
    for unit in arrangement.units(repeats) {
        let address = mark(study, unit)?;
        let network = vault.read::<Mark>(&address)?.and_then(|m| m.network);
        out.extend(network.map(|key| vault.path_of(NETWORK, &key)));
        out.insert(vault.path(&address));
    }
    Ok(out)
}
