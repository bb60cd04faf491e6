//! `mistilt devices`: what this machine can compute on, and in a sentence why not where there is no card.

use super::failure::Failure;
use super::output::Output;
use crate::multislice::{DeviceChoice, cuda};
use crate::numerics::lanes::Isa;
use serde_json::json;
use std::num::NonZeroUsize;

/// Where a command computes.
#[derive(Debug, Clone, Copy, clap::Args)]
pub struct DeviceArgs {
    /// Where to compute: auto, cpu, cuda:0, or cuda:0,1 for several cards of one model; auto takes the cards that work, and the processor
    /// for what they fail at. The results agree to 1e-4 of the signal. Default: auto
    #[arg(long, value_name = "DEVICE", default_value_t, hide_default_value = true)]
    pub device: DeviceChoice,
}

pub(super) fn run(output: &mut Output) -> Result<(), Failure> {
    let threads = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
    let found = cuda::devices();
    let automatic = cuda::automatic().map_or_else(|| "cpu".to_owned(), |cards| cards.to_string());
    if output.json {
        let (cuda, reason) = match &found {
            Ok(found) => (json!(found), json!(null)),
            Err(error) => (json!(null), json!(error.to_string())),
        };
        return Ok(output.json(&json!({
            "cpu": { "threads": threads, "instructions": Isa::best().to_string() },
            "cuda": cuda,
            "no_cuda_because": reason,
            "auto": automatic,
        }))?);
    }
    output.data(&format!("cpu     {threads} threads, {}\n", Isa::best()))?;
    match found {
        Err(error) => output.data(&format!("cuda    none: {error}\n"))?,
        Ok(found) => {
            let gigabytes = |bytes: usize| bytes as f64 / 1e9;
            for (n, card) in found.cards.iter().enumerate() {
                output.data(&match card {
                    Ok(c) => format!(
                        "cuda:{n}  {}, compute capability {}, {:.1} of {:.1} GB free\n",
                        c.model,
                        c.capability,
                        gigabytes(c.free_bytes),
                        gigabytes(c.memory_bytes)
                    ),
                    Err(reason) => format!("cuda:{n}  cannot be used: {reason}\n"),
                })?;
            }
            let library = |there: bool| if there { "found" } else { "not found" };
            output.data(&format!("driver  CUDA {}; NVRTC {}, cuFFT {}\n", found.driver, library(found.nvrtc), library(found.cufft)))?;
        }
    }
    Ok(output.data(&format!("auto    {automatic}\n"))?)
}
