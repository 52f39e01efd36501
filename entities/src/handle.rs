//! Handles: what a creator is known by.

use sea_orm::{ConnectionTrait, DbErr, FromQueryResult};
use uuid::Uuid;

use crate::statement::{execute, query_one};

/// A creator's handle.
#[derive(Clone, Debug, PartialEq, FromQueryResult)]
pub struct Handle {
    /// Its id.
    pub id: Uuid,
    /// As it stands in addresses.
    pub name: String,
    /// As people read it.
    pub display_name: String,
    /// The `sub` of the token that made it. Who may act on it is said by [`member`](crate::member).
    pub owner: String,
    /// When it was made.
    pub created_at: i64,
}

/// Writes a new handle down. Returns whether the name was free.
pub async fn insert(db: &impl ConnectionTrait, handle: &Handle) -> Result<bool, DbErr> {
    let sql = "INSERT INTO handle (id, name, display_name, owner, created_at) \
               VALUES ($1, $2, $3, $4, $5) ON CONFLICT (name) DO NOTHING";
    let row = handle.clone();
    let values = vec![
        row.id.into(),
        row.name.into(),
        row.display_name.into(),
        row.owner.into(),
        row.created_at.into(),
    ];
    Ok(execute(db, sql, values).await? == 1)
}

/// The handle of a name: whose it is decides what may follow.
pub async fn find_by_name(db: &impl ConnectionTrait, name: &str) -> Result<Option<Handle>, DbErr> {
    query_one(db, "SELECT * FROM handle WHERE name = $1", vec![name.into()]).await
}

/// The handle of an id.
pub async fn find(db: &impl ConnectionTrait, id: Uuid) -> Result<Option<Handle>, DbErr> {
    query_one(db, "SELECT * FROM handle WHERE id = $1", vec![id.into()]).await
}

/// Holds a handle until the transaction ends, so that two decisions about it are made one after the other.
/// Returns whether there is such a handle.
pub async fn hold(db: &impl ConnectionTrait, id: Uuid) -> Result<bool, DbErr> {
    let sql = "UPDATE handle SET name = name WHERE id = $1";
    Ok(execute(db, sql, vec![id.into()]).await? == 1)
}

#[derive(FromQueryResult)]
struct First {
    first: Option<i64>,
}

/// When the first handle was made, if one was: nothing here is older.
pub async fn first_created_at_any_handle(db: &impl ConnectionTrait) -> Result<Option<i64>, DbErr> {
    let found: Option<First> =
        query_one(db, "SELECT min(created_at) AS first FROM handle", vec![]).await?;
    Ok(found.and_then(|row| row.first))
}
