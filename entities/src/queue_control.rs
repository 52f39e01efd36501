//! Which queues an operator has paused: nothing is claimed from them.

use sea_orm::{ConnectionTrait, DbErr};

use crate::statement::execute;

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
