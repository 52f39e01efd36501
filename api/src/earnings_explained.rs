//! Earnings explained: the ledger transactions that a figure is made of, and what each adds to it.

use std::collections::{BTreeMap, HashMap};

use entities::{
    earnings::Days,
    ledger_explained::{self, Effect, Explained, Figure, Filter},
    page,
};
use poem::Request;
use poem_openapi::{
    Enum, Object, OpenApi,
    param::{Path, Query},
};
use sea_orm::ConnectionTrait;
use time::OffsetDateTime;
use uuid::Uuid;
use workflows::{
    checkout::Checkout,
    id::{CheckoutId, PageId, RunId},
    workflow::Workflow,
};

use crate::{
    answer::Shown,
    auth::Caller,
    codes::Code,
    config::App,
    earnings::currency_of,
    earnings_range::Range,
    handle::permitted,
    list,
    moment::moment,
    permission::Permission,
    problem::{Problem, Refused, refusals},
    tag::Tag,
};

/// A figure of the earnings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[oai(rename = "EarningsFigure", rename_all = "camelCase")]
pub enum FigureName {
    /// `grossCents`
    Gross,
    /// `platformFeeCents`
    PlatformFee,
    /// `processorFeeCents`
    ProcessorFee,
    /// `refundedCents`
    Refunded,
    /// `disputedCents`
    Disputed,
    /// `netCents`
    Net,
}

impl FigureName {
    fn figure(self) -> Figure {
        match self {
            Self::Gross => Figure::Gross,
            Self::PlatformFee => Figure::PlatformFee,
            Self::ProcessorFee => Figure::ProcessorFee,
            Self::Refunded => Figure::Refunded,
            Self::Disputed => Figure::Disputed,
            Self::Net => Figure::Net,
        }
    }
}

/// A ledger transaction of a sale.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase")]
pub struct ExplainedTransaction {
    /// Unique: a posting happens once. `paid:pi_…`, `fee:txn_…`, `refund:re_…`
    pub key: String,
    /// What it is about: `paid`, `quarantined`, `processor_fee`, `refund`, `refund_failed`,
    /// `transfer_reversed`, `transferred_again`, `fee_taken_again`, `dispute_withdrawn`,
    /// `dispute_reinstated`, `dispute_lost`, `exchanged`. More may come.
    pub kind: String,
    /// When it was posted: the day that it counts on.
    pub at: OffsetDateTime,
    /// ISO 4217: of every amount.
    pub currency: String,
    /// The Stripe object that explains it: `pi_…`, `txn_…`, `re_…`, `tr_…`, `dp_…`
    pub stripe_object: String,
    /// The payment that the sale was paid with: `pi_…`
    pub payment_intent: Option<String>,
    /// The Checkout Session that it was paid on: `cs_…`
    pub checkout_session: Option<String>,
    /// The purchase: `co_…`
    pub checkout_id: String,
    /// What was sold: `page_…`
    pub page_id: String,
    /// Through which campaign.
    pub campaign_id: Option<String>,
    /// The run of the purchase: `run_…`
    pub run_id: String,
    /// Its lines. They sum to zero.
    pub entries: Vec<LedgerEntry>,
    /// What it adds to the figures.
    pub effect: FigureEffect,
}

/// A line of a ledger transaction.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase")]
pub struct LedgerEntry {
    /// `stripe`, `platform_fee`, `creator:acct_…`, `due:hndl_…` …
    pub account: String,
    /// Minor units: positive is debit, negative is credit.
    pub amount_cents: i64,
}

/// What a transaction adds to the figures of the earnings. Minor units.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase")]
pub struct FigureEffect {
    /// To what buyers paid.
    pub gross_cents: i64,
    /// To what the platform kept.
    pub platform_fee_cents: i64,
    /// To what the processor kept.
    pub processor_fee_cents: i64,
    /// To what buyers got back.
    pub refunded_cents: i64,
    /// To what is disputed, or was lost.
    pub disputed_cents: i64,
    /// To what is the creator's.
    pub net_cents: i64,
}

/// Ledger transactions.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase")]
pub struct ExplainedEarnings {
    /// The newest first.
    pub data: Vec<ExplainedTransaction>,
    /// For `cursor`, while there are more.
    pub next_cursor: Option<String>,
}

/// Lines of a page of transactions, and what each adds.
struct Details {
    entries: BTreeMap<i64, Vec<LedgerEntry>>,
    effects: HashMap<i64, Effect>,
}

impl Details {
    async fn read(
        db: &impl ConnectionTrait,
        handle: Uuid,
        rows: &[Explained],
    ) -> Result<Self, Problem> {
        let ids: Vec<_> = rows.iter().map(|row| row.id).collect();
        let mut entries: BTreeMap<i64, Vec<LedgerEntry>> = BTreeMap::new();
        for entry in ledger_explained::entries(db, handle, &ids).await? {
            let line = LedgerEntry { account: entry.account, amount_cents: entry.amount };
            entries.entry(entry.transaction_id).or_default().push(line);
        }
        let effects = ledger_explained::effects(db, handle, &ids).await?;
        let effects = effects.into_iter().map(|effect| (effect.transaction_id, effect)).collect();
        Ok(Self { entries, effects })
    }

    fn of(&mut self, row: Explained) -> ExplainedTransaction {
        let effect = self.effects.get(&row.id);
        let of = |figure: fn(&Effect) -> i64| effect.map_or(0, figure);
        let effect = FigureEffect {
            gross_cents: of(|effect| effect.gross),
            platform_fee_cents: of(|effect| effect.platform_fee),
            processor_fee_cents: of(|effect| effect.processor_fee),
            refunded_cents: of(|effect| effect.refunded),
            disputed_cents: of(|effect| effect.disputed),
            net_cents: of(|effect| effect.net),
        };
        ExplainedTransaction {
            key: row.key,
            kind: row.kind,
            at: moment(row.at),
            currency: row.currency,
            stripe_object: row.stripe_object,
            payment_intent: row.payment_intent,
            checkout_session: row.session_id,
            checkout_id: CheckoutId(row.checkout_id).to_string(),
            page_id: PageId(row.page_id).to_string(),
            campaign_id: row.campaign,
            run_id: RunId::of(Checkout::NAME, row.checkout_id).to_string(),
            entries: self.entries.remove(&row.id).unwrap_or_default(),
            effect,
        }
    }
}

refusals!(ExplainEarnings: Unauthorized, TokenInvalid, TokenExpired, Forbidden, UnknownHandle, UnknownPage);

/// The ledger behind the earnings.
pub struct EarningsExplained;

#[OpenApi(tag = "Tag::Earnings")]
impl EarningsExplained {
    /// What a figure is made of
    ///
    /// The ledger transactions of a handle's sales, the newest first, each with what it adds to the figures of
    /// the earnings: over all pages the `effect`s sum to what `/earnings` shows in that currency, and on those
    /// days, once that is up to date.
    #[oai(
        path = "/v2/handles/:handle/earnings/explain",
        method = "get",
        operation_id = "explainEarnings"
    )]
    #[allow(clippy::too_many_arguments, reason = "each is a parameter of the query")]
    async fn explain(
        &self,
        request: &Request,
        caller: Caller,
        /// The handle, as it stands in addresses.
        handle: Path<String>,
        /// Only those of a page.
        #[oai(name = "pageSlug")]
        page_slug: Query<Option<String>>,
        /// Only those that came through a campaign; empty for those that came through none.
        #[oai(name = "campaignId")]
        campaign_id: Query<Option<String>>,
        /// Only those of a purchase: `co_…`
        #[oai(name = "checkoutId")]
        checkout_id: Query<Option<String>>,
        /// Only those in a currency, ISO 4217.
        currency: Query<Option<String>>,
        /// Only those that can change a figure.
        figure: Query<Option<FigureName>>,
        /// The first day, UTC: `2026-01-31`.
        from: Query<Option<String>>,
        /// The last day, UTC.
        to: Query<Option<String>>,
        /// How many, 1 to 100; 20 unless given.
        limit: Query<Option<u32>>,
        /// `nextCursor` of the list before.
        cursor: Query<Option<String>>,
    ) -> Result<Shown<ExplainedEarnings>, Refused<ExplainEarnings>> {
        let app = App::of(request)?;
        let checkout = checkout_id.0.as_deref().map(checkout_of).transpose()?;
        let currency = currency_of(currency.0.as_deref())?.map(|currency| currency.to_string());
        let range = Range::of(from.0.as_deref(), to.0.as_deref())?;
        let days = range.map_or(Days::ALL, Range::days);
        let (limit, before) = (list::limit(limit.0)?, before(cursor.0.as_deref())?);
        let handle = permitted(app, &caller.0, &handle.0, Permission::EarningsRead).await?;
        let db = app.engine.database().read();
        let page = match &page_slug.0 {
            Some(slug) => Some(page_of(db, handle.id, slug).await?),
            None => None,
        };
        let figure = figure.0.map(FigureName::figure);
        let filter = Filter { page, campaign: campaign_id.0, checkout, currency, figure, days };
        let rows = ledger_explained::list(db, handle.id, &filter, before, limit + 1).await?;
        let (rows, next_cursor) = list::cut(rows, limit, |row| row.id.to_string());
        let mut details = Details::read(db, handle.id, &rows).await?;
        let data = rows.into_iter().map(|row| details.of(row)).collect();
        Ok(Shown::of(ExplainedEarnings { data, next_cursor }))
    }
}

fn checkout_of(text: &str) -> Result<Uuid, Problem> {
    let id = text.parse::<CheckoutId>();
    id.map(|id| id.0).map_err(|error| Problem::field("checkoutId", error.to_string()))
}

async fn page_of(db: &impl ConnectionTrait, handle: Uuid, slug: &str) -> Result<Uuid, Problem> {
    let unknown = || Problem::new(Code::UnknownPage, "the handle has no page of this slug");
    let page = page::find(db, handle, slug).await?.ok_or_else(unknown)?;
    Ok(page.id)
}

/// From before which place in the ledger.
fn before(cursor: Option<&str>) -> Result<i64, Problem> {
    match cursor {
        None => Ok(i64::MAX),
        Some(cursor) => cursor.parse().map_err(|_| list::no_cursor()),
    }
}
