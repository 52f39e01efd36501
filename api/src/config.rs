//! What the application is told by whoever puts it together.

use std::{num::NonZeroU32, ops::Deref, sync::Arc, time::Duration};

use async_trait::async_trait;
use engine::{Engine, ingest::Ingest, interest::Interests};
use poem::Request;
use secrecy::SecretString;
use url::Url;
use workflows::{keyed_hash::Keys, plan::Plans};

use crate::{
    jwks::KeySource,
    jwt::TokenReader,
    problem::Problem,
    signature::Signers,
    throttle::{ThrottleConfig, Throttles},
};

/// What the application is told.
pub struct ApiConfig {
    /// Where the outside finds this installation: in links, and the origin of its own pages.
    pub public_url: Url,
    /// What plans come with.
    pub plans: Plans,
    /// Whether real money is meant. Webhooks that say otherwise are set aside.
    pub livemode: bool,
    /// The keys of sessions and links.
    pub keys: Keys,
    /// How bearer tokens are checked.
    pub jwt: JwtConfig,
    /// The signing secrets of the platform's webhook endpoint, any of which may sign.
    pub webhook_secrets: Vec<SecretString>,
    /// The signing secrets of the connect webhook endpoint.
    pub connect_webhook_secrets: Vec<SecretString>,
    /// Origins, beside the installation's own, that callers may have people sent to.
    pub return_origins: Vec<Url>,
    /// Renders the metrics for Prometheus.
    pub metrics: Arc<dyn Fn() -> String + Send + Sync>,
    /// Opens `/metrics` to others than the loopback.
    pub metrics_token: Option<SecretString>,
    /// Whether the schema is current.
    pub ready: Arc<dyn Readiness>,
    /// How long a request waits for a run to get where its answer is: ten seconds, says the documentation.
    pub answer_within: Duration,
    /// How often people may ask to sign in.
    pub sign_in_limits: SignInLimits,
    /// How often anybody may ask for anything.
    pub throttles: ThrottleConfig,
}

impl ApiConfig {
    /// How long a request waits for a run, unless configured otherwise.
    pub const ANSWER_WITHIN: Duration = Duration::from_secs(10);
}

/// How bearer tokens are checked.
#[derive(Clone)]
pub struct JwtConfig {
    /// Shared secrets (HS256), the newest first: it signs, all are accepted.
    pub secrets: Vec<SecretString>,
    /// Where the public keys of an identity provider come from (RS256, ES256, EdDSA), if there is one.
    pub jwks: Option<Arc<dyn KeySource>>,
    /// What `iss` must be, if anything.
    pub issuer: Option<String>,
    /// What `aud` must hold, if anything.
    pub audience: Option<String>,
}

/// How often people may ask to sign in.
#[derive(Clone, Copy, Debug)]
pub struct SignInLimits {
    /// Mails to one address at once; one more each minute.
    pub per_address: NonZeroU32,
    /// Requests of one client (an IP address) at once; one more each second.
    pub per_client: NonZeroU32,
}

impl Default for SignInLimits {
    fn default() -> Self {
        const ADDRESS: NonZeroU32 = NonZeroU32::MIN.saturating_add(4);
        const CLIENT: NonZeroU32 = NonZeroU32::MIN.saturating_add(59);
        Self { per_address: ADDRESS, per_client: CLIENT }
    }
}

/// What `/readyz` asks beside the database.
#[async_trait]
pub trait Readiness: Send + Sync {
    /// Whether the schema is the one of this release; why not, if it is not.
    async fn migrations_current(&self) -> Result<(), String>;
}

/// What handlers share. Clones share everything.
#[derive(Clone)]
pub struct App(Arc<Shared>);

/// What handlers share.
pub struct Shared {
    /// To send messages, and to wait for runs.
    pub engine: Engine,
    /// The way in for webhooks.
    pub ingest: Ingest,
    /// The way in for interest in group buys.
    pub interests: Interests,
    /// What the application was told.
    pub config: ApiConfig,
    /// Checks bearer tokens.
    pub tokens: TokenReader,
    /// Checks webhooks.
    pub signers: Signers,
    /// Keeps callers within bounds.
    pub throttles: Throttles,
}

impl Deref for App {
    type Target = Shared;

    fn deref(&self) -> &Shared {
        &self.0
    }
}

impl App {
    /// The shared parts, made ready.
    pub fn new(engine: Engine, ingest: Ingest, config: ApiConfig) -> Self {
        Self(Arc::new(Shared {
            tokens: TokenReader::new(&config.jwt),
            signers: Signers::new(&config),
            throttles: Throttles::new(
                &config.throttles,
                config.sign_in_limits,
                config.keys.clone(),
            ),
            interests: Interests::start(engine.clone()),
            engine,
            ingest,
            config,
        }))
    }

    /// The application that a request came in by.
    pub fn of(request: &Request) -> Result<&Self, Problem> {
        request
            .data()
            .ok_or_else(|| Problem::internal("the application is not in its own requests"))
    }

    /// This machine's time in milliseconds, as tests move it.
    pub fn now(&self) -> i64 {
        self.engine.clock().local_millis()
    }

    /// An address of this installation.
    pub fn url(&self, path: &str) -> String {
        format!("{}{path}", self.config.public_url.as_str().trim_end_matches('/'))
    }
}
