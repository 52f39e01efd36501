//! Earnings: what came in, what is whose, and what can be paid out.

use std::collections::{BTreeMap, BTreeSet};

use entities::{
    earnings::{self, Figures},
    page, rollup_queue,
};
use poem::Request;
use poem_openapi::{
    Object, OpenApi,
    param::{Path, Query},
};
use time::OffsetDateTime;
use uuid::Uuid;
use workflows::{Timestamp, money::Currency};

use crate::{
    answer::Shown,
    auth::Caller,
    config::App,
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
    /// Every currency that the handle has earned in.
    pub currencies: Vec<String>,
    /// The totals.
    #[oai(flatten)]
    pub totals: Totals,
    /// By page.
    pub pages: Vec<PageEarnings>,
    /// By campaign.
    pub campaigns: Vec<CampaignEarnings>,
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
    /// What is disputed, or was lost in disputes.
    pub disputed_cents: i64,
    /// What is the creator's: gross − platform fee − refunded − disputed.
    pub net_cents: i64,
    /// What of it cannot be paid out yet.
    pub pending_settlement_cents: i64,
    /// What of it can be paid out.
    pub available_cents: i64,
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

impl Totals {
    fn add(&mut self, figures: &Figures) {
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

refusals!(GetEarnings: Unauthorized, TokenInvalid, TokenExpired, Forbidden, UnknownHandle);

/// Earnings of handles.
pub struct EarningsRoutes;

#[OpenApi(tag = "Tag::Earnings")]
impl EarningsRoutes {
    /// What a handle has earned
    ///
    /// Folded from the ledger; `upToDate` says whether postings still wait to be folded.
    #[oai(path = "/v2/handles/:handle/earnings", method = "get", operation_id = "getEarnings")]
    async fn get(
        &self,
        request: &Request,
        caller: Caller,
        /// The handle, as it stands in addresses.
        handle: Path<String>,
        /// ISO 4217. The handle's first currency unless given.
        currency: Query<Option<String>>,
    ) -> Result<Shown<Earnings>, Refused<GetEarnings>> {
        let app = App::of(request)?;
        let asked = currency.0.as_deref().map(Currency::parse).transpose();
        let asked = asked.map_err(|error| Problem::field("currency", error.to_string()))?;
        let handle = permitted(app, &caller.0, &handle.0, Permission::EarningsRead).await?;
        let (db, now) = (app.engine.database().read(), app.now());
        // Asked first: what is posted between the two reads is then at worst said to be missing.
        let waiting = rollup_queue::is_waiting(db, handle.id).await?;
        let figures = earnings::of_handle(db, handle.id, Timestamp::from_millis(now).day()).await?;
        let slugs = page::slugs_with_earnings(db, handle.id).await?;
        let slugs = slugs.into_iter().map(|page| (page.id, page.slug)).collect();
        Ok(Shown::of(earnings_of(&figures, asked, &slugs, moment(now), Folded::of(waiting))))
    }
}

/// Whether everything that was posted is in the figures.
enum Folded {
    All,
    NotAll,
}

impl Folded {
    fn of(waiting: bool) -> Self {
        if waiting { Self::NotAll } else { Self::All }
    }
}

fn earnings_of(
    figures: &[Figures],
    asked: Option<Currency>,
    slugs: &BTreeMap<Uuid, String>,
    as_of: OffsetDateTime,
    folded: Folded,
) -> Earnings {
    let currencies: BTreeSet<_> = figures.iter().map(|row| row.currency.clone()).collect();
    let currency = asked
        .map(|currency| currency.to_string())
        .or_else(|| currencies.first().cloned())
        .unwrap_or_else(|| Currency::USD.to_string());
    let mut totals = Totals::default();
    let mut pages: BTreeMap<&str, Totals> = BTreeMap::new();
    let mut campaigns: BTreeMap<&str, Totals> = BTreeMap::new();
    for row in figures.iter().filter(|row| row.currency == currency) {
        totals.add(row);
        let slug = slugs.get(&row.page_id).map_or("", String::as_str);
        pages.entry(slug).or_default().add(row);
        campaigns.entry(&row.campaign).or_default().add(row);
    }
    Earnings {
        currency,
        currencies: currencies.into_iter().collect(),
        totals,
        pages: pages
            .into_iter()
            .map(|(slug, totals)| PageEarnings { page_slug: slug.to_owned(), totals })
            .collect(),
        campaigns: campaigns.into_iter().map(campaign).collect(),
        as_of,
        up_to_date: matches!(folded, Folded::All),
    }
}

fn campaign((id, totals): (&str, Totals)) -> CampaignEarnings {
    let campaign_id = (!id.is_empty()).then(|| id.to_owned());
    CampaignEarnings { campaign_id, totals }
}
