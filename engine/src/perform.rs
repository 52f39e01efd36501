//! Performing effects: claimed under a lease with a fencing epoch, performed outside any transaction with a
//! deadline, answered with the epoch.

use std::{num::NonZeroUsize, panic::AssertUnwindSafe, time::Duration};

use async_trait::async_trait;
use entities::outbox::{self, Held, Lease, Outbox};
use futures::{FutureExt, StreamExt, stream::FuturesUnordered};
use workflows::{
    Timestamp,
    effect::{Answer, Effect, Failure, Queue},
    id::{EffectId, RunId},
};

use crate::{
    Engine, EngineError,
    answer::{self, Outcome},
};

/// How long a lease is held, in milliseconds. It is not renewed.
pub const LEASE: i64 = 60 * Timestamp::SECOND;
/// How long performing may take: well within the lease, so that a hung call frees itself.
pub const PERFORM_DEADLINE: Duration = Duration::from_secs(30);
/// How long free slots wait while others are busy.
const CLAIM_AGAIN: Duration = Duration::from_millis(100);
/// Stripe forgets idempotency keys after 24 hours.
/// <https://docs.stripe.com/api/idempotent_requests>
const KEY_LIFETIME: i64 = 23 * Timestamp::HOUR;

/// An effect to perform.
#[derive(Clone, Debug)]
pub struct Task {
    /// Also the root of the idempotency key.
    pub id: EffectId,
    /// The run that asked.
    pub run: RunId,
    /// What is asked for.
    pub effect: Effect,
    /// Which idempotency key is used: raised when an old one may no longer be.
    pub key_generation: i32,
    /// When the run asked.
    pub asked_at: Timestamp,
}

impl Task {
    /// The same for every try, so that the outside sees one.
    pub fn idempotency_key(&self) -> String {
        format!("{}:{}", self.id, self.key_generation)
    }
}

/// Why a try failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// The same may succeed later: network, 409 in use, 429.
    Transient {
        /// What the other side asked for, in milliseconds.
        retry_after: Option<i64>,
        /// For a person.
        message: String,
    },
    /// The other side has stored this failure and repeats it for the same key (Stripe's 500).
    Replayed {
        /// For a person.
        message: String,
    },
    /// It will never succeed: the machine decides.
    Permanent(Failure),
}

/// Whoever performs effects.
#[async_trait]
pub trait Perform: Send + Sync {
    /// Does it. Called at least once for each effect, always with the same key.
    async fn perform(&self, task: &Task) -> Result<Answer, Trouble>;
    /// Looks for what an earlier try may have done, where the key no longer tells: by list, never by search,
    /// which lags. `None`: it is not there.
    async fn find(&self, task: &Task) -> Result<Option<Answer>, Trouble>;
}

/// How many effects are performed at once.
#[derive(Clone, Copy, Debug)]
pub struct Slots(pub NonZeroUsize);

impl Engine {
    /// Performs a queue's due effects until none is due, and says how many were claimed. Answers that are
    /// ready together are written together.
    pub async fn perform_due(
        &self,
        queue: Queue,
        performer: &dyn Perform,
        slots: Slots,
        stop: &tokio_util::sync::CancellationToken,
    ) -> Result<usize, EngineError> {
        let mut total = 0;
        let (mut in_hand, mut ready) = (FuturesUnordered::new(), Vec::new());
        loop {
            let free = slots.0.get().saturating_sub(in_hand.len() + ready.len());
            let claimed = match free > 0 && !stop.is_cancelled() {
                true => alongside(&mut in_hand, &mut ready, self.claim(queue, free)).await?,
                false => Vec::new(),
            };
            total += claimed.len();
            in_hand.extend(claimed.into_iter().map(|row| self.perform_one(row, performer)));
            if in_hand.is_empty() && ready.is_empty() {
                return Ok(total);
            }
            if ready.is_empty() {
                // One slow call must not keep what has become due since from the free slots.
                let first = tokio::time::timeout(CLAIM_AGAIN, in_hand.next()).await;
                let Ok(Some(first)) = first else { continue };
                ready.push(first);
            }
            while let Some(Some(outcome)) = in_hand.next().now_or_never() {
                ready.push(outcome);
            }
            let outcomes = std::mem::take(&mut ready);
            alongside(&mut in_hand, &mut ready, answer::write(self, outcomes)).await?;
        }
    }

    /// Gives back what this process holds of a queue. For whoever begins again with it after a failure: what
    /// was in hand then is performed by nobody, and would have to wait until its leases are over.
    pub async fn give_back(&self, queue: Queue) -> Result<(), EngineError> {
        let released =
            outbox::release_queue(self.database.write(), &self.node, queue.into()).await?;
        if released > 0 {
            let queue: &str = queue.into();
            tracing::info!(queue, released, "what was in hand is given back");
        }
        Ok(())
    }

    async fn claim(&self, queue: Queue, limit: usize) -> Result<Vec<Outbox>, EngineError> {
        let lease = Lease { owner: &self.node, duration: LEASE };
        let (db, name): (_, &str) = (self.database.write(), queue.into());
        Ok(outbox::claim(db, &self.clock, name, &lease, limit as u64).await?)
    }

    /// Performs one effect. Never fails: a failure is an outcome, too.
    async fn perform_one(&self, row: Outbox, performer: &dyn Perform) -> Outcome {
        let held = Held { id: row.id, epoch: row.epoch };
        let task = match task_of(&row) {
            Ok(task) => task,
            Err(error) => {
                let message = format!("the effect cannot be read: {error}");
                let trouble = Trouble::Transient { retry_after: None, message };
                return Outcome::failed(held, row, trouble);
            }
        };
        let age = age_of_key(&row);
        // A panic is this effect's fault, and must not take the others in hand with it.
        let performing = AssertUnwindSafe(async {
            if age > KEY_LIFETIME {
                return look_up(performer, &task).await;
            }
            match performer.perform(&task).await {
                Err(Trouble::Replayed { message }) => match performer.find(&task).await? {
                    Some(answer) => Ok(answer),
                    None => Err(Trouble::Replayed { message }),
                },
                performed => performed,
            }
        })
        .catch_unwind();
        let passing = |message: String| Err(Trouble::Transient { retry_after: None, message });
        let performed = match tokio::time::timeout(PERFORM_DEADLINE, performing).await {
            Ok(Ok(performed)) => performed,
            Ok(Err(_)) => passing("performing panicked".to_owned()),
            Err(_) => passing(format!("no answer within {} s", PERFORM_DEADLINE.as_secs())),
        };
        let kind: &'static str = (&task.effect).into();
        let outcome = if performed.is_ok() { "answered" } else { "failed" };
        metrics::counter!("sluice_effects_total", "kind" => kind, "outcome" => outcome)
            .increment(1);
        match performed {
            Ok(answer) => Outcome::answered(held, row, task.effect, answer),
            Err(trouble) => Outcome::failed(held, row, trouble),
        }
    }
}

/// Goes on performing what is in hand while something else is done. Performing may need the database, too: what
/// is in hand and not gone on with would keep its connections, and whoever waits for one would wait for ever.
async fn alongside<T>(
    in_hand: &mut FuturesUnordered<impl Future<Output = Outcome>>,
    ready: &mut Vec<Outcome>,
    work: impl Future<Output = T>,
) -> T {
    let mut work = std::pin::pin!(work);
    loop {
        tokio::select! {
            done = &mut work => return done,
            Some(outcome) = in_hand.next(), if !in_hand.is_empty() => ready.push(outcome),
        }
    }
}

/// The key is too old to be used: what it did is looked up.
async fn look_up(performer: &dyn Perform, task: &Task) -> Result<Answer, Trouble> {
    match performer.find(task).await? {
        Some(answer) => Ok(answer),
        None => Err(Trouble::Replayed { message: "the idempotency key is too old".to_owned() }),
    }
}

/// For how long what the effect makes is known not to be there, in milliseconds.
pub(crate) fn absent_for(row: &Outbox) -> i64 {
    let now = row.lease_until.unwrap_or_default() - LEASE;
    now - row.absent_since.unwrap_or(now)
}

/// How long ago the current key was first used, in milliseconds.
fn age_of_key(row: &Outbox) -> i64 {
    let now = row.lease_until.unwrap_or_default() - LEASE;
    now - row.first_attempt_at.unwrap_or(now)
}

fn task_of(row: &Outbox) -> Result<Task, serde_json::Error> {
    Ok(Task {
        id: EffectId(row.id),
        run: RunId(row.run_id),
        effect: serde_json::from_str(&row.effect)?,
        key_generation: row.key_generation,
        asked_at: Timestamp::from_millis(row.created_at),
    })
}
