//! Accounts that handles have left: what was sold through one is reversed through it.

use sea_orm::{ConnectionTrait, DbErr, FromQueryResult};
use uuid::Uuid;

use crate::{
    database::Dialect,
    rows::Rows,
    statement::{execute, query},
};

/// How many of a handle's are shown at most.
const SHOWN: u64 = 20;

/// An account that a handle has left.
#[derive(Clone, Debug, PartialEq, Eq, FromQueryResult)]
pub struct PastConnectAccount {
    /// `acct_…`
    pub account_id: String,
    /// Whose.
    pub handle_id: Uuid,
    /// When the handle went on with another.
    pub left_at: i64,
}

/// Keeps accounts, each once.
pub async fn keep(db: &impl ConnectionTrait, past: &[PastConnectAccount]) -> Result<(), DbErr> {
    let dialect = Dialect::of(db);
    let rows = Rows::new()
        .text("account_id", past.iter().map(|past| past.account_id.as_str()))
        .id("handle_id", past.iter().map(|past| past.handle_id))
        .number("left_at", past.iter().map(|past| past.left_at));
    let sql = format!(
        "INSERT INTO connect_account_past (account_id, handle_id, left_at) \
         SELECT account_id, handle_id, left_at FROM {} WHERE true ORDER BY account_id \
         ON CONFLICT (account_id) DO NOTHING",
        rows.source(dialect, 1)
    );
    execute(db, &sql, rows.values(dialect)).await.map(drop)
}

/// The accounts that a handle has left, the newest first.
pub async fn of_handle(
    db: &impl ConnectionTrait,
    handle: Uuid,
) -> Result<Vec<PastConnectAccount>, DbErr> {
    let sql = format!(
        "SELECT * FROM connect_account_past WHERE handle_id = $1 \
         ORDER BY left_at DESC, account_id LIMIT {SHOWN}"
    );
    query(db, &sql, vec![handle.into()]).await
}
