//! What reconciliation has read of Stripe's lists, and how it came out: one row for each window.

use sea_orm::{ConnectionTrait, DbErr, FromQueryResult};
use uuid::Uuid;

use crate::statement::{execute, query};

/// A window of one of Stripe's lists that was read, or is being read.
#[derive(Clone, Debug, PartialEq, Eq, FromQueryResult)]
pub struct Reconciliation {
    /// Its id: a UUID v7.
    pub id: Uuid,
    /// `events` or `movements`.
    pub kind: String,
    /// `acct_…`, or nothing for the platform.
    pub account: String,
    /// From when on, in seconds as Stripe counts.
    pub window_from: i64,
    /// Until when, in seconds as Stripe counts.
    pub window_to: i64,
    /// How many objects Stripe listed.
    pub listed: i64,
    /// Events that had never arrived.
    pub added: i64,
    /// Movements that are in the ledger.
    pub matched: i64,
    /// Movements that are not, and should be.
    pub missing_here: i64,
    /// Postings that Stripe knows nothing of.
    pub missing_at_stripe: i64,
    /// Movements of another amount than was posted.
    pub amount_differs: i64,
    /// What is not Sluice's, or needs no posting.
    pub elsewhere: i64,
    /// When the reading began.
    pub started_at: i64,
    /// When it was through.
    pub finished_at: Option<i64>,
    /// Why it stopped, the last time it did.
    pub error: Option<String>,
}

/// Writes down how a reading stands.
pub async fn save(db: &impl ConnectionTrait, row: &Reconciliation) -> Result<(), DbErr> {
    let sql = "INSERT INTO reconciliation (id, kind, account, window_from, window_to, listed, added, matched, \
               missing_here, missing_at_stripe, amount_differs, elsewhere, started_at, finished_at, error) \
               VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15) \
               ON CONFLICT (id) DO UPDATE SET listed = excluded.listed, added = excluded.added, \
               matched = excluded.matched, missing_here = excluded.missing_here, \
               missing_at_stripe = excluded.missing_at_stripe, amount_differs = excluded.amount_differs, \
               elsewhere = excluded.elsewhere, finished_at = excluded.finished_at, error = excluded.error";
    let row = row.clone();
    let values = vec![
        row.id.into(),
        row.kind.into(),
        row.account.into(),
        row.window_from.into(),
        row.window_to.into(),
        row.listed.into(),
        row.added.into(),
        row.matched.into(),
        row.missing_here.into(),
        row.missing_at_stripe.into(),
        row.amount_differs.into(),
        row.elsewhere.into(),
        row.started_at.into(),
        row.finished_at.into(),
        row.error.into(),
    ];
    execute(db, sql, values).await.map(drop)
}

/// The latest readings, the newest first.
pub async fn list(db: &impl ConnectionTrait, limit: u64) -> Result<Vec<Reconciliation>, DbErr> {
    let sql =
        format!("SELECT * FROM reconciliation ORDER BY started_at DESC, id DESC LIMIT {limit}");
    query(db, &sql, vec![]).await
}

/// Deletes readings that began before a moment, so many at most, and says how many.
pub async fn delete_old(db: &impl ConnectionTrait, before: i64, chunk: u64) -> Result<u64, DbErr> {
    let sql = format!(
        "DELETE FROM reconciliation WHERE id IN (SELECT id FROM reconciliation \
         WHERE started_at < $1 ORDER BY started_at LIMIT {chunk})"
    );
    execute(db, &sql, vec![before.into()]).await
}
