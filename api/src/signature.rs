//! Signatures of Stripe's webhooks: HMAC-SHA256 over the time and the raw body.
//! <https://docs.stripe.com/webhooks#verify-manually>

use hmac::{Hmac, Mac};
use secrecy::{ExposeSecret, SecretString};
use sha2::Sha256;
use subtle::ConstantTimeEq;
use workflows::stripe_event::Endpoint;

use crate::config::ApiConfig;

/// How far a signature's time may be from ours, either way, in seconds: Stripe's own libraries use it.
pub const TOLERANCE: i64 = 300;
/// More signatures than any rotation has.
const MOST_SIGNATURES: usize = 16;

/// Why a signature does not hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Mismatch {
    /// The header is absent.
    #[error("the header Stripe-Signature is missing")]
    Missing,
    /// The header is not `t=…,v1=…`.
    #[error("the header Stripe-Signature cannot be read: it must hold t=… and v1=…")]
    Unreadable,
    /// No signature was made with a secret of this endpoint over this body.
    #[error("no signature matches: the secret is another, or the body was changed")]
    NoMatch,
    /// Genuine, but old: somebody may be repeating it.
    #[error("the signature is too old: {0} s, and {TOLERANCE} s are tolerated")]
    TooOld(i64),
    /// Genuine, but the sender's clock is ahead.
    #[error("the signature is from the future: {0} s ahead, and {TOLERANCE} s are tolerated")]
    Future(i64),
}

/// The secrets of the two endpoints, ready to verify with.
pub struct Signers {
    platform: Vec<Hmac<Sha256>>,
    connect: Vec<Hmac<Sha256>>,
}

impl Signers {
    /// The configured secrets.
    pub fn new(config: &ApiConfig) -> Self {
        Self {
            platform: keyed(&config.webhook_secrets),
            connect: keyed(&config.connect_webhook_secrets),
        }
    }

    /// Verifies a body, and says how old its signature is, in seconds.
    pub fn verify(
        &self,
        endpoint: Endpoint,
        header: Option<&str>,
        body: &[u8],
        now: i64,
    ) -> Result<i64, Mismatch> {
        let secrets = match endpoint {
            Endpoint::Platform => &self.platform,
            Endpoint::Connect => &self.connect,
        };
        let header = read(header.ok_or(Mismatch::Missing)?)?;
        if !secrets.iter().any(|secret| header.is_signed_with(secret, body)) {
            return Err(Mismatch::NoMatch);
        }
        match now.saturating_sub(header.seconds) {
            age if age > TOLERANCE => Err(Mismatch::TooOld(age)),
            age if age < -TOLERANCE => Err(Mismatch::Future(age.saturating_neg())),
            age => Ok(age),
        }
    }
}

/// The keyed state is made once: a verification only copies it.
fn keyed(secrets: &[SecretString]) -> Vec<Hmac<Sha256>> {
    let keys = secrets.iter().map(|secret| secret.expose_secret().as_bytes());
    // HMAC takes keys of any length.
    keys.filter_map(|key| Hmac::new_from_slice(key).ok()).collect()
}

struct SignatureHeader<'a> {
    time: &'a str,
    seconds: i64,
    signatures: Vec<[u8; 32]>,
}

impl SignatureHeader<'_> {
    fn is_signed_with(&self, secret: &Hmac<Sha256>, body: &[u8]) -> bool {
        let mut mac = secret.clone();
        mac.update(self.time.as_bytes());
        mac.update(b".");
        mac.update(body);
        let expected: [u8; 32] = mac.finalize().into_bytes().into();
        self.signatures.iter().any(|given| given.ct_eq(&expected).into())
    }
}

/// `t=1492774577,v1=…,v1=…,v0=…`. Schemes other than `v1` are for Stripe's own tests.
fn read(header: &str) -> Result<SignatureHeader<'_>, Mismatch> {
    let (mut time, mut signatures) = (None, Vec::with_capacity(2));
    for (name, value) in header.split(',').filter_map(|item| item.trim().split_once('=')) {
        match name {
            "t" if time.is_none() => time = Some(value),
            "v1" if signatures.len() < MOST_SIGNATURES => {
                let mut signature = [0_u8; 32];
                if hex::decode_to_slice(value, &mut signature).is_ok() {
                    signatures.push(signature);
                }
            }
            _ => {}
        }
    }
    let time = time.ok_or(Mismatch::Unreadable)?;
    let seconds = time.parse().map_err(|_| Mismatch::Unreadable)?;
    if signatures.is_empty() {
        return Err(Mismatch::Unreadable);
    }
    Ok(SignatureHeader { time, seconds, signatures })
}

#[cfg(test)]
mod tests {
    use super::*;

    const BODY: &[u8] = br#"{"id":"evt_1"}"#;
    const NOW: i64 = 1_700_000_000;

    fn sign(secret: &str, time: i64, body: &[u8]) -> String {
        let mut mac = keyed(&[secret.into()]).remove(0);
        mac.update(format!("{time}.").as_bytes());
        mac.update(body);
        hex::encode(mac.finalize().into_bytes())
    }

    #[test]
    fn s39_only_genuine_signatures_pass() {
        let signers = Signers {
            platform: keyed(&["new".into(), "old".into()]),
            connect: keyed(&["other".into()]),
        };
        let good = sign("new", NOW, BODY);
        type Row<'a> = (&'a str, String, &'a [u8], Result<i64, Mismatch>);
        let rows: &[Row<'_>] = &[
            ("genuine", format!("t={NOW},v1={good}"), BODY, Ok(0)),
            ("rotated", format!("t={NOW},v1={}", sign("old", NOW, BODY)), BODY, Ok(0)),
            ("several", format!("t={NOW},v1={},v1={good}", "0".repeat(64)), BODY, Ok(0)),
            ("spaces and v0", format!("t={NOW}, v0=abc, v1={good}"), BODY, Ok(0)),
            ("upper case", format!("t={NOW},v1={}", good.to_uppercase()), BODY, Ok(0)),
            ("edge", at("new", NOW - 300), BODY, Ok(300)),
            ("too old", at("new", NOW - 301), BODY, Err(Mismatch::TooOld(301))),
            ("ahead", at("new", NOW + 300), BODY, Ok(-300)),
            ("future", at("new", NOW + 301), BODY, Err(Mismatch::Future(301))),
            ("wrong secret", at("wrong", NOW), BODY, Err(Mismatch::NoMatch)),
            ("of the other endpoint", at("other", NOW), BODY, Err(Mismatch::NoMatch)),
            ("one byte", at("new", NOW), br#"{"id":"evt_2"}"#, Err(Mismatch::NoMatch)),
            ("one byte more", at("new", NOW), br#"{"id":"evt_1"} "#, Err(Mismatch::NoMatch)),
            ("time changed", format!("t={},v1={good}", NOW + 1), BODY, Err(Mismatch::NoMatch)),
            ("v0 only", format!("t={NOW},v0={good}"), BODY, Err(Mismatch::Unreadable)),
            ("no time", format!("v1={good}"), BODY, Err(Mismatch::Unreadable)),
            ("short", format!("t={NOW},v1=abcd"), BODY, Err(Mismatch::Unreadable)),
            ("empty", String::new(), BODY, Err(Mismatch::Unreadable)),
            ("no number", format!("t=now,v1={good}"), BODY, Err(Mismatch::Unreadable)),
        ];
        for (name, header, body, expected) in rows {
            let verified = signers.verify(Endpoint::Platform, Some(header), body, NOW);
            assert_eq!(verified, *expected, "{name}");
        }
        let absent = signers.verify(Endpoint::Platform, None, BODY, NOW);
        assert_eq!(absent, Err(Mismatch::Missing));
    }

    fn at(secret: &str, time: i64) -> String {
        format!("t={time},v1={}", sign(secret, time, BODY))
    }
}
