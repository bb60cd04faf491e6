//! Images with their truth for networks and datasets, one a setting and number: what several settings share is computed once.

use super::RunError;
use super::run::{self, Field};
use super::spec::{Point, PointConfig};
use crate::image::Image;

/// Images of a repeated cell: 8 × 8 cells on pixels as scans have them.
const REPEATED: Field = Field { side_angstrom: 32.0, pixel_angstrom: 0.2 };

/// What the settings of a study share.
#[derive(Debug, Default)]
pub struct Frames {}

impl Frames {
    /// Computes what these settings share.
    pub fn prepare<'a>(configs: impl Iterator<Item = &'a PointConfig>) -> Result<Self, RunError> {
        // A repeated cell is its own image.
        configs.fold(Ok(Self {}), |frames, _| frames)
    }

    /// The image of a setting on its first detector; another `number` is another scene, noise and phonon draw.
    pub fn image(&self, config: &PointConfig, number: u64) -> Result<Image, RunError> {
        let mut config = config.clone();
        config.seed = config.seed.wrapping_add(number);
        let point = Point { index: 0, values: Vec::new(), config };
        run::simulate(&point, 0, REPEATED, &|_| {}).map(|(image, _)| image)
    }
}
