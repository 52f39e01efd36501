//! Disputes, as the API shows them.

use sea_orm::{ConnectionTrait, DbErr, FromQueryResult};
use uuid::Uuid;

use crate::{
    database::Dialect,
    rows::Rows,
    statement::{execute, query},
};

/// A payment that its buyer's bank takes back, or tries to.
#[derive(Clone, Debug, PartialEq, FromQueryResult)]
pub struct Dispute {
    /// Its id, and the subject of its run.
    pub id: Uuid,
    /// Of which creator's sale.
    pub handle_id: Uuid,
    /// Of which purchase.
    pub checkout_id: Uuid,
    /// Of which page.
    pub page_id: Uuid,
    /// `dp_…`
    pub stripe_dispute: String,
    /// What the API calls the state.
    pub status: String,
    /// Minor units in dispute.
    pub amount: i64,
    /// ISO 4217.
    pub currency: String,
    /// Stripe's category.
    pub reason: String,
    /// Minor units that were taken from the platform.
    pub withdrawn: i64,
    /// Minor units that Stripe keeps for its trouble.
    pub fee: i64,
    /// Minor units that came back.
    pub reinstated: i64,
    /// Until when evidence is taken.
    pub evidence_due: Option<i64>,
    /// When it became known.
    pub created_at: i64,
    /// When it last changed.
    pub updated_at: i64,
}

/// Writes disputes down, or brings them up to date. Each may be named once.
pub async fn set(db: &impl ConnectionTrait, disputes: &[Dispute]) -> Result<(), DbErr> {
    let dialect = Dialect::of(db);
    let rows = Rows::new()
        .id("id", disputes.iter().map(|dispute| dispute.id))
        .id("handle_id", disputes.iter().map(|dispute| dispute.handle_id))
        .id("checkout_id", disputes.iter().map(|dispute| dispute.checkout_id))
        .id("page_id", disputes.iter().map(|dispute| dispute.page_id))
        .text("object", disputes.iter().map(|dispute| dispute.stripe_dispute.as_str()))
        .text("status", disputes.iter().map(|dispute| dispute.status.as_str()))
        .number("amount", disputes.iter().map(|dispute| dispute.amount))
        .text("currency", disputes.iter().map(|dispute| dispute.currency.as_str()))
        .text("reason", disputes.iter().map(|dispute| dispute.reason.as_str()))
        .number("withdrawn", disputes.iter().map(|dispute| dispute.withdrawn))
        .number("fee", disputes.iter().map(|dispute| dispute.fee))
        .number("reinstated", disputes.iter().map(|dispute| dispute.reinstated))
        .optional_number("due", disputes.iter().map(|dispute| dispute.evidence_due))
        .number("at", disputes.iter().map(|dispute| dispute.updated_at));
    let sql = format!(
        "INSERT INTO dispute (id, handle_id, checkout_id, page_id, stripe_dispute, status, amount, currency, \
         reason, withdrawn, fee, reinstated, evidence_due, created_at, updated_at) \
         SELECT id, handle_id, checkout_id, page_id, object, status, amount, currency, reason, withdrawn, fee, \
         reinstated, due, at, at FROM {} WHERE true ORDER BY id \
         ON CONFLICT (id) DO UPDATE SET status = excluded.status, amount = excluded.amount, \
         reason = excluded.reason, withdrawn = excluded.withdrawn, fee = excluded.fee, \
         reinstated = excluded.reinstated, evidence_due = excluded.evidence_due, \
         updated_at = excluded.updated_at",
        rows.source(dialect, 1)
    );
    execute(db, &sql, rows.values(dialect)).await.map(drop)
}

/// A handle's disputes, the newest first, from before one of them.
pub async fn list(
    db: &impl ConnectionTrait,
    handle: Uuid,
    before: Option<Uuid>,
    limit: u64,
) -> Result<Vec<Dispute>, DbErr> {
    let from = match before {
        None => "",
        Some(_) => {
            "AND (created_at, id) < \
             (SELECT created_at, id FROM dispute WHERE handle_id = $1 AND id = $2)"
        }
    };
    let sql = format!(
        "SELECT * FROM dispute WHERE handle_id = $1 {from} \
         ORDER BY created_at DESC, id DESC LIMIT {limit}"
    );
    let values = [Some(handle), before].into_iter().flatten().map(Into::into).collect();
    query(db, &sql, values).await
}
