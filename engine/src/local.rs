//! Local effects: work on our own database, done and answered in one transaction.

use entities::{
    earnings, earnings_check,
    outbox::{self, Absence, Again, Held, Lease, Outbox},
    rollup_queue,
};
use sea_orm::ConnectionTrait;
use uuid::Uuid;
use workflows::effect::{Answer, Effect, Failure, Queue};

use crate::{
    Engine, EngineError, LEASE, WakeUp, answer, backoff, close_checkouts, group_buy, is_passing,
    wake::Work,
};

/// How many local effects are claimed at a time.
const CLAIM: u64 = 16;
/// How many ledger transactions one rollup folds at most; what is left is queued still.
const FOLD: u64 = 10_000;

impl Engine {
    /// Performs due local effects until none is due, and says how many were claimed.
    pub async fn perform_local(&self) -> Result<usize, EngineError> {
        let mut total = 0;
        loop {
            let lease = Lease { owner: &self.node, duration: LEASE };
            let queue: &str = Queue::Local.into();
            let db = self.database.write();
            let claimed = outbox::claim(db, &self.clock, queue, &lease, CLAIM).await?;
            if claimed.is_empty() {
                return Ok(total);
            }
            total += claimed.len();
            for row in claimed {
                match self.perform_locally(&row).await {
                    Err(error) if !is_passing(&error) => self.set_effect_back(&row, &error).await?,
                    result => result?,
                }
            }
        }
    }

    /// The work and its answer commit together, and only under the lease.
    async fn perform_locally(&self, row: &Outbox) -> Result<(), EngineError> {
        let effect: Effect = serde_json::from_str(&row.effect)?;
        // What takes long to read, and does not change, is read before anybody has to wait for it.
        let listed = match &effect {
            Effect::SealActivation { group_buy } => {
                group_buy::read(self.database.read(), *group_buy).await?
            }
            _ => None,
        };
        let transaction = self.database.begin().await?;
        let result = match &effect {
            Effect::SealActivation { group_buy } => {
                group_buy::seal(&transaction, *group_buy, listed).await?
            }
            _ => act(self, &transaction, row.id, &effect).await?,
        };
        let event = answer::event_row(self, row, &effect, &result)?;
        let held = Held { id: row.id, epoch: row.epoch };
        let heard = answer::answer(self, &transaction, &[held], &Vec::from_iter(event)).await?;
        if !heard {
            // The lease was lost: whoever has it now does the work.
            return Ok(transaction.rollback().await?);
        }
        transaction.commit().await?;
        self.wake(WakeUp::of(Work::Inbox));
        Ok(())
    }

    async fn set_effect_back(&self, row: &Outbox, error: &EngineError) -> Result<(), EngineError> {
        let again = Again {
            status: if row.attempt >= row.max_attempts { "DEAD" } else { "PENDING" },
            after: backoff::delay(row.attempt),
            key_generation: row.key_generation,
            attempt: row.attempt,
            absence: Absence::Unknown,
            error: error.to_string(),
        };
        tracing::warn!(id = %row.id, kind = row.kind, %error, "a local effect failed");
        let held = Held { id: row.id, epoch: row.epoch };
        outbox::give_back(self.database.write(), &self.clock, held, &again).await?;
        Ok(())
    }
}

async fn act(
    engine: &Engine,
    db: &impl ConnectionTrait,
    id: Uuid,
    effect: &Effect,
) -> Result<Answer, EngineError> {
    match effect {
        Effect::RollUp { handle } => {
            // One that is written anew is not folded into meanwhile.
            earnings_check::hold(db, handle.0).await?;
            let taken = rollup_queue::take(db, handle.0, FOLD).await?;
            if !taken.is_empty() {
                earnings::fold(db, handle.0, &taken).await?;
            }
            Ok(Answer::RolledUp { transactions: i64::try_from(taken.len()).unwrap_or(i64::MAX) })
        }
        Effect::CloseCheckouts { handle, account, after } => {
            close_checkouts::close(engine, db, id, (*handle, account), *after).await
        }
        Effect::EndGroupBuy { group_buy, refusal } => {
            group_buy::ended(engine, db, *group_buy, *refusal).await
        }
        Effect::ListInterested { group_buy, after, through } => {
            group_buy::list(db, *group_buy, *after, *through).await
        }
        other => {
            let kind: &'static str = other.into();
            let message = format!("{kind} is not a local effect");
            Ok(Answer::Failed(Failure { code: "not_local".to_owned(), message }))
        }
    }
}
