//! Ledger transactions that are not in the earnings yet.

use sea_orm::{ConnectionTrait, DbErr, FromQueryResult};
use uuid::Uuid;

use crate::statement::{query, query_one};

/// A handle with queued transactions.
#[derive(Clone, Debug, FromQueryResult)]
pub struct Waiting {
    /// Whose.
    pub handle_id: Uuid,
}

/// Handles with queued transactions, so many at most. Steps from handle to handle through the index, however
/// many transactions a handle has queued.
pub async fn handles(db: &impl ConnectionTrait, limit: u64) -> Result<Vec<Uuid>, DbErr> {
    let sql = format!(
        "WITH RECURSIVE next AS ( \
         SELECT (SELECT handle_id FROM rollup_queue ORDER BY handle_id LIMIT 1) AS handle_id \
         UNION ALL SELECT (SELECT q.handle_id FROM rollup_queue q WHERE q.handle_id > next.handle_id \
         ORDER BY q.handle_id LIMIT 1) FROM next WHERE next.handle_id IS NOT NULL) \
         SELECT handle_id FROM next WHERE handle_id IS NOT NULL LIMIT {limit}"
    );
    let waiting: Vec<Waiting> = query(db, &sql, vec![]).await?;
    Ok(waiting.into_iter().map(|row| row.handle_id).collect())
}

/// Whether a handle has queued transactions.
pub async fn is_waiting(db: &impl ConnectionTrait, handle: Uuid) -> Result<bool, DbErr> {
    let sql = "SELECT handle_id FROM rollup_queue WHERE handle_id = $1 LIMIT 1";
    let waiting: Option<Waiting> = query_one(db, sql, vec![handle.into()]).await?;
    Ok(waiting.is_some())
}

/// A taken transaction.
#[derive(Clone, Debug, FromQueryResult)]
pub struct Taken {
    /// Which.
    pub transaction_id: i64,
}

/// Takes queued transactions of a handle, so many at most. They must be folded in the same transaction.
pub async fn take(db: &impl ConnectionTrait, handle: Uuid, limit: u64) -> Result<Vec<i64>, DbErr> {
    let sql = format!(
        "DELETE FROM rollup_queue WHERE handle_id = $1 AND transaction_id IN \
         (SELECT transaction_id FROM rollup_queue WHERE handle_id = $1 \
         ORDER BY transaction_id LIMIT {limit}) RETURNING transaction_id"
    );
    let taken: Vec<Taken> = query(db, &sql, vec![handle.into()]).await?;
    Ok(taken.into_iter().map(|row| row.transaction_id).collect())
}
