//! Reversals of transfers (<https://docs.stripe.com/api/transfer_reversals>): with a refund that
//! asks for them, or by hand.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{Transfer, existing};
use crate::api::Call;
use crate::balance_transaction::{self, Movement, Posting};
use crate::destination_payment;
use crate::error::ApiError;
use crate::event::{self, EventKind};
use crate::form::Metadata;
use crate::list;
use crate::money;
use crate::refund;
use crate::state::State;
use crate::table::Record;

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
    /// What left the connected account.
    #[serde(default)]
    payment_refund: Option<String>,
    metadata: Metadata,
}

/// A reversal to be made.
#[derive(Debug)]
pub(crate) struct NewReversal<'a> {
    pub(crate) transfer: &'a str,
    pub(crate) amount: i64,
    pub(crate) source_refund: Option<&'a str>,
    pub(crate) metadata: Metadata,
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
            "destination_payment_refund": self.payment_refund,
            "metadata": self.metadata,
            "source_refund": self.source_refund,
            "transfer": self.transfer,
        })
    }
}

/// Takes back a part of a transfer, or what is left of it if that is less, and gives the id of the
/// reversal. None: nothing is left.
pub(crate) fn take_back(state: &mut State, new: NewReversal<'_>) -> Option<String> {
    let transfer = state.transfers.get(new.transfer)?;
    let amount = new.amount.min(transfer.amount - transfer.amount_reversed);
    if amount < 1 {
        return None;
    }
    let (currency, payment) = (transfer.currency.clone(), transfer.destination_payment.clone());
    let id = state.ids.next("trr_");
    let posting = Posting::new(Movement::TransferRefund, &id, amount, &currency);
    let balance_transaction = balance_transaction::post(state, &posting);
    let payment_refund = destination_payment::take_back(state, &payment, &id, amount);
    let reversal = TransferReversal {
        id: id.clone(),
        created: state.now(),
        transfer: new.transfer.to_owned(),
        amount,
        currency,
        balance_transaction,
        source_refund: new.source_refund.map(str::to_owned),
        payment_refund,
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

/// Reverses a transfer by hand. The connected account's balance may become negative.
pub(crate) fn reverse(state: &mut State, call: &Call, id: &str) -> Result<Value, ApiError> {
    let transfer = existing(state, id)?;
    let left = transfer.amount - transfer.amount_reversed;
    let amount = call.form.positive("amount")?.unwrap_or(left);
    let fee_goes_back = call.form.flag("refund_application_fee")? == Some(true);
    let metadata = call.form.metadata("metadata")?;
    if left == 0 || amount > left {
        let message = format!(
            "Reversal amount ({amount}) is greater than unreversed amount on transfer ({left})."
        );
        return Err(ApiError::refused(message).with_param("amount"));
    }
    let part = fee_goes_back.then(|| part_of_charge(state, transfer, amount)).transpose()?;
    if state.accounts.get(&transfer.destination).is_some_and(|account| account.refuses_reversals) {
        let message = "Insufficient available funds in the destination account to reverse the \
                       transfer (a fault of the simulator).";
        return Err(ApiError::refused(message).with_code("balance_insufficient"));
    }
    let reversal =
        take_back(state, NewReversal { transfer: id, amount, source_refund: None, metadata });
    if let Some((charge, part)) = part {
        refund::give_back_of_fee(state, &charge, part);
    }
    Ok(reversal.and_then(|id| state.render(&id)).unwrap_or_default())
}

/// The charge whose application fee a reversal gives back, and how much of the charge it is.
fn part_of_charge(
    state: &State,
    transfer: &Transfer,
    amount: i64,
) -> Result<(String, i64), ApiError> {
    let charge = transfer.source_transaction.as_deref().and_then(|id| state.charges.get(id));
    let with_fee = charge.filter(|charge| {
        charge.application_fee.is_some() && charge.transfer.as_deref() == Some(transfer.id())
    });
    let charge = with_fee.ok_or_else(|| {
        let message = format!(
            "Transfer {} has no associated application fee, so none can be refunded.",
            transfer.id()
        );
        ApiError::refused(message).with_param("refund_application_fee")
    })?;
    Ok((charge.id.clone(), money::round_share(charge.amount, amount, transfer.amount)))
}

pub(crate) fn list(state: &State, call: &Call, id: &str) -> Result<Value, ApiError> {
    let ids = &existing(state, id)?.reversals;
    list::respond_among(state, call, &state.transfer_reversals, ids, |_| true)
}

pub(crate) fn retrieve(state: &State, transfer: &str, id: &str) -> Result<Value, ApiError> {
    existing(state, transfer)?;
    let reversal = state.transfer_reversals.get(id).filter(|one| one.transfer == transfer);
    reversal
        .map(|reversal| reversal.render(state))
        .ok_or_else(|| ApiError::no_such(TransferReversal::NOUN, id, "id"))
}
