//! Waiting for something to become true, for a while and no longer.

use std::{future::Future, time::Duration};

use tokio::time::Instant;

/// Longer than anything here should take.
pub const LONG: Duration = Duration::from_secs(30);
const LOOK: Duration = Duration::from_millis(10);

/// Looks until something is there, and fails when that takes too long.
#[track_caller]
pub fn until<T>(
    what: &str,
    at_most: Duration,
    mut look: impl AsyncFnMut() -> Option<T>,
) -> impl Future<Output = T> {
    let asked_at = std::panic::Location::caller();
    async move {
        let deadline = Instant::now() + at_most;
        loop {
            if let Some(found) = look().await {
                return found;
            }
            assert!(Instant::now() < deadline, "{asked_at}: not within {at_most:?}: {what}");
            tokio::time::sleep(LOOK).await;
        }
    }
}

/// Looks until something is so.
#[track_caller]
pub fn until_so(
    what: &str,
    at_most: Duration,
    mut look: impl AsyncFnMut() -> bool,
) -> impl Future<Output = ()> {
    until(what, at_most, async move || look().await.then_some(()))
}
