//! Subscriptions (<https://docs.stripe.com/api/subscriptions>): prices billed to a customer every
//! period until somebody ends it. What happens as periods end is in `billing`.

mod change;
mod items;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::api::Call;
use crate::error::ApiError;
use crate::event::{self, EventKind};
use crate::form::Metadata;
use crate::invoice::Line;
use crate::list::{self, Rest};
use crate::period::{Interval, Period};
use crate::state::State;
use crate::table::Record;

pub(crate) use change::{
    NewSubscription, Renewal, cancel, create, make, retime, set_renewal, update,
};
pub(crate) use items::{Item, replace_price};

/// What a customer pays for again and again.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Subscription {
    pub(crate) id: String,
    pub(crate) created: i64,
    pub(crate) account: Option<String>,
    pub(crate) customer: String,
    pub(crate) status: SubscriptionStatus,
    pub(crate) items: Vec<Item>,
    pub(crate) currency: String,
    pub(crate) metadata: Metadata,
    pub(crate) description: Option<String>,
    /// Periods are counted from here, in seconds since 1970 as all instants.
    pub(crate) anchor: i64,
    pub(crate) period_start: i64,
    pub(crate) period_end: i64,
    pub(crate) trial: Option<Trial>,
    pub(crate) cancel_at_period_end: bool,
    pub(crate) canceled_at: Option<i64>,
    pub(crate) ended_at: Option<i64>,
    pub(crate) cancellation: Cancellation,
    pub(crate) latest_invoice: Option<String>,
    /// What changes in the middle of a period add to the next invoice.
    pub(crate) pending: Vec<Line>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum SubscriptionStatus {
    /// The first invoice is not paid yet.
    Incomplete,
    /// The first invoice was not paid in time.
    IncompleteExpired,
    Trialing,
    Active,
    /// An invoice could not be collected; it is tried again.
    PastDue,
    /// It lives on without being collected.
    Unpaid,
    Canceled,
}

/// The time before the first payment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Trial {
    pub(crate) start: i64,
    pub(crate) end: i64,
}

/// What is known of why it ends or ended.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Cancellation {
    pub(crate) reason: Option<Reason>,
    pub(crate) comment: Option<String>,
    pub(crate) feedback: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Reason {
    #[serde(rename = "cancellation_requested")]
    Requested,
    #[serde(rename = "payment_failed")]
    PaymentFailed,
}

impl Subscription {
    pub(crate) fn has_ended(&self) -> bool {
        matches!(self.status, SubscriptionStatus::Canceled | SubscriptionStatus::IncompleteExpired)
    }

    /// How often it is billed; all items have that in common.
    pub(crate) fn period(&self, state: &State) -> Period {
        let price = self.items.first().and_then(|item| state.prices.get(&item.price));
        price
            .and_then(|price| price.recurring)
            .unwrap_or(Period { interval: Interval::Month, count: 1 })
    }
}

impl Record for Subscription {
    const NOUN: &'static str = "subscription";

    fn id(&self) -> &str {
        &self.id
    }

    fn created(&self) -> i64 {
        self.created
    }

    fn account(&self) -> Option<&str> {
        self.account.as_deref()
    }

    fn render(&self, state: &State) -> Value {
        let items = self.items.iter().map(|item| item.render(state, self)).collect();
        let url = format!("/v1/subscription_items?subscription={}", self.id);
        let card = state.customers.get(&self.customer).and_then(|customer| customer.card.as_ref());
        let cancel_at = self.cancel_at_period_end.then_some(self.period_end);
        json!({
            "id": self.id,
            "object": "subscription",
            "application": null,
            "application_fee_percent": null,
            "automatic_tax": { "disabled_reason": null, "enabled": false, "liability": null },
            "billing_cycle_anchor": self.anchor,
            "billing_cycle_anchor_config": null,
            "billing_mode": { "flexible": null, "type": "classic" },
            "billing_schedules": [],
            "billing_thresholds": null,
            "cancel_at": cancel_at,
            "cancel_at_period_end": self.cancel_at_period_end,
            "canceled_at": self.canceled_at,
            "cancellation_details": {
                "comment": self.cancellation.comment,
                "feedback": self.cancellation.feedback,
                "reason": self.cancellation.reason,
            },
            "collection_method": "charge_automatically",
            "created": self.created,
            "currency": self.currency,
            "customer": self.customer,
            "customer_account": null,
            "days_until_due": null,
            "default_payment_method": card.map(|card| &card.id),
            "default_source": null,
            "default_tax_rates": [],
            "description": self.description,
            "discounts": [],
            "ended_at": self.ended_at,
            "invoice_settings": {
                "account_tax_ids": null,
                "custom_fields": null,
                "description": null,
                "footer": null,
                "issuer": { "type": "self" },
            },
            "items": list::list(items, Rest::Nothing, &url),
            "latest_invoice": self.latest_invoice,
            "livemode": false,
            "managed_payments": { "enabled": false },
            "metadata": self.metadata,
            "next_pending_invoice_item_invoice": null,
            "on_behalf_of": null,
            "pause_collection": null,
            "payment_settings": {
                "payment_method_options": null,
                "payment_method_types": null,
                "save_default_payment_method": "off",
            },
            "pending_invoice_item_interval": null,
            "pending_setup_intent": null,
            "pending_update": null,
            "schedule": null,
            "start_date": self.created,
            "status": self.status,
            "test_clock": null,
            "transfer_data": null,
            "trial_end": self.trial.map(|trial| trial.end),
            "trial_settings": { "end_behavior": { "missing_payment_method": "create_invoice" } },
            "trial_start": self.trial.map(|trial| trial.start),
        })
    }
}

pub(crate) fn retrieve(state: &State, call: &Call, id: &str) -> Result<Value, ApiError> {
    existing(state, call, id).map(|subscription| subscription.render(state))
}

/// Filters: `customer`, `price`, `status`, `created`. Without a status: all but canceled ones.
pub(crate) fn list(state: &State, call: &Call) -> Result<Value, ApiError> {
    let (form, status) = (&call.form, call.form.text("status"));
    list::respond(state, call, &state.subscriptions, |subscription| {
        let price = form.text("price");
        let wanted = match status {
            None => subscription.status != SubscriptionStatus::Canceled,
            Some("all") => true,
            Some("ended") => subscription.has_ended(),
            Some(status) => json!(subscription.status) == status,
        };
        wanted
            && list::matches(form, "customer", Some(&subscription.customer))
            && price.is_none_or(|price| subscription.items.iter().any(|item| item.price == price))
    })
}

/// The subscriptions of a customer that have not ended, by id.
pub(crate) fn of_customer(state: &State, customer: &str) -> Vec<String> {
    state
        .subscriptions
        .iter()
        .filter(|subscription| subscription.customer == customer && !subscription.has_ended())
        .map(|subscription| subscription.id.clone())
        .collect()
}

/// Ends a subscription at once. What is open is not collected any more.
pub(crate) fn end(state: &mut State, id: &str, reason: Reason) {
    let now = state.now();
    let Some(subscription) = state.subscriptions.get_mut(id) else {
        return;
    };
    if subscription.has_ended() {
        return;
    }
    subscription.status = SubscriptionStatus::Canceled;
    subscription.canceled_at.get_or_insert(now);
    subscription.ended_at = Some(now);
    subscription.cancellation.reason.get_or_insert(reason);
    subscription.pending.clear();
    announce(state, id, EventKind::CustomerSubscriptionDeleted);
}

/// Lets it have another status, and says so if it is another one.
pub(crate) fn become_status(state: &mut State, id: &str, status: SubscriptionStatus) {
    let Some(subscription) = state.subscriptions.get_mut(id) else {
        return;
    };
    if subscription.status != status {
        subscription.status = status;
        announce(state, id, EventKind::CustomerSubscriptionUpdated);
    }
}

/// Emits an event about a subscription.
pub(crate) fn announce(state: &mut State, id: &str, kind: EventKind) {
    let Some(subscription) = state.subscriptions.get(id) else {
        return;
    };
    let (object, account) = (subscription.render(state), subscription.account.clone());
    event::emit(state, kind, account.as_deref(), &object);
}

fn existing<'a>(state: &'a State, call: &Call, id: &str) -> Result<&'a Subscription, ApiError> {
    let subscription = state.subscriptions.find(id, call.account());
    subscription.ok_or_else(|| ApiError::no_such(Subscription::NOUN, id, "id"))
}
