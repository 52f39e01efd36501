//! Which queues an operator has paused.

use sea_orm::{ConnectionTrait, DbErr, FromQueryResult};

use crate::statement::{execute, query};

#[derive(FromQueryResult)]
struct Paused {
    queue: String,
}

/// The paused queues.
pub async fn paused(db: &impl ConnectionTrait) -> Result<Vec<String>, DbErr> {
    let sql = "SELECT queue FROM queue_control WHERE paused_at IS NOT NULL ORDER BY queue";
    let paused: Vec<Paused> = query(db, sql, vec![]).await?;
    Ok(paused.into_iter().map(|row| row.queue).collect())
}

/// Pauses a queue from a moment on, or lets it go on (`None`).
pub async fn set(
    db: &impl ConnectionTrait,
    queue: &str,
    paused_at: Option<i64>,
) -> Result<(), DbErr> {
    let sql = "INSERT INTO queue_control (queue, paused_at) VALUES ($1, $2) \
               ON CONFLICT (queue) DO UPDATE SET paused_at = excluded.paused_at";
    execute(db, sql, vec![queue.into(), paused_at.into()]).await.map(drop)
}
