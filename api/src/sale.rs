//! Purchases, as the handle's people see them: what was sold, to whom, and how it stands.

use std::collections::{HashMap, HashSet};

use entities::{
    checkout::{self, Checkout},
    page, refund, visitor,
};
use poem::Request;
use poem_openapi::{
    Object, OpenApi,
    param::{Path, Query},
};
use time::OffsetDateTime;
use uuid::Uuid;
use workflows::{
    checkout::Checkout as Machine,
    id::{CheckoutId, RunId},
    record::CheckoutStatus,
    workflow::Workflow,
};

use crate::{
    answer::Shown,
    auth::Caller,
    checkout::CheckoutState,
    config::App,
    handle::permitted,
    list,
    moment::moment,
    permission::Permission,
    problem::{Problem, Refused, refusals},
    tag::Tag,
};

/// A purchase, as the handle's people see it. Amounts are minor units.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase")]
pub struct Sale {
    /// `co_…`
    pub checkout_id: String,
    /// Of which page.
    pub page_slug: String,
    /// The address that the buyer signs in with.
    pub visitor_email: String,
    /// How far it is.
    pub status: CheckoutState,
    /// What the buyer was to pay.
    pub amount_cents: i64,
    /// The platform's part of it.
    pub platform_fee_cents: i64,
    /// What was given back, or is on its way.
    pub refunded_cents: i64,
    /// ISO 4217.
    pub currency: String,
    /// Through which campaign.
    pub campaign_id: Option<String>,
    /// Stripe's id of the payment: `pi_…`
    pub payment_intent_id: Option<String>,
    /// Why it failed or waits for a person: a short code.
    pub reason: Option<String>,
    /// The run behind it: `run_…`
    pub run_id: String,
    /// When it was asked for.
    pub created_at: OffsetDateTime,
    /// When it last changed.
    pub updated_at: OffsetDateTime,
}

/// Purchases.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase")]
pub struct SaleList {
    /// The newest first.
    pub data: Vec<Sale>,
    /// For `cursor`, while there are more.
    pub next_cursor: Option<String>,
}

refusals!(ListSales: Unauthorized, TokenInvalid, TokenExpired, Forbidden, UnknownHandle);

/// Purchases of a handle's pages.
pub struct Sales;

#[OpenApi(tag = "Tag::Returns")]
impl Sales {
    /// What was bought
    #[oai(path = "/v2/handles/:handle/checkouts", method = "get", operation_id = "listCheckouts")]
    async fn list(
        &self,
        request: &Request,
        caller: Caller,
        /// The handle, as it stands in addresses.
        handle: Path<String>,
        /// Only those that are so far.
        status: Query<Option<String>>,
        /// How many, 1 to 100; 20 unless given.
        limit: Query<Option<u32>>,
        /// `nextCursor` of the list before.
        cursor: Query<Option<String>>,
    ) -> Result<Shown<SaleList>, Refused<ListSales>> {
        let app = App::of(request)?;
        let limit = list::limit(limit.0)?;
        let before = cursor.0.as_deref().map(str::parse::<CheckoutId>).transpose();
        let before = before.map_err(|_| list::no_cursor())?.map_or(Uuid::max(), |id| id.0);
        if let Some(status) = &status.0
            && status.parse::<CheckoutStatus>().is_err()
        {
            return Err(Problem::field("status", "is no state of a purchase").into());
        }
        let handle = permitted(app, &caller.0, &handle.0, Permission::SalesRead).await?;
        let db = app.engine.database().read();
        let from = (before, status.0.as_deref());
        let rows = checkout::list(db, handle.id, from, limit + 1).await?;
        let (rows, next_cursor) = list::cut(rows, limit, |row| CheckoutId(row.id).to_string());
        let data = sales(app, handle.id, rows).await?;
        Ok(Shown::of(SaleList { data, next_cursor }))
    }
}

/// What belongs to the purchases is read with one statement each, however many there are.
async fn sales(app: &App, handle: Uuid, rows: Vec<Checkout>) -> Result<Vec<Sale>, Problem> {
    let db = app.engine.database().read();
    let ids: Vec<_> = rows.iter().map(|row| row.id).collect();
    let pages: HashSet<_> = rows.iter().map(|row| row.page_id).collect();
    let visitors: HashSet<_> = rows.iter().map(|row| row.visitor_id).collect();
    let slugs = page::slugs(db, handle, &Vec::from_iter(pages)).await?;
    let slugs: HashMap<_, _> = slugs.into_iter().map(|page| (page.id, page.slug)).collect();
    let emails = visitor::find_all(db, &Vec::from_iter(visitors)).await?;
    let emails: HashMap<_, _> = emails.into_iter().map(|one| (one.id, one.email)).collect();
    let back = refund::given_back(db, handle, &ids).await?;
    let back: HashMap<_, _> = back.into_iter().map(|one| (one.checkout_id, one.amount)).collect();
    let sale = |row: Checkout| Sale {
        checkout_id: CheckoutId(row.id).to_string(),
        page_slug: slugs.get(&row.page_id).cloned().unwrap_or_default(),
        visitor_email: emails.get(&row.visitor_id).cloned().unwrap_or_default(),
        status: CheckoutState::of(&row),
        amount_cents: row.amount,
        platform_fee_cents: row.fee,
        refunded_cents: back.get(&row.id).copied().unwrap_or_default(),
        currency: row.currency,
        campaign_id: row.campaign,
        payment_intent_id: row.payment_intent,
        reason: row.reason,
        run_id: RunId::of(Machine::NAME, row.id).to_string(),
        created_at: moment(row.created_at),
        updated_at: moment(row.updated_at),
    };
    Ok(rows.into_iter().map(sale).collect())
}
