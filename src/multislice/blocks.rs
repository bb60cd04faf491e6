//! A propagation in blocks of k-points: what can be computed apart, in any order and on any machine, and still sums to the same bytes.
//!
//! The k-points of a scattering matrix fall into at most [`ScatteringStudy::MOST_BLOCKS`] contiguous blocks. Within a block the classes are
//! added in their order, and the blocks in theirs: the order of every sum is fixed by the study alone.

use super::scattering_matrix::{ClassSums, add_images};
use super::{Engine, ImageStack, MultisliceError, ScatteringStudy};
use crate::image::FourierImage;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use std::ops::Range;

/// The sums over one block of k-points.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BlockSums {
    /// `[group][illumination][exit][detector]`, not normalised.
    images: Vec<Vec<Vec<Vec<FourierImage>>>>,
    /// Share of each probe in each group, `[group][illumination]`.
    shares: Vec<Vec<f64>>,
    /// `[illumination][exit]`, not normalised.
    lost: Vec<Vec<f64>>,
    /// Engine that computed it.
    engine: String,
}

/// The sums over the first blocks of a propagation.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct RunningSums {
    blocks: usize,
    sums: Option<BlockSums>,
}

impl ScatteringStudy<'_> {
    /// Largest number of blocks of a propagation.
    pub const MOST_BLOCKS: usize = 16;

    /// Number of blocks.
    #[must_use]
    pub fn block_count(&self) -> usize {
        self.class_count().min(Self::MOST_BLOCKS)
    }

    /// The Bloch classes (k-points) of a block.
    #[must_use]
    pub fn block(&self, block: usize) -> Range<usize> {
        let (classes, blocks) = (self.class_count(), self.block_count());
        block * classes / blocks..(block + 1) * classes / blocks
    }

    /// How many blocks to compute at once so that every thread of the pool has work to the end.
    #[must_use]
    pub fn blocks_at_once(&self) -> usize {
        (4 * rayon::current_num_threads() * self.block_count()).div_ceil(self.class_count().max(1)).max(1)
    }

    /// Runs the propagation; `progress` is told the number of finished k-points after each.
    pub fn run(&self, progress: &(dyn Fn(usize) + Sync)) -> Result<ImageStack, MultisliceError> {
        self.check()?;
        self.device.run(&self.setting, &self.elements(), |engine| self.run_on(engine, progress))
    }

    /// The same on an engine that was made for this setting and these elements.
    pub fn run_on(&self, engine: &dyn Engine, progress: &(dyn Fn(usize) + Sync)) -> Result<ImageStack, MultisliceError> {
        self.check()?;
        let mut total = RunningSums::default();
        let blocks: Vec<usize> = (0..self.block_count()).collect();
        for chunk in blocks.chunks(self.blocks_at_once()) {
            for sums in self.sum_blocks(engine, chunk, progress, &|| false)? {
                total.add(sums);
            }
        }
        Ok(self.finish(total))
    }

    /// [`Self::sum_blocks`], with the CPU in place of a card that fails on the way where the study's device allows it: `engine` is that of the
    /// CPU from then on.
    pub fn sum_blocks_or_on_cpu(
        &self,
        engine: &mut Box<dyn Engine>,
        blocks: &[usize],
        progress: &(dyn Fn(usize) + Sync),
        stop: &(dyn Fn() -> bool + Sync),
    ) -> Result<Vec<BlockSums>, MultisliceError> {
        match self.sum_blocks(engine.as_ref(), blocks, progress, stop) {
            Err(MultisliceError::Device(error)) => match self.device.instead(&self.setting, &self.elements(), &error)? {
                Some(cpu) => {
                    *engine = cpu;
                    // These blocks are counted already.
                    self.sum_blocks(engine.as_ref(), blocks, &|_| (), stop)
                }
                None => Err(error.into()),
            },
            sums => sums,
        }
    }

    /// Sums some blocks on the current thread pool. Once `stop` says so no further k-point begins, and only the blocks before the first
    /// unfinished one come back.
    pub fn sum_blocks(
        &self,
        engine: &dyn Engine,
        blocks: &[usize],
        progress: &(dyn Fn(usize) + Sync),
        stop: &(dyn Fn() -> bool + Sync),
    ) -> Result<Vec<BlockSums>, MultisliceError> {
        let classes: Vec<usize> = blocks.iter().flat_map(|&b| self.block(b)).collect();
        let results: Vec<Option<Result<ClassSums, MultisliceError>>> = classes
            .par_iter()
            .map(|&index| {
                let result = (!stop()).then(|| self.sum_class(engine, index));
                progress(usize::from(result.is_some()));
                result
            })
            .collect();
        let mut results = results.into_iter();
        let mut out = Vec::with_capacity(blocks.len());
        for &block in blocks {
            let mut sums = BlockSums {
                images: vec![self.empty_images(); self.group_count()],
                shares: vec![vec![0.0; self.illuminations.len()]; self.group_count()],
                lost: vec![vec![0.0; self.exits.len()]; self.illuminations.len()],
                engine: engine.name(),
            };
            for class in self.block(block) {
                let Some(result) = results.next().flatten() else { return Ok(out) };
                sums.add_class(self, class, &result?);
            }
            out.push(sums);
        }
        Ok(out)
    }

    /// The images, normalised to one electron, once all blocks are in.
    #[must_use]
    pub fn finish(&self, total: RunningSums) -> ImageStack {
        let Some(BlockSums { mut images, shares, mut lost, engine }) = total.sums else {
            return ImageStack { images: Vec::new(), weights: Vec::new(), lost: Vec::new(), engine: String::new() };
        };
        let whole: Vec<f64> = (0..self.illuminations.len()).map(|i| shares.iter().map(|group| group[i]).sum()).collect();
        let pairs = self.pairs() as f64;
        for (group, share) in images.iter_mut().zip(&shares) {
            for (illumination, share) in group.iter_mut().zip(share) {
                illumination.iter_mut().flatten().for_each(|image| image.scale(1.0 / (share * pairs)));
            }
        }
        for (exits, whole) in lost.iter_mut().zip(&whole) {
            for l in exits.iter_mut() {
                *l /= whole;
            }
        }
        let weights = shares.iter().map(|group| group[0] / whole[0]).collect();
        ImageStack { images, weights, lost, engine }
    }
}

impl BlockSums {
    fn add_class(&mut self, study: &ScatteringStudy<'_>, class: usize, part: &ClassSums) {
        let pairs = study.pairs() as f64;
        for (pair, images) in part.images.iter().enumerate() {
            let group = study.group(class, pair);
            add_images(&mut self.images[group], images);
            self.shares[group].iter_mut().zip(&part.shares).for_each(|(sum, share)| *sum += share / pairs);
        }
        for (sum, l) in self.lost.iter_mut().flatten().zip(part.lost.iter().flatten()) {
            *sum += l;
        }
    }

    fn add(&mut self, other: &Self) {
        self.images.iter_mut().zip(&other.images).for_each(|(sum, part)| add_images(sum, part));
        let numbers = |sums: &mut Vec<Vec<f64>>, parts: &[Vec<f64>]| {
            for (sum, part) in sums.iter_mut().flatten().zip(parts.iter().flatten()) {
                *sum += part;
            }
        };
        numbers(&mut self.shares, &other.shares);
        numbers(&mut self.lost, &other.lost);
        if !self.engine.split(" + ").any(|known| known == other.engine) {
            self.engine = format!("{} + {}", self.engine, other.engine);
        }
    }
}

impl RunningSums {
    /// How many blocks are in: the next to add has this number.
    #[must_use]
    pub fn blocks(&self) -> usize {
        self.blocks
    }

    /// Adds the next block.
    pub fn add(&mut self, block: BlockSums) {
        self.blocks += 1;
        match &mut self.sums {
            None => self.sums = Some(block),
            Some(sums) => sums.add(&block),
        }
    }
}
