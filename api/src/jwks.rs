//! The public keys of an identity provider (a JWKS, RFC 7517): read when they are needed, kept, and read again
//! when a token names a key that is not among them, or names none and was signed with none of them. While they
//! cannot be read, the ones that are known stay good; a set without any is one, and ends them.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use jsonwebtoken::{
    Algorithm, DecodingKey,
    jwk::{AlgorithmParameters, EllipticCurve, Jwk, KeyAlgorithm, KeyOperations, PublicKeyUse},
};
use serde::Deserialize;
use tokio::sync::{Mutex, RwLock};

use crate::{codes::Code, problem::Problem};

/// Keys older than this are read again, beside the requests, so that a withdrawn key goes.
const OLD: Duration = Duration::from_secs(600);
/// Whoever sends tokens of unknown keys has the set read so often at most.
const ASKED_EVERY: Duration = Duration::from_secs(30);
/// The same while no set was ever read.
const ASKED_AT_FIRST_EVERY: Duration = Duration::from_secs(2);

/// Where a key set comes from: an address or a file.
#[async_trait]
pub trait KeySource: Send + Sync {
    /// The key set as JSON; for the log, why it cannot be had.
    async fn fetch(&self) -> Result<String, String>;
}

/// A key that tokens may be signed with. Its algorithm is its own, whatever a token says.
pub struct PublicKey {
    id: Option<String>,
    /// How it signs.
    pub algorithm: Algorithm,
    /// To check signatures with.
    pub key: DecodingKey,
}

/// A key set holds no key that can be used.
#[derive(Debug, thiserror::Error)]
pub enum KeySetError {
    /// It cannot be read.
    #[error("it is no key set: {0}")]
    Unreadable(#[from] serde_json::Error),
    /// It holds nothing to check signatures with.
    #[error("it holds no signing key of RS256, ES256 or EdDSA")]
    NoKey,
}

#[derive(Deserialize)]
struct Document {
    keys: Vec<serde_json::Value>,
}

/// The usable keys of a set. Others are passed over: keys to encrypt with, algorithms unknown here, and
/// symmetric ones, which have no place in public.
fn read_keys(json: &str) -> Result<Vec<PublicKey>, KeySetError> {
    let document: Document = serde_json::from_str(json)?;
    let keys: Vec<_> = document.keys.into_iter().filter_map(usable).collect();
    if keys.is_empty() { Err(KeySetError::NoKey) } else { Ok(keys) }
}

/// Whether a key set can be used: for settings, before anybody needs it.
pub fn check_key_set(json: &str) -> Result<(), KeySetError> {
    read_keys(json).map(drop)
}

fn usable(key: serde_json::Value) -> Option<PublicKey> {
    let key: Jwk = serde_json::from_value(key).ok()?;
    let signs = key.common.public_key_use.as_ref().is_none_or(|is| *is == PublicKeyUse::Signature);
    let operations = key.common.key_operations.as_ref();
    let verifies = operations.is_none_or(|all| all.contains(&KeyOperations::Verify));
    let (algorithm, named) = algorithm_of(&key.algorithm)?;
    let agrees = key.common.key_algorithm.is_none_or(|stated| stated == named);
    if !(signs && verifies && agrees) {
        return None;
    }
    let decoding = DecodingKey::from_jwk(&key).ok()?;
    Some(PublicKey { id: key.common.key_id, algorithm, key: decoding })
}

fn algorithm_of(parameters: &AlgorithmParameters) -> Option<(Algorithm, KeyAlgorithm)> {
    match parameters {
        AlgorithmParameters::RSA(_) => Some((Algorithm::RS256, KeyAlgorithm::RS256)),
        AlgorithmParameters::EllipticCurve(key) if key.curve == EllipticCurve::P256 => {
            Some((Algorithm::ES256, KeyAlgorithm::ES256))
        }
        AlgorithmParameters::OctetKeyPair(key) if key.curve == EllipticCurve::Ed25519 => {
            Some((Algorithm::EdDSA, KeyAlgorithm::EdDSA))
        }
        AlgorithmParameters::EllipticCurve(_)
        | AlgorithmParameters::OctetKeyPair(_)
        | AlgorithmParameters::OctetKey(_) => None,
    }
}

/// A key set that is kept.
pub struct KeySet {
    source: Arc<dyn KeySource>,
    known: RwLock<Option<Known>>,
    /// When the source was last asked. Held while it is: many who need it ask once.
    asked_at: Mutex<Option<i64>>,
}

#[derive(Clone)]
struct Known {
    keys: Arc<[PublicKey]>,
    read_at: i64,
}

impl KeySet {
    /// A set that is read when it is first needed.
    pub fn new(source: Arc<dyn KeySource>) -> Arc<Self> {
        Arc::new(Self { source, known: RwLock::default(), asked_at: Mutex::default() })
    }

    /// Looks through the keys that a token of this key id (or of none) may be signed with, and reads the set
    /// again if there are none. `now` is in milliseconds.
    pub async fn fitting<T>(
        self: &Arc<Self>,
        id: Option<&str>,
        now: i64,
        found: impl Fn(&[&PublicKey]) -> Result<T, Problem>,
    ) -> Result<T, Problem> {
        let look = |known: &Known| {
            let keys: Vec<_> = known.keys.iter().filter(|key| key.is_called(id)).collect();
            (!keys.is_empty()).then(|| found(&keys))
        };
        if let Some(known) = self.known().await
            && let Some(found) = look(&known)
            && !(id.is_none() && is_refused(&found))
        {
            if is_past(known.read_at, OLD, now) {
                tokio::spawn(self.clone().refresh(now));
            }
            return found;
        }
        // A task of its own: the keys are read to the end even if whoever asked is gone.
        let refreshed = tokio::spawn(self.clone().refresh(now)).await;
        refreshed.map_err(Problem::internal)?;
        match self.known().await {
            Some(known) => look(&known).unwrap_or_else(|| found(&[])),
            None => {
                Err(Problem::unavailable("the keys that tokens are signed with cannot be read"))
            }
        }
    }

    async fn known(&self) -> Option<Known> {
        self.known.read().await.clone()
    }

    async fn refresh(self: Arc<Self>, now: i64) {
        let mut asked_at = self.asked_at.lock().await;
        let spacing = match self.known().await {
            Some(_) => ASKED_EVERY,
            None => ASKED_AT_FIRST_EVERY,
        };
        if asked_at.is_some_and(|at| !is_past(at, spacing, now)) {
            return;
        }
        *asked_at = Some(now);
        let read = match self.source.fetch().await.map(|json| read_keys(&json)) {
            Ok(Ok(keys)) => Ok(keys),
            // Whoever has to withdraw all keys at once leaves an empty set.
            Ok(Err(KeySetError::NoKey)) => {
                tracing::warn!(
                    "SLUICE_JWKS holds no key that can be used: no token of its is good"
                );
                Ok(Vec::new())
            }
            Ok(Err(error @ KeySetError::Unreadable(_))) => Err(error.to_string()),
            Err(error) => Err(error),
        };
        match read {
            Ok(keys) => *self.known.write().await = Some(Known { keys: keys.into(), read_at: now }),
            Err(error) => tracing::warn!(error, "the keys of SLUICE_JWKS cannot be read"),
        }
    }
}

impl PublicKey {
    /// A token that names no key may be signed with any.
    fn is_called(&self, id: Option<&str>) -> bool {
        id.is_none_or(|id| self.id.as_deref() == Some(id))
    }
}

/// Whether a token was signed with none of the keys, as far as can be told.
fn is_refused<T>(found: &Result<T, Problem>) -> bool {
    found.as_ref().is_err_and(|problem| problem.code == Code::TokenInvalid)
}

/// A clock that was put back must not keep old keys for ever.
fn is_past(then: i64, wait: Duration, now: i64) -> bool {
    let wait = i64::try_from(wait.as_millis()).unwrap_or(i64::MAX);
    now < then || now - then >= wait
}
