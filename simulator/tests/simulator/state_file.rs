use reqwest::Method;
use serde_json::{Value, json};
use simulator::{Simulator, SimulatorConfig, SimulatorError};

use crate::support::{Inbox, Sim, text};

#[tokio::test]
async fn a_restart_forgets_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let inbox = Inbox::open().await;
    let config = SimulatorConfig {
        state_file: Some(directory.path().join("state.json")),
        ..SimulatorConfig::default()
    };
    let sim = Sim::start_with(config.clone()).await;
    let account = sim.account().await;
    let session = sim.session(1000, Some((&account, 100))).await;
    sim.advance(3600).await;
    let customer = sim.post_once("k1", "/v1/customers", "email=a@b.test").await.ok();
    let now = sim.now().await;
    let url = sim.running.url();
    sim.running.shutdown().await.unwrap();

    let endpoints = inbox.endpoints();
    let sim = Sim::start_with(SimulatorConfig {
        platform_endpoint: endpoints.platform,
        connect_endpoint: endpoints.connect,
        public_url: Some(url),
        ..config
    })
    .await;
    assert!(sim.now().await >= now);
    let path = format!("/v1/checkout/sessions/{}", text(&session["id"]));
    assert_eq!(sim.get(&path).await.ok(), session);
    let replayed = sim.post_once("k1", "/v1/customers", "email=a@b.test").await.ok();
    assert_eq!(replayed, customer);
    let paid = sim.play(&session, json!({ "outcome": "paid" })).await.ok();
    assert_ne!(paid["payment_intent"], customer["id"]);
    inbox.until_kind("checkout.session.completed").await;
}

#[tokio::test]
async fn what_was_answered_is_in_the_file() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("state.json");
    let config = SimulatorConfig { state_file: Some(path.clone()), ..SimulatorConfig::default() };
    let sim = Sim::start_with(config).await;
    for n in 0..20 {
        let form = format!("email=buyer-{n}@b.test");
        let customer = sim.post("/v1/customers", &form).await.ok();
        let kept = std::fs::read_to_string(&path).unwrap();
        assert!(
            kept.contains(&text(&customer["id"])),
            "a killed simulator would forget {customer}"
        );
    }
}

#[tokio::test]
async fn webhooks_on_their_way_are_delivered_after_a_restart() {
    let directory = tempfile::tempdir().unwrap();
    let inbox = Inbox::open().await;
    let endpoints = inbox.endpoints();
    let config = SimulatorConfig {
        state_file: Some(directory.path().join("state.json")),
        platform_endpoint: endpoints.platform.clone().map(|endpoint| simulator::Endpoint {
            url: "http://127.0.0.1:9/".to_owned(),
            ..endpoint
        }),
        ..SimulatorConfig::default()
    };
    let sim = Sim::start_with(config.clone()).await;
    sim.post("/v1/customers", "email=a@b.test").await.ok();
    sim.running.shutdown().await.unwrap();
    let _sim =
        Sim::start_with(SimulatorConfig { platform_endpoint: endpoints.platform, ..config }).await;
    inbox.until_kind("customer.created").await;
}

#[tokio::test]
async fn a_file_that_is_not_understood_is_left_alone() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("state.json");
    std::fs::write(&path, "{}").unwrap();
    let config = SimulatorConfig { state_file: Some(path.clone()), ..SimulatorConfig::default() };
    let error = Simulator::start(config).await.unwrap_err();
    assert!(matches!(error, SimulatorError::StateFormat { .. }));
    assert_eq!(std::fs::read_to_string(path).unwrap(), "{}");
}

#[tokio::test]
async fn an_address_in_use_is_an_error() {
    let sim = Sim::start().await;
    let config = SimulatorConfig { bind: sim.running.address(), ..SimulatorConfig::default() };
    let error = Simulator::start(config).await.unwrap_err();
    assert!(matches!(error, SimulatorError::Bind { .. }));
}

#[tokio::test]
async fn subscriptions_are_renewed_after_a_restart() {
    let directory = tempfile::tempdir().unwrap();
    let config = SimulatorConfig {
        state_file: Some(directory.path().join("state.json")),
        ..SimulatorConfig::default()
    };
    let sim = Sim::start_with(config.clone()).await;
    let price = sim.price("Pro", 1200, "month").await;
    let (id, _) = sim.subscribed(&price).await;
    let before = sim.subscription(&id).await;
    sim.running.shutdown().await.unwrap();
    let sim = Sim::start_with(config).await;
    assert_eq!(sim.subscription(&id).await, before);
    sim.end_period(&id).await;
    assert_eq!(sim.invoices(&id).await.len(), 2);
}

#[tokio::test]
async fn a_file_from_before_there_were_subscriptions_is_read() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("state.json");
    let config = SimulatorConfig { state_file: Some(path.clone()), ..SimulatorConfig::default() };
    let sim = Sim::start_with(config.clone()).await;
    let charge = sim.paid(1000, None).await;
    sim.post("/v1/customers", "email=a@b.test").await.ok();
    sim.running.shutdown().await.unwrap();
    let mut kept: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    for (table, names) in [
        ("checkout_sessions", &["mode", "subscription_data", "subscription", "invoice"][..]),
        ("customers", &["phone", "address", "card", "delinquent", "currency", "balance"]),
        ("customers", &["numbered_invoices", "deleted"]),
        ("payment_intents", &["invoice"]),
    ] {
        for name in names {
            assert!(kept[table][0].as_object_mut().unwrap().remove(*name).is_some(), "{name}");
        }
    }
    for table in ["products", "prices", "subscriptions", "invoices", "portal_sessions"] {
        assert!(kept.as_object_mut().unwrap().remove(table).is_some(), "{table}");
    }
    std::fs::write(&path, kept.to_string()).unwrap();
    let sim = Sim::start_with(config).await;
    let intent = format!("/v1/payment_intents/{}", text(&charge["payment_intent"]));
    assert_eq!(sim.get(&intent).await.ok()["status"], "succeeded");
    let price = sim.price("Pro", 1200, "month").await;
    sim.subscribed(&price).await;
}

/// As it was written by the version before there were disputes.
const BEFORE_DISPUTES: &str = include_str!("state_files/before_disputes.json");

#[tokio::test]
async fn a_file_from_before_there_were_disputes_is_read() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("state.json");
    std::fs::write(&path, BEFORE_DISPUTES).unwrap();
    let config = SimulatorConfig { state_file: Some(path), ..SimulatorConfig::default() };
    let sim = Sim::start_with(config).await;
    let refunds = sim.get("/v1/refunds").await.ok();
    let statuses: Vec<_> =
        refunds["data"].as_array().unwrap().iter().map(|refund| text(&refund["status"])).collect();
    assert_eq!(statuses, ["failed", "succeeded"]);
    let transfer = sim.get("/v1/transfers").await.ok()["data"][0].clone();
    assert_eq!(transfer["amount_reversed"], 400);
    let charge = text(&transfer["source_transaction"]);
    // What was paid then is reversed, refunded and disputed now.
    let path = format!("/v1/transfers/{}/reversals", text(&transfer["id"]));
    let reversal = sim.post(&path, "amount=100&refund_application_fee=true").await.ok();
    assert_eq!(reversal["destination_payment_refund"], Value::Null);
    let form = format!("charge={charge}&amount=100&reverse_transfer=true");
    sim.post("/v1/refunds", &form).await.ok();
    let path = format!("charges/{charge}/dispute");
    let dispute = sim.control(Method::POST, &path, json!({})).await.ok();
    assert_eq!(dispute["amount"], 500);
    let summary = sim.summary().await;
    assert_eq!(summary["platform"]["eur"]["application_fees"]["refunded"], 50);
}
