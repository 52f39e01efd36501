//! Refunds (<https://docs.stripe.com/api/refunds>), through the API or in the dashboard.

mod share;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::api::Call;
use crate::balance_transaction::{self, Movement, Posting};
use crate::charge::{self, Charge};
use crate::error::ApiError;
use crate::event::{self, EventKind};
use crate::form::Metadata;
use crate::list;
use crate::money;
use crate::state::State;
use crate::table::Record;

pub(crate) use share::ShareOf;

const REASONS: [&str; 3] = ["duplicate", "fraudulent", "requested_by_customer"];

/// Money given back to a buyer.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Refund {
    id: String,
    created: i64,
    account: Option<String>,
    charge: String,
    payment_intent: String,
    /// In minor units of the currency.
    pub(crate) amount: i64,
    currency: String,
    pub(crate) status: RefundStatus,
    reason: Option<String>,
    metadata: Metadata,
    balance_transaction: String,
    failure_balance_transaction: Option<String>,
    transfer_reversal: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum RefundStatus {
    Pending,
    Succeeded,
    Failed,
}

/// What is asked for.
#[derive(Debug, Default)]
pub(crate) struct NewRefund {
    /// In minor units. None: all that is left.
    pub(crate) amount: Option<i64>,
    pub(crate) reason: Option<String>,
    pub(crate) metadata: Metadata,
    pub(crate) transfer: ShareOf,
    pub(crate) application_fee: ShareOf,
}

impl Record for Refund {
    const NOUN: &'static str = "refund";

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
        let mut refund = json!({
            "id": self.id,
            "object": "refund",
            "amount": self.amount,
            "balance_transaction": self.balance_transaction,
            "charge": self.charge,
            "created": self.created,
            "currency": self.currency,
            "customer": null,
            "customer_account": null,
            "destination_details": { "card": { "type": "refund" }, "type": "card" },
            "metadata": self.metadata,
            "payment_intent": self.payment_intent,
            "payment_method": null,
            "reason": self.reason,
            "receipt_number": null,
            "source_transfer_reversal": null,
            "status": self.status,
            "transfer_reversal": self.transfer_reversal,
        });
        match self.status {
            RefundStatus::Pending => refund["pending_reason"] = "insufficient_funds".into(),
            RefundStatus::Failed => {
                refund["failure_reason"] = "expired_or_canceled_card".into();
                refund["failure_balance_transaction"] = json!(self.failure_balance_transaction);
            }
            RefundStatus::Succeeded => {}
        }
        refund
    }
}

pub(crate) fn create(state: &mut State, call: &Call) -> Result<Value, ApiError> {
    let form = &call.form;
    let reason = form.owned("reason");
    if reason.as_deref().is_some_and(|reason| !REASONS.contains(&reason)) {
        let message = format!("Invalid reason: must be one of {}", REASONS.join(", "));
        return Err(ApiError::invalid("reason", message));
    }
    let new = NewRefund {
        amount: form.positive("amount")?,
        reason,
        metadata: form.metadata("metadata")?,
        transfer: form.flag("reverse_transfer")?.into(),
        application_fee: form.flag("refund_application_fee")?.into(),
    };
    let charge = charge_of(state, call)?;
    let refund = give(state, &charge, new)?;
    retrieve(state, call, &refund)
}

/// Refunds a charge and gives the id of the refund.
pub(crate) fn give(state: &mut State, charge_id: &str, new: NewRefund) -> Result<String, ApiError> {
    let charge = state
        .charges
        .get(charge_id)
        .ok_or_else(|| ApiError::no_such(Charge::NOUN, charge_id, "charge"))?;
    let amount = refundable_amount(charge, &new)?;
    let (account, currency) = (charge.account.clone(), charge.currency.clone());
    let payment_intent = charge.payment_intent.clone();

    let id = state.ids.next("re_");
    let posting = Posting {
        account: account.as_deref(),
        movement: Movement::Refund,
        source: &id,
        amount: -amount,
        fee: 0,
        currency: &currency,
        description: None,
    };
    let balance_transaction = balance_transaction::post(state, &posting);
    if let Some(charge) = state.charges.get_mut(charge_id) {
        charge.amount_refunded += amount;
        charge.refunds.push(id.clone());
    }
    let transfer_reversal = match new.transfer {
        ShareOf::GivenBack => share::take_back_of_transfer(state, charge_id, &id, amount),
        ShareOf::Kept => None,
    };
    if new.application_fee == ShareOf::GivenBack {
        share::give_back_of_fee(state, charge_id, amount);
    }
    let status = if state.luck.of_refund_is_pending() {
        RefundStatus::Pending
    } else {
        RefundStatus::Succeeded
    };
    state.refunds.insert(Refund {
        id: id.clone(),
        created: state.now(),
        account,
        charge: charge_id.to_owned(),
        payment_intent,
        amount,
        currency,
        status,
        reason: new.reason,
        metadata: new.metadata,
        balance_transaction,
        failure_balance_transaction: None,
        transfer_reversal,
    });
    announce(state, &id, EventKind::RefundCreated);
    charge::announce(state, charge_id, EventKind::ChargeRefunded);
    Ok(id)
}

/// What the control interface makes of a refund: what the bank says later.
pub(crate) fn set_status(
    state: &mut State,
    id: &str,
    status: RefundStatus,
) -> Result<(), StatusError> {
    let refund = state.refunds.get_mut(id).ok_or(StatusError::NoSuchRefund)?;
    if refund.status == RefundStatus::Failed && status != RefundStatus::Failed {
        return Err(StatusError::Failed);
    }
    if refund.status == status {
        return Ok(());
    }
    refund.status = status;
    let (charge, amount) = (refund.charge.clone(), refund.amount);
    if status != RefundStatus::Failed {
        announce(state, id, EventKind::RefundUpdated);
        return Ok(());
    }
    let (account, currency) = (refund.account.clone(), refund.currency.clone());
    let posting = Posting {
        account: account.as_deref(),
        movement: Movement::RefundFailure,
        source: id,
        amount,
        fee: 0,
        currency: &currency,
        description: None,
    };
    let returned = balance_transaction::post(state, &posting);
    if let Some(refund) = state.refunds.get_mut(id) {
        refund.failure_balance_transaction = Some(returned);
    }
    // The money is the platform's again. What was taken back of the transfer and given back of the
    // fee stays where it is: Stripe's documentation tells of no undoing of these.
    if let Some(charge) = state.charges.get_mut(&charge) {
        charge.amount_refunded -= amount;
    }
    announce(state, id, EventKind::RefundUpdated);
    announce(state, id, EventKind::RefundFailed);
    charge::announce(state, &charge, EventKind::ChargeUpdated);
    Ok(())
}

/// Why a refund cannot take a status.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum StatusError {
    NoSuchRefund,
    /// A failed refund stays failed.
    Failed,
}

pub(crate) fn retrieve(state: &State, call: &Call, id: &str) -> Result<Value, ApiError> {
    let refund = state.refunds.find(id, call.account());
    refund
        .map(|refund| refund.render(state))
        .ok_or_else(|| ApiError::no_such(Refund::NOUN, id, "refund"))
}

pub(crate) fn update(state: &mut State, call: &Call, id: &str) -> Result<Value, ApiError> {
    retrieve(state, call, id)?;
    if let Some(refund) = state.refunds.get_mut(id) {
        call.form.merge_metadata("metadata", &mut refund.metadata)?;
    }
    announce(state, id, EventKind::RefundUpdated);
    retrieve(state, call, id)
}

/// Filters: `charge`, `payment_intent`, `created`.
pub(crate) fn list(state: &State, call: &Call) -> Result<Value, ApiError> {
    let charges: Vec<&str> = match (call.form.text("charge"), call.form.text("payment_intent")) {
        (None, None) => return list::respond(state, call, &state.refunds, |_| true),
        (Some(charge), _) => vec![charge],
        (None, Some(intent)) => {
            let intent = state.payment_intents.get(intent);
            let ids = intent.into_iter().flat_map(|intent| &intent.charges);
            ids.map(String::as_str).collect()
        }
    };
    let charges = charges.into_iter().filter_map(|id| state.charges.get(id));
    let ids = charges.flat_map(|charge| &charge.refunds);
    list::respond_among(state, call, &state.refunds, ids, |refund| {
        list::matches(&call.form, "payment_intent", Some(&refund.payment_intent))
    })
}

pub(crate) fn list_of_charge(state: &State, call: &Call, id: &str) -> Result<Value, ApiError> {
    let charge = state.charges.find(id, call.account());
    let charge = charge.ok_or_else(|| ApiError::no_such(Charge::NOUN, id, "charge"))?;
    list::respond_among(state, call, &state.refunds, &charge.refunds, |_| true)
}

fn announce(state: &mut State, id: &str, kind: EventKind) {
    let Some(refund) = state.refunds.get(id) else {
        return;
    };
    let (object, account) = (refund.render(state), refund.account.clone());
    event::emit(state, kind, account.as_deref(), &object);
}

/// The charge that is named, or the successful one of the payment intent that is named.
fn charge_of(state: &State, call: &Call) -> Result<String, ApiError> {
    if let Some(id) = call.form.text("charge") {
        let charge = state.charges.find(id, call.account());
        return charge
            .map(|charge| charge.id.clone())
            .ok_or_else(|| ApiError::no_such(Charge::NOUN, id, "charge"));
    }
    let Some(id) = call.form.text("payment_intent") else {
        let message = "One of the following params should be provided for this request: \
                       payment_intent or charge.";
        return Err(ApiError::missing("charge").with_message(message));
    };
    let intent = state
        .payment_intents
        .find(id, call.account())
        .ok_or_else(|| ApiError::no_such("payment_intent", id, "payment_intent"))?;
    let latest = intent.charges.last().and_then(|charge| state.charges.get(charge));
    latest.filter(|charge| charge.succeeded()).map(|charge| charge.id.clone()).ok_or_else(|| {
        let message =
            format!("This PaymentIntent ({id}) does not have a successful charge to refund.");
        ApiError::refused(message).with_param("payment_intent")
    })
}

/// How much is refunded, if that can be done.
fn refundable_amount(charge: &Charge, new: &NewRefund) -> Result<i64, ApiError> {
    let id = &charge.id;
    if !charge.succeeded() {
        return Err(ApiError::refused(format!("Charge {id} failed; there is nothing to refund.")));
    }
    if new.transfer == ShareOf::GivenBack && charge.transfer.is_none() {
        let message = format!("Charge {id} has no transfer, so none can be reversed.");
        return Err(ApiError::refused(message).with_param("reverse_transfer"));
    }
    if new.application_fee == ShareOf::GivenBack && charge.application_fee.is_none() {
        let message = format!("Charge {id} has no application fee, so none can be refunded.");
        return Err(ApiError::refused(message).with_param("refund_application_fee"));
    }
    let left = charge.amount - charge.amount_refunded;
    if left == 0 {
        let message = format!("Charge {id} has already been refunded.");
        return Err(ApiError::refused(message).with_code("charge_already_refunded"));
    }
    let amount = new.amount.unwrap_or(left);
    money::check_last_digit(amount, &charge.currency, "amount")?;
    if amount > left {
        let limit =
            if amount > charge.amount { "charge amount" } else { "unrefunded amount on charge" };
        let most = if amount > charge.amount { charge.amount } else { left };
        let message = format!(
            "Refund amount ({}) is greater than {limit} ({})",
            money::display(amount, &charge.currency),
            money::display(most, &charge.currency)
        );
        return Err(ApiError::refused(message).with_param("amount"));
    }
    Ok(amount)
}
