//! The `[dataset]` table: how many images, what is kept of them, and what varies from image to image, drawn from ranges by counters.

use super::axes;
use super::check;
use super::error::Problem;
use super::schema::{self, Kind};
use super::tree::{Node, Value};
use crate::numerics::seeds::Streams;
use rand::RngExt;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;
use std::collections::BTreeMap;

/// Labelled training data: how many images, what is kept of them, and what varies from one to the next.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct DatasetSettings {
    /// What is kept: windows cut as `[windows]` says, or whole images. Default "windows".
    pub content: DatasetContent,
    /// Images that are simulated, 1 to 10000000. Default 100.
    #[schemars(range(min = 1, max = 10_000_000))]
    pub samples: u64,
    /// Images in one file, 1 to 100000: one file is held in memory at a time. Default 20.
    #[schemars(range(min = 1, max = 100_000))]
    pub shard_samples: u32,
    /// Most windows of one image, 1 to 1000000, drawn by lot. Default: all.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub windows_per_sample: Option<u32>,
    /// What varies from image to image, by the dotted name of the key. Default: the seeds alone.
    pub vary: BTreeMap<String, DrawTable>,
}

impl Default for DatasetSettings {
    fn default() -> Self {
        Self { content: DatasetContent::Windows, samples: 100, shard_samples: 20, windows_per_sample: None, vary: BTreeMap::new() }
    }
}

/// What a dataset keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum DatasetContent {
    /// Windows with their labels.
    #[default]
    Windows,
    /// Images with their truth.
    Images,
}

/// How a value is drawn: one of the three.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct DrawTable {
    /// [lowest, highest]: any number between, all alike.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub uniform: Option<[f64; 2]>,
    /// [lowest, highest]: any number between, every factor alike; for doses.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub log_uniform: Option<[f64; 2]>,
    /// One of these.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub choice: Option<Vec<Json>>,
}

/// A value that was drawn.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Drawn {
    /// What the study file would say.
    pub(super) json: Json,
    /// As a number; the place in the list for a name.
    pub(super) number: f64,
}

impl DrawTable {
    /// The value of `key` for a sample: a function of seed, key and sample, and of nothing else.
    pub(super) fn draw(&self, key: &str, seed: u64, sample: u64) -> Drawn {
        let part: f64 = Streams::new(&format!("mistilt dataset draw of {key}"), seed).stream(sample).random();
        let whole = schema::find(key).is_some_and(|leaf| schema::kind_of(leaf) == Kind::Integer);
        let number = match (self.uniform, self.log_uniform, &self.choice) {
            (Some([low, high]), ..) if whole => low + (part * (high - low + 1.0)).floor().min(high - low),
            (Some([low, high]), ..) => low + part * (high - low),
            (_, Some([low, high]), _) => low * (high / low).powf(part),
            (_, _, Some(list)) if !list.is_empty() => {
                let place = ((part * list.len() as f64) as usize).min(list.len() - 1);
                return Drawn { number: list[place].as_f64().unwrap_or(place as f64), json: list[place].clone() };
            }
            // The checks have refused a draw that is none.
            _ => f64::NAN,
        };
        Drawn { json: if whole { Json::from(number as i64) } else { Json::from(number) }, number }
    }
}

const SHAPES: &str = "Give `{ uniform = [low, high] }`, `{ log_uniform = [low, high] }` or `{ choice = [a, b, c] }`.";

/// Checks `[dataset.vary]`: known keys, one rule each, values in the range of their key.
pub(super) fn check_vary(vary: &Node, problems: &mut Vec<Problem>) {
    let Value::Table(entries) = &vary.value else { return };
    for (key, node) in entries {
        let Some(leaf) = axes::axis_leaf(key) else {
            problems.push(axes::unknown_axis(key, node));
            continue;
        };
        let rule = match &node.value {
            Value::Table(rule) if rule.len() == 1 => &rule[0],
            _ => {
                problems.push(Problem::at(&node.place, format!("`{key}` is drawn by no rule, or by several."), "one rule", SHAPES));
                continue;
            }
        };
        let Value::List(items) = &rule.1.value else {
            problems.push(Problem::at(&rule.1.place, format!("The rule of `{key}` needs a list."), "no list", SHAPES));
            continue;
        };
        let before = problems.len();
        for item in items {
            check::value(item, leaf, key, &[], problems);
        }
        if problems.len() > before {
            continue;
        }
        let numbers: Option<Vec<f64>> = items.iter().map(|item| item.value.number()).collect();
        let fault = match (rule.0.as_str(), numbers.as_deref()) {
            ("choice", _) if items.is_empty() => Some("an empty choice"),
            ("choice", _) => None,
            ("uniform", Some([low, high])) if low < high => None,
            ("log_uniform", Some([low, high])) if 0.0 < *low && low < high => None,
            ("uniform", _) => Some("[low, high] with low below high"),
            ("log_uniform", _) => Some("[low, high] with 0 < low < high"),
            _ => Some("a rule that is not known"),
        };
        if let Some(fault) = fault {
            let message = format!("`{key}` cannot be drawn by `{}`: {fault}.", rule.0);
            problems.push(Problem::at(&node.place, message, "this rule", SHAPES));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn draws_depend_on_seed_key_and_sample_alone_and_fill_their_range() {
        let uniform = DrawTable { uniform: Some([-10.0, 10.0]), ..DrawTable::default() };
        let key = "crystal.specimen_tilt_x_mrad";
        let values: Vec<f64> = (0..4000).map(|n| uniform.draw(key, 3, n).number).collect();
        assert_eq!(values[7], uniform.draw(key, 3, 7).number);
        assert_ne!(values[7], uniform.draw(key, 4, 7).number);
        assert_ne!(values[7], uniform.draw("crystal.specimen_tilt_y_mrad", 3, 7).number);
        let mean = values.iter().sum::<f64>() / 4000.0;
        let variance = values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / 4000.0;
        assert!(mean.abs() < 0.4 && (variance / (400.0 / 12.0) - 1.0).abs() < 0.06, "{mean} {variance}");
        assert!(values.iter().all(|v| (-10.0..=10.0).contains(v)));
    }

    #[test]
    fn every_factor_of_a_logarithmic_range_is_as_likely() {
        let dose = DrawTable { log_uniform: Some([1e2, 1e4]), ..DrawTable::default() };
        let low = (0..4000).filter(|&n| dose.draw("crystal.thickness_nm", 1, n).number < 1e3).count();
        assert!((1850..2150).contains(&low), "{low}");
    }

    #[test]
    fn whole_numbers_and_choices_come_as_they_are_written() {
        let whole = DrawTable { uniform: Some([1.0, 4.0]), ..DrawTable::default() };
        let mut seen: Vec<i64> = (0..200).map(|n| whole.draw("simulation.phonon_pairs", 1, n).json.as_i64().unwrap()).collect();
        seen.sort_unstable();
        seen.dedup();
        assert_eq!(seen, [1, 2, 3, 4]);
        let names = DrawTable { choice: Some(vec!["a".into(), "b".into()]), ..DrawTable::default() };
        let drawn = names.draw("crystal.structure", 1, 0);
        assert_eq!(drawn.json, Json::from(["a", "b"][drawn.number as usize]));
    }
}
