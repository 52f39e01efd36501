//! Plan subscription: which plan a handle has, and how it pays for it. One run for each handle.
//!
//! It promises:
//! - one customer at Stripe for each handle, however often a plan or the portal is asked for;
//! - the plan follows only from what was *retrieved*, never from an event's body, so that late, early and
//!   repeated events cannot move it backwards;
//! - only the answer to the newest reading counts, so that an old one never overwrites a newer one;
//! - a payment that fails costs the plan only when the grace period is over, at a moment that was fixed when
//!   the failure was first seen;
//! - a plan that was set by hand wins until that is cleared, whatever happens at Stripe meanwhile;
//! - every paid invoice is posted, once;
//! - a lost webhook costs only time: a timer looks, often while something is open, daily while something is
//!   paid for.
//!
//! This file says which event leads where; `steps` says with which effects and records.
//!
//! Diagram: `workflows/diagrams/plan_subscription.mmd`, explored from this file.

mod steps;

use serde::{Deserialize, Serialize};

use crate::{
    effect::{Answer, Effect, Failure},
    id::HandleId,
    plan::Plan,
    record::PlanLinkPurpose,
    stripe::{Billing, Subscription},
    timestamp::Timestamp,
    workflow::{Refused, Standing, Step, Workflow},
};
use steps::*;

/// How long a plan whose payment failed is kept, in milliseconds.
pub const GRACE: i64 = 7 * Timestamp::DAY;

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

/// What is known of a handle that Stripe knows as a customer.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Known {
    /// Whose plan.
    pub handle: HandleId,
    /// `cus_…`
    pub customer: String,
    /// The subscription, as it was last retrieved.
    pub subscription: Option<Subscription>,
    /// The page that the creator has to subscribe on.
    pub checkout: Option<OpenCheckout>,
    /// Until when any page may be open, also one that was to be closed.
    pub open_until: Option<Timestamp>,
    /// Whether a plan whose payment failed is kept.
    pub grace: Grace,
    /// What was set by hand.
    pub manual: Option<Manual>,
    /// Whether Stripe is being read right now.
    pub reading: Reading,
    /// How many readings were begun.
    pub readings: u32,
    /// How often the timer has looked since something happened.
    pub looks: u8,
    /// `in_…`: the newest paid invoices, which are posted.
    pub posted: Vec<String>,
}

/// A page that the creator may still subscribe on.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct OpenCheckout {
    /// `cs_…`
    pub session: String,
    /// When it closes by itself.
    pub until: Timestamp,
}

/// Whether a plan whose payment failed is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Grace {
    /// No payment failed.
    NotNeeded,
    /// It is kept until then.
    Until(Timestamp),
    /// It was kept until then.
    Over(Timestamp),
}

/// A plan that was set by hand.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Manual {
    /// Which.
    pub plan: Plan,
    /// Why.
    pub reason: String,
}

/// Whether Stripe is being read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reading {
    /// No.
    Idle,
    /// Yes, since a moment.
    UnderWay(Timestamp),
    /// Yes, since a moment, and something happened since: read once more.
    OnceMore(Timestamp),
}

/// What can happen to the plan of a handle.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, strum::IntoStaticStr)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs, reason = "the variant's comment speaks of its fields")]
pub enum Event {
    /// The creator wants to subscribe to a plan.
    Subscribe(Box<Subscribe>),
    /// The creator wants to change or cancel, or to see invoices.
    OpenPortal { return_url: String },
    /// The customer exists.
    CustomerCreated { customer: String },
    /// Stripe will not make a customer.
    CustomerFailed(Failure),
    /// The page to subscribe on is open.
    CheckoutCreated { session: String, url: String, expires_at: Timestamp },
    /// The link to the portal was minted.
    PortalCreated { url: String, expires_at: Timestamp },
    /// Stripe will not open the page or mint the link.
    LinkFailed { purpose: PlanLinkPurpose, failure: Failure },
    /// Something about the subscription or its invoices changed: a webhook.
    Changed,
    /// What the handle pays for, as it is.
    BillingRetrieved { reading: u32, billing: Billing },
    /// It cannot be read.
    BillingUnreadable { reading: u32, failure: Failure },
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
}

/// The plan of a handle.
pub struct PlanSubscription;

impl Workflow for PlanSubscription {
    const NAME: &'static str = "plan_subscription";
    const VERSION: u32 = 1;
    type State = State;
    type Event = Event;
    const TIMER_FIRED: Event = Event::TimerFired;
    const CANCEL: Event = Event::Cancel;

    fn start(event: &Event, _at: Timestamp) -> Result<Step<State>, Refused> {
        match event {
            Event::Subscribe(wish) => Ok(create_customer(wish, None)),
            Event::SetManually { handle, manual } => Ok(unbilled(*handle, manual.clone(), None)),
            _ => Err(Refused::because("a plan begins with a wish, or is set by hand")),
        }
    }

    fn step(state: &State, event: &Event, at: Timestamp) -> Result<Step<State>, Refused> {
        use {Event as E, State as S};
        match (state.clone(), event) {
            (S::Unbilled { manual, .. }, E::Subscribe(wish)) => Ok(create_customer(wish, manual)),
            (S::Unbilled { handle, .. }, E::SetManually { manual, .. }) => {
                Ok(unbilled(handle, manual.clone(), None))
            }

            (S::CreatingCustomer { handle, manual, wish }, E::CustomerCreated { customer }) => {
                Ok(customer_created(handle, customer, manual, &wish, at))
            }
            (S::CreatingCustomer { handle, manual, .. }, E::CustomerFailed(failure)) => {
                Ok(unbilled(handle, manual, Some(failure)))
            }
            // A second wish while the customer is made: the newest wins.
            (S::CreatingCustomer { handle, manual, .. }, E::Subscribe(wish)) => {
                Ok(creating_customer(handle, manual, wish.clone()))
            }
            (S::CreatingCustomer { handle, wish, .. }, E::SetManually { manual, .. }) => {
                Ok(creating_customer(handle, manual.clone(), wish))
            }

            (
                S::CreatingLink { known: Known { subscription: Some(subscription), .. } }
                | S::Subscribed { known: Known { subscription: Some(subscription), .. } }
                | S::PastDue { known: Known { subscription: Some(subscription), .. } }
                | S::Lapsed { known: Known { subscription: Some(subscription), .. } },
                E::Subscribe(_),
            ) if is_live(&subscription) => {
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
                E::OpenPortal { return_url },
            ) => Ok(create_portal_link(known, return_url, at)),
            (
                S::CreatingLink { known }
                | S::AwaitingCheckout { known }
                | S::Subscribed { known }
                | S::PastDue { known }
                | S::Lapsed { known }
                | S::Unsubscribed { known },
                E::CheckoutCreated { session, url, expires_at },
            ) => Ok(checkout_created(known, session, url, *expires_at, at)),
            (
                S::CreatingLink { known }
                | S::AwaitingCheckout { known }
                | S::Subscribed { known }
                | S::PastDue { known }
                | S::Lapsed { known }
                | S::Unsubscribed { known },
                E::PortalCreated { url, expires_at },
            ) => Ok(portal_created(known, url, *expires_at, at)),
            (S::CreatingLink { known }, E::LinkFailed { failure, .. }) => {
                Ok(link_failed(known, failure, at))
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
                E::BillingRetrieved { reading, .. } | E::BillingUnreadable { reading, .. },
            ) if *reading != known.readings || known.reading == Reading::Idle => {
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
            (Effect::CreatePlanSession(request), Answer::PlanSessionCreated { session, url }) => {
                Event::CheckoutCreated {
                    session: session.clone(),
                    url: url.clone(),
                    expires_at: request.expires_at,
                }
            }
            (_, Answer::PortalSessionCreated { url, expires_at }) => {
                Event::PortalCreated { url: url.clone(), expires_at: *expires_at }
            }
            (Effect::RetrieveBilling { reading, .. }, Answer::BillingRetrieved(billing)) => {
                Event::BillingRetrieved { reading: *reading, billing: billing.clone() }
            }
            (Effect::CreateCustomer { .. }, Answer::Failed(failure)) => {
                Event::CustomerFailed(failure.clone())
            }
            (Effect::CreatePlanSession(_), Answer::Failed(failure)) => {
                Event::LinkFailed { purpose: PlanLinkPurpose::Checkout, failure: failure.clone() }
            }
            (Effect::CreatePortalSession { .. }, Answer::Failed(failure)) => {
                Event::LinkFailed { purpose: PlanLinkPurpose::Portal, failure: failure.clone() }
            }
            (Effect::RetrieveBilling { reading, .. }, Answer::Failed(failure)) => {
                Event::BillingUnreadable { reading: *reading, failure: failure.clone() }
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
            Event::CheckoutCreated { session, expires_at, .. } => Some(Event::CheckoutCreated {
                session: session.clone(),
                url: MASK.to_owned(),
                expires_at: *expires_at,
            }),
            Event::PortalCreated { expires_at, .. } => {
                Some(Event::PortalCreated { url: MASK.to_owned(), expires_at: *expires_at })
            }
            _ => None,
        }
    }
}
