//! Keyed hashes (HMAC-SHA256): what is stored in place of a token, and the tokens that need no storage.

use hmac::{Hmac, Mac};
use sha2::Sha256;
use subtle::{Choice, ConstantTimeEq};

use crate::id::MagicLinkId;

/// The keys of an installation, the newest first. Older ones are still accepted, so that keys can be rotated.
#[derive(Clone)]
pub struct Keys(Vec<Vec<u8>>);

/// There is no key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("at least one secret is needed")]
pub struct NoKey;

impl Keys {
    /// From a comma-separated list, the newest first.
    pub fn parse(list: &str) -> Result<Self, NoKey> {
        let keys: Vec<_> = list
            .split(',')
            .map(str::trim)
            .filter(|key| !key.is_empty())
            .map(|key| key.as_bytes().to_vec())
            .collect();
        if keys.is_empty() { Err(NoKey) } else { Ok(Self(keys)) }
    }

    /// The keyed hash of a token, hexadecimal, with the newest key: what is stored.
    pub fn hash(&self, purpose: &str, token: &str) -> String {
        self.hashes(purpose, token).next().unwrap_or_default()
    }

    /// The hash under every key, the newest first: what is looked up.
    pub fn hashes<'a>(
        &'a self,
        purpose: &'a str,
        token: &'a str,
    ) -> impl Iterator<Item = String> + 'a {
        self.0.iter().map(move |key| hex::encode(mac(key, purpose, token)))
    }

    /// Whether a stored hash is this token's, under any key, in constant time.
    pub fn is_hash_of(&self, purpose: &str, token: &str, stored: &str) -> bool {
        self.hashes(purpose, token).any(|hash| hash.as_bytes().ct_eq(stored.as_bytes()).into())
    }

    /// The token of a magic link: its id and a keyed hash of it. Computed when it is mailed and again when
    /// it is verified, and stored nowhere.
    pub fn magic_link_token(&self, link: MagicLinkId) -> String {
        format!("{}.{}", link.0.simple(), self.hash("magic_link", &link.to_string()))
    }

    /// The link that a token opens, if the token is genuine.
    pub fn verify_magic_link_token(&self, token: &str) -> Option<MagicLinkId> {
        let (id, signature) = token.split_once('.')?;
        let link: MagicLinkId = format!("{}{id}", MagicLinkId::PREFIX).parse().ok()?;
        let genuine = self
            .hashes("magic_link", &link.to_string())
            .any(|expected| expected.as_bytes().ct_eq(signature.as_bytes()).into());
        genuine.then_some(link)
    }

    /// The eight digits that may be typed in place of the link. Computed like its token, and stored nowhere.
    pub fn magic_link_code(&self, link: MagicLinkId) -> String {
        self.0.first().map(|key| code(key, link)).unwrap_or_default()
    }

    /// Whether these are the eight digits of the link, found out in the same time for every guess.
    pub fn is_magic_link_code(&self, link: MagicLinkId, given: &str) -> bool {
        let genuine = |key: &Vec<u8>| code(key, link).as_bytes().ct_eq(given.as_bytes());
        self.0.iter().fold(Choice::from(0), |found, key| found | genuine(key)).into()
    }
}

fn code(key: &[u8], link: MagicLinkId) -> String {
    let digest = mac(key, "magic_link_code", &link.to_string());
    let number = digest.iter().take(8).fold(0_u64, |number, byte| number << 8 | u64::from(*byte));
    format!("{:08}", number % 100_000_000)
}

/// The purpose is part of what is hashed, so that a hash made for one use is worth nothing in another.
fn mac(key: &[u8], purpose: &str, text: &str) -> Vec<u8> {
    // HMAC takes keys of any length; an empty result would match nothing.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(key) else {
        return Vec::new();
    };
    mac.update(purpose.as_bytes());
    mac.update(&[0]);
    mac.update(text.as_bytes());
    mac.finalize().into_bytes().to_vec()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use uuid::Uuid;

    #[test]
    fn a_hash_is_its_tokens_alone() {
        let (old, rotated) = (Keys::parse("old").unwrap(), Keys::parse("new, old").unwrap());
        let stored = old.hash("access_token", "a token");
        assert!(rotated.is_hash_of("access_token", "a token", &stored));
        assert!(!rotated.is_hash_of("access_token", "another", &stored));
        assert!(!rotated.is_hash_of("visitor_session", "a token", &stored));
        assert!(!rotated.is_hash_of("access_token", "a token", ""));
        assert!(!Keys::parse("new").unwrap().is_hash_of("access_token", "a token", &stored));
    }

    #[test]
    fn tokens_survive_rotation_and_nothing_else() {
        let link = MagicLinkId(Uuid::from_u128(42));
        let (old, rotated) = (Keys::parse("old").unwrap(), Keys::parse("new, old").unwrap());
        let token = old.magic_link_token(link);
        assert_eq!(rotated.verify_magic_link_token(&token), Some(link));
        assert_eq!(Keys::parse("new").unwrap().verify_magic_link_token(&token), None);
        let other = token.replacen('0', "1", 1);
        assert_eq!(old.verify_magic_link_token(&other), None);
        let code = old.magic_link_code(link);
        assert_eq!((code.len(), code.bytes().all(|byte| byte.is_ascii_digit())), (8, true));
        assert!(rotated.is_magic_link_code(link, &code));
        assert_ne!(code, rotated.magic_link_code(link));
        for wrong in ["", "0", "00000000", &code[..7], &format!("{code}0")] {
            assert!(!rotated.is_magic_link_code(link, wrong), "{wrong}");
        }
    }
}
