//! What can be refunded, and what Stripe says if it cannot.

use super::{NewRefund, ShareOf};
use crate::api::Call;
use crate::charge::Charge;
use crate::dispute;
use crate::error::ApiError;
use crate::money;
use crate::state::State;
use crate::table::Record;

/// The charge that is named, or the successful one of the payment intent that is named.
pub(super) fn charge_of(state: &State, call: &Call) -> Result<String, ApiError> {
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
pub(super) fn amount(state: &State, charge: &Charge, new: &NewRefund) -> Result<i64, ApiError> {
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
    if dispute::took_it_back(state, charge) {
        let message = format!("Charge {id} has been charged back; cannot issue a refund.");
        return Err(ApiError::refused(message).with_code("charge_disputed"));
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
