//! Where to compute, as a user asks for it: `auto`, `cpu`, `cuda:0`, `cuda:0,1`.

use super::Device;
use super::cuda::{self, Cards, DeviceError};
use std::fmt;
use std::str::FromStr;

/// What was asked for; a matter of the machine and never of a study.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum DeviceChoice {
    /// The cards that work, all of one model; the processor where there is none, or where they fail.
    #[default]
    Auto,
    /// The processor.
    Cpu,
    /// These cards, and nothing else.
    Cuda(Cards),
}

impl DeviceChoice {
    /// The device for waves in single (or double) precision. Looks at the machine; double precision is the processor's alone.
    pub fn device(self, double: bool) -> Result<Device, DeviceError> {
        match (self, double) {
            (Self::Cuda(_), true) => Err(DeviceError::Double),
            (_, true) => Ok(Device::Reference),
            (Self::Cpu, false) => Ok(Device::Cpu),
            (Self::Cuda(cards), false) => Ok(Device::Cuda(cards)),
            (Self::Auto, false) => Ok(cuda::automatic().map_or(Device::Cpu, Device::CudaOrCpu)),
        }
    }
}

impl FromStr for DeviceChoice {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "auto" => Ok(Self::Auto),
            "cpu" => Ok(Self::Cpu),
            other => other.parse().map(Self::Cuda),
        }
    }
}

impl fmt::Display for DeviceChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auto => f.write_str("auto"),
            Self::Cpu => f.write_str("cpu"),
            Self::Cuda(cards) => cards.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn choices_are_read_as_they_are_written() {
        for text in ["auto", "cpu", "cuda:0", "cuda:0,2"] {
            assert_eq!(text.parse::<DeviceChoice>().unwrap().to_string(), text);
        }
        assert!("gpu".parse::<DeviceChoice>().unwrap_err().contains("auto, cpu, cuda:0"));
    }

    #[test]
    fn double_precision_is_the_processors() {
        let cards = DeviceChoice::Cuda("cuda:0".parse().unwrap());
        assert_eq!(cards.device(true), Err(DeviceError::Double));
        assert_eq!(DeviceChoice::Auto.device(true), Ok(Device::Reference));
        assert_eq!(DeviceChoice::Cpu.device(false), Ok(Device::Cpu));
        assert_eq!(cards.device(false), Ok(Device::Cuda("cuda:0".parse().unwrap())));
    }
}
