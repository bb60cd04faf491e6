//! Counter-based randomness: a draw is a function of what it is for (seed, purpose, counter), never of the order of the draws.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;

/// A family of independent random streams: one study seed and one purpose; streams are numbered.
///
/// The key is blake3 of purpose and seed, the stream number is ChaCha8's own (64 bits): the same bytes for any number of threads, on any
/// node. `StdRng` is not used since its algorithm may change between versions.
#[derive(Debug, Clone, Copy)]
pub struct Streams {
    key: [u8; 32],
}

impl Streams {
    /// Streams for `purpose` (a fixed sentence in the code) under the study's seed.
    #[must_use]
    pub fn new(purpose: &str, seed: u64) -> Self {
        Self { key: blake3::derive_key(purpose, &seed.to_le_bytes()) }
    }

    /// The generator of stream `number`.
    #[must_use]
    pub fn stream(&self, number: u64) -> ChaCha8Rng {
        let mut rng = ChaCha8Rng::from_seed(self.key);
        rng.set_stream(number);
        rng
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::RngExt;

    #[test]
    fn streams_depend_on_seed_purpose_and_number_alone() {
        let draw = |purpose: &str, seed, number| Streams::new(purpose, seed).stream(number).random::<u64>();
        let one = draw("a", 1, 7);
        assert_eq!(one, draw("a", 1, 7));
        for other in [draw("b", 1, 7), draw("a", 2, 7), draw("a", 1, 8)] {
            assert_ne!(one, other);
        }
    }
}
