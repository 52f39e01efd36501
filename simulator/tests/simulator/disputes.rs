use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{Sim, ids, kinds_since, text};

async fn dispute(sim: &Sim, charge: &Value, body: Value) -> Value {
    let path = format!("charges/{}/dispute", text(&charge["id"]));
    sim.control(Method::POST, &path, body).await.ok()
}

async fn balance(sim: &Sim) -> i64 {
    let movements = sim.get("/v1/balance_transactions?limit=100").await.ok();
    movements["data"].as_array().unwrap().iter().map(|m| m["net"].as_i64().unwrap()).sum()
}

#[tokio::test]
async fn a_dispute_takes_the_money_and_a_fee_from_the_platform() {
    let (sim, inbox) = Sim::start_heard().await;
    let account = sim.account().await;
    let charge = sim.paid(1000, Some((&account, 100))).await;
    assert_eq!(charge["disputed"], false);
    let before = balance(&sim).await;
    let dispute = dispute(&sim, &charge, json!({})).await;
    assert_eq!(dispute["status"], "needs_response");
    assert_eq!(dispute["amount"], 1000);
    assert_eq!(dispute["reason"], "fraudulent");
    assert_eq!(dispute["is_charge_refundable"], false);
    assert_eq!(dispute["payment_intent"], charge["payment_intent"]);
    let withdrawal = &dispute["balance_transactions"][0];
    assert_eq!(withdrawal["type"], "adjustment");
    assert_eq!(withdrawal["reporting_category"], "dispute");
    assert_eq!((&withdrawal["amount"], &withdrawal["fee"]), (&json!(-1000), &json!(1500)));
    assert_eq!(withdrawal["fee_details"][0]["description"], "Dispute fee");
    assert_eq!(withdrawal["source"], dispute["id"]);
    assert_eq!(balance(&sim).await, before - 2500);
    let charge = sim.get(&format!("/v1/charges/{}?expand[]=transfer", text(&charge["id"]))).await;
    let charge = charge.ok();
    assert_eq!(charge["disputed"], true);
    assert_eq!(charge["transfer"]["amount_reversed"], 0);
    let created = inbox.until_kind("charge.dispute.created").await.event();
    assert_eq!(created["data"]["object"]["id"], dispute["id"]);
    inbox.until_kind("charge.dispute.funds_withdrawn").await;
}

#[tokio::test]
async fn a_won_dispute_brings_all_of_it_back() {
    let sim = Sim::start().await;
    let charge = sim.paid(1000, None).await;
    let before = balance(&sim).await;
    let id = text(&dispute(&sim, &charge, json!({ "amount": 700 })).await["id"]);
    let set = |path: String, status: &str| {
        let (sim, body) = (&sim, json!({ "status": status }));
        async move { sim.control(Method::POST, &path, body).await }
    };
    let reviewed = set(format!("disputes/{id}"), "under_review").await.ok();
    assert_eq!(reviewed["status"], "under_review");
    let won = set(format!("disputes/{id}/close"), "won").await.ok();
    assert_eq!(won["status"], "won");
    let reinstated = &won["balance_transactions"][1];
    assert_eq!(reinstated["reporting_category"], "dispute_reversal");
    assert_eq!((&reinstated["amount"], &reinstated["fee"]), (&json!(700), &json!(-1500)));
    assert_eq!(balance(&sim).await, before);
    assert_eq!(
        kinds_since(&sim, "charge.updated").await,
        [
            "charge.dispute.created",
            "charge.dispute.funds_withdrawn",
            "charge.dispute.updated",
            "charge.dispute.funds_reinstated",
            "charge.dispute.closed",
        ]
    );
    set(format!("disputes/{id}/close"), "lost").await.error(409);
    set(format!("disputes/{id}"), "under_review").await.error(409);
    sim.post("/v1/refunds", &format!("charge={}", text(&charge["id"]))).await.ok();
}

#[tokio::test]
async fn a_dispute_can_be_accepted_as_lost() {
    let sim = Sim::start().await;
    let charge = sim.paid(1000, None).await;
    let id = text(&dispute(&sim, &charge, json!({})).await["id"]);
    let before = balance(&sim).await;
    let lost = sim.post(&format!("/v1/disputes/{id}/close"), "").await.ok();
    assert_eq!(lost["status"], "lost");
    assert_eq!(lost["balance_transactions"].as_array().unwrap().len(), 1);
    assert_eq!(balance(&sim).await, before);
    sim.post(&format!("/v1/disputes/{id}/close"), "").await.error(400);
    let closed = sim.get("/v1/events?type=charge.dispute.*&limit=1").await.ok();
    assert_eq!(closed["data"][0]["type"], "charge.dispute.closed");
}

#[tokio::test]
async fn what_is_disputed_cannot_be_refunded() {
    let sim = Sim::start().await;
    let charge = sim.paid(1000, None).await;
    let id = text(&dispute(&sim, &charge, json!({ "amount": 1 })).await["id"]);
    let form = format!("charge={}&amount=10", text(&charge["id"]));
    for verdict in [None, Some("lost")] {
        if let Some(verdict) = verdict {
            let path = format!("disputes/{id}/close");
            sim.control(Method::POST, &path, json!({ "status": verdict })).await.ok();
        }
        let error = sim.post("/v1/refunds", &form).await.error(400);
        assert_eq!(error["code"], "charge_disputed", "{verdict:?}");
        let path = format!("charges/{}/refund", text(&charge["id"]));
        sim.control(Method::POST, &path, json!({})).await.error(400);
    }
}

#[tokio::test]
async fn disputes_are_found_by_what_they_are_about() {
    let sim = Sim::start().await;
    let (one, other) = (sim.paid(1000, None).await, sim.paid(500, None).await);
    // More than was paid, named by the payment intent.
    let path = format!("charges/{}/dispute", text(&one["payment_intent"]));
    let body = json!({ "amount": 2000, "reason": "product_not_received" });
    let first = sim.control(Method::POST, &path, body).await.ok();
    assert_eq!(first["amount"], 2000);
    sim.advance(100).await;
    let later = sim.now().await;
    let second = dispute(&sim, &other, json!({})).await;
    for (filter, expected) in [
        (format!("charge={}", text(&one["id"])), vec![text(&first["id"])]),
        (format!("payment_intent={}", text(&other["payment_intent"])), vec![text(&second["id"])]),
        (format!("created[gte]={later}"), vec![text(&second["id"])]),
        (String::new(), vec![text(&second["id"]), text(&first["id"])]),
    ] {
        let page = sim.get(&format!("/v1/disputes?{filter}")).await.ok();
        assert_eq!(ids(&page), expected, "{filter}");
    }
    let path =
        format!("/v1/disputes/{}?expand[]=charge&expand[]=payment_intent", text(&first["id"]));
    let expanded = sim.get(&path).await.ok();
    assert_eq!(expanded["charge"]["id"], one["id"]);
    assert_eq!(expanded["payment_intent"]["id"], one["payment_intent"]);
    let path = format!("/v1/balance_transactions?source={}", text(&first["id"]));
    let movements = sim.get(&path).await.ok();
    assert_eq!(movements["data"][0], first["balance_transactions"][0]);
    sim.get("/v1/disputes/du_gone").await.error(404);
}

#[tokio::test]
async fn the_fee_is_fifteen_whole_units_of_the_currency() {
    let sim = Sim::start().await;
    for (currency, fee) in [("usd", 1500), ("jpy", 15), ("kwd", 15_000)] {
        let session = sim.session(1000, None).await;
        let paid =
            sim.play(&session, json!({ "outcome": "paid", "currency": currency })).await.ok();
        let path = format!("charges/{}/dispute", text(&paid["payment_intent"]));
        let dispute = sim.control(Method::POST, &path, json!({})).await.ok();
        assert_eq!(dispute["balance_transactions"][0]["fee"], fee, "{currency}");
    }
}

#[tokio::test]
async fn what_makes_no_sense_is_refused() {
    let sim = Sim::start().await;
    let charge = sim.paid(1000, None).await;
    let path = format!("charges/{}/dispute", text(&charge["id"]));
    for body in [
        json!({ "amount": 0 }),
        json!({ "reason": "boredom" }),
        json!({ "status": "needs_response" }),
    ] {
        sim.control(Method::POST, &path, body.clone()).await.error(400);
    }
    sim.control(Method::POST, "charges/ch_gone/dispute", json!({})).await.error(404);
    sim.control(Method::POST, "disputes/du_gone", json!({ "status": "under_review" }))
        .await
        .error(404);
    let opened = dispute(&sim, &charge, json!({})).await;
    sim.control(Method::POST, &path, json!({})).await.error(409);
    let path = format!("disputes/{}", text(&opened["id"]));
    sim.control(Method::POST, &path, json!({ "status": "won" })).await.error(400);
    let session = sim.session(1000, None).await;
    let declined = sim.play(&session, json!({ "outcome": "declined" })).await.ok();
    let path = format!("charges/{}/dispute", text(&declined["payment_intent"]));
    sim.control(Method::POST, &path, json!({})).await.error(409);
}

#[tokio::test]
async fn a_bank_warns_of_fraud() {
    let (sim, inbox) = Sim::start_heard().await;
    let charge = sim.paid(1000, None).await;
    let path = format!("charges/{}/early_fraud_warning", text(&charge["payment_intent"]));
    let warning = sim.control(Method::POST, &path, json!({})).await.ok();
    assert_eq!(warning["charge"], charge["id"]);
    assert_eq!(warning["fraud_type"], "made_with_stolen_card");
    assert_eq!(warning["actionable"], true);
    let told = inbox.until_kind("radar.early_fraud_warning.created").await.event();
    assert_eq!(told["data"]["object"], warning);
    sim.control(Method::POST, &path, json!({ "fraud_type": "boredom" })).await.error(400);
    sim.post("/v1/refunds", &format!("charge={}", text(&charge["id"]))).await.ok();
    let path = format!("/v1/radar/early_fraud_warnings?charge={}", text(&charge["id"]));
    let listed = sim.get(&path).await.ok();
    assert_eq!(ids(&listed), [text(&warning["id"])]);
    let path = format!("/v1/radar/early_fraud_warnings/{}", text(&warning["id"]));
    assert_eq!(sim.get(&path).await.ok()["actionable"], false);
}
