use hmac::{Hmac, Mac};
use reqwest::Method;
use serde_json::{Value, json};
use sha2::Sha256;

use crate::support::{CONNECT_SECRET, Inbox, PLATFORM_SECRET, Received, Sim, send, text};

fn kinds(received: &[Received]) -> Vec<String> {
    let mut kinds: Vec<_> = received.iter().map(Received::kind).collect();
    kinds.sort();
    kinds
}

/// Checks a signature as Stripe's documentation describes it.
fn is_genuine(received: &Received, secret: &str) -> bool {
    let Some((time, v1)) = received.signature.split_once(",v1=") else {
        return false;
    };
    let time = time.strip_prefix("t=").unwrap();
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap();
    mac.update(format!("{time}.{}", received.body).as_bytes());
    hex::encode(mac.finalize().into_bytes()) == v1
}

#[tokio::test]
async fn a_payment_is_told_in_signed_events() {
    let (sim, inbox) = Sim::start_heard().await;
    let account = sim.account().await;
    let session = sim.session(1000, Some((&account, 100))).await;
    let paid = sim.play(&session, json!({ "outcome": "paid" })).await.ok();
    let received =
        inbox.until(|all| all.iter().filter(|one| one.path == "/platform").count() == 7).await;
    let (platform, connect): (Vec<_>, Vec<_>) =
        received.into_iter().partition(|one| one.path == "/platform");
    assert_eq!(
        kinds(&platform),
        [
            "application_fee.created",
            "charge.succeeded",
            "charge.updated",
            "checkout.session.completed",
            "payment_intent.created",
            "payment_intent.succeeded",
            "transfer.created",
        ]
    );
    assert!(platform.iter().all(|one| is_genuine(one, PLATFORM_SECRET)));
    assert!(platform.iter().all(|one| one.event().get("account").is_none()));
    assert!(connect.iter().all(|one| is_genuine(one, CONNECT_SECRET)));
    assert!(connect.iter().all(|one| one.event()["account"] == json!(account)));

    let completed = inbox.until_kind("checkout.session.completed").await.event();
    assert_eq!(completed["object"], "event");
    assert_eq!(completed["api_version"], simulator::API_VERSION);
    assert_eq!(completed["livemode"], false);
    assert_eq!(completed["data"]["object"], paid["session"]);
    let listed = sim.get(&format!("/v1/events/{}", text(&completed["id"]))).await.ok();
    assert_eq!(listed["data"], completed["data"]);
}

#[tokio::test]
async fn the_balance_transaction_comes_after_the_charge() {
    let (sim, inbox) = Sim::start_heard().await;
    sim.paid(1000, None).await;
    let object = |event: Value| event["data"]["object"].clone();
    let succeeded = object(inbox.until_kind("charge.succeeded").await.event());
    assert_eq!(succeeded["balance_transaction"], Value::Null);
    let updated = object(inbox.until_kind("charge.updated").await.event());
    assert!(updated["balance_transaction"].is_string());
}

#[tokio::test]
async fn events_name_the_request_that_caused_them() {
    let (sim, inbox) = Sim::start_heard().await;
    let charge = text(&sim.paid(1000, None).await["id"]);
    let reply = sim.post_once("k1", "/v1/refunds", &format!("charge={charge}")).await;
    let event = inbox.until_kind("refund.created").await.event();
    assert_eq!(event["request"]["id"].as_str(), reply.header("request-id"));
    assert_eq!(event["request"]["idempotency_key"], "k1");
}

#[tokio::test]
async fn it_is_tried_again_until_it_is_acknowledged() {
    let (sim, inbox) = Sim::start_heard().await;
    inbox.refuse(3);
    sim.post("/v1/customers", "email=a@b.test").await.ok();
    let received = inbox.until(|all| all.iter().any(|one| one.acknowledged)).await;
    assert_eq!(received.len(), 4);
    let id = |one: &Received| text(&one.event()["id"]);
    assert!(received.iter().all(|one| id(one) == id(&received[0])));
    assert!(received.iter().all(|one| is_genuine(one, PLATFORM_SECRET)));
    loop {
        let event = sim.get(&format!("/v1/events/{}", id(&received[0]))).await.ok();
        if event["pending_webhooks"] == 0 {
            break;
        }
    }
    assert_eq!(inbox.received().len(), 4);
}

#[tokio::test]
async fn a_receiver_that_comes_later_still_gets_it() {
    let inbox = Inbox::open().await;
    let sim = Sim::start().await;
    let nobody = json!({ "platform": { "url": "http://127.0.0.1:9/", "secret": "whsec_x" } });
    sim.control(Method::POST, "endpoints", nobody).await.ok();
    sim.post("/v1/customers", "email=a@b.test").await.ok();
    let endpoint = inbox.endpoints().platform.unwrap();
    let body = json!({ "platform": { "url": endpoint.url, "secret": endpoint.secret } });
    let set = sim.control(Method::POST, "endpoints", body).await.ok();
    assert_eq!(set, json!({ "platform": endpoint.url, "connect": null }));
    inbox.until_kind("customer.created").await;
}

#[tokio::test]
async fn endpoints_can_be_made_in_stripes_own_way() {
    let inbox = Inbox::open().await;
    let sim = Sim::start().await;
    let url = inbox.endpoints().platform.unwrap().url;
    let form = format!("url={url}&enabled_events[]=charge.succeeded");
    let endpoint = sim.post("/v1/webhook_endpoints", &form).await.ok();
    let secret = text(&endpoint["secret"]);
    sim.paid(1000, None).await;
    let received = inbox.until_kind("charge.succeeded").await;
    assert!(is_genuine(&received, &secret));
    assert_eq!(inbox.received().len(), 1);
    let path = format!("/v1/webhook_endpoints/{}", text(&endpoint["id"]));
    assert_eq!(sim.get(&path).await.ok().get("secret"), None);
    let deleted = send(sim.api(Method::DELETE, &path)).await.ok();
    assert_eq!(deleted["deleted"], true);
    sim.get(&path).await.error(404);
}
