//! The state on disk: one JSON file, replaced as a whole after each change and before anybody hears of it.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::time::Instant;
use tracing::error;

use crate::config::SimulatorError;
use crate::shared::Shared;
use crate::state::State;

/// Reads the state. None: there is no file yet.
pub(crate) fn load(path: &Path) -> Result<Option<State>, SimulatorError> {
    let bytes = match std::fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(file_error(path, source)),
    };
    let mut state: State = serde_json::from_slice(&bytes)
        .map_err(|source| SimulatorError::StateFormat { path: path.to_owned(), source })?;
    state.idempotency_keys.drop_unfinished();
    state.undispatched = state.deliveries.keys().copied().collect();
    Ok(Some(state))
}

/// Writes the state beside the file and puts it in its place.
pub(crate) async fn save(shared: &Arc<Shared>, path: &Path) -> Result<(), SimulatorError> {
    let bytes = shared
        .look(|state| serde_json::to_vec(state))
        .map_err(|source| SimulatorError::StateFormat { path: path.to_owned(), source })?;
    let mut beside = path.as_os_str().to_owned();
    beside.push(".new");
    let beside = PathBuf::from(beside);
    tokio::fs::write(&beside, bytes).await.map_err(|source| file_error(&beside, source))?;
    tokio::fs::rename(&beside, path).await.map_err(|source| file_error(path, source))
}

/// Writes the state after changes, until the simulator stops. Changes that come while it is written are
/// written together, and no more than half of the time goes into writing.
pub(crate) async fn keep(shared: Arc<Shared>, path: PathBuf) {
    let mut changes = shared.changes.subscribe();
    // What changed before this task began is to be kept, too.
    changes.mark_changed();
    loop {
        tokio::select! {
            // An error means that the sender is gone, which it is not: it is in `shared`.
            _ = changes.changed() => {}
            () = shared.stopped() => return,
        }
        let (so_far, began) = (*changes.borrow_and_update(), Instant::now());
        if let Err(error) = save(&shared, &path).await {
            let error: &dyn std::error::Error = &error;
            error!(error, "the simulator cannot keep its state");
        }
        shared.kept.send_replace(so_far);
        shared.sleep(began.elapsed()).await;
    }
}

fn file_error(path: &Path, source: io::Error) -> SimulatorError {
    SimulatorError::StateFile { path: path.to_owned(), source }
}
