//! Whether the σ of a study's networks is true: every test window's prediction beside the truth, apart for conditions that the network was trained
//! on, conditions it never saw, and mixed training; pm.

use super::arrange::{Row, TrainedAt};
use super::run::PointMap;
use crate::dcnn::{Prediction, Reliability, reliability};

/// What figures call the three kinds of tests.
const KINDS: [&str; 3] = ["seen conditions", "unseen conditions", "mixed training"];

/// Predictions and true displacements of the test windows of all networks and repeats, by kind of test.
#[derive(Debug, Default)]
pub struct Certainty {
    tests: [(Vec<Prediction>, Vec<[f32; 2]>); KINDS.len()],
}

impl Certainty {
    /// Takes up the test windows of one image.
    pub(super) fn add(&mut self, row: &Row, point: usize, map: &PointMap) {
        let kind = match row.trained_at {
            TrainedAt::Mixed => 2,
            _ => usize::from(!row.points.contains(&point)),
        };
        let (predictions, truths) = &mut self.tests[kind];
        for &i in &map.windows.partition.test {
            predictions.push(map.predictions[i]);
            truths.push(map.windows.truth_pm[i].map(|v| v as f32));
        }
    }

    /// What the σ is worth, in a sentence; `None` where no network predicts one.
    #[must_use]
    pub(super) fn answer(&self) -> Option<String> {
        let said = |(name, r): &(&str, Reliability)| r.spread.map(|spread| format!("{spread:.2} for {name}"));
        let parts: Vec<String> = self.curves().iter().filter_map(said).collect();
        let all = parts.join(", ");
        (!parts.is_empty()).then(|| format!("Errors over their own predicted σ (root mean square; 1 where the σ is true): {all}."))
    }

    /// The kinds of tests there were whose predictions have a σ, with what it is worth.
    #[must_use]
    pub fn curves(&self) -> Vec<(&'static str, Reliability)> {
        let known = KINDS.iter().zip(&self.tests).filter_map(|(name, (p, t))| Some((*name, reliability(p, t)?)));
        known.filter(|(_, r)| !r.coverage.is_empty()).collect()
    }
}
