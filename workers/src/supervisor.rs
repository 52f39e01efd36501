//! Keeping a part of the process running: what fails is begun again, after a while.

use std::{fmt::Display, future::Future, panic::AssertUnwindSafe, time::Duration};

use futures::FutureExt;
use rand::Rng;
use tokio_util::sync::CancellationToken;

const FIRST_DELAY: Duration = Duration::from_millis(200);
/// For parts that lean on something which may need time to come back.
pub const MAX_DELAY: Duration = Duration::from_secs(10);
/// What ran for so long is healthy: the next failure begins with a short delay again.
const HEALTHY_AFTER: Duration = Duration::from_secs(30);

/// Runs a part again whenever it ends, with a delay that grows up to a longest one, until it is stopped.
pub async fn supervise<F, Fut, E>(
    name: &str,
    max_delay: Duration,
    stop: &CancellationToken,
    mut part: F,
) where
    F: FnMut() -> Fut,
    Fut: Future<Output = Result<(), E>>,
    E: Display,
{
    let mut delay = FIRST_DELAY;
    while !stop.is_cancelled() {
        let started = tokio::time::Instant::now();
        match AssertUnwindSafe(part()).catch_unwind().await {
            Ok(Ok(())) if stop.is_cancelled() => return,
            Ok(Ok(())) => tracing::warn!(part = name, "ended, and is begun again"),
            Ok(Err(error)) => tracing::warn!(part = name, %error, "failed, and is begun again"),
            // A part that is gone for good would be missed by nobody: its process looks healthy.
            Err(_) => tracing::error!(part = name, "panicked, and is begun again"),
        }
        if started.elapsed() > HEALTHY_AFTER {
            delay = FIRST_DELAY;
        }
        let jittered = delay.mul_f64(rand::rng().random_range(0.5..1.0));
        tokio::select! {
            () = tokio::time::sleep(jittered) => {}
            () = stop.cancelled() => return,
        }
        delay = (delay * 2).min(max_delay);
    }
}
