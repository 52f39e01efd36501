//! Workers: they drain the inbox, perform effects (Stripe, mail, markers), sweep, and keep schedules.
//!
//! Wake-ups ring [bells](wakeups::Bells), one for each kind of work; a runner for each bell works until it
//! finds nothing. That the wake-ups travel through apalis is a matter of [`wakeups`] alone.

pub mod balance_transactions;
pub mod mail;
pub mod marker;
pub mod reconcile;
mod runner;
mod schedule;
pub mod stripe;
mod supervisor;
pub mod wakeups;

use std::{num::NonZeroUsize, sync::Arc, time::Duration};

use engine::{Engine, Perform, Slots};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

pub use supervisor::{MAX_DELAY, supervise};

/// Who performs the effects of each queue.
#[derive(Clone)]
pub struct Performers {
    /// Calls to Stripe.
    pub stripe: Arc<stripe::StripePerformer>,
    /// Mails.
    pub mail: Arc<dyn Perform>,
    /// Markers to the outside.
    pub marker: Arc<dyn Perform>,
}

/// How much is done at once, and how often.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// Calls to Stripe under way at once.
    pub stripe: Slots,
    /// Mails under way at once that somebody waits for.
    pub mail: Slots,
    /// Mails by the thousand under way at once: fewer, so that they leave the mail server room for the others.
    pub news: Slots,
    /// Markers under way at once.
    pub marker: Slots,
    /// How often Stripe's balance transactions are listed, for the processor's fees.
    pub balance_transactions: Duration,
    /// How often Stripe's events are listed, for those that never arrived.
    pub events: Duration,
    /// How often Stripe's movements of money are held against the ledger.
    pub movements: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        let slots = |slots| Slots(NonZeroUsize::new(slots).unwrap_or(NonZeroUsize::MIN));
        Self {
            stripe: slots(24),
            mail: slots(32),
            news: slots(16),
            marker: slots(8),
            balance_transactions: Duration::from_secs(60),
            events: Duration::from_secs(300),
            movements: Duration::from_secs(3_600),
        }
    }
}

/// What this process says of itself to operators.
#[derive(Clone, Copy, Debug)]
pub struct Identity {
    /// `serve` or `worker`.
    pub role: &'static str,
    /// The release it runs.
    pub release: &'static str,
}

/// Running workers.
pub struct Workers {
    engine: Engine,
    stop: CancellationToken,
    tasks: JoinSet<()>,
}

impl Workers {
    /// Starts everything that a worker process does.
    pub fn start(
        engine: Engine,
        bells: wakeups::Bells,
        performers: Performers,
        pace: Pace,
        identity: Identity,
    ) -> Self {
        let stop = CancellationToken::new();
        let mut tasks = JoinSet::new();
        runner::start(&mut tasks, &engine, &bells, &performers, pace, &stop);
        schedule::start(&mut tasks, &engine, &bells, &performers, pace, identity, &stop);
        reconcile::start(&mut tasks, &engine, &performers, pace, &stop);
        Self { engine, stop, tasks }
    }

    /// Takes nothing new, finishes what is in hand within the grace period, gives back the rest, and
    /// deregisters.
    pub async fn shutdown(mut self, grace: Duration) {
        self.stop.cancel();
        let finished =
            tokio::time::timeout(grace, async { while self.tasks.join_next().await.is_some() {} });
        if finished.await.is_err() {
            tracing::warn!("the grace period is over: what is in hand is given back");
            self.tasks.shutdown().await;
        }
        if let Err(error) = self.engine.deregister().await {
            tracing::warn!(%error, "leases could not be given back: they expire by themselves");
        }
    }
}
