//! The `[sweep]` table as typed: the axes, the rules that make their values, what walks together, and how often all is repeated.

use schemars::JsonSchema;
use serde::Deserialize;
use std::collections::BTreeMap;

/// What varies from point to point: the points are the product of all axes, the first slowest, the last fastest.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct SweepTable {
    /// Groups of axes that walk together instead of multiplying, such as `[["crystal.specimen_tilt_x_mrad", "crystal.specimen_tilt_y_mrad"]]`.
    /// Default: none.
    pub zip: Vec<Vec<String>>,
    /// Times that every point is computed, 1 to 1000: first with `seed` itself, then with seeds that are drawn from it. They are an axis
    /// `seed`, the fastest. Default 1.
    #[schemars(range(min = 1, max = 1000))]
    pub repeats: u32,
    /// Axes by the dotted name of the key they vary; each replaces the value that its table holds.
    pub axes: BTreeMap<String, AxisTable>,
}

impl Default for SweepTable {
    fn default() -> Self {
        Self { zip: Vec::new(), repeats: 1, axes: BTreeMap::new() }
    }
}

/// Values of an axis.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum AxisTable {
    /// Numbers, one by one.
    Numbers(Vec<f64>),
    /// Names, one by one.
    Names(Vec<String>),
    /// Switches, one by one.
    Switches(Vec<bool>),
    /// Values by a rule, or under a condition.
    Rule(Box<AxisRule>),
}

/// Values by one rule, and where they apply. What is drawn depends on the study's `seed` and on the axis' name alone; more random values keep
/// the first ones.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AxisRule {
    /// Values, one by one, where there is a `when` to give with them.
    pub values: Option<Vec<f64>>,
    /// Evenly spaced numbers: [first, last, how many], both ends included.
    pub linspace: Option<[f64; 3]>,
    /// Numbers of constant ratio: [first, last, how many], both ends included and above 0.
    pub logspace: Option<[f64; 3]>,
    /// Numbers by a step: [start, stop, step]; the stop is included when a step hits it.
    pub range: Option<[f64; 3]>,
    /// Random numbers, uniform: [lowest, highest, how many]. For a key of whole numbers they are whole and no two alike.
    pub random: Option<[f64; 3]>,
    /// Random numbers, uniform in their logarithm: [lowest, highest, how many], above 0.
    pub random_log: Option<[f64; 3]>,
    /// Random numbers, normal: [mean, standard deviation, how many].
    pub random_normal: Option<[f64; 3]>,
    /// A Latin hypercube: [lowest, highest, how many]. All such axes walk together, and each has one value in each of its equal parts.
    pub latin_hypercube: Option<[f64; 3]>,
    /// A Latin hypercube in the logarithm: [lowest, highest, how many], above 0.
    pub latin_hypercube_log: Option<[f64; 3]>,
    /// The axis varies only where other axes, which vary more slowly, have these values: `{ "simulation.phonons" = true }` or a list of values.
    /// Elsewhere the key keeps the value of its own table.
    pub when: Option<BTreeMap<String, Condition>>,
}

/// The values of an axis under which another one varies.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Condition {
    /// This number.
    Number(f64),
    /// This name.
    Name(String),
    /// This switch.
    Switch(bool),
    /// Any of these numbers.
    Numbers(Vec<f64>),
    /// Any of these names.
    Names(Vec<String>),
    /// Any of these switches.
    Switches(Vec<bool>),
}
