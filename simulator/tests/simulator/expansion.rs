use serde_json::Value;

use crate::support::{Sim, text};

/// Whether there is an object of this kind at the end of the path.
fn is(value: &Value, path: &str, kind: &str) -> bool {
    let end = path.split('.').fold(value, |value, name| &value[name]);
    end["object"] == kind
}

#[tokio::test]
async fn ids_are_replaced_by_objects() {
    let sim = Sim::start().await;
    let account = sim.account().await;
    let charge = sim.paid(1000, Some((&account, 100))).await;
    let charge_id = text(&charge["id"]);
    let form = format!("charge={charge_id}&amount=10&expand[]=balance_transaction");
    let refund = sim.post("/v1/refunds", &form).await.ok();
    assert!(is(&refund, "balance_transaction", "balance_transaction"));

    let session =
        format!("/v1/checkout/sessions?payment_intent={}", text(&charge["payment_intent"]));
    let session = text(&sim.get(&session).await.ok()["data"][0]["id"]);
    for (path, expand, kind) in [
        (format!("/v1/charges/{charge_id}"), "balance_transaction", "balance_transaction"),
        (format!("/v1/charges/{charge_id}"), "transfer", "transfer"),
        (format!("/v1/charges/{charge_id}"), "application_fee", "application_fee"),
        (format!("/v1/checkout/sessions/{session}"), "payment_intent", "payment_intent"),
        (
            format!("/v1/checkout/sessions/{session}"),
            "payment_intent.latest_charge.balance_transaction",
            "balance_transaction",
        ),
        (
            format!("/v1/payment_intents/{}", text(&charge["payment_intent"])),
            "latest_charge.balance_transaction",
            "balance_transaction",
        ),
        (format!("/v1/refunds/{}", text(&refund["id"])), "charge.payment_intent", "payment_intent"),
    ] {
        let object = sim.get(&format!("{path}?expand[]={expand}")).await.ok();
        assert!(is(&object, expand, kind), "{expand} of {path}");
    }
}

#[tokio::test]
async fn objects_in_lists_are_expanded_too() {
    let sim = Sim::start().await;
    let account = sim.account().await;
    let charge = sim.paid(1000, Some((&account, 100))).await;
    let form =
        format!("charge={}&reverse_transfer=true&refund_application_fee=true", text(&charge["id"]));
    sim.post("/v1/refunds", &form).await.ok();
    let page = sim.get("/v1/balance_transactions?expand[]=data.source").await.ok();
    let kinds: Vec<_> =
        page["data"].as_array().unwrap().iter().map(|m| text(&m["source"]["object"])).collect();
    assert_eq!(
        kinds,
        ["fee_refund", "transfer_reversal", "refund", "application_fee", "transfer", "charge"]
    );
}

#[tokio::test]
async fn what_cannot_be_expanded_is_refused_before_any_work() {
    let sim = Sim::start().await;
    sim.post("/v1/customers", "expand[]=nonsense").await.error(400);
    sim.get("/v1/charges?expand[]=data.a.b.c.d").await.error(400);
    assert!(sim.get("/v1/customers").await.ok()["data"].as_array().unwrap().is_empty());
}
