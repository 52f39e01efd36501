//! What a session is asked to be, and whether it can be.

use super::IntentData;
use crate::account;
use crate::api::Call;
use crate::clock::DAY;
use crate::error::ApiError;
use crate::form::Form;
use crate::state::State;

/// `expires_at` may be so many seconds away: half an hour to a day.
const SHORTEST: i64 = 30 * 60;
const LONGEST: i64 = DAY;

/// Stripe compares with its own clock, which need not agree with the caller's to the second.
const SLACK: i64 = 60;

pub(super) fn intent_data(form: &Form, amount: i64) -> Result<IntentData, ApiError> {
    let name = |field: &str| format!("payment_intent_data[{field}]");
    let fee_param = name("application_fee_amount");
    let application_fee_amount = form.integer(&fee_param)?;
    if application_fee_amount.is_some_and(|fee| !(0..=amount).contains(&fee)) {
        let message = "The application fee amount must be between 0 and the total amount.";
        return Err(ApiError::invalid(&fee_param, message));
    }
    let transfer_param = name("transfer_data][amount");
    let transfer_amount = form.positive(&transfer_param)?;
    if transfer_amount.is_some_and(|transfer| transfer > amount) {
        let message = "The transfer amount must be less than or equal to the total amount.";
        return Err(ApiError::invalid(&transfer_param, message));
    }
    if transfer_amount.is_some() && application_fee_amount.is_some() {
        let message = "You cannot pass both application_fee_amount and transfer_data[amount].";
        return Err(ApiError::invalid(&transfer_param, message));
    }
    let destination_param = name("transfer_data][destination");
    if form.has_inside(&name("transfer_data")) {
        form.required(&destination_param)?;
    }
    Ok(IntentData {
        metadata: form.metadata(&name("metadata"))?,
        description: form.owned(&name("description")),
        application_fee_amount,
        destination: form.owned(&destination_param),
        transfer_amount,
        on_behalf_of: form.owned(&name("on_behalf_of")),
        transfer_group: form.owned(&name("transfer_group")),
        receipt_email: form.owned(&name("receipt_email")),
    })
}

/// A fee is taken from a connected account, so there must be one.
pub(super) fn check_fee_payer(call: &Call, intent: &IntentData) -> Result<(), ApiError> {
    let nobody = call.account.is_none() && intent.destination.is_none();
    if intent.application_fee_amount.is_none() || !nobody {
        return Ok(());
    }
    let message = "Can only apply an application_fee_amount when the PaymentIntent is attempting \
                   a direct payment (using an OAuth key or Stripe-Account header) or destination \
                   payment (using `payment_intent_data[transfer_data][destination]`).";
    Err(ApiError::invalid("payment_intent_data[application_fee_amount]", message))
}

/// The accounts that the money is for must be there and able to take it.
pub(super) fn check_accounts(state: &State, intent: &IntentData) -> Result<(), ApiError> {
    if let Some(id) = &intent.on_behalf_of {
        account::connected(state, id, "payment_intent_data[on_behalf_of]")?;
    }
    if let Some(id) = &intent.destination {
        account::check_receiver(state, id, "payment_intent_data[transfer_data][destination]")?;
    }
    Ok(())
}

pub(super) fn expires_at(state: &State, form: &Form) -> Result<i64, ApiError> {
    let Some(expires_at) = form.integer("expires_at")? else {
        return Ok(state.now() + LONGEST);
    };
    let away = expires_at - state.now();
    if away < SHORTEST - SLACK {
        let message = "The `expires_at` timestamp must be at least 30 minutes from Checkout \
                       Session creation.";
        return Err(ApiError::invalid("expires_at", message));
    }
    if away > LONGEST + SLACK {
        let message = "The `expires_at` timestamp must be less than 24 hours from Checkout \
                       Session creation.";
        return Err(ApiError::invalid("expires_at", message));
    }
    Ok(expires_at)
}
