//! Plan subscription: which plan a handle has, and how it pays for it. One run for each handle.
//!
//! It promises:
//! - one customer at Stripe for each handle, however often a plan or the portal is asked for;
//! - the plan follows only from what was *retrieved*, never from an event's body, so that late, early and
//!   repeated events cannot move it backwards;
//! - only the answer to the newest reading counts, so that an old one never overwrites a newer one;
//! - a payment that fails costs the plan only when the grace period is over, at a moment that was fixed when
//!   the failure was first seen;
//! - whoever pays keeps the plan when configuration forgets its price, and for a week when Stripe says that it
//!   does not know the customer: both may be a mistake of the platform's own, and a person is told;
//! - a plan that was set by hand wins until that is cleared, whatever happens at Stripe meanwhile;
//! - one page to subscribe on is handed out, to whoever asked last, and none for what is subscribed to: every
//!   other page is closed;
//! - every paid invoice is posted, once;
//! - a lost webhook costs only time: a timer looks, often while something is open, daily while something is
//!   paid for.
//!
//! This file says which event leads where; `steps` (links) and `reading` say with which effects and records, and
//! `placement` which state, timer and row follow from what is `known`.
//!
//! Diagram: `workflows/diagrams/plan_subscription.mmd`, explored from this file.

mod known;
mod placement;
mod reading;
mod steps;

use serde::{Deserialize, Serialize};

use crate::{
    effect::{Answer, Effect, Failure},
    id::{HandleId, PlanLinkId},
    record::{PlanLinkChange, PlanLinkPurpose},
    stripe::Billing,
    timestamp::Timestamp,
    workflow::{Refused, Standing, Step, Workflow},
};
use known::is_live;
pub use known::{Grace, Known, Manual, OpenCheckout, Reading, Wanted};
use reading::{look, retrieved, timer_fired, unreadable};
use steps::*;

/// How long a plan is kept whose payment failed, or whose customer Stripe does not know, in milliseconds.
pub const GRACE: i64 = 7 * Timestamp::DAY;

/// Until when a customer that is missing since a moment is not believed to be gone.
fn missing_until(since: Timestamp) -> Timestamp {
    since.plus(GRACE)
}

/// What the plan of a handle remembers. Links are not among it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, strum::IntoStaticStr)]
#[allow(missing_docs, reason = "the variant's comment speaks of its fields")]
pub enum State {
    /// Stripe knows nothing of the handle: the plan is the free one, or was set by hand.
    Unbilled { handle: HandleId, manual: Option<Manual>, reason: Option<String> },
    /// Stripe is asked for a customer.
    CreatingCustomer { handle: HandleId, manual: Option<Manual>, wish: Box<Subscribe> },
    /// Stripe is asked for a page to subscribe on, or for a link to the portal.
    CreatingLink { known: Known },
    /// The creator has the page to subscribe on.
    AwaitingCheckout { known: Known },
    /// The plan is paid for.
    Subscribed { known: Known },
    /// A payment failed; the plan is kept for a while.
    PastDue { known: Known },
    /// A payment failed, and the while is over: the plan is the free one until it is paid after all.
    Lapsed { known: Known },
    /// There is no subscription, or none any more.
    Unsubscribed { known: Known },
}

/// What can happen to the plan of a handle.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, strum::IntoStaticStr)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs, reason = "the variant's comment speaks of its fields")]
pub enum Event {
    /// The creator wants to subscribe to a plan.
    Subscribe(Box<Subscribe>),
    /// The creator wants to change or cancel, or to see invoices.
    OpenPortal {
        return_url: String,
        #[serde(default)]
        request: Option<PlanLinkId>,
    },
    /// The customer exists.
    CustomerCreated { customer: String },
    /// Stripe will not make a customer.
    CustomerFailed(Failure),
    /// The page to subscribe on is open.
    CheckoutCreated {
        session: String,
        url: String,
        expires_at: Timestamp,
        #[serde(default)]
        request: Option<PlanLinkId>,
    },
    /// The link to the portal was minted.
    PortalCreated {
        url: String,
        expires_at: Timestamp,
        #[serde(default)]
        request: Option<PlanLinkId>,
    },
    /// Stripe will not open the page or mint the link.
    LinkFailed {
        purpose: PlanLinkPurpose,
        failure: Failure,
        #[serde(default)]
        request: Option<PlanLinkId>,
    },
    /// Something about the subscription or its invoices changed: a webhook.
    Changed,
    /// What the handle pays for, as it is.
    BillingRetrieved {
        reading: u32,
        #[serde(default)]
        customer: Option<String>,
        billing: Billing,
    },
    /// It cannot be read.
    BillingUnreadable {
        reading: u32,
        #[serde(default)]
        customer: Option<String>,
        failure: Failure,
    },
    /// A person of the platform's sets the plan, or clears (`None`) what was set.
    SetManually { handle: HandleId, manual: Option<Manual> },
    /// Not used: a subscription is cancelled in the portal.
    Cancel,
    /// The timer: time to look.
    TimerFired,
}

/// A wish to subscribe.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Subscribe {
    /// Whose.
    pub handle: HandleId,
    /// As people read the handle.
    pub name: String,
    /// `price_…` of the plan.
    pub price: String,
    /// Where the creator goes after subscribing.
    pub success_url: String,
    /// Where the creator goes without subscribing.
    pub cancel_url: String,
    /// When the page closes by itself: 30 minutes to 24 hours on, says Stripe.
    pub expires_at: Timestamp,
    /// Which request it is; none, where it was made before requests had ids.
    #[serde(default)]
    pub request: Option<PlanLinkId>,
}

/// The plan of a handle.
pub struct PlanSubscription;

impl Workflow for PlanSubscription {
    const NAME: &'static str = "plan_subscription";
    const VERSION: u32 = 2;
    type State = State;
    type Event = Event;
    const TIMER_FIRED: Event = Event::TimerFired;
    const CANCEL: Event = Event::Cancel;

    fn start(event: &Event, _at: Timestamp) -> Result<Step<State>, Refused> {
        match event {
            Event::Subscribe(wish) => Ok(create_customer(wish, None)),
            Event::SetManually { handle, manual } => {
                Ok(set_without_customer(*handle, manual.clone()))
            }
            _ => Err(Refused::because("a plan begins with a wish, or is set by hand")),
        }
    }

    fn step(state: &State, event: &Event, at: Timestamp) -> Result<Step<State>, Refused> {
        use {Event as E, State as S};
        match (state.clone(), event) {
            (S::Unbilled { manual, .. }, E::Subscribe(wish)) => Ok(create_customer(wish, manual)),
            (S::Unbilled { handle, .. }, E::SetManually { manual, .. }) => {
                Ok(set_without_customer(handle, manual.clone()))
            }

            (S::CreatingCustomer { handle, manual, wish }, E::CustomerCreated { customer }) => {
                Ok(customer_created(handle, customer, manual, &wish, at))
            }
            (S::CreatingCustomer { handle, manual, wish }, E::CustomerFailed(failure)) => {
                Ok(unbilled(handle, manual, failure, wish.request))
            }
            // A second wish while the customer is made: the newest wins.
            (S::CreatingCustomer { handle, manual, .. }, E::Subscribe(wish)) => {
                Ok(wished_for(handle, manual, wish.clone()))
            }
            (S::CreatingCustomer { handle, wish, .. }, E::SetManually { manual, .. }) => {
                Ok(creating_customer(handle, manual.clone(), wish, PlanLinkChange::Keep))
            }

            (
                S::CreatingLink { known }
                | S::Subscribed { known }
                | S::PastDue { known }
                | S::Lapsed { known },
                E::Subscribe(_),
            ) if known.is_subscribed() => {
                Err(Refused::because("there is a subscription: it is changed in the portal"))
            }
            (
                S::CreatingLink { known }
                | S::AwaitingCheckout { known }
                | S::Unsubscribed { known },
                E::Subscribe(wish),
            ) => Ok(create_checkout(known, wish, at)),
            (
                S::CreatingLink { known }
                | S::AwaitingCheckout { known }
                | S::Subscribed { known }
                | S::PastDue { known }
                | S::Lapsed { known }
                | S::Unsubscribed { known },
                E::OpenPortal { return_url, request },
            ) => Ok(create_portal_link(known, return_url, *request, at)),
            (
                S::CreatingLink { known }
                | S::AwaitingCheckout { known }
                | S::Subscribed { known }
                | S::PastDue { known }
                | S::Lapsed { known }
                | S::Unsubscribed { known },
                E::CheckoutCreated { session, url, expires_at: until, request },
            ) => {
                let page = NewPage { session, url, until: *until, request: *request };
                Ok(checkout_created(state, known, &page, at))
            }
            (
                S::CreatingLink { known }
                | S::AwaitingCheckout { known }
                | S::Subscribed { known }
                | S::PastDue { known }
                | S::Lapsed { known }
                | S::Unsubscribed { known },
                E::PortalCreated { request, .. } | E::LinkFailed { request, .. },
            ) if !known.wants(*request) => {
                Err(Refused::because("a newer request took the place of this one"))
            }
            (
                S::CreatingLink { known }
                | S::AwaitingCheckout { known }
                | S::Subscribed { known }
                | S::PastDue { known }
                | S::Lapsed { known }
                | S::Unsubscribed { known },
                E::PortalCreated { url, expires_at, request },
            ) => Ok(portal_created(known, url, *expires_at, *request, at)),
            (S::CreatingLink { known }, E::LinkFailed { purpose, failure, request }) => {
                Ok(link_failed(known, *purpose, failure, *request, at))
            }

            (
                S::CreatingLink { known }
                | S::AwaitingCheckout { known }
                | S::Subscribed { known }
                | S::PastDue { known }
                | S::Lapsed { known }
                | S::Unsubscribed { known },
                E::Changed,
            ) => look(state, Known { looks: 0, ..known }, at),
            (
                S::CreatingLink { known }
                | S::AwaitingCheckout { known }
                | S::Subscribed { known }
                | S::PastDue { known }
                | S::Lapsed { known }
                | S::Unsubscribed { known },
                E::TimerFired,
            ) => Ok(timer_fired(state, known, at)),
            (
                S::CreatingLink { known }
                | S::AwaitingCheckout { known }
                | S::Subscribed { known }
                | S::PastDue { known }
                | S::Lapsed { known }
                | S::Unsubscribed { known },
                E::BillingRetrieved { reading, customer, .. }
                | E::BillingUnreadable { reading, customer, .. },
            ) if !known.awaits(*reading, customer.as_deref()) => {
                Err(Refused::because("this is the answer to an earlier reading"))
            }
            (
                S::CreatingLink { known }
                | S::AwaitingCheckout { known }
                | S::Subscribed { known }
                | S::PastDue { known }
                | S::Lapsed { known }
                | S::Unsubscribed { known },
                E::BillingRetrieved { billing, .. },
            ) => Ok(retrieved(state, known, billing, at)),
            (
                S::CreatingLink { known }
                | S::AwaitingCheckout { known }
                | S::Subscribed { known }
                | S::PastDue { known }
                | S::Lapsed { known }
                | S::Unsubscribed { known },
                E::BillingUnreadable { failure, .. },
            ) => Ok(unreadable(state, known, failure, at)),

            (
                S::CreatingLink { known }
                | S::AwaitingCheckout { known }
                | S::Subscribed { known }
                | S::PastDue { known }
                | S::Lapsed { known }
                | S::Unsubscribed { known },
                E::SetManually { manual, .. },
            ) => Ok(set_manually(state, Known { manual: manual.clone(), ..known }, at)),

            (
                S::Unbilled { .. }
                | S::CreatingCustomer { .. }
                | S::CreatingLink { .. }
                | S::AwaitingCheckout { .. }
                | S::Subscribed { .. }
                | S::PastDue { .. }
                | S::Lapsed { .. }
                | S::Unsubscribed { .. },
                _,
            ) => Err(Refused::unplaced(state, event)),
        }
    }

    fn on_answer(effect: &Effect, answer: &Answer) -> Option<Event> {
        Some(match (effect, answer) {
            (_, Answer::CustomerCreated { customer }) => {
                Event::CustomerCreated { customer: customer.clone() }
            }
            (Effect::CreatePlanSession(wish), Answer::PlanSessionCreated { session, url }) => {
                Event::CheckoutCreated {
                    session: session.clone(),
                    url: url.clone(),
                    expires_at: wish.expires_at,
                    request: wish.request,
                }
            }
            (
                Effect::CreatePortalSession { request, .. },
                Answer::PortalSessionCreated { url, expires_at },
            ) => Event::PortalCreated {
                url: url.clone(),
                expires_at: *expires_at,
                request: *request,
            },
            (Effect::RetrieveBilling { reading, customer }, Answer::BillingRetrieved(billing)) => {
                Event::BillingRetrieved {
                    reading: *reading,
                    customer: Some(customer.clone()),
                    billing: billing.clone(),
                }
            }
            (Effect::CreateCustomer { .. }, Answer::Failed(failure)) => {
                Event::CustomerFailed(failure.clone())
            }
            (Effect::CreatePlanSession(wish), Answer::Failed(failure)) => Event::LinkFailed {
                purpose: PlanLinkPurpose::Checkout,
                failure: failure.clone(),
                request: wish.request,
            },
            (Effect::CreatePortalSession { request, .. }, Answer::Failed(failure)) => {
                Event::LinkFailed {
                    purpose: PlanLinkPurpose::Portal,
                    failure: failure.clone(),
                    request: *request,
                }
            }
            (Effect::RetrieveBilling { reading, customer }, Answer::Failed(failure)) => {
                Event::BillingUnreadable {
                    reading: *reading,
                    customer: Some(customer.clone()),
                    failure: failure.clone(),
                }
            }
            // Nobody waits for a page to close: should it be used all the same, reading tells.
            _ => return None,
        })
    }

    fn standing(state: &State) -> Standing {
        match state {
            State::CreatingCustomer { .. } => Standing::waiting("Stripe to make the customer"),
            State::CreatingLink { .. } => Standing::waiting("Stripe to make the link"),
            State::AwaitingCheckout { known: Known { checkout: Some(checkout), .. } } => {
                Standing::waiting_until("the creator to subscribe", checkout.until)
            }
            State::PastDue { known: Known { grace: Grace::Until(until), .. } } => {
                Standing::waiting_until("the creator to pay for the plan", *until)
            }
            State::AwaitingCheckout { .. } => Standing::waiting("the creator to subscribe"),
            State::PastDue { .. } => Standing::waiting("the creator to pay for the plan"),
            State::Unbilled { .. }
            | State::Subscribed { .. }
            | State::Lapsed { .. }
            | State::Unsubscribed { .. } => Standing::Done,
        }
    }

    /// Links are secrets, and short-lived.
    fn masked(event: &Event) -> Option<Event> {
        const MASK: &str = "(masked)";
        match event {
            Event::CheckoutCreated { session, expires_at, request, .. } => {
                Some(Event::CheckoutCreated {
                    session: session.clone(),
                    url: MASK.to_owned(),
                    expires_at: *expires_at,
                    request: *request,
                })
            }
            Event::PortalCreated { expires_at, request, .. } => Some(Event::PortalCreated {
                url: MASK.to_owned(),
                expires_at: *expires_at,
                request: *request,
            }),
            _ => None,
        }
    }
}
