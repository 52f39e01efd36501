//! Refunds (<https://docs.stripe.com/api/refunds>), through the API or in the dashboard.

mod outcome;
mod refundable;
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
use crate::state::State;
use crate::table::Record;

pub(crate) use outcome::{Outcome, StatusError, set_status};
pub(crate) use share::{ShareOf, give_back_of_fee};

const REASONS: [&str; 3] = ["duplicate", "fraudulent", "requested_by_customer"];

/// Why a refund failed, if nobody says.
const DEFAULT_FAILURE: &str = "expired_or_canceled_card";

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
    /// None: the money has not left yet, for lack of funds.
    balance_transaction: Option<String>,
    failure_balance_transaction: Option<String>,
    #[serde(default)]
    failure_reason: Option<String>,
    transfer_reversal: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum RefundStatus {
    Pending,
    Succeeded,
    Failed,
    /// Withdrawn while it was pending.
    Canceled,
}

impl RefundStatus {
    /// Whether the buyer has the money, or is to get it.
    pub(crate) fn counts(self) -> bool {
        match self {
            Self::Pending | Self::Succeeded => true,
            Self::Failed | Self::Canceled => false,
        }
    }
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
                let reason = self.failure_reason.as_deref();
                refund["failure_reason"] = reason.unwrap_or(DEFAULT_FAILURE).into();
                refund["failure_balance_transaction"] = json!(self.failure_balance_transaction);
            }
            RefundStatus::Succeeded | RefundStatus::Canceled => {}
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
    let charge = refundable::charge_of(state, call)?;
    let refund = give(state, &charge, new)?;
    retrieve(state, call, &refund)
}

/// Refunds a charge and gives the id of the refund. Shares of the transfer and of the application
/// fee come back at once, even if the refund itself is pending for lack of funds.
pub(crate) fn give(state: &mut State, charge_id: &str, new: NewRefund) -> Result<String, ApiError> {
    let charge = state
        .charges
        .get(charge_id)
        .ok_or_else(|| ApiError::no_such(Charge::NOUN, charge_id, "charge"))?;
    let amount = refundable::amount(state, charge, &new)?;
    let (account, currency) = (charge.account.clone(), charge.currency.clone());
    let payment_intent = charge.payment_intent.clone();

    let id = state.ids.next("re_");
    let pending = state.luck.of_refund_is_pending();
    state.refunds.insert(Refund {
        id: id.clone(),
        created: state.now(),
        account,
        charge: charge_id.to_owned(),
        payment_intent,
        amount,
        currency,
        status: if pending { RefundStatus::Pending } else { RefundStatus::Succeeded },
        reason: new.reason,
        metadata: new.metadata,
        balance_transaction: None,
        failure_balance_transaction: None,
        failure_reason: None,
        transfer_reversal: None,
    });
    if !pending {
        pay_out(state, &id);
    }
    if let Some(charge) = state.charges.get_mut(charge_id) {
        charge.amount_refunded += amount;
        charge.refunds.push(id.clone());
    }
    if new.transfer == ShareOf::GivenBack {
        let reversal = share::take_back_of_transfer(state, charge_id, &id, amount);
        if let Some(refund) = state.refunds.get_mut(&id) {
            refund.transfer_reversal = reversal;
        }
    }
    if new.application_fee == ShareOf::GivenBack {
        share::give_back_of_fee(state, charge_id, amount);
    }
    announce(state, &id, EventKind::RefundCreated);
    charge::announce(state, charge_id, EventKind::ChargeRefunded);
    Ok(id)
}

impl Refund {
    /// Whether the money has left the balance.
    pub(crate) fn has_left(&self) -> bool {
        self.balance_transaction.is_some()
    }
}

/// Takes the money of a refund out of the balance, if it has not left yet.
fn pay_out(state: &mut State, id: &str) {
    let Some(refund) = state.refunds.get(id).filter(|one| one.balance_transaction.is_none()) else {
        return;
    };
    let (account, currency) = (refund.account.clone(), refund.currency.clone());
    let posting = Posting {
        account: account.as_deref(),
        ..Posting::new(Movement::Refund, id, -refund.amount, &currency)
    };
    let balance_transaction = balance_transaction::post(state, &posting);
    if let Some(refund) = state.refunds.get_mut(id) {
        refund.balance_transaction = Some(balance_transaction);
    }
}

pub(crate) fn retrieve(state: &State, call: &Call, id: &str) -> Result<Value, ApiError> {
    let refund = state.refunds.find(id, call.account()).map(|refund| refund.render(state));
    refund
        .or_else(|| Some(state.payment_refunds.find(id, call.account())?.render(state)))
        .ok_or_else(|| ApiError::no_such(Refund::NOUN, id, "refund"))
}

pub(crate) fn update(state: &mut State, call: &Call, id: &str) -> Result<Value, ApiError> {
    retrieve(state, call, id)?;
    if let Some(refund) = state.refunds.get_mut(id) {
        call.form.merge_metadata("metadata", &mut refund.metadata)?;
    }
    announce_update(state, id);
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

/// Stripe tells of an update twice: as of a refund, and as of something of a charge.
fn announce_update(state: &mut State, id: &str) {
    announce(state, id, EventKind::RefundUpdated);
    announce(state, id, EventKind::ChargeRefundUpdated);
}

fn announce(state: &mut State, id: &str, kind: EventKind) {
    let Some(refund) = state.refunds.get(id) else {
        return;
    };
    let (object, account) = (refund.render(state), refund.account.clone());
    event::emit(state, kind, account.as_deref(), &object);
}
