//! Records of activations: which interests opened a group buy, so that anybody can verify it.

use sea_orm::{ConnectionTrait, DbErr, FromQueryResult};
use uuid::Uuid;

use crate::statement::{execute, query, query_one};

/// The record of an activation.
#[derive(Clone, Debug, PartialEq, Eq, FromQueryResult)]
pub struct Activation {
    /// Of which group buy.
    pub group_buy_id: Uuid,
    /// The change of its interests that reached the target: those that stood after it made the activation.
    pub position: i64,
    /// How much was needed.
    pub target_quantity: i64,
    /// How much there was.
    pub quantity: i64,
    /// Of how many visitors.
    pub interest_count: i64,
    /// When.
    pub activated_at: i64,
    /// SHA-256 of the list, hexadecimal; none until it is sealed.
    pub hash: Option<String>,
}

/// Writes the record of an activation down, in the transaction that reached the target.
pub async fn insert(db: &impl ConnectionTrait, activation: &Activation) -> Result<(), DbErr> {
    let sql = "INSERT INTO group_buy_activation \
               (group_buy_id, position, target_quantity, quantity, interest_count, activated_at) \
               VALUES ($1, $2, $3, $4, $5, $6)";
    let values = vec![
        activation.group_buy_id.into(),
        activation.position.into(),
        activation.target_quantity.into(),
        activation.quantity.into(),
        activation.interest_count.into(),
        activation.activated_at.into(),
    ];
    execute(db, sql, values).await.map(drop)
}

/// Seals a record. One that is sealed stays as it is.
pub async fn seal(db: &impl ConnectionTrait, group_buy: Uuid, hash: &str) -> Result<(), DbErr> {
    let sql = "UPDATE group_buy_activation SET hash = $2 WHERE group_buy_id = $1 AND hash IS NULL";
    execute(db, sql, vec![group_buy.into(), hash.into()]).await.map(drop)
}

/// The record of a group buy's activation.
pub async fn find(db: &impl ConnectionTrait, group_buy: Uuid) -> Result<Option<Activation>, DbErr> {
    let sql = "SELECT * FROM group_buy_activation WHERE group_buy_id = $1";
    query_one(db, sql, vec![group_buy.into()]).await
}

#[derive(FromQueryResult)]
struct Id {
    id: Uuid,
}

/// Group buys that are activated and have no record of it, and the reverse: for checks.
pub async fn unmatched_any_handle(db: &impl ConnectionTrait) -> Result<Vec<Uuid>, DbErr> {
    let sql = "SELECT g.id FROM group_buy g LEFT JOIN group_buy_activation a ON a.group_buy_id = g.id \
               WHERE (g.status = 'ACTIVATED') <> (a.group_buy_id IS NOT NULL) ORDER BY g.id LIMIT 100";
    let found: Vec<Id> = query(db, sql, vec![]).await?;
    Ok(found.into_iter().map(|row| row.id).collect())
}

/// The record after a group buy's, in the order of their ids: for checks.
pub async fn next_any_handle(
    db: &impl ConnectionTrait,
    after: Uuid,
) -> Result<Option<Activation>, DbErr> {
    let sql = "SELECT * FROM group_buy_activation WHERE group_buy_id > $1 \
               ORDER BY group_buy_id LIMIT 1";
    query_one(db, sql, vec![after.into()]).await
}
