//! What may be got wrong about refunds, and about the lists of what was sold and went back.

use super::*;

const REFUND: &str = "/v2/handles/alice/pages/guide/refund";
const PREVIEW: &str = "/v2/handles/alice/pages/guide/refund/preview";
const SOLD: &str = "co_00000000000070008000000000000001";

#[rustfmt::skip]
pub fn returns() -> Vec<Row> {
    let mut rows = vec![
        ("POST", "/v2/handles/nobody/pages/guide/refund", Alice, body!({"checkoutId": SOLD}), "404 unknown_handle"),
        ("POST", "/v2/handles/alice/pages/none/refund", Alice, body!({"checkoutId": SOLD}), "404 unknown_page"),
        ("GET", REFUND, Alice, Nothing, "405 method_not_allowed"),
        ("GET", "/v2/handles/alice/refunds", Nobody, Nothing, "401 unauthorized"),
        ("GET", "/v2/handles/alice/refunds", Mallory, Nothing, "403 forbidden"),
        ("GET", "/v2/handles/alice/refunds?limit=0", Alice, Nothing, "400 invalid_request limit"),
        ("GET", "/v2/handles/alice/refunds?cursor=co_1", Alice, Nothing, "400 invalid_request cursor"),
        ("GET", "/v2/handles/alice/disputes", Mallory, Nothing, "403 forbidden"),
        ("GET", "/v2/handles/alice/disputes?cursor=x", Alice, Nothing, "400 invalid_request cursor"),
        ("GET", "/v2/handles/alice/checkouts", Mallory, Nothing, "403 forbidden"),
        ("GET", "/v2/handles/alice/checkouts?cursor=x", Alice, Nothing, "400 invalid_request cursor"),
        ("GET", "/v2/handles/alice/checkouts?status=PAID", Alice, Nothing, "400 invalid_request status"),
    ];
    for path in [REFUND, PREVIEW] {
        rows.extend([
            ("POST", path, Nobody, body!({"checkoutId": SOLD}), "401 unauthorized"),
            ("POST", path, Mallory, body!({"checkoutId": SOLD}), "403 forbidden"),
            ("POST", path, Alice, body!({}), "400 invalid_request checkoutId"),
            ("POST", path, Alice, body!({"checkoutId": SOLD, "visitorEmail": "a@b.example"}), "400 invalid_request checkoutId"),
            ("POST", path, Alice, body!({"checkoutId": "page_1"}), "400 invalid_request checkoutId"),
            ("POST", path, Alice, body!({"checkoutId": SOLD}), "404 unknown_checkout"),
            ("POST", path, Alice, body!({"visitorEmail": "no address"}), "400 invalid_request visitorEmail"),
            ("POST", path, Alice, body!({"visitorEmail": "nobody@example.com"}), "404 unknown_checkout"),
            ("POST", path, Alice, body!({"checkoutId": SOLD, "amountCents": "1"}), "400 invalid_request amountCents"),
            ("POST", path, Alice, body!({"checkoutId": SOLD, "reason": "WHY"}), "400 invalid_request reason"),
            ("POST", path, Alice, body!({"checkoutId": SOLD, "reason": "MADE_AT_STRIPE"}), "400 invalid_request reason"),
            ("POST", path, Alice, body!({"checkoutId": SOLD, "revokeAccess": "yes"}), "400 invalid_request revokeAccess"),
            ("POST", path, Alice, text(JSON, "{"), "400 invalid_request"),
            ("POST", path, Alice, text("text/plain", "{}"), "415 unsupported_media_type"),
        ]);
    }
    rows
}
