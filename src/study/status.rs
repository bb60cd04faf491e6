//! How far a study is: what its store holds, what failed, who is at work, and what is left.

use super::RunError;
use super::cost::{Cost, Part};
use super::plan::Plan;
use super::run::{PointFailure, Session};
use super::slurm::Submitted;
use super::spec::Study;
use super::store::PROVENANCE;
use super::vault::Vault;
use super::vault_lock::Holder;
use super::work::{State, Work};

/// How far a study is.
#[derive(Debug, Clone, PartialEq)]
pub struct Status {
    /// Points of the study.
    pub points: usize,
    /// Points whose records are there.
    pub done: usize,
    /// Points that failed.
    pub failed: Vec<PointFailure>,
    /// What is left of each propagation.
    pub left: Vec<Left>,
    /// Processes at work in the store; some may belong to other studies.
    pub at_work: Vec<Holder>,
    /// Whether the results folder stands.
    pub published: bool,
    /// Its jobs on a cluster, if it was submitted.
    pub submitted: Option<Submitted>,
}

/// What is left of a propagation.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Left {
    /// Blocks of k-points that are summed, and all of them.
    pub blocks: (usize, usize),
    /// Points to measure.
    pub points: usize,
}

impl Status {
    /// Looks; writes nothing, and a store that is not there is one without entries.
    pub fn of(study: &Study, plan: &Plan, session: &Session) -> Result<Self, RunError> {
        let published = session.target.join(PROVENANCE).is_file();
        let points = study.points().len();
        if !Vault::stands_at(&session.store) {
            let left = |p: &super::plan::Propagation| Left { blocks: (0, super::share::block_count(p)), points: p.places.len() };
            let left = plan.propagations.iter().map(left).collect();
            return Ok(Self { points, done: 0, failed: Vec::new(), left, at_work: Vec::new(), published, submitted: None });
        }
        let vault = session.vault()?;
        let work = Work::new(study, plan, &vault, &|_| ())?;
        let (mut done, mut failed, mut left) = (0, Vec::new(), Vec::new());
        for (index, p) in plan.propagations.iter().enumerate() {
            let mut missing = 0;
            for (place, at) in p.places.iter().enumerate() {
                match work.state(index, place)? {
                    State::Done => done += 1,
                    State::Failed(stage, error) => failed.push(PointFailure { point: at.point, stage, error }),
                    State::Missing => missing += 1,
                }
            }
            left.push(Left { blocks: work.blocks_done(index)?, points: missing });
        }
        failed.sort_by_key(|f| f.point);
        let submitted = vault.submission(&work.fingerprint()?);
        Ok(Self { points, done, failed, left, at_work: vault.at_work(), published, submitted })
    }

    /// Seconds that are left for one process, by the plan's cost.
    #[must_use]
    pub fn seconds_left(&self, cost: &Cost) -> f64 {
        let part = |(left, part): (&Left, &Part)| {
            let (done, all) = left.blocks;
            // Without points to measure the waves are not needed.
            let images = if left.points == 0 { 0.0 } else { part.image_seconds * (all - done.min(all)) as f64 / all.max(1) as f64 };
            images + part.point_seconds * left.points as f64
        };
        self.left.iter().zip(&cost.parts).map(part).sum()
    }

    /// Points that are neither done nor failed.
    #[must_use]
    pub fn missing(&self) -> usize {
        self.points - self.done - self.failed.len()
    }
}
