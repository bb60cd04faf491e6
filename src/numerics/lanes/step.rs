//! The multislice step on a block of waves, one wave a SIMD lane.
//!
//! A block holds, for every y, one [`Element`] (16 or 8 waves side by side) a kept kx column: kx in digit-reversed order, y in real
//! space. A step is a pass over the rows (to real x, times t, back to kx) and a pass over the columns (to ky, times P, back to y).
//! The first and last butterflies of a line load from and store to the block, the middle ones carry the product with t or P.
#![expect(clippy::inline_always, reason = "inlined into the functions compiled for the instruction set, see `vector`")]

use std::sync::Arc;

use num_complex::Complex32;

use super::butterflies::{Butterfly, Dft, Element, with_radix};
use super::line::{Line, Stage};
use super::vector::{Kernel, Vector, prefetch};
use super::{Engine, Layout, Waves};

/// Bytes of the columns that a column pass takes together, so that neighbours in memory are used together.
const COLUMN_TILE_BYTES: usize = 256 << 10;
/// Columns that a column pass takes together at most.
const LARGEST_GROUP: usize = 8;
/// Blocks above this size do not stay in a second-level cache, so what comes next is asked for ahead.
const LARGE_BLOCK_BYTES: usize = 1 << 20;
/// The largest butterfly that fits 32 and 16 vector registers.
const LARGEST_RADIX: [usize; 2] = [10, 8];

/// What all blocks of one grid share.
pub(super) struct LanePlan<V> {
    zero: V,
    x: Line,
    y: Line,
    /// Where the kept kx at each digit-reversed position stands in a row of the block; [`DROPPED`] where kx is not kept.
    column_at: Vec<usize>,
    columns: usize,
    /// Elements from one row of the block to the next.
    stride: usize,
    /// Columns a column pass takes together.
    group: usize,
    /// Whether to ask for memory ahead.
    streams: bool,
    layout: Arc<Layout>,
}

/// Beyond the end of every row: a load there gives zero, a store is skipped.
const DROPPED: usize = usize::MAX;

impl<V: Vector> LanePlan<V> {
    /// A plan for the kept columns; `None` unless both sizes are 2^a 3^b 5^c.
    pub(super) fn new(zero: V, nx: usize, ny: usize, kept_columns: &[bool]) -> Option<Self> {
        let largest_radix = if V::LANES == 16 { LARGEST_RADIX[0] } else { LARGEST_RADIX[1] };
        let (x, y) = (Line::new(nx, largest_radix)?, Line::new(ny, largest_radix)?);
        let columns: Vec<usize> = x.frequency_at.iter().copied().filter(|&kx| kept_columns[kx]).collect();
        let mut next = 0..columns.len();
        let column_at = x.frequency_at.iter().map(|&kx| if kept_columns[kx] { next.next().unwrap_or(DROPPED) } else { DROPPED }).collect();
        // An odd stride spreads a column over all cache sets.
        let stride = columns.len() | 1;
        let group = (COLUMN_TILE_BYTES / (y.tile_length() * size_of::<Element<V>>())).clamp(1, LARGEST_GROUP);
        let streams = ny * stride * size_of::<Element<V>>() > LARGE_BLOCK_BYTES;
        let layout = Arc::new(Layout { nx, ny, ky_at: y.frequency_at.clone(), columns });
        let columns = layout.columns.len();
        Some(Self { zero, x, y, column_at, columns, stride, group, streams, layout })
    }
}

impl<V: Vector> Engine for Arc<LanePlan<V>> {
    fn lanes(&self) -> usize {
        V::LANES
    }
    fn layout(&self) -> &Arc<Layout> {
        &self.layout
    }
    fn bytes_per_block(&self) -> usize {
        (self.y.length * self.stride + self.tile_length()) * size_of::<Element<V>>()
    }
    fn blank(&self) -> Box<dyn Waves> {
        let zero = Element { re: self.zero, im: self.zero };
        let (elements, tile) = (vec![zero; self.y.length * self.stride], vec![zero; self.tile_length()]);
        Box::new(LaneWaves { plan: Arc::clone(self), elements, tile })
    }
}

impl<V: Vector> LanePlan<V> {
    fn tile_length(&self) -> usize {
        self.x.tile_length().max(self.group * self.y.tile_length())
    }
}

/// A block of waves and the scratch of its passes.
struct LaneWaves<V> {
    plan: Arc<LanePlan<V>>,
    elements: Vec<Element<V>>,
    tile: Vec<Element<V>>,
}

impl<V: Vector> Waves for LaneWaves<V> {
    fn put_column(&mut self, lane: usize, column: usize, line: &[Complex32]) {
        for (row, value) in self.elements.chunks_exact_mut(self.plan.stride).zip(line) {
            row[column].re.lanes_mut()[lane] = value.re;
            row[column].im.lanes_mut()[lane] = value.im;
        }
    }
    fn take_column(&self, lane: usize, column: usize, line: &mut [Complex32]) {
        for (row, value) in self.elements.chunks_exact(self.plan.stride).zip(line) {
            *value = Complex32::new(row[column].re.lanes()[lane], row[column].im.lanes()[lane]);
        }
    }
    fn step(&mut self, transmission: &[Complex32], propagator: &[Complex32]) {
        let plan = &*self.plan;
        plan.zero.run(Rows { plan, elements: &mut self.elements, tile: &mut self.tile, transmission });
        plan.zero.run(Columns { plan, elements: &mut self.elements, tile: &mut self.tile, propagator });
    }
}

/// Every row to real x, times t, back to kx.
struct Rows<'a, V> {
    plan: &'a LanePlan<V>,
    elements: &'a mut [Element<V>],
    tile: &'a mut [Element<V>],
    transmission: &'a [Complex32],
}

impl<V: Vector> Kernel for Rows<'_, V> {
    #[inline(always)]
    fn run(self) {
        let LanePlan { x, column_at, columns, stride, zero, streams, .. } = self.plan;
        let tile = &mut self.tile[..x.tile_length()];
        let next_row = streams.then_some(*stride);
        let rows = self.elements.chunks_exact_mut(*stride).zip(self.transmission.chunks_exact(x.length));
        for (row, transmission) in rows {
            let row = &mut row[..*columns];
            for (part, slots) in tile.chunks_exact_mut(x.part_stride).zip(column_at.chunks_exact(x.part)) {
                let part = &mut part[..x.part];
                with_radix!(x.inner.radix, Q => gather::<V, Q>(*zero, row, next_row, slots, part));
                for stage in x.middle.iter().rev() {
                    with_radix!(stage.radix, Q => butterflies::<V, Q, true>(stage, part));
                }
            }
            with_radix!(x.outer.radix, Q => transmit::<V, Q>(x, tile, transmission));
            for (part, slots) in tile.chunks_exact_mut(x.part_stride).zip(column_at.chunks_exact(x.part)) {
                let part = &mut part[..x.part];
                for stage in &x.middle {
                    with_radix!(stage.radix, Q => butterflies::<V, Q, false>(stage, part));
                }
                with_radix!(x.inner.radix, Q => scatter::<V, Q>(part, slots, row));
            }
        }
    }
}

/// Every kept column to ky, times P, back to y.
struct Columns<'a, V> {
    plan: &'a LanePlan<V>,
    elements: &'a mut [Element<V>],
    tile: &'a mut [Element<V>],
    propagator: &'a [Complex32],
}

impl<V: Vector> Kernel for Columns<'_, V> {
    #[inline(always)]
    fn run(self) {
        let LanePlan { y, columns, stride, group, streams, .. } = self.plan;
        let mut first = 0;
        for propagators in self.propagator.chunks(group * y.length) {
            let block = Strided { stride: *stride, columns: first..(first + group).min(*columns) };
            let tile = &mut self.tile[..block.columns.len() * y.tile_length()];
            with_radix!(y.outer.radix, Q => enter::<V, Q>(y, self.elements, &block, streams.then_some(*group), tile));
            for (part, factors) in tile.chunks_exact_mut(y.part_stride).zip(propagators.chunks_exact(y.part)) {
                let part = &mut part[..y.part];
                for stage in &y.middle {
                    with_radix!(stage.radix, Q => butterflies::<V, Q, false>(stage, part));
                }
                with_radix!(y.inner.radix, Q => propagate::<V, Q>(part, factors));
                for stage in y.middle.iter().rev() {
                    with_radix!(stage.radix, Q => butterflies::<V, Q, true>(stage, part));
                }
            }
            with_radix!(y.outer.radix, Q => leave::<V, Q>(y, tile, self.elements, &block));
            first += group;
        }
    }
}

/// Some neighbouring columns of a block.
struct Strided {
    stride: usize,
    columns: std::ops::Range<usize>,
}

/// `Q` parts of `length` points, `stride` apart, to walk in step.
#[inline(always)]
fn split<T, const Q: usize>(points: &mut [T], stride: usize, length: usize) -> [&mut [T]; Q] {
    let mut parts = points.chunks_exact_mut(stride);
    std::array::from_fn(|_| &mut parts.next().unwrap_or_default()[..length])
}

/// A stage in the middle of a line, in place.
#[inline(always)]
fn butterflies<V: Vector, const Q: usize, const INVERSE: bool>(stage: &Stage, points: &mut [Element<V>])
where
    Dft: Butterfly<Q>,
{
    let (twiddles, _) = stage.twiddles.as_chunks::<Q>();
    for block in points.chunks_exact_mut(stage.length) {
        let parts = split::<_, Q>(block, twiddles.len(), twiddles.len());
        for (j, w) in twiddles.iter().enumerate() {
            let mut a = [parts[0][j]; Q];
            for k in 1..Q {
                a[k] = if INVERSE { parts[k][j].times_conjugate(w[k]) } else { parts[k][j] };
            }
            a = Dft::transform::<V, INVERSE>(a);
            parts[0][j] = a[0];
            for k in 1..Q {
                parts[k][j] = if INVERSE { a[k] } else { a[k].times(w[k]) };
            }
        }
    }
}

/// First stage of the inverse transform of a row: loads the kept columns, zero elsewhere.
#[inline(always)]
fn gather<V: Vector, const Q: usize>(zero: V, row: &[Element<V>], next_row: Option<usize>, slots: &[usize], points: &mut [Element<V>])
where
    Dft: Butterfly<Q>,
{
    let zero = Element { re: zero, im: zero };
    for (block, slots) in points.as_chunks_mut::<Q>().0.iter_mut().zip(slots.as_chunks::<Q>().0) {
        let mut a = [zero; Q];
        for k in 0..Q {
            if let Some(kept) = row.get(slots[k]) {
                a[k] = *kept;
                if let Some(distance) = next_row {
                    prefetch(kept, distance);
                }
            }
        }
        *block = Dft::transform::<V, true>(a);
    }
}

/// Last stage of the forward transform of a row: stores the kept columns only.
#[inline(always)]
fn scatter<V: Vector, const Q: usize>(points: &[Element<V>], slots: &[usize], row: &mut [Element<V>])
where
    Dft: Butterfly<Q>,
{
    for (block, slots) in points.as_chunks::<Q>().0.iter().zip(slots.as_chunks::<Q>().0) {
        let a = Dft::transform::<V, false>(*block);
        for k in 0..Q {
            if let Some(kept) = row.get_mut(slots[k]) {
                *kept = a[k];
            }
        }
    }
}

/// Last stage of the inverse transform of a row, times t, first stage of the forward transform.
#[inline(always)]
fn transmit<V: Vector, const Q: usize>(line: &Line, points: &mut [Element<V>], transmission: &[Complex32])
where
    Dft: Butterfly<Q>,
{
    let (twiddles, _) = line.outer.twiddles.as_chunks::<Q>();
    let parts = split::<_, Q>(points, line.outer_stride, twiddles.len());
    let mut t = transmission.chunks_exact(twiddles.len());
    let t: [&[Complex32]; Q] = std::array::from_fn(|_| t.next().unwrap_or_default());
    for (j, w) in twiddles.iter().enumerate() {
        let mut a = [parts[0][j]; Q];
        for k in 1..Q {
            a[k] = parts[k][j].times_conjugate(w[k]);
        }
        a = Dft::transform::<V, true>(a);
        for k in 0..Q {
            a[k] = a[k].times(t[k][j]);
        }
        a = Dft::transform::<V, false>(a);
        parts[0][j] = a[0];
        for k in 1..Q {
            parts[k][j] = a[k].times(w[k]);
        }
    }
}

/// Last stage of the forward transform of a column, times P, first stage of the inverse transform.
#[inline(always)]
fn propagate<V: Vector, const Q: usize>(points: &mut [Element<V>], factors: &[Complex32])
where
    Dft: Butterfly<Q>,
{
    for (block, p) in points.as_chunks_mut::<Q>().0.iter_mut().zip(factors.as_chunks::<Q>().0) {
        let mut a = Dft::transform::<V, false>(*block);
        for k in 0..Q {
            a[k] = a[k].times(p[k]);
        }
        *block = Dft::transform::<V, true>(a);
    }
}

/// First stage of the forward transform of some columns, loaded from the block; `next_columns` says how far the next ones are.
#[inline(always)]
fn enter<V: Vector, const Q: usize>(
    y: &Line,
    elements: &[Element<V>],
    block: &Strided,
    next_columns: Option<usize>,
    tile: &mut [Element<V>],
) where
    Dft: Butterfly<Q>,
{
    let (twiddles, _) = y.outer.twiddles.as_chunks::<Q>();
    for (j, w) in twiddles.iter().enumerate() {
        for (line, column) in tile.chunks_exact_mut(y.tile_length()).zip(block.columns.clone()) {
            let mut a = [elements[j * block.stride + column]; Q];
            for k in 0..Q {
                let element = &elements[(j + k * twiddles.len()) * block.stride + column];
                a[k] = *element;
                if let Some(distance) = next_columns {
                    prefetch(element, distance);
                }
            }
            a = Dft::transform::<V, false>(a);
            line[j] = a[0];
            for k in 1..Q {
                line[j + k * y.outer_stride] = a[k].times(w[k]);
            }
        }
    }
}

/// Last stage of the inverse transform of some columns, stored to the block.
#[inline(always)]
fn leave<V: Vector, const Q: usize>(y: &Line, tile: &[Element<V>], elements: &mut [Element<V>], block: &Strided)
where
    Dft: Butterfly<Q>,
{
    let (twiddles, _) = y.outer.twiddles.as_chunks::<Q>();
    for (j, w) in twiddles.iter().enumerate() {
        for (line, column) in tile.chunks_exact(y.tile_length()).zip(block.columns.clone()) {
            let mut a = [line[j]; Q];
            for k in 1..Q {
                a[k] = line[j + k * y.outer_stride].times_conjugate(w[k]);
            }
            a = Dft::transform::<V, true>(a);
            for k in 0..Q {
                elements[(j + k * twiddles.len()) * block.stride + column] = a[k];
            }
        }
    }
}
