//! Which request does what.

use poem::http::Method;
use serde_json::Value;

use crate::api::Call;
use crate::error::ApiError;
use crate::state::State;
use crate::{
    account, account_link, application_fee, balance, balance_transaction, charge, checkout_session,
    customer, dispute, early_fraud_warning, event, invoice, invoice_payment, payment_intent,
    payout, portal_session, price, product, refund, subscription, transfer, webhook_endpoint,
};

/// Does what a request asks for.
pub(crate) fn dispatch(state: &mut State, call: &Call) -> Result<Value, ApiError> {
    let unknown = || ApiError::unknown_route(call.method.as_str(), &call.path);
    let path = call.path.strip_prefix("/v1/").ok_or_else(unknown)?;
    let segments: Vec<&str> = path.trim_end_matches('/').split('/').collect();
    match call.method {
        Method::GET => get(state, call, &segments),
        Method::POST => post(state, call, &segments),
        Method::DELETE => delete(state, call, &segments),
        _ => None,
    }
    .unwrap_or_else(|| Err(unknown()))
}

/// None: there is no such route.
fn get(state: &State, call: &Call, path: &[&str]) -> Option<Result<Value, ApiError>> {
    Some(match path {
        ["account"] => account::retrieve_own(state, call),
        ["accounts"] => account::list(state, call),
        ["accounts", id] => account::retrieve(state, id),
        ["accounts", id, "capabilities"] => account::list_capabilities(state, call, id),
        ["accounts", id, "capabilities", name] => account::retrieve_capability(state, id, name),
        ["application_fees"] => application_fee::list(state, call),
        ["application_fees", id] => application_fee::retrieve(state, id),
        ["application_fees", id, "refunds"] => application_fee::list_refunds(state, call, id),
        ["balance"] => balance::retrieve(state, call),
        ["balance_transactions"] => balance_transaction::list(state, call),
        ["balance_transactions", id] => balance_transaction::retrieve(state, call, id),
        ["charges"] => charge::list(state, call),
        ["charges", id] => charge::retrieve(state, call, id),
        ["charges", id, "refunds"] => refund::list_of_charge(state, call, id),
        ["checkout", "sessions"] => checkout_session::list(state, call),
        ["checkout", "sessions", id] => checkout_session::retrieve(state, call, id),
        ["customers"] => customer::list(state, call),
        ["customers", id] => customer::retrieve(state, call, id),
        ["disputes"] => dispute::list(state, call),
        ["disputes", id] => dispute::retrieve(state, call, id),
        ["invoice_payments"] => invoice_payment::list(state, call),
        ["invoices"] => invoice::list(state, call),
        ["invoices", id] => invoice::retrieve(state, call, id),
        ["invoices", id, "lines"] => invoice::list_lines(state, call, id),
        ["prices"] => price::list(state, call),
        ["prices", id] => price::retrieve(state, call, id),
        ["products"] => product::list(state, call),
        ["products", id] => product::retrieve(state, call, id),
        ["subscriptions"] => subscription::list(state, call),
        ["subscriptions", id] => subscription::retrieve(state, call, id),
        ["events"] => event::list(state, call),
        ["events", id] => event::retrieve(state, call, id),
        ["payment_intents"] => payment_intent::list(state, call),
        ["payment_intents", id] => payment_intent::retrieve(state, call, id),
        ["payouts"] => payout::list(state, call),
        ["payouts", id] => payout::retrieve(state, call, id),
        ["radar", "early_fraud_warnings"] => early_fraud_warning::list(state, call),
        ["radar", "early_fraud_warnings", id] => early_fraud_warning::retrieve(state, call, id),
        ["refunds"] => refund::list(state, call),
        ["refunds", id] => refund::retrieve(state, call, id),
        ["transfers"] => transfer::list(state, call),
        ["transfers", id] => transfer::retrieve(state, id),
        ["transfers", id, "reversals"] => transfer::list_reversals(state, call, id),
        ["transfers", id, "reversals", reversal] => {
            transfer::retrieve_reversal(state, id, reversal)
        }
        ["webhook_endpoints"] => webhook_endpoint::list(state, call),
        ["webhook_endpoints", id] => webhook_endpoint::retrieve(state, id),
        _ => return None,
    })
}

fn post(state: &mut State, call: &Call, path: &[&str]) -> Option<Result<Value, ApiError>> {
    Some(match path {
        ["account_links"] => account_link::create(state, call),
        ["accounts"] => account::create(state, call),
        ["accounts", id] => account::update(state, call, id),
        ["accounts", id, "capabilities", name] => account::update_capability(state, call, id, name),
        ["accounts", id, "login_links"] => account_link::create_login(state, id),
        ["charges", id] => charge::update(state, call, id),
        ["checkout", "sessions"] => checkout_session::create(state, call),
        ["checkout", "sessions", id] => checkout_session::update(state, call, id),
        ["checkout", "sessions", id, "expire"] => checkout_session::expire(state, call, id),
        ["billing_portal", "sessions"] => portal_session::create(state, call),
        ["customers"] => customer::create(state, call),
        ["customers", id] => customer::update(state, call, id),
        ["disputes", id] => dispute::update(state, call, id),
        ["disputes", id, "close"] => dispute::close(state, call, id),
        ["invoices", id, "mark_uncollectible"] => invoice::mark_uncollectible(state, call, id),
        ["invoices", id, "pay"] => invoice::pay(state, call, id),
        ["invoices", id, "void"] => invoice::void(state, call, id),
        ["prices"] => price::create(state, call),
        ["prices", id] => price::update(state, call, id),
        ["products"] => product::create(state, call),
        ["products", id] => product::update(state, call, id),
        ["subscriptions"] => subscription::create(state, call),
        ["subscriptions", id] => subscription::update(state, call, id),
        ["payment_intents", id] => payment_intent::update(state, call, id),
        ["refunds"] => refund::create(state, call),
        ["refunds", id] => refund::update(state, call, id),
        ["transfers"] => transfer::create(state, call),
        ["transfers", id] => transfer::update(state, call, id),
        ["transfers", id, "reversals"] => transfer::reverse(state, call, id),
        ["webhook_endpoints"] => webhook_endpoint::create(state, call),
        _ => return None,
    })
}

fn delete(state: &mut State, call: &Call, path: &[&str]) -> Option<Result<Value, ApiError>> {
    Some(match path {
        ["customers", id] => customer::delete(state, call, id),
        ["products", id] => product::delete(state, call, id),
        ["subscriptions", id] => subscription::cancel(state, call, id),
        ["webhook_endpoints", id] => webhook_endpoint::delete(state, id),
        _ => return None,
    })
}
