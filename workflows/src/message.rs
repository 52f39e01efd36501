//! Messages to runs: every event of every machine, with the subject it is about.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{
    checkout::{self, Checkout},
    connect_onboarding::{self, ConnectOnboarding},
    dispute::{self, Dispute},
    earnings_rollup::{self, EarningsRollup},
    group_buy::{self, GroupBuy},
    id::{
        CheckoutId, DisputeId, GroupBuyId, HandleId, MagicLinkId, PageId, PayoutId, RefundId, RunId,
    },
    magic_link::{self, MagicLink},
    page_publish::{self, PagePublish},
    payout::{self, Payout},
    plan_subscription::{self, PlanSubscription},
    refund::{self, Refund},
    workflow::Workflow,
};

/// An event on its way to a run, which begins with it if it does not exist.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Message {
    /// To a purchase.
    Checkout(CheckoutId, checkout::Event),
    /// To the onboarding of a handle.
    ConnectOnboarding(HandleId, connect_onboarding::Event),
    /// To the rollup of a handle.
    EarningsRollup(HandleId, earnings_rollup::Event),
    /// To a group buy.
    GroupBuy(GroupBuyId, group_buy::Event),
    /// To a magic link.
    MagicLink(MagicLinkId, magic_link::Event),
    /// To the publishing of a page.
    PagePublish(PageId, page_publish::Event),
    /// To a payout.
    Payout(PayoutId, payout::Event),
    /// To the plan of a handle.
    PlanSubscription(HandleId, plan_subscription::Event),
    /// To a refund.
    Refund(RefundId, refund::Event),
    /// To a dispute.
    Dispute(DisputeId, dispute::Event),
}

impl Message {
    /// The machine's name.
    pub fn workflow(&self) -> &'static str {
        match self {
            Self::Checkout(..) => Checkout::NAME,
            Self::ConnectOnboarding(..) => ConnectOnboarding::NAME,
            Self::EarningsRollup(..) => EarningsRollup::NAME,
            Self::GroupBuy(..) => GroupBuy::NAME,
            Self::MagicLink(..) => MagicLink::NAME,
            Self::PagePublish(..) => PagePublish::NAME,
            Self::Payout(..) => Payout::NAME,
            Self::PlanSubscription(..) => PlanSubscription::NAME,
            Self::Refund(..) => Refund::NAME,
            Self::Dispute(..) => Dispute::NAME,
        }
    }

    /// The id of what the run is about.
    pub fn subject(&self) -> Uuid {
        match self {
            Self::Checkout(id, _) => id.0,
            Self::ConnectOnboarding(id, _) | Self::EarningsRollup(id, _) => id.0,
            Self::GroupBuy(id, _) => id.0,
            Self::MagicLink(id, _) => id.0,
            Self::PagePublish(id, _) => id.0,
            Self::Refund(id, _) => id.0,
            Self::Dispute(id, _) => id.0,
            Self::Payout(id, _) => id.0,
            Self::PlanSubscription(id, _) => id.0,
        }
    }

    /// The run that the message goes to.
    pub fn run(&self) -> RunId {
        RunId::of(self.workflow(), self.subject())
    }

    /// The event as the inbox keeps it.
    pub fn event_json(&self) -> Result<String, serde_json::Error> {
        match self {
            Self::Checkout(_, event) => serde_json::to_string(event),
            Self::ConnectOnboarding(_, event) => serde_json::to_string(event),
            Self::EarningsRollup(_, event) => serde_json::to_string(event),
            Self::GroupBuy(_, event) => serde_json::to_string(event),
            Self::MagicLink(_, event) => serde_json::to_string(event),
            Self::PagePublish(_, event) => serde_json::to_string(event),
            Self::Payout(_, event) => serde_json::to_string(event),
            Self::PlanSubscription(_, event) => serde_json::to_string(event),
            Self::Refund(_, event) => serde_json::to_string(event),
            Self::Dispute(_, event) => serde_json::to_string(event),
        }
    }
}
