//! The seam to the hardware: memory, copies, launches by kernel name and transforms, with nothing of CUDA in its types.
//!
//! One implementation drives a card; the tests have another that runs the same kernels on the processor, so that everything above this seam is
//! tested without a card.

use super::DeviceError;
use std::sync::Arc;

/// One card.
pub trait Driver: Send + Sync {
    /// "cuda:0 NVIDIA H100 80GB HBM3".
    fn name(&self) -> String;

    /// Model, without the number: cards of one model give the same bytes.
    fn model(&self) -> String;

    /// Dynamic shared memory that a block may have, bytes.
    fn shared_bytes(&self) -> usize;

    /// Free memory, bytes.
    fn free_bytes(&self) -> Result<usize, DeviceError>;

    /// Whether [`Queue::fft`] works.
    fn has_fft(&self) -> bool;

    /// Compiles the kernels with these definitions (`-DNAME=VALUE`) for this very card, once; `false` where that is not possible, and the kernels
    /// as they are serve.
    fn specialise(&self, definitions: &str) -> Result<bool, DeviceError>;

    /// A new queue.
    fn queue(&self) -> Result<Box<dyn Queue>, DeviceError>;
}

/// Work in order: what is queued runs after what was queued before. Queues of one card run beside each other.
pub trait Queue: Send {
    /// Memory of unknown content.
    fn allocate(&self, bytes: usize) -> Result<Memory, DeviceError>;

    /// Copies from the host, to the start of the memory.
    fn upload(&mut self, to: &Memory, bytes: &[u8]) -> Result<(), DeviceError>;

    /// Copies to the host, from `offset` (bytes) on; waits for all that was queued.
    fn download(&mut self, from: &Memory, offset: usize, bytes: &mut [u8]) -> Result<(), DeviceError>;

    /// Waits for all that was queued.
    fn wait(&mut self) -> Result<(), DeviceError>;

    /// Queues a kernel.
    fn launch(&mut self, launch: &Launch<'_>) -> Result<(), DeviceError>;

    /// Queues 2-D transforms in place of `batch` arrays of `ny` rows of `nx` f32 complex numbers, unscaled; forward is exp(−2πi...).
    fn fft(&mut self, memory: &Memory, size: [usize; 2], batch: usize, inverse: bool) -> Result<(), DeviceError>;
}

/// Memory on a card, freed when dropped.
pub struct Memory {
    address: u64,
    bytes: usize,
    home: Arc<dyn Home>,
}

/// Where memory came from and goes back to.
pub trait Home: Send + Sync {
    /// Takes memory back.
    fn free(&self, address: u64, bytes: usize);
}

impl Memory {
    /// Memory that `home` will free.
    #[must_use]
    pub fn new(address: u64, bytes: usize, home: Arc<dyn Home>) -> Self {
        Self { address, bytes, home }
    }

    /// Address on the card.
    #[must_use]
    pub fn address(&self) -> u64 {
        self.address
    }

    /// Size.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        self.home.free(self.address, self.bytes);
    }
}

/// A kernel, its argument values in order, and how many threads run it.
#[derive(Clone, Copy)]
pub struct Launch<'a> {
    /// Name in `kernels/`.
    pub kernel: &'static str,
    /// Definitions it was specialised with; empty for the kernels as they are.
    pub definitions: &'a str,
    /// Blocks.
    pub grid: [usize; 3],
    /// Threads a block.
    pub block: [usize; 3],
    /// Dynamic shared memory, bytes.
    pub shared: usize,
    /// Arguments.
    pub arguments: &'a [Argument<'a>],
}

/// An argument of a kernel.
#[derive(Clone, Copy)]
pub enum Argument<'a> {
    /// A pointer.
    Memory(&'a Memory),
    /// A pointer some bytes into memory.
    Within(&'a Memory, usize),
    /// `int`.
    Int(i32),
    /// `int4`.
    Int4([i32; 4]),
    /// `float`.
    Float(f32),
    /// `double`.
    Double(f64),
}

impl Argument<'_> {
    /// The bytes a kernel receives, and how many of them count.
    #[must_use]
    pub fn bytes(&self) -> ([u8; 16], usize) {
        let mut out = [0; 16];
        let mut put = |bytes: &[u8]| {
            out[..bytes.len()].copy_from_slice(bytes);
            bytes.len()
        };
        let size = match *self {
            Self::Memory(memory) => put(&memory.address.to_ne_bytes()),
            Self::Within(memory, offset) => {
                debug_assert!(offset < memory.bytes, "a pointer within its memory");
                put(&(memory.address + offset as u64).to_ne_bytes())
            }
            Self::Int(value) => put(&value.to_ne_bytes()),
            Self::Int4(values) => put(bytemuck::bytes_of(&values)),
            Self::Float(value) => put(&value.to_ne_bytes()),
            Self::Double(value) => put(&value.to_ne_bytes()),
        };
        (out, size)
    }
}
