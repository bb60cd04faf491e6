//! The `[learning]` table: what networks are trained on and tested on, how often, and what stands beside them.

use super::axes::{Axis, AxisValue};
use super::check;
use super::error::Problem;
use super::tree::Node;
use super::validate::place_of;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Networks trained and tested on the images of the study: which on which, how often, and what stands beside them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct LearningSettings {
    /// Axis across which networks are tested: one is trained at each of its values and tested at all, as a matrix, such as
    /// "scene.composition". Default: none, each point is trained and tested by itself.
    pub across: Option<String>,
    /// Values of `across` at which networks are trained. Default: all.
    pub train_at: Vec<f64>,
    /// Axes over whose every value one more network is trained together, such as tilt, thickness and defocus. Default: none.
    pub mix_over: Vec<String>,
    /// Values of `across` that the mixed network is trained on; it is tested at all. Default: all.
    pub mix_at: Vec<f64>,
    /// How often everything is repeated with other seeds (scene, noise, network), 1 to 100: the confidence intervals come from it. Default 3.
    #[schemars(range(min = 1, max = 100))]
    pub repeats: u32,
    /// Most windows that train one network, 16 to 10000000, drawn evenly from its images: networks of one and of many images have as many.
    /// Default: all.
    #[schemars(range(min = 16, max = 10_000_000))]
    pub train_windows: Option<u32>,
    /// Most windows that train the mixed network, 16 to 10000000, drawn alike. Default: `train_windows`.
    #[schemars(range(min = 16, max = 10_000_000))]
    pub mix_windows: Option<u32>,
    /// Fit the columns of every image too and report that error on the same cells. Default true.
    pub column_fit: bool,
    /// Draw maps of truth, prediction and difference for the first 12 points. Default true.
    pub maps: bool,
}

impl Default for LearningSettings {
    fn default() -> Self {
        Self {
            across: None,
            train_at: Vec::new(),
            mix_over: Vec::new(),
            mix_at: Vec::new(),
            repeats: 3,
            train_windows: None,
            mix_windows: None,
            column_fit: true,
            maps: true,
        }
    }
}

/// Tables that decide how a network sees and learns: one network cannot be tested across them.
const OF_THE_NETWORK: [&str; 3] = ["windows.", "network.", "training."];

/// What is wrong between this table and the axes.
pub(super) fn problems(learning: &LearningSettings, root: &Node, axes: &[Axis]) -> Vec<Problem> {
    let mut out = Vec::new();
    let mut add = |key: &str, message: String, label: &str, help: String| {
        out.push(Problem { message, label: label.to_owned(), help, place: place_of(root, axes, key) });
    };
    let known: Vec<&str> = axes.iter().map(|a| a.key.as_str()).collect();
    let help = |name: &str| match check::nearest(name, known.iter().copied()) {
        Some(meant) => format!("Did you mean \"{meant}\"?"),
        None if known.is_empty() => "There are none: declare one under `[sweep.axes]`.".to_owned(),
        None => format!("The axes are {}.", check::quoted(&known)),
    };
    for (key, name) in
        learning.across.iter().map(|n| ("learning.across", n)).chain(learning.mix_over.iter().map(|n| ("learning.mix_over", n)))
    {
        if !known.contains(&name.as_str()) {
            add(key, format!("\"{name}\" is no axis of the sweep."), "no axis", help(name));
        } else if OF_THE_NETWORK.iter().any(|table| name.starts_with(table)) {
            let help = "Such an axis makes other networks; leave it in the sweep, where each of its values has its own.".to_owned();
            add(key, format!("A network cannot be tested across `{name}`: it is what makes the network."), "not across", help);
        }
    }
    let across = learning.across.as_ref().and_then(|name| axes.iter().find(|a| a.key == *name));
    let values: Vec<f64> = across.map(|a| a.values.iter().filter_map(AxisValue::number).collect()).unwrap_or_default();
    for (key, asked) in [("learning.train_at", &learning.train_at), ("learning.mix_at", &learning.mix_at)] {
        if let Some(value) = asked.iter().find(|v| !values.contains(v)) {
            let help = if across.is_none() { "Name the axis with `across`.".to_owned() } else { format!("Its values are {values:?}.") };
            let name = key.trim_start_matches("learning.");
            add(key, format!("`{name}` asks for {value}, which `across` never is."), "not in the sweep", help);
        }
    }
    out
}
