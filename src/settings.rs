//! Settings: flags and environment variables, validated once at the start. An error names the variable.

use std::{net::SocketAddr, num::NonZeroU32, path::PathBuf, time::Duration};

use clap::Args;
use secrecy::{ExposeSecret, SecretString};
use url::Url;
use workflows::{
    keyed_hash::Keys,
    money::BasisPoints,
    plan::{Plan, Plans},
};

/// Everything that can be configured. Flags win over the environment.
#[derive(Args, Clone)]
pub struct Settings {
    /// `sqlite://file` or `postgres://…` [default: sqlite://{data}/sluice.db]
    #[arg(long, env = "DATABASE_URL", global = true, hide_env_values = true)]
    database_url: Option<SecretString>,
    /// Wake-ups between processes; without it they stay within the process.
    #[arg(long, env = "REDIS_URL", global = true, hide_env_values = true)]
    redis_url: Option<SecretString>,
    /// Database file, mails, markers and the simulator's state.
    #[arg(long, env = "SLUICE_DATA_DIR", global = true, default_value = "data")]
    pub data_dir: PathBuf,
    /// Where to listen.
    #[arg(long, env = "SLUICE_BIND", global = true, default_value = "127.0.0.1:8080")]
    pub bind: SocketAddr,
    /// How the outside reaches this installation [default: from the bind]
    #[arg(long, env = "SLUICE_PUBLIC_URL", global = true)]
    public_url: Option<Url>,
    /// Keys the hashes of links and sessions; comma-separated, the newest first.
    #[arg(long, env = "SLUICE_SECRET", global = true, hide_env_values = true)]
    secret: Option<SecretString>,
    /// Signs bearer tokens (HS256); comma-separated, the newest first.
    #[arg(long, env = "SLUICE_JWT_SECRET", global = true, hide_env_values = true)]
    jwt_secret: Option<SecretString>,
    /// The public keys of an identity provider that signs bearer tokens: a file, or an `https://` address.
    #[arg(long, env = "SLUICE_JWKS", global = true)]
    jwks: Option<String>,
    /// What a token's `iss` must be.
    #[arg(long, env = "SLUICE_JWT_ISSUER", global = true)]
    jwt_issuer: Option<String>,
    /// What a token's `aud` must hold.
    #[arg(long, env = "SLUICE_JWT_AUDIENCE", global = true)]
    jwt_audience: Option<String>,
    /// `sk_…`; without it `sluice serve` runs the simulator.
    #[arg(long, env = "STRIPE_SECRET_KEY", global = true, hide_env_values = true)]
    stripe_secret_key: Option<SecretString>,
    /// Another address than Stripe's own: a simulator's.
    #[arg(long, env = "STRIPE_API_BASE", global = true)]
    pub stripe_api_base: Option<Url>,
    /// Signing secrets of the platform's webhook endpoint, comma-separated.
    #[arg(long, env = "STRIPE_WEBHOOK_SECRETS", global = true, hide_env_values = true)]
    webhook_secrets: Option<SecretString>,
    /// Signing secrets of the connect webhook endpoint, comma-separated.
    #[arg(long, env = "STRIPE_CONNECT_WEBHOOK_SECRETS", global = true, hide_env_values = true)]
    connect_webhook_secrets: Option<SecretString>,
    /// Calls to Stripe a second at most, for each process.
    #[arg(long, env = "SLUICE_STRIPE_CALLS_PER_SECOND", global = true, default_value = "80")]
    pub stripe_calls_per_second: NonZeroU32,
    /// How often Stripe's balance transactions are listed, in seconds.
    #[arg(long, env = "SLUICE_BALANCE_TRANSACTIONS_SECONDS", global = true, default_value = "60")]
    balance_transactions_seconds: NonZeroU32,
    /// How often Stripe's events are listed, for those that never arrived, in seconds.
    #[arg(long, env = "SLUICE_RECONCILE_EVENTS_SECONDS", global = true, default_value = "300")]
    reconcile_events_seconds: NonZeroU32,
    /// How often Stripe's movements of money are held against the ledger, in seconds.
    #[arg(long, env = "SLUICE_RECONCILE_MOVEMENTS_SECONDS", global = true, default_value = "3600")]
    reconcile_movements_seconds: NonZeroU32,
    /// Where the simulator listens.
    #[arg(long, env = "SLUICE_SIMULATOR_BIND", global = true, default_value = "127.0.0.1:12111")]
    pub simulator_bind: SocketAddr,
    /// `file://directory`, `smtp://…` or `smtps://…` [default: file://{data}/mail]
    #[arg(long, env = "SMTP_URL", global = true, hide_env_values = true)]
    smtp_url: Option<SecretString>,
    /// Who mails are from.
    #[arg(
        long,
        env = "SLUICE_MAIL_FROM",
        global = true,
        default_value = "Sluice <no-reply@localhost>"
    )]
    pub mail_from: String,
    /// Where page markers are PUT [default: files in {data}/markers]
    #[arg(long, env = "SLUICE_MARKER_URL", global = true)]
    pub marker_url: Option<Url>,
    /// The platform's part of every sale, in hundredths of a percent, whatever the plan [default: by plan]
    #[arg(long, env = "SLUICE_PLATFORM_FEE_BPS", global = true)]
    platform_fee_bps: Option<u16>,
    /// What plans come with, as a JSON object: `{"PRO": {"stripePrice": "price_…"}}`
    #[arg(long, env = "SLUICE_PLANS", global = true)]
    plans: Option<String>,
    /// Prices of the simulator's that runs beside, for plans that have none.
    #[arg(skip)]
    pub simulated_prices: Vec<(Plan, String)>,
    /// Origins, beside the own, that callers may have people sent to; comma-separated.
    #[arg(long, env = "SLUICE_RETURN_ORIGINS", global = true, value_delimiter = ',')]
    pub return_origins: Vec<Url>,
    /// Reads of one route by one caller a minute.
    #[arg(long, env = "SLUICE_READS_PER_MINUTE", global = true, default_value = "600")]
    reads_per_minute: NonZeroU32,
    /// Writes of one route by one caller a minute.
    #[arg(long, env = "SLUICE_WRITES_PER_MINUTE", global = true, default_value = "120")]
    writes_per_minute: NonZeroU32,
    /// How many proxies stand in front, or their networks, comma-separated: whom they name in
    /// `X-Forwarded-For` is the client.
    #[arg(long, env = "SLUICE_TRUSTED_PROXIES", global = true, default_value = "0")]
    trusted_proxies: api::TrustedProxies,
    /// Opens `/metrics` to others than the loopback.
    #[arg(long, env = "SLUICE_METRICS_TOKEN", global = true, hide_env_values = true)]
    pub metrics_token: Option<SecretString>,
    /// Database connections at most, for each process.
    #[arg(long, env = "SLUICE_DATABASE_CONNECTIONS", global = true, default_value = "10")]
    pub database_connections: NonZeroU32,
    /// How long a shutdown waits for what is in hand, in seconds.
    #[arg(long, env = "SLUICE_GRACE_SECONDS", global = true, default_value = "25")]
    grace_seconds: u64,
}

/// Where the public keys of an identity provider are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum JwksAddress {
    /// In a file, which is read again when it is changed.
    File(PathBuf),
    /// Behind an address.
    Url(Url),
}

/// A setting is missing or cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// It has no default here.
    #[error("{variable} is not set: {why}")]
    Missing {
        /// The environment variable.
        variable: &'static str,
        /// What it is needed for.
        why: &'static str,
    },
    /// It has a value that cannot be used.
    #[error("{variable} cannot be used: {why}")]
    Unusable {
        /// The environment variable.
        variable: &'static str,
        /// What is wrong with it.
        why: String,
    },
}

/// Known to everybody, and so good only while no real money is meant.
const DEVELOPMENT_SECRET: &str = "development-secret-known-to-everybody";
/// What the simulator signs with, and is called with, unless configured otherwise.
const SIMULATOR_WEBHOOK_SECRET: &str = "whsec_simulator";
const SIMULATOR_CONNECT_WEBHOOK_SECRET: &str = "whsec_simulator_connect";
const SIMULATOR_KEY: &str = "sk_test_simulator";

impl Settings {
    /// Whether the simulator stands in for Stripe: no key, or a test key and another address.
    pub fn is_simulated(&self) -> bool {
        match &self.stripe_secret_key {
            None => true,
            Some(_) => !self.is_live() && self.stripe_api_base.is_some(),
        }
    }

    /// Whether real money is meant.
    pub fn is_live(&self) -> bool {
        self.stripe_secret_key.as_ref().is_some_and(|key| {
            let key = key.expose_secret();
            key.starts_with("sk_live_") || key.starts_with("rk_live_")
        })
    }

    /// Whether `serve` runs the simulator itself.
    pub fn runs_simulator(&self) -> bool {
        self.stripe_secret_key.is_none() && self.stripe_api_base.is_none()
    }

    /// Processes that run apart know Stripe, or say that a simulator stands in for it: what is left out by
    /// mistake must not open an installation to secrets that everybody knows.
    pub fn require_stripe(&self) -> Result<(), SettingsError> {
        match (&self.stripe_secret_key, &self.stripe_api_base) {
            (None, None) => Err(SettingsError::Missing {
                variable: "STRIPE_SECRET_KEY",
                why: "api and worker need it (or STRIPE_API_BASE, where a simulator stands in)",
            }),
            _ => Ok(()),
        }
    }

    /// The database's address.
    pub fn database_url(&self) -> String {
        match &self.database_url {
            Some(url) => url.expose_secret().to_owned(),
            None => format!("sqlite://{}", self.data_dir.join("sluice.db").display()),
        }
    }

    /// The database's address, which has no default where processes run apart.
    pub fn shared_database_url(&self) -> Result<String, SettingsError> {
        let why = "api and worker run apart, over one PostgreSQL (sluice serve needs nothing)";
        match &self.database_url {
            Some(url) => Ok(url.expose_secret().to_owned()),
            None => Err(SettingsError::Missing { variable: "DATABASE_URL", why }),
        }
    }

    /// Redis, if it is configured.
    pub fn redis_url(&self) -> Option<&str> {
        self.redis_url.as_ref().map(ExposeSecret::expose_secret)
    }

    /// Redis, which has no default where processes run apart.
    pub fn shared_redis_url(&self) -> Result<&str, SettingsError> {
        let why = "api and worker run apart, and wake each other through Redis";
        self.redis_url().ok_or(SettingsError::Missing { variable: "REDIS_URL", why })
    }

    /// How the outside reaches this installation.
    pub fn public_url(&self) -> Result<Url, SettingsError> {
        match &self.public_url {
            Some(url) => Ok(url.clone()),
            None => Url::parse(&format!("http://{}", self.bind)).map_err(|error| {
                SettingsError::Unusable { variable: "SLUICE_BIND", why: error.to_string() }
            }),
        }
    }

    /// The keys of links and sessions.
    pub fn keys(&self) -> Result<Keys, SettingsError> {
        let list = self.secret("SLUICE_SECRET", self.secret.as_ref(), DEVELOPMENT_SECRET)?;
        Keys::parse(list.expose_secret()).map_err(|error| SettingsError::Unusable {
            variable: "SLUICE_SECRET",
            why: error.to_string(),
        })
    }

    /// What bearer tokens are signed with, the newest first. Where an identity provider signs them, no secret
    /// that everybody knows does.
    pub fn jwt_secrets(&self) -> Result<Vec<SecretString>, SettingsError> {
        let given = self.jwt_secret.as_ref().map(|list| list.expose_secret().trim());
        if given.is_none_or(str::is_empty) && self.jwks()?.is_some() {
            return Ok(Vec::new());
        }
        let list =
            self.secret("SLUICE_JWT_SECRET", self.jwt_secret.as_ref(), DEVELOPMENT_SECRET)?;
        Ok(split(&list))
    }

    /// Where the public keys of an identity provider are, if one signs bearer tokens.
    pub fn jwks(&self) -> Result<Option<JwksAddress>, SettingsError> {
        let Some(given) = set(&self.jwks) else { return Ok(None) };
        let unusable = |why: String| SettingsError::Unusable { variable: "SLUICE_JWKS", why };
        if !given.contains("://") {
            return Ok(Some(JwksAddress::File(given.into())));
        }
        let url: Url = given.parse().map_err(|error| unusable(format!("{given:?}: {error}")))?;
        match url.scheme() {
            "https" => Ok(Some(JwksAddress::Url(url))),
            // Whoever can change what is read decides whose tokens are good.
            "http" if self.is_live() => Err(unusable("a live key needs https://".to_owned())),
            "http" => Ok(Some(JwksAddress::Url(url))),
            _ => Err(unusable(format!("{given:?} is neither a file nor an https:// address"))),
        }
    }

    /// What a token's `iss` must be. Real money needs one.
    pub fn jwt_issuer(&self) -> Result<Option<String>, SettingsError> {
        self.required_when_live("SLUICE_JWT_ISSUER", &self.jwt_issuer)
    }

    /// What a token's `aud` must hold. Real money needs one.
    pub fn jwt_audience(&self) -> Result<Option<String>, SettingsError> {
        self.required_when_live("SLUICE_JWT_AUDIENCE", &self.jwt_audience)
    }

    fn required_when_live(
        &self,
        variable: &'static str,
        given: &Option<String>,
    ) -> Result<Option<String>, SettingsError> {
        let why =
            "with a live Stripe key, only tokens of one issuer and for one audience are accepted";
        match set(given) {
            None if self.is_live() => Err(SettingsError::Missing { variable, why }),
            given => Ok(given),
        }
    }

    /// What the platform's webhooks are signed with.
    pub fn webhook_secrets(&self) -> Result<Vec<SecretString>, SettingsError> {
        let (name, given) = ("STRIPE_WEBHOOK_SECRETS", self.webhook_secrets.as_ref());
        Ok(split(&self.secret(name, given, SIMULATOR_WEBHOOK_SECRET)?))
    }

    /// What connect webhooks are signed with.
    pub fn connect_webhook_secrets(&self) -> Result<Vec<SecretString>, SettingsError> {
        let (name, given) =
            ("STRIPE_CONNECT_WEBHOOK_SECRETS", self.connect_webhook_secrets.as_ref());
        Ok(split(&self.secret(name, given, SIMULATOR_CONNECT_WEBHOOK_SECRET)?))
    }

    /// Stripe's key, or the one that the simulator takes.
    pub fn stripe_secret_key(&self) -> Result<SecretString, SettingsError> {
        self.secret("STRIPE_SECRET_KEY", self.stripe_secret_key.as_ref(), SIMULATOR_KEY)
    }

    /// A secret that may be left out only while the simulator stands in for Stripe.
    fn secret(
        &self,
        variable: &'static str,
        given: Option<&SecretString>,
        development: &str,
    ) -> Result<SecretString, SettingsError> {
        match given {
            Some(secret) if !is_blank(secret) => Ok(secret.clone()),
            _ if self.is_simulated() => Ok(development.to_owned().into()),
            _ => Err(SettingsError::Missing {
                variable,
                why: "it may be left out only while the simulator stands in for Stripe",
            }),
        }
    }

    /// Which secrets are the ones that everybody knows.
    pub fn development_secrets(&self) -> Vec<&'static str> {
        let given = [
            ("SLUICE_SECRET", &self.secret),
            ("SLUICE_JWT_SECRET", &self.jwt_secret),
            ("STRIPE_WEBHOOK_SECRETS", &self.webhook_secrets),
            ("STRIPE_CONNECT_WEBHOOK_SECRETS", &self.connect_webhook_secrets),
        ];
        let instead = |name| name == "SLUICE_JWT_SECRET" && set(&self.jwks).is_some();
        let missing = given
            .into_iter()
            .filter(|(name, value)| value.as_ref().is_none_or(is_blank) && !instead(*name));
        missing.map(|(name, _)| name).collect()
    }

    /// Where mails go.
    pub fn mail_address(&self) -> String {
        match &self.smtp_url {
            Some(url) => url.expose_secret().to_owned(),
            None => format!("file://{}", self.data_dir.join("mail").display()),
        }
    }

    /// What plans come with.
    pub fn plans(&self) -> Result<Plans, SettingsError> {
        let fee = self.platform_fee_bps.map(|points| {
            BasisPoints::new(points).ok_or_else(|| SettingsError::Unusable {
                variable: "SLUICE_PLATFORM_FEE_BPS",
                why: format!("{points} is not less than 10000, a whole"),
            })
        });
        let changes = self.plans.as_deref().filter(|json| !json.trim().is_empty());
        let plans = Plans::configured(fee.transpose()?, changes).map_err(|error| {
            SettingsError::Unusable { variable: "SLUICE_PLANS", why: error.to_string() }
        })?;
        let priced = |plans: Plans, (plan, price): &(Plan, String)| plans.priced(*plan, price);
        Ok(self.simulated_prices.iter().fold(plans, priced))
    }

    /// How requests are throttled: by all API processes together, where there is Redis. To be asked for within
    /// a tokio runtime.
    pub fn throttles(&self) -> Result<api::ThrottleConfig, SettingsError> {
        let unusable = |why: String| SettingsError::Unusable { variable: "REDIS_URL", why };
        let connect = |url| api::SharedThrottle::connect(url, api::SharedThrottle::PATIENCE);
        let shared = self.redis_url().map(connect).transpose();
        Ok(api::ThrottleConfig {
            reads: self.reads_per_minute,
            writes: self.writes_per_minute,
            trusted_proxies: self.trusted_proxies.clone(),
            shared: shared.map_err(|error| unusable(error.to_string()))?,
        })
    }

    /// How often Stripe's balance transactions are listed.
    pub fn balance_transactions_every(&self) -> Duration {
        Duration::from_secs(self.balance_transactions_seconds.get().into())
    }

    /// How often Stripe's events are listed.
    pub fn reconcile_events_every(&self) -> Duration {
        Duration::from_secs(self.reconcile_events_seconds.get().into())
    }

    /// How often Stripe's movements of money are held against the ledger.
    pub fn reconcile_movements_every(&self) -> Duration {
        Duration::from_secs(self.reconcile_movements_seconds.get().into())
    }

    /// Settings of a process that runs beside `serve`, whose simulator it calls where no Stripe is configured.
    pub fn reaching_simulator(&self) -> Result<Self, SettingsError> {
        if !self.runs_simulator() {
            return Ok(self.clone());
        }
        let base = Url::parse(&format!("http://{}", self.simulator_bind)).map_err(|error| {
            SettingsError::Unusable { variable: "SLUICE_SIMULATOR_BIND", why: error.to_string() }
        })?;
        Ok(Self { stripe_api_base: Some(base), ..self.clone() })
    }

    /// How long a shutdown waits for what is in hand.
    pub fn grace(&self) -> Duration {
        Duration::from_secs(self.grace_seconds)
    }

    /// The same settings for a fresh installation of its own: for the demo.
    pub fn fresh(&self, data_dir: PathBuf, bind: SocketAddr, simulator_bind: SocketAddr) -> Self {
        Self {
            database_url: None,
            redis_url: None,
            data_dir,
            bind,
            public_url: None,
            secret: None,
            jwt_secret: None,
            jwks: None,
            jwt_issuer: None,
            jwt_audience: None,
            stripe_secret_key: None,
            stripe_api_base: None,
            webhook_secrets: None,
            connect_webhook_secrets: None,
            balance_transactions_seconds: NonZeroU32::MIN,
            simulator_bind,
            smtp_url: None,
            marker_url: None,
            return_origins: Vec::new(),
            ..self.clone()
        }
    }
}

/// Set to nothing, or to nothing but commas, is not set.
fn is_blank(list: &SecretString) -> bool {
    split(list).is_empty()
}

/// Set to nothing is not set.
fn set(value: &Option<String>) -> Option<String> {
    value.clone().filter(|value| !value.trim().is_empty())
}

fn split(list: &SecretString) -> Vec<SecretString> {
    let parts = list.expose_secret().split(',').map(str::trim).filter(|part| !part.is_empty());
    parts.map(|part| part.to_owned().into()).collect()
}
