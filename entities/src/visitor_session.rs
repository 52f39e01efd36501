//! Signed-in browsers. The cookie's token is stored as a keyed hash only.

use sea_orm::{ConnectionTrait, DbErr, FromQueryResult};
use uuid::Uuid;

use crate::statement::{execute, query, query_one};

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
    let sql = "INSERT INTO visitor_session \
               (id, visitor_id, token_hash, created_at, last_seen_at, expires_at) \
               VALUES ($1, $2, $3, $4, $4, $5) ON CONFLICT DO NOTHING";
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
    /// When a request last came with it, to within a few minutes.
    pub last_seen_at: i64,
    /// When it ends by itself.
    pub expires_at: i64,
}

/// The session that a token's hash opens.
pub async fn find_by_token_hash(
    db: &impl ConnectionTrait,
    token_hash: &str,
    now: i64,
) -> Result<Option<SignedIn>, DbErr> {
    let sql = "SELECT s.id, s.visitor_id, v.email, s.last_seen_at, s.expires_at FROM visitor_session s \
               JOIN visitor v ON v.id = s.visitor_id WHERE s.token_hash = $1 AND s.expires_at > $2";
    query_one(db, sql, vec![token_hash.into(), now.into()]).await
}

/// Takes down that a request came with a session, unless that was taken down since a moment.
pub async fn touch(
    db: &impl ConnectionTrait,
    id: Uuid,
    now: i64,
    unless_since: i64,
) -> Result<(), DbErr> {
    let sql = "UPDATE visitor_session SET last_seen_at = $2 WHERE id = $1 AND last_seen_at <= $3";
    execute(db, sql, vec![id.into(), now.into(), unless_since.into()]).await.map(drop)
}

/// A session as its visitor sees it: nothing that opens it.
#[derive(Clone, Debug, FromQueryResult)]
pub struct Seen {
    /// Its id.
    pub id: Uuid,
    /// When it began.
    pub created_at: i64,
    /// When a request last came with it, to within a few minutes.
    pub last_seen_at: i64,
    /// When it ends by itself.
    pub expires_at: i64,
}

/// A page of a visitor's sessions that have not ended, the newest first, from before a session.
pub async fn list_of_visitor(
    db: &impl ConnectionTrait,
    visitor_id: Uuid,
    before: Uuid,
    now: i64,
    limit: u64,
) -> Result<Vec<Seen>, DbErr> {
    let sql = format!(
        "SELECT id, created_at, last_seen_at, expires_at FROM visitor_session \
         WHERE visitor_id = $1 AND id < $2 AND expires_at > $3 ORDER BY id DESC LIMIT {limit}"
    );
    query(db, &sql, vec![visitor_id.into(), before.into(), now.into()]).await
}

/// Ends a session of a visitor's. Returns whether it was there.
pub async fn delete_of_visitor(
    db: &impl ConnectionTrait,
    visitor_id: Uuid,
    id: Uuid,
) -> Result<bool, DbErr> {
    let sql = "DELETE FROM visitor_session WHERE visitor_id = $1 AND id = $2";
    Ok(execute(db, sql, vec![visitor_id.into(), id.into()]).await? == 1)
}

/// Ends every session of a visitor's. Returns how many there were.
pub async fn delete_all_of_visitor(
    db: &impl ConnectionTrait,
    visitor_id: Uuid,
) -> Result<u64, DbErr> {
    execute(db, "DELETE FROM visitor_session WHERE visitor_id = $1", vec![visitor_id.into()]).await
}

/// Deletes sessions that have ended, so many at most.
pub async fn delete_expired(db: &impl ConnectionTrait, now: i64, chunk: u64) -> Result<u64, DbErr> {
    let sql = format!(
        "DELETE FROM visitor_session WHERE id IN (SELECT id FROM visitor_session \
         WHERE expires_at <= $1 ORDER BY expires_at LIMIT {chunk})"
    );
    execute(db, &sql, vec![now.into()]).await
}
