//! Signed-in browsers. The cookie's token is stored as a keyed hash only.

use sea_orm::{ConnectionTrait, DbErr, FromQueryResult};
use uuid::Uuid;

use crate::statement::{execute, query_one};

/// A signed-in browser.
#[derive(Clone, Debug, PartialEq, FromQueryResult)]
pub struct VisitorSession {
    /// Its id.
    pub id: Uuid,
    /// Whose.
    pub visitor_id: Uuid,
    /// The keyed hash of the token, hexadecimal.
    pub token_hash: String,
    /// When it began.
    pub created_at: i64,
    /// When it ends by itself.
    pub expires_at: i64,
}

/// Writes a new session down, once for each id.
pub async fn insert(db: &impl ConnectionTrait, session: &VisitorSession) -> Result<(), DbErr> {
    let sql = "INSERT INTO visitor_session (id, visitor_id, token_hash, created_at, expires_at) \
               VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING";
    let row = session.clone();
    let values = vec![
        row.id.into(),
        row.visitor_id.into(),
        row.token_hash.into(),
        row.created_at.into(),
        row.expires_at.into(),
    ];
    execute(db, sql, values).await.map(drop)
}

/// A session that has not ended, with the visitor's address.
#[derive(Clone, Debug, FromQueryResult)]
pub struct SignedIn {
    /// The session.
    pub id: Uuid,
    /// Whose.
    pub visitor_id: Uuid,
    /// The visitor's address.
    pub email: String,
    /// When it ends by itself.
    pub expires_at: i64,
}

/// The session that a token's hash opens.
pub async fn find_by_token_hash(
    db: &impl ConnectionTrait,
    token_hash: &str,
    now: i64,
) -> Result<Option<SignedIn>, DbErr> {
    let sql = "SELECT s.id, s.visitor_id, v.email, s.expires_at FROM visitor_session s \
               JOIN visitor v ON v.id = s.visitor_id WHERE s.token_hash = $1 AND s.expires_at > $2";
    query_one(db, sql, vec![token_hash.into(), now.into()]).await
}

/// Ends a session.
pub async fn delete(db: &impl ConnectionTrait, id: Uuid) -> Result<(), DbErr> {
    execute(db, "DELETE FROM visitor_session WHERE id = $1", vec![id.into()]).await.map(drop)
}

/// Deletes sessions that have ended.
pub async fn delete_expired(db: &impl ConnectionTrait, now: i64) -> Result<u64, DbErr> {
    execute(db, "DELETE FROM visitor_session WHERE expires_at <= $1", vec![now.into()]).await
}
