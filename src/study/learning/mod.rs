//! Learning studies: networks trained on the images of some points and tested on the images of others, beside the column fit on the same
//! cells; every number with its confidence over repeats. Errors in pm, x right, y down.

mod answers;
mod arrange;
mod certainty;
mod images;
mod records;
mod run;
mod score;
mod shares;
mod sheet;
mod tell;
mod train;

pub use arrange::{Arrangement, Group, Row, TrainedAt, Unit};
pub use certainty::Certainty;
pub use records::LearningRecord;
pub use run::{Learnt, MOST_MAPS, PointMap, Workshop, learn};
pub use score::Score;
pub(super) use shares::files;
pub use shares::{LearningStatus, check_merge, fingerprint, network_count, run_share, share_steps, status};
pub use tell::{LearningOutcome, run, step_count};
pub use train::{Done, Keep, Kept, NetworkInputs};

/// Stages of a learning study in the store.
pub(super) const STAGES: [&str; 2] = [shares::TRAINING, shares::NETWORK];
