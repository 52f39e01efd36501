//! Earnings: what came in, what is whose, and what can be paid out.

use std::collections::{BTreeMap, BTreeSet};

use entities::{
    earnings::{self, DayFigures, Days, Figures},
    ledger_explained::{self, Settled},
    page, rollup_queue,
};
use poem::Request;
use poem_openapi::{
    Object, OpenApi,
    param::{Path, Query},
};
use sea_orm::ConnectionTrait;
use time::OffsetDateTime;
use uuid::Uuid;
use workflows::{Timestamp, money::Currency};

use crate::{
    auth::Caller,
    config::App,
    earnings_answer::{EarningsAnswer, Form, Table},
    earnings_range::{Range, date},
    handle::permitted,
    moment::moment,
    permission::Permission,
    problem::{Problem, Refused, refusals},
    tag::Tag,
};

/// What a handle has earned in one currency. Amounts are minor units.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase")]
pub struct Earnings {
    /// ISO 4217: the one that was asked for, else the first that the handle has earned in, else `USD`.
    pub currency: String,
    /// Every currency that the handle has earned or was paid out in.
    pub currencies: Vec<String>,
    /// The totals.
    #[oai(flatten)]
    pub totals: Totals,
    /// The balance.
    #[oai(flatten)]
    pub balance: CreatorBalance,
    /// By page.
    pub pages: Vec<PageEarnings>,
    /// By campaign.
    pub campaigns: Vec<CampaignEarnings>,
    /// Day by day, the oldest first. Only with a range; days on which nothing was posted are left out.
    #[oai(skip_serializing_if_is_none)]
    pub days: Option<Vec<DayEarnings>>,
    /// When this was read.
    pub as_of: OffsetDateTime,
    /// Whether everything that was posted by then is in it.
    pub up_to_date: bool,
}

/// Amounts in minor units.
#[derive(Clone, Debug, Default, PartialEq, Eq, Object)]
#[oai(rename_all = "camelCase")]
pub struct Totals {
    /// What buyers paid.
    pub gross_cents: i64,
    /// What the platform kept of it.
    pub platform_fee_cents: i64,
    /// What the processor kept. For information: the platform pays it.
    pub processor_fee_cents: i64,
    /// What buyers got back.
    pub refunded_cents: i64,
    /// What is disputed, or was lost in disputes. May be more than was paid.
    pub disputed_cents: i64,
    /// What is the creator's: gross − platform fee − refunded − disputed. May be negative.
    pub net_cents: i64,
    /// What of it cannot be paid out yet, as it stands now, whatever range was asked for.
    pub pending_settlement_cents: i64,
    /// What of it can be paid out, without what is owed or held in disputes, as it stands now, whatever range
    /// was asked for. May be negative. What was paid out already still counts.
    pub available_cents: i64,
}

/// A creator's balance as it stands now, whatever range was asked for. Amounts in minor units.
#[derive(Clone, Debug, Default, PartialEq, Eq, Object)]
#[oai(rename_all = "camelCase")]
pub struct CreatorBalance {
    /// What is the creator's and was not paid out, without what is owed or held in disputes. Negative: what
    /// the creator owes.
    pub balance_cents: i64,
    /// What the creator owes the platform: what was given back or lost and could not be taken back from the
    /// creator's account. It is in `balanceCents` already.
    pub receivable_cents: i64,
    /// What was paid out to the creator's bank so far, without what came back.
    pub paid_out_cents: i64,
}

/// What a page has earned.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase")]
pub struct PageEarnings {
    /// Which page.
    pub page_slug: String,
    /// Its part.
    #[oai(flatten)]
    pub totals: Totals,
}

/// What came through a campaign.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase")]
pub struct CampaignEarnings {
    /// Which campaign; `null` for what came through none.
    pub campaign_id: Option<String>,
    /// Its part.
    #[oai(flatten)]
    pub totals: Totals,
}

/// What was posted on a day. Amounts in minor units.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase")]
pub struct DayEarnings {
    /// `YYYY-MM-DD`, in UTC.
    pub date: String,
    /// What buyers paid.
    pub gross_cents: i64,
    /// What the platform kept; negative where it gave fees back.
    pub platform_fee_cents: i64,
    /// What the processor kept.
    pub processor_fee_cents: i64,
    /// What buyers got back.
    pub refunded_cents: i64,
    /// What was disputed; negative where it came back.
    pub disputed_cents: i64,
    /// What of it is the creator's.
    pub net_cents: i64,
}

impl Totals {
    /// Adds a row of the rollup.
    pub fn add(&mut self, figures: &Figures) {
        self.gross_cents += figures.gross;
        self.platform_fee_cents += figures.platform_fee;
        self.processor_fee_cents += figures.processor_fee;
        self.refunded_cents += figures.refunded;
        self.disputed_cents += figures.disputed;
        self.net_cents += figures.net;
        self.available_cents += figures.available;
        self.pending_settlement_cents += figures.pending;
    }
}

impl CreatorBalance {
    /// Of a currency: what sales came to, and what became of it.
    fn of(rows: &[&Figures], settled: Option<&Settled>) -> Self {
        let sales: i64 = rows.iter().map(|row| row.pending + row.available).sum();
        let due: i64 = rows.iter().map(|row| row.due).sum();
        let (net, owed) = settled.map_or((0, 0), |settled| (settled.net, settled.due));
        Self {
            balance_cents: sales + net,
            receivable_cents: (due + owed).max(0),
            paid_out_cents: settled.map_or(0, |settled| settled.paid_out),
        }
    }
}

impl DayEarnings {
    fn of(figures: &DayFigures) -> Self {
        Self {
            date: date(figures.day),
            gross_cents: figures.gross,
            platform_fee_cents: figures.platform_fee,
            processor_fee_cents: figures.processor_fee,
            refunded_cents: figures.refunded,
            disputed_cents: figures.disputed,
            net_cents: figures.net,
        }
    }
}

refusals!(GetEarnings: Unauthorized, TokenInvalid, TokenExpired, Forbidden, UnknownHandle);

/// Earnings of handles.
pub struct EarningsRoutes;

#[OpenApi(tag = "Tag::Earnings")]
impl EarningsRoutes {
    /// What a handle has earned
    ///
    /// Folded from the ledger; `upToDate` says whether postings still wait to be folded. `from` and `to` narrow
    /// gross, fees, refunded, disputed and net down to what was posted on those days; what is pending,
    /// available and the balance is always as it stands now.
    ///
    /// With `Accept: text/csv` the answer is a table: a row for each page, campaign and currency (every
    /// currency, unless one is given), with a header line of `pageId`, `pageSlug`, `campaignId`, `currency` and
    /// the names of the amounts. A text that a spreadsheet would take for a formula begins with an apostrophe.
    #[oai(path = "/v2/handles/:handle/earnings", method = "get", operation_id = "getEarnings")]
    async fn get(
        &self,
        request: &Request,
        caller: Caller,
        /// The handle, as it stands in addresses.
        handle: Path<String>,
        /// ISO 4217. The handle's first currency unless given.
        currency: Query<Option<String>>,
        /// The first day that counts, `YYYY-MM-DD` in UTC. The handle's first unless given.
        from: Query<Option<String>>,
        /// The last day that counts, `YYYY-MM-DD` in UTC. Today unless given.
        to: Query<Option<String>>,
    ) -> Result<EarningsAnswer, Refused<GetEarnings>> {
        let app = App::of(request)?;
        let asked = currency_of(currency.0.as_deref())?;
        let range = Range::of(from.0.as_deref(), to.0.as_deref())?;
        let handle = permitted(app, &caller.0, &handle.0, Permission::EarningsRead).await?;
        let (db, now) = (app.engine.database().read(), app.now());
        // Asked first: what is posted between the reads is then at worst said to be missing.
        let waiting = rollup_queue::is_waiting(db, handle.id).await?;
        let today = Timestamp::from_millis(now).day();
        let days = range.map_or(Days::ALL, |range| range.days());
        let figures = earnings::of_days(db, handle.id, days, today).await?;
        let slugs = page::slugs_with_earnings(db, handle.id).await?;
        let slugs = slugs.into_iter().map(|page| (page.id, page.slug)).collect();
        if Form::of(request) == Form::Csv {
            return Ok(EarningsAnswer::Csv(Table::of(&handle.name, &figures, asked, &slugs)?));
        }
        let settled = ledger_explained::settled(db, handle.id).await?;
        let mut earned = earnings_of(&figures, &settled, asked, &slugs, moment(now));
        earned.up_to_date = !waiting;
        if let Some(range) = range {
            earned.days = Some(by_day(db, handle.id, &earned.currency, range).await?);
        }
        Ok(EarningsAnswer::Json(Box::new(earned)))
    }
}

/// The currency that was asked for.
pub fn currency_of(given: Option<&str>) -> Result<Option<Currency>, Problem> {
    let asked = given.map(Currency::parse).transpose();
    asked.map_err(|error| Problem::field("currency", error.to_string()))
}

async fn by_day(
    db: &impl ConnectionTrait,
    handle: Uuid,
    currency: &str,
    range: Range,
) -> Result<Vec<DayEarnings>, Problem> {
    let figures = earnings::by_day(db, handle, currency, range.days()).await?;
    Ok(figures.iter().map(DayEarnings::of).collect())
}

fn earnings_of(
    figures: &[Figures],
    settled: &[Settled],
    asked: Option<Currency>,
    slugs: &BTreeMap<Uuid, String>,
    as_of: OffsetDateTime,
) -> Earnings {
    let earned = figures.iter().map(|row| &row.currency);
    let currencies: BTreeSet<_> = earned.chain(settled.iter().map(|row| &row.currency)).collect();
    let currency = asked
        .map(|currency| currency.to_string())
        .or_else(|| figures.first().map(|row| row.currency.clone()))
        .or_else(|| currencies.first().map(|currency| (*currency).clone()))
        .unwrap_or_else(|| Currency::USD.to_string());
    let rows: Vec<_> = figures.iter().filter(|row| row.currency == currency).collect();
    let mut totals = Totals::default();
    let mut pages: BTreeMap<&str, Totals> = BTreeMap::new();
    let mut campaigns: BTreeMap<&str, Totals> = BTreeMap::new();
    for row in &rows {
        totals.add(row);
        let slug = slugs.get(&row.page_id).map_or("", String::as_str);
        pages.entry(slug).or_default().add(row);
        campaigns.entry(&row.campaign).or_default().add(row);
    }
    let settled = settled.iter().find(|row| row.currency == currency);
    Earnings {
        currencies: currencies.into_iter().cloned().collect(),
        totals,
        balance: CreatorBalance::of(&rows, settled),
        pages: pages
            .into_iter()
            .map(|(slug, totals)| PageEarnings { page_slug: slug.to_owned(), totals })
            .collect(),
        campaigns: campaigns.into_iter().map(campaign).collect(),
        days: None,
        as_of,
        up_to_date: true,
        currency,
    }
}

fn campaign((id, totals): (&str, Totals)) -> CampaignEarnings {
    let campaign_id = (!id.is_empty()).then(|| id.to_owned());
    CampaignEarnings { campaign_id, totals }
}
