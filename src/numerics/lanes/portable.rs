//! The multislice step for any processor and any grid size: one wave at a time through rustfft.
//!
//! The wave is kept as one line of real y a kept kx column. Source of the transforms: the rustfft crate.

use std::sync::Arc;

use num_complex::Complex32;
use rustfft::{Fft, FftPlanner};

use super::{Engine, Layout, Waves};

/// Side of the square tiles of the transposition.
const TRANSPOSED_TOGETHER: usize = 16;

/// What all waves of one grid share.
pub(super) struct PortablePlan {
    x_forward: Arc<dyn Fft<f32>>,
    x_inverse: Arc<dyn Fft<f32>>,
    y_forward: Arc<dyn Fft<f32>>,
    y_inverse: Arc<dyn Fft<f32>>,
    layout: Arc<Layout>,
}

impl PortablePlan {
    /// A plan for the kept columns.
    pub(super) fn new(nx: usize, ny: usize, kept_columns: &[bool]) -> Self {
        let mut planner = FftPlanner::new();
        let columns = (0..nx).filter(|&kx| kept_columns[kx]).collect();
        Self {
            x_forward: planner.plan_fft_forward(nx),
            x_inverse: planner.plan_fft_inverse(nx),
            y_forward: planner.plan_fft_forward(ny),
            y_inverse: planner.plan_fft_inverse(ny),
            layout: Arc::new(Layout { nx, ny, ky_at: (0..ny).collect(), columns }),
        }
    }

    fn scratch_length(&self) -> usize {
        let all = [&self.x_forward, &self.x_inverse, &self.y_forward, &self.y_inverse];
        all.into_iter().map(|fft| fft.get_inplace_scratch_len()).max().unwrap_or(0)
    }
}

impl Engine for Arc<PortablePlan> {
    fn lanes(&self) -> usize {
        1
    }
    fn layout(&self) -> &Arc<Layout> {
        &self.layout
    }
    fn bytes_per_block(&self) -> usize {
        let Layout { nx, ny, ref columns, .. } = *self.layout;
        (columns.len() * ny + nx * ny + self.scratch_length()) * size_of::<Complex32>()
    }
    fn blank(&self) -> Box<dyn Waves> {
        let zeros = |length| vec![Complex32::default(); length];
        let Layout { nx, ny, ref columns, .. } = *self.layout;
        let (columns, rows, scratch) = (zeros(columns.len() * ny), zeros(nx * ny), zeros(self.scratch_length()));
        Box::new(PortableWave { plan: Arc::clone(self), columns, rows, scratch })
    }
}

/// One wave and its scratch.
struct PortableWave {
    plan: Arc<PortablePlan>,
    /// (kept kx, real y).
    columns: Vec<Complex32>,
    /// (y, x).
    rows: Vec<Complex32>,
    scratch: Vec<Complex32>,
}

impl Waves for PortableWave {
    fn put_column(&mut self, _lane: usize, column: usize, line: &[Complex32]) {
        self.columns[column * line.len()..][..line.len()].copy_from_slice(line);
    }
    fn take_column(&self, _lane: usize, column: usize, line: &mut [Complex32]) {
        line.copy_from_slice(&self.columns[column * line.len()..][..line.len()]);
    }
    fn step(&mut self, transmission: &[Complex32], propagator: &[Complex32]) {
        let plan = &*self.plan;
        self.rows.fill(Complex32::default());
        for_each_pair(&plan.layout, |from, to| self.rows[to] = self.columns[from]);
        plan.x_inverse.process_with_scratch(&mut self.rows, &mut self.scratch);
        multiply(&mut self.rows, transmission);
        plan.x_forward.process_with_scratch(&mut self.rows, &mut self.scratch);
        for_each_pair(&plan.layout, |to, from| self.columns[to] = self.rows[from]);
        plan.y_forward.process_with_scratch(&mut self.columns, &mut self.scratch);
        multiply(&mut self.columns, propagator);
        plan.y_inverse.process_with_scratch(&mut self.columns, &mut self.scratch);
    }
}

fn multiply(values: &mut [Complex32], factors: &[Complex32]) {
    for (value, factor) in values.iter_mut().zip(factors) {
        *value *= factor;
    }
}

/// Calls `copy(index in columns, index in rows)` for every kept point, tile by tile so that both sides stay in cache.
#[inline]
fn for_each_pair(layout: &Layout, mut copy: impl FnMut(usize, usize)) {
    for (tile, kept) in layout.columns.chunks(TRANSPOSED_TOGETHER).enumerate() {
        for top in (0..layout.ny).step_by(TRANSPOSED_TOGETHER) {
            for y in top..(top + TRANSPOSED_TOGETHER).min(layout.ny) {
                for (column, &kx) in kept.iter().enumerate() {
                    copy((tile * TRANSPOSED_TOGETHER + column) * layout.ny + y, y * layout.nx + kx);
                }
            }
        }
    }
}
