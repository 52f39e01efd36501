//! The proportional shares of the transfer and of the application fee that come back with a refund
//! (<https://docs.stripe.com/connect/destination-charges#issue-refunds>).

use crate::application_fee;
use crate::form::Metadata;
use crate::money;
use crate::state::State;
use crate::transfer::{self, NewReversal};

/// Whether a proportional share of the transfer, or of the application fee, comes back as well.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum ShareOf {
    #[default]
    Kept,
    GivenBack,
}

impl From<Option<bool>> for ShareOf {
    fn from(given_back: Option<bool>) -> Self {
        match given_back {
            Some(true) => Self::GivenBack,
            Some(false) | None => Self::Kept,
        }
    }
}

/// Takes back the part of the transfer that belongs to this part of the charge. Over several
/// refunds the parts add up to the whole.
pub(super) fn take_back_of_transfer(
    state: &mut State,
    charge_id: &str,
    refund_id: &str,
    amount: i64,
) -> Option<String> {
    let charge = state.charges.get_mut(charge_id)?;
    let whole = charge.amount;
    let before = charge.refunded_from_transfer;
    // A refund that failed and is made again took its share already.
    let after = (before + amount).min(whole);
    charge.refunded_from_transfer = after;
    let transfer_id = charge.transfer.clone()?;
    let total = state.transfers.get(&transfer_id)?.amount;
    let share = money::round_share(total, after, whole) - money::round_share(total, before, whole);
    let new = NewReversal {
        transfer: &transfer_id,
        amount: share,
        source_refund: Some(refund_id),
        metadata: Metadata::new(),
    };
    transfer::take_back(state, new)
}

/// Gives back the part of the application fee that belongs to this part of the charge: with refunds
/// and with reversals by hand alike, so that together they never give back more than the fee, and
/// exactly the fee with the last part.
pub(crate) fn give_back_of_fee(state: &mut State, charge_id: &str, amount: i64) {
    let Some(charge) = state.charges.get_mut(charge_id) else {
        return;
    };
    let whole = charge.amount;
    let before = charge.refunded_from_fee;
    let after = (before + amount).min(whole);
    charge.refunded_from_fee = after;
    let Some(fee_id) = charge.application_fee.clone() else {
        return;
    };
    let Some(fee) = state.application_fees.get(&fee_id) else {
        return;
    };
    let total = fee.amount;
    let share = money::round_share(total, after, whole) - money::round_share(total, before, whole);
    application_fee::give_back(state, &fee_id, share);
}
