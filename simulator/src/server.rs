//! The start and the end of a simulator.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use poem::listener::TcpAcceptor;
use poem::{Endpoint, EndpointExt, Route, Server};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tracing::info;

use crate::api;
use crate::config::{Endpoints, SimulatorConfig, SimulatorError};
use crate::control;
use crate::faults::{Faults, Luck};
use crate::pages;
use crate::portal_page;
use crate::shared::{Keeps, Shared};
use crate::state::State;
use crate::state_file;
use crate::webhook_endpoint::{self, Audience};

/// A receiver that does not answer within this time has not acknowledged a webhook.
const WEBHOOK_TIMEOUT: Duration = Duration::from_secs(20);

/// How often the clock is looked at when nobody calls.
const TICK: Duration = Duration::from_secs(1);

/// How long the end waits for requests under way.
const GRACE: Duration = Duration::from_millis(500);

/// The simulator, before it runs.
#[derive(Debug)]
pub struct Simulator;

impl Simulator {
    /// Starts to listen, to send webhooks and to let time pass.
    ///
    /// # Errors
    ///
    /// When the address cannot be listened on, or the state file cannot be read or understood.
    pub async fn start(config: SimulatorConfig) -> Result<Running, SimulatorError> {
        let bind_error = |source| SimulatorError::Bind { address: config.bind, source };
        let listener = TcpListener::bind(config.bind).await.map_err(bind_error)?;
        let address = listener.local_addr().map_err(bind_error)?;
        let acceptor = TcpAcceptor::from_tokio(listener)?;

        let kept = match &config.state_file {
            Some(path) => state_file::load(path)?,
            None => None,
        };
        let mut state = kept.unwrap_or_else(|| State::new(config.seed));
        state.luck = Luck::new(Faults::default(), state.ids.seed());
        state.public_url = config.public_url.unwrap_or_else(|| format!("http://{address}"));
        let http = reqwest::Client::builder()
            .timeout(WEBHOOK_TIMEOUT)
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .build()?;
        let keeps = match &config.state_file {
            Some(_) => Keeps::StateFile,
            None => Keeps::Nothing,
        };
        let shared = Arc::new(Shared::new(state, http, keeps));
        shared.work(|state| {
            for (audience, endpoint) in [
                (Audience::Platform, config.platform_endpoint),
                (Audience::ConnectedAccounts, config.connect_endpoint),
            ] {
                // One that is not given stays as it is in the state file.
                if endpoint.is_some() {
                    webhook_endpoint::configure(state, audience, endpoint);
                }
            }
        });

        tokio::spawn(tick(Arc::clone(&shared)));
        let keeper = config
            .state_file
            .clone()
            .map(|path| tokio::spawn(state_file::keep(Arc::clone(&shared), path)));
        let server = tokio::spawn(serve(acceptor, Arc::clone(&shared)));
        info!(%address, "the Stripe simulator listens");
        Ok(Running { address, shared, server: Some(server), keeper, state_file: config.state_file })
    }
}

/// A simulator at work. It stops when this is dropped; [`shutdown`](Self::shutdown) also waits
/// until the state is written.
#[derive(Debug)]
pub struct Running {
    address: SocketAddr,
    shared: Arc<Shared>,
    /// None once it has ended.
    server: Option<JoinHandle<std::io::Result<()>>>,
    keeper: Option<JoinHandle<()>>,
    state_file: Option<PathBuf>,
}

impl Running {
    /// The address that is listened on.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The address as the base of requests, without a slash at the end.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Says where webhooks go from now on. What was not acknowledged yet goes there too, or
    /// nowhere if an endpoint is taken out.
    pub fn set_endpoints(&self, endpoints: Endpoints) {
        self.shared.work(|state| webhook_endpoint::configure_both(state, endpoints));
    }

    /// Says what goes wrong from now on, as `PUT /_sim/faults` does.
    ///
    /// # Errors
    ///
    /// When a value makes no sense; then nothing changes.
    pub fn set_faults(&self, faults: Faults) -> Result<(), SimulatorError> {
        faults.check().map_err(SimulatorError::Faults)?;
        self.shared.look(|state| state.luck = Luck::new(faults, state.ids.seed()));
        Ok(())
    }

    /// Waits until the server ends, which it does not by itself unless it fails.
    ///
    /// # Errors
    ///
    /// When the server failed.
    pub async fn wait(&mut self) -> Result<(), SimulatorError> {
        let Some(server) = &mut self.server else {
            return Ok(());
        };
        let ended = server.await;
        self.server = None;
        match ended {
            Ok(result) => Ok(result?),
            Err(panic) => Err(SimulatorError::Server(std::io::Error::other(panic))),
        }
    }

    /// Stops: no more requests, no more webhooks, the state written.
    ///
    /// # Errors
    ///
    /// When the server had failed, or the state cannot be written.
    pub async fn shutdown(mut self) -> Result<(), SimulatorError> {
        self.shared.stop();
        let served = self.wait().await;
        if let Some(keeper) = self.keeper.take() {
            // A panic of the task that writes does not keep the last state from being written.
            let _ = keeper.await;
        }
        if let Some(path) = &self.state_file {
            state_file::save(&self.shared, path).await?;
        }
        served
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.shared.stop();
    }
}

async fn serve(acceptor: TcpAcceptor, shared: Arc<Shared>) -> std::io::Result<()> {
    let keeping = Arc::clone(&shared);
    let app = Route::new()
        .nest("/_sim", control::routes())
        .nest("/c", pages::checkout_routes())
        .nest("/setup", pages::onboarding_routes())
        .nest("/express", pages::dashboard_routes())
        .nest("/p", portal_page::routes())
        .at("/", api::serve)
        .at("/*path", api::serve)
        .data(Arc::clone(&shared))
        .map_to_response()
        .around(move |endpoint, request| {
            let keeping = Arc::clone(&keeping);
            async move {
                let response = endpoint.call(request).await;
                keeping.kept().await;
                response
            }
        })
        .boxed();
    let stopped = async move { shared.stopped().await };
    Server::new_with_acceptor(acceptor).run_with_graceful_shutdown(app, stopped, Some(GRACE)).await
}

/// Lets happen what is due, even if nobody calls.
async fn tick(shared: Arc<Shared>) {
    loop {
        tokio::select! {
            () = tokio::time::sleep(TICK) => shared.look(|_| ()),
            () = shared.stopped() => return,
        }
    }
}
