//! What can stop a study that was read without fault: the crystal, the physics, the disk; each message is a sentence to act on.

use crate::artifact::ArtifactError;
use crate::crystal::CrystalError;
use crate::multislice::MultisliceError;
use crate::report::ReportError;
use crate::specimen::CutError;
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
    /// No library, response or verdict.
    #[error(transparent)]
    Artifact(#[from] ArtifactError),
    /// A figure or the page.
    #[error(transparent)]
    Report(#[from] ReportError),
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
        !matches!(self, Self::Disk { .. } | Self::Report(_))
    }

    /// Wraps an I/O error with the path it happened at.
    pub(crate) fn disk(path: impl Into<PathBuf>) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.into();
        move |source| Self::Disk { path, source }
    }
}
