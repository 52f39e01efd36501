//! Disputes: payments that their buyers' banks take back, or try to.

use entities::dispute::{self, Dispute};
use poem::Request;
use poem_openapi::{
    Enum, Object, OpenApi,
    param::{Path, Query},
};
use time::OffsetDateTime;
use workflows::{
    dispute::Dispute as Machine,
    id::{CheckoutId, DisputeId, RunId},
    record::DisputeStatus,
    workflow::Workflow,
};

use crate::{
    answer::Shown,
    auth::Caller,
    config::App,
    handle::permitted,
    list,
    moment::{maybe_moment, moment},
    permission::Permission,
    problem::{Refused, refusals},
    tag::Tag,
};

/// How far a dispute is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[oai(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum DisputeState {
    /// Evidence is asked for; or the bank only asks, and took no money.
    Open,
    /// The bank has the evidence.
    UnderReview,
    /// The creator keeps the money.
    Won,
    /// The buyer has the money.
    Lost,
    /// It came to nothing.
    Closed,
}

impl DisputeState {
    fn of(status: &str) -> Self {
        match status.parse() {
            Ok(DisputeStatus::Won) => Self::Won,
            Ok(DisputeStatus::Lost) => Self::Lost,
            Ok(DisputeStatus::Closed) => Self::Closed,
            Ok(DisputeStatus::UnderReview) => Self::UnderReview,
            Ok(DisputeStatus::Open) | Err(_) => Self::Open,
        }
    }
}

/// A dispute. Amounts are minor units.
#[derive(Debug, Object)]
#[oai(rename = "Dispute", rename_all = "camelCase")]
pub struct DisputeView {
    /// `dispute_…`
    pub dispute_id: String,
    /// How far it is.
    pub status: DisputeState,
    /// What is in dispute: may be more than was paid.
    pub amount_cents: i64,
    /// What Stripe has taken because of it.
    pub withdrawn_cents: i64,
    /// What came back of that.
    pub reinstated_cents: i64,
    /// What Stripe keeps for its trouble. For information: the platform pays it.
    pub fee_cents: i64,
    /// ISO 4217.
    pub currency: String,
    /// Why, in Stripe's words: an open set.
    pub reason: String,
    /// Until when evidence is taken, in Stripe's dashboard.
    pub evidence_due_by: Option<OffsetDateTime>,
    /// Of which purchase: `co_…`
    pub checkout_id: String,
    /// Stripe's id: `dp_…`
    pub stripe_dispute_id: String,
    /// The run behind it: `run_…`
    pub run_id: String,
    /// When it became known.
    pub created_at: OffsetDateTime,
    /// When it last changed.
    pub updated_at: OffsetDateTime,
}

impl DisputeView {
    fn of(row: &Dispute) -> Self {
        Self {
            dispute_id: DisputeId(row.id).to_string(),
            status: DisputeState::of(&row.status),
            amount_cents: row.amount,
            withdrawn_cents: row.withdrawn,
            reinstated_cents: row.reinstated,
            fee_cents: row.fee,
            currency: row.currency.clone(),
            reason: row.reason.clone(),
            evidence_due_by: maybe_moment(row.evidence_due),
            checkout_id: CheckoutId(row.checkout_id).to_string(),
            stripe_dispute_id: row.stripe_dispute.clone(),
            run_id: RunId::of(Machine::NAME, row.id).to_string(),
            created_at: moment(row.created_at),
            updated_at: moment(row.updated_at),
        }
    }
}

/// Disputes.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase")]
pub struct DisputeList {
    /// The newest first.
    pub data: Vec<DisputeView>,
    /// For `cursor`, while there are more.
    pub next_cursor: Option<String>,
}

refusals!(ListDisputes: Unauthorized, TokenInvalid, TokenExpired, Forbidden, UnknownHandle);

/// Disputes of a handle's sales.
pub struct Disputes;

#[OpenApi(tag = "Tag::Returns")]
impl Disputes {
    /// What is disputed
    ///
    /// While a dispute is open, access rests and nothing can be refunded. What is lost, and cannot be taken
    /// back from the creator's account, makes the creator's balance negative.
    #[oai(path = "/v2/handles/:handle/disputes", method = "get", operation_id = "listDisputes")]
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
    ) -> Result<Shown<DisputeList>, Refused<ListDisputes>> {
        let app = App::of(request)?;
        let limit = list::limit(limit.0)?;
        let before = cursor.0.as_deref().map(str::parse::<DisputeId>).transpose();
        let before = before.map_err(|_| list::no_cursor())?.map(|id| id.0);
        let handle = permitted(app, &caller.0, &handle.0, Permission::SalesRead).await?;
        let db = app.engine.database().read();
        let rows = dispute::list(db, handle.id, before, limit + 1).await?;
        let (rows, next_cursor) = list::cut(rows, limit, |row| DisputeId(row.id).to_string());
        Ok(Shown::of(DisputeList { data: rows.iter().map(DisputeView::of).collect(), next_cursor }))
    }
}
