//! Links to Stripe's dashboard, on their way to whoever asked. Each is a secret and is taken out once.

use sea_orm::{ConnectionTrait, DbErr, FromQueryResult};
use uuid::Uuid;

use crate::statement::{execute, query_one};

/// A link, or why there is none.
#[derive(Clone, Debug, PartialEq, Eq, FromQueryResult)]
pub struct LoginLink {
    /// The wish that it answers.
    pub id: Uuid,
    /// Whose.
    pub handle_id: Uuid,
    /// Where the dashboard is: single use, and a secret.
    pub url: Option<String>,
    /// Why Stripe makes none.
    pub failure: Option<String>,
    /// When it came.
    pub created_at: i64,
}

/// Puts a link down for whoever asked.
pub async fn insert(db: &impl ConnectionTrait, link: &LoginLink) -> Result<(), DbErr> {
    let sql = "INSERT INTO login_link (id, handle_id, url, failure, created_at) \
               VALUES ($1, $2, $3, $4, $5) ON CONFLICT (id) DO NOTHING";
    let link = link.clone();
    let values = vec![
        link.id.into(),
        link.handle_id.into(),
        link.url.into(),
        link.failure.into(),
        link.created_at.into(),
    ];
    execute(db, sql, values).await.map(drop)
}

/// Takes a handle's link out, if it has come.
pub async fn take(
    db: &impl ConnectionTrait,
    handle: Uuid,
    id: Uuid,
) -> Result<Option<LoginLink>, DbErr> {
    let sql = "DELETE FROM login_link WHERE id = $1 AND handle_id = $2 RETURNING *";
    query_one(db, sql, vec![id.into(), handle.into()]).await
}

/// Drops links that nobody took.
pub async fn delete_old(db: &impl ConnectionTrait, before: i64) -> Result<u64, DbErr> {
    execute(db, "DELETE FROM login_link WHERE created_at < $1", vec![before.into()]).await
}
