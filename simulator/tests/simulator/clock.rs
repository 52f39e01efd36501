use serde_json::{Value, json};

use crate::support::{Sim, session_form, text};

const HOUR: i64 = 3600;
const DAY: i64 = 24 * HOUR;

#[tokio::test]
async fn sessions_expire_when_their_time_has_come() {
    let (sim, inbox) = Sim::start_heard().await;
    let expires_at = sim.now().await + HOUR;
    let form = format!("{}&expires_at={expires_at}", session_form(1000, None));
    let early = sim.post("/v1/checkout/sessions", &form).await.ok();
    assert_eq!(early["expires_at"], expires_at);
    let late = sim.session(1000, None).await;
    sim.advance(HOUR + 1).await;
    let status = async |session: &Value| {
        let path = format!("/v1/checkout/sessions/{}", text(&session["id"]));
        text(&sim.get(&path).await.ok()["status"])
    };
    assert_eq!(status(&early).await, "expired");
    assert_eq!(status(&late).await, "open");
    let event = inbox.until_kind("checkout.session.expired").await.event();
    assert_eq!(event["data"]["object"]["id"], early["id"]);
    sim.advance(DAY).await;
    assert_eq!(status(&late).await, "expired");
}

#[tokio::test]
async fn a_delayed_payment_succeeds_by_itself_after_days() {
    let sim = Sim::start().await;
    let session = sim.session(1000, None).await;
    sim.play(&session, json!({ "outcome": "delayed" })).await.ok();
    sim.advance(2 * DAY).await;
    let path = format!("/v1/checkout/sessions/{}", text(&session["id"]));
    assert_eq!(sim.get(&path).await.ok()["payment_status"], "unpaid");
    sim.advance(4 * DAY).await;
    assert_eq!(sim.get(&path).await.ok()["payment_status"], "paid");
}

#[tokio::test]
async fn money_becomes_available_after_two_days() {
    let sim = Sim::start().await;
    let charge = sim.paid(1000, None).await;
    let path = format!("/v1/balance_transactions/{}", text(&charge["balance_transaction"]));
    assert_eq!(sim.get(&path).await.ok()["status"], "pending");
    sim.advance(2 * DAY).await;
    assert_eq!(sim.get(&path).await.ok()["status"], "available");
}

#[tokio::test]
async fn events_are_forgotten_after_thirty_days() {
    let sim = Sim::start().await;
    sim.paid(1000, None).await;
    sim.advance(29 * DAY).await;
    assert_ne!(sim.get("/v1/events").await.ok()["data"], json!([]));
    sim.advance(2 * DAY).await;
    assert_eq!(sim.get("/v1/events").await.ok()["data"], json!([]));
}
