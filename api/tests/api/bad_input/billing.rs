//! What may go wrong with plans.

use serde_json::json;

use super::*;

const SUBSCRIBE: &str = "/v2/billing/checkout-session";
const PORTAL: &str = "/v2/billing/portal-session";
const MANUAL: &str = "/v2/billing/manual-plan";

/// A wish that is well but for a change.
fn with(wish: Value, change: Value) -> Send {
    let mut wish = wish;
    for (name, value) in change.as_object().unwrap() {
        wish[name] = value.clone();
    }
    Json(wish)
}

fn plan(change: Value) -> Send {
    with(json!({"handle": "alice", "plan": "PRO"}), change)
}

fn gift(change: Value) -> Send {
    with(json!({"handle": "alice", "plan": "PRO", "reason": "a friend"}), change)
}

#[rustfmt::skip]
pub fn billing() -> Vec<Row> {
    vec![
        ("POST", SUBSCRIBE, Nobody, plan(json!({})), "401 unauthorized"),
        ("POST", SUBSCRIBE, Mallory, plan(json!({})), "403 forbidden"),
        ("POST", SUBSCRIBE, Admin, plan(json!({})), "403 forbidden"),
        ("POST", SUBSCRIBE, Alice, plan(json!({"handle": "nobody"})), "404 unknown_handle"),
        ("POST", SUBSCRIBE, Alice, plan(json!({"handle": "a/b"})), "404 unknown_handle"),
        ("POST", SUBSCRIBE, Alice, plan(json!({"handle": null})), "400 invalid_request handle"),
        ("POST", SUBSCRIBE, Alice, plan(json!({"plan": "FREE"})), "400 invalid_request plan"),
        ("POST", SUBSCRIBE, Alice, plan(json!({"plan": "GOLD"})), "400 invalid_request plan"),
        ("POST", SUBSCRIBE, Alice, plan(json!({"plan": "pro"})), "400 invalid_request plan"),
        ("POST", SUBSCRIBE, Alice, body!({"handle": "alice"}), "400 invalid_request plan"),
        ("POST", SUBSCRIBE, Alice, plan(json!({"plan": "BUSINESS"})), "409 plan_not_for_sale"),
        ("POST", SUBSCRIBE, Alice, plan(json!({"successUrl": "https://evil.test/"})), "400 invalid_request successUrl"),
        ("POST", SUBSCRIBE, Alice, plan(json!({"cancelUrl": "javascript:alert(1)"})), "400 invalid_request cancelUrl"),
        ("POST", SUBSCRIBE, Alice, text(JSON, "{"), "400 invalid_request"),
        ("POST", SUBSCRIBE, Alice, text(JSON, r#"{"handle":"alice\u0000","plan":"PRO"}"#), "400 invalid_request"),
        ("POST", SUBSCRIBE, Alice, text("text/plain", "{}"), "415 unsupported_media_type"),
        ("POST", SUBSCRIBE, Alice, Key("has a space", json!({"handle": "alice", "plan": "PRO"})), "400 invalid_request Idempotency-Key"),
        ("GET", SUBSCRIBE, Alice, Nothing, "405 method_not_allowed"),
        ("POST", PORTAL, Nobody, body!({"handle": "alice"}), "401 unauthorized"),
        ("POST", PORTAL, Mallory, body!({"handle": "alice"}), "403 forbidden"),
        ("POST", PORTAL, Alice, body!({"handle": "nobody"}), "404 unknown_handle"),
        ("POST", PORTAL, Alice, body!({}), "400 invalid_request handle"),
        ("POST", PORTAL, Alice, body!({"handle": "alice"}), "409 not_subscribed"),
        ("POST", PORTAL, Alice, body!({"handle": "alice", "returnUrl": "https://evil.test/"}), "400 invalid_request returnUrl"),
        ("POST", PORTAL, Alice, text("text/plain", "{}"), "415 unsupported_media_type"),
        ("GET", "/v2/billing/summary?handle=alice", Nobody, Nothing, "401 unauthorized"),
        ("GET", "/v2/billing/summary?handle=alice", Mallory, Nothing, "403 forbidden"),
        ("GET", "/v2/billing/summary?handle=nobody", Alice, Nothing, "404 unknown_handle"),
        ("GET", "/v2/billing/summary", Alice, Nothing, "400 invalid_request handle"),
        ("POST", MANUAL, Nobody, gift(json!({})), "401 unauthorized"),
        ("POST", MANUAL, Alice, gift(json!({})), "403 forbidden"),
        ("POST", MANUAL, Mallory, gift(json!({"handle": "nobody"})), "403 forbidden"),
        ("POST", MANUAL, Admin, gift(json!({"handle": "nobody"})), "404 unknown_handle"),
        ("POST", MANUAL, Admin, gift(json!({"plan": "GOLD"})), "400 invalid_request plan"),
        ("POST", MANUAL, Admin, gift(json!({"plan": null})), "400 invalid_request"),
        ("POST", MANUAL, Admin, gift(json!({"reason": " "})), "400 invalid_request reason"),
        ("POST", MANUAL, Admin, gift(json!({"reason": "x".repeat(501)})), "400 invalid_request reason"),
        ("POST", MANUAL, Admin, body!({"handle": "alice", "plan": "PRO"}), "400 invalid_request reason"),
        ("POST", MANUAL, Admin, text("text/plain", "{}"), "415 unsupported_media_type"),
    ]
}
