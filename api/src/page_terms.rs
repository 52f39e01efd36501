//! The terms of a page: what may stand in it, and at what price it can be sold.

use entities::page::Page;
use poem_openapi::Object;
use serde::Deserialize;
use uuid::Uuid;
use workflows::money::{BasisPoints, Currency, Money};

use crate::{
    body::Issues,
    codes::Code,
    page::{NewPage, PageMode, PageStatus},
    problem::Problem,
    slug::{check_line, check_slug, check_text},
};

/// The longest title, in characters.
const LONGEST_TITLE: usize = 200;
/// The longest body, in bytes.
const LONGEST_BODY: usize = 200_000;

/// A change of a page. What is absent stays.
#[derive(Debug, Default, Object, Deserialize)]
#[oai(rename_all = "camelCase")]
#[serde(rename_all = "camelCase")]
pub struct PageChange {
    /// As people read it.
    pub title: Option<String>,
    /// What is behind the entitlement.
    pub body: Option<String>,
    /// What it takes to read the page.
    pub mode: Option<PageMode>,
    /// Only with `PAID`: the price in minor units of the currency.
    pub price_cents: Option<i64>,
    /// ISO 4217.
    pub currency: Option<String>,
    /// The version that the change was made on, unless `If-Match` says it.
    pub version: Option<i32>,
}

/// A new page as a draft, without its id, handle and times.
pub fn draft(new: &NewPage) -> Result<Page, Problem> {
    let mut issues = Issues::new();
    issues.take("slug", check_slug(&new.slug));
    let title = issues.take("title", check_line(&new.title, LONGEST_TITLE));
    let body = new.body.as_deref().unwrap_or_default();
    issues.take("body", check_text(body, LONGEST_BODY));
    let currency = new.currency.as_deref().map_or(Ok(Currency::USD), Currency::parse);
    let currency = issues.take("currency", currency);
    let price = currency.and_then(|currency| {
        issues.take("priceCents", price_of(new.mode, new.price_cents, currency))
    });
    issues.settle()?;
    Ok(Page {
        id: Uuid::nil(),
        handle_id: Uuid::nil(),
        slug: new.slug.clone(),
        title: title.unwrap_or_default(),
        body: body.to_owned(),
        mode: new.mode.name().to_owned(),
        price: price.unwrap_or_default(),
        currency: currency.unwrap_or(Currency::USD).to_string(),
        status: PageStatus::Draft.name().to_owned(),
        version: 1,
        published_at: None,
        marker_version: None,
        marker_status: None,
        created_at: 0,
        updated_at: 0,
    })
}

/// A page after a change.
pub fn change(page: &Page, change: &PageChange) -> Result<Page, Problem> {
    let mut issues = Issues::new();
    let mut changed = page.clone();
    if let Some(title) = &change.title {
        let title = issues.take("title", check_line(title, LONGEST_TITLE));
        changed.title = title.unwrap_or_default();
    }
    if let Some(body) = &change.body {
        issues.take("body", check_text(body, LONGEST_BODY));
        changed.body.clone_from(body);
    }
    let mode = change.mode.unwrap_or(PageMode::of(page));
    changed.mode = mode.name().to_owned();
    let code = change.currency.as_deref().unwrap_or(&page.currency);
    if let Some(currency) = issues.take("currency", Currency::parse(code)) {
        changed.currency = currency.to_string();
        // A page that is no longer sold loses its price, and a number means another price in another currency.
        let is_kept = mode == PageMode::Paid && changed.currency == page.currency;
        let kept = is_kept.then_some(page.price);
        let price = price_of(mode, change.price_cents.or(kept), currency);
        changed.price = issues.take("priceCents", price).unwrap_or_default();
    }
    issues.settle()?;
    Ok(changed)
}

/// The version that a change was made on: in the header, in the body, or in both alike.
pub fn seen(if_match: Option<&str>, body: Option<i32>) -> Result<Option<i32>, Problem> {
    let header = if_match
        .map(|text| {
            let text = text.trim();
            let number = text.strip_prefix("W/").unwrap_or(text).trim_matches('"');
            number.parse::<i32>().map_err(|_| Problem::field("If-Match", "is not a version"))
        })
        .transpose()?;
    match (header, body) {
        (Some(header), Some(body)) if header != body => {
            Err(Problem::field("version", "differs from If-Match"))
        }
        (header, body) => Ok(header.or(body)),
    }
}

fn price_of(mode: PageMode, price: Option<i64>, currency: Currency) -> Result<i64, String> {
    match (mode, price) {
        (PageMode::Paid, None) => Err(format!("is needed: the page is PAID, in {currency}")),
        (PageMode::Paid, Some(price)) => match currency.charge_problem(price) {
            Some(problem) => Err(problem),
            None => Ok(price),
        },
        (_, None | Some(0)) => Ok(0),
        (_, Some(_)) => Err("only a PAID page has a price".to_owned()),
    }
}

/// Whether a price leaves the creator something after the platform's fee.
pub fn check_price(page: &Page, fee: BasisPoints) -> Result<Currency, Problem> {
    let currency = Currency::parse(&page.currency).map_err(Problem::internal)?;
    let least = fee.minimum_price(currency);
    if page.price >= least && currency.charge_problem(page.price).is_none() {
        return Ok(currency);
    }
    let least = Money::new(least, currency);
    let detail = format!(
        "at {} nothing is left for the creator: the minimum price is {least} ({} minor units)",
        Money::new(page.price, currency),
        least.minor
    );
    let message = format!("must be at least {}", least.minor);
    Err(Problem::new(Code::PriceTooLow, detail).blaming("priceCents", message))
}
