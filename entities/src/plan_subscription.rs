//! Plans of handles, as the API shows them: one row for each handle that ever had one other than the free.

use sea_orm::{ConnectionTrait, DbErr, FromQueryResult};
use uuid::Uuid;

use crate::statement::{execute, query_one};

/// The plan of a handle.
#[derive(Clone, Debug, PartialEq, Eq, FromQueryResult)]
pub struct PlanSubscription {
    /// Whose.
    pub handle_id: Uuid,
    /// The plan that counts: `FREE`, `PRO`, `BUSINESS`.
    pub plan: String,
    /// Why it counts: `DEFAULT`, `STRIPE`, `MANUAL`.
    pub source: String,
    /// How the subscription stands: `NONE`, `PENDING`, `ACTIVE`, `PAST_DUE`, `LAPSED`.
    pub status: String,
    /// Why the plan was set by hand.
    pub reason: Option<String>,
    /// `cus_…`
    pub customer_id: Option<String>,
    /// `sub_…`
    pub subscription_id: Option<String>,
    /// `price_…`
    pub price: Option<String>,
    /// The plan that is subscribed to.
    pub subscribed_plan: Option<String>,
    /// When the period that was last billed began.
    pub period_start: Option<i64>,
    /// When it ends.
    pub period_end: Option<i64>,
    /// When the subscription is over, if it was cancelled.
    pub cancel_at: Option<i64>,
    /// Until when a plan whose payment failed is kept.
    pub grace_until: Option<i64>,
    /// What the link is for: `CHECKOUT`, `PORTAL`.
    pub link_purpose: Option<String>,
    /// A short-lived link to a page of Stripe's.
    pub link_url: Option<String>,
    /// Until when it is good.
    pub link_expires_at: Option<i64>,
    /// The newest request for a link, whether or not the link is there yet.
    pub link_request: Option<Uuid>,
    /// Why the last link could not be made.
    pub failure: Option<String>,
    /// The request that it could not be made for.
    pub failure_request: Option<Uuid>,
    /// When it last changed.
    pub updated_at: i64,
}

/// What becomes of the link, or of why there is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Link {
    /// What is in the row stays.
    Keep,
    /// What is given takes its place; nothing, if nothing is given.
    Replace,
}

/// Writes the plan of a handle down, in place of what was there.
pub async fn set(
    db: &impl ConnectionTrait,
    row: &PlanSubscription,
    link: Link,
) -> Result<(), DbErr> {
    let link = match link {
        Link::Keep => "",
        Link::Replace => {
            ", link_purpose = excluded.link_purpose, link_url = excluded.link_url, \
             link_expires_at = excluded.link_expires_at, link_request = excluded.link_request, \
             failure = excluded.failure, failure_request = excluded.failure_request"
        }
    };
    let sql = format!(
        "INSERT INTO plan_subscription (handle_id, plan, source, status, reason, customer_id, \
         subscription_id, price, subscribed_plan, period_start, period_end, cancel_at, grace_until, \
         link_purpose, link_url, link_expires_at, link_request, failure, failure_request, updated_at) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, \
         $20) \
         ON CONFLICT (handle_id) DO UPDATE SET plan = excluded.plan, source = excluded.source, \
         status = excluded.status, reason = excluded.reason, customer_id = excluded.customer_id, \
         subscription_id = excluded.subscription_id, price = excluded.price, \
         subscribed_plan = excluded.subscribed_plan, period_start = excluded.period_start, \
         period_end = excluded.period_end, cancel_at = excluded.cancel_at, \
         grace_until = excluded.grace_until, updated_at = excluded.updated_at{link}"
    );
    let row = row.clone();
    let values = vec![
        row.handle_id.into(),
        row.plan.into(),
        row.source.into(),
        row.status.into(),
        row.reason.into(),
        row.customer_id.into(),
        row.subscription_id.into(),
        row.price.into(),
        row.subscribed_plan.into(),
        row.period_start.into(),
        row.period_end.into(),
        row.cancel_at.into(),
        row.grace_until.into(),
        row.link_purpose.into(),
        row.link_url.into(),
        row.link_expires_at.into(),
        row.link_request.into(),
        row.failure.into(),
        row.failure_request.into(),
        row.updated_at.into(),
    ];
    execute(db, &sql, values).await.map(drop)
}

/// The plan of a handle; none, if the handle never had one other than the free.
pub async fn of_handle(
    db: &impl ConnectionTrait,
    handle: Uuid,
) -> Result<Option<PlanSubscription>, DbErr> {
    query_one(db, "SELECT * FROM plan_subscription WHERE handle_id = $1", vec![handle.into()]).await
}

/// Drops links that can no longer be used.
pub async fn drop_expired_links(db: &impl ConnectionTrait, now: i64) -> Result<u64, DbErr> {
    let sql = "UPDATE plan_subscription SET link_purpose = NULL, link_url = NULL, link_expires_at = NULL, \
               link_request = NULL WHERE link_expires_at <= $1";
    execute(db, sql, vec![now.into()]).await
}
