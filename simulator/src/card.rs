//! The card that a customer has on file, as far as it matters: whether charges to it succeed.

use serde::{Deserialize, Serialize};

use crate::error::ApiError;
use crate::state::State;

/// A payment method of a customer.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Card {
    /// `pm_…`.
    pub(crate) id: String,
    pub(crate) bank: Bank,
}

/// What the bank says to a charge.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Bank {
    Pays,
    Declines,
}

impl Card {
    pub(crate) fn new(state: &mut State, bank: Bank) -> Self {
        Self { id: state.ids.next("pm_"), bank }
    }
}

/// What the bank of one of Stripe's test cards says (<https://docs.stripe.com/testing>): those that can be
/// kept on file.
pub(crate) fn bank_of_test_card(name: &str, param: &str) -> Result<Bank, ApiError> {
    match name {
        "pm_card_visa" | "pm_card_mastercard" | "tok_visa" | "tok_mastercard" => Ok(Bank::Pays),
        "pm_card_chargeCustomerFail" | "tok_chargeCustomerFail" => Ok(Bank::Declines),
        other => Err(ApiError::no_such_reference("PaymentMethod", other, param)),
    }
}
