//! Reconciliation: what Stripe says happened is held against what is known here, from both sides.
//!
//! First events (`events`) that never arrived are put into the inbox, so that most differences mend
//! themselves. Then every movement of money (`movements`) gets a verdict. What differs becomes a case for a
//! person, who may have it put right (`repair`).

mod differences;
mod events;
mod movement;
mod movements;
mod reading;
mod repair;
mod schedule;
mod under_way;

use std::{sync::Arc, time::Duration};

use engine::{Engine, EngineError};
use entities::{connect_account, cursor, handle, inbox, lease, outbox, verdict};
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;
use workflows::{Timestamp, effect::Queue};

use crate::{
    balance_transactions,
    stripe::{Scope, StripePerformer},
};

pub use repair::Repair;
pub(crate) use schedule::start;

/// How long a process may be silent before another goes on with what it was doing, in milliseconds: much longer
/// than a call may take.
const LEASE: i64 = 2 * Timestamp::MINUTE;
/// Stripe's clock and ours may differ, and what happened may be listed a little late, in seconds.
const OVERLAP: i64 = 600;
/// What happened so lately may still be under way here, in seconds.
const SETTLING: i64 = 900;
/// How often one looks whether messages are still to be worked off.
const LOOK: Duration = Duration::from_millis(200);

/// What was found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// How many objects Stripe listed.
    pub listed: i64,
    /// Events that had never arrived.
    pub added: i64,
    /// Movements that are in the ledger.
    pub matched: i64,
    /// Movements that are not, and should be.
    pub missing_here: i64,
    /// Postings that Stripe knows nothing of.
    pub missing_at_stripe: i64,
    /// Movements of another amount than was posted.
    pub amount_differs: i64,
    /// What is not Sluice's, or needs nothing to be done.
    pub elsewhere: i64,
}

impl Counts {
    /// These and others together.
    #[must_use]
    pub fn and(self, more: Self) -> Self {
        Self {
            listed: self.listed + more.listed,
            added: self.added + more.added,
            matched: self.matched + more.matched,
            missing_here: self.missing_here + more.missing_here,
            missing_at_stripe: self.missing_at_stripe + more.missing_at_stripe,
            amount_differs: self.amount_differs + more.amount_differs,
            elsewhere: self.elsewhere + more.elsewhere,
        }
    }
}

/// How a round came out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// What was found.
    pub counts: Counts,
    /// Why it ended before it was through, if it did: the next round goes on there.
    pub stopped: Option<String>,
}

impl Report {
    fn and(self, more: Self) -> Self {
        Self { counts: self.counts.and(more.counts), stopped: self.stopped.or(more.stopped) }
    }
}

/// How much a round looks at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extent {
    /// What is new, of the platform and of so many connected accounts, which take turns.
    News {
        /// So many accounts.
        accounts: u64,
        /// Nothing, if a round was finished less than so many milliseconds ago.
        rested: i64,
    },
    /// What is new of the platform and of all connected accounts, and again what happened since a moment, in
    /// seconds, if one is given.
    All {
        /// Since when.
        since: Option<i64>,
    },
}

impl Extent {
    fn since(self) -> Option<i64> {
        match self {
            Self::News { .. } => None,
            Self::All { since } => since,
        }
    }

    fn rested(self) -> i64 {
        match self {
            Self::News { rested, .. } => rested,
            Self::All { .. } => 0,
        }
    }
}

/// What only one process at a time does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Round {
    Events,
    Movements,
}

impl Round {
    fn lease(self) -> &'static str {
        match self {
            Self::Events => "reconcile:events",
            Self::Movements => "reconcile:movements",
        }
    }

    /// Where the next round goes on among connected accounts.
    fn accounts(self) -> &'static str {
        match self {
            Self::Events => "reconcile:events:accounts",
            Self::Movements => "reconcile:movements:accounts",
        }
    }
}

/// Holds Stripe and this installation against each other.
#[derive(Clone)]
pub struct Reconciler {
    engine: Engine,
    stripe: Arc<StripePerformer>,
    stop: CancellationToken,
}

impl Reconciler {
    /// One that ends between two pages when it is stopped.
    pub fn new(engine: Engine, stripe: Arc<StripePerformer>, stop: CancellationToken) -> Self {
        Self { engine, stripe, stop }
    }

    /// Puts events that never arrived into the inbox. Nothing, if another process is at it, or it was done lately.
    pub async fn events(&self, extent: Extent) -> Result<Option<Report>, EngineError> {
        self.alone(Round::Events, extent, async || self.events_round(extent).await).await
    }

    /// Gives a verdict on every movement of money, as far as events have been read. Nothing, if another process is
    /// at it, or it was done lately.
    pub async fn movements(&self, extent: Extent) -> Result<Option<Report>, EngineError> {
        self.alone(Round::Movements, extent, async || self.movements_round(extent).await).await
    }

    /// Reads the processor's fees, and when money becomes available, of what was sold lately.
    pub async fn fees(&self) -> Result<(), EngineError> {
        balance_transactions::import(&self.engine, &self.stripe).await
    }

    /// How many differences wait for a person.
    pub async fn open_differences(&self) -> Result<i64, EngineError> {
        Ok(verdict::count_open(self.engine.database().read()).await?)
    }

    /// Waits until no message and no call to Stripe is due, so long at most: what was just put in is no difference, nor
    /// what is being read because of it.
    pub async fn come_to_rest(&self, at_most: Duration) -> Result<(), EngineError> {
        let (db, clock) = (self.engine.database().read(), self.engine.clock());
        let deadline = tokio::time::Instant::now() + at_most;
        let stripe: &str = Queue::Stripe.into();
        while (inbox::is_due(db, clock).await? || outbox::is_due(db, clock, stripe).await?)
            && tokio::time::Instant::now() < deadline
        {
            tokio::select! {
                () = tokio::time::sleep(LOOK) => {}
                () = self.stop.cancelled() => return Ok(()),
            }
        }
        Ok(())
    }

    async fn alone<F>(
        &self,
        round: Round,
        extent: Extent,
        act: F,
    ) -> Result<Option<Report>, EngineError>
    where
        F: AsyncFnOnce() -> Result<Report, EngineError>,
    {
        if !self.hold(round, extent.rested()).await? {
            return Ok(None);
        }
        let report = act().await;
        let work = match &report {
            Ok(Report { stopped: None, .. }) => lease::Work::Finished,
            Ok(_) | Err(_) => lease::Work::Unfinished,
        };
        let (db, clock) = (self.engine.database().write(), self.engine.clock());
        lease::give_back(db, clock, round.lease(), self.engine.node(), work).await?;
        report.map(Some)
    }

    /// Keeps a round's lease. False: it had run out, and another process has it.
    async fn hold_on(&self, round: Round) -> Result<bool, EngineError> {
        self.hold(round, 0).await
    }

    /// Takes a round's lease, or keeps it.
    async fn hold(&self, round: Round, rested: i64) -> Result<bool, EngineError> {
        let (db, clock) = (self.engine.database().write(), self.engine.clock());
        Ok(lease::take(db, clock, round.lease(), self.engine.node(), LEASE, rested).await?)
    }

    /// The connected accounts whose turn it is.
    async fn accounts(&self, round: Round, extent: Extent) -> Result<Vec<String>, EngineError> {
        let (db, name) = (self.engine.database().write(), round.accounts());
        let limit = match extent {
            Extent::All { .. } => {
                return Ok(connect_account::account_ids_any_handle(db, "", u32::MAX.into()).await?);
            }
            Extent::News { accounts, .. } => accounts,
        };
        let after = cursor::find(db, name).await?.unwrap_or_default();
        let accounts = connect_account::account_ids_any_handle(db, &after, limit).await?;
        let is_last = (accounts.len() as u64) < limit;
        let last = accounts.last().filter(|_| !is_last).map_or("", String::as_str);
        cursor::set(db, name, last).await?;
        Ok(accounts)
    }

    /// The time, in seconds as Stripe counts.
    fn now(&self) -> i64 {
        self.engine.clock().local_millis() / Timestamp::SECOND
    }

    /// Nothing of Sluice's is older, in seconds.
    async fn beginning(&self) -> Result<i64, EngineError> {
        let db = self.engine.database().read();
        let first = handle::first_created_at_any_handle(db).await?;
        let first = first.map_or_else(|| self.now(), |first| first / Timestamp::SECOND);
        Ok(first - OVERLAP)
    }
}

/// What a person is told of a list's owner.
fn whose(scope: &Scope) -> String {
    match scope {
        Scope::Platform => "the platform".to_owned(),
        Scope::Account(account) => account.clone(),
    }
}
