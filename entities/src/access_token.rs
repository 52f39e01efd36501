//! Personal access tokens: what people give to programs. Only a keyed hash of each is stored.

use sea_orm::{ConnectionTrait, DbErr, FromQueryResult};
use uuid::Uuid;

use crate::statement::{execute, query, query_one};

/// A personal access token.
#[derive(Clone, Debug, PartialEq, FromQueryResult)]
pub struct AccessToken {
    /// Its id: a UUID v7.
    pub id: Uuid,
    /// The `sub` of whoever made it, for whom it speaks.
    pub subject: String,
    /// What its owner calls it.
    pub name: String,
    /// The keyed hash of its secret, hexadecimal.
    pub token_hash: String,
    /// What it may do: names of permissions, with spaces between.
    pub scopes: String,
    /// The only handles it may touch: their names, with spaces between. Without it, all of its owner's.
    pub handles: Option<String>,
    /// When it was made.
    pub created_at: i64,
    /// Until when it is good.
    pub expires_at: i64,
    /// When it was last used, to about a minute.
    pub last_used_at: Option<i64>,
}

/// Writes a new token down.
pub async fn insert(db: &impl ConnectionTrait, token: &AccessToken) -> Result<(), DbErr> {
    let sql = "INSERT INTO access_token \
               (id, subject, name, token_hash, scopes, handles, created_at, expires_at) \
               VALUES ($1, $2, $3, $4, $5, $6, $7, $8)";
    let row = token.clone();
    let values = vec![
        row.id.into(),
        row.subject.into(),
        row.name.into(),
        row.token_hash.into(),
        row.scopes.into(),
        row.handles.into(),
        row.created_at.into(),
        row.expires_at.into(),
    ];
    execute(db, sql, values).await.map(drop)
}

/// The token of an id, whoever's it is: whether the caller holds it is said by its hash.
pub async fn find(db: &impl ConnectionTrait, id: Uuid) -> Result<Option<AccessToken>, DbErr> {
    query_one(db, "SELECT * FROM access_token WHERE id = $1", vec![id.into()]).await
}

/// A page of somebody's tokens, the newest first, from before one.
pub async fn list(
    db: &impl ConnectionTrait,
    subject: &str,
    before: Uuid,
    limit: u64,
) -> Result<Vec<AccessToken>, DbErr> {
    let sql = format!(
        "SELECT * FROM access_token WHERE subject = $1 AND id < $2 ORDER BY id DESC LIMIT {limit}"
    );
    query(db, &sql, vec![subject.into(), before.into()]).await
}

/// Takes a token of somebody's back. Returns whether there was one.
pub async fn delete(db: &impl ConnectionTrait, subject: &str, id: Uuid) -> Result<bool, DbErr> {
    let sql = "DELETE FROM access_token WHERE subject = $1 AND id = $2";
    Ok(execute(db, sql, vec![subject.into(), id.into()]).await? == 1)
}

/// Notes that a token was used, unless that was noted after a moment.
pub async fn touch(
    db: &impl ConnectionTrait,
    id: Uuid,
    now: i64,
    unless_after: i64,
) -> Result<(), DbErr> {
    let sql = "UPDATE access_token SET last_used_at = $2 \
               WHERE id = $1 AND (last_used_at IS NULL OR last_used_at <= $3)";
    execute(db, sql, vec![id.into(), now.into(), unless_after.into()]).await.map(drop)
}
