//! The same network as a graph of candle tensors with automatic gradients: the judge of the processor's kernels in f64, and the way to a
//! GPU. Candle's own 2×2 maximum pooling is not used: its gradient is four times too large (candle 0.11.1).

use super::architecture::{LEAK, Plan};
use super::cpu::BatchGradient;
use super::loss::Loss;
use super::{DcnnError, GlobalPooling, Pooling};
use candle_core::{DType, Device, Result, Tensor, Var};

/// Windows that go through the graph together.
const BATCH: usize = 512;

/// A network on a device of candle.
pub(super) struct GraphEngine {
    plan: Plan,
    variables: Vec<Var>,
    device: Device,
    precision: DType,
}

impl GraphEngine {
    /// A network on the first CUDA device.
    ///
    /// # Errors
    /// [`DcnnError::Device`] where this build or this machine has none.
    pub(super) fn cuda(plan: &Plan, weights: &[f32]) -> std::result::Result<Self, DcnnError> {
        if !candle_core::utils::cuda_is_available() {
            let reason = "this build of mistilt has no CUDA for networks; build it with --features candle-cuda, or take device = \"cpu\"";
            return Err(DcnnError::Device { device: "cuda".into(), reason: reason.into() });
        }
        let device = Device::new_cuda(0).map_err(|e| of_device(&e))?;
        Self::new(plan, weights, device, DType::F32).map_err(|e| of_device(&e))
    }

    /// A network on any device.
    pub(super) fn new(plan: &Plan, weights: &[f32], device: Device, precision: DType) -> Result<Self> {
        let tensor = |parameter: &super::architecture::Parameter| {
            let values = Tensor::from_slice(&weights[parameter.range()], parameter.shape.as_slice(), &device)?;
            Var::from_tensor(&values.to_dtype(precision)?)
        };
        let variables = plan.parameters.iter().map(tensor).collect::<Result<_>>()?;
        Ok(Self { plan: plan.clone(), variables, device, precision })
    }

    pub(super) fn set_weights(&mut self, weights: &[f32]) -> std::result::Result<(), DcnnError> {
        let set = |(variable, parameter): (&Var, &super::architecture::Parameter)| {
            let values = Tensor::from_slice(&weights[parameter.range()], parameter.shape.as_slice(), &self.device)?;
            variable.set(&values.to_dtype(self.precision)?)
        };
        self.variables.iter().zip(&self.plan.parameters).try_for_each(set).map_err(|e| of_device(&e))
    }

    /// Outputs of windows, as the processor's engine gives them.
    pub(super) fn outputs(&self, windows: &[f32]) -> std::result::Result<Vec<f32>, DcnnError> {
        let mut out = Vec::with_capacity(windows.len() / self.pixels() * self.plan.outputs);
        for batch in windows.chunks(BATCH * self.pixels()) {
            let values = self.forward(batch).and_then(|o| o.to_dtype(DType::F32)?.flatten_all()?.to_vec1::<f32>());
            out.extend(values.map_err(|e| of_device(&e))?);
        }
        Ok(out)
    }

    /// Loss and gradient of a batch, as the processor's engine gives them.
    pub(super) fn gradient(&self, windows: &[f32], targets: &[[f32; 2]], loss: Loss) -> std::result::Result<BatchGradient, DcnnError> {
        self.try_gradient(windows, targets, loss).map_err(|e| of_device(&e))
    }

    fn try_gradient(&self, windows: &[f32], targets: &[[f32; 2]], loss: Loss) -> Result<BatchGradient> {
        let mut total = 0.0;
        let mut gradient = vec![0.0_f32; self.plan.parameter_count()];
        for (windows, targets) in windows.chunks(BATCH * self.pixels()).zip(targets.chunks(BATCH)) {
            let outputs = self.forward(windows)?;
            let values = outputs.to_dtype(DType::F32)?.flatten_all()?.to_vec1::<f32>()?;
            let mut slopes = vec![0.0_f32; values.len()];
            let n = self.plan.outputs;
            for ((values, target), slopes) in values.chunks(n).zip(targets).zip(slopes.chunks_mut(n)) {
                total += loss.value_and_gradient(values, *target, slopes);
            }
            // One definition of the loss: its gradient enters the graph as a constant.
            let slopes = Tensor::from_vec(slopes, outputs.shape(), &self.device)?.to_dtype(self.precision)?;
            let gradients = (outputs * slopes)?.sum_all()?.backward()?;
            for (variable, parameter) in self.variables.iter().zip(&self.plan.parameters) {
                let Some(g) = gradients.get(variable) else { continue };
                let g = g.to_dtype(DType::F32)?.flatten_all()?.to_vec1::<f32>()?;
                gradient[parameter.range()].iter_mut().zip(g).for_each(|(sum, g)| *sum += g);
            }
        }
        Ok(BatchGradient { loss: total, gradient })
    }

    fn pixels(&self) -> usize {
        self.plan.size_px * self.plan.size_px
    }

    fn forward(&self, windows: &[f32]) -> Result<Tensor> {
        let size = self.plan.size_px;
        let shape = (windows.len() / self.pixels(), 1, size, size);
        let mut x = Tensor::from_slice(windows, shape, &self.device)?.to_dtype(self.precision)?;
        let mut variables = self.variables.chunks_exact(2);
        for (convolution, pair) in self.plan.convolutions.iter().zip(&mut variables) {
            let bias = pair[1].reshape((1, (), 1, 1))?;
            x = x.conv2d(&pair[0], 1, 1, 1, 1)?.broadcast_add(&bias)?.relu()?;
            if convolution.pooled {
                x = pooled(&x, self.plan.pooling)?;
            }
        }
        x = match self.plan.global_pooling {
            GlobalPooling::Flatten => x.flatten_from(1)?,
            GlobalPooling::Average => x.flatten_from(2)?.mean(2)?,
            GlobalPooling::Max => x.flatten_from(2)?.max(2)?,
        };
        for (dense, pair) in self.plan.dense.iter().zip(&mut variables) {
            x = x.matmul(&pair[0].t()?)?.broadcast_add(&pair[1])?;
            if dense.leaky {
                x = (&x * f64::from(LEAK))?.maximum(&x)?;
            }
        }
        Ok(x)
    }
}

/// 2×2 pooling from operations whose gradients are right.
fn pooled(x: &Tensor, pooling: Pooling) -> Result<Tensor> {
    let (n, c, h, w) = x.dims4()?;
    let x = x.narrow(2, 0, h / 2 * 2)?.narrow(3, 0, w / 2 * 2)?.contiguous()?.reshape((n, c, h / 2, 2, w / 2, 2))?;
    match pooling {
        Pooling::Average => x.mean(5)?.mean(3),
        Pooling::Max => {
            let pair = |x: &Tensor, dimension: usize| -> Result<Tensor> {
                let part = |k: usize| x.narrow(dimension, k, 1)?.squeeze(dimension);
                part(0)?.maximum(&part(1)?)
            };
            pair(&pair(&x, 5)?, 3)
        }
    }
}

fn of_device(error: &candle_core::Error) -> DcnnError {
    DcnnError::Device { device: "this device".into(), reason: error.to_string().lines().next().unwrap_or_default().to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dcnn::cpu::CpuEngine;
    use crate::dcnn::parameters::initial;
    use crate::dcnn::{Architecture, Block};
    use crate::numerics::seeds::Streams;
    use rand_distr::{Distribution, StandardNormal};

    #[test]
    fn the_kernels_agree_with_the_graph_in_f64() {
        let odd = Architecture {
            blocks: vec![Block { channels: 7, convolutions: 2 }, Block { channels: 20, convolutions: 1 }],
            pooling: Pooling::Average,
            global_pooling: GlobalPooling::Average,
            ..Architecture::default()
        };
        for (architecture, size) in [(Architecture::default(), 16), (odd, 11)] {
            let plan = architecture.plan(size).unwrap();
            let weights = initial(&plan, 5);
            let mut random = Streams::new("windows", 1).stream(0);
            let windows: Vec<f32> = (0..9 * size * size).map(|_| StandardNormal.sample(&mut random)).collect();
            let targets: Vec<[f32; 2]> = (0..9).map(|_| [StandardNormal.sample(&mut random), StandardNormal.sample(&mut random)]).collect();
            let graph = GraphEngine::new(&plan, &weights, Device::Cpu, DType::F64).unwrap();
            let cpu = CpuEngine::new(&plan, &weights);
            let near = |a: &[f32], b: &[f32]| {
                let largest = b.iter().fold(0.0_f32, |m, v| m.max(v.abs()));
                a.iter().zip(b).all(|(a, b)| (a - b).abs() < 3e-5 * largest)
            };
            assert!(near(&cpu.outputs(&windows), &graph.outputs(&windows).unwrap()));
            let (a, b) = (cpu.gradient(&windows, &targets, Loss::default()), graph.gradient(&windows, &targets, Loss::default()).unwrap());
            assert!((a.loss - b.loss).abs() < 1e-4 * b.loss.abs().max(1.0), "{} {}", a.loss, b.loss);
            assert!(near(&a.gradient, &b.gradient), "{architecture:?}");
        }
    }

    #[test]
    fn without_cuda_the_refusal_says_what_to_do() {
        let plan = Architecture::default().plan(8).unwrap();
        if let Err(error) = GraphEngine::cuda(&plan, &initial(&plan, 1)) {
            assert!(error.to_string().contains("--features candle-cuda") || error.to_string().contains("this device"), "{error}");
        }
    }
}
