//! Transfers to connected accounts (<https://docs.stripe.com/api/transfers>) and their reversals.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::api::Call;
use crate::balance_transaction::{self, Movement, Posting};
use crate::error::ApiError;
use crate::event::{self, EventKind};
use crate::form::Metadata;
use crate::list::{self, Rest};
use crate::state::State;
use crate::table::Record;

/// Money passed on from a charge to a connected account.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Transfer {
    id: String,
    created: i64,
    pub(crate) amount: i64,
    pub(crate) amount_reversed: i64,
    pub(crate) currency: String,
    balance_transaction: Option<String>,
    destination: String,
    /// The payment that appears in the connected account.
    destination_payment: String,
    source_transaction: String,
    transfer_group: Option<String>,
    metadata: Metadata,
    reversals: Vec<String>,
}

/// A transfer to be made.
#[derive(Debug)]
pub(crate) struct NewTransfer<'a> {
    pub(crate) amount: i64,
    pub(crate) currency: &'a str,
    pub(crate) destination: &'a str,
    pub(crate) destination_payment: &'a str,
    pub(crate) source_transaction: &'a str,
    pub(crate) transfer_group: Option<&'a str>,
}

impl Record for Transfer {
    const NOUN: &'static str = "transfer";

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
        let reversals = self.reversals.iter().rev().filter_map(|id| state.render(id)).collect();
        json!({
            "id": self.id,
            "object": "transfer",
            "amount": self.amount,
            "amount_reversed": self.amount_reversed,
            "balance_transaction": self.balance_transaction,
            "created": self.created,
            "currency": self.currency,
            "description": null,
            "destination": self.destination,
            "destination_payment": self.destination_payment,
            "livemode": false,
            "metadata": self.metadata,
            "reversals": list::list(
                reversals,
                Rest::Nothing,
                &format!("/v1/transfers/{}/reversals", self.id),
            ),
            "reversed": self.amount_reversed == self.amount,
            "source_transaction": self.source_transaction,
            "source_type": "card",
            "transfer_group": self.transfer_group,
        })
    }
}

/// Money that came back from a connected account.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct TransferReversal {
    id: String,
    created: i64,
    transfer: String,
    amount: i64,
    currency: String,
    balance_transaction: String,
    /// The refund that caused it.
    source_refund: Option<String>,
    metadata: Metadata,
}

impl Record for TransferReversal {
    const NOUN: &'static str = "transfer reversal";

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
            "object": "transfer_reversal",
            "amount": self.amount,
            "balance_transaction": self.balance_transaction,
            "created": self.created,
            "currency": self.currency,
            "destination_payment_refund": null,
            "metadata": self.metadata,
            "source_refund": self.source_refund,
            "transfer": self.transfer,
        })
    }
}

/// Makes a transfer and gives its id.
pub(crate) fn make(state: &mut State, new: &NewTransfer<'_>) -> String {
    let id = state.ids.next("tr_");
    let posting = Posting {
        account: None,
        movement: Movement::Transfer,
        source: &id,
        amount: -new.amount,
        fee: 0,
        currency: new.currency,
        description: None,
    };
    let balance_transaction = balance_transaction::post(state, &posting);
    let transfer = Transfer {
        id: id.clone(),
        created: state.now(),
        amount: new.amount,
        amount_reversed: 0,
        currency: new.currency.to_owned(),
        balance_transaction: Some(balance_transaction),
        destination: new.destination.to_owned(),
        destination_payment: new.destination_payment.to_owned(),
        source_transaction: new.source_transaction.to_owned(),
        transfer_group: new.transfer_group.map(str::to_owned),
        metadata: Metadata::new(),
        reversals: Vec::new(),
    };
    let object = transfer.render(state);
    state.transfers.insert(transfer);
    event::emit(state, EventKind::TransferCreated, None, &object);
    id
}

/// A reversal to be made.
#[derive(Debug)]
pub(crate) struct NewReversal<'a> {
    pub(crate) transfer: &'a str,
    pub(crate) amount: i64,
    pub(crate) source_refund: Option<&'a str>,
    pub(crate) metadata: Metadata,
}

/// Takes back this much of a transfer, or what is left if that is less, and gives the id of the
/// reversal. None: nothing is left.
pub(crate) fn take_back(state: &mut State, new: NewReversal<'_>) -> Option<String> {
    let transfer = state.transfers.get(new.transfer)?;
    let amount = new.amount.min(transfer.amount - transfer.amount_reversed);
    let currency = transfer.currency.clone();
    if amount < 1 {
        return None;
    }
    let id = state.ids.next("trr_");
    let posting = Posting {
        account: None,
        movement: Movement::TransferRefund,
        source: &id,
        amount,
        fee: 0,
        currency: &currency,
        description: None,
    };
    let balance_transaction = balance_transaction::post(state, &posting);
    let reversal = TransferReversal {
        id: id.clone(),
        created: state.now(),
        transfer: new.transfer.to_owned(),
        amount,
        currency,
        balance_transaction,
        source_refund: new.source_refund.map(str::to_owned),
        metadata: new.metadata,
    };
    state.transfer_reversals.insert(reversal);
    if let Some(transfer) = state.transfers.get_mut(new.transfer) {
        transfer.amount_reversed += amount;
        transfer.reversals.push(id.clone());
    }
    let object = state.render(new.transfer).unwrap_or_default();
    event::emit(state, EventKind::TransferReversed, None, &object);
    Some(id)
}

pub(crate) fn retrieve(state: &State, id: &str) -> Result<Value, ApiError> {
    Ok(existing(state, id)?.render(state))
}

/// Filters: `destination`, `transfer_group`, `created`.
pub(crate) fn list(state: &State, call: &Call) -> Result<Value, ApiError> {
    list::respond(state, call, &state.transfers, |transfer| {
        list::matches(&call.form, "destination", Some(&transfer.destination))
            && list::matches(&call.form, "transfer_group", transfer.transfer_group.as_deref())
    })
}

pub(crate) fn reverse(state: &mut State, call: &Call, id: &str) -> Result<Value, ApiError> {
    let transfer = existing(state, id)?;
    let left = transfer.amount - transfer.amount_reversed;
    let amount = call.form.positive("amount")?.unwrap_or(left);
    if left == 0 || amount > left {
        let message = format!(
            "Reversal amount ({amount}) is greater than unreversed amount on transfer ({left})."
        );
        return Err(ApiError::refused(message).with_param("amount"));
    }
    let new = NewReversal {
        transfer: id,
        amount,
        source_refund: None,
        metadata: call.form.metadata("metadata")?,
    };
    let reversal = take_back(state, new);
    Ok(reversal.and_then(|id| state.render(&id)).unwrap_or_default())
}

pub(crate) fn list_reversals(state: &State, call: &Call, id: &str) -> Result<Value, ApiError> {
    let ids = &existing(state, id)?.reversals;
    list::respond_among(state, call, &state.transfer_reversals, ids, |_| true)
}

fn existing<'a>(state: &'a State, id: &str) -> Result<&'a Transfer, ApiError> {
    state.transfers.get(id).ok_or_else(|| ApiError::no_such(Transfer::NOUN, id, "transfer"))
}
