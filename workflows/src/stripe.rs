//! What Sluice takes over from Stripe's objects: the few facts that machines decide on.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{id::RefundId, money::Currency, plan::Plan, timestamp::Timestamp};

/// A Checkout Session as Stripe reported it, in a webhook or when it was retrieved.
/// <https://docs.stripe.com/api/checkout/sessions/object>
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Session {
    /// `cs_…`
    pub id: String,
    /// What came of it so far.
    pub outcome: Outcome,
}

/// What came of a Checkout Session: its `status` and `payment_status` read together.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, strum::IntoStaticStr)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// The buyer has not finished.
    Open,
    /// Complete, but the money is still on its way (a delayed payment method).
    Unpaid,
    /// The money is there.
    Paid(Payment),
    /// A delayed payment failed after the session was complete.
    PaymentFailed,
    /// Expired without a payment.
    Expired,
}

/// A payment that succeeded.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Payment {
    /// `pi_…`
    pub intent: String,
    /// Minor units that the buyer paid.
    pub amount: i64,
    /// What was paid in.
    pub currency: Currency,
}

/// A connected account as it was retrieved.
/// <https://docs.stripe.com/api/accounts/object>
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Account {
    /// `acct_…`
    pub id: String,
    /// May take charges.
    pub charges_enabled: bool,
    /// May be paid out.
    pub payouts_enabled: bool,
    /// Has been through the onboarding form.
    pub details_submitted: bool,
    /// The `transfers` capability is active: destination charges can pay this account.
    pub transfers_active: bool,
    /// The capabilities that were asked for, by Stripe's names.
    #[serde(default)]
    pub capabilities: BTreeMap<String, CapabilityStatus>,
    /// What Stripe still wants.
    pub requirements: Requirements,
}

impl Account {
    /// Whether destination charges can pay it.
    pub fn can_be_paid(&self) -> bool {
        self.charges_enabled && self.transfers_active
    }
}

/// `capability.status`, with those that Stripe has switched off counted as inactive.
/// <https://docs.stripe.com/api/capabilities/object>
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, strum::IntoStaticStr,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "SCREAMING_SNAKE_CASE")]
pub enum CapabilityStatus {
    /// It can be used.
    Active,
    /// Stripe is checking.
    Pending,
    /// It cannot be used.
    #[default]
    Inactive,
}

/// `account.requirements`.
/// <https://docs.stripe.com/connect/handling-api-verification>
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Requirements {
    /// Fields due by the deadline.
    pub currently_due: Vec<String>,
    /// Fields whose deadline passed.
    pub past_due: Vec<String>,
    /// Fields that Stripe is checking.
    pub pending_verification: Vec<String>,
    /// Fields that will be due, without a date.
    #[serde(default)]
    pub eventually_due: Vec<String>,
    /// What was wrong with what was given.
    #[serde(default)]
    pub errors: Vec<RequirementError>,
    /// When capabilities are lost if `currently_due` stays open.
    pub current_deadline: Option<Timestamp>,
    /// Why the account is disabled: an open set; `rejected.…` is final.
    pub disabled_reason: Option<String>,
}

/// Why Stripe did not accept what was given for a field.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct RequirementError {
    /// The field.
    pub requirement: String,
    /// Stripe's code: an open set.
    pub code: String,
    /// For a person.
    pub reason: String,
}

/// A refund as Stripe reported it.
/// <https://docs.stripe.com/api/refunds/object>
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Refund {
    /// `re_…`
    pub id: String,
    /// `pi_…`: the payment that is given back.
    pub payment_intent: String,
    /// Minor units given back to the buyer.
    pub amount: i64,
    /// Whether the money is on its way.
    pub status: RefundStatus,
    /// Who asked for it here; none, if it was made in Stripe's dashboard.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub asked: Option<RefundId>,
    /// Why it is pending or failed, in Stripe's words: an open set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// `refund.status`, with `requires_action` counted as pending.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, strum::IntoStaticStr)]
#[serde(rename_all = "snake_case")]
pub enum RefundStatus {
    /// On its way.
    Pending,
    /// Given back.
    Succeeded,
    /// Could not be given back.
    Failed,
    /// Called off before it happened.
    Canceled,
}

impl RefundStatus {
    /// Whether the buyer has the money, or is to have it.
    pub fn counts(self) -> bool {
        matches!(self, Self::Pending | Self::Succeeded)
    }
}

/// All that has come back of a payment, as it was retrieved: its charge, with its transfer, its application
/// fee, its refunds and its disputes. <https://docs.stripe.com/api/charges/object>
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Charge {
    /// `ch_…`
    pub id: String,
    /// Of every amount.
    pub currency: Currency,
    /// Every refund, the oldest first.
    pub refunds: Vec<Refund>,
    /// Every dispute, the oldest first.
    pub disputes: Vec<Dispute>,
    /// What was passed on to the creator with it; none, if nothing was.
    pub transfer: Option<Transfer>,
    /// What was passed on later, in the charge's [`transfer_group`], the oldest first.
    pub again: Vec<Transfer>,
    /// Minor units of the application fee that went back to the creator, all together.
    pub fee_returned: i64,
}

/// A transfer to a connected account. <https://docs.stripe.com/api/transfers/object>
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Transfer {
    /// `tr_…`
    pub id: String,
    /// Minor units that were passed on.
    pub amount: i64,
    /// Of every amount: that of the platform's balance.
    pub currency: Currency,
    /// `re_…` or `dp_…`, for which it passes something on again. None, if it came with the charge, or was made
    /// by hand.
    #[serde(default)]
    pub cause: Option<String>,
    /// What came back of it, the oldest first.
    pub reversals: Vec<TransferReversal>,
}

/// A part of a transfer that came back. <https://docs.stripe.com/api/transfer_reversals/object>
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct TransferReversal {
    /// `trr_…`
    pub id: String,
    /// Minor units.
    pub amount: i64,
    /// `re_…` or `dp_…`, with which or for which it came back. None, if somebody reversed it by hand.
    #[serde(default)]
    pub cause: Option<String>,
}

/// What the transfer group of a payment begins with; its payment intent follows.
pub const TRANSFER_GROUP: &str = "group_";

/// The transfer group of a payment: what Stripe itself names that of a destination charge.
/// <https://docs.stripe.com/connect/separate-charges-and-transfers#transfer-options>
pub fn transfer_group(payment_intent: &str) -> String {
    format!("{TRANSFER_GROUP}{payment_intent}")
}

/// A dispute as Stripe reported it. <https://docs.stripe.com/api/disputes/object>
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Dispute {
    /// `dp_…` or `du_…`
    pub id: String,
    /// Minor units in dispute: may be more than was paid.
    pub amount: i64,
    /// How far it is.
    pub status: DisputeStatus,
    /// Stripe's category: an open set.
    pub reason: String,
    /// Minor units that Stripe took from the platform.
    pub withdrawn: i64,
    /// Minor units that Stripe keeps for its trouble.
    pub fee: i64,
    /// Minor units of what was taken that came back.
    pub reinstated: i64,
    /// Minor units of the fee that came back.
    pub fee_reinstated: i64,
    /// Of what was taken and came back: that of the platform's balance.
    pub currency: Currency,
    /// Until when evidence is taken.
    pub evidence_due: Option<Timestamp>,
}

/// `dispute.status`. <https://docs.stripe.com/disputes/how-disputes-work>
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, strum::IntoStaticStr)]
#[serde(rename_all = "snake_case")]
pub enum DisputeStatus {
    /// `warning_…`: the bank asks; no money is taken, and the payment can still be refunded.
    Inquiry,
    /// `needs_response`
    NeedsResponse,
    /// `under_review`
    UnderReview,
    /// `won`
    Won,
    /// `lost`
    Lost,
    /// `warning_closed` or `prevented`: it came to nothing.
    Closed,
}

impl DisputeStatus {
    /// Whether the bank has not decided yet: the money is held, and nothing can be refunded.
    pub fn is_open(self) -> bool {
        matches!(self, Self::NeedsResponse | Self::UnderReview)
    }
}

/// A payout as Stripe reported it. <https://docs.stripe.com/api/payouts/object>
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Payout {
    /// `po_…`
    pub id: String,
    /// Minor units on their way to the bank.
    pub amount: i64,
    /// Of the amount.
    pub currency: Currency,
    /// How far it is.
    pub status: PayoutStatus,
    /// When the bank has it, or is to have it.
    pub arrives: Timestamp,
    /// Why it failed, in Stripe's words: an open set.
    pub failure: Option<String>,
}

/// `payout.status`
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    strum::IntoStaticStr,
    strum::EnumString,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "SCREAMING_SNAKE_CASE")]
pub enum PayoutStatus {
    /// `pending`: Stripe prepares it.
    Pending,
    /// `in_transit`: it was handed to the bank.
    InTransit,
    /// `paid`: it should be there. The bank may still refuse it within days.
    Paid,
    /// `failed`: the bank refused it, and the money is back.
    Failed,
    /// `canceled`: it was called off, and the money is back.
    Canceled,
}

/// The balance transaction of a charge, from which the processor's fee and the date of availability come.
/// <https://docs.stripe.com/api/balance_transactions/object>
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct BalanceTransaction {
    /// `txn_…`
    pub id: String,
    /// Minor units that came into the platform's balance, before the fee.
    #[serde(default)]
    pub amount: i64,
    /// Minor units that the processor kept.
    pub fee: i64,
    /// Of both: that of the platform's balance.
    pub currency: Currency,
    /// When the money can be paid out.
    pub available_on: Timestamp,
}

/// What a customer of the platform's pays for, as it was retrieved.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Billing {
    /// The subscription that counts: of several, the one that is furthest from its end.
    pub subscription: Option<Subscription>,
    /// `sub_…`: others that are paid for as well.
    pub others: Vec<String>,
    /// Paid invoices of more than nothing, the newest first, so many at most.
    pub paid: Vec<PaidInvoice>,
}

/// A subscription as it was retrieved.
/// <https://docs.stripe.com/api/subscriptions/object>
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Subscription {
    /// `sub_…`
    pub id: String,
    /// Whether it is paid for.
    pub status: SubscriptionStatus,
    /// `price_…`
    pub price: String,
    /// The plan that the price pays for, if configuration knows it.
    pub plan: Option<Plan>,
    /// When the period that was last billed began.
    pub period_start: Timestamp,
    /// When it ends: then it is renewed, or over.
    pub period_end: Timestamp,
    /// When it is over, if the creator has cancelled it.
    pub cancel_at: Option<Timestamp>,
}

/// `subscription.status`, as far as it matters here.
/// <https://docs.stripe.com/billing/subscriptions/overview#subscription-statuses>
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, strum::IntoStaticStr)]
#[serde(rename_all = "snake_case")]
pub enum SubscriptionStatus {
    /// `active` or `trialing`.
    Active,
    /// `past_due` or `unpaid`: a renewal failed.
    PastDue,
    /// `incomplete`: the first payment is under way.
    Incomplete,
    /// `canceled`, `incomplete_expired`, `paused`, or something newer than this release.
    Ended,
}

/// A paid invoice of a subscription.
/// <https://docs.stripe.com/api/invoices/object>
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct PaidInvoice {
    /// `in_…`
    pub id: String,
    /// Minor units that were paid.
    pub amount: i64,
    /// What was paid in.
    pub currency: Currency,
}
