//! When the fused kernel is worth compiling for one size, and how: about a second once, for a third of the time of every step.

use super::stages::Stages;
use super::tables::fused_bytes;

/// Pixel-slices on one card from which a kernel of its own pays for its compilation: a few seconds of work.
pub(super) const WORTH_COMPILING: usize = 500_000_000_000;

/// Shared memory of a multiprocessor of compute capability 9.0 less a kilobyte a block, bytes.
const MULTIPROCESSOR: usize = 224 << 10;

/// Threads of a block of the fused kernel: few where several waves share a multiprocessor, many where one has it alone.
pub(super) fn fused_threads(size: [usize; 2]) -> usize {
    let waves = (MULTIPROCESSOR / fused_bytes(size)).max(1);
    (1024 / waves / 32 * 32).clamp(128, 512)
}

/// Definitions that make the kernel's sizes constants; `None` for sizes it cannot take.
pub(super) fn definitions(size: [usize; 2]) -> Option<String> {
    let [x, y] = [Stages::new(size[0])?, Stages::new(size[1])?];
    let list = |s: Stages| s.radices.map(|r| r.to_string()).join(",");
    let threads = fused_threads(size);
    Some(format!("-DFUSED_NX={} -DFUSED_NY={} -DFUSED_RX={} -DFUSED_RY={} -DFUSED_THREADS={threads}", size[0], size[1], list(x), list(y)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_of_kernels_is_of_these_sizes() {
        let script = include_str!("../../../scripts/kernels.py");
        for size in [[80, 80], [128, 128]] {
            for definition in definitions(size).unwrap().split(' ') {
                assert!(script.contains(&format!("\"{definition}\"")), "scripts/kernels.py lacks {definition}");
            }
        }
    }
}
