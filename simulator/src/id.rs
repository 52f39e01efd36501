//! Ids that look like Stripe's: a prefix and letters and digits.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// Gives out ids: the same seed gives the same ids in the same order, and no id twice.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct IdSource {
    seed: u64,
    given: u64,
}

impl IdSource {
    pub(crate) fn new(seed: u64) -> Self {
        Self { seed, given: 0 }
    }

    pub(crate) fn seed(&self) -> u64 {
        self.seed
    }

    /// An id with the length that Stripe gives to ids of this prefix.
    pub(crate) fn next(&mut self, prefix: &str) -> String {
        let length = match prefix {
            "acct_" => 16,
            "cus_" | "prod_" | "req_" | "si_" => 14,
            "cs_test_" => 58,
            _ => 24,
        };
        self.given += 1;
        let mut id = String::with_capacity(prefix.len() + length);
        id.push_str(prefix);
        for block in 0..length.div_ceil(32) as u64 {
            let mut hash = Sha256::new();
            for part in [self.seed, self.given, block] {
                hash.update(part.to_be_bytes());
            }
            let wanted = prefix.len() + length - id.len();
            let letters = hash.finalize();
            id.extend(
                letters
                    .iter()
                    .take(wanted)
                    .map(|byte| char::from(ALPHABET[usize::from(*byte) % ALPHABET.len()])),
            );
        }
        id
    }
}
