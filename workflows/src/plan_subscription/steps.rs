//! Making the customer, and links for those who ask: each state with its effects and records.

use super::{
    Known, Manual, OpenCheckout, State, Subscribe, Wanted,
    placement::*,
    reading::{GONE, missing},
};
use crate::{
    effect::{Effect, Failure, PlanSessionRequest},
    id::{HandleId, PlanLinkId},
    record::{PlanLink, PlanLinkChange, PlanLinkFailure, PlanLinkPurpose, Record},
    timestamp::Timestamp,
    workflow::Step,
};

/// Nothing is at Stripe: the plan is set by hand, or not.
pub(super) fn set_without_customer(handle: HandleId, manual: Option<Manual>) -> Step<State> {
    let row = without_customer(handle, manual.as_ref(), PlanLinkChange::Keep);
    written(Step::to(State::Unbilled { handle, manual, reason: None }), row)
}

/// Nothing is at Stripe, and no link for whoever asked.
pub(super) fn unbilled(
    handle: HandleId,
    manual: Option<Manual>,
    failure: &Failure,
    request: Option<PlanLinkId>,
) -> Step<State> {
    let row = without_customer(handle, manual.as_ref(), failed(failure, request));
    let reason = Some(failure.code.clone());
    written(Step::to(State::Unbilled { handle, manual, reason }), row)
}

fn failed(failure: &Failure, request: Option<PlanLinkId>) -> PlanLinkChange {
    PlanLinkChange::Failed(PlanLinkFailure { request, message: failure.message.clone() })
}

/// Stripe is asked for one customer only: the wish waits for it.
pub(super) fn create_customer(wish: &Subscribe, manual: Option<Manual>) -> Step<State> {
    let effect = Effect::CreateCustomer { handle: wish.handle, name: wish.name.clone() };
    wished_for(wish.handle, manual, Box::new(wish.clone())).effect(effect)
}

/// The newest wish waits for the customer.
pub(super) fn wished_for(
    handle: HandleId,
    manual: Option<Manual>,
    wish: Box<Subscribe>,
) -> Step<State> {
    let link = PlanLinkChange::Asked(wish.request);
    creating_customer(handle, manual, wish, link)
}

pub(super) fn creating_customer(
    handle: HandleId,
    manual: Option<Manual>,
    wish: Box<Subscribe>,
    link: PlanLinkChange,
) -> Step<State> {
    let row = without_customer(handle, manual.as_ref(), link);
    written(Step::to(State::CreatingCustomer { handle, manual, wish }), row)
}

pub(super) fn customer_created(
    handle: HandleId,
    customer: &str,
    manual: Option<Manual>,
    wish: &Subscribe,
    at: Timestamp,
) -> Step<State> {
    let known = Known::new(handle, customer, manual);
    create_checkout(known, wish, at).record(Record::StripeObject(customer.to_owned()))
}

pub(super) fn create_checkout(known: Known, wish: &Subscribe, at: Timestamp) -> Step<State> {
    let effect = Effect::CreatePlanSession(Box::new(PlanSessionRequest {
        handle: known.handle,
        customer: known.customer.clone(),
        price: wish.price.clone(),
        success_url: wish.success_url.clone(),
        cancel_url: wish.cancel_url.clone(),
        expires_at: wish.expires_at,
        request: wish.request,
    }));
    creating_link(known, PlanLinkPurpose::Checkout, wish.request, at).effect(effect)
}

pub(super) fn create_portal_link(
    known: Known,
    return_url: &str,
    request: Option<PlanLinkId>,
    at: Timestamp,
) -> Step<State> {
    let (customer, return_url) = (known.customer.clone(), return_url.to_owned());
    let effect = Effect::CreatePortalSession { customer, return_url, request };
    creating_link(known, PlanLinkPurpose::Portal, request, at).effect(effect)
}

/// The plan stays what it is while a link is made.
fn creating_link(
    known: Known,
    purpose: PlanLinkPurpose,
    request: Option<PlanLinkId>,
    at: Timestamp,
) -> Step<State> {
    let known = Known { wanted: Some(Wanted { purpose, request }), ..known };
    step(State::CreatingLink { known }, PlanLinkChange::Asked(request), at)
}

/// A page that was opened.
pub(super) struct NewPage<'a> {
    /// `cs_…`
    pub session: &'a str,
    /// Where the creator subscribes: a secret.
    pub url: &'a str,
    /// When it closes by itself.
    pub until: Timestamp,
    /// Which request it answers.
    pub request: Option<PlanLinkId>,
}

/// Whoever subscribes on two pages pays twice: one page is handed out, to whoever asked last, and no page at all
/// for what is subscribed to meanwhile. The others are closed.
pub(super) fn checkout_created(
    state: &State,
    known: Known,
    page: &NewPage<'_>,
    at: Timestamp,
) -> Step<State> {
    let known = Known { open_until: known.open_until.max(Some(page.until)), looks: 0, ..known };
    let opened = OpenCheckout { session: page.session.to_owned(), until: page.until };
    let next = if !known.wants(page.request) {
        close(step(resumed(state, known, at), PlanLinkChange::Keep, at), Some(opened))
    } else if known.is_subscribed() {
        close(step(placed(known, at), PlanLinkChange::Drop, at), Some(opened))
    } else {
        let link = PlanLink {
            request: page.request,
            purpose: PlanLinkPurpose::Checkout,
            url: page.url.to_owned(),
            expires_at: page.until,
        };
        let replaced = known.checkout.clone();
        let known = Known { checkout: Some(opened), ..known };
        close(step(placed(known, at), PlanLinkChange::Set(link), at), replaced)
    };
    next.record(Record::StripeObject(page.session.to_owned()))
}

/// Whatever is done in the portal is looked for by the timer, too, should every webhook be lost.
pub(super) fn portal_created(
    known: Known,
    url: &str,
    expires_at: Timestamp,
    request: Option<PlanLinkId>,
    at: Timestamp,
) -> Step<State> {
    let (purpose, url) = (PlanLinkPurpose::Portal, url.to_owned());
    let link = PlanLink { request, purpose, url, expires_at };
    step(placed(Known { looks: 0, ..known }, at), PlanLinkChange::Set(link), at)
}

/// Without its customer nothing can be subscribed to: it is made anew with the next wish, unless that would
/// lose something. Then the readings find out whether it is gone.
pub(super) fn link_failed(
    known: Known,
    purpose: PlanLinkPurpose,
    failure: &Failure,
    request: Option<PlanLinkId>,
    at: Timestamp,
) -> Step<State> {
    let is_gone = purpose == PlanLinkPurpose::Checkout && failure.code == GONE;
    if !is_gone {
        return step(placed(known, at), failed(failure, request), at);
    }
    if !known.is_worth_keeping() {
        return unbilled(known.handle, known.manual, failure, request);
    }
    let (known, case) = missing(known, failure, at);
    step(placed(known, at), failed(failure, request), at).record(case)
}

pub(super) fn set_manually(state: &State, known: Known, at: Timestamp) -> Step<State> {
    step(resumed(state, known, at), PlanLinkChange::Keep, at)
}
