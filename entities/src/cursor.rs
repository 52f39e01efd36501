//! How far a scheduled reading of one of Stripe's lists has come.

use sea_orm::{ConnectionTrait, DbErr, FromQueryResult};

use crate::statement::{execute, query_one};

#[derive(FromQueryResult)]
struct Position {
    position: String,
}

/// The position of a reading, if it has begun.
pub async fn find(db: &impl ConnectionTrait, name: &str) -> Result<Option<String>, DbErr> {
    let sql = "SELECT position FROM cursor WHERE name = $1";
    let found: Option<Position> = query_one(db, sql, vec![name.into()]).await?;
    Ok(found.map(|row| row.position))
}

/// Moves a reading on.
pub async fn set(db: &impl ConnectionTrait, name: &str, position: &str) -> Result<(), DbErr> {
    let sql = "INSERT INTO cursor (name, position) VALUES ($1, $2) \
               ON CONFLICT (name) DO UPDATE SET position = excluded.position";
    execute(db, sql, vec![name.into(), position.into()]).await.map(drop)
}
