//! Why a network could not be built, trained, read or used; each message is a sentence to act on.

/// Everything that can go wrong with a network.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DcnnError {
    /// A shape that cannot be built.
    #[error("this network cannot be built: {reason}")]
    Architecture {
        /// Which number, and what is allowed.
        reason: String,
    },
    /// A number of the training that is out of its range.
    #[error("{what} is {value}; it must be {allowed}")]
    Range {
        /// Which number.
        what: &'static str,
        /// What it is.
        value: f64,
        /// What it may be.
        allowed: &'static str,
    },
    /// Too few windows with a label.
    #[error(
        "{known} of the {windows} {which} windows have a label, and it takes at least {least}: more labelled cells, or a smaller step of the grid"
    )]
    TooFew {
        /// "training" or "validation".
        which: &'static str,
        /// Windows given.
        windows: usize,
        /// Those with a label.
        known: usize,
        /// The least that works.
        least: usize,
    },
    /// Windows that the network was not made for.
    #[error("the network takes windows of {wanted}, and these are {given}: cut them alike")]
    Windows {
        /// What it was trained on.
        wanted: String,
        /// What was given.
        given: String,
    },
    /// The loss is no number any more.
    #[error("the training of member {member} left the finite numbers in epoch {epoch}: take a smaller learning rate than {learning_rate}")]
    Diverged {
        /// Member of the ensemble, from 0.
        member: usize,
        /// Epoch, from 1.
        epoch: usize,
        /// As set.
        learning_rate: f64,
    },
    /// The progress callback asked to stop before there was anything to keep.
    #[error("the training was stopped")]
    Stopped,
    /// Bytes that are no model or no checkpoint of this program.
    #[error("this is no {what} of mistilt: {reason}")]
    File {
        /// "model" or "checkpoint".
        what: &'static str,
        /// What is wrong in it.
        reason: String,
    },
    /// A device that is not there.
    #[error("no network can be trained on {device}: {reason}")]
    Device {
        /// As asked for.
        device: String,
        /// Why not.
        reason: String,
    },
    /// The image is unlike what the network learnt from.
    #[error("{reason}")]
    Domain {
        /// How it differs, with numbers, and what to do.
        reason: String,
    },
}
