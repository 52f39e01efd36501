//! Refunds: money is given back to a buyer. The purchase's run is the judge of how much can be; the request waits
//! for its word.

use engine::{Awaited, Letter, WakeUp};
use entities::{
    checkout::{self, Checkout},
    handle::Handle,
    page::Page,
    refund::{self, Refund},
    run::Run,
    visitor,
};
use poem::Request;
use poem_openapi::{
    Enum, Object, OpenApi,
    param::{Header, Path, Query},
};
use sea_orm::ConnectionTrait;
use serde::Deserialize;
use time::OffsetDateTime;
use workflows::{
    Timestamp,
    id::{CheckoutId, HandleId, PageId, RefundId, RunId},
    ledger::Sale,
    message::Message,
    money::{Currency, Money},
    record::{RefundReason, RefundStatus},
    refund::{AccessAfter, Event, Refund as Machine, Rejection, State, Wish},
    workflow::Workflow,
};

use crate::{
    answer::{Accepted, Answer, Shown},
    audit_log::Author,
    auth::Caller,
    body::{Given, Issues},
    codes::Code,
    config::App,
    handle::permitted,
    idempotency::{Begun, Pending, Start, Ticket, Write, Writer},
    list,
    moment::moment,
    page::of_handle,
    permission::Permission,
    preview_token::Previewed,
    problem::{Problem, Refused, refusals},
    slug::check_email,
    tag::Tag,
};

/// A wish to give money back. The purchase is named by its id or, for the newest one of a visitor, by the
/// visitor's mail address.
#[derive(Debug, Object, Deserialize)]
#[oai(rename_all = "camelCase")]
#[serde(rename_all = "camelCase")]
pub struct RefundWish {
    /// `co_…`
    pub checkout_id: Option<String>,
    /// The address that the visitor signs in with.
    pub visitor_email: Option<String>,
    /// Minor units to give back. All that is left, unless given.
    pub amount_cents: Option<i64>,
    /// `REQUESTED_BY_CUSTOMER`, unless given.
    pub reason: Option<RefundReasonName>,
    /// Whether a partial refund ends the access, too. The last cent always does.
    #[oai(default)]
    #[serde(default)]
    pub revoke_access: bool,
    /// Of a preview: then what was previewed is done, or nothing.
    pub preview_token: Option<String>,
}

/// Why money is given back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum, Deserialize)]
#[oai(rename_all = "SCREAMING_SNAKE_CASE")]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum RefundReasonName {
    /// The buyer wants it.
    RequestedByCustomer,
    /// The buyer paid twice.
    Duplicate,
    /// The buyer is not who they said.
    Fraudulent,
    /// The buyer has withdrawn the interest that the purchase needs: it was given back by itself.
    InterestWithdrawn,
    /// It was made in Stripe's dashboard, for whatever reason.
    MadeAtStripe,
}

impl RefundReasonName {
    fn of(reason: &str) -> Self {
        match reason.parse() {
            Ok(RefundReason::Duplicate) => Self::Duplicate,
            Ok(RefundReason::Fraudulent) => Self::Fraudulent,
            Ok(RefundReason::MadeAtStripe) => Self::MadeAtStripe,
            Ok(RefundReason::InterestWithdrawn) => Self::InterestWithdrawn,
            Ok(RefundReason::RequestedByCustomer) | Err(_) => Self::RequestedByCustomer,
        }
    }
}

/// How far a refund is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[oai(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum RefundState {
    /// The money is set aside, and Stripe is asked.
    Requested,
    /// Stripe has it, the buyer has not: `failure` says why.
    Pending,
    /// Given back. It may still fail within days.
    Succeeded,
    /// It could not be given back: `failure` says why.
    Failed,
    /// Called off at Stripe before it happened.
    Canceled,
    /// There was not as much to give back, or not then.
    Rejected,
}

impl RefundState {
    fn of(status: &str) -> Self {
        match status.parse() {
            Ok(RefundStatus::Pending) => Self::Pending,
            Ok(RefundStatus::Succeeded) => Self::Succeeded,
            Ok(RefundStatus::Failed) => Self::Failed,
            Ok(RefundStatus::Canceled) => Self::Canceled,
            Ok(RefundStatus::Rejected) => Self::Rejected,
            Ok(RefundStatus::Requested) | Err(_) => Self::Requested,
        }
    }
}

/// A refund.
#[derive(Clone, Debug, Object)]
#[oai(rename = "Refund", rename_all = "camelCase")]
pub struct RefundView {
    /// `rfnd_…`
    pub refund_id: String,
    /// How far it is.
    pub status: RefundState,
    /// Minor units that the buyer gets; `null` while it is not known how much is left.
    pub amount_cents: Option<i64>,
    /// ISO 4217.
    pub currency: String,
    /// Of which purchase: `co_…`
    pub checkout_id: String,
    /// Why.
    pub reason: RefundReasonName,
    /// Who asked for it: the `sub` of a token; `null` where nobody of the handle's did.
    pub requested_by: Option<String>,
    /// Stripe's id: `re_…`
    pub stripe_refund_id: Option<String>,
    /// Why it waits, failed or was rejected: a short code.
    pub failure: Option<String>,
    /// The run behind it: `run_…`. Of a refund that was made at Stripe, the purchase's.
    pub run_id: String,
    /// When it became known.
    pub created_at: OffsetDateTime,
    /// When it last changed.
    pub updated_at: OffsetDateTime,
}

impl RefundView {
    fn of(row: &Refund) -> Self {
        let reason = RefundReasonName::of(&row.reason);
        let run = match reason {
            RefundReasonName::MadeAtStripe => {
                RunId::of(workflows::checkout::Checkout::NAME, row.checkout_id)
            }
            _ => RunId::of(Machine::NAME, row.id),
        };
        Self {
            refund_id: RefundId(row.id).to_string(),
            status: RefundState::of(&row.status),
            amount_cents: row.amount,
            currency: row.currency.clone(),
            checkout_id: CheckoutId(row.checkout_id).to_string(),
            reason,
            requested_by: row.requested_by.clone(),
            stripe_refund_id: row.stripe_refund.clone(),
            failure: row.failure.clone(),
            run_id: run.to_string(),
            created_at: moment(row.created_at),
            updated_at: moment(row.updated_at),
        }
    }
}

/// Refunds.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase")]
pub struct RefundList {
    /// The newest first.
    pub data: Vec<RefundView>,
    /// For `cursor`, while there are more.
    pub next_cursor: Option<String>,
}

refusals!(RefundPage: Unauthorized, TokenInvalid, TokenExpired, Forbidden, UnknownHandle, UnknownPage,
    UnknownCheckout, NotPaid, DisputeOpen, RefundExceedsRefundable, PreviewStale, TooLarge,
    UnsupportedMediaType, IdempotencyMismatch, IdempotencyInProgress);
refusals!(ListRefunds: Unauthorized, TokenInvalid, TokenExpired, Forbidden, UnknownHandle);

/// Money that goes back.
pub struct Refunds;

#[OpenApi(tag = "Tag::Returns")]
impl Refunds {
    /// Give a buyer money back
    ///
    /// Answers as soon as the money is set aside: of two that ask at once for more than was paid, one is
    /// refused, and hears what is left. `Location` leads to the refund's run. The platform's fee comes back
    /// to the creator in proportion; access ends with the last cent.
    #[oai(
        path = "/v2/handles/:handle/pages/:pageSlug/refund",
        method = "post",
        operation_id = "refundPage"
    )]
    #[allow(clippy::too_many_arguments, reason = "each is documented")]
    async fn refund(
        &self,
        request: &Request,
        caller: Caller,
        /// The handle, as it stands in addresses.
        handle: Path<String>,
        /// The page, as it stands in addresses.
        #[oai(name = "pageSlug")]
        page_slug: Path<String>,
        /// Repeating a write with the same key and body gives the first answer again, for 24 hours.
        #[oai(name = "Idempotency-Key")]
        key: Header<Option<String>>,
        body: Given<RefundWish>,
    ) -> Result<Accepted<RefundView>, Refused<RefundPage>> {
        let (app, Given(body)) = (App::of(request)?, body);
        let handle = permitted(app, &caller.0, &handle.0, Permission::RefundsWrite).await?;
        let page = of_handle(app, &handle, &page_slug.0).await?;
        let writer = Writer::Subject(&caller.0.subject);
        let arguments = [handle.name.as_str(), page.slug.as_str()];
        let ticket = Ticket::new(writer, key.0, "refundPage", &arguments, &body)?;
        let write = match ticket.begin(app).await? {
            Begun::Answered(answer) => return Ok(answer.into()),
            Begun::Write(write) => write,
        };
        // It was asked for before: what it found then counts, whatever has changed since.
        if write.start == Start::TakenUp {
            let id = RefundId(write.subject);
            let pending = write.commit(app, WakeUp::default()).await?;
            return Ok(answered(app, pending, id).await?.into());
        }
        // In the transaction: whoever holds one connection must not wait for another.
        let (row, asked) = asked(app, &write.transaction, &handle, &page, &body).await?;
        let asked = Asked { by: Some(caller.0.subject.clone()), ..asked };
        let author = Author::of(request, &caller.0);
        let checkout = CheckoutId(row.id).to_string();
        author.note(app, &write, "refund.request", Some(&handle), checkout).await?;
        Ok(carry_out(app, write, &row, asked).await?.into())
    }

    /// What was given back
    ///
    /// Also what was made in Stripe's dashboard, and what is under way, was rejected or failed.
    #[oai(path = "/v2/handles/:handle/refunds", method = "get", operation_id = "listRefunds")]
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
    ) -> Result<Shown<RefundList>, Refused<ListRefunds>> {
        let app = App::of(request)?;
        let limit = list::limit(limit.0)?;
        let before = cursor.0.as_deref().map(str::parse::<RefundId>).transpose();
        let before = before.map_err(|_| list::no_cursor())?.map(|id| id.0);
        let handle = permitted(app, &caller.0, &handle.0, Permission::SalesRead).await?;
        let db = app.engine.database().read();
        let rows = refund::list(db, handle.id, before, limit + 1).await?;
        let (rows, next_cursor) = list::cut(rows, limit, |row| RefundId(row.id).to_string());
        Ok(Shown::of(RefundList { data: rows.iter().map(RefundView::of).collect(), next_cursor }))
    }
}

/// What is asked for, of a purchase that was found.
#[derive(Clone, Debug)]
pub struct Asked {
    /// Minor units; all that is left, without any.
    pub amount: Option<i64>,
    /// Minor units that could be given back when it was looked at.
    pub expected: Option<i64>,
    /// What becomes of the access.
    pub access: AccessAfter,
    reason: RefundReason,
    by: Option<String>,
}

/// Reads a wish, and finds the purchase that it is about.
pub async fn asked(
    app: &App,
    db: &impl ConnectionTrait,
    handle: &Handle,
    page: &Page,
    wish: &RefundWish,
) -> Result<(Checkout, Asked), Problem> {
    let mut issues = Issues::new();
    let id = wish.checkout_id.as_deref().map(str::parse::<CheckoutId>);
    let id = id.and_then(|id| issues.take("checkoutId", id));
    let email = wish.visitor_email.as_deref().map(check_email);
    let email = email.and_then(|email| issues.take("visitorEmail", email));
    if wish.checkout_id.is_some() == wish.visitor_email.is_some() {
        issues.blame("checkoutId", "either checkoutId or visitorEmail says which purchase");
    }
    match wish.reason {
        Some(RefundReasonName::MadeAtStripe) => {
            issues.blame("reason", "is for refunds that were made in Stripe's dashboard");
        }
        Some(RefundReasonName::InterestWithdrawn) => {
            issues.blame("reason", "is for purchases that are given back by themselves");
        }
        _ => {}
    }
    issues.settle()?;
    let found = match (id, email) {
        (Some(id), _) => checkout::find(db, (handle.id, page.id), id.0).await?,
        (None, Some(email)) => newest_of(db, page, &email).await?,
        (None, None) => None,
    };
    let unknown = || Problem::new(Code::UnknownCheckout, "the page has no such purchase");
    let row = found.ok_or_else(unknown)?;
    let asked = previewed(app, &row, wish)?;
    check_amount(&row, asked.amount)?;
    Ok((row, asked))
}

/// The newest purchase of a visitor's that was paid, or else the newest.
async fn newest_of(
    db: &impl ConnectionTrait,
    page: &Page,
    email: &str,
) -> Result<Option<Checkout>, Problem> {
    let Some(visitor) = visitor::find_by_email(db, email).await? else { return Ok(None) };
    let bought = checkout::of_visitor_and_page(db, visitor.id, page.id).await?;
    let paid = bought.iter().find(|row| {
        matches!(row.status.as_str(), "SETTLED" | "PARTLY_REFUNDED" | "DISPUTED" | "IN_REVIEW")
    });
    Ok(paid.or(bought.first()).cloned())
}

/// With a token, what was previewed counts, and what is said beside it must be the same.
fn previewed(app: &App, row: &Checkout, wish: &RefundWish) -> Result<Asked, Problem> {
    let reason = match wish.reason {
        Some(RefundReasonName::Duplicate) => RefundReason::Duplicate,
        Some(RefundReasonName::Fraudulent) => RefundReason::Fraudulent,
        Some(
            RefundReasonName::RequestedByCustomer
            // Nobody asks for these: they were refused before.
            | RefundReasonName::MadeAtStripe
            | RefundReasonName::InterestWithdrawn,
        )
        | None => RefundReason::RequestedByCustomer,
    };
    let access = if wish.revoke_access { AccessAfter::Revoked } else { AccessAfter::Kept };
    let plain = Asked { amount: wish.amount_cents, expected: None, access, reason, by: None };
    let Some(token) = &wish.preview_token else { return Ok(plain) };
    let seen = Previewed::read(&app.config.keys, CheckoutId(row.id), token)
        .ok_or_else(|| Problem::field("previewToken", "is not of a preview of this purchase"))?;
    if seen.until <= Timestamp::from_millis(app.now()) {
        return Err(Problem::new(Code::PreviewStale, "the preview is older than ten minutes"));
    }
    if wish.amount_cents.is_some_and(|amount| amount != seen.amount) {
        return Err(Problem::field("amountCents", "is not what was previewed"));
    }
    if wish.revoke_access && seen.access == AccessAfter::Kept {
        return Err(Problem::field("revokeAccess", "is not what was previewed"));
    }
    let (amount, expected) = (Some(seen.amount), Some(seen.refundable));
    Ok(Asked { amount, expected, access: seen.access, ..plain })
}

fn check_amount(row: &Checkout, amount: Option<i64>) -> Result<(), Problem> {
    let currency = currency(row)?;
    match amount.and_then(|amount| currency.refund_problem(amount)) {
        Some(problem) => Err(Problem::field("amountCents", problem)),
        None => Ok(()),
    }
}

/// What a purchase was agreed in.
pub fn currency(row: &Checkout) -> Result<Currency, Problem> {
    Currency::parse(&row.currency).map_err(Problem::internal)
}

async fn carry_out(
    app: &App,
    write: Write,
    row: &Checkout,
    asked: Asked,
) -> Result<Answer<RefundView>, Problem> {
    let id = RefundId(write.subject);
    let wish = Wish {
        refund: id,
        sale: sale(row)?,
        amount: asked.amount,
        expected: asked.expected,
        reason: asked.reason,
        access: asked.access,
        by: asked.by,
    };
    let letter = Letter {
        source: "api",
        source_id: format!("refund:{id}"),
        message: Message::Refund(id, Event::Request(Box::new(wish))),
        handle: Some(HandleId(row.handle_id)),
    };
    let sent = app.engine.send(&write.transaction, letter).await?;
    let pending = write.commit(app, sent.wake_up).await?;
    answered(app, pending, id).await
}

/// Waits for the judge's word, and keeps the answer.
async fn answered(
    app: &App,
    pending: Pending,
    id: RefundId,
) -> Result<Answer<RefundView>, Problem> {
    match reserved(app, id).await {
        Ok(answer) => {
            pending.answer(app, &answer).await?;
            Ok(answer)
        }
        Err(problem) => {
            pending.give_up(app, &problem).await?;
            Err(problem)
        }
    }
}

fn sale(row: &Checkout) -> Result<Sale, Problem> {
    Ok(Sale {
        checkout: CheckoutId(row.id),
        handle: HandleId(row.handle_id),
        page: PageId(row.page_id),
        campaign: row.campaign.clone(),
        account: row.account.clone(),
        amount: row.amount,
        fee: row.fee,
        currency: currency(row)?,
    })
}

async fn reserved(app: &App, id: RefundId) -> Result<Answer<RefundView>, Problem> {
    let run = RunId::of(Machine::NAME, id.0);
    let judged = |run: &Run| !matches!(run.state_name.as_str(), "" | "Reserving");
    let reached = app.engine.wait(run, app.config.answer_within, judged).await?;
    if let (Awaited::Reached(_), Some(State::Rejected { why, wish })) =
        (&reached, app.engine.state::<Machine>(id.0).await?)
    {
        return Err(rejected(why, wish.sale.currency));
    }
    let row = refund::find_any_handle(app.engine.database().read(), id.0).await?;
    let view = match row {
        Some(row) => RefundView::of(&row),
        None => return Err(Problem::unavailable("the refund is written down, and begins soon")),
    };
    Ok(Answer::accepted(format!("/v2/runs/{run}"), view))
}

/// Why nothing was set aside, as the API says it.
pub fn rejected(why: Rejection, currency: Currency) -> Problem {
    match why {
        Rejection::NotPaid => {
            Problem::new(Code::NotPaid, "nothing is paid for this purchase, or not yet")
        }
        Rejection::DisputeOpen => {
            Problem::new(Code::DisputeOpen, "the buyer's bank disputes this payment")
        }
        Rejection::ExceedsRefundable { refundable } => {
            let left = Money::new(refundable, currency);
            let detail = format!("{left} can still be given back ({refundable} minor units)");
            Problem::new(Code::RefundExceedsRefundable, detail)
        }
        Rejection::Changed { refundable } => {
            let left = Money::new(refundable, currency);
            let detail = format!("now {left} can be given back ({refundable} minor units)");
            Problem::new(Code::PreviewStale, detail)
        }
    }
}
