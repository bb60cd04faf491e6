//! What one propagation works with on a card: a queue, and memories that grow and are used again by the next propagation.

use super::driver::{Argument, Launch, Memory, Queue};
use super::{DeviceError, Driver};

/// What a memory of a workspace holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Slot {
    /// Waves, `[wave][ny][nx]`.
    Waves,
    /// Waves between the passes over rows and columns.
    Mixed,
    /// Transmission functions of a chunk of slices.
    Transmissions,
    /// Potentials, then gratings, on the fine grid.
    Potentials,
    Gratings,
    /// Atoms of a chunk: places, weights, elements, first atom of every slice, phase factors.
    Places,
    Weights,
    Elements,
    First,
    PhasesX,
    PhasesY,
    /// Propagators, their distances, what passes.
    Propagators,
    Distances,
    Pass,
    ColumnFrequencies,
    RowFrequencies,
    /// Columns that the band limit keeps, and their places in the order of the transform.
    Kept,
    KeptPlaces,
    /// Which transmission function and propagator a slice takes.
    Which,
    Distance,
    /// Initial waves: aperture or positions.
    Aperture,
    Positions,
    /// Detectors and contractions.
    Rings,
    RingWeights,
    RingFirst,
    Columns,
    ColumnFirst,
    MatrixOffset,
    Tiles,
    Matrices,
    ProbeMatrix,
    BeamFirst,
    Beams,
    Amplitudes,
    Boxes,
    Lookup,
    /// What is read back.
    Result,
}

const SLOTS: usize = Slot::Result as usize + 1;

/// A queue and its memories.
pub(super) struct Workspace {
    pub(super) queue: Box<dyn Queue>,
    memories: [Option<Memory>; SLOTS],
}

/// One dimension of blocks for `n` elements and as many rows as the hardware takes; kernels loop over the rest.
pub(super) fn blocks(n: usize, threads: usize, rows: usize) -> [usize; 3] {
    [n.div_ceil(threads), rows.clamp(1, 65_535), 1]
}

impl Workspace {
    pub(super) fn new(driver: &dyn Driver) -> Result<Self, DeviceError> {
        Ok(Self { queue: driver.queue()?, memories: [const { None }; SLOTS] })
    }

    /// Waits for all that was queued.
    pub(super) fn wait(&mut self) -> Result<(), DeviceError> {
        self.queue.wait()
    }

    /// Makes a memory at least so large; what it held is lost if it has to grow.
    pub(super) fn reserve(&mut self, slot: Slot, bytes: usize) -> Result<(), DeviceError> {
        let memory = &mut self.memories[slot as usize];
        if memory.as_ref().is_none_or(|m| m.bytes() < bytes) {
            // The old one goes first, since both may not fit, and only when nothing that is queued reads it any more.
            if memory.is_some() {
                self.queue.wait()?;
            }
            *memory = None;
            *memory = Some(self.queue.allocate(bytes.max(16))?);
        }
        Ok(())
    }

    /// Copies values to a memory.
    pub(super) fn put<T: bytemuck::NoUninit>(&mut self, slot: Slot, values: &[T]) -> Result<(), DeviceError> {
        let bytes: &[u8] = bytemuck::cast_slice(values);
        self.reserve(slot, bytes.len())?;
        if bytes.is_empty() {
            return Ok(());
        }
        let Self { queue, memories } = self;
        match &memories[slot as usize] {
            Some(memory) => queue.upload(memory, bytes),
            None => Ok(()),
        }
    }

    /// Reads `count` values of a memory from value `start` on; waits for all that was queued.
    pub(super) fn get<T: bytemuck::Pod>(&mut self, slot: Slot, start: usize, count: usize) -> Result<Vec<T>, DeviceError> {
        let mut out = vec![T::zeroed(); count];
        let Self { queue, memories } = self;
        if let (Some(memory), false) = (&memories[slot as usize], count == 0) {
            queue.download(memory, start * size_of::<T>(), bytemuck::cast_slice_mut(&mut out))?;
        }
        Ok(out)
    }

    /// Queues a kernel; `arguments` is given the workspace's memories.
    pub(super) fn launch(
        &mut self,
        kernel: &'static str,
        grid: [usize; 3],
        block: [usize; 3],
        arguments: &[Arg<'_>],
    ) -> Result<(), DeviceError> {
        self.launch_with(kernel, "", grid, block, 0, arguments)
    }

    /// The same with definitions and dynamic shared memory.
    pub(super) fn launch_with(
        &mut self,
        kernel: &'static str,
        definitions: &str,
        grid: [usize; 3],
        block: [usize; 3],
        shared: usize,
        arguments: &[Arg<'_>],
    ) -> Result<(), DeviceError> {
        let Self { queue, memories } = self;
        let arguments: Vec<Argument<'_>> = arguments.iter().map(|a| a.resolve(memories)).collect();
        queue.launch(&Launch { kernel, definitions, grid, block, shared, arguments: &arguments })
    }

    /// Transforms by cuFFT.
    pub(super) fn fft(&mut self, slot: Slot, size: [usize; 2], batch: usize, inverse: bool) -> Result<(), DeviceError> {
        let Self { queue, memories } = self;
        let memory = memories[slot as usize].as_ref().expect("what is transformed was written before");
        queue.fft(memory, size, batch, inverse)
    }
}

/// An argument of a kernel, memories by slot.
#[derive(Clone, Copy)]
pub(super) enum Arg<'a> {
    Slot(Slot),
    /// A slot from a byte on.
    From(Slot, usize),
    Table(&'a Memory),
    Int(usize),
    Int4([i32; 4]),
    Float(f32),
    Double(f64),
}

impl<'a> Arg<'a> {
    fn resolve(self, memories: &'a [Option<Memory>; SLOTS]) -> Argument<'a> {
        let memory = |slot: Slot| memories[slot as usize].as_ref().expect("a kernel's memory was reserved before its launch");
        match self {
            Self::Slot(slot) => Argument::Memory(memory(slot)),
            Self::From(slot, offset) => Argument::Within(memory(slot), offset),
            Self::Table(memory) => Argument::Memory(memory),
            Self::Int(v) => Argument::Int(v as i32),
            Self::Int4(v) => Argument::Int4(v),
            Self::Float(v) => Argument::Float(v),
            Self::Double(v) => Argument::Double(v),
        }
    }
}
