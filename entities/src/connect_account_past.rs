//! Accounts that handles have left: what was sold through one is reversed through it.

use sea_orm::{ConnectionTrait, DbErr, FromQueryResult};
use uuid::Uuid;

use crate::statement::{execute, query};

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

/// Keeps an account, once.
pub async fn keep(db: &impl ConnectionTrait, past: &PastConnectAccount) -> Result<(), DbErr> {
    let sql = "INSERT INTO connect_account_past (account_id, handle_id, left_at) VALUES ($1, $2, $3) \
               ON CONFLICT (account_id) DO NOTHING";
    let values = vec![past.account_id.as_str().into(), past.handle_id.into(), past.left_at.into()];
    execute(db, sql, values).await.map(drop)
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
