//! What one card holds for one setting, the same for all waves: potentials of the elements, the cut, transforms; and which route waves take.

use super::driver::Memory;
use super::stages::{Stages, roots};
use super::workspace::{Arg, Slot, Workspace};
use super::{DeviceError, Driver};
use crate::multislice::Setting;
use crate::numerics::grid::Grid;
use crate::specimen::TransmissionTables;

/// How waves go through slices.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Route {
    /// A wave stays in shared memory for all slices: grids up to about 165² on an H100, 140² on an A100.
    Fused,
    /// Two passes a slice, over rows and columns.
    Passes,
    /// cuFFT and pointwise products: any size.
    Transforms,
}

/// A line of points: its stages on the card.
pub(super) struct Line {
    pub(super) n: usize,
    pub(super) stages: Stages,
    pub(super) roots: Memory,
    /// Frequency 0..n at each position, and position of each frequency.
    pub(super) frequency: Memory,
    pub(super) position: Memory,
}

/// Two lines make a grid; `None` where cuFFT must do.
pub(super) struct Plan {
    pub(super) size: [usize; 2],
    pub(super) lines: Option<[Line; 2]>,
    /// What a block may have, bytes.
    most_shared: usize,
}

/// All tables of one setting on one card.
pub(super) struct Tables {
    pub(super) route: Route,
    pub(super) coarse: Plan,
    pub(super) fine: Plan,
    /// σV of the elements, `[element][fine grid]`, and which element is which row.
    pub(super) potentials: Memory,
    pub(super) cut_from: Memory,
    pub(super) cut_pass: Memory,
}

/// Dynamic shared memory that leaves room for several blocks a multiprocessor, bytes.
const MODEST_SHARED: usize = 48 << 10;

impl Line {
    fn new(n: usize, workspace: &mut Workspace) -> Result<Option<Self>, DeviceError> {
        let Some(stages) = Stages::new(n) else { return Ok(None) };
        let frequency = stages.frequencies(n);
        let mut position = vec![0_i32; n];
        frequency.iter().enumerate().for_each(|(at, f)| position[*f as usize] = at as i32);
        let roots = keep(workspace, &roots(n))?;
        let (frequency, position) = (keep(workspace, &frequency)?, keep(workspace, &position)?);
        Ok(Some(Self { n, stages, roots, frequency, position }))
    }

    /// Signed frequency at each position.
    pub(super) fn signed_frequencies(&self) -> Vec<i32> {
        self.stages.frequencies(self.n).into_iter().map(|f| Grid::signed(f as usize, self.n)).collect()
    }
}

impl Plan {
    fn new(size: [usize; 2], most_shared: usize, workspace: &mut Workspace) -> Result<Self, DeviceError> {
        let fits = size.iter().all(|&n| rows_at_once(n, most_shared) > 0 && columns_at_once(n, most_shared) > 0);
        let lines = match (Line::new(size[0], workspace)?, Line::new(size[1], workspace)?) {
            (Some(x), Some(y)) if fits => Some([x, y]),
            _ => None,
        };
        Ok(Self { size, lines, most_shared })
    }

    /// Rows that a block works on.
    pub(super) fn rows(&self, n: usize) -> usize {
        rows_at_once(n, MODEST_SHARED).max(rows_at_once(n, self.most_shared).min(1)).min(8)
    }

    /// Columns that a block works on: half a segment of memory at least, where that fits.
    pub(super) fn columns(&self, n: usize) -> usize {
        match columns_at_once(n, MODEST_SHARED) {
            width @ 8.. => width,
            width => columns_at_once(n, self.most_shared).clamp(width, width.max(8)),
        }
    }

    /// Queues transforms of `batch` arrays; `turned` arrays are stored column by column.
    pub(super) fn transform(
        &self,
        workspace: &mut Workspace,
        slot: Slot,
        batch: usize,
        inverse: bool,
        turned: bool,
    ) -> Result<(), DeviceError> {
        let [nx, ny] = if turned { [self.size[1], self.size[0]] } else { self.size };
        let Some([x, y]) = &self.lines else { return workspace.fft(slot, [nx, ny], batch, inverse) };
        let (x, y) = if turned { (y, x) } else { (x, y) };
        let (lines, width) = (self.rows(nx), self.columns(ny));
        let rows = [Arg::Slot(slot), Arg::Table(&x.roots), Arg::Table(&x.position), Arg::Int4(x.stages.argument()), Arg::Int(nx)];
        let rows = [&rows[..], &[Arg::Int(batch * ny), Arg::Int(lines), Arg::Int(usize::from(inverse))]].concat();
        let shared = 8 * (lines * row_pitch(nx) + nx);
        workspace.launch_with("transform_rows", "", [(batch * ny).div_ceil(lines), 1, 1], [256, 1, 1], shared, &rows)?;
        let columns =
            [Arg::Slot(slot), Arg::Table(&y.roots), Arg::Table(&y.position), Arg::Int4(y.stages.argument()), Arg::Int(ny), Arg::Int(nx)];
        let columns = [&columns[..], &[Arg::Int(width), Arg::Int(batch), Arg::Int(usize::from(inverse))]].concat();
        let shared = 8 * (ny * width + ny);
        workspace.launch_with("transform_columns", "", [nx.div_ceil(width), batch.min(65_535), 1], [256, 1, 1], shared, &columns)
    }
}

/// float2 of a padded row.
pub(super) fn row_pitch(n: usize) -> usize {
    n + n / 16 + 1
}

/// Rows that a block's shared memory holds beside their roots.
pub(super) fn rows_at_once(n: usize, bytes: usize) -> usize {
    (bytes / 8).saturating_sub(n) / row_pitch(n)
}

/// Columns that a block's shared memory holds beside their roots: a power of two, at most 16, so that a row of them is a whole segment of memory.
pub(super) fn columns_at_once(n: usize, bytes: usize) -> usize {
    let most = ((bytes / 8).saturating_sub(n) / n).min(16);
    if most == 0 { 0 } else { 1 << most.ilog2() }
}

/// Dynamic shared memory of the fused kernel, bytes.
pub(super) fn fused_bytes(size: [usize; 2]) -> usize {
    8 * (size[1] * (size[0] | 1) + size[0] + size[1])
}

/// Memory of the engine's own with these values.
fn keep<T: bytemuck::NoUninit>(workspace: &mut Workspace, values: &[T]) -> Result<Memory, DeviceError> {
    let bytes: &[u8] = bytemuck::cast_slice(values);
    let memory = workspace.queue.allocate(bytes.len().max(16))?;
    if !bytes.is_empty() {
        workspace.queue.upload(&memory, bytes)?;
    }
    Ok(memory)
}

impl Tables {
    /// Makes and uploads them; `wanted` is a route to take where it can be taken (for comparisons).
    pub(super) fn new(
        driver: &dyn Driver,
        workspace: &mut Workspace,
        setting: &Setting,
        source: &TransmissionTables<f32>,
        wanted: Option<Route>,
    ) -> Result<Self, DeviceError> {
        let size = [setting.grid.nx, setting.grid.ny];
        let fine = [source.fine.nx, source.fine.ny];
        let (mut coarse, mut fine) =
            (Plan::new(size, driver.shared_bytes(), workspace)?, Plan::new(fine, driver.shared_bytes(), workspace)?);
        if wanted == Some(Route::Transforms) && driver.has_fft() {
            (coarse.lines, fine.lines) = (None, None);
        }
        let able = |route: Route| match route {
            Route::Fused => coarse.lines.is_some() && fused_bytes(size) <= driver.shared_bytes(),
            Route::Passes => coarse.lines.is_some(),
            Route::Transforms => true,
        };
        let route = wanted.into_iter().chain([Route::Fused, Route::Passes]).find(|r| able(*r)).unwrap_or(Route::Transforms);
        for plan in [&coarse, &fine] {
            if plan.lines.is_none() && !driver.has_fft() {
                return Err(DeviceError::NoFft { nx: plan.size[0], ny: plan.size[1] });
            }
        }
        // The fused kernel reads exp(iσV) column by column.
        let (mut from, mut pass) = (vec![-1_i32; setting.grid.len()], vec![0.0_f32; setting.grid.len()]);
        for &(fine_at, coarse_at, p) in &source.cut {
            let at = coarse_at as usize;
            let at = if route == Route::Fused { at % size[0] * size[1] + at / size[0] } else { at };
            (from[at], pass[at]) = (fine_at as i32, p);
        }
        let potentials: Vec<f32> = source.potentials.values().flatten().copied().collect();
        let (potentials, cut_from, cut_pass) = (keep(workspace, &potentials)?, keep(workspace, &from)?, keep(workspace, &pass)?);
        Ok(Self { route, coarse, fine, potentials, cut_from, cut_pass })
    }
}
