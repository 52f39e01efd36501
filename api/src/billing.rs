//! Billing: a handle subscribes to a plan, and changes, pays or cancels it in Stripe's portal.

use engine::{Letter, Sent};
use entities::{
    handle::Handle,
    plan_subscription::{self, PlanSubscription},
    run::Run,
};
use poem::Request;
use poem_openapi::{Object, OpenApi, param::Header};
use serde::Deserialize;
use time::OffsetDateTime;
use workflows::{
    Timestamp,
    id::{HandleId, RunId},
    message::Message,
    plan::Plan,
    plan_subscription::{Event, PlanSubscription as Machine, Subscribe},
    record::{PlanLinkPurpose, PlanStatus},
    workflow::Workflow,
};

use crate::{
    answer::{Answer, DoneOrAccepted, Replayed},
    auth::Caller,
    body::{Given, Issues},
    codes::Code,
    config::App,
    handle::permitted,
    heard::{Heard, until_heard},
    idempotency::{Begun, Ticket, Write, Writer},
    moment::{maybe_moment, moment},
    origin::destination,
    permission::Permission,
    plan::PlanName,
    problem::{Problem, Refused, refusals},
    tag::Tag,
};

/// How long a creator has to subscribe, in milliseconds. Stripe takes 30 minutes to 24 hours.
const TIME_TO_SUBSCRIBE: i64 = 12 * Timestamp::HOUR;

/// A wish to subscribe to a plan.
#[derive(Debug, Object, Deserialize)]
#[oai(rename_all = "camelCase")]
#[serde(rename_all = "camelCase")]
pub struct SubscribeWish {
    /// The handle, as it stands in addresses.
    pub handle: String,
    /// `PRO` or `BUSINESS`.
    pub plan: PlanName,
    /// Where the creator goes after subscribing: on this origin or on the allow-list.
    pub success_url: Option<String>,
    /// Where the creator goes without subscribing.
    pub cancel_url: Option<String>,
}

/// A wish to see bills, to change the plan, or to cancel it.
#[derive(Debug, Object, Deserialize)]
#[oai(rename_all = "camelCase")]
#[serde(rename_all = "camelCase")]
pub struct PortalWish {
    /// The handle, as it stands in addresses.
    pub handle: String,
    /// Where Stripe sends the creator afterwards: on this origin or on the allow-list.
    pub return_url: Option<String>,
}

/// A link to a page of Stripe's.
#[derive(Clone, Debug, Object)]
#[oai(rename_all = "camelCase")]
pub struct BillingLink {
    /// Where the creator goes. A secret; `null` while it is being made.
    pub url: Option<String>,
    /// Until when the link is good.
    pub expires_at: Option<OffsetDateTime>,
    /// The run behind the handle's plan: `run_…`
    pub run_id: String,
}

refusals!(OpenBillingCheckout: Unauthorized, TokenInvalid, TokenExpired, Forbidden, UnknownHandle,
    AlreadySubscribed, PlanNotForSale, StripeRefused, TooLarge, UnsupportedMediaType, IdempotencyMismatch,
    IdempotencyInProgress);
refusals!(OpenBillingPortal: Unauthorized, TokenInvalid, TokenExpired, Forbidden, UnknownHandle,
    NotSubscribed, StripeRefused, TooLarge, UnsupportedMediaType, IdempotencyMismatch,
    IdempotencyInProgress);

/// Plans of handles, paid through Stripe.
pub struct Billing;

#[OpenApi(tag = "Tag::Billing")]
impl Billing {
    /// Subscribe to a plan
    ///
    /// Answers with the page of Stripe's on which the creator subscribes. The plan counts as soon as Stripe
    /// says that it is paid. A handle has one subscription: a larger or smaller plan is chosen in the portal.
    #[oai(
        path = "/v2/billing/checkout-session",
        method = "post",
        operation_id = "openBillingCheckout"
    )]
    async fn subscribe(
        &self,
        request: &Request,
        caller: Caller,
        /// Repeating a write with the same key and body gives the first answer again, for 24 hours.
        #[oai(name = "Idempotency-Key")]
        key: Header<Option<String>>,
        body: Given<SubscribeWish>,
    ) -> Result<DoneOrAccepted<BillingLink>, Refused<OpenBillingCheckout>> {
        let (app, Given(body)) = (App::of(request)?, body);
        let handle = permitted(app, &caller.0, &body.handle, Permission::BillingWrite).await?;
        let wish = subscribe(app, &handle, &body)?;
        let writer = Writer::Subject(&caller.0.subject);
        let ticket = Ticket::new(writer, key.0, "openBillingCheckout", &[&handle.name], &body)?;
        let purpose = PlanLinkPurpose::Checkout;
        let write = match ticket.begin(app).await? {
            Begun::Answered(answer) => {
                return Ok(with_link(app, &handle, purpose, answer).await?.into());
            }
            Begun::Write(write) => write,
        };
        let row = plan_subscription::of_handle(&write.transaction, handle.id).await?;
        if row.as_ref().is_some_and(is_subscribed) {
            return Err(already_subscribed().into());
        }
        let event = Event::Subscribe(Box::new(wish));
        Ok(carry_out(app, &handle, write, event, purpose).await?.into())
    }

    /// Open the billing portal
    ///
    /// Answers with a short-lived link to Stripe's portal: bills, payment methods, another plan, cancelling.
    #[oai(path = "/v2/billing/portal-session", method = "post", operation_id = "openBillingPortal")]
    async fn portal(
        &self,
        request: &Request,
        caller: Caller,
        /// Repeating a write with the same key and body gives the first answer again, for 24 hours.
        #[oai(name = "Idempotency-Key")]
        key: Header<Option<String>>,
        body: Given<PortalWish>,
    ) -> Result<DoneOrAccepted<BillingLink>, Refused<OpenBillingPortal>> {
        let (app, Given(body)) = (App::of(request)?, body);
        let handle = permitted(app, &caller.0, &body.handle, Permission::BillingWrite).await?;
        let mut issues = Issues::new();
        let return_url = url(app, &handle, &mut issues, "returnUrl", body.return_url.as_deref());
        issues.settle()?;
        let writer = Writer::Subject(&caller.0.subject);
        let ticket = Ticket::new(writer, key.0, "openBillingPortal", &[&handle.name], &body)?;
        let purpose = PlanLinkPurpose::Portal;
        let write = match ticket.begin(app).await? {
            Begun::Answered(answer) => {
                return Ok(with_link(app, &handle, purpose, answer).await?.into());
            }
            Begun::Write(write) => write,
        };
        let row = plan_subscription::of_handle(&write.transaction, handle.id).await?;
        if row.is_none_or(|row| row.customer_id.is_none()) {
            let detail = "the handle has never subscribed to a plan: there is nothing to manage";
            return Err(Problem::new(Code::NotSubscribed, detail).into());
        }
        let event = Event::OpenPortal { return_url };
        Ok(carry_out(app, &handle, write, event, purpose).await?.into())
    }
}

fn subscribe(app: &App, handle: &Handle, wish: &SubscribeWish) -> Result<Subscribe, Problem> {
    let mut issues = Issues::new();
    let plan = wish.plan.plan();
    if plan == Plan::Free {
        issues.blame("plan", "must be PRO or BUSINESS: FREE is had by cancelling in the portal");
    }
    let success_url = url(app, handle, &mut issues, "successUrl", wish.success_url.as_deref());
    let cancel_url = url(app, handle, &mut issues, "cancelUrl", wish.cancel_url.as_deref());
    issues.settle()?;
    let Some(price) = app.config.plans.of(plan).price.clone() else {
        let detail = format!("{plan} has no price of Stripe's here: SLUICE_PLANS says it");
        return Err(Problem::new(Code::PlanNotForSale, detail));
    };
    Ok(Subscribe {
        handle: HandleId(handle.id),
        name: handle.display_name.clone(),
        price,
        success_url,
        cancel_url,
        expires_at: Timestamp::from_millis(app.now() + TIME_TO_SUBSCRIBE),
    })
}

/// The given address, if people may be sent there; the handle's summary where none is given.
fn url(
    app: &App,
    handle: &Handle,
    issues: &mut Issues,
    field: &'static str,
    given: Option<&str>,
) -> String {
    match given {
        Some(given) => {
            issues.take(field, destination(app, given)).map(String::from).unwrap_or_default()
        }
        None => app.url(&format!("/v2/billing/summary?handle={}", handle.name)),
    }
}

/// Whether there is a subscription that is paid for, or that is to be paid for still.
fn is_subscribed(row: &PlanSubscription) -> bool {
    matches!(row.status.parse(), Ok(PlanStatus::Active | PlanStatus::PastDue | PlanStatus::Lapsed))
}

fn already_subscribed() -> Problem {
    let detail = "the handle has a subscription: another plan is chosen in the portal, \
                  POST /v2/billing/portal-session";
    Problem::new(Code::AlreadySubscribed, detail)
}

async fn carry_out(
    app: &App,
    handle: &Handle,
    write: Write,
    event: Event,
    purpose: PlanLinkPurpose,
) -> Result<Answer<BillingLink>, Problem> {
    let id = HandleId(handle.id);
    let source_id = format!("billing:{}", write.subject.simple());
    let letter = Letter {
        source: "api",
        source_id: source_id.clone(),
        message: Message::PlanSubscription(id, event),
        handle: Some(id),
    };
    // Taken up again, the message is a duplicate: it was sent with the row of the key.
    let Sent { run, wake_up } = app.engine.send(&write.transaction, letter).await?;
    let pending = write.commit(app, wake_up).await?;
    match link(app, handle, run, &source_id, purpose).await {
        Ok(answer) => {
            // The link is a secret: it is not kept among the answers, and looked up again for a repetition.
            let body = BillingLink { url: None, ..answer.body.clone() };
            pending.answer(app, &Answer { body, ..answer.clone() }).await?;
            Ok(answer)
        }
        Err(problem) => {
            pending.give_up(app, &problem).await?;
            Err(problem)
        }
    }
}

/// Waits until the message was heard and the link is there, or will not be.
async fn link(
    app: &App,
    handle: &Handle,
    run: RunId,
    source_id: &str,
    purpose: PlanLinkPurpose,
) -> Result<Answer<BillingLink>, Problem> {
    let heard = until_heard(app, run, source_id, is_at_rest).await?;
    let row = plan_subscription::of_handle(app.engine.database().read(), handle.id).await?;
    let good = row.as_ref().filter(|row| is_good(app, row, purpose));
    let body = BillingLink {
        url: good.and_then(|row| row.link_url.clone()),
        expires_at: maybe_moment(good.and_then(|row| row.link_expires_at)),
        run_id: run.to_string(),
    };
    match heard {
        Heard::NotYet => Ok(Answer::accepted(format!("/v2/runs/{run}"), body)),
        Heard::Yes if body.url.is_some() => Ok(Answer::done(body)),
        // Whoever subscribed meanwhile needs no page for it.
        Heard::Yes
            if row.as_ref().is_some_and(|row| row.failure.is_none() && is_subscribed(row)) =>
        {
            match purpose {
                PlanLinkPurpose::Checkout => Err(already_subscribed()),
                PlanLinkPurpose::Portal => Err(refused(None)),
            }
        }
        Heard::Yes => Err(refused(row.and_then(|row| row.failure))),
    }
}

fn refused(failure: Option<String>) -> Problem {
    Problem::new(Code::StripeRefused, failure.unwrap_or_else(|| "no link was made".to_owned()))
}

/// Whether nothing is being made.
fn is_at_rest(run: &Run) -> bool {
    !matches!(run.state_name.as_str(), "" | "CreatingCustomer" | "CreatingLink")
}

/// Whether the row's link is for this, and can be used still.
fn is_good(app: &App, row: &PlanSubscription, purpose: PlanLinkPurpose) -> bool {
    row.link_purpose.as_deref() == Some(purpose.into())
        && row.link_expires_at.is_some_and(|until| until > app.now())
}

/// The stored answer with its link, as long as that very link is good.
async fn with_link(
    app: &App,
    handle: &Handle,
    purpose: PlanLinkPurpose,
    mut answer: Answer<BillingLink>,
) -> Result<Answer<BillingLink>, Problem> {
    debug_assert_eq!(answer.replayed, Replayed::Yes);
    let row = plan_subscription::of_handle(app.engine.database().read(), handle.id).await?;
    let same = |row: &PlanSubscription| {
        row.link_expires_at.map(moment) == answer.body.expires_at && is_good(app, row, purpose)
    };
    answer.body.url = row.filter(same).and_then(|row| row.link_url);
    Ok(answer)
}

/// The run behind a handle's plan.
pub fn run_of(handle: &Handle) -> RunId {
    RunId::of(Machine::NAME, handle.id)
}
