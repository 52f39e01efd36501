//! The processes that run, and when they were last seen.

use sea_orm::{ConnectionTrait, DbErr, FromQueryResult};

use crate::{
    database::Dialect,
    statement::{Clock, execute, query},
};

/// A process.
#[derive(Clone, Debug, FromQueryResult)]
pub struct Node {
    /// Unique for each start: also the owner of its leases.
    pub id: String,
    /// `serve`, `api` or `worker`.
    pub role: String,
    /// The release it runs.
    pub release: String,
    /// When it started.
    pub started_at: i64,
    /// When it last gave a sign.
    pub seen_at: i64,
}

/// Registers a process, or notes that it is still there.
pub async fn seen(
    db: &impl ConnectionTrait,
    clock: &Clock,
    id: &str,
    role: &str,
    release: &str,
) -> Result<(), DbErr> {
    let dialect = Dialect::of(db);
    let now = dialect.now("$1");
    let sql = format!(
        "INSERT INTO node (id, role, release, started_at, seen_at) VALUES ($2, $3, $4, {now}, {now}) \
         ON CONFLICT (id) DO UPDATE SET seen_at = excluded.seen_at"
    );
    let values = vec![clock.bind(dialect), id.into(), role.into(), release.into()];
    execute(db, &sql, values).await.map(drop)
}

/// Forgets a process that has stopped.
pub async fn deregister(db: &impl ConnectionTrait, id: &str) -> Result<(), DbErr> {
    execute(db, "DELETE FROM node WHERE id = $1", vec![id.into()]).await.map(drop)
}

/// Forgets processes that gave no sign for so many milliseconds.
pub async fn forget_silent(
    db: &impl ConnectionTrait,
    clock: &Clock,
    silent_for: i64,
) -> Result<u64, DbErr> {
    let dialect = Dialect::of(db);
    let sql = format!("DELETE FROM node WHERE seen_at <= {} - $2", dialect.now("$1"));
    execute(db, &sql, vec![clock.bind(dialect), silent_for.into()]).await
}

/// All processes.
pub async fn list(db: &impl ConnectionTrait) -> Result<Vec<Node>, DbErr> {
    query(db, "SELECT * FROM node ORDER BY started_at, id", vec![]).await
}
