//! Answers to writes that carried an `Idempotency-Key`, kept for a day.

use sea_orm::{ConnectionTrait, DbErr, FromQueryResult};
use uuid::Uuid;

use crate::statement::{execute, query_one};

/// A write and its answer.
#[derive(Clone, Debug, PartialEq, FromQueryResult)]
pub struct Idempotency {
    /// Who wrote.
    pub caller: String,
    /// The key they chose.
    pub key: String,
    /// A hash of method, path and body.
    pub fingerprint: String,
    /// The id of what the write makes, chosen with the key: a write that is taken up again makes the same.
    pub subject: Uuid,
    /// While nobody answered: until when the request is taken to be running.
    pub locked_until: i64,
    /// The answer's status.
    pub status: Option<i32>,
    /// The answer's body.
    pub body: Option<String>,
    /// The answer's `Location`.
    pub location: Option<String>,
    /// When the key was first seen.
    pub created_at: i64,
}

/// Reserves a key. Returns whether it was free.
pub async fn insert(db: &impl ConnectionTrait, row: &Idempotency) -> Result<bool, DbErr> {
    let sql = "INSERT INTO idempotency (caller, key, fingerprint, subject, locked_until, created_at) \
               VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (caller, key) DO NOTHING";
    let row = row.clone();
    let values = vec![
        row.caller.into(),
        row.key.into(),
        row.fingerprint.into(),
        row.subject.into(),
        row.locked_until.into(),
        row.created_at.into(),
    ];
    Ok(execute(db, sql, values).await? == 1)
}

/// What is known of a key.
pub async fn find(
    db: &impl ConnectionTrait,
    caller: &str,
    key: &str,
) -> Result<Option<Idempotency>, DbErr> {
    let sql = "SELECT * FROM idempotency WHERE caller = $1 AND key = $2";
    query_one(db, sql, vec![caller.into(), key.into()]).await
}

/// Takes up a write that was left unanswered. Returns whether nobody else did.
pub async fn take_up(
    db: &impl ConnectionTrait,
    row: &Idempotency,
    locked_until: i64,
) -> Result<bool, DbErr> {
    let sql = "UPDATE idempotency SET locked_until = $4 \
               WHERE caller = $1 AND key = $2 AND locked_until = $3 AND status IS NULL";
    let values = vec![
        row.caller.as_str().into(),
        row.key.as_str().into(),
        row.locked_until.into(),
        locked_until.into(),
    ];
    Ok(execute(db, sql, values).await? == 1)
}

/// Keeps the answer.
pub async fn answer(
    db: &impl ConnectionTrait,
    caller: &str,
    key: &str,
    status: u16,
    body: &str,
    location: Option<&str>,
) -> Result<(), DbErr> {
    let sql = "UPDATE idempotency SET status = $3, body = $4, location = $5 WHERE caller = $1 AND key = $2";
    let values = vec![
        caller.into(),
        key.into(),
        i32::from(status).into(),
        body.into(),
        location.map(str::to_owned).into(),
    ];
    execute(db, sql, values).await.map(drop)
}

/// Lets a write that was left unanswered be taken up at once.
pub async fn unlock(db: &impl ConnectionTrait, caller: &str, key: &str) -> Result<(), DbErr> {
    let sql = "UPDATE idempotency SET locked_until = 0 \
               WHERE caller = $1 AND key = $2 AND status IS NULL";
    execute(db, sql, vec![caller.into(), key.into()]).await.map(drop)
}

/// Forgets a key whose write came to nothing, so that it can be tried again.
pub async fn delete(db: &impl ConnectionTrait, caller: &str, key: &str) -> Result<(), DbErr> {
    let sql = "DELETE FROM idempotency WHERE caller = $1 AND key = $2 AND status IS NULL";
    execute(db, sql, vec![caller.into(), key.into()]).await.map(drop)
}

/// Forgets a key if it was first seen before a moment, so that it is free again.
pub async fn delete_if_old(
    db: &impl ConnectionTrait,
    caller: &str,
    key: &str,
    before: i64,
) -> Result<(), DbErr> {
    let sql = "DELETE FROM idempotency WHERE caller = $1 AND key = $2 AND created_at <= $3";
    execute(db, sql, vec![caller.into(), key.into(), before.into()]).await.map(drop)
}

/// Forgets keys first seen before a moment, so many at most.
pub async fn delete_old(db: &impl ConnectionTrait, before: i64, chunk: u64) -> Result<u64, DbErr> {
    let sql = format!(
        "DELETE FROM idempotency WHERE (caller, key) IN (SELECT caller, key FROM idempotency \
         WHERE created_at <= $1 ORDER BY created_at LIMIT {chunk})"
    );
    execute(db, &sql, vec![before.into()]).await
}
