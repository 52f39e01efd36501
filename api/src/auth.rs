//! Creators and operators: bearer tokens (JWT). The algorithm is ours to say, never the token's.
//!
//! Only HS256 with shared secrets so far; keys of a JWKS, personal access tokens and members of a handle
//! will be further ways to become a [`Principal`].

use jsonwebtoken::{
    Algorithm, DecodingKey, EncodingKey, Header, Validation, decode, encode, errors::ErrorKind,
};
use poem::{Request, RequestBody};
use poem_openapi::{
    ApiExtractor, ApiExtractorType, ExtractParamOptions,
    auth::{Bearer, BearerAuthorization},
    registry::{MetaSecurityScheme, Registry},
};
use secrecy::ExposeSecret;
use serde::{Deserialize, Serialize};

use crate::{
    codes::Code,
    config::{App, JwtConfig},
    problem::Problem,
    throttle::count_caller,
};

/// How far the clocks of issuer and installation may differ, in seconds.
const LEEWAY: u64 = 30;
/// Roles that see and steer every run.
const OPERATORS: &[&str] = &["platform_admin", "platform_operator"];

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

/// Who a bearer token speaks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Principal {
    /// The token's `sub`.
    pub subject: String,
    roles: Vec<String>,
}

impl Principal {
    /// Whether this is somebody of the platform's, who may see every run.
    pub fn is_operator(&self) -> bool {
        self.roles.iter().any(|role| OPERATORS.contains(&role.as_str()))
    }
}

/// Checks bearer tokens.
pub struct TokenReader {
    keys: Vec<DecodingKey>,
    validation: Validation,
}

impl TokenReader {
    /// A reader that accepts every configured secret.
    pub fn new(config: &JwtConfig) -> Self {
        let mut validation = Validation::new(Algorithm::HS256);
        let mut required = vec!["exp", "sub"];
        validation.leeway = LEEWAY;
        validation.validate_nbf = true;
        validation.validate_aud = config.audience.is_some();
        if let Some(audience) = &config.audience {
            required.push("aud");
            validation.set_audience(&[audience]);
        }
        if let Some(issuer) = &config.issuer {
            required.push("iss");
            validation.set_issuer(&[issuer]);
        }
        validation.set_required_spec_claims(&required);
        let keys = config.secrets.iter();
        let keys =
            keys.map(|key| DecodingKey::from_secret(key.expose_secret().as_bytes())).collect();
        Self { keys, validation }
    }

    /// Who a token speaks for.
    pub fn read(&self, token: &str) -> Result<Principal, Problem> {
        let mut refusal = Problem::new(Code::TokenInvalid, "no key is configured");
        for key in &self.keys {
            match decode::<Claims>(token, key, &self.validation) {
                Ok(token) => return principal(token.claims),
                Err(error) => {
                    let signed_with_another = *error.kind() == ErrorKind::InvalidSignature;
                    refusal = explain(error.kind());
                    if !signed_with_another {
                        break;
                    }
                }
            }
        }
        Err(refusal)
    }
}

fn principal(claims: Claims) -> Result<Principal, Problem> {
    let sane = (1..=255).contains(&claims.sub.len()) && !claims.sub.chars().any(char::is_control);
    if !sane {
        return Err(Problem::new(Code::TokenInvalid, "the token's `sub` is empty or unreadable"));
    }
    Ok(Principal { subject: claims.sub, roles: claims.roles })
}

fn explain(kind: &ErrorKind) -> Problem {
    match kind {
        ErrorKind::ExpiredSignature => Problem::new(Code::TokenExpired, "the token has expired"),
        ErrorKind::InvalidSignature => {
            Problem::new(Code::TokenInvalid, "the token is not signed with a configured key")
        }
        ErrorKind::InvalidAlgorithm | ErrorKind::InvalidAlgorithmName => {
            Problem::new(Code::TokenInvalid, "tokens are signed with HS256")
        }
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
    Encoding(#[from] jsonwebtoken::errors::Error),
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

/// The caller of an operation, by bearer token.
pub struct Caller(pub Principal);

const SCHEME: &str = "BearerToken";

impl<'a> ApiExtractor<'a> for Caller {
    const TYPES: &'static [ApiExtractorType] = &[ApiExtractorType::SecurityScheme];
    type ParamType = ();
    type ParamRawType = ();

    fn register(registry: &mut Registry) {
        let scheme = MetaSecurityScheme {
            ty: "http",
            description: Some(
                "A JWT whose `sub` owns the handle (HS256, `exp` required). Roles of the platform stand in \
                 `roles`.",
            ),
            name: None,
            key_in: None,
            scheme: Some("bearer"),
            bearer_format: Some("JWT"),
            flows: None,
            openid_connect_url: None,
        };
        registry.create_security_scheme(SCHEME, scheme);
    }

    fn security_schemes() -> Vec<&'static str> {
        vec![SCHEME]
    }

    async fn from_request(
        request: &'a Request,
        _: &mut RequestBody,
        _: ExtractParamOptions<()>,
    ) -> poem::Result<Self> {
        let bearer = <Bearer as BearerAuthorization>::from_request(request)?;
        let principal = App::of(request)?.tokens.read(&bearer.token)?;
        count_caller(request, &format!("subject:{}", principal.subject)).await?;
        Ok(Self(principal))
    }
}
