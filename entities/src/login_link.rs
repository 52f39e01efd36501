//! Links to Stripe's dashboard, on their way to whoever asked. Each is a secret and is taken out once.

use sea_orm::{ConnectionTrait, DbErr, FromQueryResult};
use uuid::Uuid;

use crate::{
    database::Dialect,
    rows::Rows,
    statement::{execute, query_one},
};

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

/// Puts links down for those who asked.
pub async fn insert(db: &impl ConnectionTrait, links: &[LoginLink]) -> Result<(), DbErr> {
    let dialect = Dialect::of(db);
    let rows = Rows::new()
        .id("id", links.iter().map(|link| link.id))
        .id("handle_id", links.iter().map(|link| link.handle_id))
        .optional_text("url", links.iter().map(|link| link.url.as_deref()))
        .optional_text("failure", links.iter().map(|link| link.failure.as_deref()))
        .number("at", links.iter().map(|link| link.created_at));
    let sql = format!(
        "INSERT INTO login_link (id, handle_id, url, failure, created_at) \
         SELECT id, handle_id, url, failure, at FROM {} WHERE true ORDER BY id \
         ON CONFLICT (id) DO NOTHING",
        rows.source(dialect, 1)
    );
    execute(db, &sql, rows.values(dialect)).await.map(drop)
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

/// Drops links that nobody took, if they were made before a moment.
pub async fn delete_old(db: &impl ConnectionTrait, before: i64) -> Result<u64, DbErr> {
    execute(db, "DELETE FROM login_link WHERE created_at < $1", vec![before.into()]).await
}
