use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{Sim, as_account, ids, text};

const DAY: i64 = 24 * 3600;

async fn pay_out(sim: &Sim, body: Value) -> Value {
    sim.control(Method::POST, "payouts", body).await.ok()
}

async fn set(sim: &Sim, payout: &Value, status: &str) -> Value {
    let path = format!("payouts/{}", text(&payout["id"]));
    sim.control(Method::POST, &path, json!({ "status": status })).await.ok()
}

fn amount(balance: &Value, part: &str) -> i64 {
    balance[part][0]["amount"].as_i64().unwrap()
}

#[tokio::test]
async fn balances_become_available_after_two_days() {
    let sim = Sim::start().await;
    let account = sim.account().await;
    let empty = as_account(&sim, &account, "/v1/balance").await.ok();
    assert_eq!(empty["available"][0]["currency"], "eur");
    assert_eq!(amount(&empty, "available"), 0);
    assert_eq!(sim.get("/v1/balance").await.ok()["available"][0]["currency"], "usd");
    sim.paid(1000, Some((&account, 100))).await;
    let (platform, connected) =
        (sim.get("/v1/balance").await.ok(), as_account(&sim, &account, "/v1/balance").await.ok());
    assert_eq!((amount(&platform, "available"), amount(&platform, "pending")), (0, 41));
    assert_eq!((amount(&connected, "available"), amount(&connected, "pending")), (0, 900));
    sim.advance(2 * DAY).await;
    let (platform, connected) =
        (sim.get("/v1/balance").await.ok(), as_account(&sim, &account, "/v1/balance").await.ok());
    assert_eq!((amount(&platform, "available"), amount(&platform, "pending")), (41, 0));
    assert_eq!((amount(&connected, "available"), amount(&connected, "pending")), (900, 0));
    assert_eq!(platform["connect_reserved"], json!([{ "amount": 0, "currency": "eur" }]));
    assert_eq!(connected["connect_reserved"], Value::Null);
}

#[tokio::test]
async fn a_connected_account_is_paid_out() {
    let (sim, inbox) = Sim::start_heard().await;
    let account = sim.account().await;
    sim.paid(1000, Some((&account, 100))).await;
    let body = json!({ "account": account, "currency": "eur" });
    let payout = pay_out(&sim, body.clone()).await;
    assert_eq!((&payout["amount"], &payout["status"]), (&json!(900), &json!("pending")));
    assert_eq!(payout["automatic"], true);
    sim.control(Method::POST, "payouts", body).await.error(409);
    assert_eq!(set(&sim, &payout, "in_transit").await["status"], "in_transit");
    let paid = set(&sim, &payout, "paid").await;
    for kind in ["payout.created", "payout.updated", "payout.paid"] {
        let told = inbox.until_kind(kind).await;
        assert_eq!(told.path, "/connect", "{kind}");
        assert_eq!(told.event()["account"], json!(account));
    }
    let listed = as_account(&sim, &account, "/v1/payouts?status=paid").await.ok();
    assert_eq!(listed["data"], json!([paid]));
    assert_eq!(
        as_account(&sim, &account, "/v1/payouts?status=failed").await.ok()["data"],
        json!([])
    );
    assert_eq!(sim.get("/v1/payouts").await.ok()["data"], json!([]));
    let path = format!("/v1/payouts/{}", text(&payout["id"]));
    assert_eq!(as_account(&sim, &account, &path).await.ok(), paid);
    sim.get(&path).await.error(404);
    let path = format!("/v1/balance_transactions?payout={}", text(&payout["id"]));
    let movements = as_account(&sim, &account, &path).await.ok();
    let nets: Vec<_> = movements["data"].as_array().unwrap().iter().map(|m| &m["net"]).collect();
    assert_eq!(nets, [-900, 900]);
    // What was paid can still come back, and goes out with the next payout.
    let failed = set(&sim, &payout, "failed").await;
    assert_eq!(failed["failure_code"], "account_closed");
    inbox.until_kind("payout.failed").await;
    let balance = as_account(&sim, &account, "/v1/balance").await.ok();
    assert_eq!(amount(&balance, "available") + amount(&balance, "pending"), 900);
    let path = "/v1/balance_transactions?type=payout_failure&expand[]=data.source";
    let returned = as_account(&sim, &account, path).await.ok()["data"][0].clone();
    assert_eq!(returned["source"]["id"], payout["id"]);
    assert_eq!(returned["reporting_category"], "payout_reversal");
    let next = pay_out(&sim, json!({ "account": account, "currency": "eur" })).await;
    assert_eq!(next["amount"], 900);
    let path = format!("/v1/balance_transactions?payout={}", text(&next["id"]));
    assert_eq!(as_account(&sim, &account, &path).await.ok()["data"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn the_platform_is_paid_out() {
    let (sim, inbox) = Sim::start_heard().await;
    sim.paid(1000, None).await;
    let some = pay_out(&sim, json!({ "currency": "eur", "amount": 300 })).await;
    assert_eq!((&some["amount"], &some["automatic"]), (&json!(300), &json!(false)));
    assert_eq!(some["reconciliation_status"], "not_applicable");
    assert_eq!(set(&sim, &some, "canceled").await["status"], "canceled");
    let told = inbox.until_kind("payout.canceled").await;
    assert_eq!(told.path, "/platform");
    let rest = pay_out(&sim, json!({ "currency": "eur" })).await;
    assert_eq!(rest["amount"], 941);
    let path = format!("/v1/balance_transactions?payout={}", text(&rest["id"]));
    let kinds: Vec<_> = sim.get(&path).await.ok()["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|movement| text(&movement["type"]))
        .collect();
    assert_eq!(kinds, ["payout", "payout_cancel", "payout", "charge"]);
    let by_source = format!("/v1/balance_transactions?source={}", text(&some["id"]));
    assert_eq!(sim.get(&by_source).await.ok()["data"].as_array().unwrap().len(), 2);
    assert_eq!(ids(&sim.get("/v1/payouts").await.ok()), [text(&rest["id"]), text(&some["id"])]);
}

#[tokio::test]
async fn payouts_that_make_no_sense_are_refused() {
    let sim = Sim::start().await;
    sim.paid(1000, None).await;
    for (body, status) in [
        (json!({}), 400),
        (json!({ "currency": "zzz" }), 400),
        (json!({ "currency": "usd" }), 409),
        (json!({ "currency": "eur", "amount": 942 }), 409),
        (json!({ "currency": "eur", "amount": 0 }), 400),
        (json!({ "currency": "eur", "account": "acct_gone" }), 404),
    ] {
        sim.control(Method::POST, "payouts", body).await.error(status);
    }
    let payout = pay_out(&sim, json!({ "currency": "eur" })).await;
    set(&sim, &payout, "in_transit").await;
    let path = format!("payouts/{}", text(&payout["id"]));
    for status in ["pending", "canceled"] {
        sim.control(Method::POST, &path, json!({ "status": status })).await.error(409);
    }
    set(&sim, &payout, "failed").await;
    sim.control(Method::POST, &path, json!({ "status": "paid" })).await.error(409);
    sim.control(Method::POST, "payouts/po_gone", json!({ "status": "paid" })).await.error(404);
}
