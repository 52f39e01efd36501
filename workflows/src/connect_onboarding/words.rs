//! What creators are told of a failure.

use crate::effect::Failure;

/// Stripe's own words, but for those about access: they quote parts of the platform's key, and the creator
/// cannot mend it. <https://docs.stripe.com/error-codes>
pub(super) fn of(failure: &Failure) -> String {
    match failure.code.as_str() {
        "account_invalid" => "Stripe does not let the platform into the account.".to_owned(),
        "api_key_expired"
        | "platform_api_key_expired"
        | "secret_key_required"
        | "livemode_mismatch"
        | "testmode_charges_only" => NOT_NOW.to_owned(),
        _ if quotes_a_key(&failure.message) => NOT_NOW.to_owned(),
        _ => failure.message.clone(),
    }
}

const NOT_NOW: &str = "Stripe does not let the platform in right now.";

/// Secret and restricted keys begin so. <https://docs.stripe.com/keys>
fn quotes_a_key(message: &str) -> bool {
    ["sk_live_", "sk_test_", "rk_live_", "rk_test_"].iter().any(|start| message.contains(start))
}
