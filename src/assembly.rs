//! Putting the parts together.

use std::sync::Arc;

use async_trait::async_trait;
use engine::{Engine, Wakeups, ingest::Ingest};
use entities::{Database, database::PoolSize, statement::query};
use migration::Migrator;
use sea_orm::FromQueryResult;
use sea_orm_migration::{MigratorTrait, SchemaManager};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;
use workers::{
    Identity, Pace, Performers, Workers,
    mail::{MailConfig, MailPerformer, Transport},
    marker::{MarkerPerformer, MarkerTarget},
    stripe::{self, StripeConfig, StripePerformer},
    wakeups::Bells,
};

use crate::{
    Fatal, jwks,
    settings::{Settings, SettingsError},
    telemetry::Metrics,
};

/// What a process is to operators: its role, and who it is among its equals.
pub const RELEASE: &str = env!("CARGO_PKG_VERSION");

/// Opens the database and makes sure that the directory of a file is there.
pub async fn open(settings: &Settings, url: &str) -> Result<Database, Fatal> {
    if url.starts_with("sqlite:") {
        tokio::fs::create_dir_all(&settings.data_dir).await?;
    }
    let size = PoolSize(settings.database_connections.get());
    Database::open(url, size)
        .await
        .map_err(|error| format!("DATABASE_URL cannot be used: {error}").into())
}

/// An engine with a name of its own.
pub fn engine(database: Database, wakeups: Arc<dyn Wakeups>) -> Engine {
    Engine::new(database, wakeups, format!("{}-{}", std::process::id(), Uuid::now_v7().simple()))
}

/// Refuses to go on over a schema that is not this release's.
pub async fn require_current_schema(database: &Database) -> Result<(), Fatal> {
    match pending(database).await? {
        0 => Ok(()),
        pending => Err(format!("{pending} migrations are pending: run `sluice migrate up`").into()),
    }
}

/// How many of this release's migrations are not applied. Only reads, and does not mind what a newer release
/// has applied: in a rolling deploy the older processes go on.
async fn pending(database: &Database) -> Result<usize, sea_orm::DbErr> {
    #[derive(FromQueryResult)]
    struct Applied {
        version: String,
    }
    let (db, migrations) = (database.read(), Migrator::migrations());
    if !SchemaManager::new(db).has_table("seaql_migrations").await? {
        return Ok(migrations.len());
    }
    let sql = "SELECT version FROM seaql_migrations";
    let applied: Vec<Applied> = query(db, sql, vec![]).await?;
    let is_applied = |name: &str| applied.iter().any(|row| row.version == name);
    Ok(migrations.iter().filter(|migration| !is_applied(migration.name())).count())
}

/// Refuses to go on over runs that this release cannot read, and says which and why.
pub async fn require_readable_runs(engine: &Engine) -> Result<(), Fatal> {
    let unreadable = engine.unreadable_runs().await?;
    if unreadable.is_empty() {
        return Ok(());
    }
    let lines: Vec<_> =
        unreadable.iter().map(|run| format!("  {}: {}", run.run, run.why)).collect();
    Err(format!("this release cannot read stored runs:\n{}", lines.join("\n")).into())
}

/// The workers, running.
pub fn workers(
    settings: &Settings,
    engine: &Engine,
    bells: Bells,
    role: &'static str,
) -> Result<Workers, Fatal> {
    let pace = Pace {
        balance_transactions: settings.balance_transactions_every(),
        events: settings.reconcile_events_every(),
        movements: settings.reconcile_movements_every(),
        ..Pace::default()
    };
    let performers = performers(settings, engine.database())?;
    let identity = Identity { role, release: RELEASE };
    Ok(Workers::start(engine.clone(), bells, performers, pace, identity))
}

/// Who calls Stripe.
pub fn stripe(settings: &Settings) -> Result<StripePerformer, Fatal> {
    let stripe = StripePerformer::new(&StripeConfig {
        secret_key: settings.stripe_secret_key()?,
        api_base: settings.stripe_api_base.clone(),
        calls_a_second: settings.stripe_calls_per_second,
        timeout: stripe::TIMEOUT,
        keys: settings.keys()?,
    })?;
    Ok(stripe.with_plans(settings.plans()?))
}

fn performers(settings: &Settings, database: &Database) -> Result<Performers, Fatal> {
    let stripe = stripe(settings)?;
    let unusable = |variable, why: String| SettingsError::Unusable { variable, why };
    let transport = Transport::open(&settings.mail_address())
        .map_err(|error| unusable("SMTP_URL", error.to_string()))?;
    let from = settings.mail_from.parse().map_err(|_| {
        unusable("SLUICE_MAIL_FROM", format!("{:?} is no mail address", settings.mail_from))
    })?;
    let config = MailConfig { from, public_url: settings.public_url()?, keys: settings.keys()? };
    let target = match &settings.marker_url {
        Some(url) => MarkerTarget::Url(url.clone()),
        None => MarkerTarget::Directory(settings.data_dir.join("markers")),
    };
    Ok(Performers {
        stripe: Arc::new(stripe),
        mail: Arc::new(MailPerformer::new(database.clone(), transport, config)),
        marker: Arc::new(MarkerPerformer::new(database.clone(), target)),
    })
}

/// The API's endpoint.
pub fn api(
    settings: &Settings,
    engine: &Engine,
    metrics: Metrics,
) -> Result<impl poem::Endpoint + 'static, Fatal> {
    let config = api::ApiConfig {
        public_url: settings.public_url()?,
        plans: settings.plans()?,
        livemode: settings.is_live(),
        keys: settings.keys()?,
        jwt: api::JwtConfig {
            secrets: settings.jwt_secrets()?,
            jwks: jwks::source(settings.jwks()?)?,
            issuer: settings.jwt_issuer()?,
            audience: settings.jwt_audience()?,
        },
        webhook_secrets: settings.webhook_secrets()?,
        connect_webhook_secrets: settings.connect_webhook_secrets()?,
        return_origins: settings.return_origins.clone(),
        metrics,
        metrics_token: settings.metrics_token.clone(),
        ready: Arc::new(SchemaIsCurrent(engine.database().clone())),
        answer_within: api::ApiConfig::ANSWER_WITHIN,
        sign_in_limits: api::SignInLimits::default(),
        throttles: settings.throttles()?,
    };
    Ok(api::app(engine.clone(), Ingest::start(engine.clone()), config))
}

struct SchemaIsCurrent(Database);

#[async_trait]
impl api::Readiness for SchemaIsCurrent {
    async fn migrations_current(&self) -> Result<(), String> {
        match pending(&self.0).await {
            Ok(0) => Ok(()),
            Ok(pending) => Err(format!("{pending} migrations are pending")),
            Err(error) => {
                tracing::warn!(%error, "the schema cannot be read");
                Err("the database does not answer".to_owned())
            }
        }
    }
}

/// Ends when the process is asked to stop: SIGTERM, or Ctrl-C.
pub async fn asked_to_stop() {
    let terminated = async {
        match tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()) {
            Ok(mut signal) => {
                signal.recv().await;
            }
            Err(error) => {
                tracing::warn!(%error, "SIGTERM cannot be heard");
                std::future::pending::<()>().await;
            }
        }
    };
    tokio::select! {
        () = terminated => {}
        _ = tokio::signal::ctrl_c() => {}
    }
}

/// Warns of secrets that everybody knows.
pub fn warn_of_development_secrets(settings: &Settings) {
    for variable in settings.development_secrets() {
        tracing::warn!("{variable} is not set: a development secret that everybody knows is used");
    }
}

/// A token that stops what it was given to.
pub fn stop() -> CancellationToken {
    CancellationToken::new()
}
