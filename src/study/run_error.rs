//! What can stop a study that was read without fault: the crystal, the physics, the disk; each message is a sentence to act on.

use super::error::StudyError;
use crate::artifact::ArtifactError;
use crate::crystal::CrystalError;
use crate::dataset::DatasetError;
use crate::dcnn::DcnnError;
use crate::detection::CameraError;
use crate::multislice::MultisliceError;
use crate::report::ReportError;
use crate::scene::SceneError;
use crate::specimen::CutError;
use crate::windows::WindowsError;
use std::path::PathBuf;

/// Why a study could not run, or could not keep its results.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// No structure of that name ships.
    #[error("no structure named \"{name}\" ships; choose one of {known}, or give crystal.file")]
    UnknownStructure {
        /// As written.
        name: String,
        /// What ships.
        known: String,
    },
    /// The structure file.
    #[error(transparent)]
    Crystal(#[from] CrystalError),
    /// The cut of the slab.
    #[error(transparent)]
    Cut(#[from] CutError),
    /// Sampling, band limit, counters.
    #[error(transparent)]
    Multislice(#[from] MultisliceError),
    /// The camera, or what it was to expose.
    #[error(transparent)]
    Camera(#[from] CameraError),
    /// The scene.
    #[error(transparent)]
    Scene(#[from] SceneError),
    /// A command that needs a scene got a study without.
    #[error("the study has no [scene]; add the table, such as: [scene] size_cells = [16, 16], pattern = \"wall-180\"")]
    NoScene,
    /// A command that measures one repeated cell got a scene.
    #[error(
        "the study has a [scene], and this command measures one repeated cell; `mistilt scenes` and `mistilt simulate` image scenes, \
         or leave out the table"
    )]
    HasScene,
    /// No library, response or verdict.
    #[error(transparent)]
    Artifact(#[from] ArtifactError),
    /// A figure or the page.
    #[error(transparent)]
    Report(#[from] ReportError),
    /// A sample of a dataset that the study's checks refuse.
    #[error(transparent)]
    Study(#[from] StudyError),
    /// The images, labels or dataset a network shall learn from.
    #[error("{reason}")]
    TrainingData {
        /// Which file, what is wrong with it, and what to do.
        reason: String,
    },
    /// Windows.
    #[error(transparent)]
    Windows(#[from] WindowsError),
    /// The network.
    #[error(transparent)]
    Network(#[from] DcnnError),
    /// Windows are to stand on columns, and none are found.
    #[error("no columns are found in the image: {reason}; windows on a grid (windows.placement) need none")]
    NoColumns {
        /// What the search says.
        reason: String,
    },
    /// A training without an image.
    #[error("there is nothing to learn from: the training has no image")]
    NothingToLearn,
    /// A shard of a dataset.
    #[error(transparent)]
    Dataset(#[from] DatasetError),
    /// The study declares no dataset.
    #[error("the study has no [dataset] table: say there how many samples to make and what varies (studies/training-set.toml is one)")]
    NoDataset,
    /// The results folder holds something else.
    #[error("{} exists and is no folder of mistilt results; choose another with -o, or move it away", .path.display())]
    NotOurs {
        /// The folder.
        path: PathBuf,
    },
    /// Writing or reading failed.
    #[error("{}: {source}", .path.display())]
    Disk {
        /// What was being written or read.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A command about the camera, and a study without one.
    #[error("the study has no [camera]; add the table, or begin with --set camera.preset=raw")]
    NoCamera,
    /// A folder that should hold results does not.
    #[error("{} is no folder of mistilt results: it has no provenance.json", .path.display())]
    NoResults {
        /// The folder.
        path: PathBuf,
    },
    /// Two tables whose rows cannot be matched.
    #[error("the rows of {} are not told apart by {keys}: the two studies sweep different axes", .path.display())]
    NotComparable {
        /// The folder.
        path: PathBuf,
        /// The columns that both have.
        keys: String,
    },
    /// No such format to export.
    #[error("{} ends in no format that is written here: choose {known}", .path.display())]
    NoSuchFormat {
        /// The file.
        path: PathBuf,
        /// What is known.
        known: &'static str,
    },
    /// The store's place holds something else.
    #[error("{} holds something else than stage results of mistilt; give another place with --store", .path.display())]
    NotAStore {
        /// The folder.
        path: PathBuf,
    },
    /// An entry of the store could not be formed: a fault of this program.
    #[error("{what} cannot be kept in the store: {reason}; this is a fault of mistilt")]
    Store {
        /// What.
        what: String,
        /// Why.
        reason: String,
    },
    /// Another run writes the same results.
    #[error("{} is being written by {holder}; wait for it, or give another folder with -o", .path.display())]
    Busy {
        /// The results folder.
        path: PathBuf,
        /// Who.
        holder: String,
    },
    /// Not all points are there.
    #[error("{missing} of {points} points are not computed yet{at_work}; `mistilt study run` computes them, --partial merges without them")]
    Incomplete {
        /// Points without a result.
        missing: usize,
        /// Points of the study.
        points: usize,
        /// Who works on them.
        at_work: String,
    },
    /// Not all networks are there.
    #[error("{missing} of {networks} networks are not trained yet{at_work}; `mistilt study run` trains them")]
    Untrained {
        /// Networks that are not there.
        missing: usize,
        /// Networks of the study.
        networks: usize,
        /// Who works on them.
        at_work: String,
    },
    /// The study is not the one that was submitted.
    #[error("the study is not the one that was submitted: {} has changed since; submit it again", .path.display())]
    Changed {
        /// The study file.
        path: PathBuf,
    },
    /// The batch system refused.
    #[error("{command} failed: {reason}")]
    Batch {
        /// The command.
        command: String,
        /// What it said.
        reason: String,
    },
    /// The user asked to stop.
    #[error("stopped; what was finished is kept")]
    Interrupted,
    /// A command asked for a point the study does not have.
    #[error("the study has {points} points, numbered from 0; point {asked} is none of them (mistilt study plan prints them)")]
    NoSuchPoint {
        /// Asked for.
        asked: usize,
        /// How many there are.
        points: usize,
    },
}

impl RunError {
    /// Whether the user's input is at fault (exit code 2) and not the machine (exit code 1).
    #[must_use]
    pub fn is_input(&self) -> bool {
        !matches!(
            self,
            Self::Disk { .. }
                | Self::Report(_)
                | Self::Store { .. }
                | Self::Busy { .. }
                | Self::Batch { .. }
                | Self::Incomplete { .. }
                | Self::Untrained { .. }
                | Self::Interrupted
        ) && !self.is_of_a_device()
    }

    /// Whether a graphics card is at fault: nothing that was computed is lost, and the same command goes on with another device.
    fn is_of_a_device(&self) -> bool {
        matches!(self, Self::Multislice(MultisliceError::Device(_)))
    }

    /// Whether the run as a whole cannot go on; any other error concerns one propagation or one point.
    #[must_use]
    pub(super) fn stops_everything(&self) -> bool {
        matches!(self, Self::Disk { .. } | Self::Store { .. } | Self::NotAStore { .. } | Self::Busy { .. } | Self::Interrupted)
            || self.is_of_a_device()
    }

    /// Wraps an I/O error with the path it happened at.
    pub(crate) fn disk(path: impl Into<PathBuf>) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.into();
        move |source| Self::Disk { path, source }
    }
}
