//! Why the artefact room has no answer, in sentences a microscopist can act on.

use crate::columns::FitFailure;
use crate::crystal::CrystalError;
use crate::multislice::MultisliceError;
use crate::polarization::PolarizationError;
use crate::specimen::CutError;

/// Why there is no sensitivity, tilt estimate or verdict.
#[derive(Debug, thiserror::Error)]
pub enum ArtifactError {
    /// The crystal cannot be used.
    #[error(transparent)]
    Crystal(#[from] CrystalError),
    /// The slab cannot be cut.
    #[error(transparent)]
    Cut(#[from] CutError),
    /// The propagation refuses its settings.
    #[error(transparent)]
    Multislice(#[from] MultisliceError),
    /// The image has no polarization map.
    #[error(transparent)]
    Polarization(#[from] PolarizationError),
    /// A column of a simulated image could not be measured.
    #[error(
        "a column of the simulated image at {thickness_nm:.1} nm and a tilt of ({x:.1}, {y:.1}) mrad could not be measured: {source}. If the image's own columns are measured without trouble, it was not taken under these conditions: narrow \
         --thickness-nm, --defocus-nm or --source-fwhm-angstrom, or check --structure and --detector-mrad"
    )]
    Column {
        /// Thickness, nm.
        thickness_nm: f64,
        /// Tilt, mrad.
        x: f64,
        /// Tilt, mrad.
        y: f64,
        /// Why.
        source: FitFailure,
    },
    /// A setting that cannot be used.
    #[error("{0}")]
    Setting(String),
    /// A cached library that is damaged.
    #[error("the cached tilt library is damaged ({0}): delete it, it will be made again")]
    Damaged(String),
    /// Something the verdict needs is not in the image.
    #[error("{0}")]
    Image(String),
}
