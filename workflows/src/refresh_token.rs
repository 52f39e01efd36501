//! The proof in the addresses that Stripe sends creators back to, after the form and when their link was used
//! or has expired: who comes back with it was given the link, and may be given another.
//!
//! It is the time and a keyed hash over it, the handle, and whose wish the link was: made when a link is
//! minted, stored nowhere. Whose it is does not stand in it, for addresses are seen by many: it is tried with
//! those who may still ask for links. A link that was had by a proof carries that proof's time on, so that
//! there is an end to it.

use subtle::ConstantTimeEq;

use crate::{id::HandleId, keyed_hash::Keys, timestamp::Timestamp};

/// What stands for the proof in an address, until the link is minted.
pub const PLACEHOLDER: &str = "{token}";
/// For how long it is believed, in milliseconds.
pub const LIFETIME: i64 = Timestamp::DAY;

const PURPOSE: &str = "connect_refresh";

/// The proof of a link of a handle that somebody asked for at a time, given as the `sub` of their token.
pub fn mint(keys: &Keys, handle: HandleId, subject: &str, at: Timestamp) -> String {
    let millis = at.millis();
    format!("{millis}.{}", keys.hash(PURPOSE, &text(handle, subject, millis)))
}

/// When the link was asked for, if the proof is genuine, this somebody's, and not too old.
pub fn proven_at(
    keys: &Keys,
    handle: HandleId,
    subject: &str,
    token: &str,
    now: Timestamp,
) -> Option<Timestamp> {
    let (millis, signature) = token.split_once('.')?;
    let at = Timestamp::from_millis(millis.parse().ok()?);
    if at.plus(LIFETIME) <= now {
        return None;
    }
    keys.hashes(PURPOSE, &text(handle, subject, at.millis()))
        .any(|expected| expected.as_bytes().ct_eq(signature.as_bytes()).into())
        .then_some(at)
}

/// The subject comes last: it may hold anything.
fn text(handle: HandleId, subject: &str, millis: i64) -> String {
    format!("{handle}:{millis}:{subject}")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use uuid::Uuid;

    use super::*;

    #[test]
    fn a_proof_is_good_for_its_handle_and_subject_and_for_a_day() {
        let (keys, at) = (Keys::parse("new, old").unwrap(), Timestamp::from_secs(1_000));
        let (ours, theirs) = (HandleId(Uuid::from_u128(1)), HandleId(Uuid::from_u128(2)));
        let token = mint(&Keys::parse("old").unwrap(), ours, "maria", at);
        let seen = |handle, subject, now| proven_at(&keys, handle, subject, &token, now);
        assert_eq!(seen(ours, "maria", at.plus(LIFETIME - 1)), Some(at));
        assert_eq!(seen(ours, "maria", at.plus(LIFETIME)), None, "too old");
        assert_eq!(seen(theirs, "maria", at), None, "another handle's");
        assert_eq!(seen(ours, "eve", at), None, "somebody else's");
        let other = Keys::parse("other").unwrap();
        assert_eq!(proven_at(&other, ours, "maria", &token, at), None, "forged");
        let prolonged = token.replacen("1000000.", "2000000.", 1);
        assert_ne!(prolonged, token);
        assert_eq!(proven_at(&keys, ours, "maria", &prolonged, at), None, "prolonged");
        for nonsense in ["", ".", "1", "x.y", "9223372036854775807."] {
            assert_eq!(proven_at(&keys, ours, "maria", nonsense, at), None, "{nonsense}");
        }
    }
}
