//! The shape of a network as a value: blocks of 3×3 convolutions with pooling between them, global pooling, and a head that gives mean
//! and variance of the polarization; and the list of its parameters.

use super::DcnnError;
use serde::{Deserialize, Serialize};

/// What given layers, weights and training settings come to; raised when that changes, so that no kept network is taken for another.
pub const NETWORK_VERSION: u32 = 2;
/// Smallest window a network takes, px.
pub const SMALLEST_WINDOW_PX: usize = 8;
/// Largest window, px.
pub const LARGEST_WINDOW_PX: usize = 256;
/// Slope of hidden layers below zero (Maas et al., ICML 2013): the few units of a head all read features that are never negative, so one step
/// can push all of them below zero, and with a slope of none they would stay there and the network would give the mean for ever.
pub(super) const LEAK: f32 = 0.1;
/// Most parameters of one network: 64 million, a quarter of a gigabyte.
const MOST_PARAMETERS: usize = 1 << 26;

/// A network that maps a window to the polarization displacement (Px, Py).
///
/// `window → [convolutions 3×3 + bias + ReLU, pooling 2×2] × blocks → global pooling → hidden layers + leaky ReLU → outputs`; there
/// is no pooling behind the last block.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Architecture {
    /// The blocks from the window on.
    pub blocks: Vec<Block>,
    /// What halves the image between two blocks.
    pub pooling: Pooling,
    /// What joins the last image into one number a channel.
    pub global_pooling: GlobalPooling,
    /// Widths of the hidden layers of the head; may be empty.
    pub hidden: Vec<usize>,
    /// What comes out.
    pub head: Head,
}

/// Convolutions of one size.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Block {
    /// Output channels of each of its convolutions.
    pub channels: usize,
    /// How many there are, one after the other.
    pub convolutions: usize,
}

/// How four pixels become one between blocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Pooling {
    /// The largest of the four.
    #[default]
    Max,
    /// Their mean.
    Average,
}

/// How the last image becomes one number a channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum GlobalPooling {
    /// The mean over the image: where in the window a feature stands does not matter.
    #[default]
    Average,
    /// The largest value.
    Max,
    /// No pooling: every pixel is an input of the head, which knows where it stands.
    Flatten,
}

/// What the network gives for a window.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Head {
    /// Mean and variance of Px and Py.
    #[default]
    MeanAndVariance,
    /// Px and Py alone.
    Mean,
}

impl Default for Architecture {
    fn default() -> Self {
        Self::named("small").unwrap_or_else(|| unreachable!("`small` is the first of the presets"))
    }
}

impl Architecture {
    /// Names of the architectures that ship, the default first.
    pub const NAMES: [&'static str; 3] = ["small", "large", "atomai-regressor"];

    /// An architecture that ships.
    ///
    /// `small`: 49 thousand parameters, four blocks of one convolution. `large`: 0.3 million, four blocks of two. `atomai-regressor`: a
    /// baseline laid out as the regressor of `AtomAI` (Ziatdinov et al., Nat. Mach. Intell. 4 (2022) 1101; `RegressorNet` in
    /// `atomai/nets/reg_cls.py`, whose default backbone is `MobileNet`) is with its VGG backbone: blocks
    /// of 1, 1, 2, 2, 2 convolutions that double their channels (Simonyan and Zisserman, arXiv:1409.1556, configuration A), maximum
    /// pooling, the mean over the image, one linear layer to (Px, Py); here with a quarter of the channels, since the images have one
    /// and not three, and with no batch normalisation.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        let blocks = |list: &[(usize, usize)]| list.iter().map(|&(channels, convolutions)| Block { channels, convolutions }).collect();
        let (pooling, global_pooling) = (Pooling::Max, GlobalPooling::Average);
        let ours = |list: &[(usize, usize)], hidden: usize| Self {
            blocks: blocks(list),
            pooling,
            global_pooling,
            hidden: vec![hidden],
            head: Head::MeanAndVariance,
        };
        match name {
            "small" => Some(ours(&[(16, 1), (32, 1), (48, 1), (64, 1)], 32)),
            "large" => Some(ours(&[(32, 2), (48, 2), (64, 2), (96, 2)], 64)),
            "atomai-regressor" => Some(Self {
                blocks: blocks(&[(16, 1), (32, 1), (64, 2), (128, 2), (128, 2)]),
                pooling,
                global_pooling,
                hidden: Vec::new(),
                head: Head::Mean,
            }),
            _ => None,
        }
    }

    /// Numbers that come out for a window: 4 (means of x and y, logarithms of their variances) or 2.
    #[must_use]
    pub fn outputs(&self) -> usize {
        match self.head {
            Head::MeanAndVariance => 4,
            Head::Mean => 2,
        }
    }

    /// Layers and parameters for windows of `size_px`.
    ///
    /// # Errors
    /// [`DcnnError::Architecture`] says which number is out of its range.
    pub(super) fn plan(&self, size_px: usize) -> Result<Plan, DcnnError> {
        let refuse = |reason: String| Err(DcnnError::Architecture { reason });
        if !(SMALLEST_WINDOW_PX..=LARGEST_WINDOW_PX).contains(&size_px) {
            return refuse(format!("windows of {size_px} px: a network takes {SMALLEST_WINDOW_PX} to {LARGEST_WINDOW_PX} px"));
        }
        if !(1..=6).contains(&self.blocks.len()) {
            return refuse(format!("{} blocks: give 1 to 6", self.blocks.len()));
        }
        if size_px >> (self.blocks.len() - 1) == 0 {
            return refuse(format!("{} blocks halve a window of {size_px} px to nothing: take fewer", self.blocks.len()));
        }
        if self.hidden.len() > 4 || self.hidden.iter().any(|n| !(1..=4096).contains(n)) {
            return refuse(format!("hidden layers of {:?}: give at most 4 of 1 to 4096", self.hidden));
        }
        if let Some(block) = self.blocks.iter().find(|b| !(1..=512).contains(&b.channels) || !(1..=4).contains(&b.convolutions)) {
            let Block { channels, convolutions } = block;
            return refuse(format!("a block of {convolutions} convolutions to {channels} channels: give 1 to 4 and 1 to 512"));
        }
        let plan = Plan::new(self, size_px);
        let total = plan.parameter_count();
        if total > MOST_PARAMETERS {
            return refuse(format!("{total} parameters: at most {MOST_PARAMETERS} are trained"));
        }
        Ok(plan)
    }

    /// Number of parameters for windows of `size_px`.
    ///
    /// # Errors
    /// [`DcnnError::Architecture`] if the network cannot be built for such windows.
    pub fn parameter_count(&self, size_px: usize) -> Result<usize, DcnnError> {
        self.plan(size_px).map(|plan| plan.parameter_count())
    }
}

/// A convolution of a [`Plan`].
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Convolution {
    /// Side of its input and output, px.
    pub(super) side: usize,
    pub(super) inputs: usize,
    pub(super) outputs: usize,
    /// Whether a 2×2 pooling follows.
    pub(super) pooled: bool,
}

/// A fully connected layer of a [`Plan`].
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Dense {
    pub(super) inputs: usize,
    pub(super) outputs: usize,
    /// Whether a leaky ReLU follows, of slope [`LEAK`] below zero.
    pub(super) leaky: bool,
}

/// One parameter tensor: its name, shape and place among all parameters. Shapes are `PyTorch`'s: `[outputs, inputs, 3, 3]`,
/// `[outputs, inputs]`, `[outputs]`.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Parameter {
    pub(super) name: String,
    pub(super) shape: Vec<usize>,
    pub(super) start: usize,
}

impl Parameter {
    pub(super) fn range(&self) -> std::ops::Range<usize> {
        self.start..self.start + self.shape.iter().product::<usize>()
    }

    /// Whether it is a bias: it starts at zero and does not decay.
    pub(super) fn is_bias(&self) -> bool {
        self.shape.len() == 1
    }
}

/// An architecture laid out for windows of one size.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Plan {
    pub(super) size_px: usize,
    pub(super) pooling: Pooling,
    pub(super) global_pooling: GlobalPooling,
    pub(super) outputs: usize,
    pub(super) convolutions: Vec<Convolution>,
    pub(super) dense: Vec<Dense>,
    /// Weights and bias of every convolution, then of every dense layer.
    pub(super) parameters: Vec<Parameter>,
}

impl Plan {
    fn new(architecture: &Architecture, size_px: usize) -> Self {
        let mut plan = Self {
            size_px,
            pooling: architecture.pooling,
            global_pooling: architecture.global_pooling,
            outputs: architecture.outputs(),
            convolutions: Vec::new(),
            dense: Vec::new(),
            parameters: Vec::new(),
        };
        let (mut side, mut inputs) = (size_px, 1);
        let last = architecture.blocks.len() - 1;
        for (b, block) in architecture.blocks.iter().enumerate() {
            for c in 0..block.convolutions {
                let pooled = c + 1 == block.convolutions && b < last;
                plan.add(&format!("blocks.{b}.{c}"), &[block.channels, inputs, 3, 3]);
                plan.convolutions.push(Convolution { side, inputs, outputs: block.channels, pooled });
                inputs = block.channels;
            }
            side >>= usize::from(b < last);
        }
        let pixels = if architecture.global_pooling == GlobalPooling::Flatten { side * side } else { 1 };
        inputs *= pixels;
        let widths: Vec<usize> = architecture.hidden.iter().copied().chain([plan.outputs]).collect();
        for (layer, &outputs) in widths.iter().enumerate() {
            plan.add(&format!("head.{layer}"), &[outputs, inputs]);
            plan.dense.push(Dense { inputs, outputs, leaky: layer < architecture.hidden.len() });
            inputs = outputs;
        }
        plan
    }

    fn add(&mut self, layer: &str, shape: &[usize]) {
        for (name, shape) in [("weight", shape.to_vec()), ("bias", vec![shape[0]])] {
            let start = self.parameter_count();
            self.parameters.push(Parameter { name: format!("{layer}.{name}"), shape, start });
        }
    }

    pub(super) fn parameter_count(&self) -> usize {
        self.parameters.last().map_or(0, |p| p.range().end)
    }

    /// Weights and bias of a convolution.
    pub(super) fn convolution_parameters(&self, index: usize) -> [&Parameter; 2] {
        [&self.parameters[2 * index], &self.parameters[2 * index + 1]]
    }

    /// Weights and bias of a dense layer.
    pub(super) fn dense_parameters(&self, index: usize) -> [&Parameter; 2] {
        self.convolution_parameters(self.convolutions.len() + index)
    }

    /// Side of the image before global pooling, px.
    pub(super) fn last_side(&self) -> usize {
        self.convolutions.last().map_or(self.size_px, |c| c.side)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_architectures_that_ship_fit_every_window_they_promise() {
        for name in Architecture::NAMES {
            let architecture = Architecture::named(name).unwrap();
            for size in [8, 9, 20, 32, 48, 64] {
                match architecture.plan(size) {
                    Ok(plan) => assert!(plan.last_side() >= 1),
                    Err(error) => assert!(name == "atomai-regressor" && size < 16, "{name} at {size} px: {error}"),
                }
            }
        }
        let small = Architecture::default().parameter_count(32).unwrap();
        assert!((45_000..55_000).contains(&small), "{small}");
    }

    #[test]
    fn parameters_stand_one_behind_the_other_with_pytorch_shapes() {
        let plan = Architecture::default().plan(32).unwrap();
        assert_eq!(plan.parameters[0].shape, [16, 1, 3, 3]);
        assert_eq!(plan.parameters[2].name, "blocks.1.0.weight");
        for pair in plan.parameters.windows(2) {
            assert_eq!(pair[0].range().end, pair[1].start);
        }
        assert_eq!(plan.dense_parameters(1)[0].shape, [4, 32]);
    }

    #[test]
    fn what_cannot_be_built_is_refused_in_a_sentence() {
        let small = Architecture::default();
        let block = |channels, convolutions| Architecture { blocks: vec![Block { channels, convolutions }], ..small.clone() };
        let cases = [
            (small.clone(), 7, "7 px"),
            (Architecture { blocks: Vec::new(), ..small.clone() }, 32, "0 blocks"),
            (Architecture { blocks: vec![Block { channels: 8, convolutions: 1 }; 5], ..small.clone() }, 8, "to nothing"),
            (Architecture { hidden: vec![0], ..small.clone() }, 32, "hidden"),
            (block(0, 1), 32, "0 channels"),
            (block(8, 9), 32, "9 convolutions"),
        ];
        for (architecture, size, part) in cases {
            let refusal = architecture.plan(size).unwrap_err().to_string();
            assert!(refusal.contains(part), "{refusal}");
        }
        let global_pooling = GlobalPooling::Flatten;
        let wide = Architecture { blocks: vec![Block { channels: 512, convolutions: 1 }], hidden: vec![4096], global_pooling, ..small };
        assert!(wide.plan(256).unwrap_err().to_string().contains("parameters"));
    }
}
