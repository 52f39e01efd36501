//! Payment intents (<https://docs.stripe.com/api/payment_intents>), made when somebody pays a
//! checkout session.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::api::Call;
use crate::charge::Decline;
use crate::checkout_session::IntentData;
use crate::error::ApiError;
use crate::event::{self, EventKind};
use crate::list;
use crate::state::State;
use crate::table::Record;

/// An attempt, or several, to collect an amount.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct PaymentIntent {
    pub(crate) id: String,
    pub(crate) created: i64,
    pub(crate) account: Option<String>,
    /// In minor units of the currency.
    pub(crate) amount: i64,
    pub(crate) currency: String,
    pub(crate) status: IntentStatus,
    pub(crate) method: Method,
    pub(crate) customer: Option<String>,
    pub(crate) data: IntentData,
    /// The session that it was made for.
    pub(crate) session: Option<String>,
    /// The invoice that it pays.
    #[serde(default)]
    pub(crate) invoice: Option<String>,
    /// All charges, the latest last.
    pub(crate) charges: Vec<String>,
    pub(crate) last_decline: Option<Decline>,
    pub(crate) canceled_at: Option<i64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum IntentStatus {
    RequiresPaymentMethod,
    Processing,
    Succeeded,
    Canceled,
}

/// How the buyer pays: at once, or in a way that takes days.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Method {
    Card,
    SepaDebit,
}

impl Record for PaymentIntent {
    const NOUN: &'static str = "payment_intent";

    fn id(&self) -> &str {
        &self.id
    }

    fn created(&self) -> i64 {
        self.created
    }

    fn account(&self) -> Option<&str> {
        self.account.as_deref()
    }

    fn render(&self, _: &State) -> Value {
        let received = match self.status {
            IntentStatus::Succeeded => self.amount,
            _ => 0,
        };
        let latest_charge = self.charges.last();
        let last_error = self.last_decline.as_ref().map(|decline| decline.render(latest_charge));
        let transfer_data = self.data.destination.as_ref().map(|destination| {
            let mut data = json!({ "destination": destination });
            if let Some(amount) = self.data.transfer_amount {
                data["amount"] = amount.into();
            }
            data
        });
        json!({
            "id": self.id,
            "object": "payment_intent",
            "amount": self.amount,
            "amount_capturable": 0,
            "amount_details": { "tip": {} },
            "amount_received": received,
            "application": null,
            "application_fee_amount": self.data.application_fee_amount,
            "automatic_payment_methods": null,
            "canceled_at": self.canceled_at,
            "cancellation_reason": self.canceled_at.map(|_| "automatic"),
            "capture_method": "automatic_async",
            "client_secret": format!("{}_secret_simulated", self.id),
            "confirmation_method": "automatic",
            "created": self.created,
            "currency": self.currency,
            "customer": self.customer,
            "customer_account": null,
            "description": self.data.description,
            "excluded_payment_method_types": null,
            "last_payment_error": last_error,
            "latest_charge": latest_charge,
            "livemode": false,
            "managed_payments": { "enabled": false },
            "metadata": self.data.metadata,
            "next_action": null,
            "on_behalf_of": self.data.on_behalf_of,
            "payment_method": null,
            "payment_method_configuration_details": null,
            "payment_method_options": {},
            "payment_method_types": [self.method],
            "processing": null,
            "receipt_email": self.data.receipt_email,
            "review": null,
            "setup_future_usage": null,
            "shipping": null,
            "source": null,
            "statement_descriptor": null,
            "statement_descriptor_suffix": null,
            "status": self.status,
            "transfer_data": transfer_data,
            "transfer_group": self.data.transfer_group,
        })
    }
}

pub(crate) fn retrieve(state: &State, call: &Call, id: &str) -> Result<Value, ApiError> {
    let intent = state.payment_intents.find(id, call.account());
    intent
        .map(|intent| intent.render(state))
        .ok_or_else(|| ApiError::no_such(PaymentIntent::NOUN, id, "intent"))
}

pub(crate) fn update(state: &mut State, call: &Call, id: &str) -> Result<Value, ApiError> {
    retrieve(state, call, id)?;
    if let Some(intent) = state.payment_intents.get_mut(id) {
        call.form.merge_metadata("metadata", &mut intent.data.metadata)?;
        if let Some(description) = call.form.owned("description") {
            intent.data.description = Some(description);
        }
    }
    retrieve(state, call, id)
}

/// Filters: `customer`, `created`.
pub(crate) fn list(state: &State, call: &Call) -> Result<Value, ApiError> {
    list::respond(state, call, &state.payment_intents, |intent| {
        list::matches(&call.form, "customer", intent.customer.as_deref())
    })
}

/// Cancels an intent that waits for another attempt.
pub(crate) fn cancel(state: &mut State, id: &str) {
    let now = state.now();
    let Some(intent) = state.payment_intents.get_mut(id) else {
        return;
    };
    if intent.status != IntentStatus::RequiresPaymentMethod {
        return;
    }
    intent.status = IntentStatus::Canceled;
    intent.canceled_at = Some(now);
    announce(state, id, EventKind::PaymentIntentCanceled);
}

/// Emits an event about an intent.
pub(crate) fn announce(state: &mut State, id: &str, kind: EventKind) {
    let Some(intent) = state.payment_intents.get(id) else {
        return;
    };
    let (object, account) = (intent.render(state), intent.account.clone());
    event::emit(state, kind, account.as_deref(), &object);
}
