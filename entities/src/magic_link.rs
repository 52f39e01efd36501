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

/// The newest link of an address that is still good.
pub async fn newest_of_email(
    db: &impl ConnectionTrait,
    email: &str,
    now: i64,
) -> Result<Option<MagicLink>, DbErr> {
    let sql =
        "SELECT * FROM magic_link WHERE email = $1 AND expires_at > $2 ORDER BY id DESC LIMIT 1";
    query_one(db, sql, vec![email.into(), now.into()]).await
}

/// Deletes links that are no longer good since a moment.
pub async fn delete_expired(db: &impl ConnectionTrait, before: i64) -> Result<u64, DbErr> {
    execute(db, "DELETE FROM magic_link WHERE expires_at <= $1", vec![before.into()]).await
}
