//! A trained network: the weights of its members, how windows are prepared for it, and its predictions with their uncertainty in pm.

use super::architecture::Plan;
use super::augmentation::normalise;
use super::calibration::temperature;
use super::cpu::CpuEngine;
use super::domain::Domain;
use super::loss::variance;
use super::{Architecture, DcnnError, Head};
use crate::windows::{Normalisation, WindowSet};
use serde::{Deserialize, Serialize};

/// Windows that are prepared and sent through the network together.
const TOGETHER: usize = 4096;

/// A trained network, or an ensemble of networks of one architecture.
#[derive(Debug, Clone, PartialEq)]
pub struct Network {
    facts: Facts,
    plan: Plan,
    members: Vec<Vec<f32>>,
}

/// What a network is besides its weights; part of the model file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Facts {
    pub(super) architecture: Architecture,
    /// Side of a window, px.
    pub(super) window_px: usize,
    /// Side of its pixels, pm.
    pub(super) pixel_size_pm: f64,
    /// What was done to the windows.
    pub(super) normalisation: Normalisation,
    /// Mean and standard deviation of the values of windows that are not normalised one by one; 0 and 1 otherwise.
    pub(super) input: [f32; 2],
    pub(super) labels: LabelScale,
    /// Factor of every σ, from the validation windows: the temperature of Guo et al., ICML 2017 (arXiv:1706.04599).
    pub(super) sigma_factor: f32,
    /// 95th percentile of the epistemic σ on the validation windows, pm; `None` without an ensemble or validation.
    pub(super) epistemic_95_pm: Option<f64>,
    /// What the windows of its training look like.
    pub(super) domain: Option<Domain>,
}

/// The standardisation of labels: (label − mean) / scale.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct LabelScale {
    /// Mean (x, y), pm; zero where windows are turned by symmetries in training, which make it so.
    mean_pm: [f32; 2],
    /// Root mean square of a component about that, pm.
    scale_pm: f32,
}

impl LabelScale {
    pub(super) fn of(set: &WindowSet, known: &[usize], symmetric: bool) -> Self {
        let n = known.len() as f64;
        let label = |i: usize| set.labels[i].map(f64::from);
        let mean = if symmetric { [0.0; 2] } else { [0, 1].map(|k| known.iter().map(|&i| label(i)[k]).sum::<f64>() / n) };
        let square = |i: usize| (0..2).map(|k| (label(i)[k] - mean[k]).powi(2)).sum::<f64>();
        let scale = (known.iter().map(|&i| square(i)).sum::<f64>() / (2.0 * n)).sqrt();
        // Labels that are all alike have no scale of their own; a picometre is one.
        Self { mean_pm: mean.map(|v| v as f32), scale_pm: if scale > 1e-6 { scale as f32 } else { 1.0 } }
    }

    pub(super) fn standardised(self, label: [f32; 2]) -> [f32; 2] {
        [0, 1].map(|k| (label[k] - self.mean_pm[k]) / self.scale_pm)
    }
}

/// The polarization displacement of one window.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Prediction {
    /// Displacement (x right, y down), pm.
    pub mean_pm: [f32; 2],
    /// Standard deviation that noise and ambiguity of the window leave, pm; NaN for a network without a variance.
    pub aleatoric_sigma_pm: [f32; 2],
    /// Standard deviation between the members of the ensemble, pm; NaN for a single network.
    pub epistemic_sigma_pm: [f32; 2],
}

impl Prediction {
    /// Both uncertainties together, pm; NaN where neither is known.
    #[must_use]
    pub fn sigma_pm(&self) -> [f32; 2] {
        [0, 1].map(|k| match (self.aleatoric_sigma_pm[k], self.epistemic_sigma_pm[k]) {
            (a, e) if a.is_nan() => e,
            (a, e) if e.is_nan() => a,
            (a, e) => a.hypot(e),
        })
    }
}

impl Network {
    /// A network without members, for windows like these.
    pub(super) fn untrained(architecture: &Architecture, windows: &WindowSet, labels: LabelScale) -> Self {
        // The caller has planned it already.
        let plan = architecture.plan(windows.size_px).unwrap_or_else(|e| unreachable!("{e}"));
        let normalisation = windows.normalisation;
        let input = if normalisation == Normalisation::Window { [0.0, 1.0] } else { mean_and_deviation(&windows.values) };
        let facts = Facts {
            architecture: architecture.clone(),
            window_px: windows.size_px,
            pixel_size_pm: windows.pixel_size_pm,
            normalisation,
            input,
            labels,
            sigma_factor: 1.0,
            epistemic_95_pm: None,
            domain: None,
        };
        Self { facts, plan, members: Vec::new() }
    }

    pub(super) fn from_parts(facts: Facts, members: Vec<Vec<f32>>) -> Result<Self, DcnnError> {
        let plan = facts.architecture.plan(facts.window_px)?;
        Ok(Self { facts, plan, members })
    }

    pub(super) fn facts(&self) -> &Facts {
        &self.facts
    }

    pub(super) fn plan(&self) -> &Plan {
        &self.plan
    }

    pub(super) fn set_members(&mut self, members: Vec<Vec<f32>>) {
        self.members = members;
    }

    pub(super) fn set_domain(&mut self, domain: Domain) {
        self.facts.domain = Some(domain);
    }

    /// Windows come as they are and are normalised one by one.
    pub(super) fn normalise_windows(&mut self) {
        self.facts.normalisation = Normalisation::Window;
        self.facts.input = [0.0, 1.0];
    }

    /// Weights of the members, in the order of the parameters of the model file.
    pub(super) fn members(&self) -> &[Vec<f32>] {
        &self.members
    }

    /// How many networks the ensemble has.
    #[must_use]
    pub fn member_count(&self) -> usize {
        self.members.len()
    }

    /// Its architecture.
    #[must_use]
    pub fn architecture(&self) -> &Architecture {
        &self.facts.architecture
    }

    /// Side of its windows, px.
    #[must_use]
    pub fn size_px(&self) -> usize {
        self.facts.window_px
    }

    /// Side of its pixels, pm.
    #[must_use]
    pub fn pixel_size_pm(&self) -> f64 {
        self.facts.pixel_size_pm
    }

    /// How the values of its windows are normalised.
    #[must_use]
    pub fn normalisation(&self) -> Normalisation {
        self.facts.normalisation
    }

    /// What its training windows look like; `None` only before the training is finished.
    #[must_use]
    pub fn domain(&self) -> Option<&Domain> {
        self.facts.domain.as_ref()
    }

    /// 95th percentile of the epistemic σ on its validation windows, pm; `None` without an ensemble or validation.
    #[must_use]
    pub fn epistemic_95_pm(&self) -> Option<f64> {
        self.facts.epistemic_95_pm
    }

    pub(super) fn label_scale_pm(&self) -> f64 {
        f64::from(self.facts.labels.scale_pm)
    }

    /// Refuses windows that are cut otherwise than those of the training.
    ///
    /// # Errors
    /// [`DcnnError::Windows`] unless size, pixel size (to 1 %) and normalisation fit.
    pub fn check_windows(&self, set: &WindowSet) -> Result<(), DcnnError> {
        let Facts { window_px, pixel_size_pm, normalisation, .. } = self.facts;
        // Windows as they are in the image can still be normalised.
        let normalised =
            set.normalisation == normalisation || (set.normalisation == Normalisation::None && normalisation == Normalisation::Window);
        if set.size_px == window_px && (set.pixel_size_pm - pixel_size_pm).abs() <= 0.01 * pixel_size_pm && normalised {
            return Ok(());
        }
        let say = |size: usize, pixel: f64, n: Normalisation| {
            let n = match n {
                Normalisation::Window => "each window",
                Normalisation::Image => "the image",
                Normalisation::None => "nothing",
            };
            format!("{size} px of {pixel:.3} pm, {n} normalised")
        };
        let given = say(set.size_px, set.pixel_size_pm, set.normalisation);
        Err(DcnnError::Windows { wanted: say(window_px, pixel_size_pm, normalisation), given })
    }

    /// Windows of a set with normalisation `given`, one or many, as the network takes them.
    pub(super) fn prepare(&self, windows: &mut [f32], given: Normalisation) {
        let Facts { normalisation, input: [mean, deviation], window_px, .. } = self.facts;
        if normalisation == Normalisation::Window {
            if given != Normalisation::Window {
                windows.chunks_exact_mut(window_px * window_px).for_each(normalise);
            }
        } else {
            for value in windows {
                *value = (*value - mean) / deviation;
            }
        }
    }

    /// The polarization of every window, in their order; whether they have labels does not matter.
    ///
    /// # Errors
    /// [`DcnnError::Windows`] if they are cut otherwise than those of the training.
    pub fn predict(&self, windows: &WindowSet) -> Result<Vec<Prediction>, DcnnError> {
        self.check_windows(windows)?;
        Ok(self.predict_values(&windows.values, windows.normalisation))
    }

    /// The same for bare values, `n × size × size`, with normalisation `given`.
    pub(super) fn predict_values(&self, values: &[f32], given: Normalisation) -> Vec<Prediction> {
        let engines: Vec<CpuEngine> = self.members.iter().map(|weights| CpuEngine::new(&self.plan, weights)).collect();
        let mut out = Vec::with_capacity(values.len() / (self.plan.size_px * self.plan.size_px));
        for part in values.chunks(TOGETHER * self.plan.size_px * self.plan.size_px) {
            let mut prepared = part.to_vec();
            self.prepare(&mut prepared, given);
            let outputs: Vec<Vec<f32>> = engines.iter().map(|engine| engine.outputs(&prepared)).collect();
            let count = outputs.first().map_or(0, |o| o.len() / self.plan.outputs);
            out.extend((0..count).map(|i| self.joined(&outputs, i)));
        }
        out
    }

    /// The activations of every convolution of the first member for one window of normalisation `given`.
    pub(super) fn activations(&self, window: &[f32], given: Normalisation) -> Vec<Vec<f32>> {
        let mut prepared = window.to_vec();
        self.prepare(&mut prepared, given);
        self.members.first().map_or_else(Vec::new, |weights| CpuEngine::new(&self.plan, weights).activations(&prepared))
    }

    /// What the members say of window `i`, joined (Lakshminarayanan et al., NIPS 2017, arXiv:1612.01474).
    fn joined(&self, outputs: &[Vec<f32>], i: usize) -> Prediction {
        let (n, k) = (outputs.len() as f32, self.plan.outputs);
        let LabelScale { mean_pm, scale_pm } = self.facts.labels;
        let of = |member: &[f32], at: usize| member[i * k + at];
        let mean = [0, 1].map(|axis| outputs.iter().map(|m| of(m, axis)).sum::<f32>() / n);
        let sigma_pm = scale_pm * self.facts.sigma_factor;
        let aleatoric = [0, 1].map(|axis| match self.facts.architecture.head {
            Head::Mean => f32::NAN,
            Head::MeanAndVariance => sigma_pm * (outputs.iter().map(|m| variance(of(m, 2 + axis))).sum::<f32>() / n).sqrt(),
        });
        let epistemic = [0, 1].map(|axis| {
            let squares: f32 = outputs.iter().map(|m| (of(m, axis) - mean[axis]).powi(2)).sum();
            // One network has no scatter: 0/0.
            sigma_pm * (squares / (n - 1.0)).sqrt()
        });
        Prediction {
            mean_pm: [0, 1].map(|axis| mean_pm[axis] + scale_pm * mean[axis]),
            aleatoric_sigma_pm: aleatoric,
            epistemic_sigma_pm: epistemic,
        }
    }

    /// Fits the factor of σ to validation windows (prepared) with standardised labels, and keeps how far the members disagree there.
    pub(super) fn learn_from_validation(&mut self, values: &[f32], targets: &[[f32; 2]]) {
        if targets.is_empty() {
            return;
        }
        // Windows that are prepared already must not be prepared again.
        let mut prepared = self.clone();
        prepared.facts.input = [0.0, 1.0];
        let predictions = prepared.predict_values(values, self.facts.normalisation);
        let LabelScale { mean_pm, scale_pm } = self.facts.labels;
        let labels: Vec<[f32; 2]> = targets.iter().map(|t| [0, 1].map(|k| mean_pm[k] + scale_pm * t[k])).collect();
        if let Some(factor) = temperature(&predictions, &labels) {
            self.facts.sigma_factor = factor;
        }
        let factor = f64::from(self.facts.sigma_factor);
        let mut epistemic: Vec<f64> =
            predictions.iter().flat_map(|p| p.epistemic_sigma_pm).map(f64::from).filter(|v| v.is_finite()).collect();
        epistemic.sort_unstable_by(f64::total_cmp);
        self.facts.epistemic_95_pm = (!epistemic.is_empty()).then(|| factor * epistemic[(epistemic.len() - 1) * 95 / 100]);
    }
}

fn mean_and_deviation(values: &[f32]) -> [f32; 2] {
    let n = values.len().max(1) as f64;
    let mean = values.iter().map(|v| f64::from(*v)).sum::<f64>() / n;
    let deviation = (values.iter().map(|v| (f64::from(*v) - mean).powi(2)).sum::<f64>() / n).sqrt();
    [mean as f32, if deviation > 0.0 { deviation as f32 } else { 1.0 }]
}
