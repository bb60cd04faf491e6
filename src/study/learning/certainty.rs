//! Whether the σ of a study's networks is true: every test window's prediction beside the truth, apart for conditions that the network was trained
//! on, conditions it never saw, and mixed training; pm.

use super::arrange::{Row, TrainedAt};
use super::run::PointMap;
use crate::dcnn::{Prediction, Reliability, reliability};

/// Times its own σ that a network's errors are from which on its reader is warned.
const WARNED_RATIO: f64 = 1.5;
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

    /// What the reader must not overlook of it: tests whose errors are far beyond their σ.
    #[must_use]
    pub(super) fn warning(&self) -> Option<String> {
        let curves = self.curves();
        let parts: Vec<String> = curves
            .iter()
            .filter_map(|(name, r)| {
                r.spread.filter(|s| *s > WARNED_RATIO).map(|spread| format!("{spread:.1} times their own σ for {name}"))
            })
            .collect();
        (!parts.is_empty()).then(|| format!("The networks claim to be surer than they are: errors are {}.", parts.join(", ")))
    }

    /// The kinds of tests there were whose predictions have a σ, with what it is worth.
    #[must_use]
    pub fn curves(&self) -> Vec<(&'static str, Reliability)> {
        let known = KINDS.iter().zip(&self.tests).filter_map(|(name, (p, t))| Some((*name, reliability(p, t)?)));
        known.filter(|(_, r)| !r.coverage.is_empty()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tests_that_are_surer_than_they_may_be_are_warned_of_by_kind() {
        let prediction = |mean: f32| Prediction { mean_pm: [mean; 2], aleatoric_sigma_pm: [1.0; 2], epistemic_sigma_pm: [f32::NAN; 2] };
        let all = |size: f32| ((0..40).map(|n| prediction(if n % 2 == 0 { size } else { -size })).collect(), vec![[0.0; 2]; 40]);
        let certainty = Certainty { tests: [all(1.0), all(3.0), (Vec::new(), Vec::new())] };
        assert_eq!(certainty.curves().len(), 2);
        assert!(certainty.answer().unwrap().contains("1.00 for seen conditions, 3.00 for unseen conditions"));
        assert!(certainty.warning().unwrap().contains("3.0 times their own σ for unseen conditions"));
        assert_eq!(Certainty { tests: [all(1.0), Default::default(), Default::default()] }.warning(), None);
        assert_eq!(Certainty::default().answer(), None);
    }
}
