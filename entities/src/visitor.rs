//! Visitors: those who read, sign in and buy.

use sea_orm::{ConnectionTrait, DbErr, FromQueryResult};
use uuid::Uuid;

use crate::{
    database::Dialect,
    rows::Rows,
    statement::{execute, query, query_one},
};

/// A visitor.
#[derive(Clone, Debug, PartialEq, FromQueryResult)]
pub struct Visitor {
    /// Their id.
    pub id: Uuid,
    /// Lower case, unique.
    pub email: String,
    /// When they first signed in.
    pub created_at: i64,
}

/// The visitor of an address: the one there is, or the given one.
pub async fn ensure(db: &impl ConnectionTrait, visitor: &Visitor) -> Result<Uuid, DbErr> {
    let sql = "INSERT INTO visitor (id, email, created_at) VALUES ($1, $2, $3) \
               ON CONFLICT (email) DO NOTHING";
    let row = visitor.clone();
    execute(db, sql, vec![row.id.into(), row.email.into(), row.created_at.into()]).await?;
    let sql = "SELECT * FROM visitor WHERE email = $1";
    let found: Option<Visitor> = query_one(db, sql, vec![visitor.email.as_str().into()]).await?;
    Ok(found.map_or(visitor.id, |found| found.id))
}

/// The visitor of an address.
pub async fn find_by_email(
    db: &impl ConnectionTrait,
    email: &str,
) -> Result<Option<Visitor>, DbErr> {
    query_one(db, "SELECT * FROM visitor WHERE email = $1", vec![email.into()]).await
}

/// The visitors of ids, in no order.
pub async fn find_all(db: &impl ConnectionTrait, ids: &[Uuid]) -> Result<Vec<Visitor>, DbErr> {
    let rows = Rows::new().id("id", ids.iter().copied());
    let sql = format!(
        "SELECT visitor.* FROM {} JOIN visitor ON visitor.id = t.id",
        rows.source(Dialect::of(db), 1)
    );
    query(db, &sql, rows.values(Dialect::of(db))).await
}

/// The visitor of an id.
pub async fn find(db: &impl ConnectionTrait, id: Uuid) -> Result<Option<Visitor>, DbErr> {
    query_one(db, "SELECT * FROM visitor WHERE id = $1", vec![id.into()]).await
}
