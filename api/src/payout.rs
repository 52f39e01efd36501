//! Payouts: what went, or is going, to the creator's bank.

use entities::payout::{self, Payout};
use poem::Request;
use poem_openapi::{
    Enum, Object, OpenApi,
    param::{Path, Query},
};
use sea_orm::ConnectionTrait;
use time::OffsetDateTime;
use uuid::Uuid;
use workflows::{
    id::{PayoutId, RunId},
    payout::Payout as Machine,
    stripe::PayoutStatus as Status,
    workflow::Workflow,
};

use crate::{
    answer::Shown,
    auth::Caller,
    config::App,
    handle::permitted,
    list,
    moment::moment,
    permission::Permission,
    problem::{Problem, Refused, refusals},
    tag::Tag,
};

/// How far a payout is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[oai(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum PayoutStatus {
    /// Stripe prepares it.
    Pending,
    /// The bank has it in hand.
    InTransit,
    /// It is there. The bank may still refuse it within days.
    Paid,
    /// The bank refused it, and the money is back.
    Failed,
    /// It was called off, and the money is back.
    Canceled,
}

impl PayoutStatus {
    fn of(status: Status) -> Self {
        match status {
            Status::Pending => Self::Pending,
            Status::InTransit => Self::InTransit,
            Status::Paid => Self::Paid,
            Status::Failed => Self::Failed,
            Status::Canceled => Self::Canceled,
        }
    }
}

/// Money on its way from Stripe to the creator's bank.
#[derive(Debug, Object)]
#[oai(rename = "Payout", rename_all = "camelCase")]
pub struct PayoutView {
    /// `payout_…`
    pub id: String,
    /// What Stripe calls it: `po_…`
    pub stripe_payout: String,
    /// The connected account that it is paid from, which may be one that the handle has left: `acct_…`
    pub account: Option<String>,
    /// Minor units. Negative: taken from the bank, for a balance that was negative.
    pub amount_cents: i64,
    /// ISO 4217.
    pub currency: String,
    /// How far it is.
    pub status: PayoutStatus,
    /// When the bank has it, or is to have it.
    pub arrives_at: OffsetDateTime,
    /// Why it failed, in Stripe's words.
    pub failure: Option<String>,
    /// Its run: `run_…`
    pub run_id: String,
    /// When it was first heard of.
    pub created_at: OffsetDateTime,
    /// When it last changed.
    pub updated_at: OffsetDateTime,
}

impl PayoutView {
    fn of(payout: &Payout) -> Result<Self, Problem> {
        let status: Status = payout.status.parse().map_err(Problem::internal)?;
        Ok(Self {
            id: PayoutId(payout.id).to_string(),
            stripe_payout: payout.stripe_payout.clone(),
            account: payout.account.clone(),
            amount_cents: payout.amount,
            currency: payout.currency.clone(),
            status: PayoutStatus::of(status),
            arrives_at: moment(payout.arrives_at),
            failure: payout.failure.clone(),
            run_id: RunId::of(Machine::NAME, payout.id).to_string(),
            created_at: moment(payout.created_at),
            updated_at: moment(payout.updated_at),
        })
    }
}

/// Payouts.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase")]
pub struct PayoutList {
    /// The newest first.
    pub data: Vec<PayoutView>,
    /// For `cursor`, while there are more.
    pub next_cursor: Option<String>,
}

refusals!(ListPayouts: Unauthorized, TokenInvalid, TokenExpired, Forbidden, UnknownHandle);

/// Payouts of handles.
pub struct Payouts;

#[OpenApi(tag = "Tag::Earnings")]
impl Payouts {
    /// What went to the creator's bank
    ///
    /// Payouts of the handle's connected accounts, as Stripe reports them.
    #[oai(path = "/v2/handles/:handle/payouts", method = "get", operation_id = "listPayouts")]
    async fn list(
        &self,
        request: &Request,
        caller: Caller,
        /// The handle, as it stands in addresses.
        handle: Path<String>,
        /// How many, 1 to 100; 20 unless given.
        limit: Query<Option<u32>>,
        /// `nextCursor` of the list before.
        cursor: Query<Option<String>>,
    ) -> Result<Shown<PayoutList>, Refused<ListPayouts>> {
        let app = App::of(request)?;
        let limit = list::limit(limit.0)?;
        let handle = permitted(app, &caller.0, &handle.0, Permission::EarningsRead).await?;
        let db = app.engine.database().read();
        let before = before(db, handle.id, cursor.0.as_deref()).await?;
        let rows = payout::list(db, handle.id, before, limit + 1).await?;
        let (rows, next_cursor) = list::cut(rows, limit, |row| PayoutId(row.id).to_string());
        let data = rows.iter().map(PayoutView::of).collect::<Result<_, _>>()?;
        Ok(Shown::of(PayoutList { data, next_cursor }))
    }
}

/// From before which payout: when it was first heard of, and its id.
async fn before(
    db: &impl ConnectionTrait,
    handle: Uuid,
    cursor: Option<&str>,
) -> Result<(i64, Uuid), Problem> {
    let Some(cursor) = cursor else { return Ok((i64::MAX, Uuid::max())) };
    let id: PayoutId = cursor.parse().map_err(|_| list::no_cursor())?;
    let last = payout::find(db, handle, id.0).await?.ok_or_else(list::no_cursor)?;
    Ok((last.created_at, last.id))
}
