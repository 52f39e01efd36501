//! `expand[]`: objects in place of ids (<https://docs.stripe.com/api/expanding_objects>).

use serde_json::Value;

use crate::api::Call;
use crate::error::ApiError;
use crate::state::State;

/// The names that can be expanded, wherever they occur.
const EXPANDABLE: &[&str] = &[
    "application_fee",
    "balance_transaction",
    "charge",
    "customer",
    "default_price",
    "destination",
    "destination_payment",
    "destination_payment_refund",
    "failure_balance_transaction",
    "fee",
    "invoice",
    "latest_charge",
    "latest_invoice",
    "on_behalf_of",
    "originating_transaction",
    "payment_intent",
    "price",
    "product",
    "source",
    "source_refund",
    "source_transaction",
    "source_transfer",
    "source_transfer_reversal",
    "subscription",
    "transfer",
    "transfer_reversal",
];

/// Names that are in every object, so that asking for them changes nothing.
const INCLUDED: &[&str] = &[
    "balance_transactions",
    "data",
    "items",
    "lines",
    "parent",
    "payment",
    "payments",
    "plan",
    "price_details",
    "pricing",
    "refunds",
    "reversals",
    "subscription_details",
    "transfer_data",
];

/// Stripe's limit on the depth of one path.
const MAXIMUM_DEPTH: usize = 4;

/// Refuses paths that cannot be expanded, before any work is done.
pub(crate) fn check(call: &Call) -> Result<(), ApiError> {
    for path in call.form.list("expand") {
        let depth = path.split('.').count();
        if depth > MAXIMUM_DEPTH {
            let message = format!(
                "You cannot expand more than {MAXIMUM_DEPTH} levels of a property ({path})."
            );
            return Err(ApiError::invalid("expand", message));
        }
        let known = |name: &str| EXPANDABLE.contains(&name) || INCLUDED.contains(&name);
        if !path.split('.').all(known) {
            let message = format!("This property cannot be expanded ({path}).");
            return Err(
                ApiError::invalid("expand", message).with_code("property_cannot_be_expanded")
            );
        }
    }
    Ok(())
}

/// Puts objects in place of the ids that the request names.
pub(crate) fn apply(state: &State, call: &Call, answer: &mut Value) {
    for path in call.form.list("expand") {
        let names: Vec<&str> = path.split('.').collect();
        expand(state, answer, &names);
    }
}

fn expand(state: &State, value: &mut Value, path: &[&str]) {
    if let Value::Array(items) = value {
        for item in items {
            expand(state, item, path);
        }
        return;
    }
    let Some((name, rest)) = path.split_first() else {
        return;
    };
    let Some(field) = value.get_mut(*name) else {
        return;
    };
    if let Value::String(id) = field
        && let Some(object) = state.render(id)
    {
        *field = object;
    }
    if field.is_object() || field.is_array() {
        expand(state, field, rest);
    }
}
