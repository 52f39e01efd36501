//! JWTs: signed by us with a shared secret (HS256), or by an identity provider with a key of its set (RS256,
//! ES256, EdDSA). The algorithm is the key's to say, never the token's: a public key is no shared secret.

use std::sync::Arc;

use jsonwebtoken::{
    Algorithm, DecodingKey, EncodingKey, Header, Validation, decode, decode_header, encode,
    errors::{Error, ErrorKind},
};
use secrecy::ExposeSecret;
use serde::{Deserialize, Serialize};

use crate::{
    codes::Code,
    config::JwtConfig,
    jwks::{KeySet, PublicKey},
    principal::{Principal, check_subject},
    problem::Problem,
};

/// How far the clocks of issuer and installation may differ, in seconds.
const LEEWAY: u64 = 30;

#[derive(Debug, Serialize, Deserialize)]
struct Claims {
    sub: String,
    exp: i64,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    roles: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    iss: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    aud: Option<serde_json::Value>,
}

/// Checks JWTs. Where an issuer is configured, only its tokens are accepted, so that roles of the platform come
/// from nobody else.
pub struct TokenReader {
    secrets: Vec<DecodingKey>,
    key_set: Option<Arc<KeySet>>,
    issuer: Option<String>,
    audience: Option<String>,
}

impl TokenReader {
    /// A reader that accepts every configured secret and key.
    pub fn new(config: &JwtConfig) -> Self {
        let secrets = config.secrets.iter();
        let secrets =
            secrets.map(|key| DecodingKey::from_secret(key.expose_secret().as_bytes())).collect();
        Self {
            secrets,
            key_set: config.jwks.clone().map(KeySet::new),
            issuer: config.issuer.clone(),
            audience: config.audience.clone(),
        }
    }

    /// Who a token speaks for. `now`, in milliseconds, is for the age of the key set alone.
    pub async fn read(&self, token: &str, now: i64) -> Result<Principal, Problem> {
        let header = decode_header(token).map_err(|error| explain(&error))?;
        match (header.alg, &self.key_set) {
            (Algorithm::HS256, _) => self.check(token, Algorithm::HS256, self.secrets.iter()),
            (Algorithm::RS256 | Algorithm::ES256 | Algorithm::EdDSA, Some(set)) => {
                let check = |keys: &[&PublicKey]| {
                    let of_this = keys.iter().filter(|key| key.algorithm == header.alg);
                    self.check(token, header.alg, of_this.map(|key| &key.key))
                };
                set.fitting(header.kid.as_deref(), now, check).await
            }
            _ => Err(wrong_algorithm()),
        }
    }

    /// Checks a token against keys of one algorithm.
    fn check<'a>(
        &self,
        token: &str,
        algorithm: Algorithm,
        keys: impl Iterator<Item = &'a DecodingKey>,
    ) -> Result<Principal, Problem> {
        let validation = self.validation(algorithm);
        let mut refusal = Problem::new(Code::TokenInvalid, "the token's key is not known here");
        for key in keys {
            match decode::<Claims>(token, key, &validation) {
                Ok(token) => return principal(token.claims),
                Err(error) => {
                    let signed_with_another = *error.kind() == ErrorKind::InvalidSignature;
                    refusal = explain(&error);
                    if !signed_with_another {
                        break;
                    }
                }
            }
        }
        Err(refusal)
    }

    fn validation(&self, algorithm: Algorithm) -> Validation {
        let mut validation = Validation::new(algorithm);
        let mut required = vec!["exp", "sub"];
        validation.leeway = LEEWAY;
        validation.validate_nbf = true;
        validation.validate_aud = self.audience.is_some();
        if let Some(audience) = &self.audience {
            required.push("aud");
            validation.set_audience(&[audience]);
        }
        if let Some(issuer) = &self.issuer {
            required.push("iss");
            validation.set_issuer(&[issuer]);
        }
        validation.set_required_spec_claims(&required);
        validation
    }
}

fn principal(claims: Claims) -> Result<Principal, Problem> {
    check_subject(&claims.sub).map_err(|_| {
        Problem::new(Code::TokenInvalid, "the token's `sub` is empty or unreadable")
    })?;
    Ok(Principal::signed_in(claims.sub, &claims.roles))
}

fn wrong_algorithm() -> Problem {
    let detail = "no key that tokens may be signed with here is of the token's algorithm";
    Problem::new(Code::TokenInvalid, detail)
}

fn explain(error: &Error) -> Problem {
    match error.kind() {
        ErrorKind::ExpiredSignature => Problem::new(Code::TokenExpired, "the token has expired"),
        ErrorKind::InvalidSignature => {
            Problem::new(Code::TokenInvalid, "the token is not signed with a configured key")
        }
        ErrorKind::InvalidAlgorithm | ErrorKind::InvalidAlgorithmName => wrong_algorithm(),
        ErrorKind::MissingRequiredClaim(claim) => {
            Problem::new(Code::TokenInvalid, format!("the token has no `{claim}`"))
        }
        ErrorKind::InvalidAudience | ErrorKind::InvalidIssuer => Problem::new(
            Code::TokenInvalid,
            "the token is of another issuer or for another audience",
        ),
        ErrorKind::ImmatureSignature => {
            Problem::new(Code::TokenInvalid, "the token is not valid yet")
        }
        _ => Problem::new(Code::TokenInvalid, "the token cannot be read"),
    }
}

/// The installation has no secret to sign a token with, or the token cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum MintError {
    /// No secret is configured.
    #[error("no JWT secret is configured")]
    NoSecret,
    /// The token cannot be made.
    #[error("the token cannot be made: {0}")]
    Encoding(#[from] Error),
}

/// Mints a token with the newest secret, for development. `expires_at` is in seconds since the epoch.
pub fn mint_token(
    config: &JwtConfig,
    subject: &str,
    roles: &[String],
    expires_at: i64,
) -> Result<String, MintError> {
    let secret = config.secrets.first().ok_or(MintError::NoSecret)?;
    let claims = Claims {
        sub: subject.to_owned(),
        exp: expires_at,
        roles: roles.to_vec(),
        iss: config.issuer.clone(),
        aud: config.audience.clone().map(Into::into),
    };
    let key = EncodingKey::from_secret(secret.expose_secret().as_bytes());
    Ok(encode(&Header::new(Algorithm::HS256), &claims, &key)?)
}
