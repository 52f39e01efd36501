//! Magic links: to whom they were sent. Their tokens are stored nowhere.

use sea_orm::{ConnectionTrait, DbErr, FromQueryResult};
use uuid::Uuid;

use crate::statement::{execute, query_one};

/// A magic link.
#[derive(Clone, Debug, PartialEq, FromQueryResult)]
pub struct MagicLink {
    /// Its id, and the subject of its run.
    pub id: Uuid,
    /// To whom.
    pub email: String,
    /// On which handle's page it was asked for.
    pub handle_id: Option<Uuid>,
    /// Where the visitor goes afterwards: a path of ours.
    pub return_to: Option<String>,
    /// When it was asked for.
    pub created_at: i64,
    /// Until when it is good.
    pub expires_at: i64,
}

/// Writes a new link down.
pub async fn insert(db: &impl ConnectionTrait, link: &MagicLink) -> Result<(), DbErr> {
    let sql = "INSERT INTO magic_link (id, email, handle_id, return_to, created_at, expires_at) \
               VALUES ($1, $2, $3, $4, $5, $6)";
    let row = link.clone();
    let values = vec![
        row.id.into(),
        row.email.into(),
        row.handle_id.into(),
        row.return_to.into(),
        row.created_at.into(),
        row.expires_at.into(),
    ];
    execute(db, sql, values).await.map(drop)
}

/// A link.
pub async fn find(db: &impl ConnectionTrait, id: Uuid) -> Result<Option<MagicLink>, DbErr> {
    query_one(db, "SELECT * FROM magic_link WHERE id = $1", vec![id.into()]).await
}

/// Takes one of the tries that the newest link of an address has for its code, if it is still good and has
/// one left. In one statement: of many guesses at once, no more than `tries` get the link to look at.
pub async fn take_try(
    db: &impl ConnectionTrait,
    email: &str,
    now: i64,
    tries: u8,
) -> Result<Option<MagicLink>, DbErr> {
    let sql = "UPDATE magic_link SET code_tries = code_tries + 1 WHERE code_tries < $3 AND id = \
               (SELECT id FROM magic_link WHERE email = $1 AND expires_at > $2 \
               ORDER BY id DESC LIMIT 1) RETURNING *";
    query_one(db, sql, vec![email.into(), now.into(), i32::from(tries).into()]).await
}

/// Deletes links that are no longer good since a moment, so many at most.
pub async fn delete_expired(
    db: &impl ConnectionTrait,
    before: i64,
    chunk: u64,
) -> Result<u64, DbErr> {
    let sql = format!(
        "DELETE FROM magic_link WHERE id IN (SELECT id FROM magic_link \
         WHERE expires_at <= $1 ORDER BY expires_at LIMIT {chunk})"
    );
    execute(db, &sql, vec![before.into()]).await
}
