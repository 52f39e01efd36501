use std::time::Duration;

use serde_json::json;

use crate::support::{Sim, session_form, text};

#[tokio::test]
async fn the_same_key_and_parameters_give_the_same_answer() {
    let sim = Sim::start().await;
    let path = "/v1/checkout/sessions";
    let first = sim.post_once("k1", path, &session_form(1000, None)).await;
    assert_eq!(first.header("idempotent-replayed"), None);
    let request = first.header("request-id").unwrap().to_owned();
    let second = sim.post_once("k1", path, &session_form(1000, None)).await;
    assert_eq!(second.header("idempotent-replayed"), Some("true"));
    assert_eq!(second.header("original-request"), Some(request.as_str()));
    assert_eq!(first.ok(), second.ok());
    let sessions = sim.get(path).await.ok();
    assert_eq!(sessions["data"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn other_parameters_or_another_endpoint_are_an_error() {
    let sim = Sim::start().await;
    sim.post_once("k1", "/v1/customers", "email=a@b.test").await.ok();
    for (path, form) in [("/v1/customers", "email=b@b.test"), ("/v1/accounts", "email=a@b.test")] {
        let error = sim.post_once("k1", path, form).await.error(400);
        assert_eq!(error["type"], "idempotency_error");
    }
    assert_eq!(sim.get("/v1/customers").await.ok()["data"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn a_second_request_during_the_first_is_refused() {
    let sim = Sim::start().await;
    sim.faults(json!({ "api": { "latency_ms": [700, 700] } })).await;
    let post = || sim.post_once("k1", "/v1/customers", "email=a@b.test");
    let (one, other) = tokio::join!(post(), post());
    let (done, refused) = if one.status == 200 { (one, other) } else { (other, one) };
    let error = refused.error(409);
    assert_eq!(error["type"], "idempotency_error");
    assert_eq!(error["code"], "idempotency_key_in_use");
    let customer = done.ok();
    sim.faults(json!({})).await;
    assert_eq!(post().await.ok(), customer);
}

#[tokio::test]
async fn the_work_is_done_even_if_the_caller_hangs_up() {
    let sim = Sim::start().await;
    sim.faults(json!({ "api": { "latency_ms": [300, 300] } })).await;
    let post = || sim.post_once("k1", "/v1/customers", "email=a@b.test");
    let hung_up = tokio::time::timeout(Duration::from_millis(100), post()).await;
    assert!(hung_up.is_err());
    sim.faults(json!({})).await;
    let reply = loop {
        let reply = post().await;
        if reply.status != 409 {
            break reply;
        }
    };
    assert_eq!(reply.header("idempotent-replayed"), Some("true"));
    let customers = sim.get("/v1/customers").await.ok();
    assert_eq!(customers["data"][0]["id"], reply.ok()["id"]);
    assert_eq!(customers["data"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn keys_are_forgotten_after_a_day() {
    let sim = Sim::start().await;
    let first = sim.post_once("k1", "/v1/customers", "email=a@b.test").await.ok();
    sim.advance(24 * 3600 - 60).await;
    let replayed = sim.post_once("k1", "/v1/customers", "email=a@b.test").await.ok();
    assert_eq!(first["id"], replayed["id"]);
    sim.advance(61).await;
    let again = sim.post_once("k1", "/v1/customers", "email=a@b.test").await.ok();
    assert_ne!(first["id"], again["id"]);
}

#[tokio::test]
async fn a_stored_500_is_replayed_and_no_work_was_done() {
    let sim = Sim::start().await;
    sim.faults(json!({ "api": { "error_500": 1.0 } })).await;
    let broken = sim.post_once("k1", "/v1/customers", "email=a@b.test").await;
    assert_eq!(broken.error(500)["type"], "api_error");
    sim.faults(json!({})).await;
    let replayed = sim.post_once("k1", "/v1/customers", "email=a@b.test").await;
    assert_eq!(replayed.header("idempotent-replayed"), Some("true"));
    replayed.error(500);
    assert_eq!(sim.get("/v1/customers").await.ok()["data"], json!([]));
    sim.post_once("k2", "/v1/customers", "email=a@b.test").await.ok();
}

#[tokio::test]
async fn a_failed_validation_is_not_stored_but_a_refusal_is() {
    let sim = Sim::start().await;
    sim.post_once("k1", "/v1/refunds", "amount=nonsense").await.error(400);
    sim.post_once("k1", "/v1/customers", "").await.ok();

    let charge = text(&sim.paid(1000, None).await["id"]);
    let form = format!("charge={charge}&amount=2000");
    sim.post_once("k2", "/v1/refunds", &form).await.error(400);
    let replayed = sim.post_once("k2", "/v1/refunds", &form).await;
    assert_eq!(replayed.header("idempotent-replayed"), Some("true"));
}

#[tokio::test]
async fn accounts_do_not_share_keys() {
    let sim = Sim::start().await;
    let account = sim.account().await;
    sim.post_once("k1", "/v1/customers", "email=a@b.test").await.ok();
    let request = sim.api(reqwest::Method::POST, "/v1/customers");
    let request = request.header("idempotency-key", "k1").header("stripe-account", &account);
    let reply = crate::support::send(request.body("email=c@d.test")).await.ok();
    assert_eq!(reply["email"], "c@d.test");
}
