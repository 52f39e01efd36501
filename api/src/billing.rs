//! Billing: a handle subscribes to a plan, and changes, pays or cancels it in Stripe's portal.

use entities::{handle::Handle, plan_subscription};
use poem::Request;
use poem_openapi::{Object, OpenApi, param::Header};
use serde::Deserialize;
use workflows::{
    Timestamp,
    id::{HandleId, RunId},
    plan::Plan,
    plan_subscription::{Event, PlanSubscription as Machine, Subscribe},
    record::PlanLinkPurpose,
    workflow::Workflow,
};

use crate::{
    answer::DoneOrAccepted,
    auth::Caller,
    billing_link::{
        BillingLink, LinkRequest, already_subscribed, is_subscribed, not_subscribed, repeated,
    },
    body::{Given, Issues},
    codes::Code,
    config::App,
    handle::permitted,
    idempotency::{Begun, Ticket, Writer},
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

refusals!(OpenBillingCheckout: Unauthorized, TokenInvalid, TokenExpired, Forbidden, UnknownHandle,
    AlreadySubscribed, Superseded, PlanNotForSale, StripeRefused, TooLarge, UnsupportedMediaType, IdempotencyMismatch,
    IdempotencyInProgress);
refusals!(OpenBillingPortal: Unauthorized, TokenInvalid, TokenExpired, Forbidden, UnknownHandle,
    NotSubscribed, Superseded, StripeRefused, TooLarge, UnsupportedMediaType, IdempotencyMismatch,
    IdempotencyInProgress);

/// Plans of handles, paid through Stripe.
pub struct Billing;

#[OpenApi(tag = "Tag::Billing")]
impl Billing {
    /// Subscribe to a plan
    ///
    /// Answers with the page of Stripe's on which the creator subscribes. The plan counts as soon as Stripe
    /// says that it is paid. A handle has one subscription: a larger or smaller plan is chosen in the portal.
    /// Of several requests at once the newest gets a page. A page that was not ready in time (202) is in the
    /// answer to the same request with the same key, later.
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
        let (price, urls) = wanted(app, &handle, &body)?;
        let writer = Writer::Subject(&caller.0.subject);
        let ticket = Ticket::new(writer, key.0, "openBillingCheckout", &[&handle.name], &body)?;
        let write = match ticket.begin(app).await? {
            Begun::Answered(answer) => return Ok(repeated(app, &handle, answer).await?.into()),
            Begun::Write(write) => write,
        };
        let row = plan_subscription::of_handle(&write.transaction, handle.id).await?;
        if row.as_ref().is_some_and(is_subscribed) {
            return Err(already_subscribed().into());
        }
        let link = LinkRequest::of(app, &handle, PlanLinkPurpose::Checkout, &write);
        let wish = Subscribe {
            handle: HandleId(handle.id),
            name: handle.display_name.clone(),
            price,
            success_url: urls.success,
            cancel_url: urls.cancel,
            expires_at: Timestamp::from_millis(app.now() + TIME_TO_SUBSCRIBE),
            request: Some(link.id()),
        };
        Ok(link.carry_out(write, Event::Subscribe(Box::new(wish))).await?.into())
    }

    /// Open the billing portal
    ///
    /// Answers with a short-lived link to Stripe's portal: bills, payment methods, another plan, cancelling.
    /// Of several requests at once the newest gets a link. A link that was not ready in time (202) is in the
    /// answer to the same request with the same key, later.
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
        let write = match ticket.begin(app).await? {
            Begun::Answered(answer) => return Ok(repeated(app, &handle, answer).await?.into()),
            Begun::Write(write) => write,
        };
        let row = plan_subscription::of_handle(&write.transaction, handle.id).await?;
        if row.is_none_or(|row| row.customer_id.is_none()) {
            return Err(not_subscribed().into());
        }
        let link = LinkRequest::of(app, &handle, PlanLinkPurpose::Portal, &write);
        let event = Event::OpenPortal { return_url, request: Some(link.id()) };
        Ok(link.carry_out(write, event).await?.into())
    }
}

/// Where the creator goes after Stripe's page.
struct Urls {
    success: String,
    cancel: String,
}

/// The price of the plan that is wished for, and the addresses.
fn wanted(app: &App, handle: &Handle, wish: &SubscribeWish) -> Result<(String, Urls), Problem> {
    let mut issues = Issues::new();
    let plan = wish.plan.plan();
    if plan == Plan::Free {
        issues.blame("plan", "must be PRO or BUSINESS: FREE is had by cancelling in the portal");
    }
    let success = url(app, handle, &mut issues, "successUrl", wish.success_url.as_deref());
    let cancel = url(app, handle, &mut issues, "cancelUrl", wish.cancel_url.as_deref());
    issues.settle()?;
    match app.config.plans.of(plan).price.clone() {
        Some(price) => Ok((price, Urls { success, cancel })),
        None => {
            let detail = format!("{plan} has no price of Stripe's here: SLUICE_PLANS says it");
            Err(Problem::new(Code::PlanNotForSale, detail))
        }
    }
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

/// The run behind a handle's plan.
pub fn run_of(handle: &Handle) -> RunId {
    RunId::of(Machine::NAME, handle.id)
}
