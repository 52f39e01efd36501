//! What a simulator is told at its start, and why a start can fail.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;

use serde::Deserialize;

/// How to start a [`Simulator`](crate::Simulator).
#[derive(Debug, Clone)]
pub struct SimulatorConfig {
    /// Where to listen. Port 0 takes a free port, see
    /// [`Running::address`](crate::Running::address).
    pub bind: SocketAddr,
    /// Receives the events of the platform's own account. None: as in the state file, if any.
    pub platform_endpoint: Option<Endpoint>,
    /// Receives the events of connected accounts. None: as in the state file, if any.
    pub connect_endpoint: Option<Endpoint>,
    /// Keeps the state across restarts. None: the state is in memory only.
    pub state_file: Option<PathBuf>,
    /// Seeds the ids and the faults: the same seed and the same calls give the same objects. Without a
    /// state file, a program that remembers ids from an earlier start needs another seed for each
    /// start, or it meets its old ids again.
    pub seed: u64,
    /// The beginning of the links that are given out, without a slash at the end. None: the
    /// address that is listened on.
    pub public_url: Option<String>,
}

impl Default for SimulatorConfig {
    fn default() -> Self {
        Self {
            bind: SocketAddr::from(([127, 0, 0, 1], 0)),
            platform_endpoint: None,
            connect_endpoint: None,
            state_file: None,
            seed: 0,
            public_url: None,
        }
    }
}

/// Where webhooks go.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Endpoint {
    /// An `http://` address; the simulator has no TLS.
    pub url: String,
    /// The signing secret, `whsec_…`.
    pub secret: String,
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Endpoint").field("url", &self.url).finish_non_exhaustive()
    }
}

/// Both endpoints. One that is None gets no webhooks; the events can still be listed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Endpoints {
    /// Receives the events of the platform's own account.
    #[serde(default)]
    pub platform: Option<Endpoint>,
    /// Receives the events of connected accounts.
    #[serde(default)]
    pub connect: Option<Endpoint>,
}

/// Why a simulator could not start, or stopped.
#[derive(Debug, thiserror::Error)]
pub enum SimulatorError {
    /// The address cannot be listened on.
    #[error("cannot listen on {address}")]
    Bind {
        /// The address asked for.
        address: SocketAddr,
        /// What the system said.
        source: std::io::Error,
    },
    /// The state file cannot be read or written.
    #[error("cannot read or write the state file {path}")]
    StateFile {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The state file is not one of this version of the simulator.
    #[error("the state file {path} is not understood; move it away to start afresh")]
    StateFormat {
        /// The file.
        path: PathBuf,
        /// Where it could not be understood.
        source: serde_json::Error,
    },
    /// A fault makes no sense.
    #[error("{0}")]
    Faults(String),
    /// The client that sends the webhooks cannot be built.
    #[error("cannot build the HTTP client for webhooks")]
    Client(#[from] reqwest::Error),
    /// The server stopped with an error.
    #[error("the server failed")]
    Server(#[from] std::io::Error),
}
