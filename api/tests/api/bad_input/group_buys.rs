//! What may be wrong with group buys, offers and interest.

use serde_json::json;

use super::*;

const GROUP_BUYS: &str = "/v2/handles/alice/group-buys";
const DROP: &str = "/v2/handles/alice/group-buys/drop";
const DRAFT: &str = "/v2/handles/alice/group-buys/draft";
const OFFERS: &str = "/v2/handles/alice/offers";
const LINK: &str = "/v2/handles/alice/offers/offer_00000000000070008000000000000001/group-buy";
const INTEREST: &str = "/v2/public/group-buys/alice/drop/interest";

/// A group buy that is well but for a change.
fn group_buy(change: Value) -> Send {
    let mut body = json!({"slug": "fresh", "title": "T", "targetQuantity": 5});
    for (name, value) in change.as_object().unwrap() {
        body[name] = value.clone();
    }
    Json(body)
}

#[rustfmt::skip]
pub fn group_buys() -> Vec<Row> {
    vec![
        ("POST", GROUP_BUYS, Nobody, group_buy(json!({})), "401 unauthorized"),
        ("POST", GROUP_BUYS, Mallory, group_buy(json!({})), "403 forbidden"),
        ("POST", "/v2/handles/nobody/group-buys", Alice, group_buy(json!({})), "404 unknown_handle"),
        ("POST", GROUP_BUYS, Alice, group_buy(json!({"slug": "drop"})), "409 slug_taken slug"),
        ("POST", GROUP_BUYS, Alice, group_buy(json!({"slug": "a/b"})), "400 invalid_request slug"),
        ("POST", GROUP_BUYS, Alice, group_buy(json!({"slug": null})), "400 invalid_request slug"),
        ("POST", GROUP_BUYS, Alice, group_buy(json!({"title": " "})), "400 invalid_request title"),
        ("POST", GROUP_BUYS, Alice, group_buy(json!({"title": "a\r\nBcc: x@y.z"})), "400 invalid_request title"),
        ("POST", GROUP_BUYS, Alice, group_buy(json!({"description": "x".repeat(20_001)})), "400 invalid_request description"),
        ("POST", GROUP_BUYS, Alice, group_buy(json!({"targetQuantity": 0})), "400 invalid_request targetQuantity"),
        ("POST", GROUP_BUYS, Alice, group_buy(json!({"targetQuantity": -1})), "400 invalid_request targetQuantity"),
        ("POST", GROUP_BUYS, Alice, group_buy(json!({"targetQuantity": 1_000_000_001_i64})), "400 invalid_request targetQuantity"),
        ("POST", GROUP_BUYS, Alice, group_buy(json!({"targetQuantity": 1.5})), "400 invalid_request targetQuantity"),
        ("POST", GROUP_BUYS, Alice, group_buy(json!({"targetQuantity": u64::MAX})), "400 invalid_request targetQuantity"),
        ("POST", GROUP_BUYS, Alice, group_buy(json!({"targetQuantity": null})), "400 invalid_request targetQuantity"),
        ("POST", GROUP_BUYS, Alice, group_buy(json!({"maxQuantityPerVisitor": 0})), "400 invalid_request maxQuantityPerVisitor"),
        ("POST", GROUP_BUYS, Alice, group_buy(json!({"maxQuantityPerVisitor": 1_001})), "400 invalid_request maxQuantityPerVisitor"),
        ("PATCH", DRAFT, Alice, body!({"maxQuantityPerVisitor": -1}), "400 invalid_request maxQuantityPerVisitor"),
        ("POST", GROUP_BUYS, Alice, group_buy(json!({"deadline": "2020-01-01T00:00:00Z"})), "400 invalid_request deadline"),
        ("POST", GROUP_BUYS, Alice, group_buy(json!({"deadline": "9999-12-31T23:59:59Z"})), "400 invalid_request deadline"),
        ("POST", GROUP_BUYS, Alice, group_buy(json!({"deadline": "tomorrow"})), "400 invalid_request deadline"),
        ("POST", GROUP_BUYS, Alice, group_buy(json!({"deadline": 1})), "400 invalid_request deadline"),
        ("POST", GROUP_BUYS, Alice, text("text/plain", "{}"), "415 unsupported_media_type"),
        ("POST", GROUP_BUYS, Alice, Key("has a space", json!({"slug": "k", "title": "T", "targetQuantity": 5})), "400 invalid_request Idempotency-Key"),
        ("GET", "/v2/handles/alice/group-buys?limit=0", Alice, Nothing, "400 invalid_request limit"),
        ("GET", "/v2/handles/alice/group-buys?cursor=page_1", Alice, Nothing, "400 invalid_request cursor"),
        ("GET", GROUP_BUYS, Mallory, Nothing, "403 forbidden"),
        ("GET", DROP, Mallory, Nothing, "403 forbidden"),
        ("GET", "/v2/handles/alice/group-buys/none", Alice, Nothing, "404 unknown_group_buy"),
        ("GET", "/v2/handles/alice/group-buys/N%20O", Alice, Nothing, "404 unknown_group_buy"),
        ("PATCH", DRAFT, Mallory, body!({"title": "N"}), "403 forbidden"),
        ("PATCH", DRAFT, Alice, body!({"title": ""}), "400 invalid_request title"),
        ("PATCH", DRAFT, Alice, body!({"targetQuantity": 0}), "400 invalid_request targetQuantity"),
        ("PATCH", DRAFT, Alice, body!({"deadline": "soon"}), "400 invalid_request deadline"),
        ("PATCH", DRAFT, Alice, body!({"deadline": "2020-01-01T00:00:00Z"}), "400 invalid_request deadline"),
        ("PATCH", DROP, Alice, body!({"title": "N"}), "409 group_buy_published"),
        ("PATCH", "/v2/handles/alice/group-buys/none", Alice, body!({"title": "N"}), "404 unknown_group_buy"),
        ("POST", "/v2/handles/alice/group-buys/drop/publish", Mallory, Nothing, "403 forbidden"),
        ("POST", "/v2/handles/alice/group-buys/none/publish", Alice, Nothing, "404 unknown_group_buy"),
        ("POST", "/v2/handles/alice/group-buys/drop/cancel", Mallory, Nothing, "403 forbidden"),
        ("POST", "/v2/handles/alice/group-buys/none/cancel", Alice, Nothing, "404 unknown_group_buy"),
        ("POST", "/v2/handles/alice/group-buys/drop/preview", Mallory, Nothing, "403 forbidden"),
        ("POST", "/v2/handles/alice/group-buys/none/preview", Alice, Nothing, "404 unknown_group_buy"),
        ("GET", "/v2/handles/alice/group-buys/drop/publish", Alice, Nothing, "405 method_not_allowed"),
    ]
}

#[rustfmt::skip]
pub fn offers() -> Vec<Row> {
    let link = || json!({"groupBuySlug": "drop", "gate": "LAUNCH_THRESHOLD"});
    vec![
        ("POST", OFFERS, Nobody, body!({"title": "O", "pageSlug": "guide"}), "401 unauthorized"),
        ("POST", OFFERS, Mallory, body!({"title": "O", "pageSlug": "guide"}), "403 forbidden"),
        ("POST", OFFERS, Alice, body!({"title": "", "pageSlug": "guide"}), "400 invalid_request title"),
        ("POST", OFFERS, Alice, body!({"title": "O"}), "400 invalid_request pageSlug"),
        ("POST", OFFERS, Alice, body!({"title": "O", "pageSlug": "a/b"}), "400 invalid_request pageSlug"),
        ("POST", OFFERS, Alice, body!({"title": "O", "pageSlug": "none"}), "404 unknown_page"),
        ("GET", "/v2/handles/alice/offers?limit=101", Alice, Nothing, "400 invalid_request limit"),
        ("GET", "/v2/handles/alice/offers?cursor=gb_1", Alice, Nothing, "400 invalid_request cursor"),
        ("GET", OFFERS, Mallory, Nothing, "403 forbidden"),
        ("GET", "/v2/handles/alice/offers/offer_00000000000070008000000000000001", Mallory, Nothing, "403 forbidden"),
        ("GET", "/v2/handles/alice/offers/offer_00000000000070008000000000000001", Alice, Nothing, "404 unknown_offer"),
        ("PUT", LINK, Nobody, Json(link()), "401 unauthorized"),
        ("PUT", LINK, Mallory, Json(link()), "403 forbidden"),
        ("PUT", LINK, Alice, Json(link()), "404 unknown_offer"),
        ("PUT", "/v2/handles/alice/offers/guide/group-buy", Alice, Json(link()), "404 unknown_offer"),
        ("PUT", LINK, Alice, body!({"groupBuySlug": "drop"}), "400 invalid_request gate"),
        ("PUT", LINK, Alice, body!({"groupBuySlug": "drop", "gate": "OPEN"}), "400 invalid_request gate"),
        ("PUT", LINK, Alice, body!({"groupBuySlug": 7, "gate": "LAUNCH_THRESHOLD"}), "400 invalid_request groupBuySlug"),
        ("PUT", LINK, Alice, body!({"groupBuySlug": "drop", "gate": "LAUNCH_THRESHOLD", "requireActiveInterest": "yes"}), "400 invalid_request requireActiveInterest"),
        ("DELETE", LINK, Mallory, Nothing, "403 forbidden"),
        ("DELETE", LINK, Alice, Nothing, "404 unknown_offer"),
        ("GET", LINK, Alice, Nothing, "405 method_not_allowed"),
    ]
}

#[rustfmt::skip]
pub fn interest() -> Vec<Row> {
    vec![
        ("POST", INTEREST, Nobody, body!({"quantity": 1}), "401 not_signed_in"),
        ("POST", INTEREST, ElseWhere, body!({"quantity": 1}), "403 origin_mismatch"),
        ("POST", INTEREST, Visitor, body!({"quantity": 0}), "400 invalid_request quantity"),
        ("POST", INTEREST, Visitor, body!({"quantity": -1}), "400 invalid_request quantity"),
        ("POST", INTEREST, Visitor, body!({"quantity": 1_001}), "400 invalid_request quantity"),
        ("POST", INTEREST, Visitor, body!({"quantity": i64::MAX}), "400 invalid_request quantity"),
        ("POST", INTEREST, Visitor, body!({"quantity": 1.5}), "400 invalid_request quantity"),
        ("POST", INTEREST, Visitor, body!({"quantity": "2"}), "400 invalid_request quantity"),
        ("POST", INTEREST, Visitor, body!({}), "400 invalid_request quantity"),
        ("POST", INTEREST, Visitor, text("text/plain", "1"), "415 unsupported_media_type"),
        ("POST", "/v2/public/group-buys/alice/none/interest", Visitor, body!({"quantity": 1}), "404 unknown_group_buy"),
        ("POST", "/v2/public/group-buys/alice/draft/interest", Visitor, body!({"quantity": 1}), "404 unknown_group_buy"),
        ("POST", "/v2/public/group-buys/nobody/drop/interest", Visitor, body!({"quantity": 1}), "404 unknown_group_buy"),
        ("DELETE", INTEREST, Nobody, Nothing, "401 not_signed_in"),
        ("DELETE", INTEREST, ElseWhere, Nothing, "403 origin_mismatch"),
        ("DELETE", "/v2/public/group-buys/alice/none/interest", Visitor, Nothing, "404 unknown_group_buy"),
        ("GET", INTEREST, Visitor, Nothing, "405 method_not_allowed"),
        ("GET", "/v2/public/group-buys/nobody", Nobody, Nothing, "404 unknown_handle"),
        ("GET", "/v2/public/group-buys/alice?limit=0", Nobody, Nothing, "400 invalid_request limit"),
        ("GET", "/v2/public/group-buys/alice?cursor=1", Nobody, Nothing, "400 invalid_request cursor"),
        ("GET", "/v2/public/group-buys/alice/draft", Nobody, Nothing, "404 unknown_group_buy"),
        ("GET", "/v2/public/group-buys/alice/drop%00", Nobody, Nothing, "400 invalid_request"),
        ("GET", "/v2/public/group-buys/alice/drop/activation", Nobody, Nothing, "409 threshold_not_reached"),
        ("POST", "/v2/public/group-buys/alice/drop", Visitor, Nothing, "405 method_not_allowed"),
    ]
}
