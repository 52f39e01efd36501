//! When a checkout is refused, and what becomes of one that Stripe does not open.

use std::time::Duration;

use serde_json::json;

use crate::{
    on_both,
    stripe::{event, paid},
    world::{Setup, World, token},
};

on_both! {

async fn s09_no_second_purchase_while_the_first_awaits_funds(world: World) {
    world.seller("alice").await;
    world.page("alice", "guide").await;
    let cookie = world.visitor("bob@example.com").await;
    let checkout = world.buy(&cookie, "alice", "guide").await.expect(200);
    let id = checkout["checkoutId"].as_str().unwrap();
    // Two open purchases are allowed: only one can be paid in the end.
    world.buy(&cookie, "alice", "guide").await.expect(200);
    let session = json!({
        "id": format!("cs_{id}"), "object": "checkout.session", "payment_status": "unpaid",
        "metadata": {"sluice_checkout": id}
    });
    world.webhook(&event("evt_1", "checkout.session.completed", session)).await.expect(200);
    world.settle().await;
    world.buy(&cookie, "alice", "guide").await.problem(409, "payment_processing");
    let path = "/v2/public/pages/alice/guide/entitlement";
    let access = world.get(path).cookie(&cookie).send().await.expect(200);
    assert_eq!(
        (&access["entitled"], &access["reason"]),
        (&json!(false), &json!("PAYMENT_PROCESSING"))
    );
    // Somebody else may buy.
    let other = world.visitor("eve@example.com").await;
    world.buy(&other, "alice", "guide").await.expect(200);
    let mut late = paid("evt_2", id, 1_000);
    late["type"] = json!("checkout.session.async_payment_succeeded");
    world.webhook(&late).await.expect(200);
    world.settle().await;
    world.buy(&cookie, "alice", "guide").await.problem(409, "already_entitled");
}

async fn what_stripe_refuses_is_a_502_and_may_be_tried_again(world: World) {
    world.seller("alice").await;
    world.page("alice", "guide").await;
    let cookie = world.visitor("bob@example.com").await;
    let path = "/v2/public/pages/alice/guide/checkout";
    *world.stripe.refusing.lock().unwrap() = Some("account_invalid");
    let seen = world.post(path).cookie(&cookie).key("k1").send().await;
    let problem = seen.problem(502, "stripe_refused");
    assert!(problem["detail"].as_str().unwrap().contains("account_invalid"), "{problem}");
    *world.stripe.refusing.lock().unwrap() = None;
    let checkout = world.post(path).cookie(&cookie).key("k1").send().await.expect(200);
    assert_eq!(checkout["status"], "OPEN");
}

async fn s43_the_signed_in_visitor_is_entitled(world: World) {
    world.seller("alice").await;
    world.page("alice", "guide").await;
    let cookie = world.visitor("bob@example.com").await;
    let checkout = world.buy(&cookie, "alice", "guide").await.expect(200);
    let mut event = paid("evt_1", checkout["checkoutId"].as_str().unwrap(), 1_000);
    event["data"]["object"]["customer_details"] = json!({"email": "someone@else.example"});
    world.webhook(&event).await.expect(200);
    world.settle().await;
    let path = "/v2/public/pages/alice/guide/entitlement";
    let access = world.get(path).cookie(&cookie).send().await.expect(200);
    assert_eq!(access["entitled"], true);
}

}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_takes_too_long_is_accepted_and_can_be_looked_up() {
    let answer_within = Duration::from_millis(300);
    let world = World::with(Setup { answer_within, ..Setup::default() }).await;
    world.seller("alice").await;
    world.page("alice", "guide").await;
    let cookie = world.visitor("bob@example.com").await;
    world.stop_working().await;
    let seen = world.buy(&cookie, "alice", "guide").await;
    let checkout = seen.expect(202);
    assert_eq!((&checkout["status"], &checkout["url"]), (&json!("OPEN"), &json!(null)));
    let path = seen.header("location").unwrap();
    assert_eq!(path, format!("/v2/public/checkouts/{}", checkout["checkoutId"].as_str().unwrap()));
    world.settle().await;
    let later = world.get(path).cookie(&cookie).send().await.expect(200);
    assert!(later["url"].as_str().unwrap().starts_with("https://checkout.stripe.test/"), "{later}");

    let path = "/v2/handles/alice/connect/onboarding";
    let seen = world.post(path).bearer(token("alice")).send().await;
    let onboarding = seen.expect(202);
    let run = seen.header("location").unwrap();
    assert_eq!(run, format!("/v2/runs/{}", onboarding["runId"].as_str().unwrap()));
    world.get(run).bearer(token("alice")).send().await.expect(200);
}
