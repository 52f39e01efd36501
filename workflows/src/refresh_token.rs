//! The proof in the address that Stripe sends creators to when their onboarding link was used or has expired:
//! who comes back with it was given the link, and may be given another.
//!
//! It is the time and a keyed hash over it and the handle: made when a link is minted, stored nowhere.

use subtle::ConstantTimeEq;

use crate::{id::HandleId, keyed_hash::Keys, timestamp::Timestamp};

/// What stands for the proof in an address, until the link is minted.
pub const PLACEHOLDER: &str = "{token}";
/// For how long it is believed, in milliseconds.
pub const LIFETIME: i64 = Timestamp::DAY;

const PURPOSE: &str = "connect_refresh";

/// The proof for a handle.
pub fn mint(keys: &Keys, handle: HandleId, at: Timestamp) -> String {
    let millis = at.millis();
    format!("{millis}.{}", keys.hash(PURPOSE, &text(handle, millis)))
}

/// Whether a proof is genuine and not too old.
pub fn is_good(keys: &Keys, handle: HandleId, token: &str, now: Timestamp) -> bool {
    let Some((millis, signature)) = token.split_once('.') else { return false };
    let Ok(millis) = millis.parse::<i64>() else { return false };
    if Timestamp::from_millis(millis).plus(LIFETIME) <= now {
        return false;
    }
    keys.hashes(PURPOSE, &text(handle, millis))
        .any(|expected| expected.as_bytes().ct_eq(signature.as_bytes()).into())
}

fn text(handle: HandleId, millis: i64) -> String {
    format!("{handle}:{millis}")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use uuid::Uuid;

    use super::*;

    #[test]
    fn a_proof_is_good_for_its_handle_and_for_a_day() {
        let (keys, at) = (Keys::parse("new, old").unwrap(), Timestamp::from_secs(1_000));
        let (ours, theirs) = (HandleId(Uuid::from_u128(1)), HandleId(Uuid::from_u128(2)));
        let token = mint(&Keys::parse("old").unwrap(), ours, at);
        assert!(is_good(&keys, ours, &token, at.plus(LIFETIME - 1)));
        assert!(!is_good(&keys, ours, &token, at.plus(LIFETIME)), "too old");
        assert!(!is_good(&keys, theirs, &token, at), "another's");
        assert!(!is_good(&Keys::parse("other").unwrap(), ours, &token, at), "forged");
        let prolonged = token.replacen("1000000.", "2000000.", 1);
        assert_ne!(prolonged, token);
        assert!(!is_good(&keys, ours, &prolonged, at), "prolonged");
        for nonsense in ["", ".", "1", "x.y", "9223372036854775807."] {
            assert!(!is_good(&keys, ours, nonsense, at), "{nonsense}");
        }
    }
}
