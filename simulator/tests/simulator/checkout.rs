use serde_json::{Value, json};

use crate::support::{Sim, send, session_form, text};

#[tokio::test]
async fn a_new_session_can_be_paid_and_has_no_payment_intent_yet() {
    let sim = Sim::start().await;
    let session = sim.session(1250, None).await;
    assert_eq!(session["status"], "open");
    assert_eq!(session["payment_status"], "unpaid");
    assert_eq!(session["amount_total"], 1250);
    assert_eq!(session["payment_intent"], Value::Null);
    assert_eq!(session["metadata"], json!({ "order": "1" }));
    assert!(text(&session["url"]).starts_with(&sim.running.url()));
    let path = format!("/v1/checkout/sessions/{}", text(&session["id"]));
    assert_eq!(sim.get(&path).await.ok(), session);
}

#[tokio::test]
async fn a_payment_is_passed_on_with_the_fee_taken() {
    let sim = Sim::start().await;
    let account = sim.account().await;
    let session = sim.session(10_000, Some((&account, 1_000))).await;
    let body = json!({ "outcome": "paid", "email": "buyer@example.test" });
    let paid = sim.play(&session, body).await.ok();
    assert_eq!(paid["session"]["status"], "complete");
    assert_eq!(paid["session"]["payment_status"], "paid");
    assert_eq!(paid["session"]["url"], Value::Null);
    assert_eq!(paid["session"]["customer_details"]["email"], "buyer@example.test");

    let path = format!(
        "/v1/payment_intents/{}?expand[]=latest_charge.balance_transaction\
         &expand[]=latest_charge.transfer&expand[]=latest_charge.application_fee",
        text(&paid["payment_intent"])
    );
    let intent = sim.get(&path).await.ok();
    assert_eq!(intent["status"], "succeeded");
    assert_eq!(intent["amount_received"], 10_000);
    assert_eq!(intent["metadata"], json!({ "order": "1" }));
    let charge = &intent["latest_charge"];
    assert_eq!(charge["metadata"], json!({ "order": "1" }));
    assert_eq!(charge["billing_details"]["email"], "buyer@example.test");
    let movement = &charge["balance_transaction"];
    assert_eq!(
        (&movement["amount"], &movement["fee"], &movement["net"]),
        (&json!(10_000), &json!(320), &json!(9_680))
    );
    let created = movement["created"].as_i64().unwrap();
    assert_eq!(movement["available_on"], created + 2 * 86_400);
    assert_eq!(charge["transfer"]["amount"], 10_000);
    assert_eq!(charge["transfer"]["destination"], json!(account));
    assert_eq!(charge["application_fee"]["amount"], 1_000);
    assert_eq!(charge["application_fee"]["account"], json!(account));
}

#[tokio::test]
async fn a_declined_card_leaves_the_session_open_for_another() {
    let sim = Sim::start().await;
    let session = sim.session(1000, None).await;
    let declined = sim.play(&session, json!({ "outcome": "declined" })).await.ok();
    assert_eq!(declined["session"]["status"], "open");
    let path = format!("/v1/payment_intents/{}", text(&declined["payment_intent"]));
    let intent = sim.get(&path).await.ok();
    assert_eq!(intent["status"], "requires_payment_method");
    assert_eq!(intent["last_payment_error"]["code"], "card_declined");
    let paid = sim.play(&session, json!({ "outcome": "paid" })).await.ok();
    assert_eq!(paid["payment_intent"], declined["payment_intent"]);
    let intent = sim.get(&path).await.ok();
    assert_eq!(intent["status"], "succeeded");
    assert_eq!(intent["last_payment_error"], Value::Null);
    let charges = sim.get(&format!("/v1/charges?payment_intent={}", text(&intent["id"]))).await;
    let statuses: Vec<_> =
        charges.ok()["data"].as_array().unwrap().iter().map(|c| text(&c["status"])).collect();
    assert_eq!(statuses, ["succeeded", "failed"]);
}

#[tokio::test]
async fn a_delayed_payment_is_decided_later() {
    let sim = Sim::start().await;
    for (outcome, payment_status, intent_status) in [
        ("delayed_succeeds", "paid", "succeeded"),
        ("delayed_fails", "unpaid", "requires_payment_method"),
    ] {
        let session = sim.session(1000, None).await;
        let delayed = sim.play(&session, json!({ "outcome": "delayed" })).await.ok();
        assert_eq!(delayed["session"]["status"], "complete");
        assert_eq!(delayed["session"]["payment_status"], "unpaid");
        let path = format!("/v1/payment_intents/{}", text(&delayed["payment_intent"]));
        assert_eq!(sim.get(&path).await.ok()["status"], "processing");
        let decided = sim.play(&session, json!({ "outcome": outcome })).await.ok();
        assert_eq!(decided["session"]["payment_status"], payment_status);
        assert_eq!(sim.get(&path).await.ok()["status"], intent_status);
        sim.play(&session, json!({ "outcome": outcome })).await.error(409);
    }
}

#[tokio::test]
async fn a_session_that_is_not_open_cannot_be_paid_or_expired() {
    let sim = Sim::start().await;
    let session = sim.session(1000, None).await;
    let path = format!("/v1/checkout/sessions/{}/expire", text(&session["id"]));
    let expired = sim.post(&path, "").await.ok();
    assert_eq!(expired["status"], "expired");
    assert_eq!(expired["url"], Value::Null);
    for outcome in ["paid", "declined", "delayed", "expired"] {
        sim.play(&session, json!({ "outcome": outcome })).await.error(409);
    }
    let error = sim.post(&path, "").await.error(400);
    assert!(error["message"].to_string().contains("expired"));
    sim.play(&json!({ "id": "cs_test_gone" }), json!({ "outcome": "paid" })).await.error(404);
}

#[tokio::test]
async fn what_is_paid_can_differ_from_what_was_asked() {
    let sim = Sim::start().await;
    let session = sim.session(1000, None).await;
    let body = json!({ "outcome": "paid", "amount": 900, "currency": "usd" });
    let paid = sim.play(&session, body).await.ok();
    assert_eq!(paid["session"]["amount_total"], 900);
    assert_eq!(paid["session"]["currency"], "usd");
    let path = format!("/v1/payment_intents/{}", text(&paid["payment_intent"]));
    let intent = sim.get(&path).await.ok();
    assert_eq!((&intent["amount"], &intent["currency"]), (&json!(900), &json!("usd")));
}

#[tokio::test]
async fn parameters_are_checked() {
    let sim = Sim::start().await;
    let (ready, bare) = (sim.account().await, sim.bare_account().await);
    let good = session_form(1000, Some((&ready, 100)));
    let unit = "line_items[0][price_data][unit_amount]";
    let currency = "line_items[0][price_data][currency]";
    let fee = "payment_intent_data[application_fee_amount]";
    let destination = "payment_intent_data[transfer_data][destination]";
    let now = sim.now().await;
    let (soon, late) = (now + 60, now + 3 * 86_400);
    for (from, to, param) in [
        ("mode=payment", "mode=", "mode"),
        ("https://shop.test/ok", "shop.test/ok", "success_url"),
        ("&line_items[0][quantity]=1", "&line_items[0][quantity]=0", "line_items[0][quantity]"),
        (&format!("{unit}=1000"), &format!("{unit}=49"), "line_items"),
        (&format!("{unit}=1000"), &format!("{unit}=-1"), unit),
        (&format!("{unit}=1000"), &format!("{unit}=1.5"), unit),
        (&format!("{unit}=1000"), "", unit),
        (&format!("{currency}=eur"), &format!("{currency}=xyz"), currency),
        (&format!("{fee}=100"), &format!("{fee}=1001"), fee),
        (&format!("{destination}={ready}"), &format!("{destination}=acct_gone"), destination),
        ("mode=payment", &format!("mode=payment&expires_at={soon}"), "expires_at"),
        ("mode=payment", &format!("mode=payment&expires_at={late}"), "expires_at"),
        ("mode=payment", "mode=payment&customer=cus_gone", "customer"),
    ] {
        let form = good.replace(from, to);
        let error = sim.post("/v1/checkout/sessions", &form).await.error(400);
        assert_eq!(error["param"], param, "{to}: {error}");
    }
    let form = good.replace(&ready, &bare);
    let error = sim.post("/v1/checkout/sessions", &form).await.error(400);
    assert_eq!(error["code"], "insufficient_capabilities_for_transfer");
    assert_eq!(sim.get("/v1/checkout/sessions").await.ok()["data"], json!([]));
    sim.post("/v1/checkout/sessions", &good).await.ok();
}

#[tokio::test]
async fn currencies_with_no_or_three_decimals() {
    let sim = Sim::start().await;
    for (currency, amount, status) in [("jpy", 500, 200), ("kwd", 5120, 200), ("kwd", 5124, 400)] {
        let form = session_form(amount, None).replace("=eur", &format!("={currency}"));
        let reply = sim.post("/v1/checkout/sessions", &form).await;
        assert_eq!(reply.status, status, "{amount} {currency}");
    }
}

#[tokio::test]
async fn a_fee_needs_somebody_to_take_it_from() {
    let sim = Sim::start().await;
    let form =
        format!("{}&payment_intent_data[application_fee_amount]=10", session_form(1000, None));
    let error = sim.post("/v1/checkout/sessions", &form).await.error(400);
    assert_eq!(error["param"], "payment_intent_data[application_fee_amount]");

    let account = sim.account().await;
    let as_account = |method, path: &str| sim.api(method, path).header("stripe-account", &account);
    let direct = as_account(reqwest::Method::POST, "/v1/checkout/sessions").body(form);
    let session = send(direct).await.ok();
    let paid = sim.play(&session, json!({ "outcome": "paid" })).await.ok();
    let intent = format!("/v1/payment_intents/{}", text(&paid["payment_intent"]));
    sim.get(&intent).await.error(404);
    send(as_account(reqwest::Method::GET, &intent)).await.ok();
    let fees = sim.get("/v1/application_fees").await.ok();
    assert_eq!(fees["data"][0]["account"], json!(account));
    assert_eq!(sim.summary().await["accounts"][&account]["eur"]["paid"], 1000);
}
