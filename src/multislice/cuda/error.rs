//! What can go wrong on a graphics card, as sentences: no driver, no card, not enough memory, a card that went away.

/// Why a card cannot be used, or can no longer be.
#[derive(Debug, Clone, thiserror::Error, PartialEq, Eq)]
pub enum DeviceError {
    /// No CUDA driver.
    #[error(
        "no CUDA driver was found on this machine (libcuda.so.1, or nvcuda.dll on Windows); install the NVIDIA driver, or compute with --device cpu"
    )]
    NoDriver,
    /// The driver is there but does not work, or is too old.
    #[error("the CUDA driver cannot be used: {what}; update the NVIDIA driver to one for CUDA 12 or later, or compute with --device cpu")]
    Driver {
        /// What it said.
        what: String,
    },
    /// No card of that number.
    #[error("there is no card cuda:{asked}: {found}; mistilt devices lists what there is")]
    NoCard {
        /// Asked for.
        asked: usize,
        /// How many there are, in words.
        found: String,
    },
    /// Double precision on a card.
    #[error("simulation.precision = \"f64\" is the processor's; take --device cpu, or single precision on a card")]
    Double,
    /// Cards of different models in one run.
    #[error(
        "{first} and {other} are different models, whose last digits differ; name cards of one model, so that results do not depend on which card \
         took which part"
    )]
    MixedCards {
        /// The first card.
        first: String,
        /// One that differs.
        other: String,
    },
    /// Memory ran out.
    #[error(
        "{card} has no room for another {megabytes} MB ({free_megabytes} MB are free); use a larger simulation.pixel_angstrom, fewer --threads, a \
         card with more memory, or --device cpu"
    )]
    OutOfMemory {
        /// The card.
        card: String,
        /// Asked for.
        megabytes: u64,
        /// What was free.
        free_megabytes: u64,
    },
    /// The card stopped answering; nothing on it can be trusted any more.
    #[error("{card} stopped working ({what}); check it with nvidia-smi, or compute with --device cpu")]
    Lost {
        /// The card.
        card: String,
        /// What the driver said.
        what: String,
    },
    /// The kernels could not be loaded.
    #[error(
        "{card} does not take the kernels of this program ({what}); it needs compute capability 8.0 or later, or the NVRTC library of CUDA 12 or 13"
    )]
    Kernels {
        /// The card.
        card: String,
        /// What the driver or compiler said.
        what: String,
    },
    /// A grid that needs cuFFT, which is not there.
    #[error(
        "a grid of {nx} × {ny} points has sides that are not products of 2, 3 and 5, which needs the cuFFT library of CUDA 12 or 13; it was not found"
    )]
    NoFft {
        /// Points along x.
        nx: usize,
        /// Points along y.
        ny: usize,
    },
}

impl DeviceError {
    /// Whether less memory in use would help.
    #[must_use]
    pub fn is_out_of_memory(&self) -> bool {
        matches!(self, Self::OutOfMemory { .. })
    }
}
