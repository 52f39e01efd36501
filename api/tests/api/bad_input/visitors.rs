//! What visitors, Stripe and those who run the service may get wrong.

use super::*;

#[rustfmt::skip]
pub fn visitors() -> Vec<Row> {
    vec![
        ("POST", LINK, Nobody, body!({"email": "bob"}), "400 invalid_request email"),
        ("POST", LINK, Nobody, body!({}), "400 invalid_request email"),
        ("POST", LINK, Nobody, body!({"email": "b@c.de\r\nBcc: x@y.z"}), "400 invalid_request email"),
        ("POST", LINK, Nobody, body!({"email": "b@c.de", "returnTo": "https://evil.test"}), "400 invalid_request returnTo"),
        ("POST", LINK, Nobody, body!({"email": "b@c.de", "returnTo": "//evil.test"}), "400 invalid_request returnTo"),
        ("POST", LINK, Nobody, body!({"email": "b@c.de", "returnTo": "/\\evil.test"}), "400 invalid_request returnTo"),
        ("POST", LINK, Nobody, body!({"email": "b@c.de", "handle": "nobody"}), "404 unknown_handle"),
        ("POST", LINK, ElseWhere, body!({"email": "b@c.de"}), "403 origin_mismatch"),
        ("GET", LINK, Nobody, Nothing, "405 method_not_allowed"),
        ("GET", VERIFY, Nobody, Nothing, "400 invalid_request token"),
        ("GET", "/v2/visitor/auth/verify?token=forged", Nobody, Nothing, "400 link_invalid"),
        ("POST", VERIFY, Nobody, body!({}), "400 invalid_request token"),
        ("POST", VERIFY, Nobody, body!({"token": "forged.token"}), "400 link_invalid"),
        ("POST", VERIFY, Nobody, body!({"token": "t", "code": "1"}), "400 invalid_request token"),
        ("POST", VERIFY, Nobody, body!({"email": "x@y.de", "code": "123456"}), "400 code_wrong"),
        ("POST", VERIFY, Nobody, body!({"email": "x", "code": "123456"}), "400 invalid_request email"),
        ("POST", VERIFY, Nobody, text("application/x-www-form-urlencoded", "token=a%00b"), "400 invalid_request"),
        ("POST", VERIFY, Nobody, text("application/x-www-form-urlencoded", "token=forged"), "400 link_invalid"),
        ("POST", VERIFY, Nobody, text("text/xml", "<a/>"), "415 unsupported_media_type"),
        ("POST", VERIFY, ElseWhere, body!({"token": "forged"}), "403 origin_mismatch"),
        ("GET", "/v2/visitor/session", Nobody, Nothing, "401 not_signed_in"),
        ("POST", "/v2/visitor/auth/logout", ElseWhere, Nothing, "403 origin_mismatch"),
        ("GET", "/v2/visitor/auth/logout", Visitor, Nothing, "405 method_not_allowed"),
        ("POST", "/v2/visitor/auth/welcome", Nobody, Nothing, "405 method_not_allowed"),
    ]
}

#[rustfmt::skip]
pub fn public() -> Vec<Row> {
    vec![
        ("GET", "/v2/public/pages/nobody/guide", Nobody, Nothing, "404 unknown_handle"),
        ("GET", "/v2/public/pages/alice/none", Nobody, Nothing, "404 unknown_page"),
        ("GET", "/v2/public/pages/alice/draft", Nobody, Nothing, "404 unknown_page"),
        ("GET", "/v2/public/pages/alice/draft/entitlement", Visitor, Nothing, "404 unknown_page"),
        ("POST", CHECKOUT, Nobody, Nothing, "401 not_signed_in"),
        ("POST", CHECKOUT, ElseWhere, Nothing, "403 origin_mismatch"),
        ("POST", "/v2/public/pages/alice/none/checkout", Visitor, Nothing, "404 unknown_page"),
        ("POST", "/v2/public/pages/alice/draft/checkout", Visitor, Nothing, "404 unknown_page"),
        ("POST", "/v2/public/pages/nobody/guide/checkout", Visitor, Nothing, "404 unknown_handle"),
        ("POST", CHECKOUT, Visitor, body!({"successUrl": "https://evil.test/"}), "400 invalid_request successUrl"),
        ("POST", CHECKOUT, Visitor, body!({"cancelUrl": "https://localhost:8080/"}), "400 invalid_request cancelUrl"),
        ("POST", CHECKOUT, Visitor, body!({"cancelUrl": "ftp://localhost/"}), "400 invalid_request cancelUrl"),
        ("POST", CHECKOUT, Visitor, body!({"campaignId": "Spring 26"}), "400 invalid_request campaignId"),
        ("POST", CHECKOUT, Visitor, body!({"campaignId": 7}), "400 invalid_request campaignId"),
        ("POST", CHECKOUT, Visitor, text(JSON, "nonsense"), "400 invalid_request"),
        ("GET", "/v2/public/checkouts/co_1", Visitor, Nothing, "404 unknown_checkout"),
        ("GET", "/v2/public/checkouts/co_00000000000000000000000000000001", Visitor, Nothing, "404 unknown_checkout"),
        ("GET", "/v2/public/checkouts/co_1", Nobody, Nothing, "401 not_signed_in"),
        ("POST", HOOK, Nobody, body!({}), "400 signature_mismatch"),
        ("POST", HOOK, Nobody, text("text/plain", "{}"), "415 unsupported_media_type"),
        ("POST", HOOK, Nobody, Raw(JSON, vec![b' '; 1024 * 1024 + 1]), "413 too_large"),
        ("POST", HOOK, Nobody, text(JSON, r#"{"a":"\u0000"}"#), "400 invalid_request"),
        ("GET", HOOK, Nobody, Nothing, "405 method_not_allowed"),
        ("POST", CONNECT_HOOK, Nobody, body!({}), "400 signature_mismatch"),
        ("GET", "/v2/runs/run_1", Alice, Nothing, "404 unknown_run"),
        ("GET", "/v2/runs/run_00000000000000000000000000000001", Alice, Nothing, "404 unknown_run"),
        ("GET", "/v2/runs/run_1", Nobody, Nothing, "401 unauthorized"),
        ("GET", "/v2/runs/run_1/history", Alice, Nothing, "404 unknown_run"),
        ("GET", "/v2/runs/run_1/history?cursor=x", Alice, Nothing, "400 invalid_request cursor"),
        ("GET", "/v2/runs/run_1/events", Alice, Nothing, "404 unknown_run"),
        ("GET", "/v2/runs/run_1/events?after=x", Alice, Nothing, "400 invalid_request after"),
        ("GET", "/metrics", Nobody, Nothing, "403 forbidden"),
        ("POST", "/", Nobody, Nothing, "405 method_not_allowed"),
        ("POST", "/healthz", Nobody, Nothing, "405 method_not_allowed"),
        ("POST", "/readyz", Nobody, Nothing, "405 method_not_allowed"),
        ("GET", "/v2/nothing", Nobody, Nothing, "404 not_found"),
        ("GET", "/v2/handles/alice/pages/a/b/c", Alice, Nothing, "404 not_found"),
        ("DELETE", "/docs", Nobody, Nothing, "405 method_not_allowed"),
    ]
}
