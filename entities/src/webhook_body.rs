//! Raw webhooks as they were verified: stored once, never read by the engine.

use sea_orm::{ConnectionTrait, DbErr, FromQueryResult};

use crate::{
    database::Dialect,
    rows::Rows,
    statement::{execute, query_one},
};

/// A raw body, and the message that was read from it.
#[derive(Clone, Debug, FromQueryResult)]
pub struct WebhookBody {
    /// The message.
    pub inbox_seq: i64,
    /// The verified bytes.
    pub body: Vec<u8>,
}

/// Stores bodies.
pub async fn insert(db: &impl ConnectionTrait, bodies: Vec<WebhookBody>) -> Result<(), DbErr> {
    if bodies.is_empty() {
        return Ok(());
    }
    let dialect = Dialect::of(db);
    let (seqs, bodies): (Vec<_>, Vec<_>) =
        bodies.into_iter().map(|row| (row.inbox_seq, row.body)).unzip();
    let rows = Rows::new().number("inbox_seq", seqs.into_iter()).bytes("body", bodies.into_iter());
    let sql = format!(
        "INSERT INTO webhook_body (inbox_seq, body) SELECT inbox_seq, body FROM {} WHERE true",
        rows.source(dialect, 1)
    );
    execute(db, &sql, rows.values(dialect)).await.map(drop)
}

/// The body behind a message.
pub async fn find(db: &impl ConnectionTrait, inbox_seq: i64) -> Result<Option<WebhookBody>, DbErr> {
    query_one(db, "SELECT * FROM webhook_body WHERE inbox_seq = $1", vec![inbox_seq.into()]).await
}
