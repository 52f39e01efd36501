//! Transfers to connected accounts (<https://docs.stripe.com/api/transfers>): those that charges
//! make by themselves, and those that are made by hand.

mod reversal;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::account;
use crate::api::Call;
use crate::balance_transaction::{self, Movement, Posting};
use crate::charge::{self, Charge};
use crate::destination_payment::{self, NewPayment};
use crate::error::ApiError;
use crate::event::{self, EventKind};
use crate::form::Metadata;
use crate::list::{self, Rest};
use crate::money;
use crate::state::State;
use crate::table::Record;

pub(crate) use reversal::{
    NewReversal, TransferReversal, list as list_reversals, retrieve as retrieve_reversal, reverse,
    take_back,
};

/// Money passed on to a connected account.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Transfer {
    id: String,
    created: i64,
    /// In minor units of the currency.
    pub(crate) amount: i64,
    pub(crate) amount_reversed: i64,
    pub(crate) currency: String,
    balance_transaction: Option<String>,
    pub(crate) destination: String,
    /// The payment that appears in the connected account.
    destination_payment: String,
    /// The charge whose money it is.
    source_transaction: Option<String>,
    transfer_group: Option<String>,
    #[serde(default)]
    description: Option<String>,
    metadata: Metadata,
    reversals: Vec<String>,
    #[serde(default)]
    pub(crate) origin: Origin,
}

/// Who made a transfer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Origin {
    /// A charge with a destination, by itself.
    #[default]
    Charge,
    /// Somebody, through the API.
    Hand,
}

/// A transfer to be made.
#[derive(Debug)]
pub(crate) struct NewTransfer<'a> {
    pub(crate) amount: i64,
    pub(crate) currency: &'a str,
    pub(crate) destination: &'a str,
    pub(crate) destination_payment: &'a str,
    /// What is taken of the payment in the connected account.
    pub(crate) application_fee: i64,
    pub(crate) source_transaction: Option<&'a str>,
    pub(crate) transfer_group: Option<&'a str>,
    pub(crate) description: Option<&'a str>,
    pub(crate) metadata: Metadata,
    pub(crate) origin: Origin,
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
            "description": self.description,
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

/// Makes a transfer, which comes in as a payment in the connected account, and gives its id.
pub(crate) fn make(state: &mut State, new: NewTransfer<'_>) -> String {
    let id = state.ids.next("tr_");
    let available_on = new.source_transaction.and_then(|id| charge::available_on(state, id));
    let posting = Posting {
        available_on,
        ..Posting::new(Movement::Transfer, &id, -new.amount, new.currency)
    };
    let balance_transaction = balance_transaction::post(state, &posting);
    let payment = NewPayment {
        id: new.destination_payment,
        account: new.destination,
        amount: new.amount,
        application_fee: new.application_fee,
        currency: new.currency,
        transfer: &id,
        transfer_group: new.transfer_group,
        available_on,
    };
    destination_payment::receive(state, &payment);
    let transfer = Transfer {
        id: id.clone(),
        created: state.now(),
        amount: new.amount,
        amount_reversed: 0,
        currency: new.currency.to_owned(),
        balance_transaction: Some(balance_transaction),
        destination: new.destination.to_owned(),
        destination_payment: new.destination_payment.to_owned(),
        source_transaction: new.source_transaction.map(str::to_owned),
        transfer_group: new.transfer_group.map(str::to_owned),
        description: new.description.map(str::to_owned),
        metadata: new.metadata,
        reversals: Vec::new(),
        origin: new.origin,
    };
    let object = transfer.render(state);
    state.transfers.insert(transfer);
    event::emit(state, EventKind::TransferCreated, None, &object);
    id
}

/// Makes a transfer by hand. The balance of the platform need not cover it: it has money elsewhere.
pub(crate) fn create(state: &mut State, call: &Call) -> Result<Value, ApiError> {
    let form = &call.form;
    let currency = money::currency(form.required("currency")?, "currency")?;
    let destination = form.required("destination")?;
    let amount = form.positive("amount")?.ok_or_else(|| ApiError::missing("amount"))?;
    let metadata = form.metadata("metadata")?;
    account::check_receiver(state, destination, "destination")?;
    let source_transaction = form.text("source_transaction");
    if let Some(charge) = source_transaction {
        check_source(state, charge, amount, &currency)?;
    }
    let payment = state.ids.next("py_");
    let new = NewTransfer {
        amount,
        currency: &currency,
        destination,
        destination_payment: &payment,
        application_fee: 0,
        source_transaction,
        transfer_group: form.text("transfer_group"),
        description: form.text("description"),
        metadata,
        origin: Origin::Hand,
    };
    let id = make(state, new);
    retrieve(state, &id)
}

/// Refuses a charge that does not have this much left to pass on.
fn check_source(state: &State, id: &str, amount: i64, currency: &str) -> Result<(), ApiError> {
    let param = "source_transaction";
    let charge = state
        .charges
        .find(id, None)
        .ok_or_else(|| ApiError::no_such_reference(Charge::NOUN, id, param))?;
    if !charge.succeeded() || charge.currency != currency {
        let message = format!(
            "The charge {id} cannot be the source of a transfer in {currency}: it failed, or it is \
             in another currency."
        );
        return Err(ApiError::refused(message).with_param(param));
    }
    let from_it = |transfer: &&Transfer| transfer.source_transaction.as_deref() == Some(id);
    let passed_on: i64 =
        state.transfers.iter().filter(from_it).map(|one| one.amount - one.amount_reversed).sum();
    if amount > charge.amount - passed_on {
        let message = format!(
            "The transfer's amount ({amount}) is greater than what is left of the source charge \
             ({}).",
            charge.amount - passed_on
        );
        return Err(ApiError::refused(message).with_param("amount"));
    }
    Ok(())
}

pub(crate) fn retrieve(state: &State, id: &str) -> Result<Value, ApiError> {
    Ok(existing(state, id)?.render(state))
}

pub(crate) fn update(state: &mut State, call: &Call, id: &str) -> Result<Value, ApiError> {
    existing(state, id)?;
    if let Some(transfer) = state.transfers.get_mut(id) {
        call.form.merge_metadata("metadata", &mut transfer.metadata)?;
        if let Some(description) = call.form.owned("description") {
            transfer.description = Some(description);
        }
    }
    let object = retrieve(state, id)?;
    event::emit(state, EventKind::TransferUpdated, None, &object);
    Ok(object)
}

/// Filters: `destination`, `transfer_group`, `created`.
pub(crate) fn list(state: &State, call: &Call) -> Result<Value, ApiError> {
    list::respond(state, call, &state.transfers, |transfer| {
        list::matches(&call.form, "destination", Some(&transfer.destination))
            && list::matches(&call.form, "transfer_group", transfer.transfer_group.as_deref())
    })
}

fn existing<'a>(state: &'a State, id: &str) -> Result<&'a Transfer, ApiError> {
    state.transfers.get(id).ok_or_else(|| ApiError::no_such(Transfer::NOUN, id, "transfer"))
}
