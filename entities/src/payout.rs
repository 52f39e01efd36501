//! Payouts: money on its way from Stripe to a bank.

use sea_orm::{ConnectionTrait, DbErr, FromQueryResult};
use uuid::Uuid;

use crate::statement::{execute, query, query_one};

/// A payout.
#[derive(Clone, Debug, PartialEq, Eq, FromQueryResult)]
pub struct Payout {
    /// Its id, and the subject of its run.
    pub id: Uuid,
    /// The creator; none, if it is the platform's own.
    pub handle_id: Option<Uuid>,
    /// `acct_…`; none, if it is the platform's own.
    pub account: Option<String>,
    /// `po_…`
    pub stripe_payout: String,
    /// Minor units.
    pub amount: i64,
    /// ISO 4217.
    pub currency: String,
    /// `PENDING`, `IN_TRANSIT`, `PAID`, `FAILED` or `CANCELED`.
    pub status: String,
    /// When the bank has it, or is to have it.
    pub arrives_at: i64,
    /// Why it failed.
    pub failure: Option<String>,
    /// When it was first heard of.
    pub created_at: i64,
    /// When it last changed.
    pub updated_at: i64,
}

/// Writes a payout down as it stands. When it was first heard of stays.
pub async fn save(db: &impl ConnectionTrait, payout: &Payout) -> Result<(), DbErr> {
    let sql = "INSERT INTO payout (id, handle_id, account, stripe_payout, amount, currency, status, \
               arrives_at, failure, created_at, updated_at) \
               VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) \
               ON CONFLICT (id) DO UPDATE SET status = excluded.status, \
               arrives_at = excluded.arrives_at, failure = excluded.failure, \
               updated_at = excluded.updated_at";
    let row = payout.clone();
    let values = vec![
        row.id.into(),
        row.handle_id.into(),
        row.account.into(),
        row.stripe_payout.into(),
        row.amount.into(),
        row.currency.into(),
        row.status.into(),
        row.arrives_at.into(),
        row.failure.into(),
        row.created_at.into(),
        row.updated_at.into(),
    ];
    execute(db, sql, values).await.map(drop)
}

/// A payout of a handle's.
pub async fn find(
    db: &impl ConnectionTrait,
    handle: Uuid,
    id: Uuid,
) -> Result<Option<Payout>, DbErr> {
    let sql = "SELECT * FROM payout WHERE handle_id = $1 AND id = $2";
    query_one(db, sql, vec![handle.into(), id.into()]).await
}

/// A page of a handle's payouts, the newest first, from before one: when it was first heard of, and its id.
pub async fn list(
    db: &impl ConnectionTrait,
    handle: Uuid,
    (at, id): (i64, Uuid),
    limit: u64,
) -> Result<Vec<Payout>, DbErr> {
    let sql = format!(
        "SELECT * FROM payout WHERE handle_id = $1 AND (created_at, id) < ($2, $3) \
         ORDER BY created_at DESC, id DESC LIMIT {limit}"
    );
    query(db, &sql, vec![handle.into(), at.into(), id.into()]).await
}
