//! Refunds, as the API shows them.

use sea_orm::{ConnectionTrait, DbErr, FromQueryResult};
use uuid::Uuid;

use crate::{
    database::Dialect,
    rows::Rows,
    statement::{execute, query, query_one},
};

/// Money given back to a buyer, or a wish to.
#[derive(Clone, Debug, PartialEq, FromQueryResult)]
pub struct Refund {
    /// Its id, and the subject of its run, if it was asked for here.
    pub id: Uuid,
    /// Of which creator's sale.
    pub handle_id: Uuid,
    /// Of which purchase.
    pub checkout_id: Uuid,
    /// Of which page.
    pub page_id: Uuid,
    /// What the API calls the state.
    pub status: String,
    /// Minor units; absent, as long as it is all that is left.
    pub amount: Option<i64>,
    /// ISO 4217.
    pub currency: String,
    /// Why: `REQUESTED_BY_CUSTOMER`, `DUPLICATE`, `FRAUDULENT`, `MADE_AT_STRIPE`.
    pub reason: String,
    /// Who asked: the `sub` of a token.
    pub requested_by: Option<String>,
    /// `re_…`
    pub stripe_refund: Option<String>,
    /// Why it waits, failed or was refused: a short code.
    pub failure: Option<String>,
    /// When it became known.
    pub created_at: i64,
    /// When it last changed.
    pub updated_at: i64,
}

/// Writes refunds down, or brings them up to date. Each may be named once.
pub async fn set(db: &impl ConnectionTrait, refunds: &[Refund]) -> Result<(), DbErr> {
    let dialect = Dialect::of(db);
    let rows = Rows::new()
        .id("id", refunds.iter().map(|refund| refund.id))
        .id("handle_id", refunds.iter().map(|refund| refund.handle_id))
        .id("checkout_id", refunds.iter().map(|refund| refund.checkout_id))
        .id("page_id", refunds.iter().map(|refund| refund.page_id))
        .text("status", refunds.iter().map(|refund| refund.status.as_str()))
        .optional_number("amount", refunds.iter().map(|refund| refund.amount))
        .text("currency", refunds.iter().map(|refund| refund.currency.as_str()))
        .text("reason", refunds.iter().map(|refund| refund.reason.as_str()))
        .optional_text("by", refunds.iter().map(|refund| refund.requested_by.as_deref()))
        .optional_text("object", refunds.iter().map(|refund| refund.stripe_refund.as_deref()))
        .optional_text("failure", refunds.iter().map(|refund| refund.failure.as_deref()))
        .number("at", refunds.iter().map(|refund| refund.updated_at));
    let sql = format!(
        "INSERT INTO refund (id, handle_id, checkout_id, page_id, status, amount, currency, reason, \
         requested_by, stripe_refund, failure, created_at, updated_at) \
         SELECT id, handle_id, checkout_id, page_id, status, amount, currency, reason, t.by, object, failure, \
         at, at FROM {} WHERE true ORDER BY id \
         ON CONFLICT (id) DO UPDATE SET status = excluded.status, \
         amount = COALESCE(excluded.amount, refund.amount), currency = excluded.currency, \
         stripe_refund = COALESCE(excluded.stripe_refund, refund.stripe_refund), \
         failure = excluded.failure, updated_at = excluded.updated_at",
        rows.source(dialect, 1)
    );
    execute(db, &sql, rows.values(dialect)).await.map(drop)
}

/// One refund, whoever's it is: for mails, and for whoever has just asked for it.
pub async fn find_any_handle(db: &impl ConnectionTrait, id: Uuid) -> Result<Option<Refund>, DbErr> {
    query_one(db, "SELECT * FROM refund WHERE id = $1", vec![id.into()]).await
}

/// What was given back of a purchase, or is on its way.
#[derive(Clone, Debug, FromQueryResult)]
pub struct GivenBack {
    /// Which purchase.
    pub checkout_id: Uuid,
    /// Minor units.
    pub amount: i64,
}

/// What was given back of purchases; those of which nothing was are left out.
pub async fn given_back(
    db: &impl ConnectionTrait,
    handle: Uuid,
    checkouts: &[Uuid],
) -> Result<Vec<GivenBack>, DbErr> {
    let dialect = Dialect::of(db);
    let rows = Rows::new().id("id", checkouts.iter().copied());
    let sql = format!(
        "SELECT r.checkout_id, CAST(sum(r.amount) AS BIGINT) AS amount FROM {} \
         JOIN refund r ON r.checkout_id = t.id WHERE r.handle_id = $1 \
         AND r.status IN ('PENDING', 'SUCCEEDED') GROUP BY r.checkout_id",
        rows.source(dialect, 2)
    );
    let mut values = vec![handle.into()];
    values.extend(rows.values(dialect));
    query(db, &sql, values).await
}

/// A handle's refunds, the newest first, from before one of them.
pub async fn list(
    db: &impl ConnectionTrait,
    handle: Uuid,
    before: Option<Uuid>,
    limit: u64,
) -> Result<Vec<Refund>, DbErr> {
    let from = match before {
        None => "",
        Some(_) => {
            "AND (created_at, id) < \
             (SELECT created_at, id FROM refund WHERE handle_id = $1 AND id = $2)"
        }
    };
    let sql = format!(
        "SELECT * FROM refund WHERE handle_id = $1 {from} \
         ORDER BY created_at DESC, id DESC LIMIT {limit}"
    );
    let values = [Some(handle), before].into_iter().flatten().map(Into::into).collect();
    query(db, &sql, values).await
}
