//! What creators may get wrong.

use serde_json::json;

use super::*;

#[rustfmt::skip]
pub fn handles() -> Vec<Row> {
    let big = format!("{{\"handle\":\"bob\",\"displayName\":\"{}\"}}", "x".repeat(300_000));
    vec![
        ("POST", "/v2/handles", Nobody, handle("bob"), "401 unauthorized"),
        ("POST", "/v2/handles", Alice, handle("alice"), "409 handle_taken handle"),
        ("POST", "/v2/handles", Alice, handle("Bob"), "400 invalid_request handle"),
        ("POST", "/v2/handles", Alice, handle("a/b"), "400 invalid_request handle"),
        ("POST", "/v2/handles", Alice, handle("ab"), "400 invalid_request handle"),
        ("POST", "/v2/handles", Alice, handle("admin"), "400 invalid_request handle"),
        ("POST", "/v2/handles", Alice, body!({"handle": "bob"}), "400 invalid_request displayName"),
        ("POST", "/v2/handles", Alice, body!({"handle": 7, "displayName": "B"}), "400 invalid_request handle"),
        ("POST", "/v2/handles", Alice, body!({"handle": "bob", "displayName": " "}), "400 invalid_request displayName"),
        ("POST", "/v2/handles", Alice, body!({"handle": "bob", "displayName": "a\nb"}), "400 invalid_request displayName"),
        ("POST", "/v2/handles", Alice, body!([]), "400 invalid_request body"),
        ("POST", "/v2/handles", Alice, text(JSON, "{"), "400 invalid_request"),
        ("POST", "/v2/handles", Alice, text(JSON, ""), "415 unsupported_media_type"),
        ("POST", "/v2/handles", Alice, text(JSON, "{} {}"), "400 invalid_request handle"),
        ("POST", "/v2/handles", Alice, text(JSON, r#"{"handle":"bob","displayName":"a\u0000b"}"#), "400 invalid_request"),
        ("POST", "/v2/handles", Alice, text(JSON, "{\"handle\":\"bob\",\"displayName\":\"a\0b\"}"), "400 invalid_request"),
        ("POST", "/v2/handles", Alice, Raw(JSON, b"{\"handle\":\"b\xff\"}".to_vec()), "400 invalid_request"),
        ("POST", "/v2/handles", Alice, text("text/plain", "{}"), "415 unsupported_media_type"),
        ("POST", "/v2/handles", Alice, text(JSON, &big), "413 too_large"),
        ("POST", "/v2/handles", Alice, Key("has a space", json!({"handle": "bob", "displayName": "B"})), "400 invalid_request Idempotency-Key"),
        ("POST", "/v2/handles", Alice, Key("schlüssel", json!({"handle": "bob", "displayName": "B"})), "400 invalid_request Idempotency-Key"),
        ("POST", "/v2/handles", Alice, Key("", json!({"handle": "bob", "displayName": "B"})), "400 invalid_request Idempotency-Key"),
        ("PUT", "/v2/handles", Alice, handle("bob"), "405 method_not_allowed"),
        ("GET", "/v2/handles/nobody", Alice, Nothing, "404 unknown_handle"),
        ("GET", "/v2/handles/N%20O", Alice, Nothing, "404 unknown_handle"),
        ("GET", "/v2/handles/alice%00", Alice, Nothing, "400 invalid_request"),
        ("GET", "/v2/handles/alice", Mallory, Nothing, "403 forbidden"),
        ("GET", "/v2/handles/alice", Nobody, Nothing, "401 unauthorized"),
    ]
}

#[rustfmt::skip]
pub fn connect() -> Vec<Row> {
    vec![
        ("POST", ONBOARD, Nobody, Nothing, "401 unauthorized"),
        ("POST", ONBOARD, Mallory, Nothing, "403 forbidden"),
        ("POST", "/v2/handles/nobody/connect/onboarding", Alice, Nothing, "404 unknown_handle"),
        ("POST", ONBOARD, Alice, body!({"returnUrl": "https://evil.test/"}), "400 invalid_request returnUrl"),
        ("POST", ONBOARD, Alice, body!({"refreshUrl": "javascript:alert(1)"}), "400 invalid_request refreshUrl"),
        ("POST", ONBOARD, Alice, body!({"refreshUrl": "http://u:p@localhost:8080/"}), "400 invalid_request refreshUrl"),
        ("POST", ONBOARD, Alice, body!({"country": "Germany"}), "400 invalid_request country"),
        ("POST", ONBOARD, Alice, body!({"country": 49}), "400 invalid_request country"),
        ("POST", ONBOARD, Alice, text("text/plain", "{}"), "415 unsupported_media_type"),
        ("GET", ONBOARD, Alice, Nothing, "405 method_not_allowed"),
        ("GET", "/v2/handles/alice/connect/status", Mallory, Nothing, "403 forbidden"),
        ("GET", "/v2/handles/nobody/connect/status", Alice, Nothing, "404 unknown_handle"),
        ("GET", "/v2/handles/nobody/connect/return", Nobody, Nothing, "404 unknown_handle"),
        ("GET", "/v2/handles/nobody/connect/refresh", Nobody, Nothing, "404 unknown_handle"),
        ("GET", "/v2/handles/alice/connect/return?to=https://evil.test/", Nobody, Nothing, "400 invalid_request to"),
        ("GET", "/v2/handles/alice/connect/return?to=//evil.test", Nobody, Nothing, "400 invalid_request to"),
        ("GET", "/v2/handles/alice/connect/refresh?token=1.ab&to=javascript:alert(1)", Nobody, Nothing, "400 invalid_request to"),
        ("POST", "/v2/handles/alice/connect/dashboard-link", Nobody, Nothing, "401 unauthorized"),
        ("POST", "/v2/handles/alice/connect/dashboard-link", Mallory, Nothing, "403 forbidden"),
        ("POST", "/v2/handles/nobody/connect/dashboard-link", Alice, Nothing, "404 unknown_handle"),
        ("GET", "/v2/handles/alice/connect/dashboard-link", Alice, Nothing, "405 method_not_allowed"),
    ]
}

#[rustfmt::skip]
pub fn pages() -> Vec<Row> {
    vec![
        ("POST", PAGES, Nobody, page!({}), "401 unauthorized"),
        ("POST", PAGES, Mallory, page!({}), "403 forbidden"),
        ("POST", "/v2/handles/nobody/pages", Alice, page!({}), "404 unknown_handle"),
        ("POST", PAGES, Alice, page!({"slug": "guide"}), "409 slug_taken slug"),
        ("POST", PAGES, Alice, page!({"slug": "a/b"}), "400 invalid_request slug"),
        ("POST", PAGES, Alice, page!({"slug": "Upper"}), "400 invalid_request slug"),
        ("POST", PAGES, Alice, page!({"slug": "-a"}), "400 invalid_request slug"),
        ("POST", PAGES, Alice, page!({"slug": null}), "400 invalid_request slug"),
        ("POST", PAGES, Alice, page!({"title": ""}), "400 invalid_request title"),
        ("POST", PAGES, Alice, page!({"title": "x".repeat(201)}), "400 invalid_request title"),
        ("POST", PAGES, Alice, page!({"body": "x".repeat(200_001)}), "400 invalid_request body"),
        ("POST", PAGES, Alice, page!({"mode": "SOLD"}), "400 invalid_request mode"),
        ("POST", PAGES, Alice, page!({"priceCents": -1}), "400 invalid_request priceCents"),
        ("POST", PAGES, Alice, page!({"priceCents": 0}), "400 invalid_request priceCents"),
        ("POST", PAGES, Alice, page!({"priceCents": 49}), "400 invalid_request priceCents"),
        ("POST", PAGES, Alice, page!({"priceCents": 100_000_000}), "400 invalid_request priceCents"),
        ("POST", PAGES, Alice, page!({"priceCents": 10.5}), "400 invalid_request priceCents"),
        ("POST", PAGES, Alice, page!({"priceCents": "1000"}), "400 invalid_request priceCents"),
        ("POST", PAGES, Alice, page!({"priceCents": null}), "400 invalid_request priceCents"),
        ("POST", PAGES, Alice, page!({"mode": "PUBLIC"}), "400 invalid_request priceCents"),
        ("POST", PAGES, Alice, page!({"currency": "XXX"}), "400 invalid_request currency"),
        ("POST", PAGES, Alice, page!({"currency": "KWD", "priceCents": 1255}), "400 invalid_request priceCents"),
        ("GET", "/v2/handles/alice/pages?limit=0", Alice, Nothing, "400 invalid_request limit"),
        ("GET", "/v2/handles/alice/pages?limit=101", Alice, Nothing, "400 invalid_request limit"),
        ("GET", "/v2/handles/alice/pages?limit=many", Alice, Nothing, "400 invalid_request limit"),
        ("GET", "/v2/handles/alice/pages?cursor=co_1", Alice, Nothing, "400 invalid_request cursor"),
        ("GET", PAGES, Mallory, Nothing, "403 forbidden"),
        ("GET", PAGE, Mallory, Nothing, "403 forbidden"),
        ("GET", "/v2/handles/alice/pages/none", Alice, Nothing, "404 unknown_page"),
        ("PATCH", PAGE, Alice, body!({"title": "N"}), "400 invalid_request version"),
        ("PATCH", PAGE, Alice, body!({"title": "N", "version": 1}), "409 version_conflict"),
        ("PATCH", PAGE, Alice, IfMatch("\"1\"", json!({"title": "N"})), "409 version_conflict"),
        ("PATCH", PAGE, Alice, IfMatch("\"one\"", json!({"title": "N"})), "400 invalid_request If-Match"),
        ("PATCH", PAGE, Alice, IfMatch("2", json!({"version": 1})), "400 invalid_request version"),
        ("PATCH", PAGE, Alice, body!({"version": 2, "priceCents": -5}), "400 invalid_request priceCents"),
        ("PATCH", PAGE, Alice, body!({"version": 2, "currency": "???"}), "400 invalid_request currency"),
        ("PATCH", PAGE, Mallory, body!({"version": 2}), "403 forbidden"),
        ("PATCH", "/v2/handles/alice/pages/none", Alice, body!({"version": 1}), "404 unknown_page"),
        ("POST", PUBLISH, Mallory, Nothing, "403 forbidden"),
        ("POST", PUBLISH, Alice, body!({"version": 1}), "409 version_conflict"),
        ("POST", PUBLISH, Alice, body!({"version": "1"}), "400 invalid_request version"),
        ("POST", "/v2/handles/alice/pages/none/publish", Alice, Nothing, "404 unknown_page"),
        ("POST", "/v2/handles/alice/pages/none/unpublish", Alice, Nothing, "404 unknown_page"),
        ("POST", "/v2/handles/alice/pages/draft/unpublish", Alice, Nothing, "409 page_not_published"),
        ("GET", "/v2/handles/alice/earnings?currency=XXX", Alice, Nothing, "400 invalid_request currency"),
        ("GET", "/v2/handles/alice/earnings", Mallory, Nothing, "403 forbidden"),
    ]
}
