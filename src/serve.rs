//! `serve`, `api` and `worker`.

use std::sync::Arc;

use engine::Engine;
use entities::Database;
use migration::Migrator;
use poem::{
    Server,
    listener::{Acceptor, Listener, TcpListener},
};
use sea_orm_migration::MigratorTrait;
use simulator::Running;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use workers::{
    Workers,
    wakeups::{self, Bells, HereAndThere, memory::MemoryWakeups, redis::RedisWakeups},
};

use crate::{
    Fatal, assembly,
    settings::Settings,
    simulate,
    telemetry::{self, Metrics},
};

/// Everything in one process.
pub async fn all(settings: &Settings) -> Result<(), Fatal> {
    telemetry::log("info");
    let house = House::open(settings, telemetry::metrics()?).await?;
    assembly::warn_of_development_secrets(settings);
    tracing::info!("Sluice is at {} (documentation: {0}docs)", settings.public_url()?);
    assembly::asked_to_stop().await;
    house.close(settings).await
}

/// A whole installation in one process: for `serve` and the demo.
pub struct House {
    /// The engine that everything shares.
    pub engine: Engine,
    workers: Workers,
    api: Api,
    simulator: Option<Running>,
    stop: CancellationToken,
}

impl House {
    /// Opens the database, brings its schema up to date, and starts every part.
    pub async fn open(settings: &Settings, metrics: Metrics) -> Result<Self, Fatal> {
        let database = assembly::open(settings, &settings.database_url()).await?;
        Migrator::up(database.write(), None).await?;
        let (stop, bells) = (assembly::stop(), Bells::default());
        let engine = Self::engine(settings, database, &bells, &stop).await?;
        assembly::require_readable_runs(&engine).await?;
        let simulator = match settings.runs_simulator() {
            true => Some(simulate::beside(settings).await?),
            false => None,
        };
        let settings = &simulate::settings_with(settings, simulator.as_ref()).await?;
        let workers = assembly::workers(settings, &engine, bells, "serve")?;
        let api = Api::start(settings, &engine, metrics).await?;
        Ok(Self { engine, workers, api, simulator, stop })
    }

    /// Wake-ups go through Redis where it is configured, else they stay within the process.
    async fn engine(
        settings: &Settings,
        database: Database,
        bells: &Bells,
        stop: &CancellationToken,
    ) -> Result<Engine, Fatal> {
        let Some(url) = settings.redis_url() else {
            let wakeups = MemoryWakeups::new();
            tokio::spawn(wakeups.clone().run(bells.clone(), stop.clone()));
            return Ok(assembly::engine(database, Arc::new(wakeups)));
        };
        let connection = redis(url).await?;
        tokio::spawn(wakeups::redis::run(connection.clone(), bells.clone(), stop.clone()));
        let there = RedisWakeups::start(connection, stop.clone());
        let wakeups = HereAndThere { here: bells.clone(), there };
        Ok(assembly::engine(database, Arc::new(wakeups)))
    }

    /// Stops taking, finishes what is in hand, and closes.
    pub async fn close(self, settings: &Settings) -> Result<(), Fatal> {
        tracing::info!("stopping");
        // Both at once: a request that waits for a run must not keep the workers from stopping in time.
        tokio::join!(self.api.shutdown(), self.workers.shutdown(settings.grace()));
        self.stop.cancel();
        if let Some(simulator) = self.simulator {
            simulator.shutdown().await?;
        }
        Ok(self.engine.database().clone().close().await?)
    }
}

/// A connection to Redis; that it cannot be reached now is no error.
async fn redis(url: &str) -> Result<wakeups::redis::Connection, Fatal> {
    let connected = wakeups::redis::connect(url).await;
    connected.map_err(|error| format!("REDIS_URL cannot be used: {error}").into())
}

/// The API alone.
pub async fn api(settings: &Settings) -> Result<(), Fatal> {
    telemetry::log("info");
    settings.require_stripe()?;
    let (url, redis) = (settings.shared_database_url()?, settings.shared_redis_url()?);
    let database = assembly::open(settings, &url).await?;
    assembly::require_current_schema(&database).await?;
    let stop = assembly::stop();
    let connection = self::redis(redis).await?;
    let wakeups = RedisWakeups::start(connection, stop.clone());
    let engine = assembly::engine(database, Arc::new(wakeups));
    let api = Api::start(settings, &engine, telemetry::metrics()?).await?;
    assembly::warn_of_development_secrets(settings);
    tracing::info!("the API is at {}", settings.public_url()?);
    assembly::asked_to_stop().await;
    api.shutdown().await;
    stop.cancel();
    Ok(engine.database().clone().close().await?)
}

/// The workers alone.
pub async fn worker(settings: &Settings) -> Result<(), Fatal> {
    telemetry::log("info");
    settings.require_stripe()?;
    let (url, redis) = (settings.shared_database_url()?, settings.shared_redis_url()?);
    let database = assembly::open(settings, &url).await?;
    assembly::require_current_schema(&database).await?;
    let (stop, bells) = (assembly::stop(), Bells::default());
    // What this process makes due, it looks at itself; other processes' wake-ups come by Redis.
    let engine = assembly::engine(database, Arc::new(bells.clone()));
    assembly::require_readable_runs(&engine).await?;
    let connection = self::redis(redis).await?;
    tokio::spawn(wakeups::redis::run(connection, bells.clone(), stop.clone()));
    let workers = assembly::workers(settings, &engine, bells, "worker")?;
    assembly::warn_of_development_secrets(settings);
    tracing::info!(node = engine.node(), "working");
    assembly::asked_to_stop().await;
    tracing::info!("stopping");
    workers.shutdown(settings.grace()).await;
    stop.cancel();
    Ok(engine.database().clone().close().await?)
}

/// The listening API.
struct Api {
    stop: CancellationToken,
    serving: JoinHandle<std::io::Result<()>>,
}

impl Api {
    /// Listens before it returns: an address that is taken is an error at the start.
    async fn start(settings: &Settings, engine: &Engine, metrics: Metrics) -> Result<Self, Fatal> {
        let app = assembly::api(settings, engine, metrics)?;
        let acceptor = TcpListener::bind(settings.bind.to_string())
            .into_acceptor()
            .await
            .map_err(|error| format!("SLUICE_BIND {}: {error}", settings.bind))?;
        tracing::debug!(addresses = ?acceptor.local_addr(), "listening");
        let stop = CancellationToken::new();
        let stopped = stop.clone().cancelled_owned();
        let server = Server::new_with_acceptor(acceptor);
        let serving =
            tokio::spawn(server.run_with_graceful_shutdown(app, stopped, Some(settings.grace())));
        Ok(Self { stop, serving })
    }

    async fn shutdown(self) {
        self.stop.cancel();
        match self.serving.await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(%error, "the API ended with an error"),
            Err(error) => tracing::warn!(%error, "the API ended in a panic"),
        }
    }
}
