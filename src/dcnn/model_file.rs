//! Models and checkpoints as bytes: safetensors that Python opens, with everything else as one JSON text in its header.
//!
//! A model holds `member.N.NAME` for every parameter, shaped as in `PyTorch`. No file is opened here.

use super::DcnnError;
use super::architecture::Plan;
use super::network::{Facts, Network};
use super::optimiser::AdamW;
use super::training::{Counters, State, Trainer};
use safetensors::tensor::{Dtype, SafeTensors, TensorView};
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;
use std::collections::{BTreeMap, HashMap};

/// The entry of the header that holds the JSON text.
const ENTRY: &str = "mistilt";
/// Version of what the text holds and its network computes.
const VERSION: u32 = super::NETWORK_VERSION;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ModelText {
    version: u32,
    network: Facts,
    members: usize,
    /// What whoever trained it has to say: data, errors, history.
    card: Json,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct CheckpointText {
    version: u32,
    key: String,
    optimiser_step: u64,
    finished: usize,
    counters: Counters,
}

impl Network {
    /// The model as a safetensors file; `card` is kept in its header as it is.
    ///
    /// # Errors
    /// [`DcnnError::File`] if the card is too large for a header.
    pub fn to_bytes(&self, card: &Json) -> Result<Vec<u8>, DcnnError> {
        let text = ModelText { version: VERSION, network: self.facts().clone(), members: self.member_count(), card: card.clone() };
        let mut tensors = BTreeMap::new();
        for (m, weights) in self.members().iter().enumerate() {
            for parameter in &self.plan().parameters {
                let name = format!("member.{m}.{}", parameter.name);
                tensors.insert(name, (parameter.shape.clone(), bytes_of(&weights[parameter.range()])));
            }
        }
        serialised("model", &text, &tensors)
    }

    /// Reads a model, and the card it was written with.
    ///
    /// # Errors
    /// [`DcnnError::File`] says what is wrong with the bytes.
    pub fn from_bytes(bytes: &[u8]) -> Result<(Self, Json), DcnnError> {
        let file = Opened::new("model", bytes)?;
        let text: ModelText = file.text()?;
        file.version(text.version)?;
        if !(1..=64).contains(&text.members) {
            return Err(file.fault(format!("it has {} members", text.members)));
        }
        let plan = text.network.architecture.plan(text.network.window_px)?;
        let members = (0..text.members).map(|m| file.weights(&plan, &format!("member.{m}."))).collect::<Result<_, _>>()?;
        let network = Self::from_parts(text.network, members)?;
        network.check_facts().map_err(|reason| DcnnError::File { what: "model", reason })?;
        Ok((network, text.card))
    }

    fn check_facts(&self) -> Result<(), String> {
        let Facts { pixel_size_pm, input, sigma_factor, .. } = self.facts();
        let good = pixel_size_pm.is_finite() && *pixel_size_pm > 0.0 && input.iter().all(|v| v.is_finite()) && input[1] > 0.0;
        if good && sigma_factor.is_finite() { Ok(()) } else { Err("its pixel size or scales are no numbers".to_owned()) }
    }
}

impl Trainer<'_> {
    /// The training as it stands between two epochs, to be taken up again by [`Trainer::resume`].
    ///
    /// # Errors
    /// [`DcnnError::File`] if its history is too long for a header.
    pub fn checkpoint(&self) -> Result<Vec<u8>, DcnnError> {
        let State { weights, optimiser, best_weights, finished, counters } = &self.state;
        let text = CheckpointText {
            version: VERSION,
            key: self.key.clone(),
            optimiser_step: optimiser.step,
            finished: finished.len(),
            counters: counters.clone(),
        };
        let mut tensors = BTreeMap::new();
        let mut keep = |name: String, values: &[f32]| tensors.insert(name, (vec![values.len()], bytes_of(values)));
        keep("weights".into(), weights);
        keep("best".into(), best_weights);
        keep("adam.first".into(), &optimiser.first);
        keep("adam.second".into(), &optimiser.second);
        for (m, weights) in finished.iter().enumerate() {
            keep(format!("finished.{m}"), weights);
        }
        serialised("checkpoint", &text, &tensors)
    }

    /// Takes up a training that was made of the same windows, architecture, settings and seed; it ends in the same bytes as if it had never
    /// stopped.
    ///
    /// # Errors
    /// [`DcnnError::File`] if the checkpoint is damaged or of another training.
    pub fn resume(&mut self, checkpoint: &[u8]) -> Result<(), DcnnError> {
        let file = Opened::new("checkpoint", checkpoint)?;
        let text: CheckpointText = file.text()?;
        file.version(text.version)?;
        if text.key != self.key {
            let reason = "it belongs to other windows, another network, other settings or another seed; remove it to start anew";
            return Err(file.fault(reason.to_owned()));
        }
        let n = self.state.weights.len();
        let finished = (0..text.finished.min(64)).map(|m| file.flat(&format!("finished.{m}"), n)).collect::<Result<_, _>>()?;
        let optimiser = AdamW { first: file.flat("adam.first", n)?, second: file.flat("adam.second", n)?, step: text.optimiser_step };
        let state =
            State { weights: file.flat("weights", n)?, optimiser, best_weights: file.flat("best", n)?, finished, counters: text.counters };
        self.restore(state)
    }
}

fn serialised(what: &'static str, text: &impl Serialize, tensors: &BTreeMap<String, (Vec<usize>, Vec<u8>)>) -> Result<Vec<u8>, DcnnError> {
    let fault = |reason: String| DcnnError::File { what, reason };
    let text = serde_json::to_string(text).map_err(|e| fault(e.to_string()))?;
    let views = tensors.iter().map(|(name, (shape, bytes))| {
        let view = TensorView::new(Dtype::F32, shape.clone(), bytes).map_err(|e| fault(e.to_string()))?;
        Ok((name.as_str(), view))
    });
    let views = views.collect::<Result<Vec<_>, DcnnError>>()?;
    // One entry: the order of a hash map has no say.
    let header = HashMap::from([(ENTRY.to_owned(), text)]);
    safetensors::serialize(views, Some(header)).map_err(|e| fault(e.to_string()))
}

fn bytes_of(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|v| v.to_le_bytes()).collect()
}

/// A safetensors file being read.
struct Opened<'a> {
    what: &'static str,
    tensors: SafeTensors<'a>,
    text: String,
}

impl<'a> Opened<'a> {
    fn new(what: &'static str, bytes: &'a [u8]) -> Result<Self, DcnnError> {
        let fault = |reason: String| DcnnError::File { what, reason };
        let (_, header) = SafeTensors::read_metadata(bytes).map_err(|e| fault(format!("it is not a safetensors file ({e})")))?;
        let text = header.metadata().as_ref().and_then(|m| m.get(ENTRY)).cloned();
        let text = text.ok_or_else(|| fault(format!("its header has no entry \"{ENTRY}\": another program wrote it")))?;
        let tensors = SafeTensors::deserialize(bytes).map_err(|e| fault(format!("it is not a safetensors file ({e})")))?;
        Ok(Self { what, tensors, text })
    }

    fn fault(&self, reason: String) -> DcnnError {
        DcnnError::File { what: self.what, reason }
    }

    fn text<T: for<'de> Deserialize<'de>>(&self) -> Result<T, DcnnError> {
        serde_json::from_str(&self.text).map_err(|e| self.fault(format!("its header is damaged ({e})")))
    }

    fn version(&self, version: u32) -> Result<(), DcnnError> {
        let newer = || self.fault(format!("it has version {version}, and this program reads version {VERSION}"));
        if version == VERSION { Ok(()) } else { Err(newer()) }
    }

    fn values(&self, name: &str, shape: &[usize]) -> Result<Vec<f32>, DcnnError> {
        let view = self.tensors.tensor(name).map_err(|_| self.fault(format!("tensor {name} is missing")))?;
        if view.dtype() != Dtype::F32 || view.shape() != shape {
            return Err(self.fault(format!("tensor {name} is {:?} of {:?}, not f32 of {shape:?}", view.dtype(), view.shape())));
        }
        let values: Vec<f32> = view.data().as_chunks().0.iter().map(|b| f32::from_le_bytes(*b)).collect();
        if values.iter().all(|v| v.is_finite()) {
            Ok(values)
        } else {
            Err(self.fault(format!("tensor {name} holds values that are no numbers")))
        }
    }

    fn flat(&self, name: &str, length: usize) -> Result<Vec<f32>, DcnnError> {
        self.values(name, &[length])
    }

    fn weights(&self, plan: &Plan, prefix: &str) -> Result<Vec<f32>, DcnnError> {
        let mut out = Vec::with_capacity(plan.parameter_count());
        for parameter in &plan.parameters {
            out.extend(self.values(&format!("{prefix}{}", parameter.name), &parameter.shape)?);
        }
        Ok(out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dcnn::{Loss, Schedule, TrainingSettings};

    fn round_trip(settings: &TrainingSettings) -> bool {
        let text = serde_json::to_string(settings).unwrap();
        serde_json::from_str::<TrainingSettings>(&text).unwrap() == *settings
    }

    #[test]
    fn settings_come_back_as_they_were() {
        assert!(round_trip(&TrainingSettings::default()));
        let loss = Loss::GaussianNll { beta: 0.1 };
        assert!(round_trip(&TrainingSettings { loss, schedule: Schedule::Plateau { patience: 7 }, ..TrainingSettings::default() }));
    }

    #[test]
    fn bytes_that_are_no_model_are_refused_in_a_sentence() {
        let refusal = |bytes: &[u8]| Network::from_bytes(bytes).unwrap_err().to_string();
        assert!(refusal(b"").contains("no model of mistilt"));
        assert!(refusal(&[0xff; 64]).contains("no model of mistilt"));
        let foreign = safetensors::serialize(Vec::<(&str, TensorView<'_>)>::new(), None).unwrap();
        assert!(refusal(&foreign).contains("another program"));
        let damaged = HashMap::from([(ENTRY.to_owned(), "{\"version\":1}".to_owned())]);
        let damaged = safetensors::serialize(Vec::<(&str, TensorView<'_>)>::new(), Some(damaged)).unwrap();
        assert!(refusal(&damaged).contains("damaged"));
    }
}
