//! Charges (<https://docs.stripe.com/api/charges>): one attempt of a payment intent, successful or
//! not.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::api::Call;
use crate::error::ApiError;
use crate::event::{self, EventKind};
use crate::form::Metadata;
use crate::list::{self, Rest};
use crate::payment_intent::Method;
use crate::state::State;
use crate::table::Record;

/// A charge shows its latest refunds, as many as this.
const SHOWN_REFUNDS: usize = 10;

/// Money taken from a buyer, or not.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Charge {
    pub(crate) id: String,
    pub(crate) created: i64,
    pub(crate) account: Option<String>,
    /// In minor units of the currency.
    pub(crate) amount: i64,
    pub(crate) currency: String,
    pub(crate) method: Method,
    pub(crate) payment_intent: String,
    pub(crate) customer: Option<String>,
    pub(crate) email: Option<String>,
    pub(crate) description: Option<String>,
    pub(crate) metadata: Metadata,
    /// Why it failed. None: it succeeded.
    pub(crate) decline: Option<Decline>,
    pub(crate) balance_transaction: Option<String>,
    pub(crate) destination: Option<String>,
    pub(crate) transfer_amount: Option<i64>,
    pub(crate) transfer: Option<String>,
    pub(crate) transfer_group: Option<String>,
    pub(crate) on_behalf_of: Option<String>,
    pub(crate) application_fee_amount: Option<i64>,
    pub(crate) application_fee: Option<String>,
    /// Refunded and not failed, in minor units.
    pub(crate) amount_refunded: i64,
    /// All refunds, the latest last.
    pub(crate) refunds: Vec<String>,
    /// The sum of the refunds that took back a share of the transfer.
    pub(crate) refunded_from_transfer: i64,
    /// The sum of the refunds that gave back a share of the application fee.
    pub(crate) refunded_from_fee: i64,
    /// All disputes, the latest last.
    #[serde(default)]
    pub(crate) disputes: Vec<String>,
}

/// Why a charge failed.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Decline {
    pub(crate) code: String,
    pub(crate) decline_code: Option<String>,
    pub(crate) message: String,
}

impl Decline {
    /// The bank of a card says no.
    pub(crate) fn of_card() -> Self {
        Self {
            code: "card_declined".to_owned(),
            decline_code: Some("generic_decline".to_owned()),
            message: "Your card was declined.".to_owned(),
        }
    }

    /// The money of a delayed method does not come.
    pub(crate) fn of_delayed() -> Self {
        Self {
            code: "payment_intent_payment_attempt_failed".to_owned(),
            decline_code: None,
            message: "The payment failed.".to_owned(),
        }
    }

    /// As a payment intent's `last_payment_error`.
    pub(crate) fn render(&self, charge: Option<&String>) -> Value {
        let mut error = json!({
            "type": "card_error",
            "code": self.code,
            "charge": charge,
            "message": self.message,
        });
        if let Some(decline_code) = &self.decline_code {
            error["decline_code"] = decline_code.as_str().into();
        }
        error
    }
}

impl Charge {
    pub(crate) fn succeeded(&self) -> bool {
        self.decline.is_none()
    }

    fn outcome(&self) -> Value {
        let (network_status, seller_message, kind) = match self.decline {
            None => ("approved_by_network", "Payment complete.", "authorized"),
            Some(_) => ("declined_by_network", "The bank returned a decline.", "issuer_declined"),
        };
        let decline = self.decline.as_ref();
        json!({
            "advice_code": null,
            "network_advice_code": null,
            "network_decline_code": null,
            "network_status": network_status,
            "reason": decline.and_then(|decline| decline.decline_code.as_deref()),
            "risk_level": "normal",
            "seller_message": seller_message,
            "type": kind,
        })
    }
}

impl Record for Charge {
    const NOUN: &'static str = "charge";

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
        let shown = self.refunds.iter().rev().take(SHOWN_REFUNDS);
        let refunds = shown.filter_map(|id| state.render(id)).collect();
        let transfer_data = self.destination.as_ref().map(
            |destination| json!({ "amount": self.transfer_amount, "destination": destination }),
        );
        json!({
            "id": self.id,
            "object": "charge",
            "amount": self.amount,
            "amount_captured": if self.succeeded() { self.amount } else { 0 },
            "amount_refunded": self.amount_refunded,
            "application": null,
            "application_fee": self.application_fee,
            "application_fee_amount": self.application_fee_amount,
            "balance_transaction": self.balance_transaction,
            "billing_details": {
                "address": {
                    "city": null,
                    "country": null,
                    "line1": null,
                    "line2": null,
                    "postal_code": null,
                    "state": null,
                },
                "email": self.email,
                "name": null,
                "phone": null,
                "tax_id": null,
            },
            "calculated_statement_descriptor": "SIMULATOR",
            "captured": self.succeeded(),
            "created": self.created,
            "currency": self.currency,
            "customer": self.customer,
            "description": self.description,
            "destination": self.destination,
            "disputed": !self.disputes.is_empty(),
            "failure_balance_transaction": null,
            "failure_code": self.decline.as_ref().map(|decline| &decline.code),
            "failure_message": self.decline.as_ref().map(|decline| &decline.message),
            "fraud_details": {},
            "livemode": false,
            "metadata": self.metadata,
            "on_behalf_of": self.on_behalf_of,
            "outcome": self.outcome(),
            "paid": self.succeeded(),
            "payment_intent": self.payment_intent,
            "payment_method": self.id.replacen("ch_", "pm_", 1),
            "payment_method_details": method_details(self.method),
            "receipt_email": null,
            "receipt_number": null,
            "receipt_url": null,
            "refunded": self.succeeded() && self.amount_refunded == self.amount,
            "refunds": list::list(
                refunds,
                Rest::of(self.refunds.len(), SHOWN_REFUNDS),
                &format!("/v1/charges/{}/refunds", self.id),
            ),
            "review": null,
            "shipping": null,
            "source": null,
            "source_transfer": null,
            "statement_descriptor": null,
            "statement_descriptor_suffix": null,
            "status": if self.succeeded() { "succeeded" } else { "failed" },
            "transfer": self.transfer,
            "transfer_data": transfer_data,
            "transfer_group": self.transfer_group,
        })
    }
}

pub(crate) fn retrieve(state: &State, call: &Call, id: &str) -> Result<Value, ApiError> {
    let charge = state.charges.find(id, call.account()).map(|charge| charge.render(state));
    charge
        .or_else(|| {
            let payment = state.destination_payments.find(id, call.account())?;
            Some(payment.render(state))
        })
        .ok_or_else(|| ApiError::no_such(Charge::NOUN, id, "id"))
}

pub(crate) fn update(state: &mut State, call: &Call, id: &str) -> Result<Value, ApiError> {
    retrieve(state, call, id)?;
    if let Some(charge) = state.charges.get_mut(id) {
        call.form.merge_metadata("metadata", &mut charge.metadata)?;
        if let Some(description) = call.form.owned("description") {
            charge.description = Some(description);
        }
    }
    announce(state, id, EventKind::ChargeUpdated);
    retrieve(state, call, id)
}

/// Filters: `payment_intent`, `customer`, `transfer_group`, `created`.
pub(crate) fn list(state: &State, call: &Call) -> Result<Value, ApiError> {
    let keep = |charge: &Charge| {
        list::matches(&call.form, "customer", charge.customer.as_deref())
            && list::matches(&call.form, "transfer_group", charge.transfer_group.as_deref())
    };
    match call.form.text("payment_intent") {
        None => list::respond(state, call, &state.charges, keep),
        Some(intent) => {
            let intent = state.payment_intents.get(intent);
            let ids = intent.into_iter().flat_map(|intent| &intent.charges);
            list::respond_among(state, call, &state.charges, ids, keep)
        }
    }
}

/// When the money of a charge can be paid out or passed on, in seconds since 1970.
pub(crate) fn available_on(state: &State, id: &str) -> Option<i64> {
    let charge = state.charges.get(id)?;
    let transaction = state.balance_transactions.get(charge.balance_transaction.as_deref()?)?;
    Some(transaction.available_on())
}

/// Emits an event about a charge.
pub(crate) fn announce(state: &mut State, id: &str, kind: EventKind) {
    let Some(charge) = state.charges.get(id) else {
        return;
    };
    let (object, account) = (charge.render(state), charge.account.clone());
    event::emit(state, kind, account.as_deref(), &object);
}

fn method_details(method: Method) -> Value {
    match method {
        Method::SepaDebit => json!({
            "sepa_debit": {
                "bank_code": "37040044",
                "branch_code": "",
                "country": "DE",
                "expected_debit_date": null,
                "fingerprint": "simulated",
                "last4": "3000",
                "mandate": null,
            },
            "type": "sepa_debit",
        }),
        Method::Card => json!({
            "card": {
                "amount_authorized": null,
                "authorization_code": null,
                "brand": "visa",
                "checks": {
                    "address_line1_check": null,
                    "address_postal_code_check": null,
                    "cvc_check": "pass",
                },
                "country": "US",
                "exp_month": 8,
                "exp_year": 2034,
                "extended_authorization": { "status": "disabled" },
                "fingerprint": "simulated",
                "funding": "credit",
                "incremental_authorization": { "status": "unavailable" },
                "installments": null,
                "last4": "4242",
                "mandate": null,
                "multicapture": { "status": "unavailable" },
                "network": "visa",
                "network_token": { "used": false },
                "network_transaction_id": null,
                "overcapture": { "maximum_amount_capturable": 0, "status": "unavailable" },
                "regulated_status": "unregulated",
                "three_d_secure": null,
                "transaction_link_id": null,
                "wallet": null,
            },
            "type": "card",
        }),
    }
}
