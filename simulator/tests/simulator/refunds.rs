use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{Sim, ids, kinds_since, text};

const WITH_SHARES: &str = "reverse_transfer=true&refund_application_fee=true";

#[tokio::test]
async fn shares_of_partial_refunds_add_up_exactly() {
    let sim = Sim::start().await;
    let account = sim.account().await;
    for (amount, fee, parts) in [
        (1000, 33, vec![1, 1, 1, 997]),
        (999, 100, vec![333, 333, 333]),
        (101, 7, vec![50, 50, 1]),
        (10_007, 1_001, vec![1_111, 3_333, 5_563]),
    ] {
        let charge = sim.paid(amount, Some((&account, fee))).await;
        let charge_id = text(&charge["id"]);
        for part in parts {
            let form = format!("charge={charge_id}&amount={part}&{WITH_SHARES}");
            let refund = sim.post("/v1/refunds", &form).await.ok();
            assert_eq!(refund["status"], "succeeded");
            assert_eq!(refund["amount"], part);
        }
        let path = format!("/v1/charges/{charge_id}?expand[]=transfer&expand[]=application_fee");
        let charge = sim.get(&path).await.ok();
        assert_eq!(charge["refunded"], true);
        assert_eq!(charge["amount_refunded"], amount);
        assert_eq!(charge["transfer"]["amount_reversed"], amount);
        assert_eq!(charge["transfer"]["reversed"], true);
        assert_eq!(charge["application_fee"]["amount_refunded"], fee);
        assert_eq!(charge["application_fee"]["refunded"], true);
    }
}

#[tokio::test]
async fn shares_stay_where_they_are_unless_asked_for() {
    let sim = Sim::start().await;
    let account = sim.account().await;
    let charge = sim.paid(1000, Some((&account, 100))).await;
    let form = format!("payment_intent={}&amount=400", text(&charge["payment_intent"]));
    let refund = sim.post("/v1/refunds", &form).await.ok();
    assert_eq!(refund["transfer_reversal"], Value::Null);
    let path =
        format!("/v1/charges/{}?expand[]=transfer&expand[]=application_fee", text(&charge["id"]));
    let charge = sim.get(&path).await.ok();
    assert_eq!(charge["transfer"]["amount_reversed"], 0);
    assert_eq!(charge["application_fee"]["amount_refunded"], 0);
    assert_eq!(charge["refunds"]["data"][0]["id"], refund["id"]);
}

#[tokio::test]
async fn no_more_than_what_is_left_can_be_refunded() {
    let sim = Sim::start().await;
    let charge = text(&sim.paid(1000, None).await["id"]);
    let refund = |form: String| {
        let sim = &sim;
        async move { sim.post("/v1/refunds", &form).await }
    };
    refund(format!("charge={charge}&amount=600")).await.ok();
    let error = refund(format!("charge={charge}&amount=600")).await.error(400);
    assert_eq!(error["param"], "amount");
    assert!(error["message"].to_string().contains("unrefunded amount"), "{error}");
    assert_eq!(refund(format!("charge={charge}")).await.ok()["amount"], 400);
    let error = refund(format!("charge={charge}&amount=1")).await.error(400);
    assert_eq!(error["code"], "charge_already_refunded");
}

#[tokio::test]
async fn nonsense_is_refused() {
    let sim = Sim::start().await;
    let charge = text(&sim.paid(1000, None).await["id"]);
    for (form, status, param) in [
        (String::new(), 400, "charge"),
        (format!("charge={charge}&amount=0"), 400, "amount"),
        (format!("charge={charge}&amount=-5"), 400, "amount"),
        (format!("charge={charge}&reason=boredom"), 400, "reason"),
        (format!("charge={charge}&reverse_transfer=true"), 400, "reverse_transfer"),
        (format!("charge={charge}&refund_application_fee=true"), 400, "refund_application_fee"),
        ("charge=ch_gone".to_owned(), 404, "charge"),
        ("payment_intent=pi_gone".to_owned(), 404, "payment_intent"),
    ] {
        let error = sim.post("/v1/refunds", &form).await.error(status);
        assert_eq!(error["param"], param, "{form}");
    }
    assert_eq!(sim.get("/v1/refunds").await.ok()["data"], json!([]));
}

#[tokio::test]
async fn a_declined_payment_cannot_be_refunded() {
    let sim = Sim::start().await;
    let session = sim.session(1000, None).await;
    let declined = sim.play(&session, json!({ "outcome": "declined" })).await.ok();
    let form = format!("payment_intent={}", text(&declined["payment_intent"]));
    sim.post("/v1/refunds", &form).await.error(400);
}

#[tokio::test]
async fn a_refund_can_fail_after_it_succeeded() {
    let (sim, inbox) = Sim::start_heard().await;
    let charge = text(&sim.paid(1000, None).await["id"]);
    let refund = sim.post("/v1/refunds", &format!("charge={charge}")).await.ok();
    let path = format!("refunds/{}", text(&refund["id"]));
    let set = |status: &str| sim.control(Method::POST, &path, json!({ "status": status }));
    assert_eq!(set("pending").await.ok()["status"], "pending");
    let failed = set("failed").await.ok();
    assert_eq!(failed["status"], "failed");
    assert!(failed["failure_balance_transaction"].is_string());
    set("succeeded").await.error(409);
    let event = inbox.until_kind("refund.failed").await.event();
    assert_eq!(event["data"]["object"]["id"], refund["id"]);

    let after = sim.get(&format!("/v1/charges/{charge}")).await.ok();
    assert_eq!(after["amount_refunded"], 0);
    assert_eq!(after["refunded"], false);
    let movements = format!("/v1/balance_transactions?source={}", text(&refund["id"]));
    let movements = sim.get(&movements).await.ok();
    let nets: Vec<_> =
        movements["data"].as_array().unwrap().iter().map(|m| m["net"].as_i64().unwrap()).collect();
    assert_eq!(nets, [1000, -1000]);
    sim.post("/v1/refunds", &format!("charge={charge}")).await.ok();
}

#[tokio::test]
async fn a_refund_in_the_dashboard_is_a_refund_like_others() {
    let (sim, inbox) = Sim::start_heard().await;
    let charge = text(&sim.paid(1000, None).await["id"]);
    let path = format!("charges/{charge}/refund");
    let refund = sim.control(Method::POST, &path, json!({ "amount": 300 })).await.ok();
    assert_eq!(refund["amount"], 300);
    let listed = sim.get(&format!("/v1/refunds?charge={charge}")).await.ok();
    assert_eq!(ids(&listed), [text(&refund["id"])]);
    let event = inbox.until_kind("charge.refunded").await.event();
    assert_eq!(event["data"]["object"]["amount_refunded"], 300);
    assert_eq!(event["request"]["id"], Value::Null);
    sim.control(Method::POST, &path, json!({ "amount": 701 })).await.error(400);
    sim.control(Method::POST, "charges/ch_gone/refund", json!({})).await.error(404);
}

#[tokio::test]
async fn a_refund_can_start_as_pending() {
    let sim = Sim::start().await;
    sim.faults(json!({ "refunds": { "pending": 1.0 } })).await;
    let charge = text(&sim.paid(1000, None).await["id"]);
    let refund = sim.post("/v1/refunds", &format!("charge={charge}")).await.ok();
    assert_eq!(refund["status"], "pending");
    assert_eq!(refund["pending_reason"], "insufficient_funds");
    // The money has not left, but cannot be refunded twice.
    assert_eq!(refund["balance_transaction"], Value::Null);
    let path = format!("/v1/charges/{charge}");
    assert_eq!(sim.get(&path).await.ok()["amount_refunded"], 1000);
    let control = format!("refunds/{}", text(&refund["id"]));
    let body = json!({ "status": "succeeded" });
    let succeeded = sim.control(Method::POST, &control, body).await.ok();
    assert_eq!(succeeded["pending_reason"], Value::Null);
    let path = format!("/v1/balance_transactions/{}", text(&succeeded["balance_transaction"]));
    assert_eq!(sim.get(&path).await.ok()["net"], -1000);
    assert_eq!(
        kinds_since(&sim, "charge.refunded").await,
        ["refund.updated", "charge.refund.updated"]
    );
}

#[tokio::test]
async fn a_pending_refund_can_fail_or_be_canceled() {
    let sim = Sim::start().await;
    sim.faults(json!({ "refunds": { "pending": 1.0 } })).await;
    for (status, last) in [("failed", "refund.failed"), ("canceled", "charge.refund.updated")] {
        let charge = text(&sim.paid(1000, None).await["id"]);
        let form = format!("charge={charge}&metadata[why]=asked");
        let refund = sim.post("/v1/refunds", &form).await.ok();
        let control = format!("refunds/{}", text(&refund["id"]));
        let body = json!({ "status": status, "failure_reason": "insufficient_funds" });
        let after = sim.control(Method::POST, &control, body).await.ok();
        assert_eq!(after["status"], status);
        assert_eq!(after["metadata"], json!({ "why": "asked" }));
        if status == "failed" {
            assert_eq!(after["failure_reason"], "insufficient_funds");
        }
        assert_eq!(kinds_since(&sim, last).await, ["charge.updated"]);
        let charge = sim.get(&format!("/v1/charges/{charge}")).await.ok();
        assert_eq!((&charge["amount_refunded"], &charge["refunded"]), (&json!(0), &json!(false)));
        let path = format!("/v1/balance_transactions?source={}", text(&refund["id"]));
        assert_eq!(sim.get(&path).await.ok()["data"], json!([]));
        sim.control(Method::POST, &control, json!({ "status": "succeeded" })).await.error(409);
    }
}

#[tokio::test]
async fn only_a_pending_refund_can_be_canceled() {
    let sim = Sim::start().await;
    let charge = text(&sim.paid(1000, None).await["id"]);
    let refund = sim.post("/v1/refunds", &format!("charge={charge}")).await.ok();
    let control = format!("refunds/{}", text(&refund["id"]));
    sim.control(Method::POST, &control, json!({ "status": "canceled" })).await.error(409);
}

#[tokio::test]
async fn a_failed_refund_undoes_neither_the_reversal_nor_the_fee() {
    let sim = Sim::start().await;
    let account = sim.account().await;
    let charge = sim.paid(1000, Some((&account, 100))).await;
    let form = format!("charge={}&amount=400&{WITH_SHARES}", text(&charge["id"]));
    let refund = sim.post("/v1/refunds", &form).await.ok();
    assert_eq!(
        kinds_since(&sim, "charge.updated").await,
        ["transfer.reversed", "application_fee.refunded", "refund.created", "charge.refunded"]
    );
    let control = format!("refunds/{}", text(&refund["id"]));
    sim.control(Method::POST, &control, json!({ "status": "failed" })).await.ok();
    assert_eq!(
        kinds_since(&sim, "charge.refunded").await,
        ["refund.updated", "charge.refund.updated", "refund.failed", "charge.updated"]
    );
    let path = format!(
        "/v1/payment_intents/{}?expand[]=latest_charge&expand[]=latest_charge.transfer\
         &expand[]=latest_charge.application_fee&expand[]=latest_charge.refunds\
         &expand[]=latest_charge.balance_transaction",
        text(&charge["payment_intent"])
    );
    let after = sim.get(&path).await.ok()["latest_charge"].clone();
    assert_eq!(after["amount_refunded"], 0);
    assert_eq!(after["transfer"]["amount_reversed"], 400);
    assert_eq!(after["application_fee"]["amount_refunded"], 40);
    assert_eq!(after["refunds"]["data"][0]["status"], "failed");
    assert_eq!(after["balance_transaction"]["net"], 941);
    // Made again, it takes the rest of the transfer and no more.
    let form = format!("charge={}&{WITH_SHARES}", text(&charge["id"]));
    sim.post("/v1/refunds", &form).await.ok();
    let after = sim.get(&path).await.ok()["latest_charge"].clone();
    assert_eq!(after["amount_refunded"], 1000);
    assert_eq!(after["transfer"]["amount_reversed"], 1000);
    assert_eq!(after["application_fee"]["amount_refunded"], 100);
}

#[tokio::test]
async fn a_transfer_can_be_reversed_by_itself() {
    let sim = Sim::start().await;
    let account = sim.account().await;
    let charge = sim.paid(1000, Some((&account, 100))).await;
    let path = format!("/v1/transfers/{}/reversals", text(&charge["transfer"]));
    let reversal = sim.post(&path, "amount=400&metadata[a]=b").await.ok();
    assert_eq!(reversal["amount"], 400);
    sim.post(&path, "amount=601").await.error(400);
    assert_eq!(ids(&sim.get(&path).await.ok()), [text(&reversal["id"])]);
    // What is left of the transfer bounds what a refund can take back.
    let form = format!("charge={}&{WITH_SHARES}", text(&charge["id"]));
    sim.post("/v1/refunds", &form).await.ok();
    let transfer = format!("/v1/transfers/{}", text(&charge["transfer"]));
    assert_eq!(sim.get(&transfer).await.ok()["amount_reversed"], 1000);
}
