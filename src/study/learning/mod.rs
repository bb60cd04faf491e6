//! Learning studies: networks trained on the images of some points and tested on the images of others, beside the column fit on the same
//! cells; every number with its confidence over repeats. Errors in pm, x right, y down.

mod answers;
mod arrange;
mod certainty;
mod records;
mod run;
mod score;
mod sheet;
mod tell;

pub use arrange::{Arrangement, Group, Row, TrainedAt};
pub use certainty::Certainty;
pub use records::LearningRecord;
pub use run::{Keep, Kept, Learnt, MOST_MAPS, NetworkInputs, PointMap, Workshop, learn};
pub use score::Score;
pub use tell::{LearningOutcome, run, step_count};
