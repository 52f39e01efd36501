use std::collections::HashMap;
use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::json;
use simulator::{Faults, SimulatorError};

use crate::support::{Inbox, Sim, ids, text};

/// How often each event came.
fn deliveries(inbox: &Inbox) -> HashMap<String, usize> {
    let mut deliveries = HashMap::new();
    for one in inbox.received() {
        *deliveries.entry(text(&one.event()["id"])).or_default() += 1;
    }
    deliveries
}

/// Waits until no webhook is on its way any more.
async fn quiet(sim: &Sim) {
    while sim.summary().await["counts"]["webhooks_pending"] != 0 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn duplicates_come_twice() {
    let (sim, inbox) = Sim::start_heard().await;
    sim.faults(json!({ "webhooks": { "duplicate": 1.0 } })).await;
    sim.paid(1000, None).await;
    quiet(&sim).await;
    let deliveries = deliveries(&inbox);
    assert_eq!(deliveries.len(), 5);
    assert!(deliveries.values().all(|times| *times == 2));
}

#[tokio::test]
async fn dropped_events_never_come_but_are_listed() {
    let (sim, inbox) = Sim::start_heard().await;
    sim.faults(json!({ "seed": 1, "webhooks": { "drop": 0.5 } })).await;
    for _ in 0..8 {
        sim.post("/v1/customers", "").await.ok();
    }
    quiet(&sim).await;
    let came = deliveries(&inbox).len();
    assert!((1..8).contains(&came), "{came} of 8 came");
    let listed = sim.get("/v1/events?type=customer.created").await.ok();
    assert_eq!(ids(&listed).len(), 8);
}

#[tokio::test]
async fn the_same_seed_drops_the_same_events() {
    let mut came = Vec::new();
    for _ in 0..2 {
        let (sim, inbox) = Sim::start_heard().await;
        sim.faults(json!({ "seed": 3, "webhooks": { "drop": 0.5 } })).await;
        for _ in 0..12 {
            sim.post("/v1/customers", "").await.ok();
        }
        quiet(&sim).await;
        let mut ids: Vec<_> = deliveries(&inbox).into_keys().collect();
        ids.sort();
        came.push(ids);
    }
    assert_eq!(came[0], came[1]);
}

#[tokio::test]
async fn a_reordered_event_comes_after_a_later_one() {
    let (sim, inbox) = Sim::start_heard().await;
    sim.faults(json!({ "webhooks": { "reorder": 1.0 } })).await;
    let first = sim.post("/v1/customers", "").await.ok();
    sim.faults(json!({})).await;
    let second = sim.post("/v1/customers", "").await.ok();
    let received = inbox.until(|all| all.len() == 2).await;
    let order: Vec<_> =
        received.iter().map(|one| one.event()["data"]["object"]["id"].clone()).collect();
    assert_eq!(order, [second["id"].clone(), first["id"].clone()]);
}

#[tokio::test]
async fn too_many_requests_say_when_to_come_back() {
    let sim = Sim::start().await;
    sim.faults(json!({ "api": { "error_429": 1.0 } })).await;
    let refused = sim.post_once("k1", "/v1/customers", "").await;
    assert_eq!(refused.header("retry-after"), Some("1"));
    assert_eq!(refused.error(429)["code"], "rate_limit");
    sim.faults(json!({})).await;
    sim.post_once("k1", "/v1/customers", "").await.ok();
}

#[tokio::test]
async fn an_answer_can_be_withheld_after_the_work() {
    let sim = Sim::start().await;
    let slow = json!({ "api": { "timeout_after_work": 1.0 } });
    sim.faults(slow).await;
    let post = || sim.post_once("k1", "/v1/customers", "email=a@b.test");
    assert!(tokio::time::timeout(Duration::from_millis(500), post()).await.is_err());
    sim.faults(json!({})).await;
    let replayed = post().await;
    assert_eq!(replayed.header("idempotent-replayed"), Some("true"));
    let customers = sim.get("/v1/customers").await.ok();
    assert_eq!(ids(&customers), [text(&replayed.ok()["id"])]);

    let short = json!({ "api": { "timeout_after_work": 1.0, "timeout_seconds": 0 } });
    sim.faults(short).await;
    assert_eq!(sim.get("/v1/customers").await.status, 504);
}

#[tokio::test]
async fn only_the_api_suffers() {
    let sim = Sim::start().await;
    let session = sim.session(1000, None).await;
    sim.faults(json!({ "api": { "error_500": 1.0, "error_429": 1.0 } })).await;
    sim.play(&session, json!({ "outcome": "paid" })).await.ok();
    sim.get("/v1/customers").await.error(429);
}

#[tokio::test]
async fn latency_is_felt() {
    let sim = Sim::start().await;
    sim.faults(json!({ "api": { "latency_ms": [200, 250] } })).await;
    let start = Instant::now();
    sim.get("/v1/customers").await.ok();
    assert!(start.elapsed() >= Duration::from_millis(200));
}

#[tokio::test]
async fn nonsense_is_refused_and_the_faults_in_force_are_told() {
    let sim = Sim::start().await;
    for faults in [
        json!({ "api": { "error_500": 2.0 } }),
        json!({ "webhooks": { "delay_ms": [5, 1] } }),
        json!({ "unknown": 1 }),
    ] {
        sim.control(Method::PUT, "faults", faults).await.error(400);
    }
    sim.faults(json!({ "seed": 5, "webhooks": { "drop": 0.25 } })).await;
    let faults = sim.control(Method::GET, "faults", json!({})).await.ok();
    assert_eq!((&faults["seed"], &faults["webhooks"]["drop"]), (&json!(5), &json!(0.25)));
}

#[tokio::test]
async fn faults_can_be_set_without_http() {
    let sim = Sim::start().await;
    let mut faults = Faults::default();
    faults.api.error_429 = 1.0;
    sim.running.set_faults(faults.clone()).unwrap();
    sim.get("/v1/customers").await.error(429);
    faults.api.error_429 = -1.0;
    let error = sim.running.set_faults(faults).unwrap_err();
    assert!(matches!(error, SimulatorError::Faults(_)), "{error}");
}
