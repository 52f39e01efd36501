//! The token that binds a refund to its preview: what was looked at is what is done, or nothing. It holds what
//! was looked at and a keyed hash over it; nothing of it is stored.

use workflows::{Timestamp, id::CheckoutId, keyed_hash::Keys, refund::AccessAfter};

/// How long a preview binds, in milliseconds.
pub const LIFETIME: i64 = 10 * Timestamp::MINUTE;

const PURPOSE: &str = "refund_preview";

/// What was looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Previewed {
    /// Minor units to give back.
    pub amount: i64,
    /// Minor units that could be given back.
    pub refundable: i64,
    /// What becomes of the access.
    pub access: AccessAfter,
    /// Until when it binds.
    pub until: Timestamp,
}

impl Previewed {
    /// The token.
    pub fn token(&self, keys: &Keys, checkout: CheckoutId) -> String {
        let text = self.text();
        format!("{text}.{}", keys.hash(PURPOSE, &format!("{checkout}:{text}")))
    }

    fn text(&self) -> String {
        let access = match self.access {
            AccessAfter::Kept => "kept",
            AccessAfter::Revoked => "revoked",
        };
        format!("{}.{}.{}.{access}", self.until.millis(), self.amount, self.refundable)
    }

    /// What a token binds to, if it is genuine and of this purchase. Whether it binds still is for the caller
    /// to see.
    pub fn read(keys: &Keys, checkout: CheckoutId, token: &str) -> Option<Self> {
        let (text, hash) = token.rsplit_once('.')?;
        if !keys.is_hash_of(PURPOSE, &format!("{checkout}:{text}"), hash) {
            return None;
        }
        let mut parts = text.split('.');
        let mut number = || parts.next()?.parse::<i64>().ok();
        let (until, amount, refundable) = (number()?, number()?, number()?);
        let access = match parts.next()? {
            "revoked" => AccessAfter::Revoked,
            _ => AccessAfter::Kept,
        };
        Some(Self { amount, refundable, access, until: Timestamp::from_millis(until) })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use uuid::Uuid;

    use super::*;

    #[test]
    fn a_token_binds_to_what_was_looked_at() {
        let keys = Keys::parse("a secret").unwrap();
        let (ours, theirs) = (CheckoutId(Uuid::from_u128(1)), CheckoutId(Uuid::from_u128(2)));
        let previewed = Previewed {
            amount: 500,
            refundable: 1_250,
            access: AccessAfter::Revoked,
            until: Timestamp::from_secs(1_000),
        };
        let token = previewed.token(&keys, ours);
        assert_eq!(Previewed::read(&keys, ours, &token), Some(previewed));
        assert_eq!(Previewed::read(&keys, theirs, &token), None);
        assert_eq!(Previewed::read(&keys, ours, &token.replacen(".500.", ".501.", 1)), None);
        assert_eq!(Previewed::read(&Keys::parse("another").unwrap(), ours, &token), None);
        for nonsense in ["", ".", "1.2.3.kept", "x.y.z.kept.ab"] {
            assert_eq!(Previewed::read(&keys, ours, nonsense), None, "{nonsense}");
        }
    }
}
