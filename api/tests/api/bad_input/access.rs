//! What may be wrong with members, access tokens and the audit log.

use serde_json::json;

use super::*;

const MEMBERS: &str = "/v2/handles/alice/members";
const BOB: &str = "/v2/handles/alice/members/bob";
const TOKENS: &str = "/v2/tokens";
const NO_TOKEN: &str = "/v2/tokens/tok_00000000000070008000000000000000";
const LOG: &str = "/v2/handles/alice/audit-log";
const OPERATORS_LOG: &str = "/v2/operator/audit-log";

/// A wish for a token that is well but for a change.
fn wish(change: Value) -> Send {
    let mut wish = json!({"name": "n", "scopes": ["pages:read"]});
    for (name, value) in change.as_object().unwrap() {
        wish[name] = value.clone();
    }
    Json(wish)
}

#[rustfmt::skip]
pub fn members() -> Vec<Row> {
    let long = "x".repeat(256);
    vec![
        ("POST", MEMBERS, Nobody, body!({"subject": "bob", "role": "creator"}), "401 unauthorized"),
        ("POST", MEMBERS, Mallory, body!({"subject": "bob", "role": "creator"}), "403 forbidden"),
        ("POST", "/v2/handles/nobody/members", Alice, body!({"subject": "bob", "role": "creator"}), "404 unknown_handle"),
        ("POST", MEMBERS, Alice, body!({"subject": "bob", "role": "OWNER"}), "400 invalid_request role"),
        ("POST", MEMBERS, Alice, body!({"subject": "bob", "role": "platform_admin"}), "400 invalid_request role"),
        ("POST", MEMBERS, Alice, body!({"subject": "bob"}), "400 invalid_request role"),
        ("POST", MEMBERS, Alice, body!({"role": "creator"}), "400 invalid_request subject"),
        ("POST", MEMBERS, Alice, body!({"subject": "", "role": "creator"}), "400 invalid_request subject"),
        ("POST", MEMBERS, Alice, body!({"subject": 7, "role": "creator"}), "400 invalid_request subject"),
        ("POST", MEMBERS, Alice, body!({"subject": "a\nb", "role": "creator"}), "400 invalid_request subject"),
        ("POST", MEMBERS, Alice, body!({"subject": long, "role": "creator"}), "400 invalid_request subject"),
        ("POST", MEMBERS, Alice, body!({"subject": "a\u{0}b", "role": "creator"}), "400 invalid_request"),
        ("POST", MEMBERS, Alice, body!({"subject": "alice", "role": "creator"}), "409 last_owner"),
        ("POST", MEMBERS, Alice, text(JSON, "{"), "400 invalid_request"),
        ("POST", MEMBERS, Alice, text("text/plain", "{}"), "415 unsupported_media_type"),
        ("POST", MEMBERS, Alice, Key("a b", json!({"subject": "bob", "role": "creator"})), "400 invalid_request Idempotency-Key"),
        ("PUT", MEMBERS, Alice, Nothing, "405 method_not_allowed"),
        ("GET", MEMBERS, Nobody, Nothing, "401 unauthorized"),
        ("GET", MEMBERS, Mallory, Nothing, "403 forbidden"),
        ("GET", "/v2/handles/alice/members?limit=0", Alice, Nothing, "400 invalid_request limit"),
        ("GET", "/v2/handles/alice/members?limit=101", Alice, Nothing, "400 invalid_request limit"),
        ("GET", "/v2/handles/alice/members?cursor=%21", Alice, Nothing, "400 invalid_request cursor"),
        ("GET", "/v2/handles/alice/members?cursor=AA", Alice, Nothing, "400 invalid_request cursor"),
        ("DELETE", BOB, Nobody, Nothing, "401 unauthorized"),
        ("DELETE", BOB, Mallory, Nothing, "403 forbidden"),
        ("DELETE", BOB, Alice, Nothing, "404 unknown_member"),
        ("DELETE", "/v2/handles/alice/members/a%00b", Alice, Nothing, "400 invalid_request"),
        ("DELETE", "/v2/handles/nobody/members/alice", Alice, Nothing, "404 unknown_handle"),
        ("DELETE", "/v2/handles/alice/members/alice", Alice, Nothing, "409 last_owner"),
        ("GET", BOB, Alice, Nothing, "405 method_not_allowed"),
        ("GET", LOG, Nobody, Nothing, "401 unauthorized"),
        ("GET", LOG, Mallory, Nothing, "403 forbidden"),
        ("GET", "/v2/handles/nobody/audit-log", Alice, Nothing, "404 unknown_handle"),
        ("GET", "/v2/handles/alice/audit-log?limit=-1", Alice, Nothing, "400 invalid_request limit"),
        ("GET", "/v2/handles/alice/audit-log?cursor=page_1", Alice, Nothing, "400 invalid_request cursor"),
        ("GET", OPERATORS_LOG, Nobody, Nothing, "401 unauthorized"),
        ("GET", OPERATORS_LOG, Alice, Nothing, "403 forbidden"),
    ]
}

#[rustfmt::skip]
pub fn tokens() -> Vec<Row> {
    let many: Vec<_> = (0..21).map(|n| format!("handle-{n}")).collect();
    vec![
        ("POST", TOKENS, Nobody, wish(json!({})), "401 unauthorized"),
        ("POST", TOKENS, Alice, wish(json!({"name": " "})), "400 invalid_request name"),
        ("POST", TOKENS, Alice, wish(json!({"name": "x".repeat(101)})), "400 invalid_request name"),
        ("POST", TOKENS, Alice, wish(json!({"name": null})), "400 invalid_request name"),
        ("POST", TOKENS, Alice, body!({"name": "n"}), "400 invalid_request scopes"),
        ("POST", TOKENS, Alice, wish(json!({"scopes": []})), "400 invalid_request scopes"),
        ("POST", TOKENS, Alice, wish(json!({"scopes": ["everything"]})), "400 invalid_request scopes[0]"),
        ("POST", TOKENS, Alice, wish(json!({"scopes": ["platform_admin"]})), "400 invalid_request scopes[0]"),
        ("POST", TOKENS, Alice, wish(json!({"scopes": "pages:read"})), "400 invalid_request scopes"),
        ("POST", TOKENS, Alice, wish(json!({"expiresAt": "tomorrow"})), "400 invalid_request expiresAt"),
        ("POST", TOKENS, Alice, wish(json!({"expiresAt": 4102444800_i64})), "400 invalid_request expiresAt"),
        ("POST", TOKENS, Alice, wish(json!({"expiresAt": "2020-01-01T00:00:00Z"})), "400 invalid_request expiresAt"),
        ("POST", TOKENS, Alice, wish(json!({"expiresAt": "9999-12-31T23:59:59Z"})), "400 invalid_request expiresAt"),
        ("POST", TOKENS, Alice, wish(json!({"handles": []})), "400 invalid_request handles"),
        ("POST", TOKENS, Alice, wish(json!({"handles": many})), "400 invalid_request handles"),
        ("POST", TOKENS, Alice, wish(json!({"handles": ["alice", "nobody"]})), "400 invalid_request handles"),
        ("POST", TOKENS, Mallory, wish(json!({"handles": ["alice"]})), "400 invalid_request handles"),
        ("POST", TOKENS, Alice, wish(json!({"handles": "alice"})), "400 invalid_request handles"),
        ("POST", TOKENS, Alice, text(JSON, "{"), "400 invalid_request"),
        ("POST", TOKENS, Alice, text("text/plain", "{}"), "415 unsupported_media_type"),
        ("PUT", TOKENS, Alice, Nothing, "405 method_not_allowed"),
        ("GET", TOKENS, Nobody, Nothing, "401 unauthorized"),
        ("GET", "/v2/tokens?limit=0", Alice, Nothing, "400 invalid_request limit"),
        ("GET", "/v2/tokens?cursor=aud_1", Alice, Nothing, "400 invalid_request cursor"),
        ("GET", NO_TOKEN, Nobody, Nothing, "401 unauthorized"),
        ("GET", NO_TOKEN, Alice, Nothing, "404 unknown_token"),
        ("GET", "/v2/tokens/1", Alice, Nothing, "404 unknown_token"),
        ("DELETE", NO_TOKEN, Nobody, Nothing, "401 unauthorized"),
        ("DELETE", NO_TOKEN, Alice, Nothing, "404 unknown_token"),
        ("DELETE", "/v2/tokens/slc_1", Alice, Nothing, "404 unknown_token"),
        ("PATCH", NO_TOKEN, Alice, Nothing, "405 method_not_allowed"),
    ]
}
