//! Connected accounts, as the API shows them: one row for each handle.

use sea_orm::{ConnectionTrait, DbErr, FromQueryResult};
use uuid::Uuid;

use crate::{
    database::Dialect,
    statement::{execute, query, query_one},
};

/// A handle's connected account.
#[derive(Clone, Debug, PartialEq, FromQueryResult)]
pub struct ConnectAccount {
    /// Whose.
    pub handle_id: Uuid,
    /// What the API calls the state.
    pub status: String,
    /// `acct_…`
    pub account_id: Option<String>,
    /// May take charges.
    pub charges_enabled: bool,
    /// May be paid out.
    pub payouts_enabled: bool,
    /// What Stripe wants, as JSON.
    pub requirements: String,
    /// The status of each capability that was asked for, as JSON.
    pub capabilities: String,
    /// The single-use onboarding link.
    pub link_url: Option<String>,
    /// Until when it can be used.
    pub link_expires_at: Option<i64>,
    /// The newest wish for a link: the link is its, and so is the failure.
    pub request_id: Option<Uuid>,
    /// Why the account or the link could not be made.
    pub failure: Option<String>,
    /// When it last changed.
    pub updated_at: i64,
}

/// What becomes of the single-use link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Link {
    /// It stays.
    Keep,
    /// It is dropped.
    Drop,
    /// A fresh one, and until when it can be used.
    Set(String, i64),
}

/// What Stripe said of an account.
#[derive(Clone, Debug)]
pub struct Facts {
    /// May take charges.
    pub charges_enabled: bool,
    /// May be paid out.
    pub payouts_enabled: bool,
    /// What Stripe wants, as JSON.
    pub requirements: String,
    /// The status of each capability that was asked for, as JSON.
    pub capabilities: String,
}

/// Changes of a connected account; what is absent stays. A failure stays as long as the link.
#[derive(Clone, Debug)]
pub struct Change {
    /// Whose.
    pub handle_id: Uuid,
    /// What the API calls the state.
    pub status: Option<&'static str>,
    /// `acct_…`
    pub account_id: Option<String>,
    /// What Stripe said of it.
    pub facts: Option<Facts>,
    /// What becomes of the link.
    pub link: Link,
    /// The newest wish for a link.
    pub request_id: Option<Uuid>,
    /// Why the account or the link could not be made.
    pub failure: Option<String>,
    /// When.
    pub at: i64,
}

/// Brings a connected account up to date, and makes its row if there is none.
pub async fn update(db: &impl ConnectionTrait, change: &Change) -> Result<(), DbErr> {
    let sql = "INSERT INTO connect_account (handle_id, status, charges_enabled, payouts_enabled, \
               requirements, updated_at) VALUES ($1, 'NOT_STARTED', false, false, '{}', $2) \
               ON CONFLICT (handle_id) DO NOTHING";
    execute(db, sql, vec![change.handle_id.into(), change.at.into()]).await?;
    let facts = change.facts.as_ref();
    let link = match &change.link {
        Link::Keep => "failure = COALESCE($10, failure)",
        Link::Drop | Link::Set(..) => "failure = $10, link_url = $11, link_expires_at = $12",
    };
    let sql = format!(
        "UPDATE connect_account SET updated_at = $2, status = COALESCE($3, status), \
         account_id = COALESCE($4, account_id), charges_enabled = COALESCE($5, charges_enabled), \
         payouts_enabled = COALESCE($6, payouts_enabled), requirements = COALESCE($7, requirements), \
         capabilities = COALESCE($8, capabilities), request_id = COALESCE($9, request_id), {link} \
         WHERE handle_id = $1"
    );
    let mut values = vec![
        change.handle_id.into(),
        change.at.into(),
        change.status.map(str::to_owned).into(),
        change.account_id.clone().into(),
        facts.map(|facts| facts.charges_enabled).into(),
        facts.map(|facts| facts.payouts_enabled).into(),
        facts.map(|facts| facts.requirements.clone()).into(),
        facts.map(|facts| facts.capabilities.clone()).into(),
        change.request_id.into(),
        change.failure.clone().into(),
    ];
    match &change.link {
        Link::Keep => {}
        Link::Drop => values.extend([None::<String>.into(), None::<i64>.into()]),
        Link::Set(url, until) => values.extend([url.as_str().into(), (*until).into()]),
    }
    execute(db, &sql, values).await.map(drop)
}

/// Drops single-use links that can no longer be used.
pub async fn drop_expired_links(db: &impl ConnectionTrait, now: i64) -> Result<u64, DbErr> {
    let sql = "UPDATE connect_account SET link_url = NULL, link_expires_at = NULL \
               WHERE link_expires_at <= $1";
    execute(db, sql, vec![now.into()]).await
}

/// A handle's connected account, which does not change before the transaction ends: what is sold on the
/// strength of it is there before anybody looks for what must be closed.
pub async fn hold_of_handle(
    db: &impl ConnectionTrait,
    handle: Uuid,
) -> Result<Option<ConnectAccount>, DbErr> {
    let lock = match Dialect::of(db) {
        Dialect::Postgres => " FOR SHARE",
        // There is one writer at a time.
        Dialect::Sqlite => "",
    };
    let sql = format!("SELECT * FROM connect_account WHERE handle_id = $1{lock}");
    query_one(db, &sql, vec![handle.into()]).await
}

/// A handle's connected account.
pub async fn of_handle(
    db: &impl ConnectionTrait,
    handle: Uuid,
) -> Result<Option<ConnectAccount>, DbErr> {
    query_one(db, "SELECT * FROM connect_account WHERE handle_id = $1", vec![handle.into()]).await
}

#[derive(FromQueryResult)]
struct Account {
    account_id: String,
}

/// Accounts that handles have, or had, after one of them, in order.
pub async fn account_ids_any_handle(
    db: &impl ConnectionTrait,
    after: &str,
    limit: u64,
) -> Result<Vec<String>, DbErr> {
    let sql = format!(
        "SELECT account_id FROM connect_account WHERE account_id > $1 \
         UNION SELECT account_id FROM connect_account_past WHERE account_id > $1 \
         ORDER BY account_id LIMIT {limit}"
    );
    let found: Vec<Account> = query(db, &sql, vec![after.into()]).await?;
    Ok(found.into_iter().map(|row| row.account_id).collect())
}
