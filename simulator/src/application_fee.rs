//! The platform's cut of a payment (<https://docs.stripe.com/api/application_fees>) and what is
//! given back of it.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::account::APPLICATION;
use crate::api::Call;
use crate::balance_transaction::{self, Movement, Posting};
use crate::error::ApiError;
use crate::event::{self, EventKind};
use crate::form::Metadata;
use crate::list::{self, Rest};
use crate::state::State;
use crate::table::Record;

/// What the platform took.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct ApplicationFee {
    id: String,
    created: i64,
    /// The connected account that it was taken from.
    from: String,
    pub(crate) amount: i64,
    pub(crate) amount_refunded: i64,
    pub(crate) currency: String,
    balance_transaction: Option<String>,
    /// The charge, or for destination charges the payment in the connected account.
    charge: String,
    /// For destination charges the charge on the platform.
    originating_transaction: Option<String>,
    refunds: Vec<String>,
}

/// A fee to be taken.
#[derive(Debug)]
pub(crate) struct NewFee<'a> {
    pub(crate) from: &'a str,
    pub(crate) amount: i64,
    pub(crate) currency: &'a str,
    pub(crate) charge: &'a str,
    pub(crate) originating_transaction: Option<&'a str>,
    /// When the charge's money is available, in seconds since 1970.
    pub(crate) available_on: Option<i64>,
}

impl Record for ApplicationFee {
    const NOUN: &'static str = "application fee";

    fn id(&self) -> &str {
        &self.id
    }

    fn created(&self) -> i64 {
        self.created
    }

    fn account(&self) -> Option<&str> {
        None
    }

    fn render(&self, state: &State) -> Value {
        let refunds = self.refunds.iter().rev().filter_map(|id| state.render(id)).collect();
        json!({
            "id": self.id,
            "object": "application_fee",
            "account": self.from,
            "amount": self.amount,
            "amount_refunded": self.amount_refunded,
            "application": APPLICATION,
            "balance_transaction": self.balance_transaction,
            "charge": self.charge,
            "created": self.created,
            "currency": self.currency,
            "fee_source": { "charge": self.charge, "type": "charge" },
            "livemode": false,
            "originating_transaction": self.originating_transaction,
            "refunded": self.amount_refunded == self.amount,
            "refunds": list::list(
                refunds,
                Rest::Nothing,
                &format!("/v1/application_fees/{}/refunds", self.id),
            ),
        })
    }
}

/// What was given back of a fee.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct FeeRefund {
    id: String,
    created: i64,
    fee: String,
    amount: i64,
    currency: String,
    balance_transaction: String,
    metadata: Metadata,
}

impl Record for FeeRefund {
    const NOUN: &'static str = "fee refund";

    fn id(&self) -> &str {
        &self.id
    }

    fn created(&self) -> i64 {
        self.created
    }

    fn account(&self) -> Option<&str> {
        None
    }

    fn render(&self, _: &State) -> Value {
        json!({
            "id": self.id,
            "object": "fee_refund",
            "amount": self.amount,
            "balance_transaction": self.balance_transaction,
            "created": self.created,
            "currency": self.currency,
            "fee": self.fee,
            "metadata": self.metadata,
        })
    }
}

/// Takes a fee and gives its id.
pub(crate) fn take(state: &mut State, new: &NewFee<'_>) -> String {
    let id = state.ids.next("fee_");
    let posting = Posting {
        available_on: new.available_on,
        ..Posting::new(Movement::ApplicationFee, &id, new.amount, new.currency)
    };
    let balance_transaction = balance_transaction::post(state, &posting);
    let fee = ApplicationFee {
        id: id.clone(),
        created: state.now(),
        from: new.from.to_owned(),
        amount: new.amount,
        amount_refunded: 0,
        currency: new.currency.to_owned(),
        balance_transaction: Some(balance_transaction),
        charge: new.charge.to_owned(),
        originating_transaction: new.originating_transaction.map(str::to_owned),
        refunds: Vec::new(),
    };
    let object = fee.render(state);
    state.application_fees.insert(fee);
    if let Some(payment) = state.destination_payments.get_mut(new.charge) {
        payment.application_fee = Some(id.clone());
    }
    event::emit(state, EventKind::ApplicationFeeCreated, None, &object);
    id
}

/// Gives back this much of a fee, or what is left if that is less.
pub(crate) fn give_back(state: &mut State, fee_id: &str, amount: i64) {
    let Some(fee) = state.application_fees.get(fee_id) else {
        return;
    };
    let amount = amount.min(fee.amount - fee.amount_refunded);
    if amount < 1 {
        return;
    }
    let (currency, from, charge) = (fee.currency.clone(), fee.from.clone(), fee.charge.clone());
    let id = state.ids.next("fr_");
    let posting = Posting::new(Movement::ApplicationFeeRefund, &id, -amount, &currency);
    let balance_transaction = balance_transaction::post(state, &posting);
    if state.destination_payments.get(&charge).is_some() || state.charges.get(&charge).is_some() {
        let posting = Posting {
            account: Some(&from),
            description: Some("Application fee refund"),
            ..Posting::new(Movement::ApplicationFeeReturned, &id, amount, &currency)
        };
        balance_transaction::post(state, &posting);
    }
    let refund = FeeRefund {
        id: id.clone(),
        created: state.now(),
        fee: fee_id.to_owned(),
        amount,
        currency,
        balance_transaction,
        metadata: Metadata::new(),
    };
    state.fee_refunds.insert(refund);
    if let Some(fee) = state.application_fees.get_mut(fee_id) {
        fee.amount_refunded += amount;
        fee.refunds.push(id);
    }
    let object = state.render(fee_id).unwrap_or_default();
    event::emit(state, EventKind::ApplicationFeeRefunded, None, &object);
}

pub(crate) fn retrieve(state: &State, id: &str) -> Result<Value, ApiError> {
    let fee = state.application_fees.get(id);
    fee.map(|fee| fee.render(state))
        .ok_or_else(|| ApiError::no_such(ApplicationFee::NOUN, id, "id"))
}

/// Filters: `charge` (on the platform or in the connected account), `created`.
pub(crate) fn list(state: &State, call: &Call) -> Result<Value, ApiError> {
    list::respond(state, call, &state.application_fees, |fee| {
        list::matches(&call.form, "charge", Some(&fee.charge))
            || list::matches(&call.form, "charge", fee.originating_transaction.as_deref())
    })
}

pub(crate) fn list_refunds(state: &State, call: &Call, id: &str) -> Result<Value, ApiError> {
    let fee = state.application_fees.get(id);
    let fee = fee.ok_or_else(|| ApiError::no_such(ApplicationFee::NOUN, id, "id"))?;
    list::respond_among(state, call, &state.fee_refunds, &fee.refunds, |_| true)
}
