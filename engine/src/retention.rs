//! Retention: what is finished is deleted after a while, in chunks. Runs, history and ledger stay.

use entities::{
    connect_account, daily_total, idempotency, inbox, magic_link, outbox, plan_subscription,
    reconciliation, visitor_session,
};
use sea_orm::DbErr;
use workflows::Timestamp;

use crate::{Engine, EngineError};

/// Stripe lists events for 30 days; what it may list must be recognised.
const INBOX: i64 = 35 * Timestamp::DAY;
const OUTBOX: i64 = 30 * Timestamp::DAY;
const IDEMPOTENCY: i64 = Timestamp::DAY;
const MAGIC_LINKS: i64 = Timestamp::DAY;
const RECONCILIATIONS: i64 = 90 * Timestamp::DAY;
const CHUNK: u64 = 1_000;

/// How much was deleted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Retained {
    /// Finished messages, with their raw bodies.
    pub messages: u64,
    /// Answered effects.
    pub effects: u64,
    /// Answers to writes with an idempotency key.
    pub answers: u64,
    /// Sign-in links that nobody can use any more.
    pub links: u64,
    /// Visitors' sessions that have ended.
    pub sessions: u64,
}

impl Engine {
    /// Deletes what is old enough.
    pub async fn retain(&self) -> Result<Retained, EngineError> {
        let db = self.database.write();
        let mut deleted = Retained::default();
        loop {
            let transaction = self.database.begin().await?;
            let chunk = inbox::delete_finished(&transaction, &self.clock, INBOX, CHUNK).await?;
            transaction.commit().await?;
            deleted.messages += chunk;
            if chunk < CHUNK {
                break;
            }
        }
        deleted.effects =
            in_chunks(|| outbox::delete_finished(db, &self.clock, OUTBOX, CHUNK)).await?;
        let now = self.clock.local_millis();
        deleted.answers =
            in_chunks(|| idempotency::delete_old(db, now - IDEMPOTENCY, CHUNK)).await?;
        deleted.links =
            in_chunks(|| magic_link::delete_expired(db, now - MAGIC_LINKS, CHUNK)).await?;
        deleted.sessions = in_chunks(|| visitor_session::delete_expired(db, now, CHUNK)).await?;
        let before = now - RECONCILIATIONS;
        in_chunks(|| reconciliation::delete_old(db, before, CHUNK)).await?;
        connect_account::drop_expired_links(db, now).await?;
        plan_subscription::drop_expired_links(db, now).await?;
        self.count(Timestamp::from_millis(now).day(), deleted).await?;
        Ok(deleted)
    }

    /// What is gone is still counted.
    async fn count(&self, day: i64, deleted: Retained) -> Result<(), EngineError> {
        let db = self.database.write();
        for (name, number) in
            [("inbox_deleted", deleted.messages), ("outbox_deleted", deleted.effects)]
        {
            if number > 0 {
                daily_total::add(db, day, name, number.cast_signed()).await?;
            }
        }
        Ok(())
    }
}

/// Deletes chunk after chunk, each a transaction of its own, until one is not full.
async fn in_chunks<F: Future<Output = Result<u64, DbErr>>>(
    delete: impl Fn() -> F,
) -> Result<u64, DbErr> {
    let mut deleted = 0;
    loop {
        let chunk = delete().await?;
        deleted += chunk;
        if chunk < CHUNK {
            return Ok(deleted);
        }
    }
}
