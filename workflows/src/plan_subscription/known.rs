//! What is known of a handle that Stripe knows as a customer.

use serde::{Deserialize, Serialize};

use crate::{
    id::{HandleId, PlanLinkId},
    plan::Plan,
    record::PlanLinkPurpose,
    stripe::{Subscription, SubscriptionStatus},
    timestamp::Timestamp,
};

/// What is known of a handle that Stripe knows as a customer.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Known {
    /// Whose plan.
    pub handle: HandleId,
    /// `cus_…`
    pub customer: String,
    /// Since when Stripe has said that there is no such customer, whenever it was asked.
    #[serde(default)]
    pub missing_since: Option<Timestamp>,
    /// The subscription, as it was last retrieved.
    pub subscription: Option<Subscription>,
    /// The newest request for a link: only its answer is handed out.
    #[serde(default)]
    pub wanted: Option<Wanted>,
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

/// A request for a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Wanted {
    /// What for.
    pub purpose: PlanLinkPurpose,
    /// Which; none, where it was made before requests had ids.
    pub request: Option<PlanLinkId>,
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

impl Known {
    /// Of a customer that was just made.
    pub(super) fn new(handle: HandleId, customer: &str, manual: Option<Manual>) -> Self {
        Self {
            handle,
            customer: customer.to_owned(),
            missing_since: None,
            subscription: None,
            wanted: None,
            checkout: None,
            open_until: None,
            grace: Grace::NotNeeded,
            manual,
            reading: Reading::Idle,
            readings: 0,
            looks: 0,
            posted: Vec::new(),
        }
    }

    pub(super) fn status(&self) -> Option<SubscriptionStatus> {
        self.subscription.as_ref().map(|subscription| subscription.status)
    }

    /// Whether there is a subscription that is paid for, or that is to be paid for still.
    pub(super) fn is_subscribed(&self) -> bool {
        self.subscription.as_ref().is_some_and(is_live)
    }

    /// Whether anything is lost if the customer is forgotten: a subscription, its first payment, or a page on
    /// which somebody may be subscribing right now.
    pub(super) fn is_worth_keeping(&self) -> bool {
        let subscription = match self.status() {
            Some(
                SubscriptionStatus::Active
                | SubscriptionStatus::PastDue
                | SubscriptionStatus::Incomplete,
            ) => true,
            Some(SubscriptionStatus::Ended) | None => false,
        };
        subscription || self.open_until.is_some()
    }

    /// Whether this is the request that gets the next link.
    pub(super) fn wants(&self, request: Option<PlanLinkId>) -> bool {
        self.wanted.and_then(|wanted| wanted.request) == request
    }

    /// Whether this is the answer to the newest reading. Those of before named no customer.
    pub(super) fn awaits(&self, reading: u32, customer: Option<&str>) -> bool {
        self.reading != Reading::Idle
            && self.readings == reading
            && customer.is_none_or(|customer| customer == self.customer)
    }
}

pub(super) fn is_live(subscription: &Subscription) -> bool {
    matches!(subscription.status, SubscriptionStatus::Active | SubscriptionStatus::PastDue)
}
