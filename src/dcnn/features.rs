//! What a network looks at: its filters, its feature maps layer by layer, and an occlusion map that says which columns of a window decide
//! the prediction.

use super::{DcnnError, Network};
use crate::windows::WindowSet;
use serde::Serialize;

/// The features of a network for one window.
#[derive(Debug, Clone, PartialEq)]
pub struct Features {
    /// The window as the network sees it, `size × size`.
    pub window: Vec<f32>,
    /// Feature maps of every convolution behind ReLU.
    pub layers: Vec<FeatureMaps>,
}

/// The feature maps of one convolution.
#[derive(Debug, Clone, PartialEq)]
pub struct FeatureMaps {
    /// Name of the layer as in the model file, such as "blocks.1.0".
    pub name: String,
    /// Side of a map, px.
    pub side_px: usize,
    /// One map a channel, `side × side` values each.
    pub maps: Vec<Vec<f32>>,
}

/// The 3×3 filters of the first convolution.
pub type Filter = [[f32; 3]; 3];

/// How much of the prediction hangs on each place of a window.
#[derive(Debug, Clone, PartialEq)]
pub struct Occlusion {
    /// Side of the map, one value a pixel of the window.
    pub side_px: usize,
    /// Mean length of the change of the prediction, pm, when a patch around a pixel is blanked, over all windows given.
    pub change_pm: Vec<f32>,
}

/// Part of an occlusion map's weight that stands near the B column and near the A columns.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Attention {
    /// Mean change of the prediction within a quarter of the cell around the B column in the middle, pm.
    pub b_column_pm: f64,
    /// Mean change within a quarter of the cell around the four A columns, pm; NaN where the window does not reach them.
    pub a_columns_pm: f64,
    /// Mean change elsewhere, pm.
    pub elsewhere_pm: f64,
}

impl Network {
    /// Feature maps of the first member for one window of a set.
    ///
    /// # Errors
    /// [`DcnnError::Windows`] if the set is cut otherwise than those of the training.
    pub fn features(&self, set: &WindowSet, index: usize) -> Result<Features, DcnnError> {
        self.check_windows(set)?;
        let mut window = set.window(index).to_vec();
        self.prepare(&mut window, set.normalisation);
        let activations = self.activations(set.window(index), set.normalisation);
        let layers = self.plan().convolutions.iter().zip(activations).enumerate().map(|(l, (convolution, values))| {
            let channels = convolution.outputs;
            let map = |c: usize| values.iter().skip(c).step_by(channels).copied().collect();
            let name = self.plan().convolution_parameters(l)[0].name.trim_end_matches(".weight").to_owned();
            FeatureMaps { name, side_px: convolution.side, maps: (0..channels).map(map).collect() }
        });
        Ok(Features { window, layers: layers.collect() })
    }

    /// The filters of the first convolution of the first member.
    #[must_use]
    pub fn filters(&self) -> Vec<Filter> {
        let [weights, _] = self.plan().convolution_parameters(0);
        let values = self.members().first().map_or(&[][..], |w| &w[weights.range()]);
        values.chunks_exact(9).map(|f| std::array::from_fn(|y| std::array::from_fn(|x| f[3 * y + x]))).collect()
    }

    /// Blanks a round patch of `radius_px` at every `step_px` pixels of each window, replaced by the mean around its rim, and records how far
    /// the prediction moves (Zeiler and Fergus, ECCV 2014, arXiv:1311.2901).
    ///
    /// # Errors
    /// [`DcnnError::Windows`] if the set is cut otherwise than those of the training; [`DcnnError::Range`] for a patch that is none.
    pub fn occlusion(&self, set: &WindowSet, radius_px: f64, step_px: usize) -> Result<Occlusion, DcnnError> {
        self.check_windows(set)?;
        let side = set.size_px;
        if !(radius_px >= 1.0 && radius_px <= side as f64 / 2.0) {
            return Err(DcnnError::Range { what: "the radius of the patch in px", value: radius_px, allowed: "1 to half the window" });
        }
        let step = step_px.clamp(1, side);
        let places: Vec<[usize; 2]> = (0..side).step_by(step).flat_map(|y| (0..side).step_by(step).map(move |x| [x, y])).collect();
        let mut sums = vec![0.0_f64; places.len()];
        for index in 0..set.len() {
            let window = set.window(index);
            let blanked: Vec<f32> =
                places.iter().map(|place| blanked(window, side, *place, radius_px)).chain([window.to_vec()]).flatten().collect();
            let predictions = self.predict_values(&blanked, set.normalisation);
            let Some((whole, parts)) = predictions.split_last() else { continue };
            for (sum, part) in sums.iter_mut().zip(parts) {
                let change = [0, 1].map(|k| f64::from(part.mean_pm[k] - whole.mean_pm[k]));
                *sum += change[0].hypot(change[1]);
            }
        }
        let across = side.div_ceil(step);
        let count = set.len().max(1) as f64;
        let nearest = |at: usize| (at + step / 2).min(side - 1) / step;
        let value = |p: usize| (sums[nearest(p / side).min(across - 1) * across + nearest(p % side).min(across - 1)] / count) as f32;
        Ok(Occlusion { side_px: side, change_pm: (0..side * side).map(value).collect() })
    }
}

/// The window without what stands in a round patch: the mean of the values just outside it.
fn blanked(window: &[f32], side: usize, [x, y]: [usize; 2], radius_px: f64) -> Vec<f32> {
    let distance = |p: usize| ((p % side) as f64 - x as f64).hypot((p / side) as f64 - y as f64);
    let rim: Vec<f32> =
        (0..side * side).filter(|&p| distance(p) > radius_px && distance(p) <= radius_px + 1.5).map(|p| window[p]).collect();
    let fill = rim.iter().sum::<f32>() / rim.len().max(1) as f32;
    (0..side * side).map(|p| if distance(p) <= radius_px { fill } else { window[p] }).collect()
}

impl Occlusion {
    /// Where the changes are, for windows centred on a B column in a cell with side `a_px` whose A columns stand at its corners (zone ⟨100⟩).
    /// `lattice_px` are its two lattice vectors.
    #[must_use]
    pub fn attention(&self, lattice_px: [[f64; 2]; 2]) -> Attention {
        let middle = (self.side_px as f64 - 1.0) / 2.0;
        let [e1, e2] = lattice_px;
        let a_px = (e1[0] * e2[1] - e1[1] * e2[0]).abs().sqrt();
        let corners = [[-0.5, -0.5], [0.5, -0.5], [-0.5, 0.5], [0.5, 0.5]];
        let corners = corners.map(|[u, v]| [0, 1].map(|k| middle + u * e1[k] + v * e2[k]));
        let near = |p: [f64; 2], q: [f64; 2]| (p[0] - q[0]).hypot(p[1] - q[1]) <= 0.25 * a_px;
        let (mut sums, mut counts) = ([0.0; 3], [0.0; 3]);
        for (i, change) in self.change_pm.iter().enumerate() {
            let at = [(i % self.side_px) as f64, (i / self.side_px) as f64];
            let class = if near(at, [middle; 2]) { 0 } else { 1 + usize::from(!corners.iter().any(|c| near(at, *c))) };
            sums[class] += f64::from(*change);
            counts[class] += 1.0;
        }
        let [b_column_pm, a_columns_pm, elsewhere_pm] = std::array::from_fn(|k| sums[k] / counts[k]);
        Attention { b_column_pm, a_columns_pm, elsewhere_pm }
    }
}
