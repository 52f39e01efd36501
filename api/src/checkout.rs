//! Checkout: a visitor buys a page, or takes a free one. The terms are frozen with the request.

use engine::{Awaited, Letter};
use entities::{
    checkout::{self, Checkout},
    connect_account,
    entitlement::{self, Entitlement},
    handle::Handle,
    page::Page,
    visitor_session::SignedIn,
};
use poem::Request;
use poem_openapi::{
    Enum, Object, OpenApi,
    param::{Header, Path},
};
use sea_orm::ConnectionTrait;
use serde::Deserialize;
use time::OffsetDateTime;
use workflows::{
    Timestamp,
    checkout::{Checkout as Machine, Event, Order, Request as Purchase},
    id::{CheckoutId, HandleId, PageId, RunId, VisitorId},
    ledger::Sale,
    message::Message,
    money::Currency,
    plan::Feature,
    record::CheckoutStatus,
    workflow::Workflow,
};

use crate::{
    answer::{Answer, DoneOrAccepted, Shown},
    blocker,
    body::{Issues, MaybeGiven},
    codes::Code,
    config::App,
    gate,
    idempotency::{Begun, Start, Ticket, Write, Writer},
    moment::moment,
    origin::{SameOrigin, destination},
    page::PageMode,
    page_terms,
    plan::expect_feature,
    problem::{Problem, Refused, refusals},
    public_page::find_published,
    slug::check_slug,
    tag::Tag,
    visitor::Visitor,
};

/// How long the buyer has to pay, in milliseconds. Stripe takes 30 minutes to 24 hours.
const TIME_TO_PAY: i64 = 12 * Timestamp::HOUR;

/// A wish to buy.
#[derive(Debug, Default, Object, Deserialize)]
#[oai(rename_all = "camelCase")]
#[serde(rename_all = "camelCase")]
pub struct CheckoutWish {
    /// Through which campaign: earnings are counted by it. Letters, digits and hyphens, like a slug.
    pub campaign_id: Option<String>,
    /// Where the buyer goes after paying: on this origin or on the allow-list. The page, unless given.
    pub success_url: Option<String>,
    /// Where the buyer goes without paying. The page, unless given.
    pub cancel_url: Option<String>,
}

/// A purchase, as its visitor sees it.
#[derive(Clone, Debug, Object)]
#[oai(rename = "Checkout", rename_all = "camelCase")]
pub struct CheckoutView {
    /// `co_…`
    pub checkout_id: String,
    /// Stripe's id of the payment page: `cs_…`; `null` while it is being made, and for what is free.
    pub session_id: Option<String>,
    /// Where the buyer pays; `null` unless there is something to pay.
    pub url: Option<String>,
    /// When the payment page closes by itself.
    pub expires_at: OffsetDateTime,
    /// How far the purchase is.
    pub status: CheckoutState,
    /// What the buyer pays, in minor units.
    pub amount_cents: i64,
    /// ISO 4217.
    pub currency: String,
    /// Through which campaign.
    pub campaign_id: Option<String>,
    /// Why it failed or waits for a person: a short code.
    pub reason: Option<String>,
}

/// How far a purchase is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[oai(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum CheckoutState {
    /// The buyer may pay.
    Open,
    /// The money is on its way.
    Processing,
    /// Paid and posted.
    Settled,
    /// Closed without a payment.
    Expired,
    /// The payment or the payment page failed.
    Failed,
    /// What was paid differs from what was agreed; a person decides.
    InReview,
    /// A part was given back.
    PartlyRefunded,
    /// Given back in full.
    Refunded,
    /// The buyer's bank disputes the payment.
    Disputed,
    /// The buyer's bank has taken the payment back.
    ChargedBack,
}

impl CheckoutState {
    /// How far a purchase is.
    pub fn of(checkout: &Checkout) -> Self {
        Self::of_status(checkout.status.parse().ok())
    }

    /// What a state is called. One of a newer release is looked up by a person.
    pub fn of_status(status: Option<CheckoutStatus>) -> Self {
        match status {
            Some(CheckoutStatus::Open) => Self::Open,
            Some(CheckoutStatus::Processing) => Self::Processing,
            Some(CheckoutStatus::Settled) => Self::Settled,
            Some(CheckoutStatus::Expired) => Self::Expired,
            Some(CheckoutStatus::Failed) => Self::Failed,
            Some(CheckoutStatus::PartlyRefunded) => Self::PartlyRefunded,
            Some(CheckoutStatus::Refunded) => Self::Refunded,
            Some(CheckoutStatus::Disputed) => Self::Disputed,
            Some(CheckoutStatus::ChargedBack) => Self::ChargedBack,
            Some(CheckoutStatus::InReview) | None => Self::InReview,
        }
    }
}

impl CheckoutView {
    fn of(checkout: &Checkout) -> Self {
        let status = CheckoutState::of(checkout);
        let payable = status == CheckoutState::Open;
        Self {
            checkout_id: CheckoutId(checkout.id).to_string(),
            session_id: checkout.session_id.clone(),
            url: checkout.url.clone().filter(|_| payable),
            expires_at: moment(checkout.expires_at),
            status,
            amount_cents: checkout.amount,
            currency: checkout.currency.clone(),
            campaign_id: checkout.campaign.clone(),
            reason: checkout.reason.clone(),
        }
    }
}

refusals!(StartCheckout: NotSignedIn, OriginMismatch, FeatureLocked, UnknownHandle, UnknownPage, ConnectNotReady,
    ThresholdNotReached, InterestRequired, NotForSale, AlreadyEntitled, PaymentProcessing, PriceTooLow, StripeRefused, TooLarge,
    UnsupportedMediaType, IdempotencyMismatch, IdempotencyInProgress);
refusals!(GetCheckout: NotSignedIn, UnknownCheckout);

/// Purchases of visitors.
pub struct Checkouts;

#[OpenApi(tag = "Tag::Public")]
impl Checkouts {
    /// Buy a page, or take a free one
    ///
    /// Price, currency, fee and account are frozen now: whatever becomes of the page, the purchase is settled
    /// on these terms. A `FREE_WITH_LOGIN` page is granted without a payment. A page that is offered through a group buy
    /// is sold once that has reached its target; where it needs the buyer's interest, that is asked for again when the
    /// payment is settled, which is given back if it was withdrawn.
    #[oai(
        path = "/v2/public/pages/:handle/:pageSlug/checkout",
        method = "post",
        operation_id = "startCheckout"
    )]
    #[allow(clippy::too_many_arguments, reason = "each is documented")]
    async fn start(
        &self,
        request: &Request,
        _origin: SameOrigin,
        visitor: Visitor,
        /// The handle, as it stands in addresses.
        handle: Path<String>,
        /// The page, as it stands in addresses.
        #[oai(name = "pageSlug")]
        page_slug: Path<String>,
        /// Repeating a write with the same key and body gives the first answer again, for 24 hours.
        #[oai(name = "Idempotency-Key")]
        key: Header<Option<String>>,
        body: MaybeGiven<CheckoutWish>,
    ) -> Result<DoneOrAccepted<CheckoutView>, Refused<StartCheckout>> {
        let (app, MaybeGiven(wish)) = (App::of(request)?, body);
        let urls = check(app, &handle.0, &page_slug.0, &wish)?;
        let writer = Writer::Visitor(visitor.0.visitor_id);
        let ticket =
            Ticket::new(writer, key.0, "startCheckout", &[&handle.0, &page_slug.0], &wish)?;
        let write = match ticket.begin(app).await? {
            Begun::Answered(answer) => return Ok(answer.into()),
            Begun::Write(write) => write,
        };
        let id = CheckoutId(write.subject);
        let wake_up = match write.start {
            Start::First => {
                let db = &write.transaction;
                let (handle, page) = find_published(db, &handle.0, &page_slug.0).await?;
                let buyer = Buyer { visitor: &visitor.0, campaign: wish.campaign_id, urls };
                agree(app, &write, &handle, &page, buyer).await?
            }
            Start::TakenUp => Default::default(),
        };
        let pending = write.commit(app, wake_up).await?;
        match opened(app, id).await {
            Ok(answer) => {
                pending.answer_if_done(app, &answer).await?;
                Ok(answer.into())
            }
            Err(problem) => {
                pending.give_up(app, &problem).await?;
                Err(problem.into())
            }
        }
    }

    /// Read a purchase
    ///
    /// The visitor's own.
    #[oai(path = "/v2/public/checkouts/:checkoutId", method = "get", operation_id = "getCheckout")]
    async fn get(
        &self,
        request: &Request,
        visitor: Visitor,
        /// `co_…`
        #[oai(name = "checkoutId")]
        checkout_id: Path<String>,
    ) -> Result<Shown<CheckoutView>, Refused<GetCheckout>> {
        let app = App::of(request)?;
        let unknown = || Problem::new(Code::UnknownCheckout, "the visitor has no such checkout");
        let id: CheckoutId = checkout_id.0.parse().map_err(|_| unknown())?;
        let db = app.engine.database().read();
        let found = checkout::find_of_visitor(db, visitor.0.visitor_id, id.0).await?;
        Ok(Shown::of(CheckoutView::of(&found.ok_or_else(unknown)?)))
    }
}

/// Where the buyer goes afterwards.
struct Urls {
    success: String,
    cancel: String,
}

fn check(app: &App, handle: &str, slug: &str, wish: &CheckoutWish) -> Result<Urls, Problem> {
    let mut issues = Issues::new();
    if let Some(campaign) = &wish.campaign_id {
        issues.take("campaignId", check_slug(campaign));
    }
    let page = app.url(&format!("/v2/public/pages/{handle}/{slug}"));
    let mut url = |field, given: &Option<String>| match given {
        Some(given) => issues.take(field, destination(app, given)).map(String::from),
        None => Some(page.clone()),
    };
    let success = url("successUrl", &wish.success_url);
    let cancel = url("cancelUrl", &wish.cancel_url);
    issues.settle()?;
    Ok(Urls { success: success.unwrap_or_default(), cancel: cancel.unwrap_or_default() })
}

/// Who buys, and how.
struct Buyer<'a> {
    visitor: &'a SignedIn,
    campaign: Option<String>,
    urls: Urls,
}

/// What a page is sold for, and whose account is paid.
struct Terms {
    amount: i64,
    currency: Currency,
    fee: i64,
    account: String,
}

/// Freezes the terms: the purchase's row and the message to its run, in one transaction.
async fn agree(
    app: &App,
    write: &Write,
    handle: &Handle,
    page: &Page,
    buyer: Buyer<'_>,
) -> Result<engine::WakeUp, Problem> {
    let db = &write.transaction;
    expect_wanted(db, page, buyer.visitor).await?;
    let visitor = buyer.visitor.visitor_id;
    let interests = gate::expect_open(app, db, &handle.name, page, visitor).await?;
    let terms = terms(app, db, page).await?;
    let id = CheckoutId(write.subject);
    let now = app.now();
    let row = Checkout {
        id: id.0,
        handle_id: handle.id,
        page_id: page.id,
        page_version: page.version,
        visitor_id: buyer.visitor.visitor_id,
        campaign: buyer.campaign.clone(),
        amount: terms.amount,
        currency: terms.currency.to_string(),
        fee: terms.fee,
        account: terms.account.clone(),
        status: <&str>::from(CheckoutStatus::Open).to_owned(),
        session_id: None,
        url: None,
        payment_intent: None,
        reason: None,
        expires_at: now + TIME_TO_PAY,
        created_at: now,
        updated_at: now,
    };
    checkout::insert(db, &row).await?;
    let purchase = Purchase {
        order: Order { interests, ..order(&row, terms) },
        title: page.title.clone(),
        email: buyer.visitor.email.clone(),
        success_url: buyer.urls.success,
        cancel_url: buyer.urls.cancel,
        expires_at: Timestamp::from_millis(row.expires_at),
    };
    let letter = Letter {
        source: "api",
        source_id: format!("checkout:{id}"),
        message: Message::Checkout(id, Event::Request(Box::new(purchase))),
        handle: Some(HandleId(handle.id)),
    };
    Ok(app.engine.send(db, letter).await?.wake_up)
}

fn order(row: &Checkout, terms: Terms) -> Order {
    let sale = Sale {
        checkout: CheckoutId(row.id),
        handle: HandleId(row.handle_id),
        page: PageId(row.page_id),
        campaign: row.campaign.clone(),
        account: terms.account,
        amount: terms.amount,
        fee: terms.fee,
        currency: terms.currency,
    };
    let visitor = VisitorId(row.visitor_id);
    Order { sale, visitor, early_fee: None, interests: Vec::new() }
}

/// Nobody pays for what they have, or are paying for already.
async fn expect_wanted(
    db: &impl ConnectionTrait,
    page: &Page,
    visitor: &SignedIn,
) -> Result<(), Problem> {
    if PageMode::of(page) == PageMode::Public {
        return Err(Problem::new(Code::NotForSale, "the page is open to everybody"));
    }
    let access = entitlement::find(db, page.id, visitor.visitor_id).await?;
    if access.as_ref().is_some_and(Entitlement::is_access) {
        return Err(Problem::new(Code::AlreadyEntitled, "the visitor may read the page"));
    }
    if access.as_ref().is_some_and(Entitlement::is_held) {
        let detail = "an earlier payment of the visitor for this page is disputed by their bank";
        return Err(Problem::new(Code::PaymentProcessing, detail));
    }
    if checkout::is_processing(db, visitor.visitor_id, page.id).await? {
        let detail =
            "an earlier payment of the visitor for this page is still on its way or in review";
        return Err(Problem::new(Code::PaymentProcessing, detail));
    }
    Ok(())
}

async fn terms(app: &App, db: &impl ConnectionTrait, page: &Page) -> Result<Terms, Problem> {
    if PageMode::of(page) != PageMode::Paid {
        let currency = Currency::parse(&page.currency).map_err(Problem::internal)?;
        return Ok(Terms { amount: 0, currency, fee: 0, account: String::new() });
    }
    let fee = expect_feature(app, db, page.handle_id, Feature::PaidPages).await?.platform_fee;
    let account = connect_account::hold_of_handle(db, page.handle_id).await?;
    let account = blocker::expect_seller(account.as_ref())?;
    let currency = page_terms::check_price(page, fee)?;
    Ok(Terms { amount: page.price, currency, fee: fee.of(page.price), account })
}

/// Waits until the buyer can pay, or has nothing to pay.
async fn opened(app: &App, id: CheckoutId) -> Result<Answer<CheckoutView>, Problem> {
    let run = RunId::of(Machine::NAME, id.0);
    let begun =
        |run: &entities::run::Run| !matches!(run.state_name.as_str(), "" | "CreatingSession");
    let until = tokio::time::Instant::now() + app.config.answer_within;
    let mut reached = app.engine.wait(run, app.config.answer_within, begun).await?;
    let mut row = agreed(app, id).await?;
    if !is_granted(app, &row).await? {
        // It hears in a moment that the visitor has withdrawn the interest that it needs.
        let given_up = |run: &entities::run::Run| run.state_name == "Failed";
        let left = until.saturating_duration_since(tokio::time::Instant::now());
        reached = app.engine.wait(run, left, given_up).await?;
        row = agreed(app, id).await?;
    }
    let view = CheckoutView::of(&row);
    match (reached, view.status) {
        (Awaited::Elapsed(_), _) => {
            Ok(Answer::accepted(format!("/v2/public/checkouts/{id}"), view))
        }
        (Awaited::Reached(_), CheckoutState::Failed)
            if row.reason.as_deref() == Some("interest_withdrawn") =>
        {
            let detail = "the visitor has withdrawn the interest that the page needs";
            Err(Problem::new(Code::InterestRequired, detail))
        }
        (Awaited::Reached(_), CheckoutState::Failed) => {
            let reason = row.reason.unwrap_or_else(|| "no reason was given".to_owned());
            Err(Problem::new(Code::StripeRefused, format!("no payment page was opened: {reason}")))
        }
        (Awaited::Reached(_), _) => Ok(Answer::done(view)),
    }
}

async fn agreed(app: &App, id: CheckoutId) -> Result<Checkout, Problem> {
    let row = checkout::find_any_handle(app.engine.database().read(), id.0).await?;
    row.ok_or_else(|| Problem::internal(format!("{id} was agreed and is not there")))
}

/// Whether what costs nothing was granted, as soon as it is settled. What is to be paid is not settled yet.
async fn is_granted(app: &App, row: &Checkout) -> Result<bool, Problem> {
    if row.amount > 0 || CheckoutState::of(row) != CheckoutState::Settled {
        return Ok(true);
    }
    let db = app.engine.database().read();
    let access = entitlement::find(db, row.page_id, row.visitor_id).await?;
    Ok(access.is_some_and(|access| access.is_access() || access.checkout_id == row.id))
}
