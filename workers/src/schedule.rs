//! Schedules: the sweeper, the heartbeat, retention, reading Stripe's balance transactions, and the nightly
//! comparison of the earnings.
//!
//! What is due at a time of day is asked for often, and knows from the database whether it was done. A cron
//! in memory would forget the tick that nobody was up for, and tick in every process.

use std::{future::Future, panic::AssertUnwindSafe, time::Duration};

use engine::{Engine, EngineError};
use futures::FutureExt;
use rand::Rng;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::{Identity, Pace, Performers, balance_transactions, wakeups::Bells};

const SWEEP: Duration = Duration::from_secs(1);
const HEARTBEAT: Duration = Duration::from_secs(10);
const RETENTION: Duration = Duration::from_secs(3_600);
/// How often it is asked whether the night's comparison is over.
const EARNINGS: Duration = Duration::from_secs(600);

pub fn start(
    tasks: &mut JoinSet<()>,
    engine: &Engine,
    bells: &Bells,
    performers: &Performers,
    pace: Pace,
    identity: Identity,
    stop: &CancellationToken,
) {
    let (sweeping, beating, retaining, listing) =
        (engine.clone(), engine.clone(), engine.clone(), engine.clone());
    let comparing = engine.clone();
    let (stripe, bells) = (performers.stripe.clone(), bells.clone());
    tasks.spawn(every("sweep", SWEEP, stop.clone(), move || {
        let engine = sweeping.clone();
        let bells = bells.clone();
        async move { engine.sweep(&bells).await }
    }));
    tasks.spawn(every("heartbeat", HEARTBEAT, stop.clone(), move || {
        let engine = beating.clone();
        async move { engine.heartbeat(identity.role, identity.release).await }
    }));
    tasks.spawn(every("retention", RETENTION, stop.clone(), move || {
        let engine = retaining.clone();
        async move {
            let deleted = engine.retain().await?;
            tracing::info!(?deleted, "what was old enough is deleted");
            Ok(())
        }
    }));
    tasks.spawn(every("earnings", EARNINGS, stop.clone(), move || {
        let engine = comparing.clone();
        async move {
            let handles = engine.compare_earnings_nightly().await?;
            if handles > 0 {
                tracing::info!(handles, "earnings are compared with the ledger");
            }
            Ok(())
        }
    }));
    tasks.spawn(every(
        "balance_transactions",
        pace.balance_transactions,
        stop.clone(),
        move || {
            let (engine, stripe) = (listing.clone(), stripe.clone());
            async move { balance_transactions::import(&engine, &stripe).await }
        },
    ));
}

/// Does something at once and then over and over, with a little jitter, so that processes which started
/// together do not stay in step. A failure is logged, and the next time it is tried again.
async fn every<F, Fut>(name: &'static str, period: Duration, stop: CancellationToken, act: F)
where
    F: Fn() -> Fut,
    Fut: Future<Output = Result<(), EngineError>>,
{
    while !stop.is_cancelled() {
        match AssertUnwindSafe(act()).catch_unwind().await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => {
                tracing::warn!(schedule = name, %error, "failed; it is tried again next time");
            }
            Err(_) => tracing::error!(schedule = name, "panicked; it is tried again next time"),
        }
        let jittered = period.mul_f64(rand::rng().random_range(0.8..1.2));
        tokio::select! {
            () = tokio::time::sleep(jittered) => {}
            () = stop.cancelled() => {}
        }
    }
}
