//! The counter that names one frame: all its random draws follow from it and from nothing else.

/// Which frame: the seed of the study (or of the point), the number of the frame, the number of the detector.
///
/// Detectors that record at once share the scan, so that drift and jitter depend on seed and frame alone; their electrons do not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FrameKey {
    /// Seed.
    pub seed: u64,
    /// Number of the frame.
    pub frame: u64,
    /// Number of the detector.
    pub channel: u64,
}

impl FrameKey {
    /// The first frame of the first detector under a seed.
    #[must_use]
    pub fn first(seed: u64) -> Self {
        Self { seed, frame: 0, channel: 0 }
    }

    /// Seed of what all detectors share.
    pub(super) fn scan(self) -> u64 {
        hashed(&[self.seed, self.frame])
    }

    /// Seed of what each detector has of its own.
    pub(super) fn signal(self) -> u64 {
        hashed(&[self.seed, self.frame, self.channel])
    }
}

/// The first 64 bits of blake3 of the counters.
fn hashed(counters: &[u64]) -> u64 {
    let mut hasher = blake3::Hasher::new();
    for counter in counters {
        hasher.update(&counter.to_le_bytes());
    }
    let mut first = [0; 8];
    first.copy_from_slice(&hasher.finalize().as_bytes()[..8]);
    u64::from_le_bytes(first)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn detectors_share_the_scan_and_nothing_else_is_shared() {
        let key = FrameKey { seed: 3, frame: 5, channel: 0 };
        let other = FrameKey { channel: 1, ..key };
        assert_eq!(key.scan(), other.scan());
        assert_ne!(key.signal(), other.signal());
        assert_ne!(key.scan(), FrameKey { frame: 6, ..key }.scan());
        assert_ne!(key.scan(), FrameKey { seed: 4, ..key }.scan());
        assert_ne!(key.scan(), key.signal());
    }
}
