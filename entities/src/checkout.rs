//! Purchases, as the API shows them. The terms are frozen when the row is made.

use sea_orm::{ConnectionTrait, DbErr, FromQueryResult};
use uuid::Uuid;

use crate::{
    rows::Rows,
    statement::{execute, query, query_one},
    together::Together,
};

/// A purchase.
#[derive(Clone, Debug, PartialEq, FromQueryResult)]
pub struct Checkout {
    /// Its id, and the subject of its run.
    pub id: Uuid,
    /// The creator.
    pub handle_id: Uuid,
    /// What is sold.
    pub page_id: Uuid,
    /// The page's version whose terms are frozen.
    pub page_version: i32,
    /// Who buys.
    pub visitor_id: Uuid,
    /// Through which campaign.
    pub campaign: Option<String>,
    /// Minor units.
    pub amount: i64,
    /// ISO 4217.
    pub currency: String,
    /// The platform's part, minor units.
    pub fee: i64,
    /// The connected account.
    pub account: String,
    /// What the API calls the state.
    pub status: String,
    /// `cs_…`
    pub session_id: Option<String>,
    /// Where the buyer pays.
    pub url: Option<String>,
    /// `pi_…`
    pub payment_intent: Option<String>,
    /// Why it failed or waits for a person.
    pub reason: Option<String>,
    /// When the payment page closes by itself.
    pub expires_at: i64,
    /// When it was asked for.
    pub created_at: i64,
    /// When it last changed.
    pub updated_at: i64,
}

/// Writes a new purchase down.
pub async fn insert(db: &impl ConnectionTrait, checkout: &Checkout) -> Result<(), DbErr> {
    let sql = "INSERT INTO checkout (id, handle_id, page_id, page_version, visitor_id, campaign, amount, \
               currency, fee, account, status, expires_at, created_at, updated_at) \
               VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $13)";
    let row = checkout.clone();
    let values = vec![
        row.id.into(),
        row.handle_id.into(),
        row.page_id.into(),
        row.page_version.into(),
        row.visitor_id.into(),
        row.campaign.into(),
        row.amount.into(),
        row.currency.into(),
        row.fee.into(),
        row.account.into(),
        row.status.into(),
        row.expires_at.into(),
        row.created_at.into(),
    ];
    execute(db, sql, values).await.map(drop)
}

/// Changes of a purchase; what is absent stays.
#[derive(Clone, Debug)]
pub struct Change {
    /// Which.
    pub id: Uuid,
    /// What the API calls the state.
    pub status: &'static str,
    /// `cs_…`
    pub session_id: Option<String>,
    /// Where the buyer pays.
    pub url: Option<String>,
    /// `pi_…`
    pub payment_intent: Option<String>,
    /// Why it failed or waits for a person.
    pub reason: Option<String>,
    /// When.
    pub at: i64,
}

/// Brings purchases up to date. Each may be named once.
pub fn update(together: &mut Together, changes: &[Change]) {
    let dialect = together.dialect();
    let rows = Rows::new()
        .id("id", changes.iter().map(|change| change.id))
        .text("status", changes.iter().map(|change| change.status))
        .optional_text("session_id", changes.iter().map(|change| change.session_id.as_deref()))
        .optional_text("url", changes.iter().map(|change| change.url.as_deref()))
        .optional_text("intent", changes.iter().map(|change| change.payment_intent.as_deref()))
        .optional_text("reason", changes.iter().map(|change| change.reason.as_deref()))
        .number("at", changes.iter().map(|change| change.at));
    let sql = format!(
        "UPDATE checkout SET status = t.status, session_id = COALESCE(t.session_id, checkout.session_id), \
         url = COALESCE(t.url, checkout.url), \
         payment_intent = COALESCE(t.intent, checkout.payment_intent), \
         reason = COALESCE(t.reason, checkout.reason), updated_at = t.at \
         FROM {} WHERE checkout.id = t.id",
        rows.source(dialect, together.first())
    );
    together.add(sql, rows.values(dialect));
}

/// A visitor's own purchase.
pub async fn find_of_visitor(
    db: &impl ConnectionTrait,
    visitor: Uuid,
    id: Uuid,
) -> Result<Option<Checkout>, DbErr> {
    let sql = "SELECT * FROM checkout WHERE id = $1 AND visitor_id = $2";
    query_one(db, sql, vec![id.into(), visitor.into()]).await
}

/// One purchase, whoever's it is: for mails and checks.
pub async fn find_any_handle(
    db: &impl ConnectionTrait,
    id: Uuid,
) -> Result<Option<Checkout>, DbErr> {
    query_one(db, "SELECT * FROM checkout WHERE id = $1", vec![id.into()]).await
}

/// A visitor's purchases of a page, the newest first.
pub async fn of_visitor_and_page(
    db: &impl ConnectionTrait,
    visitor: Uuid,
    page: Uuid,
) -> Result<Vec<Checkout>, DbErr> {
    let sql =
        "SELECT * FROM checkout WHERE visitor_id = $1 AND page_id = $2 ORDER BY id DESC LIMIT 20";
    query(db, sql, vec![visitor.into(), page.into()]).await
}

#[derive(FromQueryResult)]
struct Id {
    id: Uuid,
}

/// A handle's open purchases that pay an account, after one of them, the oldest first.
pub async fn open_of_account(
    db: &impl ConnectionTrait,
    handle: Uuid,
    account: &str,
    after: Uuid,
    limit: u64,
) -> Result<Vec<Uuid>, DbErr> {
    let sql = format!(
        "SELECT id FROM checkout WHERE handle_id = $1 AND id > $2 AND account = $3 \
         AND status = 'OPEN' ORDER BY id LIMIT {limit}"
    );
    let open: Vec<Id> = query(db, &sql, vec![handle.into(), after.into(), account.into()]).await?;
    Ok(open.into_iter().map(|row| row.id).collect())
}

/// Whether money of the visitor's for a page is on its way, or held until a person decides.
pub async fn is_processing(
    db: &impl ConnectionTrait,
    visitor: Uuid,
    page: Uuid,
) -> Result<bool, DbErr> {
    let sql = "SELECT * FROM checkout WHERE visitor_id = $1 AND page_id = $2 \
               AND status IN ('PROCESSING', 'IN_REVIEW') LIMIT 1";
    let found: Option<Checkout> = query_one(db, sql, vec![visitor.into(), page.into()]).await?;
    Ok(found.is_some())
}

/// A handle's purchases, the newest first, from before one of them; only those in a state, if one is given.
pub async fn list(
    db: &impl ConnectionTrait,
    handle: Uuid,
    (before, status): (Uuid, Option<&str>),
    limit: u64,
) -> Result<Vec<Checkout>, DbErr> {
    let only = if status.is_some() { "AND status = $3" } else { "" };
    let sql = format!(
        "SELECT * FROM checkout WHERE handle_id = $1 AND id < $2 {only} ORDER BY id DESC LIMIT {limit}"
    );
    let mut values = vec![handle.into(), before.into()];
    values.extend(status.map(Into::into));
    query(db, &sql, values).await
}

/// A purchase of a page of a handle's.
pub async fn find(
    db: &impl ConnectionTrait,
    (handle, page): (Uuid, Uuid),
    id: Uuid,
) -> Result<Option<Checkout>, DbErr> {
    let sql = "SELECT * FROM checkout WHERE handle_id = $1 AND page_id = $2 AND id = $3";
    query_one(db, sql, vec![handle.into(), page.into(), id.into()]).await
}

/// A number of purchases in a state.
#[derive(Clone, Debug, FromQueryResult)]
pub struct StatusCount {
    /// What the API calls the state.
    pub status: String,
    /// How many.
    pub checkouts: i64,
}

/// How many purchases are in which state: for benchmarks and checks.
pub async fn count_by_status_any_handle(
    db: &impl ConnectionTrait,
) -> Result<Vec<StatusCount>, DbErr> {
    let sql = "SELECT status, count(*) AS checkouts FROM checkout GROUP BY status ORDER BY status";
    query(db, sql, vec![]).await
}
